"""Rows of a dataset that the package `datasets` knows: by its name, or in a folder that it has written."""

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shapeguard.config import UsageError
from shapeguard.train.data.network import NO_NETWORK, asked_once

_NAME = re.compile(r"(?P<name>\w[\w.-]*(/[\w.-]+)?)(/(?P<config>[\w.-]+))?(:(?P<split>[\w.-]+(\[[\d:%-]+\])?))?")
_PACKAGE = "datasets"
_SAVED = ("dataset_info.json", "dataset_dict.json")
_DEFAULT = "train"


def is_saved(folder: Path) -> bool:
    """Whether `datasets` has written the folder, by `save_to_disk`."""
    return any((folder / name).is_file() for name in _SAVED)


def is_name(data: str) -> bool:
    """Whether this could name a dataset: `name`, `owner/name`, `owner/name/config`, each with `:split` or without."""
    return _NAME.fullmatch(data) is not None


def read_named(data: str) -> Iterator[tuple[str, Any]]:
    """The rows of a dataset, with their places; of its split `train` if none is named."""
    matched = _NAME.fullmatch(data)
    assert matched is not None
    if find_spec(_PACKAGE) is None:
        raise UsageError(
            f"no file and no folder is called {data}, and the package that would look for a dataset of that name isn't "
            "installed: pip install datasets"
        )
    datasets: Any = import_module(_PACKAGE)

    split = matched["split"] or _DEFAULT
    with asked_once() as network:
        try:
            rows = datasets.load_dataset(matched["name"], matched["config"], split=split)
        except Exception as error:
            why = _first_line(error) if network else NO_NETWORK
            raise UsageError(f"no file is called {data}, and no dataset of that name can be loaded: {why}") from error
    return _rows(rows, data if matched["split"] else f"{data}:{split}")


def read_saved(folder: Path, split: str | None = None) -> Iterator[tuple[str, Any]]:
    """The rows of a dataset in a folder, with their places."""
    if find_spec(_PACKAGE) is None:
        raise UsageError(f"{folder} was written by the package datasets, which isn't installed: pip install datasets")
    datasets: Any = import_module(_PACKAGE)

    try:
        rows = datasets.load_from_disk(str(folder))
    except Exception as error:
        raise UsageError(f"the dataset in {folder} can't be loaded: {_first_line(error)}") from error
    place = str(folder)
    if isinstance(rows, datasets.DatasetDict):
        split = split or _DEFAULT
        if split not in rows:
            names = ", ".join(f"{folder}:{name}" for name in rows)
            raise UsageError(f"{folder} has no split `{split}`: name one of {names}")
        place, rows = f"{folder}:{split}", rows[split]
    elif split is not None:
        raise UsageError(f"{folder} has no splits: leave `:{split}` out")
    return _rows(rows, place)


def _rows(rows: Any, place: str) -> Iterator[tuple[str, Any]]:
    for number, row in enumerate(rows):
        yield f"{place}[{number}]", row


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
