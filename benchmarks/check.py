"""What `shapeguard check` costs over a whole package, beside `ruff check --select ALL`.

    python benchmarks/check.py [--path DIR] [--rounds N] [--files N] [--json FILE]

What counts is processor time, user and system together, of one process that starts cold. In each round every command
has its turn, and what is printed is the median over the rounds. Ruff runs on one thread and without its cache; most of
its time goes into writing its findings out with the source around them, so it is also timed with one line for each.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RUFF = Path(sys.executable).with_name("ruff")
RUFF_CHECKS = (str(RUFF), "check", "--isolated", "--no-cache", "--select", "ALL")
MOST_OF_RUFF = 8.0
MOST_MEMORY = 1000.0
"""Megabytes."""
MOST_FOR_A_FILE = 20.0
MOST_FOR_A_MODEL = 0.5
LINES_OF_A_MODEL = 1000
LOADS = "import torch\n\ntorch.zeros(2).sum()\n"
"""A file so short that checking it is loading the checker."""


@dataclass(frozen=True)
class Cost:
    """What one run of a command took."""

    seconds: float
    """Of the processor."""
    megabytes: float
    """At its peak."""


def run(command: list[str]) -> Cost:
    """Run a command to its end; that it has findings is no failure."""
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    child = subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    with child.stderr as stream:
        said = stream.read().decode(errors="replace")
    # Of this child alone, where `resource.getrusage` knows only of all together.
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {said}")
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts kilobytes
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e6)


def interleave(commands: dict[str, list[str]], rounds: int) -> dict[str, list[Cost]]:
    """The costs of each command, one a round."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    order = list(commands)
    for _ in range(rounds):
        order.append(order.pop(0))
        for name in order:
            costs[name].append(run(commands[name]))
    return costs


def seconds(costs: list[Cost]) -> float:
    return statistics.median(cost.seconds for cost in costs)


def checking(path: Path) -> list[str]:
    return [sys.executable, "-m", "shapeguard", "check", "--jobs", "1", str(path)]


def python_files(folder: Path) -> dict[Path, int]:
    """The files of a tree, each with the number of its lines."""
    return {path: path.read_bytes().count(b"\n") for path in sorted(folder.rglob("*.py"))}


def model_among(lines: dict[Path, int]) -> Path:
    """Of the files that define models, or of all where none does, the one nearest to 1,000 lines; then by its name."""
    models = [path for path in lines if path.name.startswith("modeling_")] or list(lines)
    return min(models, key=lambda path: (abs(lines[path] - LINES_OF_A_MODEL), path))


def time_files(folder: Path) -> dict[str, float]:
    """Processor seconds of each file, one after the other in this process."""
    from shapeguard.check import check_file, chosen_codes  # noqa: PLC0415 - the commands above are to load it themselves
    from shapeguard.config import Config  # noqa: PLC0415
    from shapeguard.source.find import find_files  # noqa: PLC0415

    config = Config()
    codes = chosen_codes(config)
    found: dict[str, float] = {}
    for path in find_files([str(folder)], config):
        start = time.process_time()
        check_file(path, codes, config)
        found[path] = time.process_time() - start
    return found


# Printing


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


def is_reached(value: float, most: float) -> str:
    return "reached" if value <= most else "not reached"


def spread(costs: list[Cost]) -> str:
    every = sorted(cost.seconds for cost in costs)
    return f"{every[0]:.2f} to {every[-1]:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, help="the tree to check (the installed transformers)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each command has its turn (5)")
    parser.add_argument(
        "--files", type=int, default=0, metavar="N", help="also time every file, and show the slowest N"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    folder = (options.path or installed("transformers")).resolve()
    lines = python_files(folder)
    model = model_among(lines)

    print(
        f"Python {platform.python_version()}, ruff {version('ruff')}; {options.rounds} rounds; "
        f"{folder.name}: {len(lines):,} files, {sum(lines.values()):,} lines"
    )
    with tempfile.TemporaryDirectory() as scratch:
        short = Path(scratch, "short.py")
        short.write_text(LOADS)
        commands = {
            "shapeguard": checking(folder),
            "ruff": [*RUFF_CHECKS, str(folder)],
            "ruff, concise": [*RUFF_CHECKS, "--output-format", "concise", str(folder)],
            "model": checking(model),
            "short": checking(short),
            "help": [sys.executable, "-m", "shapeguard", "--help"],
        }
        costs = interleave(commands, options.rounds)

    ratio = statistics.median(
        ours.seconds / theirs.seconds for ours, theirs in zip(costs["shapeguard"], costs["ruff"], strict=True)
    )
    memory = max(cost.megabytes for cost in costs["shapeguard"])
    whole, start, loading = seconds(costs["model"]), seconds(costs["help"]), seconds(costs["short"])
    name = f"{model.name}, {lines[model]:,} lines"
    rows = [
        [f"{folder.name}: `shapeguard check`, s", f"{seconds(costs['shapeguard']):.2f}", spread(costs["shapeguard"])],
        [f"{folder.name}: `ruff check --select ALL`, s", f"{seconds(costs['ruff']):.2f}", spread(costs["ruff"])],
        [
            "the same, `--output-format concise`, s",
            f"{seconds(costs['ruff, concise']):.2f}",
            spread(costs["ruff, concise"]),
        ],
        [f"{name}: the whole command, s", f"{whole:.3f}", spread(costs["model"])],
        ["a file of three lines: the whole command, s", f"{loading:.3f}", spread(costs["short"])],
        ["`shapeguard --help`, s", f"{start:.3f}", spread(costs["help"])],
    ]
    print(f"\n{table(['processor time', 'median', 'range'], rows)}")
    verdicts = [
        ["times ruff, at most", ratio, MOST_OF_RUFF, f"{ratio:.2f}"],
        ["peak memory, MB, at most", memory, MOST_MEMORY, f"{memory:.0f}"],
        [f"{name}: s, at most", whole, MOST_FOR_A_MODEL, f"{whole:.3f}"],
        [f"{name}: s beyond `--help`, at most", whole - start, MOST_FOR_A_MODEL, f"{whole - start:.3f}"],
    ]
    figures: dict[str, Any] = {
        "path": str(folder),
        "model": str(model),
        "seconds": {each: [cost.seconds for cost in of] for each, of in costs.items()},
        "megabytes": memory,
        "times ruff": ratio,
    }
    slowest: list[tuple[str, float]] = []
    if options.files:
        slowest = sorted(time_files(folder).items(), key=lambda item: -item[1])[: options.files]
        longest = slowest[0][1]
        verdicts.append(["the slowest file, s, at most", longest, MOST_FOR_A_FILE, f"{longest:.2f}"])
        figures["slowest"] = dict(slowest)
    shown = [[what, f"{most:g}", text, is_reached(value, most)] for what, value, most, text in verdicts]
    print(f"\n{table(['target', '', 'measured', ''], shown)}")
    if slowest:
        each = [[os.path.relpath(path, folder), f"{taken:.2f}"] for path, taken in slowest]
        print(f"\n{table(['slowest files', 's'], each)}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def installed(package: str) -> Path:
    """The folder of an installed package, which is not imported."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


if __name__ == "__main__":
    sys.exit(main())
