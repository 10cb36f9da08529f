"""Values against demands, every array of them: the names that follow, or the first disagreement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from beartype.door import is_bearable

from shapeguard.runtime.demand import Array, Choice, Demand, Each, Items, Plain, Record, Values, shown
from shapeguard.runtime.tensors import accepts_dtype, dtype_name, sizes_of
from shapeguard.shapes.binding import Bindings, bind
from shapeguard.shapes.mismatch import DtypeMismatch, KindMismatch, Mismatch


def match(
    demand: Demand, value: Any, place: str, bindings: Bindings, arguments: Mapping[str, object]
) -> Bindings | Mismatch:
    """Check `value`, which the reader knows as `place`, and all that it holds."""
    match demand:
        case Array():
            return _match_array(demand, value, place, bindings, arguments)
        case Plain(hint=hint):
            return bindings if is_bearable(value, hint) else KindMismatch(place, type(value).__name__, shown(hint))
        case Choice(options=options):
            return _match_choice(options, value, place, bindings, arguments)
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
    actual = type(value).__name__
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
    is_array = hasattr(value, "shape") and hasattr(value, "dtype") if wanted is Any else isinstance(value, wanted)
    if not is_array:
        return KindMismatch(place, type(value).__name__, "an array" if wanted is Any else wanted.__name__)
    if not accepts_dtype(demand.dtype_rules, dtype_name(value.dtype)):
        return DtypeMismatch(place, dtype_name(value.dtype), demand.dtype_word)
    return bind(demand.annotation, sizes_of(value), bindings, value=place, arguments=arguments)


def _match_choice(
    options: Iterable[Demand], value: Any, place: str, bindings: Bindings, arguments: Mapping[str, object]
) -> Bindings | Mismatch:
    """The first option that agrees; else the disagreement of the option that came nearest."""
    mismatches: list[Mismatch] = []
    for option in options:
        result = match(option, value, place, bindings, arguments)
        if isinstance(result, Bindings):
            return result
        mismatches.append(result)
    # That the value as a whole is of another kind says least.
    of_its_kind = [entry for entry in mismatches if not (isinstance(entry, KindMismatch) and entry.value == place)]
    return (of_its_kind or mismatches)[0]


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
                yield inner, getattr(value, name), f"{place}.{name}"
