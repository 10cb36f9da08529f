"""Products that sum over a common axis: matmul in all its ranks, and the functions that are parts of it."""

# ruff: noqa: A002, B008, PLR2004 - torch's names and defaults

from __future__ import annotations

from typing import Any

from shapeguard.ops.arguments import axis_positions, read_number, tensor_of
from shapeguard.ops.broadcasting import stretch_into
from shapeguard.ops.promotion import result_type
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import AxisMismatch, ContractionMismatch, Mismatch, RankMismatch
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape


def common_dtype(*operands: Any) -> str | None:
    """The dtype that all operands have; products don't promote, but autocast may make them agree."""
    dtypes = {operand.dtype if isinstance(operand, Tensor) else None for operand in operands}
    return dtypes.pop() if len(dtypes) == 1 else None


def check_rank(value: str, shape: Shape, wanted: str) -> RankMismatch | None:
    """The mismatch with an annotation's number of axes; one that starts with `...` is a lower bound."""
    if shape.axes is None:
        return None
    count = len(wanted.split())
    at_least = wanted.startswith("...")
    if len(shape.axes) == count or (at_least and len(shape.axes) >= count - 1):
        return None
    return RankMismatch(value, shape.sizes or (), wanted, at_least=at_least)


def check_contraction(left: Shape, right: Shape, left_axis: int, right_axis: int) -> tuple[Mismatch | None, bool]:
    """The mismatch of two axes, counted from the end, that are summed over together, and whether it is sure."""
    if left.axes is None or right.axes is None:
        return None, False
    one, other = left.axes[left_axis].size, right.axes[right_axis].size
    equal = None if one is None or other is None else compare(one, other)
    if one is None or other is None or equal:
        return None, False
    return ContractionMismatch(left.sizes or (), right.sizes or (), left_axis, right_axis), equal is False


def _multiplied(left: Shape, right: Shape) -> Shape | Mismatch:
    if (left.axes is not None and not left.axes) or (right.axes is not None and not right.axes):
        scalar, value = (left, "input") if left.axes == () else (right, "other")
        return RankMismatch(value, scalar.sizes or (), "... n", at_least=True)
    if left.axes is None or right.axes is None:
        return Shape.unknown()
    mismatch, sure = check_contraction(left, right, -1, -min(2, len(right.axes)))
    if mismatch is not None and sure:
        return mismatch
    batch = shapes.broadcast(Shape(left.axes[:-2]), Shape(right.axes[:-2]), likely=True)
    if isinstance(batch, Mismatch):
        return batch
    rows = left.axes[-2:-1]
    columns = right.axes[-1:] if len(right.axes) > 1 else ()
    return Shape((*(batch.axes or ()), *rows, *columns), mismatch or batch.doubt)


def _product_of(left: Any, right: Any, *ranks: str) -> Result:
    """The product of two tensors whose axes are as the annotations in `ranks` say."""
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return UNKNOWN_TENSOR if isinstance(left, Tensor) or isinstance(right, Tensor) else UNKNOWN
    for value, tensor, wanted in zip(("input", "other"), (left, right), ranks, strict=False):
        mismatch = check_rank(value, tensor.shape, wanted)
        if mismatch is not None:
            return mismatch
    one, other = (
        Shape((UNKNOWN_AXIS,) * len(wanted.split())) if shape.axes is None and wanted else shape
        for shape, wanted in zip((left.shape, right.shape), ranks or ("", ""), strict=True)
    )
    return tensor_of(_multiplied(one, other), common_dtype(left, right))


@op(
    "torch.matmul",
    "torch.linalg.matmul",
    "Tensor.matmul",
    "Tensor.__matmul__",
    examples=(
        "f(t(2, 3), t(3, 4))",
        "f(t(3), t(3))",
        "f(t(3), t(3, 4))",
        "f(t(2, 3), t(3))",
        "f(t(5, 1, 2, 3), t(6, 3, 4))",
        "f(t(5, 2, 3), t(3))",
        "f(t(3), t(5, 3, 4))",
        "f(t(2, 3), t(2, 3))",
        "f(t(5, 2, 3), t(4, 3, 4))",
        "f(t(), t(3))",
        "f(t(2), t(3))",
    ),
)
def matmul(input: Any, other: Any, **_: Any) -> Result:
    """The matrix product; axes before the last two stretch together."""
    return _product_of(input, other)


