"""Files read as Python would read them; what can't be read is a finding."""

from __future__ import annotations

import io
import tokenize
from pathlib import Path

from shapeguard.diagnostics import Diagnostic
from shapeguard.source.file import Source, unreadable
from shapeguard.source.notebook import read_notebook

RELEVANT = (b"torch", b"jaxtyping", b"einops")
"""A file that holds none of these words has nothing to check."""


def read_bytes(path: str) -> bytes | Diagnostic:
    """What is in a file, or why it can't be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        return unreadable(path, f"can't be read: {error.strerror or error}")
    except ValueError as error:  # a path with a NUL in it
        return unreadable(path, f"can't be read: {error}")


def is_relevant(data: bytes) -> bool:
    """Whether a file can hold anything to check, which is seen before it is decoded."""
    return any(word in data for word in RELEVANT)


def read_source(path: str) -> Source | Diagnostic:
    """A file, or why it can't be read."""
    data = read_bytes(path)
    return source_from(path, data) if isinstance(data, bytes) else data


def source_from(path: str, data: bytes) -> Source | Diagnostic:
    """What the bytes of a file say, as Python would read them."""
    if path.endswith(".ipynb"):
        return read_notebook(path, data)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        return unreadable(
            path, f"is not {error.encoding}: byte 0x{byte:02x} on line {line}; declare its encoding", line
        )
    except (SyntaxError, LookupError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        return unreadable(path, f"can't be decoded: {reason}")
    return Source(path, text.replace("\r\n", "\n").replace("\r", "\n"))
