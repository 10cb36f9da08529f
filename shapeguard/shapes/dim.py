"""What a symbolic integer is: arithmetic in canonical form.

A Dim is a polynomial with integer coefficients over atoms. An atom is a name, or an Operation (`//`, `%`, `min`, `max`)
that could not be worked out. Names stand for integers >= 0, and a divisor is taken to be non-zero: that is what makes
`(a*b)//b` be `a`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Self, TypeAlias

Monomial: TypeAlias = tuple[str, ...]
"""Atoms multiplied together, sorted, repeated for powers: `a**2*b` is `("a", "a", "b")`."""

# Repeated squaring, or nesting one division in another, would soon fill the memory with a size that no one can read.
_MOST_TERMS = 200
_MOST_ATOMS = 64
_MOST_PRODUCTS = 2000
_LARGEST_FACTOR = 2**256
_DEEPEST = 16
_LONGEST_TEXT = 2000


class TooLargeError(ArithmeticError):
    """Arithmetic was to make a Dim that is longer than any size in real code."""


class Operation(str):
    """An atom that is not a name.

    It is its own canonical text, so that atoms of both kinds sort, hash and compare as strings do, at their speed.
    """

    __slots__ = ("depth", "operands", "operator")
    operator: str
    operands: tuple[Dim, ...]
    depth: int
    """How many operations are nested in it, itself included."""

    def __new__(cls, operator: str, operands: tuple[Dim, ...]) -> Self:
        """Take operands that are simplified already; TooLargeError for too long or too deep a one."""
        atoms = [atom for operand in operands for monomial in operand.terms for atom in monomial]
        depth = 1 + max((atom.depth for atom in atoms if isinstance(atom, Operation)), default=0)
        if depth > _DEEPEST or sum(map(len, atoms)) > _LONGEST_TEXT:
            raise TooLargeError("a size of too many operations")
        if operator in ("min", "max"):
            text = f"{operator}({','.join(map(str, operands))})"
        else:
            text = f"{_operand_text(operands[0], left=True)}{operator}{_operand_text(operands[1], left=False)}"
        self = super().__new__(cls, text)
        self.operator = operator
        self.operands = operands
        self.depth = depth
        return self

    def __reduce__(self) -> tuple[type[Operation], tuple[str, tuple[Dim, ...]]]:
        return Operation, (self.operator, self.operands)


class Dim:
    """An immutable symbolic integer: `Dim(3)`, `Dim("batch")`, and whatever arithmetic makes of them.

    A plain int may stand wherever a Dim is accepted. `==` asks whether two canonical forms are the same; `compare` asks
    whether the values are. A name is an identifier, or several joined by dots ("self.heads"); for any other text use
    `parse_dim`. Arithmetic raises TooLargeError, an ArithmeticError, rather than make something endless.
    """

    __slots__ = ("_hash", "_text", "terms")
    terms: dict[Monomial, int]
    """Non-zero coefficients; not to be changed."""

    def __new__(cls, value: Dim | int | str) -> Dim:  # noqa: PYI034 - a Dim is handed through
        """Read a string as one name."""
        if isinstance(value, Dim):
            return value
        if isinstance(value, int):
            small = _SMALL.get(value)
            return from_terms({(): int(value)}) if small is None else small
        return _named(value)

    def __reduce__(self) -> tuple[Callable[[dict[Monomial, int]], Dim], tuple[dict[Monomial, int]]]:
        # The cached hash must not travel: strings hash differently in every process.
        return from_terms, (self.terms,)

    def __hash__(self) -> int:
        if self._hash is None:
            value = as_int(self)
            self._hash: int | None = hash(frozenset(self.terms.items())) if value is None else hash(value)
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dim):
            return self is other or self.terms == other.terms
        if isinstance(other, int):
            return self.terms == ({(): other} if other else {})
        return NotImplemented

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __repr__(self) -> str:
        return f"Dim({str(self)!r})"

    def __str__(self) -> str:
        if self._text is None:
            self._text: str | None = _sum_text(self.terms)
        return self._text

    def __neg__(self) -> Dim:
        return from_terms({monomial: -coefficient for monomial, coefficient in self.terms.items()})

    def __add__(self, other: Dim | int) -> Dim:
        if isinstance(other, int):
            return _added(self.terms, {(): other}, 1) if other else self
        return _added(self.terms, other.terms, 1) if isinstance(other, Dim) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Dim | int) -> Dim:
        if isinstance(other, int):
            return _added(self.terms, {(): other}, -1) if other else self
        return _added(self.terms, other.terms, -1) if isinstance(other, Dim) else NotImplemented

    def __rsub__(self, other: int) -> Dim:
        return Dim(other) - self if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Dim | int) -> Dim:
        if isinstance(other, int):
            return self if other == 1 else _scaled(self.terms, other)
        if not isinstance(other, Dim):
            return NotImplemented
        value = as_int(other)
        if value is not None:
            return self if value == 1 else _scaled(self.terms, value)
        value = as_int(self)
        if value is not None:
            return other if value == 1 else _scaled(other.terms, value)
        return _multiplied(self.terms, other.terms)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim | int) -> Dim:
        return _floor_divide(self, Dim(other)) if isinstance(other, (Dim, int)) else NotImplemented

    def __rfloordiv__(self, other: int) -> Dim:
        return _floor_divide(Dim(other), self) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Dim | int) -> Dim:
        return _remainder(self, Dim(other)) if isinstance(other, (Dim, int)) else NotImplemented

    def __rmod__(self, other: int) -> Dim:
        return _remainder(Dim(other), self) if isinstance(other, int) else NotImplemented

    def __pow__(self, exponent: int) -> Dim:
        if not isinstance(exponent, int):
            return NotImplemented
        if exponent < 0:
            message = f"{exponent} is no exponent for a size: it would leave the integers"
            raise ValueError(message)
        value = as_int(self)
        if value is not None:
            if value not in (-1, 0, 1) and value.bit_length() * exponent > _LARGEST_FACTOR.bit_length():
                raise TooLargeError(f"{value}**{exponent} is too large a number")
            return Dim(value**exponent)
        result = Dim(1)
        for _ in range(exponent):
            result = result * self
        return result


DimLike: TypeAlias = Dim | int


def from_terms(terms: dict[Monomial, int]) -> Dim:
    """Trust that coefficients are non-zero and monomials sorted; any string may be an atom, but only names parse."""
    self = object.__new__(Dim)
    self.terms = terms
    self._hash = self._text = None
    return self


_SMALL = {value: from_terms({(): value} if value else {}) for value in (0, *range(-16, 0), *range(1, 1025))}
"""Numbers that stand in every file, each made once."""


@functools.lru_cache(maxsize=4096)
def _named(name: str) -> Dim:
    if not name.isidentifier() and not all(part.isidentifier() for part in name.split(".")):
        message = f'"{name}" is not a name'
        raise ValueError(message)
    return from_terms({(name,): 1})


def _added(left: dict[Monomial, int], right: dict[Monomial, int], sign: int) -> Dim:
    if len(left) + len(right) > _MOST_TERMS:
        raise TooLargeError("a sum of too many terms")
    terms = dict(left)
    for monomial, coefficient in right.items():
        total = terms.get(monomial, 0) + sign * coefficient
        if total:
            terms[monomial] = total
        else:
            del terms[monomial]
    if len(terms) == 1 and () in terms:
        return Dim(_checked(terms[()]))
    return from_terms(terms) if terms else _SMALL[0]


def _scaled(terms: dict[Monomial, int], scale: int) -> Dim:
    if len(terms) == 1 and () in terms:
        return Dim(_checked(terms[()] * scale))
    return (
        from_terms({monomial: _checked(factor * scale) for monomial, factor in terms.items()}) if scale else _SMALL[0]
    )


def _checked(factor: int) -> int:
    if -_LARGEST_FACTOR < factor < _LARGEST_FACTOR:
        return factor
    raise TooLargeError("a size of too large a number")


def _multiplied(left: dict[Monomial, int], right: dict[Monomial, int]) -> Dim:
    if len(left) * len(right) > _MOST_PRODUCTS:
        raise TooLargeError("a product of too many terms")
    terms: dict[Monomial, int] = {}
    for one, coefficient in left.items():
        for other, factor in right.items():
            monomial = tuple(sorted(one + other)) if one and other else one or other
            total = terms.get(monomial, 0) + coefficient * factor
            if total:
                terms[monomial] = _checked(total)
            else:
                del terms[monomial]
    if max(map(len, terms), default=0) > _MOST_ATOMS:
        raise TooLargeError("a product of too many factors")
    return from_terms(terms)


def _from_operation(operator: str, *operands: Dim) -> Dim:
    return from_terms({(Operation(operator, operands),): 1})


def as_operation(dim: Dim) -> Operation | None:
    """The operation that `dim` is, and nothing besides."""
    if len(dim.terms) == 1:
        ((monomial, coefficient),) = dim.terms.items()
        if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Operation):
            return monomial[0]
    return None


def as_int(dim: DimLike) -> int | None:
    """The value of a Dim without names, else None."""
    if isinstance(dim, int):
        return dim
    terms = dim.terms
    if not terms:
        return 0
    return terms.get(()) if len(terms) == 1 else None


def minimum(*dims: DimLike) -> Dim:
    """The least of `dims`; those that can never be it are left out."""
    return extremum("min", dims)


def maximum(*dims: DimLike) -> Dim:
    """The greatest of `dims`; those that can never be it are left out."""
    return extremum("max", dims)


def extremum(operator: str, dims: tuple[DimLike, ...]) -> Dim:
    """`minimum` or `maximum`, by its name."""
    sign = 1 if operator == "min" else -1
    operands: dict[str, Dim] = {}
    for dim in map(Dim, dims):
        nested = as_operation(dim)
        for operand in nested.operands if nested is not None and nested.operator == operator else (dim,):
            operands[str(operand)] = operand
    kept: list[Dim] = []
    for _, operand in sorted(operands.items()):
        if not any(_never_negative((operand - other) * sign) for other in kept):
            kept = [other for other in kept if not _never_negative((other - operand) * sign)]
            kept.append(operand)
    return kept[0] if len(kept) == 1 else _from_operation(operator, *kept)


def _never_negative(dim: Dim) -> bool:
    return value_range(dim, 0)[0] >= 0


def divide_exactly(dividend: DimLike, divisor: DimLike) -> Dim | None:
    """The polynomial which `divisor` times itself gives `dividend`, or None where there is none."""
    rest, divisor = Dim(dividend), Dim(divisor)
    if not divisor.terms:
        return None
    lead = max(divisor.terms, key=_monomial_rank)
    lead_coefficient = divisor.terms[lead]
    quotient: dict[Monomial, int] = {}
    while rest.terms:
        # Once the greatest terms do not divide, no further step can cancel this one.
        greatest = max(rest.terms, key=_monomial_rank)
        monomial = _divide_monomial(greatest, lead)
        coefficient, odd = divmod(rest.terms[greatest], lead_coefficient)
        if monomial is None or odd:
            return None
        quotient[monomial] = coefficient
        rest = rest - divisor * from_terms({monomial: coefficient})
    return from_terms(quotient)


def _monomial_rank(monomial: Monomial) -> tuple[int, Monomial]:
    return len(monomial), monomial


def _divide_monomial(dividend: Monomial, divisor: Monomial) -> Monomial | None:
    if not divisor:
        return dividend
    rest = list(dividend)
    for atom in divisor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)


def common_factor(*dims: Dim) -> Dim:
    """The greatest single term that divides every term of `dims`."""
    terms = [item for dim in dims for item in dim.terms.items()]
    content = math.gcd(*(coefficient for _, coefficient in terms))
    common: Monomial = terms[0][0]
    for monomial, _ in terms:
        rest = list(monomial)
        shared = []
        for atom in common:
            if atom in rest:
                rest.remove(atom)
                shared.append(atom)
        common = tuple(shared)
    return from_terms({common: content})


def divide_terms(dim: Dim, common: Dim) -> Dim:
    """Each term of `dim` divided by a term that divides it; a number by itself is rounded down."""
    ((factor, scale),) = common.terms.items()
    return from_terms({_divide_monomial(m, factor) or (): c // scale for m, c in dim.terms.items() if c // scale})


def _split_multiples(dividend: Dim, divisor: Dim) -> tuple[Dim, Dim]:
    """`(q, r)` with `dividend == q * divisor + r`, where `r` has no term that is a multiple of a one-term `divisor`."""
    if len(divisor.terms) != 1:
        return Dim(0), dividend
    ((factor, scale),) = divisor.terms.items()
    quotient: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, coefficient in dividend.terms.items():
        divided = _divide_monomial(monomial, factor)
        if divided is None or (coefficient % scale and monomial):
            rest[monomial] = coefficient
            continue
        whole, left = divmod(coefficient, scale)
        if whole:
            quotient[divided] = whole
        if left:
            rest[monomial] = left
    return from_terms(quotient), from_terms(rest)


@functools.lru_cache(maxsize=4096)
def _floor_divide(dividend: Dim, divisor: Dim) -> Dim:
    quotient = divide_exactly(dividend, divisor)
    if quotient is not None:
        return quotient
    value, scale = as_int(dividend), as_int(divisor)
    if scale == 0:
        message = f"{dividend} is divided by 0"
        raise ZeroDivisionError(message)
    if value is not None and scale is not None:
        return Dim(value // scale)
    if all(coefficient < 0 for coefficient in divisor.terms.values()):
        return _floor_divide(-dividend, -divisor)
    quotient, rest = _split_multiples(dividend, divisor)
    if quotient.terms:
        return quotient + _floor_divide(rest, divisor)
    if _never_negative(dividend) and _never_negative(divisor - dividend - 1):
        return Dim(0)
    common = common_factor(dividend, divisor)
    if scale is not None:
        # What is below the content cannot reach the next multiple of it: (4*x + 3)//6 is (2*x + 1)//3.
        common = Dim(math.gcd(scale, *(coefficient for monomial, coefficient in dividend.terms.items() if monomial)))
    if common != 1:
        return _floor_divide(divide_terms(dividend, common), divide_terms(divisor, common))
    shift = dividend.terms.get((), 0)
    inner = as_operation(dividend - shift)
    if inner is not None and inner.operator == "//" and _never_negative(divisor):
        # Flooring twice is flooring once when the outer divisor is positive: (x//m + c)//n is (x + m*c)//(m*n).
        return _floor_divide(inner.operands[0] + inner.operands[1] * shift, inner.operands[1] * divisor)
    return _from_operation("//", dividend, divisor)


@functools.lru_cache(maxsize=4096)
def _remainder(dividend: Dim, divisor: Dim) -> Dim:
    if divide_exactly(dividend, divisor) is not None:
        return Dim(0)
    value, scale = as_int(dividend), as_int(divisor)
    if scale == 0:
        message = f"{dividend} is divided by 0"
        raise ZeroDivisionError(message)
    if value is not None and scale is not None:
        return Dim(value % scale)
    if all(coefficient < 0 for coefficient in divisor.terms.values()):
        return -_remainder(-dividend, -divisor)
    if scale is not None:
        rest = from_terms({m: c % scale for m, c in dividend.terms.items() if c % scale})
    else:
        _, rest = _split_multiples(dividend, divisor)
    if rest != dividend:
        return _remainder(rest, divisor)
    if _never_negative(dividend) and _never_negative(divisor - dividend - 1):
        return dividend
    common = common_factor(dividend, divisor)
    if common != 1:
        # A common factor of both, whatever its sign, is one of the remainder.
        return common * _remainder(divide_terms(dividend, common), divide_terms(divisor, common))
    return _from_operation("%", dividend, divisor)


AtLeast: TypeAlias = Mapping[str, int] | int
"""Lower bounds of names: one for all, or one for some; what is below 0 counts as 0."""


def bounds(dim: DimLike, at_least: AtLeast = 0) -> tuple[int | None, int | None]:
    """A range that surely holds the value, both ends included; None for an end that can't be told."""
    low, high = value_range(Dim(dim), at_least)
    return None if low == -math.inf else int(low), None if high == math.inf else int(high)


