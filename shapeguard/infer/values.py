"""The values that only the interpreter has: functions, classes, instances, and what is known by its name alone."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from shapeguard.ops.registry import find
from shapeguard.ops.values import UNKNOWN, Dtype, Module, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Axis, Shape

Scope: TypeAlias = dict[str, Any]
Scopes: TypeAlias = tuple[Scope, ...]
"""Where names are looked up, the nearest first."""


@dataclass(frozen=True, slots=True)
class External:
    """Something that is not read here, by its full name: "torch.nn.functional"."""

    name: str


@dataclass(frozen=True, slots=True)
class Symbol:
    """A value from outside, such as `config.hidden_size`: whatever it is, as a size it is the Dim of that name."""

    name: str
    is_number: bool = False
    """Whether it is surely no tensor."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number of Python's of which only that is known."""

    is_whole: bool = False


NUMBER = Number()
WHOLE = Number(is_whole=True)


GROWS = frozenset({"append", "extend", "insert", "pop", "remove", "clear", "update", "setdefault", "add"})
"""Methods that change a list or a dict."""


class Exhausted(Exception):  # noqa: N818 - no error: the budget of one function is spent
    """A function takes more steps than it may."""


@dataclass(frozen=True, slots=True)
class Guess(Tensor):
    """A parameter's shape as its name makes likely; whatever is known for a fact goes before it."""


@dataclass(frozen=True, slots=True)
class Maybe:
    """A value, or None."""

    value: Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A step inside a function that torch refuses for the values of a call, or a parameter's annotation that does."""

    mismatch: Mismatch
    node: ast.expr
    function: str
    home: object
    is_claim: bool = False


class Nothing:
    """The item of a list that has none yet."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = Nothing()


@dataclass(frozen=True, slots=True)
class Many:
    """A list of unknown length whose items are alike, but for those that are known at its ends."""

    item: Any
    first: tuple[Any, ...] = ()
    last: tuple[Any, ...] = ()
    count: Dim | None = None
    """Their number, where it has a name; then none is known at an end."""

    @property
    def any_item(self) -> Any:
        """What is known of an item wherever it stands."""
        return join_all(self.item, (*self.first, *self.last))


@dataclass(frozen=True, eq=False)
class Function:
    """A function that is read, with the names around its definition."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scopes: Scopes
    qualified_name: str
    home: object = None
    """The file that it stands in."""
    owner: Class | None = None

    def __repr__(self) -> str:
        return f"Function({self.qualified_name})"

    @cached_property
    def changes(self) -> frozenset[str]:
        """The names whose lists or dicts it may change: `items.append(x)`, `table[key] = x`."""
        found: set[str] = set()
        for part in ast.walk(self.node):
            match part:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in GROWS:
                    found.add(name)
                case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store()):
                    found.add(name)
        return frozenset(found)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The plain names of its decorators: "staticmethod", "property"."""
        decorators = getattr(self.node, "decorator_list", ())
        return frozenset(getattr(each, "id", getattr(each, "attr", "")) for each in decorators)


@dataclass(frozen=True, eq=False)
class Class:
    """A class that is read."""

    node: ast.ClassDef
    bases: tuple[Any, ...]
    members: dict[str, Any]
    is_record: bool = False
    """Whether its constructor takes its fields: a dataclass, a NamedTuple, a TypedDict."""

    def __repr__(self) -> str:
        return f"Class({self.node.name})"

    def find(self, name: str) -> Any:
        """A member of the class or of those it derives from; None if it has none of that name."""
        return next((cls.members[name] for cls in self.ancestry if name in cls.members), None)

    @cached_property
    def ancestry(self) -> tuple[Class, ...]:
        """The class and those that it derives from, as far as they are read, in the order of search."""
        found = dict.fromkeys([self])
        for base in self.bases:
            if isinstance(base, Class):
                found.update(dict.fromkeys(base.ancestry))
        return tuple(found)

    @cached_property
    def foreign(self) -> tuple[Any, ...]:
        """The bases that are not read."""
        return tuple(base for cls in self.ancestry for base in cls.bases if not isinstance(base, Class))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names that a record's constructor takes, in order."""
        return tuple(
            dict.fromkeys(
                statement.target.id
                for cls in reversed(self.ancestry)
                for statement in cls.node.body
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
            )
        )

    @property
    def makes_records(self) -> bool:
        """Whether the class, or one that it derives from, is a record."""
        return any(cls.is_record for cls in self.ancestry)


