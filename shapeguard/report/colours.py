"""Colours of a terminal."""

from __future__ import annotations

from shapeguard.diagnostics import Severity

BOLD, FAINT, CYAN = "1", "2", "36"
BY_SEVERITY: dict[Severity, str] = {"error": "1;31", "warning": "1;33", "info": "1;34"}


def painted(text: str, style: str, *, colour: bool) -> str:
    """The text in a style, where colours are wanted and there is something to paint."""
    return f"\033[{style}m{text}\033[0m" if colour and text else text