@op("Tensor.__rmatmul__", examples=("f(t(3, 4), t(2, 3))", "f(t(2, 3), t(2, 3))"))
def matmul_from_right(input: Any, other: Any) -> Result:
    """The matrix product with the operands exchanged."""
    return matmul(other, input)


@op("torch.mm", "Tensor.mm", examples=("f(t(2, 3), t(3, 4))", "f(t(2, 3), t(2, 3))", "f(t(1, 2, 3), t(3, 4))"))
def mm(input: Any, mat2: Any, **_: Any) -> Result:
    """The product of two matrices, without batch."""
    return _product_of(input, mat2, "n k", "k m")


@op("torch.mv", "Tensor.mv", examples=("f(t(2, 3), t(3))", "f(t(2, 3), t(2))", "f(t(2, 3), t(3, 1))"))
def mv(input: Any, vec: Any, **_: Any) -> Result:
    """A matrix times a vector."""
    return _product_of(input, vec, "n k", "k")


@op(
    "torch.dot",
    "torch.vdot",
    "Tensor.dot",
    "Tensor.vdot",
    examples=("f(t(3), t(3))", "f(t(3), t(2))", "f(t(3, 1), t(1))"),
)
def dot(input: Any, other: Any, **_: Any) -> Result:
    """The inner product of two vectors."""
    return _product_of(input, other, "k", "k")


@op(
    "torch.bmm",
    "Tensor.bmm",
    examples=(
        "f(t(5, 2, 3), t(5, 3, 4))",
        "f(t(5, 2, 3), t(5, 2, 3))",
        "f(t(1, 2, 3), t(5, 3, 4))",
        "f(t(2, 3), t(5, 3, 4))",
    ),
)
def bmm(input: Any, mat2: Any, **_: Any) -> Result:
    """Products of matrices in pairs; the batch does not stretch."""
    result = _product_of(input, mat2, "b n k", "b k m")
    if not isinstance(input, Tensor) or not isinstance(mat2, Tensor) or isinstance(result, RankMismatch):
        return result
    one, other = (tensor.shape.axes[0] if tensor.shape.axes else UNKNOWN_AXIS for tensor in (input, mat2))
    equal = one.size is None or other.size is None or compare(one.size, other.size)
    doubt = None
    if one.size is not None and other.size is not None and equal is not True:
        doubt = AxisMismatch("mat2", 0, other.size, "b", one.size, "`input` axis 0")
        if equal is False:
            return doubt
    if not isinstance(result, Tensor) or result.shape.axes is None:
        return result
    batch = other if one.size is None else one
    contraction = result.shape.doubt if isinstance(result.shape.doubt, ContractionMismatch) else None
    return Tensor(Shape((batch, *result.shape.axes[1:]), doubt or contraction), result.dtype)


@op("torch.outer", "torch.ger", "Tensor.outer", "Tensor.ger", examples=("f(t(2), t(3))", "f(t(2, 1), t(3))"))
def outer(input: Any, vec2: Any, **_: Any) -> Result:
    """Each number of one vector times each of another."""
    if not isinstance(input, Tensor) or not isinstance(vec2, Tensor):
        return Tensor(Shape((UNKNOWN_AXIS, UNKNOWN_AXIS)))
    mismatch = check_rank("input", input.shape, "n") or check_rank("vec2", vec2.shape, "m")
    if mismatch is not None:
        return mismatch
    one, other = (tensor.shape.axes or (UNKNOWN_AXIS,) for tensor in (input, vec2))
    return Tensor(Shape((*one, *other)), result_type(input, vec2))


@op(
    "torch.inner",
    "Tensor.inner",
    examples=("f(t(3), t(3))", "f(t(2, 3), t(4, 5, 3))", "f(t(2, 3), t())", "f(t(2, 3), t(3, 2))"),
)
def inner(input: Any, other: Any, **_: Any) -> Result:
    """The sum over the last axes of both, the others beside each other."""
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        return UNKNOWN
    one, another = input.shape, other.shape
    if one.axes is None or another.axes is None:
        return UNKNOWN_TENSOR
    dtype = common_dtype(input, other)
    if not one.axes or not another.axes:
        return Tensor(Shape(one.axes or another.axes), dtype)
    mismatch, sure = check_contraction(one, another, -1, -1)
    if mismatch is not None and sure:
        return mismatch
    return Tensor(Shape((*one.axes[:-1], *another.axes[:-1]), mismatch), dtype)


