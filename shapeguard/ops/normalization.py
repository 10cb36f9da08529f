"""Normalization: over the last axes, over batches, groups and instances of channels. The shape stays."""

# ruff: noqa: A002, A006, FBT002, PLR0913 - torch's names, defaults and parameters

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shapeguard.ops.demands import (
    Demands,
    axes_of,
    dim_of,
    flag_of,
    layer,
    parameter,
    parameter_dtype,
    sizes_of,
)
from shapeguard.ops.layers import floating
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import LayerMismatch, LayerShapeMismatch
from shapeguard.shapes.shape import Shape


def _normalized(normalized_shape: Any) -> tuple[Dim | None, ...] | None:
    if isinstance(normalized_shape, tuple):
        return tuple(map(dim_of, normalized_shape))
    return None if (size := dim_of(normalized_shape)) is None else (size,)


def _over_last_axes(name: str, input: Any, normalized_shape: Any, *parameters: tuple[str, Any]) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands(name)
    wanted = _normalized(normalized_shape)
    axes = input.shape.axes
    if wanted == ():
        demands.refuse("normalizes over one axis at least")
    elif wanted is not None:
        axes = demands.rank(input, len(wanted))
        if len(wanted) == 1:
            demands.axis(axes, -1, wanted[0])
        elif axes is not None:
            last = sizes_of(axes[-len(wanted) :])
            for size, actual in zip(wanted, last, strict=True):
                if size is not None and actual is not None:
                    demands.note(LayerShapeMismatch(name, "input", wanted, last), met=compare(actual, size))
        for word, value in parameters:
            demands.shape(value, wanted, word)
    return demands.gives(axes, floating(input))


@op(
    "torch.nn.functional.layer_norm",
    "torch.layer_norm",
    examples=(
        "f(t(2, 3), (3,))",
        "f(t(2, 3, 4), (3, 4), t(3, 4), t(3, 4))",
        "f(t(2, 3), [2])",
        "f(t(2, 3, 4), (2, 4))",
        "f(t(4), (3, 4))",
        "f(t(2, 3), (3,), t(2))",
    ),
)
def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, *_: Any, **__: Any) -> Result:
    """The same shape, of which `normalized_shape` is the end."""
    return _over_last_axes("layer_norm", input, normalized_shape, ("weight", weight), ("bias", bias))


@op(
    "torch.nn.functional.rms_norm",
    "torch.rms_norm",
    examples=("f(t(2, 3), (3,))", "f(t(2, 3, 4), (3, 4), weight=t(3, 4))", "f(t(2, 3), (2,))"),
)
def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, *_: Any, **__: Any) -> Result:
    """The same shape, of which `normalized_shape` is the end."""
    return _over_last_axes("rms_norm", input, normalized_shape, ("weight", weight))


@module(
    "torch.nn.LayerNorm",
    examples=(
        "f(3)(t(2, 3))",
        "f((3, 4))(t(2, 3, 4))",
        "f(3, eps=1e-6, bias=False)(t(5, 2, 3))",
        "f(3, elementwise_affine=False)(t(2, 3))",
        "f(3)(t(3, 2))",
        "f([3, 4])(t(4))",
    ),
)
def layer_norm_layer(
    normalized_shape: Any,
    eps: Any = 1e-5,
    elementwise_affine: Any = True,
    bias: Any = True,
    device: Any = None,
    dtype: Any = None,
) -> Result:
    """The same shape, of which `normalized_shape` is the end."""
    del eps, device
    affine, biased = flag_of(elementwise_affine), flag_of(bias)
    both = False if affine is False or biased is False else None if affine is None or biased is None else True
    return _last_axes_layer("LayerNorm", normalized_shape, dtype, weight=affine, bias=both)


@module("torch.nn.RMSNorm", examples=("f(3)(t(2, 3))", "f((3, 4))(t(2, 3, 4))", "f(3)(t(3, 2))"))
def rms_norm_layer(
    normalized_shape: Any, eps: Any = None, elementwise_affine: Any = True, device: Any = None, dtype: Any = None
) -> Result:
    """The same shape, of which `normalized_shape` is the end."""
    del eps, device
    return _last_axes_layer("RMSNorm", normalized_shape, dtype, weight=flag_of(elementwise_affine))


def _last_axes_layer(name: str, normalized_shape: Any, dtype: Any, **parameters: bool | None) -> Result:
    wanted = _normalized(normalized_shape)
    made = parameter_dtype(dtype)
    held = {
        word: UNKNOWN if wanted is None else parameter(wanted, made, present=present)
        for word, present in parameters.items()
    }
    shape = UNKNOWN if wanted is None else tuple(UNKNOWN if size is None else size for size in wanted)
    return layer(lambda input: _over_last_axes(name, input, normalized_shape), normalized_shape=shape, **held)


