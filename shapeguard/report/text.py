"""Findings for a reader: the place and one sentence, below it the shapes, and a summary at the end."""

from __future__ import annotations

from collections.abc import Sequence

from shapeguard.diagnostics import Diagnostic

_BOLD, _RED, _CYAN, _PLAIN = "\033[1m", "\033[1;31m", "\033[36m", "\033[0m"


def render(diagnostics: Sequence[Diagnostic], files: int, *, colour: bool = False) -> str:
    """One block per finding, and the summary line."""
    blocks = [_block(diagnostic, colour=colour) for diagnostic in diagnostics]
    return "\n".join([*blocks, _summary(diagnostics, files)]) + "\n"


def place(diagnostic: Diagnostic) -> str:
    """`gpt.py:41:15`, or `gpt.ipynb:cell 3:4:15`."""
    cell = f"cell {diagnostic.cell}:" if diagnostic.cell else ""
    return f"{diagnostic.path}:{cell}{diagnostic.span.line}:{diagnostic.span.column}"


def count(number: int, word: str) -> str:
    """`1 file`, `1,204 files`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _block(diagnostic: Diagnostic, *, colour: bool) -> str:
    where, code, hint = place(diagnostic), diagnostic.code, "hint:"
    if colour:
        where, code, hint = f"{_BOLD}{where}{_PLAIN}", f"{_RED}{code}{_PLAIN}", f"{_CYAN}{hint}{_PLAIN}"
    lines = [f"{where} {code} {diagnostic.name}: {diagnostic.message}"]
    lines += [f"    {line}" for note in diagnostic.notes for line in note.splitlines()]
    if diagnostic.hint is not None:
        lines.append(f"    {hint} {diagnostic.hint}")
    return "\n".join(lines)


def _summary(diagnostics: Sequence[Diagnostic], files: int) -> str:
    if not diagnostics:
        return f"No findings in {count(files, 'file')}."
    affected = len({diagnostic.path for diagnostic in diagnostics})
    share = f"{affected:,} of " if affected < files else ""
    return f"{count(len(diagnostics), 'finding')} in {share}{count(files, 'file')}."
