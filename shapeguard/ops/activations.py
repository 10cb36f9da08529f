"""Activations: functions of each element by itself, and those that weigh the elements along one axis."""

# ruff: noqa: A002, A006 - torch's names

from __future__ import annotations

from typing import Any

from shapeguard.ops.demands import (
    Demands,
    axes_of,
    dim_of,
    dtype_of,
    int_of,
    is_floating,
    layer,
    parameter,
    parameter_dtype,
)
from shapeguard.ops.layers import floating
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN, Dtype, Result, Tensor
from shapeguard.shapes.mismatch import LayerRankMismatch
from shapeguard.shapes.shape import Shape

_MODULES = (
    *("ReLU", "ReLU6", "GELU", "SiLU", "ELU", "SELU", "CELU", "LeakyReLU", "RReLU", "Mish", "Softplus"),
    *("Hardtanh", "Hardswish", "Hardsigmoid", "Hardshrink", "Softshrink", "LogSigmoid"),
)
_FUNCTIONS = (
    *("relu", "relu6", "gelu", "silu", "elu", "selu", "celu", "leaky_relu", "rrelu", "mish", "softplus"),
    *("hardtanh", "hardswish", "hardsigmoid", "hardshrink", "softshrink", "logsigmoid"),
    *("relu_", "elu_", "selu_", "celu_", "leaky_relu_", "rrelu_", "hardtanh_"),
)


@op(*(f"torch.nn.functional.{name}" for name in _FUNCTIONS), examples=("f(t(2, 3))", "f(t(2, dtype=torch.bfloat16))"))
@op("torch.nn.functional.threshold", "torch.nn.functional.threshold_", examples=("f(t(2, 3), 0.1, 20.0)",))
def activation(input: Any, *_: Any, **__: Any) -> Result:
    """The same shape and dtype."""
    return Tensor(Shape(input.shape.axes), input.dtype) if isinstance(input, Tensor) else UNKNOWN


@op(
    *(f"torch.nn.functional.{name}" for name in ("sigmoid", "tanh", "softsign", "tanhshrink")),
    examples=("f(t(2, 3))", "f(t(2, dtype=i64))"),
)
def squashing(input: Any) -> Result:
    """The same shape; integers become float32."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    return Tensor(Shape(input.shape.axes), "float32" if is_floating(input.dtype) is False else input.dtype)


@module(*(f"torch.nn.{name}" for name in _MODULES), examples=("f()(t(2, 3))", "f()(t(2, dtype=torch.bfloat16))"))
@module("torch.nn.Threshold", examples=("f(0.1, 20.0)(t(2, 3))",))
def activation_layer(*_: Any, **__: Any) -> Result:
    """The same shape and dtype."""
    return layer(activation)


@module(
    *(f"torch.nn.{name}" for name in ("Sigmoid", "Tanh", "Softsign", "Tanhshrink")),
    examples=("f()(t(2, 3))", "f()(t(2, dtype=i64))"),
)
def squashing_layer(*_: Any, **__: Any) -> Result:
    """The same shape; integers become float32."""
    return layer(squashing)


@op(
    "torch.nn.functional.prelu",
    examples=("f(t(2, 3), t(1))", "f(t(2, 3, 4), t(3))", "f(t(2, 3), t())", "f(t(2, 3, 4), t(4))"),
)
def prelu(input: Any, weight: Any) -> Result:
    """The same shape; one slope for all or one for each channel, in axis 1."""
    demands = Demands("prelu")
    axes, slopes = axes_of(input), axes_of(weight)
    if axes is not None and slopes is not None and len(slopes) == 1 and slopes[0].size != 1:
        channels = axes[1].size if len(axes) > 1 else 1
        demands.axis(slopes, 0, channels, "weight")
    return demands.gives(axes, dtype_of(input)) if isinstance(input, Tensor) else UNKNOWN


@module("torch.nn.PReLU", examples=("f()(t(2, 3))", "f(3)(t(2, 3, 4))", "f(num_parameters=4)(t(2, 3, 4))"))
def prelu_layer(num_parameters: Any = 1, init: Any = 0.25, device: Any = None, dtype: Any = None) -> Result:
    """The same shape; one slope for all or one for each channel, in axis 1."""
    del init, device
    weight = parameter((dim_of(num_parameters),), parameter_dtype(dtype))
    return layer(lambda input: prelu(input, weight), num_parameters=num_parameters, weight=weight)


@op(
    *(f"torch.nn.functional.{name}" for name in ("softmax", "log_softmax", "softmin")),
    examples=(
        "f(t(2, 3), dim=-1)",
        "f(t(2, 3), 0)",
        "f(t(2, 3), dim=1, dtype=torch.float64)",
        "f(t(), dim=0)",
        "f(t(2, 3), dim=2)",
        "f(t(2, 3), -3)",
    ),
)
def softmax(input: Any, dim: Any = None, _stacklevel: Any = 3, dtype: Any = None) -> Result:
    """The same shape; the axis must exist."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands("softmax")
    if input.shape.axes is not None:
        demands.position(dim, len(input.shape.axes))
    carried = dtype.name if isinstance(dtype, Dtype) else floating(input) if dtype is None else None
    return demands.gives(input.shape.axes, carried)