def _over_channels(
    name: str,
    input: Any,
    channels: Any,
    ranks: tuple[int, int | None],
    *,
    axis: int = 1,
    strict: bool = True,
    held: Mapping[str, Any] | None = None,
    empty_vector: bool = False,
) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands(name)
    if empty_vector and input.shape.rank == 1 and (input.shape.axes or ())[0].size == 0:
        return Tensor(Shape(input.shape.axes), floating(input))
    axes = demands.rank(input, *ranks)
    if axes is not None and not strict and axes[axis].size is not None and (size := dim_of(channels)) is not None:
        # Without parameters torch only warns.
        actual = axes[axis].size or Dim(0)
        equal = compare(actual, size)
        demands.note(LayerMismatch(name, size, axis % len(axes), actual), met=True if equal else None)
    else:
        demands.axis(axes, axis, channels)
    for word, value in (held or {}).items():
        demands.shape(value, (dim_of(channels),), word)
    return demands.gives(axes, floating(input))


def _channels_of(*parameters: Any) -> Dim | None:
    for value in parameters:
        axes = axes_of(value)
        if axes is not None and len(axes) == 1:
            return axes[0].size
    return None


@op(
    "torch.nn.functional.batch_norm",
    examples=(
        "f(t(2, 3, 4), t(3), t(3))",
        "f(t(2, 3, 4, 4), t(3), t(3), t(3), t(3), training=True)",
        "f(t(2, 3), None, None, training=True)",
        "f(t(0), t(0), t(0))",
        "f(t(3), t(3), t(3))",
        "f(t(2, 3, 4), t(4), t(4))",
    ),
)
def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, *_: Any, **__: Any
) -> Result:
    """The same shape; one mean and variance for each channel, in axis 1."""
    held = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    return _over_channels("batch_norm", input, _channels_of(*held.values()), (2, None), held=held, empty_vector=True)


@op(
    "torch.nn.functional.instance_norm",
    examples=("f(t(2, 3, 4))", "f(t(2, 3, 4, 4), weight=t(3), bias=t(3))", "f(t(2, 3, 4), weight=t(4))"),
)
def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *_: Any,
    **__: Any,
) -> Result:
    """The same shape; one mean and variance for each channel, in axis 1."""
    return _over_channels("instance_norm", input, _channels_of(running_mean, running_var, weight, bias), (3, None))


def _channel_layer(
    name: str,
    num_features: Any,
    ranks: tuple[int, int],
    *,
    affine: Any,
    tracked: Any,
    dtype: Any,
    bias: Any = True,
    axis: int = 1,
    strict: bool = True,
) -> Result:
    made, size = parameter_dtype(dtype), dim_of(num_features)
    scaled = flag_of(affine)
    shifted = scaled if flag_of(bias) else False if flag_of(bias) is False else None
    return layer(
        lambda input: _over_channels(name, input, num_features, ranks, axis=axis, strict=strict),
        num_features=num_features,
        weight=parameter((size,), made, present=scaled),
        bias=parameter((size,), made, present=shifted),
        running_mean=parameter((size,), made, present=flag_of(tracked)),
        running_var=parameter((size,), made, present=flag_of(tracked)),
    )


def _register_channel_layers() -> None:
    """BatchNorm and InstanceNorm of each number of spatial axes."""
    for spatial in (1, 2, 3):
        sizes = ", ".join("2" for _ in range(spatial))
        ranks = (2, 3) if spatial == 1 else (spatial + 2, spatial + 2)
        batch = (
            f"f(3)(t(2, 3, {sizes}))",
            f"f(3, affine=False)(t(2, 3, {sizes}))",
            f"f(3)(t(2, 4, {sizes}))",
            "f(3)(t(3))",
        )
        _register_batch_norm(f"BatchNorm{spatial}d", ranks, batch)
        instance = (
            f"f(3)(t(2, 3, {sizes}))",
            f"f(3, affine=True)(t(3, {sizes}))",
            f"f(3, affine=True)(t(2, 4, {sizes}))",
            "f(3)(t(3))",
        )
        _register_instance_norm(f"InstanceNorm{spatial}d", (spatial + 1, spatial + 2), instance)


def _register_batch_norm(name: str, ranks: tuple[int, int], examples: tuple[str, ...]) -> None:
    @module(f"torch.nn.{name}", examples=examples)
    def batch_norm_layer(
        num_features: Any,
        eps: Any = 1e-5,
        momentum: Any = 0.1,
        affine: Any = True,
        track_running_stats: Any = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: Any = True,
    ) -> Result:
        del eps, momentum, device
        return _channel_layer(
            name, num_features, ranks, affine=affine, tracked=track_running_stats, dtype=dtype, bias=bias
        )


