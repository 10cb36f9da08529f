"""Steps in which a column of one number a row meets a row, and what in the code tells that it is one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.lint.columns import column_of
from shapeguard.lint.identity import is_same
from shapeguard.lint.lookups import looked_up, product_of
from shapeguard.lint.losses import OF_CLASSES, OF_DIFFERENCES, losses
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.lint.rows import roots, row_of
from shapeguard.lint.thin import SAME_AXES, Thin, is_number, thin

_STEPS = frozenset({"where", "minimum", "maximum", "eq"})
_CHOICES = frozenset({"argmax", "max", "topk"})
_COUNTS = re.compile(r"\b(arange|linspace|logspace|range|meshgrid|triu|tril)\(")
_CHOICE_OF_TWO = 3
_LAST = -1
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Meeting:
    """A step in which a column meets a value that isn't one."""

    step: ast.expr
    column: ast.expr
    made: Thin
    other: ast.expr


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells that a value is a row."""

    why: str
    node: ast.expr
    row: ast.expr
    """The value that is surely a row; all of the other side, or a part of it."""
    is_sure: bool = True
    """Whether it doesn't matter what is done with the result."""


def meetings(file: Reading) -> Iterator[Meeting]:
    """The steps of a file in which a column that nobody put there by hand meets something else."""
    if not _has_columns(file):
        return
    for step, first, second in _pairs(file):
        for column, other in ((first, second), (second, first)):
            if isinstance(column, ast.Constant) or is_number(file, other):
                continue
            made = thin(file, column)
            if made is not None and made.kind != "viewed":
                if thin(file, other) is None:
                    yield Meeting(step, column, made, other)
                break


def _has_columns(file: Reading) -> bool:
    if any(number(argument(each, 1, "out_features")) == 1 for each in file.calls("Linear")):
        return True
    if any(number(argument(each, 1, "embedding_dim")) == 1 for each in file.calls("Embedding")):
        return True
    if next(file.calls("gather"), None) is not None:
        return True
    return any(keyword.arg in {"keepdim", "keepdims"} for keyword in file.all(ast.keyword))


def _pairs(file: Reading) -> Iterator[tuple[ast.expr, ast.expr, ast.expr]]:
    for node in file.all(ast.BinOp):
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
            yield node, node.left, node.right
    for comparison in file.all(ast.Compare):
        if len(comparison.comparators) == 1 and not isinstance(
            comparison.ops[0], ast.In | ast.NotIn | ast.Is | ast.IsNot
        ):
            yield comparison, comparison.left, comparison.comparators[0]
    for call in file.calls(*_STEPS):
        given = list(call.args)
        owner = receiver(call)
        if file.full_name(call.func) is None and owner is not None:
            given.insert(0, owner)
        if len(given) > 1:
            yield call, given[-2], given[-1]


def evidence(file: Reading, meeting: Meeting) -> Evidence | None:
    """What tells that the other side of a step is a row of as many numbers."""
    parts = list(_leaves(file, meeting.other))
    if meeting.made.kind == "looked up":
        return _of_ids(file, meeting, parts)
    return (
        _of_labels(file, meeting, parts)
        or _met_squeezed(file, meeting, parts)
        or _viewed_elsewhere(file, meeting, parts)
        or _of_lookups(file, meeting, parts)
        or _of_loss(file, meeting)
        or _made_as_row(file, meeting, parts)
    )


def _leaves(file: Reading, node: ast.expr, left: int = _DEEPEST) -> Iterator[ast.expr]:
    """The values that one is made of element by element."""
    file.spend()
    if left <= 0 or is_number(file, node):
        return
    parts: list[ast.expr] = []
    match node:
        case ast.Name():
            yield node
            binding = file.definition(node)
            if binding is not None and binding.value is not None and binding.index is None:
                parts = [binding.value]
        case ast.UnaryOp(operand=inner):
            parts = [inner]
        case ast.BinOp(left=first, op=op, right=second) if not isinstance(op, ast.MatMult):
            parts = [first, second]
        case ast.Compare(left=first, comparators=others):
            parts = [first, *others]
        case ast.Call(func=ast.Attribute(attr="where"), args=given) if len(given) == _CHOICE_OF_TWO:
            parts = given
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=given) if name in SAME_AXES:
            yield node
            parts = given[:1] if file.full_name(node.func) is not None else [owner]
        case ast.Call() | ast.Subscript():
            yield node
    for part in parts:
        yield from _leaves(file, part, left - 1)


