"""Findings for a reader of many: a line each."""

from __future__ import annotations

from shapeguard.diagnostics import Diagnostic
from shapeguard.report.colours import BOLD, BY_SEVERITY, painted
from shapeguard.report.findings import Findings
from shapeguard.report.wording import marked_code, place, summary, visible


def render(findings: Findings) -> str:
    """The lines, and the summary."""
    lines = [_line(found, colour=findings.colour) for found in findings.diagnostics]
    return "\n".join([*lines, *summary(findings.diagnostics, findings.files)]) + "\n"


def _line(found: Diagnostic, *, colour: bool) -> str:
    where = painted(place(found), BOLD, colour=colour)
    code = painted(marked_code(found), BY_SEVERITY[found.severity], colour=colour)
    return f"{where}: {code} {visible(found.message)}"
