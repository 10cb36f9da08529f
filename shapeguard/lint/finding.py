"""A file and rules in, findings out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

from shapeguard.diagnostics import Code, Diagnostic
from shapeguard.lint.reading import Reading, TooLongError

if TYPE_CHECKING:
    from shapeguard.lint.outline import Outline
    from shapeguard.lint.rule import Found
    from shapeguard.ops.values import Tensor
    from shapeguard.source.file import Source


def lint(
    source: Source,
    rules: Iterable[Outline],
    tensors: Callable[[], Mapping[ast.expr, Tensor]],
    given_up: Callable[[str], object],
) -> Iterator[Diagnostic]:
    """What these rules find.

    `tensors` is asked only where one wants to know a shape; `given_up` is told the name of a rule that takes too long.
    """
    file = Reading(source, tensors)
    holds = cache(source.text.__contains__)
    for rule in rules:
        if rule.is_mentioned(holds):
            file.start()
            try:
                for found in rule.load().find(file):
                    yield _diagnostic(file, rule.kind, found)
            except TooLongError:
                given_up(rule.kind.name)


def _diagnostic(file: Reading, rule: Code, found: Found) -> Diagnostic:
    fix = None
    if found.repair is not None:
        from shapeguard.lint.rewriting import fix_from  # noqa: PLC0415 - libcst is loaded only where there is something to change

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
