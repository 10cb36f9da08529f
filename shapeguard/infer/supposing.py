"""What a docstring says of a function's tensors, held to its code: what if it were so.

No finding stands on a docstring alone: a claim is refused only where the function surely fails for a tensor of that
shape, and doesn't for one of another.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from shapeguard.diagnostics import Diagnostic, Span
from shapeguard.infer import operators
from shapeguard.infer.drifting import Contradiction, contradiction, is_clear, of_padded, pieces_of, report
from shapeguard.infer.files import File
from shapeguard.infer.measures import shape_owner
from shapeguard.infer.values import Exhausted, Symbol, certain
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import as_int
from shapeguard.shapes.docstring import RETURN, docstring_shapes
from shapeguard.shapes.mismatch import count_axes
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator
    from shapeguard.infer.values import Function
    from shapeguard.shapes.prose import ProseShape

_KIND = ("SG712", "docstring-drift")
_MOST_AXES = 6
# A bracket that was closed too early: `(b, n), n)`.
_GOES_ON = re.compile(r"[`*\s]*,[^()\n]*\)")
_LONGEST_STEP = 70
# These hand on what they decorate, and what it is given.
_PLAIN = frozenset(
    "staticmethod classmethod property cached_property no_grad inference_mode script export compile override "  # noqa: SIM905 - a list of so many words reads better so
    "abstractmethod unused ignore autocast jit".split()
)


class Heard(NamedTuple):
    """Where a function surely fails, and why."""

    node: ast.expr | ast.stmt
    why: str


class Trial(NamedTuple):
    """A body that is about to be interpreted, and what it will be found to fail at."""

    body: Evaluator
    heard: list[Heard]
    drifted: dict[Span, Diagnostic]
    """The comments that it will be found to contradict."""
    seen: dict[ast.expr, Shape]
    """The shapes that its expressions will be found to have."""


class Prepare(Protocol):
    """Makes a body ready to be interpreted."""

    def __call__(self, *, trusting: bool = ...) -> Trial:
        """With `trusting`, comments are taken for facts where nothing else is known."""


class Looked(NamedTuple):
    """A function that was looked at for itself, and what is left of that."""

    function: Function
    evaluator: Evaluator
    prepare: Prepare


def claims(function: Function) -> bool:
    """Whether a function has words in it that may be held to its code, or to each other."""
    return _has_docstring(function) or _has_comments(function)


def weigh(looked: Looked) -> None:
    """Report what words in a function say of shapes and its code contradicts."""
    if _has_docstring(looked.function):
        weigh_docstring(looked)
    if _has_comments(looked.function):
        weigh_together(looked)


def _has_docstring(function: Function) -> bool:
    """Whether a function has a docstring that may be held to it."""
    node = function.node
    if isinstance(node, ast.Lambda) or ast.get_docstring(node, clean=False) is None:
        return False
    called = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    return all(getattr(each, "id", getattr(each, "attr", "")) in _PLAIN for each in called)


def _has_comments(function: Function) -> bool:
    """Whether a function has comments on shapes that may be held to each other."""
    node, home = function.node, function.home
    assert isinstance(home, File)
    return sum(node.lineno < line <= (node.end_lineno or 0) for line in home.shape_comments) > 1


def weigh_together(looked: Looked) -> None:
    """Report the first comment that the code contradicts if those before it are right."""
    assert not isinstance(looked.function.node, ast.Lambda)
    body, _, drifted, _ = looked.prepare(trusting=True)
    body.block(looked.function.node.body)
    for found in sorted(drifted.values(), key=lambda each: each.span)[:1]:
        notes = (*found.notes, "as the comments before it have it")
        looked.evaluator.reporter.add(looked.evaluator, replace(found, notes=notes, preview=True))


def weigh_docstring(looked: Looked) -> None:
    """Report what a docstring says of parameters, and of what is returned, and the code surely contradicts."""
    node = looked.function.node
    text = None if isinstance(node, ast.Lambda) else ast.get_docstring(node, clean=True)
    every = docstring_shapes(text) if text else {}
    stated = {
        name: claim for name, claim in every.items() if is_clear(claim) and not _GOES_ON.match(text or "", claim.end)
    }
    if not text or not stated:
        return
    returned = stated.pop(RETURN, None)
    found = _of_parameters(looked, stated) if stated else {}
    if returned is not None and (what := _of_return(looked.evaluator, returned)) is not None:
        found[RETURN] = (returned, what, _returned_notes(looked.evaluator))
    elif returned is not None and (what := _of_padded_return(looked.evaluator, returned)) is not None:
        found[RETURN] = (returned, what, ())
    elif returned is not None and stated and not found:
        found |= _of_return_if(looked, returned, stated)
    for claim, what, notes in found.values():
        span, exact = _place_of(looked, text, claim)
        report(looked.evaluator, span, _KIND, what if exact else replace(what, words=None), claim, notes)


Found = dict[str, tuple["ProseShape", Contradiction, tuple[str, ...]]]


def _returned_notes(evaluator: Evaluator) -> tuple[str, ...]:
    shapes = dict.fromkeys(str(certain(value).shape) for _, value in evaluator.returned)
    return tuple(f"returned: {shape}" for shape in shapes)


def _of_return_if(looked: Looked, returned: ProseShape, stated: dict[str, ProseShape]) -> Found:
    """What a docstring says of what is returned, if it is right in what it says of the parameters.

    Only the number and the order of the axes count: their names needn't be those of the code.
    """
    node = looked.function.node
    assert not isinstance(node, ast.Lambda)
    body, heard, _, _ = looked.prepare()
    given: dict[str, ProseShape] = {}
    for name, claim in stated.items():
        known = certain(body.scope.get(name))
        is_open = known is UNKNOWN or (isinstance(known, Symbol) and not known.is_number)
        is_open = is_open or (isinstance(known, Tensor) and known.shape.axes is None)
        if is_open and name in body.scope and claim.variadic is None:
            given[name] = claim
            dtype = known.dtype if isinstance(known, Tensor) else None
            body.scope[name] = Tensor(Shape.of(*claim.prefix), dtype)
    if not given:
        return {}
    try:
        body.block(node.body)
    except (Exhausted, RecursionError):
        return {}
    what = None if heard else _of_return(body, returned)
    if what is None or not what.is_form:
        return {}
    notes = tuple(f"if `{name}` is {claim.text}, as it says" for name, claim in given.items())
    return {RETURN: (returned, what, (*_returned_notes(body), *notes))}


def _of_return(evaluator: Evaluator, stated: ProseShape) -> Contradiction | None:
    """What every tensor that a function returns contradicts."""
    found: list[Contradiction] = []
    for _, value in evaluator.returned:
        known = certain(value)
        if not isinstance(known, Tensor) or evaluator.is_generator:
            return None
        each = contradiction("what is returned", "the docstring", stated, known.shape, evaluator.scope)
        if each is None:
            return None
        found.append(each)
    return found[0] if found else None


def _of_padded_return(evaluator: Evaluator, stated: ProseShape) -> Contradiction | None:
    """What a claim says of what `pad_sequence` gives, if nothing else is returned."""
    found = [of_padded(evaluator, "what is returned", "the docstring", stated, node) for node, _ in evaluator.returned]
    return found[0] if found and None not in found else None


def _of_parameters(looked: Looked, stated: dict[str, ProseShape]) -> Found:
    found: Found = {}
    body = looked.prepare().body
    open_claims: dict[str, ProseShape] = {}
    for name, claim in stated.items():
        value = certain(body.scope.get(name))
        if isinstance(value, Tensor) and value.shape.axes is not None:
            what = contradiction(f"`{name}`", "the docstring", claim, value.shape, body.scope)
            if what is not None:
                found[name] = (claim, what, (f"annotation: {value.shape}",))
        elif isinstance(value, Tensor) or value is UNKNOWN or (isinstance(value, Symbol) and not value.is_number):
            what = _unpacked_otherwise(looked.function, name, claim)
            if what is not None:
                found[name] = (claim, what, ())
            elif name in body.scope and claim.variadic is None:
                open_claims[name] = claim
    together = {name: _supposed(claim) for name, claim in open_claims.items()}
    if together and _failure(looked, together) is not None:
        for name, claim in open_claims.items():
            refused = _refused(looked, name, claim)
            if refused is not None:
                found[name] = (claim, *refused)
    return found


def _supposed(stated: ProseShape) -> Shape:
    """A stated shape without its names, which need not be those of the code."""
    return Shape.of(*(size if size is not None and as_int(size) is not None else None for size in stated.prefix))


def _refused(looked: Looked, name: str, stated: ProseShape) -> tuple[Contradiction, tuple[str, ...]] | None:
    """How a function fails for a parameter that is as stated, if it takes another shape."""
    failure = _failure(looked, {name: _supposed(stated)})
    if failure is None or _failure(looked, {name: Shape.unknown()}) is not None:
        return None
    count = len(stated.axes)
    notes = (f"line {failure.node.lineno}: {_step(looked, failure.node)}: {failure.why}",)
    if _failure(looked, {name: Shape.of(*(None,) * count)}) is None:
        sentence = f"the docstring says that `{name}` is {stated.text}, for which the function fails"
        return Contradiction(sentence), notes
    taken = [rank for rank in range(_MOST_AXES + 1) if rank != count and _takes(looked, name, rank)]
    if not taken:
        return None
    wanted = count_axes(taken[0])
    if len(taken) > 1:
        wanted = f"{taken[0]} or {'more' if taken[-1] == _MOST_AXES else taken[-1]} axes"
    says = f"the docstring says {count}: {stated.text}"
    return Contradiction(f"`{name}` has to have {wanted}, {says}"), notes


def _takes(looked: Looked, name: str, rank: int) -> bool:
    return _failure(looked, {name: Shape.of(*(None,) * rank)}) is None


def _step(looked: Looked, node: ast.expr | ast.stmt) -> str:
    """The line on which a step begins."""
    text = looked.evaluator.home.source.lines[node.lineno - 1].strip()
    return f"`{text[:_LONGEST_STEP]}`"


def _failure(looked: Looked, shapes: dict[str, Shape]) -> Heard | None:
    """Where a function surely fails, some of its parameters being tensors of these shapes."""
    node = looked.function.node
    assert not isinstance(node, ast.Lambda)
    body, heard, _, _ = looked.prepare()
    for name, shape in shapes.items():
        known = certain(body.scope.get(name))
        body.scope[name] = Tensor(shape, known.dtype if isinstance(known, Tensor) else None)
    try:
        for statement in node.body:
            before = body.uncertain
            if isinstance(statement, ast.Assert) and operators.truth(body.value(statement.test)) is False:
                return Heard(statement, "doesn't hold")
            body.block([statement])
            if heard:
                return heard[0]
            if body.ended:
                is_test = isinstance(statement, ast.If) and not body.returned
                return Heard(statement, "raises") if is_test else None
            if isinstance(statement, ast.If) and isinstance(statement.body[-1], ast.Raise) and not statement.orelse:
                # What follows is for all values that the function takes.
                body.uncertain = before
    except (Exhausted, RecursionError):
        return None
    return None


def _unpacked_otherwise(function: Function, name: str, stated: ProseShape) -> Contradiction | None:
    """A claim that has the names which a parameter's shape is unpacked into, in another order."""
    names = _unpacked(function, name)
    pieces = pieces_of(stated)
    if names is None or pieces is None or len(names) != len(pieces):
        return None
    wanted, said = [each.lower() for each in names], [each.lower() for each in pieces]
    if wanted == said or sorted(wanted) != sorted(said) or len(set(said)) != len(said):
        return None
    shown = ", ".join(names)
    right = tuple(pieces[said.index(each)] for each in wanted)
    return Contradiction(f"`{name}` is unpacked into ({shown}), the docstring says {stated.text}", right)


