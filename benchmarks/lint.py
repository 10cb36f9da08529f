"""What `shapeguard check` costs with its rules alone and in full, beside ruff, flake8, torchfix and fixit.

    python benchmarks/lint.py [--path DIR] [--rounds N] [--peer-files N] [--flake8 FILE] [--torchfix FILE]
        [--fixit FILE] [--json FILE]

What counts is processor time, user and system together, of whole commands; where two processes are compared with one,
time by the clock. In each round every command has its turn, and what is printed is the median over the rounds. ruff
runs on one thread and without its cache.

torchfix and fixit take minutes over a large package, so flake8, torchfix and fixit are run on a share of its files
only, spread evenly, and so are shapeguard and ruff beside them. Each may have an environment of its own, as torchfix
asks for an old libcst: the options name their commands, which are looked for in the PATH otherwise. One that isn't
there is left out.
"""

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from processes import RUFF_CHECKS, Cost, installed, interleave, is_reached, python_files, seconds, spread, table

from shapeguard.catalog import CODES

PEERS = {
    "flake8": ("--isolated",),
    "torchfix": ("--select", "ALL", "--jobs", "1"),
    "fixit": ("--quiet", "lint"),
}
VERSIONS = {"flake8": "flake8", "torchfix": "TorchFix", "fixit": "fixit"}
RULES = ",".join(sorted({each.code[:3] for each in CODES} - {"SG0", "SG3", "SG7"}))
"""What selects the rules, and not the static checker."""
CLEAN = '''"""A file in which there is nothing to find."""

import torch
from torch import nn


class Head(nn.Module):
    """Scores of classes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The probabilities."""
        return torch.softmax(self.linear(inputs), dim=-1)
'''
MOST_OF_RUFF = 2.0
LEAST_OF_TWO = 1.7


@dataclass
class Figures:
    """What was measured: table -> command -> its costs."""

    costs: dict[str, dict[str, list[Cost]]] = field(default_factory=dict)

    def median(self, of: str, name: str) -> float:
        """Processor seconds."""
        return seconds(self.costs[of][name])

    def ratio(self, of: str, one: str, other: str) -> float:
        """The median of the rounds' own ratios."""
        pairs = zip(self.costs[of][one], self.costs[of][other], strict=True)
        return statistics.median(first.seconds / second.seconds for first, second in pairs)

    def speedup(self, one: str, other: str) -> float:
        """The same by the clock."""
        pairs = zip(self.costs["tree"][one], self.costs["tree"][other], strict=True)
        return statistics.median(first.elapsed / second.elapsed for first, second in pairs)


def checking(*options: str, jobs: int = 1) -> list[str]:
    return [sys.executable, "-m", "shapeguard", "check", "--jobs", str(jobs), "--output-format", "concise", *options]


def on_tree(folder: Path) -> dict[str, list[str]]:
    """Commands over a whole package; the ones that are warm come after one that has filled the cache."""
    path, rules, no_cache = str(folder), ("--select", RULES), "--no-cache"
    return {
        "ruff": [*RUFF_CHECKS, path],
        "rules": checking(no_cache, *rules, path),
        "rules, warm": checking(*rules, path),
        "rules, two": checking(no_cache, *rules, path, jobs=2),
        "all": checking(no_cache, path),
        "all, warm": checking(path),
        "all, two": checking(no_cache, path, jobs=2),
    }


def beside_peers(files: Sequence[Path], peers: dict[str, Path]) -> dict[str, list[str]]:
    """Commands over some files."""
    names = [str(each) for each in files]
    return {
        "ruff": [*RUFF_CHECKS, *names],
        "rules": checking("--no-cache", "--select", RULES, *names),
        "all": checking("--no-cache", *names),
        **{name: [str(command), *PEERS[name], *names] for name, command in peers.items()},
    }


def on_clean_file(path: Path, peers: dict[str, Path]) -> dict[str, list[str]]:
    """Commands over one small file without findings."""
    commands = {
        "rules": checking("--no-cache", "--select", RULES, str(path)),
        "rules, warm": checking("--select", RULES, str(path)),
        "all": checking("--no-cache", str(path)),
        "all, warm": checking(str(path)),
    }
    if "flake8" in peers:
        commands["flake8"] = [str(peers["flake8"]), *PEERS["flake8"], "--max-line-length", "100", str(path)]
    return commands


