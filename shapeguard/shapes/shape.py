"""What a tensor's shape is, as far as it is known, and what moving axes about makes of it.

An axis remembers the factors that it was flattened from, in their order: `(b, t)` flattened and `(t, b)` flattened are
as long as each other and are not the same axis.

The functions return a Shape, or the Mismatch that torch would surely refuse. A Shape may carry a `doubt`: a Mismatch
that torch does not see (elements in scrambled order) or that only some values of the names run into. What is not known
agrees with everything.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import AtLeast, Dim, DimLike, as_int, divide_exactly, names, substitute
from shapeguard.shapes.factors import Factors, align, is_scrambled, refine
from shapeguard.shapes.mismatch import (
    AxisOutOfRange,
    BroadcastMismatch,
    CountMismatch,
    InvalidSize,
    Mismatch,
    NotInferable,
    OrderLengthMismatch,
    OrderMismatch,
    RepeatedAxis,
    ReversedRange,
    Scrambled,
    show,
)
from shapeguard.shapes.whole import multiply_back, whole_divisions


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its size, and the sizes of what it was flattened from, outermost first.

    `size` is None where it is not known, `factors` where their order isn't. A factor may be a product: such a one has
    not been taken apart yet, and may be in either order.
    """

    size: Dim | None
    factors: Factors | None

    @staticmethod
    def of(*factors: DimLike) -> Axis:
        """The axis that flattening axes of these sizes gives; for a single size, that axis."""
        if len(factors) == 1:
            return _axis_of(Dim(factors[0]))
        return Axis(_product(map(Dim, factors)), tuple(Dim(factor) for factor in factors if factor != 1))


@functools.lru_cache(maxsize=4096)
def _axis_of(size: Dim) -> Axis:
    return Axis(size, () if size == 1 else (size,))


UNKNOWN_AXIS = Axis(None, None)


@dataclass(frozen=True, slots=True)
class Shape:
    """The axes of a tensor, or None where not even their number is known."""

    axes: tuple[Axis, ...] | None
    doubt: Mismatch | None = field(default=None, compare=False)
    """What is wrong with the step that made this shape; it does not go on into the next one."""

    @staticmethod
    def of(*sizes: DimLike | Axis | None) -> Shape:
        """The shape with these sizes; None for one that is not known."""
        axes = [
            UNKNOWN_AXIS if size is None else size if isinstance(size, Axis) else _axis_of(Dim(size)) for size in sizes
        ]
        return Shape(tuple(axes))

    @staticmethod
    def unknown() -> Shape:
        """The shape of which nothing is known."""
        return _UNKNOWN

    @property
    def rank(self) -> int | None:
        """The number of axes."""
        return None if self.axes is None else len(self.axes)

    @property
    def sizes(self) -> tuple[Dim | None, ...] | None:
        """The size of each axis."""
        return None if self.axes is None else tuple(axis.size for axis in self.axes)

    def __str__(self) -> str:
        """Write an unknown shape as `(...)` and an unknown size as `?`."""
        return "(...)" if self.axes is None else show(self.sizes or ())


_UNKNOWN = Shape(None)


def same_order(left: Axis, right: Axis) -> bool | None:
    """Whether the elements along two axes come in the same order, as far as their sizes tell; None where they don't.

    Factors are known by their sizes alone: two axes of one size count as the same.
    """
    if left.size is None or right.size is None or left.factors is None or right.factors is None:
        return None
    if left.factors == right.factors:
        return True
    if compare(left.size, right.size) is False:
        return False
    groups, rest = align(left.factors, right.factors)
    pairs = [(left.factors[source], right.factors[target]) for source, target in groups]
    if rest is not None:
        return None
    if any(is_scrambled(source, target) for source, target in pairs):
        return False
    return True if all(len(source) == len(target) == 1 for source, target in pairs) else None


