"""Which findings the comments of a file silence, which comments silence nothing, and comments that silence more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from shapeguard.diagnostics import Code, Diagnostic, Edit, Fix, Span
from shapeguard.kinds import UNCHECKED
from shapeguard.source.comments import continued_lines
from shapeguard.source.extents import block_ends, last_line_of_cell, last_lines, next_code_line
from shapeguard.source.file import Source
from shapeguard.source.suppressions import Suppression, Word, shortened
from shapeguard.spelling import nearest

UNUSED = "SG004"

Use: TypeAlias = tuple[Suppression, Word | None]
"""A suppression, and the one of its words that silenced something; None where it has none."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """Findings without those that a comment silences."""

    kept: tuple[Diagnostic, ...]
    used: frozenset[Use] = frozenset()


def sift(source: Source, found: Iterable[Diagnostic]) -> Sifted:
    """Take out the findings that a comment silences; their lines count in the text of the source."""
    every = tuple(found)
    if not every or not source.suppressions:
        return Sifted(every)
    uses_of = silencer(source)
    uses = [uses_of(each) for each in every]
    kept = tuple(each for each, silencing in zip(every, uses, strict=True) if not silencing)
    return Sifted(kept, frozenset(use for silencing in uses for use in silencing))


def unused(
    source: Source, used: Collection[Use], codes: Collection[str], known: Sequence[Code]
) -> tuple[Diagnostic, ...]:
    """The findings that a comment silences nothing.

    `codes` are those that were looked for; `used` is what `sift` says of all that was found, were it reported or not.
    Only what speaks of shapeguard is judged: no other linter's codes, and no bare `noqa`.
    """
    if UNUSED not in codes or source.skipped or not source.suppressions:
        return ()
    judge = _Judge(source, frozenset(used), frozenset(codes), known)
    found = [(each, diagnostic) for each in source.suppressions for diagnostic in judge.findings(each)]
    if not found:
        return ()
    uses_of = silencer(source)
    kept: list[tuple[Suppression, Diagnostic]] = []
    needed: set[Suppression] = set()
    for about, diagnostic in found:
        # A comment that means everything doesn't mean that it is itself of no use.
        others = [each for each, word in uses_of(diagnostic) if word is not None or each is not about]
        needed.update(each for each in others if each is not about)
        if not others:
            kept.append((about, diagnostic))
    return tuple(diagnostic for about, diagnostic in kept if about.words is not None or about not in needed)


def silencing_edits(source: Source, found: Iterable[Diagnostic]) -> tuple[Edit, ...]:
    """The edits of the text that put a `# noqa` with its code beside each of these findings.

    What no comment silences gets none: files that can't be checked, and comments without use.
    """
    continued = continued_lines(source.text)
    codes: dict[int, set[str]] = {}
    for each in found:
        if each.code not in UNCHECKED | {UNUSED}:
            line = each.span.line + source.lines_above(each.cell)
            codes.setdefault(_closed(line, continued), set()).add(each.code)
    return tuple(edit for line, wanted in sorted(codes.items()) if (edit := _with_noqa(source, line, wanted)))


def _with_noqa(source: Source, line: int, codes: set[str]) -> Edit | None:
    there = [each for each in source.suppressions if each.line == line and not each.own and each.reach == "line"]
    missing = ", ".join(sorted(codes - {word.text for each in there for word in each.words or ()}))
    if not missing or any(each.words is None for each in there):
        return None
    if there:
        column = (there[0].words or ())[-1].end_column
        return Edit(Span(line, column, line, column), f", {missing}")
    text = source.lines[line - 1]
    return Edit(Span(line, len(text.rstrip()) + 1, line, len(text) + 1), f"  # noqa: {missing}")


def _closed(line: int, continued: Collection[int]) -> int:
    """The line at whose end the comments of a line stand."""
    while line in continued:
        line += 1
    return line


def silencer(source: Source) -> Callable[[Diagnostic], list[Use]]:
    """What tells which suppressions silence a finding."""
    on_line: dict[int, list[Suppression]] = {}
    blocks: list[tuple[range, Suppression]] = []
    whole: list[Suppression] = []
    ends = block_ends(source) if any(each.reach == "next" for each in source.suppressions) else {}
    for each in source.suppressions:
        if each.reach == "line":
            on_line.setdefault(each.line, []).append(each)
        elif each.reach == "file":
            whole.append(each)
        elif (start := next_code_line(source, each.line)) is not None:
            blocks.append((range(start, ends.get(start, start) + 1), each))
    continued = continued_lines(source.text) if on_line else ()
    last = last_lines(source) if on_line else {}

    def uses_of(found: Diagnostic) -> list[Use]:
        start, end = found.span.line, found.span.end_line
        lines = {_closed(line, continued) for line in (start, end, last.get(start, start))}
        near = [each for line in sorted(lines) for each in on_line.get(line, ())]
        around = [each for lines_of, each in blocks if start in lines_of]
        every = (*near, *around, *whole)
        return [(each, word) for each in every for word in each.covering(found.code, found.name)]

    return uses_of


@dataclass(frozen=True, slots=True)
class _Judge:
    """What is to be said against a suppression."""

    source: Source
    used: frozenset[Use]
    codes: frozenset[str]
    known: Sequence[Code]

    def findings(self, suppression: Suppression) -> list[Diagnostic]:
        """At most one for all words that silence nothing, and one for each that is misspelt."""
        if suppression.words is None:
            sure = suppression.own and (suppression, None) not in self.used and self._looked_for_all()
            return [self._finding(suppression, ())] if sure else []
        misspelt = {word: near for word in suppression.words if suppression.own and (near := self._near(word))}
        idle = tuple(each for each in suppression.words if each not in misspelt and self._is_idle(suppression, each))
        found = [self._finding(suppression, idle)] if idle or not suppression.words else []
        return found + [self._misspelt(suppression, word, near) for word, near in misspelt.items()]

    def _looked_for_all(self) -> bool:
        return {each.code for each in self.known if not each.preview} - UNCHECKED <= self.codes

    def _meant(self, word: Word) -> frozenset[str]:
        return frozenset(each.code for each in self.known if word.covers(each.code, each.name))

    def _is_idle(self, suppression: Suppression, word: Word) -> bool:
        ours = suppression.own or (word.text.startswith("SG") and word.text[2:].isdecimal())
        if not ours or (suppression, word) in self.used:
            return False
        meant = self._meant(word)
        return UNUSED not in meant and meant <= self.codes

    def _near(self, word: Word) -> str | None:
        """The name that is meant by one that isn't known."""
        if self._meant(word) or word.text.isupper():
            return None
        return nearest(word.text.lower(), (each.name for each in self.known))

    def _finding(self, about: Suppression, idle: tuple[Word, ...]) -> Diagnostic:
        where = {"line": "here", "next": "in what follows", "file": "in this file"}[about.reach]
        names = [f"`{word.text}`" for word in idle]
        what = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:]))) or "this comment"
        message = f"{what} silence{'s' if len(idle) < 2 else ''} nothing {where}"  # noqa: PLR2004 - one or many
        notes = tuple(f"shapeguard finds nothing called `{word.text}`" for word in idle if not self._meant(word))
        kept = tuple(each for each in about.words or () if each not in idle)
        fix = Fix(f"Remove {what if kept else 'the comment'}", self._edits(about, kept), "safe")
        return self._diagnostic(about, (about.column, about.end_column), message, notes, fix)

    def _misspelt(self, about: Suppression, word: Word, near: str) -> Diagnostic:
        message = f"`{word.text}` silences nothing; did you mean `{near}`?"
        return self._diagnostic(about, (word.column, word.end_column), message, (), None)

    def _diagnostic(
        self, about: Suppression, columns: tuple[int, int], message: str, notes: tuple[str, ...], fix: Fix | None
    ) -> Diagnostic:
        span = Span(about.line, columns[0], about.line, columns[1])
        return Diagnostic(
            self.source.path, span, UNUSED, "unused-suppression", message, notes, fix=fix, severity="warning"
        )

    def _edits(self, about: Suppression, kept: tuple[Word, ...]) -> tuple[Edit, ...]:
        line = about.line
        text = self.source.lines[line - 1]
        changes = shortened(text, about, kept)
        if changes == [(1, len(text) + 1, "")]:
            return (Edit(self._whole_line(line), ""),)
        return tuple(Edit(Span(line, start, line, end), new) for start, end, new in changes)

    def _whole_line(self, line: int) -> Span:
        """A line with one of the line feeds beside it, as far as its cell goes."""
        lines = self.source.lines
        if line < last_line_of_cell(self.source, line):
            return Span(line, 1, line + 1, 1)
        if line > 1 and last_line_of_cell(self.source, line - 1) == last_line_of_cell(self.source, line):
            return Span(line - 1, len(lines[line - 2]) + 1, line, len(lines[line - 1]) + 1)
        return Span(line, 1, line, len(lines[line - 1]) + 1)
