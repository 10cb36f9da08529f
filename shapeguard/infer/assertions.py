"""What an assertion says of sizes from there on: `assert d % h == 0`, `assert x.shape[-1] == 8`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from shapeguard.infer.measures import shape_owner
from shapeguard.infer.renaming import substituted
from shapeguard.infer.steps import written
from shapeguard.infer.values import Symbol, as_size, certain, fill_unknown
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim, as_int, names
from shapeguard.shapes.shape import Axis, Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator


def learn(evaluator: Evaluator, test: ast.expr) -> None:
    """Let the values in scope be what a test says that holds."""
    match test:
        case ast.BoolOp(op=ast.And(), values=values):
            for value in values:
                learn(evaluator, value)
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            _learn_equal(evaluator, left, right)
        case ast.UnaryOp(op=ast.Not(), operand=ast.BinOp(op=ast.Mod(), left=whole, right=part)):
            _learn_divides(evaluator, whole, part)


def _learn_equal(evaluator: Evaluator, left: ast.expr, right: ast.expr) -> None:
    evaluator.aside += 1
    one, other = certain(evaluator.value(left)), certain(evaluator.value(right))
    evaluator.aside -= 1
    if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mod) and other == Dim(0):
        _learn_divides(evaluator, left.left, left.right)
        return
    for node, other_node in ((left, right), (right, left)):
        shape = _whole_shape(node)
        if shape is not None and _whole_shape(other_node) is not None:
            _learn_same_shape(evaluator, node, other_node)
            return
    for node, value in ((left, other), (right, one)):
        size = as_size(value)
        if (place := _axis_read(node)) is not None and isinstance(size, Dim):
            _set_axis(evaluator, *place, size)
    equate(evaluator, as_size(one), as_size(other))


def _learn_divides(evaluator: Evaluator, whole: ast.expr, part: ast.expr) -> None:
    evaluator.aside += 1
    sizes = [as_size(certain(evaluator.value(node))) for node in (whole, part)]
    evaluator.aside -= 1
    if all(isinstance(size, Dim) for size in sizes):
        evaluator.divisible.add((sizes[0], sizes[1]))


def equate(evaluator: Evaluator, one: Any, other: Any) -> None:
    """Let two sizes be one, in every value in scope."""
    if not isinstance(one, Dim) or not isinstance(other, Dim) or one == other:
        return
    for name, size in ((one, other), (other, one)):
        text = str(name)
        if as_int(name) is None and text in names(name) and len(names(name)) == 1 and text not in names(size):
            sizes = {text: size}
            for key, value in list(evaluator.scope.items()):
                evaluator.scope[key] = substituted(value, sizes)
            return


def _learn_same_shape(evaluator: Evaluator, left: ast.expr, right: ast.expr) -> None:
    """`assert x.shape == y.shape`: what isn't known of one is as it is in the other."""
    owners = [_whole_shape(left), _whole_shape(right)]
    known = [certain(evaluator.lookup(name)) if name else UNKNOWN for name in owners]
    shapes = [value.shape.axes if isinstance(value, Tensor) else None for value in known]
    for (name, value, axes), others in zip(zip(owners, known, shapes, strict=True), reversed(shapes), strict=True):
        if others is None or not name or not (isinstance(value, Tensor | Symbol) or value is UNKNOWN):
            continue
        dtype = value.dtype if isinstance(value, Tensor) else None
        if axes is None:
            evaluator.scope[name] = Tensor(Shape(others), dtype)
        elif len(axes) == len(others):
            evaluator.scope[name] = Tensor(fill_unknown(axes, others), dtype)
    if shapes[0] is not None and shapes[1] is not None and len(shapes[0]) == len(shapes[1]):
        for one, other in zip(shapes[0], shapes[1], strict=True):
            equate(evaluator, one.size, other.size)


def _whole_shape(node: ast.expr) -> str | None:
    """The name of the tensor whose whole shape an expression reads."""
    owner = shape_owner(node)
    return owner.id if isinstance(owner, ast.Name) else None


def _axis_read(node: ast.expr) -> tuple[str, int] | None:
    """The name of the tensor, and the axis, whose size an expression reads."""
    match node:
        case ast.Subscript(value=owner, slice=index) if (name := _whole_shape(owner)) is not None:
            position = written(index)
            return None if position is None else (name, position)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="size"), args=[index]):
            position = written(index)
            return None if position is None else (name, position)
    return None


def _set_axis(evaluator: Evaluator, name: str, position: int, size: Dim) -> None:
    known = certain(evaluator.lookup(name))
    axes = known.shape.axes if isinstance(known, Tensor) else None
    if axes is None or not -len(axes) <= position < len(axes) or axes[position].size is not None:
        return
    changed = list(axes)
    changed[position] = Axis.of(size)
    evaluator.scope[name] = Tensor(Shape(tuple(changed)), known.dtype)
