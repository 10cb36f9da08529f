"""Operations that read or write where an index tensor points: gather, scatter, index_select and the like."""

# ruff: noqa: A002, ARG001 - torch's names

from __future__ import annotations

from typing import Any

from shapeguard.ops.indexing import store
from shapeguard.ops.reading import (
    AT_LEAST,
    as_tensor,
    at_most,
    compare_sizes,
    find_axis,
    keep_shape,
    more_than,
    otherwise,
    refuse_index,
    sizes_of,
)
from shapeguard.ops.registry import op
from shapeguard.ops.selecting import refuse_rank, replace_axis
from shapeguard.ops.stretching import copy_into
from shapeguard.ops.values import Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.mismatch import (
    DtypeMismatch,
    IndexTooLarge,
    JoinMismatch,
    Mismatch,
    RankDifference,
)
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape


def _find(x: Tensor, dim: Any) -> tuple[int | None, Mismatch | None]:
    position = find_axis(x, dim)
    return (None, position) if isinstance(position, Mismatch) else (position, None)


@op(
    "torch.index_select",
    "Tensor.index_select",
    examples=(
        "f(t(2, 3), 0, t(5, dtype=i64))",
        "f(t(2, 3), dim=-1, index=t(5, dtype=torch.int32))",
        "f(t(2, 3), 1, t(dtype=i64))",
        "f(t(2, 3), 2, t(5, dtype=i64))",
        "f(t(2, 3), 0, t(5, 1, dtype=i64))",
        "f(t(2, 3), 0, t(5))",
    ),
)
def index_select(input: Any, dim: Any, index: Any) -> Result:
    """Elements of one axis, by their indices."""
    x, chosen = as_tensor(input), as_tensor(index)
    position, missing = _find(x, dim)
    wrong = missing or refuse_index(chosen) or refuse_rank(chosen, 0, 1)
    if wrong or position is None or x.shape.axes is None:
        return otherwise(wrong, x.dtype)
    if not x.shape.axes:
        return keep_shape(x)
    axes = chosen.shape.axes
    new = UNKNOWN_AXIS if axes is None else axes[0] if axes else Axis.of(1)
    return Tensor(replace_axis(x.shape.axes, position, new), x.dtype)


def _refuse_larger(index: Tensor, other: Tensor, *, free: int | None) -> tuple[Mismatch | None, bool]:
    """What is wrong where `index` is larger than `other` in an axis other than `free`, and whether it surely is."""
    if index.shape.axes is None or other.shape.axes is None or any(axis.size == 0 for axis in index.shape.axes):
        return None, False
    sizes, limits = sizes_of(index.shape.axes), sizes_of(other.shape.axes)
    if max(len(sizes), 1) != max(len(limits), 1):
        return RankDifference("index", sizes, limits), True
    doubt: Mismatch | None = None
    for axis, (size, limit) in enumerate(zip(sizes, limits, strict=False)):
        if axis == free or size is None or limit is None or at_most(size, limit):
            continue
        too_large = IndexTooLarge(sizes, limits, axis)
        if more_than(size, limit):
            return too_large, True
        doubt = doubt or too_large
    return doubt, False


@op(
    "torch.gather",
    "Tensor.gather",
    examples=(
        "f(t(2, 5), 1, t(2, 3, dtype=i64))",
        "f(t(4, 5), dim=-1, index=t(2, 9, dtype=i64))",
        "f(t(5), 0, t(7, dtype=i64))",
        "f(t(2, 5), 1, t(3, 3, dtype=i64))",
        "f(t(2, 5), 1, t(2, dtype=i64))",
        "f(t(5), 0, t(2, 0, dtype=i64))",
        "f(t(2, 5), 2, t(2, 3, dtype=i64))",
        "f(t(2, 5), 1, t(2, 3))",
    ),
)
def gather(input: Any, dim: Any, index: Any, *, sparse_grad: Any = None, out: Any = None) -> Result:
    """For each index, the element that it points to along one axis."""
    x, chosen = as_tensor(input), as_tensor(index)
    position, missing = _find(x, dim)
    wrong = missing or refuse_index(chosen)
    if wrong:
        return wrong
    doubt, sure = _refuse_larger(chosen, x, free=position) if position is not None else (None, False)
    if sure and doubt is not None:
        return doubt
    return Tensor(Shape(chosen.shape.axes, doubt), x.dtype)


