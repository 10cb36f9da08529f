"""Operations that repeat what a tensor holds along its axes: expand, repeat and tile."""

# ruff: noqa: A002 - torch's names

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapeguard.ops.arguments import read_number
from shapeguard.ops.reading import (
    AT_LEAST,
    Axes,
    as_size,
    as_sizes,
    as_tensor,
    compare_sizes,
    find_axis,
    gathered,
    otherwise,
    sizes_of,
)
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.ops.views import flatten
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import (
    AxisMismatch,
    ExpandMismatch,
    InvalidArgument,
    Mismatch,
    OrderMismatch,
    WrongRank,
)
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape, same_order


def expand_shape(shape: Shape, target: Shape) -> Shape | Mismatch:
    """The shape stretched to `target`, in which a size of -1 keeps an axis."""
    if target.axes is None:
        return Shape.unknown()
    if shape.axes is None:
        return Shape(tuple(UNKNOWN_AXIS if axis.size == -1 else axis for axis in target.axes))
    source, sizes = sizes_of(shape.axes), sizes_of(target.axes)
    if len(source) > len(sizes):
        return ExpandMismatch(source, sizes, -len(source))
    doubt: Mismatch | None = None
    axes: list[Axis] = []
    for place, wanted in enumerate(target.axes, -len(sizes)):
        axis, agree = _expand_axis(shape.axes[place] if -place <= len(source) else None, wanted)
        if agree is False:
            return ExpandMismatch(source, sizes, place)
        if agree is None:
            doubt = doubt or ExpandMismatch(source, sizes, place)
        elif axis.size == wanted.size and same_order(axis, wanted) is False:
            doubt = doubt or OrderMismatch(axis.factors or (), wanted.factors or (), place)
        axes.append(axis)
    return Shape(tuple(axes), doubt)


def _expand_axis(axis: Axis | None, wanted: Axis) -> tuple[Axis, bool | None]:
    """The axis that stretching gives, and whether that surely goes, doesn't, or may."""
    negative = wanted.size is not None and (read_number(wanted.size) or 0) < 0
    if axis is None:
        return wanted, not negative
    if wanted.size == -1:
        return axis, True
    if wanted.size is None or axis.size is None:
        fixed = axis.size is not None and compare(axis.size, 1, AT_LEAST) is False
        return (axis if fixed else wanted), True
    if axis.size == 1 and not negative:
        return wanted, True
    equal = compare_sizes(axis.size, wanted.size)
    if equal:
        return (wanted if axis.factors is None else axis), True
    return wanted, False if equal is False and compare(axis.size, 1, AT_LEAST) is False else None


@op(
    "Tensor.expand",
    examples=(
        "f(t(3, 1), 3, 4)",
        "f(t(3, 1), (2, -1, 4))",
        "f(t(3), 2, 3)",
        "f(t(3), -1, 3)",
        "f(t(3, 2), 3, 4)",
        "f(t(3, 2), 2)",
        "f(t(1), 0)",
    ),
)
def expand(input: Any, *size: Any, implicit: Any = None) -> Result:  # noqa: ARG001 - torch's name
    """Axes of size 1 stretched, without a copy."""
    return broadcast_to(input, gathered(size))


@op(
    "torch.broadcast_to",
    "Tensor.broadcast_to",
    examples=("f(t(3, 1), (2, 3, 4))", "f(t(3, 1), size=(-1, 4))", "f(t(3), (4,))", "f(t(), (2,))"),
)
def broadcast_to(input: Any, size: Any) -> Result:
    """Axes of size 1 stretched to given sizes."""
    x = as_tensor(input)
    sizes = as_sizes(size)
    outcome = Shape.unknown() if sizes is None else expand_shape(x.shape, Shape.of(*sizes))
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


@op("Tensor.expand_as", examples=("f(t(3, 1), t(2, 3, 4))", "f(t(3, 1), t(3, 4, dtype=i64))", "f(t(3), t(4))"))
def expand_as(input: Any, other: Any) -> Result:
    """Axes of size 1 stretched to those of another tensor."""
    x = as_tensor(input)
    outcome = expand_shape(x.shape, as_tensor(other).shape)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


@op(
    "torch.broadcast_tensors",
    examples=("f(t(2, 1), t(3))", "f(t(2, 3))", "f(t(2), t(3))", "f(t(2, 1), t(1, 4, dtype=i64))"),
)
def broadcast_tensors(*tensors: Any) -> Result:
    """Each tensor stretched to the shape that all have in common."""
    given = gathered(tensors) if isinstance(gathered(tensors), tuple) else tensors
    known = tuple(map(as_tensor, given))
    outcome = shapes.broadcast(*(tensor.shape for tensor in known), at_least=AT_LEAST)
    return outcome if isinstance(outcome, Mismatch) else tuple(Tensor(outcome, tensor.dtype) for tensor in known)


@op("torch.broadcast_shapes", examples=("f((2, 1), (3,))", "f((2, 1), 4)", "f((2,), (3,))"))
def broadcast_shapes(*sizes: Any) -> Result:
    """The sizes that several have in common when stretched."""
    known = [as_sizes(entry) for entry in sizes]
    outcome = shapes.broadcast(
        *(Shape.unknown() if entry is None else Shape.of(*entry) for entry in known), at_least=AT_LEAST
    )
    if isinstance(outcome, Mismatch):
        return outcome
    return UNKNOWN if outcome.sizes is None else tuple(UNKNOWN if size is None else size for size in outcome.sizes)


