"""Findings for a program, as ruff writes them: one list of objects."""

from __future__ import annotations

import json
from typing import Any

from shapeguard.diagnostics import Diagnostic
from shapeguard.report.addresses import absolute
from shapeguard.report.findings import Findings


def render(findings: Findings) -> str:
    """The list; an empty one where there are no findings."""
    objects = [_object(findings, found) for found in findings.diagnostics]
    return json.dumps(objects, indent=2) + "\n"


def _object(findings: Findings, found: Diagnostic) -> dict[str, Any]:
    span = found.span
    return {
        "cell": found.cell or None,
        "code": found.code,
        "name": found.name,
        "message": found.message,
        "severity": found.severity,
        "filename": absolute(found.path),
        "location": _position(span.line, span.column),
        "end_location": _position(span.end_line, span.end_column),
        "fix": _fix(findings, found),
        "url": None,  # ruff's: the page of a rule on the web
        "notes": list(found.notes),
        "hint": found.hint,
    }


def _fix(findings: Findings, found: Diagnostic) -> dict[str, Any] | None:
    edits = findings.edits_of(found)
    if found.fix is None or edits is None:
        return None
    written = [
        {
            **({"cell": cell} if cell else {}),
            "content": edit.text,
            "location": _position(edit.span.line, edit.span.column),
            "end_location": _position(edit.span.end_line, edit.span.end_column),
        }
        for cell, edit in edits
    ]
    return {"applicability": found.fix.applicability, "message": found.fix.message, "edits": written}


def _position(row: int, column: int) -> dict[str, int]:
    return {"row": row, "column": column}
