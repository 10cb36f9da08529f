"""Which files a run looks at, and what is ignored in them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from shapeguard.config import Config, UsageError
from shapeguard.source.globs import matches, matches_below

SUFFIXES = (".py", ".ipynb")
ALWAYS_EXCLUDED = (".*", "__pycache__", "node_modules")
"""Globs that stand before those of every configuration, which may take them back: `!.github`."""
_MARKS_OF_AN_ENVIRONMENT = frozenset({"pyvenv.cfg", "conda-meta"})


def find_files(paths: Sequence[str], config: Config) -> list[str]:
    """Files below the paths, each once and in a fixed order; a file that is named itself is taken, whatever it is.

    With `force_exclude` it is passed over if it would be on the way down from the root. A folder that can't be listed
    stands among the files, so that reading it says why.
    """
    globs = (*ALWAYS_EXCLUDED, *config.exclude, *config.extend_exclude)
    found: dict[str, str] = {}
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"no such file or folder: {path}")
        is_folder = os.path.isdir(path)  # noqa: PTH112 - names are strings throughout, as the user gave them
        if config.force_exclude and _is_passed_over(path, globs, config, is_folder=is_folder):
            continue
        for file in _below(os.path.normpath(path), globs, config) if is_folder else (path,):
            found.setdefault(os.path.abspath(file), file)  # noqa: PTH100 - it doesn't follow links
    return list(found.values())


def ignored_in(path: str, config: Config) -> tuple[str, ...]:
    """What is ignored in this file beyond `ignore`."""
    if not config.per_file_ignores:
        return ()
    relative = _relative(path, config)
    return tuple(
        code
        for glob, codes in config.per_file_ignores
        if matches_below(relative, (glob.removeprefix("!"),)) is not glob.startswith("!")
        for code in codes
    )


def _below(top: str, globs: Sequence[str], config: Config) -> Iterator[str]:
    """The files in a folder and in those inside of it; no call for each, as they may be thousands deep."""
    waiting = [(top, _relative(top, config), True)]
    while waiting:
        path, relative, is_folder = waiting.pop()
        entries = _listed(path) if is_folder else None
        if entries is None:
            yield path
            continue
        above = "" if relative == os.curdir else f"{relative}/"
        for entry in reversed(entries):
            inner = entry.name if path == os.curdir else os.path.join(path, entry.name)  # noqa: PTH118
            name = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if not matches(name, globs, is_folder=True) and not _is_environment(inner):
                    waiting.append((inner, name, True))
            elif entry.name.endswith(SUFFIXES) and _is_file(entry) and not matches(name, globs):
                waiting.append((inner, name, False))


def _is_passed_over(path: str, globs: Sequence[str], config: Config, *, is_folder: bool) -> bool:
    """Whether a path isn't reached on the way down from the root."""
    relative = _relative(path, config)
    if matches_below(relative, globs, is_folder=is_folder):
        return True
    parts = relative.split("/")
    above = (os.path.join(config.root, *parts[:count]) for count in range(1, len(parts)) if parts[count - 1] != "..")  # noqa: PTH118
    return any(map(_is_environment, above))


def _listed(folder: str) -> list[os.DirEntry[str]] | None:
    try:
        with os.scandir(folder) as listed:
            return sorted(listed, key=lambda entry: entry.name)
    except OSError:
        return None


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is, or may be, a file: reading says why one can't be."""
    try:
        return entry.is_file()
    except OSError:
        return True


def _relative(path: str, config: Config) -> str:
    try:
        relative = os.path.relpath(path, config.root)
    except ValueError:  # on Windows: it lies on another drive
        relative = os.path.abspath(path)  # noqa: PTH100
    return relative.replace(os.sep, "/")


def _is_environment(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, mark)) for mark in _MARKS_OF_AN_ENVIRONMENT)  # noqa: PTH110, PTH118