def _of_ids(file: Reading, meeting: Meeting, parts: list[ast.expr]) -> Evidence | None:
    """The product of what was looked up for the same ids, summed over its last axis."""
    ids = looked_up(file, meeting.made.node)
    for part in parts:
        if ids is not None and product_of(file, part, ids):
            made = file.origin(part)
            return Evidence(f"`{file.text(made)}` has one number for each of `{file.text(ids)}`", made, part)
    return None


def _of_labels(file: Reading, meeting: Meeting, parts: list[ast.expr]) -> Evidence | None:
    """Labels of classes, as `cross_entropy(output, target)` has it, beside `output.argmax(1, keepdim=True)`."""
    made = meeting.made
    if made.kind != "kept" or made.of is None or last_name(getattr(made.node, "func", made.node)) not in _CHOICES:
        return None
    function = file.function(meeting.step)
    for loss in losses(file, *OF_CLASSES):
        if file.function(loss.call) is not function or loss.target is None or not _is_one(file, loss.given, made.of):
            continue
        for part in parts:
            if is_same(file, part, loss.target):
                return Evidence(f"`{file.text(loss.call)}` takes it for classes, one a row", loss.call, part)
    return None


def _is_one(file: Reading, first: ast.expr, second: ast.expr) -> bool:
    one, other = file.origin(first), file.origin(second)
    return (
        one is other
        or is_same(file, first, second)
        or (file.text(one) == file.text(other) and isinstance(one, ast.Name))
    )


def _met_squeezed(file: Reading, meeting: Meeting, parts: list[ast.expr]) -> Evidence | None:
    """The same value met with the column's last axis taken away, elsewhere in the function."""
    function = file.function(meeting.step)
    names = [each for each in _leaves(file, meeting.column) if isinstance(each, ast.Name)]
    for value, taken in _squeezed(file):
        if file.function(value) is not function or not any(is_same(file, taken, each) for each in names):
            continue
        for other in _beside(file, value):
            for leaf in _leaves(file, other):
                for part in parts:
                    if isinstance(part, ast.Name) and is_same(file, part, leaf):
                        where = f"line {value.lineno} has it beside `{file.text(value)}`"
                        return Evidence(where, value, part)
    return None


