"""A file in, the findings of the rules out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from shapeguard.diagnostics import Diagnostic
from shapeguard.rules import RULES
from shapeguard.rules.reading import Reading

if TYPE_CHECKING:
    from shapeguard.ops.values import Tensor
    from shapeguard.rules.rule import Found, Rule
    from shapeguard.source.file import Source


def rules_for(text: str, codes: frozenset[str]) -> tuple[Rule, ...]:
    """The rules that may find something in a text."""
    return tuple(rule for rule in RULES if rule.code in codes and _mentions(text, rule))


def lint(
    source: Source, rules: tuple[Rule, ...], tensors: Callable[[], Mapping[ast.expr, Tensor]]
) -> Iterator[Diagnostic]:
    """What these rules find; `tensors` is asked only where one wants to know a shape."""
    file = Reading(source, tensors)
    for rule in rules:
        for found in rule.find(file):
            yield _diagnostic(file, rule, found)


def _mentions(text: str, rule: Rule) -> bool:
    return any(all(part in text for part in word.split(" & ")) for word in rule.words)


def _diagnostic(file: Reading, rule: Rule, found: Found) -> Diagnostic:
    fix = None
    if found.repair is not None:
        from shapeguard.rules.rewriting import fix_from  # noqa: PLC0415 - libcst is loaded only where there is something to change

        fix = fix_from(file, found.repair)
    return Diagnostic(
        file.source.path,
        file.source.span_of(found.node),
        rule.code,
        rule.name,
        found.message,
        found.notes,
        found.hint,
        fix,
        severity=found.severity or rule.severity,
        preview=found.preview,
    )
