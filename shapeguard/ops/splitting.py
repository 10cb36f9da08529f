"""Operations that make several tensors of one: split, chunk, unbind and the like."""

# ruff: noqa: A002 - torch's names

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from shapeguard.ops.arguments import read_number
from shapeguard.ops.indexing import Slice, slice_axis
from shapeguard.ops.reading import AT_LEAST, as_size, as_sizes, as_tensor, at_most, compare_sizes, find_axis
from shapeguard.ops.registry import op
from shapeguard.ops.selecting import ZERO, axis_for, refuse_rank, replace_axis
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, as_int, divide_exactly
from shapeguard.shapes.mismatch import InvalidArgument, Mismatch, PartsMismatch
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape


def _place(x: Tensor, dim: Any) -> int | Mismatch | None:
    """The axis that is split; None where it isn't known."""
    return refuse_rank(x, 1) or find_axis(x, dim)


def _parts(x: Tensor, position: int, parts: Sequence[Axis], doubt: Mismatch | None = None) -> Result:
    """One tensor for each part of an axis; the first carries the doubt."""
    shapes = [replace_axis(x.shape.axes or (), position, part) for part in parts]
    return tuple(Tensor(Shape(shape.axes, None if place else doubt), x.dtype) for place, shape in enumerate(shapes))


def _unplaced(position: Mismatch | int | None, x: Tensor, count: int | None) -> Result:
    """The parts where the axis isn't known, but perhaps how many there are."""
    if isinstance(position, Mismatch):
        return position
    axes = None if x.shape.axes is None else (UNKNOWN_AXIS,) * len(x.shape.axes)
    return UNKNOWN if count is None else (Tensor(Shape(axes), x.dtype),) * count


@op(
    "torch.split",
    examples=(
        "f(t(6, 3), 2)",
        "f(t(2, 7), 3, dim=-1)",
        "f(t(2, 7), [3, 4], 1)",
        "f(t(2, 7), 9, 1)",
        "f(t(2, 7), [3, 5], 1)",
        "f(t(2, 7), 2, 2)",
        "f(t(2, 7), 0)",
        "f(t(), 2)",
        "f(t(0, 2), 3)",
    ),
)
def split(input: Any, split_size_or_sections: Any, dim: Any = ZERO) -> Result:
    """Parts of one size, of which the last may be smaller, or of given sizes."""
    x = as_tensor(input)
    if isinstance(split_size_or_sections, tuple):
        return split_with_sizes(x, split_size_or_sections, dim)
    position = _place(x, dim)
    part = as_size(split_size_or_sections)
    if part is not None and (as_int(part) or 0) < 0:
        return InvalidArgument("split_size", part, "no negative number")
    if not isinstance(position, int) or not x.shape.axes:
        return _unplaced(position, x, None)
    parts = _even_parts(x.shape.axes[position], part)
    return _parts(x, position, parts) if isinstance(parts, tuple) else parts or UNKNOWN


def _even_parts(axis: Axis, part: Dim | None) -> tuple[Axis, ...] | Mismatch | None:
    """The parts of an axis when each but the last is to be of one size; None where not even their number is known."""
    if axis.size is None or part is None:
        return None
    if at_most(axis.size, part):
        return (axis,)
    if part == 0:
        return InvalidArgument("split_size", part, "at least 1")
    whole, size, width = divide_exactly(axis.size, part), as_int(axis.size), as_int(part)
    if whole is not None and (count := as_int(whole)) is not None:
        return (Axis.of(part),) * count
    if size is None or width is None:
        return None
    return tuple(Axis.of(min(width, size - start)) for start in range(0, size, width))


@op(
    "Tensor.split",
    examples=("f(t(6, 3), 2)", "f(t(2, 7), split_size=3, dim=-1)", "f(t(2, 7), [3, 4], 1)", "f(t(2, 7), 2, 2)"),
)
def split_method(input: Any, split_size: Any, dim: Any = ZERO) -> Result:
    """As `torch.split`, which has another name for the sizes."""
    return split(input, split_size, dim)


@op(
    "torch.split_with_sizes",
    "Tensor.split_with_sizes",
    examples=(
        "f(t(2, 7), (3, 4), 1)",
        "f(t(7), [7])",
        "f(t(2, 7), [3, 5], dim=1)",
        "f(t(2), [3, -1])",
        "f(t(2), [1, 1], 1)",
    ),
)
def split_with_sizes(input: Any, split_sizes: Any, dim: Any = ZERO) -> Result:
    """Parts of given sizes."""
    x = as_tensor(input)
    position = _place(x, dim)
    sizes = as_sizes(split_sizes)
    if not isinstance(position, int) or not x.shape.axes or sizes is None:
        return _unplaced(position, x, None if sizes is None else len(sizes))
    if any(size is not None and (as_int(size) or 0) < 0 for size in sizes):
        return InvalidArgument("split_sizes", tuple(map(str, sizes)), "no negative number")
    whole = x.shape.axes[position].size
    known = [size for size in sizes if size is not None]
    doubt: Mismatch | None = None
    if whole is not None:
        total = sum(known, Dim(0))
        if len(known) == len(sizes):
            agree = compare_sizes(total, whole)
            if agree is not True:
                doubt = PartsMismatch(whole, sizes, total)
            if agree is False and doubt is not None:
                return doubt
        elif len(known) == len(sizes) - 1:
            # The part that isn't known is what the others leave.
            sizes = tuple(whole - total if size is None else size for size in sizes)
    return _parts(x, position, [axis_for(size) for size in sizes], doubt)


