"""Steps that torch takes and that are likely wrong: noted where values meet, judged when the file has been read."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from shapeguard.infer.values import Bound, External, Maybe, certain
from shapeguard.ops.registry import Op, find
from shapeguard.ops.values import Module, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import BroadcastMismatch, LayerShapeMismatch, Mismatch, OrderMismatch, Scrambled
from shapeguard.shapes.shape import Shape, same_order

if TYPE_CHECKING:
    from shapeguard.diagnostics import Fix
    from shapeguard.infer.evaluator import Evaluator

_ELEMENTWISE = frozenset({"shapeguard.ops.pointwise", "shapeguard.ops.blending"})
_LOSSES = "shapeguard.ops.losses"
_JOINS = frozenset({"cat", "concat", "concatenate"})
_BY_FORM = frozenset({"softmax", "joined", "alike", "kept", "picked", "spread", "cosine", "stacked", "rows"})
"""Suspects that are judged by how the code is written, without the shapes of their operands."""
_WRITTEN = {
    "softmax": "softmax",
    "gather": "picked",
    "take_along_dim": "picked",
    "std": "spread",
    "var": "spread",
    "normalize": "cosine",
    "norm": "cosine",
    "stack": "stacked",
}
"""What a method or function is called -> the kind of suspect that its call is."""
_VIEWS = ("view", "reshape")


class Part(NamedTuple):
    """A tensor that takes part in a step."""

    node: ast.expr
    shape: Shape


ShapeAt: TypeAlias = Callable[[ast.expr], Shape | None]
"""What is known of the shape of an expression, once the file has been read."""


@dataclass(frozen=True)
class Suspect:
    """A step that may be wrong, with what is needed to judge it."""

    node: ast.expr
    kind: str
    parts: tuple[Part, ...]
    function: str
    notes: tuple[str, ...]
    result: Shape | None = None
    mismatch: Mismatch | None = None
    axis: int | None = None
    """Over which axis a layer works that was made elsewhere."""


@dataclass(frozen=True)
class Verdict:
    """What is said of a step."""

    code: str
    name: str
    message: str
    notes: tuple[str, ...] = ()
    hint: str | None = None
    fix: Fix | None = None
    preview: bool = False
    place: ast.expr | None = None
    """Where it is said, if that isn't the step itself."""


def met(evaluator: Evaluator, node: ast.expr, nodes: Sequence[ast.expr], values: Sequence[Any], result: Any) -> None:
    """Look at an elementwise step with two or more operands."""
    if type(node) is ast.BinOp and _are_one(node) and not evaluator.aside and not evaluator.quiet:
        _note(evaluator, node, "alike", (), result)
    tensors = 0
    for value in values:
        tensors += isinstance(value, Tensor | Maybe)
    if tensors < 2 or evaluator.quiet or evaluator.aside or evaluator.reporter.guessing:  # noqa: PLR2004 - a pair
        return
    parts = _parts(nodes, values)
    if len(parts) == 1 and parts[0].node is not nodes[0] and _is_masking(node):
        _meet_unknown(evaluator, node, nodes[0], parts[0], result)
    for number, left in enumerate(parts):
        for right in parts[number + 1 :]:
            _meet(evaluator, node, left, right, result)


def _are_one(node: ast.BinOp) -> bool:
    """Whether a value with an axis put in meets itself with the axis at the same place."""
    match node.left, node.right:
        case ast.Call(func=ast.Attribute(attr="unsqueeze")), ast.Call(func=ast.Attribute(attr="unsqueeze")):
            return ast.unparse(node.left) == ast.unparse(node.right)
        case ast.Subscript(slice=ast.Tuple(elts=items)), ast.Subscript() if any(
            isinstance(item, ast.Constant) and item.value is None for item in items
        ):
            return ast.unparse(node.left) == ast.unparse(node.right)
    return False


def _parts(nodes: Sequence[ast.expr], values: Sequence[Any]) -> list[Part]:
    """The operands of known rank, without scalars."""
    known = zip(nodes, map(certain, values), strict=False)
    return [Part(node, value.shape) for node, value in known if isinstance(value, Tensor) and value.shape.axes]


