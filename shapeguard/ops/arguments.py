"""How the arguments of an operation are read: sizes, axes, flags and dtypes, each of which may be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapeguard.ops.values import Dtype, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import InvalidSize, Mismatch
from shapeguard.shapes.shape import Shape, position_of, positions_of


def tensor_of(outcome: Shape | Mismatch, dtype: str | None) -> Tensor | Mismatch:
    """A tensor of a shape, or the mismatch in its place."""
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, dtype)


def read_number(value: Any) -> int | None:
    """A known integer."""
    return as_int(value) if isinstance(value, Dim) else None


def read_dtype(value: Any, default: str | None) -> str | None:
    """The name of a dtype argument, of which None stands for `default`."""
    if value is None:
        return default
    return value.name if isinstance(value, Dtype) else None


def read_shape(sizes: Sequence[Any]) -> Shape | Mismatch:
    """The shape of sizes that are given one by one or as one tuple."""
    if len(sizes) == 1 and not isinstance(sizes[0], Dim):
        if not isinstance(sizes[0], tuple):
            return Shape.unknown()
        sizes = sizes[0]
    known = tuple(size if isinstance(size, Dim) else None for size in sizes)
    for axis, size in enumerate(known):
        if size is not None and (as_int(size) or 0) < 0:
            return InvalidSize(known, axis)
    return Shape.of(*known)


def axis_positions(axes: Sequence[Any], rank: int) -> tuple[int, ...] | Mismatch | None:
    """Axes counted from the front; None unless each is known."""
    numbers = tuple(map(read_number, axes))
    positions = positions_of([number for number in numbers if number is not None], rank)
    return None if isinstance(positions, tuple) and None in numbers else positions


def check_axis(shape: Shape, axis: Any) -> Shape | Mismatch:
    """The same shape, where it has that axis."""
    number = read_number(axis)
    if shape.axes is not None and number is not None:
        position = position_of(number, len(shape.axes))
        if isinstance(position, Mismatch):
            return position
    return Shape(shape.axes)
