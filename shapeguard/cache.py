"""What earlier runs found, in files for which nothing has changed since.

A run's settings have one file: a line that says what it is for, a line with the paths of everything that was looked
at, and for each of them a line with what is known of it. Nothing of a file that isn't asked for is taken apart.
"""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import sys
import time
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from shapeguard import __version__
from shapeguard.config import Config
from shapeguard.results import Result, plain, restored
from shapeguard.source.traces import CHANGED, Trace, digest_of, same_digest

FOLDER = ".shapeguard_cache"
"""In the folder of the configuration."""

_FORMAT = 1
_OF_NO_MATTER = frozenset({"exclude", "extend_exclude", "force_exclude", "output_format", "baseline", "cache_dir"})
"""What a file's findings don't depend on."""
_UNCERTAIN = frozenset({"SG001", "SG003"})
"""What is found of a file that can't be read or checked may be gone the next time, without a change to the file."""
_SETTLED_AFTER = 2_000_000_000
"""Nanoseconds after which a file's time surely changes when it is written again."""
_MOST_SETTINGS = 16
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# It may be deleted at any time: https://bford.info/cachedir/\n"

_Look: TypeAlias = tuple[int, int, int]
"""Size, and when content and state were last changed."""


@dataclass(slots=True)
class _Node:
    """What is known of one file."""

    digest: str
    look: _Look | None
    """None where the file was too young to tell a change by its time."""
    present: Collection[str] = ()
    absent: Collection[str] = ()
    reads: Collection[str] = ()
    result: Any = None
    """As JSON has it; None for a file that was only imported."""


