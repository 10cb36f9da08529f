"""What an annotation demands of a shape: names bound to sizes, and the first disagreement.

The rules are jaxtyping's own: a name takes the size that it meets first; `#name` lets a 1 pass without binding it;
`*name` binds a run of axes; prefix and suffix are read before the run between them. Sizes are integers while the code
runs and Dims before it does.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shapeguard.shapes.annotation import (
    Annotation,
    AnySize,
    Fixed,
    Named,
    NamedAxes,
    OneAxis,
    Symbolic,
    names_read,
)
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, substitute
from shapeguard.shapes.expression import parse_dim
from shapeguard.shapes.mismatch import AxisMismatch, Mismatch, RankMismatch, RunMismatch

Size = int | Dim


@dataclass(frozen=True, slots=True)
class Waiting:
    """An expression axis that was met before its names were bound."""

    value: str
    position: int
    size: Size
    axis: Symbolic


@dataclass(frozen=True, slots=True)
class Bindings:
    """The names known so far, and the place that bound each of them."""

    sizes: Mapping[str, Size] = field(default_factory=dict)
    runs: Mapping[str, tuple[bool, tuple[Size, ...]]] = field(default_factory=dict)
    """For `*name`: whether the run may still grow by broadcasting, and its sizes."""
    places: Mapping[str, str] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()


def bind(
    annotation: Annotation,
    sizes: Sequence[Size],
    bindings: Bindings,
    *,
    value: str = "x",
    arguments: Mapping[str, object] | None = None,
) -> Bindings | Mismatch:
    """Match `sizes` with the annotation; the bindings that follow, or what disagrees.

    `value` is how the reader calls the tensor. `arguments` are what `{...}` in an annotation refers to.
    """
    matching = _Matching(bindings, value, arguments or {})
    return matching.match(annotation, tuple(sizes)) or matching.result()


def settle(bindings: Bindings, arguments: Mapping[str, object] | None = None) -> Bindings | Mismatch:
    """Check the expressions that waited for names bound later; those still without their names go on waiting."""
    still = []
    for entry in bindings.waiting:
        expected = _evaluate(entry.axis, bindings.sizes, arguments or {})
        if isinstance(expected, _Unbound):
            still.append(entry)
        elif expected is not None and compare(entry.size, expected) is False:
            wanted = _without_marks(entry.axis)
            return AxisMismatch(entry.value, entry.position, entry.size, wanted, expected, None)
    return Bindings(bindings.sizes, bindings.runs, bindings.places, tuple(still))


def broadcast_runs(first: Sequence[Size], second: Sequence[Size]) -> tuple[Size, ...] | None:
    """The common shape of two runs of axes, or None where they surely don't broadcast."""
    rank = max(len(first), len(second))
    result: list[Size] = []
    for position in range(-rank, 0):
        left = first[position] if -position <= len(first) else 1
        right = second[position] if -position <= len(second) else 1
        if left == 1:
            result.append(right)
        elif right == 1 or compare(left, right) is not False:
            result.append(left)
        else:
            return None
    return tuple(result)


@dataclass(frozen=True, slots=True)
class _Unbound:
    """An expression's names aren't all bound yet."""


