"""A part of a sequence: which of its moments a value's positions are of."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import NamedTuple

from shapeguard.lint.identity import is_same
from shapeguard.lint.produced import split_offset
from shapeguard.lint.reading import Reading, number


class Frame(NamedTuple):
    """A call of a function of the file, in which a parameter is what the call gives it."""

    function: ast.FunctionDef
    call: ast.Call
    outer: Frame | None


class Place(NamedTuple):
    """An expression, and the call that it is evaluated in."""

    node: ast.expr
    frame: Frame | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """A value whose position j is position `start + shift + j` of a sequence."""

    root: Place
    """The whole of the sequence."""
    start: str = ""
    """Where it begins in words, as a text that tells it from others; empty for its beginning."""
    shift: int = 0
    drops: int | None = 0
    """How many positions are cut off its end; None where it is a window of its own length."""
    is_step: bool = False
    """Whether it is a single position."""
    steps: tuple[ast.expr, ...] = ()
    """What cuts or shifts it, from the outside in."""

    def at(self, node: ast.expr, frame: Frame | None) -> Moments:
        """The same with another root."""
        return replace(self, root=Place(node, frame))

    def moved(self, by: int, step: ast.expr, drops: int | None = 0) -> Moments:
        """The same, beginning some positions later."""
        less = None if drops is None or self.drops is None else self.drops + drops
        return replace(self, shift=self.shift + by, drops=less, steps=(*self.steps, step))

    def within(self, inner: Moments) -> Moments | None:
        """The moments that these are of another root."""
        if (self.start and inner.start) or (inner.is_step and self.steps):
            return None
        drops = None if self.drops is None or inner.drops is None else self.drops + inner.drops
        return Moments(
            inner.root, self.start or inner.start, self.shift + inner.shift, drops, self.is_step or inner.is_step,
            (*self.steps, *inner.steps),
        )  # fmt: skip


# Subscripts.


def cut_of(node: ast.Subscript, *, logits: bool) -> Moments | None:
    """What a subscript takes of its value's second axis, or of the only one; None where that isn't sure."""
    match node.slice:
        case ast.Tuple(elts=parts):
            parts = list(parts)
        case ast.Slice() as only:
            return _of_slice(node, only) if only.lower is not None or only.upper is not None else None
        case _:
            return None
    while parts and isinstance(parts[-1], ast.Constant) and parts[-1].value is None:
        parts.pop()  # `[:, 1:, None]`
    if len(parts) > 2 and _is_whole(parts[-1]):  # noqa: PLR2004 - rows, steps, features
        parts.pop()
    elif parts and isinstance(parts[0], ast.Constant) and parts[0].value is ... and logits:
        return None
    if parts and all(_is_whole(each) or (isinstance(each, ast.Constant) and each.value is ...) for each in parts):
        return Moments(Place(node.value))
    if len(parts) != 2 or not (_is_whole(parts[0]) or (isinstance(parts[0], ast.Constant) and parts[0].value is ...)):  # noqa: PLR2004 - rows, steps
        return None
    if isinstance(parts[1], ast.Slice):
        return _of_slice(node, parts[1])
    start, shift = split_offset(parts[1])
    is_moment = isinstance(parts[1], ast.Name | ast.BinOp) and bool(start)
    return Moments(Place(node.value), start, shift, None, is_step=True, steps=(node,)) if is_moment else None


def _is_whole(node: ast.expr) -> bool:
    return isinstance(node, ast.Slice) and node.lower is node.upper is node.step is None


def _of_slice(node: ast.Subscript, cut: ast.Slice) -> Moments | None:
    if cut.step is not None:
        return None
    start, shift = split_offset(cut.lower)
    stop = 0 if cut.upper is None else number(cut.upper)
    if shift < 0 and not start:
        return None
    drops = -stop if stop is not None and stop <= 0 else None
    whole = not start and not shift and drops == 0
    return Moments(Place(node.value), start, shift, drops, steps=() if whole else (node,))


# Sameness.


def is_one_sequence(file: Reading, one: Moments, other: Moments) -> bool:
    """Whether two values surely are of one sequence."""
    if one.start != other.start or one.is_step != other.is_step or one.root.frame is not other.root.frame:
        return (
            one.root.frame is not other.root.frame
            and _same_frame(one.root.frame, other.root.frame)
            and (
                one.start == other.start
                and one.is_step == other.is_step
                and is_same(file, one.root.node, other.root.node)
            )
        )
    return one.root.node is other.root.node or is_same(file, one.root.node, other.root.node)


def _same_frame(one: Frame | None, other: Frame | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.call is other.call and one.function is other.function and _same_frame(one.outer, other.outer)
