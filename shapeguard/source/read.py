"""Files read as Python would read them; what can't be read is a finding."""

from __future__ import annotations

import io
import re
import stat
import tokenize
from pathlib import Path

from shapeguard.diagnostics import Diagnostic
from shapeguard.source.file import Source, unreadable
from shapeguard.source.notebook import read_notebook
from shapeguard.source.traces import note_content

RELEVANT = (b"torch", b"jaxtyping", b"einops", b"transformers")
"""A file that holds none of these words has nothing to check but the comments that silence shapeguard."""
_OUR_NOQA = re.compile(rb"noqa\s*:[^\n]*\bsg[0-9]")


def read_bytes(path: str) -> bytes | Diagnostic:
    """What is in a file, or why it can't be read."""
    try:
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            # Reading a pipe may never end; a folder refuses by itself.
            return unreadable(path, "can't be read: it is no regular file")
        data = Path(path).read_bytes()
    except OSError as error:
        return unreadable(path, f"can't be read: {error.strerror or error}")
    except ValueError as error:  # a path with a NUL in it
        return unreadable(path, f"can't be read: {error}")
    note_content(path, data)
    return data


def is_relevant(data: bytes) -> bool:
    """Whether a file can hold anything to check, which is seen before it is decoded."""
    return any(word in data for word in RELEVANT) or _holds_suppression(data)


def mentions_tensors(text: str) -> bool:
    """Whether a file can hold more to check than comments that silence nothing."""
    return any(word.decode() in text for word in RELEVANT)


def _holds_suppression(data: bytes) -> bool:
    small = data.lower()
    return b"shapeguard:" in small or (b"noqa" in small and _OUR_NOQA.search(small) is not None)


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
