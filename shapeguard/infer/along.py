"""Steps along another axis than the one that is meant: a gather, a spread, a cosine, a mean of what was stacked, a join."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.diagnostics import Edit, Fix
from shapeguard.infer.silent import ShapeAt, Suspect, Verdict
from shapeguard.infer.sources import Sources
from shapeguard.infer.steps import BATCHES, call_of, is_module, text_of, written
from shapeguard.shapes.shape import Shape
from shapeguard.source.file import Source

_CODE = ("SG703", "axis-mixup")
_PRODUCTS = frozenset({"matmul", "bmm", "mm"})
_REDUCES = frozenset({"mean", "sum", "amax", "amin", "max", "min", "median"})
_JOINS = frozenset({"cat", "concat", "concatenate"})
_LEAST = 4
"""Axes of what is stacked of values with a batch, steps and features."""
_STEPS = 4
_PAIR = 2


def judge_picked(suspect: Suspect, sources: Sources) -> Verdict | None:
    """A gather by an index that is repeated along the axis that is picked from: one and the same value, many times."""
    gather = call_of(suspect.node)
    index = None if gather is None else gather.given(1, "index", "indices")
    dim = None if gather is None else written(gather.given(0, "dim"))
    repeated = None if index is None else call_of(sources.same_axes(index))
    if gather is None or index is None or dim is None or repeated is None or repeated.name != "expand":
        return None
    put = call_of(sources.same_axes(repeated.of))
    at = None if put is None or put.name != "unsqueeze" else written(put.given(0, "dim"))
    sizes = repeated.rest
    if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple | ast.List):
        sizes = tuple(sizes[0].elts)
    rank = len(sizes)
    if any(isinstance(each, ast.Starred) for each in sizes):
        return None
    if at is None or not -rank <= at < rank or not -rank <= dim < rank or at % rank != dim % rank:
        return None
    if written(sizes[at % rank]) in (1, -1):
        return None
    message = (
        f"`{text_of(suspect.node)}` picks along axis {dim}, and its index is repeated along that one: "
        "it gives the same value all along it"
    )
    return Verdict(*_CODE, message, (f"the index: {text_of(repeated.of)}, repeated",))


def judge_spread(suspect: Suspect, sources: Sources) -> Verdict | None:
    """A standard deviation over another axis than the mean that is taken off before it divides."""
    spread = call_of(suspect.node)
    if spread is None or spread.axes is None:
        return None
    for value, around in _through_sums(suspect.node, sources):
        match around:
            case ast.BinOp(left=left, op=ast.Div(), right=right) if right is value:
                less = sources.same_axes(left)
            case _:
                continue
        mean = call_of(sources.same_axes(less.right)) if isinstance(less, ast.BinOp) else None
        if not isinstance(less, ast.BinOp) or not isinstance(less.op, ast.Sub) or mean is None or mean.name != "mean":
            continue
        same = ast.unparse(mean.of) == ast.unparse(spread.of) == ast.unparse(less.left)
        if not same or mean.axes is None or _alike(mean.axes, spread.axes, suspect):
            continue
        message = (
            f"`{text_of(suspect.node)}` is over axis {_numbers(spread.axes)}, and the mean that is taken off before is "
            f"over axis {_numbers(mean.axes)}"
        )
        return Verdict(*_CODE, message, (f"divided on line {getattr(around, 'lineno', 0)}: {text_of(around)}",))
    return None


def _through_sums(node: ast.expr, sources: Sources) -> Iterator[tuple[ast.expr, ast.AST]]:
    """Where a value is used, through the addition of something small as well."""
    waiting = [node]
    for _ in range(_STEPS):
        if not waiting:
            return
        for value, around in sources.uses(waiting.pop()):
            if isinstance(around, ast.BinOp) and isinstance(around.op, ast.Add) and "eps" in ast.unparse(around):
                waiting.append(around)
            yield value, around


def _alike(one: tuple[int, ...], other: tuple[int, ...], suspect: Suspect) -> bool:
    """Whether axes may be the same: by their numbers, where the rank isn't known."""
    rank = None if suspect.parts == () else suspect.parts[0].shape.rank
    if rank is not None:
        return {each % rank for each in one} == {each % rank for each in other}
    mixed = len({each < 0 for each in (*one, *other)}) > 1
    return mixed or set(one) == set(other)


def _numbers(axes: tuple[int, ...]) -> str:
    return " and ".join(map(str, axes))


