"""What is written out: the findings of a run, and the source that they are in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from shapeguard.diagnostics import Diagnostic, Edit
from shapeguard.source.file import Source

Sources: TypeAlias = Callable[[str], Source | None]
"""Path -> what is in the file; None where it can't be read, or not any more."""


def read_from_disk(path: str) -> Source | None:
    """What is in a file now."""
    from shapeguard.source.read import read_source  # noqa: PLC0415 - a run without findings reads nothing again

    source = read_source(path)
    return source if isinstance(source, Source) else None


def lines_of(source: Source, cell: int) -> Sequence[str]:
    """The lines that a finding counts: those of the file, or of one cell of the notebook."""
    if not cell:
        return source.original_lines
    starts = [each.first_line for each in source.cells if each.number == cell]
    if not starts:
        return ()
    following = [each.first_line for each in source.cells if each.first_line > starts[0]]
    return source.original_lines[starts[0] - 1 : min(following) - 1 if following else None]


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run found."""

    diagnostics: Sequence[Diagnostic]
    """In the order of the files, then of the lines."""
    files: int
    """Looked at."""
    colour: bool
    sources: Sources

    def line_of(self, found: Diagnostic) -> str:
        """The line on which it begins; an empty one if it can't be read."""
        source = self.sources(found.path)
        lines = () if source is None else lines_of(source, found.cell)
        return lines[found.span.line - 1] if 1 <= found.span.line <= len(lines) else ""

    def edits_of(self, found: Diagnostic) -> list[tuple[int, Edit]] | None:
        """The edits of its fix, each with the cell in which its lines count; None without a fix.

        The edits of a diagnostic count in the text of the whole source: without that there are none for a notebook.
        """
        if found.fix is None:
            return None
        if not found.cell:
            return [(0, edit) for edit in found.fix.edits]
        source = self.sources(found.path)
        if source is None:
            return None
        located = [(*source.located(edit.span), edit.text) for edit in found.fix.edits]
        return [(cell, Edit(span, text)) for cell, span, text in located]
