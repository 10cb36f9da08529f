"""The command line: `shapeguard check`, `shapeguard shapes`, `shapeguard demo`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TextIO

from shapeguard import __version__
from shapeguard.config import FORMATS, UsageError, read_config

FOUND = 1
REFUSED = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    The exit status is 0 for success, 1 for findings, 2 for a command that can't be carried out.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    run = {"check": _check, "shapes": _shapes, "demo": _demo}.get(chosen.command)
    if run is None:
        parser.print_help()
        return 0
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that can't show a character gets its number
            stream.reconfigure(errors="backslashreplace")
    try:
        status = run(chosen)
        sys.stdout.flush()
    except UsageError as error:
        print(f"shapeguard {chosen.command}: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough, as `head` has. Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND
    return status


def _check(chosen: argparse.Namespace) -> int:
    from shapeguard.check import check_paths  # noqa: PLC0415 - the help needs none of it
    from shapeguard.report import render, statistics  # noqa: PLC0415

    config = read_config(chosen.paths)
    if chosen.select is not None:
        # What the command line selects isn't taken away again by what the project ignores.
        config = replace(config, select=_listed(chosen.select), ignore=())
    config = replace(config, ignore=(*config.ignore, *_listed(chosen.ignore or ())))
    output_format = _known_format(chosen.output_format or config.output_format, FORMATS)
    outcome = check_paths(chosen.paths or ["."], config, jobs=_jobs(chosen.jobs))
    print(render(output_format, outcome.diagnostics, outcome.files, colour=_has_colour(sys.stdout)), end="")
    if chosen.statistics:
        print(statistics.render(outcome.tracking), end="", file=_beside(output_format))
    return FOUND if outcome.diagnostics else 0


def _shapes(chosen: argparse.Namespace) -> int:
    from shapeguard.check import inspect_file, tracking_of  # noqa: PLC0415 - the help needs none of it
    from shapeguard.report import shapes, statistics  # noqa: PLC0415

    output_format = _known_format(chosen.output_format or "text", ("text", "json"))
    source, analysis = inspect_file(chosen.file)
    functions = None
    if chosen.function is not None:
        known = shapes.functions(source.tree)
        functions = shapes.matching(list(known), chosen.function)
        if not functions:
            raise UsageError(f"{chosen.file} has no function `{chosen.function}`{_similar(chosen.function, known)}")
    write = shapes.render_text if output_format == "text" else shapes.render_json
    print(write(source, analysis, functions), end="")
    if chosen.statistics:
        print(statistics.render(tracking_of(source, analysis)), end="", file=_beside(output_format))
    return 0


def _demo(_: argparse.Namespace) -> int:
    if importlib.util.find_spec("torch") is None:
        print("shapeguard demo needs PyTorch: pip install 'shapeguard[torch]'", file=sys.stderr)
        return REFUSED
    from shapeguard.demo import run_demo  # noqa: PLC0415 - it loads torch

    return run_demo()


def _listed(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(code for value in values for code in value.replace(",", " ").split())


def _known_format(name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise UsageError(f"unknown output format `{name}`; choose from {', '.join(known)}")
    return name


def _jobs(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--jobs is `{text}`; it must be a whole number from 1 on")
    return int(text)


def _similar(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    # The last part alone, as it may be written, or the whole.
    parts = {part: full for full in known for part in (full.rpartition(".")[2], full)}
    close = get_close_matches(name, parts, n=1)
    return f"; did you mean `{parts[close[0]]}`?" if close else ""


def _beside(output_format: str) -> TextIO:
    """Where statistics go, so that a program that reads the output isn't given them."""
    return sys.stdout if output_format == "text" else sys.stderr


def _has_colour(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shapeguard", description="Tensor shapes in PyTorch code, checked before, while and after it runs."
    )
    parser.add_argument("--version", action="version", version=f"shapeguard {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="find shapes that can't fit, without running anything",
        description="Find shapes that can't fit, without running anything. Exits with 1 if it finds some.",
    )
    check.add_argument("paths", nargs="*", metavar="PATH", help="files and folders (default: the current folder)")
    codes = "comma-separated codes (SG301), beginnings of codes (SG3) or names (shape-mismatch)"
    check.add_argument("--select", action="append", metavar="CODES", help=f"report these alone: {codes}")
    check.add_argument("--ignore", action="append", metavar="CODES", help="don't report these")
    check.add_argument("--output-format", metavar="FORMAT", help=f"one of {', '.join(FORMATS)} (default: text)")
    check.add_argument("--jobs", metavar="N", help="at most so many processes (default: one for each processor)")
    check.add_argument("--statistics", action="store_true", help="say how much is tracked, and which calls lose it")
    shapes = commands.add_parser(
        "shapes",
        help="show what is known of each tensor in a file",
        description="Show a file's source with what is known of its tensors beside each line.",
    )
    shapes.add_argument("file", metavar="FILE")
    shapes.add_argument("--function", metavar="NAME", help="this function alone: `forward`, or `Block.forward`")
    shapes.add_argument("--output-format", metavar="FORMAT", help="text or json (default: text)")
    shapes.add_argument("--statistics", action="store_true", help="say how much is tracked, and which calls lose it")
    commands.add_parser(
        "demo",
        help="run three accidents, bare and under guard",
        description="Run three accidents that break training runs, first bare and then under guard.",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
