"""The lint: one rule a file; whatever file stands here beside `rule`, `reading` and `rewriting` is a rule."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from shapeguard.rules.rule import Rule

_NO_RULES = frozenset({"rule", "reading", "binding", "lint", "rewriting"})


def _found() -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _NO_RULES:
            members = vars(import_module(f"{__name__}.{module.name}")).values()
            rules += [
                each()
                for each in members
                if isinstance(each, type) and each.__module__.endswith(module.name) and issubclass(each, Rule)
            ]
    return tuple(sorted(rules, key=lambda rule: rule.code))


RULES: tuple[Rule, ...] = _found()
"""In the order of their codes."""

__all__ = ["RULES", "Rule"]
