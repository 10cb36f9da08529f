"""Operations on each element of three tensors that are stretched together: where, clamp, lerp and the like."""

# ruff: noqa: A002 - torch's names

from __future__ import annotations

from typing import Any

from shapeguard.ops.broadcasting import change_in_place, stretch_together
from shapeguard.ops.promotion import result_type
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.shapes.shape import UNKNOWN_AXIS, Shape


@op(
    "torch.where",
    examples=(
        "f(t(2, 1, dtype=boolean), t(3), t(2, 3))",
        "f(t(2, 3, dtype=boolean), t(3, dtype=i64), 0.5)",
        "f(t(2, dtype=boolean), 1, 0)",
        "f(t(2, dtype=boolean), t(), t(2, dtype=torch.float16))",
        "f(t(2, 3, dtype=boolean), t(2), 0.0)",
        "f(t(2, dtype=boolean), t(3), t(3))",
    ),
)
def where(condition: Any, input: Any = None, other: Any = None, **_: Any) -> Result:
    """One or the other; with a condition alone, the places where it holds, in one tensor for each axis."""
    if input is None and other is None:
        if not isinstance(condition, Tensor) or condition.shape.axes is None:
            return UNKNOWN
        return (Tensor(Shape((UNKNOWN_AXIS,)), "int64"),) * max(1, len(condition.shape.axes))
    return stretch_together((condition, input, other), result_type(input, other))


@op(
    "Tensor.where",
    examples=(
        "f(t(2, 3), t(2, 1, dtype=boolean), t(3))",
        "f(t(3, dtype=i64), t(2, 3, dtype=boolean), 0.5)",
        "f(t(2), t(3, dtype=boolean), 0.0)",
    ),
)
def where_method(self: Any, condition: Any, other: Any) -> Result:
    """The tensor itself where a condition holds."""
    return stretch_together((condition, self, other), result_type(self, other))


def _limits(*limits: Any) -> tuple[Any, ...]:
    return tuple(limit for limit in limits if limit is not None)


@op(
    "torch.clamp",
    "torch.clip",
    "Tensor.clamp",
    "Tensor.clip",
    examples=(
        "f(t(2, 3), 0, 1)",
        "f(t(2, 3, dtype=i64), min=0.5)",
        "f(t(2, 1), min=t(3))",
        "f(t(2, 3), max=t(3), min=t(2, 1))",
        "f(t(2, 3), max=1e-6)",
        "f(t(2, 3), t(2), t(2))",
    ),
)
def clamp(input: Any, min: Any = None, max: Any = None, **_: Any) -> Result:
    """Each element between two limits."""
    operands = (input, *_limits(min, max))
    return stretch_together(operands, result_type(*operands))


@op(
    "torch.clamp_",
    "Tensor.clamp_",
    "Tensor.clip_",
    examples=("f(t(2, 3), 0, 1)", "f(t(2, 3, dtype=i64), min=0.5)", "f(t(2, 3), t(3), t(3))", "f(t(3), t(2, 3), t(3))"),
)
def clamp_in_place(input: Any, min: Any = None, max: Any = None) -> Result:
    """Limits that have to fit into the tensor."""
    limits = _limits(min, max)
    return change_in_place(input, limits, result_type(input, *limits))


@op(
    "torch.clamp_min",
    "Tensor.clamp_min",
    examples=("f(t(2, 3), 0)", "f(t(2, 3, dtype=i64), 0.5)", "f(t(2, 1), min=t(3))", "f(t(2), t(3))"),
)
def clamp_min(input: Any, min: Any, **_: Any) -> Result:
    """Each element at least as great as a limit."""
    return clamp(input, min)


@op(
    "torch.clamp_max",
    "Tensor.clamp_max",
    examples=("f(t(2, 3), 0)", "f(t(2, 3, dtype=i64), 0.5)", "f(t(2, 1), max=t(3))", "f(t(2), t(3))"),
)
def clamp_max(input: Any, max: Any, **_: Any) -> Result:
    """Each element at most as great as a limit."""
    return clamp(input, max)


@op("Tensor.clamp_min_", "Tensor.clamp_max_", examples=("f(t(2, 3), 0)", "f(t(2, 3), t(3))", "f(t(3), t(2, 3))"))
def clamp_one_side_in_place(input: Any, limit: Any) -> Result:
    """A limit that has to fit into the tensor."""
    return clamp_in_place(input, limit)


@op(
    "torch.lerp",
    "Tensor.lerp",
    examples=("f(t(2, 3), t(3), 0.5)", "f(t(2, 1), t(3), weight=t(2, 3))", "f(t(2), t(3), 0.5)"),
)
def lerp(input: Any, end: Any, weight: Any, **_: Any) -> Result:
    """A point on the way from one to the other."""
    return stretch_together((input, end, weight), result_type(input, end))


@op("Tensor.lerp_", examples=("f(t(2, 3), t(3), 0.5)", "f(t(2, 3), t(3), t(2, 3))", "f(t(3), t(2, 3), 0.5)"))
def lerp_in_place(input: Any, end: Any, weight: Any) -> Result:
    """A point on the way, which has to fit into where it starts."""
    return change_in_place(input, (end, weight), result_type(input, end))


@op(
    "torch.addcmul",
    "Tensor.addcmul",
    "torch.addcdiv",
    "Tensor.addcdiv",
    examples=("f(t(2, 3), t(3), t(2, 1))", "f(t(3), t(2, 1), t(1), value=0.5)", "f(t(2), t(3), t(3))"),
)
def addcmul(input: Any, tensor1: Any, tensor2: Any, **_: Any) -> Result:
    """A tensor plus the product or quotient of two others."""
    operands = (input, tensor1, tensor2)
    return stretch_together(operands, result_type(*operands))


@op(
    "Tensor.addcmul_",
    "Tensor.addcdiv_",
    examples=(
        "f(t(2, 3), t(3), t(2, 1))",
        "f(t(2, 3), t(3), t(3), value=0.5)",
        "f(t(3), t(2, 1), t(1))",
        "f(t(2), t(3), t(3))",
    ),
)
def addcmul_in_place(input: Any, tensor1: Any, tensor2: Any, **_: Any) -> Result:
    """A product or quotient that has to fit into what it is added to."""
    operands = (tensor1, tensor2)
    return change_in_place(input, operands, result_type(input, *operands))


@op("torch.allclose", "Tensor.allclose", examples=("f(t(2), t(3))",))
def allclose(input: Any, other: Any, *_: Any, **__: Any) -> Result:
    """A bool that only the numbers tell; the tensors have to stretch together."""
    together = stretch_together((input, other), "bool")
    return UNKNOWN if isinstance(together, Tensor) else together
