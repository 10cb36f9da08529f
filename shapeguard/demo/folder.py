"""The folder that the demo writes: a new one, and gone again if the demo doesn't come to its end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from shapeguard.config import UsageError

DEFAULT = "shapeguard-demo"
BROKEN, FIXED, CURVES = "broken", "fixed", "curves.png"
"""What is written to it."""


@contextmanager
def new_folder(asked: str | None) -> Iterator[Path]:
    """An empty folder, at the place that is asked for or at one that is free; a UsageError if there can be none."""
    folder = Path(asked) if asked is not None else _free()
    ours: list[Path] = []
    try:
        _make(folder, ours)
        yield folder
    except BaseException as error:
        _remove(ours)
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            reason = error.strerror or error
            raise UsageError(f"can't write {folder}: {reason}; name another folder with --output") from None
        raise


def _make(folder: Path, ours: list[Path]) -> None:
    """Make a folder and those above it, or take an empty one; `ours` is told what is to go if that comes to nothing."""
    if folder.exists():
        if any(folder.iterdir()):
            raise UsageError(f"{folder} isn't empty; name another folder with --output")
        ours += [folder / name for name in (BROKEN, FIXED, CURVES)]
    for each in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        each.mkdir()
        ours += [] if ours else [each]


def _remove(places: list[Path]) -> None:
    for place in places:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _free() -> Path:
    names = (DEFAULT if number == 1 else f"{DEFAULT}-{number}" for number in count(1))
    return next(path for path in map(Path, names) if not path.exists() and not path.is_symlink())
