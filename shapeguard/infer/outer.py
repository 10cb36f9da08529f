"""Values paired each with all of the other side because a literal 1 met a missing axis, and nobody wanted that."""

from __future__ import annotations

import ast
from typing import NamedTuple

from shapeguard.diagnostics import Edit, Fix, Span
from shapeguard.infer.silent import Part, ShapeAt, Suspect, Verdict, stretches_both
from shapeguard.infer.sources import Sources, plain_step
from shapeguard.infer.steps import short_text_of
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.shape import Shape
from shapeguard.source.file import Source

_DEEPEST = 12
_INSERTS = frozenset({
    "unsqueeze", "unsqueeze_", "expand_dims", "rearrange", "t", "transpose", "permute", "swapaxes", "movedim",
    "meshgrid", "outer", "atleast_2d", "broadcast_to", "expand", "expand_as", "mT", "T",
})  # fmt: skip
_RESHAPES = frozenset({"view", "reshape"})
_COUNTS = frozenset({"arange", "linspace", "range", "logspace", "triu_indices", "tril_indices"})
_OF_MATRICES = frozenset({
    "T", "mT", "t", "transpose", "triu", "tril", "diag", "diagonal", "fill_diagonal_", "masked_fill", "masked_fill_",
    "topk", "sort", "argsort", "softmax", "log_softmax", "logsumexp", "matmul", "mm", "cross_entropy", "nonzero",
    "trace", "svd", "eigh", "cholesky", "unsqueeze", "permute", "einsum", "pairwise_distance", "index_select",
})  # fmt: skip
_REDUCES = frozenset(
    {"sum", "mean", "min", "max", "any", "all", "prod", "std", "var", "amin", "amax", "argmin", "argmax"}
)
_GIVES_MATRICES = frozenset({"matmul", "mm", "bmm", "einsum", "cdist", "addmm", "outer", "tensordot"})
_LEAST_RANK = 2


class Origin(NamedTuple):
    """Where an axis of 1 comes from."""

    kind: str
    """`inserted` by an index, a view or unsqueeze; `kept` by keepdim; `made` by a layer, a gather, an annotation."""
    node: ast.expr
    is_here: bool
    """Whether it stands in the step itself, and not on an earlier line."""


def judge_outer(suspect: Suspect, sources: Sources, source: Source, shape_at: ShapeAt) -> Verdict | None:
    """What is said of two operands that both stretch; None where it is on purpose."""
    longer, shorter = sorted(suspect.parts, key=lambda part: -len(part.shape.axes or ()))
    together = _stretched(longer.shape, shorter.shape)
    if suspect.kind == "loss":
        return _verdict(suspect, longer, shorter, together, origin_of(longer.node, sources), source, preview=False)
    is_told = _repeated(longer.shape, shorter.shape) is not None
    if not is_told and not _may_repeat(longer.shape, shorter.shape):
        return None
    if _is_averaged(suspect.node, sources) or any(_counts(part.node, sources) for part in suspect.parts):
        return None
    origin = origin_of(longer.node, sources)
    is_shared = bool(sources.roots(longer.node) & sources.roots(shorter.node))
    if origin.kind == "inserted" and (is_shared or not is_told):
        return None
    is_hidden = _chooses(suspect.node) or _is_hidden(suspect.node, sources)
    preview = origin.kind == "inserted" or (not is_hidden and (not is_told or (origin.kind == "kept" and is_shared)))
    if _is_matrix(suspect, sources, shape_at, is_made=origin.kind == "made"):
        return None
    return _verdict(suspect, longer, shorter, together, origin, source, preview=preview)


def _repeated(longer: Shape, shorter: Shape) -> Dim | None:
    """The size that the result has twice: once from each operand."""
    long, short = longer.axes or (), shorter.axes or ()
    surplus = len(long) - len(short)
    missing = {axis.size for axis in long[:surplus] if axis.size is not None and axis.size != 1}
    for one, other in zip(long[surplus:], short, strict=True):
        if one.size == 1 and other.size in missing:
            return other.size
    return None


