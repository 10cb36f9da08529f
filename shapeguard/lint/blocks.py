"""What the blocks of a model are given: the values that the file's own models pass to the layers they make."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.axis_names import KEEPING_LAYERS
from shapeguard.lint.binding import bindings_seen
from shapeguard.lint.reading import Reading, last_name

_LISTS = frozenset({"ModuleList", "Sequential"})
_DEEPEST = 6


def passed(file: Reading, node: ast.expr) -> list[ast.expr]:
    """What the file's models pass as the input of `forward` that an expression has the axes of; none if that isn't sure."""
    for _ in range(_DEEPEST):
        node = file.origin(node)
        if not isinstance(node, ast.Call):
            break
        layer = file.layer(node.func)
        if layer is None or last_name(layer.func) not in KEEPING_LAYERS or not node.args:
            return []
        node = node.args[0]
    owner, function = file.class_of(node), file.function(node)
    if owner is None or not isinstance(node, ast.Name) or not isinstance(function, ast.FunctionDef):
        return []
    binding = file.definition(node)
    first = function.args.args[1:2]
    if binding is None or function.name != "forward" or binding.target not in first:
        return []
    found: list[ast.expr] = []
    for call in _calls_of(file, owner.name):
        values = list(_before(file, call)) if call.args else []
        if len(values) != 1:
            return []
        found += values
    return found


def _calls_of(file: Reading, name: str) -> Iterator[ast.Call]:
    """The calls of instances of a class that another one holds, by itself or in a list that a loop runs through."""
    for call in file.all(ast.Call):
        match call.func:
            case ast.Attribute(value=ast.Name(id="self")):
                made = file.layer(call.func)
                if made is not None and (last_name(made.func) == name or _holds_only(made, name, "Sequential")):
                    yield call
            case ast.Name(id=called):
                loop = next((each for each in file.around(call) if isinstance(each, ast.For)), None)
                if loop is None or not isinstance(loop.target, ast.Name) or loop.target.id != called:
                    continue
                made = file.layer(loop.iter) if isinstance(loop.iter, ast.Attribute) else None
                if made is not None and _holds_only(made, name, *_LISTS):
                    yield call


def _holds_only(made: ast.Call, name: str, *lists: str) -> bool:
    """Whether a list of layers is made of instances of one class."""
    if last_name(made.func) not in lists or not made.args:
        return False
    parts: list[ast.expr] = []
    for each in made.args:
        inner = each.value if isinstance(each, ast.Starred) else each
        match inner:
            case ast.List(elts=elements):
                parts += elements
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
                parts.append(element)
            case _:
                parts.append(inner)
    return bool(parts) and all(isinstance(each, ast.Call) and last_name(each.func) == name for each in parts)


def _before(file: Reading, call: ast.Call) -> Iterator[ast.expr]:
    """What a call is given, but for what it gave itself in the round before."""
    given = call.args[0]
    if not isinstance(given, ast.Name):
        yield given
        return
    binding = file.definition(given)
    for each in bindings_seen(file, given) if binding is None else [binding]:
        if each.value is not call:
            yield each.value if each.value is not None and each.index is None else given
