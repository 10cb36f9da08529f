"""What takes probabilities or logits, and no loss: draws, distributions, thresholds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.lint.reading import Reading, argument, number, receiver

_DISTRIBUTIONS = (
    *("Categorical", "Bernoulli", "OneHotCategorical", "OneHotCategoricalStraightThrough", "Multinomial"),
    *("RelaxedOneHotCategorical", "RelaxedBernoulli", "ContinuousBernoulli", "Geometric", "Binomial"),
)
_SECOND = frozenset({"Multinomial", "RelaxedOneHotCategorical", "RelaxedBernoulli", "Binomial"})
"""Distributions that have another parameter before the probabilities."""
_DRAWS = ("multinomial", "bernoulli")


@dataclass(frozen=True, slots=True)
class Draw:
    """A call that takes probabilities, or logits."""

    call: ast.Call
    of: ast.expr
    logits: bool


def draws(file: Reading) -> Iterator[Draw]:
    """The draws and distributions in a file."""
    for call, _ in file.torch_calls(*_DRAWS):
        of = argument(call, 0, "input")
        if of is not None:
            yield Draw(call, of, logits=False)
    for call in file.calls("multinomial"):
        owner = receiver(call)
        if owner is not None and file.full_name(call.func) is None and call.args and not _is_module(owner):
            yield Draw(call, owner, logits=False)
    for call, _ in file.torch_calls("gumbel_softmax"):
        of = argument(call, 0, "logits")
        if of is not None:
            yield Draw(call, of, logits=True)
    for call, name in file.torch_calls(*_DISTRIBUTIONS):
        place = 1 if name in _SECOND else 0
        probabilities, logits = argument(call, place, "probs"), argument(call, place + 1, "logits")
        if probabilities is not None and not _is_none(probabilities):
            yield Draw(call, probabilities, logits=False)
        elif logits is not None:
            yield Draw(call, logits, logits=True)


def _is_module(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"torch", "np", "random", "jax", "tf"}


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def thresholds(file: Reading) -> Iterator[tuple[ast.expr, ast.expr, float]]:
    """The comparisons with a number between 0 and 1, and roundings: which, of what, and with what."""
    for compared in file.all(ast.Compare):
        match compared:
            case ast.Compare(
                left=of,
                ops=[ast.Gt() | ast.GtE() | ast.Lt() | ast.LtE()],
                comparators=[ast.Constant(value=float(limit))],
            ) if 0 < limit < 1:
                yield compared, of, limit
    for call in file.calls("round"):
        rounded = argument(call, 0, "input") if file.full_name(call.func) else receiver(call)
        if rounded is not None and number(rounded) is None and not call.keywords and len(call.args) < 2:  # noqa: PLR2004 - digits
            yield call, rounded, 0.5
