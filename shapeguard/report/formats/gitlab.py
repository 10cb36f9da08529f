"""Findings as GitLab's Code Quality report, which it shows in a merge request."""

from __future__ import annotations

import json
import os
from typing import Any

from shapeguard.diagnostics import Diagnostic, Severity
from shapeguard.report.addresses import relative
from shapeguard.report.findings import Findings
from shapeguard.report.fingerprints import fingerprints
from shapeguard.report.wording import sentence

_SEVERITIES: dict[Severity, str] = {"error": "major", "warning": "minor", "info": "info"}


def render(findings: Findings) -> str:
    """A list of objects; paths count from the project that GitLab builds, or from the current folder."""
    root = os.environ.get("CI_PROJECT_DIR") or os.getcwd()  # noqa: PTH109
    names = fingerprints(findings, root)
    objects = [_object(found, name, root) for found, name in zip(findings.diagnostics, names, strict=True)]
    return json.dumps(objects, indent=2) + "\n"


def _object(found: Diagnostic, fingerprint: str, root: str) -> dict[str, Any]:
    # The lines of a notebook's file are those of its JSON.
    begin, end = (1, 1) if found.cell else (found.span.line, found.span.end_line)
    return {
        "check_name": found.code,
        "description": f"{found.name}: {sentence(found)}",
        "severity": _SEVERITIES[found.severity],
        "fingerprint": fingerprint,
        "location": {"path": relative(found.path, root), "lines": {"begin": begin, "end": end}},
    }
