"""Which argument is really at fault, and the one change that would make it fit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shapeguard.shapes.annotation import Annotation, AnnotationAxis, Named
from shapeguard.shapes.binding import Bindings, bind, settle
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import AxisMismatch, Mismatch, show

_MOST_AXES_TO_PERMUTE = 5
_SEQUENCE_WORDS = frozenset({"seq", "sequence", "time", "t", "s", "l", "length", "seq_len", "steps", "tokens"})
_BATCH_WORDS = frozenset({"b", "n", "batch", "batch_size", "bsz", "pairs", "examples", "samples"})
_LABEL_WORDS = ("label", "target")
_NO_LABEL_WORDS = ("length", "mask")


@dataclass(frozen=True)
class Leaf:
    """One array of a call: how the reader calls it, its sizes, and what it was to be."""

    place: str
    sizes: tuple[int, ...]
    annotation: Annotation
    integer: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """The leaf at fault with its mismatch, and a hint if one is sure."""

    culprit: Leaf
    mismatch: Mismatch
    hint: str | None


def diagnose(
    leaves: Sequence[Leaf],
    suspects: Sequence[Leaf],
    reported: Mismatch,
    start: Bindings,
    arguments: Mapping[str, object],
) -> Diagnosis | None:
    """Look for the suspect whose change or absence lets all the other leaves agree; None if that says nothing."""
    call = _Call(leaves, start, arguments)
    suspect = next((leaf for leaf in suspects if leaf.place == getattr(reported, "value", None)), None)
    if suspect is None or call.agree(leaves):
        return None
    if not call.possible_alone(suspect):
        return Diagnosis(suspect, reported, call.sure_repair([suspect]))
    culprits = [leaf for leaf in suspects if call.agree(call.others(leaf))]
    if len(culprits) != 1:
        culprits = [leaf for leaf in culprits or [suspect] if call.repairs(leaf)]
    if len(culprits) == 1:
        (culprit,) = culprits
        mismatch = call.mismatch_of(culprit) or (reported if culprit is suspect else None)
        if mismatch is not None:
            return Diagnosis(culprit, mismatch, call.sure_repair(culprits))
    return Diagnosis(suspect, reported, None)


class _Call:
    """The arrays of one call, tried in variations."""

    def __init__(self, leaves: Sequence[Leaf], start: Bindings, arguments: Mapping[str, object]) -> None:
        self.start = start
        self.arguments = arguments
        self.leaves = leaves
        self.possible = [leaf for leaf in leaves if self.possible_alone(leaf)]

    def possible_alone(self, leaf: Leaf) -> bool:
        """Whether a leaf fits its own annotation, whatever the others are."""
        return self.agree([leaf])

    def others(self, leaf: Leaf) -> list[Leaf]:
        return [other for other in self.possible if other is not leaf]

    def agree(self, leaves: Sequence[Leaf]) -> bool:
        return isinstance(self._bind(leaves), Bindings)

    def mismatch_of(self, leaf: Leaf) -> Mismatch | None:
        """What a leaf does wrong, seen from all the others."""
        outcome = self._bind([*self.others(leaf), leaf])
        if isinstance(outcome, AxisMismatch) and outcome.value != leaf.place:
            return self._asked_for(leaf, outcome)
        return outcome if isinstance(outcome, Mismatch) else None

    def _asked_for(self, leaf: Leaf, met: AxisMismatch) -> AxisMismatch | None:
        """For a leaf that binds `n`, the size that `n-1` and `2*n` of the others ask it to be; None if there is none.

        `met` is the expression that failed with the leaf as it is.
        """
        for position, (axis, size) in enumerate(zip(leaf.annotation.prefix, leaf.sizes, strict=False)):
            following = self._bind([*self.others(leaf), _with_size(leaf, position, size + 1)])
            if isinstance(following, AxisMismatch) and (following.value, following.axis) != (met.value, met.axis):
                continue
            # Most expressions are linear, so that two sizes tell where what is missing becomes nothing.
            missing = Dim(met.actual) - met.expected
            nearer = Dim(following.actual) - following.expected if isinstance(following, AxisMismatch) else Dim(0)
            steps = as_int(missing // (missing - nearer)) if missing != nearer else None
            if steps is None or size + steps < 0:
                continue
            if self.agree([*self.others(leaf), _with_size(leaf, position, size + steps)]):
                place = f"`{met.value}` axis {met.axis}"
                word = axis.name if isinstance(axis, Named) else axis.word
                return AxisMismatch(leaf.place, position, size, word, size + steps, place)
        return None

    def repairs(self, leaf: Leaf) -> list[str]:
        """The changes of the simplest kind that make a leaf fit with the others."""
        others = self.others(leaf)
        for kind in (_without_an_axis, _squeezed_away, _in_another_order, _with_an_axis, _unshifted):
            fitting = [change for change in kind(leaf) if self.agree([*others, replace(leaf, sizes=change.sizes)])]
            if fitting:
                least = min(change.effort for change in fitting)
                return [change.hint for change in fitting if change.effort == least]
        return []

    def sure_repair(self, leaves: Sequence[Leaf]) -> str | None:
        """The one change that helps; None if there are several, or none."""
        hints = [hint for leaf in leaves for hint in self.repairs(leaf)]
        return hints[0] if len(hints) == 1 else None

    def _bind(self, leaves: Sequence[Leaf]) -> Bindings | Mismatch:
        bindings = self.start
        for leaf in leaves:
            outcome = bind(leaf.annotation, leaf.sizes, bindings, value=leaf.place, arguments=self.arguments)
            if not isinstance(outcome, Bindings):
                return outcome
            bindings = outcome
        return settle(bindings, self.arguments)


@dataclass(frozen=True)
class Change:
    """Something that could be done to an array, the sizes it would have then, and how much is done to it."""

    sizes: tuple[int, ...]
    hint: str
    effort: tuple[int, ...] = ()


def _with_size(leaf: Leaf, axis: int, size: int) -> Leaf:
    return replace(leaf, sizes=(*leaf.sizes[:axis], size, *leaf.sizes[axis + 1 :]))


def _word(axis: AnnotationAxis) -> str:
    """What an axis is called, for comparing with words that people use."""
    return axis.word.lstrip("#").lower()


def _without_an_axis(leaf: Leaf) -> Iterator[Change]:
    if leaf.annotation.variadic is not None or len(leaf.sizes) != len(leaf.annotation.axes) + 1:
        return
    last = len(leaf.sizes) - 1
    for axis, size in enumerate(leaf.sizes):
        # Of several axes of 1 in a row it is the last that came from a layer with one output.
        if size == 1 and (axis == last or leaf.sizes[axis + 1] != 1):
            sizes = leaf.sizes[:axis] + leaf.sizes[axis + 1 :]
            yield Change(sizes, f"`{leaf.place}.squeeze({-1 if axis == last else axis})` is {show(sizes)}")


def _squeezed_away(leaf: Leaf) -> Iterator[Change]:
    if leaf.sizes == () and [_word(axis) in _BATCH_WORDS for axis in leaf.annotation.axes] == [True]:
        hint = "if a batch of 1 was squeezed away where this was made, use `.squeeze(-1)` instead of `.squeeze()`"
        yield Change((1,), hint)


def _in_another_order(leaf: Leaf) -> Iterator[Change]:
    rank = len(leaf.sizes)
    if not 1 < rank <= _MOST_AXES_TO_PERMUTE:
        return
    seen = {leaf.sizes}
    for order in sorted(itertools.permutations(range(rank)), key=_effort):
        sizes = tuple(leaf.sizes[axis] for axis in order)
        if sizes not in seen:
            seen.add(sizes)
            yield Change(sizes, _order_hint(leaf, order, sizes), _effort(order))


def _effort(order: tuple[int, ...]) -> tuple[int, int]:
    """How many axes must be taken out and put elsewhere, and how many stand elsewhere then."""
    longest = [1] * len(order)
    for place, axis in enumerate(order):
        longest[place] = 1 + max((longest[before] for before in range(place) if order[before] < axis), default=0)
    return len(order) - max(longest), sum(axis != place for place, axis in enumerate(order))


def _order_hint(leaf: Leaf, order: tuple[int, ...], sizes: tuple[int, ...]) -> str:
    moved = [axis for axis, source in enumerate(order) if axis != source]
    swap = len(moved) == 2  # noqa: PLR2004 - two axes change places
    change = f"transpose({moved[0]}, {moved[1]})" if swap else f"permute({', '.join(map(str, order))})"
    hint = f"`{leaf.place}.{change}` is {show(sizes)}"
    words = [_word(axis) for axis in leaf.annotation.axes[:2]]
    if moved == [0, 1] and len(words) == 2:  # noqa: PLR2004 - the first two axes
        if words[0] in _SEQUENCE_WORDS and words[1] in _BATCH_WORDS:
            return f"`{leaf.place}` looks batch-first where sequence-first is declared; {hint}"
        if words[0] in _BATCH_WORDS and words[1] in _SEQUENCE_WORDS:
            return f"`{leaf.place}` looks sequence-first where batch-first is declared; {hint}"
    return hint


def _with_an_axis(leaf: Leaf) -> Iterator[Change]:
    axes = leaf.annotation.axes
    if leaf.annotation.variadic is not None or not leaf.sizes or len(leaf.sizes) != len(axes) - 1:
        return
    last = len(leaf.sizes)
    for axis in range(last + 1):
        sizes = (*leaf.sizes[:axis], 1, *leaf.sizes[axis:])
        yield Change(sizes, f"`{leaf.place}.unsqueeze({-1 if axis == last else axis})` is {show(sizes)}")


def _unshifted(leaf: Leaf) -> Iterator[Change]:
    place, last = leaf.place.lower(), leaf.annotation.axes[-1:]
    named = any(word in place for word in _LABEL_WORDS) and not any(word in place for word in _NO_LABEL_WORDS)
    if not (leaf.integer and leaf.sizes and named and any(_word(axis) in _SEQUENCE_WORDS for axis in last)):
        return
    hint = "look shifted by one; pass them" if leaf.place.endswith("s") else "looks shifted by one; pass it"
    yield Change((*leaf.sizes[:-1], leaf.sizes[-1] + 1), f"{leaf.place} {hint} unshifted")
