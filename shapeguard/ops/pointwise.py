"""Operations on each element by itself: functions of one tensor, and of several that are stretched together."""

# ruff: noqa: A002 - torch's names

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapeguard.ops.arithmetic import arithmetic, negative
from shapeguard.ops.broadcasting import change_in_place, stretch_together
from shapeguard.ops.products import matmul
from shapeguard.ops.promotion import COMPLEX, FLOAT, as_float, as_real, category, result_type
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, Result, Tensor, Unknown
from shapeguard.shapes.mismatch import DtypeMismatch
from shapeguard.shapes.shape import Shape

DtypeRule = Callable[..., str | DtypeMismatch | None]
"""The dtype of the result, by that of the operands together."""


def _same(dtype: str | None) -> str | None:
    return dtype


def _bool(_: str | None) -> str:
    return "bool"


def _angle(dtype: str | None) -> str | None:
    return as_real(as_float(dtype))


def _squared(dtype: str | None) -> str | None:
    return "int64" if dtype == "bool" else dtype


def _whole(dtype: str | None, value: str = "input") -> str | DtypeMismatch | None:
    if category(dtype) in (FLOAT, COMPLEX):
        return DtypeMismatch(value, str(dtype), "whole numbers or bools")
    return dtype


def _signed(dtype: str | None) -> str | DtypeMismatch | None:
    return DtypeMismatch("input", "bool", "numbers, which have a sign") if dtype == "bool" else dtype


