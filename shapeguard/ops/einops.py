"""What einops' patterns say: how axes are taken apart, put in another order, dropped, added and joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from shapeguard.ops.demands import layer
from shapeguard.ops.einsum import follow
from shapeguard.ops.joining import stack
from shapeguard.ops.promotion import as_total, only_floats
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import (
    EquationMismatch,
    InvalidArgument,
    LetterMismatch,
    Mismatch,
    Scrambled,
    count_axes,
    show,
)
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape

_REST = "..."
_REDUCTIONS = ("min", "max", "sum", "mean", "prod", "any", "all")

Group: TypeAlias = tuple[str, ...]
"""One axis of a pattern: the names that it is made of; none for an axis of 1."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a pattern."""

    groups: tuple[Group, ...]
    run: int | None
    """Which group is a `...` outside of parentheses, if one is."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names in order. A number stands there as itself; it is no name that could come again."""
        return tuple(name for group in self.groups for name in group)


def _read_side(text: str) -> Side | str:
    """One side of a pattern, or what is wrong with it."""
    groups: list[Group] = []
    inside: list[str] | None = None
    run: int | None = None
    for word in text.replace(_REST, f" {_REST} ").replace("(", " ( ").replace(")", " ) ").split():
        if word in "()":
            if (word == "(") == (inside is not None):
                return "has parentheses that don't match"
            if inside is not None:
                groups.append(tuple(inside))
            inside = [] if inside is None else None
        elif word != _REST and not (word.isdecimal() and int(word)) and not _is_name(word):
            return f"has `{word}`, which is no name of an axis"
        elif inside is not None:
            inside.extend(() if word == "1" else (word,))
        else:
            run = len(groups) if word == _REST else run
            groups.append(() if word == "1" else (word,))
    side = Side(tuple(groups), run)
    if inside is not None:
        return "has parentheses that don't match"
    named = [name for name in side.names if not name.isdecimal()]
    twice = next((name for name in named if named.count(name) > 1), None)
    return side if twice is None else f"has `{twice}` twice on one side"


def _is_name(word: str) -> bool:
    return word.isidentifier() and not word.startswith("_") and not word.endswith("_")


def _read_pattern(pattern: str) -> tuple[Side, Side] | EquationMismatch:
    halves = pattern.split("->")
    if len(halves) != 2:  # noqa: PLR2004 - a left and a right side
        return EquationMismatch(pattern, "has not one `->`")
    sides: list[Side] = []
    for half in halves:
        side = _read_side(half)
        if isinstance(side, str):
            return EquationMismatch(pattern, side)
        sides.append(side)
    left, right = sides
    if _REST in right.names and _REST not in left.names:
        return EquationMismatch(pattern, "has `...` on the right side alone")
    if _REST in left.names and left.run is None:
        return EquationMismatch(pattern, "has `...` in parentheses on the left side")
    return left, right


def _names_of(side: Side) -> set[str]:
    return {name for name in side.names if not name.isdecimal()}


def _check_names(operation: str, pattern: str, sides: tuple[Side, Side], given: Mapping[str, Any]) -> Mismatch | None:
    """What is wrong with the names of a pattern, whatever the tensor."""
    left, right = sides
    before, after = _names_of(left), _names_of(right)
    numbers = [name for side in sides for name in side.names if name.isdecimal()]
    wrong: str | None = None
    if operation == "rearrange" and (before ^ after or numbers):
        odd = next(
            (name for name in (*numbers, *left.names, *right.names) if name in {*numbers, *(before ^ after)}), ""
        )
        wrong = f"has the number {odd}, which only 1 may be" if odd.isdecimal() else f"has `{odd}` on one side alone"
    elif operation == "repeat" and (lost := [name for name in left.names if name not in after]):
        wrong = f"has `{lost[0]}` on the left side alone"
    elif operation == "repeat" and (free := [name for name in right.names if name in after - before - given.keys()]):
        wrong = f"needs a size for `{free[0]}`"
    elif operation == "reduce" and (new := [name for name in right.names if name not in before]):
        wrong = f"has `{new[0]}` on the right side alone"
    unused = [name for name in given if name not in before | after]
    if wrong is None and unused:
        wrong = f"has no `{unused[0]}`, for which a size is given"
    if wrong is None:
        for group in left.groups:
            unsized = [name for name in group if name not in given and not name.isdecimal()]
            if len(unsized) > 1:
                wrong = f"needs a size for `{unsized[0]}` or `{unsized[1]}`"
    return None if wrong is None else EquationMismatch(pattern, wrong)


@dataclass(slots=True)
class _Taken:
    """The axes that names and the `...` stand for, as far as the tensor and the sizes given tell."""

    names: dict[str, Axis]
    run: tuple[Axis, ...] | None
    doubt: Mismatch | None = None


