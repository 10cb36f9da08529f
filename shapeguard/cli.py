"""The command line: what can be asked of shapeguard, and who answers."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

from shapeguard import __version__
from shapeguard.arguments import REFUSED, Parser, file_name, whole_number
from shapeguard.config import FORMATS, UsageError
from shapeguard.spelling import nearest
from shapeguard.train.options import add_tasks

FOUND = 1
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    The exit status is 0 for success, 1 for findings, 2 for a command that can't be carried out.
    """
    _prepare_streams()
    parser = _parser()
    chosen = parser.parse_args(arguments)
    run = {"check": _check, "rule": _rule, "rules": _rules, "shapes": _shapes, "train": _train, "demo": _demo}.get(
        chosen.command
    )
    if run is None:
        parser.print_help()
        return 0
    try:
        status = run(chosen)
        sys.stdout.flush()
    except UsageError as error:
        return _refused(chosen.command, str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        _leave_unwritten()
        return FOUND
    except OSError as error:
        _leave_unwritten()
        place = "" if error.filename is None else f"{error.filename}: "
        return _refused(chosen.command, f"{place}{error.strerror or error}")
    return status


def _prepare_streams() -> None:
    """Have an output that is closed go nowhere, and one that can't show a character get its number."""
    for which in ("stdout", "stderr"):
        stream = getattr(sys, which) or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end
        setattr(sys, which, stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _leave_unwritten() -> None:
    """Have what can't be written go nowhere: Python would complain of it when it flushes at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refused(command: str, why: str) -> int:
    print(f"shapeguard {command}: {why}", file=sys.stderr)
    return REFUSED


def _check(chosen: argparse.Namespace) -> int:
    from shapeguard.run import Asked, run_check  # noqa: PLC0415 - the help needs none of it

    given = {field.name: getattr(chosen, field.name) for field in fields(Asked)}
    return run_check(Asked(**{name: value for name, value in given.items() if value is not None}))


def _rules(chosen: argparse.Namespace) -> int:
    from shapeguard.catalog import CODES  # noqa: PLC0415 - the help needs none of it
    from shapeguard.report import rules  # noqa: PLC0415

    print((rules.render_list if chosen.output_format == "text" else rules.render_json)(CODES), end="")
    return 0


def _rule(chosen: argparse.Namespace) -> int:
    from shapeguard.catalog import find_code  # noqa: PLC0415 - the help needs none of it
    from shapeguard.report import rules  # noqa: PLC0415

    print(rules.render_page(find_code(chosen.rule)), end="")
    return 0


def _shapes(chosen: argparse.Namespace) -> int:
    from shapeguard.check import inspect_file, tracking_of  # noqa: PLC0415 - the help needs none of it
    from shapeguard.report import shapes, tracking  # noqa: PLC0415

    source, analysis = inspect_file(chosen.file)
    functions = None
    if chosen.function is not None:
        known = shapes.functions(source.tree)
        functions = shapes.matching(list(known), chosen.function)
        if not functions:
            raise UsageError(f"{chosen.file} has no function `{chosen.function}`{_similar(chosen.function, known)}")
    write = shapes.render_text if chosen.output_format == "text" else shapes.render_json
    print(write(source, analysis, functions), end="")
    if chosen.statistics:
        print(tracking.render(tracking_of(source, analysis)), end="", file=_beside(chosen.output_format))
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


def _similar(name: str, known: Iterable[str]) -> str:
    # The last part alone, as it may be written, or the whole.
    parts = {part: full for full in known for part in (full.rpartition(".")[2], full)}
    near = nearest(name, parts)
    return f"; did you mean `{parts[near]}`?" if near else ""


def _beside(output_format: str) -> TextIO:
    """Where statistics go, so that a program that reads the output isn't given them."""
    return sys.stdout if output_format == "text" else sys.stderr


def _codes(text: str) -> list[str]:
    codes = text.replace(",", " ").split()
    if not codes:
        raise argparse.ArgumentTypeError("it names no rule")
    from shapeguard.catalog import codes_meant, instead  # noqa: PLC0415 - the help needs none of it

    for code in codes:
        if not codes_meant(code):
            raise argparse.ArgumentTypeError(f"no rule is called `{code}`{instead(code)}")
    return codes


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="shapeguard", description="Tensor shapes in PyTorch code, checked before and while it runs.")
    parser.add_argument("--version", action="version", version=f"shapeguard {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    _add_check(
        commands.add_parser(
            "check",
            help="find shapes that can't be right, without running anything",
            description="Find shapes that can't be right, without running anything. The exit status is 0 if nothing is "
            "found, 1 if something is, and 2 if the command can't be carried out; with --diff it is 1 if something would "
            "be changed.",
        )
    )
    rule = commands.add_parser("rule", help="explain a rule", description="Explain a rule: what, why, an example.")
    rule.add_argument("rule", metavar="RULE", help="its name or code: `bare-squeeze`, `SG101`")
    rules = commands.add_parser("rules", help="list the rules", description="List the rules, a line each.")
    _add_text_or_json(rules)
    shapes = commands.add_parser(
        "shapes",
        help="show what is known of each tensor in a file",
        description="Show a file's source with what is known of its tensors beside each line.",
    )
    shapes.add_argument("file", metavar="FILE", type=file_name)
    shapes.add_argument("--function", metavar="NAME", help="this function alone: `forward`, or `Block.forward`")
    _add_text_or_json(shapes)
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
        "--output",
        metavar="FOLDER",
        type=file_name,
        help="that folder (default: shapeguard-demo, or a free name like it)",
    )
    commands.add_parser("help")
    return parser


