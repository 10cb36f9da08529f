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
        return f'`{self.value}` has {count_axes(len(self.actual))} {show(self.actual)}, expected {count}: "{self.expected}"'


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
            return f"{there}, {show(self.target)} needs a multiple of {self.target_count}"
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
        return f"the order {show(self.order)} names {count_axes(len(self.order))} of {self.rank}"


@dataclass(frozen=True, slots=True)
class ReversedRange(Mismatch):
    """A range of axes ends before it starts."""

    start: int
    end: int

    def sentence(self) -> str:
        """Show both ends."""
        return f"the range of axes starts at {self.start} but ends before it, at {self.end}"


@dataclass(frozen=True, slots=True)
class LayerMismatch(Mismatch):
    """An axis of a layer's input has another size than the layer was made for."""

    layer: str
    wanted: Dim | int
    axis: int
    actual: Dim | int
    value: str = ""
    """The input's name, where the layer has several."""

    def sentence(self) -> str:
        """Name the axis and both sizes."""
        place = f"axis {self.axis}" if self.axis != -1 else "the last axis" if self.value else "its last axis"
        owner = f" of `{self.value}`" if self.value else ""
        return f"`{self.layer}` expects {self.wanted} in {place}{owner} and gets {self.actual}"


@dataclass(frozen=True, slots=True)
class LayerRankMismatch(Mismatch):
    """A layer's input has more or fewer axes than the layer takes; `most` is None where any more would do."""

    layer: str
    value: str
    actual: tuple[Size, ...]
    least: int
    most: int | None

    def sentence(self) -> str:
        """Show the shape and both counts."""
        if self.most is None:
            wanted = f"at least {count_axes(self.least)}"
        elif self.most == self.least:
            wanted = count_axes(self.least)
        else:
            wanted = f"{self.least} {'or' if self.most == self.least + 1 else 'to'} {count_axes(self.most)}"
        return f"`{self.layer}` takes {wanted} in `{self.value}`, and {show(self.actual)} has {len(self.actual)}"


@dataclass(frozen=True, slots=True)
class LayerShapeMismatch(Mismatch):
    """One input of a layer has another shape than its others ask for; `why` says how, where that needs saying."""

    layer: str
    value: str
    wanted: tuple[Size, ...]
    actual: tuple[Size, ...]
    why: str = ""

    def sentence(self) -> str:
        """Show both shapes."""
        reason = f", as {self.why}" if self.why else ""
        return f"`{self.layer}` takes `{self.value}` {show(self.wanted)}{reason}, and it is {show(self.actual)}"


@dataclass(frozen=True, slots=True)
class NotDivisible(Mismatch):
    """A size is to be divided evenly, and can't be."""

    layer: str
    what: str
    size: Dim | int
    parts: Dim | int

    def sentence(self) -> str:
        """Show the size and the divisor."""
        return f"`{self.layer}` divides {self.what} by {self.parts}, and {self.size} is no multiple of it"


@dataclass(frozen=True, slots=True)
class TooSmall(Mismatch):
    """An axis is too short for what a layer does along it."""

    layer: str
    axis: int
    actual: Dim | int
    least: Dim | int

    def sentence(self) -> str:
        """Show what there is and what it takes."""
        return f"`{self.layer}` expects at least {self.least} in axis {self.axis} and gets {self.actual}"


@dataclass(frozen=True, slots=True)
class LayerRefusal(Mismatch):
    """A layer is made or called with arguments that it refuses, whatever the sizes."""

    layer: str
    reason: str

    def sentence(self) -> str:
        """Give the reason, which follows on the layer's name."""
        return f"`{self.layer}` {self.reason}"


@dataclass(frozen=True, slots=True)
class InvalidArgument(Mismatch):
    """A number or a word that an operation does not take; `wanted` completes "expected ..."."""

    name: str
    value: object
    wanted: str

    def sentence(self) -> str:
        """Name the parameter as torch does."""
        return f"`{self.name}` is {self.value}, expected {self.wanted}"


