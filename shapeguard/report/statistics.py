"""How many findings of each kind there are, and how many of them `--fix` mends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from shapeguard.diagnostics import Diagnostic
from shapeguard.report.wording import is_fixable, summary

FORMATS = ("full", "concise", "json")
"""The output formats in which the counts take the place of the findings."""


def render(diagnostics: Sequence[Diagnostic], files: int, *, as_json: bool = False) -> str:
    """A line for each kind, the most frequent first, and the summary; or a list of objects."""
    counts = Counter((found.code, found.name) for found in diagnostics)
    fixable = Counter(found.code for found in diagnostics if is_fixable(found))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if as_json:
        objects = [
            {
                "code": code,
                "name": name,
                "count": number,
                "fixable": fixable[code] == number,
                "fixable_count": fixable[code],
            }
            for (code, name), number in ranked
        ]
        return json.dumps(objects, indent=2) + "\n"
    width = max((len(f"{number:,}") for number in counts.values()), default=0)
    lines = [f"{number:>{width},}  {code}  {_mark(fixable[code], number)} {name}" for (code, name), number in ranked]
    return "\n".join([*lines, *summary(diagnostics, files)]) + "\n"


def _mark(fixable: int, number: int) -> str:
    """`[*]` for all of them, `[-]` for some."""
    return "[*]" if fixable == number else "[-]" if fixable else "[ ]"
