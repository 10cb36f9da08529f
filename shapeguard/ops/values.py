"""The values that operations take and give: tensors by shape and dtype, Python's own by themselves, or unknown.

An integer is a Dim, whether it is known or not. A list or tuple is a tuple. Strings, floats, bools and None stand for
themselves.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Shape


class Unknown(enum.Enum):
    """Nothing is known of the value; it agrees with everything."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"

    __str__ = __repr__

    def __bool__(self) -> bool:
        raise TypeError("an unknown value is neither true nor false; ask `value is UNKNOWN`")


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: its shape, and its dtype by torch's name, or None where that isn't known."""

    shape: Shape
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Dtype:
    """A torch dtype as a value, such as torch.float32."""

    name: str


@dataclass(frozen=True)
class Module:
    """An instance of a layer: what its call does, and the tensors and numbers that it holds."""

    forward: Callable[..., Value | Mismatch]
    attributes: Mapping[str, Any] = field(default_factory=dict)


Value: TypeAlias = Tensor | Dim | Dtype | Module | Unknown | bool | float | str | tuple["Value", ...] | None
Result: TypeAlias = Value | Mismatch
"""What an operation gives; a Mismatch where torch surely refuses."""


def tensor(*sizes: Dim | int | str | None, dtype: str | None = None) -> Tensor:
    """A tensor of these sizes; a name is a symbol, None an unknown size."""
    return Tensor(Shape.of(*(Dim(size) if isinstance(size, str) else size for size in sizes)), dtype)


UNKNOWN_TENSOR = Tensor(Shape.unknown())


def called(function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> Result:
    """What a function gives; unknown where it has no parameters for these arguments."""
    try:
        result: Result = function(*arguments, **named)
    except TypeError as error:
        # One that was raised within the function has left a trace of it.
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:
            raise
        return UNKNOWN
    return result
