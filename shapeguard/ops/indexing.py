"""What a subscript gives: `x[0]`, `x[:, 1:]`, `x[..., None]`, `x[mask]`, `x[rows, columns]`, and what may be stored there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from shapeguard.ops.reading import (
    AT_LEAST,
    Axes,
    compare_sizes,
    least,
    never_negative,
    not_below_zero,
    refuse_index,
    sizes_of,
)
from shapeguard.ops.selecting import refuse_item
from shapeguard.ops.stretching import copy_into
from shapeguard.ops.values import Result, Tensor, Unknown, Value
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import DtypeMismatch, InvalidArgument, MaskMismatch, Mismatch, TooManyIndices
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape


class Rest(Enum):
    """The `...` of a subscript."""

    ELLIPSIS = "..."


ELLIPSIS = Rest.ELLIPSIS


@dataclass(frozen=True, slots=True)
class Slice:
    """The `start:stop:step` of a subscript; None is a part that is left out."""

    start: Dim | Unknown | None = None
    stop: Dim | Unknown | None = None
    step: Dim | Unknown | None = None


Index: TypeAlias = Value | Slice | Rest


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What an index tensor, a list or a mask chooses: the shape of the choice, and the axes that it is for."""

    shape: Shape
    consumes: int
    mask: tuple[Dim | None, ...] | None = None
    items: tuple[Dim, ...] = ()


class _Lost(Enum):
    LOST = "an index of which too little is known"


def slice_axis(axis: Axis, part: Slice) -> Axis | Mismatch:
    """What a slice leaves of an axis."""
    step = Dim(1) if part.step is None else part.step
    if isinstance(step, Dim) and never_negative(-step):
        return InvalidArgument("step", step, "at least 1")
    start = Dim(0) if part.start is None else part.start
    if part.stop is None and start == 0 and step == 1:
        return axis
    if axis.size is None or not isinstance(start, Dim) or not isinstance(step, Dim):
        return UNKNOWN_AXIS
    stop = axis.size if part.stop is None else part.stop
    size = _run_length(axis.size, start, stop) if isinstance(stop, Dim) else None
    if size is None:
        return UNKNOWN_AXIS
    if step != 1:
        size = (size + step - 1) // step
    return axis if size == axis.size else Axis.of(size)


def _run_length(size: Dim, start: Dim, stop: Dim) -> Dim | None:
    """How many elements lie between two indices; None where it isn't known whether one counts from the end."""
    if never_negative(stop):
        end = least(stop, size)
    elif never_negative(-stop - 1):
        end = size + stop
    else:
        return None
    if never_negative(start):
        return not_below_zero(end - start)
    if never_negative(-start - 1):
        # An index before the first element means the first.
        return not_below_zero(least(end, end - size - start))
    return None


def subscript(x: Tensor, index: Sequence[Index]) -> Result:
    """What `x[index]` is; the index comes as a tuple, of one entry where it was not written as one."""
    if x.shape.axes is None:
        return Tensor(Shape.unknown(), x.dtype)
    entries: list[Dim | Slice | Rest | _Chosen | None] = []
    for entry in index:
        known = _read_entry(entry)
        if isinstance(known, Mismatch):
            return known
        if isinstance(known, _Lost):
            return Tensor(Shape.unknown(), x.dtype)
        entries.append(known)
    count = sum(_consumed(entry) for entry in entries)
    if count > len(x.shape.axes):
        return TooManyIndices(count, sizes_of(x.shape.axes))
    if ELLIPSIS not in entries:
        entries.append(ELLIPSIS)
    at = entries.index(ELLIPSIS)
    entries[at : at + 1] = [Slice()] * (len(x.shape.axes) - count)
    outcome = _take(x.shape.axes, [entry for entry in entries if not isinstance(entry, Rest)])
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, x.dtype)


def store(x: Tensor, index: Sequence[Index], value: Value) -> Result:
    """`x` after `x[index] = value`; a Mismatch where the value surely doesn't go there."""
    target = subscript(x, index)
    if isinstance(target, Mismatch):
        return target
    doubt = target.shape.doubt if isinstance(target, Tensor) else None
    if isinstance(target, Tensor) and isinstance(value, Tensor) and value.shape.axes is not None:
        source = value.shape.axes
        # torch drops axes of size 1 in front that the target does not have.
        while target.shape.rank is not None and len(source) > target.shape.rank and source[0].size in (1, None):
            if source[0].size is None:
                return Tensor(Shape(x.shape.axes, doubt), x.dtype)
            source = source[1:]
        outcome = copy_into(target.shape, Shape(source))
        if isinstance(outcome, Mismatch):
            return outcome
        doubt = doubt or outcome.doubt
    return Tensor(Shape(x.shape.axes, doubt), x.dtype)


def _consumed(entry: Dim | Slice | Rest | _Chosen | None) -> int:
    return entry.consumes if isinstance(entry, _Chosen) else int(isinstance(entry, Dim | Slice))


