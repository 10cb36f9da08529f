"""Findings for a program: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from shapeguard.diagnostics import Diagnostic, Span


def render(diagnostics: Sequence[Diagnostic], files: int, *, colour: bool = False) -> str:
    """A line per finding; nothing where there is none."""
    del files, colour
    return "".join(f"{json.dumps(_object(diagnostic))}\n" for diagnostic in diagnostics)


def positions(span: Span) -> dict[str, int]:
    """A place as every JSON output writes it."""
    return {"line": span.line, "column": span.column, "end_line": span.end_line, "end_column": span.end_column}


def _object(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "file": diagnostic.path,
        "cell": diagnostic.cell or None,
        **positions(diagnostic.span),
        "code": diagnostic.code,
        "name": diagnostic.name,
        "message": diagnostic.message,
        "notes": list(diagnostic.notes),
        "hint": diagnostic.hint,
    }
