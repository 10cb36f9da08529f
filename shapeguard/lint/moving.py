"""What a view would have to move: axes that turn up in its result with other elements before them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TypeAlias

from shapeguard.lint.axes import Axes
from shapeguard.lint.reading import number
from shapeguard.shapes.dim import Dim, TooLargeError, as_int, divide_exactly, names
from shapeguard.shapes.shape import Shape
from shapeguard.shapes.whole import multiply_back

Sizes: TypeAlias = tuple[Dim | None, ...]
Counts: TypeAlias = tuple[Dim | None, Dim | None]

_MOST_AXES = 5


@dataclass(frozen=True, slots=True)
class Reshape:
    """One view or reshape of a value whose axes are known."""

    call: ast.Call
    given: ast.expr
    asked: tuple[ast.expr, ...]
    shape: Shape
    before: Sizes
    after: Sizes
    """A -1 is worked out, or None."""

    @property
    def is_of_rows(self) -> bool:
        """Whether it is `x.view(-1, d)`."""
        return len(self.asked) == 2 and number(self.asked[0]) == -1  # noqa: PLR2004 - rows and columns

    @property
    def taken_apart(self) -> Sizes:
        """The sizes before, with those that axes were flattened from in the place of these."""
        parts: list[Dim | None] = []
        for axis in self.shape.axes or ():
            parts += axis.factors if axis.factors and len(axis.factors) > 1 else [axis.size]
        return tuple(parts)


def reshape_of(axes: Axes, call: ast.Call) -> Reshape | None:
    """What a call of `view` or `reshape` does, where the rank of the value and some of the sizes are known."""
    given, asked = axes.viewed(call), axes.target(call)
    if (
        given is None
        or asked is None
        or not any(isinstance(each, ast.Name | ast.Call | ast.Subscript) for each in asked)
    ):
        return None
    after = tuple(map(axes.size, asked))
    shape = axes.shape(given) or _spelled_out(axes, given, after)
    if shape is None or not shape.axes or not 1 < len(shape.axes) <= _MOST_AXES:
        return None
    before = tuple(axis.size for axis in shape.axes)
    if after.count(Dim(-1)) == 1:
        after = tuple(_rest(before, after) if size == -1 else size for size in after)
    return Reshape(call, given, tuple(asked), shape, before, after)


def _spelled_out(axes: Axes, given: ast.expr, after: Sizes) -> Shape | None:
    """The shape of a value of which each axis is measured in its view: `x.view(x.size(1), x.size(0))`."""
    before = [axes.axis(given, place) for place in range(len(after))]
    return Shape.of(*before) if None not in before and set(before) == set(after) else None


def exchanged(before: Sizes, after: Sizes) -> list[Dim]:
    """The axes that have surely other elements before them after a view than they had."""
    counts = _product(before), _product(after)
    if _differ(*counts):
        return []  # refused, or an axis of one element that goes away
    found: list[Dim] = []
    for size, one, other in _shared(before, after):
        ahead = _product(before[:one]), _product(after[:other])
        behind = _product(before[one + 1 :]), _product(after[other + 1 :])
        if _are_moved(ahead, behind, after) or _are_moved(behind, ahead, after):
            found.append(size)
    return found


def _are_moved(counts: Counts, others: Counts, after: Sizes) -> bool:
    """Whether the elements on one side of an axis have become surely more or fewer.

    Where a name is gone, it may have stood for 1, unless the other side has become more.
    """
    before, now = counts
    if not _differ(before, now) or before is None or now is None:
        return False
    gone = divide_exactly(before, now)
    if gone is None or None in others or _differ(*others):
        return True
    return names(gone) <= {name for size in after if size is not None for name in names(size)}


def _keeps_order(before: Sizes, after: Sizes) -> bool:
    """Whether every axis that both have has surely as many elements before it, or behind it."""
    return all(
        _same(_product(before[:one]), _product(after[:other]))
        or _same(_product(before[one + 1 :]), _product(after[other + 1 :]))
        for _, one, other in _shared(before, after)
    )


def order_between(before: Sizes, after: Sizes) -> tuple[int, ...] | None:
    """The order of axes in which they have the sizes of `after`, if these are the same sizes."""
    left = [size for size in before if size not in after]
    if len(before) != len(after) or len(set(before)) != len(before) or len(left) > 1:
        return None
    places = [before.index(size if size in before else left[0]) for size in after if size in before or left]
    return tuple(places) if sorted(places) == list(range(len(before))) else None


def move_before(before: Sizes, after: Sizes) -> tuple[int, ...] | None:
    """The order of axes in which they can be viewed as `after`, with as few exchanges as possible."""
    orders = sorted(permutations(range(len(before))), key=_inversions)[1:]
    fits = [order for order in orders if _keeps_order(tuple(before[each] for each in order), after)]
    least = [order for order in fits if _inversions(order) == _inversions(fits[0])]
    return least[0] if len(least) == 1 else None


def move_behind(before: Sizes, after: Sizes) -> int | None:
    """The place of the axis in `after` that is to change places with the next one once the value is viewed."""
    fits = [
        place
        for place in range(len(after) - 1)
        if _keeps_order(before, (*after[:place], after[place + 1], after[place], *after[place + 2 :]))
    ]
    return fits[0] if len(fits) == 1 else None


def as_method(order: Sequence[int]) -> str:
    """The call that puts axes in an order: `.transpose(1, 2)`, or `.permute(2, 0, 1)`."""
    moved = [place for place, axis in enumerate(order) if place != axis]
    if len(moved) == 2:  # noqa: PLR2004 - a pair
        return f".transpose({moved[0]}, {moved[1]})"
    return f".permute({', '.join(map(str, order))})"


def _shared(before: Sizes, after: Sizes) -> list[tuple[Dim, int, int]]:
    """The sizes that have a name and stand once in both, with their places."""
    counts, others = Counter(before), Counter(after)
    return [
        (size, before.index(size), after.index(size))
        for size in before
        if size is not None and as_int(size) is None and counts[size] == others[size] == 1
    ]


def _differ(one: Dim | None, other: Dim | None) -> bool:
    """Whether one count is surely several times the other."""
    if one is None or other is None or _same(one, other):
        return False
    return bool(one and other) and (divide_exactly(one, other) or divide_exactly(other, one)) is not None


def _same(one: Dim | None, other: Dim | None) -> bool:
    if one is None or other is None:
        return False
    return one == other or multiply_back(one) == multiply_back(other)


def _rest(before: Sizes, after: Sizes) -> Dim | None:
    whole, known = _product(before), _product(size for size in after if size != -1)
    if whole is None or not known:
        return None
    return divide_exactly(whole, known) or multiply_back(whole // known)


def _product(sizes: Iterable[Dim | None]) -> Dim | None:
    product = Dim(1)
    for size in sizes:
        if size is None:
            return None
        try:
            product *= size
        except TooLargeError:
            return None
    return product


def _inversions(order: Sequence[int]) -> int:
    return sum(one > other for place, one in enumerate(order) for other in order[place + 1 :])
