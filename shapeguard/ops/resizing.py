"""Other sizes for images: interpolation, channels into pixels and back, patches, sampling at given places."""

# ruff: noqa: A002, A006 - torch's names

from __future__ import annotations

import math
from typing import Any

from shapeguard.ops.convolutions import count_windows, windows
from shapeguard.ops.demands import Demands, axes_of, dim_of, dtype_of, each, layer, quotient
from shapeguard.ops.layers import floating
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.shape import Axis

# The number of axes that a mode asks for.
_RANKS = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}


@op(
    "torch.nn.functional.interpolate",
    examples=(
        "f(t(2, 3, 5, 6), size=(7, 8))",
        "f(t(2, 3, 5, 6), 9)",
        "f(t(2, 3, 5, 6), scale_factor=2)",
        "f(t(2, 3, 5, 6), None, 0.5, 'nearest')",
        "f(t(2, 3, 5, 6), scale_factor=(1.5, 0.7), mode='bilinear', align_corners=False)",
        "f(t(2, 3, 5), scale_factor=2.0, mode='linear')",
        "f(t(2, 3, 5, 6, 7), size=(2, 3, 4), mode='trilinear')",
        "f(t(2, 3, 5, 6), scale_factor=2, mode='trilinear')",
        "f(t(2, 3, 5, 6))",
        "f(t(2, 3, 5, 6), size=4, scale_factor=2)",
        "f(t(2, 3, 5, 6), size=(3, 4, 5))",
        "f(t(5, 6), size=3)",
    ),
)
@op("torch.nn.functional.upsample", examples=())  # torch warns of its name
def interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: Any = "nearest", *_: Any, **__: Any
) -> Result:
    """Another size for the axes after the first two."""
    return _interpolate("interpolate", input, size, scale_factor, mode)


def _interpolate(name: str, input: Any, size: Any, scale_factor: Any, mode: Any) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands(name)
    if size is None and scale_factor is None:
        demands.refuse("takes a size or a scale factor")
    elif size not in (None, UNKNOWN) and scale_factor not in (None, UNKNOWN):
        demands.refuse("takes a size or a scale factor, not both")
    wanted = _RANKS.get(mode) if isinstance(mode, str) else None
    axes = demands.rank(input, wanted or 3, wanted or 5)
    if axes is None:
        return demands.gives(None, input.dtype)
    given = scale_factor if size is None else size
    if isinstance(given, tuple) and len(given) != len(axes) - 2:
        demands.refuse(f"takes a size for each of {len(axes) - 2} spatial axes, not {len(given)}")
        return demands.gives(None, None)
    if size is UNKNOWN:
        sizes: list[Dim | None] = [None] * (len(axes) - 2)
    elif size is not None:
        sizes = list(each(size, len(axes) - 2))
    else:
        scales = scale_factor if isinstance(scale_factor, tuple) else (scale_factor,) * (len(axes) - 2)
        sizes = [scaled(axis.size, scale) for axis, scale in zip(axes[2:], scales, strict=True)]
    return demands.gives((*axes[:2], *sizes), input.dtype)


def scaled(size: Dim | None, scale: Any) -> Dim | None:
    """A size times a number, rounded down; None where symbols and rounding don't go together."""
    if size is None or not isinstance(scale, (Dim, int, float)):
        return None
    if not isinstance(scale, float):
        return size * scale
    if (number := as_int(size)) is not None:
        return Dim(math.floor(number * scale))
    over, under = scale.as_integer_ratio()
    # Halves and quarters are meant as such; 0.1 is no fraction that a reader would recognize.
    return size * over // under if under <= 16 else None  # noqa: PLR2004


@module(
    "torch.nn.Upsample",
    examples=(
        "f(scale_factor=2)(t(2, 3, 5, 6))",
        "f((7, 8))(t(2, 3, 5, 6))",
        "f(None, 2.0, 'bilinear', True)(t(2, 3, 5, 6))",
        "f(scale_factor=2, mode='bilinear')(t(2, 3, 5))",
    ),
)
def upsample_layer(size: Any = None, scale_factor: Any = None, mode: Any = "nearest", *_: Any, **__: Any) -> Result:
    """Another size for the axes after the first two."""
    return layer(lambda input: _interpolate("Upsample", input, size, scale_factor, mode))


@module(
    "torch.nn.UpsamplingNearest2d",
    "torch.nn.UpsamplingBilinear2d",
    examples=("f(scale_factor=2)(t(2, 3, 5, 6))", "f(7)(t(2, 3, 5, 6))"),
)
def upsample2d_layer(size: Any = None, scale_factor: Any = None) -> Result:
    """Another size for the last two of four axes."""
    return layer(lambda input: _interpolate("Upsample", input, size, scale_factor, "bilinear"))