def _scatter(input: Any, dim: Any, index: Any, src: Any) -> Result:
    x, chosen = as_tensor(input), as_tensor(index)
    position, missing = _find(x, dim)
    wrong = missing or refuse_index(chosen)
    if wrong is None and isinstance(src, Tensor) and src.dtype != x.dtype and None not in (src.dtype, x.dtype):
        wrong = DtypeMismatch("src", str(src.dtype), str(x.dtype))
    if wrong:
        return wrong
    doubt: Mismatch | None = None
    checks = [(x, position)] if position is not None else []
    for limit, free in [*checks, *([(src, None)] if isinstance(src, Tensor) else [])]:
        found, sure = _refuse_larger(chosen, limit, free=free)
        if sure and found is not None:
            return found
        doubt = doubt or found
    return Tensor(Shape(x.shape.axes, doubt), x.dtype)


_SCATTERED = (
    "f(t(2, 5), 1, t(2, 3, dtype=i64), t(2, 3))",
    "f(t(2, 5), dim=0, index=t(7, 5, dtype=i64), src=t(8, 5))",
    "f(t(2, 5), 1, t(3, 3, dtype=i64), t(3, 3))",
    "f(t(2, 5), 1, t(2, 3, dtype=i64), t(2, 2))",
    "f(t(2, 5), 1, t(2, dtype=i64), t(2))",
    "f(t(2, 5), 2, t(2, 3, dtype=i64), t(2, 3))",
    "f(t(2, 5), 1, t(2, 3), t(2, 3))",
    "f(t(2, 5), 1, t(2, 3, dtype=i64), t(2, 3, dtype=i64))",
)


@op(
    "torch.scatter",
    "Tensor.scatter",
    "Tensor.scatter_",
    examples=(*_SCATTERED, "f(t(2, 5), 1, t(2, 3, dtype=i64), 1.0)", "f(t(2, 5), 1, t(2, 3, dtype=i64), value=2)"),
)
def scatter(input: Any, dim: Any, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None) -> Result:
    """A tensor with elements written where an index points along one axis."""
    return _scatter(input, dim, index, src)


@op("torch.scatter_add", "Tensor.scatter_add", "Tensor.scatter_add_", examples=_SCATTERED)
def scatter_add(input: Any, dim: Any, index: Any, src: Any) -> Result:
    """A tensor with elements added where an index points along one axis."""
    return _scatter(input, dim, index, src)


@op(
    "torch.scatter_reduce",
    "Tensor.scatter_reduce",
    "Tensor.scatter_reduce_",
    examples=(
        "f(t(2, 5), 1, t(2, 3, dtype=i64), t(2, 3), 'sum')",
        "f(t(2, 5), 1, t(2, 3, dtype=i64), t(2, 4), reduce='amax', include_self=False)",
        "f(t(2, 5), 1, t(2, 3, dtype=i64), t(2, 2), 'sum')",
    ),
)
def scatter_reduce(input: Any, dim: Any, index: Any, src: Any, reduce: Any, *, include_self: Any = None) -> Result:
    """A tensor with elements reduced where an index points along one axis."""
    return _scatter(input, dim, index, src)


def _put_slices(input: Any, dim: Any, index: Any, source: Any) -> Result:
    """What `index_add` and `index_copy` ask for: a source like the tensor but for the axis that the index is for."""
    x, chosen, given = as_tensor(input), as_tensor(index), as_tensor(source)
    position, missing = _find(x, dim)
    wrong = missing or refuse_index(chosen) or refuse_rank(chosen, 0, 1)
    if wrong is None and given.dtype != x.dtype and None not in (given.dtype, x.dtype):
        wrong = DtypeMismatch("source", str(given.dtype), str(x.dtype))
    if wrong or position is None or not x.shape.axes or given.shape.axes is None:
        return wrong or keep_shape(x)
    axes = chosen.shape.axes
    picked = UNKNOWN_AXIS if axes is None else axes[0] if axes else Axis.of(1)
    wanted, there = replace_axis(x.shape.axes, position, picked).axes or (), given.shape.axes
    if len(wanted) != len(there):
        return RankDifference("source", sizes_of(there), sizes_of(wanted))
    doubt: Mismatch | None = None
    for place, (axis, other) in enumerate(zip(wanted, there, strict=True)):
        equal = True if axis.size is None or other.size is None else compare_sizes(axis.size, other.size)
        if equal is not True:
            mismatch = JoinMismatch(sizes_of(wanted), sizes_of(there), None, place)
            if equal is False:
                return mismatch
            doubt = doubt or mismatch
    return Tensor(Shape(x.shape.axes, doubt), x.dtype)


