"""How the factors of axes line up: where two runs make as many elements, and whether their order is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from shapeguard.shapes.dim import Dim, divide_exactly, operations

Factors: TypeAlias = tuple[Dim, ...]
"""The sizes that an axis was flattened from, outermost first."""


def align(
    source: Sequence[Dim | None], target: Sequence[Dim | None]
) -> tuple[list[tuple[slice, slice]], tuple[slice, slice] | None]:
    """Cut both into the smallest runs that have as many elements, and what is left over where that can't be told."""
    groups: list[tuple[slice, slice]] = []
    start, begin = 0, 0
    for end, stop in _cuts(source, target):
        groups.append((slice(start, end), slice(begin, stop)))
        start, begin = end, stop
    end, stop = len(source), len(target)
    if (start, begin) == (end, stop):
        return groups, None
    for length, run in _cuts(source[start:][::-1], target[begin:][::-1]):
        groups.append((slice(len(source) - length, end), slice(len(target) - run, stop)))
        end, stop = len(source) - length, len(target) - run
    return groups, (slice(start, end), slice(begin, stop))


def _cuts(source: Sequence[Dim | None], target: Sequence[Dim | None]) -> list[tuple[int, int]]:
    """How many sizes of each make equal products, counted from the start, for as long as all sizes are known."""
    ends: dict[Dim, int] = {}
    product = Dim(1)
    for position, size in enumerate(source):
        if size is None:
            break
        product = product * size
        ends[product] = position + 1
    cuts: list[tuple[int, int]] = []
    product = Dim(1)
    for position, size in enumerate(target):
        if size is None:
            break
        product = product * size
        end = ends.get(product, 0)
        if end > (cuts[-1][0] if cuts else 0):
            cuts.append((end, position + 1))
    return cuts


def is_scrambled(source: Factors, target: Factors) -> bool:
    """Whether a run of sizes becomes another of as many elements by more than splitting and joining."""
    if len(source) <= 1 or len(target) <= 1:
        return False
    # Numbers can often be cut to fit, as 8, 16 into 16, 8; but then it was axes that were meant to change places.
    if sorted(map(str, source)) == sorted(map(str, target)):
        return True
    # An operation on one side only, as in b, t into b*t//w, w, may hide a common factor.
    return operations(source) == operations(target) and refine(source, target) is None


def refine(source: Factors, target: Factors) -> list[Factors] | None:
    """The pieces of `source`, in order, that make up each size of `target`; None where pieces would have to overlap."""
    pending = list(reversed(source))
    result: list[Factors] = []
    for size in target:
        rest = size
        pieces: list[Dim] = []
        while rest != 1:
            if not pending:
                return None
            part = pending.pop()
            left = divide_exactly(rest, part)
            if left is None:
                cut = divide_exactly(part, rest)
                if cut is None:
                    return None
                pieces.append(rest)
                pending.append(cut)
                break
            pieces.append(part)
            rest = left
        result.append(tuple(pieces))
    return result
