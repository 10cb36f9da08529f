"""[tool.shapeguard] of a pyproject.toml as one frozen dataclass."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

FORMATS = ("text", "json", "github", "sarif")
"""The output formats of findings."""


class UsageError(Exception):
    """What was asked for can't be done; its text is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Config:
    """What to report, and of which files."""

    select: tuple[str, ...] = ("ALL",)
    """Codes, beginnings of codes, or names."""
    extend_select: tuple[str, ...] = ()
    """Added to `select`."""
    ignore: tuple[str, ...] = ()
    """Taken out of what `select` takes in."""
    exclude: tuple[str, ...] = ()
    """Globs: without a slash for a name anywhere in the tree, with one for a path below `root`."""
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Globs as in `exclude`, each with what is ignored in the files that it matches."""
    preview: bool = False
    """Whether what isn't exact enough for everyone is reported too."""
    output_format: str = "text"
    root: str = "."
    """The folder that globs start from: that of the pyproject.toml, or the current one."""

    def excludes(self, path: str) -> bool:
        """Whether a glob of `exclude` matches the path or a folder above it."""
        return bool(self.exclude) and self._matches(path, self.exclude)

    def ignored_in(self, path: str) -> tuple[str, ...]:
        """What is ignored in this file beyond `ignore`."""
        return tuple(code for glob, codes in self.per_file_ignores if self._matches(path, (glob,)) for code in codes)

    def _matches(self, path: str, globs: tuple[str, ...]) -> bool:
        relative = os.path.relpath(path, self.root).replace(os.sep, "/")
        return _pattern(globs).fullmatch(relative) is not None


def read_config(paths: Sequence[str]) -> Config:
    """The [tool.shapeguard] nearest to these paths: in the folder that holds them all, or in one above it."""
    try:
        folder = Path(os.path.commonpath([os.path.abspath(path) for path in paths or ["."]]))  # noqa: PTH100
    except ValueError:  # on Windows: they lie on several drives
        folder = Path.cwd()
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            table = _table(file)
            if table is not None:
                return replace(_config_from(table, file), root=str(place))
    return Config(root=str(Path.cwd()))


def _table(file: Path) -> Any | None:
    """[tool.shapeguard], or None where the file has none."""
    import tomllib  # noqa: PLC0415 - the command line starts without it

    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # what TOML and UTF-8 refuse are ValueErrors
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"can't read {file}: {reason}") from None
    tool = content.get("tool")
    return tool.get("shapeguard") if isinstance(tool, dict) else None


def _config_from(table: Any, file: Path) -> Config:
    if not isinstance(table, dict):
        raise UsageError(f"{file}: `tool.shapeguard` is {_described(table)}; it must be a table")
    given: dict[str, Any] = {}
    for key, value in table.items():
        match key:
            case "select" | "ignore" | "exclude":
                given[key] = _strings(value, key, file)
            case "per-file-ignores":
                if not isinstance(value, dict):
                    raise _wrong(file, key, value, "a table from globs to lists of codes")
                pairs = ((glob, _strings(codes, f"{key}.{glob}", file)) for glob, codes in value.items())
                given["per_file_ignores"] = tuple(pairs)
            case "output-format":
                if value not in FORMATS:
                    raise _wrong(file, key, value, f"one of {', '.join(FORMATS)}")
                given["output_format"] = value
            case _:
                allowed = "select, ignore, exclude, per-file-ignores, output-format"
                raise UsageError(f"{file}: [tool.shapeguard] has no key `{key}`; its keys are {allowed}")
    config = Config(**given)
    for glob in (*config.exclude, *(glob for glob, _ in config.per_file_ignores)):
        try:
            _pattern((glob,))
        except re.error as error:
            raise UsageError(f'{file}: "{glob}" in [tool.shapeguard] is no glob: {error}') from None
    return config


def _strings(value: Any, key: str, file: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(file, key, value, "a list of strings")
    return tuple(value)


def _wrong(file: Path, key: str, value: Any, allowed: str) -> UsageError:
    return UsageError(f"{file}: `{key}` in [tool.shapeguard] is {_described(value)}; it must be {allowed}")


def _described(value: Any) -> str:
    match value:
        case str():
            return f'"{value}"'
        case list():
            others = [item for item in value if not isinstance(item, str)]
            return f"a list with {_described(others[0])} in it" if others else "a list"
        case dict():
            return "a table"
        case bool():
            return str(value).lower()
    return str(value)


@lru_cache(maxsize=256)
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_translated(glob) for glob in globs), re.DOTALL)


def _translated(glob: str) -> str:
    """A glob as a regular expression that also matches everything below what the glob matches."""
    trimmed = glob.removeprefix("./").strip("/")
    anywhere = "" if "/" in glob.removesuffix("/") else "(?:.*/)?"
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]/]+\])", trimmed)
    return f"{anywhere}{''.join(map(_piece, pieces))}(?:/.*)?"


def _piece(piece: str) -> str:
    match piece:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    if piece.startswith("[") and piece.endswith("]") and len(piece) > len("[]"):
        inside = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside.replace('^', chr(92) + '^')}]"
    return re.escape(piece)
