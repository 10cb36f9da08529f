"""What torch's distributions give: as many values as they have parameters."""

from __future__ import annotations

from functools import partial
from typing import Any

from shapeguard.infer.values import Bound, Dictionary, Scope, certain
from shapeguard.ops.pointwise import binary
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Shape

_BY_CLASSES = frozenset({"Categorical"})
"""Those whose parameters have the classes as their last axis."""
_ONE_BY_ONE = {
    "Bernoulli": ("probs", "logits"),
    "Beta": ("concentration1", "concentration0"),
    "Exponential": ("rate",),
    "Gamma": ("concentration", "rate"),
    "Laplace": ("loc", "scale"),
    "LogNormal": ("loc", "scale"),
    "Normal": ("loc", "scale"),
    "Poisson": ("rate",),
    "Uniform": ("low", "high"),
}
"""Those that draw each value by itself, and their parameters."""
_SCORES = ("probs", "logits")
"""What the parameters of these are called."""
_DRAWN = "what is drawn"


def distribution(name: str, arguments: list[Any], named: Scope) -> Any:
    """What a distribution of torch's, by its full name, knows of shapes."""
    kind = name.rpartition(".")[2]
    if kind in _BY_CLASSES:
        given = [*arguments, *(named[each] for each in _SCORES if each in named)]
        scores = certain(given[0]) if given else UNKNOWN
        axes = scores.shape.axes if isinstance(scores, Tensor) else None
        return UNKNOWN if not axes else _of_shape(Tensor(Shape(axes[:-1])), drawn="int64")
    if kind not in _ONE_BY_ONE:
        return UNKNOWN
    parameters = [certain(each) for each in arguments]
    parameters += [certain(named[each]) for each in _ONE_BY_ONE[kind] if each in named]
    tensors = [each for each in parameters if isinstance(each, Tensor)]
    if not tensors or any(each is UNKNOWN for each in parameters):
        return UNKNOWN
    batch: Any = tensors[0]
    for each in tensors[1:]:
        batch = binary("+", batch, each)
    return _of_shape(batch, drawn=batch.dtype) if isinstance(batch, Tensor) else UNKNOWN


def _of_shape(batch: Tensor, *, drawn: str | None) -> Dictionary:
    """A distribution as the shape and dtype of what is drawn from it."""
    return Dictionary(((_DRAWN, Tensor(batch.shape, drawn)),), is_open=True)


def method(owner: Dictionary, name: str) -> Any:
    """A method of a distribution; UNKNOWN for any other dictionary."""
    drawn = owner.get(_DRAWN)
    if not isinstance(drawn, Tensor):
        return UNKNOWN
    plain = Tensor(drawn.shape)
    if name == "log_prob":
        return Bound(UNKNOWN, partial(_with, plain))
    if name == "entropy":
        return Bound(UNKNOWN, lambda: plain)
    if name in ("sample", "rsample"):
        return Bound(UNKNOWN, lambda *given, **more: UNKNOWN if given or more else drawn)
    return UNKNOWN


def _with(batch: Tensor, value: Any = UNKNOWN) -> Any:
    """One number for each value, as broadcast with the parameters."""
    if not isinstance(value, Tensor):
        return Tensor(Shape.unknown())
    found = binary("+", batch, value)
    return found if isinstance(found, Mismatch) else Tensor(found.shape) if isinstance(found, Tensor) else UNKNOWN