def value_range(dim: Dim, at_least: AtLeast) -> tuple[float, float]:
    """`bounds`, with infinities; finite ends are exact integers."""
    lower: float = 0
    upper: float = 0
    for monomial, coefficient in dim.terms.items():
        low: float = coefficient
        high: float = coefficient
        for atom in monomial:
            least, most = atom_range(atom, at_least)
            if low >= 0 and least >= 0:
                low, high = low * least, _times(high, most)
                continue
            products = (_times(low, least), _times(low, most), _times(high, least), _times(high, most))
            low, high = min(products), max(products)
        lower += low
        upper += high
    return lower, upper


def _times(left: float, right: float) -> float:
    if not left or not right:
        return 0
    if abs(left) == math.inf or abs(right) == math.inf:
        return math.inf if (left > 0) == (right > 0) else -math.inf
    return left * right


def atom_range(atom: str, at_least: AtLeast) -> tuple[float, float]:
    """The bounds of a name or of an operation, with infinities."""
    if not isinstance(atom, Operation):
        return max(0, at_least if isinstance(at_least, int) else at_least.get(atom, 0)), math.inf
    lows, highs = zip(*(value_range(operand, at_least) for operand in atom.operands), strict=True)
    if atom.operator in ("min", "max"):
        strongest = min if atom.operator == "min" else max
        return strongest(lows), strongest(highs)
    (low, least), (high, most) = lows, highs
    if least < 0 or most <= 0:
        return -math.inf, math.inf
    if atom.operator == "%":
        return 0, min(high, most - 1) if low >= 0 else most - 1
    least = max(least, 1)
    return _quotient(low, least if low < 0 else most), _quotient(high, most if high < 0 else least)