@dataclass(frozen=True, slots=True)
class WrongRank(Mismatch):
    """An operation is for tensors with another number of axes; `wanted` completes "expected ...", as "at most 2"."""

    actual: tuple[Size, ...]
    wanted: str

    def sentence(self) -> str:
        """Show the shape and what would do."""
        return f"{show(self.actual)} has {count_axes(len(self.actual))}, expected {self.wanted}"


@dataclass(frozen=True, slots=True)
class JoinMismatch(Mismatch):
    """Two shapes can't be put one after the other along axis `along`, as they differ in another axis.

    `along` is None where a new axis is made.
    """

    left: tuple[Size, ...]
    right: tuple[Size, ...]
    along: int | None
    axis: int

    def sentence(self) -> str:
        """Show the axis that differs, or both ranks."""
        how = "stacked" if self.along is None else f"joined along axis {self.along}"
        start = f"{show(self.left)} and {show(self.right)} can't be {how}"
        if len(self.left) != len(self.right):
            return f"{start}: one has {count_axes(len(self.left))}, the other {len(self.right)}"
        return f"{start}: axis {self.axis} is {self.left[self.axis]} in one and {self.right[self.axis]} in the other"


@dataclass(frozen=True, slots=True)
class PartsMismatch(Mismatch):
    """An axis is split into parts that do not add up to it."""

    size: Dim | int
    parts: tuple[Size, ...]
    total: Dim | int

    def sentence(self) -> str:
        """Show the parts and both sums."""
        return f"parts of {show(self.parts)} add up to {self.total}, the axis that is split has {self.size}"


@dataclass(frozen=True, slots=True)
class ExpandMismatch(Mismatch):
    """A shape can't be stretched to another; `axis` counts from the end, where they are lined up."""

    source: tuple[Size, ...]
    target: tuple[Size, ...]
    axis: int

    def sentence(self) -> str:
        """Show the axis that is in the way."""
        start = f"{show(self.source)} can't be expanded to {show(self.target)}"
        if -self.axis > len(self.target):
            return f"{start}, which has fewer axes"
        if -self.axis > len(self.source):
            return f"{start}: {self.target[self.axis]} is no size for the new axis {self.axis}"
        return f"{start}: axis {self.axis} is {self.source[self.axis]}, not {self.target[self.axis]} or 1"


@dataclass(frozen=True, slots=True)
class IndexOutOfRange(Mismatch):
    """An index is at or behind the end of its axis, or before its start."""

    index: Dim | int
    axis: int
    size: Dim | int

    def sentence(self) -> str:
        """Show the index and the size of the axis."""
        return f"index {self.index} does not exist on axis {self.axis}, which has size {self.size}"


@dataclass(frozen=True, slots=True)
class RangeOutOfRange(Mismatch):
    """A range of elements does not lie inside its axis."""

    start: Dim | int
    length: Dim | int
    axis: int
    size: Dim | int

    def sentence(self) -> str:
        """Show the range and the size of the axis."""
        return (
            f"{_elements(self.length)} from {self.start} on are not all on axis {self.axis}, which has size {self.size}"
        )


@dataclass(frozen=True, slots=True)
class TooManyIndices(Mismatch):
    """A subscript speaks of more axes than there are."""

    count: int
    actual: tuple[Size, ...]

    def sentence(self) -> str:
        """Show both counts."""
        return f"the subscript is for {count_axes(self.count)}, {show(self.actual)} has {len(self.actual)}"


@dataclass(frozen=True, slots=True)
class MaskMismatch(Mismatch):
    """A boolean mask in a subscript is of another size than the axes that it selects from."""

    mask: tuple[Size, ...]
    masked: tuple[Size, ...]
    axis: int

    def sentence(self) -> str:
        """Show the axis that differs."""
        return (
            f"a mask of {show(self.mask)} does not fit on {show(self.masked)}: "
            f"its axis {self.axis} is {self.mask[self.axis]}, not {self.masked[self.axis]}"
        )


