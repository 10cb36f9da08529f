"""Every kind of finding: those of files and of the static checker, and the rules; and which of them are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from shapeguard.config import Config, UsageError
from shapeguard.diagnostics import Code
from shapeguard.kinds import KINDS, UNCHECKED
from shapeguard.rules import OUTLINES

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
    if selector == "ALL":
        return frozenset(each.code for each in CODES_IN_SHORT)
    begins = selector.startswith("SG")
    return frozenset(
        each.code for each in CODES_IN_SHORT if each.name == selector or (begins and each.code.startswith(selector))
    )


def find_code(selector: str) -> Code:
    """The kind of finding with this code or name."""
    from shapeguard.rules import RULES  # noqa: PLC0415 - as above

    for each in _ordered(rule.as_code() for rule in RULES):
        if selector.upper() == each.code or selector == each.name:
            return each
    raise UsageError(f"no rule is called `{selector}`{similar(selector)}")


def chosen_codes(config: Config) -> frozenset[str]:
    """The codes that are reported. Those that say a file went unchecked need no selecting, and can be ignored.

    What is in preview is chosen by its own code or name, or by anything together with `preview`.
    """
    ignores = [*config.ignore, *(code for _, codes in config.per_file_ignores for code in codes)]
    selects = [*config.select, *config.extend_select]
    weighed = [selector for selector, _ in config.severity]
    for key, selectors in (("select", selects), ("ignore", ignores), ("weigh", weighed)):
        for selector in selectors:
            if not codes_meant(selector):
                raise UsageError(f"unknown code `{selector}` to {key}{similar(selector)}")
    preview = frozenset() if config.preview else frozenset(each.code for each in CODES_IN_SHORT if each.preview)
    selected = _union(selects) - (preview - _union(each for each in selects if len(codes_meant(each)) == 1))
    return (selected | UNCHECKED) - _union(config.ignore)


def similar(selector: str) -> str:
    """What may have been meant, as the end of a sentence."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    names = [name for each in CODES_IN_SHORT for name in (each.code, each.name)]
    close = get_close_matches(selector, names, n=1)
    return f"; did you mean `{close[0]}`?" if close else "; `shapeguard rules` lists them"


def _union(selectors: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*map(codes_meant, selectors))
