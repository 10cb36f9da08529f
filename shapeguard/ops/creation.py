"""Operations that make a tensor from sizes, numbers or another tensor's shape: zeros, arange, tensor, zeros_like."""

# ruff: noqa: A002, B008 - torch's names and defaults

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from shapeguard.ops.arguments import read_dtype, read_number, read_shape, tensor_of
from shapeguard.ops.promotion import (
    BOOL,
    DEFAULT_FLOAT,
    INTEGER,
    as_complex,
    as_real,
    category,
    dtype_of_number,
    result_type,
)
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Result, Tensor, Unknown
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, as_int, divide_exactly
from shapeguard.shapes.mismatch import AxisMismatch, DtypeMismatch, InvalidSize, Mismatch
from shapeguard.shapes.shape import Axis, Shape

_MANY = ("f(2, 3)", "f((2, 3))", "f([2, 3])", "f(())", "f(2, dtype=torch.float16)", "f(size=(2, 3))", "f(2, -1)")


@op("torch.zeros", "torch.ones", "torch.empty", "torch.rand", "torch.randn", examples=_MANY)
def zeros(*sizes: Any, size: Any = None, dtype: Any = None, **_: Any) -> Result:
    """A tensor of sizes given one by one or as one tuple."""
    return tensor_of(read_shape(sizes if size is None else (size,)), read_dtype(dtype, DEFAULT_FLOAT))


@op(
    "torch.full",
    examples=(
        "f((2, 3), 0.5)",
        "f((2,), 1)",
        "f([2], True)",
        "f((2,), 1, dtype=torch.float16)",
        "f(size=(2,), fill_value=0)",
        "f((-2,), 0)",
    ),
)
def full(size: Any, fill_value: Any, *, dtype: Any = None, **_: Any) -> Result:
    """A tensor full of a number, whose kind decides the dtype."""
    return tensor_of(read_shape((size,)), read_dtype(dtype, dtype_of_number(fill_value)))


@op(
    "torch.randint",
    examples=(
        "f(10, (2, 3))",
        "f(0, 10, (2,))",
        "f(0, 10, size=[2])",
        "f(high=5, size=(2, 3))",
        "f(9, (2,), dtype=torch.int32)",
        "f(9, (-2,))",
    ),
)
def randint(*arguments: Any, size: Any = None, dtype: Any = None, **_: Any) -> Result:
    """Whole numbers below a bound."""
    if size is None:
        size = arguments[-1] if len(arguments) > 1 else UNKNOWN
    return tensor_of(read_shape((size,)), read_dtype(dtype, "int64"))


@op("torch.randperm", examples=("f(5)", "f(5, dtype=torch.int32)", "f(-1)"))
def randperm(n: Any, *, dtype: Any = None, **_: Any) -> Result:
    """The numbers below `n` in some order."""
    return tensor_of(read_shape((n if isinstance(n, Dim) else (UNKNOWN,),)), read_dtype(dtype, "int64"))


def _steps(start: Any, end: Any, step: Any) -> Dim | None:
    """How many numbers lie between two, the end excluded."""
    bounds = (start, end, step)
    if all(isinstance(bound, Dim) for bound in bounds):
        distance, each = end - start, as_int(step)
        if each == 0:
            return None
        if each is not None and each < 0:
            distance, step, each = -distance, -step, -each
        count = divide_exactly(distance, step)
        if count is None:
            # Rounded up.
            count = (distance + each - 1) // each if each is not None else -(-distance // step)
        return count
    numbers = [bound if isinstance(bound, float) else read_number(bound) for bound in bounds]
    first, last, stride = (number if number is not None else math.nan for number in numbers)
    if stride and math.isfinite(first + last + stride):
        return Dim(math.ceil((last - first) / stride))
    return None