@dataclass(frozen=True, slots=True)
class IndexTooLarge(Mismatch):
    """An index tensor reaches beyond the tensor that it is laid upon, in an axis along which it does not choose."""

    index: tuple[Size, ...]
    source: tuple[Size, ...]
    axis: int

    def sentence(self) -> str:
        """Show the axis that is too long."""
        return (
            f"an index of {show(self.index)} does not fit on {show(self.source)}: "
            f"axis {self.axis} is {self.index[self.axis]}, more than {self.source[self.axis]}"
        )


@dataclass(frozen=True, slots=True)
class InPlaceMismatch(Mismatch):
    """What is written into a tensor would have to stretch that tensor."""

    target: tuple[Size, ...]
    source: tuple[Size, ...]

    def sentence(self) -> str:
        """Show both shapes."""
        return f"{show(self.source)} does not fit into {show(self.target)}, which is to keep its shape"


@dataclass(frozen=True, slots=True)
class ContractionMismatch(Mismatch):
    """A product sums over two axes that are not as long as each other; axes count from the end."""

    left: tuple[Size, ...]
    right: tuple[Size, ...]
    left_axis: int
    right_axis: int

    def sentence(self) -> str:
        """Show both axes and where they stand."""
        return (
            f"the product contracts {self.left[self.left_axis]} (axis {self.left_axis} of {show(self.left)}) "
            f"with {self.right[self.right_axis]} (axis {self.right_axis} of {show(self.right)})"
        )


@dataclass(frozen=True, slots=True)
class LetterMismatch(Mismatch):
    """A letter of an einsum's equation stands for axes of several sizes."""

    equation: str
    letter: str
    first: Size
    second: Size

    def sentence(self) -> str:
        """Name the letter and both sizes."""
        return f'`{self.letter}` in "{self.equation}" is both {self.first} and {self.second}'


@dataclass(frozen=True, slots=True)
class EquationMismatch(Mismatch):
    """An einsum's equation that its operands, or any operands, can't follow."""

    equation: str
    reason: str

    def sentence(self) -> str:
        """Quote the equation."""
        return f'"{self.equation}" {self.reason}'


@dataclass(frozen=True, slots=True)
class NotSquare(Mismatch):
    """Matrices with as many rows as columns are asked for."""

    sizes: tuple[Size, ...]

    def sentence(self) -> str:
        """Show the last two axes."""
        return f"{show(self.sizes)} is not square: its last two axes are {self.sizes[-2]} and {self.sizes[-1]}"


@dataclass(frozen=True, slots=True)
class RankDifference(Mismatch):
    """An argument has to have as many axes as the tensor that it goes with, and has not."""

    value: str
    actual: tuple[Size, ...]
    wanted: tuple[Size, ...]

    def sentence(self) -> str:
        """Show both shapes."""
        return f"`{self.value}` is {show(self.actual)}, expected {count_axes(len(self.wanted))}, to go with {show(self.wanted)}"


def show(sizes: Sequence[Size]) -> str:
    """Sizes as Python writes a tuple, with `?` for an unknown one."""
    words = ["?" if size is None else str(size) for size in sizes]
    return f"({words[0]},)" if len(words) == 1 else f"({', '.join(words)})"


def _is_variadic(word: str) -> bool:
    return word.lstrip("#_?").startswith("*") or word == "..."


def count_axes(count: int) -> str:
    """So many axes, in words."""
    return "1 axis" if count == 1 else f"{count} axes"


def _are_axes(count: int) -> str:
    return "is only axis 0" if count == 1 else f"are {count or 'no'} axes"


def _elements(count: Dim | int) -> str:
    return "1 element" if count == 1 else f"{count} elements"