def broadcast(*shapes: Shape, at_least: AtLeast = 0, likely: bool = False) -> Shape | Mismatch:
    """The common shape that several stretch to.

    With `likely`, a size that has a name is taken for more than 1 where that decides what comes out; it never decides
    what is refused.

    `doubt` is a BroadcastMismatch where only some sizes go together, an OrderMismatch where axes of one size meet that
    were flattened in different orders.
    """
    known = [shape.axes for shape in shapes if shape.axes is not None]
    result = known[0] if known else ()
    doubt: Mismatch | None = None
    for axes in known[1:]:
        step = _broadcast_two(result, axes, at_least, likely=likely)
        if isinstance(step, Mismatch):
            return step
        doubt = doubt or step.doubt
        result = step.axes or ()
    return Shape(result if len(known) == len(shapes) else None, doubt)


def _broadcast_two(
    left: tuple[Axis, ...], right: tuple[Axis, ...], at_least: AtLeast, *, likely: bool
) -> Shape | Mismatch:
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    axes = list(longer)
    doubt: Mismatch | None = None
    for position in range(-len(shorter), 0):
        one, other = left[position], right[position]
        axis, agree = _broadcast_axes(one, other, at_least)
        axes[position] = axis or (_likelier(one, other) if likely else None) or UNKNOWN_AXIS
        if agree is not True:
            mismatch = BroadcastMismatch(_sizes(left), _sizes(right), position)
            if agree is False:
                return mismatch
            doubt = doubt or mismatch
        elif one.size != 1 and other.size != 1 and same_order(one, other) is False:
            doubt = doubt or OrderMismatch(one.factors or (), other.factors or (), position)
    return Shape(tuple(axes), doubt)


def _broadcast_axes(left: Axis, right: Axis, at_least: AtLeast) -> tuple[Axis | None, bool | None]:
    """The axis that both stretch to, None where it can't be told, and whether they surely do, don't, or may."""
    if left.size is None or right.size is None:
        known, unknown = (left, right) if right.size is None else (right, left)
        if known.size is None or compare(known.size, 1, at_least) is not False:
            return (unknown if known.size == 1 else None), True
        return known, True
    if left.size == 1 or right.size == 1:
        return (right if left.size == 1 else left), True
    equal = compare(left.size, right.size, at_least)
    if equal:
        return (right if left.factors is None else left), True
    left_stretches = compare(left.size, 1, at_least) is not False
    right_stretches = compare(right.size, 1, at_least) is not False
    if left_stretches and right_stretches:
        return None, None
    if equal is False and not left_stretches and not right_stretches:
        return None, False
    # An axis that can't be stretched is the result wherever there is one.
    return (right if left_stretches else left), None


def _likelier(left: Axis, right: Axis) -> Axis | None:
    """The axis that two likely stretch to: of two sizes the one that is a name, of two names the left one."""
    if left.size is None or right.size is None:
        return left if right.size is None else right
    return min(left, right, key=lambda axis: 0 if _is_name(axis.size) else len(str(axis.size)))


def _is_name(size: Dim | None) -> bool:
    return size is not None and len(names(size)) == 1 and str(size) in names(size)


def reshape(shape: Shape, target: Sequence[DimLike | None], *, at_least: AtLeast = 0) -> Shape | Mismatch:
    """The shape with the sizes of `target`, of which one may be -1 and any may be unknown.

    `doubt` is Scrambled where the sizes can only be had by cutting across axes, a CountMismatch where only some values
    of the names make the counts equal. A floor division that is multiplied back, as by `d//h` and `h`, is taken to
    leave no remainder.
    """
    sizes = tuple([None if size is None else Dim(size) for size in target])
    work = _reshape_once if isinstance(at_least, int) else _reshape
    return work(shape.axes, sizes, at_least)