def _squeezed(file: Reading) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Values whose last axis is taken away, and what they were before."""
    for call in file.calls("squeeze", "flatten", "view", "reshape", "ravel"):
        owner = receiver(call)
        if owner is None or file.full_name(call.func) is not None or len(call.args) > 1:
            continue
        place = number(argument(call, 0, "dim"))
        is_flat = last_name(call.func) in {"view", "reshape"} and place == _LAST
        if is_flat or (last_name(call.func) not in {"view", "reshape"} and place in {None, 1, _LAST}):
            yield call, owner
    for node in file.all(ast.Subscript):
        match node.slice:
            case ast.Tuple(elts=[ast.Slice(lower=None, upper=None) | ast.Constant(), last]) if number(last) in {
                0,
                _LAST,
            }:
                yield node, node.value


def _beside(file: Reading, value: ast.expr) -> list[ast.expr]:
    """What a value meets in a step or a loss."""
    around = file.parent(value)
    match around:
        case ast.BinOp(left=first, right=second):
            return [second if first is value else first]
        case ast.Compare(left=first, comparators=[second]):
            return [second if first is value else first]
        case ast.Call(args=[first, second, *_]) if value in (first, second):
            return [second if first is value else first]
    return []


def _viewed_elsewhere(file: Reading, meeting: Meeting, parts: list[ast.expr]) -> Evidence | None:
    """The same value put up as a column by hand, elsewhere in the function."""
    if meeting.made.kind == "kept":
        return None  # which may have more axes than two
    function = file.function(meeting.step)
    for call in file.calls("view", "reshape", "unsqueeze"):
        owner = receiver(call)
        if owner is None or file.function(call) is not function or file.full_name(call.func) is not None:
            continue
        sizes = [number(each) for each in call.args]
        is_flat = sizes == [_LAST, 1]
        if not is_flat and sizes not in ([1], [_LAST]):
            continue
        if not is_flat and not any(_is_column(file, each) for each in _beside(file, call)):
            continue
        for part in parts:
            if isinstance(part, ast.Name) and is_same(file, part, owner):
                return Evidence(f"line {call.lineno} makes a column of it: `{file.text(call)}`", call, part)
    return None


def _is_column(file: Reading, node: ast.expr) -> bool:
    made = thin(file, node)
    return made is not None and made.kind != "viewed"


def _of_lookups(file: Reading, meeting: Meeting, parts: list[ast.expr]) -> Evidence | None:
    """`table[t]`, which is given its further axes elsewhere: `table[t].view(-1, 1, 1, 1)`."""
    if meeting.made.axes == 1:
        return None
    texts = {file.text(each): each for each in parts if isinstance(each, ast.Subscript)}
    owner = file.class_of(meeting.step)
    for call in file.calls("view", "reshape") if texts else ():
        value = receiver(call)
        ones = [number(each) for each in call.args[1:]]
        if value is None or len(ones) != meeting.made.axes or any(each != 1 for each in ones):
            continue
        if file.class_of(call) is owner and file.text(value) in texts:
            return Evidence(f"line {call.lineno} gives it its axes: `{file.text(call)}`", call, texts[file.text(value)])
    return None


def _of_loss(file: Reading, meeting: Meeting) -> Evidence | None:
    """A loss of the result with a row: whatever the other side is, one of the two steps pairs each with every one."""
    function = file.function(meeting.step)
    for loss in losses(file, *OF_DIFFERENCES):
        if file.function(loss.call) is not function or loss.target is None:
            continue
        for row, value in ((loss.given, loss.target), (loss.target, loss.given)):
            if not _holds(file, value, meeting.step):
                continue
            if column_of(file, row) == "row" or _is_picked(file, row):
                return Evidence(
                    f"`{file.text(loss.call)}` takes the result with `{file.text(row)}`, a row", loss.call, row
                )
    return None


def _holds(file: Reading, value: ast.expr, step: ast.expr, left: int = _DEEPEST) -> bool:
    """Whether a value is made by a step, element by element."""
    if value is step:
        return True
    if left <= 0:
        return False
    match value:
        case ast.Name():
            made = file.origin(value)
            return made is not value and _holds(file, made, step, left - 1)
        case ast.BinOp(left=first, right=second):
            return _holds(file, first, step, left - 1) or _holds(file, second, step, left - 1)
        case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in SAME_AXES:
            return _holds(file, inner, step, left - 1)
    return False


def _is_picked(file: Reading, node: ast.expr) -> bool:
    """Whether a value is one number a row, picked by two indices: `q[torch.arange(n), actions]`."""
    match file.origin(node):
        case ast.Subscript(slice=ast.Tuple(elts=[first, second])) if not isinstance(second, ast.Slice):
            made = file.origin(first)
            return (
                isinstance(made, ast.Call) and last_name(made.func) == "arange" and not isinstance(second, ast.Constant)
            )
    return False


def _made_as_row(file: Reading, meeting: Meeting, parts: list[ast.expr]) -> Evidence | None:
    """A row that is made of the same data as the column that a layer gives."""
    if meeting.made.kind not in {"head", "gathered"}:
        return None
    column = roots(file, meeting.column)
    for part in parts:
        node = row_of(file, part)
        if node is not None and roots(file, part) & column and not _COUNTS.search(file.text(node)):
            return Evidence(f"`{file.text(node)}` has one axis", node, part, is_sure=False)
    return None