_SLICES = (
    "f(t(2, 5), 1, t(3, dtype=i64), t(2, 3))",
    "f(t(4, 5), dim=0, index=t(3, dtype=i64), source=t(3, 5))",
    "f(t(2, 5), 1, t(3, dtype=i64), t(2, 4))",
    "f(t(2, 5), 1, t(3, dtype=i64), t(1, 3))",
    "f(t(2, 5), 2, t(3, dtype=i64), t(2, 3))",
)


@op("torch.index_add", "Tensor.index_add", "Tensor.index_add_", examples=_SLICES)
def index_add(input: Any, dim: Any, index: Any, source: Any, *, alpha: Any = None) -> Result:
    """A tensor with slices added at the indices of one axis."""
    return _put_slices(input, dim, index, source)


@op("torch.index_copy", "Tensor.index_copy", "Tensor.index_copy_", examples=_SLICES)
def index_copy(input: Any, dim: Any, index: Any, source: Any) -> Result:
    """A tensor with slices written at the indices of one axis."""
    return _put_slices(input, dim, index, source)


@op(
    "torch.index_fill",
    "Tensor.index_fill",
    "Tensor.index_fill_",
    examples=(
        "f(t(2, 5), 1, t(3, dtype=i64), 0.0)",
        "f(t(2, 5), dim=-2, index=t(3, dtype=i64), value=1)",
        "f(t(2, 5), 2, t(3, dtype=i64), 0.0)",
        "f(t(2, 5), 1, t(3), 0.0)",
        "f(t(2, 5), 1, t(3, 1, dtype=i64), 0.0)",
    ),
)
def index_fill(input: Any, dim: Any, index: Any, value: Any) -> Result:
    """A tensor with one number at the indices of one axis."""
    x, chosen = as_tensor(input), as_tensor(index)
    _, missing = _find(x, dim)
    return missing or refuse_index(chosen) or refuse_rank(chosen, 0, 1) or keep_shape(x)


@op(
    "torch.index_put",
    "Tensor.index_put",
    "Tensor.index_put_",
    examples=(
        "f(t(2, 5), (t(3, dtype=i64), t(3, dtype=i64)), t(3))",
        "f(t(2, 5), (t(3, dtype=i64),), t(5), accumulate=True)",
        "f(t(2, 5), (t(3, dtype=i64),), t(4))",
    ),
)
def index_put(input: Any, indices: Any, values: Any, accumulate: Any = None) -> Result:
    """A tensor with values written where index tensors point, as by a subscript."""
    x = as_tensor(input)
    return store(x, indices, values) if isinstance(indices, tuple) else keep_shape(x)


@op(
    "torch.take",
    "Tensor.take",
    examples=("f(t(2, 5), t(3, 4, dtype=i64))", "f(t(2, 5), t(dtype=i64))", "f(t(2, 5), t(3))"),
)
def take(input: Any, index: Any) -> Result:
    """Elements by their indices in the flattened tensor."""
    chosen = as_tensor(index)
    if chosen.dtype == "int32":
        return DtypeMismatch("index", chosen.dtype, "int64")
    return refuse_index(chosen) or Tensor(Shape(chosen.shape.axes), as_tensor(input).dtype)


@op(
    "torch.take_along_dim",
    "Tensor.take_along_dim",
    examples=(
        "f(t(2, 5), t(2, 3, dtype=i64), 1)",
        "f(t(2, 5), t(1, 3, dtype=i64), dim=-1)",
        "f(t(2, 5), t(3, 4, dtype=i64))",
        "f(t(2, 5), t(3, 3, dtype=i64), 1)",
        "f(t(2, 5), t(3, dtype=i64), 1)",
        "f(t(2, 5), t(2, 3, dtype=i64), 2)",
    ),
)
def take_along_dim(input: Any, indices: Any, dim: Any = None) -> Result:
    """For each index, the element that it points to along one axis; the other axes are stretched to each other."""
    x, chosen = as_tensor(input), as_tensor(indices)
    wrong = refuse_index(chosen)
    if wrong:
        return wrong
    if dim is None:
        flat = shapes.flatten(chosen.shape) if chosen.shape.axes is not None else Shape.of(None)
        return flat if isinstance(flat, Mismatch) else Tensor(flat, x.dtype)
    position, missing = _find(x, dim)
    if missing or position is None or not x.shape.axes or chosen.shape.axes is None:
        return otherwise(missing, x.dtype)
    if len(chosen.shape.axes) != len(x.shape.axes):
        return RankDifference("indices", sizes_of(chosen.shape.axes), sizes_of(x.shape.axes))
    picked = chosen.shape.axes[position]
    outcome = shapes.broadcast(replace_axis(x.shape.axes, position, picked), chosen.shape, at_least=AT_LEAST)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


