"""What an einsum's equation says: which axes are the same letter, and which of them are left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shapeguard.ops.products import common_dtype
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.mismatch import BroadcastMismatch, EquationMismatch, LetterMismatch, Mismatch
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape


@dataclass(frozen=True, slots=True)
class Term:
    """The letters of one operand, or of the result, before and after its `...`."""

    before: str
    after: str
    has_ellipsis: bool

    @property
    def letters(self) -> str:
        """All letters, in order."""
        return self.before + self.after


def read_term(text: str) -> Term | None:
    """A term of an equation, None where it is none."""
    before, dots, after = text.replace(" ", "").partition("...")
    letters = before + after
    return Term(before, after, bool(dots)) if not letters or (letters.isascii() and letters.isalpha()) else None


@dataclass
class _Sizes:
    """The axes that letters and the `...` stand for, as far as operands have told."""

    equation: str
    letters: dict[str, Axis] = field(default_factory=dict)
    ellipsis: Shape = field(default_factory=lambda: Shape(()))
    doubt: Mismatch | None = None

    def meet(self, letter: str, axis: Axis) -> LetterMismatch | None:
        """Let a letter stand for an axis too; axes of size 1 stretch."""
        known = self.letters.get(letter)
        if known is None:
            self.letters[letter] = axis
            return None
        together = shapes.broadcast(Shape((known,)), Shape((axis,)))
        mismatch = LetterMismatch(self.equation, letter, known.size, axis.size)
        if isinstance(together, Mismatch):
            return mismatch
        if isinstance(together.doubt, BroadcastMismatch):
            self.doubt = self.doubt or mismatch
        self.letters[letter] = (together.axes or (UNKNOWN_AXIS,))[0]
        return None

    def read(self, term: Term, shape: Shape) -> Mismatch | None:
        """Take what one operand tells."""
        axes = shape.axes
        if axes is None:
            self.ellipsis = Shape.unknown() if term.has_ellipsis else self.ellipsis
            axes = (UNKNOWN_AXIS,) * len(term.letters)
        count, run = len(term.letters), len(axes) - len(term.letters)
        if run < 0 or (run > 0 and not term.has_ellipsis):
            letters = f"{term.before}{'...' if term.has_ellipsis else ''}{term.after}"
            reason = f"has {count} letters in `{letters}`, for the {len(axes)} axes of {shape}"
            return EquationMismatch(self.equation, reason)
        start = len(term.before)
        own: dict[str, Axis] = {}
        for letter, axis in zip(term.letters, (*axes[:start], *axes[start + run :]), strict=True):
            twin = own.setdefault(letter, axis)
            if twin.size is not None and axis.size is not None:
                # Within one operand nothing stretches: it is a diagonal.
                equal = compare(twin.size, axis.size)
                mismatch = LetterMismatch(self.equation, letter, twin.size, axis.size)
                if equal is False:
                    return mismatch
                self.doubt = self.doubt or (None if equal else mismatch)
        for letter, axis in own.items():
            refusal = self.meet(letter, axis)
            if refusal is not None:
                return refusal
        if shape.axes is None or not term.has_ellipsis:
            return None
        together = shapes.broadcast(self.ellipsis, Shape(axes[start : start + run]))
        if isinstance(together, Mismatch):
            return together
        self.doubt = self.doubt or together.doubt
        self.ellipsis = Shape(together.axes)
        return None


def _result_of(equation: str, terms: Iterable[Term], text: str | None) -> Term | EquationMismatch:
    """The term of the result: as written, or else each letter that stands once, in alphabetical order."""
    inputs = list(terms)
    letters = "".join(term.letters for term in inputs)
    if text is None:
        once = "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
        return Term("", once, any(term.has_ellipsis for term in inputs))
    result = read_term(text)
    if result is None:
        return EquationMismatch(equation, f"has no term in `{text}`")
    for letter in result.letters:
        if letter not in letters:
            return EquationMismatch(equation, f"has `{letter}` in its result and in no operand")
        if result.letters.count(letter) > 1:
            return EquationMismatch(equation, f"has `{letter}` more than once in its result")
    return result


def follow(equation: str, operands: tuple[Any, ...]) -> Result:
    """What an equation makes of its operands."""
    left, arrow, right = equation.partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        return EquationMismatch(equation, f"is for {len(parts)} operands, not {len(operands)}")
    terms: list[Term] = []
    for part in parts:
        term = read_term(part)
        if term is None:
            return EquationMismatch(equation, f"has no term in `{part.strip()}`")
        terms.append(term)
    result = _result_of(equation, terms, right if arrow else None)
    if isinstance(result, EquationMismatch):
        return result
    sizes = _Sizes(equation)
    for term, operand in zip(terms, operands, strict=True):
        mismatch = sizes.read(term, operand.shape if isinstance(operand, Tensor) else Shape.unknown())
        if mismatch is not None:
            return mismatch
    dtype = common_dtype(*operands)
    if result.has_ellipsis and sizes.ellipsis.axes is None:
        return Tensor(Shape(None, sizes.doubt), dtype)
    run = (sizes.ellipsis.axes or ()) if result.has_ellipsis else ()
    before, after = (tuple(sizes.letters[letter] for letter in letters) for letters in (result.before, result.after))
    return Tensor(Shape((*before, *run, *after), sizes.doubt), dtype)


@op(
    "torch.einsum",
    examples=(
        "f('ij,jk->ik', t(2, 3), t(3, 4))",
        "f('ij,jk', t(2, 3), t(3, 4))",
        "f('b h i d, b h j d -> b h i j', t(2, 3, 4, 5), t(2, 3, 6, 5))",
        "f('ii->i', t(3, 3))",
        "f('ii', t(3, 3))",
        "f('...ij,...jk->...ik', t(5, 1, 2, 3), t(6, 3, 4))",
        "f('i...,j...', t(2, 3), t(4, 3))",
        "f('bij->b', t(2, 3, 4))",
        "f('Ab,bc', t(2, 3), t(3, 4))",
        "f('ba', t(2, 3))",
        "f('ij,jk->ik', [t(2, 3), t(3, 4)])",
        "f('ij,ij->ij', t(2, 1), t(2, 3))",
        "f('i,j,k->kij', t(2), t(3), t(4))",
        "f('i...->...', t(2, 3, 4))",
        "f('...->', t(2, 3))",
        "f(',i->i', t(), t(3))",
        "f('ij,jk->ik', t(2, 3), t(2, 4))",
        "f('ii->i', t(3, 4))",
        "f('ii->i', t(1, 4))",
        "f('ij->ik', t(3, 4))",
        "f('ij->ii', t(3, 4))",
        "f('ij,jk->ik', t(2, 3))",
        "f('ijk', t(2, 3))",
        "f('i...', t())",
        "f('i', t(2, 3))",
        "f('i?', t(2, 3))",
        "f('...i,...j', t(2, 3), t(4, 3))",
    ),
)
def einsum(equation: Any, *operands: Any) -> Result:
    """Products of elements whose letters agree, summed over the letters that the result does not have."""
    if len(operands) == 1 and isinstance(operands[0], tuple):
        operands = operands[0]
    if not isinstance(equation, str) or not all(isinstance(operand, Tensor) for operand in operands[1:] or operands):
        return UNKNOWN_TENSOR
    return follow(equation, operands)
