"""Weights that add up to 1 along another axis than the one that is summed over; means over a joined axis."""

from __future__ import annotations

import ast
from typing import TypeAlias

from shapeguard.diagnostics import Edit, Fix
from shapeguard.infer.repeating import of_each
from shapeguard.infer.silent import ShapeAt, Suspect, Verdict
from shapeguard.infer.sources import Sources
from shapeguard.infer.steps import is_module, text_of, written
from shapeguard.infer.weighing import judge_weighing
from shapeguard.source.file import Source

_CODE = ("SG703", "axis-mixup")
_PRODUCTS = frozenset({"matmul", "bmm", "mm", "baddbmm"})
MASKS = frozenset({"masked_fill", "masked_fill_", "where", "add", "sub", "mul", "div"})
"""What masks scores or scales them, on their way from a product to a softmax."""
_REDUCES = frozenset({"mean", "std", "var", "median"})
_DEEPEST = 12
_PAIR = 2
Given: TypeAlias = tuple[int, ast.expr | None]
"""An axis, and where it is written."""
_OF_BATCHES = 3
"""So many axes has what `bmm` takes."""


def judge_softmax(suspect: Suspect, sources: Sources, source: Source, shape_at: ShapeAt) -> Verdict | None:
    """A softmax over another axis than the one that is summed over behind it."""
    assert isinstance(suspect.node, ast.Call)
    given: Given | None = axis_of(suspect.node) if suspect.axis is None else (suspect.axis, None)
    if given is None:
        return None
    verdict = judge_weighing(suspect, given[0], sources, shape_at)
    scores = softmaxed(suspect.node) if suspect.axis is None else suspect.node.args[0]
    product = _product(scores, sources, 0) if verdict is None else None
    if product is None:
        return verdict
    rank = _rank(suspect, product)
    for value, holder in sources.uses(suspect.node):
        around = _around(value, holder, sources)
        if isinstance(around, ast.Call) and _equation(around) is not None:
            verdict = _judge_letters(suspect, product, value, around, given, rank, source)
        else:
            verdict = _judge_product(suspect, value, around, given, rank, source)
        if verdict is not None and not _is_assigned(product, value, around, sources):
            return verdict
    return None


def _around(value: ast.expr, holder: ast.AST, sources: Sources) -> ast.AST:
    """What a value stands in: an einsum, for one in the list of its operands."""
    outer = sources.parents.get(holder) if isinstance(holder, ast.List | ast.Tuple) else None
    return outer if isinstance(outer, ast.Call) and value in operands_of(outer) else holder


def operands_of(call: ast.Call) -> list[ast.expr]:
    """The operands of an einsum, given one by one or as a list."""
    match call.args[1:]:
        case [ast.List(elts=operands) | ast.Tuple(elts=operands)]:
            return operands
    return call.args[1:]


def _is_assigned(product: ast.expr, value: ast.expr, around: ast.AST, sources: Sources) -> bool:
    """Whether rows are shared out among others, as among clusters: what is summed is what the scores have rows for."""
    rows, columns = _factors(product)
    others = [each for each in _factors(around) if each is not None and each is not value]
    if rows is None or columns is None or len(others) != 1:
        return False
    summed = sources.roots(others[0])
    return bool(summed & sources.roots(rows)) and not summed & sources.roots(columns)


def _factors(node: ast.AST) -> tuple[ast.expr | None, ast.expr | None]:
    """What a product is of."""
    match node:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            return left, right
        case ast.Call() if _equation(node) is not None and len(operands_of(node)) == _PAIR:
            return operands_of(node)[0], operands_of(node)[1]
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=arguments) if name in _PRODUCTS:
            factors = arguments[:2] if is_module(owner) else [owner, *arguments[:1]]
            return (factors[0], factors[1]) if len(factors) == _PAIR else (None, None)
    return None, None


def _rank(suspect: Suspect, product: ast.expr) -> int | None:
    """How many axes scores have, by their shape or by how their product is written."""
    if suspect.result is not None and suspect.result.rank is not None:
        return suspect.result.rank
    equation = _equation(product)
    if equation is not None:
        return len(equation[1])
    factors: list[ast.expr] = []
    match product:
        case ast.BinOp(left=left, right=right):
            factors = [left, right]
        case ast.Call(func=ast.Attribute(attr="bmm")):
            return _OF_BATCHES
        case ast.Call(args=arguments):
            factors = arguments
    for factor in factors:
        match factor:
            case ast.Call(
                func=ast.Attribute(attr="transpose"), args=[ast.Constant(value=int(one)), ast.Constant(value=int(two))]
            ) if one >= 0 and two >= 0:
                # What is exchanged for a product are the last two axes.
                return max(one, two) + 1
    return None


