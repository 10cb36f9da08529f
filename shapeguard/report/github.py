"""Findings as workflow commands, which GitHub shows beside the lines of a change."""

from __future__ import annotations

from collections.abc import Sequence

from shapeguard.diagnostics import Diagnostic


def render(diagnostics: Sequence[Diagnostic], files: int, *, colour: bool = False) -> str:
    """An `::error` line per finding."""
    del files, colour
    return "".join(f"{_command(diagnostic)}\n" for diagnostic in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    properties = {"title": f"{diagnostic.code} {diagnostic.name}", "file": diagnostic.path}
    first = diagnostic.message
    if diagnostic.cell:
        # The lines of a notebook's file are those of its JSON.
        first = f"cell {diagnostic.cell}, line {span.line}: {first}"
    else:
        properties["line"], properties["endLine"] = str(span.line), str(span.end_line)
        if span.line == span.end_line:  # columns are refused for a stretch of several lines
            properties["col"], properties["endColumn"] = str(span.column), str(span.end_column)
    hint = () if diagnostic.hint is None else (f"hint: {diagnostic.hint}",)
    written = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::error {written}::{_data(chr(10).join((first, *diagnostic.notes, *hint)))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