def judge_cosine(suspect: Suspect, sources: Sources, source: Source) -> Verdict | None:
    """Values made of length 1 along another axis than the one that their product sums over."""
    made = _normalized(suspect.node)
    rank = None if suspect.result is None else suspect.result.rank
    if made is None or rank is None or rank < _PAIR or not -rank <= made[0] < rank:
        return None
    start = made[0] % rank - rank
    divided = [suspect.node] if _is_function(suspect.node) else list(_divided(suspect.node, sources))
    turned = (each for one in divided for each in _turned(one, start, sources, 0))
    for axis, value, around in turned:
        factors = _factors(around)
        if len(factors) != _PAIR or value not in factors:
            continue
        other = factors[1] if factors[0] is value else factors[0]
        summed = -1 if factors[0] is value else -2
        if axis == summed or not _is_normalized(other, sources):
            continue
        message = (
            f"`{text_of(suspect.node)}` makes lengths of 1 along axis {made[0]}, and `{text_of(around)}` sums over another "
            "one: these are no cosines"
        )
        notes = (
            ()
            if suspect.result is None or suspect.result.axes is None
            else (f"{text_of(suspect.node)}: {suspect.result}",)
        )
        # The axis of the value before it was turned that is summed over.
        wanted = summed if axis == start else -1 if start == -2 else -2  # noqa: PLR2004 - the last two
        fix = None
        if made[1] is not None and not source.cells:
            fix = Fix(
                f"Name the axis that is summed over: `dim={wanted}`", (Edit(source.span_of(made[1]), str(wanted)),)
            )
        return Verdict(*_CODE, message, notes, f"`dim={wanted}` is the axis that is summed over", fix)
    return None


def _normalized(node: ast.expr) -> tuple[int, ast.expr | None] | None:
    """The axis of `F.normalize(x, dim=1)` or of `x.norm(dim=1, keepdim=True)`, and where it is written."""
    call = call_of(node)
    if call is None or not (_is_function(node) or (call.name == "norm" and "keepdim" in call.named)):
        return None
    place = call.given(1, "dim")
    if place is None:
        return (1, None) if call.name == "normalize" else None
    axis = written(place)
    return None if axis is None else (axis, place)


def _is_function(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr="normalize")):
            return is_module(owner)
    return False


def _divided(norm: ast.expr, sources: Sources) -> Iterator[ast.expr]:
    """`x / x.norm(dim=1, keepdim=True)`."""
    call = call_of(norm)
    for value, around in _through_sums(norm, sources):
        match around:
            case ast.BinOp(left=left, op=ast.Div(), right=right) if right is value and call is not None:
                if ast.unparse(left) == ast.unparse(call.of):
                    yield around


def _is_normalized(node: ast.expr, sources: Sources) -> bool:
    for _ in range(_STEPS):
        node = sources.same_axes(node)
        if _is_function(node) or (isinstance(node, ast.BinOp) and _is_by_norm(node, sources)):
            return True
        call = call_of(node)
        inner = call.of if call is not None and call.name == "unsqueeze" else _turn(node)
        if inner is None:
            return False
        node = inner
    return False


def _is_by_norm(node: ast.BinOp, sources: Sources) -> bool:
    call = call_of(sources.same_axes(node.right))
    return isinstance(node.op, ast.Div) and call is not None and call.name == "norm"


def _turn(node: ast.AST) -> ast.expr | None:
    """The value of which the last two axes are exchanged."""
    match node:
        case ast.Attribute(value=value, attr="T" | "mT"):
            return value
        case ast.Call(func=ast.Attribute(value=value, attr="t"), args=[]):
            return value
        case ast.Call(func=ast.Attribute(value=value, attr="transpose" | "swapaxes"), args=[one, other]):
            return value if {written(one), written(other)} in ({-1, -2}, {1, 2}, {0, 1}) else None
    return None


def _turned(node: ast.expr, axis: int, sources: Sources, depth: int) -> Iterator[tuple[int, ast.expr, ast.AST]]:
    """Where a value is used, with its last two axes exchanged or not; and which axis is then the one that is asked for."""
    if depth > _STEPS:
        return
    for value, around in sources.uses(node):
        if _turn(around) is value and isinstance(around, ast.expr):
            if axis in (-1, -2):
                yield from _turned(around, -3 - axis, sources, depth + 1)
        else:
            yield axis, value, around