@op(
    "torch.arange",
    examples=(
        "f(5)",
        "f(2, 7)",
        "f(2, 7, 2)",
        "f(7, 2, -2)",
        "f(0.0, 1.0, 0.3)",
        "f(5.0)",
        "f(end=5)",
        "f(0, 10, step=3, dtype=torch.float32)",
        "f(start=1, end=4)",
        "f(0, -8.5, -4.0, dtype=i64)",
        "f(0)",
        "f(7, 2)",
    ),
)
def arange(*bounds: Any, start: Any = None, end: Any = None, step: Any = None, dtype: Any = None, **_: Any) -> Result:
    """The numbers from a start up to an end; `arange(t)` has t of them."""
    given = list(bounds)
    if end is None:
        end = given.pop(0) if len(given) == 1 else given.pop(1) if len(given) > 1 else UNKNOWN
    if start is None:
        start = given.pop(0) if given else Dim(0)
    if step is None:
        step = given.pop(0) if given else Dim(1)
    kinds = [dtype_of_number(bound) for bound in (start, end, step)]
    held = None if None in kinds else DEFAULT_FLOAT if DEFAULT_FLOAT in kinds else "int64"
    wanted = read_dtype(dtype, held)
    if wanted is None and DEFAULT_FLOAT in kinds:
        return Tensor(Shape.of(None))
    if category(wanted) == INTEGER:
        start, end, step = map(_truncated, (start, end, step))
    size = _steps(start, end, step)
    if size is not None and (as_int(size) or 0) < 0:
        return InvalidSize((size,), 0)
    return Tensor(Shape.of(size), wanted)


def _truncated(bound: Any) -> Any:
    """A bound as torch takes it where the numbers are to be whole."""
    return Dim(int(bound)) if isinstance(bound, float) and math.isfinite(bound) else bound


@op(
    "torch.linspace",
    "torch.logspace",
    examples=("f(0, 1, 5)", "f(0.0, 1.0, steps=3)", "f(0, 1, 5, dtype=torch.float64)", "f(0, 1, -5)"),
)
def linspace(start: Any, end: Any, steps: Any, *_: Any, dtype: Any = None, **__: Any) -> Result:
    """So many numbers from one to another, both included."""
    bounds = [bound for bound in (start, end) if isinstance(bound, Tensor | Unknown)]
    return tensor_of(read_shape(((steps,),)), read_dtype(dtype, None if bounds else DEFAULT_FLOAT))


@op("torch.eye", examples=("f(3)", "f(3, 4)", "f(3, m=2, dtype=i64)", "f(-3)"))
def eye(n: Any, m: Any = None, *, dtype: Any = None, **_: Any) -> Result:
    """Ones on the diagonal."""
    return tensor_of(read_shape(((n, n if m is None else m),)), read_dtype(dtype, DEFAULT_FLOAT))


def _shape_of_data(data: Any, depth: int = 0) -> tuple[Shape | Mismatch, str | None]:
    """The shape and dtype of nested tuples of numbers."""
    if isinstance(data, Tensor):
        return Shape(data.shape.axes), data.dtype
    if not isinstance(data, tuple):
        dtype = dtype_of_number(data)
        return Shape.unknown() if dtype is None else Shape(()), dtype
    if not data:
        return Shape.of(0), DEFAULT_FLOAT
    first: Shape | None = None
    dtypes = set()
    for entry in data:
        shape, dtype = _shape_of_data(entry, depth + 1)
        dtypes.add(dtype)
        if isinstance(shape, Mismatch):
            return shape, None
        if shape.axes is None:
            first = Shape.unknown()
        elif first is None:
            first = shape
        elif first.axes and shape.axes:
            size, other = first.axes[0].size, shape.axes[0].size
            if size is not None and other is not None and compare(size, other) is False:
                return AxisMismatch("data", depth + 1, other, str(size), size, "the first entry"), None
            first = first if first == shape else Shape.unknown()
        elif first.axes != shape.axes:
            first = Shape.unknown()
    axes = None if first is None else first.axes
    dtype = None if None in dtypes else max(dtypes, key=lambda name: (category(name) or BOOL, str(name)))
    return Shape(None if axes is None else (Axis.of(len(data)), *axes)), dtype


_DATA = (
    "f([1, 2, 3])",
    "f([[1, 2.5], [3, 4]])",
    "f(2)",
    "f(0.5)",
    "f([True, False])",
    "f([])",
    "f([1], dtype=torch.float32)",
    "f(((1, 2, 3), (4, 5, 6)))",
    "f([[1, 2], [3]])",
    "f([[[1], [2]], [[1]]])",
)


@op("torch.tensor", "torch.as_tensor", "torch.asarray", examples=_DATA)
def tensor(data: Any, *, dtype: Any = None, **_: Any) -> Result:
    """Nested lists of numbers as a tensor."""
    shape, held = _shape_of_data(data)
    return tensor_of(shape, read_dtype(dtype, held))


