"""What is found in one file as values that JSON knows, and back; what comes back is checked, as anyone may have written it."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar, get_args

from shapeguard.diagnostics import Applicability, Diagnostic, Edit, Fix, Severity, Span, Tracking

Result: TypeAlias = tuple[tuple[Diagnostic, ...], Tracking]
"""Of one file."""

Kind = TypeVar("Kind")


def plain(result: Result, path: str) -> list[Any]:
    """A result without the path that it is of, as that may be given in another way the next time."""
    diagnostics, tracking = result
    return [[_plain_finding(each) for each in diagnostics], _plain_tracking(tracking, path)]


def restored(value: Any, path: str) -> Result:
    """The result of which `plain` made this, for a file by this path; a ValueError for what it can't have made."""
    findings, tracking = _list(value, 2)
    return tuple(_finding(each, path) for each in _list(findings)), _tracking(tracking, path)


def _plain_finding(found: Diagnostic) -> list[Any]:
    fix = found.fix
    edits = None if fix is None else [[*_plain_span(each.span), each.text] for each in fix.edits]
    return [
        *_plain_span(found.span),
        found.code,
        found.name,
        found.message,
        list(found.notes),
        found.hint,
        None if fix is None else [fix.message, edits, fix.applicability],
        found.cell,
        found.severity,
        found.preview,
    ]


def _finding(value: Any, path: str) -> Diagnostic:
    line, column, end_line, end_column, code, name, message, notes, hint, fix, cell, severity, preview = _list(
        value, 13
    )
    return Diagnostic(
        path,
        _span((line, column, end_line, end_column)),
        _typed(code, str),
        _typed(name, str),
        _typed(message, str),
        tuple(_typed(note, str) for note in _list(notes)),
        None if hint is None else _typed(hint, str),
        None if fix is None else _fix(fix),
        _typed(cell, int),
        _one_of(severity, get_args(Severity)),
        _typed(preview, bool),
    )


def _fix(value: Any) -> Fix:
    message, edits, applicability = _list(value, 3)
    made = tuple(Edit(_span(place), _typed(text, str)) for *place, text in map(_list, _list(edits)))
    return Fix(_typed(message, str), made, _one_of(applicability, get_args(Applicability)))


def _plain_span(span: Span) -> tuple[int, int, int, int]:
    return span.line, span.column, span.end_line, span.end_column


def _span(value: Any) -> Span:
    line, column, end_line, end_column = value
    return Span(_typed(line, int), _typed(column, int), _typed(end_line, int), _typed(end_column, int))


def _plain_tracking(tracking: Tracking, path: str) -> list[Any]:
    exhausted = [function.removeprefix(f"{path}: ") for function in tracking.exhausted]
    return [tracking.expressions, tracking.known, tracking.complete, dict(tracking.lost), exhausted]


def _tracking(value: Any, path: str) -> Tracking:
    expressions, known, complete, lost, exhausted = _list(value, 5)
    return Tracking(
        _typed(expressions, int),
        _typed(known, int),
        _typed(complete, int),
        {call: _typed(count, int) for call, count in _typed(lost, dict).items()},
        tuple(f"{path}: {_typed(function, str)}" for function in _list(exhausted)),
    )


def _list(value: Any, length: int | None = None) -> list[Any]:
    found: list[Any] = _typed(value, list)
    if length is not None and len(found) != length:
        raise ValueError(f"{len(found)} values where {length} belong")
    return found


def _typed(value: Any, kind: type[Kind]) -> Kind:
    if type(value) is not kind:
        raise ValueError(f"{value!r} where {kind.__name__} belongs")
    return value


def _one_of(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} isn't one of {allowed}")
    return value