def _size_given(name: str, given: Mapping[str, Any]) -> Dim | None:
    if name.isdecimal():
        return Dim(int(name))
    value = given.get(name)
    return value if isinstance(value, Dim) else None


def _take_apart(pattern: str, left: Side, shape: Shape, given: Mapping[str, Any]) -> _Taken | Mismatch:
    groups = [group for place, group in enumerate(left.groups) if place != left.run]
    axes = shape.axes
    run: tuple[Axis, ...] | None = ()
    if axes is None:
        run = None if left.run is not None else ()
        axes = (UNKNOWN_AXIS,) * len(groups)
    surplus = len(axes) - len(groups)
    if surplus < 0 or (surplus > 0 and left.run is None):
        least = "at least " if left.run is not None else ""
        return EquationMismatch(pattern, f"is for {least}{count_axes(len(groups))}, and {shape} has {len(axes)}")
    if left.run is not None and run is not None:
        run = axes[left.run : left.run + surplus]
        axes = (*axes[: left.run], *axes[left.run + surplus :])
    taken = _Taken({}, run)
    for group, axis in zip(groups, axes, strict=True):
        wrong = _split_axis(pattern, taken, group, axis, given)
        if wrong is not None:
            return wrong
    return taken


def _split_axis(
    pattern: str, taken: _Taken, group: Group, axis: Axis, given: Mapping[str, Any]
) -> EquationMismatch | None:
    """Take an axis apart by the sizes of its names, of which one may have to be worked out."""
    sizes: list[Dim | None] = [_size_given(name, given) for name in group]
    open_places = [place for place, name in enumerate(group) if not name.isdecimal() and name not in given]
    if open_places and None not in [size for place, size in enumerate(sizes) if place not in open_places]:
        sizes[open_places[0]] = Dim(-1)
    if any(size is not None and size != -1 and (as_int(size) or 0) < 0 for size in sizes):
        return EquationMismatch(pattern, "is given a negative size")
    parts = shapes.reshape(Shape((axis,)), sizes, at_least=1)
    written = f"({' '.join(group)})" if len(group) != 1 else group[0]
    asked = show([None if size == -1 else size for size in sizes]) if len(sizes) != 1 else sizes[0]
    wrong = EquationMismatch(pattern, f"makes `{written}` {asked if sizes else 1}, and the axis has {axis.size}")
    if isinstance(parts, Mismatch):
        return wrong
    if parts.doubt is not None:
        taken.doubt = taken.doubt or (parts.doubt if isinstance(parts.doubt, Scrambled) else wrong)
    taken.names.update(zip(group, parts.axes or (), strict=True))
    return None


def _join(taken: _Taken, group: Group, given: Mapping[str, Any]) -> Axis:
    """The axis that several names make together."""
    parts: list[Axis] = []
    for name in group:
        if name == _REST:
            parts.extend((UNKNOWN_AXIS,) if taken.run is None else taken.run)
        elif name in taken.names and not name.isdecimal():
            parts.append(taken.names[name])
        else:
            size = _size_given(name, given)
            parts.append(UNKNOWN_AXIS if size is None else Axis.of(size))
    if len(parts) == 1:
        return parts[0]
    joined = shapes.flatten(Shape(tuple(parts)))
    return joined.axes[0] if isinstance(joined, Shape) and joined.axes else UNKNOWN_AXIS


def _transform(operation: str, tensor: Any, pattern: Any, given: Mapping[str, Any]) -> Result:
    if isinstance(tensor, tuple):
        tensor = stack(tensor)
        if isinstance(tensor, Mismatch):
            return tensor
    if not isinstance(pattern, str):
        return UNKNOWN_TENSOR
    known = tensor if isinstance(tensor, Tensor) else UNKNOWN_TENSOR
    sides = _read_pattern(pattern)
    if isinstance(sides, Mismatch):
        return sides
    left, right = sides
    wrong = _check_names(operation, pattern, sides, given)
    if wrong is not None:
        return wrong
    taken = _take_apart(pattern, left, Shape(known.shape.axes), given)
    if isinstance(taken, Mismatch):
        return taken
    if right.run is not None and taken.run is None:
        return Tensor(Shape(None, taken.doubt), known.dtype)
    axes: list[Axis] = []
    for place, group in enumerate(right.groups):
        axes.extend((taken.run or ()) if place == right.run else (_join(taken, group, given),))
    return Tensor(Shape(tuple(axes), taken.doubt), known.dtype)


