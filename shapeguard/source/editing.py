"""Edits of a source's text made on the bytes of its file, of which all else stays as it is."""

from __future__ import annotations

import codecs
import io
import json
import re
import tokenize
from abc import ABC, abstractmethod
from collections.abc import Iterable

from shapeguard.diagnostics import Edit
from shapeguard.source import json_text
from shapeguard.source.file import Source
from shapeguard.source.notebook import raw_cells

_END = re.compile(r"\r\n?|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


class CannotEditError(Exception):
    """These bytes can't take these edits; its text continues a sentence that begins with the file."""


class Document(ABC):
    """What is in a file, with the way to each place of the text that its Source has.

    A file in an encoding that doesn't give back the bytes it was read from is a CannotEditError.
    """

    text: str
    """All of it, decoded."""
    encoding: str

    @abstractmethod
    def place(self, line: int, column: int) -> int | None:
        """Where a place of the source's text stands in this one; None if it isn't there, or nothing may change there."""

    @abstractmethod
    def written(self, edit: Edit, end: int) -> str:
        """How the text of an edit is written here; what it replaces ends at `end`."""

    def places(self, edit: Edit) -> tuple[int, int] | None:
        """Where what an edit replaces begins and ends; None if it can't be made."""
        span = edit.span
        start, end = self.place(span.line, span.column), self.place(span.end_line, span.end_column)
        return None if start is None or end is None or start > end else (start, end)

    def edited(self, edits: Iterable[Edit]) -> bytes:
        """The bytes with the edits made, each of which has its places, and none of which overlap."""
        splices: list[tuple[int, int, str]] = []
        for edit in edits:
            places = self.places(edit)
            assert places is not None
            splices.append((*places, self.written(edit, places[1])))
        try:
            return spliced(self.text, splices).encode(self.encoding)
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            raise CannotEditError(
                f"is {_plain_name(self.encoding)}, which can't hold the character {character!r} of a fix"
            ) from None


def spliced(text: str, splices: Iterable[tuple[int, int, str]]) -> str:
    """A text in which others take the place of stretches, none of which overlap."""
    parts: list[str] = []
    here = 0
    for start, end, new in sorted(splices, key=lambda each: each[:2]):
        parts += (text[here:start], new)
        here = end
    return "".join((*parts, text[here:]))


def document(source: Source, data: bytes) -> Document:
    """The document whose bytes a source was read from."""
    if source.path.endswith(".ipynb"):
        return _Notebook(source, data)
    return _Script(data)


class _Script(Document):
    """A file of Python."""

    def __init__(self, data: bytes) -> None:
        self.encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        self.text = data.decode(self.encoding)
        try:
            same = self.text.encode(self.encoding) == data
        except UnicodeEncodeError:
            same = False
        if not same:
            raise CannotEditError(
                f"is {_plain_name(self.encoding)}, which doesn't give back the bytes it was read from"
            )
        self._lines = _Lines(self.text)

    def place(self, line: int, column: int) -> int | None:
        return self._lines.place(line, column)

    def written(self, edit: Edit, end: int) -> str:  # noqa: ARG002 - nothing depends on it here
        return edit.text.replace("\n", self._lines.ending(edit.span.line))


class _Notebook(Document):
    """A notebook, of which only strings in the sources of its code cells can change."""

    def __init__(self, source: Source, data: bytes) -> None:
        self.encoding = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"
        self.text = data.decode(self.encoding)
        self._escapes = self.text.isascii() and re.search(r"\\u[0-9a-fA-F]{4}", self.text) is not None
        self._source = source
        self._cells = {
            number: (cell.first_line, _CellText(self.text, at, raw))
            for cell, (number, raw, at) in zip(source.cells, _cells_with_places(data, self.text), strict=True)
        }

    def place(self, line: int, column: int) -> int | None:
        found = self._cell(line)
        if found is None:
            return None
        inner, cell = found
        if inner > len(cell.lines.plain) or cell.lines.plain[inner - 1] != self._source.lines[line - 1]:
            return None  # only IPython understands what stands there
        at = cell.lines.place(inner, column)
        return None if at is None or cell.places is None else cell.places[at]

    def places(self, edit: Edit) -> tuple[int, int] | None:
        span = edit.span
        lines = range(span.line, span.end_line + 1)
        if self._source.cell_at(span.line) != self._source.cell_at(span.end_line):
            return None
        return None if any(self.place(line, 1) is None for line in lines) else super().places(edit)

    def written(self, edit: Edit, end: int) -> str:
        found = self._cell(edit.span.line)
        assert found is not None
        inner, cell = found
        text = edit.text.replace("\n", cell.lines.ending(inner))
        written = [json.dumps(line, ensure_ascii=self._escapes)[1:-1] for line in _LINE.findall(text)]
        if cell.between is None:
            return "".join(written)
        # In a list each line is an item of its own.
        goes_on = text.endswith(("\n", "\r")) and self.text[end] != '"'
        return f'"{cell.between}"'.join([*written, ""] if goes_on else written)

    def _cell(self, line: int) -> tuple[int, _CellText] | None:
        """The cell of a line of the source's text, and which of the cell's own lines it is."""
        found = self._cells.get(self._source.cell_at(line))
        return None if found is None else (line - found[0] + 1, found[1])


def _cells_with_places(data: bytes, text: str) -> list[tuple[int, str, int | None]]:
    """Each code cell's number, source, and where that stands."""
    cells = json_text.member(text, json_text.start(text), "cells")
    assert cells is not None
    places = [json_text.member(text, at, "source") if text[at] == "{" else None for at in json_text.items(text, cells)]
    sources = raw_cells(json.loads(data.decode("utf-8-sig")))
    assert not isinstance(sources, str)
    return [(number, raw, places[number - 1]) for number, raw in sources]


class _CellText:
    """The source of one cell, and where its characters stand in the notebook."""

    def __init__(self, text: str, at: int | None, raw: str) -> None:
        self.lines = _Lines(raw)
        self.places: list[int] | None = None
        """Of each character, and of the end."""
        self.between: str | None = None
        """What stands between two items, if the source is a list."""
        if at is None:
            return
        if text[at] != "[":
            self.places = json_text.characters(text, at)
            return
        starts = list(json_text.items(text, at))
        if not starts:
            return
        self.places = []
        for start in starts:
            *inside, last = json_text.characters(text, start)
            self.places += inside
        self.places.append(last)
        if len(starts) > 1:
            self.between = text[json_text.end(text, starts[0]) : starts[1]]
        else:
            self.between = "," + (text[at + 1 : starts[0]] or (" " if text[at - 1] == " " else ""))


class _Lines:
    """A text by its lines, whatever they end in."""

    def __init__(self, text: str) -> None:
        ends = list(_END.finditer(text))
        self._starts = [0, *(each.end() for each in ends)]
        self._endings = [each.group() for each in ends]
        stops = [*(each.start() for each in ends), len(text)]
        self.plain = [text[start:stop] for start, stop in zip(self._starts, stops, strict=True)]
        """Each without its end."""

    def place(self, line: int, column: int) -> int | None:
        """Where a place stands in the text; None if the line isn't there or isn't so long."""
        if not 1 <= line <= len(self.plain) or not 1 <= column <= len(self.plain[line - 1]) + 1:
            return None
        return self._starts[line - 1] + column - 1

    def ending(self, line: int) -> str:
        """What a line ends in, or, where it is the last one, the line before it."""
        near = self._endings[:line][-1:]
        return near[0] if near else "\n"


def _plain_name(encoding: str) -> str:
    return encoding.removesuffix("-sig")
