"""Operations that make one tensor of several: cat, stack, meshgrid and the like."""

# ruff: noqa: ARG001 - torch's names

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapeguard.ops.arguments import read_number
from shapeguard.ops.promotion import promote_types
from shapeguard.ops.reading import Axes, as_tensor, compare_sizes, gathered, otherwise, sizes_of
from shapeguard.ops.registry import op
from shapeguard.ops.selecting import ZERO, atleast, axis_for, refuse_rank, replace_axis
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import DtypeMismatch, InvalidArgument, JoinMismatch, Mismatch, OrderMismatch, WrongRank
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape, position_of, same_order
from shapeguard.shapes.whole import rejoin


def known_tensors(tensors: Any) -> tuple[Tensor, ...] | None:
    """The tensors of a list; None where not even their number is known."""
    return tuple(map(as_tensor, tensors)) if isinstance(tensors, tuple) else None


def joint_dtype(tensors: tuple[Tensor, ...]) -> str | None:
    """The smallest dtype that holds what all tensors hold."""
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = promote_types(dtype, tensor.dtype)
    return dtype


def match_axes(left: Axes, right: Axes, along: int | None) -> Shape | Mismatch:
    """The axes that two shapes share in all places but `along`, which is left unknown."""
    sizes = sizes_of(left), sizes_of(right)
    if len(left) != len(right):
        return JoinMismatch(*sizes, along, 0)
    axes: list[Axis] = []
    doubt: Mismatch | None = None
    for place, (one, other) in enumerate(zip(left, right, strict=True)):
        if place == along:
            axes.append(UNKNOWN_AXIS)
            continue
        if one.size is None or other.size is None:
            axes.append(other if one.size is None else one)
            continue
        equal = compare_sizes(one.size, other.size)
        if equal is False:
            return JoinMismatch(*sizes, along, place)
        if equal is None:
            doubt = doubt or JoinMismatch(*sizes, along, place)
        elif same_order(one, other) is False:
            doubt = doubt or OrderMismatch(one.factors or (), other.factors or (), place - len(left))
        axes.append(other if one.factors is None else one)
    return Shape(tuple(axes), doubt)


def match_all(shapes: list[Axes], along: int | None) -> Shape | Mismatch:
    """The axes that all shapes share in all places but `along`."""
    result = Shape(shapes[0])
    for axes in shapes[1:]:
        step = match_axes(result.axes or (), axes, along)
        if isinstance(step, Mismatch):
            # The first shape says more than what all before this one have in common.
            first = match_axes(shapes[0], axes, along)
            return first if isinstance(first, Mismatch) else step
        result = Shape(step.axes, result.doubt or step.doubt)
    return result


def _total(sizes: list[Dim | None]) -> Dim | None:
    """What parts add up to; those that a size was divided into, to that size."""
    total = Dim(0)
    for size in sizes:
        if size is None:
            return None
        total = total + size
    return rejoin(total)


@op(
    "torch.cat",
    "torch.concat",
    "torch.concatenate",
    examples=(
        "f((t(2, 3), t(4, 3)))",
        "f([t(2, 3), t(2, 5)], dim=-1)",
        "f((t(2, 3), t(0)), 1)",
        "f((t(2, 3), t(2, 3, dtype=i64)))",
        "f((t(2, 3), t(2, 4)))",
        "f((t(2, 3), t(2)))",
        "f((t(2, 3), t(2, 3)), 2)",
        "f((t(), t()))",
        "f(())",
    ),
)
def cat(tensors: Any, dim: Any = ZERO, *, out: Any = None) -> Result:
    """Tensors one after the other along an axis."""
    given = known_tensors(tensors)
    if given is None:
        return otherwise(None)
    if not given:
        return InvalidArgument("tensors", "empty", "at least one tensor")
    dtype = joint_dtype(given)
    if any(tensor.shape.axes == () for tensor in given):
        return WrongRank((), "at least 1")
    # torch skips a tensor of shape (0,) whatever the others are.
    counted = [tensor for tensor in given if tensor.shape.axes != (Axis.of(0),)] or list(given)
    shapes = [tensor.shape.axes for tensor in counted if tensor.shape.axes is not None]
    if any(len(axes) > 1 for axes in shapes):
        shapes = [axes for axes in shapes if len(axes) > 1 or axes[0].size is not None]
    axis = read_number(dim)
    if not shapes or axis is None:
        return otherwise(None, dtype)
    along = position_of(axis, len(shapes[0]))
    if isinstance(along, Mismatch):
        return along
    common = match_all(shapes, along)
    if isinstance(common, Mismatch) or common.axes is None:
        return otherwise(common if isinstance(common, Mismatch) else None, dtype)
    if len(given) == 1:
        return Tensor(Shape(common.axes), dtype)
    size = _total([axes[along].size for axes in shapes]) if len(shapes) == len(counted) else None
    return Tensor(Shape(replace_axis(common.axes, along, axis_for(size)).axes, common.doubt), dtype)