def _quotient(dividend: float, divisor: float) -> float:
    if abs(dividend) == math.inf:
        return dividend
    return dividend // divisor if divisor != math.inf else 0 if dividend >= 0 else -1


def replace_atoms(dim: Dim, replace: Callable[[str], Dim]) -> Dim:
    """Work a Dim out again with something else for each of its atoms."""
    total = Dim(0)
    for monomial, coefficient in dim.terms.items():
        product = Dim(coefficient)
        for atom in monomial:
            product = product * replace(atom)
        total = total + product
    return total


def apply_operator(operator: str, operands: tuple[Dim, ...]) -> Dim:
    """What an operator makes of its operands."""
    if operator in ("min", "max"):
        return extremum(operator, operands)
    return operands[0] // operands[1] if operator == "//" else operands[0] % operands[1]


def substitute(dim: DimLike, mapping: Mapping[str, DimLike]) -> Dim:
    """`dim` with names replaced, all at once; names that `mapping` lacks stay.

    ZeroDivisionError where that makes a divisor 0.
    """

    def replace(atom: str) -> Dim:
        if isinstance(atom, Operation):
            return apply_operator(atom.operator, tuple(substitute(operand, mapping) for operand in atom.operands))
        return Dim(mapping[atom]) if atom in mapping else Dim(atom)

    return replace_atoms(Dim(dim), replace)


