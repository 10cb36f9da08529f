"""Operations that take a regular part of a tensor or turn it about: narrow, select, diagonal, flip and the like."""

# ruff: noqa: A002 - torch's names

from __future__ import annotations

from typing import Any

from shapeguard.ops.arguments import read_number
from shapeguard.ops.reading import (
    Axes,
    as_integers,
    as_size,
    as_sizes,
    as_tensor,
    at_most,
    find_axis,
    gathered,
    keep_shape,
    least,
    more_than,
    never_negative,
    not_below_zero,
    otherwise,
    sizes_of,
)
from shapeguard.ops.registry import op
from shapeguard.ops.values import Result, Tensor
from shapeguard.ops.views import unsqueeze
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import (
    IndexOutOfRange,
    InvalidArgument,
    Mismatch,
    RangeOutOfRange,
    RepeatedAxis,
    WrongRank,
)
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape, positions_of

ZERO, ONE, LAST = Dim(0), Dim(1), Dim(-1)


def refuse_rank(x: Tensor, at_least: int, at_most: int | None = None) -> WrongRank | None:
    """What is wrong with the number of axes, if anything surely is."""
    if x.shape.axes is None or at_least <= len(x.shape.axes) <= (len(x.shape.axes) if at_most is None else at_most):
        return None
    wanted = (
        f"at least {at_least}"
        if at_most is None
        else f"{at_least}"
        if at_least == at_most
        else f"{at_least} to {at_most}"
    )
    return WrongRank(sizes_of(x.shape.axes), wanted)


def replace_axis(axes: Axes, position: int, *new: Axis) -> Shape:
    """The axes with others, or none, in the place of one."""
    return Shape((*axes[:position], *new, *axes[position + 1 :]))


def axis_for(size: Dim | None) -> Axis:
    """A new axis of a size."""
    return UNKNOWN_AXIS if size is None else Axis.of(size)


def refuse_item(index: Dim, axis: int, size: Dim) -> Mismatch | None:
    """What is wrong with an integer index, if it surely does not exist."""
    missing = at_most(size, index) or more_than(-size, index)
    return IndexOutOfRange(index, axis, size) if missing else None


@op(
    "torch.narrow",
    "Tensor.narrow",
    examples=(
        "f(t(2, 5), 1, 1, 3)",
        "f(t(2, 5), dim=-1, start=-2, length=2)",
        "f(t(2, 5), 0, 0, 0)",
        "f(t(2, 5), 1, 3, 3)",
        "f(t(2, 5), 2, 0, 1)",
        "f(t(2, 5), 1, 0, -1)",
        "f(t(), 0, 0, 1)",
    ),
)
def narrow(input: Any, dim: Any, start: Any, length: Any) -> Result:
    """A run of elements of one axis."""
    x = as_tensor(input)
    position = find_axis(x, dim)
    wrong = refuse_rank(x, 1)
    if wrong or not isinstance(position, int) or x.shape.axes is None:
        return otherwise(wrong or (position if isinstance(position, Mismatch) else None), x.dtype)
    size, first, count = x.shape.axes[position].size, as_size(start), as_size(length)
    if count is not None and (read_number(count) or 0) < 0:
        return InvalidArgument("length", count, "no negative number")
    if size is not None and first is not None and count is not None:
        if never_negative(-first - 1):
            first = first + size
        if more_than(first + count, size):
            return RangeOutOfRange(first, count, position, size)
    if size is not None and count == size:
        return keep_shape(x)
    return Tensor(replace_axis(x.shape.axes, position, axis_for(count)), x.dtype)


@op(
    "torch.select",
    "Tensor.select",
    examples=(
        "f(t(2, 5), 1, 4)",
        "f(t(2, 5), dim=-2, index=-2)",
        "f(t(2, 5), 1, 5)",
        "f(t(2, 5), 2, 0)",
        "f(t(), 0, 0)",
    ),
)
def select(input: Any, dim: Any, index: Any) -> Result:
    """One element of an axis, which vanishes."""
    x = as_tensor(input)
    position = find_axis(x, dim)
    wrong = refuse_rank(x, 1)
    if wrong or not isinstance(position, int) or x.shape.axes is None:
        return otherwise(wrong or (position if isinstance(position, Mismatch) else None), x.dtype)
    size, item = x.shape.axes[position].size, as_size(index)
    missing = refuse_item(item, position, size) if size is not None and item is not None else None
    return missing or Tensor(replace_axis(x.shape.axes, position), x.dtype)


