"""Where files are, as programs want to be told."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

STANDARD_INPUT = "-"


def absolute(path: str) -> str:
    """The whole path; that of standard input stays as it is."""
    return path if path == STANDARD_INPUT else os.path.abspath(path)  # noqa: PTH100 - without following links


def relative(path: str, root: str) -> str:
    """The path below a folder, with slashes; the path itself if it lies elsewhere."""
    try:
        below = os.path.relpath(absolute(path), root)
    except ValueError:  # on Windows: another drive
        return path.replace(os.sep, "/")
    elsewhere = path == STANDARD_INPUT or below.split(os.sep, 1)[0] == os.pardir
    return (path if elsewhere else below).replace(os.sep, "/")


def uri_of(path: str) -> str:
    """A relative path as a relative reference."""
    if Path(path).is_absolute():
        return Path(path).as_uri()
    # A colon in the first part would read as a scheme; the quoted one doesn't.
    return quote(path.replace(os.sep, "/"), errors="surrogateescape")
