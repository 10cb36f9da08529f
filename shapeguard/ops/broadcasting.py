"""How several operands go together: stretched to a common shape, or into that of the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapeguard.ops.arguments import tensor_of
from shapeguard.ops.promotion import category
from shapeguard.ops.values import UNKNOWN, Result, Tensor, Unknown
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import DtypeMismatch, InPlaceMismatch, Mismatch
from shapeguard.shapes.shape import Shape

_OF_A_NUMBER = Shape(())


def operand_shapes(operands: Sequence[Any]) -> list[Shape] | None:
    """The shapes of tensors and numbers; None where something else is among them, or no tensor."""
    if not any(isinstance(operand, Tensor) for operand in operands):
        return None
    found: list[Shape] = []
    for operand in operands:
        if isinstance(operand, Tensor):
            found.append(operand.shape if operand.shape.doubt is None else Shape(operand.shape.axes))
        elif isinstance(operand, Unknown):
            found.append(Shape.unknown())
        elif isinstance(operand, Dim | bool | int | float):
            found.append(_OF_A_NUMBER)
        else:
            return None
    return found


def stretch_together(operands: Sequence[Any], dtype: str | None) -> Result:
    """A tensor of the operands' common shape."""
    found = operand_shapes(operands)
    return UNKNOWN if found is None else tensor_of(shapes.broadcast(*found, likely=True), dtype)


def stretch_into(target: Shape, source: Shape) -> Shape | Mismatch:
    """The shape of `target`, to which `source` has to stretch."""
    together = shapes.broadcast(target, source)
    if isinstance(together, Mismatch) or target.axes is None or source.axes is None:
        return together if isinstance(together, Mismatch) else Shape(target.axes)
    too_large = InPlaceMismatch(target.sizes or (), source.sizes or ())
    surplus = len(source.axes) - len(target.axes)
    if surplus > 0:
        return too_large
    doubt = together.doubt
    for axis, other in zip(target.axes[-surplus:], source.axes, strict=True):
        if axis.size is None or other.size is None or other.size in (1, axis.size):
            continue
        equal = compare(axis.size, other.size)
        if equal is False and compare(other.size, 1) is False:
            return too_large
        if equal is not True:
            doubt = doubt or too_large
    return Shape(target.axes, doubt)


def change_in_place(target: Any, others: Sequence[Any], dtype: str | None) -> Result:
    """`target` after an operation with `others` whose result, of a dtype, was written into it."""
    found = operand_shapes((target, *others))
    if not isinstance(target, Tensor) or found is None:
        return target if isinstance(target, Tensor) else UNKNOWN
    shape = Shape(target.shape.axes)
    doubt: Mismatch | None = None
    for other in found[1:]:
        outcome = stretch_into(shape, other)
        if isinstance(outcome, Mismatch):
            return outcome
        doubt = doubt or outcome.doubt
    wanted, held = category(dtype), category(target.dtype)
    if wanted is not None and held is not None and wanted > held:
        return DtypeMismatch("self", str(target.dtype), f"one that can hold {dtype}")
    return Tensor(Shape(shape.axes, doubt), target.dtype)
