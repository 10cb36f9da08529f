"""Findings and shapes written out: one file per output format."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from shapeguard.diagnostics import Diagnostic

MODULES = {
    "text": "shapeguard.report.text",
    "json": "shapeguard.report.json_lines",
    "github": "shapeguard.report.github",
    "sarif": "shapeguard.report.sarif",
}


def render(output_format: str, diagnostics: Sequence[Diagnostic], files: int, *, colour: bool = False) -> str:
    """The findings of a run over so many files, in one of the formats; only text knows colour. It ends its last line."""
    written: str = import_module(MODULES[output_format]).render(diagnostics, files, colour=colour)
    return written


__all__ = ["MODULES", "render"]
