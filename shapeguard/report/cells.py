"""Lines of source in the cells of a terminal: where a column stands, and what fits."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from shapeguard.report.wording import visible

_TAB = 4


def cell_of(text: str, column: int) -> int:
    """The cell in which a column begins; that behind the line for a column that it doesn't have."""
    before = text[: column - 1]
    if _is_plain(before):
        return len(before)
    return sum(width for _, _, width in _placed(before))


def cut(text: str, left: int, width: int) -> str:
    """What a window of so many cells shows of a line, with `…` where something is cut off."""
    right = left + width
    if _is_plain(text):
        shown = text[left:right]
        if left and shown:
            shown = f"…{shown[1:]}"
        return f"{shown[:-1]}…" if len(text) > right else shown
    begins, longer = left + (left > 0), False
    inside: list[tuple[str, int, int]] = []
    for piece, start, cells in _placed(text):
        longer = start + cells > right
        if longer:
            break
        if start >= begins:
            inside.append((piece, start, cells))
    while longer and inside and sum(inside[-1][1:]) >= right:  # the mark needs a cell
        inside.pop()
    shown = "".join(piece for piece, _, _ in inside)
    if left and inside:
        shown = f"…{' ' * (inside[0][1] - begins)}{shown}"
    return f"{shown}…" if longer else shown


def _is_plain(text: str) -> bool:
    """Whether a character takes a cell."""
    return text.isascii() and text.isprintable()


def _placed(text: str) -> Iterator[tuple[str, int, int]]:
    """What is shown for each character, the cell in which it begins, and how many it takes."""
    at = 0
    for character in text:
        shown = visible(character)
        cells = _TAB - at % _TAB if character == "\t" else _width(shown)
        yield " " * cells if character == "\t" else shown, at, cells
        at += cells


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
