"""Operations that change how a tensor lies in memory, or of which layout it is: resize_, sparse tensors, strides."""

# ruff: noqa: A002, ARG001 - torch's names

from __future__ import annotations

from typing import Any

from shapeguard.ops.arguments import read_dtype, read_shape, tensor_of
from shapeguard.ops.promotion import DEFAULT_FLOAT
from shapeguard.ops.reading import as_tensor, cast, keep_shape
from shapeguard.ops.registry import op
from shapeguard.ops.selecting import refuse_rank
from shapeguard.ops.values import Dtype, Result
from shapeguard.shapes.mismatch import InvalidArgument, Mismatch


@op(
    "Tensor.coalesce",
    "Tensor.to_sparse",
    "Tensor.to_sparse_coo",
    "Tensor.to_sparse_csr",
    "Tensor.to_sparse_csc",
    "Tensor.dequantize",
    "Tensor.apply_",
    "Tensor.map_",
    # Of layouts that the meta device has not.
    examples=(),
)
@op("torch.resolve_conj", "torch.resolve_neg", "Tensor.resolve_conj", "Tensor.resolve_neg", examples=("f(t(2, 3))",))
def laid_out(input: Any, *_: Any, **__: Any) -> Result:
    """The same in another layout."""
    return keep_shape(as_tensor(input))


@op("Tensor.to_dense", examples=("f(t(2, 3))", "f(t(2, 3), torch.float64)"))
def to_dense(input: Any, dtype: Any = None, *, masked_grad: Any = None) -> Result:
    """The same with all its zeros."""
    x = as_tensor(input)
    return cast(x, read_dtype(dtype, x.dtype))


@op(
    "Tensor.resize_",
    examples=("f(t(2, 3), 4)", "f(t(2, 3), 4, 5)", "f(t(2, 3), (3, 2))", "f(t(2, 3), ())", "f(t(2), -1)"),
)
def resize(input: Any, *size: Any, memory_format: Any = None) -> Result:
    """As much memory as other sizes need, whatever is in it."""
    return tensor_of(read_shape(size), as_tensor(input).dtype)


@op("Tensor.resize_as_", examples=("f(t(2, 3), t(4))", "f(t(2, 3), t(3, dtype=i64))"))
def resize_as(input: Any, the_template: Any, *, memory_format: Any = None) -> Result:
    """As much memory as another tensor has."""
    return cast(as_tensor(the_template), as_tensor(input).dtype)


@op("Tensor.fill_diagonal_", examples=("f(t(2, 3), 1)", "f(t(3, 3, 3), 0.5, wrap=True)", "f(t(3), 1)"))
def fill_diagonal(input: Any, fill_value: Any, wrap: Any = None) -> Result:
    """A tensor with one number on its diagonal."""
    x = as_tensor(input)
    return refuse_rank(x, 2) or keep_shape(x)


@op(
    "torch.empty_strided",
    examples=("f((2, 3), (3, 1))", "f((2,), (1,), dtype=i64)", "f((2, 3), (1,))"),
)
def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Result:
    """A tensor of given sizes and steps."""
    shape = read_shape((size,))
    if (
        isinstance(size, tuple)
        and isinstance(stride, tuple)
        and len(size) != len(stride)
        and not isinstance(shape, Mismatch)
    ):
        return InvalidArgument("stride", f"of {len(stride)} steps", f"{len(size)}, one for each axis")
    return tensor_of(shape, read_dtype(dtype, DEFAULT_FLOAT))


@op(
    "Tensor.new_empty_strided",
    examples=("f(t(2, dtype=i64), (2, 3), (3, 1))", "f(t(2), (2,), (1,), dtype=i64)"),
)
def new_empty_strided(input: Any, size: Any, stride: Any, dtype: Any = None, **_: Any) -> Result:
    """A tensor of given sizes and steps, of the dtype of another."""
    held = as_tensor(input).dtype
    wanted = dtype if dtype is not None else None if held is None else Dtype(held)
    made = empty_strided(size, stride, dtype=wanted)
    return made if isinstance(made, Mismatch) else cast(as_tensor(made), read_dtype(dtype, held))