def measured(commands: dict[str, list[str]], rounds: int, scratch: Path) -> dict[str, list[Cost]]:
    """The costs, with the cache in a folder that is thrown away."""
    for name, command in commands.items():
        if name.endswith("warm"):
            subprocess.run(command, cwd=scratch, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
    # So it ends where it could fix something.
    return interleave(commands, rounds, scratch, ends={"fixit": (2, 3)})


# Printing

NAMES = {
    "ruff": "`ruff check --select ALL`",
    "rules": "`shapeguard check`, the rules alone",
    "rules, warm": "the same, nothing changed",
    "rules, two": "the rules alone, two processes",
    "all": "`shapeguard check`",
    "all, warm": "the same, nothing changed",
    "all, two": "`shapeguard check`, two processes",
    "flake8": "`flake8`",
    "torchfix": "`torchfix --select ALL`",
    "fixit": "`fixit lint`",
}


def costs_table(title: str, costs: dict[str, list[Cost]]) -> str:
    rows = []
    for name, of in costs.items():
        # What the processes of a process that didn't wait for them took isn't known.
        taken = ["-", "-"] if name.endswith("two") else [f"{seconds(of):.3f}", spread(of)]
        rows.append([NAMES[name], *taken, f"{statistics.median(each.elapsed for each in of):.2f}"])
    return table([title, "processor, s", "range", "clock, s"], rows)


def verdicts(figures: Figures) -> str:
    tree, one = "tree", "file"
    cold = figures.median(tree, "ruff")
    rows = [
        ("the rules alone: times ruff, at most", MOST_OF_RUFF, figures.ratio(tree, "rules", "ruff"), False),
        ("nothing changed: s, at most ruff's", cold, figures.median(tree, "all, warm"), False),
        ("the rules alone: two processes, at least", LEAST_OF_TWO, figures.speedup("rules", "rules, two"), True),
        ("two processes, at least", LEAST_OF_TWO, figures.speedup("all", "all, two"), True),
    ]
    if "flake8" in figures.costs[one]:
        most = figures.median(one, "flake8")
        for name, said in (("rules", "the rules alone"), ("all", "all"), ("all, warm", "nothing changed")):
            rows.append((f"a clean file, {said}: s, at most flake8's", most, figures.median(one, name), False))
    shown = [
        [what, f"{limit:.3g}", f"{value:.3g}", is_reached(value, limit, at_least=at_least)]
        for what, limit, value, at_least in rows
    ]
    return table(["target", "", "measured", ""], shown)


def peers_among(options: argparse.Namespace) -> dict[str, Path]:
    """The peers that are there; a line for each that isn't."""
    found: dict[str, Path] = {}
    for name in PEERS:
        command = getattr(options, name) or shutil.which(name)
        if command is None:
            print(f"{name} isn't installed, and left out; `--{name} FILE` says where it is")
        else:
            found[name] = Path(command).absolute()
    return found


def version_of(name: str, command: Path) -> str:
    program = f"import importlib.metadata as m; print(m.version({VERSIONS[name]!r}))"
    python = command.with_name("python")
    if not python.exists():
        return name
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    return f"{name} {done.stdout.strip()}" if done.returncode == 0 else name


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, help="the tree to check (the installed transformers)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command has its turn (3)")
    parser.add_argument("--peer-files", type=int, default=100, metavar="N", help="how many files the peers check (100)")
    for name in PEERS:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"the command of {name}")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    peers = peers_among(options)
    folder = (options.path or installed("transformers")).resolve()
    lines = python_files(folder)
    files = list(lines)[:: max(1, len(lines) // max(1, options.peer_files))][: options.peer_files]
    known = ", ".join([f"ruff {version('ruff')}", *(version_of(name, command) for name, command in peers.items())])
    print(
        f"Python {platform.python_version()}, {known}; {options.rounds} rounds; "
        f"{folder.name}: {len(lines):,} files, {sum(lines.values()):,} lines"
    )
    figures = Figures()
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        clean = scratch / "clean.py"
        clean.write_text(CLEAN)
        figures.costs["file"] = measured(on_clean_file(clean, peers), max(options.rounds, 5), scratch)
        figures.costs["tree"] = measured(on_tree(folder), options.rounds, scratch)
        figures.costs["files"] = measured(beside_peers(files, peers), options.rounds, scratch)
    print(f"\n{costs_table(f'all of {folder.name}', figures.costs['tree'])}")
    some = f"{len(files):,} of its files, {sum(lines[each] for each in files):,} lines"
    print(f"\n{costs_table(some, figures.costs['files'])}")
    print(f"\n{costs_table(f'a clean file of {CLEAN.count(chr(10))} lines', figures.costs['file'])}")
    print(f"\n{verdicts(figures)}")
    if options.json:
        written = {
            of: {name: [each.seconds for each in costs] for name, costs in commands.items()}
            for of, commands in figures.costs.items()
        }
        options.json.write_text(json.dumps({"path": str(folder), "seconds": written}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
