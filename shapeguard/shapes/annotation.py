"""The one parser of jaxtyping's shape strings, such as "b t 3*d", "*batch c", "#b", "_" and "..."."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

ALLOWED = (
    "an axis is a name (batch), a number (3), name=3, _ (any size), ... (any axes), *name (several axes), "
    "#name (1 or name), *#name, ?name (inside a PyTree), or an expression without spaces (3*d, t-1, {self.n})"
)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_WORD_WITH_PLACEHOLDER = re.compile(r"\w*(?:\{[^{}]*\}\w*)+")


class AnnotationSyntaxError(ValueError):
    """A shape string that can't be read; the message marks the word and says what is allowed."""

    def __init__(self, text: str, start: int, word: str, reason: str) -> None:
        self.text = text
        self.start = start
        self.word = word
        self.reason = reason
        marks = " " * start + "^" * max(1, len(word))
        super().__init__(f'{reason}\n    "{text}"\n     {marks}\n    {ALLOWED}')

    def __reduce__(self) -> tuple[type, tuple[str, int, str, str]]:
        return AnnotationSyntaxError, (self.text, self.start, self.word, self.reason)


@dataclass(frozen=True, slots=True)
class Named:
    """`batch`, `#batch` or `?batch`: a size that every mention of the name shares."""

    word: str
    name: str
    broadcast: bool = False
    per_leaf: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """`3`, `#3` or `rows=3`."""

    word: str
    size: int
    broadcast: bool = False


@dataclass(frozen=True, slots=True)
class AnySize:
    """`_` or `_name`: one axis about which nothing is said."""

    word: str


@dataclass(frozen=True, slots=True)
class AnyAxes:
    """`...`: any number of axes about which nothing is said."""

    word: str


@dataclass(frozen=True, slots=True)
class NamedAxes:
    """`*batch`, `*#batch` or `*?batch`: several axes that every mention of the name shares."""

    word: str
    name: str
    broadcast: bool = False
    per_leaf: bool = False


@dataclass(frozen=True, slots=True)
class Symbolic:
    """`3*d`, `t-1`, `{self.n}`: the value of an expression, read with the sizes that are bound by then."""

    word: str
    expression: str
    broadcast: bool = False

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The expressions between braces: values of arguments, not sizes."""
        return tuple(_PLACEHOLDER.findall(self.expression))


OneAxis = Named | Fixed | AnySize | Symbolic
ManyAxes = AnyAxes | NamedAxes
AnnotationAxis = OneAxis | ManyAxes


@dataclass(frozen=True, slots=True)
class Annotation:
    """A shape string, read."""

    text: str
    axes: tuple[AnnotationAxis, ...]
    variadic: int | None
    """The position of the one axis that stands for several, if there is one."""

    @property
    def minimum_rank(self) -> int:
        """How many axes a shape has at least."""
        return len(self.axes) - (self.variadic is not None)

    @property
    def prefix(self) -> tuple[OneAxis, ...]:
        """The axes that stand for one each, before a variadic one."""
        return self.axes[: self.variadic]  # type: ignore[return-value]

    @property
    def suffix(self) -> tuple[OneAxis, ...]:
        """The axes that stand for one each, after a variadic one."""
        return () if self.variadic is None else self.axes[self.variadic + 1 :]  # type: ignore[return-value]

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=4096)
def parse(text: str) -> Annotation:
    """Read a shape string; raise AnnotationSyntaxError where jaxtyping refuses it."""
    axes: list[AnnotationAxis] = []
    variadic: int | None = None
    for word, start in _words(text):
        axis = _parse_word(text, start, word)
        if isinstance(axis, AnyAxes | NamedAxes):
            if variadic is not None:
                raise AnnotationSyntaxError(text, start, word, "only one axis may stand for several (`*name` or `...`)")
            variadic = len(axes)
        axes.append(axis)
    return Annotation(text.strip(), tuple(axes), variadic)


def unreadable_expression(annotation: Annotation) -> AnnotationSyntaxError | None:
    """The expression axis that Python itself could never evaluate: jaxtyping would only notice at the first call."""
    for (word, start), axis in zip(_words(annotation.text), annotation.axes, strict=True):
        if isinstance(axis, Symbolic):
            try:
                # jaxtyping has Python fill the placeholders in, as in an f-string, and evaluate what comes out.
                ast.parse(f"f'{axis.expression}'", mode="eval")
                ast.parse(_WORD_WITH_PLACEHOLDER.sub("1", axis.expression), mode="eval")
            except SyntaxError:
                reason = f"`{word}` is no name, number or expression"
                return AnnotationSyntaxError(annotation.text, start, word, reason)
    return None


def expression_names(axis: Symbolic) -> frozenset[str]:
    """The names whose sizes an expression reads; those in braces or joined to braces only the call can tell."""
    return names_read(_WORD_WITH_PLACEHOLDER.sub("1", axis.expression))


@lru_cache(maxsize=4096)
def names_read(source: str) -> frozenset[str]:
    """The names that Python source reads, built-in functions that it calls left out; empty if it can't be read."""
    try:
        nodes = list(ast.walk(ast.parse(source, mode="eval")))
    except SyntaxError:
        return frozenset()
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return frozenset(
        node.id
        for node in nodes
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and not (id(node) in called and hasattr(builtins, node.id))
    )


def _words(text: str) -> list[tuple[str, int]]:
    words, position = [], 0
    for word in text.split():
        position = text.index(word, position)
        words.append((word, position))
        position += len(word)
    return words


def _parse_word(text: str, start: int, word: str) -> AnnotationAxis:
    def refuse(reason: str) -> AnnotationSyntaxError:
        return AnnotationSyntaxError(text, start, word, reason)

    if "," in word and "(" not in word:
        raise refuse("axes are separated by spaces, not commas")
    if word.endswith("#"):
        raise refuse("`#` stands before the name, not behind it")
    if "..." in word:
        if word != "...":
            raise refuse("`...` stands alone")
        return AnyAxes(word)

    marks, rest = _split_marks(word, refuse)
    broadcast, several, anonymous, per_leaf = (mark in marks for mark in "#*_?")
    if not rest or rest.isidentifier():
        if anonymous and broadcast:
            raise refuse("an axis can't be both anonymous (`_`) and broadcast (`#`)")
        if anonymous:
            return AnyAxes(word) if several else AnySize(word)
        return (NamedAxes if several else Named)(word, rest, broadcast, per_leaf)

    size = _integer(rest)
    kind = "a number" if size is not None else "an expression"
    for mark, meaning in (
        ("*", "stand for several axes"),
        ("_", "be anonymous"),
        ("?", "depend on the place in a tree"),
    ):
        if mark in marks:
            raise refuse(f"{kind} can't {meaning} (`{mark}`)")
    return Symbolic(word, rest, broadcast) if size is None else Fixed(word, size, broadcast)


def _split_marks(word: str, refuse: Callable[[str], AnnotationSyntaxError]) -> tuple[set[str], str]:
    """The marks before a name, and what follows; of `name=3` only what stands behind the sign."""
    marks: set[str] = set()
    rest = word
    while rest:
        mark = rest[0]
        if mark in "#*_?":
            if mark in marks:
                raise refuse(f"`{mark}` stands twice")
            marks.add(mark)
            rest = rest[1:]
        elif rest.count("=") == 1:
            rest = rest.split("=")[1]
        else:
            break
    return marks, rest


def _integer(word: str) -> int | None:
    try:
        return int(word)
    except ValueError:
        return None
