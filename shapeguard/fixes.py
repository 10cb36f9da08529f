"""Fixes made: which of them go together, what they make of a text and of a file, and how the file differs then."""

from __future__ import annotations

import difflib
import io
import json
import math
import re
import tokenize
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from shapeguard.config import UsageError
from shapeguard.diagnostics import Diagnostic, Fix
from shapeguard.source.editing import CannotEditError, document, spliced
from shapeguard.source.file import Source
from shapeguard.source.notebook import raw_cells
from shapeguard.source.read import read_bytes, source_from
from shapeguard.source.writing import write_file

Check: TypeAlias = Callable[[Source], Sequence[Diagnostic]]
"""What finds what is to be fixed in a source; the lines of edits count in its text, in a notebook too."""

_PASSES_WITHOUT_PROGRESS = 10
"""So many passes may begin with no fewer fixes to make than one before."""
_COLOURS = {"head": "\033[1m", "@": "\033[36m", "-": "\033[31m", "+": "\033[32m"}


@dataclass(frozen=True, slots=True)
class Fixed:
    """What fixing makes of a file."""

    path: str
    before: bytes
    after: bytes
    made: tuple[Diagnostic, ...] = ()
    """The findings that were fixed, each with the place that it had when it was."""
    remaining: tuple[Diagnostic, ...] = ()
    """What is found in `after`."""
    problem: str | None = None
    """Why the file stays as it was though there was something to fix: a sentence that begins with the file."""


def fixed_text(text: str, fixes: Iterable[Fix]) -> tuple[str, tuple[Fix, ...]]:
    """A text, whose lines end in line feeds, with those fixes made that go together, and which these are.

    Of two that overlap or touch, the one that begins first is made: the other one waits until the text is read again.
    """
    placed = _together(_placed(text, fixes))
    return spliced(text, (place for each in placed for place in each.places)), tuple(each.fix for each in placed)


class _Placed(NamedTuple):
    places: tuple[tuple[int, int, str], ...]
    """Where each edit begins and ends in the text, and what it puts there; in order."""
    fix: Fix


def _placed(text: str, fixes: Iterable[Fix]) -> Iterator[_Placed]:
    """The fixes with their places, but for those without edits, with one outside the text, or with two that overlap."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)

    def offset(line: int, column: int) -> float:
        inside = 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1
        return starts[line - 1] + column - 1 if inside else math.nan

    for fix in fixes:
        spans = [(each.span, each.text) for each in fix.edits]
        places = [(offset(span.line, span.column), offset(span.end_line, span.end_column), new) for span, new in spans]
        places.sort(key=lambda place: place[:2])
        ends = [end for start, end, _ in places for end in (start, end)]
        if ends and all(one <= other for one, other in pairwise(ends)):  # false for a NaN
            yield _Placed(tuple((int(start), int(end), new) for start, end, new in places), fix)


def _together(placed: Iterable[_Placed]) -> list[_Placed]:
    """Those that can be made at once, in the order of the text."""
    taken: list[tuple[int, int]] = []
    chosen: list[_Placed] = []
    for each in sorted(placed, key=lambda each: (each.places, each.fix.message)):
        if not any(_touches(taken, start, end) for start, end, _ in each.places):
            chosen.append(each)
            for start, end, _ in each.places:
                insort(taken, (start, end))
    return chosen


def _touches(taken: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of several stretches, which are in order and don't overlap, overlaps or touches this one."""
    before = bisect_right(taken, (end, math.inf))
    return before > 0 and taken[before - 1][1] >= start


def is_made(fix: Fix | None, *, unsafe: bool) -> bool:
    """Whether a finding's fix is one that is made: those that aren't safe only with `unsafe`, others never."""
    return fix is not None and fix.applicability in (("safe", "unsafe") if unsafe else ("safe",))


def fix_file(path: str, check: Check, *, unsafe: bool = False) -> Fixed:
    """What comes of a file when what `check` finds in it is fixed; nothing is written."""
    data = read_bytes(path)
    if isinstance(data, Diagnostic):
        return Fixed(path, b"", b"", remaining=(data,))
    return fix_data(path, data, check, unsafe=unsafe)


