"""Findings as SARIF 2.1.0, which code scanning services read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shapeguard import __version__
from shapeguard.catalog import CODES
from shapeguard.diagnostics import Diagnostic

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(diagnostics: Sequence[Diagnostic], files: int, *, colour: bool = False) -> str:
    """One run of one tool, with every code as a rule."""
    del files, colour
    rules = [{"id": each.code, "name": each.name, "shortDescription": {"text": each.summary}} for each in CODES]
    driver = {"name": "shapeguard", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(diagnostic) for diagnostic in diagnostics],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(diagnostic: Diagnostic) -> dict[str, Any]:
    span = diagnostic.span
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(diagnostic.path)}}
    hint = () if diagnostic.hint is None else (f"hint: {diagnostic.hint}",)
    lines = [diagnostic.message, *diagnostic.notes, *hint]
    if diagnostic.cell:
        # A region would count in the lines of the notebook's JSON.
        lines[0] = f"cell {diagnostic.cell}, line {span.line}: {lines[0]}"
    else:
        place["region"] = {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": span.end_line,
            "endColumn": span.end_column,
        }
    return {
        "ruleId": diagnostic.code,
        "level": "error",
        "message": {"text": "\n".join(lines)},
        "locations": [{"physicalLocation": place}],
    }


def _uri(path: str) -> str:
    if Path(path).is_absolute():
        return Path(path).as_uri()
    return quote(path.replace(os.sep, "/"), errors="surrogateescape")
