"""Padding: elements added or taken away at both ends of the last axes."""

# ruff: noqa: A002, A006 - torch's names

from __future__ import annotations

from typing import Any

from shapeguard.ops.demands import Demands, dim_of, layer
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.shapes.dim import Dim, bounds
from shapeguard.shapes.mismatch import TooSmall
from shapeguard.shapes.shape import Axis


@op(
    "torch.nn.functional.pad",
    examples=(
        "f(t(2, 3), (1, 2))",
        "f(t(2, 3, 4), (0, 0, 1, 2, 3, 0), value=1.0)",
        "f(t(2, 3, 4), [1, -2], mode='constant')",
        "f(t(2, 3, 4), ())",
        "f(t(2, 3, 4), (1, 2), mode='reflect')",
        "f(t(2, 3, 4, 5), (1, 2, 1, 1), 'replicate')",
        "f(t(2, 3, 4), (4, 0), mode='circular')",
        "f(t(2, 3), (1, 2, 3))",
        "f(t(3), (1, 2, 3, 4))",
        "f(t(2, 3), (-2, -2))",
        "f(t(2, 3, 4), (4, 0), mode='reflect')",
        "f(t(2, 3, 4), (5, 0), mode='circular')",
        "f(t(2, 3, 4, 5), (1, 2), mode='reflect')",
    ),
)
def pad(input: Any, pad: Any, mode: Any = "constant", value: Any = None) -> Result:
    """Longer or shorter last axes; `pad` begins with the last one."""
    del value
    return _pad("pad", input, pad, mode)


def _pad(name: str, input: Any, amounts: Any, mode: Any) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands(name)
    if not isinstance(amounts, tuple):
        return demands.gives(None if input.shape.axes is None else [None] * len(input.shape.axes), input.dtype)
    if len(amounts) % 2:
        demands.refuse(f"takes two numbers for each axis, and {len(amounts)} are odd")
    padded = len(amounts) // 2
    exact = mode in ("reflect", "replicate", "circular")
    axes = demands.rank(input, padded + 1 if exact else padded, padded + 2 if exact else None)
    if axes is None:
        return demands.gives(None, input.dtype)
    result: list[Axis | Dim | None] = list(axes)
    for step in range(padded):
        position = len(axes) - 1 - step
        before, after = dim_of(amounts[2 * step]), dim_of(amounts[2 * step + 1])
        size = axes[position].size
        if before is None or after is None:
            result[position] = None
        elif size is not None and (before or after):
            _demand_room(demands, size, before, after, position, mode)
            result[position] = size + before + after
    return demands.gives(result, input.dtype)


def _demand_room(demands: Demands, size: Dim, before: Dim, after: Dim, axis: int, mode: Any) -> None:
    for change in (before, after, before + after):
        most = bounds(size + change)[1]
        if most is not None and most < 0:
            demands.note(TooSmall(demands.layer, axis, size, -change))
    for amount in (before, after):
        if mode == "reflect":
            demands.at_least(size, amount + 1, axis)
        elif mode == "circular":
            demands.at_least(size, amount, axis)


def _register(mode: str, word: str, spatial: int) -> None:
    name = f"{word}Pad{spatial}d"
    image = ", ".join(("5", "6", "7")[:spatial])
    ones = ", ".join(("1", "2") * spatial)
    value = ", 0.5" if word == "Constant" else ""

    @module(
        f"torch.nn.{name}",
        examples=(
            f"f(1{value})(t(2, 3, {image}))",
            f"f(({ones}){value})(t(3, {image}))",
            *(() if mode == "constant" else (f"f(1)(t({image}))",)),
            *((f"f(9)(t(2, 3, {image}))",) if mode in ("reflect", "circular") else ()),
        ),
    )
    def padding_layer(padding: Any, value: Any = 0.0) -> Result:
        amounts = padding
        if not isinstance(padding, tuple) and (amount := dim_of(padding)) is not None:
            amounts = (amount,) * (2 * spatial)
        return layer(lambda input: _pad(name, input, amounts, mode), padding=amounts, value=value)


for _spatial in (1, 2, 3):
    for _mode, _word in (
        ("constant", "Zero"),
        ("constant", "Constant"),
        ("reflect", "Reflection"),
        ("replicate", "Replication"),
        ("circular", "Circular"),
    ):
        _register(_mode, _word, _spatial)
