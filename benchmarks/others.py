"""What other tools find of the bugs in tests/pairs, and of the steps in tests/cases that torch refuses.

    python benchmarks/others.py --tools DIR [--only NAME ...] [--limit N] [--json FILE]

Each tool gets an environment of its own in DIR, made with pip in the versions that stand in others_tools.py, and is started once for
a folder of all programs. It is handed what it needs to do its best: Pyrefly its stubs of torch and its declaration of
each function's sizes, torchshapeflow the annotations in its own words, torchtyc's `run` a function that calls the
program. Without `--tools`, those that are in this environment are measured, and the others are left out.

A bug counts as caught if a finding stands on its line of a kind that the correct version of the same program has fewer
of, wherever in the file. So what is said of both, such as a missing docstring or an import without types, counts for
nothing. A correct program counts as flagged if it has a finding of a kind that caught something in the same column.
Where a tool tells errors from warnings, which often say what it can't follow, the errors count.
"""

import argparse
import ast
import contextlib
import io
import itertools
import json
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jaxtyping
import torch
from beartype import beartype
from others_programs import GROUPS, Program, programs
from others_tools import TOOLS, Finding, asked
from processes import table

from shapeguard import guard

# Counting


@dataclass(frozen=True)
class Score:
    """What a tool does in one group."""

    on_line: int
    in_file: int
    """That, and what is said elsewhere in the program."""
    buggy: int
    flagged: int
    correct: int
    kinds: dict[str, int]
    """What was said on the line."""
    is_asked: bool = True
    """Whether it was handed any of these programs."""


def score(group: str, of: Sequence[Program], said: dict[str, list[Finding]]) -> Score:
    mine = [each for each in of if each.group == group]
    buggy = [each for each in mine if each.role == "buggy"]
    correct = [each for each in mine if each.role == "correct"]
    kinds: Counter[str] = Counter()
    on_line = in_file = 0
    telling = set()
    for each in buggy:
        twin = next(other for other in mine if other.title == each.title and other.role in ("correct", "twin"))
        found_in = said.get(each.stem, [])
        more = Counter(found.kind for found in found_in) - Counter(found.kind for found in said.get(twin.stem, []))
        here = {found.kind for found in found_in if found.kind in more and found.line in each.marked}
        on_line += bool(here)
        in_file += bool(more)
        kinds.update(here)
        telling |= here
    flagged = sum(any(found.kind in telling for found in said.get(each.stem, [])) for each in correct)
    is_asked = any(each.stem in said for each in mine)
    return Score(on_line, in_file, len(buggy), flagged, len(correct), dict(kinds.most_common()), is_asked)


# Running the annotated programs

WATCHES = {
    "torch alone": None,
    "jaxtyped + beartype": jaxtyping.jaxtyped(typechecker=beartype),
    "shapeguard's guard": guard,
}
NUMBERS = itertools.count()