@module(
    "torch.nn.Softmax",
    "torch.nn.LogSoftmax",
    "torch.nn.Softmin",
    examples=("f(dim=-1)(t(2, 3))", "f(0)(t(2, 3))", "f(dim=2)(t(2, 3))"),
)
def softmax_layer(dim: Any = None) -> Result:
    """The same shape; the axis must exist."""
    return layer(lambda input: softmax(input, dim), dim=dim)


@module("torch.nn.Softmax2d", examples=("f()(t(2, 3, 4, 5))", "f()(t(3, 4, 5))", "f()(t(4, 5))"))
def softmax2d_layer() -> Result:
    """The same shape: images, one or many."""

    def forward(input: Any) -> Result:
        demands = Demands("Softmax2d")
        return demands.gives(demands.rank(input, 3, 4), floating(input)) if isinstance(input, Tensor) else UNKNOWN

    return layer(forward)


@op(
    "torch.nn.functional.gumbel_softmax",
    examples=("f(t(2, 3))", "f(t(2, 3), tau=0.5, hard=True, dim=0)", "f(t(2, 3), dim=2)"),
)
def gumbel_softmax(logits: Any, *_: Any, dim: Any = -1, **__: Any) -> Result:
    """The same shape; the axis must exist."""
    return softmax(logits, dim)


@op(
    "torch.nn.functional.normalize",
    examples=("f(t(2, 3))", "f(t(2, 3), dim=-1)", "f(t(2, 3, 4), p=1.0, dim=(1, 2))", "f(t(2, 3), dim=2)", "f(t(3))"),
)
def normalize(input: Any, p: Any = 2.0, dim: Any = 1, *_: Any, **__: Any) -> Result:
    """The same shape; the axes must exist."""
    del p
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands("normalize")
    if input.shape.axes is not None:
        for axis in dim if isinstance(dim, tuple) else (dim,):
            demands.position(axis, len(input.shape.axes))
    return demands.gives(input.shape.axes, floating(input))


@op(
    "torch.nn.functional.glu",
    examples=("f(t(2, 6))", "f(t(4, 3), 0)", "f(t(4, 3), dim=1)", "f(t(4, 3), dim=2)", "f(t())"),
)
def glu(input: Any, dim: Any = -1) -> Result:
    """Half of one axis, gated by its other half."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands("glu")
    axes = input.shape.axes
    if axes is None or int_of(dim) is None:
        return demands.gives(None if axes is None else [None] * len(axes), floating(input))
    if not axes:
        demands.note(LayerRankMismatch("glu", "input", (), 1, None))
        return demands.gives(None, None)
    position = demands.position(dim, len(axes))
    if position is None:
        return demands.gives(None, None)
    size = axes[position].size
    demands.divisible(size, 2, f"axis {position}")
    half = None if size is None else size // 2
    return demands.gives((*axes[:position], half, *axes[position + 1 :]), floating(input))


@module("torch.nn.GLU", examples=("f()(t(2, 6))", "f(dim=1)(t(2, 6, 5))", "f()(t(2, 5))"))
def glu_layer(dim: Any = -1) -> Result:
    """Half of one axis, gated by its other half."""
    return layer(lambda input: glu(input, dim), dim=dim)
