"""What Python's own functions give of the interpreter's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapeguard.infer.values import (
    NOTHING,
    NUMBER,
    WHOLE,
    Class,
    Dictionary,
    External,
    Function,
    Instance,
    Many,
    Symbol,
    as_size,
    certain,
    is_number,
    join_all,
)
from shapeguard.ops.indexing import Slice
from shapeguard.ops.indexing import subscript as subscript_tensor
from shapeguard.ops.pointwise import binary
from shapeguard.ops.values import UNKNOWN, Dtype, Module, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.inequality import lesser
from shapeguard.shapes.shape import Shape

_LARGEST_SIZE = 1e9
_BOUNDS = 3
LONGEST = 8
"""So many items of a list are followed one by one."""


def sizes_of(value: Tensor) -> Any:
    """`x.shape`: a tuple of Dims, unknown ones as UNKNOWN."""
    axes = value.shape.axes
    return UNKNOWN if axes is None else tuple(UNKNOWN if axis.size is None else axis.size for axis in axes)


def item_of(items: Any) -> Any:
    """What iterating over a value gives, each time."""
    items = certain(items)
    if isinstance(items, Many):
        return UNKNOWN if (item := items.any_item) is NOTHING else item
    if isinstance(items, Tensor) and items.shape.axes:
        return subscript_tensor(items, (UNKNOWN,)) if len(items.shape.axes) == 1 else _without_first(items)
    if isinstance(items, Dictionary):
        return item_of(tuple(key for key, _ in items.items)) if not items.is_open else UNKNOWN
    if isinstance(items, tuple) and items:
        return join_all(items[0], items[1:])
    return UNKNOWN


def count_of(items: Any) -> Dim | None:
    """How many times a loop over a value runs, where that has a name."""
    items = certain(items)
    if isinstance(items, Many):
        return items.count
    if isinstance(items, tuple):
        return Dim(len(items))
    return items.shape.axes[0].size if isinstance(items, Tensor) and items.shape.axes else None


def _without_first(value: Tensor) -> Tensor:
    assert value.shape.axes is not None
    return Tensor(Shape(value.shape.axes[1:]), value.dtype)


def _length(value: Any = UNKNOWN) -> Any:
    value = certain(value)
    if isinstance(value, tuple):
        return Dim(len(value))
    if isinstance(value, Dictionary) and not value.is_open:
        return Dim(len(value.items))
    if isinstance(value, Many) and value.count is not None:
        return value.count
    sizes = sizes_of(value) if isinstance(value, Tensor) else UNKNOWN
    return sizes[0] if isinstance(sizes, tuple) and sizes and sizes[0] is not UNKNOWN else WHOLE


def _whole_number(value: Any = UNKNOWN) -> Any:
    value = as_size(value)
    if isinstance(value, float | bool) and abs(value) < _LARGEST_SIZE:
        return Dim(int(value))
    # `int(a * b)` may stand around a number that isn't whole.
    is_plain = isinstance(value, Dim) and (as_int(value) is not None or str(value).replace(".", "_").isidentifier())
    return value if is_plain else WHOLE


def _number(value: Any = UNKNOWN) -> Any:
    return value if isinstance(value, float) else NUMBER


def _extremum(choose: Callable[[int, int], int], *, is_least: bool) -> Callable[..., Any]:
    def extremum(*values: Any) -> Any:
        items = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
        sizes = [as_size(value) for value in items]
        known = [as_int(size) for size in sizes if isinstance(size, Dim)]
        numbers = [number for number in known if number is not None]
        if sizes and len(sizes) == len(numbers):
            result = numbers[0]
            for number in numbers[1:]:
                result = choose(result, number)
            return Dim(result)
        if is_least and len(sizes) == 2 and all(isinstance(size, Dim) for size in sizes):  # noqa: PLR2004 - of two
            return lesser(sizes[0], sizes[1], 1)
        return NUMBER if all(is_number(value) or isinstance(value, Symbol) for value in items) else UNKNOWN

    return extremum


def _range(*bounds: Any) -> Any:
    known = [as_int(size) if isinstance(size := as_size(value), Dim) else None for value in bounds]
    numbers = [number for number in known if number is not None]
    if (
        numbers
        and len(numbers) == len(bounds)
        and (len(numbers) < _BOUNDS or numbers[2])
        and len(steps := range(*numbers)) <= LONGEST
    ):
        return tuple(map(Dim, steps))
    sizes = [as_size(value) for value in bounds[:_BOUNDS]]
    if len(bounds) >= _BOUNDS or not all(isinstance(size, Dim) for size in sizes):
        return Many(WHOLE)
    return Many(WHOLE, count=sizes[-1] - sizes[0] if len(sizes) > 1 else sizes[0])


def _enumerate(items: Any = UNKNOWN, *_: Any) -> Any:
    items = certain(items)
    if isinstance(items, tuple):
        return tuple((Dim(number), value) for number, value in enumerate(items))
    return Many((WHOLE, item_of(items)), count=count_of(items))


def _zip(*several: Any) -> Any:
    if several and all(isinstance(items, tuple) for items in several):
        return tuple(zip(*several, strict=False))
    counts = {count_of(items) for items in several}
    return Many(tuple(map(item_of, several)), count=counts.pop() if len(counts) == 1 else None)


def _sequence(items: Any = ()) -> Any:
    items = certain(items)
    if isinstance(items, Dictionary) and not items.is_open:
        return tuple(key for key, _ in items.items)
    if isinstance(items, Tensor):
        return Many(item_of(items))
    return items if isinstance(items, tuple | Many) else UNKNOWN


def _reversed(items: Any = UNKNOWN) -> Any:
    return items[::-1] if isinstance(items, tuple) else _sequence(items)


def _sum(items: Any = UNKNOWN, *_: Any) -> Any:
    items = certain(items)
    if isinstance(items, tuple) and items and all(is_number(item) for item in items):
        sizes = [as_size(item) for item in items]
        if all(isinstance(size, Dim) for size in sizes):
            total = sizes[0]
            for size in sizes[1:]:
                total = total + size
            return total
        return NUMBER
    if isinstance(items, tuple) and items and all(isinstance(item, Tensor) for item in items):
        added: Any = items[0]
        for item in items[1:]:
            added = binary("+", added, item)
        return added
    item = item_of(items)
    return NUMBER if is_number(item) else item if isinstance(item, Tensor) and isinstance(items, Many) else UNKNOWN


def _slice(*parts: Any) -> Any:
    sizes = [part if part is None else as_size(part) for part in parts]
    kept = [size if size is None or isinstance(size, Dim) else UNKNOWN for size in sizes]
    return Slice(None, *kept) if len(kept) == 1 else Slice(*kept) if kept else UNKNOWN


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (Dim, bool),
    "float": (float,),
    "bool": (bool,),
    "str": (str,),
    "tuple": (tuple,),
    "list": (tuple, Many),
    "dict": (Dictionary,),
    "torch.Tensor": (Tensor,),
    "torch.nn.Module": (Module,),
}
_PLAIN = (Tensor, Dim, bool, float, str, tuple, Many, Dictionary, Module, Dtype)


def _is_instance(value: Any = UNKNOWN, kind: Any = UNKNOWN) -> Any:
    if isinstance(kind, tuple):
        answers = [_is_instance(value, each) for each in kind]
        return True if True in answers else False if all(answer is False for answer in answers) else UNKNOWN
    if isinstance(value, Instance) and isinstance(kind, Class):
        return kind in value.cls.ancestry or (UNKNOWN if value.cls.foreign else False)
    if not isinstance(kind, External) or kind.name not in _TYPES:
        # The classes that are read are no kinds of plain values.
        return False if isinstance(kind, Class) and isinstance(value, _PLAIN) else UNKNOWN
    if isinstance(value, tuple | Many) and kind.name in ("tuple", "list"):
        # A list and a tuple are one kind here.
        return UNKNOWN
    if isinstance(value, _TYPES[kind.name]):
        return True
    return False if isinstance(value, _PLAIN) or value is None else UNKNOWN


def _has_attribute(owner: Any = UNKNOWN, name: Any = UNKNOWN) -> Any:
    if isinstance(owner, Instance) and isinstance(name, str):
        if name in owner.attributes or owner.cls.find(name) is not None:
            return True
        return UNKNOWN if owner.cls.foreign else False
    return UNKNOWN


def _dictionary(*given: Any, **named: Any) -> Any:
    if not given:
        return Dictionary(tuple(named.items()))
    base = given[0] if isinstance(given[0], Dictionary) else Dictionary((), is_open=True)
    return base.with_items(named.items())


def _is_callable(value: Any = UNKNOWN) -> Any:
    return True if isinstance(value, Function | Class) else UNKNOWN


PYTHON: dict[str, Callable[..., Any]] = {
    "len": _length,
    "int": _whole_number,
    "float": _number,
    "abs": lambda value=UNKNOWN: UNKNOWN if isinstance(value, Tensor) else _whole_number(value),
    "round": lambda value=UNKNOWN, *_: NUMBER if is_number(value) else UNKNOWN,
    "bool": lambda *_: UNKNOWN,
    "str": lambda *_: UNKNOWN,
    "min": _extremum(min, is_least=True),
    "max": _extremum(max, is_least=False),
    "sum": _sum,
    "range": _range,
    "enumerate": _enumerate,
    "zip": _zip,
    "list": _sequence,
    "tuple": _sequence,
    "sorted": _sequence,
    "iter": _sequence,
    "next": lambda items=UNKNOWN, *_: item_of(items),
    "reversed": _reversed,
    "slice": _slice,
    "isinstance": _is_instance,
    "hasattr": _has_attribute,
    "callable": _is_callable,
    "dict": _dictionary,
    "print": lambda *_, **__: None,
    **{
        f"math.{name}": lambda *_: NUMBER
        for name in ("sqrt", "log", "log2", "exp", "pow", "cos", "sin", "ceil", "floor", "prod")
    },
}
"""Full name -> what the call gives."""
CONSTANTS = {"math.pi": NUMBER, "math.inf": NUMBER, "torch.pi": NUMBER, "torch.inf": NUMBER, "math.e": NUMBER}