def is_stopped(code: str, watch: Callable | None) -> bool:
    """Whether a program raises anything when each of its functions is watched."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and watch is not None:
            node.decorator_list.append(ast.Name("watch", ast.Load()))
    ast.fix_missing_locations(tree)
    # A name of its own: beartype keeps what it knows of `list[Model]` by the class's name and module.
    names = {"__name__": f"program_{next(NUMBERS)}", "watch": watch}
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        exec(compile(tree, "program", "exec"), names)  # noqa: S102 - the programs stand in tests/pairs
        try:
            names["outcome"]()
        except (RuntimeError, ValueError, IndexError, TypeError):
            return True
    return False


def stopped(of: Sequence[Program]) -> dict[str, dict[str, int]]:
    torch.set_num_threads(1)
    found = {}
    for name, watch in WATCHES.items():
        counts = Counter()
        for each in of:
            if each.group == "annotated":
                counts[each.role] += is_stopped(f"{each.text}\n\n{each.driver}", watch)
        found[name] = {role: counts[role] for role in ("buggy", "correct")}
    return found


# Printing


def cell(found: Score) -> str:
    if not found.is_asked:
        return "-"
    more = f" ({found.in_file})" if found.in_file > found.on_line else ""
    return f"{found.on_line}{more}"


def scores_table(scores: dict[str, dict[str, Score]], failed: dict[str, str]) -> str:
    some = next(iter(scores.values()))
    plain, annotated, refused = (some[group] for group in GROUPS)
    head = [
        "caught on the line (in the file)",
        f"pairs, plain, of {plain.buggy}",
        f"annotated, of {annotated.buggy}",
        f"correct ones flagged, of {plain.correct + annotated.correct}",
        f"refused by torch, of {refused.buggy}",
        f"running ones flagged, of {refused.correct}",
    ]
    rows = [
        [
            name,
            cell(each["plain"]),
            cell(each["annotated"]),
            str(each["plain"].flagged + each["annotated"].flagged),
            cell(each["refused"]),
            str(each["refused"].flagged),
        ]
        for name, each in scores.items()
    ]
    rows += [[name, *["not run"] * 5] for name in failed]
    return "\n\n".join([table(head, rows), *(f"{name} could not be run: {why}" for name, why in failed.items())])


def kinds_list(scores: dict[str, dict[str, Score]]) -> str:
    """By which kinds of finding each tool caught what it caught."""
    lines = []
    for name, each in scores.items():
        pairs_said, refused_said = (
            Counter(each["plain"].kinds) + Counter(each["annotated"].kinds),
            each["refused"].kinds,
        )
        for where, kinds in (("pairs", pairs_said), ("refused", refused_said)):
            shown = ", ".join(f"{kind} {count}" for kind, count in Counter(kinds).most_common())
            lines.append(f"{name}, {where}: {shown or 'nothing'}")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=Path, metavar="DIR", help="where the tools are installed, or are to be")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the tools whose names begin so")
    parser.add_argument("--limit", type=int, metavar="N", help="of each kind of program so many alone")
    parser.add_argument(
        "--json", type=Path, help="keep the figures in this file; a tool that it has figures of isn't asked again"
    )
    return parser.parse_args()


def known_in(file: Path | None) -> dict[str, dict[str, Score]]:
    if file is None or not file.exists():
        return {}
    found = json.loads(file.read_text())["found"]
    return {name: {group: Score(**of) for group, of in groups.items()} for name, groups in found.items()}


def main() -> int:
    options = arguments()
    chosen = [each for each in TOOLS if not options.only or each.name.startswith(("shapeguard", *options.only))]
    of = programs(options.limit)
    known = known_in(options.json)
    failed: dict[str, str] = {}
    watched = stopped(of)
    with tempfile.TemporaryDirectory() as scratch:
        for tool in chosen:
            if tool.name in known and tool.environment:
                continue
            start = time.monotonic()
            try:
                said = asked(tool, of, options.tools, Path(scratch))
            except (RuntimeError, OSError, ValueError, subprocess.TimeoutExpired) as error:
                failed[tool.name] = str(error)
                continue
            print(f"{tool.name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
            known[tool.name] = {group: score(group, of, said) for group in GROUPS}
            if options.json:
                found = {each.name: known[each.name] for each in TOOLS if each.name in known}
                found = {
                    name: {group: vars(of_it) for group, of_it in groups.items()} for name, groups in found.items()
                }
                written = {"found": found, "failed": failed, "stopped": watched}
                options.json.write_text(json.dumps(written, indent=2) + "\n")
    scores = {tool.name: known[tool.name] for tool in chosen if tool.name in known}
    print(f"Python {platform.python_version()}, torch {torch.__version__}\n\n{scores_table(scores, failed)}\n")
    some = next(iter(scores.values()))["annotated"]
    head = ["stopped while it runs", f"buggy, of {some.buggy}", f"correct, of {some.correct}"]
    print(table(head, [[name, str(each["buggy"]), str(each["correct"])] for name, each in watched.items()]))
    print(f"\nBy which kinds of finding:\n\n{kinds_list(scores)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
