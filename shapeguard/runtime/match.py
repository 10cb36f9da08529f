"""Values against demands, every array of them: the names that follow, or the first disagreement."""

from __future__ import annotations

import reprlib
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from beartype.door import is_bearable

from shapeguard.runtime.demand import Array, Choice, Demand, Each, Items, Plain, Record, Values, shown
from shapeguard.runtime.tensors import accepts_dtype, dtype_name, kind_of, readable_sizes
from shapeguard.shapes.binding import Bindings, bind
from shapeguard.shapes.mismatch import DtypeMismatch, KindMismatch, Mismatch, RankMismatch


def match(
    demand: Demand, value: Any, place: str, bindings: Bindings, arguments: Mapping[str, object]
) -> Bindings | Mismatch:
    """Check `value`, which the reader knows as `place`, and all that it holds."""
    match demand:
        case Array():
            return _match_array(demand, value, place, bindings, arguments)
        case Plain(hint=hint):
            return bindings if is_bearable(value, hint) else wrong_kind(hint, value, place) or _kind(place, value, hint)
        case Choice(options=options):
            return nearest(options, value, place, bindings, arguments)[1]
        case Each() | Items() | Values() | Record():
            wrong = _wrong_container(demand, value, place)
            if wrong is not None:
                return wrong
            for part, part_value, part_place in parts(demand, value, place):
                result = match(part, part_value, part_place, bindings, arguments)
                if not isinstance(result, Bindings):
                    return result
                bindings = result
    return bindings


def _wrong_container(demand: Each | Items | Values | Record, value: Any, place: str) -> KindMismatch | None:
    actual = kind_of(value)
    match demand:
        case Items(items=items):
            fits, expected = isinstance(value, tuple) and len(value) == len(items), f"tuple of {len(items)}"
            actual = f"tuple of {len(value)}" if isinstance(value, tuple) else actual
        case Record(cls=cls, by_key=by_key):
            fits, expected = isinstance(value, Mapping if by_key else cls), cls.__name__
        case Each(container=container) | Values(container=container):
            fits, expected = isinstance(value, container), container.__name__
    return None if fits else KindMismatch(place, actual, expected)


def _match_array(
    demand: Array, value: Any, place: str, bindings: Bindings, arguments: Mapping[str, object]
) -> Bindings | Mismatch:
    wanted = demand.array_type
    sizes = readable_sizes(value)
    is_array = hasattr(value, "dtype") if wanted is Any else isinstance(value, wanted)
    if sizes is None or not is_array:
        return KindMismatch(place, kind_of(value), "an array" if wanted is Any else wanted.__name__)
    if not accepts_dtype(demand.dtype_rules, dtype_name(value.dtype)):
        return DtypeMismatch(place, dtype_name(value.dtype), demand.dtype_word)
    return bind(demand.annotation, sizes, bindings, value=place, arguments=arguments)


def nearest(
    options: Iterable[Demand], value: Any, place: str, bindings: Bindings, arguments: Mapping[str, object]
) -> tuple[Demand | None, Bindings | Mismatch]:
    """The first option that agrees, else the one that comes nearest, with what came of it.

    None stands for the option where `value` as a whole is of another kind than all of them.
    """
    tried: list[tuple[Demand, Mismatch]] = []
    for option in options:
        outcome = match(option, value, place, bindings, arguments)
        if isinstance(outcome, Bindings):
            return option, outcome
        tried.append((option, outcome))
    option, outcome = min(tried, key=lambda pair: _distance(pair[1], place))
    if not _is_other_kind(outcome, place):
        return option, outcome
    kinds = [entry for _, entry in tried if isinstance(entry, KindMismatch)]
    # Of "tuple" and "tuple of 2" the longer says more.
    actual = max((entry.actual for entry in kinds), key=len)
    *others, last = sorted(dict.fromkeys(entry.expected for entry in kinds), key="None".__eq__)
    return None, KindMismatch(place, actual, f"{', '.join(others)} or {last}" if others else last)


def _distance(mismatch: Mismatch, place: str) -> int:
    """How far a value is from an option, by what keeps it from agreeing."""
    if _is_other_kind(mismatch, place):
        return 4
    return {DtypeMismatch: 1, RankMismatch: 2, KindMismatch: 3}.get(type(mismatch), 0)


def _is_other_kind(mismatch: Mismatch, place: str) -> bool:
    return isinstance(mismatch, KindMismatch) and mismatch.value == place


def wrong_kind(hint: Any, value: Any, place: str) -> KindMismatch | None:
    """The first item of a sequence that is of another kind than a hint says, else the value itself; None if all fit.

    beartype looks at one item, and not at the same each time.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        # Of the options it is the sequence that a sequence was meant for.
        meant = [option for option in arguments if _is_sequence_of_one_kind(option, value)]
        return wrong_kind(meant[0], value, place) if len(meant) == 1 else _unless_bearable(hint, value, place)
    if not _is_sequence_of_one_kind(hint, value):
        return _unless_bearable(hint, value, place)
    found = (wrong_kind(arguments[0], entry, f"{place}[{position}]") for position, entry in enumerate(value))
    return next((entry for entry in found if entry is not None), None)


def _is_sequence_of_one_kind(hint: Any, value: Any) -> bool:
    """Whether `value` is a list or tuple, and `hint` of the form `list[int]` or `tuple[int, ...]` for such a one."""
    origin, arguments = get_origin(hint), get_args(hint)
    alike = arguments[1:] == (Ellipsis,) if origin is tuple else len(arguments) == 1
    return alike and isinstance(value, list | tuple) and isinstance(origin, type) and isinstance(value, origin)


def _unless_bearable(hint: Any, value: Any, place: str) -> KindMismatch | None:
    return None if is_bearable(value, hint) else _kind(place, value, hint)


def _kind(place: str, value: Any, hint: Any) -> KindMismatch:
    words = [word for option in (hint, *get_args(hint)) if get_origin(option) is Literal for word in get_args(option)]
    # Of a word that is none of those asked for, its class says nothing.
    actual = reprlib.repr(value) if type(value) in map(type, words) else kind_of(value)
    return KindMismatch(place, actual, shown(hint))


def parts(demand: Each | Items | Values | Record, value: Any, place: str) -> Iterator[tuple[Demand, Any, str]]:
    """What a container holds, with names such as `images[2]`; nothing for a value of another kind."""
    match demand:
        case Each(item=item) if isinstance(value, Iterable) and not isinstance(value, str | Iterator):
            for position, entry in enumerate(value):
                yield item, entry, f"{place}[{position}]"
        case Items(items=items) if isinstance(value, tuple) and len(value) == len(items):
            for position, (item, entry) in enumerate(zip(items, value, strict=True)):
                yield item, entry, f"{place}[{position}]"
        case Values(key=key, value=inner) if isinstance(value, Mapping):
            for name, entry in value.items():
                yield key, name, f"{place} key {name!r}"
                yield inner, entry, f"{place}[{name!r}]"
        case Record(fields=fields, by_key=True) if isinstance(value, Mapping):
            for name, inner in fields:
                if name in value:
                    yield inner, value[name], f"{place}[{name!r}]"
        case Record(cls=cls, fields=fields, by_key=False) if isinstance(value, cls):
            for name, inner in fields:
                yield inner, getattr(value, name, None), f"{place}.{name}"
