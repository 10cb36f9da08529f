"""Rows from files of JSON: a row in each line, or all of them in one list; compressed by gzip or not."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shapeguard.config import UsageError
from shapeguard.train.data.records import Problem

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz")

_JUDGES = ("test", "valid", "val", "dev", "eval", "held_out", "held-out", "heldout")
"""What the names of files begin with that are there to judge by, and not to train on."""
_MAGIC = 2
_LOOKED_AT = 8192


def find_files(folder: Path) -> list[Path]:
    """The files of rows that stand in a folder itself, by name."""
    return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES) and path.is_file())


def read_folder(folder: Path) -> Iterator[tuple[str, Any]]:
    """The rows of every file in a folder. One that is there to judge by isn't mixed with those to train on."""
    files = find_files(folder)
    judges = [file for file in files if file.name.startswith(_JUDGES)]
    if judges and len(judges) < len(files):
        train = next(file for file in files if file not in judges)
        raise UsageError(f"{folder} holds both sides: pass --data {train} --held-out {judges[0]}")
    for file in files:
        yield from read_file(file)


def read_file(path: Path) -> Iterator[tuple[str, Any]]:
    """Each row with its place; a line that isn't JSON is a Problem."""
    raw = _read_bytes(path)
    if b"\0" in raw[:_LOOKED_AT]:
        raise UsageError(f"{path} isn't text in UTF-8; a file of records holds JSON")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        raise UsageError(f"{path} is empty")
    name = str(path)
    whole = _whole(raw, name)
    if whole is not None:
        yield from ((f"{name}[{number}]", row) for number, row in enumerate(whole))
        return
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if line.strip():
            place = f"{name}:{number}"
            yield place, _row(line, place)


def _read_bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:_MAGIC] == b"\x1f\x8b" else raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is broken: it can't be decompressed ({error})") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from None


def _whole(raw: bytes, name: str) -> list[Any] | None:
    """The rows of a file that is one list; None where lines are to be read one by one."""
    begin = raw.lstrip()[:1]
    if begin == b"[" or (begin == b"{" and ".json" in name and ".jsonl" not in name):
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            return None
        if isinstance(value, list):
            if not value:
                raise UsageError(f"{name} holds no records")
            return value
        if len(raw.strip().split(b"\n")) > 1:
            raise UsageError(f"{name} is one JSON object, and not a list of records")
    return None


def _row(line: bytes, place: str) -> Any:
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError:
        return Problem(place, "wrong encoding", "isn't text in UTF-8")
    except json.JSONDecodeError as error:
        return Problem(place, "broken JSON", f"is no JSON (column {error.colno}: {error.msg})")
    except (ValueError, RecursionError):
        return Problem(place, "broken JSON", "is JSON that can't be read: a number too long, or too deeply nested")
