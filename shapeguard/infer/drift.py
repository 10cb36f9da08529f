"""Where code contradicts what an annotation in it says."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from shapeguard.shapes.compare import compare
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.infer.expressions import Evaluator
    from shapeguard.shapes.dim import Dim


def check(evaluator: Evaluator, place: ast.expr, actual: Shape, claimed: Shape, text: str, verb: str) -> None:
    """Report how a shape differs from the one declared; `verb` says what the code does with it: "returns", "is"."""
    if actual.axes is None or claimed.axes is None or evaluator.quiet or evaluator.rehearsing:
        return
    notes = (f"{verb}: {actual}", f'declared: "{text}"')
    report = evaluator.reporter.report
    if len(actual.axes) != len(claimed.axes):
        message = f'{verb} {len(actual.axes)} axes {actual}, declared {len(claimed.axes)}: "{text}"'
        report(evaluator, place, "SG303", "annotation-drift", message, notes)
        return
    which = "returned axis" if verb == "returns" else "axis"
    for position, (axis, wanted) in enumerate(zip(actual.axes, claimed.axes, strict=True)):
        if axis.size is None or wanted.size is None:
            continue
        equal = compare(axis.size, wanted.size, at_least=1)
        message = f"{which} {position} is {axis.size}, declared {wanted.size}"
        if equal is False:
            report(evaluator, place, "SG303", "annotation-drift", message, notes)
            return
        if equal is None and _is_name(axis.size, evaluator) and _is_name(wanted.size, evaluator):
            report(evaluator, place, "SG302", "shape-not-proven", f"{message}; right only if they are equal", notes)
            return


def _is_name(size: Dim, evaluator: Evaluator) -> bool:
    return str(size) in evaluator.names and str(size).isidentifier()