def _added(input: Any, product: Result) -> Result:
    """A product to which a tensor is added that has to stretch to it."""
    if not isinstance(product, Tensor) or not isinstance(input, Tensor):
        return product
    outcome = stretch_into(product.shape, input.shape)
    if isinstance(outcome, Mismatch):
        return outcome
    return Tensor(Shape(outcome.axes, product.shape.doubt or outcome.doubt), common_dtype(input, product))


@op(
    "torch.addmm",
    "Tensor.addmm",
    examples=(
        "f(t(2, 4), t(2, 3), t(3, 4))",
        "f(t(4), t(2, 3), t(3, 4))",
        "f(t(4), t(2, 3), t(3, 4), beta=0.5)",
        "f(t(3), t(2, 3), t(3, 4))",
        "f(t(4), t(2, 3), t(2, 4))",
        "f(t(1, 2, 4), t(2, 3), t(3, 4))",
    ),
)
def addmm(input: Any, mat1: Any, mat2: Any, **_: Any) -> Result:
    """A matrix product plus what stretches to it."""
    return _added(input, mm(mat1, mat2))


@op(
    "torch.addmv",
    "Tensor.addmv",
    examples=("f(t(2), t(2, 3), t(3))", "f(t(1), t(2, 3), t(3))", "f(t(3), t(2, 3), t(3))"),
)
def addmv(input: Any, mat: Any, vec: Any, **_: Any) -> Result:
    """A matrix times a vector, plus what stretches to it."""
    return _added(input, mv(mat, vec))


@op("torch.addr", "Tensor.addr", examples=("f(t(2, 3), t(2), t(3))", "f(t(3), t(2), t(3))", "f(t(2), t(2), t(3))"))
def addr(input: Any, vec1: Any, vec2: Any, **_: Any) -> Result:
    """An outer product plus what stretches to it."""
    return _added(input, outer(vec1, vec2))


@op(
    "torch.baddbmm",
    "Tensor.baddbmm",
    examples=(
        "f(t(5, 2, 4), t(5, 2, 3), t(5, 3, 4))",
        "f(t(2, 1), t(5, 2, 3), t(5, 3, 4), alpha=0.5)",
        "f(t(2, 3), t(5, 2, 3), t(5, 3, 4))",
        "f(t(4), t(5, 2, 3), t(5, 2, 4))",
    ),
)
def baddbmm(input: Any, batch1: Any, batch2: Any, **_: Any) -> Result:
    """Products of matrices in pairs, plus what stretches to them."""
    return _added(input, bmm(batch1, batch2))


@op(
    "torch.addbmm",
    "Tensor.addbmm",
    examples=(
        "f(t(2, 4), t(5, 2, 3), t(5, 3, 4))",
        "f(t(4), t(5, 2, 3), t(5, 3, 4))",
        "f(t(2, 4), t(5, 2, 3), t(5, 4, 4))",
    ),
)
def addbmm(input: Any, batch1: Any, batch2: Any, **_: Any) -> Result:
    """The sum of products of matrices in pairs, plus what stretches to it."""
    product = bmm(batch1, batch2)
    if isinstance(product, Tensor) and product.shape.axes is not None:
        product = Tensor(Shape(product.shape.axes[1:], product.shape.doubt), product.dtype)
    return _added(input, product)


def _chained(matrices: tuple[Any, ...], *, ends_may_be_vectors: bool) -> Result:
    result: Result = matrices[0] if matrices else UNKNOWN
    for position, matrix in enumerate(matrices):
        if isinstance(matrix, Tensor):
            rank = matrix.shape.rank
            end = position in (0, len(matrices) - 1) and ends_may_be_vectors
            if rank is not None and rank != 2 and not (end and rank == 1):
                return RankMismatch(f"matrices[{position}]", matrix.shape.sizes or (), "n m")
        if position:
            result = _product_of(result, matrix)
            if not isinstance(result, Tensor):
                return result
    return result


