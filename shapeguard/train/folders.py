"""The folder that a run writes: what may be there before, what is there after, and nothing half-written between."""

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shapeguard.config import UsageError
from shapeguard.train.options import Options

CHECKPOINTS = "checkpoints"
METRICS = "metrics.jsonl"
CURVES = "curves.png"
_ASKED = "training.json"
"""What the run was asked. A folder that holds it is one of ours."""
_FREE_TO_CHANGE = {"output", "dry_run", "resume", "overwrite", "settings"}
_LAST_WRITTEN = "trainer_state.json"


def check_output(options: Options) -> None:
    """Refuse a folder that can't be written, or that holds what the run isn't to touch; nothing is made or changed."""
    folder = options.output
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not parent.is_dir():
        raise UsageError(f"can't write to {folder}: {parent} is a file; name a folder by --output")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"can't write to {folder}: {parent} is read-only; name another folder by --output")
    ours = (folder / _ASKED).is_file()
    if options.resume:
        if not ours:
            raise UsageError(f"no run was begun in {folder}; leave --resume out to begin one")
        _refuse_changes(options)
    elif ours and not options.overwrite:
        raise UsageError(
            f"{folder} holds an earlier run: go on with it by --resume, write over it by --overwrite, or name another "
            "folder by --output"
        )
    elif not ours and folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} isn't empty and holds no run; name another folder by --output")


def begin(options: Options) -> None:
    """Make the folder, or take out what an earlier run left there."""
    folder = options.output
    if options.resume:
        return
    if (folder / _ASKED).is_file():
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        for name in (METRICS, CURVES):
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _ASKED).write_text(json.dumps(_as_json(options), indent=2) + "\n")


def last_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint that was written to its end."""
    found = [path for path in (folder / CHECKPOINTS).glob("checkpoint-*") if (path / _LAST_WRITTEN).is_file()]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def drop_unfinished(folder: Path) -> None:
    """Remove checkpoints that weren't written to their end."""
    for path in (folder / CHECKPOINTS).glob("checkpoint-*"):
        if not (path / _LAST_WRITTEN).is_file():
            shutil.rmtree(path, ignore_errors=True)


def write_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill an empty folder, and put its files into `folder` once all of them are there."""
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as name:
        write(Path(name))
        mode = (folder / _ASKED).stat().st_mode
        for path in sorted(Path(name).iterdir()):
            if path.is_file():
                path.chmod(mode)  # safetensors lets nobody else read
            path.replace(folder / path.name)


def _as_json(options: Options) -> dict[str, Any]:
    return {**dataclasses.asdict(options), "output": str(options.output), "settings": list(options.settings)}


def _refuse_changes(options: Options) -> None:
    try:
        before = json.loads((options.output / _ASKED).read_text())
    except ValueError as error:
        raise UsageError(f"{options.output / _ASKED} is broken ({error}); begin anew with --overwrite") from error
    now = _as_json(options)
    for name, value in now.items():
        if name not in _FREE_TO_CHANGE and before.get(name) != value:
            flag = "--" + name.replace("_", "-")
            raise UsageError(
                f"the run in {options.output} was begun with {flag} {before.get(name)}, and not {value}; go on as it "
                "was begun, or begin anew with --overwrite"
            )
