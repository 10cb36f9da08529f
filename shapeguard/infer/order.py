"""Elements that a reshape mixes up, and rows that are paired in different orders."""

from __future__ import annotations

import ast
import re
from itertools import combinations

from shapeguard.diagnostics import Edit, Fix, Span
from shapeguard.infer.silent import ShapeAt, Suspect, Verdict
from shapeguard.infer.sources import MODULES, Sources
from shapeguard.infer.steps import text_of
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.dim import Dim, names
from shapeguard.shapes.mismatch import OrderMismatch, Scrambled, show
from shapeguard.shapes.shape import Shape
from shapeguard.source.file import Source

_SHIFTS = ("shift", "skew")
_PADS = frozenset({"pad", "cat", "concat", "ConstantPad1d", "ConstantPad2d", "ZeroPad2d"})
_VIEWS = frozenset({"view", "reshape"})
_CODE = ("SG702", "reshape-scrambles")
_MOVES = re.compile(
    r"permute|transpose|rearrange|shuffle|gather|all_to_all|swap|sort|order|exchange|partition|repeat|tile"
)
_DEEPEST = 6


def judge_order(suspect: Suspect, sources: Sources, source: Source) -> Verdict | None:
    """What is said of a doubtful order; None where it is on purpose."""
    if any(word in suspect.function.rpartition(".")[2] for word in _SHIFTS):
        return None
    if isinstance(suspect.mismatch, Scrambled):
        return _judge_reshape(suspect, suspect.mismatch, sources, source)
    assert isinstance(suspect.mismatch, OrderMismatch)
    return _judge_pair(suspect, suspect.mismatch)


def judge_rows(suspect: Suspect, sources: Sources, shape_at: ShapeAt) -> Verdict | None:
    """What is said of a view of what a model makes of flattened rows: it gives one for each, in the same order."""
    owner = _reshaped(suspect.node)
    known = None if owner is None else shape_at(owner)
    if owner is None or suspect.result is None or (known is not None and known.axes is not None):
        return None
    made = _made_of_rows(sources, owner)
    given = None if made is None or not made.args else shape_at(made.args[0])
    if made is None or given is None or not given.axes:
        return None
    rows, sizes = given.axes[0], suspect.result.sizes or ()
    factors = rows.factors or ()
    target = tuple(size for size in sizes[: len(factors)] if size is not None)
    is_turned = len(factors) > 1 and target != factors and sorted(map(str, target)) == sorted(map(str, factors))
    if not is_turned or len(set(target)) != len(target):
        return None
    call, text, step = map(text_of, (made, made.args[0], suspect.node))
    message = (
        f"the rows of `{step}` were flattened in another order: {show(factors)} in one, {show(target)} in the other"
    )
    notes = (f"{text}: {given}, axis 0 in the order {show(factors)}", f"`{call}` gives something for each row of it")
    return Verdict(*_CODE, message, notes)


def judge_taken(suspect: Suspect, sources: Sources, shape_at: ShapeAt) -> Verdict | None:
    """What is said of rows that one index takes of several values side by side, which were flattened in different orders."""
    node = suspect.node
    assert isinstance(node, ast.Subscript)
    axes = suspect.parts[0].shape.axes or ()
    for other in _beside(node, sources):
        known = shape_at(other.value)
        if known is None or not known.axes or known.axes[0].size != axes[0].size:
            continue
        if shapes.same_order(axes[0], known.axes[0]) is not False:
            continue
        mine, theirs = show(axes[0].factors or ()), show(known.axes[0].factors or ())
        one, first = map(text_of, (node, other))
        message = f"`{one}` and `{first}` take rows that were flattened in another order: {mine} in one, {theirs} in the other"
        return Verdict(
            *_CODE, message, (*suspect.notes, f"taken on line {node.lineno}"), place=_stored(node.value, sources)
        )
    return None


def _beside(node: ast.Subscript, sources: Sources) -> list[ast.Subscript]:
    """What the same index takes rows of in the same tuple or call, before it."""
    holder = sources.parents.get(node)
    around = holder if not isinstance(holder, ast.keyword) else sources.parents.get(holder)
    parts: list[ast.expr] = []
    match around:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            pass
        case ast.Call(args=arguments, keywords=keywords):
            parts = [*arguments, *(each.value for each in keywords)]
    before = parts[: parts.index(node)] if node in parts else []
    text = ast.unparse(node.slice)
    return [each for each in before if isinstance(each, ast.Subscript) and ast.unparse(each.slice) == text]


def _stored(node: ast.expr, sources: Sources) -> ast.expr | None:
    """What is put into an attribute of self, once in the file; or into a name."""
    if isinstance(node, ast.Name):
        return sources.made(node)
    text = ast.unparse(node)
    put = [
        each.value
        for each in ast.walk(sources.tree)
        if isinstance(each, ast.Assign) and any(ast.unparse(target) == text for target in each.targets)
    ]
    return put[0] if len(put) == 1 else None


def _made_of_rows(sources: Sources, owner: ast.expr) -> ast.Call | None:
    """The call of a model, or of a function of unknown make, that a value comes from."""
    for _ in range(_DEEPEST):
        owner = sources.same_axes(owner)
        match owner:
            case ast.Call(func=ast.Attribute(value=inner, attr="squeeze" | "flatten" | "logits")):
                owner = inner
            case ast.Subscript(value=inner, slice=ast.Tuple(elts=[first, *_])) if ast.unparse(first) in (":", "..."):
                owner = inner
            case _:
                break
    match owner:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name)):
            is_module = isinstance(owner.func, ast.Attribute) and getattr(owner.func.value, "id", "") in MODULES
            return None if is_module or _MOVES.search(name) else owner
    return None


