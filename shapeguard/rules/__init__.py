"""The lint: one rule a file.

A run loads only those whose words stand in its files. What has to be known of the others is in `table.json`, which
`pytest tests/rules/test_table.py --rewrite` writes from the rules. Where it isn't of these files, all are loaded.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapeguard.diagnostics import Code
from shapeguard.lint.outline import Outline

if TYPE_CHECKING:
    from shapeguard.lint.rule import Rule

    RULES: tuple[Rule, ...]
    """All of them loaded, in the order of their codes."""

TABLE = Path(__file__).with_name("table.json")


def sizes() -> dict[str, int]:
    """The rules' files, and how large they are."""
    with os.scandir(TABLE.parent) as listed:
        files = [each for each in listed if each.name.endswith(".py") and each.name != "__init__.py"]
        return {each.name: each.stat().st_size for each in files}


def outline(rule: Rule) -> Outline:
    """What is known of a rule before it is loaded."""
    return Outline(replace(rule.as_code(), page=""), rule.words, lambda: rule)


def _outlines() -> tuple[Outline, ...]:
    try:
        table = json.loads(TABLE.read_bytes())
        is_of_these = table["sizes"] == sizes()
    except (OSError, ValueError):  # packed into one file, or being written
        is_of_these = False
    if not is_of_these:
        return tuple(map(outline, _loaded()))
    return tuple(
        Outline(Code(**told), tuple(words), partial(_rule, module, told["code"]))
        for module, words, told in table["rules"]
    )


def _loaded() -> tuple[Rule, ...]:
    import pkgutil  # noqa: PLC0415 - seldom are all of them loaded

    rules = [rule for each in pkgutil.iter_modules(__path__) for rule in _rules_in(each.name)]
    return tuple(sorted(rules, key=lambda rule: rule.code))


@cache
def _rule(module: str, code: str) -> Rule:
    (rule,) = (each for each in _rules_in(module) if each.code == code)
    return rule


def _rules_in(module: str) -> tuple[Rule, ...]:
    from shapeguard.lint.rule import Rule  # noqa: PLC0415 - as above

    loaded = import_module(f"{__name__}.{module}")
    kinds = [each for each in vars(loaded).values() if isinstance(each, type) and each.__module__ == loaded.__name__]
    return tuple(each() for each in kinds if issubclass(each, Rule))


def __getattr__(name: str) -> Any:
    if name != "RULES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = _loaded()
    return value


OUTLINES = _outlines()
"""In the order of their codes."""
