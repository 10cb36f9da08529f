"""What a test says of the names in it, where it holds and where it doesn't."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from shapeguard.infer import follow
from shapeguard.infer.measures import rank_owner, shape_owner
from shapeguard.infer.values import NOTHING, Class, External, Maybe, Scope, Symbol, fill_unknown, join
from shapeguard.ops.registry import find
from shapeguard.ops.values import UNKNOWN, Module, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator


def narrowed(evaluator: Evaluator, test: ast.expr, *, positive: bool) -> Scope:
    """New values of names, where a test holds, or where it doesn't."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return narrowed(evaluator, operand, positive=not positive)
        case ast.BoolOp(op=op, values=values) if isinstance(op, ast.And) is positive:
            found: Scope = {}
            for value in values:
                found.update(narrowed(evaluator, value, positive=positive))
            return found
        case ast.Compare(
            left=ast.Name(id=name),
            ops=[ast.Is() | ast.IsNot() | ast.Eq() | ast.NotEq() as op],
            comparators=[ast.Constant(value=None)],
        ):
            return _without_none(evaluator, name, is_none=isinstance(op, ast.Is | ast.Eq) is positive)
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as op], comparators=[right]) if (
            isinstance(op, ast.Eq) is positive
        ):
            return _of_rank(evaluator, left, right)
        case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), kind]) if positive:
            kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
            return _of_kinds(evaluator, name, [evaluator.resolve(each) for each in kinds])
        case ast.Name(id=name) if positive:
            return _without_none(evaluator, name, is_none=False)
    return {}


def _without_none(evaluator: Evaluator, name: str, *, is_none: bool) -> Scope:
    known = evaluator.lookup(name)
    if isinstance(known, Maybe):
        return {name: None if is_none else known.value}
    return {name: None} if is_none and (known is UNKNOWN or isinstance(known, Symbol)) else {}


def _of_kinds(evaluator: Evaluator, name: str, kinds: list[Any]) -> Scope:
    """`isinstance(module, nn.Linear)`, where nothing else is known of it."""
    known = evaluator.lookup(name)
    if not (known is UNKNOWN or isinstance(known, Symbol)):
        return {}
    found: Any = NOTHING
    for kind in kinds:
        example = _example_of(evaluator, kind)
        if example is UNKNOWN:
            return {}
        found = join(found, example)
    return {name: found}


def _example_of(evaluator: Evaluator, kind: Any) -> Any:
    if isinstance(kind, Class) and kind.find("forward") is not None:
        return follow.example_of(evaluator, kind)
    if not isinstance(kind, External):
        return UNKNOWN
    if kind.name == "torch.Tensor":
        return Tensor(Shape.unknown())
    layer = find(kind.name)
    if layer is None or not layer.is_module:
        return UNKNOWN
    required = [
        UNKNOWN
        for entry in layer.signature.parameters.values()
        if entry.default is entry.empty and entry.kind is entry.POSITIONAL_OR_KEYWORD
    ]
    made = layer(*required)
    return made if isinstance(made, Module) else UNKNOWN


def _of_rank(evaluator: Evaluator, left: ast.expr, right: ast.expr) -> Scope:
    """`x.dim() == 3`, `x.ndim == 3`, `len(x.shape) == 3`, `x.shape == (b, t)`."""
    is_shape = shape_owner(left) is not None
    owner = shape_owner(left) or rank_owner(left)
    if not isinstance(owner, ast.Name):
        return {}
    known = evaluator.lookup(owner.id)
    if isinstance(known, Maybe):
        known = known.value
    if isinstance(known, Symbol) or known is UNKNOWN:
        known = Tensor(Shape.unknown())
    if not isinstance(known, Tensor):
        return {}
    evaluator.aside += 1
    wanted = evaluator.value(right)
    evaluator.aside -= 1
    sizes: tuple[Any, ...] | None = None
    if is_shape and isinstance(wanted, tuple):
        sizes = tuple(size if isinstance(size, Dim) else None for size in wanted)
    elif not is_shape and isinstance(wanted, Dim) and (rank := as_int(wanted)) is not None and 0 <= rank <= 16:  # noqa: PLR2004 - more axes than anyone has
        sizes = (None,) * rank
    if sizes is None:
        return {}
    axes = known.shape.axes
    if axes is None:
        return {owner.id: Tensor(Shape.of(*sizes), known.dtype)}
    if len(axes) != len(sizes):
        return {}
    return {owner.id: Tensor(fill_unknown(axes, Shape.of(*sizes).axes or ()), known.dtype)}
