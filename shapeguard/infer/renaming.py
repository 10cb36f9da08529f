"""Values with some of the names in their sizes replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shapeguard.infer.values import Dictionary, Instance, Many, Maybe, Symbol
from shapeguard.ops.values import Tensor
from shapeguard.shapes.dim import Dim, names, substitute
from shapeguard.shapes.shape import Axis, Shape


def names_of(value: Any) -> frozenset[str]:
    """The names in the sizes of a value."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Tensor):
            waiting += [axis.size for axis in each.shape.axes or ()]
        elif isinstance(each, Dim):
            found |= names(each)
        else:
            waiting += _parts(each)
    return frozenset(found)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Maybe):
        return [value.value]
    if isinstance(value, Many):
        return [value.item, *value.first, *value.last, value.count]
    if isinstance(value, Dictionary):
        return [item for _, item in value.items]
    if isinstance(value, Instance) and value.cls.makes_records:
        return list(value.attributes.values())
    return []


def substituted(value: Any, sizes: Mapping[str, Dim]) -> Any:
    """A value with names replaced by sizes; the same object where none of them stands in it."""
    if not names_of(value) & sizes.keys():
        return sizes[value.name] if isinstance(value, Symbol) and value.name in sizes else value
    if isinstance(value, Dim):
        return substitute(value, {name: sizes[name] for name in names(value) & sizes.keys()})
    if isinstance(value, Tensor):
        axes = tuple(_substituted_axis(axis, sizes) for axis in value.shape.axes or ())
        return type(value)(Shape(axes), value.dtype)
    if isinstance(value, tuple):
        return tuple(substituted(each, sizes) for each in value)
    if isinstance(value, Maybe):
        return Maybe(substituted(value.value, sizes))
    if isinstance(value, Many):
        return Many(*(substituted(each, sizes) for each in (value.item, value.first, value.last, value.count)))
    if isinstance(value, Dictionary):
        return Dictionary(tuple((key, substituted(item, sizes)) for key, item in value.items), value.is_open)
    return Instance(value.cls, {name: substituted(item, sizes) for name, item in value.attributes.items()})


def _substituted_axis(axis: Axis, sizes: Mapping[str, Dim]) -> Axis:
    def replaced(size: Dim) -> Dim:
        return substitute(size, {name: sizes[name] for name in names(size) & sizes.keys()})

    size = None if axis.size is None else replaced(axis.size)
    factors = None if axis.factors is None else tuple(map(replaced, axis.factors))
    return Axis(size, factors)
