"""The lint: one rule a file."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from shapeguard.lint.rule import Rule


def _found() -> tuple[Rule, ...]:
    modules = [import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    members = [(module.__name__, each) for module in modules for each in vars(module).values()]
    rules = [
        each()
        for name, each in members
        if isinstance(each, type) and each.__module__ == name and issubclass(each, Rule)
    ]
    return tuple(sorted(rules, key=lambda rule: rule.code))


RULES: tuple[Rule, ...] = _found()
"""In the order of their codes."""
