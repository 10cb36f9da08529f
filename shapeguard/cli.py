"""The command line: `shapeguard demo`."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence

from shapeguard import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 for success, 2 for a command that can't be carried out."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 0
    if importlib.util.find_spec("torch") is None:
        print(f"shapeguard {chosen.command} needs PyTorch: pip install 'shapeguard[torch]'", file=sys.stderr)
        return 2
    from shapeguard.demo import run_demo  # noqa: PLC0415 - it loads torch

    return run_demo()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shapeguard", description="Tensor shapes in PyTorch code, checked before, while and after it runs."
    )
    parser.add_argument("--version", action="version", version=f"shapeguard {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    commands.add_parser(
        "demo",
        help="run three accidents, bare and under guard",
        description="Run three accidents that break training runs, first bare and then under guard.",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