def _factors(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            return [left, right]
        case ast.Call():
            call = call_of(node)
            if call is not None and call.name in _PRODUCTS:
                return [call.of, *call.rest[:1]]
    return []


def judge_stacked(suspect: Suspect, sources: Sources) -> Verdict | None:
    """Layers put on an axis of their own, and a mean over the batch in place of that axis, which a model gives back."""
    stack = call_of(suspect.node)
    shape = suspect.result
    if stack is None or shape is None or shape.axes is None or len(shape.axes) < _LEAST:
        return None
    axis = 0 if stack.given(0, "dim") is None else written(stack.given(0, "dim"))
    if axis is None:
        return None
    axis %= len(shape.axes)
    for value, around in sources.uses(suspect.node):
        reduced = call_of(around)
        if reduced is None or reduced.name not in _REDUCES or reduced.of is not value or len(reduced.axes or ()) != 1:
            continue
        assert reduced.axes is not None
        over = reduced.axes[0]
        if not -len(shape.axes) <= over < len(shape.axes) or over % len(shape.axes) == axis:
            continue
        size = shape.axes[over].size
        if str(size) not in BATCHES or not isinstance(around, ast.expr) or not _is_given_back(around, sources):
            continue
        message = f"`{text_of(around)}` is over the batch, `{size}`: what `{text_of(suspect.node)}` puts together is axis {axis}"
        return Verdict(
            *_CODE, message, (f"{text_of(value)}: {shape}",), f"`dim={axis}` is over what is stacked", place=around
        )
    return None


def _is_given_back(node: ast.expr, sources: Sources) -> bool:
    """Whether the `forward` of a model returns a value."""
    function = sources.function(node)
    if not isinstance(function, ast.FunctionDef) or function.name != "forward":
        return False
    return isinstance(sources.parents.get(node), ast.Return) or any(
        isinstance(around, ast.Return) for _, around in sources.uses(node)
    )


def judge_doubled(suspect: Suspect, sources: Sources, source: Source, shape_at: ShapeAt) -> Verdict | None:
    """Rows of several put one below the other, and then joined side by side with the rows of one."""
    node = suspect.node
    assert isinstance(node, ast.Call)
    items = node.args[0]
    if not isinstance(items, ast.List | ast.Tuple) or len(items.elts) < _PAIR or len(node.args) > 1 or node.keywords:
        return None
    if _begins(suspect.result) or not all(_is_of_one(item, sources) for item in items.elts):
        # What is known to begin with twice the rows is refused by the next join.
        return None
    for value, around in sources.uses(node):
        outer = sources.parents.get(around) if isinstance(around, ast.List | ast.Tuple) else None
        joined = None if outer is None else call_of(outer)
        if outer is None or joined is None or joined.name not in _JOINS or not isinstance(around, ast.List | ast.Tuple):
            continue
        along = written(joined.given(0, "dim", "axis"))
        others = [each for each in around.elts if each is not value]
        row = next((each for each in others if _begins(shape_at(each)) in BATCHES and _is_of_one(each, sources)), None)
        if along is None or along < 1 or row is None:
            continue
        rows = _begins(shape_at(row))
        message = (
            f"`{text_of(node)}` names no axis, and puts {len(items.elts)} batches one below the other: "
            f"`{text_of(outer)}` joins them with `{text_of(row)}` of {rows} rows"
        )
        notes = (f"{text_of(row)}: {shape_at(row)}", f"joined on line {getattr(outer, 'lineno', 0)}")
        text = f"{ast.unparse(node.func)}({text_of(items)}, dim={along})"
        fix = Fix(f"Name the axis: `dim={along}`", (Edit(source.span_of(node), text),))
        return Verdict(*_CODE, message, notes, f"`dim={along}` puts them side by side", None if source.cells else fix)
    return None


def _begins(shape: Shape | None) -> str:
    """The first size of a shape."""
    size = None if shape is None or not shape.axes else shape.axes[0].size
    return "" if size is None else str(size)


def _is_of_one(node: ast.expr, sources: Sources) -> bool:
    """Whether a value is what a layer of the model gives for a parameter of `forward`."""
    node = sources.same_axes(node)
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self")), args=[ast.Name(id=name) as given]):
            function = sources.function(node)
            return (
                isinstance(function, ast.FunctionDef)
                and function.name == "forward"
                and name in {each.arg for each in function.args.args}
                and sources.made(given) is None
            )
    return False
