"""Sizes under the assumption that what is divided leaves no remainder: `2*(d//2)` is `d`, `(d+1)//2` is `d//2`.

Who splits a size in two means an even one. Nothing is refused for the odd ones, and nothing is proven by this either.
"""

from __future__ import annotations

from collections.abc import Iterable

from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import AtLeast, Dim, Operation, divide_exactly, from_terms, names, operations, substitute


def compare_whole(left: Dim, right: Dim, at_least: AtLeast = 0) -> bool | None:
    """As `compare`, but True where the sizes are equal if nothing remains of their divisions."""
    verdict = compare(left, right, at_least)
    if verdict is not None:
        return verdict
    divisors = _divisors(left, right)
    multiples = {name: Dim(name) * divisor for name, divisor in divisors.items()}
    try:
        return (
            True if divisors and compare(substitute(left, multiples), substitute(right, multiples), at_least) else None
        )
    except ArithmeticError:
        return None


def multiply_back(dim: Dim) -> Dim:
    """`dim` with `h*(d//h)` as `d`."""
    for monomial, coefficient in dim.terms.items():
        term = from_terms({monomial: coefficient})
        for operation in operations((term,)):
            if operation.operator == "//":
                dividend, divisor = operation.operands
                times = divide_exactly(term, divisor * from_terms({(operation,): 1}))
                if times is not None:
                    return multiply_back(dim - term + times * dividend)
    return dim


def whole_divisions(sizes: Iterable[Dim | None]) -> dict[str, Dim]:
    """For every `d//h` in `sizes` what `d` is: `h` times something."""
    wholes: dict[str, Dim] = {}
    for operation in operations(sizes):
        if operation.operator == "//":
            dividend, divisor = operation.operands
            name = str(dividend)
            if names(dividend) == {name} and not names(divisor) & {name, *wholes}:
                # No identifier ends in a question mark, so this atom is new.
                wholes[name] = divisor * from_terms({(f"{name}?",): 1})
    return wholes


def rejoin(total: Dim) -> Dim:
    """A sum of parts without the divisions that made them, where the parts add up to what was divided."""
    divisors = _divisors(total)
    try:
        rest = substitute(total, {name: Dim(name) * divisor for name, divisor in divisors.items()})
    except ArithmeticError:
        return total
    result = Dim(0)
    for monomial, coefficient in rest.terms.items():
        if any(isinstance(atom, Operation) for atom in monomial):
            return total
        divisor = Dim(1)
        for atom in monomial:
            divisor = divisor * divisors.get(atom, 1)
        part = divide_exactly(from_terms({monomial: coefficient}), divisor)
        if part is None:
            return total
        result = result + part
    return result


def _divisors(*dims: Dim) -> dict[str, Dim]:
    """For every name that is divided, the product of what it is divided by."""
    found: dict[str, set[Dim]] = {}
    for atom in operations(dims):
        if atom.operator == "//":
            dividend, divisor = atom.operands
            for name in names(dividend) - names(divisor):
                found.setdefault(name, set()).add(divisor)
    # A divisor that is divided itself would have to be replaced first.
    found = {name: each for name, each in found.items() if not any(names(divisor) & found.keys() for divisor in each)}
    products: dict[str, Dim] = {}
    for name, each in found.items():
        products[name] = Dim(1)
        for divisor in each:
            products[name] = products[name] * divisor
    return products
