"""What commands cost, run beside each other in turns, and tables of it."""

import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUFF = Path(sys.executable).with_name("ruff")
RUFF_CHECKS = (str(RUFF), "check", "--isolated", "--no-cache", "--select", "ALL")


@dataclass(frozen=True)
class Cost:
    """What one run of a command took."""

    seconds: float
    """Of the processor, with the command's own processes that it waited for."""
    megabytes: float
    """At its peak."""
    elapsed: float
    """Seconds by the clock."""


def run(command: Sequence[str], folder: Path = ROOT, ends: Sequence[int] = (0, 1)) -> Cost:
    """Run a command to its end in a folder; that it has findings is no failure."""
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    start = time.perf_counter()
    child = subprocess.Popen(  # noqa: S603
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    with child.stderr as stream:
        said = stream.read().decode(errors="replace")
    # Of this child alone, where `resource.getrusage` knows only of all together.
    _, status, used = os.wait4(child.pid, 0)
    elapsed = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in ends:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {said}")
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts kilobytes
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e6, elapsed)


def interleave(
    commands: dict[str, list[str]], rounds: int, folder: Path = ROOT, ends: Mapping[str, Sequence[int]] | None = None
) -> dict[str, list[Cost]]:
    """The costs of each command, one a round; `ends` says with what some may end besides 0 and 1."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    order = list(commands)
    for _ in range(rounds):
        order.append(order.pop(0))
        for name in order:
            costs[name].append(run(commands[name], folder, (0, 1, *(ends or {}).get(name, ()))))
    return costs


def seconds(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.seconds for cost in costs)


def spread(costs: Sequence[Cost]) -> str:
    every = sorted(cost.seconds for cost in costs)
    return f"{every[0]:.2f} to {every[-1]:.2f}"


def python_files(folder: Path) -> dict[Path, int]:
    """The files of a tree, each with the number of its lines."""
    return {path: path.read_bytes().count(b"\n") for path in sorted(folder.rglob("*.py"))}


def installed(package: str) -> Path:
    """The folder of an installed package, which is not imported."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown: the first column flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    marks = ["-" * width if place == 0 else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    lines = [
        " | ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, marks, *rows]
    ]
    return "\n".join(f"| {line} |" for line in lines)


def is_reached(value: float, limit: float, *, at_least: bool = False) -> str:
    return "reached" if (value >= limit if at_least else value <= limit) else "not reached"
