"""What is surely known of the tensors, axes and sizes that a view, a join or an index is given."""

from __future__ import annotations

from typing import Any, TypeAlias

from shapeguard.ops.arguments import read_number
from shapeguard.ops.values import UNKNOWN_TENSOR, Tensor
from shapeguard.shapes import inequality
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import DtypeMismatch, Mismatch
from shapeguard.shapes.shape import Axis, Shape, position_of
from shapeguard.shapes.whole import compare_whole

AT_LEAST = 1
"""The least size that a named axis is taken to have."""

Axes: TypeAlias = tuple[Axis, ...]
INDEX_DTYPES = (None, "int64", "int32")


def as_tensor(value: Any) -> Tensor:
    """The argument as a tensor, of which nothing is known where nothing is known of the argument."""
    return value if isinstance(value, Tensor) else UNKNOWN_TENSOR


def as_size(value: Any) -> Dim | None:
    """An integer, known or symbolic."""
    return value if isinstance(value, Dim) else None


def as_sizes(value: Any) -> tuple[Dim | None, ...] | None:
    """Sizes given as one tuple, or one size; None where not even their number is known."""
    if isinstance(value, Dim):
        return (value,)
    return tuple(map(as_size, value)) if isinstance(value, tuple) else None


def as_integers(value: Any) -> tuple[int, ...] | None:
    """Integers given as one tuple, or one integer; None unless each is known."""
    numbers = tuple(map(read_number, value if isinstance(value, tuple) else (value,)))
    known = tuple(number for number in numbers if number is not None)
    return known if len(known) == len(numbers) else None


def gathered(arguments: tuple[Any, ...]) -> Any:
    """What was given one by one or as one tuple, as `view` and `permute` take it."""
    return arguments[0] if len(arguments) == 1 else arguments


def find_axis(x: Tensor, dim: Any) -> int | Mismatch | None:
    """Which axis of `x` an argument means; None where that isn't known."""
    axis = read_number(dim)
    return None if axis is None or x.shape.axes is None else position_of(axis, len(x.shape.axes))


def otherwise(outcome: Mismatch | None, dtype: str | None = None) -> Tensor | Mismatch:
    """The mismatch that stands in a result's place, or a tensor of unknown shape."""
    return outcome if isinstance(outcome, Mismatch) else Tensor(Shape.unknown(), dtype)


def keep_shape(x: Tensor) -> Tensor:
    """A tensor like `x`, without the doubt about how `x` was made."""
    return Tensor(Shape(x.shape.axes), x.dtype)


def cast(x: Tensor, dtype: str | None) -> Tensor:
    """A tensor of the shape of `x` with another dtype."""
    return Tensor(Shape(x.shape.axes), dtype)


def sizes_of(axes: Axes) -> tuple[Dim | None, ...]:
    """The size of each axis."""
    return tuple(axis.size for axis in axes)


def common_dtype(*tensors: Tensor) -> str | None:
    """The dtype that all share, or None."""
    dtypes = {tensor.dtype for tensor in tensors}
    return dtypes.pop() if len(dtypes) == 1 else None


def refuse_index(index: Tensor) -> Mismatch | None:
    """What is wrong with the dtype of an index, if anything surely is."""
    # No element, no index: torch looks no further.
    if index.dtype in INDEX_DTYPES or any(axis.size == 0 for axis in index.shape.axes or ()):
        return None
    return DtypeMismatch("index", index.dtype or "", "int64")


def compare_sizes(left: Dim, right: Dim) -> bool | None:
    """Whether two sizes are equal, named axes being at least 1 and divided without remainder."""
    return compare_whole(left, right, AT_LEAST)


def never_negative(dim: Dim) -> bool:
    """Whether an integer is surely 0 or more, named axes being at least 1."""
    return inequality.never_negative(dim, AT_LEAST)


def at_most(left: Dim, right: Dim) -> bool:
    """Whether `left` is surely no more than `right`."""
    return inequality.at_most(left, right, AT_LEAST)


def more_than(left: Dim, right: Dim) -> bool:
    """Whether `left` is surely more than `right`."""
    return inequality.more_than(left, right, AT_LEAST)


def least(left: Dim, right: Dim) -> Dim:
    """The lesser of two sizes."""
    return inequality.lesser(left, right, AT_LEAST)


def not_below_zero(dim: Dim) -> Dim:
    """An integer, or 0 in place of a negative one."""
    return inequality.not_below_zero(dim, AT_LEAST)
