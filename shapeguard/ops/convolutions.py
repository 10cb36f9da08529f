"""Convolutions and their transposes, of one to three spatial axes, as layers and as functions."""

# ruff: noqa: A002, FBT002, PLR0913, PLR0917 - torch's names, defaults and parameters

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shapeguard.ops.demands import (
    Demands,
    dim_of,
    each,
    flag_of,
    int_of,
    layer,
    parameter,
    parameter_dtype,
    quotient,
)
from shapeguard.ops.layers import floating
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.shapes.dim import Dim, bounds, minimum
from shapeguard.shapes.mismatch import TooSmall


@dataclass(frozen=True)
class Window:
    """How a kernel moves along one axis; None for what isn't known."""

    kernel: Dim | None
    stride: Dim | None
    padding: Dim | None
    """On both sides together."""
    dilation: Dim | None
    before: Dim | None = None
    """The padding on the first side, which only rounding up asks for."""

    @property
    def reach(self) -> Dim | None:
        """How many places one window spans."""
        return None if self.kernel is None or self.dilation is None else self.dilation * (self.kernel - 1) + 1


def windows(kernel: Any, stride: Any, padding: Any, dilation: Any, spatial: int) -> tuple[Window, ...]:
    """A window for each spatial axis; `padding` may be torch's "same" or "valid"."""
    sizes, strides, dilations = each(kernel, spatial), each(stride, spatial), each(dilation, spatial)
    sides = each(Dim(0) if padding == "valid" else padding, spatial)
    result = []
    for size, step, spread, side in zip(sizes, strides, dilations, sides, strict=True):
        both = None if side is None else side * 2
        if padding == "same":
            both = None if size is None or spread is None else spread * (size - 1)
        result.append(Window(size, step, both, spread, side))
    return tuple(result)


