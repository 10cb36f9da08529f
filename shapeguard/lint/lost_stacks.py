"""Squeezes without an axis of what was stacked or picked, which is then reduced over the axis that was made so."""

from __future__ import annotations

import ast
from typing import NamedTuple

from shapeguard.lint.reading import Reading, argument, number
from shapeguard.lint.squeezing import Squeeze

_REDUCES = frozenset({"mean", "std", "var", "median", "mode", "sum", "amax", "amin"})
_KEEPS = frozenset({"float", "long", "double", "to", "bool", "exp", "softmax", "one_hot", "detach"})
"""What leaves the axes where they are."""
_STEPS = 8


class Lost(NamedTuple):
    """A reduction that is over another axis where one thing alone was stacked or picked."""

    reduction: ast.Call
    made: ast.expr
    """What makes the axis."""
    how: str


def lost_stack(file: Reading, squeeze: Squeeze) -> Lost | None:
    """The reduction over the axis that a stack or a `topk` has made, and that a squeeze may take."""
    made = file.origin(squeeze.value)
    axis, how = _stacked(file, made), "stacked"
    if axis is None:
        axis, how = _picked(file, made), "picked"
    if axis is None:
        return None
    places: list[ast.expr] = [squeeze.call]
    for _ in range(_STEPS):
        if not places:
            break
        place = places.pop()
        call, at = _step(file, place)
        if call is None:
            match file.parent(place):
                case ast.Assign(targets=[ast.Name() as target]):
                    places += file.uses(target)
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in _REDUCES and number(argument(call, at, "dim")) == axis:
            return Lost(call, made, how)
        if name in _KEEPS:
            places.append(call)
    return None


def _step(file: Reading, place: ast.expr) -> tuple[ast.Call | None, int]:
    """The method or function that a value goes into, and where its axis would be given."""
    match file.parent(place):
        case ast.Attribute(value=value) as method if value is place:
            call = file.parent(method)
            return (call, 0) if isinstance(call, ast.Call) and call.func is method else (None, 0)
        case ast.Call() as call if place in call.args[:1] and file.is_torch(call, *_REDUCES, *_KEEPS):
            return call, 1
    return None, 0


def _stacked(file: Reading, made: ast.expr) -> int | None:
    """The axis of a stack of what may be one thing."""
    if not isinstance(made, ast.Call) or not file.is_torch(made, "stack") or not made.args:
        return None
    is_first = number(argument(made, 1, "dim")) in {None, 0}
    return 0 if is_first and _may_be_one(file, made.args[0]) else None


def _picked(file: Reading, made: ast.expr) -> int | None:
    """The axis of the best `k` in what is looked up for their places: `labels[scores.topk(k, dim=1).indices]`."""
    if not isinstance(made, ast.Subscript):
        return None
    call: ast.Call | None
    match file.origin(made.slice):
        case ast.Attribute(value=ast.Call(func=ast.Attribute(attr="topk")) as call, attr="indices"):
            pass
        case ast.Subscript(value=ast.Call(func=ast.Attribute(attr="topk")) as call, slice=ast.Constant(value=1)):
            pass
        case _:
            call = _unpacked(file, made.slice)
    if call is None:
        return None
    count, axis = file.given(call, 1, "k"), number(file.given(call, 2, "dim"))
    is_open = count is not None and not isinstance(file.origin(count), ast.Constant)
    return axis if is_open and axis is not None and axis >= 0 else None


def _unpacked(file: Reading, index: ast.expr) -> ast.Call | None:
    """`_, index = scores.topk(k, dim=1)`."""
    binding = file.definition(index) if isinstance(index, ast.Name) else None
    if binding is None or binding.index != 1:
        return None
    match binding.value:
        case ast.Call(func=ast.Attribute(attr="topk")) as call:
            return call
    return None


def _may_be_one(file: Reading, items: ast.expr) -> bool:
    """Whether a list is of what is called for each of several, whose number isn't written."""
    match file.origin(items):
        case ast.ListComp(elt=ast.Call(), generators=[only]):
            return _is_open(only.iter)
        case ast.List(elts=[]) if isinstance(items, ast.Name):
            return _is_appended(file, items)
    return False


def _is_appended(file: Reading, items: ast.Name) -> bool:
    """Whether a list is filled in one loop alone."""
    scope = file.scope(items)
    loops: list[ast.For | None] = []
    for call in file.calls("append"):
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id == items.id and file.scope(call) is scope:
            around = next((each for each in file.around(call) if isinstance(each, ast.For)), None)
            loops.append(around if call.args and isinstance(file.origin(call.args[0]), ast.Call) else None)
    return len(loops) == 1 and loops[0] is not None and _is_open(loops[0].iter)


def _is_open(iterated: ast.expr) -> bool:
    match iterated:
        case ast.List() | ast.Tuple() | ast.Constant():
            return False
        case ast.Call(func=ast.Name(id="range"), args=arguments):
            return number(arguments[-1]) is None
    return True