@op("torch.scalar_tensor", examples=("f(2)", "f(0.5, dtype=torch.float64)"))
def scalar_tensor(s: Any, *, dtype: Any = None, **_: Any) -> Result:  # noqa: ARG001 - any number will do
    """One number without an axis."""
    return Tensor(Shape(()), read_dtype(dtype, DEFAULT_FLOAT))


# What it is given is no tensor, so there is nothing known to show.
@op("torch.from_numpy", "torch.frombuffer", "torch.load", examples=())
def from_numpy(*_: Any, **__: Any) -> Result:
    """A tensor whose shape another library knows."""
    return UNKNOWN_TENSOR


_CLASSES = {
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "HalfTensor": "float16",
    "LongTensor": "int64",
    "IntTensor": "int32",
    "ShortTensor": "int16",
    "ByteTensor": "uint8",
    "CharTensor": "int8",
    "BoolTensor": "bool",
    "Tensor": DEFAULT_FLOAT,
}


def _of_class(dtype: str) -> Callable[..., Result]:
    def make(*arguments: Any, **_: Any) -> Result:
        if len(arguments) == 1 and not isinstance(arguments[0], Dim):
            data = arguments[0]
            return tensor_of(_shape_of_data(data)[0] if isinstance(data, tuple | Tensor) else Shape.unknown(), dtype)
        return tensor_of(read_shape(arguments) if arguments else Shape.of(0), dtype)

    return make


for _name, _dtype in _CLASSES.items():
    op(f"torch.{_name}", examples=("f(2, 3)", "f([1, 2])", "f([[1], [0]])", "f()", "f([[1, 2], [3]])"))(
        _of_class(_dtype)
    )


@op(
    "torch.zeros_like",
    "torch.ones_like",
    "torch.empty_like",
    "torch.rand_like",
    "torch.randn_like",
    examples=("f(t(2, 3))", "f(t(2, 3), dtype=torch.float64)", "f(t(), requires_grad=False)"),
)
def zeros_like(input: Any, *, dtype: Any = None, **_: Any) -> Result:
    """A tensor of another's shape and dtype."""
    return (
        Tensor(Shape(input.shape.axes), read_dtype(dtype, input.dtype)) if isinstance(input, Tensor) else UNKNOWN_TENSOR
    )


@op("torch.full_like", "torch.randint_like", examples=("f(t(2, 3), 5)", "f(t(2), 7, dtype=i64)"))
def full_like(input: Any, *_: Any, dtype: Any = None, **__: Any) -> Result:
    """A tensor of another's shape and dtype, made from a number."""
    return zeros_like(input, dtype=dtype)


_NEW = (
    "f(t(5), 2, 3)",
    "f(t(5), (2, 3))",
    "f(t(5, dtype=i64), [2])",
    "f(t(5), 2, dtype=i64)",
    "f(t(5), size=(2, 3))",
    "f(t(5), -2)",
)


@op("Tensor.new_zeros", "Tensor.new_ones", "Tensor.new_empty", examples=_NEW)
def new_zeros(self: Any, *sizes: Any, size: Any = None, dtype: Any = None, **_: Any) -> Result:
    """A tensor of these sizes and of the dtype of another."""
    held = self.dtype if isinstance(self, Tensor) else None
    return tensor_of(read_shape(sizes if size is None else (size,)), read_dtype(dtype, held))


@op("Tensor.new", examples=("f(t(5), 2, 3)", "f(t(5))", "f(t(5), (2, 3))"))
def new(self: Any, *arguments: Any) -> Result:
    """A tensor of these sizes, or of these numbers."""
    return _of_class(self.dtype)(*arguments) if isinstance(self, Tensor) and self.dtype else UNKNOWN_TENSOR


@op(
    "Tensor.new_full",
    examples=("f(t(5), (2, 3), 0)", "f(t(5, dtype=i64), (2,), 1)", "f(t(5), (2,), 1, dtype=i64)", "f(t(5), (-2,), 1)"),
)
def new_full(self: Any, size: Any, fill_value: Any, **named: Any) -> Result:  # noqa: ARG001 - the tensor's dtype decides
    """A tensor full of a number, of the dtype of another tensor."""
    return new_zeros(self, size, dtype=named.get("dtype"))


