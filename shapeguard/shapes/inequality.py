"""Whether one size is surely no more than another, and the lesser of two where it can be told."""

from __future__ import annotations

import functools

from shapeguard.shapes.dim import (
    Dim,
    Monomial,
    Operation,
    bounds,
    from_terms,
    maximum,
    minimum,
    names,
    operations,
    substitute,
)

_DEPTH = 3
"""How many operations in one size are looked into; each may double the work."""


@functools.lru_cache(maxsize=4096)
def never_negative(dim: Dim, at_least: int = 0) -> bool:
    """Whether an integer is 0 or more for every allowed value of its names."""
    return _proves(dim, at_least, _DEPTH)


def at_most(left: Dim, right: Dim, at_least: int = 0) -> bool:
    """Whether `left` is no more than `right` for every allowed value of their names."""
    return never_negative(right - left, at_least)


def more_than(left: Dim, right: Dim, at_least: int = 0) -> bool:
    """Whether `left` is more than `right` for every allowed value of their names."""
    return never_negative(left - right - 1, at_least)


def lesser(left: Dim, right: Dim, at_least: int = 0) -> Dim:
    """The minimum, without an operation where it is surely one of the two."""
    if at_most(left, right, at_least):
        return left
    return right if at_most(right, left, at_least) else minimum(left, right)


def not_below_zero(dim: Dim, at_least: int = 0) -> Dim:
    """The maximum with 0, without an operation where it is surely one of the two."""
    if never_negative(dim, at_least):
        return dim
    return Dim(0) if never_negative(-dim, at_least) else maximum(dim, 0)


def _proves(dim: Dim, at_least: int, depth: int) -> bool:
    low, high = bounds(dim, at_least)
    if low is not None and low >= 0:
        return True
    if high is not None and high < 0:
        return False
    try:
        # Counting every name from its lower bound turns "is positive" into "has only positive coefficients".
        low, _ = bounds(substitute(dim, {name: Dim(name) + at_least for name in names(dim)}), 0)
    except ArithmeticError:
        return False
    return (low is not None and low >= 0) or (depth > 0 and _proves_by_operation(dim, at_least, depth - 1))


def _proves_by_operation(dim: Dim, at_least: int, depth: int) -> bool:
    """Try again with bounds in place of an operation."""
    for atom in operations((dim,)):
        if any(monomial.count(atom) > 1 for monomial in dim.terms):
            continue
        if atom.operator == "//" and _proves_by_quotient(dim, atom, at_least, depth):
            return True
        if atom.operator in ("min", "max") and _proves_by_extremum(dim, atom, at_least, depth):
            return True
    return False


def _cofactors(dim: Dim, atom: Operation) -> tuple[Dim, dict[Monomial, int]]:
    """`dim` as what is free of `atom`, and the terms that `atom` is multiplied by."""
    free = {monomial: coefficient for monomial, coefficient in dim.terms.items() if atom not in monomial}
    rest = {
        tuple(other for other in monomial if other != atom): coefficient
        for monomial, coefficient in dim.terms.items()
        if atom in monomial
    }
    return from_terms(free), rest


def _proves_by_quotient(dim: Dim, atom: Operation, at_least: int, depth: int) -> bool:
    # p//q lies between (p-q+1)/q and p/q, so q times the whole is no less than this.
    dividend, divisor = atom.operands
    if not _proves(divisor - 1, at_least, depth):
        return False
    free, rest = _cofactors(dim, atom)
    least = free * divisor
    for monomial, coefficient in rest.items():
        if not _proves(from_terms({monomial: 1}), at_least, 0):
            return False
        bound = dividend if coefficient < 0 else dividend - divisor + 1
        least = least + from_terms({monomial: coefficient}) * bound
    return _proves(least, at_least, depth)


def _proves_by_extremum(dim: Dim, atom: Operation, at_least: int, depth: int) -> bool:
    # It is one of its operands; and where a minimum is subtracted or a maximum added, any operand bounds it.
    free, rest = _cofactors(dim, atom)
    factor = from_terms(rest)
    proven = [_proves(free + factor * operand, at_least, depth) for operand in atom.operands]
    helps = factor if atom.operator == "max" else -factor
    return all(proven) or (any(proven) and _proves(helps, at_least, 0))