@op(
    "torch.stack",
    examples=(
        "f((t(2, 3), t(2, 3)))",
        "f([t(2, 3)] * 4, dim=-1)",
        "f((t(), t(), t()))",
        "f((t(2, 3), t(2, 4)))",
        "f((t(2, 3), t(2)))",
        "f((t(2), t(2)), 2)",
        "f(())",
    ),
)
def stack(tensors: Any, dim: Any = ZERO, *, out: Any = None) -> Result:
    """Tensors of one shape, along a new axis."""
    given = known_tensors(tensors)
    if given is None:
        return otherwise(None)
    if not given:
        return InvalidArgument("tensors", "empty", "at least one tensor")
    dtype = joint_dtype(given)
    shapes = [tensor.shape.axes for tensor in given if tensor.shape.axes is not None]
    if not shapes:
        return otherwise(None, dtype)
    common = match_all(shapes, None)
    if isinstance(common, Mismatch) or common.axes is None:
        return otherwise(common if isinstance(common, Mismatch) else None, dtype)
    axis = read_number(dim)
    if axis is None:
        return Tensor(Shape.of(*[None] * (len(common.axes) + 1)), dtype)
    along = position_of(axis, len(common.axes) + 1)
    if isinstance(along, Mismatch):
        return along
    new = Axis.of(len(given))
    return Tensor(Shape((*common.axes[:along], new, *common.axes[along:]), common.doubt), dtype)


def _join_grown(tensors: Any, grow: Callable[[Tensor], Tensor | Mismatch], dim: int) -> Result:
    given = known_tensors(tensors)
    if given is None:
        return otherwise(None)
    return cat(tuple(map(grow, given)), Dim(dim))


@op("torch.hstack", examples=("f((t(2), t(3)))", "f((t(2, 3), t(2, 4)))", "f((t(), t()))", "f((t(2, 3), t(3, 3)))"))
def hstack(tensors: Any, *, out: Any = None) -> Result:
    """Tensors side by side: along the second axis, vectors along their only one."""
    given = known_tensors(tensors)
    ranks = {tensor.shape.rank for tensor in given or ()}
    if not ranks or None in ranks:
        return otherwise(None, joint_dtype(given) if given else None)
    first = given[0].shape.rank if given else 0
    return _join_grown(tensors, lambda tensor: atleast(tensor, 1), 0 if (first or 0) <= 1 else 1)


@op(
    "torch.vstack",
    "torch.row_stack",
    examples=("f((t(3), t(3)))", "f((t(2, 3), t(3)))", "f((t(2, 3), t(2, 4)))"),
)
def vstack(tensors: Any, *, out: Any = None) -> Result:
    """Tensors one below the other, vectors as rows."""
    return _join_grown(tensors, lambda tensor: atleast(tensor, 2), 0)


@op("torch.dstack", examples=("f((t(3), t(3)))", "f((t(2, 3), t(2, 3)))", "f((t(2, 3), t(2, 4)))"))
def dstack(tensors: Any, *, out: Any = None) -> Result:
    """Tensors one behind the other, along the third axis."""
    return _join_grown(tensors, lambda tensor: atleast(tensor, 3), 2)


def _as_column(tensor: Tensor) -> Tensor | Mismatch:
    axes = tensor.shape.axes
    if axes is None or len(axes) > 1:
        return tensor
    return Tensor(Shape((*(axes or (Axis.of(1),)), Axis.of(1))), tensor.dtype)


@op("torch.column_stack", examples=("f((t(3), t(3)))", "f((t(3, 2), t(3)))", "f((t(), t()))", "f((t(3), t(4)))"))
def column_stack(tensors: Any, *, out: Any = None) -> Result:
    """Tensors side by side, vectors as columns."""
    return _join_grown(tensors, _as_column, 1)


