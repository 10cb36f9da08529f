"""What is known where two ways through the code meet."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from shapeguard.infer.likely import Likely
from shapeguard.infer.values import Guess, Instance, Many, Maybe, Number, Scope, Symbol, certain, join
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.shape import Shape


def join_scopes(
    first: Scope,
    second: Scope,
    *,
    whole: bool = True,
    names: Callable[[str], str] | None = None,
    likely: Likely | None = None,
) -> Scope:
    """What is known in one of two scopes; a name that only one of them has is unknown, or as it is there.

    With `names`, two sizes are together one that has a name of its own, unless one of them is 1. With `likely`, what isn't
    known behind one arm is as it is behind the other, as far as that is likely.
    """
    joined: Scope = {}
    sizes: dict[tuple[Dim, Dim], Dim] = {}
    # In the order of the code, so that every run gives the same names.
    for name in (*first, *(name for name in second if name not in first)):
        if name in first and name in second:
            one, other = first[name], second[name]
            joined[name] = one if one is other else join(one, other)
            if likely is not None and one is not other:
                joined[name] = likely.value(name, joined[name], one, other)
            if names is not None and one is not other:
                joined[name] = _with_names(joined[name], one, other, name, sizes, names)
        else:
            joined[name] = UNKNOWN if whole else first.get(name, second.get(name))
    return joined


def _filled(joined: Any, made: Any, given: Any) -> Any:
    """A joined value, its unknown parts taken from the value that was made where none was given."""
    if made is UNKNOWN or made is None:
        return joined
    if given is UNKNOWN or isinstance(given, Symbol | Many):
        return made
    if isinstance(made, Instance) and isinstance(given, Instance) and made.cls is given.cls and made.cls.makes_records:
        attributes = {
            name: _filled(join(value, given.attributes[name]), certain(value), certain(given.attributes[name]))
            for name, value in made.attributes.items()
            if name in given.attributes
        }
        return Instance(made.cls, attributes)
    if not isinstance(made, Tensor) or not isinstance(given, Tensor) or made.shape.axes is None:
        return joined
    if given.shape.axes is None:
        return Tensor(made.shape, made.dtype)
    known = certain(joined)
    if not isinstance(known, Tensor) or known.shape.axes is None or len(given.shape.axes) != len(made.shape.axes):
        return joined
    axes = [
        one if axis.size is None and other.size is None else axis
        for axis, one, other in zip(known.shape.axes, made.shape.axes, given.shape.axes, strict=True)
    ]
    return Tensor(Shape(tuple(axes)), known.dtype)


def _with_names(
    value: Any, one: Any, other: Any, name: str, sizes: dict[tuple[Dim, Dim], Dim], names: Callable[[str], str]
) -> Any:
    """A joined value whose sizes that aren't known, because there are two of them, get names."""

    def size(left: Dim, right: Dim) -> Dim:
        pair = (left, right)
        if pair not in sizes:
            sizes[pair] = Dim(names(f"{name}_size"))
        return sizes[pair]

    one, other = certain(one), certain(other)
    if isinstance(one, Dim) and isinstance(other, Dim) and isinstance(value, Number):
        return size(one, other)
    tensor = certain(value)
    if not isinstance(tensor, Tensor) or not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return value
    if len({tensor.shape.rank, one.shape.rank, other.shape.rank}) > 1:
        return value
    if tensor.shape.axes is None or isinstance(one, Guess) != isinstance(other, Guess):
        return value
    axes = [
        size(left.size, right.size)
        if axis.size is None and left.size is not None and right.size is not None and 1 not in (left.size, right.size)
        else axis
        for axis, left, right in zip(tensor.shape.axes, one.shape.axes or (), other.shape.axes or (), strict=True)
    ]
    result = Tensor(Shape.of(*axes), tensor.dtype)
    return Maybe(result) if isinstance(value, Maybe) else result


def fill_in(scope: Scope, test: ast.expr, first: Scope, other: Scope) -> None:
    """What stands in for a value that wasn't given says what kind of value it is: `if x is None: x = ...`."""
    match test:
        case ast.Compare(
            left=ast.Name(id=name), ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(value=None)]
        ):
            made, given = (first, other) if isinstance(op, ast.Is) else (other, first)
            if name in made and name in given:
                scope[name] = _filled(scope[name], certain(made[name]), certain(given[name]))
