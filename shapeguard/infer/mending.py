"""What makes a refused step right, where that can be told for sure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from shapeguard.diagnostics import Edit, Fix, Span
from shapeguard.infer.joins import other_way
from shapeguard.infer.values import certain
from shapeguard.ops.values import Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.mismatch import ContractionMismatch, Mismatch
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator

_LAST_TWO = 2


class Repair(NamedTuple):
    """A hint, and the fix that does what it says."""

    hint: str | None = None
    fix: Fix | None = None


def repair(evaluator: Evaluator, node: ast.expr, mismatch: Mismatch) -> Repair:
    """What mends a step; nothing where that isn't sure."""
    if isinstance(mismatch, ContractionMismatch):
        mended = _transpose(evaluator, node, mismatch)
        return Repair(*other_way(evaluator, node, None)) if mended.hint is None else mended
    return Repair(*other_way(evaluator, node, None))


def _transpose(evaluator: Evaluator, node: ast.expr, mismatch: ContractionMismatch) -> Repair:
    """`q @ k` where `k` has the contracted axis last: `q @ k.transpose(-2, -1)`."""
    right = _right_factor(node)
    left_sizes, right_sizes = mismatch.left, mismatch.right
    if right is None or len(right_sizes) < _LAST_TWO or left_sizes[mismatch.left_axis] is None:
        return Repair()
    if left_sizes[mismatch.left_axis] != right_sizes[-1] or mismatch.right_axis not in (-2, len(right_sizes) - 2):
        return Repair()
    evaluator.aside += 1
    value = certain(evaluator.value(right))
    evaluator.aside -= 1
    if not isinstance(value, Tensor):
        return Repair()
    turned = shapes.transpose(value.shape, -2, -1)
    if not isinstance(turned, Shape):
        return Repair()
    text = ast.unparse(right)
    plain = isinstance(right, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    written = text if plain else f"({text})"
    span = evaluator.home.source.span_of(right)
    end = Span(span.end_line, span.end_column, span.end_line, span.end_column)
    edits = [Edit(end, ".transpose(-2, -1)" if plain else ").transpose(-2, -1)")]
    if not plain:
        edits.insert(0, Edit(Span(span.line, span.column, span.line, span.column), "("))
    fix = Fix(f"Transpose the right factor: `{written}.transpose(-2, -1)`", tuple(edits))
    return Repair(f"`{written}.transpose(-2, -1)` is {turned}", fix)


def _right_factor(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.BinOp(op=ast.MatMult(), right=right):
            return right
        case ast.Call(func=ast.Attribute(attr="matmul" | "bmm"), args=[_, right]):
            return right
        case ast.Call(func=ast.Attribute(attr="matmul" | "bmm"), args=[right]):
            return right
    return None
