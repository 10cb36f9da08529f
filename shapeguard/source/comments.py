"""Comments, found without tokenizing, and the lines that none can end."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Strings come along only so that a `#` inside of one is passed over. A prefix makes no difference to where a string
# ends: a raw one too ends at the first quote that has no backslash before it. One that
# never ends reaches as far as it could, so that nothing is read twice.
_STRING_OR_COMMENT = re.compile(
    r"""
      \#[^\n]*
    | \"{3} [^"\\]*+ (?: (?: \\. | "(?!"") ) [^"\\]*+ )*+ (?:\"{3})?
    | '{3}  [^'\\]*+ (?: (?: \\. | '(?!'') ) [^'\\]*+ )*+ (?:'{3})?
    | "     [^"\\\n]*+ (?: \\. [^"\\\n]*+ )*+ "?
    | '     [^'\\\n]*+ (?: \\. [^'\\\n]*+ )*+ '?
    """,
    re.VERBOSE | re.DOTALL,
)
_OR_CONTINUATION = re.compile(rf"{_STRING_OR_COMMENT.pattern} | \\\n", _STRING_OR_COMMENT.flags)


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment."""

    line: int
    column: int
    """Counted in characters from 1, where the `#` stands."""
    text: str
    """From the `#` to the end of the line."""
    alone: bool
    """Whether nothing stands before it on its line."""

    @property
    def content(self) -> str:
        """What it says, without the `#` and the space around it."""
        return self.text.lstrip("#").strip()


def scan_comments(text: str) -> dict[int, Comment]:
    """Line -> comment, of a text whose lines end in line feeds.

    From Python 3.12 on an f-string may hold its own quotes; a `#` in such an inner string is taken for a comment.
    """
    found: dict[int, Comment] = {}
    if "#" not in text:
        return found
    line, counted = 1, 0
    for match in _STRING_OR_COMMENT.finditer(text):
        start = match.start()
        if text[start] != "#":
            continue
        line += text.count("\n", counted, start)
        counted = start
        begin = text.rfind("\n", 0, start) + 1
        found[line] = Comment(line, start - begin + 1, match.group(), not text[begin:start].strip())
    return found


def continued_lines(text: str) -> frozenset[int]:
    """The lines that no comment can end, because they end inside a string or behind a backslash."""
    found: set[int] = set()
    line, counted = 1, 0
    for match in _OR_CONTINUATION.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        found.update(range(line, line + match.group().count("\n")))
    return frozenset(found)