@dataclass(eq=False)
class Instance:
    """An instance of a class that is read, with what `__init__` has set."""

    cls: Class
    attributes: Scope = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """Attribute -> the line on which it was set."""
    changes: int = 0
    """How often an attribute has been given another value."""
    base: Module | None = None
    """What it is of a layer of torch's that its class derives from."""
    joining: bool = False
    """Whether it is being joined with another one, which may hold it."""

    def __repr__(self) -> str:
        return f"Instance({self.cls.node.name})"

    def set(self, name: str, value: Any) -> None:
        """Give an attribute its value."""
        if name not in self.attributes or self.attributes[name] != value:
            self.attributes[name] = value
            self.changes += 1


@dataclass(frozen=True, slots=True)
class Bound:
    """A method of an instance, or of a tensor, that waits for its arguments."""

    owner: Any
    call: Callable[..., Any] | Function


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A tokenizer or model of transformers', loaded by name, of which its class's name is known."""

    kind: str


@dataclass(frozen=True, slots=True)
class Chain:
    """nn.Sequential: modules applied one after another; a Many among them, any number of times."""

    modules: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several things that can be called."""

    options: tuple[Any, ...]


@dataclass(frozen=True)
class Dictionary:
    """A dict with known keys."""

    items: tuple[tuple[Any, Any], ...] = ()
    is_open: bool = False
    """Whether it may have more keys."""

    def get(self, key: object, default: Any = UNKNOWN) -> Any:
        """The value of a key."""
        if isinstance(key, str | bool | float | Dim | None) and (type(key), key) in self._index:
            return self._index[type(key), key]
        return UNKNOWN if self.is_open or isinstance(key, Symbol | Number) or key is UNKNOWN else default

    def with_items(self, entries: Iterable[tuple[Any, Any]]) -> Dictionary:
        """The dict after `d[key] = value` for each entry."""
        index = dict(self._index)
        is_open = self.is_open
        for key, value in entries:
            if not isinstance(key, str | bool | float | Dim | None):
                # It may be any of the others.
                index, is_open = {}, True
            else:
                index[type(key), key] = value
        return Dictionary(tuple((key, value) for (_, key), value in index.items()), is_open)

    @cached_property
    def _index(self) -> dict[tuple[type, Any], Any]:
        return {(type(key), key): value for key, value in self.items}


def as_size(value: Any) -> Any:
    """A value where a size is wanted: a Dim if it can be one."""
    if isinstance(value, Symbol):
        # `x.shape` and `input_shape` hold several sizes.
        return UNKNOWN if "shape" in value.name.rpartition(".")[2] else Dim(value.name)
    if isinstance(value, Maybe):
        return as_size(value.value)
    if isinstance(value, tuple):
        return tuple(map(as_size, value))
    return value


def certain(value: Any) -> Any:
    """A value that is used, and so is not None."""
    return value.value if isinstance(value, Maybe) else value


def is_number(value: Any) -> bool:
    """Whether a value is a number of Python's."""
    return isinstance(value, Dim | float | bool | Number) or (isinstance(value, Symbol) and value.is_number)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number of Python's."""
    return isinstance(value, Dim) or (isinstance(value, Number) and value.is_whole)


OPAQUE = Bound(UNKNOWN, lambda *_, **__: UNKNOWN)
"""Something that can be called, of which nothing is known."""
_CALLABLE = (Function, Bound, Class, Chain, Pretrained, Module, Instance, External, OneOf)
_MOST_OPTIONS = 4