def _meet(evaluator: Evaluator, node: ast.expr, left: Part, right: Part, result: Any) -> None:
    if _is_masking(node) and _is_constant_along_last(left.shape, right.shape):
        _note(evaluator, node, "mask", (left, right), result)
    if stretches_both(left.shape, right.shape):
        _note(evaluator, node, "outer", (left, right), result)
    doubt = result.shape.doubt if isinstance(result, Tensor) else None
    if isinstance(doubt, BroadcastMismatch):
        _note(evaluator, node, "misaligned", (left, right), result, doubt)


def _meet_unknown(evaluator: Evaluator, node: ast.expr, scores: ast.expr, mask: Part, result: Any) -> None:
    """Look at a mask alone, where nothing is known of the shape of what it masks."""
    axes = mask.shape.axes or ()
    if len(axes) > 2 and axes[-1].size == 1 and axes[-2].size is not None and axes[-2].size != 1:  # noqa: PLR2004 - more than a column
        _note(evaluator, node, "mask", (Part(scores, Shape.unknown()), mask), result)


def _is_masking(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="masked_fill" | "masked_fill_")):
            return True
        case ast.BinOp(op=ast.Add(), right=ast.Name(id=name)):
            return "mask" in name
    return False


def _is_constant_along_last(scores: Shape, mask: Shape) -> bool:
    axes, others = scores.axes or (), mask.axes or ()
    if len(others) < 2 or len(others) > len(axes):  # noqa: PLR2004 - rows and columns
        return False
    return others[-1].size == 1 and axes[-1].size is not None and axes[-1].size != 1 and others[-2].size != 1


def written(evaluator: Evaluator, node: ast.Call, result: Any) -> None:
    """Look at a call whose form alone may tell, whether its operands are known or not."""
    if evaluator.quiet or evaluator.aside or evaluator.reporter.guessing:
        return
    if not isinstance(node.func, ast.Attribute):
        if isinstance(node.func, ast.Name) and node.func.id == "softmax":
            _note(evaluator, node, "softmax", (), result)
        return
    method = node.func.attr
    if method in _WRITTEN:
        _note(evaluator, node, _WRITTEN[method], (), result)
    elif method in _VIEWS and isinstance(result, Tensor) and len(result.shape.axes or ()) > 1:
        _note(evaluator, node, "rows", (), result)
    elif method in _JOINS and node.args and isinstance(node.args[0], ast.ListComp | ast.Name | ast.List | ast.Tuple):
        _note(evaluator, node, "joined", (), result)
    elif node.keywords and any(keyword.arg in ("keepdim", "keepdims") for keyword in node.keywords):
        _note(evaluator, node, "kept", (), result)


def called(
    evaluator: Evaluator, node: ast.Call, function: Any, arguments: Sequence[Any], named: Mapping[str, Any], result: Any
) -> None:
    """Look at a call: an elementwise operation, a loss, or something that made a doubtful shape."""
    if evaluator.quiet or evaluator.aside or evaluator.reporter.guessing:
        return
    if not isinstance(result, Tensor):
        return
    if type(function) is Module and function.attributes.keys() == {"dim"} and arguments:
        _note_layer(evaluator, node, function, certain(arguments[0]), result)
        return
    operation: Any = None
    nodes = list(node.args)
    values = list(arguments)
    if type(function) is External:
        operation = find(function.name)
    elif type(function) is Bound and isinstance(function.call, Op) and isinstance(node.func, ast.Attribute):
        operation = function.call
        nodes.insert(0, node.func.value)
        values.insert(0, function.owner)
    room = operation.function.__module__ if operation is not None else ""
    names = () if operation is None else operation.names
    if len(nodes) != len(values) or any(isinstance(each, ast.Starred) for each in nodes):
        return
    nodes += [keyword.value for keyword in node.keywords if keyword.arg is not None and keyword.arg in named]
    values += [named[keyword.arg] for keyword in node.keywords if keyword.arg is not None and keyword.arg in named]
    if room in _ELEMENTWISE or "Tensor.masked_fill" in names:
        met(evaluator, node, nodes, values, result)
    elif "torch.einsum" in names:
        _note(evaluator, node, "einsum", tuple(_parts(nodes, values)), result)
    elif room == _LOSSES or isinstance(function, Module):
        _loss(evaluator, node, nodes, values, result)


