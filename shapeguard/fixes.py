"""Fixes made: which of them go together, and what they make of a text."""

from __future__ import annotations

from collections.abc import Iterable

from shapeguard.diagnostics import Edit, Fix


def fixed_text(text: str, fixes: Iterable[Fix]) -> tuple[str, tuple[Fix, ...]]:
    """A text, whose lines end in line feeds, with the fixes made that touch nothing that an earlier one touches."""
    starts = _line_starts(text)
    made: list[Fix] = []
    taken: list[tuple[int, int, str]] = []
    for fix in fixes:
        places = [(*_place(starts, edit), edit.text) for edit in fix.edits]
        if not any(_collide(one, other) for one in places for other in taken):
            made.append(fix)
            taken += places
    for start, end, new in sorted(taken, reverse=True):
        text = text[:start] + new + text[end:]
    return text, tuple(made)


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _place(starts: list[int], edit: Edit) -> tuple[int, int]:
    span = edit.span
    return starts[span.line - 1] + span.column - 1, starts[span.end_line - 1] + span.end_column - 1


def _collide(one: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
