"""Whether two sizes are equal: for every value of their names, for none, or for some."""

from __future__ import annotations

import functools
import math

from shapeguard.shapes.dim import (
    AtLeast,
    Dim,
    DimLike,
    Operation,
    apply_operator,
    as_int,
    atom_range,
    common_factor,
    divide_terms,
    from_terms,
    names,
    replace_atoms,
    substitute,
    value_range,
)


def compare(left: DimLike, right: DimLike, at_least: AtLeast = 0) -> bool | None:
    """Whether two sizes are equal: True for every allowed value of the names, False for none, None for some or unknown.

    `at_least` raises the lower bound of names above 0.
    """
    if left == right:
        return True
    if as_int(left) is not None and as_int(right) is not None:
        return False
    if isinstance(at_least, int):
        return _compare_once(Dim(left), Dim(right), at_least)
    return _compare(Dim(left), Dim(right), at_least)


def _compare(left: Dim, right: Dim, at_least: AtLeast) -> bool | None:
    try:
        difference = left - right
        verdict = _is_zero(difference, at_least)
        return _is_zero_spelled_out(difference, at_least) if verdict is None else verdict
    except ArithmeticError:
        # A divisor turned out to be 0 for every size, or a size too large to be written out.
        return None


_compare_once = functools.lru_cache(maxsize=8192)(_compare)


def _is_zero_spelled_out(dim: Dim, at_least: AtLeast) -> bool | None:
    if any(isinstance(atom, Operation) for monomial in dim.terms for atom in monomial):
        verdict = _is_zero(_spell_out(dim), at_least)
        if verdict is not None:
            return verdict
    lows = {name: atom_range(name, at_least)[0] for name in names(dim)}
    if not any(lows.values()):
        return None
    # Counting every name from its lower bound turns "is positive" into "has only positive coefficients".
    return _is_zero(substitute(dim, {name: Dim(name) + int(low) for name, low in lows.items()}), 0)


def _is_zero(dim: Dim, at_least: AtLeast) -> bool | None:
    value = as_int(dim)
    if value is not None:
        return value == 0
    low, high = value_range(dim, at_least)
    if low > 0 or high < 0:
        return False
    if low == high == 0:
        return True
    common = common_factor(dim)
    if () not in common.terms:
        if value_range(common, at_least)[0] <= 0:
            return None
        dim = divide_terms(dim, common)
        low, high = value_range(dim, at_least)
        if low > 0 or high < 0:
            return False
    content = math.gcd(*(c for monomial, c in dim.terms.items() if monomial))
    # Whatever the atoms are, the other terms add up to a multiple of their content.
    return False if dim.terms.get((), 0) % content else None


def _spell_out(dim: Dim) -> Dim:
    """The same value with every `p % q` as `p - q*(p//q)` and whole multiples taken out of `p//q`.

    That is too long to read, but ways of writing that differ by it come out the same.
    """

    def rewrite(atom: str) -> Dim:
        if not isinstance(atom, Operation):
            return Dim(atom)
        operands = tuple(map(_spell_out, atom.operands))
        if atom.operator in ("min", "max"):
            return apply_operator(atom.operator, operands)
        dividend, divisor = operands
        scale = as_int(divisor)
        whole = Dim(0)
        if scale:
            whole = from_terms({m: c // scale for m, c in dividend.terms.items() if c // scale})
        quotient = whole + (dividend - whole * divisor) // divisor
        return quotient if atom.operator == "//" else dividend - divisor * quotient

    return replace_atoms(dim, rewrite)