def copy_into(target: Shape, source: Shape) -> Shape | Mismatch:
    """The shape of `target`, with what is wrong when `source` is stretched over it."""
    outcome = expand_shape(source, target)
    return outcome if isinstance(outcome, Mismatch) else Shape(target.axes, outcome.doubt)


@op(
    "Tensor.copy_",
    examples=("f(t(2, 3), t(3))", "f(t(2, 3), t(2, 1, dtype=i64))", "f(t(3), t(2, 3))", "f(t(2), t(3), True)"),
)
def copy(input: Any, src: Any, non_blocking: Any = None) -> Result:  # noqa: ARG001 - torch's name
    """What another tensor holds, stretched over this one."""
    x = as_tensor(input)
    outcome = copy_into(x.shape, as_tensor(src).shape)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


def _repeat_axis(axis: Axis, count: Dim | None, *, inner: bool = False) -> Axis:
    """The axis laid out `count` times over, or each of its elements `count` times."""
    if count == 1:
        return axis
    if count is None or axis.size is None:
        return UNKNOWN_AXIS
    if axis.factors is None or count == 0 or axis.size == 0:
        return Axis(axis.size * count, None)
    return Axis(axis.size * count, (*axis.factors, count) if inner else (count, *axis.factors))


def _repeat_axes(axes: Axes, repeats: Sequence[Dim | None]) -> Shape | Mismatch:
    if any(count is not None and (read_number(count) or 0) < 0 for count in repeats):
        return InvalidArgument("repeats", tuple(map(str, repeats)), "no negative number")
    full = (*(Shape.of(*[1] * (len(repeats) - len(axes))).axes or ()), *axes)
    return Shape(tuple(_repeat_axis(axis, count) for axis, count in zip(full, repeats, strict=True)))


@op(
    "Tensor.repeat",
    examples=(
        "f(t(2, 3), 4, 1)",
        "f(t(2, 3), (5, 1, 2))",
        "f(t(), 3)",
        "f(t(2, 3), 2)",
        "f(t(2), -1)",
        "f(t(2, 3), 0, 1)",
    ),
)
def repeat(input: Any, *repeats: Any) -> Result:
    """The tensor laid out several times along each axis."""
    x = as_tensor(input)
    counts = as_sizes(gathered(repeats))
    if counts is None:
        return otherwise(None, x.dtype)
    if x.shape.axes is None:
        return Tensor(Shape.of(*[None] * len(counts)), x.dtype)
    if len(counts) < len(x.shape.axes):
        return WrongRank(sizes_of(x.shape.axes), f"at most {len(counts)}, the number of repeats")
    outcome = _repeat_axes(x.shape.axes, counts)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


@op("torch.tile", examples=("f(t(2, 3), (4, 1))", "f(t(2, 3), (2,))", "f(t(3), dims=(2, 2))", "f(t(2), (-1,))"))
def tile(input: Any, dims: Any) -> Result:
    """The tensor laid out several times; axes that `dims` lacks, at the front, once."""
    x = as_tensor(input)
    counts = as_sizes(dims)
    if counts is None or x.shape.axes is None:
        return otherwise(None, x.dtype)
    outcome = _repeat_axes(x.shape.axes, (*[Dim(1)] * (len(x.shape.axes) - len(counts)), *counts))
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


@op("Tensor.tile", examples=("f(t(2, 3), 4, 1)", "f(t(2, 3), 2)", "f(t(3), (2, 2))"))
def tile_method(input: Any, *dims: Any) -> Result:
    """As `torch.tile`, with counts that may be given one by one."""
    return tile(input, gathered(dims))


@op(
    "torch.repeat_interleave",
    "Tensor.repeat_interleave",
    examples=(
        "f(t(2, 3), 2)",
        "f(t(2, 3), 2, dim=0)",
        "f(t(2, 3), repeats=4, dim=-1)",
        "f(t(2, 3), 2, dim=2)",
        "f(t(2, 3), -1, dim=0)",
        "f(t(2, 3), t(2, dtype=i64), dim=0, output_size=7)",
        "f(t(2, 3), t(3, dtype=i64), dim=0, output_size=7)",
    ),
)
def repeat_interleave(input: Any, repeats: Any = None, dim: Any = None, *, output_size: Any = None) -> Result:
    """Each element of an axis several times in a row."""
    x = as_tensor(input)
    if repeats is None:
        # With the counts alone, the result is indices.
        return Tensor(Shape.of(as_size(output_size)), x.dtype)
    if dim is None:
        flat = flatten(x)
        return repeat_interleave(flat, repeats, Dim(0), output_size=output_size) if isinstance(flat, Tensor) else flat
    position = find_axis(x, dim)
    if not isinstance(position, int) or not x.shape.axes:
        return otherwise(position if isinstance(position, Mismatch) else None, x.dtype)
    axis = x.shape.axes[position]
    count = as_size(repeats)
    if count is not None and (read_number(count) or 0) < 0:
        return InvalidArgument("repeats", count, "no negative number")
    counts = repeats.shape.sizes if isinstance(repeats, Tensor) else None
    if counts is not None and (size := counts[0] if len(counts) == 1 else None) is not None and axis.size is not None:
        differ = compare(size, axis.size, AT_LEAST) is False and compare(size, 1, AT_LEAST) is False
        if differ:
            return AxisMismatch("repeats", 0, size, str(axis.size), axis.size, None)
    repeated = _repeat_axis(axis, count, inner=True)
    if count is None and output_size is not None:
        repeated = (Shape.of(as_size(output_size)).axes or ())[0]
    return Tensor(Shape((*x.shape.axes[:position], repeated, *x.shape.axes[position + 1 :])), x.dtype)