@op(
    "einops.rearrange",
    examples=(
        "f(t(2, 3, 4), 'b t d -> b d t')",
        "f(t(2, 3, 4), 'b t d -> (b t) d')",
        "f(t(6, 4), '(b t) d -> b t d', b=2)",
        "f(t(2, 12, 5), 'b (h d) t -> b h t d', h=3)",
        "f(t(2, 3, 8, 8), 'b c (h p1) (w p2) -> b (h w) (p1 p2 c)', p1=4, p2=2)",
        "f(t(2, 3, 4, 5), 'b ... d -> b d ...')",
        "f(t(2, 3, 4, 5), 'b ... -> b (...)')",
        "f(t(2, 3), '... -> ...')",
        "f(t(2, 1, 3), 'a 1 b -> a b 1')",
        "f(t(2, 3), 'a b -> a () b')",
        "f([t(2, 3), t(2, 3)], 'k a b -> a (k b)')",
        "f(t(2, 3, dtype=i64), 'a b->b a', a=2)",
        "f(t(), '->')",
        "f(t(2, 3), 'b t d -> b d t')",
        "f(t(2), 'b t ... -> b ... t')",
        "f(t(2, 12, 5), 'b (h d) t -> b h t d', h=5)",
        "f(t(2, 12), 'b (h d) -> b h d', h=5, d=2)",
        "f(t(2, 12), 'b (h d) -> b h d')",
        "f(t(2, 12), 'b t -> t b', b=3)",
        "f(t(2, 12), 'b t -> t b', c=3)",
        "f(t(2, 3), 'a 1 -> a')",
        "f(t(2, 3), 'a b -> a')",
        "f(t(2, 3), 'a a -> a')",
        "f(t(2, 3), 'a b -> a b 3')",
        "f(t(2, 3), 'a b -> a (b')",
        "f(t(2, 3), 'a b -> a (b (c))')",
        "f(t(2, 3), 'a b -> _a b')",
        "f(t(2, 3), 'a b')",
        "f(t(2, 3), 'a b -> ... a b')",
        "f(t(2, 3), '(...) -> ...')",
        "f([t(2, 3), t(2, 4)], 'k a b -> a (k b)')",
    ),
)
def rearrange(tensor: Any, pattern: Any, **axes_lengths: Any) -> Result:
    """Axes taken apart, put in another order and joined."""
    return _transform("rearrange", tensor, pattern, axes_lengths)


@op(
    "einops.repeat",
    examples=(
        "f(t(2, 3), 'a b -> a n b', n=4)",
        "f(t(2, 3), 'a b -> (n a) b', n=4)",
        "f(t(2, 3), 'a b -> (a 2) (b 3)')",
        "f(t(2, 3), 'a b -> a b 3')",
        "f(t(3), '... -> b ...', b=2)",
        "f(t(1, 3), '1 d -> b d', b=2)",
        "f(t(2, 3), 'a b -> a n b')",
        "f(t(2, 3), 'a b -> n b', n=4)",
        "f(t(2, 3), 'a b c -> a n b c', n=4)",
        "f(t(2, 3), '1 b -> n b', n=4)",
        "f(t(2, 3), 'a b -> a n b', n=4, m=2)",
    ),
)
def repeat(tensor: Any, pattern: Any, **axes_lengths: Any) -> Result:
    """As rearrange, with new axes along which the tensor is repeated."""
    return _transform("repeat", tensor, pattern, axes_lengths)


@op(
    "einops.reduce",
    examples=(
        "f(t(2, 3, 4), 'b t d -> b d', 'mean')",
        "f(t(2, 3, 4), 'b t d -> b 1 d', reduction='max')",
        "f(t(2, 3, 8, 8), 'b c (h 2) (w 2) -> b c h w', 'sum')",
        "f(t(2, 3, 8, 8), 'b c (h p) (w q) -> b (c h w)', 'min', p=4, q=2)",
        "f(t(2, 3, 4), 'b ... -> b', 'prod')",
        "f(t(2, 3, 4), 'b ... d -> ... d', 'sum')",
        "f(t(2, 3, dtype=torch.int32), 'a b -> a', 'sum')",
        "f(t(2, 3, dtype=torch.int32), 'a b -> b a', 'sum')",
        "f(t(2, 3, dtype=boolean), 'a b -> ', 'any')",
        "f(t(2, 3, dtype=i64), 'a b -> a', 'mean')",
        "f(t(2, 3), 'a b -> a', 'average')",
        "f(t(2, 3), 'a b -> a c', 'sum')",
        "f(t(2, 3), 'a b c -> a', 'sum')",
        "f(t(2, 7), 'a (b 2) -> a b', 'sum')",
    ),
)
def reduce(tensor: Any, pattern: Any, reduction: Any, **axes_lengths: Any) -> Result:
    """As rearrange, where the axes that the right side lacks are reduced."""
    if isinstance(reduction, str) and reduction not in _REDUCTIONS:
        return InvalidArgument("reduction", reduction, f"one of {', '.join(_REDUCTIONS)}")
    found = _transform("reduce", tensor, pattern, axes_lengths)
    sides = _read_pattern(pattern) if isinstance(pattern, str) else None
    if not isinstance(found, Tensor) or not isinstance(sides, tuple):
        return found
    # A `...` may stand for no axis at all.
    lost = set(sides[0].names) - set(sides[1].names)
    numbers = any(name.isdecimal() for name in sides[0].names)
    if not lost and not numbers:
        return found
    dtype = _reduced_dtype(reduction, found.dtype)
    if isinstance(dtype, Mismatch):
        return dtype
    return Tensor(found.shape, dtype if numbers or lost != {_REST} or dtype == found.dtype else None)


