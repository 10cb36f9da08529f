"""What an annotation demands of a value: the arrays inside it, and the way to each of them."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections import abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from jaxtyping import AbstractArray

from shapeguard.shapes.annotation import Annotation, parse


@dataclass(frozen=True)
class Anything:
    """No demand."""


@dataclass(frozen=True)
class Plain:
    """A hint without an array: beartype's business alone."""

    hint: Any


@dataclass(frozen=True)
class Array:
    """One jaxtyping annotation, or several that differ only in their dtypes."""

    hints: tuple[Any, ...]
    annotation: Annotation

    @property
    def array_type(self) -> Any:
        """The class that the annotation names, such as torch.Tensor."""
        return self.hints[0].array_type

    @property
    def dtype_word(self) -> str:
        """The annotation's name for its dtypes, such as "Float"."""
        return " | ".join(hint.dtype.__name__ for hint in self.hints)

    @property
    def dtype_rules(self) -> tuple[Any, ...]:
        """What each of the hints allows as dtypes."""
        return tuple(hint.dtypes for hint in self.hints)


@dataclass(frozen=True)
class Each:
    """A list, tuple, set or other sequence whose items all meet one demand."""

    container: type
    item: Demand


@dataclass(frozen=True)
class Items:
    """A tuple of fixed length with a demand for each place."""

    items: tuple[Demand, ...]


@dataclass(frozen=True)
class Values:
    """A mapping whose values all meet one demand."""

    container: type
    key: Demand
    value: Demand


@dataclass(frozen=True)
class Record:
    """A dataclass, NamedTuple, ModelOutput or TypedDict with demands of its own."""

    cls: type
    fields: tuple[tuple[str, Demand], ...]
    by_key: bool


@dataclass(frozen=True)
class Choice:
    """A union: one of the options must be met."""

    options: tuple[Demand, ...]


@dataclass(frozen=True)
class Opaque:
    """A hint with arrays in it that jaxtyping and beartype check in their own way, such as a PyTree."""

    hint: Any


Demand = Anything | Plain | Array | Each | Items | Values | Record | Choice | Opaque
Complain = Callable[[str], None]

_SEQUENCES = (list, tuple, set, frozenset, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Set)
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_UNIONS = (Union, types.UnionType)


def read_hint(hint: Any, complain: Complain) -> Demand:
    """Read a resolved annotation; `complain` hears, in words, of arrays in it that nothing will check."""
    return _Reader(complain).read(hint)


def arrays_of(demand: Demand) -> Iterator[Array]:
    """Every array annotation in a demand, in the order in which they are checked."""
    match demand:
        case Array():
            yield demand
        case Each(item=inner) | Values(value=inner):
            yield from arrays_of(inner)
        case Items(items=parts) | Choice(options=parts):
            for part in parts:
                yield from arrays_of(part)
        case Record(fields=fields):
            for _, part in fields:
                yield from arrays_of(part)
        case _:
            return


def mentions_array(hint: Any) -> bool:
    """Whether a jaxtyping array annotation stands anywhere in a hint."""
    if is_array(hint) or _is_tree(hint):
        return True
    inner = getattr(hint, "__value__", None) or getattr(hint, "__supertype__", None)
    if isinstance(hint, TypeVar):
        return any(map(mentions_array, (hint.__bound__, *hint.__constraints__)))
    return (inner is not None and mentions_array(inner)) or any(_each_argument(hint))


def is_array(hint: Any) -> bool:
    """Whether a hint is itself a jaxtyping array annotation."""
    return isinstance(hint, type) and issubclass(hint, AbstractArray) and hint is not AbstractArray


def _is_tree(hint: Any) -> bool:
    return isinstance(hint, type) and hint.__module__ == "jaxtyping" and hint.__name__.startswith("PyTree[")


def _each_argument(hint: Any) -> Iterator[bool]:
    for argument in get_args(hint):
        if isinstance(argument, list):
            yield from map(mentions_array, argument)
        else:
            yield mentions_array(argument)


