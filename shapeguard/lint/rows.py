"""Rows of one number each: by the sizes they are made with, and by the data they are made of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.columns import column_of
from shapeguard.lint.making import returned
from shapeguard.lint.only_model import called
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.lint.thin import SAME_AXES, items_of, thin
from shapeguard.shapes.dim import as_int

DEEPEST = 8
_SEVERAL = re.compile(r"s$|ids|data|vec|embed|feat|coord|pos|box|image|text|token|seq|list")
"""Names of what is more than one number."""
_ONE_FOR_ALL = re.compile(
    r"\bself\b|\bnn\.|mean|std|bias|offset|scale|shift|center|atoms|support|grid|\bbins|bound|threshold|quantile"
)
"""What is flattened and isn't data: a model's own values, what is the same for every row, steps of a scale."""
_SIZED = ("zeros", "ones", "empty", "rand", "randn")
_OF_LISTS = frozenset({"tensor", "as_tensor"})
_FLATTENS = frozenset({"view", "reshape", "flatten", "ravel"})
_COUNTS = re.compile(r"\brange\(")
_MODULES = frozenset({"torch", "nn", "F", "np", "math", "self", "len", "range", "super"})


def row_of(file: Reading, node: ast.expr, left: int = DEEPEST) -> ast.expr | None:
    """What makes a value a row: sizes, or numbers one by one."""
    if left <= 0:
        return None
    is_row = _by_shape(file, node)
    if is_row is not None:
        return node if is_row else None
    if column_of(file, node) == "row" or _is_of_actions(node):
        return node
    match node:
        case ast.Name():
            return _of_name(file, node, left)
        case ast.Call(func=func, args=[ast.ListComp(elt=element), *_]) if last_name(func) in _OF_LISTS:
            return node if _is_singular(element) else None
        case ast.Call(func=func, args=[inner, *_]) if last_name(func) in {"cat", "concat"}:
            return _alike(file, items_of(file, inner), left)
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id="self"), attr=attribute), slice=ast.Name()):
            owner = file.class_of(node)
            stored = [] if owner is None else file.assigned(owner, attribute)
            return node if len(stored) == 1 and _is_made_for_one_size(file, stored[0]) else None
    return None


def flattened(file: Reading, node: ast.expr, left: int = DEEPEST) -> ast.expr | None:
    """Where data is flattened to a row that a value is made of, element by element: `y.view(-1)` of `0.5 * y.view(-1)`.

    A model's own column, flattened, is no data: it may be meant to meet all the others.
    """
    file.spend()
    made = file.origin(node)
    if left <= 0 or thin(file, made) is not None:
        return None
    match made:
        case ast.BinOp(left=first, op=op, right=second) if not isinstance(op, ast.MatMult):
            if thin(file, first) is not None or thin(file, second) is not None:
                return None
            return flattened(file, first, left // 2) or flattened(file, second, left // 2)
        case ast.Call(func=func, args=[ast.ListComp(elt=element) as items, *_]) if last_name(func) in _OF_LISTS:
            return made if _is_singular(element) and not _COUNTS.search(file.text(items)) else None
        case ast.Call(func=ast.Attribute(attr=name)):
            is_function = file.full_name(made.func) is not None
            owner = made.args[0] if is_function and made.args else receiver(made)
            if owner is None:
                return None
            if name in SAME_AXES:
                return flattened(file, owner, left - 1)
            place = argument(made, 1 if is_function else 0, "dim")
            is_row = number(place) == -1 if name == "squeeze" else name in _FLATTENS and column_of(file, made) == "row"
            is_data = thin(file, owner) is None and not _ONE_FOR_ALL.search(file.text(file.origin(owner)))
            return made if is_row and is_data else None
    return None


def _is_of_actions(node: ast.expr) -> bool:
    """Whether the likelihoods of the parts of an action are added up, which leaves one for each row."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Call(func=inner), attr="sum")) if last_name(inner) == "log_prob":
            kept = any(each.arg in {"keepdim", "keepdims"} for each in node.keywords) or len(node.args) > 1
            return not kept and number(argument(node, 0, "dim", "axis")) in {1, -1}
    return False


