"""What a loop keeps: values that are added up or gathered in something that was made before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.lint.reading import Reading, last_name

Loop = ast.For | ast.AsyncFor | ast.While
GRAPH_METHODS = frozenset(
    "mean sum to cuda cpu float double half view reshape squeeze unsqueeze flatten clone contiguous softmax"  # noqa: SIM905 - a list of so many words reads better so
    " log_softmax sigmoid exp log abs max min norm div mul add sub permute transpose".split()
)
"""Methods that give a tensor with the graph of their own."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One statement of a loop that adds a value to what was there."""

    node: ast.stmt
    place: ast.Name
    """The name that is added to, as it stands there: `total` of `total += loss` and of `total["a"] += loss`."""
    value: ast.expr
    loop: Loop
    """The innermost."""


def kept(file: Reading) -> Iterator[Kept]:
    """Every value that is kept in a name which is set to something empty, a number or zeros before the loop only."""
    for node, place, value in _additions(file):
        loop = loop_around(file, node)
        if loop is not None and _is_begun_before(file, place, node, loop):
            yield Kept(node, place, value, loop)


def _additions(file: Reading) -> Iterator[tuple[ast.stmt, ast.Name, ast.expr]]:
    for added in file.all(ast.AugAssign):
        match added:
            case ast.AugAssign(
                target=ast.Name() | ast.Subscript(value=ast.Name()) as target, op=ast.Add(), value=value
            ):
                place = target.value if isinstance(target, ast.Subscript) else target
                assert isinstance(place, ast.Name)
                yield added, place, value
    for assigned in file.all(ast.Assign):
        match assigned:
            case ast.Assign(
                targets=[ast.Name(id=name) as place],
                value=ast.BinOp(left=ast.Name(id=first), op=ast.Add(), right=value),
            ) if first == name:
                yield assigned, place, value
    for call in file.calls("append"):
        statement = file.parent(call)
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name() as place), args=[value]) if isinstance(
                statement, ast.Expr
            ):
                yield statement, place, value


def loop_around(file: Reading, node: ast.AST) -> Loop | None:
    """The innermost loop around a node in the same function."""
    for each in file.around(node):
        if isinstance(each, Loop):
            return each
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            return None
    return None


def _is_begun_before(file: Reading, place: ast.Name, node: ast.stmt, loop: Loop) -> bool:
    """Whether a name is set outside a loop to what can be added to, and set to nothing else inside it."""
    begun = False
    for binding in file.bindings(file.scope(place), place.id):
        if binding.statement is node or isinstance(binding.statement, ast.AugAssign):
            continue
        if file.is_in(binding.target, loop) or binding.value is None:
            return False
        begun = begun or _is_beginning(binding.value)
    return begun


def _is_beginning(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=int() | float()) | ast.List() | ast.Dict() | ast.ListComp() | ast.DictComp():
            return True
        case ast.Call(func=func):
            return last_name(func) in {"zeros", "tensor", "defaultdict", "list", "dict", "Tensor", "Counter"}
        case ast.BinOp(left=ast.List()):
            return True
    return False


def tensors_in(node: ast.expr) -> Iterator[ast.Name | ast.Attribute]:
    """The names and attributes of names whose graph the value of an expression has a part in: sums, means, moves."""
    match node:
        case ast.Name() | ast.Attribute(value=ast.Name()):
            yield node
        case ast.BinOp(left=left, right=right):
            yield from tensors_in(left)
            yield from tensors_in(right)
        case ast.UnaryOp(operand=operand):
            yield from tensors_in(operand)
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in GRAPH_METHODS:
            yield from tensors_in(value)
