"""Lists of what each of several functions gives for one and the same value."""

from __future__ import annotations

import ast
import re

from shapeguard.infer.sources import Sources
from shapeguard.infer.steps import call_of

_SEVERAL = re.compile(r"batch|\w{2,}[^su]s$")
"""What values of several rows are called: `images`, `x_batch`."""
_SQUASHES = frozenset({"softmax", "log_softmax", "sigmoid", "detach", "float", "cpu"})
_STEPS = 8


def of_each(items: ast.expr, sources: Sources) -> ast.expr | None:
    """The list, or what is put into it, if that is what each of several functions gives for one value."""
    made = sources.same_axes(items)
    match made:
        case ast.ListComp(elt=element, generators=[ast.comprehension(target=ast.Name(id=name))]):
            return made if _is_of_each(element, name, sources) else None
        case ast.List(elts=[]) if isinstance(items, ast.Name):
            return _appended(items, made, sources)
    return None


def _appended(items: ast.Name, made: ast.expr, sources: Sources) -> ast.expr | None:
    """What a loop puts into a list that nothing else is put into."""
    found: list[ast.Call] = []
    for part in ast.walk(sources.function(items)):
        match part:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name) as owner)) if name == items.id:
                found.append(part)
                if not isinstance(part.func, ast.Attribute) or part.func.attr != "append" or len(part.args) != 1:
                    return None
                if sources.made(owner) not in (made, None):
                    return None
            case ast.AugAssign(target=ast.Name(id=name)) if name == items.id:
                return None
    around = None if len(found) != 1 else sources.parents.get(sources.statement(found[0]) or items)
    match around:
        case ast.For(target=ast.Name(id=name)) if _is_of_each(found[0].args[0], name, sources):
            return found[0]
    return None


def _is_of_each(node: ast.expr, name: str, sources: Sources) -> bool:
    """Whether a value is made by a function that bears this name, of what is the same each time."""
    is_direct = True
    for _ in range(_STEPS):
        node = sources.same_axes(node)
        match node:
            case ast.Call(func=ast.Name(id=function), args=arguments) if function == name and arguments:
                return not _has(arguments, name) and (is_direct or _is_of_several(arguments))
            case ast.Call(func=ast.Name() | ast.Attribute(value=ast.Name(id="self")), args=[inner], keywords=[]):
                node, is_direct = inner, False
                continue
        call = call_of(node)
        if call is None or call.name not in _SQUASHES:
            return False
        node = call.of
    return False


def _has(arguments: list[ast.expr], name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for each in arguments for part in ast.walk(each))


def _is_of_several(arguments: list[ast.expr]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], ast.Name) and bool(_SEVERAL.search(arguments[0].id))
