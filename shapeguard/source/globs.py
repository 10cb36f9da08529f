"""Paths picked by lists of globs, which are read as git reads the lines of a .gitignore."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

# What git calls a character by in brackets; it knows ASCII alone.
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t-\\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_NOTHING = "(?!)"


def matches(path: str, globs: Sequence[str], *, is_folder: bool = False) -> bool:
    """Whether the last of the globs that speak of a path picks it, and doesn't begin with `!`.

    The path is relative to where the globs start from, with slashes; what lies above it isn't looked at.
    """
    for negated, for_files, for_folders in _compiled(tuple(globs)):
        if (for_folders if is_folder else for_files).fullmatch(path):
            return not negated
    return False


def matches_below(path: str, globs: Sequence[str], *, is_folder: bool = False) -> bool:
    """Whether the globs pick a path or a folder above it, but for the one they start from and what holds it."""
    parts = path.split("/")
    for count, part in enumerate(parts, start=1):
        here = "/".join(parts[:count])
        if part not in ("", ".", "..") and matches(here, globs, is_folder=is_folder or count < len(parts)):
            return True
    return False


@lru_cache(maxsize=256)
def _compiled(globs: tuple[str, ...]) -> tuple[tuple[bool, re.Pattern[str], re.Pattern[str]], ...]:
    """Whether they are negated, what they pick of files and of folders; from the last to the first."""
    kinds = [_kind(glob) for glob in globs]
    found: list[tuple[bool, re.Pattern[str], re.Pattern[str]]] = []
    for negated, alike in groupby(reversed(kinds), key=lambda kind: kind[0]):
        together = list(alike)
        for_folders = [pattern for _, _, pattern in together]
        for_files = [pattern for _, only_folders, pattern in together if not only_folders]
        found.append((negated, _any_of(for_files), _any_of(for_folders)))
    return tuple(found)


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns) or _NOTHING, re.DOTALL)


def _kind(glob: str) -> tuple[bool, bool, str]:
    """Whether it is negated, whether it picks folders alone, and what it picks, as a regular expression."""
    if glob.startswith("#"):
        return False, False, _NOTHING
    glob = _without_trailing_spaces(glob)
    negated = glob.startswith("!")
    glob = glob.removeprefix("!")
    # git knows no `./`; here it does what it says.
    glob = re.sub(r"^(?:\./)+", "/", glob)
    only_folders = glob.endswith("/")
    glob = glob.removesuffix("/")
    anchored = "/" in glob
    pattern = _translated(glob.removeprefix("/"))
    if not glob or pattern is None:
        return negated, only_folders, _NOTHING
    return negated, only_folders, pattern if anchored else f"(?:.*/)?{pattern}"


def _without_trailing_spaces(glob: str) -> str:
    bare = glob.rstrip(" ")
    escapes = len(bare) - len(bare.rstrip("\\"))
    return f"{bare} " if escapes % 2 and bare != glob else bare


def _translated(glob: str) -> str | None:
    """The glob as a regular expression; None where git takes it to match nothing."""
    parts: list[str] = []
    at = 0
    while at < len(glob):
        character = glob[at]
        if character == "*":
            end = at + len(glob[at:]) - len(glob[at:].lstrip("*"))
            stars, at = _stars(glob, at, end)
            parts.append(stars)
            continue
        at += 1
        if character == "?":
            parts.append("[^/]")
        elif character == "[":
            found = _bracket(glob, at)
            if found is None:
                return None
            bracket, at = found
            parts.append(bracket)
        elif character == "\\":
            if at == len(glob):
                return None
            parts.append(re.escape(glob[at]))
            at += 1
        else:
            parts.append(re.escape(character))
    return "".join(parts)


def _stars(glob: str, start: int, end: int) -> tuple[str, int]:
    """What stars mean, and where the glob goes on."""
    alone = (start == 0 or glob[start - 1] == "/") and (end == len(glob) or glob[end] == "/")
    if end - start == 1 or not alone:
        return "[^/]*", end
    if end == len(glob):
        return ".*", end
    return "(?:.*/)?", end + 1


def _bracket(glob: str, at: int) -> tuple[str, int] | None:
    """What stands in brackets as a regular expression, and where the glob goes on; None where they aren't closed."""
    negated = glob[at : at + 1] in ("!", "^")
    at += negated
    inside: list[str] = []
    first = at
    while True:
        if at >= len(glob):
            return None
        if glob[at] == "]" and at > first:
            break
        item = _class(glob, at) if glob.startswith("[:", at) else _range(glob, at)
        if item is None:
            return None
        text, at = item
        inside.append(text)
    picked = "".join(inside)
    if not picked:
        return ("[^/]" if negated else _NOTHING), at + 1
    return (f"[^{picked}/]" if negated else f"(?!/)[{picked}]"), at + 1


def _class(glob: str, at: int) -> tuple[str, int] | None:
    """A class such as `[:alpha:]`."""
    end = glob.find("]", at + 2)
    if end < 0:
        return None
    if glob[end - 1] != ":" or end - 1 < at + 2:
        return re.escape("["), at + 1  # a bracket that stands for itself
    name = glob[at + 2 : end - 1]
    return (_CLASSES[name], end + 1) if name in _CLASSES else None


def _range(glob: str, at: int) -> tuple[str, int] | None:
    """A character, or all from one to another."""
    low, at = _literal(glob, at)
    if glob[at : at + 1] != "-" or glob[at + 1 : at + 2] in ("", "]"):
        return None if not low else (re.escape(low), at)
    high, at = _literal(glob, at + 1)
    if not low or not high:
        return None
    return (f"{re.escape(low)}-{re.escape(high)}" if low <= high else "", at)


def _literal(glob: str, at: int) -> tuple[str, int]:
    if glob[at] == "\\":
        return glob[at + 1 : at + 2], at + 2
    return glob[at], at + 1