class _Matching:
    """One shape on its way through one annotation; nothing that it learns counts unless all of it agrees."""

    def __init__(self, bindings: Bindings, value: str, arguments: Mapping[str, object]) -> None:
        self.sizes = dict(bindings.sizes)
        self.runs = dict(bindings.runs)
        self.places = dict(bindings.places)
        self.waiting = list(bindings.waiting)
        self.value = value
        self.arguments = arguments

    def result(self) -> Bindings:
        return Bindings(self.sizes, self.runs, self.places, tuple(self.waiting))

    def match(self, annotation: Annotation, sizes: tuple[Size, ...]) -> Mismatch | None:
        rank, variadic = len(sizes), annotation.variadic
        if variadic is None:
            if rank != len(annotation.axes):
                return RankMismatch(self.value, sizes, annotation.text)
            return self._match_each(annotation.prefix, sizes, 0)
        if rank < annotation.minimum_rank:
            return RankMismatch(self.value, sizes, annotation.text, at_least=True)
        end = rank - len(annotation.suffix)
        return (
            self._match_each(annotation.prefix, sizes[:variadic], 0)
            or self._match_each(annotation.suffix, sizes[end:], end)
            or self._match_run(annotation.axes[variadic], sizes[variadic:end])
        )

    def _match_each(self, axes: Sequence[OneAxis], sizes: Sequence[Size], start: int) -> Mismatch | None:
        for position, (axis, size) in enumerate(zip(axes, sizes, strict=True), start):
            mismatch = self._match_one(axis, size, position)
            if mismatch is not None:
                return mismatch
        return None

    def _match_one(self, axis: OneAxis, size: Size, position: int) -> Mismatch | None:
        bound_by = None
        expected: Size | _Unbound | None
        match axis:
            case AnySize() | Named(per_leaf=True):
                return None
            case Named() | Fixed() | Symbolic() if axis.broadcast and size == 1:
                return None
            case Fixed():
                expected = axis.size
            case Symbolic():
                expected = _evaluate(axis, self.sizes, self.arguments)
                if isinstance(expected, _Unbound):
                    self.waiting.append(Waiting(self.value, position, size, axis))
                    return None
            case Named():
                if axis.name not in self.sizes:
                    self.sizes[axis.name] = size
                    self.places[axis.name] = f"`{self.value}` axis {position}"
                    return None
                expected, bound_by = self.sizes[axis.name], self.places.get(axis.name)
        if expected is None or compare(size, expected) is not False:
            return None
        return AxisMismatch(self.value, position, size, _without_marks(axis), expected, bound_by)

    def _match_run(self, axis: object, sizes: tuple[Size, ...]) -> Mismatch | None:
        if not isinstance(axis, NamedAxes) or axis.per_leaf:
            return None
        if axis.name not in self.runs:
            self.runs[axis.name] = (axis.broadcast, sizes)
            self.places.setdefault("*" + axis.name, f"`{self.value}`")
            return None
        grows, known = self.runs[axis.name]
        common = broadcast_runs(sizes, known) if grows or axis.broadcast else (known if _same(sizes, known) else None)
        # Who may broadcast must reach the shape of who may not.
        reached = common is not None and ((grows or _same(common, known)) and (axis.broadcast or _same(common, sizes)))
        if not reached or common is None:
            return RunMismatch(self.value, sizes, axis.name, known, self.places.get("*" + axis.name))
        if grows:
            self.runs[axis.name] = (axis.broadcast, common)
        return None


def _same(first: Sequence[Size], second: Sequence[Size]) -> bool:
    return len(first) == len(second) and all(
        compare(left, right) is not False for left, right in zip(first, second, strict=True)
    )


def _without_marks(axis: OneAxis) -> str:
    match axis:
        case Named(name=name):
            return name
        case Symbolic(expression=expression):
            return expression
    name, _, number = axis.word.lstrip("#").partition("=")
    return name if number else axis.word.lstrip("#")


def _evaluate(axis: Symbolic, sizes: Mapping[str, Size], arguments: Mapping[str, object]) -> Size | _Unbound | None:
    """An expression's size; None where it is no arithmetic that can be followed."""
    expression = axis.expression
    for placeholder in axis.placeholders:
        found = _look_up(placeholder, arguments)
        if found is None:
            return None
        expression = expression.replace("{" + placeholder + "}", found)
    if not names_read(expression) <= sizes.keys():
        return _Unbound()
    try:
        return substitute(parse_dim(expression), sizes)
    except (ArithmeticError, ValueError):
        return None


def _look_up(placeholder: str, arguments: Mapping[str, object]) -> str | None:
    """What `{self.n}` stands for, as text; None for anything but names, attributes and constant subscripts."""

    def value_of(node: ast.expr) -> object:
        match node:
            case ast.Name(id=name):
                return arguments[name]
            case ast.Attribute(value=owner, attr=name):
                return getattr(value_of(owner), name)
            case ast.Subscript(value=owner, slice=ast.Constant(value=key)):
                return value_of(owner)[key]  # type: ignore[index]
        raise LookupError(placeholder)

    try:
        value = value_of(ast.parse(placeholder, mode="eval").body)
        # Python counts with a bool as with an integer.
        return str(int(value) if isinstance(value, bool) else value)
    except (LookupError, AttributeError, TypeError, SyntaxError):
        return None
