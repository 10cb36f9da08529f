"""What each expression is."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shapeguard.infer import calls, operators, silent
from shapeguard.infer.attributes import attribute
from shapeguard.infer.narrowing import narrowed
from shapeguard.infer.values import (
    NOTHING,
    WHOLE,
    Dictionary,
    Function,
    Symbol,
    certain,
    join,
    qualified,
)
from shapeguard.ops.indexing import ELLIPSIS
from shapeguard.ops.values import UNKNOWN
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.whole import multiply_back

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator


def _constant(_: Evaluator, node: ast.Constant) -> Any:
    value = node.value
    if isinstance(value, bool | float | str) or value is None:
        return value
    if isinstance(value, int):
        return Dim(value)
    return ELLIPSIS if value is Ellipsis else UNKNOWN


def _name(evaluator: Evaluator, node: ast.Name) -> Any:
    return evaluator.lookup(node.id)


def _attribute(evaluator: Evaluator, node: ast.Attribute) -> Any:
    return attribute(evaluator, certain(evaluator.value(node.value)), node.attr)


def _sequence(evaluator: Evaluator, node: ast.Tuple | ast.List) -> Any:
    return evaluator.items(node.elts)


def _dict(evaluator: Evaluator, node: ast.Dict) -> Any:
    entries: list[tuple[Any, Any]] = []
    is_open = False
    for key, value in zip(node.keys, node.values, strict=True):
        entry = evaluator.value(value)
        if key is not None:
            entries.append((evaluator.value(key), entry))
        elif isinstance(entry := certain(entry), Dictionary):
            entries += entry.items
            is_open = is_open or entry.is_open
        else:
            is_open = True
    return Dictionary((), is_open).with_items(entries)


def _binary(evaluator: Evaluator, node: ast.BinOp) -> Any:
    left, right = _operand(evaluator, node.left), _operand(evaluator, node.right)
    result = operators.operate(type(node.op), left, right)
    if type(node.op) is not ast.MatMult:
        silent.met(evaluator, node, (node.left, node.right), (left, right), result)
    if evaluator.divisible and isinstance(result, Dim) and isinstance(node.op, ast.Mult):
        return multiply_back(result)
    return result


def _operand(evaluator: Evaluator, node: ast.expr) -> Any:
    """The value of an operand; a size that isn't known is a whole number all the same."""
    value = evaluator.value(node)
    if value is UNKNOWN:
        match node:
            case (
                ast.Call(func=ast.Attribute(attr="size"), args=[_])
                | ast.Subscript(value=ast.Attribute(attr="shape"), slice=ast.Constant() | ast.UnaryOp() | ast.Name())
            ):
                return WHOLE
    return value


def _unary(evaluator: Evaluator, node: ast.UnaryOp) -> Any:
    return operators.operate_one(type(node.op), evaluator.value(node.operand))


def _compare(evaluator: Evaluator, node: ast.Compare) -> Any:
    values = [evaluator.value(part) for part in (node.left, *node.comparators)]
    if len(node.ops) == 1:
        result = operators.operate(type(node.ops[0]), *values)
        silent.met(evaluator, node, (node.left, *node.comparators), values, result)
        return result
    return UNKNOWN


def _either(evaluator: Evaluator, node: ast.BoolOp) -> Any:
    is_and = isinstance(node.op, ast.And)
    before = evaluator.scope
    evaluator.scope = dict(before)
    evaluator.uncertain += 1
    result: Any = NOTHING
    for number, part in enumerate(node.values):
        value = evaluator.value(part)
        known = operators.truth(value)
        last = number == len(node.values) - 1
        if known is (not is_and) and isinstance(value, bool):
            # Whatever stood before it, this settles whether the whole is true.
            result = value
            break
        if last or known is (not is_and):
            result = join(result, value)
            break
        if known is None:
            # It may be the result only if it counts as false (and) or true (or).
            settled = value if is_and else certain(value)
            result = join(result, UNKNOWN if is_and and not isinstance(value, bool) else settled)
            if not is_and and isinstance(settled, Symbol) and settled.is_number:
                # `config.head_dim or a // b` is called by the first's name.
                result = settled
                break
        evaluator.scope.update(narrowed(evaluator, part, positive=is_and))
    evaluator.scope = before
    evaluator.uncertain -= 1
    return result


def _if(evaluator: Evaluator, node: ast.IfExp) -> Any:
    return evaluator.branches(node.test, lambda: evaluator.value(node.body), lambda: evaluator.value(node.orelse))


def _subscript(evaluator: Evaluator, node: ast.Subscript) -> Any:
    owner = evaluator.value(node.value)
    index = evaluator.index(node.slice)
    silent.chosen(evaluator, node, owner, index)
    return operators.subscript(owner, index)


def _call(evaluator: Evaluator, node: ast.Call) -> Any:
    return calls.call(evaluator, node)


def _lambda(evaluator: Evaluator, node: ast.Lambda) -> Any:
    name = qualified(evaluator.qualified_name, "<lambda>")
    return Function(node, (evaluator.scope, *evaluator.scopes), name, evaluator.home, evaluator.owner)


def _comprehension(evaluator: Evaluator, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Any:
    return evaluator.comprehension(lambda: evaluator.value(node.elt), node.generators)


def _dict_comprehension(evaluator: Evaluator, node: ast.DictComp) -> Any:
    entries = evaluator.comprehension(lambda: (evaluator.value(node.key), evaluator.value(node.value)), node.generators)
    if not isinstance(entries, tuple):
        return UNKNOWN
    return Dictionary().with_items(entries)


def _named(evaluator: Evaluator, node: ast.NamedExpr) -> Any:
    result = evaluator.value(node.value)
    evaluator.assign(node.target, result, node.value)
    return result


def _inside(evaluator: Evaluator, node: ast.Await | ast.Starred) -> Any:
    return evaluator.value(node.value)


def _yield(evaluator: Evaluator, node: ast.Yield | ast.YieldFrom) -> Any:
    evaluator.is_generator = True
    if node.value is not None:
        evaluator.value(node.value)
    return UNKNOWN


def rest(evaluator: Evaluator, node: ast.expr) -> Any:
    """An expression of a kind that gives nothing known; what is in it is looked at."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            evaluator.value(child)
    return UNKNOWN


def _joined(_: Evaluator, node: ast.JoinedStr) -> Any:  # noqa: ARG001 - a text that isn't known
    return UNKNOWN


HANDLERS: dict[type[ast.expr], Callable[[Evaluator, Any], Any]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Tuple: _sequence,
    ast.List: _sequence,
    ast.Dict: _dict,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.BoolOp: _either,
    ast.IfExp: _if,
    ast.Subscript: _subscript,
    ast.Call: _call,
    ast.Lambda: _lambda,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.SetComp: _comprehension,
    ast.DictComp: _dict_comprehension,
    ast.NamedExpr: _named,
    ast.Await: _inside,
    ast.Starred: _inside,
    ast.JoinedStr: _joined,
    ast.Yield: _yield,
    ast.YieldFrom: _yield,
}
