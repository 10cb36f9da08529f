"""Pooling of one to three spatial axes: by windows, and to a given size."""

# ruff: noqa: A002, A006, FBT002 - torch's names, defaults and parameters

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapeguard.ops.convolutions import count_windows, windows
from shapeguard.ops.demands import Demands, dim_of, dtype_of, flag_of, layer
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.shapes.dim import Dim, bounds
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Axis


def _pool(name: str, spatial: int, input: Any, kernel: Any, moves: Sequence[Any], ceil_mode: Any) -> Tensor | Mismatch:
    stride, padding, dilation = moves
    if stride is None or stride == ():
        stride = kernel
    demands = Demands(name)
    moved = windows(kernel, stride, padding, dilation, spatial)
    for window in moved:
        if window.stride == 0:
            demands.refuse("refuses a stride of 0")
        if window.kernel is not None and window.padding is not None:
            most = bounds(window.kernel - window.padding)[1]
            if most is not None and most < 0:
                demands.refuse(
                    f"pads by at most half its kernel, and {window.before} is more than half of {window.kernel}"
                )
    axes = demands.rank(input, spatial + 1, spatial + 2)
    if axes is None:
        return demands.gives(None, dtype_of(input))
    up = flag_of(ceil_mode)
    sizes = [
        count_windows(demands, axes[position].size, window, position % len(axes), ceil_mode=up)
        for position, window in zip(range(-spatial, 0), moved, strict=True)
    ]
    return demands.gives((*axes[:-spatial], *sizes), dtype_of(input))


def with_indices(pooled: Tensor | Mismatch, return_indices: Any) -> Result:
    """The result and, where asked for, where its elements come from."""
    asked = flag_of(return_indices)
    if asked is None:
        return UNKNOWN
    return (pooled, Tensor(pooled.shape, "int64")) if asked and isinstance(pooled, Tensor) else pooled


def _register_maximum(spatial: int) -> None:
    function, name = f"max_pool{spatial}d", f"MaxPool{spatial}d"
    image, narrow = ", ".join(("8", "9", "7")[:spatial]), ", ".join(("1", "9", "9")[:spatial])
    kernel = ", ".join(("2", "3", "2")[:spatial])

    @op(
        f"torch.nn.functional.{function}",
        examples=(
            f"f(t(2, 3, {image}), 2)",
            f"f(t(3, {image}), 3, stride=2, padding=1)",
            f"f(t(2, 3, {image}), ({kernel},), ceil_mode=True)",
            f"f(t(2, 3, {image}), 2, 4, 1, 1, True)",
            f"f(t(2, 3, {image}), 2, return_indices=True)",
            f"f(t(2, 3, {narrow}), 2)",
            f"f(t(2, 3, {image}), 2, padding=2)",
            f"f(t({image}), 2)" if spatial > 1 else "f(t(2, 2, 2, 8), 2)",
        ),
    )
    def maximum_pool(
        input: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: Any = False,
        return_indices: Any = False,
    ) -> Result:
        if not isinstance(input, Tensor):
            return UNKNOWN
        pooled = _pool(function, spatial, input, kernel_size, (stride, padding, dilation), ceil_mode)
        return with_indices(pooled, return_indices)

    @module(
        f"torch.nn.{name}",
        examples=(
            f"f(2)(t(2, 3, {image}))",
            f"f(3, stride=2, padding=1)(t(3, {image}))",
            f"f(3, 2, 1, 1, True)(t(2, 3, {image}))",
            f"f(({kernel},), ceil_mode=True)(t(2, 3, {image}))",
            f"f(2)(t(2, 3, {narrow}))",
            f"f(2)(t(2, 3, 3, 3, {image}))",
        ),
    )
    def maximum_pool_layer(
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: Any = False,
        ceil_mode: Any = False,
    ) -> Result:
        def forward(input: Any) -> Result:
            if not isinstance(input, Tensor):
                return UNKNOWN
            pooled = _pool(name, spatial, input, kernel_size, (stride, padding, dilation), ceil_mode)
            return with_indices(pooled, return_indices)

        return layer(
            forward, kernel_size=kernel_size, stride=kernel_size if stride is None else stride, padding=padding
        )


