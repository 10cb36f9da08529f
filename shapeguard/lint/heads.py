"""Views that take heads apart as if they stood before the rows of a linear layer's result."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from shapeguard.lint.axes import Axes
from shapeguard.lint.reading import Reading, last_name, number

_HEADS = frozenset({"heads", "num_heads", "n_heads", "n_head", "nhead", "nheads", "head_num", "num_attention_heads"})


@dataclass(frozen=True, slots=True)
class Cut:
    """One such view."""

    given: ast.expr
    text: str | None
    """The calls that split the rows as they lie, and exchange the axes then; None where it takes more."""


def heads_cut(file: Reading, axes: Axes, call: ast.Call) -> Cut | None:
    """The view that a call is, if it is one: `self.q(x).view(n, self.num_heads, -1, d)`."""
    given, asked = axes.viewed(call), axes.target(call)
    if asked is None or given is None or not (_is_of_linear(file, given) or _is_given_to_split(file, given)):
        return None
    match [*asked]:
        case [batch, heads, length, width] if _is_heads(heads) and number(length) == -1 != number(width):
            texts = ", ".join(file.text(each) for each in (batch, length, heads, width))
            if set(texts).isdisjoint("{}#"):
                return Cut(given, f".{last_name(call.func)}({texts}).transpose(1, 2)")
        case [ast.BinOp(_, ast.Mult(), heads), length, width] if _is_heads(heads):
            return Cut(given, None) if number(length) == -1 != number(width) else None
    return None


def _is_of_linear(file: Reading, given: ast.expr) -> bool:
    origin = file.origin(given)
    made = file.layer(origin.func) if isinstance(origin, ast.Call) else None
    return made is not None and last_name(made.func) == "Linear"


def _is_given_to_split(file: Reading, given: ast.expr) -> bool:
    """Whether it is the parameter of a function that splits heads."""
    binding = file.definition(given) if isinstance(given, ast.Name) else None
    around = file.function(given)
    if binding is None or not isinstance(binding.target, ast.arg) or not isinstance(around, ast.FunctionDef):
        return False
    return "split" in around.name and "head" in around.name


def _is_heads(node: ast.expr) -> bool:
    return last_name(node) in _HEADS
