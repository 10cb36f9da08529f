"""The values that only the interpreter has: functions, classes, instances, and what is known by its name alone."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.shape import Axis, Shape


@dataclass(frozen=True, slots=True)
class External:
    """Something that another package defines, by its full name: "torch.nn.functional"."""

    name: str


@dataclass(frozen=True, slots=True)
class Symbol:
    """A value from outside, such as `config.hidden_size`: whatever it is, as a size it is the Dim of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Many:
    """A list of unknown length whose items are alike."""

    item: Any


@dataclass(frozen=True, eq=False)
class Function:
    """A function of the file, with the names around its definition."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: dict[str, Any]
    qualified_name: str
    owner: Class | None = None


@dataclass(frozen=True, eq=False)
class Class:
    """A class of the file."""

    node: ast.ClassDef
    bases: tuple[Any, ...]
    members: dict[str, Any]

    def find(self, name: str) -> Any:
        """A member of the class or of those it derives from; None if it has none of that name."""
        if name in self.members:
            return self.members[name]
        for base in self.bases:
            if isinstance(base, Class) and (found := base.find(name)) is not None:
                return found
        return None


@dataclass(eq=False)
class Instance:
    """An instance of a class of the file, with what `__init__` has set."""

    cls: Class
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Bound:
    """A method of an instance, or of a tensor, that waits for its arguments."""

    owner: Any
    call: Callable[..., Any] | Function


@dataclass(frozen=True, eq=False)
class Chain:
    """nn.Sequential: modules applied one after another."""

    modules: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A dict with known keys."""

    items: tuple[tuple[Any, Any], ...]

    def get(self, key: object) -> Any:
        """The value of a key, or UNKNOWN."""
        return next((value for known, value in self.items if known == key), UNKNOWN)


def as_size(value: Any) -> Any:
    """A value where a size is wanted: a Dim if it can be one."""
    if isinstance(value, Symbol):
        # `x.shape` and `input_shape` hold several sizes.
        return UNKNOWN if "shape" in value.name.rpartition(".")[2] else Dim(value.name)
    if isinstance(value, tuple):
        return tuple(map(as_size, value))
    return value


def join(left: Any, right: Any) -> Any:
    """What is known of a value that is one of two."""
    if left is right:
        return left
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return Tensor(_join_shapes(left.shape, right.shape), left.dtype if left.dtype == right.dtype else None)
    if isinstance(left, tuple) and isinstance(right, tuple) and len(left) == len(right):
        return tuple(map(join, left, right))
    if isinstance(left, Many) and isinstance(right, Many):
        return Many(join(left.item, right.item))
    if type(left) is type(right) and isinstance(left, Dim | Symbol | External | bool | float | str | Dictionary):
        return left if left == right else UNKNOWN
    return UNKNOWN


def _join_shapes(left: Shape, right: Shape) -> Shape:
    if left.axes is None or right.axes is None or len(left.axes) != len(right.axes):
        return Shape.unknown()
    return Shape(
        tuple(
            a if a == b else Axis(a.size if a.size == b.size else None, None)
            for a, b in zip(left.axes, right.axes, strict=True)
        )
    )
