"""The ways in which shapes disagree, each with the sentence that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from shapeguard.shapes.dim import Dim

Size: TypeAlias = Dim | int | None
"""One size as a message shows it; None is one that is not known."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What disagrees, as data."""

    def sentence(self) -> str:
        """One line, without a full stop, that can stand alone."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class RankMismatch(Mismatch):
    """A value has more or fewer axes than its annotation."""

    value: str
    actual: tuple[Size, ...]
    expected: str
    at_least: bool = False

    def sentence(self) -> str:
        """Quote the annotation, which names the axes."""
        words = [word for word in self.expected.split() if not (self.at_least and _is_variadic(word))]
        count = f"at least {len(words)}" if self.at_least else f"{len(words)}"
        return f'`{self.value}` has {_axes(len(self.actual))} {show(self.actual)}, expected {count}: "{self.expected}"'


@dataclass(frozen=True, slots=True)
class AxisMismatch(Mismatch):
    """An axis has another size than its word in the annotation asks for.

    `bound_by` is the place that gave the word its size, such as "`logits` axis 1".
    """

    value: str
    axis: int
    actual: int | Dim
    wanted: str
    expected: int | Dim
    bound_by: str | None

    def sentence(self) -> str:
        """Name the axis, both sizes and who asked for the other one."""
        asked = self.wanted if self.wanted == str(self.expected) else f"{self.wanted} = {self.expected}"
        place = f" (bound by {self.bound_by})" if self.bound_by else ""
        return f"`{self.value}` axis {self.axis} is {self.actual}, expected {asked}{place}"


@dataclass(frozen=True, slots=True)
class BroadcastMismatch(Mismatch):
    """Two shapes can't be stretched to a common one; `axis` counts from the end, where they are lined up."""

    left: tuple[Size, ...]
    right: tuple[Size, ...]
    axis: int

    def sentence(self) -> str:
        """Show both sizes of the axis."""
        left, right = self.left[self.axis], self.right[self.axis]
        return (
            f"{show(self.left)} and {show(self.right)} do not broadcast: "
            f"axis {self.axis} is {left} in one and {right} in the other"
        )


@dataclass(frozen=True, slots=True)
class OrderMismatch(Mismatch):
    """Two axes are lined up that were flattened from the same axes in another order; `axis` counts from the end."""

    left: tuple[Size, ...]
    right: tuple[Size, ...]
    axis: int

    def sentence(self) -> str:
        """Show both orders."""
        return (
            f"axis {self.axis} has the same size on both sides but not the same order: "
            f"{show(self.left)} flattened in one, {show(self.right)} flattened in the other"
        )


@dataclass(frozen=True, slots=True)
class CountMismatch(Mismatch):
    """A reshape asks for more or fewer elements than there are; a -1 among the target's sizes stays one."""

    source: tuple[Size, ...]
    target: tuple[Size, ...]
    source_count: Dim | int
    target_count: Dim | int

    def sentence(self) -> str:
        """Show both counts."""
        there = f"{show(self.source)} has {_elements(self.source_count)}"
        if any(size == -1 for size in self.target):
            return f"{there}, which {show(self.target)} can't divide into parts of {self.target_count}"
        return f"{there}, {show(self.target)} has {self.target_count}"


@dataclass(frozen=True, slots=True)
class NotInferable(Mismatch):
    """A -1 in a reshape's target that can't be worked out."""

    target: tuple[Size, ...]

    def sentence(self) -> str:
        """Say which of the two reasons it is."""
        if sum(size == -1 for size in self.target) > 1:
            return f"{show(self.target)} has more than one -1, so none of them can be worked out"
        return f"the -1 in {show(self.target)} could be any size, as the other sizes leave no elements"


@dataclass(frozen=True, slots=True)
class InvalidSize(Mismatch):
    """A reshape's target has a negative size other than -1."""

    target: tuple[Size, ...]
    axis: int

    def sentence(self) -> str:
        """Name the axis of the target."""
        return f"{self.target[self.axis]} is not a size (axis {self.axis} of {show(self.target)})"