def _judge_reshape(suspect: Suspect, mismatch: Scrambled, sources: Sources, source: Source) -> Verdict | None:
    owner = _reshaped(suspect.node)
    if owner is not None:
        made = sources.same_axes(owner)
        if isinstance(made, ast.Attribute) or _name(made) in _PADS:
            # A parameter's axes mean what is made of them; what is padded and cut off anew is shifted by it.
            return None
    if _may_be_one(suspect.node, mismatch):
        return None
    step = text_of(suspect.node)
    message = (
        f"`{step}` cuts {show(mismatch.mixed)} of {show(mismatch.source)} into {show(mismatch.into)}: "
        "a reshape counts elements off anew and moves none"
    )
    hint, fix = _mended(suspect.node, mismatch, source)
    return Verdict(*_CODE, message, suspect.notes, hint, fix)


def _may_be_one(node: ast.expr, mismatch: Scrambled) -> bool:
    """Whether nothing is mixed up if an axis that only a -1 takes in has size 1, as the channels of a mask."""
    sizes = [None if size is None else Dim(size) for size in mismatch.source]
    target = [None if size is None else Dim(size) for size in mismatch.target]
    given = node.args if isinstance(node, ast.Call) else []
    rests = [at for at, argument in enumerate(given) if ast.unparse(argument) == "-1"]
    if len(rests) != 1 or len(given) != len(target) or None in sizes:
        return False
    target[rests[0]] = Dim(-1)
    told = {name for size in target if size is not None for name in names(size)}
    for at, size in enumerate(sizes):
        if size is None or str(size) not in names(size) or names(size) & told:
            continue
        result = shapes.reshape(Shape.of(*sizes[:at], 1, *sizes[at + 1 :]), target, at_least=1)
        if isinstance(result, Shape) and not isinstance(result.doubt, Scrambled):
            return True
    return False


def _judge_pair(suspect: Suspect, mismatch: OrderMismatch) -> Verdict:
    if suspect.parts:
        left, right = (text_of(part.node) for part in suspect.parts)
        pair = f"rows of `{left}` meet rows of `{right}`"
    else:
        pair = f"rows meet in `{text_of(suspect.node)}`"
    message = f"{pair} that were flattened in another order: {show(mismatch.left)} in one, {show(mismatch.right)} in the other"
    return Verdict(*_CODE, message, suspect.notes)


def _name(node: ast.expr) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""


def _reshaped(node: ast.expr) -> ast.expr | None:
    """What a reshape is made of."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch" | "einops"), attr=_), args=[first, *_]):
            return first
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _VIEWS or name == "flatten":
            return owner
        case ast.Call(func=ast.Name(), args=[first, *_]):
            return first
    return None


def _mended(node: ast.expr, mismatch: Scrambled, source: Source) -> tuple[str | None, Fix | None]:
    """Two axes exchanged before the reshape or behind it, where just one exchange is enough."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in _VIEWS:
        return None, None
    owner = node.func.value
    if isinstance(owner, ast.Name) and owner.id == "torch":
        return None, None
    before = _exchanges(mismatch, behind=False)
    behind = [] if before else _exchanges(mismatch, behind=True)
    given = list(map(text_of, node.args))
    span = source.span_of(node)
    start = source.span_of(owner)
    rest = Span(start.end_line, start.end_column, span.end_line, span.end_column)
    if len(before) == 1:
        text = f".transpose({before[0][0]}, {before[0][1]}).reshape({', '.join(given)})"
    elif len(behind) == 1 and len(given) == len(mismatch.target):
        one, other = behind[0]
        given[one], given[other] = given[other], given[one]
        text = f".{node.func.attr}({', '.join(given)}).transpose({one}, {other})"
    else:
        return None, None
    written = f"{text_of(owner)}{text}"
    fix = None if node.keywords or source.cells else Fix(f"Exchange the axes: `{written}`", (Edit(rest, text),))
    return f"`{written}` keeps each row together", fix


def _exchanges(mismatch: Scrambled, *, behind: bool) -> list[tuple[int, int]]:
    """The pairs of axes that leave nothing mixed up when they change places before the reshape, or behind it."""
    if any(size is None for size in mismatch.source):
        return []
    axes = [Dim(size) for size in mismatch.source if size is not None]
    target = [None if size is None else Dim(size) for size in mismatch.target]
    found = []
    for one, other in combinations(range(len(target if behind else axes)), 2):
        turned = list(target if behind else axes)
        turned[one], turned[other] = turned[other], turned[one]
        whole = sorted(map(str, axes)) == sorted(map(str, target))
        if turned == (target if behind else axes) or not (whole or other == one + 1):
            continue
        result = shapes.reshape(Shape.of(*(axes if behind else turned)), turned if behind else target, at_least=1)
        if isinstance(result, Shape) and result.doubt is None and _is_told(result):
            found.append((one, other))
    return found


def _is_told(shape: Shape) -> bool:
    """Whether the order of every axis is known."""
    return all(axis.factors is not None for axis in shape.axes or ())