@op(
    "Tensor.new_tensor",
    examples=("f(t(5), [1, 2])", "f(t(5), 0.5)", "f(t(5), [[1, 2], [3]])", "f(t(5), [1], dtype=i64)"),
)
def new_tensor(self: Any, data: Any, *, dtype: Any = None, **_: Any) -> Result:
    """Nested lists of numbers as a tensor of the dtype of another."""
    held = self.dtype if isinstance(self, Tensor) else None
    return tensor_of(_shape_of_data(data)[0], read_dtype(dtype, held))


def _below(rows: Any, columns: Any, offset: Any) -> Dim | None:
    """How many elements of a matrix lie on or below a diagonal."""
    height, width, shift = read_number(rows), read_number(columns), read_number(offset)
    if shift is None:
        return None
    if height is not None and width is not None:
        return Dim(sum(min(max(row + shift + 1, 0), width) for row in range(height)))
    if isinstance(rows, Dim) and rows == columns and shift in (0, -1):
        return rows * (rows + 1 + 2 * shift) // 2
    return None


@op("torch.tril_indices", examples=("f(3, 3)", "f(4, 3, 1)", "f(3, 4, offset=-1)"))
def tril_indices(row: Any, col: Any, offset: Any = Dim(0), *, dtype: Any = None, **_: Any) -> Result:
    """The places on and below a diagonal."""
    return Tensor(Shape.of(2, _below(row, col, offset)), read_dtype(dtype, "int64"))


@op("torch.triu_indices", examples=("f(3, 3)", "f(4, 3, 1)", "f(3, 4, offset=-1)"))
def triu_indices(row: Any, col: Any, offset: Any = Dim(0), *, dtype: Any = None, **_: Any) -> Result:
    """The places on and above a diagonal: below it in the matrix turned over."""
    shift = -offset if isinstance(offset, Dim) else offset
    return Tensor(Shape.of(2, _below(col, row, shift)), read_dtype(dtype, "int64"))


@op(
    "torch.complex",
    "torch.polar",
    examples=("f(t(2, 1), t(3))", "f(t(2), t(3))", "f(t(2, dtype=torch.float64), t(2, dtype=torch.float64))"),
)
def make_complex(real: Any, imag: Any, **_: Any) -> Result:
    """Complex numbers from two real ones."""
    if not isinstance(real, Tensor) or not isinstance(imag, Tensor):
        return UNKNOWN_TENSOR
    return tensor_of(shapes.broadcast(real.shape, imag.shape), as_complex(result_type(real, imag)))


@op("torch.view_as_real", examples=("f(t(2, 3, dtype=torch.complex64))", "f(t(2))"))
def view_as_real(input: Any) -> Result:
    """Both parts in a new last axis."""
    if not isinstance(input, Tensor):
        return UNKNOWN_TENSOR
    real = as_real(input.dtype)
    if input.dtype is not None and real == input.dtype:
        return DtypeMismatch("input", input.dtype, "a complex dtype")
    return Tensor(Shape(None if input.shape.axes is None else (*input.shape.axes, Axis.of(2))), real)


@op(
    "torch.view_as_complex",
    examples=("f(t(3, 2))", "f(t(3, 2, dtype=torch.float64))", "f(t(2, 3))", "f(t(2, dtype=i64))"),
)
def view_as_complex(input: Any) -> Result:
    """The last axis, of two, as the parts of a number."""
    if not isinstance(input, Tensor):
        return UNKNOWN_TENSOR
    if input.dtype is not None and as_complex(input.dtype) is None:
        return DtypeMismatch("input", input.dtype, "a floating point dtype")
    axes = input.shape.axes
    if axes and axes[-1].size is not None and compare(axes[-1].size, 2) is False:
        return AxisMismatch("input", len(axes) - 1, axes[-1].size, "2", 2, None)
    return Tensor(Shape(axes[:-1] if axes else None), as_complex(input.dtype))


@op(
    "torch.hann_window",
    "torch.hamming_window",
    "torch.blackman_window",
    "torch.bartlett_window",
    "torch.kaiser_window",
    examples=("f(8)", "f(8, periodic=False)", "f(8, dtype=torch.float64)", "f(-8)"),
)
def hann_window(window_length: Any, *_: Any, dtype: Any = None, **__: Any) -> Result:
    """So many weights of a window."""
    return tensor_of(read_shape(((window_length,),)), read_dtype(dtype, DEFAULT_FLOAT))