@dataclass
class Cache:
    """The memory of one run."""

    file: Path
    key: str
    paths: Sequence[str] = ()
    """Which the lines name by number."""
    lines: Mapping[str, str] = field(default_factory=dict)
    """Path -> what is known of it, as it is written."""
    began: int = field(default_factory=time.time_ns)
    _nodes: dict[str, _Node | None] = field(default_factory=dict)
    _looks: dict[str, _Look | None] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)
    """Files that aren't as they were, or for which others aren't."""
    _is_new: bool = False
    """Whether something is known that isn't written."""
    _results: dict[str, Any] = field(default_factory=dict)
    _traces: dict[str, Trace] = field(default_factory=dict)

    def known(self, files: Iterable[str]) -> dict[str, Result]:
        """The results that still hold, of these files."""
        if not self.lines:
            return {}
        places = {file: os.path.abspath(file) for file in files}  # noqa: PTH100 - it doesn't follow links
        reached = self._reached(places.values())
        self._changed |= {path for path in reached if not self._is_current(path)}
        stale = self._changed | _dependents(self._changed, reached)
        found: dict[str, Result] = {}
        for file, place in places.items():
            node = reached[place]
            if node is not None and node.result is not None and place not in stale:
                with suppress(ValueError):
                    found[file] = restored(node.result, file)
        return found

    def _reached(self, paths: Iterable[str]) -> dict[str, _Node | None]:
        """These files and all that were read on their behalf."""
        found: dict[str, _Node | None] = {}
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            if path not in found:
                node = found[path] = self._node(path)
                waiting += () if node is None else node.reads
        return found

    def _node(self, path: str) -> _Node | None:
        if path not in self._nodes:
            line = self.lines.get(path)
            node = None
            with suppress(ValueError, TypeError, LookupError, RecursionError):
                node = None if line is None else self._taken_apart(json.loads(line))
            self._nodes[path] = node
        return self._nodes[path]

    def _taken_apart(self, value: list[Any]) -> _Node:
        digest, look, present, absent, reads, result = value
        present, absent, reads = ([self.paths[index] for index in indices] for indices in (present, absent, reads))
        return _Node(digest, None if look is None else tuple(look), present, absent, reads, result)

    def _is_current(self, path: str) -> bool:
        """Whether a file, and what was looked for on its behalf, is as it was."""
        node = self._node(path)
        if node is None or not self._has_content(path, node):
            return False
        return all(map(self._look, node.present)) and not any(map(self._look, node.absent))

    def _has_content(self, path: str, node: _Node) -> bool:
        look = self._look(path)
        if look is None:
            return False
        if look == node.look:
            return True
        try:
            if digest_of(Path(path).read_bytes()) != node.digest:
                return False
        except OSError:
            return False
        settled = self._settled(look)
        self._is_new |= settled != node.look
        node.look = settled
        return True

    def _look(self, path: str) -> _Look | None:
        """A file from outside, as it was when it was first looked at; None where there is none."""
        if path not in self._looks:
            self._looks[path] = _look(path)
        return self._looks[path]

    def _settled(self, look: _Look | None) -> _Look | None:
        """The look of a file that surely hasn't changed since the run began, and will look different when it has."""
        return None if look is None or max(look[1:]) > self.began - _SETTLED_AFTER else look

    def add(self, results: Mapping[str, Result], traces: Mapping[str, Trace]) -> None:
        """Remember what was found in these files, and what reading files led to; the latter by absolute path."""
        for path, trace in traces.items():
            known = self._traces.setdefault(path, Trace(trace.digest))
            known.digest = same_digest(known.digest, trace.digest)
            known.present |= trace.present
            known.absent |= trace.absent
            known.reads |= trace.reads
        for file, result in results.items():
            if not any(each.code in _UNCERTAIN for each in result[0]):
                self._results[os.path.abspath(file)] = plain(result, file)  # noqa: PTH100 - it doesn't follow links

    def save(self) -> None:
        """Write what is new, where that is possible."""
        if not (self._is_new or self._traces):
            return
        nodes = self._merged()
        with suppress(OSError, ValueError, RecursionError):
            _write(self.file, self.key, nodes)

    def _merged(self) -> dict[str, _Node]:
        """What was known and still holds, with what this run has added."""
        nodes = {path: node for path in self.lines if (node := self._node(path)) is not None}
        changed = self._changed | {path for path in nodes.keys() & self._traces if self._contradicts(path, nodes[path])}
        for path in _dependents(changed, nodes):
            nodes[path].result = None
        for path in changed:
            nodes.pop(path, None)
        for path, trace in self._traces.items():
            if trace.digest != CHANGED:
                known = nodes.get(path, _Node("", None))
                present, absent = trace.present.union(known.present), trace.absent.union(known.absent)
                look = self._settled(_look(path))
                nodes[path] = _Node(trace.digest, look, present, absent, trace.reads.union(known.reads), known.result)
        for path, result in self._results.items():
            if path in nodes:
                nodes[path].result = result
        return _needed(nodes)

    def _contradicts(self, path: str, node: _Node) -> bool:
        trace = self._traces[path]
        if trace.digest != node.digest or not self._is_current(path):
            return True
        here, before = trace.present | trace.reads, {*node.present, *node.reads}
        return not here.isdisjoint(node.absent) or not before.isdisjoint(trace.absent)


def open_cache(config: Config) -> Cache:
    """What is remembered for these settings: nothing, where that can't be read or was written by another version."""
    folder = Path(config.root, config.cache_dir or FOLDER)
    settings = {
        each.name: getattr(config, each.name) for each in dataclasses.fields(config) if each.name not in _OF_NO_MATTER
    }
    key = repr((_FORMAT, _ours(), sys.version, settings))
    file = folder / f"{zlib.crc32(repr(settings).encode(errors='replace')):08x}.json"
    with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
        return Cache(file, key, *_read(file, key))
    return Cache(file, key)