class _Reader:
    """Reads one annotation; remembers the records under way, since a record may contain itself."""

    def __init__(self, complain: Complain) -> None:
        self.complain = complain
        self.open_records: set[type] = set()

    def read(self, hint: Any) -> Demand:  # noqa: PLR0911 - one return a kind of hint
        if hint is Any or hint is object:
            return Anything()
        if is_array(hint):
            return Array((hint,), parse(hint.dim_str))
        if (fields := self._record_fields(hint)) is not None:
            return Record(hint, fields, by_key=is_typeddict(hint)) if fields else Plain(hint)
        inner = getattr(hint, "__value__", None) or getattr(hint, "__supertype__", None)
        if inner is not None and mentions_array(inner):
            return self.read(inner)
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in _UNIONS:
            return _merge(tuple(self.read(option) for option in arguments))
        if origin is Annotated:
            return self._read_annotated(hint, arguments)
        container = self._read_container(origin, arguments)
        if container is not None:
            return container
        if not mentions_array(hint):
            return Plain(hint)
        if not _is_tree(hint) and not isinstance(hint, TypeVar):
            self.complain(f"the arrays inside `{shown(hint)}` are not checked")
        return Opaque(hint)

    def _read_annotated(self, hint: Any, arguments: tuple[Any, ...]) -> Demand:
        inner = self.read(arguments[0])
        if isinstance(inner, Anything | Plain):
            return Plain(hint)
        validated = any(type(extra).__module__.startswith("beartype") for extra in arguments[1:])
        return Opaque(hint) if validated else inner

    def _read_container(self, origin: Any, arguments: tuple[Any, ...]) -> Demand | None:
        if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):  # noqa: PLR2004 - tuple[T, ...]
            items = tuple(map(self.read, arguments))
            return Items(items) if any(map(_demands_array, items)) else None
        if origin in _SEQUENCES and arguments:
            item = self.read(arguments[0])
            return Each(origin, item) if _demands_array(item) else None
        if origin in _MAPPINGS and len(arguments) == 2:  # noqa: PLR2004 - key and value
            key, value = map(self.read, arguments)
            return Values(origin, key, value) if _demands_array(value) else None
        return None

    def _record_fields(self, hint: Any) -> tuple[tuple[str, Demand], ...] | None:
        """The fields with arrays in them; empty for a class without any, None for what is no record."""
        if not isinstance(hint, type) or get_origin(hint) is not None:
            return None
        if hint in self.open_records:
            self.complain(f"`{hint.__name__}` holds others of its kind, which are not checked")
            return None
        if not (dataclasses.is_dataclass(hint) or is_typeddict(hint) or _is_named_tuple(hint)):
            return None
        try:
            hints = get_type_hints(hint, include_extras=True)
        except Exception as error:  # noqa: BLE001 - whatever evaluating an annotation raises
            self.complain(f"the fields of `{hint.__name__}` can't be resolved ({error}) and are not checked")
            return None
        names = {entry.name for entry in dataclasses.fields(hint)} if dataclasses.is_dataclass(hint) else hints.keys()
        self.open_records.add(hint)
        may_be_absent = _fields_without_a_value(hint)
        demands = []
        for name in hints:
            if name in names:
                demand = self.read(_without_qualifier(hints[name]))
                demands.append((name, _or_none(demand) if name in may_be_absent else demand))
        self.open_records.discard(hint)
        return tuple((name, demand) for name, demand in demands if _demands_array(demand))


def shown(hint: Any) -> str:
    """A hint as its author wrote it, more or less."""
    if hint is types.NoneType:
        return "None"
    text = hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else repr(hint)
    return text.replace("jaxtyping.", "").replace("typing.", "").replace("collections.abc.", "")


def _is_named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _fields_without_a_value(cls: type) -> set[str]:
    """The fields of a dataclass that are None as long as nobody says otherwise, or not there at all."""
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    return {entry.name for entry in fields if entry.default is None or not entry.init}


def _or_none(demand: Demand) -> Demand:
    return Choice((Plain(type(None)), *(demand.options if isinstance(demand, Choice) else (demand,))))


def _without_qualifier(hint: Any) -> Any:
    while get_origin(hint) in (typing.Required, typing.NotRequired, typing.ClassVar, typing.Final):
        (hint,) = get_args(hint)
    return hint


def _demands_array(demand: Demand) -> bool:
    return not isinstance(demand, Anything | Plain) and not (
        isinstance(demand, Choice) and not any(map(_demands_array, demand.options))
    )


def _merge(options: tuple[Demand, ...]) -> Demand:
    """Arrays of one shape that differ in dtype become one; a union without arrays is plain."""
    merged: list[Demand] = []
    for option in options:
        for position, earlier in enumerate(merged):
            if (
                isinstance(option, Array)
                and isinstance(earlier, Array)
                and option.annotation == earlier.annotation
                and option.array_type is earlier.array_type
            ):
                merged[position] = Array(earlier.hints + option.hints, option.annotation)
                break
        else:
            merged.append(option)
    if not any(map(_demands_array, merged)):
        hints = [option.hint if isinstance(option, Plain) else Any for option in merged]
        return Plain(Union[tuple(hints)])  # noqa: UP007 - a union made from a list
    return merged[0] if len(merged) == 1 else Choice(tuple(merged))
