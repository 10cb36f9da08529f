"""Losses that compare element by element, of which only one side is squeezed without an axis."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.lint.harmless_squeezes import is_elsewhere, is_guarded
from shapeguard.lint.losses import OF_DIFFERENCES, losses
from shapeguard.lint.reading import Reading, argument, last_name
from shapeguard.lint.squeezing import Squeeze, source, squeeze_of, squeezed

RAISING = {
    "binary_cross_entropy": "Using a target size that is different to the input size is deprecated",
    "binary_cross_entropy_with_logits": "Target size must be the same as input size",
    "margin_ranking_loss": "All input tensors should have same dimension",
    "cosine_embedding_loss": "1D target tensor expects 2D input tensors",
}
"""Losses that refuse sides of another rank, with torch's words."""
_OTHERS = ("kl_div", "poisson_nll_loss", "gaussian_nll_loss", "hinge_embedding_loss", "soft_margin_loss")
_CALLED_A_LOSS = re.compile(r"(^|_)(criterion|loss_fn|loss_fct|loss_func|loss_function|mse|bce|mse_loss|bce_loss)$")
_MADE_AFTER = re.compile(r"(ones|zeros|full|empty|rand|randn)_like$|^new_|^expand_as$")


@dataclass(frozen=True, slots=True)
class OneSided:
    """A loss with one side squeezed."""

    squeeze: Squeeze
    loss: str
    """The function's name; "" where only the name tells of a loss."""
    call: ast.Call
    other: ast.expr
    """The side that isn't squeezed."""


def one_sided(file: Reading) -> Iterator[OneSided]:
    """The losses of which one side only is squeezed without an axis."""
    known: set[ast.Call] = set()
    for loss in losses(file, *RAISING, *OF_DIFFERENCES, *_OTHERS):
        known.add(loss.call)
        second = argument(loss.call, 1, "input2") if loss.name == "margin_ranking_loss" else loss.target
        if second is not None:
            yield from _sides(file, loss.name, loss.call, loss.given, second)
        if loss.name == "margin_ranking_loss" and loss.target is not None and second is not None:
            yield from _against(file, loss.call, (loss.given, second), loss.target)
    for call in file.all(ast.Call):
        if call not in known and len(call.args) == 2 and _CALLED_A_LOSS.search(last_name(call.func)):  # noqa: PLR2004 - sides
            yield from _sides(file, "", call, call.args[0], call.args[1])


def _sides(file: Reading, name: str, call: ast.Call, left: ast.expr, right: ast.expr) -> Iterator[OneSided]:
    found = squeezed(file, left), squeezed(file, right)
    squeeze, other = (found[0], right) if found[0] is not None else (found[1], left)
    if squeeze is None or (found[0] is not None and found[1] is not None):
        return
    if is_elsewhere(file, squeeze) or _is_made_after(file, other) or is_guarded(file, squeeze):
        return
    if name or not _knows_classes(file):
        yield OneSided(squeeze, name, call, other)


def _against(file: Reading, call: ast.Call, scores: tuple[ast.expr, ast.expr], target: ast.expr) -> Iterator[OneSided]:
    """Of two scores that are both squeezed, beside a target that isn't."""
    found = [squeezed(file, each) for each in scores]
    if squeezed(file, target) is None and not _is_made_after(file, target):
        for each in found:
            if each is not None and None not in found and not is_guarded(file, each):
                yield OneSided(each, "margin_ranking_loss", call, target)


def _knows_classes(file: Reading) -> bool:
    """Whether it may be a cross-entropy, whose sides differ by an axis."""
    return any(
        last_name(each.func) in {"CrossEntropyLoss", "NLLLoss"} for each in file.calls("CrossEntropyLoss", "NLLLoss")
    )


def _is_made_after(file: Reading, other: ast.expr) -> bool:
    """Whether the other side takes its shape from the squeezed one, or has none."""
    node = source(file, other)
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Call) and file.is_torch(node, "tensor", "scalar_tensor"):
        return bool(node.args) and not isinstance(node.args[0], ast.List | ast.Tuple)
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and _MADE_AFTER.search(last_name(each.func)):
            return True
        if isinstance(each, ast.Call) and squeeze_of(file, each) is not None:
            return True
        if isinstance(each, ast.Name) and squeezed(file, each) is not None:
            return True
    return False