def _judge_product(
    suspect: Suspect, value: ast.expr, around: ast.AST, given: Given, rank: int | None, source: Source
) -> Verdict | None:
    summed = _summed(value, around)
    number, place = given
    count = _OF_BATCHES if getattr(getattr(around, "func", None), "attr", "") == "bmm" else rank
    axis = number if number < 0 else None if count is None else number - count
    if summed is None or axis is None or axis == summed:
        return None
    step = text_of(around)
    over, along = _named_axis(number, suspect), _named_axis(summed, suspect)
    message = (
        f"the softmax is over axis {over} of its scores, and `{step}` sums over axis {along} of `{text_of(value)}`"
    )
    hint = f"`dim={summed}` makes the weights of each sum add up to 1"
    return Verdict(*_CODE, message, _notes(suspect, around), hint, _named(place, summed, source))


def _named_axis(number: int, suspect: Suspect) -> str:
    axes = None if suspect.result is None else suspect.result.axes
    size = axes[number].size if axes is not None and -len(axes) <= number < len(axes) else None
    return str(number) if size is None else f"{number} ({size})"


def _judge_letters(
    suspect: Suspect, product: ast.expr, value: ast.expr, around: ast.Call, given: Given,
    rank: int | None, source: Source,
) -> Verdict | None:  # fmt: skip
    """Weights that go into an einsum: the letter of the softmax's axis has to be one that is summed over."""
    equation = _equation(around)
    operands = operands_of(around)
    if equation is None or value not in operands or len(equation[0]) != len(operands):
        return None
    letters = equation[0][operands.index(value)]
    number, place = given
    if (
        rank not in (None, len(letters))
        or not -len(letters) <= number < len(letters)
        or letters[number] not in equation[1]
    ):
        return None
    summed = [letter for letter in letters if letter not in equation[1]]
    if len(summed) != 1 or _is_mixed(letters, summed[0], [each for each in equation[0] if each is not letters]):
        return None
    wanted = letters.index(summed[0]) if number >= 0 else letters.index(summed[0]) - len(letters)
    message = (
        f"the softmax is over axis {number} of its scores, `{letters[number]}` in {text_of(around.args[0])}, "
        f"which sums over `{summed[0]}`"
    )
    notes = _notes(suspect, around)
    if _is_of_keys(product, number):
        # The weights are as they should be; what they are summed with isn't.
        return Verdict(*_CODE, message, (*notes, f"the softmax is on line {suspect.node.lineno}"), place=around)
    hint = f"`dim={wanted}` makes the weights of each sum add up to 1"
    return Verdict(*_CODE, message, notes, hint, _named(place, wanted, source))


def _is_mixed(letters: str, summed: str, others: list[str]) -> bool:
    """Whether a matrix mixes one axis of the weights, as the heads: it shares no more with them."""
    return len(letters) > _PAIR and all(not set(letters) & set(other) - {summed} for other in others)


def _named(place: ast.expr | None, axis: int, source: Source) -> Fix | None:
    """Another axis written where one is."""
    if place is None or source.cells:
        return None
    return Fix(f"Name the axis that is summed over: `dim={axis}`", (Edit(source.span_of(place), str(axis)),))


def _is_of_keys(product: ast.expr, number: int) -> bool:
    """Whether an axis of scores comes from the second factor of their product alone, as keys do."""
    equation = _equation(product)
    if equation is None or len(equation[0]) != _PAIR or not -len(equation[1]) <= number < len(equation[1]):
        return False
    letter = equation[1][number]
    return letter in equation[0][1] and letter not in equation[0][0]


def _notes(suspect: Suspect, around: ast.AST) -> tuple[str, ...]:
    shown = (
        () if suspect.result is None or suspect.result.axes is None else (f"{text_of(suspect.node)}: {suspect.result}",)
    )
    return (*shown, f"the product is on line {getattr(around, 'lineno', 0)}: {text_of(around)}")


def _equation(node: ast.AST) -> tuple[list[str], str] | None:
    """The letters of an einsum's operands, and of what it gives."""
    match node:
        case ast.Call(
            func=ast.Attribute(attr="einsum") | ast.Name(id="einsum"), args=[ast.Constant(value=str(text)), *_]
        ):
            inputs, arrow, output = text.replace(" ", "").partition("->")
            return (inputs.split(","), output) if arrow and "." not in text else None
    return None


def axis_of(node: ast.Call) -> tuple[int, ast.expr] | None:
    """The axis of a softmax, and where it is written."""
    is_function = isinstance(node.func, ast.Attribute) and is_module(node.func.value)
    given = [keyword.value for keyword in node.keywords if keyword.arg in ("dim", "axis")]
    given += node.args[1:2] if is_function or isinstance(node.func, ast.Name) else node.args[:1]
    match given:
        case [ast.Constant(value=int(number)) as place, *_]:
            return number, place
        case [ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))) as place, *_]:
            return -number, place
    return None


def softmaxed(node: ast.Call) -> ast.expr | None:
    """What a softmax is of."""
    if isinstance(node.func, ast.Attribute) and not is_module(node.func.value):
        return node.func.value
    return node.args[0] if node.args else None