def count_windows(
    demands: Demands, size: Dim | None, window: Window, axis: int, *, ceil_mode: bool | None = False
) -> Dim | None:
    """How many windows fit along an axis."""
    reach, padding = window.reach, window.padding
    if size is None or reach is None or padding is None:
        return None
    room = size + padding - reach
    if ceil_mode is False:
        demands.at_least(size, reach - padding, axis)
    steps = quotient(room, window.stride)
    if steps is None or window.stride is None:
        return None
    if ceil_mode is False or window.stride == 1:
        return steps + 1
    if ceil_mode is None or window.before is None:
        return None
    # No window starts in the padding behind the last element.
    all_steps = (room + window.stride - 1) // window.stride
    count = minimum(all_steps + 1, (size + window.before + window.stride - 1) // window.stride)
    demands.note(TooSmall(demands.layer, axis, size, reach - padding), met=bounds(count)[1] != 0)
    return count


def _convolve(name: str, spatial: int, input: Any, weight: Any, bias: Any, moves: Sequence[Any], groups: Any) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    stride, padding, dilation = moves
    demands = Demands(name)
    _demand_strides(demands, stride, padding, spatial)
    axes = demands.rank(input, spatial + 1, spatial + 2)
    filters = demands.rank(weight, spatial + 2, spatial + 2, "weight")
    count = dim_of(groups)
    if filters is not None:
        inside = filters[1].size
        demands.axis(axes, -1 - spatial, None if inside is None or count is None else inside * count)
        demands.divisible(filters[0].size, groups, "its output channels")
        demands.shape(bias, (filters[0],), "bias")
    if axes is None:
        return demands.gives(None, floating(input))
    kernel = (None,) * spatial if filters is None else tuple(axis.size for axis in filters[2:])
    moved = windows(kernel, stride, padding, dilation, spatial)
    sizes = [
        axes[position].size
        if padding == "same"
        else count_windows(demands, axes[position].size, window, position % len(axes))
        for position, window in zip(range(-spatial, 0), moved, strict=True)
    ]
    return demands.gives((*axes[: -1 - spatial], None if filters is None else filters[0], *sizes), floating(input))


def _demand_strides(demands: Demands, stride: Any, padding: Any, spatial: int) -> None:
    steps = each(stride, spatial)
    if any(step == 0 for step in steps):
        demands.refuse("refuses a stride of 0")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            demands.refuse(f"takes a padding of numbers, 'same' or 'valid', not {padding!r}")
        elif padding == "same" and any(step is not None and (int_of(step) or 0) > 1 for step in steps):
            demands.refuse("refuses padding='same' with a stride other than 1")


def _transpose(
    name: str,
    spatial: int,
    input: Any,
    weight: Any,
    bias: Any,
    moves: Sequence[Any],
    groups: Any,
    output_size: Any = None,
) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    stride, padding, output_padding, dilation = moves
    demands = Demands(name)
    axes = demands.rank(input, spatial + 1, spatial + 2)
    filters = demands.rank(weight, spatial + 2, spatial + 2, "weight")
    count = dim_of(groups)
    made: Dim | None = None
    if filters is not None:
        demands.axis(axes, -1 - spatial, filters[0].size)
        inside = filters[1].size
        made = None if inside is None or count is None else inside * count
        demands.shape(bias, (made,), "bias")
    if axes is None:
        return demands.gives(None, floating(input))
    kernel = (None,) * spatial if filters is None else tuple(axis.size for axis in filters[2:])
    moved = windows(kernel, stride, padding, dilation, spatial)
    more = each(output_padding, spatial)
    sizes: list[Dim | None] = []
    for position, window, added in zip(range(-spatial, 0), moved, more, strict=True):
        size, reach = axes[position].size, window.reach
        if size is None or reach is None or window.stride is None or window.padding is None or added is None:
            sizes.append(None)
        else:
            sizes.append((size - 1) * window.stride - window.padding + reach + added)
    if isinstance(output_size, tuple) and len(output_size) >= spatial:
        sizes = list(map(dim_of, output_size[-spatial:]))
    elif output_size is not None:
        sizes = [None] * spatial
    return demands.gives((*axes[: -1 - spatial], made, *sizes), floating(input))


def _register_function(spatial: int, examples: tuple[str, ...]) -> None:
    name = f"conv{spatial}d"

    @op(f"torch.nn.functional.{name}", f"torch.{name}", examples=examples)
    def convolve(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: Any = 1,
    ) -> Result:
        return _convolve(name, spatial, input, weight, bias, (stride, padding, dilation), groups)


def _register_layer(spatial: int, examples: tuple[str, ...]) -> None:
    name = f"Conv{spatial}d"

    @module(f"torch.nn.{name}", examples=examples)
    def convolution_layer(
        in_channels: Any,
        out_channels: Any,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: Any = 1,
        bias: Any = True,
        padding_mode: Any = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> Result:
        del padding_mode, device
        demands = Demands(name)
        demands.divisible(in_channels, groups, "in_channels")
        demands.divisible(out_channels, groups, "out_channels")
        _demand_strides(demands, stride, padding, spatial)
        if demands.refusal is not None:
            return demands.refusal
        made = parameter_dtype(dtype)
        kernel = each(kernel_size, spatial)
        inside = quotient(dim_of(in_channels), dim_of(groups))
        weight = parameter((dim_of(out_channels), inside, *kernel), made)
        offset = parameter((dim_of(out_channels),), made, present=flag_of(bias))

        def forward(input: Any) -> Result:
            return _convolve(name, spatial, input, weight, offset, (stride, padding, dilation), groups)

        return layer(
            forward,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=tuple(UNKNOWN if size is None else size for size in kernel),
            stride=tuple(UNKNOWN if size is None else size for size in each(stride, spatial)),
            groups=groups,
            weight=weight,
            bias=offset,
        )

    lazy_examples = tuple(text.replace("f(3, ", "f(", 1) for text in examples[:2])

    @module(f"torch.nn.Lazy{name}", examples=lazy_examples)
    def lazy_convolution_layer(*arguments: Any, **named: Any) -> Result:
        return convolution_layer(UNKNOWN, *arguments, **named)


def _register_transposed_function(spatial: int, examples: tuple[str, ...]) -> None:
    name = f"conv_transpose{spatial}d"

    @op(f"torch.nn.functional.{name}", f"torch.{name}", examples=examples)
    def transpose(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: Any = 1,
        dilation: Any = 1,
    ) -> Result:
        return _transpose(name, spatial, input, weight, bias, (stride, padding, output_padding, dilation), groups)


def _register_transposed_layer(spatial: int, examples: tuple[str, ...]) -> None:
    name = f"ConvTranspose{spatial}d"

    @module(f"torch.nn.{name}", examples=examples)
    def transposed_layer(
        in_channels: Any,
        out_channels: Any,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: Any = 1,
        bias: Any = True,
        dilation: Any = 1,
        padding_mode: Any = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> Result:
        del padding_mode, device
        demands = Demands(name)
        demands.divisible(in_channels, groups, "in_channels")
        demands.divisible(out_channels, groups, "out_channels")
        if demands.refusal is not None:
            return demands.refusal
        made = parameter_dtype(dtype)
        kernel = each(kernel_size, spatial)
        outside = quotient(dim_of(out_channels), dim_of(groups))
        weight = parameter((dim_of(in_channels), outside, *kernel), made)
        offset = parameter((dim_of(out_channels),), made, present=flag_of(bias))
        moves = (stride, padding, output_padding, dilation)

        def forward(input: Any, output_size: Any = None) -> Result:
            return _transpose(name, spatial, input, weight, offset, moves, groups, output_size)

        return layer(
            forward,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=tuple(UNKNOWN if size is None else size for size in kernel),
            groups=groups,
            weight=weight,
            bias=offset,
        )


def _register() -> None:
    for spatial in (1, 2, 3):
        image = ", ".join(("8", "9", "7")[:spatial])
        kernel = ", ".join(("3", "2", "3")[:spatial])
        ones = ", ".join(("1",) * spatial)
        too_small = ", ".join(("2", "9", "9")[:spatial])
        pair = f"({kernel},)"
        _register_function(
            spatial,
            (
                f"f(t(2, 4, {image}), t(6, 4, {kernel}))",
                f"f(t(4, {image}), t(6, 4, {kernel}), t(6), stride=2, padding=1)",
                f"f(t(2, 4, {image}), t(6, 2, {kernel}), None, 1, 'same', 2, groups=2)",
                f"f(t(2, 4, {image}), t(6, 4, {kernel}), padding='valid', dilation=2)",
                f"f(t(2, 5, {image}), t(6, 4, {kernel}))",
                f"f(t(2, 4, {too_small}), t(6, 4, {kernel}))",
                f"f(t(2, 4, {image}), t(6, 4, {kernel}), t(4))",
                f"f(t(2, 4, {image}), t(6, 4, {kernel}), padding='same', stride=2)",
                f"f(t(2, 4, 4, {image}), t(6, 4, {kernel}))",
            ),
        )
        _register_layer(
            spatial,
            (
                f"f(3, 6, 3)(t(2, 3, {image}))",
                f"f(3, 6, {pair}, stride=2, padding=1)(t(3, {image}))",
                f"f(4, 6, 3, 2, 1, 2, 2, False)(t(2, 4, {image}))",
                f"f(4, 4, 3, groups=4, padding='same')(t(2, 4, {image}))",
                f"f(3, 6, 3)(t(2, 4, {image}))",
                f"f(3, 6, 3)(t({image}))",
                f"f(4, 6, 3, groups=4)(t(2, 4, {image}))",
                f"f(3, 6, 3, padding='same', stride=2)(t(2, 3, {image}))",
                f"f(3, 6, 4)(t(2, 3, {too_small}))",
            ),
        )
        _register_transposed_function(
            spatial,
            (
                f"f(t(2, 4, {image}), t(4, 6, {kernel}))",
                f"f(t(4, {image}), t(4, 6, {kernel}), t(6), stride=2, padding=1, output_padding=1)",
                f"f(t(2, 4, {image}), t(4, 3, {kernel}), None, 3, 0, 0, 2, 2)",
                f"f(t(2, 6, {image}), t(4, 6, {kernel}))",
                f"f(t(2, 4, {image}), t(4, 6, {kernel}), t(4))",
            ),
        )
        _register_transposed_layer(
            spatial,
            (
                f"f(4, 6, {pair})(t(2, 4, {image}))",
                f"f(4, 6, 2, stride=2)(t(4, {image}))",
                f"f(4, 6, 3, 2, 1, 1, 2)(t(2, 4, {image}))",
                f"f(4, 6, 3)(t(2, 6, {image}))",
                f"f(4, 6, 3, groups=4)(t(2, 4, {ones}))",
            ),
        )


_register()