@op(
    "Tensor.unfold",
    examples=(
        "f(t(2, 7), 1, 3, 1)",
        "f(t(2, 7), dimension=-1, size=3, step=2)",
        "f(t(2, 7), 1, 8, 1)",
        "f(t(2, 7), 1, 3, 0)",
        "f(t(2, 7), 2, 3, 1)",
    ),
)
def unfold(input: Any, dimension: Any, size: Any, step: Any) -> Result:
    """Every window of an axis; its elements become the last axis."""
    x = as_tensor(input)
    position = find_axis(x, dimension)
    if not isinstance(position, int) or not x.shape.axes:
        return otherwise(position if isinstance(position, Mismatch) else None, x.dtype)
    whole, window, stride = x.shape.axes[position].size, as_size(size), as_size(step)
    if stride is not None and (stride == 0 or (read_number(stride) or 1) < 1):
        return InvalidArgument("step", stride, "at least 1")
    count: Dim | None = None
    if whole is not None and window is not None:
        if more_than(window, whole):
            return RangeOutOfRange(0, window, position, whole)
        count = None if stride is None else (whole - window) // stride + 1
    axes = replace_axis(x.shape.axes, position, axis_for(count)).axes or ()
    return Tensor(Shape((*axes, axis_for(window))), x.dtype)


@op(
    "torch.as_strided",
    "Tensor.as_strided",
    examples=("f(t(10), (2, 3), (3, 1))", "f(t(4), (3, 2), (1, 1), 0)", "f(t(4), (2,), (1, 1))"),
)
def as_strided(input: Any, size: Any, stride: Any, storage_offset: Any = None) -> Result:  # noqa: ARG001 - torch's name
    """The memory of a tensor, read with given sizes."""
    x = as_tensor(input)
    sizes, strides = as_sizes(size), as_sizes(stride)
    if sizes is None:
        return otherwise(None, x.dtype)
    if strides is not None and len(strides) != len(sizes):
        return InvalidArgument("stride", tuple(map(str, strides)), f"{len(sizes)} numbers, one for each axis")
    return Tensor(Shape.of(*sizes), x.dtype)


@op(
    "torch.diagonal",
    "Tensor.diagonal",
    examples=(
        "f(t(3, 5))",
        "f(t(2, 3, 5), offset=1, dim1=-2, dim2=-1)",
        "f(t(3, 5), -1)",
        "f(t(3, 5), 7)",
        "f(t(3, 5), dim1=1, dim2=-1)",
        "f(t(3))",
    ),
)
def diagonal(input: Any, offset: Any = ZERO, dim1: Any = ZERO, dim2: Any = ONE) -> Result:
    """The elements at which two axes meet, as a last axis."""
    x = as_tensor(input)
    pair = as_integers((dim1, dim2))
    if x.shape.axes is None or pair is None:
        return otherwise(None, x.dtype)
    places = positions_of(pair, len(x.shape.axes))
    if isinstance(places, Mismatch) or len(x.shape.axes) <= 1:
        return places if isinstance(places, Mismatch) else RepeatedAxis(pair, pair[1])
    rows, columns = (x.shape.axes[place].size for place in places)
    shift = as_size(offset)
    count: Dim | None = None
    if rows is not None and columns is not None and shift is not None:
        if never_negative(shift):
            count = not_below_zero(least(rows, columns - shift))
        elif never_negative(-shift):
            count = not_below_zero(least(rows + shift, columns))
    kept = tuple(axis for place, axis in enumerate(x.shape.axes) if place not in places)
    return Tensor(Shape((*kept, axis_for(count))), x.dtype)


