"""What the comments say that silence findings, and how they are taken back.

On the first or the last line of a finding, or on the last one of its statement:

    x.squeeze()  # noqa: SG101, E501            these codes, and those that begin so
    x.squeeze()  # noqa                         everything, in every linter
    x.squeeze()  # shapeguard: ignore[SG101, bare-squeeze]
    x.squeeze()  # shapeguard: ignore           everything, of shapeguard alone

On a line of its own `# shapeguard: ignore` counts for all of the statement that comes next, be it a `def`, a `class`,
a `with` or an `else`; inside an expression, for the next line.

Anywhere in a file, for all of it:

    # shapeguard: ignore-file[bare-squeeze]
    # shapeguard: skip-file                     or `ignore-file` without brackets
    # flake8: noqa: SG101
    # flake8: noqa                              as flake8 has it: nothing else stands on the line
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from shapeguard.diagnostics import selects
from shapeguard.source.comments import Comment

Reach: TypeAlias = Literal["line", "next", "file"]

_CODES = r"[a-z]+[0-9]+(?:[,\s]+[a-z]+[0-9]+)*"
_NOQA = re.compile(rf"#\s*noqa(?![\w-])(?:\s*:\s*(?P<words>{_CODES}))?", re.IGNORECASE)
# A bracket that isn't closed names what follows it, lest a slip silence everything.
_IGNORE = re.compile(r"#\s*shapeguard:\s*ignore(?P<file>-file)?(?:\s*\[(?P<words>[^\]#]*)\]?|(?=\s|\#|$))")
_FLAKE8 = re.compile(rf"#\s*flake8[:=]\s*noqa(?:\s*:\s*(?P<words>{_CODES}))?\s*$", re.IGNORECASE)
_SKIP = re.compile(r"#\s*shapeguard:\s*skip-file(?![\w-])")
_WORD = re.compile(r"[^,\s]+")
# A reason set off like this goes when its suppression goes.
_REASON = re.compile(r"\s*[-\u2013\u2014:;,][^#]*")
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Word:
    """One code or name in a comment."""

    text: str
    """Codes in capitals."""
    column: int
    end_column: int

    def covers(self, code: str, name: str) -> bool:
        """Whether it means findings of this code and name."""
        return selects(self.text, code, name)


@dataclass(frozen=True, slots=True)
class Suppression:
    """What one comment silences, or one of several in a comment."""

    line: int
    column: int
    end_column: int
    """Columns count in characters from 1."""
    words: tuple[Word, ...] | None
    """None for everything."""
    reach: Reach
    """Its line; the statement after it; the file."""
    own: bool
    """Whether it speaks to shapeguard alone, which `noqa` doesn't."""

    def covering(self, code: str, name: str) -> tuple[Word | None, ...]:
        """Which of its words mean findings of this code and name; None for the lack of words, which means all."""
        return (None,) if self.words is None else tuple(word for word in self.words if word.covers(code, name))


def may_suppress(text: str) -> bool:
    """Whether a text holds a word without which nothing in it silences anything; its comments needn't be read then."""
    return "noqa" in text.lower() or "shapeguard:" in text


def suppressions_in(comments: Mapping[int, Comment]) -> tuple[Suppression, ...]:
    """Those in these comments, in the order of the lines."""
    return tuple(each for comment in comments.values() for each in _stated(comment))


def skips_file(comments: Mapping[int, Comment]) -> bool:
    """Whether one of them says that nothing in the file is to be looked at."""
    return any(
        _SKIP.search(comment.text) or any(each.reach == "file" and each.words is None for each in _stated(comment))
        for comment in comments.values()
    )


def shortened(line: str, suppression: Suppression, kept: tuple[Word, ...]) -> list[tuple[int, int, str]]:
    """What makes of a line the one that silences no more than these words: columns, and what takes their place.

    Where nothing is left of the line, the edit empties it.
    """
    if kept:
        return list(_without(suppression.words or (), kept))
    start, end = suppression.column - 1, suppression.end_column - 1
    reason = _REASON.match(line, end)
    end = reason.end() if reason else end
    rest = _SPACE.match(line, end)
    assert rest is not None
    if rest.end() == len(line):
        return [(len(line[:start].rstrip()) + 1, len(line) + 1, "")]
    return [(start + 1, rest.end() + 1, "" if line[rest.end()] == "#" else "# ")]


def _without(words: tuple[Word, ...], kept: tuple[Word, ...]) -> Iterator[tuple[int, int, str]]:
    """The stretches between the words that are kept, each with one of the separators beside it."""
    first, last = words.index(kept[0]), words.index(kept[-1])
    if first:
        yield words[0].column, kept[0].column, ""
    for one, other in pairwise(kept):
        following = words[words.index(one) + 1]
        if following is not other:
            yield following.column, other.column, ""
    if last + 1 < len(words):
        yield kept[-1].end_column, words[-1].end_column, ""


def _stated(comment: Comment) -> Iterator[Suppression]:
    text = comment.text
    if not may_suppress(text):
        return
    for match in _NOQA.finditer(text):
        yield _suppression(comment, match, "line", own=False)
    for match in _IGNORE.finditer(text):
        yield _suppression(comment, match, "file" if match["file"] else "next" if comment.alone else "line", own=True)
    if comment.alone and (whole := _FLAKE8.match(text)):
        yield _suppression(comment, whole, "file", own=False)


def _suppression(comment: Comment, match: re.Match[str], reach: Reach, *, own: bool) -> Suppression:
    words = None
    if match["words"] is not None:
        first, last = match.span("words")
        words = tuple(
            Word(_normalised(each.group()), comment.column + each.start(), comment.column + each.end())
            for each in _WORD.finditer(comment.text, first, last)
        )
    return Suppression(comment.line, comment.column + match.start(), comment.column + match.end(), words, reach, own)


def _normalised(word: str) -> str:
    return word.upper() if re.fullmatch(r"[A-Za-z]+[0-9]+", word) else word
