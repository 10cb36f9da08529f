"""Operations that see the same elements in other axes: permute, reshape, squeeze and the like."""

# ruff: noqa: A002 - torch's names

from __future__ import annotations

from typing import Any

from shapeguard.ops.arguments import read_number, tensor_of
from shapeguard.ops.reading import (
    AT_LEAST,
    as_integers,
    as_sizes,
    as_tensor,
    find_axis,
    gathered,
    keep_shape,
    otherwise,
    sizes_of,
)
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, Dtype, Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import InvalidArgument, Mismatch, OrderLengthMismatch, WrongRank
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape, positions_of

_BYTES = {
    **dict.fromkeys(("bool", "int8", "uint8", "float8_e4m3fn", "float8_e5m2"), 1),
    **dict.fromkeys(("int16", "uint16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32", "complex32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64", "complex64"), 8),
    "complex128": 16,
}


@op("torch.permute", examples=("f(t(2, 3, 4), (2, 0, -2))", "f(t(2, 3), (0, 0))", "f(t(2, 3), (1, 0, 2))"))
def permute(input: Any, dims: Any) -> Result:
    """The axes in another order."""
    x = as_tensor(input)
    order = as_integers(dims)
    return otherwise(None, x.dtype) if order is None else tensor_of(shapes.permute(x.shape, order), x.dtype)


@op(
    "Tensor.permute",
    examples=(
        "f(t(2, 3, 4), 0, 2, 1)",
        "f(t(2, 3, 4), (2, 0, -2))",
        "f(t(2, 3), 0, 0)",
        "f(t(2, 3), 1, 0, 2)",
        "f(t(2), 1)",
    ),
)
def permute_method(input: Any, *dims: Any) -> Result:
    """The axes in another order, which may be given one by one."""
    return permute(input, gathered(dims))


@op("torch.reshape", examples=("f(t(2, 6), (3, 4))", "f(t(2, 6), (4, -1))", "f(t(2, 6), (5, -1))", "f(t(2), (-1, -1))"))
def reshape(input: Any, shape: Any) -> Result:
    """The same elements in their order, with other axes."""
    x = as_tensor(input)
    sizes = as_sizes(shape)
    if sizes is None:
        return otherwise(None, x.dtype)
    return tensor_of(shapes.reshape(x.shape, sizes, at_least=AT_LEAST), x.dtype)


@op(
    "Tensor.reshape",
    examples=("f(t(2, 6), 3, 4)", "f(t(2, 6), (4, -1))", "f(t(2, 6), -1)", "f(t(2, 6), 5, 2)", "f(t(2, 6), 2, -2)"),
)
def reshape_method(input: Any, *shape: Any) -> Result:
    """The same elements, with axes that may be given one by one."""
    return reshape(input, gathered(shape))


@op(
    "Tensor.view",
    examples=(
        "f(t(2, 6), 3, 4)",
        "f(t(2, 6), (4, -1))",
        "f(t(2, 6), 5)",
        "f(t(2, 6), torch.float16)",
        "f(t(2, 6), dtype=torch.float64)",
        "f(t(2, 5), torch.float64)",
        "f(t(), torch.float16)",
    ),
)
def view(input: Any, *size: Any, dtype: Any = None) -> Result:
    """The same memory, with other axes or read as another dtype."""
    what = gathered(size) if dtype is None else dtype
    return _view_as_dtype(as_tensor(input), what) if isinstance(what, Dtype) else reshape(input, what)


