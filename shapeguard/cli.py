"""The command line: what can be asked of shapeguard, and who answers."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TextIO

from shapeguard import __version__
from shapeguard.config import FORMATS, UsageError
from shapeguard.train.options import add_tasks

FOUND = 1
REFUSED = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    The exit status is 0 for success, 1 for findings, 2 for a command that can't be carried out.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    run = {"check": _check, "rule": _rule, "rules": _rules, "shapes": _shapes, "train": _train, "demo": _demo}.get(
        chosen.command
    )
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
    from shapeguard.run import Asked, run_check  # noqa: PLC0415 - the help needs none of it

    given = vars(chosen)
    lists = {name: _listed(given[name]) for name in ("select", "extend_select", "ignore") if given[name] is not None}
    named = {field.name: given[field.name] for field in fields(Asked) if given[field.name] is not None}
    return run_check(Asked(**{**named, **lists, "jobs": _jobs(chosen.jobs)}))


def _rules(chosen: argparse.Namespace) -> int:
    from shapeguard.catalog import CODES  # noqa: PLC0415 - the help needs none of it
    from shapeguard.report import rules  # noqa: PLC0415

    output_format = _known_format(chosen.output_format or "text", ("text", "json"))
    print((rules.render_list if output_format == "text" else rules.render_json)(CODES), end="")
    return 0


def _rule(chosen: argparse.Namespace) -> int:
    from shapeguard.catalog import find_code  # noqa: PLC0415 - the help needs none of it
    from shapeguard.report import rules  # noqa: PLC0415

    print(rules.render_page(find_code(chosen.rule)), end="")
    return 0


def _shapes(chosen: argparse.Namespace) -> int:
    from shapeguard.check import inspect_file, tracking_of  # noqa: PLC0415 - the help needs none of it
    from shapeguard.report import shapes, tracking  # noqa: PLC0415

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
        print(tracking.render(tracking_of(source, analysis)), end="", file=_beside(output_format))
    return 0


def _train(chosen: argparse.Namespace) -> int:
    missing = [name for name in ("torch", "transformers", "accelerate", "matplotlib") if not _is_installed(name)]
    if missing:
        raise UsageError(f"{' and '.join(missing)} isn't installed: pip install 'shapeguard[train]'")
    from shapeguard.train.options import read_options  # noqa: PLC0415 - the help needs none of it
    from shapeguard.train.run import run_train  # noqa: PLC0415 - it loads torch

    return run_train(read_options(chosen))


def _demo(chosen: argparse.Namespace) -> int:
    from shapeguard.demo.run import run_demo  # noqa: PLC0415 - the help needs none of it

    return run_demo(chosen.output)


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shapeguard", description="Tensor shapes in PyTorch code, checked before, while and after it runs."
    )
    parser.add_argument("--version", action="version", version=f"shapeguard {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    _add_check(
        commands.add_parser(
            "check",
            help="find shapes that can't be right, without running anything",
            description="Find shapes that can't be right, without running anything. The exit status is 0 if nothing is "
            "found, 1 if something is, and 2 if the command can't be carried out.",
        )
    )
    rule = commands.add_parser("rule", help="explain a rule", description="Explain a rule: what, why, an example.")
    rule.add_argument("rule", metavar="RULE", help="its name or code: `bare-squeeze`, `SG101`")
    rules = commands.add_parser("rules", help="list the rules", description="List the rules, a line each.")
    rules.add_argument("--output-format", metavar="FORMAT", help="text or json (default: text)")
    shapes = commands.add_parser(
        "shapes",
        help="show what is known of each tensor in a file",
        description="Show a file's source with what is known of its tensors beside each line.",
    )
    shapes.add_argument("file", metavar="FILE")
    shapes.add_argument("--function", metavar="NAME", help="this function alone: `forward`, or `Block.forward`")
    shapes.add_argument("--output-format", metavar="FORMAT", help="text or json (default: text)")
    shapes.add_argument("--statistics", action="store_true", help="say how much is tracked, and which calls lose it")
    train = commands.add_parser(
        "train",
        help="train a reward model, an LSTM, a language model, or one by PPO",
        description="Train a reference model on data of your own, or on what every Python has.",
    )
    add_tasks(train)
    demo = commands.add_parser(
        "demo",
        help="show three broken training scripts: how they fail, what is found, and what the fixes bring",
        description="Run three broken training scripts, show what is found in them and the fixes, and train the fixed "
        "ones: under a minute. The scripts and the curves are written to a new folder.",
    )
    demo.add_argument(
        "--output", metavar="FOLDER", help="that folder (default: shapeguard-demo, or a free name like it)"
    )
    return parser


def _add_check(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="files and folders (default: the current one); `-` reads standard input",
    )
    codes = "comma-separated codes (SG301), beginnings of codes (SG3) or names (shape-mismatch)"
    chosen = check.add_argument_group("what is reported")
    chosen.add_argument("--select", action="append", metavar="RULES", help=f"report these alone: {codes}")
    chosen.add_argument("--extend-select", action="append", metavar="RULES", help="report these too")
    chosen.add_argument("--ignore", action="append", metavar="RULES", help="don't report these")
    chosen.add_argument("--preview", action="store_true", help="report what isn't exact enough for everyone, too")
    chosen.add_argument("--baseline", metavar="FILE", help="report only what isn't in this file")
    chosen.add_argument("--write-baseline", metavar="FILE", help="write what is found to this file, as known")
    chosen.add_argument("--force-exclude", action="store_true", help="pass over what is excluded though it is named")
    changing = check.add_argument_group("what is changed")
    changing.add_argument("--fix", action="store_true", help="make the fixes that are safe")
    changing.add_argument("--unsafe-fixes", action="store_true", help="with --fix or --diff: those that aren't, too")
    changing.add_argument("--diff", action="store_true", help="show what --fix would change, and change nothing")
    changing.add_argument("--add-noqa", action="store_true", help="write a `# noqa` beside each finding")
    shown = check.add_argument_group("how it is shown")
    shown.add_argument("--output-format", metavar="FORMAT", help=f"one of {', '.join(FORMATS)} (default: {FORMATS[0]})")
    shown.add_argument("--statistics", action="store_true", help="count the findings, and say how much is tracked")
    shown.add_argument("--exit-zero", action="store_true", help="exit with 0 though something is found")
    working = check.add_argument_group("how it is done")
    working.add_argument("--jobs", metavar="N", help="at most so many processes (default: one for each processor)")
    working.add_argument("--no-cache", dest="cache", action="store_false", help="neither use nor write the cache")
    working.add_argument("--stdin-filename", metavar="NAME", help="what the file on standard input is called")


if __name__ == "__main__":
    sys.exit(main())