def _reshape(axes: tuple[Axis, ...] | None, asked: tuple[Dim | None, ...], at_least: AtLeast) -> Shape | Mismatch:
    sizes = list(asked)
    holes = [position for position, size in enumerate(sizes) if size == -1]
    negative = [position for position, size in enumerate(sizes) if size is not None and (as_int(size) or 0) < -1]
    if negative:
        return InvalidSize(asked, negative[0])
    if len(holes) > 1:
        return NotInferable(asked)
    source_count = None if axes is None else _product(axis.size for axis in axes)
    known_count = _product(size for size in sizes if size != -1)
    if holes:
        sizes[holes[0]] = None
        if known_count == 0:
            return NotInferable(asked)
    gaps = [position for position, size in enumerate(sizes) if size is None]
    doubt: Mismatch | None = None
    if source_count is not None and len(gaps) <= 1:
        rest = _product(size for size in sizes if size is not None) or Dim(0)
        agree = _goes_into(rest, source_count, at_least) if gaps else _counts_agree(source_count, rest, at_least)
        if agree is False:
            return CountMismatch(_sizes(axes or ()), asked, source_count, rest)
        # With no elements a -1 is refused, but any other size would do.
        if holes or (gaps and compare(rest, 0, at_least) is False):
            sizes[gaps[0]] = multiply_back(source_count // rest)
        elif not gaps and agree is None:
            doubt = CountMismatch(_sizes(axes or ()), asked, source_count, rest)
    if axes is None or source_count == 0:
        return Shape.of(*sizes)
    result, scrambled = _regroup(axes, tuple(sizes))
    return Shape(result, scrambled or doubt)


# The same code is followed with the same shapes again and again.
_reshape_once = functools.lru_cache(maxsize=4096)(_reshape)


def _goes_into(part: Dim, count: Dim, at_least: AtLeast) -> bool | None:
    if not part:
        return None if compare(count, 0, at_least) is not False else False
    return True if divide_exactly(count, part) is not None else compare(count % part, 0, at_least)


def _counts_agree(left: Dim, right: Dim, at_least: AtLeast) -> bool | None:
    if left == right:
        return True
    agree = compare(left, right, at_least)
    return True if agree is None and multiply_back(left) == multiply_back(right) else agree


def _regroup(axes: tuple[Axis, ...], sizes: tuple[Dim | None, ...]) -> tuple[tuple[Axis, ...], Scrambled | None]:
    """Axes of the given sizes, with the factors they get from the elements of `axes` in memory order."""
    source_sizes: list[Dim | None] = []
    ordered: list[bool] = []
    for axis in axes:
        # An axis whose order is not known goes in whole, and what it goes into has no known order.
        parts = [axis.size] if axis.factors is None else axis.factors
        source_sizes.extend(parts)
        ordered.extend([axis.factors is not None] * len(parts))
    places = [position for position, size in enumerate(sizes) if size != 1]
    target_sizes = [sizes[place] for place in places]
    groups, rest = align(source_sizes, target_sizes)
    wholes = whole_divisions(source_sizes + target_sizes) if rest else {}
    source_cut = _substitute_all(source_sizes, wholes)
    target_cut = _substitute_all(target_sizes, wholes)
    if wholes:
        groups, rest = align(source_cut, target_cut)
    result = [Axis(size, () if size == 1 else None) for size in sizes]
    scrambled: Scrambled | None = None
    for before, after in [*groups, rest] if rest else groups:
        parts, wanted = source_sizes[before], target_sizes[after]
        factors: Sequence[Factors | None] = [None] * len(wanted)
        if not all(ordered[before]):
            pass
        elif len(parts) <= 1:
            factors = [None if size is None else (size,) for size in wanted]
        elif len(wanted) == 1:
            factors = [None if wanted[0] is None else _known(parts)]
        elif (before, after) != rest and is_scrambled(_known(source_cut[before]), _known(target_cut[after])):
            scrambled = scrambled or Scrambled(_sizes(axes), sizes, tuple(parts), tuple(wanted))
        elif (before, after) != rest and not wholes:
            factors = refine(_known(parts), _known(wanted)) or factors
        for place, size, order in zip(places[after], wanted, factors, strict=True):
            result[place] = Axis(size, order)
    return tuple(result), scrambled


def _substitute_all(sizes: list[Dim | None], wholes: dict[str, Dim]) -> list[Dim | None]:
    return [None if size is None else substitute(size, wholes) for size in sizes] if wholes else sizes


def _known(sizes: Sequence[Dim | None]) -> Factors:
    return tuple(size for size in sizes if size is not None)


def flatten(shape: Shape, start: int = 0, end: int = -1) -> Shape | Mismatch:
    """The shape with the axes from `start` to `end`, both included, joined to one; a scalar becomes one axis of 1."""
    if shape.axes is None:
        return Shape.unknown()
    first = position_of(start, len(shape.axes))
    last = position_of(end, len(shape.axes))
    if isinstance(first, Mismatch):
        return first
    if isinstance(last, Mismatch):
        return last
    if first > last:
        return ReversedRange(first, last)
    joined = shape.axes[first : last + 1]
    factors: Factors | None = ()
    for axis in joined:
        factors = None if factors is None or axis.factors is None else factors + axis.factors
    size = _product(axis.size for axis in joined)
    return Shape((*shape.axes[:first], Axis(size, factors), *shape.axes[last + 1 :]))


def permute(shape: Shape, order: Sequence[int]) -> Shape | Mismatch:
    """The shape whose axis i is axis `order[i]` of the given one."""
    rank = len(order) if shape.axes is None else len(shape.axes)
    if len(order) != rank:
        return OrderLengthMismatch(tuple(order), rank)
    positions = positions_of(order, rank)
    if isinstance(positions, Mismatch):
        return positions
    return Shape(tuple(UNKNOWN_AXIS if shape.axes is None else shape.axes[position] for position in positions))


def transpose(shape: Shape, first: int, second: int) -> Shape | Mismatch:
    """The shape with two axes exchanged."""
    if shape.axes is None:
        return Shape.unknown()
    one = position_of(first, len(shape.axes))
    other = position_of(second, len(shape.axes))
    if isinstance(one, Mismatch):
        return one
    if isinstance(other, Mismatch):
        return other
    axes = list(shape.axes)
    if axes:
        axes[one], axes[other] = axes[other], axes[one]
    return Shape(tuple(axes))


def squeeze(shape: Shape, dim: int | Sequence[int] | None = None, *, at_least: AtLeast = 0) -> Shape | Mismatch:
    """The shape without its axes of size 1, or without those of them that `dim` names.

    Where an axis may or may not be of size 1, the rank of the result is unknown.
    """
    if shape.axes is None:
        return Shape.unknown()
    rank = len(shape.axes)
    dims = range(rank) if dim is None else (dim,) if isinstance(dim, int) else dim
    positions = positions_of(dims, rank)
    if isinstance(positions, Mismatch):
        return positions
    kept: list[Axis] = []
    for position, axis in enumerate(shape.axes):
        vanishes = position in positions and (None if axis.size is None else compare(axis.size, 1, at_least))
        if vanishes is None:
            return Shape.unknown()
        if not vanishes:
            kept.append(axis)
    return Shape(tuple(kept))


def unsqueeze(shape: Shape, dim: int) -> Shape | Mismatch:
    """The shape with a new axis of size 1 at `dim`."""
    if shape.axes is None:
        return Shape.unknown()
    position = position_of(dim, len(shape.axes) + 1)
    if isinstance(position, Mismatch):
        return position
    return Shape((*shape.axes[:position], Axis.of(1), *shape.axes[position:]))


def position_of(axis: int, rank: int) -> int | AxisOutOfRange:
    """Count `axis` from the front; torch lets a scalar have an axis 0."""
    count = max(rank, 1)
    return axis % count if -count <= axis < count else AxisOutOfRange(axis, rank)


def positions_of(axes: Iterable[int], rank: int) -> tuple[int, ...] | Mismatch:
    """Count each of `axes` from the front; none may appear twice."""
    axes = tuple(axes)
    positions: list[int] = []
    for axis in axes:
        position = position_of(axis, rank)
        if isinstance(position, Mismatch):
            return position
        if position in positions:
            return RepeatedAxis(axes, axis)
        positions.append(position)
    return tuple(positions)


def _sizes(axes: Iterable[Axis]) -> tuple[Dim | None, ...]:
    return tuple(axis.size for axis in axes)


def _product(sizes: Iterable[Dim | None]) -> Dim | None:
    """The product, which an unknown size makes unknown unless another is 0."""
    product = Dim(1)
    known = True
    for size in sizes:
        if size is None:
            known = False
        elif not size:
            return size
        elif known:
            product = product * size
    return product if known else None
