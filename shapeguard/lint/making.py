"""Which call made what is called: a loss or a model that was put into a name, an attribute or a parameter."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.binding import Binding
from shapeguard.lint.reading import Reading, argument, last_name

_MOVES = frozenset(
    "to cuda cpu xpu eval train double half float bfloat16 requires_grad_ share_memory apply compile".split()  # noqa: SIM905 - a list of so many words reads better so
)
"""Methods of a layer that give the layer."""
_WRAPPERS = frozenset({"DataParallel", "DistributedDataParallel", "compile", "FullyShardedDataParallel"})
_DEEPEST = 6


def makers(file: Reading, node: ast.expr, depth: int = 0) -> list[ast.Call]:
    """The calls that may have made an object; none if it may have come from elsewhere too."""
    node = unmoved(node)
    if depth > _DEEPEST:
        return []
    match node:
        case ast.Call():
            return [node]
        case ast.Name():
            return _of_name(file, node, depth)
        case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
            owner = file.class_of(node)
            values = [] if owner is None else file.assigned(owner, attribute)
            others = [each for each in values if not _is_moved(each, node)]
            return makers(file, others[0], depth + 1) if len(others) == 1 else []
    return []


def unmoved(node: ast.expr) -> ast.expr:
    """`Net()` of `nn.DataParallel(Net().to(device))`."""
    while isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _MOVES and not _is_module(node.func.value):
            node = node.func.value
        elif last_name(node.func) in _WRAPPERS and node.args:
            node = node.args[0]
        else:
            break
    return node


def _is_module(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "torch"


def _of_name(file: Reading, name: ast.Name, depth: int) -> list[ast.Call]:
    """The calls that made what a name stands for, where it is bound to one thing in its scope."""
    for scope in file.around(name):
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Module):
            continue
        found = file.bindings(scope, name.id)
        others = [each for each in found if each.value is None or not _is_moved(each.value, name)]
        if not others:
            continue
        one = others[0]
        if len(others) > 1 or one.index is not None:
            return []
        if one.value is not None:
            return makers(file, one.value, depth + 1)
        return _of_parameter(file, scope, one, depth)
    return []


def _is_moved(value: ast.expr, place: ast.expr) -> bool:
    """Whether what is assigned to a place is what stood there, moved or wrapped."""
    inner = unmoved(value)
    return inner is not value and ast.dump(inner).replace("Load()", "") == ast.dump(place).replace("Load()", "")


def _of_parameter(file: Reading, scope: ast.AST, binding: Binding, depth: int) -> list[ast.Call]:
    """The calls that made what a function of the file is given, if every place that calls it is in the file."""
    if not isinstance(scope, ast.FunctionDef) or not isinstance(binding.target, ast.arg) or file.class_of(scope):
        return []
    parameters = [*scope.args.posonlyargs, *scope.args.args]
    places = [each for each in file.all(ast.Name) if each.id == scope.name]
    if binding.target not in parameters or not places:
        return []
    found: list[ast.Call] = []
    for place in places:
        call = file.parent(place)
        if not isinstance(call, ast.Call) or call.func is not place:
            return []
        given = argument(call, parameters.index(binding.target), binding.target.arg)
        made = [] if given is None else makers(file, given, depth + 1)
        if not made:
            return []
        found += made
    return found


def functions_called(file: Reading, call: ast.Call) -> Iterator[ast.FunctionDef]:
    """The function of the file that a call runs: a `def`, a method of the same class, a model's `forward`."""
    match call.func:
        case ast.Name(id="self"):
            owner = file.class_of(call)
            method = None if owner is None else method_of(file, owner, "forward")
            if method is not None and owner is not None and not is_overridden(file, owner, "forward"):
                yield method
            return
        case ast.Name(id=name):
            found = file.bindings(file.source.tree, name)
            if len(found) == 1 and isinstance(found[0].target, ast.FunctionDef):
                yield found[0].target
                return
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            owner = file.class_of(call)
            method = None if owner is None else method_of(file, owner, name)
            if method is not None and owner is not None and not is_overridden(file, owner, name):
                yield method
                return
    for made in makers(file, call.func):
        kind = class_made(file, made)
        forward = None if kind is None else method_of(file, kind, "forward")
        if forward is not None:
            yield forward


def class_made(file: Reading, call: ast.Call) -> ast.ClassDef | None:
    """The class of the file whose instance a call makes."""
    return class_named(file, call.func)


def class_named(file: Reading, node: ast.expr) -> ast.ClassDef | None:
    """The class of the file that a name stands for."""
    found = file.bindings(file.source.tree, node.id) if isinstance(node, ast.Name) else []
    target = found[0].target if len(found) == 1 else None
    return target if isinstance(target, ast.ClassDef) else None


def method_of(file: Reading, owner: ast.ClassDef | None, name: str, depth: int = 0) -> ast.FunctionDef | None:
    """A method of a class, or of the first of its bases that is in the file."""
    if owner is None or depth > _DEEPEST:
        return None
    own = [each for each in owner.body if isinstance(each, ast.FunctionDef) and each.name == name]
    if own:
        is_attribute = any("property" in last_name(each) for each in own[0].decorator_list)
        return own[0] if len(own) == 1 and not is_attribute else None
    first = owner.bases[0] if owner.bases else None
    return None if first is None else method_of(file, class_named(file, first), name, depth + 1)


def is_overridden(file: Reading, owner: ast.ClassDef, name: str) -> bool:
    """Whether a class of the file that is made from this one may define the method anew."""
    below = [each for each in file.all(ast.ClassDef) if any(last_name(base) == owner.name for base in each.bases)]
    return any(isinstance(each, ast.FunctionDef) and each.name == name for kind in below for each in kind.body) or any(
        is_overridden(file, kind, name) for kind in below if kind is not owner
    )


def is_changed_in_place(file: Reading, binding: Binding) -> bool:
    """Whether a method such as `sigmoid_` is called on what an assignment gives a name."""
    uses = file.uses(binding.target) if isinstance(binding.target, ast.Name) else []
    around = (file.parent(each) for each in uses)
    return any(
        isinstance(each, ast.Attribute) and each.attr.endswith("_") and not each.attr.startswith("_") for each in around
    )


def returned(file: Reading, function: ast.FunctionDef) -> list[ast.expr] | None:
    """What a function returns, place by place; None if it may return nothing, or is a generator."""
    returns = [each for each in file.all(ast.Return) if file.function(each) is function]
    values = [each.value for each in returns if each.value is not None]
    yields = [*file.all(ast.Yield), *file.all(ast.YieldFrom)]
    if not values or len(values) < len(returns) or any(file.function(each) is function for each in yields):
        return None
    return values