def fix_data(path: str, data: bytes, check: Check, *, unsafe: bool = False) -> Fixed:
    """What comes of the bytes of a file when what `check` finds is fixed, again and again until there is nothing more.

    Safe fixes are made, and with `unsafe` the unsafe ones too.
    """
    source = source_from(path, data)
    if isinstance(source, Diagnostic):
        return Fixed(path, data, data, remaining=(source,))
    first = found = tuple(check(source))
    after, made, fewest, patience = data, list[Diagnostic](), len(found) + 1, _PASSES_WITHOUT_PROGRESS
    try:
        while wanted := _wanted(source, after, found, unsafe=unsafe):
            patience -= len(wanted) >= fewest
            fewest = min(fewest, len(wanted))
            if patience < 0:
                return Fixed(path, data, data, remaining=first, problem=_endless(path, wanted.values()))
            source, after, done = _after_a_pass(source, after, wanted)
            made += done
            found = tuple(check(source))
    except CannotEditError as error:
        return Fixed(path, data, data, remaining=first, problem=f"{path} {error}; it is left as it was")
    return Fixed(path, data, after, tuple(made), found)


def _endless(path: str, wanted: Iterable[Diagnostic]) -> str:
    names = ", ".join(sorted({f"`{each.name}`" for each in wanted}))
    return f"{path} can't be fixed: what is done about {names} comes to no end; it is left as it was"


def _wanted(source: Source, data: bytes, found: Iterable[Diagnostic], *, unsafe: bool) -> dict[int, Diagnostic]:
    """What is to be fixed, and can be, by the identity of its fix."""
    fixable = {id(each.fix): each for each in found if is_made(each.fix, unsafe=unsafe)}
    if not fixable or (source.errors and not source.cells):
        return {}
    file = document(source, data)
    placed = _placed(source.text, (each.fix for each in fixable.values() if each.fix is not None))
    return {id(fix): fixable[id(fix)] for _, fix in placed if all(map(file.places, fix.edits))}


def _after_a_pass(
    source: Source, data: bytes, wanted: Mapping[int, Diagnostic]
) -> tuple[Source, bytes, list[Diagnostic]]:
    """The file with as many fixes made as go together, and what they fixed."""
    text, fixes = fixed_text(source.text, (each.fix for each in wanted.values() if each.fix is not None))
    after = document(source, data).edited(edit for fix in fixes for edit in fix.edits)
    read = source_from(source.path, after)
    if isinstance(read, Source) and read.text == text and len(read.errors) <= len(source.errors):
        return read, after, [wanted[id(fix)] for fix in fixes]
    for fix in fixes:
        alone, _ = fixed_text(source.text, (fix,))
        if Source(source.path, alone).errors:
            raise CannotEditError(f"can't be fixed: {_place(wanted[id(fix)])} gives what Python can't parse")
    raise CannotEditError("can't be fixed: it would read otherwise than the fixes leave it")


def _place(fixed: Diagnostic) -> str:
    cell = f" of cell {fixed.cell}" if fixed.cell else ""
    return f"the fix of `{fixed.name}` on line {fixed.span.line}{cell}"


def write_fixed(fixed: Fixed) -> None:
    """Write what fixing made of a file, if anything; a UsageError where that fails, or where the file has changed since."""
    if fixed.after == fixed.before:
        return
    if read_bytes(fixed.path) != fixed.before:
        raise UsageError(f"can't write {fixed.path}: it has changed since it was read")
    write_file(fixed.path, fixed.after)


def diff(path: str, before: bytes, after: bytes, *, colour: bool = False) -> str:
    """How a file differs, as `diff -u` says it; of a notebook the code of its cells. "" where nothing does."""
    if before == after:
        return ""
    parts = zip(_parts(path, before), _parts(path, after), strict=True)
    return "".join(_diff(label, old, new, colour=colour) for (label, old), (_, new) in parts if old != new)


def _parts(path: str, data: bytes) -> list[tuple[str, str]]:
    """What is compared, with its label."""
    if not path.endswith(".ipynb"):
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return [(path, data.decode(encoding))]
    cells = raw_cells(json.loads(data.decode("utf-8-sig")))
    assert not isinstance(cells, str)
    return [(f"{path}:cell {number}", text) for number, text in cells]


def _diff(label: str, old: str, new: str, *, colour: bool) -> str:
    lines: list[str] = []
    for index, line in enumerate(difflib.unified_diff(_lines(old), _lines(new), label, label)):
        ended = line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        shade = _COLOURS.get("head" if index < len(("---", "+++")) else line[0], "") if colour else ""
        lines.append(f"{shade}{ended[:-1]}\033[0m\n" if shade else ended)
    return "".join(lines)


def _lines(text: str) -> list[str]:
    """With their ends; a carriage return alone is one only where there are no line feeds, as on old Macs."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return re.findall(r"[^\n]*\n|[^\n]+", text)