def _unpacked(function: Function, name: str) -> list[str] | None:
    """The names that a function unpacks a parameter's shape into before it can be another value."""
    assert not isinstance(function.node, ast.Lambda)
    for statement in function.node.body:
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=value):
                owner = shape_owner(value)
                if isinstance(owner, ast.Name) and owner.id == name:
                    return [each.id for each in targets if isinstance(each, ast.Name)]
        for part in ast.walk(statement):
            if isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Store):
                return None
    return None


def _place_of(looked: Looked, text: str, stated: ProseShape) -> tuple[Span, bool]:
    """Where a claim of a docstring stands in the file; the docstring's own place, and False, where that isn't found."""
    node = looked.function.node
    assert not isinstance(node, ast.Lambda)
    source = looked.evaluator.home.source
    statement = node.body[0]
    whole = source.span_of(statement)
    before = text[: stated.start].count(stated.text)
    raw = source.segment(statement)
    start = -1
    for _ in range(before + 1):
        start = raw.find(stated.text, start + 1)
        if start < 0:
            return Span(whole.line, whole.column, whole.line, whole.column + 3), False
    lines = raw[:start].split("\n")
    line = whole.line + len(lines) - 1
    column = len(lines[-1]) + (whole.column if len(lines) == 1 else 1)
    return Span(line, column, line, column + len(stated.text)), "\n" not in stated.text