def _note_layer(evaluator: Evaluator, node: ast.Call, layer: Module, given: Any, result: Tensor) -> None:
    """Look at a softmax that was made as a layer: what has an axis alone, and keeps the shape."""
    axis = layer.attributes["dim"]
    if isinstance(axis, Dim) and isinstance(given, Tensor) and given.shape.sizes == result.shape.sizes is not None:
        suspect = Suspect(node, "softmax layer", (), evaluator.qualified_name, (), result.shape, axis=as_int(axis))
        evaluator.reporter.suspect(evaluator, suspect)


def _loss(
    evaluator: Evaluator, node: ast.Call, nodes: Sequence[ast.expr], values: Sequence[Any], result: Tensor
) -> None:
    parts = _parts(nodes, values)[:2]
    is_loss = result.shape.axes == () or isinstance(result.shape.doubt, LayerShapeMismatch)
    if len(parts) == 2 and is_loss and stretches_both(parts[0].shape, parts[1].shape):  # noqa: PLR2004 - a pair
        _note(evaluator, node, "loss", tuple(parts), result)
    elif len(parts) == 2 and is_loss:  # noqa: PLR2004 - a pair
        _pair_rows(evaluator, node, *parts)


def chosen(evaluator: Evaluator, node: ast.Subscript, owner: Any, index: Any) -> None:
    """Look at `x[mask]`."""
    if type(index) is Tensor and type(owner) is Tensor and index.dtype == "bool":
        parts = _parts((node.value, node.slice), (owner, index))
        if len(parts) == 2 and not (evaluator.quiet or evaluator.aside or evaluator.reporter.guessing):  # noqa: PLR2004 - a pair
            _pair_rows(evaluator, node, *parts)
    elif type(owner) is Tensor and type(node.slice) is ast.Name and owner.shape.axes and not evaluator.quiet:
        factors = owner.shape.axes[0].factors
        if factors is not None and len(factors) > 1 and not (evaluator.aside or evaluator.reporter.guessing):
            _note(evaluator, node, "taken", (Part(node.value, owner.shape),), None)


def _pair_rows(evaluator: Evaluator, node: ast.expr, left: Part, right: Part) -> None:
    """Hold the orders of rows against each other."""
    for place, (one, other) in enumerate(zip(left.shape.axes or (), right.shape.axes or (), strict=False)):
        if (
            one.size != 1
            and one.factors != other.factors
            and same_order(one, other) is False
            and one.size == other.size
        ):
            doubt = OrderMismatch(one.factors or (), other.factors or (), place)
            _note(evaluator, node, "order", (left, right), None, doubt)
            return


def doubted(evaluator: Evaluator, node: ast.expr, doubt: Mismatch) -> None:
    """Look at a shape that torch makes and that mixes elements up."""
    if isinstance(doubt, Scrambled | OrderMismatch) and not (
        evaluator.quiet or evaluator.aside or evaluator.reporter.guessing
    ):
        _note(evaluator, node, "order", (), None, doubt)


def _note(
    evaluator: Evaluator,
    node: ast.expr,
    kind: str,
    parts: tuple[Part, ...],
    result: Any,
    mismatch: Mismatch | None = None,
) -> None:
    shape = result.shape if isinstance(result, Tensor) else None
    notes = () if kind in _BY_FORM else evaluator.notes_of(node)
    if evaluator.depth and evaluator.called_at is not None:
        notes = (*notes, f"as called on line {evaluator.called_at}")
    suspect = Suspect(node, kind, parts, evaluator.qualified_name, notes, shape, mismatch)
    evaluator.reporter.suspect(evaluator, suspect)


def stretches_both(left: Shape, right: Shape) -> bool:
    """Whether two shapes of different rank are both stretched, one along a literal 1, the other along a missing axis."""
    longer, shorter = (left.axes or (), right.axes or ())
    if len(longer) < len(shorter):
        longer, shorter = shorter, longer
    if not shorter or len(longer) == len(shorter):
        return False
    missing = longer[: len(longer) - len(shorter)]
    return any(axis.size != 1 for axis in missing) and any(
        one.size == 1 and other.size != 1 for one, other in zip(longer[len(missing) :], shorter, strict=True)
    )