def _add_text_or_json(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--output-format",
        choices=("text", "json"),
        default="text",
        metavar="FORMAT",
        help="text or json (default: text)",
    )


def _add_check(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        type=file_name,
        help="files and folders (default: the current one); `-` reads standard input",
    )
    codes = "comma-separated codes (SG301), beginnings of codes (SG3) or names (shape-mismatch)"
    chosen = check.add_argument_group("what is reported")
    rules: dict[str, Any] = {"action": "extend", "type": _codes, "metavar": "RULES"}
    chosen.add_argument("--select", help=f"report these alone: {codes}", **rules)
    chosen.add_argument("--extend-select", help="report these too", **rules)
    chosen.add_argument("--ignore", help="don't report these", **rules)
    chosen.add_argument("--preview", action="store_true", help="report what isn't exact enough for everyone, too")
    chosen.add_argument("--baseline", metavar="FILE", type=file_name, help="report only what isn't in this file")
    chosen.add_argument(
        "--write-baseline", metavar="FILE", type=file_name, help="write what is found to this file, as known"
    )
    chosen.add_argument("--force-exclude", action="store_true", help="pass over what is excluded though it is named")
    changing = check.add_argument_group("what is changed")
    changing.add_argument("--fix", action="store_true", help="make the fixes that are safe")
    changing.add_argument("--unsafe-fixes", action="store_true", help="with --fix or --diff: those that aren't, too")
    changing.add_argument("--diff", action="store_true", help="show what --fix would change, and change nothing")
    changing.add_argument("--add-noqa", action="store_true", help="write a `# noqa` beside each finding")
    shown = check.add_argument_group("how it is shown")
    shown.add_argument(
        "--output-format", choices=FORMATS, metavar="FORMAT", help=f"one of {', '.join(FORMATS)} (default: full)"
    )
    shown.add_argument("--statistics", action="store_true", help="count the findings, and say how much is tracked")
    shown.add_argument("--exit-zero", action="store_true", help="exit with 0 though something is found")
    working = check.add_argument_group("how it is done")
    working.add_argument(
        "--jobs", metavar="N", type=whole_number, help="at most so many processes (default: one for each processor)"
    )
    working.add_argument("--no-cache", dest="cache", action="store_false", help="neither use nor write the cache")
    working.add_argument("--stdin-filename", metavar="NAME", help="what the file on standard input is called")
