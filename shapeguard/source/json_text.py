"""Where values stand in the text of JSON that has been found to be valid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_MARK = re.compile(r'["\[\]{}]')
_PLAIN = re.compile(r"[^,\]} \t\n\r]+")
_CHARACTER = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]")


def start(text: str) -> int:
    """Where the one value begins."""
    return _skip_space(text, 0)


def member(text: str, at: int, name: str) -> int | None:
    """Where the value of a member of the object at a place begins: the last of that name, which is the one that counts."""
    found = None
    for key in items(text, at):
        after = end(text, key)
        if json.loads(text[key:after]) == name:
            found = _skip_space(text, _skip_space(text, after) + 1)
    return found


def items(text: str, at: int) -> Iterator[int]:
    """Where each item of the array at a place begins, or each key of the object."""
    is_object = text[at] == "{"
    here = _skip_space(text, at + 1)
    while text[here] not in "]}":
        yield here
        if is_object:
            here = _skip_space(text, _skip_space(text, end(text, here)) + 1)
        here = _skip_space(text, end(text, here))
        if text[here] == ",":
            here = _skip_space(text, here + 1)


def end(text: str, at: int) -> int:
    """Where the value that begins at a place ends."""
    if text[at] == '"':
        return _matched(_STRING, text, at)
    if text[at] not in "[{":
        return _matched(_PLAIN, text, at)
    depth = 0
    while True:
        mark = _MARK.search(text, at)
        assert mark is not None
        at = mark.start()
        if text[at] == '"':
            at = _matched(_STRING, text, at)
            continue
        depth += 1 if text[at] in "[{" else -1
        at += 1
        if not depth:
            return at


def characters(text: str, at: int) -> list[int]:
    """Where each character of the string at a place stands, and where its closing quote does."""
    last = end(text, at) - 1
    return [*(each.start() for each in _CHARACTER.finditer(text, at + 1, last)), last]


def _skip_space(text: str, at: int) -> int:
    return _matched(_SPACE, text, at)


def _matched(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    assert found is not None
    return found.end()
