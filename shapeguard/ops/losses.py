"""Losses of elements, pairs and triples; how a loss is registered as a function and as a layer, and reduced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from shapeguard.ops.demands import Demands, Sized, axes_of, layer, sizes_of
from shapeguard.ops.layers import floating
from shapeguard.ops.promotion import as_real
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN, Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.mismatch import LayerShapeMismatch
from shapeguard.shapes.shape import Axis, Shape

Rule: TypeAlias = Callable[[Demands, Mapping[str, Any]], Sequence[Sized] | None]
"""Notes what a loss demands of its tensors, by name, and gives the sizes of the loss before it is reduced."""

_REDUCTIONS = ("mean", "sum", "none")
# In torch's older words for `reduction`; what they mean together is left unknown.
_LEGACY = ("size_average", "reduce")


def register_loss(
    function: str,
    name: str,
    tensors: tuple[str, ...],
    rule: Rule,
    examples: tuple[str, ...],
    *,
    options: tuple[str, ...] = (),
    reductions: tuple[str, ...] = _REDUCTIONS,
) -> None:
    """Register a loss under both of its names.

    Examples are the tensors of a call, or errors. `options` are tensors that the function takes after the others and
    the layer when it is made, such as weights.
    """

    def compute(label: str, arguments: tuple[Any, ...], named: Mapping[str, Any], held: Mapping[str, Any]) -> Result:
        values = {**held, **dict(zip((*tensors, *options), arguments, strict=False)), **named}
        demands = Demands(label)
        sizes = rule(demands, values)
        reduction = values.get("reduction", "mean")
        reduction = next((value for value in arguments if isinstance(value, str)), reduction)
        if isinstance(reduction, str) and reduction not in reductions:
            demands.refuse(f"reduces by {', '.join(map(repr, reductions))}, not {reduction!r}")
        if reduction is UNKNOWN or any(values.get(word) is not None for word in _LEGACY):
            sizes = None
        elif reduction != "none":
            sizes = ()
        # Where several kinds of fractions meet, some losses promote.
        kinds = {dtype for word in tensors if (dtype := floating(values.get(word))) is not None}
        return demands.gives(sizes, as_real(floating(values.get(tensors[0]))) if len(kinds) == 1 else None)

    shown = [word for word in reductions if word != "mean" or "batchmean" not in reductions]
    calls = [f"f({call}, reduction={word!r})" for call in examples for word in shown]

    @op(f"torch.nn.functional.{function}", examples=(*calls, f"f({examples[0]}, reduction='average')"))
    def loss(*arguments: Any, **named: Any) -> Result:
        return compute(function, arguments, named, {})

    made = [
        f"f(reduction={word!r})({call})" for call in examples if "=" not in call.replace("dtype=", "") for word in shown
    ]

    @module(f"torch.nn.{name}", examples=tuple(made))
    def loss_layer(*arguments: Any, **named: Any) -> Result:
        held = dict(named)
        reduction = next((value for value in arguments if isinstance(value, str)), None)
        if reduction is not None:
            held["reduction"] = reduction
        if arguments and options and isinstance(arguments[0], Tensor):
            held[options[0]] = arguments[0]
        return layer(lambda *values, **more: compute(name, values, more, held), **named)


def stretched(*names: str, aware: bool = False) -> Rule:
    """Tensors that are stretched to one shape; `aware` where torch warns when that is needed."""

    def rule(demands: Demands, values: Mapping[str, Any]) -> Sequence[Sized] | None:
        given = [value.shape for name in names if isinstance(value := values.get(name), Tensor)]
        axes = demands.takes(shapes.broadcast(*given))
        first, other = axes_of(values.get(names[0])), axes_of(values.get(names[1]))
        if aware and first is not None and other is not None:
            mismatch = LayerShapeMismatch(demands.layer, names[1], sizes_of(first), sizes_of(other))
            equal = [_agree(left, right) for left, right in zip(first, other, strict=False)]
            if len(first) != len(other) or not all(equal):
                demands.note(mismatch, met=None)
        return axes if len(given) == len(names) else None

    return rule


def _agree(left: Axis, right: Axis) -> bool:
    return left.size is None or right.size is None or compare(left.size, right.size) is True


def alike(demands: Demands, values: Mapping[str, Any]) -> Sequence[Sized] | None:
    """An input and a target of one shape; weights stretch to it."""
    axes = axes_of(values.get("input"))
    demands.shape(values.get("target"), axes, "target")
    for name in ("weight", "pos_weight"):
        if isinstance(weight := values.get(name), Tensor) and axes is not None:
            demands.takes(shapes.broadcast(Shape(axes), weight.shape))
    return axes


def _rank_alike(demands: Demands, values: Mapping[str, Any]) -> Sequence[Sized] | None:
    names = ("input1", "input2", "target")
    given = [(name, axes_of(values.get(name))) for name in names]
    ranks = [len(axes) for _, axes in given if axes is not None]
    for name, axes in given[1:]:
        if ranks and axes is not None:
            demands.rank(values[name], ranks[0], ranks[0], name)
    return stretched(*names)(demands, values) if demands.refusal is None else None


def _cosine(demands: Demands, values: Mapping[str, Any]) -> Sequence[Sized] | None:
    target = demands.rank(values.get("target"), 0, 1, "target")
    if target is None:
        return None
    first = demands.rank(values.get("input1"), len(target) + 1, len(target) + 1, "input1")
    second = demands.rank(values.get("input2"), len(target) + 1, len(target) + 1, "input2")
    if first is None or second is None:
        return None
    both = demands.takes(shapes.broadcast(Shape(first), Shape(second)))
    return None if both is None else demands.takes(shapes.broadcast(Shape(both[:-1]), Shape(target)))


def _triplet(demands: Demands, values: Mapping[str, Any]) -> Sequence[Sized] | None:
    names = ("anchor", "positive", "negative")
    known = [axes for name in names if (axes := axes_of(values.get(name))) is not None]
    if len(known) < len(names):
        return None
    for name, axes in zip(names, known, strict=True):
        if len(axes) != len(known[0]):
            demands.rank(values[name], len(known[0]), len(known[0]), name)
    anchor, *others = map(Shape, known)
    distances = [demands.takes(shapes.broadcast(anchor, other)) for other in others]
    if demands.refusal is not None:
        return None
    return demands.takes(shapes.broadcast(*(Shape(axes[:-1]) for axes in distances if axes is not None)))


def _gaussian(demands: Demands, values: Mapping[str, Any]) -> Sequence[Sized] | None:
    given, target, spread = (axes_of(values.get(name)) for name in ("input", "target", "var"))
    if given is None or target is None:
        return None
    if spread is not None and len(spread) == len(given):
        # One variance for each element, or one along a single axis.
        shared = [one.size == 1 and other.size != 1 for one, other in zip(spread, given, strict=True)]
        wanted = spread if sum(shared) == 1 else given
        demands.shape(
            values["var"], [one if at else two for at, one, two in zip(shared, wanted, given, strict=True)], "var"
        )
    elif spread is not None and given:
        demands.shape(values["var"], given[:-1], "var")
    return stretched("input", "target")(demands, values)


_PAIR = ("input", "target")
for _function, _name in (
    ("mse_loss", "MSELoss"),
    ("l1_loss", "L1Loss"),
    ("smooth_l1_loss", "SmoothL1Loss"),
    ("huber_loss", "HuberLoss"),
):
    register_loss(_function, _name, _PAIR, stretched(*_PAIR, aware=True), ("t(2, 3), t(2, 3)", "t(), t()"))
register_loss(
    "binary_cross_entropy",
    "BCELoss",
    _PAIR,
    alike,
    ("t(2, 3), t(2, 3)", "t(2, 3), t(2, 3), weight=t(3)", "t(2, 3), t(2)", "t(2, 1), t(2)", "t(2, 3), t(2, 4)"),
    options=("weight",),
)
register_loss(
    "binary_cross_entropy_with_logits",
    "BCEWithLogitsLoss",
    _PAIR,
    alike,
    ("t(2, 3), t(2, 3)", "t(2, 3), t(2, 3), pos_weight=t(3)", "t(2, 3), t(2)", "t(2, 1), t(2)", "t(2, 3), t(2, 4)"),
    options=("weight",),
)
register_loss(
    "kl_div",
    "KLDivLoss",
    _PAIR,
    stretched(*_PAIR),
    ("t(2, 3), t(2, 3)", "t(2, 3), t(3)", "t(2, 3), t(2, 4)"),
    reductions=("batchmean", *_REDUCTIONS),
)
register_loss(
    "poisson_nll_loss",
    "PoissonNLLLoss",
    _PAIR,
    stretched(*_PAIR),
    ("t(2, 3), t(2, 3)", "t(2, 3), t(3)", "t(2, 3), t(4)"),
)
register_loss(
    "gaussian_nll_loss",
    "GaussianNLLLoss",
    (*_PAIR, "var"),
    _gaussian,
    # It looks at numbers, which the meta device has none of.
    ("t(2, 3), t(2, 4), t(2, 3)", "t(2, 3), t(2, 3), t(5, 3)", "t(2, 3), t(2, 3), t(2, 2)"),
)
register_loss(
    "hinge_embedding_loss", "HingeEmbeddingLoss", _PAIR, stretched(*_PAIR), ("t(2, 3), t(2, 3)", "t(2, 3), t(2, 4)")
)
register_loss("soft_margin_loss", "SoftMarginLoss", _PAIR, stretched(*_PAIR), ("t(2, 3), t(2, 3)", "t(2, 3), t(2, 4)"))
register_loss(
    "margin_ranking_loss",
    "MarginRankingLoss",
    ("input1", "input2", "target"),
    _rank_alike,
    ("t(5), t(5), t(5)", "t(2, 3), t(2, 3), t(2, 1)", "t(5), t(5), t(4)", "t(5, 2), t(5, 2), t(5)"),
)
register_loss(
    "cosine_embedding_loss",
    "CosineEmbeddingLoss",
    ("input1", "input2", "target"),
    _cosine,
    (
        "t(5, 3), t(5, 3), t(5)",
        "t(3), t(3), t()",
        "t(5, 3), t(5, 3), t(5, 1)",
        "t(5, 3), t(5, 4), t(5)",
        "t(5, 3), t(5, 3), t(4)",
    ),
)
for _function, _name in (
    ("triplet_margin_loss", "TripletMarginLoss"),
    ("triplet_margin_with_distance_loss", "TripletMarginWithDistanceLoss"),
):
    register_loss(
        _function,
        _name,
        ("anchor", "positive", "negative"),
        _triplet,
        ("t(5, 3), t(5, 3), t(5, 3)", "t(3), t(3), t(3)", "t(5, 3), t(5, 3), t(5, 4)", "t(5, 3), t(5, 3), t(3)"),
    )
