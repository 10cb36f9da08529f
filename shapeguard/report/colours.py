"""Colours of a terminal."""

from __future__ import annotations

import os
from typing import TextIO

from shapeguard.diagnostics import Severity

BOLD, FAINT, CYAN = "1", "2", "36"
BY_SEVERITY: dict[Severity, str] = {"error": "1;31", "warning": "1;33", "info": "1;34"}


def is_terminal(stream: TextIO) -> bool:
    """Whether a line on the stream can be written anew."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    """Whether the stream shows colours, and the user wants them."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def painted(text: str, style: str, *, colour: bool) -> str:
    """The text in a style, where colours are wanted and there is something to paint."""
    return f"\033[{style}m{text}\033[0m" if colour and text else text