def _register_average(spatial: int) -> None:
    function, name = f"avg_pool{spatial}d", f"AvgPool{spatial}d"
    image, narrow = ", ".join(("8", "9", "7")[:spatial]), ", ".join(("1", "9", "9")[:spatial])

    @op(
        f"torch.nn.functional.{function}",
        examples=(
            f"f(t(2, 3, {image}), 2)",
            f"f(t(3, {image}), 3, 2, 1)",
            f"f(t(2, 3, {image}), 2, ceil_mode=True)",
            f"f(t(2, 3, {narrow}), 2)",
        ),
    )
    def average_pool(
        input: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: Any = False,
        *_: Any,
        **__: Any,
    ) -> Result:
        if not isinstance(input, Tensor):
            return UNKNOWN
        return _pool(function, spatial, input, kernel_size, (stride, padding, Dim(1)), ceil_mode)

    @module(
        f"torch.nn.{name}",
        examples=(
            f"f(2)(t(2, 3, {image}))",
            f"f(3, stride=2, padding=1)(t(3, {image}))",
            f"f(3, 2, 1, True, False)(t(2, 3, {image}))",
            f"f(2)(t(2, 3, {narrow}))",
            f"f(2)(t(2, 3, 3, 3, {image}))",
        ),
    )
    def average_pool_layer(
        kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: Any = False, *_: Any, **__: Any
    ) -> Result:
        def forward(input: Any) -> Result:
            if not isinstance(input, Tensor):
                return UNKNOWN
            return _pool(name, spatial, input, kernel_size, (stride, padding, Dim(1)), ceil_mode)

        return layer(
            forward, kernel_size=kernel_size, stride=kernel_size if stride is None else stride, padding=padding
        )


def _register_power(spatial: int) -> None:
    function, name = f"lp_pool{spatial}d", f"LPPool{spatial}d"
    image = ", ".join(("8", "9", "7")[:spatial])

    @op(
        f"torch.nn.functional.{function}",
        examples=(f"f(t(2, 3, {image}), 2.0, 2)", f"f(t(3, {image}), 2.0, 3, stride=2, ceil_mode=True)"),
    )
    def power_pool(input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: Any = False) -> Result:
        del norm_type
        if not isinstance(input, Tensor):
            return UNKNOWN
        return _pool(function, spatial, input, kernel_size, (stride, Dim(0), Dim(1)), ceil_mode)

    @module(f"torch.nn.{name}", examples=(f"f(2, 2)(t(2, 3, {image}))", f"f(2.0, 3, stride=2)(t(3, {image}))"))
    def power_pool_layer(*arguments: Any, **named: Any) -> Result:
        return layer(lambda input: power_pool(input, *arguments, **named))


def _adapt(name: str, spatial: int, input: Any, output_size: Any) -> Tensor | Mismatch:
    demands = Demands(name)
    wanted = output_size if isinstance(output_size, tuple) else (output_size,) * spatial
    # To torch a mean over both axes of an image is a mean over the last two of anything.
    is_mean = name.lower().endswith("avgpool2d") or name == "adaptive_avg_pool2d"
    anything = is_mean and all(size in (1, UNKNOWN) for size in wanted)
    axes = demands.rank(input, spatial, None) if anything else demands.rank(input, spatial + 1, spatial + 2)
    if axes is None:
        return demands.gives(None, dtype_of(input))
    if len(wanted) != spatial:
        if isinstance(output_size, tuple) and len(wanted) != 1:
            demands.refuse(f"takes an output size for each of {spatial} spatial axes, not {len(wanted)}")
        wanted = (wanted[0] if wanted else UNKNOWN,) * spatial
    # None leaves an axis as it is.
    sizes: list[Axis | Dim | None] = [
        axis if size is None else dim_of(size) for axis, size in zip(axes[-spatial:], wanted, strict=True)
    ]
    return demands.gives((*axes[:-spatial], *sizes), dtype_of(input))


