"""Operations that look numbers up in others: searchsorted, bucketize, histograms, isin, equal."""

# ruff: noqa: A002, ARG001, B008 - torch's names and defaults

from __future__ import annotations

from typing import Any

from shapeguard.ops.products import check_rank
from shapeguard.ops.promotion import BOOL, COMPLEX, FLOAT, category
from shapeguard.ops.reading import as_size, as_tensor, cast, compare_sizes, sizes_of
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import DtypeMismatch, InvalidArgument, JoinMismatch, Mismatch
from shapeguard.shapes.shape import Shape


def _index_dtype(out_int32: Any) -> str | None:
    return None if not isinstance(out_int32, bool) else "int32" if out_int32 else "int64"


@op(
    "torch.bucketize",
    examples=(
        "f(t(2, 3), t(5))",
        "f(t(), t(5), right=True)",
        "f(t(2, 3, dtype=i64), t(5, dtype=i64), out_int32=True)",
        "f(t(2, 3), t(5, 2))",
    ),
)
def bucketize(input: Any, boundaries: Any, *, out_int32: Any = False, right: Any = None, out: Any = None) -> Result:
    """For each number, between which of the boundaries it lies."""
    wrong = check_rank("boundaries", boundaries.shape, "n") if isinstance(boundaries, Tensor) else None
    if wrong is not None:
        return wrong
    dtype = _index_dtype(out_int32)
    if isinstance(input, Dim | int | float):
        return Tensor(Shape(()), dtype)
    return cast(as_tensor(input), dtype)


@op(
    "torch.searchsorted",
    examples=(
        "f(t(5), t(2, 3))",
        "f(t(2, 5), t(2, 3), right=True)",
        "f(t(5), 0.5)",
        "f(t(5), t(), out_int32=True)",
        "f(t(2, 5), t(3, 3))",
        "f(t(2, 5), t(3))",
        "f(t(2, 5), 0.5)",
        "f(t(), t(3))",
    ),
)
def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: Any = False,
    right: Any = None,
    side: Any = None,
    sorter: Any = None,
    out: Any = None,
) -> Result:
    """For each number, where it would stand in a sorted row: one row for all, or one for each row of numbers."""
    row, dtype = as_tensor(sorted_sequence).shape.axes, _index_dtype(out_int32)
    if isinstance(input, Dim | int | float):
        wrong = None if row is None or len(row) == 1 else check_rank("sorted_sequence", Shape(row), "n")
        return wrong or Tensor(Shape(()), dtype)
    values = as_tensor(input)
    axes = values.shape.axes
    if row == ():
        return check_rank("sorted_sequence", Shape(row), "... n") or UNKNOWN
    if row is None or len(row) == 1 or axes is None:
        return cast(values, dtype)
    if len(row) != len(axes):
        return JoinMismatch(sizes_of(row), sizes_of(axes), len(row) - 1, 0)
    doubt: Mismatch | None = None
    for place, (one, other) in enumerate(zip(row[:-1], axes[:-1], strict=True)):
        equal = True if one.size is None or other.size is None else compare_sizes(one.size, other.size)
        if equal is not True:
            differ = JoinMismatch(sizes_of(row), sizes_of(axes), len(row) - 1, place)
            if equal is False:
                return differ
            doubt = doubt or differ
    return Tensor(Shape(axes, doubt), dtype)


@op("torch.bincount", "Tensor.bincount", examples=("f(t(2, 3, dtype=i64))", "f(t(5))"))
def bincount(input: Any, weights: Any = None, minlength: Any = None) -> Result:
    """How often each whole number comes up, of which the greatest is not known."""
    x = as_tensor(input)
    wrong: Mismatch | None = check_rank("input", x.shape, "n")
    if wrong is None and category(x.dtype) in (BOOL, FLOAT, COMPLEX):
        wrong = DtypeMismatch("input", str(x.dtype), "whole numbers")
    if wrong is not None:
        return wrong
    weighted = as_tensor(weights).dtype
    dtype = "int64" if weights is None else weighted if weighted in ("float32", "float64") else None
    return Tensor(Shape.of(None), dtype)


@op(
    "torch.histc",
    "Tensor.histc",
    # The meta device has no numbers to count.
    examples=(),
)
def histc(input: Any, bins: Any = Dim(100), min: Any = None, max: Any = None, *, out: Any = None) -> Result:
    """How many numbers lie in each of so many bins."""
    count = as_size(bins)
    if count is not None and (as_int(count) or 1) < 1:
        return InvalidArgument("bins", count, "at least 1")
    return Tensor(Shape.of(count), as_tensor(input).dtype)


@op("torch.histogram", "Tensor.histogram", examples=())
def histogram(
    input: Any, bins: Any, *, range: Any = None, weight: Any = None, density: Any = None, out: Any = None
) -> Result:
    """How many numbers lie in each bin, and the edges of the bins, which may be given."""
    dtype = as_tensor(input).dtype
    if isinstance(bins, Tensor):
        edges = bins.shape.sizes
        count = None if edges is None or len(edges) != 1 or edges[0] is None else edges[0] - 1
    else:
        count = as_size(bins)
    return Tensor(Shape.of(count), dtype), Tensor(Shape.of(None if count is None else count + 1), dtype)


@op(
    "torch.isin",
    examples=("f(t(2, 3), t(5))", "f(t(2, 3, dtype=i64), 2)", "f(2, t(3, dtype=i64))", "f(t(2), t(3, 4), invert=True)"),
)
def isin(elements: Any, test_elements: Any, *, assume_unique: Any = None, invert: Any = None) -> Result:
    """For each element, whether it is among others."""
    if isinstance(elements, Dim | int | float):
        return Tensor(Shape(()), "bool")
    return cast(as_tensor(elements), "bool")


@op("torch.equal", "Tensor.equal", examples=())
def equal(input: Any, other: Any) -> Result:
    """A bool that only the numbers tell; tensors of different shapes are taken and differ."""
    return UNKNOWN
