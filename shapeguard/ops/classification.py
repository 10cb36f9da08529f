"""Losses that compare scores of classes with the class that is right, or with several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shapeguard.ops.demands import Demands, axes_of, dtype_of, is_floating
from shapeguard.ops.losses import register_loss
from shapeguard.ops.values import Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.mismatch import DtypeMismatch, show
from shapeguard.shapes.shape import Axis, Shape


def _demand_class_weights(demands: Demands, values: Mapping[str, Any], classes: Axis) -> None:
    demands.shape(values.get("weight"), (classes,), "weight", "there is one for each class")


def _class_axis(axes: Sequence[Axis]) -> int:
    return 0 if len(axes) == 1 else 1


def _demand_classes(demands: Demands, values: Mapping[str, Any], axes: tuple[Axis, ...]) -> Sequence[Axis]:
    """Demand a class for each place of the input."""
    place = _class_axis(axes)
    wanted = (*axes[:place], *axes[place + 1 :])
    given = axes_of(values.get("target"))
    if len(axes) == 1 and given is not None and len(given) == 1 and given[0].size in (1, None):
        # One sample may come with its class in an axis of 1.
        _demand_class_weights(demands, values, axes[place])
        return wanted
    sizes = show([axis.size for axis in axes])
    demands.shape(values.get("target"), wanted, "target", f"the classes are axis {place} of `input` {sizes}")
    dtype = dtype_of(values.get("target"))
    if is_floating(dtype):
        demands.note(DtypeMismatch("target", dtype or "", "int64"))
    _demand_class_weights(demands, values, axes[place])
    return wanted


def _cross_entropy(demands: Demands, values: Mapping[str, Any]) -> Sequence[Axis] | None:
    target = values.get("target")
    axes, wanted = demands.rank(values.get("input"), 1), axes_of(target)
    if axes is None or wanted is None:
        return None
    if len(wanted) == len(axes) and is_floating(dtype_of(target)) is not False:
        # Of the target's own shape are probabilities.
        demands.shape(target, axes, "target")
        place = _class_axis(axes)
        _demand_class_weights(demands, values, axes[place])
        return (*axes[:place], *axes[place + 1 :])
    return _demand_classes(demands, values, axes)


def _negative_likelihood(demands: Demands, values: Mapping[str, Any]) -> Sequence[Axis] | None:
    axes = demands.rank(values.get("input"), 1)
    return None if axes is None else _demand_classes(demands, values, axes)


def _multi_margin(demands: Demands, values: Mapping[str, Any]) -> Sequence[Axis] | None:
    axes = demands.rank(values.get("input"), 0, 2)
    # Devices disagree on what a lone number gives.
    if not axes:
        return None
    if len(axes) == 1:
        # One sample may come with its class in an axis of 1.
        demands.rank(values.get("target"), 0, 1, "target")
        return axes_of(values.get("target"))
    return _demand_classes(demands, values, axes)


def _multilabel_margin(demands: Demands, values: Mapping[str, Any]) -> Sequence[Axis] | None:
    axes = demands.rank(values.get("input"), 0, 2)
    demands.shape(values.get("target"), axes, "target")
    return axes[:-1] if axes else None


def _multilabel_soft_margin(demands: Demands, values: Mapping[str, Any]) -> Sequence[Axis] | None:
    axes = demands.rank(values.get("input"), 1)
    target = values.get("target")
    if axes is None or not isinstance(target, Tensor):
        return None
    together = demands.takes(shapes.broadcast(Shape(axes), target.shape))
    # The classes are where the input has them; further axes of the target stay.
    return None if together is None else (*together[: len(axes) - 1], *together[len(axes) :])


_PAIR = ("input", "target")
register_loss(
    "cross_entropy",
    "CrossEntropyLoss",
    _PAIR,
    _cross_entropy,
    (
        "t(2, 3), t(2, dtype=i64)",
        "t(3), t(dtype=i64)",
        "t(2, 3, 5), t(2, 5, dtype=i64)",
        "t(2, 3, 5, 7), t(2, 5, 7, dtype=i64)",
        "t(2, 3), t(2, 3)",
        "t(2, 3, 5), t(2, 3, 5)",
        "t(2, 3), t(2, dtype=i64), weight=t(3)",
        "t(2, 3), t(5, dtype=i64)",
        "t(2, 5, 3), t(2, 5, dtype=i64)",
        "t(2, 3), t(2)",
        "t(2, 3), t(2, 1, dtype=i64)",
        "t(2, 3), t(2, 3, dtype=i64)",
        "t(2, 3), t(2, 4)",
        "t(2, 3), t(2, dtype=i64), weight=t(2)",
    ),
    options=("weight",),
)
register_loss(
    "nll_loss",
    "NLLLoss",
    _PAIR,
    _negative_likelihood,
    (
        "t(2, 3), t(2, dtype=i64)",
        "t(3), t(dtype=i64)",
        "t(2, 3, 5, 7), t(2, 5, 7, dtype=i64)",
        "t(2, 3), t(5, dtype=i64)",
        "t(2, 5, 3), t(2, 5, dtype=i64)",
        "t(2, 3), t(2, 3)",
    ),
    options=("weight",),
)
register_loss(
    "multi_margin_loss",
    "MultiMarginLoss",
    _PAIR,
    _multi_margin,
    ("t(2, 3), t(2, dtype=i64)", "t(2, 3), t(5, dtype=i64)", "t(2, 3, 4), t(2, 4, dtype=i64)"),
)
register_loss(
    "multilabel_margin_loss",
    "MultiLabelMarginLoss",
    _PAIR,
    _multilabel_margin,
    ("t(2, 3), t(2, 3, dtype=i64)", "t(2, 3), t(2, 4, dtype=i64)", "t(2, 3), t(2, dtype=i64)"),
)
register_loss(
    "multilabel_soft_margin_loss",
    "MultiLabelSoftMarginLoss",
    _PAIR,
    _multilabel_soft_margin,
    ("t(2, 3), t(2, 3)", "t(3), t(3)", "t(2, 5, 3), t(2, 5, 3)", "t(2, 3), t(2, 4)"),
    options=("weight",),
)


def _connectionist(demands: Demands, values: Mapping[str, Any]) -> Sequence[Axis] | None:
    axes = demands.rank(values.get("log_probs"), 2, 3, "log_probs")
    demands.rank(values.get("targets"), 1, 2, "targets")
    if axes is None:
        return None
    batch = axes[1:-1]
    for name in ("input_lengths", "target_lengths"):
        lengths = values.get(name)
        if batch and isinstance(lengths, Tensor) and lengths.shape.rank == 1:
            demands.shape(lengths, batch, name, "there is one for each sample")
    return batch


register_loss(
    "ctc_loss",
    "CTCLoss",
    ("log_probs", "targets", "input_lengths", "target_lengths"),
    _connectionist,
    # Lengths of zero are refused, and the meta device has no others.
    ("t(5), t(3, dtype=i64), t(3, dtype=i64), t(3, dtype=i64)",),
)