# Calls would warn that it is deprecated.
@op("torch.chain_matmul", examples=())
def chain_matmul(*matrices: Any, **_: Any) -> Result:
    """The product of several matrices."""
    return _chained(matrices, ends_may_be_vectors=False)


@op(
    "torch.linalg.multi_dot",
    examples=(
        "f([t(2, 3), t(3, 4), t(4, 5)])",
        "f([t(3), t(3, 4), t(4)])",
        "f([t(2, 3), t(2, 3)])",
        "f([t(2, 3), t(1, 3, 2)])",
    ),
)
def multi_dot(tensors: Any, **_: Any) -> Result:
    """The product of several matrices, of which the first and last may be vectors."""
    return _chained(tensors, ends_may_be_vectors=True) if isinstance(tensors, tuple) else UNKNOWN_TENSOR


@op(
    "torch.tensordot",
    examples=(
        "f(t(2, 3, 4), t(3, 4, 5))",
        "f(t(2, 3), t(3, 4), dims=1)",
        "f(t(2, 3), t(4, 5), 0)",
        "f(t(2, 3, 4), t(4, 5, 3), dims=([1, 2], [2, 0]))",
        "f(t(2, 3), t(4, 3), dims=1)",
        "f(t(2, 3), t(3, 2), dims=([0], [0]))",
        "f(t(2, 1), t(3, 4), dims=1)",
        "f(t(2, 3), t(3, 2), dims=([5], [0]))",
        "f(t(2, 3), t(3, 2), dims=([0, 1], [0]))",
    ),
)
def tensordot(a: Any, b: Any, dims: Any = Dim(2), **_: Any) -> Result:
    """The sum over several pairs of axes."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape.axes is None or b.shape.axes is None:
        return UNKNOWN_TENSOR
    rank, other_rank = len(a.shape.axes), len(b.shape.axes)
    count = read_number(dims)
    if count is not None:
        one: Any = tuple(Dim(axis) for axis in range(-count, 0))
        other: Any = tuple(Dim(axis) for axis in range(count))
    elif isinstance(dims, tuple) and len(dims) == 2:
        one, other = (entry if isinstance(entry, tuple) else (entry,) for entry in dims)
    else:
        return UNKNOWN_TENSOR
    left, right = axis_positions(one, rank), axis_positions(other, other_rank)
    if isinstance(left, Mismatch) or isinstance(right, Mismatch):
        return left if isinstance(left, Mismatch) else right
    if left is None or right is None:
        return UNKNOWN_TENSOR
    if len(left) != len(right):
        return AxisMismatch("dims", 1, len(right), str(len(left)), len(left), None)
    doubt: Mismatch | None = None
    for left_axis, right_axis in zip(left, right, strict=True):
        mismatch, sure = check_contraction(a.shape, b.shape, left_axis - rank, right_axis - other_rank)
        # An axis of 1 stands for any size in a sum.
        if mismatch is None or 1 in (a.shape.axes[left_axis].size, b.shape.axes[right_axis].size):
            continue
        if sure:
            return mismatch
        doubt = doubt or mismatch
    kept = [axis for position, axis in enumerate(a.shape.axes) if position not in left]
    kept += [axis for position, axis in enumerate(b.shape.axes) if position not in right]
    return Tensor(Shape(tuple(kept), doubt), common_dtype(a, b))


@op("torch.kron", "Tensor.kron", examples=("f(t(2, 3), t(4, 5))", "f(t(2), t(4, 5))", "f(t(2, 3, 4), t(5))"))
def kron(input: Any, other: Any, **_: Any) -> Result:
    """Every number of one times all of the other; the sizes multiply."""
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        return UNKNOWN
    one, another = input.shape.axes, other.shape.axes
    if one is None or another is None:
        return UNKNOWN_TENSOR
    rank = max(len(one), len(another))
    one, another = ((Axis.of(1),) * (rank - len(axes)) + axes for axes in (one, another))
    axes = [
        UNKNOWN_AXIS
        if left.size is None or right.size is None
        else Axis(
            left.size * right.size,
            None if left.factors is None or right.factors is None else left.factors + right.factors,
        )
        for left, right in zip(one, another, strict=True)
    ]
    return Tensor(Shape(tuple(axes)), result_type(input, other))