def _register_adaptive(spatial: int) -> None:
    image, target = ", ".join(("8", "9", "7")[:spatial]), ", ".join(("3", "2", "4")[:spatial])
    kept = ", ".join(("3", "None", "None")[:spatial])
    # One axis goes by another signature, which takes no None.
    sizes = ("1", f"({target},)") if spatial == 1 else ("1", f"({target})", f"({kept})")
    too_many = "t(2, 2, 2, 8)" if spatial == 1 else "t(8)"
    average, maximum = f"adaptive_avg_pool{spatial}d", f"adaptive_max_pool{spatial}d"

    @op(
        f"torch.nn.functional.{average}",
        examples=(*(f"f(t(2, 3, {image}), {size})" for size in sizes), f"f(t(3, {image}), 1)", f"f({too_many}, 2)"),
    )
    def adaptive_average(input: Any, output_size: Any) -> Result:
        return _adapt(average, spatial, input, output_size) if isinstance(input, Tensor) else UNKNOWN

    @op(
        f"torch.nn.functional.{maximum}",
        examples=(
            f"f(t(2, 3, {image}), 1)",
            f"f(t(2, 3, {image}), ({target},))",
            f"f(t(3, {image}), 2, return_indices=True)",
            f"f({too_many}, 1)",
        ),
    )
    def adaptive_maximum(input: Any, output_size: Any, return_indices: Any = False) -> Result:
        if not isinstance(input, Tensor):
            return UNKNOWN
        return with_indices(_adapt(maximum, spatial, input, output_size), return_indices)

    name = f"AdaptiveAvgPool{spatial}d"

    @module(f"torch.nn.{name}", examples=(*(f"f({size})(t(2, 3, {image}))" for size in sizes), f"f(2)({too_many})"))
    def adaptive_average_layer(output_size: Any) -> Result:
        def forward(input: Any) -> Result:
            return _adapt(name, spatial, input, output_size) if isinstance(input, Tensor) else UNKNOWN

        return layer(forward, output_size=output_size)

    @module(
        f"torch.nn.AdaptiveMaxPool{spatial}d",
        examples=(
            f"f(1)(t(2, 3, {image}))",
            f"f(({target},), return_indices=True)(t(3, {image}))",
            f"f(1)({too_many})",
        ),
    )
    def adaptive_maximum_layer(output_size: Any, return_indices: Any = False) -> Result:
        return layer(lambda input: adaptive_maximum(input, output_size, return_indices), output_size=output_size)


def _register_unpool(spatial: int) -> None:
    function, name = f"max_unpool{spatial}d", f"MaxUnpool{spatial}d"
    small = ", ".join(("4", "5", "3")[:spatial])
    pair = f"t(2, 3, {small}), t(2, 3, {small}, dtype=i64)"

    @op(f"torch.nn.functional.{function}", examples=(f"f({pair}, 2)", f"f({pair}, 3, stride=2, padding=1)"))
    def unpool(
        input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
    ) -> Result:
        if not isinstance(input, Tensor):
            return UNKNOWN
        demands = Demands(function)
        axes = demands.rank(input, spatial + 1, spatial + 2)
        if axes is None:
            return demands.gives(None, dtype_of(input))
        demands.shape(indices, axes, "indices")
        sizes: list[Dim | None] = []
        moved = windows(kernel_size, kernel_size if stride is None else stride, padding, Dim(1), spatial)
        for position, window in zip(range(-spatial, 0), moved, strict=True):
            size = axes[position].size
            if size is None or window.kernel is None or window.stride is None or window.padding is None:
                sizes.append(None)
            else:
                sizes.append((size - 1) * window.stride - window.padding + window.kernel)
        if output_size is not None:
            given = isinstance(output_size, tuple) and len(output_size) >= spatial
            sizes = list(map(dim_of, output_size[-spatial:])) if given else [None] * spatial
        return demands.gives((*axes[:-spatial], *sizes), dtype_of(input))

    @module(f"torch.nn.{name}", examples=(f"f(2)({pair})", f"f(3, stride=2, padding=1)({pair})"))
    def unpool_layer(kernel_size: Any, stride: Any = None, padding: Any = 0) -> Result:
        def forward(input: Any, indices: Any, output_size: Any = None) -> Result:
            return unpool(input, indices, kernel_size, stride, padding, output_size)

        return layer(forward)


for _spatial in (1, 2, 3):
    _register_maximum(_spatial)
    _register_average(_spatial)
    _register_power(_spatial)
    _register_adaptive(_spatial)
    _register_unpool(_spatial)