def judge_kept(suspect: Suspect, sources: Sources, shape_at: ShapeAt) -> Verdict | None:
    """A reduction that keeps its axis and meets one over the same axis, of the same value, that doesn't.

    Where the shapes of both are known, the step is judged by them.
    """
    assert isinstance(suspect.node, ast.Call)
    dim = _reduced(suspect.node)
    if dim is None:
        return None
    for value, around in sources.uses(suspect.node):
        for step, mine, other in _steps(value, around, sources):
            reduced = _unscaled(other, sources)
            if not isinstance(reduced, ast.Call) or _keeps(reduced) or _reduced(reduced) != dim:
                continue
            if not sources.roots(suspect.node) & sources.roots(reduced) or _is_averaged(step, sources):
                continue
            if not (_chooses(step) or _is_hidden(step, sources)) or _stretch(shape_at(mine), shape_at(other)):
                continue
            message = (
                f"`{short_text_of(mine)}` keeps the axis that it is reduced over and `{short_text_of(other)}` doesn't: "
                f"`{short_text_of(step)}` pairs each value with all of the other side"
            )
            notes = tuple(f"{short_text_of(made)}, line {made.lineno}" for made in (suspect.node, reduced))
            return Verdict("SG701", "outer-broadcast", message, notes, place=step)
    return None


def _unscaled(node: ast.expr, sources: Sources) -> ast.expr:
    """The expression that a value's axes come from, through factors that have a name."""
    made = sources.same_axes(node)
    match made:
        case (
            ast.BinOp(left=ast.Name() | ast.Attribute(), op=ast.Mult() | ast.Div(), right=other)
            | ast.BinOp(left=other, op=ast.Mult() | ast.Div(), right=ast.Name() | ast.Attribute())
        ):
            return sources.same_axes(other)
    return made


def _steps(value: ast.expr, around: ast.AST, sources: Sources) -> list[tuple[ast.expr, ast.expr, ast.expr]]:
    """The steps in which a value meets another one: the step, the value's side, the other side."""
    match around:
        case ast.BinOp(op=ast.Add() | ast.Sub(), left=left, right=right):
            other = right if left is value else left
            found: list[tuple[ast.expr, ast.expr, ast.expr]] = [(around, value, other)]
            # `margin - kept + reduced` is two steps.
            outer = sources.parents.get(around)
            if isinstance(outer, ast.BinOp) and isinstance(outer.op, ast.Add | ast.Sub):
                found.append((outer, around, outer.right if outer.left is around else outer.left))
            return found
        case ast.Call(func=ast.Attribute(attr="where" | "maximum" | "minimum"), args=arguments):
            return [(around, value, other) for other in arguments if other is not value]
    return []


def _chooses(node: ast.expr) -> bool:
    """Whether a step takes one of two values, which is never done to every pair on purpose."""
    return getattr(getattr(node, "func", None), "attr", "") in ("where", "maximum", "minimum")


def _keeps(node: ast.Call) -> bool:
    return any(
        keyword.arg in ("keepdim", "keepdims") and getattr(keyword.value, "value", True) for keyword in node.keywords
    )


