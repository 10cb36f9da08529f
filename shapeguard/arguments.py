"""What a command line can't be, said in one sentence: the parser of every command, and kinds of value."""

from __future__ import annotations

import argparse
import os
from typing import Any, NoReturn

from shapeguard.spelling import did_you_mean

REFUSED = 2
"""The exit status of a command that can't be carried out."""


class Parser(argparse.ArgumentParser):
    """The parser of the whole command line, and of each command in it."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without the usage, and exit."""
        self.exit(REFUSED, f"{self.prog}: {message}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What is asked; a command that is given what it doesn't know says so itself."""
        chosen, unknown = super().parse_known_args(args, namespace)
        if unknown:
            option, _, _ = unknown[0].partition("=")
            more = f"; `{self.prog} --help` shows what it takes"
            self.error(f"it takes no `{option}`{did_you_mean(option, self._option_string_actions, more, cutoff=0.8)}")
        return chosen, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        option = action.option_strings[-1:]
        what = f"{option[0]} can't be `{value}`" if option else f"no {str(action.metavar).lower()} is called `{value}`"
        instead = did_you_mean(value, action.choices, f"; choose from {', '.join(action.choices)}")
        if action.dest == "command" and os.path.lexists(value):
            instead = f"; did you mean `{self.prog} check {value}`?"
        raise argparse.ArgumentError(None, f"{what}{instead}")


def file_name(text: str) -> str:
    """That of a file or a folder, which may be there or not."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def whole_number(text: str) -> int:
    """One from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number from 1 on")
    return int(text)
