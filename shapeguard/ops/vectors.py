"""What is computed from vectors that lie along one axis: cross products, angles and distances."""

# ruff: noqa: A002, B008 - torch's names and defaults

from __future__ import annotations

from typing import Any

from shapeguard.ops.arguments import axis_positions, tensor_of
from shapeguard.ops.products import check_contraction, check_rank, common_dtype
from shapeguard.ops.promotion import as_float, result_type
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import AxisMismatch, Mismatch
from shapeguard.shapes.shape import UNKNOWN_AXIS, Shape


@op(
    "torch.linalg.cross",
    examples=(
        "f(t(2, 3), t(2, 3))",
        "f(t(3, 2), t(3, 2), dim=0)",
        "f(t(1, 3), t(4, 3))",
        "f(t(2, 4), t(2, 4))",
        "f(t(2, 3), t(4, 3))",
    ),
)
def linalg_cross(input: Any, other: Any, *, dim: Any = Dim(-1), **_: Any) -> Result:
    """The cross product of vectors of three numbers."""
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        return UNKNOWN
    for value, tensor in (("input", input), ("other", other)):
        if tensor.shape.axes is not None:
            positions = axis_positions((dim,), len(tensor.shape.axes))
            if isinstance(positions, Mismatch):
                return positions
            size = tensor.shape.axes[positions[0]].size if positions and tensor.shape.axes else None
            if positions and size is not None and compare(size, 3) is False:
                return AxisMismatch(value, positions[0], size, "3", 3, None)
    return tensor_of(shapes.broadcast(input.shape, other.shape), result_type(input, other))


@op(
    "torch.cross",
    "Tensor.cross",
    # Without `dim`, a call warns that the default will change.
    examples=("f(t(2, 3), t(2, 3), dim=-1)", "f(t(2, 3), t(2, 3), dim=0)", "f(t(2, 3), t(2, 3), 1)"),
)
def cross(input: Any, other: Any, dim: Any = None, **_: Any) -> Result:
    """The cross product along the first axis of three numbers, or along `dim`."""
    if dim is not None:
        return linalg_cross(input, other, dim=dim)
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        return UNKNOWN
    return tensor_of(shapes.broadcast(input.shape, other.shape), result_type(input, other))


@op(
    "torch.linalg.vecdot",
    examples=(
        "f(t(2, 3), t(2, 3))",
        "f(t(5, 2, 3), t(2, 3), dim=0)",
        "f(t(2, 3), t(2, 4))",
        "f(t(2, 3), t(2, 3), dim=2)",
    ),
)
def vecdot(x: Any, y: Any, *, dim: Any = Dim(-1), **_: Any) -> Result:
    """Inner products along one axis of tensors that stretch together."""
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        return UNKNOWN
    together = shapes.broadcast(x.shape, y.shape)
    return without_axis(together, dim, common_dtype(x, y))


def without_axis(shape: Shape | Mismatch, dim: Any, dtype: str | None) -> Result:
    """A tensor that has lost one axis, its doubt kept."""
    if isinstance(shape, Mismatch) or shape.axes is None:
        return tensor_of(shape, dtype)
    positions = axis_positions((dim,), len(shape.axes))
    if isinstance(positions, Mismatch):
        return positions
    if positions is None:
        return Tensor(Shape((UNKNOWN_AXIS,) * max(0, len(shape.axes) - 1), shape.doubt), dtype)
    kept = tuple(axis for position, axis in enumerate(shape.axes) if position not in positions)
    return Tensor(Shape(kept, shape.doubt), dtype)


@op(
    "torch.cosine_similarity",
    examples=(
        "f(t(2, 3), t(2, 3))",
        "f(t(2, 1, 3), t(4, 3), dim=-1)",
        "f(t(2, 3), t(2, 4))",
        "f(t(2, 3), t(2, 3), dim=2)",
    ),
)
def cosine_similarity(x1: Any, x2: Any, dim: Any = Dim(1), **_: Any) -> Result:
    """The cosine of angles between vectors along one axis."""
    if not isinstance(x1, Tensor) or not isinstance(x2, Tensor):
        return UNKNOWN
    return without_axis(shapes.broadcast(x1.shape, x2.shape), dim, as_float(result_type(x1, x2)))


@op(
    "torch.cdist",
    examples=(
        "f(t(5, 2, 3), t(5, 4, 3))",
        "f(t(2, 3), t(4, 3))",
        "f(t(5, 1, 2, 3), t(6, 4, 3), p=1.0)",
        "f(t(2, 3), t(4, 3), 1.0, 'donot_use_mm_for_euclid_dist')",
        "f(t(2, 3), t(4, 5))",
        "f(t(3), t(4, 3))",
        "f(t(5, 2, 3), t(6, 4, 3))",
    ),
)
def cdist(x1: Any, x2: Any, *_: Any, **__: Any) -> Result:
    """The distance of each row of one to each of the other."""
    if not isinstance(x1, Tensor) or not isinstance(x2, Tensor):
        return UNKNOWN
    mismatch = check_rank("x1", x1.shape, "... p d") or check_rank("x2", x2.shape, "... r d")
    if mismatch is not None:
        return mismatch
    if x1.shape.axes is None or x2.shape.axes is None:
        return UNKNOWN_TENSOR
    doubt, sure = check_contraction(x1.shape, x2.shape, -1, -1)
    if doubt is not None and sure:
        return doubt
    batch = shapes.broadcast(Shape(x1.shape.axes[:-2]), Shape(x2.shape.axes[:-2]))
    if isinstance(batch, Mismatch):
        return batch
    axes = (*(batch.axes or ()), x1.shape.axes[-2], x2.shape.axes[-2])
    return Tensor(Shape(axes, doubt or batch.doubt), common_dtype(x1, x2))