def _reduced(node: ast.Call) -> str | None:
    """The one axis that a method reduces a value over, as it is written."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _REDUCES:
        return None
    given = [keyword.value for keyword in node.keywords if keyword.arg in ("dim", "axis")] or node.args[:1]
    return ast.unparse(given[0]) if len(given) == 1 and ast.unparse(given[0]).lstrip("-").isdigit() else None


def _may_repeat(longer: Shape, shorter: Shape) -> bool:
    """Whether a column of unknown length meets a row of unknown length."""
    long, short = longer.sizes or (), shorter.sizes or ()
    if len(long) != _LEAST_RANK or len(short) != 1 or long[1] != 1:
        return False
    return long[0] is None and short[0] is None


def _is_hidden(node: ast.expr, sources: Sources) -> bool:
    """Whether a mean or a sum over everything takes what comes out."""
    return any(_reduced_whole(value, around) in ("mean", "sum") for value, around in sources.uses(node))


def _is_averaged(node: ast.expr, sources: Sources) -> bool:
    """Whether only the mean of a sum or a difference is taken, which is the same over all pairs."""
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)):
        return False
    uses = list(sources.uses(node))
    return bool(uses) and all(
        _reduced_whole(value, around) == "mean"
        and (value is node or (isinstance(value, ast.Name) and sources.made(value) is node))
        for value, around in uses
    )


def _reduced_whole(value: ast.expr, around: ast.AST) -> str | None:
    """The call that takes a value with all its axes and nothing else: `x.mean()`, `torch.sum(x)`."""
    match around:
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=[], keywords=[]) if owner is value:
            return name
        case ast.Call(func=ast.Attribute(attr=name), args=[only], keywords=[]) if only is value:
            return name
    return None


def _stretch(one: Shape | None, other: Shape | None) -> bool:
    return one is not None and other is not None and stretches_both(one, other)


def _stretched(longer: Shape, shorter: Shape) -> Shape:
    long, short = longer.axes or (), shorter.axes or ()
    surplus = len(long) - len(short)
    rest = [other if one.size == 1 else one for one, other in zip(long[surplus:], short, strict=True)]
    return Shape((*long[:surplus], *rest))


def origin_of(node: ast.expr, sources: Sources) -> Origin:
    """Where the axis of 1 in a value comes from, as far as straight lines of code tell."""
    return _origin(node, sources, 0, is_here=True) or Origin("made", sources.same_axes(node), is_here=False)


def _origin(node: ast.expr, sources: Sources, depth: int, *, is_here: bool) -> Origin | None:
    if depth > _DEEPEST:
        return None
    if isinstance(node, ast.Name):
        made = sources.made(node)
        return None if made is None else _origin(made, sources, depth + 1, is_here=False)
    if _inserts(node):
        return Origin("inserted", node, is_here)
    if isinstance(node, ast.Call) and _keeps(node):
        return Origin("kept", node, is_here)
    inner = plain_step(node)
    parts: list[ast.expr] = [] if inner is None else [inner]
    if inner is None:
        match node:
            case ast.BinOp(left=left, right=right):
                parts = [left, right]
            case ast.Subscript(value=value):
                parts = [value]
            case ast.IfExp(body=body, orelse=orelse):
                parts = [body, orelse]
            case ast.Call(func=ast.Attribute(value=value, attr="view" | "reshape" | "squeeze" | "masked_fill")):
                parts = [value]
            case ast.Call(func=ast.Attribute(attr="matmul" | "mm" | "bmm"), args=factors):
                parts = factors
    found = [each for part in parts if (each := _origin(part, sources, depth + 1, is_here=is_here)) is not None]
    return found[0] if found else None


def _inserts(node: ast.expr) -> bool:
    """Whether an expression puts an axis of 1, or axes in another order, into its result by itself."""
    match node:
        case ast.Subscript(slice=index):
            items = index.elts if isinstance(index, ast.Tuple) else [index]
            return any(
                (isinstance(item, ast.Constant) and item.value is None)
                or (isinstance(item, ast.Attribute) and item.attr == "newaxis")
                for item in items
            )
        case ast.Attribute(attr="T" | "mT"):
            return True
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=arguments):
            if name in _RESHAPES:
                flat = [item for part in arguments for item in (getattr(part, "elts", None) or [part])]
                return any(isinstance(item, ast.Constant) and item.value == 1 for item in flat)
            return name in _INSERTS
    return False


def _counts(node: ast.expr, sources: Sources) -> bool:
    """Whether a value is a row of numbers that are counted off, as for a mask."""
    for part in ast.walk(sources.same_axes(node)):
        if isinstance(part, ast.Call) and getattr(part.func, "attr", getattr(part.func, "id", "")) in _COUNTS:
            return True
    return False


def _is_matrix(suspect: Suspect, sources: Sources, shape_at: ShapeAt, *, is_made: bool) -> bool:
    """Whether what comes out is used as what has both axes."""
    for value, around in sources.uses(suspect.node):
        others: list[ast.expr] = []
        match around:
            case ast.BinOp(op=ast.MatMult()) | ast.Subscript(slice=ast.Tuple()):
                return True
            case ast.BinOp(left=left, right=right):
                others = [left, right]
            case ast.Compare(left=left, comparators=rest):
                others = [left, *rest]
            case ast.Attribute(attr=name) if name in _OF_MATRICES:
                return True
            case ast.Call():
                if _takes_matrix(around, value, is_made=is_made):
                    return True
                others = around.args
        if any(_is_square(other, suspect, sources, shape_at) for other in others if other is not value):
            return True
    return False


def _is_square(node: ast.expr, suspect: Suspect, sources: Sources, shape_at: ShapeAt) -> bool:
    """Whether a value has both axes of the result, or is a product of matrices."""
    shape = shape_at(node)
    if shape is not None and shape.axes is not None:
        return _has_both(shape, suspect.result)
    for part in ast.walk(sources.same_axes(node)):
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.MatMult):
            return True
        if isinstance(part, ast.Call) and getattr(part.func, "attr", "") in _GIVES_MATRICES:
            return True
    return False


def _takes_matrix(call: ast.Call, value: ast.expr, *, is_made: bool) -> bool:
    """Whether a call is one for values with several axes."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    of_value = isinstance(call.func, ast.Attribute) and call.func.value is value
    by_axis = bool(call.args[0 if of_value else 1 :]) or any(each.arg in ("dim", "axis") for each in call.keywords)
    return name in _OF_MATRICES or (not is_made and name in _REDUCES and by_axis)