def _reduced_dtype(reduction: Any, dtype: str | None) -> str | Mismatch | None:
    if reduction == "mean":
        return only_floats(dtype, "tensor") or dtype
    if reduction in ("min", "max"):
        return dtype
    if reduction in ("sum", "prod"):
        return as_total(dtype)
    return "bool" if reduction in ("any", "all") and dtype == "bool" else None


@op(
    "einops.einsum",
    examples=(
        "f(t(2, 3), t(3, 4), 'batch in_dim, in_dim out -> batch out')",
        "f(t(10, 20), t(5, 3, 20), 'out_dim in_dim, ... in_dim -> ... out_dim')",
        "f(t(3, 3), 'i i ->')",
        "f(t(2, 8, 5, 4), t(2, 8, 6, 4), 'b h i d, b h j d -> b h i j')",
        "f(t(2, 3), t(4, 5), 'batch in_dim, in_dim out -> batch out')",
        "f(t(2, 3), t(3, 4), 'a b, b c')",
        "f(t(2, 3), 'a b c -> a')",
        "f(t(2, 3), '(a b) c -> a')",
        "f(t(2, 3), 'a b -> a c')",
    ),
)
def einsum(*tensors_and_pattern: Any) -> Result:
    """Torch's einsum, with words for letters and the pattern at the end."""
    if not tensors_and_pattern or not isinstance(tensors_and_pattern[-1], str):
        return UNKNOWN_TENSOR
    *tensors, pattern = tensors_and_pattern
    if "->" not in pattern:
        return EquationMismatch(pattern, "has no `->`")
    words: dict[str, str] = {}
    compact: list[str] = []
    alphabet = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for word in pattern.replace("->", " -> ").replace(",", " , ").replace(_REST, f" {_REST} ").split():
        if word not in ("->", ",", _REST) and word not in words:
            letter = next(alphabet, None)
            if letter is None or not _is_name(word):
                return EquationMismatch(pattern, f"has `{word}`, which is no name of an axis")
            words[word] = letter
        compact.append(words.get(word, word))
    return _in_words(
        follow("".join(compact), tuple(tensors)), pattern, {letter: word for word, letter in words.items()}
    )


def _in_words(result: Result, pattern: str, words: Mapping[str, str]) -> Result:
    """The result, in whose mismatches the letters are words again."""
    if isinstance(result, LetterMismatch):
        return replace(result, equation=pattern, letter=words.get(result.letter, result.letter))
    if isinstance(result, EquationMismatch):
        return EquationMismatch(pattern, "does not fit its tensors" if "`" in result.reason else result.reason)
    if isinstance(result, Tensor) and result.shape.doubt is not None:
        doubt = _in_words(result.shape.doubt, pattern, words)
        return Tensor(Shape(result.shape.axes, doubt if isinstance(doubt, Mismatch) else None), result.dtype)
    return result


@module(
    "einops.layers.torch.Rearrange",
    examples=(
        "f('b t d -> b (t d)')(t(2, 3, 4))",
        "f('b (t p) d -> b t (p d)', p=3)(t(2, 12, 4))",
        "f('b t d -> b (t d)')(t(2, 3))",
        "f('b (t p) d -> b t (p d)', p=5)(t(2, 12, 4))",
    ),
)
def rearrange_layer(pattern: Any, **axes_lengths: Any) -> Result:
    """A rearrange that is made once."""
    return layer(lambda input: rearrange(input, pattern, **axes_lengths))  # noqa: A006 - torch's name


@module(
    "einops.layers.torch.Reduce",
    examples=(
        "f('b t d -> b d', 'mean')(t(2, 3, 4))",
        "f('b c (h p) -> b c h', reduction='max', p=2)(t(2, 3, 8))",
        "f('b t d -> b d', 'mean')(t(2, 3))",
    ),
)
def reduce_layer(pattern: Any, reduction: Any, **axes_lengths: Any) -> Result:
    """A reduce that is made once."""
    return layer(lambda input: reduce(input, pattern, reduction, **axes_lengths))  # noqa: A006 - torch's name
