"""Operations that sort, rank or find elements: topk, sort, unique and nonzero."""

# ruff: noqa: A002, ARG001 - torch's names

from __future__ import annotations

from typing import Any

from shapeguard.ops.arguments import read_number
from shapeguard.ops.reading import as_size, as_tensor, cast, find_axis, more_than, otherwise
from shapeguard.ops.registry import op
from shapeguard.ops.selecting import LAST, ZERO, axis_for, replace_axis
from shapeguard.ops.values import UNKNOWN, Result, Tensor, Value
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import InvalidArgument, Mismatch
from shapeguard.shapes.shape import Axis, Shape


def _pair(values: Tensor | Mismatch) -> Result:
    """Values and their indices."""
    return values if isinstance(values, Mismatch) else (values, cast(values, "int64"))


def _refuse_rank_of_element(k: Dim | None, size: Dim | None, position: int) -> Mismatch | None:
    if k is None or size is None or not (more_than(k, size) or (read_number(k) or 0) < 0):
        return None
    return InvalidArgument("k", k, f"at most {size}, the size of axis {position}")


@op(
    "torch.topk",
    "Tensor.topk",
    examples=(
        "f(t(2, 5), 3)",
        "f(t(2, 5), k=1, dim=0)",
        "f(t(2, 5), 5, -1, largest=False)",
        "f(t(2, 5), 6)",
        "f(t(2, 5), 1, 2)",
        "f(t(2, 5), -1)",
    ),
)
def topk(input: Any, k: Any, dim: Any = LAST, largest: Any = None, sorted: Any = None, *, out: Any = None) -> Result:
    """The greatest elements along one axis, and their indices."""
    x = as_tensor(input)
    position, count = find_axis(x, dim), as_size(k)
    if not isinstance(position, int) or not x.shape.axes:
        return _pair(otherwise(position if isinstance(position, Mismatch) else None, x.dtype))
    wrong = _refuse_rank_of_element(count, x.shape.axes[position].size, position)
    return _pair(wrong or Tensor(replace_axis(x.shape.axes, position, axis_for(count)), x.dtype))


def _sorted_along(x: Tensor, dim: Any) -> Tensor | Mismatch:
    position = find_axis(x, dim)
    if isinstance(position, Mismatch):
        return position
    if position is None or not x.shape.axes:
        return cast(x, x.dtype)
    # Sorted elements are no longer in the order of the axes that were flattened.
    return Tensor(replace_axis(x.shape.axes, position, axis_for(x.shape.axes[position].size)), x.dtype)


@op(
    "torch.sort",
    "Tensor.sort",
    examples=(
        "f(t(2, 5))",
        "f(t(2, 5), dim=0, descending=True)",
        "f(t(2, 5), stable=True, dim=1)",
        "f(t())",
        "f(t(2, 5), 2)",
    ),
)
def sort(input: Any, dim: Any = LAST, descending: Any = None, *, stable: Any = None, out: Any = None) -> Result:
    """The elements of one axis in order, and their indices."""
    return _pair(_sorted_along(as_tensor(input), dim))


@op("torch.msort", "Tensor.msort", examples=("f(t(2, 5))", "f(t())"))
def msort(input: Any) -> Result:
    """The elements of the first axis in order."""
    return _sorted_along(as_tensor(input), ZERO)


@op(
    "torch.argsort",
    "Tensor.argsort",
    examples=("f(t(2, 5))", "f(t(2, 5), dim=0, descending=True)", "f(t(2, 5), stable=True)", "f(t(2, 5), 2)"),
)
def argsort(input: Any, dim: Any = LAST, descending: Any = None, *, stable: Any = None) -> Result:
    """The indices that would sort one axis."""
    result = _sorted_along(as_tensor(input), dim)
    return result if isinstance(result, Mismatch) else cast(result, "int64")


@op(
    "torch.kthvalue",
    "Tensor.kthvalue",
    examples=("f(t(2, 5), 3)", "f(t(2, 5), k=1, dim=0, keepdim=True)", "f(t(2, 5), 6)", "f(t(2, 5), 1, 2)"),
)
def kthvalue(input: Any, k: Any, dim: Any = LAST, keepdim: Any = False, *, out: Any = None) -> Result:  # noqa: FBT002 - torch's
    """The k-th least element along one axis, and its index."""
    x = as_tensor(input)
    position = find_axis(x, dim)
    if not isinstance(position, int) or not x.shape.axes or not isinstance(keepdim, bool):
        return _pair(otherwise(position if isinstance(position, Mismatch) else None, x.dtype))
    wrong = _refuse_rank_of_element(as_size(k), x.shape.axes[position].size, position)
    kept = (Axis.of(1),) if keepdim else ()
    return _pair(wrong or Tensor(replace_axis(x.shape.axes, position, *kept), x.dtype))


@op("torch.nonzero", "Tensor.nonzero", examples=())
def nonzero(input: Any, *, as_tuple: Any = False, out: Any = None) -> Result:
    """Where a tensor is not zero: a row of indices for each place, or a vector of indices for each axis."""
    rank = as_tensor(input).shape.rank
    if as_tuple is False:
        return Tensor(Shape.of(None, rank), "int64")
    if as_tuple is not True or rank is None:
        return UNKNOWN
    return (Tensor(Shape.of(None), "int64"),) * max(rank, 1)


@op("torch.argwhere", "Tensor.argwhere", examples=())
def argwhere(input: Any) -> Result:
    """A row of indices for each place where a tensor is not zero."""
    return nonzero(input)


def _distinct(x: Tensor, dim: Any, extras: tuple[Any, Any]) -> Result:
    """Distinct elements or slices, of which there are unknown many, then what was asked for besides."""
    position = None if dim is None else find_axis(x, dim)
    if isinstance(position, Mismatch):
        return position
    if dim is None:
        values, inverse = Tensor(Shape.of(None), x.dtype), cast(x, "int64")
    elif position is None or not x.shape.axes:
        values, inverse = Tensor(Shape.unknown(), x.dtype), Tensor(Shape.of(None), "int64")
    else:
        values = Tensor(replace_axis(x.shape.axes, position, axis_for(None)), x.dtype)
        inverse = Tensor(Shape((x.shape.axes[position],)), "int64")
    if not all(isinstance(extra, bool) for extra in extras):
        return UNKNOWN
    asked: tuple[Value, ...] = (values,)
    if extras[0]:
        asked = (*asked, inverse)
    if extras[1]:
        asked = (*asked, Tensor(Shape.of(None), "int64"))
    return asked if len(asked) > 1 else values


@op("torch.unique", "Tensor.unique", examples=())
def unique(
    input: Any,
    sorted: Any = None,
    return_inverse: Any = False,  # noqa: FBT002 - torch's
    return_counts: Any = False,  # noqa: FBT002 - torch's
    dim: Any = None,
) -> Result:
    """The distinct elements, or the distinct slices along one axis."""
    return _distinct(as_tensor(input), dim, (return_inverse, return_counts))


@op("torch.unique_consecutive", "Tensor.unique_consecutive", examples=())
def unique_consecutive(
    input: Any,
    return_inverse: Any = False,  # noqa: FBT002 - torch's
    return_counts: Any = False,  # noqa: FBT002 - torch's
    dim: Any = None,
) -> Result:
    """The elements without those that equal the one before."""
    return _distinct(as_tensor(input), dim, (return_inverse, return_counts))
