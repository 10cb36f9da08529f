"""Whether shapes with names in them are those that tensors have, call by call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from instrument import Call, Place, Shape

from shapeguard.shapes.dim import Dim, Operation, evaluate, names
from shapeguard.shapes.expression import parse_dim

Known: TypeAlias = tuple[str | int, ...]
"""A shape as the checker writes it: integers, expressions, "?" for an axis, "..." for any number of them."""


@dataclass(frozen=True)
class Contradiction:
    """A shape that the run doesn't have."""

    place: Place
    said: Known
    seen: Shape
    reason: str
    sizes: Mapping[str, int]
    """Name -> size, as this call binds them; those in what is said."""


@dataclass
class Comparison:
    """What comes of holding a file's shapes against its calls."""

    contradictions: dict[Place, Contradiction] = field(default_factory=dict)
    checked: set[tuple[Place, int]] = field(default_factory=set)
    """Axes held against a number, or against a name that was bound elsewhere."""
    binding: set[tuple[Place, int]] = field(default_factory=set)
    """Axes that gave a name its size, in a call at least."""
    unbound: set[tuple[Place, int]] = field(default_factory=set)
    """Axes with a name that stays without a size, in a call at least."""


@dataclass(frozen=True)
class _Axis:
    """One axis of one expression in one call: what is said, and what is seen."""

    place: Place
    shape: Known
    seen: Shape
    position: int
    said: Dim | int
    size: int

    @property
    def key(self) -> tuple[Place, int]:
        return self.place, self.position


def compare(shapes: Mapping[Place, Known | None], calls: Iterable[Call]) -> Comparison:
    """Hold what is said against each call; a name means one size throughout a call."""
    result = Comparison()
    for call in calls:
        axes = _axes(shapes, call, result)
        sizes: dict[str, int] = {}
        binding: set[tuple[Place, int]] = set()
        for solve in (_named, _solved):
            for axis in axes:
                found = solve(axis.said, axis.size, sizes)
                if found is not None:
                    sizes[found[0]] = found[1]
                    binding.add(axis.key)
        result.binding |= binding
        for axis in axes:
            used = names(axis.said)
            if not used <= sizes.keys():
                result.unbound.add(axis.key)
                continue
            if axis.key not in binding:
                result.checked.add(axis.key)
            value = _value(axis.said, sizes)
            if value != axis.size:
                reason = f"axis {axis.position} is {axis.size}, not {axis.said} = {value}"
                bound = {name: sizes[name] for name in sorted(used)}
                contradiction = Contradiction(axis.place, axis.shape, axis.seen, reason, bound)
                result.contradictions.setdefault(axis.place, contradiction)
    return result


def _axes(shapes: Mapping[Place, Known | None], call: Call, result: Comparison) -> list[_Axis]:
    """The axes of which something is said; a shape that doesn't even have them is a contradiction."""
    axes: list[_Axis] = []
    for place, seen in call:
        said = shapes.get(place)
        if said is None:
            continue
        reason = ""
        pairs = _aligned(said, seen)
        if pairs is None:
            reason = f"{len(seen)} axes"
        for position, word, size in pairs or ():
            dim = _read(word)
            if dim is None:
                reason = f"axis {position}, {word}, can't be read"
            else:
                axes.append(_Axis(place, said, seen, position, dim, size))
        if reason:
            result.contradictions.setdefault(place, Contradiction(place, said, seen, reason, {}))
    return axes


def _aligned(said: Known, seen: Shape) -> list[tuple[int, str | int, int]] | None:
    """(position, what is said, size) of each axis of which something is said; None where the ranks differ."""
    open_at = [position for position, word in enumerate(said) if word == "..."]
    if len(said) != len(seen) if not open_at else len(said) - len(open_at) > len(seen):
        return None
    first = open_at[0] if open_at else len(said)
    last = len(said) - 1 - open_at[-1] if open_at else 0
    pairs = [(position, said[position], seen[position]) for position in range(first)]
    pairs += [(position, said[position], seen[position]) for position in range(-last, 0)]
    return [pair for pair in pairs if pair[1] != "?"]


def _read(word: str | int) -> Dim | int | None:
    """An axis as arithmetic; None where it can't be read."""
    try:
        return word if isinstance(word, int) else parse_dim(word)
    except ValueError:
        return None


def _named(said: Dim | int, size: int, sizes: Mapping[str, int]) -> tuple[str, int] | None:
    """The name that an axis is, and its size, where it has none yet."""
    used = names(said)
    name = next(iter(used)) if len(used) == 1 else ""
    return (name, size) if name and name not in sizes and said == Dim(name) else None


def _solved(said: Dim | int, size: int, sizes: Mapping[str, int]) -> tuple[str, int] | None:
    """The only name without a size in an axis, and the size that makes `3*c+1` what was seen."""
    missing = names(said) - sizes.keys()
    if len(missing) != 1:
        return None
    name = next(iter(missing))
    if not _is_linear(said, name):
        return None
    none, one = _value(said, {**sizes, name: 0}), _value(said, {**sizes, name: 1})
    if none is None or one is None or none == one:
        return None
    # Where no whole number does it, the one below is given, and contradicts what was seen.
    return name, (size - none) // (one - none)


def _is_linear(said: Dim | int, name: str) -> bool:
    """Whether a name is multiplied and added alone, and by itself nowhere."""
    return isinstance(said, Dim) and all(
        monomial.count(name) <= 1 and not any(isinstance(atom, Operation) and _has(atom, name) for atom in monomial)
        for monomial in said.terms
    )


def _has(operation: Operation, name: str) -> bool:
    return any(name in names(operand) for operand in operation.operands)


def _value(size: Dim | int, sizes: Mapping[str, int]) -> int | None:
    try:
        return evaluate(size, sizes)
    except ZeroDivisionError:
        return None