def _refuse_mask(mask: Tensor) -> Mismatch | None:
    """What is wrong with the dtype of a mask, if anything surely is."""
    return None if mask.dtype in (None, "bool") else DtypeMismatch("mask", str(mask.dtype), "bool")


@op(
    "torch.masked_fill",
    "Tensor.masked_fill",
    examples=(
        "f(t(2, 5), t(2, 5, dtype=boolean), 0.0)",
        "f(t(2, 5), mask=t(5, dtype=boolean), value=1)",
        "f(t(5), t(2, 1, dtype=boolean), 0.0)",
        "f(t(2, 5), t(2, dtype=boolean), 0.0)",
        "f(t(2, 5), t(2, 5), 0.0)",
        "f(t(2, 5), t(2, 5, dtype=boolean), t())",
        "f(t(2, 5), t(2, 5, dtype=boolean), t(5))",
    ),
)
def masked_fill(input: Any, mask: Any, value: Any) -> Result:
    """A tensor with one number where a mask holds."""
    x, where = as_tensor(input), as_tensor(mask)
    wrong = _refuse_mask(where) or (refuse_rank(value, 0, 0) if isinstance(value, Tensor) else None)
    if wrong:
        return wrong
    outcome = shapes.broadcast(x.shape, where.shape, at_least=AT_LEAST, likely=True)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


@op(
    "Tensor.masked_fill_",
    examples=(
        "f(t(2, 5), t(2, 5, dtype=boolean), 0.0)",
        "f(t(2, 5), t(5, dtype=boolean), 0.0)",
        "f(t(5), t(2, 1, dtype=boolean), 0.0)",
        "f(t(2, 5), t(2, 5, dtype=i64), 0.0)",
    ),
)
def masked_fill_in_place(input: Any, mask: Any, value: Any) -> Result:
    """The tensor itself with one number where a mask, stretched to it, holds."""
    x, where = as_tensor(input), as_tensor(mask)
    wrong = _refuse_mask(where) or (refuse_rank(value, 0, 0) if isinstance(value, Tensor) else None)
    outcome = wrong or copy_into(x.shape, where.shape)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


@op(
    "torch.masked_scatter",
    "Tensor.masked_scatter",
    examples=(
        "f(t(2, 5), t(2, 5, dtype=boolean), t(10))",
        "f(t(2, 5), mask=t(5, dtype=boolean), source=t(2, 5))",
        "f(t(2, 5), t(2, dtype=boolean), t(10))",
        "f(t(2, 5), t(2, 5), t(10))",
    ),
)
def masked_scatter(input: Any, mask: Any, source: Any) -> Result:
    """A tensor with the elements of another in turn where a mask holds."""
    x, where = as_tensor(input), as_tensor(mask)
    outcome = _refuse_mask(where) or shapes.broadcast(x.shape, where.shape, at_least=AT_LEAST, likely=True)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


@op(
    "Tensor.masked_scatter_",
    examples=("f(t(2, 5), t(5, dtype=boolean), t(10))", "f(t(5), t(2, 1, dtype=boolean), t(10))"),
)
def masked_scatter_in_place(input: Any, mask: Any, source: Any) -> Result:
    """The tensor itself with the elements of another in turn where a mask, stretched to it, holds."""
    x, where = as_tensor(input), as_tensor(mask)
    outcome = _refuse_mask(where) or copy_into(x.shape, where.shape)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


@op(
    "torch.masked_select",
    "Tensor.masked_select",
    examples=("f(t(2, 5), t(2, dtype=boolean))", "f(t(2, 5), t(2, 5))"),
)
def masked_select(input: Any, mask: Any) -> Result:
    """The elements where a mask holds, as a vector of unknown size."""
    x, where = as_tensor(input), as_tensor(mask)
    outcome = _refuse_mask(where) or shapes.broadcast(x.shape, where.shape, at_least=AT_LEAST, likely=True)
    return outcome if isinstance(outcome, Mismatch) else Tensor(Shape(Shape.of(None).axes, outcome.doubt), x.dtype)
