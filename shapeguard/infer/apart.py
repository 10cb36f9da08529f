"""What comments on lines of their own say of the values beside them, where it is sure which value they are about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from shapeguard.diagnostics import Span
from shapeguard.infer.drifting import Contradiction, contradiction, is_clear, of_averaged, of_written, report
from shapeguard.infer.values import Symbol, certain
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.axis_words import read_axes
from shapeguard.shapes.prose import ProseShape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator

_BARE = re.compile(r"[^\W\d]\w*(?: (?:[^\W\d]\w*|\d+)){2,5}")
_LEAD = re.compile(r"\s*(?:(?:of )?(?:shape|size)s?)?\s*[:=]?\s*", re.IGNORECASE)
_NAME = re.compile(r"[^\W\d]\w*")
_MOST_LINES = 6


class Apart(NamedTuple):
    """A comment that is about the value of a statement."""

    line: int
    start: int
    """The column of its first character behind the `#`."""
    target: str
    stated: ProseShape
    is_named: bool
    """Whether it says which value it is about."""


def claims(evaluator: Evaluator, node: ast.Assign) -> tuple[Apart, ...]:
    """What stands above and below an assignment that is about to be made."""
    known = evaluator.home.lone_comments
    if not known or evaluator.depth or evaluator.aside or evaluator.quiet:
        return ()
    above, below = node.lineno - 1, (node.end_lineno or node.lineno) + 1
    if above not in known and below not in known:
        return ()
    return tuple(_found(evaluator, node, above, below))


def _found(evaluator: Evaluator, node: ast.Assign, above: int, below: int) -> Iterator[Apart]:
    targets = [each.id for target in node.targets for each in _parts(target) if isinstance(each, ast.Name)]
    after = _next_line(evaluator, below)
    for line in (*_run(evaluator, node, above, -1), *_run(evaluator, node, below, 1)):
        read = _read(evaluator, line)
        if read is None:
            continue
        stated, start = read
        if stated.subject in targets:
            is_new = line > node.lineno or stated.subject not in evaluator.scope
            if is_new and not _sets(after, stated.subject):
                yield Apart(line, start, stated.subject, stated, is_named=True)
        elif not stated.subject and line == above and len(targets) == 1 and _is_of_next(evaluator, node, stated, below):
            yield Apart(line, start, targets[0], stated, is_named=False)


def _parts(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple) else [target]


def _run(evaluator: Evaluator, node: ast.Assign, line: int, step: int) -> Iterator[int]:
    """The lines of comments that adjoin a statement, in its own column."""
    comments = evaluator.home.source.comments
    for _ in range(_MOST_LINES):
        comment = comments.get(line)
        if comment is None or not comment.alone or comment.column != node.col_offset + 1:
            return
        yield line
        line += step


def _read(evaluator: Evaluator, line: int) -> tuple[ProseShape, int] | None:
    comment = evaluator.home.source.comments[line]
    start = comment.column + len(comment.text) - len(comment.text.lstrip("#"))
    stated = evaluator.home.comment_shape(line)
    text = comment.text.lstrip("#")
    if stated is not None:
        lead, tail = text[: stated.start], text[stated.end :]
        is_value = "=" in lead and "shape" not in lead
        is_alone = bool(stated.subject) or (bool(_LEAD.fullmatch(lead)) and not tail.strip(" ."))
        return (stated, start) if is_clear(stated) and is_alone and not is_value else None
    words = text.strip()
    if not _BARE.fullmatch(words) or not all(each in evaluator.scope for each in _NAME.findall(words)):
        return None
    axes = read_axes(words.split())
    begin = text.index(words)
    return None if axes is None else (ProseShape(words, begin, begin + len(words), axes), start)


def _next_line(evaluator: Evaluator, line: int) -> str:
    """The first line of code from one on, unless a blank one stands before it."""
    lines = evaluator.home.source.lines
    while line <= len(lines) and lines[line - 1].lstrip().startswith("#"):
        line += 1
    return lines[line - 1] if line <= len(lines) else ""


def _sets(line: str, name: str) -> bool:
    before, equal, _ = line.partition("=")
    return bool(equal) and name in _NAME.findall(before)


def _is_of_next(evaluator: Evaluator, node: ast.Assign, stated: ProseShape, below: int) -> bool:
    """Whether a comment without a name can't be about what is there already, or about what is made further on."""
    lines = evaluator.home.source.lines
    target = node.targets[0]
    if not isinstance(target, ast.Name) or target.id in evaluator.scope or stated.variadic is not None:
        return False
    after = lines[below - 1] if below <= len(lines) else ""
    if after.strip() and len(after) - len(after.lstrip()) >= node.col_offset:
        return False
    read = {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
    read |= set(_NAME.findall(lines[node.lineno - 3].partition("#")[0]) if node.lineno > 2 else ())  # noqa: PLR2004 - the line above the comment
    return not any(_may_be(evaluator, name, stated) for name in read - {"self"} if name in evaluator.scope)


def _may_be(evaluator: Evaluator, name: str, stated: ProseShape) -> bool:
    """Whether a value that is there already may have the shape that is stated."""
    value = evaluator.scope[name]
    known = certain(value)
    if isinstance(known, Tensor):
        axes = known.shape.axes
        return axes is None or len(axes) == len(stated.axes)
    return known is UNKNOWN or (isinstance(known, Symbol) and not known.is_number)


def weigh(evaluator: Evaluator, node: ast.Assign, value: Any, told: tuple[Apart, ...]) -> None:
    """Report those that the value which has been made surely contradicts."""
    for each in told:
        found = _contradicted(evaluator, node, value, each)
        if found is None or not (found.is_form or each.is_named):
            continue
        span = Span(each.line, each.start + each.stated.start, each.line, each.start + each.stated.end)
        report(
            evaluator, span, ("SG711", "comment-drift"), found, each.stated, (f"in the comment: {each.stated.text}",)
        )


def _contradicted(evaluator: Evaluator, node: ast.Assign, value: Any, told: Apart) -> Contradiction | None:
    about, target = f"`{told.target}`", node.targets[0]
    found = of_written(evaluator, about, "the comment", told.stated, node.value)
    at = None
    if isinstance(target, ast.Tuple):
        names = [each.id if isinstance(each, ast.Name) else "" for each in target.elts]
        at = names.index(told.target)
        found = of_averaged(evaluator, about, "the comment", told.stated, node.value, at)
    known = certain(value)
    if at is not None:
        known = certain(known[at]) if isinstance(known, tuple) and len(known) == len(names) else UNKNOWN
    if found is not None or not isinstance(known, Tensor):
        return found
    own = not evaluator.reporter.trusting
    return contradiction(about, "the comment", told.stated, known.shape, evaluator.scope, evaluator.words, own=own)