@dataclass(frozen=True, slots=True)
class Scrambled(Mismatch):
    """A reshape has the elements it needs but cuts across axes, so that its own axes are pieces of several.

    `mixed` are the sizes of the source that end up mixed, `into` those of the target that hold them.
    """

    source: tuple[Size, ...]
    target: tuple[Size, ...]
    mixed: tuple[Size, ...]
    into: tuple[Size, ...]

    def sentence(self) -> str:
        """Show what was mixed into what."""
        return (
            f"reshaping {show(self.source)} to {show(self.target)} mixes up {show(self.mixed)}: a reshape can split "
            f"and join neighbouring axes but not reorder them into {show(self.into)}"
        )


@dataclass(frozen=True, slots=True)
class AxisOutOfRange(Mismatch):
    """An axis was asked for that does not exist."""

    axis: int
    rank: int

    def sentence(self) -> str:
        """Say which axes there are."""
        if self.rank <= 1:
            return f"axis {self.axis} does not exist: there {_are_axes(self.rank)}"
        return f"axis {self.axis} does not exist: there {_are_axes(self.rank)} (0 to {self.rank - 1})"


@dataclass(frozen=True, slots=True)
class RepeatedAxis(Mismatch):
    """An axis was given more than once, perhaps once from the front and once from the end."""

    axes: tuple[int, ...]
    axis: int

    def sentence(self) -> str:
        """Show the whole list of axes."""
        return f"axis {self.axis} appears more than once in {show(self.axes)}"


@dataclass(frozen=True, slots=True)
class OrderLengthMismatch(Mismatch):
    """A permutation names more or fewer axes than there are."""

    order: tuple[int, ...]
    rank: int

    def sentence(self) -> str:
        """Show both counts."""
        return f"the order {show(self.order)} names {_axes(len(self.order))} of {self.rank}"


@dataclass(frozen=True, slots=True)
class ReversedRange(Mismatch):
    """A range of axes ends before it starts."""

    start: int
    end: int

    def sentence(self) -> str:
        """Show both ends."""
        return f"the range of axes starts at {self.start} but ends before it, at {self.end}"


def show(sizes: Sequence[Size]) -> str:
    """Sizes as Python writes a tuple, with `?` for an unknown one."""
    words = ["?" if size is None else str(size) for size in sizes]
    return f"({words[0]},)" if len(words) == 1 else f"({', '.join(words)})"


def _is_variadic(word: str) -> bool:
    return word.lstrip("#_?").startswith("*") or word == "..."


def _axes(count: int) -> str:
    return "1 axis" if count == 1 else f"{count} axes"


def _are_axes(count: int) -> str:
    return "is only axis 0" if count == 1 else f"are {count or 'no'} axes"


def _elements(count: Dim | int) -> str:
    return "1 element" if count == 1 else f"{count} elements"


@dataclass(frozen=True, slots=True)
class RunMismatch(Mismatch):
    """Several axes together have other sizes than their `*name` asks for."""

    value: str
    actual: tuple[int | Dim, ...]
    wanted: str
    expected: tuple[int | Dim, ...]
    bound_by: str | None

    def sentence(self) -> str:
        """Show both runs."""
        place = f" (bound by {self.bound_by})" if self.bound_by else ""
        return f"`{self.value}` has {show(self.actual)} for *{self.wanted}, expected {show(self.expected)}{place}"


@dataclass(frozen=True, slots=True)
class DtypeMismatch(Mismatch):
    """An array holds another kind of number than its annotation allows."""

    value: str
    actual: str
    expected: str

    def sentence(self) -> str:
        """Name both."""
        return f"`{self.value}` has dtype {self.actual}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class KindMismatch(Mismatch):
    """A value is of another class than its annotation allows."""

    value: str
    actual: str
    expected: str

    def sentence(self) -> str:
        """Name both."""
        return f"`{self.value}` is {self.actual}, expected {self.expected}"
