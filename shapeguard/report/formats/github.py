"""Findings as workflow commands, which GitHub shows beside the lines of a change."""

from __future__ import annotations

from shapeguard.diagnostics import Diagnostic, Severity
from shapeguard.report.findings import Findings
from shapeguard.report.wording import lines_below, sentence, visible

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def render(findings: Findings) -> str:
    """A command per finding."""
    return "".join(f"{_command(found)}\n" for found in findings.diagnostics)


def _command(found: Diagnostic) -> str:
    span = found.span
    properties = {"title": f"{found.code} {found.name}", "file": found.path}
    if not found.cell:  # the lines of a notebook's file are those of its JSON
        properties["line"], properties["endLine"] = str(span.line), str(span.end_line)
        if span.line == span.end_line:  # columns are refused for a stretch of several lines
            properties["col"], properties["endColumn"] = str(span.column), str(span.end_column)
    written = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    text = "\n".join(map(visible, (sentence(found), *lines_below(found))))
    return f"::{_COMMANDS[found.severity]} {written}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
