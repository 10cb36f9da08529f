"""Weights that add up to 1 along another axis than the one that is summed over; means over a joined axis."""

from __future__ import annotations

import ast

from shapeguard.diagnostics import Edit, Fix
from shapeguard.infer.silent import Suspect, Verdict
from shapeguard.infer.sources import Sources
from shapeguard.source.file import Source

_CODE = ("SG703", "axis-mixup")
_PRODUCTS = frozenset({"matmul", "bmm", "mm", "baddbmm"})
_MASKS = frozenset({"masked_fill", "masked_fill_", "where", "add", "sub", "mul", "div"})
_REDUCES = frozenset({"mean", "std", "var", "median"})
_DEEPEST = 12
_PAIR = 2
_OF_BATCHES = 3
"""So many axes has what `bmm` takes."""


def judge_softmax(suspect: Suspect, sources: Sources, source: Source) -> Verdict | None:
    """A softmax of scores over another axis than the one that the product behind it sums over."""
    assert isinstance(suspect.node, ast.Call)
    given = axis_of(suspect.node)
    product = None if given is None else _product(softmaxed(suspect.node), sources, 0)
    if given is None or product is None:
        return None
    rank = _rank(suspect, product)
    for value, around in sources.uses(suspect.node):
        if isinstance(around, ast.Call) and _equation(around) is not None:
            verdict = _judge_letters(suspect, product, value, around, given, rank, source)
        else:
            verdict = _judge_product(suspect, value, around, given, rank, source)
        if verdict is not None:
            return verdict
    return None


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
    suspect: Suspect, value: ast.expr, around: ast.AST, given: tuple[int, ast.expr], rank: int | None, source: Source
) -> Verdict | None:
    summed = _summed(value, around)
    number, place = given
    count = _OF_BATCHES if getattr(getattr(around, "func", None), "attr", "") == "bmm" else rank
    axis = number if number < 0 else None if count is None else number - count
    if summed is None or axis is None or axis == summed:
        return None
    step = _text(around)
    message = (
        f"the softmax is over axis {number} of its scores, and `{step}` sums over axis {summed} of `{_text(value)}`"
    )
    hint = f"`dim={summed}` makes the weights of each sum add up to 1"
    fix = Fix(f"Name the axis that is summed over: `dim={summed}`", (Edit(source.span_of(place), str(summed)),))
    return Verdict(*_CODE, message, _notes(suspect, around), hint, None if source.cells else fix)


def _judge_letters(
    suspect: Suspect, product: ast.expr, value: ast.expr, around: ast.Call, given: tuple[int, ast.expr],
    rank: int | None, source: Source,
) -> Verdict | None:  # fmt: skip
    """Weights that go into an einsum: the letter of the softmax's axis has to be one that is summed over."""
    equation = _equation(around)
    operands = around.args[1:]
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
    if len(summed) != 1:
        return None
    wanted = letters.index(summed[0]) if number >= 0 else letters.index(summed[0]) - len(letters)
    message = (
        f"the softmax is over axis {number} of its scores, `{letters[number]}` in {_text(around.args[0])}, "
        f"which sums over `{summed[0]}`"
    )
    notes = _notes(suspect, around)
    if _is_of_keys(product, number):
        # The weights are as they should be; what they are summed with isn't.
        return Verdict(*_CODE, message, (*notes, f"the softmax is on line {suspect.node.lineno}"), place=around)
    fix = Fix(f"Name the axis that is summed over: `dim={wanted}`", (Edit(source.span_of(place), str(wanted)),))
    return Verdict(
        *_CODE,
        message,
        notes,
        f"`dim={wanted}` makes the weights of each sum add up to 1",
        None if source.cells else fix,
    )


def _is_of_keys(product: ast.expr, number: int) -> bool:
    """Whether an axis of scores comes from the second factor of their product alone, as keys do."""
    equation = _equation(product)
    if equation is None or len(equation[0]) != _PAIR or not -len(equation[1]) <= number < len(equation[1]):
        return False
    letter = equation[1][number]
    return letter in equation[0][1] and letter not in equation[0][0]


def _notes(suspect: Suspect, around: ast.AST) -> tuple[str, ...]:
    shown = (
        () if suspect.result is None or suspect.result.axes is None else (f"{_text(suspect.node)}: {suspect.result}",)
    )
    return (*shown, f"the product is on line {getattr(around, 'lineno', 0)}: {_text(around)}")


def _equation(node: ast.AST) -> tuple[list[str], str] | None:
    """The letters of an einsum's operands, and of what it gives."""
    match node:
        case ast.Call(func=ast.Attribute(attr="einsum"), args=[ast.Constant(value=str(text)), *_]):
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


def is_module(node: ast.expr) -> bool:
    """Whether an expression is a module of torch's functions."""
    return ast.unparse(node) in ("torch", "F", "nn.functional", "torch.nn.functional", "functional", "torch.special")


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
        case ast.BinOp(left=left, right=right):
            parts = [left, right]
        case ast.Call(func=ast.Attribute(attr=name)) if name in _PRODUCTS or name == "einsum":
            return node
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=arguments) if name in _MASKS:
            parts = [owner, *arguments]
    return next((each for part in parts if (each := _product(part, sources, depth + 1)) is not None), None)


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
    items = sources.same_axes(node.args[0])
    if not isinstance(items, ast.ListComp) or not _calls_each(items):
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
                f"`{_text(node)}` puts what each gives behind the other, and `{name}` over axis {along} is one over "
                "the rows of all"
            )
            notes = (f"items: {_text(items)}", f"the {name} is on line {around.lineno}: {_text(around)}")
            written = f"{_text(node.func.value)}.stack"
            fix = Fix(f"`{written}` in place of `{_text(node.func)}`", (Edit(source.span_of(node.func), written),))
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


def _calls_each(items: ast.ListComp) -> bool:
    """Whether a comprehension calls each of several functions with one and the same value."""
    if len(items.generators) != 1 or not isinstance(items.generators[0].target, ast.Name):
        return False
    name = items.generators[0].target.id
    match items.elt:
        case ast.Call(func=ast.Name(id=function), args=arguments) if function == name and arguments:
            used = {part.id for argument in arguments for part in ast.walk(argument) if isinstance(part, ast.Name)}
            return name not in used
    return False


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())