@op(
    "torch.nn.functional.pixel_shuffle",
    "torch.pixel_shuffle",
    examples=("f(t(2, 12, 3, 4), 2)", "f(t(12, 3, 4), 2)", "f(t(2, 10, 3, 4), 2)", "f(t(3, 4), 2)"),
)
def pixel_shuffle(input: Any, upscale_factor: Any) -> Result:
    """(..., c * r * r, h, w) to (..., c, h * r, w * r)."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands("pixel_shuffle")
    axes, factor = demands.rank(input, 3), dim_of(upscale_factor)
    if axes is None or factor is None:
        return demands.gives(None if axes is None else (*axes[:-3], None, None, None), input.dtype)
    demands.divisible(axes[-3].size, factor * factor, "its channels")
    channels = quotient(axes[-3].size, factor * factor)
    pixels = [None if axis.size is None else Axis.of(axis.size, factor) for axis in axes[-2:]]
    return demands.gives((*axes[:-3], channels, *pixels), input.dtype)


@op(
    "torch.nn.functional.pixel_unshuffle",
    "torch.pixel_unshuffle",
    examples=("f(t(2, 3, 4, 6), 2)", "f(t(3, 4, 6), 2)", "f(t(2, 3, 4, 5), 2)", "f(t(3, 4), 2)"),
)
def pixel_unshuffle(input: Any, downscale_factor: Any) -> Result:
    """(..., c, h * r, w * r) to (..., c * r * r, h, w)."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands("pixel_unshuffle")
    axes, factor = demands.rank(input, 3), dim_of(downscale_factor)
    if axes is None or factor is None:
        return demands.gives(None if axes is None else (*axes[:-3], None, None, None), input.dtype)
    for position in (-2, -1):
        demands.divisible(axes[position].size, factor, f"axis {position % len(axes)}")
    channels = None if axes[-3].size is None else Axis.of(axes[-3].size, factor, factor)
    return demands.gives((*axes[:-3], channels, *(quotient(axis.size, factor) for axis in axes[-2:])), input.dtype)


@module("torch.nn.PixelShuffle", examples=("f(2)(t(2, 12, 3, 4))", "f(2)(t(2, 10, 3, 4))"))
def pixel_shuffle_layer(upscale_factor: Any) -> Result:
    """(..., c * r * r, h, w) to (..., c, h * r, w * r)."""
    return layer(lambda input: pixel_shuffle(input, upscale_factor), upscale_factor=upscale_factor)


@module("torch.nn.PixelUnshuffle", examples=("f(2)(t(2, 3, 4, 6))", "f(2)(t(2, 3, 4, 5))"))
def pixel_unshuffle_layer(downscale_factor: Any) -> Result:
    """(..., c, h * r, w * r) to (..., c * r * r, h, w)."""
    return layer(lambda input: pixel_unshuffle(input, downscale_factor), downscale_factor=downscale_factor)


@op(
    "torch.nn.functional.channel_shuffle",
    "torch.channel_shuffle",
    examples=("f(t(2, 6, 4, 4), 3)", "f(t(2, 6, 4, 4), 4)"),
)
def channel_shuffle(input: Any, groups: Any) -> Result:
    """The channels in another order."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands("channel_shuffle")
    axes = demands.rank(input, 3)
    demands.divisible(None if axes is None else axes[1].size, groups, "its channels")
    return demands.gives(axes, input.dtype)


@module("torch.nn.ChannelShuffle", examples=("f(3)(t(2, 6, 4, 4))", "f(4)(t(2, 6, 4, 4))"))
def channel_shuffle_layer(groups: Any) -> Result:
    """The channels in another order."""
    return layer(lambda input: channel_shuffle(input, groups), groups=groups)


@op(
    "torch.nn.functional.grid_sample",
    examples=(
        "f(t(2, 3, 5, 6), t(2, 7, 8, 2), align_corners=False)",
        "f(t(2, 3, 4, 5, 6), t(2, 7, 8, 9, 3), 'bilinear', 'border', True)",
        "f(t(2, 3, 5, 6), t(2, 7, 8, 3), align_corners=False)",
        "f(t(2, 3, 5, 6), t(4, 7, 8, 2), align_corners=False)",
        "f(t(2, 3, 5, 6), t(2, 7, 2), align_corners=False)",
        "f(t(3, 5, 6), t(3, 7, 2), align_corners=False)",
    ),
)
def grid_sample(input: Any, grid: Any, *_: Any, **__: Any) -> Result:
    """(n, c, ...) sampled at (n, *places, 2 or 3) gives (n, c, *places)."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands("grid_sample")
    axes = demands.rank(input, 4, 5)
    places = demands.rank(grid, len(axes), len(axes), "grid") if axes is not None else axes_of(grid)
    if axes is None:
        return demands.gives(None, floating(input))
    if places is None:
        return demands.gives((*axes[:2], *[None] * (len(axes) - 2)), floating(input))
    demands.axis(places, -1, len(axes) - 2, "grid")
    demands.axis(places, 0, axes[0].size, "grid")
    return demands.gives((*axes[:2], *places[1:-1]), floating(input))