@op(
    "torch.diag",
    "Tensor.diag",
    examples=("f(t(3))", "f(t(3), -2)", "f(t(3, 5))", "f(t(3, 5), diagonal=3)", "f(t(2, 3, 5))"),
)
def diag(input: Any, diagonal: Any = ZERO) -> Result:
    """A matrix with a vector on its diagonal, or the diagonal of a matrix."""
    x = as_tensor(input)
    wrong = refuse_rank(x, 1, 2)
    if wrong or x.shape.axes is None:
        return otherwise(wrong, x.dtype)
    return diag_embed(x, diagonal) if len(x.shape.axes) == 1 else _diagonal(x, diagonal)


_diagonal = diagonal


@op(
    "torch.diag_embed",
    "Tensor.diag_embed",
    examples=(
        "f(t(2, 3))",
        "f(t(2, 3), 1)",
        "f(t(2, 3), offset=-2, dim1=0, dim2=2)",
        "f(t(2, 3), 0, 1, 1)",
        "f(t(2, 3), 0, 0, 3)",
    ),
)
def diag_embed(input: Any, offset: Any = ZERO, dim1: Any = Dim(-2), dim2: Any = LAST) -> Result:  # noqa: B008 - a Dim never changes
    """Matrices with the last axis on their diagonals."""
    x = as_tensor(input)
    pair = as_integers((dim1, dim2))
    if x.shape.axes is None or pair is None:
        return otherwise(None, x.dtype)
    if not x.shape.axes:
        return WrongRank((), "at least 1")
    places = positions_of(pair, len(x.shape.axes) + 1)
    if isinstance(places, Mismatch):
        return places
    size, shift = x.shape.axes[-1].size, as_size(offset)
    side: Dim | None = None
    if size is not None and shift is not None:
        side = size + shift if never_negative(shift) else size - shift if never_negative(-shift) else None
    others = iter(x.shape.axes[:-1])
    axes = (axis_for(side) if place in places else next(others) for place in range(len(x.shape.axes) + 1))
    return Tensor(Shape(tuple(axes)), x.dtype)


@op("torch.flip", examples=("f(t(2, 3), (0,))", "f(t(2, 3), dims=(0, -1))", "f(t(2, 3), (2,))", "f(t(2, 3), (0, 0))"))
def flip(input: Any, dims: Any) -> Result:
    """Some axes backwards."""
    x = as_tensor(input)
    axes = as_integers(dims)
    if x.shape.axes is not None and axes is not None:
        places = positions_of(axes, len(x.shape.axes))
        if isinstance(places, Mismatch):
            return places
    return keep_shape(x)


@op(
    "Tensor.flip",
    examples=("f(t(2, 3), 0)", "f(t(2, 3), 0, 1)", "f(t(2, 3), (-1,))", "f(t(2, 3), dims=(1,))", "f(t(2, 3), 2)"),
)
def flip_method(input: Any, *axes: Any, dims: Any = None) -> Result:
    """Some axes backwards, which may be given one by one."""
    return flip(input, gathered(axes) if dims is None else dims)


@op("torch.fliplr", "Tensor.fliplr", examples=("f(t(2, 3))", "f(t(2))"))
def fliplr(input: Any) -> Result:
    """The second axis backwards."""
    x = as_tensor(input)
    return refuse_rank(x, 2) or keep_shape(x)


@op("torch.flipud", "Tensor.flipud", examples=("f(t(2, 3))", "f(t(2))", "f(t())"))
def flipud(input: Any) -> Result:
    """The first axis backwards."""
    x = as_tensor(input)
    return refuse_rank(x, 1) or keep_shape(x)


@op(
    "torch.roll",
    "Tensor.roll",
    examples=("f(t(2, 3), 1)", "f(t(2, 3), (1, -1), dims=(0, 1))", "f(t(2, 3), 1, 2)", "f(t(2, 3), (1, 2), 0)"),
)
def roll(input: Any, shifts: Any, dims: Any = None) -> Result:
    """Elements moved along axes, those that fall off put back at the start."""
    x = as_tensor(input)
    axes = () if dims is None else as_integers(dims)
    steps = as_sizes(shifts)
    if axes and steps is not None and len(steps) != len(axes):
        return InvalidArgument("shifts", tuple(map(str, steps)), f"{len(axes)} numbers, one for each axis")
    for axis in axes or ():
        place = find_axis(x, Dim(axis))
        if isinstance(place, Mismatch):
            return place
    return keep_shape(x)


