"""A step of torch as code writes it: a function or a method, of what, and along which axes; and as a message shows it."""

from __future__ import annotations

import ast
from dataclasses import dataclass

_LONGEST = 60
BATCHES = frozenset({"b", "B", "bs", "bsz", "nbatch", "batch", "batch_size", "batchsize", "n_batch", "num_batch"})
"""What code calls the number of rows of a batch."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function of torch or a method, as one."""

    name: str
    of: ast.expr
    rest: tuple[ast.expr, ...]
    named: dict[str, ast.expr]

    def given(self, position: int, *names: str) -> ast.expr | None:
        """An argument after the first."""
        if position < len(self.rest):
            return self.rest[position]
        return next((self.named[name] for name in names if name in self.named), None)

    @property
    def axes(self) -> tuple[int, ...] | None:
        """The axes that are named, where they are numbers."""
        place = self.given(0, "dim", "axis")
        parts = place.elts if isinstance(place, ast.Tuple | ast.List) else [] if place is None else [place]
        found = tuple(written(part) for part in parts)
        return None if not found or None in found else tuple(each for each in found if each is not None)


def call_of(node: ast.AST) -> Call | None:
    """What a call does, and to what."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=arguments, keywords=keywords):
            named = {each.arg: each.value for each in keywords if each.arg is not None}
            if not is_module(owner):
                return Call(name, owner, tuple(arguments), named)
            first = arguments[0] if arguments else named.get("input")
            return None if first is None else Call(name, first, tuple(arguments[1:]), named)
    return None


def written(node: ast.expr | None) -> int | None:
    """The integer that is written."""
    match node:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
            return -number
    return None


def is_module(node: ast.expr) -> bool:
    """Whether an expression is a module of torch's functions."""
    return ast.unparse(node) in ("torch", "F", "nn.functional", "torch.nn.functional", "functional", "torch.special")


def text_of(node: ast.AST) -> str:
    """A step on one line."""
    return " ".join(ast.unparse(node).split())


def short_text_of(node: ast.AST) -> str:
    """A step in so few characters that it fits on a line with other words."""
    text = text_of(node)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