def evaluate(dim: DimLike, sizes: Mapping[str, int]) -> int:
    """The value for given sizes; a name that `sizes` lacks is a KeyError."""
    if isinstance(dim, int):
        return dim
    total = 0
    for monomial, coefficient in dim.terms.items():
        product = coefficient
        for atom in monomial:
            product *= _evaluate_operation(atom, sizes) if isinstance(atom, Operation) else sizes[atom]
        total += product
    return total


def _evaluate_operation(operation: Operation, sizes: Mapping[str, int]) -> int:
    values = [evaluate(operand, sizes) for operand in operation.operands]
    if operation.operator in ("min", "max"):
        return min(values) if operation.operator == "min" else max(values)
    return values[0] // values[1] if operation.operator == "//" else values[0] % values[1]


def names(dim: DimLike) -> frozenset[str]:
    """Every name in `dim`, also inside operations."""
    if isinstance(dim, int):
        return frozenset()
    found: set[str] = set()
    for monomial in dim.terms:
        for atom in monomial:
            found.update(*map(names, atom.operands)) if isinstance(atom, Operation) else found.add(atom)
    return frozenset(found)


def operations(sizes: Iterable[Dim | None]) -> list[Operation]:
    """Every operation in known sizes, in the order of their texts; not those inside another."""
    atoms = {atom for size in sizes if size is not None for monomial in size.terms for atom in monomial}
    return sorted(atom for atom in atoms if isinstance(atom, Operation))


