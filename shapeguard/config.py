"""[tool.shapeguard] of a pyproject.toml as one frozen dataclass."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, TypeAlias, get_args

from shapeguard.diagnostics import Severity, selects
from shapeguard.spelling import did_you_mean

FORMATS = tuple(each.name for each in iter_modules([str(Path(__file__).parent / "report" / "formats")]))
"""The output formats of findings: the files of that folder."""


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
    """Globs, which mean what they mean in a .gitignore that stands in `root`."""
    extend_exclude: tuple[str, ...] = ()
    """Added to `exclude`."""
    force_exclude: bool = False
    """Whether a file that is named is passed over like any other one."""
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Globs as in `exclude`, each with what is ignored in the files that it picks; after a `!`, in all others."""
    severity: tuple[tuple[str, Severity], ...] = ()
    """Codes, beginnings of codes, or names, each with the severity of its findings."""
    preview: bool = False
    """Whether what isn't exact enough for everyone is reported too."""
    output_format: str = "full"
    baseline: str | None = None
    """Relative to `root`."""
    cache_dir: str | None = None
    """Relative to `root`."""
    root: str = "."
    """The folder that globs start from: that of the pyproject.toml, or the current one."""

    def severity_of(self, code: str, name: str, otherwise: Severity) -> Severity:
        """The severity of findings of this code and name: what is said of these alone comes before what is said of more."""
        closeness = {name: len(code), "ALL": 0}
        said = [
            (closeness.get(selector, len(selector)), severity)
            for selector, severity in self.severity
            if selects(selector, code, name)
        ]
        return max(said, key=lambda each: each[0], default=(0, otherwise))[1]


def read_config(paths: Sequence[str]) -> Config:
    """The [tool.shapeguard] nearest to these paths: in the folder that holds them all, or in one above it."""
    try:
        folder = Path(os.path.commonpath([os.path.abspath(path) for path in paths or ["."]]))  # noqa: PTH100
    except ValueError:  # on Windows: they lie on several drives
        folder = Path.cwd()
    except FileNotFoundError:
        raise UsageError("the current folder is gone") from None
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if os.path.isfile(file):  # noqa: PTH113 - it says no of a folder that can't be read
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
        if key not in _KEYS:
            instead = did_you_mean(key, _KEYS, f"; its keys are {', '.join(_KEYS)}")
            raise UsageError(f"{file}: [tool.shapeguard] has no key `{key}`{instead}")
        try:
            given[key.replace("-", "_")] = _KEYS[key](key, value)
        except _WrongValueError as wrong:
            raise UsageError(f"{file}: {wrong}") from None
    return Config(**given)


class _WrongValueError(Exception):
    def __init__(self, key: str, value: Any, allowed: str) -> None:
        super().__init__(f"`{key}` in [tool.shapeguard] is {_described(value)}; it must be {allowed}")


def _strings(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _WrongValueError(key, value, "a list of strings")
    return tuple(value)


def _string(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _WrongValueError(key, value, "a string")
    return value


def _switch(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongValueError(key, value, "true or false")
    return value


def _format(key: str, value: Any) -> str:
    if value not in FORMATS:
        raise _WrongValueError(key, value, f"one of {', '.join(FORMATS)}")
    return str(value)


def _ignores(key: str, value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, dict):
        raise _WrongValueError(key, value, "a table from globs to lists of codes")
    return tuple((glob, _strings(f"{key}.{glob}", codes)) for glob, codes in value.items())


def _severities(key: str, value: Any) -> tuple[tuple[str, Severity], ...]:
    if not isinstance(value, dict):
        raise _WrongValueError(key, value, "a table from codes to severities")
    for code, severity in value.items():
        if severity not in get_args(Severity):
            raise _WrongValueError(f"{key}.{code}", severity, f"one of {', '.join(get_args(Severity))}")
    return tuple(value.items())


_Read: TypeAlias = Callable[[str, Any], Any]
_KEYS: dict[str, _Read] = {
    "select": _strings,
    "extend-select": _strings,
    "ignore": _strings,
    "per-file-ignores": _ignores,
    "exclude": _strings,
    "extend-exclude": _strings,
    "force-exclude": _switch,
    "severity": _severities,
    "preview": _switch,
    "output-format": _format,
    "baseline": _string,
    "cache-dir": _string,
}
"""Each with what reads its value, which is that of the field with the same name."""


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