@op(
    "torch.meshgrid",
    examples=(
        "f(t(2), t(3), indexing='ij')",
        "f([t(2), t(3), t(4)], indexing='xy')",
        "f(t(2), t(), indexing='ij')",
        "f(t(2), t(3, 4), indexing='ij')",
        "f(t(2), t(3, dtype=i64), indexing='ij')",
    ),
)
def meshgrid(*tensors: Any, indexing: Any = None) -> Result:
    """For each vector, a grid over all of them that varies along its own axis."""
    given = known_tensors(gathered(tensors)) if isinstance(gathered(tensors), tuple) else known_tensors(tensors)
    if not given or any(tensor == Tensor(Shape.unknown()) for tensor in given[:1] if len(given) == 1):
        return UNKNOWN
    axes: list[Axis] = []
    for tensor in given:
        wrong = refuse_rank(tensor, 0, 1)
        if wrong:
            return wrong
        if tensor.dtype is not None and given[0].dtype is not None and tensor.dtype != given[0].dtype:
            return DtypeMismatch("tensors", tensor.dtype, given[0].dtype)
        axes.append(
            UNKNOWN_AXIS if tensor.shape.axes is None else tensor.shape.axes[0] if tensor.shape.axes else Axis.of(1)
        )
    if len(axes) > 1 and indexing != "ij" and indexing is not None:
        swapped = (axes[1], axes[0]) if indexing == "xy" else (UNKNOWN_AXIS, UNKNOWN_AXIS)
        axes[:2] = swapped
    return tuple(Tensor(Shape(tuple(axes)), tensor.dtype) for tensor in given)


@op("torch.block_diag", examples=("f(t(2, 3), t(4, 5))", "f(t(3), t(2, 2), t())", "f(t(2, 3, 4))"))
def block_diag(*tensors: Any) -> Result:
    """Matrices on the diagonal of a larger one, vectors as rows."""
    given = [as_tensor(tensor) for tensor in tensors]
    rows: list[Dim | None] = []
    columns: list[Dim | None] = []
    for tensor in given:
        wrong = refuse_rank(tensor, 0, 2)
        if wrong:
            return wrong
        matrix = atleast(tensor, 2)
        sizes = matrix.shape.sizes if isinstance(matrix, Tensor) else None
        row, column = sizes if sizes is not None else (None, None)
        rows.append(row)
        columns.append(column)
    return Tensor(Shape.of(_total(rows), _total(columns)), joint_dtype(tuple(given)) if given else None)


@op("torch.cartesian_prod", examples=("f(t(2), t(3))", "f(t(4))", "f(t(2), t(3), t(4))", "f(t(2), t(2, 3))"))
def cartesian_prod(*tensors: Any) -> Result:
    """Every way to take one element of each vector, as rows."""
    given = tuple(map(as_tensor, tensors))
    count = Axis(Dim(1), ())
    for tensor in given:
        wrong = refuse_rank(tensor, 1, 1)
        if wrong:
            return wrong
        axis = tensor.shape.axes[0] if tensor.shape.axes else UNKNOWN_AXIS
        size = None if count.size is None or axis.size is None else count.size * axis.size
        factors = None if count.factors is None or axis.factors is None else count.factors + axis.factors
        count = Axis(size, factors)
    if not given:
        return otherwise(None)
    return Tensor(Shape((count,) if len(given) == 1 else (count, Axis.of(len(given)))), joint_dtype(given))


@op(
    "torch.nn.utils.rnn.pad_sequence",
    examples=(
        "f([t(3, 4), t(5, 4)])",
        "f([t(3), t(5), t(2)], batch_first=True)",
        "f([t(3, 4, 2), t(5, 4, 2)], True, 0.5)",
        "f([t(3, 4), t(5, 3)])",
        "f([t(3, 4), t(5)])",
    ),
)
def pad_sequence(
    sequences: Any,
    batch_first: Any = False,  # noqa: FBT002 - torch's
    padding_value: Any = None,
    padding_side: Any = None,
) -> Result:
    """Tensors that differ in their first axes, filled up to the longest and stacked."""
    given = known_tensors(sequences)
    if not given:
        return otherwise(None)
    dtype = given[0].dtype
    shapes = [tensor.shape.axes for tensor in given if tensor.shape.axes is not None]
    if not shapes:
        return otherwise(None, dtype)
    common = match_all(shapes, 0)
    if isinstance(common, Mismatch) or not common.axes:
        return otherwise(common if isinstance(common, Mismatch) else None, dtype)
    lengths = [axes[0].size for axes in shapes] if len(shapes) == len(given) else [None]
    numbers = [None if length is None else as_int(length) for length in lengths]
    whole = [number for number in numbers if number is not None]
    longest = Dim(max(whole)) if len(whole) == len(numbers) else lengths[0] if len(set(lengths)) == 1 else None
    steps, batch = axis_for(longest), Axis.of(len(given))
    if not isinstance(batch_first, bool):
        return Tensor(Shape((UNKNOWN_AXIS, UNKNOWN_AXIS, *common.axes[1:])), dtype)
    return Tensor(Shape((batch, steps, *common.axes[1:]) if batch_first else (steps, batch, *common.axes[1:])), dtype)
