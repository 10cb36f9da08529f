"""What Python's own functions give of the interpreter's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapeguard.infer.values import Many, Symbol, as_size, join
from shapeguard.ops.indexing import subscript as subscript_tensor
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.shape import Shape

_LONGEST_RANGE = 8


def sizes_of(value: Tensor) -> Any:
    """`x.shape`: a tuple of Dims, unknown ones as UNKNOWN."""
    axes = value.shape.axes
    return UNKNOWN if axes is None else tuple(UNKNOWN if axis.size is None else axis.size for axis in axes)


def item_of(items: Any) -> Any:
    """What iterating over a value gives, each time."""
    if isinstance(items, Many):
        return items.item
    if isinstance(items, Tensor) and items.shape.axes:
        return subscript_tensor(items, (UNKNOWN,)) if len(items.shape.axes) == 1 else _without_first(items)
    if isinstance(items, tuple) and items:
        found = items[0]
        for item in items[1:]:
            found = join(found, item)
        return found
    return UNKNOWN


def _without_first(value: Tensor) -> Tensor:
    assert value.shape.axes is not None
    return Tensor(Shape(value.shape.axes[1:]), value.dtype)


def _length(value: Any) -> Any:
    if isinstance(value, tuple):
        return Dim(len(value))
    sizes = sizes_of(value) if isinstance(value, Tensor) else UNKNOWN
    return sizes[0] if isinstance(sizes, tuple) and sizes else UNKNOWN


def _whole_number(value: Any) -> Any:
    return as_size(value) if isinstance(value, Dim | Symbol) else UNKNOWN


def _extremum(choose: Callable[[int, int], int]) -> Callable[..., Any]:
    def extremum(*values: Any) -> Any:
        known = [as_int(size) if isinstance(size := as_size(value), Dim) else None for value in values]
        numbers = [number for number in known if number is not None]
        return Dim(choose(*numbers)) if len(values) == len(numbers) == 2 else UNKNOWN  # noqa: PLR2004 - of two

    return extremum


def _range(*bounds: Any) -> Any:
    known = [as_int(size) if isinstance(size := as_size(value), Dim) else None for value in bounds]
    numbers = [number for number in known if number is not None]
    if len(numbers) == len(bounds) and len(steps := range(*numbers)) <= _LONGEST_RANGE:
        return tuple(map(Dim, steps))
    return Many(UNKNOWN)


def _enumerate(items: Any, *_: Any) -> Any:
    if isinstance(items, tuple):
        return tuple((Dim(number), value) for number, value in enumerate(items))
    return Many((UNKNOWN, item_of(items)))


def _zip(*several: Any) -> Any:
    if all(isinstance(items, tuple) for items in several):
        return tuple(zip(*several, strict=False))
    return Many(tuple(map(item_of, several)))


def _sequence(items: Any = ()) -> Any:
    return items if isinstance(items, tuple | Many) else UNKNOWN


def _reversed(items: Any) -> Any:
    return items[::-1] if isinstance(items, tuple) else _sequence(items)


PYTHON: dict[str, Callable[..., Any]] = {
    "len": _length,
    "int": _whole_number,
    "abs": _whole_number,
    "min": _extremum(min),
    "max": _extremum(max),
    "range": _range,
    "enumerate": _enumerate,
    "zip": _zip,
    "list": _sequence,
    "tuple": _sequence,
    "reversed": _reversed,
}
