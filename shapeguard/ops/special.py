"""The functions of torch.special and their like: each of one tensor's elements, or of several tensors stretched together."""

# ruff: noqa: A002 - torch's names

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapeguard.ops.broadcasting import change_in_place, stretch_together
from shapeguard.ops.promotion import as_float, result_type
from shapeguard.ops.reading import as_tensor, cast
from shapeguard.ops.registry import op
from shapeguard.ops.values import Result

_OF_ONE = (
    *("i0e", "i1", "i1e", "ndtr", "ndtri", "log_ndtr", "entr", "erfcx", "psi", "airy_ai", "spherical_bessel_j0"),
    *(f"bessel_{kind}{order}" for kind in "jy" for order in (0, 1)),
    *(f"modified_bessel_{kind}{order}" for kind in "ik" for order in (0, 1)),
    *(f"scaled_modified_bessel_k{order}" for order in (0, 1)),
)
_OF_TWO = (
    *("xlogy", "xlog1py", "zeta"),
    *(f"{shifted}chebyshev_polynomial_{kind}" for shifted in ("", "shifted_") for kind in "tuvw"),
    *("hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p"),
)


@op(*(f"torch.special.{name}" for name in _OF_ONE), examples=("f(t(2, 3))", "f(t(2, dtype=i64))"))
def of_one(input: Any, **_: Any) -> Result:
    """A function of each element."""
    x = as_tensor(input)
    return cast(x, as_float(x.dtype))


@op(
    *(f"torch.special.{name}" for name in _OF_TWO),
    examples=("f(t(2, 1), t(3))", "f(t(2, 3), 2)", "f(2, t(2, 3))", "f(t(2), t(3))"),
)
def of_two(input: Any, other: Any, **_: Any) -> Result:
    """A function of two numbers."""
    return stretch_together((input, other), as_float(result_type(input, other)))


@op(
    "torch.special.gammainc",
    "torch.special.gammaincc",
    "torch.igamma",
    "torch.igammac",
    "Tensor.igamma",
    "Tensor.igammac",
    examples=("f(t(2, 1), t(3))", "f(t(2), t(3))"),
)
def incomplete_gamma(input: Any, other: Any, **_: Any) -> Result:
    """A function of two numbers."""
    return of_two(input, other)


@op("torch.polygamma", "torch.special.polygamma", examples=("f(1, t(2, 3))", "f(2, t(2, dtype=i64))"))
def polygamma(n: Any, input: Any, **_: Any) -> Result:
    """A derivative of the logarithm of the gamma function."""
    del n
    return of_one(input)


@op("Tensor.polygamma", examples=("f(t(2, 3), 1)",))
def polygamma_method(input: Any, n: Any) -> Result:
    """As `torch.polygamma`, whose arguments stand the other way round."""
    return polygamma(n, input)


@op("torch.mvlgamma", "torch.special.multigammaln", "Tensor.mvlgamma", examples=("f(t(2, 3), 2)",))
def multigammaln(input: Any, p: Any, **_: Any) -> Result:
    """The logarithm of the gamma function in several dimensions."""
    del p
    return of_one(input)


@op("torch.heaviside", "Tensor.heaviside", examples=("f(t(2, 1), t(3))", "f(t(2), t(3))"))
def heaviside(input: Any, values: Any, **_: Any) -> Result:
    """0, 1 or a given number, by the sign."""
    return stretch_together((input, values), result_type(input, values))


@op("torch.ldexp", "Tensor.ldexp", examples=("f(t(2, 1), t(3, dtype=i64))", "f(t(2), t(3))"))
def ldexp(input: Any, other: Any, **_: Any) -> Result:
    """A number times a power of two."""
    return stretch_together((input, other), as_float(result_type(input, other)))


@op("torch.frexp", "Tensor.frexp", examples=("f(t(2, 3))",))
def frexp(input: Any, **_: Any) -> Result:
    """A fraction and a power of two for each number."""
    x = as_tensor(input)
    return cast(x, x.dtype), cast(x, "int32")


@op("torch.rsub", examples=("f(t(2, 1), t(3))", "f(t(2, 3), 2)", "f(t(2), t(3))"))
def rsub(input: Any, other: Any, **_: Any) -> Result:
    """The second less the first."""
    return stretch_together((input, other), result_type(input, other))


def _in_place(rule: Callable[[str | None], str | None]) -> Callable[..., Result]:
    def apply(input: Any, *_: Any, **__: Any) -> Result:
        x = as_tensor(input)
        return change_in_place(x, (), rule(x.dtype))

    return apply


_CHANGED = (
    *(
        "sqrt_",
        "exp_",
        "log_",
        "sigmoid_",
        "tanh_",
        "rsqrt_",
        "reciprocal_",
        "sin_",
        "cos_",
        "log1p_",
        "expm1_",
        "erf_",
    ),
)
op(*(f"torch.{name}" for name in _CHANGED), examples=("f(t(2, 3))", "f(t(2, dtype=i64))"))(_in_place(as_float))
op(
    *(
        f"torch.{name}"
        for name in ("square_", "abs_", "neg_", "floor_", "ceil_", "round_", "trunc_", "relu_", "nan_to_num_")
    ),
    examples=("f(t(2, 3))",),
)(_in_place(lambda dtype: dtype))
op("torch.clamp_min_", "torch.clamp_max_", examples=("f(t(2, 3), 0)",))(_in_place(lambda dtype: dtype))