def _register_instance_norm(name: str, ranks: tuple[int, int], examples: tuple[str, ...]) -> None:
    @module(f"torch.nn.{name}", examples=examples)
    def instance_norm_layer(
        num_features: Any,
        eps: Any = 1e-5,
        momentum: Any = 0.1,
        affine: Any = False,
        track_running_stats: Any = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: Any = True,
    ) -> Result:
        del eps, momentum, device
        return _channel_layer(
            name,
            num_features,
            ranks,
            affine=affine,
            tracked=track_running_stats,
            dtype=dtype,
            bias=bias,
            # One image or many: the channels stand before the spatial axes.
            axis=-ranks[0],
            strict=flag_of(affine) is True,
        )


_register_channel_layers()


@module("torch.nn.SyncBatchNorm", examples=())
def sync_batch_norm_layer(
    num_features: Any, eps: Any = 1e-5, momentum: Any = 0.1, affine: Any = True, *_: Any, **named: Any
) -> Result:
    """A BatchNorm of any number of axes."""
    del eps, momentum
    size, made = dim_of(num_features), parameter_dtype(named.get("dtype"))
    return layer(
        lambda input: _over_channels("SyncBatchNorm", input, num_features, (2, None)),
        num_features=num_features,
        weight=parameter((size,), made, present=flag_of(affine)),
        bias=parameter((size,), made, present=flag_of(affine)),
    )


@op(
    "torch.nn.functional.group_norm",
    "torch.group_norm",
    examples=(
        "f(t(2, 6, 5), 3)",
        "f(t(2, 6, 5, 5), 2, t(6), t(6))",
        "f(t(2, 6, 5), 4)",
        "f(t(2, 6, 5), 2, t(5))",
    ),
)
def group_norm(input: Any, num_groups: Any, weight: Any = None, bias: Any = None, *_: Any, **__: Any) -> Result:
    """The same shape; the channels, in axis 1, are divided into groups."""
    return _group_norm("group_norm", input, num_groups, _channels_of(weight, bias), bias)


def _group_norm(name: str, input: Any, num_groups: Any, channels: Any, bias: Any = None) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands(name)
    axes = demands.rank(input, 2)
    demands.axis(axes, 1, channels)
    demands.shape(bias, (dim_of(channels),), "bias")
    demands.divisible(None if axes is None else axes[1].size, num_groups, "its channels")
    return demands.gives(axes, floating(input))


@module(
    "torch.nn.GroupNorm",
    examples=(
        "f(3, 6)(t(2, 6, 5))",
        "f(2, 6, affine=False)(t(2, 6, 5, 5))",
        "f(4, 6)(t(2, 6, 5))",
        "f(2, 6)(t(2, 4, 5))",
        "f(2, 6)(t(6))",
    ),
)
def group_norm_layer(
    num_groups: Any,
    num_channels: Any,
    eps: Any = 1e-5,
    affine: Any = True,
    device: Any = None,
    dtype: Any = None,
    **__: Any,
) -> Result:
    """The same shape; the channels, in axis 1, are divided into groups."""
    del eps, device
    demands = Demands("GroupNorm")
    demands.divisible(num_channels, num_groups, "num_channels")
    if demands.refusal is not None:
        return demands.refusal
    made, size, scaled = parameter_dtype(dtype), dim_of(num_channels), flag_of(affine)
    return layer(
        lambda input: _group_norm("GroupNorm", input, num_groups, num_channels if scaled else None),
        num_groups=num_groups,
        num_channels=num_channels,
        weight=parameter((size,), made, present=scaled),
        bias=parameter((size,), made, present=scaled),
    )


@op("torch.nn.functional.local_response_norm", examples=("f(t(2, 3, 4), 2)", "f(t(2, 3, 4, 4), 3)", "f(t(2, 3), 2)"))
def local_response_norm(input: Any, *_: Any, **__: Any) -> Result:
    """The same shape."""
    demands = Demands("local_response_norm")
    return demands.gives(demands.rank(input, 3), floating(input)) if isinstance(input, Tensor) else UNKNOWN


@module("torch.nn.LocalResponseNorm", examples=("f(2)(t(2, 3, 4, 4))", "f(2)(t(2, 3))"))
def local_response_norm_layer(size: Any, *_: Any, **__: Any) -> Result:
    """The same shape."""
    return layer(local_response_norm, size=size)
