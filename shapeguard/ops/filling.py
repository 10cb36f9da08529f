"""Operations that fill a tensor, at random or not, and those that draw from one: fill_, normal_, nn.init, multinomial."""

# ruff: noqa: A002, B008 - torch's names and defaults

from __future__ import annotations

from typing import Any

from shapeguard.ops.arguments import read_dtype, read_number, read_shape, tensor_of
from shapeguard.ops.broadcasting import stretch_together
from shapeguard.ops.products import check_rank
from shapeguard.ops.promotion import DEFAULT_FLOAT
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import RankMismatch
from shapeguard.shapes.shape import Axis, Shape


def _kept(input: Any) -> Result:
    return Tensor(Shape(input.shape.axes), input.dtype) if isinstance(input, Tensor) else UNKNOWN


@op(
    "Tensor.normal_",
    "Tensor.uniform_",
    "Tensor.cauchy_",
    "Tensor.log_normal_",
    examples=("f(t(2, 3))", "f(t(2, 3), 0.5, 1.0)"),
)
@op("Tensor.zero_", "Tensor.random_", "Tensor.exponential_", "Tensor.bernoulli_", examples=("f(t(2, 3))",))
@op("Tensor.geometric_", examples=("f(t(2, 3), 0.5)",))
@op(
    "torch.nn.init.uniform_",
    "torch.nn.init.normal_",
    "torch.nn.init.trunc_normal_",
    examples=("f(t(2, 3))", "f(t(2), 0.0, 0.5)"),
)
@op("torch.nn.init.constant_", examples=("f(t(2, 3), 0.5)",))
@op("torch.nn.init.ones_", "torch.nn.init.zeros_", examples=("f(t(2, 3))",))
def filled(input: Any, *_: Any, **__: Any) -> Result:
    """The tensor, its numbers replaced."""
    return _kept(input)


@op("Tensor.fill_", examples=("f(t(2, 3), 0.5)", "f(t(2, 3), t())", "f(t(2), t(2))"))
def fill_(input: Any, value: Any) -> Result:
    """The tensor full of one number."""
    if isinstance(value, Tensor) and value.shape.axes:
        return check_rank("value", value.shape, "") or _kept(input)
    return _kept(input)


def _at_least_a_matrix(tensor: Any, wanted: str) -> Result:
    mismatch = check_rank("tensor", tensor.shape, wanted) if isinstance(tensor, Tensor) else None
    return mismatch or _kept(tensor)


_FAN_EXAMPLES = ("f(t(2, 3))", "f(t(2, 3, 4, 5))", "f(t(3))")


@op(
    *(f"torch.nn.init.{kind}_{spread}_" for kind in ("xavier", "kaiming") for spread in ("uniform", "normal")),
    examples=_FAN_EXAMPLES,
)
def filled_by_fan(tensor: Any, *_: Any, **__: Any) -> Result:
    """A weight, whose first two axes say how many numbers come together in one."""
    return _at_least_a_matrix(tensor, "... out in")


# Drawing from it is impossible on the meta device.
@op("torch.nn.init.orthogonal_", examples=("f(t(3))",))
@op("torch.nn.init.sparse_", examples=("f(t(3), 0.1)",))
@op("torch.nn.init.dirac_", examples=("f(t(3))",))
def orthogonal(tensor: Any, *_: Any, **__: Any) -> Result:
    """A weight that is a matrix once its later axes are joined."""
    return _at_least_a_matrix(tensor, "... out in")


@op("torch.nn.init.eye_", examples=("f(t(2, 3))", "f(t(3))", "f(t(2, 3, 4))"))
def eye_(tensor: Any) -> Result:
    """A matrix with ones on its diagonal."""
    return _at_least_a_matrix(tensor, "n m")


@op("torch.bernoulli", examples=("f(t(2, 3))", "f(t(2, 3), 0.5)"))
@op("Tensor.bernoulli", examples=("f(t(2, 3))", "f(t(2, 3), 0.5)"))
@op("torch.poisson", examples=("f(t(2, 3))",))
def bernoulli(input: Any, *_: Any, **__: Any) -> Result:
    """One draw for each element."""
    return _kept(input)


@op(
    "torch.multinomial",
    "Tensor.multinomial",
    examples=("f(t(5), 2)", "f(t(3, 5), num_samples=1)", "f(t(3, 5), 9, replacement=True)", "f(t(2, 3, 5), 1)"),
)
def multinomial(input: Any, num_samples: Any, *_: Any, **__: Any) -> Result:
    """So many indices for each row of weights."""
    if not isinstance(input, Tensor) or input.shape.axes is None:
        return Tensor(Shape.unknown(), "int64")
    axes = input.shape.axes
    if len(axes) not in (1, 2):
        return RankMismatch("input", input.shape.sizes or (), "batch n")
    size = Shape.of(num_samples if isinstance(num_samples, Dim) else None).axes or ()
    return Tensor(Shape((*axes[:-1], *size)), "int64")


@op(
    "torch.normal",
    examples=(
        "f(0.0, 1.0, (2, 3))",
        "f(0.0, 1.0, size=(2,))",
        "f(t(2, 1), t(3))",
        "f(t(2), 0.5)",
        "f(0.5, t(3))",
        "f(t(2), t(3))",
        "f(t(2))",
    ),
)
def normal(mean: Any, std: Any = 1.0, size: Any = None, *, dtype: Any = None, **_: Any) -> Result:
    """Draws about means, one for each, or as many as wanted about one."""
    if size is not None:
        return tensor_of(read_shape((size,)), read_dtype(dtype, DEFAULT_FLOAT))
    held = mean if isinstance(mean, Tensor) else std
    together = stretch_together((mean, std), held.dtype if isinstance(held, Tensor) else None)
    return UNKNOWN_TENSOR if together is UNKNOWN else together


@op(
    "torch.nn.functional.one_hot",
    examples=("f(t(2, 3, dtype=i64), 5)", "f(t(dtype=i64), num_classes=4)"),
)
def one_hot(tensor: Any, num_classes: Any = Dim(-1), **_: Any) -> Result:
    """A one at each index, in a new last axis."""
    if not isinstance(tensor, Tensor) or tensor.shape.axes is None:
        return Tensor(Shape.unknown(), "int64")
    known = isinstance(num_classes, Dim) and read_number(num_classes) != -1
    classes = Axis.of(num_classes) if known else Axis(None, None)
    return Tensor(Shape((*tensor.shape.axes, classes)), "int64")
