"""Weights that are multiplied with values and summed up by hand, over another axis than the one that they add up to 1 on."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.infer.silent import ShapeAt, Suspect, Verdict
from shapeguard.infer.sources import Sources
from shapeguard.infer.steps import BATCHES, call_of, text_of, written
from shapeguard.shapes.shape import Axis

_CODE = ("SG703", "axis-mixup")
_STEPS = 6
_Places = tuple[int | None, ...]
"""For each axis of a value, which axis of the weights it is; None for one that was put in."""


def judge_weighing(suspect: Suspect, axis: int, sources: Sources, shape_at: ShapeAt) -> Verdict | None:
    """A softmax over one axis, and a sum over another one of what its weights are multiplied with."""
    shape = suspect.result
    if shape is None or shape.axes is None or not -len(shape.axes) <= axis < len(shape.axes):
        return None
    axis %= len(shape.axes)
    for places, value, product in _products(suspect.node, tuple(range(len(shape.axes))), sources, 0):
        other = _other(product, value)
        values = None if other is None else shape_at(other)
        if other is None or values is None or values.axes is None or not isinstance(product, ast.expr):
            continue
        for _, around in sources.uses(product):
            summed = _summed(around, max(len(places), len(values.axes)))
            if summed is None or not _is_mixed_up(places, shape.axes, values.axes, axis, summed):
                continue
            size = shape.axes[axis].size
            message = (
                f"the softmax is over axis {axis}, `{size}`, and `{text_of(around)}` sums over axis {summed} of what its "
                "weights are multiplied with"
            )
            notes = (
                f"{text_of(suspect.node)}: {shape}",
                f"{text_of(other)}: {values}",
                f"summed on line {_line(around)}",
            )
            wanted = places[summed - max(len(places), len(values.axes)) + len(places)]
            hint = f"`dim={wanted}` makes the weights of each sum add up to 1"
            return Verdict(*_CODE, message, notes, hint, preview=str(size) not in BATCHES)
    return None


def _is_mixed_up(places: _Places, weights: tuple[Axis, ...], values: tuple[Axis, ...], axis: int, summed: int) -> bool:
    """Whether the values have the softmax's axis too, the weights that which is summed over, and stand for more of them."""
    rank = max(len(places), len(values))
    if axis not in places:
        return False
    at = places.index(axis) + rank - len(places)
    own = summed - (rank - len(places))
    if at == summed or own < 0 or places[own] is None or weights[places[own] or 0].size == 1:
        return False
    matched = values[at - rank + len(values)].size if at - rank + len(values) >= 0 else None
    if matched is None or matched == 1 or matched != weights[axis].size:
        return False
    stretched = len(values) > len(places)
    for place, part in enumerate(places):
        there = place + rank - len(places) - rank + len(values)
        is_one = part is None or weights[part].size == 1
        stretched |= is_one and there >= 0 and values[there].size != 1
    return stretched


def _products(
    node: ast.expr, places: _Places, sources: Sources, depth: int
) -> Iterator[tuple[_Places, ast.expr, ast.AST]]:
    """Where weights are multiplied with something, through axes that are put in."""
    if depth > _STEPS:
        return
    for value, around in sources.uses(node):
        wider = _wider(around, value, places)
        if wider is not None and isinstance(around, ast.expr):
            yield from _products(around, wider, sources, depth + 1)
        elif _other(around, value) is not None:
            yield places, value, around


def _wider(node: ast.AST, value: ast.expr, places: _Places) -> _Places | None:
    """The axes of `w.unsqueeze(-1)` and `w[..., None]`."""
    call = call_of(node)
    if call is not None and call.name == "unsqueeze" and call.of is value:
        at = written(call.given(0, "dim"))
        if at is None:
            return None
        at += len(places) + 1 if at < 0 else 0
        return (*places[:at], None, *places[at:])
    if not isinstance(node, ast.Subscript) or node.value is not value:
        return None
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return _indexed(parts, places)


def _indexed(parts: list[ast.expr], places: _Places) -> _Places | None:
    rest, found = list(places), list[int | None]()
    kept = len(places) - sum(isinstance(part, ast.Slice) for part in parts)
    for part in parts:
        match part:
            case ast.Constant(value=None):
                found.append(None)
            case ast.Constant(value=value) if value is ...:
                found += rest[:kept]
                del rest[:kept]
            case ast.Slice(lower=None, upper=None, step=None) if rest:
                found.append(rest.pop(0))
            case _:
                return None
    return (*found, *rest) if None in found else None


def _other(node: ast.AST, value: ast.expr) -> ast.expr | None:
    """The other factor of a product."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return right if left is value else left if right is value else None
    call = call_of(node)
    if call is None or call.name not in {"mul", "multiply"} or not call.rest:
        return None
    return call.rest[0] if call.of is value else call.of if call.rest[0] is value else None


def _summed(node: ast.AST, rank: int) -> int | None:
    """The one axis that a product is summed over."""
    call = call_of(node)
    if call is None or call.name not in {"sum", "mean"} or len(call.axes or ()) != 1:
        return None
    assert call.axes is not None
    return call.axes[0] % rank if -rank <= call.axes[0] < rank else None


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)
