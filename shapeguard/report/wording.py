"""The words that several formats share: places, marks, numbers, the lines below a finding, and the summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shapeguard.diagnostics import Diagnostic, Fix

SAFE_MARK = "[*]"
"""Stands at what `--fix` mends."""

_BIDIRECTIONAL = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN_AS = {
    **{code: 0x2400 + code for code in range(0x20)},
    0x7F: 0x2421,
    **dict.fromkeys((*range(0x80, 0xA0), 0x2028, 0x2029, *_BIDIRECTIONAL), 0xFFFD),
}


def visible(text: str) -> str:
    """One line in which nothing moves the cursor, changes colours or turns the order of the characters round."""
    return text if text.isprintable() else text.translate(_SHOWN_AS)


def place(found: Diagnostic) -> str:
    """`gpt.py:41:15`, or `gpt.ipynb:cell 3:4:15`."""
    cell = f"cell {found.cell}:" if found.cell else ""
    return f"{visible(found.path)}:{cell}{found.span.line}:{found.span.column}"


def marked_code(found: Diagnostic) -> str:
    """`SG301`, or `SG301 [*]`."""
    return f"{found.code} {SAFE_MARK}" if is_fixable(found) else found.code


def is_fixable(found: Diagnostic) -> bool:
    """Whether `--fix` alone mends it."""
    return found.fix is not None and found.fix.applicability == "safe"


def sentence(found: Diagnostic) -> str:
    """The message, with the place in its notebook for those who show the file's lines alone."""
    return f"cell {found.cell}, line {found.span.line}: {found.message}" if found.cell else found.message


def lines_below(found: Diagnostic) -> list[str]:
    """The notes, then the hint and the fix with their labels."""
    notes = [line for note in found.notes for line in note.splitlines()]
    return [*notes, *(f"{label}: {text}" for label, text in advice(found))]


def advice(found: Diagnostic) -> list[tuple[str, str]]:
    """The hint and the fix, each behind its label."""
    hint = [] if found.hint is None else [("hint", found.hint)]
    return hint if found.fix is None else [*hint, ("fix", fix_message(found.fix))]


def fix_message(fix: Fix) -> str:
    """What the fix does, and who makes it where that isn't `--fix`."""
    return fix.message + {"safe": "", "unsafe": " (unsafe)", "display": " (by hand)"}[fix.applicability]


def count(number: int, word: str) -> str:
    """`1 file`, `1,204 files`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def summary(diagnostics: Sequence[Diagnostic], files: int) -> list[str]:
    """How many findings there are, and how many can be fixed."""
    if not diagnostics:
        return [f"No findings in {count(files, 'file')}." if files else "No files to check."]
    affected = len({found.path for found in diagnostics})
    share = f"{affected:,} of " if affected < files else ""
    found = f"{count(len(diagnostics), 'finding')} in {share}{count(files, 'file')}."
    return [found, *_fixable(diagnostics)]


def _fixable(diagnostics: Iterable[Diagnostic]) -> list[str]:
    kinds = [found.fix.applicability for found in diagnostics if found.fix is not None]
    safe, unsafe = kinds.count("safe"), kinds.count("unsafe")
    if safe and unsafe:
        return [f"{safe:,} can be fixed with --fix; {unsafe:,} more with --unsafe-fixes."]
    if safe or unsafe:
        option = "--fix" if safe else "--fix --unsafe-fixes"
        return [f"{safe or unsafe:,} can be fixed with {option}."]
    return []
