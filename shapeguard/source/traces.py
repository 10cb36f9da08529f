"""What was looked at on disk, so that it can be known later whether it would be found the same.

It is kept where that is asked for, and for one run: no file is taken to change while it lasts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

CHANGED = "changed"
"""In the place of the digest of a file that changed while the run lasted."""


@dataclass(slots=True)
class Trace:
    """What reading one file led to."""

    digest: str = ""
    """Of its content; "" for one that couldn't be read."""
    present: set[str] = field(default_factory=set)
    """Files that were only looked for, and are there."""
    absent: set[str] = field(default_factory=set)
    """Files that were looked for, and aren't there."""
    reads: set[str] = field(default_factory=set)
    """Files that were read on its behalf, which have traces of their own."""


_traces: dict[str, Trace] = {}
_grown: set[str] = set()
_switch = {"keep": False}
_forgotten_with_them: list[Callable[[], None]] = []


def note_content(path: str, data: bytes) -> None:
    """Remember what was read from a file."""
    if not _switch["keep"]:
        return
    trace = _trace_of(path)
    trace.digest = same_digest(trace.digest, digest_of(data))


def note_looks(
    path: str, *, present: Iterable[str] = (), absent: Iterable[str] = (), reads: Iterable[str] = ()
) -> None:
    """Remember what was looked for on behalf of a file."""
    if not _switch["keep"]:
        return
    trace = _trace_of(path)
    trace.present.update(present)
    trace.absent.update(absent)
    trace.reads.update(reads)


def _trace_of(path: str) -> Trace:
    place = os.path.abspath(path)  # noqa: PTH100 - it doesn't follow links
    _grown.add(place)
    return _traces.setdefault(place, Trace())


def same_digest(one: str, other: str) -> str:
    """The digest that both know; CHANGED if they know different ones."""
    return one or other if not one or not other or one == other else CHANGED


def news() -> dict[str, Trace]:
    """The traces, by absolute path, that may have grown since this was last asked."""
    found = {path: _traces[path] for path in _grown}
    _grown.clear()
    return found


def forget_with_traces(forget: Callable[[], None]) -> None:
    """Have this called too when a new run begins."""
    _forgotten_with_them.append(forget)


def keep_traces() -> None:
    """Remember traces from here on to the end of the run."""
    _switch["keep"] = True


def forget_traces() -> None:
    """Begin a new run, before which any file may have changed."""
    _switch["keep"] = False
    _traces.clear()
    _grown.clear()
    for forget in _forgotten_with_them:
        forget()


def digest_of(data: bytes) -> str:
    """The same for the same content, and for no other."""
    import hashlib  # noqa: PLC0415 - a run in which no file has changed needs none

    return hashlib.blake2b(data, digest_size=16).hexdigest()
