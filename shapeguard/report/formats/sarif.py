"""Findings as SARIF 2.1.0, which code scanning services read."""

from __future__ import annotations

import json
import os
from typing import Any

from shapeguard import __version__
from shapeguard.catalog import CODES
from shapeguard.diagnostics import Code, Diagnostic, Fix, Severity, Span
from shapeguard.report.addresses import uri_of
from shapeguard.report.findings import Findings
from shapeguard.report.fingerprints import fingerprints
from shapeguard.report.wording import fix_message, lines_below, sentence

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_FINGERPRINT = "shapeguard/v1"
_RULES = {code.code: index for index, code in enumerate(CODES)}


def render(findings: Findings) -> str:
    """One run of one tool, with every code as a rule."""
    driver = {"name": "shapeguard", "version": __version__, "rules": [_rule(code) for code in CODES]}
    names = fingerprints(findings, os.getcwd())  # noqa: PTH109
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(found, name) for found, name in zip(findings.diagnostics, names, strict=True)],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.code,
        "name": code.name,
        "shortDescription": {"text": code.summary},
        "help": {"text": code.page.strip() or code.summary, "markdown": code.page.strip() or code.summary},
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
    }


def _result(found: Diagnostic, fingerprint: str) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": uri_of(found.path)}}
    fixes: dict[str, Any] = {}
    if not found.cell:  # a region would count in the lines of the notebook's JSON
        place["region"] = _region(found.span)
        if found.fix is not None and found.fix.applicability != "display":
            fixes = {"fixes": [_fix(found.path, found.fix)]}
    return {
        "ruleId": found.code,
        **({"ruleIndex": _RULES[found.code]} if found.code in _RULES else {}),
        "level": _LEVELS[found.severity],
        "message": {"text": "\n".join((sentence(found), *lines_below(found)))},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
        **fixes,
    }


def _fix(path: str, fix: Fix) -> dict[str, Any]:
    replacements = [{"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}} for edit in fix.edits]
    change = {"artifactLocation": {"uri": uri_of(path)}, "replacements": replacements}
    return {"description": {"text": fix_message(fix)}, "artifactChanges": [change]}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
