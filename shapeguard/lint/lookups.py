"""Rows looked up in tables, and whether two values were looked up for the same ids."""

from __future__ import annotations

import ast

from shapeguard.lint.identity import is_same
from shapeguard.lint.reading import Reading, argument, last_name, number

_LAST = -1


def looked_up(file: Reading, call: ast.expr) -> ast.expr | None:
    """The ids that a layer of embeddings is given."""
    if not isinstance(call, ast.Call) or len(call.args) != 1:
        return None
    made = file.layer(call.func)
    return call.args[0] if made is not None and file.is_torch(made, "Embedding") else None


def is_of_one(file: Reading, call: ast.Call) -> bool:
    """Whether a table of one number for each id is looked up in."""
    made = file.layer(call.func) if looked_up(file, call) is not None else None
    return made is not None and number(argument(made, 1, "embedding_dim")) == 1


def product_of(file: Reading, node: ast.expr, ids: ast.expr) -> bool:
    """Whether a value is the inner product of what was looked up for these ids: `(P(u) * Q(i)).sum(1)`."""
    made = file.origin(node)
    if not isinstance(made, ast.Call) or last_name(made.func) != "sum":
        return False
    of, place = file.given(made, 0, "input"), number(file.given(made, 1, "dim", "axis"))
    if of is None or place not in {1, _LAST} or any(each.arg in {"keepdim", "keepdims"} for each in made.keywords):
        return False
    match file.origin(of):
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return any(_is_for(file, each, ids) for each in (left, right))
    return False


def _is_for(file: Reading, node: ast.expr, ids: ast.expr) -> bool:
    given = looked_up(file, file.origin(node))
    return (
        isinstance(given, ast.Name | ast.Subscript | ast.Attribute)
        and file.text(given) == file.text(ids)
        and (not isinstance(given, ast.Name) or not isinstance(ids, ast.Name) or is_same(file, given, ids))
    )


def is_single(file: Reading, node: ast.Attribute) -> bool:
    """Whether an attribute is a parameter of one element: `nn.Parameter(torch.zeros(1))`."""
    owner = file.class_of(node) if isinstance(node.value, ast.Name) and node.value.id == "self" else None
    put = [] if owner is None else file.assigned(owner, node.attr)
    match put:
        case [ast.Call(args=[inner, *_]) as made] if file.is_torch(made, "Parameter"):
            pass
        case _:
            return False
    match inner:
        case ast.Call(args=[given]) if file.is_torch(inner, "zeros", "ones", "rand", "randn", "empty"):
            return number(given) == 1
        case ast.Call(args=[ast.Constant() | ast.UnaryOp() as given, *_]) if file.is_torch(inner, "tensor"):
            return number(given) is not None or isinstance(getattr(given, "value", None), float)
    return False