@op(
    "torch.nn.functional.affine_grid",
    examples=(
        "f(t(2, 2, 3), (2, 3, 5, 6), align_corners=False)",
        "f(t(2, 3, 4), (2, 3, 4, 5, 6), True)",
        "f(t(2, 3, 3), (2, 3, 5, 6), align_corners=False)",
        "f(t(2, 2, 3), (4, 3, 5, 6), align_corners=False)",
    ),
)
def affine_grid(theta: Any, size: Any, *_: Any, **__: Any) -> Result:
    """A matrix for each image to (n, *places, 2 or 3)."""
    if not isinstance(size, tuple):
        return UNKNOWN_TENSOR
    demands = Demands("affine_grid")
    if len(size) not in (4, 5):
        demands.refuse(f"takes a size of 4 or 5 axes, not {len(size)}")
        return demands.gives(None, None)
    spatial = len(size) - 2
    demands.shape(theta, (dim_of(size[0]), spatial, spatial + 1), "theta")
    return demands.gives((*(dim_of(entry) for entry in (size[0], *size[2:])), spatial), dtype_of(theta))


@op(
    "torch.nn.functional.unfold",
    examples=(
        "f(t(2, 3, 8, 9), 3)",
        "f(t(3, 8, 9), (2, 3), stride=2)",
        "f(t(2, 3, 8, 9), 3, 2, 1, 2)",
        "f(t(2, 3, 2, 9), 3)",
        "f(t(8, 9), 3)",
    ),
)
def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Result:
    """(..., c, h, w) to (..., c * window, windows)."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands("unfold")
    axes = demands.rank(input, 3, 4)
    if axes is None:
        return demands.gives(None, floating(input))
    channels = axes[-3].size
    blocks: Dim | None = Dim(1)
    for position, window in zip((-2, -1), windows(kernel_size, stride, padding, dilation, 2), strict=True):
        fitting = count_windows(demands, axes[position].size, window, position % len(axes))
        blocks = None if blocks is None or fitting is None else blocks * fitting
        channels = None if channels is None or window.kernel is None else channels * window.kernel
    return demands.gives((*axes[:-3], channels, blocks), floating(input))


@module("torch.nn.Unfold", examples=("f(3)(t(2, 3, 8, 9))", "f((2, 3), stride=2)(t(3, 8, 9))", "f(3)(t(2, 3, 2, 9))"))
def unfold_layer(*arguments: Any, **named: Any) -> Result:
    """(..., c, h, w) to (..., c * window, windows)."""
    return layer(lambda input: unfold(input, *arguments, **named))


@op(
    "torch.nn.functional.fold",
    examples=(
        "f(t(2, 27, 42), (8, 9), 3)",
        "f(t(12, 20), (8, 10), 2, stride=2)",
        "f(t(2, 27, 40), (8, 9), 3)",
        "f(t(2, 28, 42), (8, 9), 3)",
        "f(t(42), (8, 9), 3)",
    ),
)
def fold(
    input: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Result:
    """(..., c * window, windows) to (..., c, h, w)."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands("fold")
    axes = demands.rank(input, 2, 3)
    if axes is None:
        return demands.gives(None, floating(input))
    sizes = each(output_size, 2)
    area, blocks = Dim(1), Dim(1)
    known = True
    for size, window in zip(sizes, windows(kernel_size, stride, padding, dilation, 2), strict=True):
        fitting = count_windows(demands, size, window, -1)
        known = known and fitting is not None and window.kernel is not None
        area, blocks = area * (window.kernel or 1), blocks * (fitting or 1)
    channels = axes[-2].size
    if known:
        demands.divisible(channels, area, "its channels")
        demands.axis(axes, -1, blocks)
    return demands.gives((*axes[:-2], quotient(channels, area) if known else None, *sizes), floating(input))


@module("torch.nn.Fold", examples=("f((8, 9), 3)(t(2, 27, 42))", "f((8, 9), 3)(t(2, 27, 40))"))
def fold_layer(*arguments: Any, **named: Any) -> Result:
    """(..., c * window, windows) to (..., c, h, w)."""
    return layer(lambda input: fold(input, *arguments, **named))