def _sum_text(terms: dict[Monomial, int]) -> str:
    if not terms:
        return "0"
    order = sorted(terms, key=lambda monomial: (-len(monomial), monomial))
    positive = next((monomial for monomial in order if terms[monomial] > 0), order[0])
    # "1-t" reads better than "-t+1".
    order.remove(positive)
    text = _term_text(positive, terms[positive], first=True)
    return text + "".join(_term_text(monomial, terms[monomial], first=False) for monomial in order)


def _term_text(monomial: Monomial, coefficient: int, *, first: bool) -> str:
    sign = "-" if coefficient < 0 else "" if first else "+"
    factors = [] if abs(coefficient) == 1 and monomial else [_number_text(abs(coefficient))]
    alone = len(monomial) == 1 and not factors and sign != "-"
    for atom in dict.fromkeys(monomial):
        enclosed = isinstance(atom, Operation) and atom.operator in ("//", "%") and not alone
        text = f"({atom})" if enclosed else str(atom)
        power = monomial.count(atom)
        factors.append(text if power == 1 else f"{text}**{power}")
    return sign + "*".join(factors)


def _number_text(number: int) -> str:
    # Python refuses to write out what has more than 4,300 digits, and reads it in hexadecimal.
    return str(number) if number < _LARGEST_FACTOR else f"{number:#x}"


def _operand_text(dim: Dim, *, left: bool) -> str:
    text = str(dim)
    operation = as_operation(dim)
    is_atom = len(dim.terms) <= 1 and all(
        (not monomial and coefficient > 0) or (coefficient == 1 and len(monomial) == 1)
        for monomial, coefficient in dim.terms.items()
    )
    if operation is not None:
        return text if operation.operator in ("min", "max") else f"({text})"
    is_product = left and len(dim.terms) == 1 and not text.startswith("-")
    return text if is_atom or is_product else f"({text})"
