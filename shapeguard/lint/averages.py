"""Means over the steps of a batch: what they are made of, over which axes, and where another branch tells them apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from shapeguard.lint.losses import OF_ELEMENTS, losses
from shapeguard.lint.reading import Reading, last_name, number, receiver

_MEANS = ("mean", "std", "var")
_STEPS = 1
_LAST = -1
_NO_AXIS = 99
Over: TypeAlias = Literal["all", "steps", "first", "last"]


@dataclass(frozen=True, slots=True)
class Average:
    """A mean of something."""

    node: ast.expr
    """Where it is taken."""
    of: tuple[ast.expr, ...]
    """What of: of a loss, both sides."""
    over: Over
    """All elements, the axis after the first, or the last axis."""


def averages(file: Reading) -> Iterator[Average]:
    """The means, deviations, sums over counts, and losses with a mean in them, in a file."""
    for call in file.calls(*_MEANS):
        yield from _mean(file, call)
    for operation in file.all(ast.BinOp):
        if isinstance(operation.op, ast.Div):
            yield from _sum_over_count(file, operation)
    for loss in losses(file, *OF_ELEMENTS):
        reduction = loss.options.get("reduction")
        averaged = reduction is None or (isinstance(reduction, ast.Constant) and reduction.value == "mean")
        if loss.target is not None and averaged and not {"weight", "reduce", "size_average"} & loss.options.keys():
            yield Average(loss.call, (loss.given, loss.target), "all")


def _mean(file: Reading, call: ast.Call) -> Iterator[Average]:
    of, over = file.given(call, 0, "input"), _reduced(file, call)
    if of is not None and over is not None:
        yield Average(call, (of,), over)


def _reduced(file: Reading, call: ast.Call) -> Over | None:
    """Over which axes a mean or a sum is."""
    places = [*call.args[int(file.full_name(call.func) is not None) :]]
    places += [each.value for each in call.keywords if each.arg in {"dim", "axis"}]
    return _over(places[0]) if places else "all"


def _over(place: ast.expr) -> Over | None:
    axes = [number(each) for each in (place.elts if isinstance(place, ast.Tuple | ast.List) else [place])]
    if _STEPS in axes:
        return "steps"
    return {_LAST: "last", 0: "first"}.get(axes[0] if len(axes) == 1 and axes[0] is not None else _NO_AXIS)  # type: ignore[return-value] # of a literal


def _sum_over_count(file: Reading, operation: ast.BinOp) -> Iterator[Average]:
    """`x.sum() / x.numel()`, `x.sum(1) / x.size(1)`."""
    total = operation.left
    while isinstance(total, ast.Call) and last_name(total.func) in {"item", "float", "double"} and receiver(total):
        total = receiver(total) or total
    if not isinstance(total, ast.Call) or last_name(total.func) != "sum":
        return
    of, over = file.given(total, 0, "input"), _reduced(file, total)
    if of is not None and over is not None and _counts(file, operation.right, over):
        yield Average(operation, (of,), over)


def _counts(file: Reading, node: ast.expr, over: Over) -> bool:
    """Whether a number is that of all positions, padding or not."""
    match file.origin(node):
        case ast.Call(func=ast.Attribute(attr="numel"), args=[]):
            return over == "all"
        case ast.Call(func=ast.Attribute(attr="size"), args=[place]):
            return over == "steps" and number(place) == _STEPS
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=place):
            return over == "steps" and number(place) == _STEPS
    return False


def is_divided_by(file: Reading, node: ast.expr, name: str) -> bool:
    """Whether a mean is divided by what a mask says, which makes it a mean of what the mask leaves."""
    for around in file.around(node):
        match around:
            case ast.BinOp(left=left, op=ast.Div(), right=right) if _mentions(right, name) and _holds(left, node):
                return True
            case ast.stmt():
                break
    return False


def _holds(outer: ast.expr, inner: ast.expr) -> bool:
    return any(each is inner for each in ast.walk(outer))


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))


def is_choice(file: Reading, node: ast.expr, names: set[str]) -> bool:
    """Whether a mean is one of two ways, the other of which is for a mask, or which a test of the mask leads to."""
    here: ast.AST = node
    for around in file.around(node):
        match around:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                return _left_before(around, here, names)
            case ast.If() | ast.IfExp() if here is not around.test:
                other = around.orelse if _is_in(here, around.body) else around.body
                parts = [around.test, *(other if isinstance(other, list) else [other])]
                if _named(parts, names):
                    return True
            case ast.Try() | ast.ExceptHandler():
                return True
        if _left_before(around, here, names):
            return True
        here = around
    return False


def _is_in(node: ast.AST, parts: ast.expr | list[ast.stmt]) -> bool:
    return node is parts or (isinstance(parts, list) and node in parts)


def _named(parts: Sequence[ast.AST], names: set[str]) -> bool:
    return any(_mentions(part, name) for part in parts for name in names)


def _left_before(around: ast.AST, here: ast.AST, names: set[str]) -> bool:
    """Whether a branch for the mask has left the function before."""
    body = getattr(around, "body", None)
    if not isinstance(body, list) or here not in body:
        return False
    for statement in body[: body.index(here)]:
        if isinstance(statement, ast.If) and _named([statement], names):
            leaves = any(isinstance(each, ast.Return | ast.Continue) for each in ast.walk(statement))
            if leaves:
                return True
    return False
