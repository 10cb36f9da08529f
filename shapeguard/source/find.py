"""Which files a run looks at."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from shapeguard.config import Config, UsageError

SUFFIXES = (".py", ".ipynb")
_NEVER = frozenset({"__pycache__", "node_modules"})
_MARKS_OF_AN_ENVIRONMENT = frozenset({"pyvenv.cfg", "conda-meta"})


def find_files(paths: Sequence[str], config: Config) -> list[str]:
    """Files below the paths, each once and in a fixed order; a file that is named itself is always taken.

    Hidden files and folders, environments and caches are passed over unless a path names them. A folder that can't be
    listed stands among the files, so that reading it says why.
    """
    found: dict[str, str] = {}
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"no such file or folder: {path}")
        for file in _below(os.path.normpath(path), config) if os.path.isdir(path) else (path,):  # noqa: PTH112 - names are strings throughout, as the user gave them
            found.setdefault(os.path.abspath(file), file)  # noqa: PTH100 - it doesn't follow links
    return list(found.values())


def _below(folder: str, config: Config) -> Iterator[str]:
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _NEVER:
            continue
        path = entry.name if folder == os.curdir else os.path.join(folder, entry.name)  # noqa: PTH118
        if entry.is_dir(follow_symlinks=False):
            if not config.excludes(path) and not _is_environment(path):
                yield from _below(path, config)
        elif entry.name.endswith(SUFFIXES) and entry.is_file() and not config.excludes(path):
            yield path


def _is_environment(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, mark)) for mark in _MARKS_OF_AN_ENVIRONMENT)  # noqa: PTH110, PTH118
