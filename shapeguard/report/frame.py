"""The lines of source around a finding, with its exact place underlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shapeguard.diagnostics import Diagnostic, Span
from shapeguard.report.cells import cell_of, cut
from shapeguard.report.colours import BY_SEVERITY, FAINT, painted
from shapeguard.report.findings import lines_of
from shapeguard.source.file import Source

_WIDTH = 100
"""Cells of a line that are shown."""
_BEFORE = 24
"""Of these, before a place that lies too far to the right."""
_COLUMNS_AT_MOST = 10_000
"""So far to the right a place is looked for from the beginning of its line."""
_LINES_AT_MOST = 6
_FIRST, _LAST = 3, 2
"""The lines that are left of a longer place."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the frame: its number, None below another one, and what stands behind the bar."""

    number: int | None
    text: str
    marks: bool = False
    """Whether the text underlines."""


def frame(source: Source, found: Diagnostic, *, colour: bool = False) -> list[str]:
    """Numbered lines; none where the finding is at no place of its own, or at one that the source doesn't have."""
    lines, place = lines_of(source, found.cell), found.span
    far = place.column - _COLUMNS_AT_MOST
    if far > 0 and place.line == place.end_line:
        lines = [line[far:] for line in lines]
        place = Span(place.line, place.column - far, place.end_line, place.end_column - far)
    span = _trimmed(place, lines)
    if span is None:
        return []
    rows = _one_line(lines, span) if span.line == span.end_line else _several_lines(lines, span)
    digits = max(len(str(row.number or "")) for row in rows)
    style = BY_SEVERITY[found.severity]
    return [_written(row, digits, style, colour=colour) for row in rows]


def _written(row: _Row, digits: int, style: str, *, colour: bool) -> str:
    number = "" if row.number is None else row.number
    gutter = painted(f"{number:>{digits}} |", FAINT, colour=colour)
    text = row.text.rstrip()
    if not row.marks:
        return f"{gutter} {text}" if text else gutter
    marks = text.lstrip(" ")
    return f"{gutter} {' ' * (len(text) - len(marks))}{painted(marks, style, colour=colour)}"


def _trimmed(span: Span, lines: Sequence[str]) -> Span | None:
    """The place without the lines of which it has nothing; None if nothing of it can be shown."""
    is_empty = (span.line, span.column) == (span.end_line, span.end_column)
    if is_empty or span.line < 1 or span.column > _COLUMNS_AT_MOST:
        return None
    end_line, end_column = span.end_line, span.end_column
    while end_line > span.line and (end_column <= 1 or end_line > len(lines)):
        end_line -= 1
        end_column = len(_line(lines, end_line)) + 1
    if not any(_line(lines, number).strip() for number in range(span.line, end_line + 1)):
        return None
    return Span(span.line, span.column, end_line, min(end_column, _COLUMNS_AT_MOST + _WIDTH))


def _line(lines: Sequence[str], number: int) -> str:
    return lines[number - 1] if 1 <= number <= len(lines) else ""


def _one_line(lines: Sequence[str], span: Span) -> list[_Row]:
    text = _line(lines, span.line)
    start = cell_of(text, span.column)
    end = max(cell_of(text, span.end_column), start + 1)
    left = 0 if end <= _WIDTH or start <= _WIDTH - _BEFORE else start - _BEFORE
    right = left + _WIDTH
    rows = [
        _Row(span.line, cut(text, left, _WIDTH)),
        _Row(None, f"{' ' * (start - left)}{'^' * (min(end, right) - start)}", marks=True),
    ]
    return [*_context(lines, span.line - 1, left), *rows, *_context(lines, span.line + 1, left)]


def _several_lines(lines: Sequence[str], span: Span) -> list[_Row]:
    """As rustc draws them: a line along the left, from the place's beginning to its end."""
    text, last = _line(lines, span.line), _line(lines, span.end_line)
    start = min(cell_of(text, span.column), _WIDTH - 1)
    end = min(cell_of(last, span.end_column), _WIDTH)
    rows = [_Row(each.number, f"  {each.text}") for each in _context(lines, span.line - 1)]
    if text[: span.column - 1].strip():
        rows += [_Row(span.line, f"  {cut(text, 0, _WIDTH)}"), _Row(None, f" {'_' * (start + 1)}^", marks=True)]
    else:
        rows.append(_Row(span.line, f"/ {cut(text, 0, _WIDTH)}"))
    inner = list(range(span.line + 1, span.end_line + 1))
    if len(inner) >= _LINES_AT_MOST:
        shown = [_Row(number, f"| {cut(_line(lines, number), 0, _WIDTH)}") for number in inner[: _FIRST - 1]]
        inner = inner[-_LAST:]
        rows += [*shown, _Row(None, "| …")]
    rows += [_Row(number, f"| {cut(_line(lines, number), 0, _WIDTH)}") for number in inner]
    rows.append(_Row(None, f"|{'_' * end}^", marks=True))
    return rows + [_Row(each.number, f"  {each.text}") for each in _context(lines, span.end_line + 1)]


def _context(lines: Sequence[str], number: int, left: int = 0) -> list[_Row]:
    """A line beside the place, if there is something on it to see."""
    text = cut(_line(lines, number), left, _WIDTH)
    return [_Row(number, text)] if text.strip(" …") else []