def _view_as_dtype(x: Tensor, dtype: Dtype) -> Result:
    held, wanted = _BYTES.get(x.dtype or ""), _BYTES.get(dtype.name)
    if x.shape.axes is None or held is None or wanted is None:
        return otherwise(None, dtype.name)
    if held == wanted:
        return Tensor(Shape(x.shape.axes), dtype.name)
    if not x.shape.axes:
        return WrongRank((), f"at least 1, as {dtype.name} is not as wide as {x.dtype}")
    last = x.shape.axes[-1].size
    if last is not None and read_number(last * held % wanted):
        return InvalidArgument("dtype", dtype.name, f"one in which an axis of {last} {x.dtype} is whole")
    width = Axis.of(last * held // wanted) if last is not None else UNKNOWN_AXIS
    return Tensor(Shape((*x.shape.axes[:-1], width)), dtype.name)


@op(
    "Tensor.view_as",
    "Tensor.reshape_as",
    examples=("f(t(2, 6), t(3, 4))", "f(t(2, 6), t(3, 4, dtype=i64))", "f(t(2), t(3))"),
)
def view_as(input: Any, other: Any) -> Result:
    """The same elements with the sizes of another tensor."""
    sizes = as_tensor(other).shape.sizes
    return reshape(input, UNKNOWN if sizes is None else sizes)


@op(
    "torch.flatten",
    "Tensor.flatten",
    examples=(
        "f(t(2, 3, 4))",
        "f(t(2, 3, 4), 1)",
        "f(t(2, 3, 4), start_dim=0, end_dim=1)",
        "f(t())",
        "f(t(2, 3), 1, 0)",
        "f(t(2, 3), 2)",
    ),
)
def flatten(input: Any, start_dim: Any = Dim(0), end_dim: Any = Dim(-1)) -> Result:  # noqa: B008 - a Dim never changes
    """Neighbouring axes joined to one."""
    x = as_tensor(input)
    start, end = read_number(start_dim), read_number(end_dim)
    if start is None or end is None:
        return otherwise(None, x.dtype)
    if x.shape.axes is None and (start, end) == (0, -1):
        return Tensor(Shape.of(None), x.dtype)
    return tensor_of(shapes.flatten(x.shape, start, end), x.dtype)


@op("torch.ravel", "Tensor.ravel", examples=("f(t(2, 3, 4))", "f(t())"))
def ravel(input: Any) -> Result:
    """All axes joined to one."""
    return flatten(input)


@op(
    "torch.unflatten",
    "Tensor.unflatten",
    examples=(
        "f(t(2, 12, 5), 1, (3, 4))",
        "f(t(2, 12), dim=-1, sizes=(3, -1))",
        "f(t(2, 12), 1, (5, -1))",
        "f(t(2, 12), 2, (3, 4))",
        "f(t(2, 12), 1, (3, 5))",
    ),
)
def unflatten(input: Any, dim: Any, sizes: Any) -> Result:
    """One axis taken apart."""
    x = as_tensor(input)
    position = find_axis(x, dim)
    if not isinstance(position, int) or not x.shape.axes:
        return otherwise(position if isinstance(position, Mismatch) else None, x.dtype)
    # A single value is not one size: it is a tuple that goes by a name.
    wanted = as_sizes(sizes) if isinstance(sizes, tuple) else None
    if wanted is None:
        return otherwise(None, x.dtype)
    parts = shapes.reshape(Shape((x.shape.axes[position],)), wanted, at_least=AT_LEAST)
    if isinstance(parts, Mismatch) or parts.axes is None:
        return tensor_of(parts, x.dtype)
    axes = (*x.shape.axes[:position], *parts.axes, *x.shape.axes[position + 1 :])
    return Tensor(Shape(axes, parts.doubt), x.dtype)


@op(
    "torch.squeeze",
    "Tensor.squeeze",
    "Tensor.squeeze_",
    examples=(
        "f(t(1, 3, 1))",
        "f(t(1, 3, 1), 0)",
        "f(t(1, 3, 1), dim=-1)",
        "f(t(1, 3), 1)",
        "f(t(1, 3, 1), (0, 2))",
        "f(t())",
        "f(t(1, 3), 2)",
    ),
)
def squeeze(input: Any, dim: Any = None) -> Result:
    """The axes of size 1 taken away."""
    x = as_tensor(input)
    axes = None if dim is None else as_integers(dim)
    if dim is not None and axes is None:
        return otherwise(None, x.dtype)
    return tensor_of(shapes.squeeze(x.shape, axes, at_least=AT_LEAST), x.dtype)


@op(
    "torch.unsqueeze",
    "Tensor.unsqueeze",
    "Tensor.unsqueeze_",
    examples=("f(t(2, 3), 0)", "f(t(2, 3), dim=-1)", "f(t(2, 3), -3)", "f(t(), 0)", "f(t(2, 3), 3)", "f(t(2), -3)"),
)
def unsqueeze(input: Any, dim: Any) -> Result:
    """A new axis of size 1."""
    x = as_tensor(input)
    axis = read_number(dim)
    if axis is None:
        # Wherever it is put, there is one axis more.
        return (
            Tensor(Shape.of(*[None] * (x.shape.rank + 1)), x.dtype)
            if x.shape.rank is not None
            else otherwise(None, x.dtype)
        )
    return tensor_of(shapes.unsqueeze(x.shape, axis), x.dtype)


@op(
    "torch.transpose",
    "Tensor.transpose",
    "Tensor.transpose_",
    "torch.swapdims",
    "Tensor.swapdims",
    "Tensor.swapdims_",
    examples=(
        "f(t(2, 3, 4), 1, 2)",
        "f(t(2, 3, 4), dim0=0, dim1=-1)",
        "f(t(), 0, -1)",
        "f(t(2, 3), 1, 2)",
        "f(t(2), -2, 0)",
    ),
)
def transpose(input: Any, dim0: Any, dim1: Any) -> Result:
    """Two axes exchanged."""
    x = as_tensor(input)
    first, second = read_number(dim0), read_number(dim1)
    if first is None or second is None:
        return Tensor(Shape(None if x.shape.axes is None else Shape.of(*[None] * len(x.shape.axes)).axes), x.dtype)
    return tensor_of(shapes.transpose(x.shape, first, second), x.dtype)


@op(
    "torch.swapaxes",
    "Tensor.swapaxes",
    "Tensor.swapaxes_",
    examples=("f(t(2, 3, 4), 1, 2)", "f(t(2, 3, 4), axis0=0, axis1=-1)", "f(t(2, 3), 1, 2)"),
)
def swapaxes(input: Any, axis0: Any, axis1: Any) -> Result:
    """Two axes exchanged, by numpy's name."""
    return transpose(input, axis0, axis1)


@op("torch.t", "Tensor.t", "Tensor.t_", examples=("f(t(2, 3))", "f(t(2))", "f(t())", "f(t(2, 3, 4))"))
def transpose_matrix(input: Any) -> Result:
    """A matrix with its axes exchanged; a vector or a scalar as it is."""
    x = as_tensor(input)
    if x.shape.axes is not None and len(x.shape.axes) > 2:  # noqa: PLR2004 - a matrix has two axes
        return WrongRank(sizes_of(x.shape.axes), "at most 2")
    return Tensor(Shape(None if x.shape.axes is None else x.shape.axes[::-1]), x.dtype)


@op("torch.adjoint", "Tensor.adjoint", examples=("f(t(2, 3))", "f(t(5, 2, 3))", "f(t(2))"))
def adjoint(input: Any) -> Result:
    """The last two axes exchanged."""
    x = as_tensor(input)
    if x.shape.axes is not None and len(x.shape.axes) < 2:  # noqa: PLR2004 - a matrix has two axes
        return keep_shape(x) if not x.shape.axes else WrongRank(sizes_of(x.shape.axes), "at least 2")
    return tensor_of(shapes.transpose(x.shape, -2, -1), x.dtype)


@op(
    "torch.movedim",
    "Tensor.movedim",
    "torch.moveaxis",
    "Tensor.moveaxis",
    examples=(
        "f(t(2, 3, 4), 0, -1)",
        "f(t(2, 3, 4), source=1, destination=0)",
        "f(t(2, 3, 4), (0, 1), (-1, 0))",
        "f(t(2, 3, 4), (0, 1), (2,))",
        "f(t(2, 3, 4), 3, 0)",
        "f(t(2, 3, 4), (0, 0), (1, 2))",
    ),
)
def movedim(input: Any, source: Any, destination: Any) -> Result:
    """Some axes moved elsewhere, the others in their order."""
    x = as_tensor(input)
    origins, targets = as_integers(source), as_integers(destination)
    if x.shape.axes is None or origins is None or targets is None:
        return Tensor(Shape(None if x.shape.axes is None else Shape.of(*[None] * len(x.shape.axes)).axes), x.dtype)
    if len(origins) != len(targets):
        return OrderLengthMismatch(targets, len(origins))
    before = positions_of(origins, len(x.shape.axes))
    after = positions_of(targets, len(x.shape.axes))
    if isinstance(before, Mismatch):
        return before
    if isinstance(after, Mismatch):
        return after
    if not x.shape.axes:
        return keep_shape(x)
    moved: dict[int, Axis] = {to: x.shape.axes[place] for to, place in zip(after, before, strict=True)}
    staying = iter(axis for place, axis in enumerate(x.shape.axes) if place not in before)
    return Tensor(Shape(tuple(moved[to] if to in moved else next(staying) for to in range(len(x.shape.axes)))), x.dtype)
