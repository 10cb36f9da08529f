"""A bar on the terminal while a run takes long."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from shapeguard.report.colours import is_terminal

_QUIET = 1.0
"""Seconds after which a run is long."""
_BETWEEN = 0.1
_RATE_OVER = 3.0
"""Seconds that the rate looks back."""
_BAR_AT_MOST = 30
_COLUMNS = 80
"""Of a terminal that doesn't say how wide it is."""
_ERASE = "\r\033[K"


class Progress:
    """Called with how many files are done and how many there are; erases its line at the end of the `with`.

    Where the stream is no terminal, nothing is ever written.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._active = is_terminal(self._stream)
        start = clock()
        self._due = start + _QUIET
        self._seen = deque([(start, 0)])
        """When how many were done, over the last seconds."""
        self._drawn = False

    def __call__(self, done: int, total: int) -> None:
        """Draw the bar, if it is time to."""
        if not self._active:
            return
        now = self._clock()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_OVER:  # noqa: PLR2004 - the first and the last one
            self._seen.popleft()
        if now < self._due:
            return
        self._due = now + _BETWEEN
        self._stream.write(f"{_ERASE}{self._line(done, total)}")
        self._stream.flush()
        self._drawn = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._stream.write(_ERASE)
            self._stream.flush()
            self._drawn = False

    def _line(self, done: int, total: int) -> str:
        (then, before), (now, _) = self._seen[0], self._seen[-1]
        rate = (done - before) / max(now - then, _BETWEEN)
        said = f"{done:,}/{total:,} files, {rate:,.0f}/s"
        columns = _columns(self._stream) - 1  # a full line would go on to the next one
        room = min(_BAR_AT_MOST, columns - len(said) - len("[] "))
        if room < 1:
            return said[:columns]
        return f"[{'=' * (room * done // max(total, 1)):<{room}}] {said}"


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return _COLUMNS