def _read(file: Path, key: str) -> tuple[list[str], dict[str, str]]:
    """The paths and lines of a file; a ValueError, or whatever else goes wrong, for one that isn't for this key."""
    header, body = file.read_text(encoding="ascii").split("\n", 1)
    first, *lines = body.split("\n")
    paths = json.loads(first)
    if json.loads(header) != [key, zlib.crc32(body.encode("ascii"))] or not all(
        isinstance(each, str) for each in paths
    ):
        raise ValueError("it was written for something else, or has been damaged")
    return paths, {path: line for path, line in zip(paths, lines, strict=False) if line}


def _ours() -> tuple[str, int]:
    """What changes with any change to shapeguard itself."""
    return __version__, zlib.crc32(repr(sorted(_sources(Path(__file__).parent))).encode())


def _sources(folder: Path) -> Iterator[tuple[str, int, int]]:
    with suppress(OSError), os.scandir(folder) as listed:
        for entry in listed:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _sources(Path(entry.path))
            else:
                known = entry.stat()
                yield entry.path, known.st_size, known.st_mtime_ns


def _look(path: str) -> _Look | None:
    try:
        known = os.stat(path)  # noqa: PTH116 - thousands of them
    except (OSError, ValueError):
        return None
    return (known.st_size, known.st_mtime_ns, known.st_ctime_ns) if stat.S_ISREG(known.st_mode) else None


def _dependents(changed: Collection[str], nodes: Mapping[str, _Node | None]) -> set[str]:
    """The files for which any of the changed ones was read."""
    found: set[str] = set()
    if not changed:
        return found
    readers: dict[str, list[str]] = {}
    for path, node in nodes.items():
        for read in () if node is None else node.reads:
            readers.setdefault(read, []).append(path)
    waiting = list(changed)
    while waiting:
        fresh = [path for path in readers.get(waiting.pop(), ()) if path not in found]
        found.update(fresh)
        waiting += fresh
    return found


def _needed(nodes: Mapping[str, _Node]) -> dict[str, _Node]:
    """Those with results, of files that are still there, and those that were read on their behalf."""
    found: dict[str, _Node] = {}
    waiting = [path for path, node in nodes.items() if node.result is not None and os.path.lexists(path)]
    while waiting:
        path = waiting.pop()
        if path in nodes and path not in found:
            found[path] = nodes[path]
            waiting += nodes[path].reads
    return found


def _write(file: Path, key: str, nodes: Mapping[str, _Node]) -> None:
    numbers = {path: number for number, path in enumerate(nodes)}
    for node in nodes.values():
        for path in (*node.present, *node.absent, *node.reads):
            numbers.setdefault(path, len(numbers))
    lines = [json.dumps(list(numbers))]
    for node in nodes.values():
        indices = [sorted(numbers[path] for path in paths) for paths in (node.present, node.absent, node.reads)]
        lines.append(json.dumps([node.digest, node.look, *indices, node.result], separators=(",", ":")))
    body = "\n".join(lines)
    _make_folder(file.parent)
    if not file.exists():
        _make_room(file.parent)
    _replace(file, f"{json.dumps([key, zlib.crc32(body.encode('ascii'))])}\n{body}")


def _make_folder(folder: Path) -> None:
    """A folder that version control and backups pass over."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _TAG)):
        with suppress(FileExistsError), (folder / name).open("x", encoding="ascii") as stream:
            stream.write(text)


def _make_room(folder: Path) -> None:
    """Forget what is remembered for the settings that were used least lately."""
    written: Sequence[Path] = sorted(folder.glob("*.json"), key=lambda each: each.stat().st_mtime_ns)
    for file in written[: max(0, len(written) - _MOST_SETTINGS + 1)]:
        file.unlink(missing_ok=True)


def _replace(file: Path, text: str) -> None:
    """Write a file so that others see it whole, as it was or as it is now."""
    made = file.with_name(f".{file.name}.{os.getpid()}")
    made.unlink(missing_ok=True)
    try:
        with made.open("x", encoding="ascii") as stream:
            stream.write(text)
        made.replace(file)
    finally:
        made.unlink(missing_ok=True)
