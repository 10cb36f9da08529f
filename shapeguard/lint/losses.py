"""torch's losses as a file calls them: as functions, and as layers that were made before."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.lint.making import makers
from shapeguard.lint.reading import Reading, argument

OF_CLASSES = ("cross_entropy", "nll_loss")
"""Losses of a number for each class."""
OF_DIFFERENCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
"""Losses of what is between two numbers, which broadcast their sides."""
OF_CHANCES = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
"""Losses of yes or no, which refuse sides of two shapes."""
OF_ELEMENTS = (*OF_DIFFERENCES, *OF_CHANCES)
_LAYERS = {
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "CTCLoss": "ctc_loss",
    "CosineEmbeddingLoss": "cosine_embedding_loss",
    "CrossEntropyLoss": "cross_entropy",
    "GaussianNLLLoss": "gaussian_nll_loss",
    "HingeEmbeddingLoss": "hinge_embedding_loss",
    "HuberLoss": "huber_loss",
    "KLDivLoss": "kl_div",
    "L1Loss": "l1_loss",
    "MSELoss": "mse_loss",
    "MarginRankingLoss": "margin_ranking_loss",
    "MultiLabelSoftMarginLoss": "multilabel_soft_margin_loss",
    "NLLLoss": "nll_loss",
    "PoissonNLLLoss": "poisson_nll_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "SoftMarginLoss": "soft_margin_loss",
}
"""Layer -> the function that does the same."""
_OF_TWO = frozenset({"margin_ranking_loss", "cosine_embedding_loss"})
"""Those that take two inputs before the target."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One call of a loss."""

    name: str
    """The function's, for a layer too: `cross_entropy`."""
    call: ast.Call
    made: ast.Call
    """The call that makes the layer; the same call, for a function."""
    given: ast.expr
    """The first tensor: what a model says."""
    target: ast.expr | None
    """The last tensor: what is right."""

    @property
    def options(self) -> dict[str, ast.expr]:
        """Options given by name, in either call."""
        return {each.arg: each.value for each in (*self.made.keywords, *self.call.keywords) if each.arg is not None}


def losses(file: Reading, *names: str) -> Iterator[Loss]:
    """The calls of these losses, by their functions' names."""
    for call, name in file.torch_calls(*names):
        yield from _loss(name, call, call)
    layers = [layer for layer, name in _LAYERS.items() if name in names]
    made = {call: _LAYERS[layer] for call, layer in file.torch_calls(*layers)}
    if not made:
        return
    for call in file.all(ast.Call):
        if call in made or not _may_be_layer(call.func):
            continue
        found = makers(file, call.func)
        kinds = {made.get(each) for each in found}
        kind = kinds.pop() if len(kinds) == 1 else None
        if kind is not None:
            yield from _loss(kind, call, found[0])


def _may_be_layer(func: ast.expr) -> bool:
    """Whether what is called is a name, an attribute of self, or made on the spot: all where a layer is found."""
    match func:
        case ast.Name() | ast.Call() | ast.Attribute(value=ast.Name(id="self")):
            return True
    return False


def _loss(name: str, call: ast.Call, made: ast.Call) -> Iterator[Loss]:
    names = ("input", "target")
    if name in _OF_TWO:
        names = ("input1", "target")
    elif name == "ctc_loss":
        names = ("log_probs", "targets")
    given = argument(call, 0, names[0])
    target = argument(call, 2 if name in _OF_TWO else 1, names[1])
    if given is not None:
        yield Loss(name, call, made, given, target)
