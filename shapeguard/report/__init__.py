"""Findings and shapes written out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module

from shapeguard.diagnostics import Diagnostic
from shapeguard.report.findings import Findings, Sources, read_from_disk


def render(
    output_format: str,
    diagnostics: Sequence[Diagnostic],
    files: int,
    *,
    colour: bool = False,
    sources: Sources | None = None,
) -> str:
    """The findings of a run over so many files, in one of the formats. It ends its last line.

    Only full and concise know colour. `sources` gives the source of a path to those that show it; None reads the disk.
    """
    kept = lru_cache(maxsize=2)(sources or read_from_disk)  # findings come file by file
    written: str = import_module(f"shapeguard.report.formats.{output_format}").render(
        Findings(diagnostics, files, colour, kept)
    )
    return written