def _product(node: ast.expr | None, sources: Sources, depth: int) -> ast.expr | None:
    """The product of two values that scores are, scaled and masked."""
    if node is None or depth > _DEEPEST:
        return None
    node = sources.same_axes(node)
    parts: list[ast.expr] = []
    match node:
        case ast.BinOp(op=ast.MatMult()):
            return node
        case ast.BinOp(op=ast.Add()) if _is_of_pairs(node, sources):
            return node
        case ast.BinOp(left=left, right=right):
            parts = [left, right]
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _PRODUCTS or name == "einsum":
            return node
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=arguments) if name in MASKS:
            parts = [owner, *arguments]
        case ast.Call(
            func=ast.Attribute(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id="self")), args=[features]), attr="squeeze"
            ),
            args=[last],
        ) if written(last) == -1:
            # A layer that makes one score of the features of each pair.
            pairs = sources.same_axes(features)
            return pairs if isinstance(pairs, ast.BinOp) and _is_of_pairs(pairs, sources) else None
    return next((each for part in parts if (each := _product(part, sources, depth + 1)) is not None), None)


def _is_of_pairs(node: ast.BinOp, sources: Sources) -> bool:
    """Whether a sum is of a column and a row: `f(x) + g(x).transpose(1, 2)`, `q.unsqueeze(2) + k.unsqueeze(1)`."""
    left, right = (sources.same_axes(side) for side in (node.left, node.right))
    turned = [_is_turned(side) for side in (left, right)]
    put = [_put(side) for side in (left, right)]
    if None not in put:
        return put[0] != put[1]
    is_one = [
        isinstance(side, ast.Call) and not is_turned for side, is_turned in zip((left, right), turned, strict=True)
    ]
    return any(turned) and any(is_one) and None is put[0] is put[1]


def _is_turned(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr="T" | "mT") | ast.Call(func=ast.Attribute(attr="t" | "transpose"), args=_):
            return True
    return False


def _put(node: ast.expr) -> int | None:
    """Where an axis is put in."""
    match node:
        case ast.Call(func=ast.Attribute(attr="unsqueeze"), args=[ast.Constant(value=int(at))]):
            return at
        case ast.Subscript(slice=ast.Tuple(elts=parts)) if all(
            isinstance(part, ast.Slice) or (isinstance(part, ast.Constant) and part.value is None) for part in parts
        ):
            places = [at for at, part in enumerate(parts) if isinstance(part, ast.Constant)]
            return places[0] if len(places) == 1 else None
    return None


def _summed(value: ast.expr, around: ast.AST) -> int | None:
    """The axis of a factor that a product sums over, counted from the end."""
    match around:
        case ast.BinOp(op=ast.MatMult(), left=left):
            return -1 if left is value else -2
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=arguments) if name in _PRODUCTS:
            factors = arguments[:2] if is_module(owner) else [owner, *arguments[:1]]
            if len(factors) == _PAIR and value in factors:
                return -1 if factors[0] is value else -2
    return None


def judge_join(suspect: Suspect, sources: Sources, source: Source) -> Verdict | None:
    """What several functions give for one value, joined where it was to be stacked: a mean over them is one over rows too."""
    node = suspect.node
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Attribute)
    items = of_each(node.args[0], sources)
    if items is None:
        return None
    given = axis_of(ast.Call(node.func, node.args, node.keywords))
    along = 0 if given is None else given[0]
    if given is None and len(node.args) > 1:
        return None
    for _, around in _behind(node, sources):
        reduced = axis_of(around)
        if reduced is not None and reduced[0] == along:
            name = getattr(around.func, "attr", "")
            message = (
                f"`{text_of(node)}` puts what each gives behind the other, and `{name}` over axis {along} is one over "
                "the rows of all"
            )
            notes = (f"items: {text_of(items)}", f"the {name} is on line {around.lineno}: {text_of(around)}")
            written = f"{text_of(node.func.value)}.stack"
            fix = Fix(f"`{written}` in place of `{text_of(node.func)}`", (Edit(source.span_of(node.func), written),))
            return Verdict(
                *_CODE, message, notes, f"`{written}` gives them an axis of their own", None if source.cells else fix
            )
    return None


def _behind(node: ast.expr, sources: Sources) -> list[tuple[ast.expr, ast.Call]]:
    """The reductions that a value goes into, through softmaxes as well."""
    found: list[tuple[ast.expr, ast.Call]] = []
    waiting = [node]
    for _ in range(_DEEPEST):
        if not waiting:
            break
        for value, around in sources.uses(waiting.pop()):
            name = getattr(getattr(around, "func", None), "attr", "")
            if isinstance(around, ast.Call) and name in _REDUCES:
                found.append((value, around))
            elif isinstance(around, ast.Call) and name in ("softmax", "log_softmax"):
                waiting.append(around)
    return found
