"""Comments, found without tokenizing, and the suppressions that stand in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
_NOQA = re.compile(r"#\s*noqa(?![\w-])(?:\s*:\s*(?P<codes>[a-z]+[0-9]+(?:[,\s]+[a-z]+[0-9]+)*))?", re.IGNORECASE)
_OURS = re.compile(r"#\s*shapeguard:\s*ignore(?![\w-])(?:\s*\[(?P<codes>[^\]]*)\])?")
_SKIP = re.compile(r"#\s*shapeguard:\s*skip-file(?![\w-])")


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


@dataclass(frozen=True, slots=True)
class Suppression:
    """What a comment silences on its line."""

    selectors: frozenset[str] | None
    """Codes, beginnings of codes in capitals, and names; None for everything."""

    def covers(self, code: str, name: str) -> bool:
        """Whether it silences findings of this code and name."""
        if self.selectors is None or name in self.selectors:
            return True
        return any(code.startswith(selector) for selector in self.selectors)


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


def suppressions_in(comments: Mapping[int, Comment]) -> dict[int, Suppression]:
    """Line -> what the comment on it silences, of those that silence something."""
    found: dict[int, Suppression] = {}
    for line, comment in comments.items():
        lists = [match["codes"] for kind in (_NOQA, _OURS) for match in kind.finditer(comment.text)]
        if lists:
            everything = any(codes is None for codes in lists)
            named = frozenset(word for codes in lists for word in re.split(r"[,\s]+", codes or "") if word)
            found[line] = Suppression(None if everything else frozenset(map(_normalised, named)))
    return found


def skips_file(comments: Mapping[int, Comment]) -> bool:
    """Whether one of them says `# shapeguard: skip-file`."""
    return any(_SKIP.search(comment.text) for comment in comments.values())


def _normalised(selector: str) -> str:
    return selector.upper() if re.fullmatch(r"[A-Za-z]+[0-9]+|[A-Z]+", selector) else selector
