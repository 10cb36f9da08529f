"""A file and rules in, findings out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from shapeguard.diagnostics import Code, Diagnostic, Fix
from shapeguard.lint.reading import Reading, TooLongError

if TYPE_CHECKING:
    from shapeguard.lint.outline import Outline
    from shapeguard.lint.rule import Found, Repair
    from shapeguard.ops.values import Tensor
    from shapeguard.source.file import Source


def lint(
    source: Source,
    rules: Iterable[Outline],
    tensors: Callable[[], Mapping[ast.expr, Tensor]],
    given_up: Callable[[str], object],
    is_silenced: Callable[[Diagnostic], bool],
) -> Iterator[Diagnostic]:
    """What these rules find, each with its fix, if it has one and isn't silenced.

    `tensors` is asked only where one wants to know a shape; `given_up` is told the name of a rule that takes too long.
    """
    file = Reading(source, tensors)
    holds = cache(source.text.__contains__)
    for rule in rules:
        if rule.is_mentioned(holds):
            file.start()
            try:
                for found in rule.load().find(file):
                    diagnostic = _diagnostic(file, rule.kind, found)
                    repair = None if is_silenced(diagnostic) else found.repair
                    yield diagnostic if repair is None else replace(diagnostic, fix=_fix(file, repair))
            except TooLongError:
                given_up(rule.kind.name)


def _diagnostic(file: Reading, rule: Code, found: Found) -> Diagnostic:
    return Diagnostic(
        file.source.path,
        file.source.span_of(found.node),
        rule.code,
        rule.name,
        found.message,
        found.notes,
        found.hint,
        severity=found.severity or rule.severity,
        preview=found.preview,
    )


def _fix(file: Reading, repair: Repair) -> Fix | None:
    from shapeguard.lint.rewriting import fix_from  # noqa: PLC0415 - libcst is loaded only where there is something to change

    return fix_from(file, repair)