@op(
    "torch.chunk",
    "Tensor.chunk",
    examples=(
        "f(t(6, 3), 2)",
        "f(t(2, 7), 3, dim=-1)",
        "f(t(2, 4), 3, 1)",
        "f(t(0), 3)",
        "f(t(2, 7), 0)",
        "f(t(2, 7), 2, 2)",
        "f(t(), 1)",
    ),
)
def chunk(input: Any, chunks: Any, dim: Any = ZERO) -> Result:
    """So many parts, or fewer; a size with names is taken to be divided without remainder."""
    x = as_tensor(input)
    position, count = _place(x, dim), read_number(chunks)
    if count is not None and count < 1:
        return InvalidArgument("chunks", count, "at least 1")
    if not isinstance(position, int) or not x.shape.axes or count is None:
        return _unplaced(position, x, count)
    size = x.shape.axes[position].size
    if count == 1:
        return _parts(x, position, [x.shape.axes[position]])
    known = None if size is None else as_int(size)
    if known is None or size == 0:
        return _parts(x, position, [axis_for(None if size is None else size // count)] * count)
    return split(x, Dim(-(-known // count)), Dim(position))


@op(
    "torch.tensor_split",
    "Tensor.tensor_split",
    examples=(
        "f(t(7, 2), 3)",
        "f(t(2, 7), (2, 5), dim=-1)",
        "f(t(2, 7), (3, 9), 1)",
        "f(t(7), 0)",
        "f(t(2, 7), 2, 2)",
        "f(t(), 1)",
    ),
)
def tensor_split(input: Any, indices_or_sections: Any, dim: Any = ZERO) -> Result:
    """So many parts of nearly one size, or parts that end at given indices."""
    x = as_tensor(input)
    position = _place(x, dim)
    if isinstance(indices_or_sections, tuple):
        ends = as_sizes(indices_or_sections) or ()
        if not isinstance(position, int) or not x.shape.axes:
            return _unplaced(position, x, len(ends) + 1)
        marks = (None, *(UNKNOWN if end is None else end for end in ends), None)
        parts = [slice_axis(x.shape.axes[position], Slice(*pair)) for pair in pairwise(marks)]
        return _parts(x, position, [part for part in parts if isinstance(part, Axis)])
    count = read_number(indices_or_sections)
    if count is not None and count < 1:
        return InvalidArgument("sections", count, "at least 1")
    if not isinstance(position, int) or not x.shape.axes or count is None:
        return _unplaced(position, x, count)
    size = x.shape.axes[position].size
    known = None if size is None else as_int(size)
    if known is not None:
        return _parts(x, position, [Axis.of(known // count + (place < known % count)) for place in range(count)])
    part = None if size is None else divide_exactly(size, count)
    return _parts(x, position, [axis_for(part)] * count)


def _split_evenly(input: Any, indices_or_sections: Any, dim: int) -> Result:
    x = as_tensor(input)
    count = read_number(indices_or_sections)
    if count and x.shape.sizes is not None and (size := x.shape.sizes[dim]) is not None:
        if compare(size % count, 0, AT_LEAST) is False:
            return InvalidArgument("sections", count, f"a divisor of {size}")
        return chunk(x, indices_or_sections, Dim(dim))
    return tensor_split(x, indices_or_sections, Dim(dim))


@op(
    "torch.hsplit",
    "Tensor.hsplit",
    examples=("f(t(2, 6), 3)", "f(t(6), 2)", "f(t(2, 6), (1, 4))", "f(t(2, 6), 4)", "f(t(), 1)"),
)
def hsplit(input: Any, indices_or_sections: Any) -> Result:
    """Parts along the second axis, of a vector along its only one."""
    x = as_tensor(input)
    wrong = refuse_rank(x, 1)
    if wrong or x.shape.rank is None:
        return wrong or _unplaced(None, x, None)
    return _split_evenly(x, indices_or_sections, min(x.shape.rank - 1, 1))


@op(
    "torch.vsplit",
    "Tensor.vsplit",
    examples=("f(t(6, 2), 3)", "f(t(6, 2), (1, 4))", "f(t(6, 2), 4)", "f(t(6), 2)"),
)
def vsplit(input: Any, indices_or_sections: Any) -> Result:
    """Parts along the first axis."""
    x = as_tensor(input)
    return refuse_rank(x, 2) or _split_evenly(x, indices_or_sections, 0)


@op(
    "torch.dsplit",
    "Tensor.dsplit",
    examples=("f(t(2, 3, 6), 3)", "f(t(2, 3, 6), (1, 4))", "f(t(2, 3, 6), 4)", "f(t(2, 6), 2)"),
)
def dsplit(input: Any, indices_or_sections: Any) -> Result:
    """Parts along the third axis."""
    x = as_tensor(input)
    return refuse_rank(x, 3) or _split_evenly(x, indices_or_sections, 2)


@op(
    "torch.unbind",
    "Tensor.unbind",
    examples=("f(t(2, 3))", "f(t(2, 3), dim=-1)", "f(t(2, 3), 2)", "f(t())", "f(t(0, 3))"),
)
def unbind(input: Any, dim: Any = ZERO) -> Result:
    """The elements of one axis, which vanishes."""
    x = as_tensor(input)
    position = _place(x, dim)
    if not isinstance(position, int) or not x.shape.axes:
        return position if isinstance(position, Mismatch) else UNKNOWN
    size = x.shape.axes[position].size
    count = None if size is None else as_int(size)
    if count is None:
        return UNKNOWN
    return (Tensor(replace_axis(x.shape.axes, position), x.dtype),) * count
