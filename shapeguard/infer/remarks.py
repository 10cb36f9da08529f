"""What comments and docstrings say of shapes, where nothing better is known."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from shapeguard.infer import drifting
from shapeguard.infer.values import Maybe, Symbol, certain, fill_unknown
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim, as_int, names, substitute
from shapeguard.shapes.docstring import docstring_shapes
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shapeguard.infer.evaluator import Evaluator
    from shapeguard.infer.files import File
    from shapeguard.shapes.prose import ProseShape


def of_parameters(home: File, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Mapping[str, Shape]:
    """What a function's docstring, and the comments before its first statement, say of its parameters."""
    found: dict[str, Shape] = {}
    text = ast.get_docstring(node, clean=True)
    if text:
        used: set[Dim] = set()
        for name, stated in docstring_shapes(text).items():
            shape = shape_of(stated, {})
            if shape is None or shape.axes is None:
                continue
            # Docstrings are copied: that two parameters have a `seq_len` doesn't make it one.
            sizes = [axis.size if axis.size not in used else None for axis in shape.axes]
            found[name] = Shape.of(*sizes)
            used |= {
                size
                for size in sizes
                if size is not None and str(size).lower() not in drifting.BATCH and as_int(size) is None
            }
    first = node.body[0].lineno
    for line in range(node.lineno, first):
        stated_here = home.comment_shape(line)
        if stated_here is None:
            continue
        subject = stated_here.subject
        parameters = [each for each in (*node.args.args, *node.args.kwonlyargs) if each.lineno == line]
        if not subject and len(parameters) == 1 and parameters[0].arg != "self":
            subject = parameters[0].arg
        if subject and (shape := shape_of(stated_here, {})) is not None:
            found.setdefault(subject, shape)
    return found


def applied(evaluator: Evaluator, node: ast.Assign | ast.AnnAssign | ast.Return, value: Any) -> Any:
    """The value of a statement, with what the comment on its line adds; no finding stands on a comment."""
    if not evaluator.reporter.guessing:
        drifting.weigh_comment(evaluator, node, *_told(node, value))
        if not evaluator.reporter.trusting:
            return value
    home = evaluator.home
    stated = home.comment_shape(node.end_lineno or node.lineno) or home.comment_shape(node.lineno)
    if stated is None:
        return value
    target = _target(node)
    if stated.subject and stated.subject != target:
        return value
    if isinstance(node, ast.Assign) and target is None:
        return value
    known = certain(value)
    if not (isinstance(known, Tensor) or known is UNKNOWN or (isinstance(known, Symbol) and not known.is_number)):
        return value
    shape = shape_of(stated, evaluator.scope)
    if shape is None or shape.axes is None:
        return value
    if isinstance(known, Tensor) and known.shape.axes is not None:
        axes = known.shape.axes
        if len(axes) != len(shape.axes) or all(axis.size is not None for axis in axes):
            return value
        shape = fill_unknown(axes, shape.axes)
    result = Tensor(shape, known.dtype if isinstance(known, Tensor) else None)
    return Maybe(result) if isinstance(value, Maybe) else result


def _told(node: ast.Assign | ast.AnnAssign | ast.Return, value: Any) -> tuple[Any, str | None]:
    """What a comment is about, and its name: of `out, _ = lstm(x)` the only one that is kept."""
    known = certain(value)
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)]) if isinstance(known, tuple) and len(known) == len(targets):
            kept = [at for at, each in enumerate(targets) if not (isinstance(each, ast.Name) and each.id == "_")]
            name = targets[kept[0]] if len(kept) == 1 else None
            return (known[kept[0]], name.id) if isinstance(name, ast.Name) else (value, None)
    return value, _target(node)


def _target(node: ast.Assign | ast.AnnAssign | ast.Return) -> str | None:
    if isinstance(node, ast.Return):
        return "return"
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if len(targets) != 1:
        return None
    target = targets[0]
    return target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else None


def shape_of(stated: ProseShape, scope: Mapping[str, Any]) -> Shape | None:
    """The shape that is stated, its words read as the names in scope; None where several axes stand in one word."""
    if stated.variadic is not None:
        return None
    sizes: list[Dim | None] = []
    for size in stated.prefix:
        if size is None:
            sizes.append(None)
            continue
        known = {name: value for name in names(size) if isinstance(value := scope.get(name), Dim)}
        sizes.append(substitute(size, known) if known else size)
    return Shape.of(*sizes)
