"""Calls of torch's operations with the interpreter's values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from shapeguard.infer.values import NOTHING, Many, Number, Scope, Symbol, as_size, is_number, join
from shapeguard.ops.registry import Op, renamed
from shapeguard.ops.values import UNKNOWN, Dtype, Module, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.shape import Shape

# Operations in which a value that isn't known may be a tensor as well as a number.
_TAKES_TENSORS = (
    "shapeguard.ops.pointwise",
    "shapeguard.ops.products",
    "shapeguard.ops.losses",
    "shapeguard.ops.attention",
    "shapeguard.ops.binning",
    "shapeguard.ops.blending",
    "shapeguard.ops.special",
)
_TAKE_TENSORS = ("torch.max", "torch.min", "Tensor.max", "Tensor.min", "torch.normal", "torch.linalg.pinv")
_TAKES_ANYTHING = ("torch.tensor", "torch.as_tensor")
_TAKES_LISTS = "shapeguard.ops.joining"


def call_op(operation: Op, arguments: list[Any], named: Scope) -> Any:
    """Call an operation; what it can't take is unknown to it."""
    room, name = operation.function.__module__, operation.names[0]
    takes_tensors = room in _TAKES_TENSORS or name in _TAKE_TENSORS or name in _TAKES_ANYTHING
    if room == _TAKES_LISTS and () in arguments:
        # A list that seems to be empty may have been filled under another name.
        return UNKNOWN
    sizes = [value for value in arguments if not isinstance(value, Tensor)]
    if len(sizes) == 1 and isinstance(sizes[0], Symbol) and not _is_size(sizes[0]) and operation.takes_any_number:
        # One value in the place of many may be all of them: `x.view(shape)`.
        arguments = [UNKNOWN if isinstance(value, Symbol) else value for value in arguments]
    if len(sizes) == 1 and isinstance(sizes[0], Number) and operation.takes_any_number:
        # A single size, whatever it is.
        arguments = [(UNKNOWN,) if value is sizes[0] else value for value in arguments]
    convert: Callable[[Any], Any] = as_operand if takes_tensors else _as_argument
    if name in _TAKES_ANYTHING:
        # A setting may be a list as well, whatever its annotation says.
        arguments = [UNKNOWN if isinstance(value, Symbol) or _is_bare(value) else value for value in arguments]
    values = [convert(value) for value in arguments]
    more = {name: convert(value) for name, value in renamed(named, operation).items()}
    result = attempt(lambda: operation(*values, **more))
    if result is UNKNOWN and name in _SPLITS:
        return _any_part(operation, values, more)
    return result


_SPLITS = {
    "torch.split": "split_size_or_sections",
    "torch.chunk": "chunks",
    "torch.tensor_split": "indices_or_sections",
}
"""What splits a tensor -> the parameter that says into what."""


def _any_part(operation: Op, values: list[Any], more: Scope) -> Any:
    """A list of parts of which not even the number is known."""
    parameter = _SPLITS[operation.names[0]]
    rest = [*values[:1], *values[2:]]
    named = {key: value for key, value in more.items() if key != parameter}
    found: Any = NOTHING
    for count in (2, 3):
        into: Any = (UNKNOWN,) * count if parameter.startswith("split_size") else Dim(count)
        parts = attempt(partial(operation, rest[0], into, *rest[1:], **named)) if rest else UNKNOWN
        for part in parts if isinstance(parts, tuple) else (UNKNOWN,):
            found = join(found, part)
    return Many(found) if isinstance(found, Tensor) and found.shape.axes is not None else UNKNOWN


def _is_bare(value: Any) -> bool:
    """Whether a size is a name and no more."""
    return isinstance(value, Dim) and str(value).replace(".", "_").isidentifier()


def _is_size(value: Symbol) -> bool:
    """Whether a value is one whole number, by what it is called: `hidden_size`, `num_heads`, but not `kernel_size`."""
    name = value.name.rpartition(".")[2]
    if value.is_number:
        return True
    return (name.endswith(_SIZES) or name.startswith(("num_", "n_"))) and not any(
        word in name for word in _MAY_BE_PAIRS
    )


_SIZES = (
    "_size", "dim", "_features", "_channels", "_heads", "_layers", "length", "_len", "width", "height", "d_model", "ndim",
)  # fmt: skip
_MAY_BE_PAIRS = (
    "kernel", "patch", "image", "img", "output", "window", "input", "tile", "pool", "shape", "stride", "grid", "crop",
)  # fmt: skip


def attempt(work: Callable[[], Any]) -> Any:
    """What an operation gives; unknown where it is called in a way that it doesn't know."""
    try:
        return work()
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError):
        return UNKNOWN


_SOME_NUMBER = Tensor(Shape(()), None)
"""A number in the place of a tensor has no axes."""


def _as_argument(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_as_argument, value))
    value = as_size(value)
    known = isinstance(value, Tensor | Dim | Dtype | Module | bool | float | str | tuple) or value is None
    return value if known else UNKNOWN


def as_operand(value: Any) -> Any:
    """A value in a place where tensors are taken as well as numbers."""
    if isinstance(value, tuple):
        return tuple(map(as_operand, value))
    if isinstance(value, Symbol | Number):
        return _SOME_NUMBER if is_number(value) else UNKNOWN
    return _as_argument(value)
