"""Findings that are known, so that only new ones are reported; known by what stands there, not by the line's number."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from shapeguard.config import UsageError
from shapeguard.diagnostics import Diagnostic
from shapeguard.kinds import UNCHECKED
from shapeguard.source.writing import write_file

Known: TypeAlias = tuple[str, str, str]
"""The path from the baseline's folder, with slashes; the code; and the lines, with one space for any."""
TextOf: TypeAlias = Callable[[Diagnostic], str]
"""The lines that a finding stands on, as the file has them."""


@dataclass(frozen=True)
class Baseline:
    """What is known, and how often each."""

    file: Path
    counts: Counter[Known]

    @property
    def folder(self) -> str:
        """The one that paths start from."""
        return str(self.file.parent)


def read_baseline(path: str) -> Baseline:
    """A baseline that `write_baseline` wrote; a UsageError where it can't be read."""
    file = Path(path)
    try:
        counts = Counter(dict(_read_entries(json.loads(file.read_text(encoding="utf-8")))))
    except FileNotFoundError:
        raise UsageError(f"there is no baseline {path}; `--write-baseline {path}` writes it") from None
    except OSError as error:
        raise UsageError(f"can't read the baseline {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no baseline: {error}; `--write-baseline {path}` writes it anew") from None
    return Baseline(file, counts)


def new_findings(
    baseline: Baseline,
    diagnostics: Iterable[Diagnostic],
    text_of: TextOf,
    *,
    checked: Iterable[str] | None = None,
    codes: Collection[str] | None = None,
) -> tuple[tuple[Diagnostic, ...], int]:
    """The findings that aren't known, and how many known ones are no longer found.

    Where only these files were checked or these codes looked for, what is known of others counts as found, unless its
    file is gone. What kept a file from being checked is always new, and nothing is told of what is known of that file.
    """
    left = Counter(baseline.counts)
    kept: list[Diagnostic] = []
    unchecked: set[str] = set()
    for each in diagnostics:
        known = None if each.code in UNCHECKED else _known(each, baseline.folder, text_of)
        if known is None:
            unchecked.add(_relative(each.path, baseline.folder))
        if known is not None and left[known] > 0:
            left[known] -= 1
        else:
            kept.append(each)
    seen = None if checked is None else {_relative(path, baseline.folder) for path in checked}
    stale = sum(
        count
        for (path, code, _), count in left.items()
        if path not in unchecked and (codes is None or code in codes)
        if seen is None or path in seen or not Path(baseline.folder, path).exists()
    )
    return tuple(kept), stale


def stale_note(baseline: Baseline, count: int) -> str:
    """What is told of known findings that are no longer found."""
    said = "1 entry" if count == 1 else f"{count:,} entries"
    verb = "is" if count == 1 else "are"
    return f"{said} of {baseline.file.name} {verb} no longer found; write it anew"


def write_baseline(path: str, diagnostics: Sequence[Diagnostic], text_of: TextOf) -> int:
    """Write down these findings as known, and say how many they are; what kept a file from being checked isn't."""
    folder = str(Path(path).parent)
    counts = Counter(_known(each, folder, text_of) for each in diagnostics if each.code not in UNCHECKED)
    names = {each.code: each.name for each in diagnostics}
    entries = [
        {"path": file, "code": code, "name": names[code], "text": text, "count": count}
        for (file, code, text), count in sorted(counts.items())
    ]
    lines = ",\n".join(f"    {json.dumps(each, ensure_ascii=False)}" for each in entries)
    listed = f"[\n{lines}\n  ]" if entries else "[]"
    write_file(path, f'{{\n  "version": 1,\n  "findings": {listed}\n}}\n'.encode(errors="backslashreplace"))
    return counts.total()


def _known(found: Diagnostic, folder: str, text_of: TextOf) -> Known:
    return _relative(found.path, folder), found.code, " ".join(text_of(found).split())


def _relative(path: str, folder: str) -> str:
    try:
        return os.path.relpath(path, folder).replace(os.sep, "/")
    except ValueError:  # on Windows: another drive
        return os.path.abspath(path).replace(os.sep, "/")  # noqa: PTH100 - it doesn't follow links


def _read_entries(content: Any) -> Iterator[tuple[Known, int]]:
    match content:
        case {"version": 1, "findings": [*entries]}:
            for entry in entries:
                match entry:
                    case {"path": str(path), "code": str(code), "text": str(text), "count": int(count)} if count > 0:
                        yield (path, code, text), count
                    case _:
                        raise ValueError(f"{json.dumps(entry)[:80]} is no finding")
        case {"version": int(version)} if version != 1:
            raise ValueError(f"its version is {version}, and only version 1 is read")
        case _:
            raise ValueError("it has no `version` or no list of `findings`")