def _by_shape(file: Reading, node: ast.expr) -> bool | None:
    """Whether a value has one axis of named size, by what the static checker knows; None where that isn't enough."""
    shape = file.shape_of(node)
    if shape is None or shape.axes is None:
        return None
    size = shape.axes[0].size if len(shape.axes) == 1 else None
    if size is not None:
        return as_int(size) is None
    return None if len(shape.axes) == 1 else False


def _of_name(file: Reading, name: ast.Name, left: int) -> ast.expr | None:
    binding = file.definition(name)
    if binding is None or binding.value is None:
        return None
    if binding.index is None:
        return row_of(file, binding.value, left - 1)
    return _alike(file, list(_given(file, binding.value, binding.index)), left)


def _is_made_for_one_size(file: Reading, made: ast.expr) -> bool:
    """Whether a tensor is made with one size that another one beside it has as the first of several."""
    if not isinstance(made, ast.Call) or not file.is_torch(made, *_SIZED) or len(made.args) != 1:
        return False
    size, function = made.args[0], file.function(made)
    others = [each for each in file.calls(*_SIZED) if file.function(each) is function and len(each.args) > 1]
    return isinstance(size, ast.Name) and any(file.text(each.args[0]) == size.id for each in others)


def _alike(file: Reading, values: list[ast.expr], left: int) -> ast.expr | None:
    """What makes several values rows."""
    found = [row_of(file, each, left - 1) for each in values]
    return found[0] if found and None not in found else None


def _given(file: Reading, call: ast.expr, index: int) -> Iterator[ast.expr]:
    """What a call gives at one place: of a function of the file, or of the only method of that name."""
    if not isinstance(call, ast.Call):
        return
    functions = called(file, call)
    if not functions and isinstance(call.func, ast.Attribute):
        functions = [each for each in file.all(ast.FunctionDef) if each.name == last_name(call.func)]
        functions = functions if len(functions) == 1 else []
    for function in functions:
        for value in returned(file, function) or []:
            if isinstance(value, ast.Tuple) and index < len(value.elts):
                yield value.elts[index]


def _is_singular(element: ast.expr) -> bool:
    """Whether the items of a list are numbers, by what they are called: `row["age"]`."""
    match element:
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return not _SEVERAL.search(key)
        case ast.Attribute(attr=key):
            return not _SEVERAL.search(key)
        case ast.Call(func=ast.Name(id="float" | "int" | "len")):
            return True
    return False


def roots(file: Reading, node: ast.expr, left: int = DEEPEST) -> frozenset[str]:
    """The names that a value is made from in the end: parameters, and what nothing is known of."""
    file.spend()
    found: set[str] = set()
    for each in ast.walk(node):
        if not isinstance(each, ast.Name) or each.id in _MODULES or not isinstance(each.ctx, ast.Load):
            continue
        parent = file.parent(each)
        if isinstance(parent, ast.Call) and parent.func is each:
            continue
        binding = file.definition(each)
        if binding is None:
            every = file.bindings(file.scope(each), each.id)
            binding = every[0] if every else None
        if left > 0 and binding is not None and binding.value is not None and not _is_within(each, binding.value):
            for value in _joined(file, binding.value) or [binding.value]:
                found |= roots(file, value, left - 1)
        else:
            statement = None if binding is None else binding.statement
            found.add(f"line {statement.lineno}" if isinstance(statement, ast.For) else each.id)
    return frozenset(found)


def _joined(file: Reading, node: ast.expr) -> list[ast.expr]:
    """The items of a list that is joined to one tensor."""
    match node:
        case ast.Call(func=func, args=[first, *_]) if last_name(func) in {"cat", "concat", "stack"}:
            return items_of(file, first)
    return []


def _is_within(node: ast.AST, around: ast.expr) -> bool:
    return any(each is node for each in ast.walk(around))
