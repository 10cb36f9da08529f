"""Every kind of finding: those of files and of the static checker, and the rules; and which of them are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapeguard.config import Config, UsageError
from shapeguard.diagnostics import Code, selects
from shapeguard.kinds import KINDS, UNCHECKED
from shapeguard.rules import OUTLINES
from shapeguard.spelling import did_you_mean

if TYPE_CHECKING:
    CODES: tuple[Code, ...]
    """In order, each with its page, for which all rules are loaded."""


def _ordered(codes: Iterable[Code]) -> tuple[Code, ...]:
    return tuple(sorted((*KINDS, *codes), key=lambda each: each.code))


CODES_IN_SHORT = _ordered(each.kind for each in OUTLINES)
"""In order, the rules' without their pages."""


def __getattr__(name: str) -> Any:
    if name != "CODES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shapeguard.rules import RULES  # noqa: PLC0415 - few want the pages

    globals()[name] = value = _ordered(rule.as_code() for rule in RULES)
    return value


def codes_meant(selector: str) -> frozenset[str]:
    """The codes that "ALL", a code, the beginning of one ("SG3") or a name selects; none if it means nothing."""
    return frozenset(each.code for each in CODES_IN_SHORT if selects(selector, each.code, each.name))


def find_code(selector: str) -> Code:
    """The kind of finding with this code or name, with its page."""
    rules = {each.kind.code: each for each in OUTLINES}
    for each in CODES_IN_SHORT:
        if selector in (each.code, each.name):
            return rules[each.code].load().as_code() if each.code in rules else each
    raise UsageError(f"no rule is called `{selector}`{instead(selector)}")


def chosen_codes(config: Config) -> frozenset[str]:
    """The codes that are reported. Those that say a file went unchecked need no selecting, and can be ignored.

    What is in preview is chosen by its own code or name, or by anything together with `preview`.
    """
    given = {
        "select": config.select,
        "extend-select": config.extend_select,
        "ignore": config.ignore,
        "per-file-ignores": [code for _, codes in config.per_file_ignores for code in codes],
        "severity": [selector for selector, _ in config.severity],
    }
    for key, selectors in given.items():
        for selector in selectors:
            if not codes_meant(selector):
                file = Path(config.root, "pyproject.toml")  # what the command line names is known
                raise UsageError(f"{file}: unknown rule `{selector}` in `{key}`{instead(selector)}")
    asked = (*config.select, *config.extend_select)
    preview = frozenset() if config.preview else frozenset(each.code for each in CODES_IN_SHORT if each.preview)
    selected = _union(asked) - (preview - _union(each for each in asked if len(codes_meant(each)) == 1))
    return (selected | UNCHECKED) - _union(config.ignore)


def instead(selector: str) -> str:
    """The end of a sentence that says no rule is called so; a code is like many others, and means none of them."""
    if selector.upper() in {each.code for each in CODES_IN_SHORT} - {selector}:
        return f"; did you mean `{selector.upper()}`?"
    return did_you_mean(selector, [each.name for each in CODES_IN_SHORT], "; `shapeguard rules` lists them")


def _union(selectors: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*map(codes_meant, selectors))
