"""Python's own operators over the values that are no tensors: integers that may be symbols, floats, bools, sequences."""

from __future__ import annotations

import operator as operators
from collections.abc import Callable
from typing import Any

from shapeguard.ops.values import UNKNOWN, Unknown, Value
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, as_int, value_range

_FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operators.add,
    "-": operators.sub,
    "*": operators.mul,
    "/": operators.truediv,
    "//": operators.floordiv,
    "%": operators.mod,
    "**": operators.pow,
    "<<": operators.lshift,
    ">>": operators.rshift,
    "&": operators.and_,
    "|": operators.or_,
    "^": operators.xor,
    "==": operators.eq,
    "!=": operators.ne,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}
_SYMBOLIC = frozenset({"+", "-", "*", "//", "%"})
_EQUALITY = frozenset({"==", "!="})
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
# What these make of large numbers takes long and is no size.
_GROWING = frozenset({"**", "<<"})
_LARGEST_EXPONENT = 64
_LARGEST_EXPONENT_OF_SUM = 4
_LONGEST = 1000
_LONGEST_NUMBER = 256


def arithmetic(operator: str, left: Any, right: Any) -> Value:
    """What an operator gives between values that are no tensors, UNKNOWN where it can't be told or Python refuses."""
    if isinstance(left, Unknown) or isinstance(right, Unknown) or operator not in _FUNCTIONS:
        return UNKNOWN
    if isinstance(left, tuple) or isinstance(right, tuple):
        return _of_sequences(operator, left, right)
    if isinstance(left, str) and isinstance(right, str):
        return _worked_out(operator, left, right) if operator in _COMPARISONS | {"+"} else UNKNOWN
    if not isinstance(left, Dim | bool | float) or not isinstance(right, Dim | bool | float):
        return operator == "==" if left is None and right is None and operator in _EQUALITY else UNKNOWN
    one, other = _concrete(left), _concrete(right)
    if one is not None and other is not None:
        return _worked_out(operator, one, other)
    if isinstance(left, float) or isinstance(right, float):
        return UNKNOWN
    return _of_symbols(operator, Dim(left), Dim(right))


def negative(value: Any) -> Value:
    """What `-` before a value that is no tensor gives."""
    if isinstance(value, bool):
        return Dim(-int(value))
    return -value if isinstance(value, Dim | float) else UNKNOWN


def _concrete(value: Any) -> int | float | None:
    return as_int(value) if isinstance(value, Dim) else value


def _worked_out(operator: str, left: Any, right: Any) -> Value:
    if operator in _GROWING and not -_LARGEST_EXPONENT <= right <= _LARGEST_EXPONENT:
        return UNKNOWN
    if any(isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER for value in (left, right)):
        return UNKNOWN
    try:
        result = _FUNCTIONS[operator](left, right)
    except (ArithmeticError, TypeError, ValueError):
        return UNKNOWN
    if isinstance(result, bool | float | str):
        return result
    return Dim(result) if isinstance(result, int) else UNKNOWN


def _of_symbols(operator: str, left: Dim, right: Dim) -> Value:
    if operator in _COMPARISONS:
        return _compared(operator, left, right)
    if operator == "**":
        exponent = as_int(right)
        # A sum to a power has as many terms as nobody wants to read.
        highest = _LARGEST_EXPONENT if len(left.terms) <= 1 else _LARGEST_EXPONENT_OF_SUM
        return left**exponent if exponent is not None and 0 <= exponent <= highest else UNKNOWN
    if operator not in _SYMBOLIC:
        return UNKNOWN
    try:
        result: Dim = _FUNCTIONS[operator](left, right)
    except ArithmeticError:
        return UNKNOWN
    return result


def _compared(operator: str, left: Dim, right: Dim) -> Value:
    if operator in _EQUALITY:
        equal = compare(left, right)
        return UNKNOWN if equal is None else equal is (operator == "==")
    if operator in (">", ">="):
        return _compared("<" if operator == ">" else "<=", right, left)
    low, high = value_range(left - right, 0)
    if operator == "<":
        return True if high < 0 else False if low >= 0 else UNKNOWN
    return True if high <= 0 else False if low > 0 else UNKNOWN


def _of_sequences(operator: str, left: Any, right: Any) -> Value:
    if operator == "*":
        sequence, times = (left, right) if isinstance(left, tuple) else (right, left)
        count = as_int(times) if isinstance(times, Dim) else None
        return UNKNOWN if count is None or count * len(sequence) > _LONGEST else sequence * count
    if not isinstance(left, tuple) or not isinstance(right, tuple):
        return UNKNOWN
    if operator == "+":
        return left + right
    if operator not in _EQUALITY:
        return UNKNOWN
    # A list and a tuple are one kind here, so that equal entries prove nothing; other lengths or entries do.
    differ = len(left) != len(right) or any(
        arithmetic("==", one, other) is False for one, other in zip(left, right, strict=True)
    )
    return operator == "!=" if differ else UNKNOWN