@op(
    "torch.rot90",
    "Tensor.rot90",
    examples=(
        "f(t(2, 3))",
        "f(t(2, 3, 4), 2, (1, 2))",
        "f(t(2, 3, 4), k=-1, dims=(0, 2))",
        "f(t(2))",
        "f(t(2, 3), 1, (0, 2))",
    ),
)
def rot90(input: Any, k: Any = ONE, dims: Any = (ZERO, ONE)) -> Result:
    """A plane turned by right angles."""
    x = as_tensor(input)
    plane, turns = as_integers(dims), read_number(k)
    if x.shape.axes is None or plane is None:
        return otherwise(None, x.dtype)
    wrong = refuse_rank(x, 2)
    places = positions_of(plane, len(x.shape.axes))
    if wrong or isinstance(places, Mismatch):
        return wrong or otherwise(places if isinstance(places, Mismatch) else None)
    if len(places) != 2:  # noqa: PLR2004 - a plane has two axes
        return InvalidArgument("dims", plane, "two axes")
    axes = list(x.shape.axes)
    first, second = places
    if turns is None:
        axes[first] = axes[second] = UNKNOWN_AXIS
    elif turns % 2:
        axes[first], axes[second] = axes[second], axes[first]
    return Tensor(Shape(tuple(axes)), x.dtype)


@op(
    "torch.tril",
    "Tensor.tril",
    "Tensor.tril_",
    "torch.triu",
    "Tensor.triu",
    "Tensor.triu_",
    examples=("f(t(2, 3))", "f(t(5, 2, 3), diagonal=1)", "f(t(3, 3), -1)", "f(t(3))"),
)
def triangle(input: Any, diagonal: Any = ZERO) -> Result:  # noqa: ARG001 - torch's name
    """Matrices with zeros on one side of a diagonal."""
    x = as_tensor(input)
    return refuse_rank(x, 2) or keep_shape(x)


def atleast(x: Tensor, rank: int) -> Tensor | Mismatch:
    """The tensor with axes of size 1 added as `torch.atleast_3d` and its like add them."""
    if x.shape.rank is None:
        return otherwise(None, x.dtype)
    for place in {1: (0,), 2: (0, 0), 3: (0, 0, -1)}[rank][x.shape.rank :]:
        grown = unsqueeze(x, Dim(place))
        assert isinstance(grown, Tensor)
        x = grown
    return keep_shape(x)


def _atleast_each(tensors: tuple[Any, ...], rank: int) -> Result:
    if len(tensors) == 1 and not isinstance(tensors[0], tuple):
        return atleast(as_tensor(tensors[0]), rank)
    return tuple(entry for tensor in gathered(tensors) if isinstance(entry := atleast(as_tensor(tensor), rank), Tensor))


@op("torch.atleast_1d", examples=("f(t())", "f(t(2, 3))", "f(t(), t(2))", "f((t(), t(2)))"))
def atleast_1d(*tensors: Any) -> Result:
    """Scalars with an axis of size 1."""
    return _atleast_each(tensors, 1)


@op("torch.atleast_2d", examples=("f(t())", "f(t(3))", "f(t(2, 3, 4))", "f(t(3), t())"))
def atleast_2d(*tensors: Any) -> Result:
    """Scalars and vectors as matrices of one row."""
    return _atleast_each(tensors, 2)


@op("torch.atleast_3d", examples=("f(t())", "f(t(3))", "f(t(2, 3))", "f(t(2, 3, 4, 5))", "f(t(3), t())"))
def atleast_3d(*tensors: Any) -> Result:
    """Everything with at least three axes."""
    return _atleast_each(tensors, 3)