# Names of one function stand together; one with a dot is no method.
_UNARY: tuple[tuple[DtypeRule, str], ...] = (
    (
        as_float,
        (
            "exp exp2|special.exp2 expm1|special.expm1 log log2 log10 log1p|special.log1p sqrt rsqrt sin cos tan "
            "asin|arcsin acos|arccos atan|arctan sinh cosh tanh asinh|arcsinh acosh|arccosh atanh|arctanh "
            "sigmoid|special.expit erf|special.erf erfc|special.erfc erfinv|special.erfinv reciprocal "
            "lgamma|special.gammaln digamma|special.digamma logit|special.logit sinc|special.sinc deg2rad rad2deg "
            "i0|special.i0"
        ),
    ),
    (as_real, "abs|absolute"),
    (_angle, "angle"),
    (
        _same,
        "sign sgn floor ceil round|special.round trunc|fix relu nan_to_num conj_physical",
    ),
    (_same, "conj positive"),
    (as_real, "real"),
    (_squared, "square"),
    (_whole, "bitwise_not"),
    (_signed, "neg|negative"),
    (_bool, "logical_not"),
    (_bool, "isnan isinf isfinite isposinf isneginf isreal signbit"),
)
_WITHOUT_IN_PLACE = frozenset(
    ["conj", "positive", "real", "angle", "isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "signbit"]
)


def _of_one(rule: DtypeRule) -> Callable[..., Result]:
    def apply(input: Any, *_: Any, **__: Any) -> Result:
        if not isinstance(input, Tensor):
            return UNKNOWN
        dtype = rule(input.dtype)
        return dtype if isinstance(dtype, DtypeMismatch) else Tensor(Shape(input.shape.axes), dtype)

    return apply


def _of_one_in_place(rule: DtypeRule) -> Callable[..., Result]:
    def apply(input: Any, *_: Any, **__: Any) -> Result:
        if not isinstance(input, Tensor):
            return UNKNOWN
        dtype = rule(input.dtype)
        if rule is as_real and category(input.dtype) == COMPLEX:
            return DtypeMismatch("input", str(input.dtype), f"one that can hold {dtype} and nothing else")
        return dtype if isinstance(dtype, DtypeMismatch) else change_in_place(input, (), dtype)

    return apply


def _register_unary() -> None:
    for rule, rows in _UNARY:
        on_whole = (
            ("f(t(2, 3, dtype=i64))",) if rule is not _signed else ("f(t(2, dtype=i64))", "f(t(2, dtype=boolean))")
        )
        examples = ("f(t(2, 3))", *on_whole)
        if rule is _squared:
            examples = (*examples, "f(t(2, dtype=boolean))")
        if rule is as_real:
            examples = (*examples, "f(t(2, dtype=torch.complex64))")
        for row in rows.split():
            names = row.split("|")
            plain = [name for name in names if "." not in name]
            methods = [f"Tensor.{name}" for name in plain if name != "real"]
            op(*(f"torch.{name}" for name in names), *methods, examples=examples)(_of_one(rule))
            if names[0] not in _WITHOUT_IN_PLACE:
                op(*(f"Tensor.{name}_" for name in plain), examples=examples)(_of_one_in_place(rule))


_register_unary()


@op("torch.frac", "Tensor.frac", examples=("f(t(2, 3))", "f(t())"))
def frac(input: Any) -> Result:
    """What is left behind the point."""
    return _of_one(_same)(input)


@op("torch.imag", examples=("f(t(2, 3, dtype=torch.complex64))", "f(t(2, 3))"))
def imag(input: Any) -> Result:
    """The imaginary part, which only complex numbers have."""
    kind = category(input.dtype) if isinstance(input, Tensor) else None
    if kind is not None and kind != COMPLEX:
        return DtypeMismatch("input", input.dtype, "a complex dtype")
    return _of_one(as_real)(input)


# A rule of its own, as it alone refuses bools.
def _subtracted(dtype: str | None) -> str | None:
    return dtype


_BINARY: tuple[tuple[DtypeRule, str, bool], ...] = (
    (_same, "add mul|multiply remainder fmod floor_divide", True),
    (_same, "maximum minimum fmax fmin", False),
    (_subtracted, "sub|subtract", True),
    (as_float, "true_divide", True),
    (as_float, "atan2|arctan2 copysign xlogy", True),
    (as_float, "hypot nextafter", True),
    (as_float, "logaddexp logaddexp2", False),
    (_bool, "eq ne|not_equal lt|less le|less_equal gt|greater ge|greater_equal", True),
    (_bool, "logical_and logical_or logical_xor", True),
    (_whole, "bitwise_and bitwise_or bitwise_xor", True),
    (_whole, "bitwise_left_shift bitwise_right_shift gcd lcm", True),
    (_bool, "isclose", False),
)
_TENSORS_ONLY = frozenset(
    [
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "atan2",
        "hypot",
        "nextafter",
        "logaddexp",
        "logaddexp2",
        "logical_and",
        "logical_or",
        "logical_xor",
        "gcd",
        "lcm",
        "isclose",
    ]
)
_OF_ONE_DTYPE = frozenset(["hypot", "nextafter", "logaddexp", "logaddexp2", "isclose"])


def _dtype_of_pair(rule: DtypeRule, left: Any, right: Any) -> str | DtypeMismatch | None:
    if rule is _subtracted:
        for value, operand in (("left", left), ("right", right)):
            if isinstance(operand, bool) or (isinstance(operand, Tensor) and operand.dtype == "bool"):
                return DtypeMismatch(value, "bool", "numbers: `-` takes no bools, but `~` and `^` do")
    if rule is _whole:
        for value, operand in (("left", left), ("right", right)):
            refusal = _whole(result_type(operand), value)
            if isinstance(refusal, DtypeMismatch):
                return refusal
    return rule(result_type(left, right))


def _of_two(rule: DtypeRule, left: Any, right: Any) -> Result:
    dtype = _dtype_of_pair(rule, left, right)
    together = stretch_together((left, right), None if isinstance(dtype, DtypeMismatch) else dtype)
    return dtype if isinstance(dtype, DtypeMismatch) and isinstance(together, Tensor) else together


def _of_two_in_place(rule: DtypeRule, left: Any, right: Any) -> Result:
    dtype = _dtype_of_pair(rule, left, right)
    return dtype if isinstance(dtype, DtypeMismatch) else change_in_place(left, (right,), dtype)


def _two(rule: DtypeRule) -> Callable[..., Result]:
    def apply(input: Any, other: Any, *_: Any, **__: Any) -> Result:
        return _of_two(rule, input, other)

    return apply


def _two_in_place(rule: DtypeRule) -> Callable[..., Result]:
    def apply(input: Any, other: Any, *_: Any, **__: Any) -> Result:
        return _of_two_in_place(rule, input, other)

    return apply


def _register_binary() -> None:
    for rule, rows, in_place in _BINARY:
        for row in rows.split():
            names = row.split("|")
            dtype = ", dtype=i64" if rule is _whole else ""
            examples = [f"f(t(2, 1, 3{dtype}), t(4, 1{dtype}))", f"f(t(2, 3{dtype}), t(2{dtype}))"]
            in_place_examples = [
                f"f(t(2, 3{dtype}), t(3{dtype}))",
                f"f(t(3{dtype}), t(2, 3{dtype}))",
                f"f(t(1, 3{dtype}), t(2, 3{dtype}))",
                f"f(t(3{dtype}), t(2{dtype}))",
            ]
            if rule is _whole:
                examples.append("f(t(2), t(2))")
            elif names[0] not in _OF_ONE_DTYPE:
                examples += ["f(t(3, dtype=i64), t(2, 3, dtype=i64))", "f(t(3, dtype=i64), other=t())"]
                in_place_examples += ["f(t(3, dtype=i64), t(3))", "f(t(3), t(3, dtype=i64))"]
            if names[0] not in _TENSORS_ONLY:
                examples.append("f(t(2, 3, dtype=i64), 2)")
                in_place_examples.append("f(t(2, 3, dtype=i64), 2)")
                examples.append("f(t(2, 3, dtype=i64), 0.5)")
            every = [f"{owner}.{name}" for owner in ("torch", "Tensor") for name in names]
            op(*every, examples=tuple(dict.fromkeys(examples)))(_two(rule))
            if in_place:
                op(*(f"Tensor.{name}_" for name in names), examples=tuple(in_place_examples))(_two_in_place(rule))


_register_binary()


def _quotient_rule(rounding_mode: Any) -> DtypeRule:
    if isinstance(rounding_mode, Unknown):
        return lambda dtype: dtype if category(dtype) in (FLOAT, COMPLEX) else None
    return as_float if rounding_mode is None else _same


@op(
    "torch.div",
    "torch.divide",
    "Tensor.div",
    "Tensor.divide",
    examples=(
        "f(t(2, 3), t(3))",
        "f(t(2, dtype=i64), 2)",
        "f(t(2, dtype=i64), 2, rounding_mode='floor')",
        "f(t(2, 3), t(2))",
    ),
)
def div(input: Any, other: Any, *, rounding_mode: Any = None, **_: Any) -> Result:
    """True division, or a rounded one of whole numbers, which stay whole."""
    return _of_two(_quotient_rule(rounding_mode), input, other)


@op(
    "Tensor.div_",
    "Tensor.divide_",
    examples=(
        "f(t(2, 3), t(3))",
        "f(t(2, dtype=i64), 2)",
        "f(t(2, dtype=i64), 2, rounding_mode='floor')",
        "f(t(2), t(2, 2))",
    ),
)
def div_in_place(input: Any, other: Any, *, rounding_mode: Any = None) -> Result:
    """Division whose result has to fit into the dividend."""
    return _of_two_in_place(_quotient_rule(rounding_mode), input, other)


@op(
    "torch.pow",
    "Tensor.pow",
    examples=("f(t(2, 3), 2)", "f(t(2, dtype=i64), 0.5)", "f(t(2, 1), exponent=t(3))", "f(t(2), t(3))"),
)
def power(input: Any, exponent: Any, **_: Any) -> Result:
    """A power, of a number too."""
    return _of_two(_same, input, exponent)


@op("Tensor.pow_", examples=("f(t(2, 3), 2)", "f(t(2, dtype=i64), 0.5)", "f(t(2, 1), t(3))"))
def power_in_place(input: Any, exponent: Any) -> Result:
    """A power that has to fit into the base."""
    return _of_two_in_place(_same, input, exponent)


@op("torch.float_power", "Tensor.float_power", examples=("f(t(2, 3), 2)", "f(t(2), t(3))"))
def float_power(input: Any, exponent: Any, **_: Any) -> Result:
    """A power in double precision."""

    def rule(dtype: str | None) -> str | None:
        return None if dtype is None else "complex128" if category(dtype) == COMPLEX else "float64"

    return _of_two(rule, input, exponent)


_OPERATORS: dict[str, DtypeRule] = {
    **dict.fromkeys(("+", "*", "//", "%", "**"), _same),
    "-": _subtracted,
    "/": as_float,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _bool),
    **dict.fromkeys(("&", "|", "^", "<<", ">>"), _whole),
}


def binary(operator: str, left: Any, right: Any) -> Result:
    """What Python's operator gives, by its sign; tensors stretch together, numbers are worked out as far as known."""
    if not isinstance(left, Tensor) and not isinstance(right, Tensor):
        return arithmetic(operator, left, right)
    if operator == "@":
        return matmul(left, right)
    rule = _OPERATORS.get(operator)
    return UNKNOWN if rule is None else _of_two(rule, left, right)


def in_place(operator: str, left: Any, right: Any) -> Result:
    """What an augmented assignment, such as `+=`, leaves in its target; `operator` is without the `=`."""
    rule = _OPERATORS.get(operator)
    if not isinstance(left, Tensor) or rule is None:
        return binary(operator, left, right)
    return _of_two_in_place(rule, left, right)


def unary(operator: str, operand: Any) -> Result:
    """What Python's `-`, `+` or `~` before a value gives."""
    if not isinstance(operand, Tensor):
        return negative(operand) if operator == "-" else UNKNOWN
    rule = {"-": _signed, "+": _same, "~": _whole}.get(operator)
    return UNKNOWN if rule is None else _of_one(rule)(operand)
