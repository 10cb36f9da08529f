"""The terminal that the story is told on: paragraphs of its width, colours where it has them, and a bar."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from shapeguard.report.colours import BOLD, CYAN, FAINT, has_colour, is_terminal, painted

GREEN, RED = "32", "31"
_WIDTH_AT_MOST = 100
_INDENT = "   "
_BAR = 30
_ERASE = "\r\033[K"
_PAINT = re.compile(r"\033\[[0-9;]*m")
_PLAIN_STEPS = 4
"""So many lines stand for the bar where there is no terminal."""


class Screen:
    """Where to write, and what can be shown there."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live, self.colour = is_terminal(stream), has_colour(stream)
        self._drawn = False
        self._width = min(shutil.get_terminal_size((_WIDTH_AT_MOST, 24)).columns, _WIDTH_AT_MOST)

    def title(self, text: str) -> None:
        """Write a line that begins a part."""
        self._write(f"\n{self._painted(text, BOLD)}\n")

    def command(self, text: str) -> None:
        """Write what a reader would type."""
        self._write(f"\n{_INDENT}{self._painted('$', FAINT)} {self._painted(text, CYAN)}\n")

    def say(self, text: str, style: str = "") -> None:
        """Write lines, broken between words where they are wider than the screen."""
        for line in text.splitlines():
            for row in self._rows(line):
                self._write(f"{_INDENT}{self._painted(row, style)}".rstrip() + "\n")

    @contextmanager
    def bar(self) -> Iterator[Callable[[int, int, float], None]]:
        """What draws how far a run is, as it is told; without a terminal it writes that now and then."""
        if self._live:
            self._write(f"{_INDENT}{self._painted('starting', FAINT)}")
        try:
            yield self._step
        finally:
            if self._live:
                self._write("\n" if self._drawn else _ERASE)
            self._drawn = False

    def _step(self, done: int, total: int, loss: float) -> None:
        said = f"{done:>{len(str(total))}}/{total}  loss {loss:.3f}"
        if self._live:
            bar = f"[{'=' * (_BAR * done // total):<{_BAR}}] {said}"
            self._write(f"{_ERASE}{_INDENT}{bar}"[: len(_ERASE) + self._width - 1])
            self._drawn = True
        elif done * _PLAIN_STEPS // total > (done - 1) * _PLAIN_STEPS // total:
            self._write(f"{_INDENT}step {said}\n")

    def _painted(self, text: str, style: str) -> str:
        """The text in a style, if there is one and the screen has colours."""
        return painted(text, style, colour=self.colour and bool(style))

    def _rows(self, line: str) -> list[str]:
        """The line broken between words; what paints takes no room."""
        room = self._width - len(_INDENT)
        if _cells(line) <= room:
            return [line]
        text = line.lstrip()
        margin = line[: len(line) - len(text)]
        first, *words = text.split(" ")
        rows = [f"{margin}{first}"]
        for word in words:
            if _cells(rows[-1]) + 1 + _cells(word) <= room:
                rows[-1] += f" {word}"
            else:
                rows.append(f"{margin}    {word}")
        return rows

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _cells(text: str) -> int:
    return len(_PAINT.sub("", text))
