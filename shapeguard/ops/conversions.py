"""Operations that keep the shape and change the dtype, the place or nothing, and those that tell the shape."""

# ruff: noqa: A002, ARG001 - torch's names

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapeguard.ops.arguments import read_number
from shapeguard.ops.reading import as_tensor, cast, find_axis, keep_shape
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, Dtype, Result, Tensor, Value
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import Mismatch, WrongRank


@op(
    "Tensor.contiguous",
    "torch.clone",
    "Tensor.clone",
    examples=("f(t(2, 3))", "f(t(2, 3, dtype=i64), memory_format=torch.contiguous_format)", "f(t())"),
)
def clone(input: Any, *, memory_format: Any = None) -> Result:
    """The same in memory of its own."""
    return keep_shape(as_tensor(input))


@op(
    "torch.detach",
    "Tensor.detach",
    "Tensor.detach_",
    "Tensor.requires_grad_",
    examples=("f(t(2, 3))", "f(t())"),
)
def detach(input: Any, requires_grad: Any = None) -> Result:
    """The same, cut from what it was computed from."""
    return keep_shape(as_tensor(input))


@op("Tensor.cpu", "Tensor.cuda", "Tensor.pin_memory", "Tensor.share_memory_", examples=())
def move(input: Any, device: Any = None, non_blocking: Any = None, memory_format: Any = None) -> Result:
    """The same elsewhere."""
    return keep_shape(as_tensor(input))


@op(
    "Tensor.to",
    examples=(
        "f(t(2, 3), torch.float16)",
        "f(t(2, 3), 'meta')",
        "f(t(2, 3), 'meta', torch.int64)",
        "f(t(2, 3), t(4, dtype=i64))",
        "f(t(2, 3), device='meta', dtype=boolean)",
        "f(t(2, 3), device='meta', non_blocking=True)",
    ),
)
def to(input: Any, *arguments: Any, dtype: Any = None, device: Any = None, other: Any = None, **more: Any) -> Result:
    """The same as another dtype or elsewhere; the first arguments are a dtype, a device, both, or a tensor to be like."""
    x = as_tensor(input)
    for argument in (dtype, *arguments[:2], other):
        if isinstance(argument, Dtype):
            return cast(x, argument.name)
        if isinstance(argument, Tensor):
            return cast(x, argument.dtype)
    # Of what is not known, any may be a dtype; a device by name is not.
    unsure = dtype is not None or any(
        not isinstance(argument, str | bool | None) for argument in (*arguments[:2], other)
    )
    return cast(x, None if unsure else x.dtype)


@op("Tensor.type", examples=("f(t(2, 3), torch.float16)", "f(t(2, 3), dtype=i64)"))
def change_type(input: Any, dtype: Any = None, non_blocking: Any = None) -> Result:
    """The same as another dtype; without one, its name, which is of no interest here."""
    if dtype is None:
        return UNKNOWN
    return cast(as_tensor(input), dtype.name if isinstance(dtype, Dtype) else None)


@op("Tensor.type_as", examples=("f(t(2, 3), t(4, dtype=i64))", "f(t(2, dtype=boolean), t())"))
def type_as(input: Any, other: Any) -> Result:
    """The same with the dtype of another tensor."""
    return cast(as_tensor(input), as_tensor(other).dtype)


def _cast_to(dtype: str) -> Callable[..., Result]:
    def convert(input: Any, memory_format: Any = None) -> Result:
        return cast(as_tensor(input), dtype)

    return convert


for _name, _dtype in {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "bfloat16": "bfloat16",
    "cfloat": "complex64",
    "cdouble": "complex128",
    "int": "int32",
    "long": "int64",
    "short": "int16",
    "char": "int8",
    "byte": "uint8",
    "bool": "bool",
}.items():
    op(f"Tensor.{_name}", examples=("f(t(2, 3))", "f(t(dtype=i64))"))(_cast_to(_dtype))


@op(
    "Tensor.size",
    examples=("f(t(2, 3))", "f(t(2, 3), -1)", "f(t(2, 3), dim=0)", "f(t())", "f(t(2, 3), 2)", "f(t(), 0)"),
)
def size(input: Any, dim: Any = None) -> Result:
    """All sizes, or one."""
    x = as_tensor(input)
    if x.shape.sizes is None:
        return UNKNOWN
    if dim is None:
        return tuple(map(_unless_unknown, x.shape.sizes))
    position = find_axis(x, dim)
    if not x.shape.sizes and read_number(dim) is not None:
        return WrongRank((), "at least 1")
    if isinstance(position, int):
        return _unless_unknown(x.shape.sizes[position])
    return position if isinstance(position, Mismatch) else UNKNOWN


def _unless_unknown(size: Dim | None) -> Value:
    return UNKNOWN if size is None else size


@op("Tensor.dim", "Tensor.ndimension", examples=("f(t(2, 3))", "f(t())"))
def count_axes(input: Any) -> Result:
    """The number of axes."""
    rank = as_tensor(input).shape.rank
    return UNKNOWN if rank is None else Dim(rank)


@op("Tensor.__len__", examples=("f(t(2, 3))", "f(t())"))
def length(input: Any) -> Result:
    """The size of the first axis, which `len` gives."""
    return size(input, Dim(0))


@op("torch.numel", "Tensor.numel", "Tensor.nelement", examples=("f(t(2, 3))", "f(t())", "f(t(2, 0))"))
def count_elements(input: Any) -> Result:
    """The number of elements."""
    sizes = as_tensor(input).shape.sizes
    product = Dim(1)
    for each in sizes or ():
        if each is None:
            return UNKNOWN
        product = product * each
    return UNKNOWN if sizes is None else product


@op("Tensor.item", examples=("f(t(2))", "f(t(2, 3))"))
def item(input: Any) -> Result:
    """A tensor's only element, of which nothing is known."""
    sizes = as_tensor(input).shape.sizes
    count = count_elements(input)
    if sizes is not None and isinstance(count, Dim) and compare(count, 1) is False:
        return WrongRank(sizes, "a single element")
    return UNKNOWN


@op("Tensor.tolist", examples=())
def listed(input: Any) -> Result:
    """The elements as Python's, of which nothing is known."""
    return UNKNOWN