def _read_entry(entry: Index) -> Dim | Slice | Rest | _Chosen | _Lost | Mismatch | None:
    """One entry of a subscript as one of five kinds, None a new axis."""
    if entry is None or isinstance(entry, Dim | Slice | Rest):
        return entry
    if isinstance(entry, bool):
        return _Chosen(Shape.of(int(entry)), 0)
    if isinstance(entry, Tensor):
        return _read_tensor(entry)
    return _read_list(entry) if isinstance(entry, tuple) else _Lost.LOST


def _read_tensor(index: Tensor) -> Slice | _Chosen | _Lost | Mismatch:
    axes = index.shape.axes
    if index.dtype in ("bool", "uint8"):
        if axes is None:
            return _Lost.LOST
        return _Chosen(Shape.of(None), len(axes), sizes_of(axes))
    wrong = refuse_index(index)
    if wrong is not None:
        return DtypeMismatch("index", index.dtype or "", "int64 or bool")
    if axes is None or (index.dtype is None and len(axes) != 1):
        return _Lost.LOST
    # A vector of unknown dtype takes one axis and gives one, be it a mask or indices; only its size is not known.
    return _Chosen(Shape(axes) if index.dtype is not None else Shape.of(None), 1)


def _read_list(entry: tuple[Any, ...]) -> _Chosen | _Lost | Mismatch:
    if entry and all(isinstance(item, bool) for item in entry):
        return _Chosen(Shape.of(sum(entry)), 1, (Dim(len(entry)),))
    sizes: list[int] = []
    level: list[Any] = [entry]
    while level and all(isinstance(item, tuple) for item in level):
        sizes.append(len(level[0]))
        if any(len(item) != sizes[-1] for item in level):
            return _Lost.LOST
        level = [item for nested in level for item in nested]
    if level and not any(isinstance(item, Dim) for item in level):
        return _Lost.LOST
    if not all(isinstance(item, Dim | Unknown) for item in level):
        return _Lost.LOST
    return _Chosen(Shape.of(*sizes), 1, items=tuple(item for item in level if isinstance(item, Dim)))


def _take(axes: Axes, entries: Sequence[Dim | Slice | _Chosen | None]) -> Shape | Mismatch:
    """The axes that remain, with those of all choices together where the first is, or in front of others between them."""
    kept: list[Axis | _Chosen] = []
    doubt: Mismatch | None = None
    position = 0
    for entry in entries:
        taken = axes[position : position + _consumed(entry)]
        if isinstance(entry, Slice):
            rest = slice_axis(taken[0], entry)
            if isinstance(rest, Mismatch):
                return rest
            kept.append(rest)
        elif isinstance(entry, Dim):
            missing = _missing((entry,), position, taken)
            if missing is not None:
                return missing
        elif entry is None:
            kept.append(Axis.of(1))
        else:
            wrong, agree = _refuse_choice(entry, position, taken)
            if wrong is not None and agree is False:
                return wrong
            doubt = doubt or wrong
            # An integer in a tensor of its own is as good as an integer.
            if entry.shape.axes or not entry.consumes:
                kept.append(entry)
        position += _consumed(entry)
    return _place_choices(kept, doubt)


def _missing(items: Sequence[Dim], position: int, taken: Axes) -> Mismatch | None:
    """The first of several integers that surely is no index of an axis."""
    size = taken[0].size if taken else None
    found = (refuse_item(item, position, size) for item in items if size is not None)
    return next((mismatch for mismatch in found if mismatch is not None), None)


def _refuse_choice(chosen: _Chosen, position: int, taken: Axes) -> tuple[Mismatch | None, bool | None]:
    """What is wrong with a mask or a list, and whether it surely is (False) or may be (None)."""
    doubt: Mismatch | None = None
    for place, (size, axis) in enumerate(zip(chosen.mask or (), taken, strict=False)):
        equal = True if size is None or axis.size is None else compare_sizes(size, axis.size)
        if equal is not True:
            wrong = MaskMismatch(chosen.mask or (), sizes_of(taken), place)
            if equal is False:
                return wrong, False
            doubt = doubt or wrong
    missing = _missing(chosen.items, position, taken)
    return (missing, False) if missing is not None else (doubt, None)


def _place_choices(kept: Sequence[Axis | _Chosen], doubt: Mismatch | None) -> Shape | Mismatch:
    places = [place for place, entry in enumerate(kept) if isinstance(entry, _Chosen)]
    axes = [entry for entry in kept if isinstance(entry, Axis)]
    if not places:
        return Shape(tuple(axes), doubt)
    together = shapes.broadcast(*(entry.shape for entry in kept if isinstance(entry, _Chosen)), at_least=AT_LEAST)
    if isinstance(together, Mismatch) or together.axes is None:
        return together
    adjacent = places[-1] - places[0] == len(places) - 1
    at = places[0] if adjacent else 0
    return Shape((*axes[:at], *together.axes, *axes[at:]), doubt or together.doubt)
