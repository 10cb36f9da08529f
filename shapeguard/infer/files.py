"""The files of a project as they import each other: which name of which file an imported name is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapeguard.diagnostics import Diagnostic
from shapeguard.infer import hugging_face
from shapeguard.infer.values import External, Scope
from shapeguard.ops.registry import find
from shapeguard.ops.values import UNKNOWN
from shapeguard.shapes.prose import ProseShape, comment_shape
from shapeguard.source.read import read_source
from shapeguard.source.traces import forget_with_traces, note_looks

if TYPE_CHECKING:
    from shapeguard.source.file import Source

Load = Callable[["File"], None]
"""Binds the names that a file's statements bind, in its scope."""

_LARGEST = 2_000_000
_MAY_SAY = re.compile(r"#+\s*(?:\w+(?: \w+){2,5}\s*$|\w.*[\[(]|[\[(]|\w.*\w(?:\sx\s|, ?)\w)")
"""Comments in which `comment_shape` may find a shape, or that are nothing but some words."""
_NEVER_READ = frozenset({"torch", "jaxtyping", "numpy", "builtins", "typing"})


class File:
    """A file, and what the names mean that it imports."""

    def __init__(self, source: Source, load: Load) -> None:
        self.source = source
        self.is_checked = False
        """Whether it is the file that is checked, and not one that it imports."""
        self._shapes: dict[int, ProseShape | None] = {}
        self.scope: Scope = {}
        self._load = load
        self._known: dict[str, Any] = {}
        self._place = os.path.abspath(source.path)  # noqa: PTH100 - it doesn't follow links
        self.root, self.package = _package_of(Path(self._place))

    @cached_property
    def uses_transformers(self) -> bool:
        """Whether methods may be those of transformers' classes."""
        return "transformers" in self.source.text or "transformers" in self.package

    @cached_property
    def uses_scipy(self) -> bool:
        """Whether what has a shape may be a sparse matrix."""
        return "scipy" in self.source.text

    @cached_property
    def shape_comments(self) -> tuple[int, ...]:
        """The lines of code behind which a comment says of a shape."""
        if not self.is_checked:
            return ()
        comments = self.source.comments.values()
        return tuple(each.line for each in comments if not each.alone and self.comment_shape(each.line) is not None)

    @cached_property
    def lone_comments(self) -> frozenset[int]:
        """The lines that hold nothing but a comment which may say of a shape."""
        if not self.is_checked:
            return frozenset()
        return frozenset(
            each.line for each in self.source.comments.values() if each.alone and _MAY_SAY.match(each.text)
        )

    def comment_shape(self, line: int) -> ProseShape | None:
        """What the comment on a line says of a shape; nothing in files that are only imported."""
        if not self.is_checked:
            return None
        if line not in self._shapes:
            comment = self.source.comments.get(line)
            self._shapes[line] = None if comment is None else comment_shape(comment.text.lstrip("#"))
        return self._shapes[line]

    def absolute(self, module: str | None, level: int) -> str | None:
        """The full name of a module that an import names relatively."""
        if not level:
            return module
        if level - 1 > len(self.package):
            return None
        parts = self.package[: len(self.package) - (level - 1)]
        name = ".".join((*parts, *(module.split(".") if module else ())))
        # Without a package around it, a file has its neighbours.
        return name or None

    def loaded(self, value: Any) -> Any:
        """What an imported name is, if a file of the project says so; any other value as it is."""
        if not isinstance(value, External):
            return value
        name = value.name
        if name not in self._known:
            # What is being read now is found again as it is so far.
            self._known[name] = value
            self._known[name] = self._found(value)
        return self._known[name]

    def _found(self, value: External) -> Any:
        top, _, rest = value.name.partition(".")
        if not rest or top in _NEVER_READ or find(value.name) is not None or hugging_face.knows(value.name):
            return value
        if self.package and top != self.package[0]:
            return value
        parts = value.name.split(".")
        for count in range(len(parts) - 1, 0, -1):
            path, missing = _module_path(self.root, tuple(parts[:count]))
            note_looks(self._place, absent=missing, reads=() if path is None else (str(path),))
            if path is None:
                continue
            file = _read(path, self._load)
            if file is None:
                return value
            found = file.scope.get(parts[count], UNKNOWN)
            if len(parts) - count > 1 or found is UNKNOWN:
                return value
            return file.loaded(found)
        return value


@cache
def _module_path(root: Path, parts: tuple[str, ...]) -> tuple[Path | None, tuple[str, ...]]:
    """The file of a module, and those that would have been it and aren't there."""
    base = root.joinpath(*parts)
    missing: list[str] = []
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path, tuple(missing)
        missing.append(str(path))
    return None, tuple(missing)


@cache
def _read(path: Path, load: Load) -> File | None:
    """The file at a path, with its names; once for each run, as no file changes while it lasts."""
    note_looks(str(path))
    if path.stat().st_size > _LARGEST:
        return None
    source = read_source(str(path))
    if isinstance(source, Diagnostic):
        return None
    file = File(source, load)
    load(file)
    return file


forget_with_traces(_module_path.cache_clear)
forget_with_traces(_read.cache_clear)


def _package_of(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder that a file is imported from, and the packages around the file."""
    folder = path.parent
    names: list[str] = []
    marks = [folder / "__init__.py"]
    while marks[-1].is_file() and folder.parent != folder:
        names.append(folder.name)
        folder = folder.parent
        marks.append(folder / "__init__.py")
    note_looks(str(path), present=map(str, marks[:-1]), absent=() if marks[-1].is_file() else (str(marks[-1]),))
    return folder, tuple(reversed(names))