def join(left: Any, right: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - one case a pair of kinds
    """What is known of a value that is one of two."""
    if left is right or left is NOTHING:
        return right
    if right is NOTHING:
        return left
    if isinstance(left, Maybe) or isinstance(right, Maybe) or left is None or right is None:
        return _join_optional(left, right)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return _join_tensors(left, right)
    if isinstance(left, tuple) and isinstance(right, tuple):
        if len(left) == len(right):
            return tuple(map(join, left, right))
        return _join_lengths(left, right)
    if isinstance(left, Many) and isinstance(right, Many):
        count = left.count if left.count == right.count else None
        return Many(join(left.any_item, right.any_item), count=count) if left != right else left
    if isinstance(left, Many) and isinstance(right, tuple):
        return Many(join_all(left.any_item, right))
    if isinstance(left, tuple) and isinstance(right, Many):
        return Many(join_all(right.any_item, left))
    if type(left) is type(right) and isinstance(
        left, Dim | Symbol | External | bool | float | str | Dictionary | Dtype | Bound
    ):
        if left == right:
            return left
        if isinstance(left, Dictionary):
            keys = [key for key, _ in left.items if any(key == other for other, _ in right.items)]
            return Dictionary(tuple((key, join(left.get(key), right.get(key))) for key in keys), is_open=True)
    if is_number(left) and is_number(right) and not (isinstance(left, bool) and isinstance(right, bool)):
        return WHOLE if is_whole(left) and is_whole(right) else NUMBER
    if isinstance(left, Instance) and isinstance(right, Instance) and left.cls is right.cls:
        return _join_instances(left, right)
    if isinstance(left, _CALLABLE) and isinstance(right, _CALLABLE):
        # What may stand in another's place does what it does.
        if isinstance(left, External) and find(left.name) is None:
            return right
        return left if isinstance(right, External) and find(right.name) is None else _one_of(left, right)
    if isinstance(left, _CALLABLE) and (right is UNKNOWN or isinstance(right, Symbol)):
        return left
    if isinstance(right, _CALLABLE) and (left is UNKNOWN or isinstance(left, Symbol)):
        return right
    return UNKNOWN


def _join_lengths(left: tuple[Any, ...], right: tuple[Any, ...]) -> Many:
    """A list that is one of two, of different lengths."""
    common = min(len(left), len(right))
    first = tuple(map(join, left[:common], right[:common]))
    return Many(join_all(NOTHING, (*left[common:], *right[common:])), first)


def join_all(item: Any, others: tuple[Any, ...]) -> Any:
    """What is known of a value that is one of several."""
    for each in others:
        item = join(item, each)
    return item


def _one_of(left: Any, right: Any) -> Any:
    options: list[Any] = []
    for value in (left, right):
        for option in value.options if isinstance(value, OneOf) else (value,):
            if not any(option is other or (type(option) is type(other) and option == other) for other in options):
                options.append(option)
    if len(options) == 1:
        return options[0]
    return OneOf(tuple(options)) if len(options) <= _MOST_OPTIONS else OPAQUE


def _join_instances(left: Instance, right: Instance) -> Instance:
    """An instance that is what both are."""
    names = left.attributes.keys() & right.attributes.keys()
    if all(
        left.attributes[name] is right.attributes[name] or left.attributes[name] == right.attributes[name]
        for name in names
    ):
        return left
    if left.joining or right.joining:
        return left
    left.joining = right.joining = True
    try:
        attributes = {name: join(left.attributes[name], right.attributes[name]) for name in sorted(names)}
        return Instance(left.cls, attributes, base=left.base if left.base is right.base else None)
    finally:
        left.joining = right.joining = False


def _join_optional(left: Any, right: Any) -> Any:
    one, other = certain(left), certain(right)
    if one is None or other is None:
        value = other if one is None else one
        return None if value is None else UNKNOWN if value is UNKNOWN else Maybe(value)
    value = join(one, other)
    return UNKNOWN if value is UNKNOWN else Maybe(value)


def _join_tensors(left: Tensor, right: Tensor) -> Tensor:
    if isinstance(left, Guess) != isinstance(right, Guess):
        guess, fact = (left, right) if isinstance(left, Guess) else (right, left)
        if fact.shape.rank is not None and fact.shape.rank == guess.shape.rank:
            return Tensor(fact.shape, fact.dtype or guess.dtype)
    dtype = left.dtype if left.dtype == right.dtype else None
    return Tensor(join_shapes(left.shape, right.shape), dtype)


def join_shapes(left: Shape, right: Shape) -> Shape:
    """What is known of a shape that is one of two."""
    if left.axes is None or right.axes is None or len(left.axes) != len(right.axes):
        return Shape.unknown()
    return Shape(
        tuple(
            a if a == b else Axis(a.size if a.size == b.size else None, None)
            for a, b in zip(left.axes, right.axes, strict=True)
        )
    )


def fill_unknown(axes: Iterable[Axis], said: Iterable[Axis]) -> Shape:
    """Axes of which those of unknown size are as they are said to be."""
    return Shape(tuple(other if axis.size is None else axis for axis, other in zip(axes, said, strict=True)))


def qualified(outer: str, name: str) -> str:
    """The name of something inside a function or class."""
    return f"{outer}.{name}" if outer else name
