"""Findings and shapes written out: one file per output format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module

from shapeguard.diagnostics import Diagnostic
from shapeguard.report.findings import Findings, Sources, read_from_disk

MODULES = {
    "full": "shapeguard.report.full",
    "concise": "shapeguard.report.concise",
    "json": "shapeguard.report.json",
    "sarif": "shapeguard.report.sarif",
    "github": "shapeguard.report.github",
    "gitlab": "shapeguard.report.gitlab",
    "junit": "shapeguard.report.junit",
}


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
    findings = Findings(diagnostics, files, colour, kept)
    written: str = import_module(MODULES[output_format]).render(findings)
    return written


__all__ = ["MODULES", "render"]
