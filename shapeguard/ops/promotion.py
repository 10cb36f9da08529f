"""Which dtype comes out where several meet, by torch's names; None where that isn't known."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from shapeguard.ops.values import Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import DtypeMismatch

DEFAULT_FLOAT = "float32"

_INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_COMPLEX_OF = {"float16": "complex32", "bfloat16": "complex64", "float32": "complex64", "float64": "complex128"}
_FLOAT_OF = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
_CATEGORIES = (
    {"bool": 0}
    | dict.fromkeys((*_INTEGERS, "uint16", "uint32", "uint64"), 1)
    | dict.fromkeys((*_FLOATS, "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"), 2)
    | dict.fromkeys(_FLOAT_OF, 3)
)
BOOL, INTEGER, FLOAT, COMPLEX = range(4)


def category(dtype: str | None) -> int | None:
    """BOOL, INTEGER, FLOAT or COMPLEX, which rise in that order."""
    return None if dtype is None else _CATEGORIES.get(dtype)


def promote_types(left: str | None, right: str | None) -> str | None:
    """The smallest dtype that holds both, as torch.promote_types."""
    kinds = category(left), category(right)
    if left is None or right is None or kinds[0] is None or kinds[1] is None or left == right:
        return left if left == right else None
    if kinds[0] > kinds[1]:
        return promote_types(right, left)
    if kinds[0] != kinds[1] and kinds[1] < COMPLEX:
        return right
    if kinds[1] == COMPLEX:
        real = _FLOAT_OF.get(left, left) if kinds[0] >= FLOAT else None
        wide = _FLOAT_OF[right] if real is None else promote_types(real, _FLOAT_OF[right])
        return None if wide is None else _COMPLEX_OF[wide]
    for order, pair, joined in ((_INTEGERS, {"uint8", "int8"}, "int16"), (_FLOATS, {"float16", "bfloat16"}, "float32")):
        if left in order and right in order:
            return joined if {left, right} == pair else max(left, right, key=order.index)
    return None


def result_type(*operands: Any) -> str | None:
    """The dtype of an operation over tensors and Python's numbers.

    A tensor with axes decides before one without, and that before a number, unless the lesser is of a higher category.
    """
    ranks = [
        (True, False) if isinstance(operand, Tensor) and operand.shape.axes is None else (_has_axes(operand),)
        for operand in operands
    ]
    answers = {_combined(zip(operands, has_axes, strict=True)) for has_axes in product(*ranks)}
    return answers.pop() if len(answers) == 1 else None


def _has_axes(operand: Any) -> bool:
    return isinstance(operand, Tensor) and bool(operand.shape.axes)


def _combined(operands: Iterable[tuple[Any, bool]]) -> str | None:
    # The most deciding first: tensors with axes, tensors without, numbers.
    found: list[str | None] = [None, None, None]
    for operand, has_axes in operands:
        dtype = operand.dtype if isinstance(operand, Tensor) else dtype_of_number(operand)
        if category(dtype) is None:
            return None
        level = 0 if has_axes else 1 if isinstance(operand, Tensor) else 2
        found[level] = dtype if found[level] is None else promote_types(found[level], dtype)
        if found[level] is None:
            return None
    return _over(found[0], _over(found[1], found[2]))


def _over(higher: str | None, lower: str | None) -> str | None:
    """The dtype of operands that decide, joined with that of operands that only raise the category."""
    above, below = category(higher), category(lower)
    if above is None or below is None:
        return lower if above is None else higher
    if above == FLOAT and below == COMPLEX:
        return _COMPLEX_OF.get(higher or "")
    return higher if (above >= below and above > BOOL) or above >= FLOAT else promote_types(higher, lower)


def dtype_of_number(value: Any) -> str | None:
    """What torch makes of one of Python's numbers."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Dim | int):
        return "int64"
    return DEFAULT_FLOAT if isinstance(value, float) else None


def as_float(dtype: str | None) -> str | None:
    """What functions such as `exp` and true division make of a dtype: whole numbers become the default float."""
    kind = category(dtype)
    return DEFAULT_FLOAT if kind in (BOOL, INTEGER) else dtype


def as_total(dtype: str | None) -> str | None:
    """What `sum` makes of a dtype: whole numbers and bools are counted in int64."""
    return "int64" if category(dtype) in (BOOL, INTEGER) else dtype


def as_real(dtype: str | None) -> str | None:
    """What `abs` makes of a dtype: complex numbers have a real size."""
    return _FLOAT_OF.get(dtype, dtype) if dtype is not None else None


def as_complex(dtype: str | None) -> str | None:
    """The complex dtype whose parts are of a dtype."""
    return None if dtype is None else _COMPLEX_OF.get(dtype)


def only_floats(dtype: str | None, value: str = "input") -> DtypeMismatch | None:
    """What `mean` says to whole numbers."""
    if dtype is not None and category(dtype) in (BOOL, INTEGER):
        return DtypeMismatch(value, dtype, "a floating point or complex dtype")
    return None
