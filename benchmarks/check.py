"""What `shapeguard check` costs over a whole package, beside `ruff check --select ALL`.

    python benchmarks/check.py [--path DIR] [--rounds N] [--files N] [--json FILE]

What counts is processor time, user and system together, of one process that starts cold. In each round every command
has its turn, and what is printed is the median over the rounds. Ruff runs on one thread and without its cache; most of
its time goes into writing its findings out with the source around them, so it is also timed with one line for each.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from processes import RUFF_CHECKS, installed, interleave, is_reached, python_files, seconds, spread, table

MOST_OF_RUFF = 8.0
MOST_MEMORY = 1000.0
"""Megabytes."""
MOST_FOR_A_FILE = 20.0
MOST_FOR_A_MODEL = 0.5
LINES_OF_A_MODEL = 1000
LOADS = "import torch\n\ntorch.zeros(2).sum()\n"
"""A file so short that checking it is loading the checker."""


def checking(path: Path) -> list[str]:
    return [sys.executable, "-m", "shapeguard", "check", "--no-cache", "--jobs", "1", str(path)]


def model_among(lines: dict[Path, int]) -> Path:
    """Of the files that define models, or of all where none does, the one nearest to 1,000 lines; then by its name."""
    models = [path for path in lines if path.name.startswith("modeling_")] or list(lines)
    return min(models, key=lambda path: (abs(lines[path] - LINES_OF_A_MODEL), path))


def time_files(folder: Path) -> dict[str, float]:
    """Processor seconds of each file, one after the other in this process."""
    from shapeguard.catalog import chosen_codes  # noqa: PLC0415 - the commands above are to load it themselves
    from shapeguard.check import check_file  # noqa: PLC0415
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


if __name__ == "__main__":
    sys.exit(main())
