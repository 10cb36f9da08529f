"""Where code contradicts what an annotation in it says."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from shapeguard.infer.claims import shape_text
from shapeguard.infer.joins import other_way
from shapeguard.infer.mending import repair
from shapeguard.ops.values import Tensor
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, names
from shapeguard.shapes.mismatch import (
    AxisMismatch,
    BroadcastMismatch,
    ContractionMismatch,
    CountMismatch,
    ExpandMismatch,
    JoinMismatch,
    LayerMismatch,
    LetterMismatch,
    MaskMismatch,
    Mismatch,
    PartsMismatch,
)
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator


def check_return(evaluator: Evaluator, place: ast.expr, value: Any, claim: Any, annotation: ast.expr | None) -> None:
    """Hold what a function returns, a tuple item by item, to its annotation."""
    if isinstance(claim, tuple) and isinstance(value, tuple) and len(claim) == len(value):
        places = place.elts if isinstance(place, ast.Tuple) and len(place.elts) == len(claim) else [place] * len(claim)
        parts = getattr(getattr(annotation, "slice", None), "elts", [annotation] * len(claim))
        for each in zip(places, value, claim, parts, strict=True):
            check_return(evaluator, *each)
    elif isinstance(claim, Tensor) and isinstance(value, Tensor):
        check(evaluator, place, value.shape, claim.shape, shape_text(annotation), "returns")


def check(evaluator: Evaluator, place: ast.expr, actual: Shape, claimed: Shape, text: str, verb: str) -> None:
    """Report how a shape differs from the one declared; `verb` says what the code does with it: "returns", "is"."""
    if actual.axes is None or claimed.axes is None or evaluator.quiet or evaluator.aside:
        return
    notes = (f"{verb}: {actual}", f'declared: "{text}"')
    report = evaluator.reporter.report
    if len(actual.axes) != len(claimed.axes):
        message = f'{verb} {len(actual.axes)} axes {actual}, declared {len(claimed.axes)}: "{text}"'
        report(evaluator, place, "SG303", "annotation-drift", message, notes, *other_way(evaluator, place, claimed))
        return
    which = "returned axis" if verb == "returns" else "axis"
    for position, (axis, wanted) in enumerate(zip(actual.axes, claimed.axes, strict=True)):
        if axis.size is None or wanted.size is None:
            continue
        equal = compare(axis.size, wanted.size, at_least=1)
        message = f"{which} {position} is {axis.size}, declared {wanted.size}"
        if equal is False:
            report(evaluator, place, "SG303", "annotation-drift", message, notes, *other_way(evaluator, place, claimed))
            return
        if equal is None and _is_name(axis.size, evaluator) and _is_name(wanted.size, evaluator):
            report(evaluator, place, "SG302", "shape-not-proven", f"{message}; right only if they are equal", notes)
            return


def check_doubt(evaluator: Evaluator, node: ast.expr, doubt: Mismatch) -> None:
    """Report a step that is right only if two sizes are equal which the signature gives different names."""
    pair = _in_question(doubt)
    if pair is None or evaluator.quiet or evaluator.aside:
        return
    left, right = pair
    mentioned = names(left) | names(right)
    if left == right or not mentioned or not mentioned <= evaluator.names or not names(left) or not names(right):
        return
    message = f"{doubt.sentence()}; right only if {left} = {right}"
    notes, mended = evaluator.notes_of(node), repair(evaluator, node, doubt)
    evaluator.reporter.report(evaluator, node, "SG302", "shape-not-proven", message, notes, *mended)


def _in_question(doubt: Mismatch) -> tuple[Dim, Dim] | None:
    """The two sizes that have to be equal, if that is what a step hangs on."""
    match doubt:
        case BroadcastMismatch(left=left, right=right, axis=axis) | JoinMismatch(left=left, right=right, axis=axis):
            one, other = left[axis], right[axis]
        case MaskMismatch(mask=left, masked=right, axis=axis) | ExpandMismatch(source=left, target=right, axis=axis):
            one, other = left[axis], right[axis]
        case ContractionMismatch(left=left, right=right, left_axis=axis, right_axis=other_axis):
            one, other = left[axis], right[other_axis]
        case LetterMismatch(first=one, second=other) | PartsMismatch(size=one, total=other):
            pass
        case CountMismatch(source_count=one, target_count=other):
            pass
        case AxisMismatch(actual=one, expected=other) | LayerMismatch(actual=one, wanted=other):
            pass
        case _:
            return None
    return None if one is None or other is None else (Dim(one), Dim(other))


def _is_name(size: Dim, evaluator: Evaluator) -> bool:
    return str(size) in evaluator.names and str(size).isidentifier()
