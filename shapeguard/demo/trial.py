"""A script run in a Python of its own, and what it prints read as it comes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

SECONDS_AT_MOST = 300
"""Of wall time, for one script."""
_STEP = re.compile(r"step (\d+)/(\d+) loss (\S+)")
_SHARE = re.compile(r"(accuracy|baseline) (\S+)")


@dataclass(frozen=True, slots=True)
class Trial:
    """What a run came to."""

    losses: tuple[float, ...] = ()
    """One for each step that was made."""
    steps: int = 0
    """That were to be made; 0 if the first one wasn't."""
    accuracy: float | None = None
    baseline: float | None = None
    error: str | None = None
    """The last line of the traceback, or why there is none though it failed."""


def run_script(folder: Path, script: str, told: Callable[[int, int, float], object]) -> Trial:
    """Run a script of a folder, in that folder; `told` hears of each step: its number, of how many, and the loss."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    losses: list[float] = []
    shares: dict[str, float] = {}
    steps, is_late = 0, False
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(  # noqa: S603 - a script of our own
            [sys.executable, script],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=complaints,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        late = Timer(SECONDS_AT_MOST, process.kill)
        late.daemon = True
        try:
            late.start()
            assert process.stdout is not None
            for line in process.stdout:
                if step := _STEP.match(line):
                    steps = int(step[2])
                    losses.append(float(step[3]))
                    told(int(step[1]), steps, losses[-1])
                elif share := _SHARE.match(line):
                    shares[share[1]] = float(share[2])
            status = process.wait()
            is_late = not late.is_alive()
        except BaseException:
            process.kill()
            raise
        finally:
            late.cancel()
        complaints.seek(0)
        said = [line.rstrip() for line in complaints if line.strip()]
    error = None
    if status:
        slow = f"it was stopped after {SECONDS_AT_MOST} seconds"
        error = slow if is_late else said[-1] if said else f"it ended with status {status}"
    return Trial(tuple(losses), steps, shares.get("accuracy"), shares.get("baseline"), error)