def _has_both(shape: Shape | None, result: Shape | None) -> bool:
    """Whether a shape has the last two axes of the result, both longer than 1."""
    if shape is None or result is None or shape.axes is None or result.axes is None or len(shape.axes) < _LEAST_RANK:
        return False
    return [axis.size for axis in shape.axes[-2:]] == [axis.size for axis in result.axes[-2:]]


def _verdict(
    suspect: Suspect, longer: Part, shorter: Part, together: Shape, origin: Origin, source: Source, *, preview: bool
) -> Verdict:
    left, right = suspect.parts
    step = ast.unparse(suspect.node.func) if isinstance(suspect.node, ast.Call) else short_text_of(suspect.node)
    what = "compares" if suspect.kind == "loss" else "pairs"
    message = (
        f"`{step}` {what} each of `{short_text_of(left.node)}` with every one of `{short_text_of(right.node)}`: "
        f"{left.shape} with {right.shape} is {together}"
    )
    place = origin.node.lineno
    line = "" if place == suspect.node.lineno else f", line {place}"
    text = short_text_of(origin.node)
    notes = (
        suspect.notes
        if text == short_text_of(longer.node)
        else (*suspect.notes, f"the axis of 1 is that of: {text}{line}")
    )
    hint, fix = _mended(longer, shorter, source)
    return Verdict("SG701", "outer-broadcast", message, notes, hint, fix, preview)


def _mended(longer: Part, shorter: Part, source: Source) -> tuple[str | None, Fix | None]:
    """Take the last axis away where that makes both alike."""
    axes = longer.shape.axes or ()
    squeezed = Shape(axes[:-1])
    if axes[-1].size != 1 or squeezed.axes != shorter.shape.axes or source.cells:
        return None, None
    plain = isinstance(longer.node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    text = short_text_of(longer.node)
    written = f"{text}.squeeze(-1)" if plain else f"({text}).squeeze(-1)"
    span = source.span_of(longer.node)
    edits = [
        Edit(
            Span(span.end_line, span.end_column, span.end_line, span.end_column),
            ".squeeze(-1)" if plain else ").squeeze(-1)",
        )
    ]
    if not plain:
        edits.insert(0, Edit(Span(span.line, span.column, span.line, span.column), "("))
    return f"`{written}` is {squeezed}", Fix(f"Take the last axis away: `{written}`", tuple(edits))
