"""`cat` where `stack` was meant, and the reverse: told by what the result is declared to be, or goes into."""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING

from shapeguard.diagnostics import Edit, Fix
from shapeguard.infer.sources import Sources
from shapeguard.infer.values import certain
from shapeguard.ops.values import Tensor
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator

_OTHER = {"cat": "stack", "concat": "stack", "concatenate": "stack", "stack": "cat"}


def other_way(evaluator: Evaluator, place: ast.expr | ast.stmt, wanted: Shape | None) -> tuple[str | None, Fix | None]:
    """A hint and a fix, if an expression is what is wanted, or is taken by torch, with one join done the other way."""
    if not isinstance(place, ast.expr) or evaluator.depth:
        return None, None
    inlined = _inlined(place, Sources(evaluator.home.source.tree))
    joins = [part for part in ast.walk(inlined) if _joins(part)]
    if len(joins) != 1:
        return None, None
    join = joins[0]
    assert isinstance(join, ast.Call)
    assert isinstance(join.func, ast.Attribute)
    place_of_name = evaluator.home.source.span_of(join.func)
    before, after = ast.unparse(join.func), _OTHER[join.func.attr]
    join.func.attr = after
    evaluator.aside += 1
    try:
        found = certain(evaluator.value(inlined))
    finally:
        evaluator.aside -= 1
    if not isinstance(found, Tensor) or found.shape.axes is None:
        return None, None
    if wanted is not None and found.shape.sizes != wanted.sizes:
        return None, None
    written = ast.unparse(join.func)
    fix = Fix(f"`{written}` in place of `{before}`", (Edit(place_of_name, written),))
    return f"with `{written}` it is {found.shape}", None if evaluator.home.source.cells else fix


def _joins(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr=name)):
            return name in _OTHER
    return False


def _inlined(node: ast.expr, sources: Sources) -> ast.expr:
    """A copy of an expression with each name replaced by the join that surely made it."""
    made = {
        (part.lineno, part.col_offset): value
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
        if (value := sources.made(part)) is not None and _joins(value)
    }

    class Inline(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            return copy.deepcopy(made.get((name.lineno, name.col_offset), name))

    result = Inline().visit(copy.deepcopy(node))
    assert isinstance(result, ast.expr)
    return result
