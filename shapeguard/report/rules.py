"""The kinds of finding themselves: their list, and the page of one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from shapeguard.diagnostics import Code


def render_list(codes: Sequence[Code]) -> str:
    """A line each."""
    width = max(len(each.name) for each in codes)
    lines = [f"{each.code}  {each.name:<{width}}  {each.summary}{_mark(each)}" for each in codes]
    return "\n".join(lines) + "\n"


def render_json(codes: Sequence[Code]) -> str:
    """A list of objects."""
    return json.dumps([_object(each) for each in codes], indent=2) + "\n"


def render_page(code: Code) -> str:
    """One kind of finding, told in full."""
    return f"# {code.name} ({code.code})\n\n{code.summary}.\n\n{status(code)}.\n\n{code.page.strip()}\n"


def status(code: Code) -> str:
    """How it is reported."""
    shown = "in preview, reported with `--preview` or when selected by name" if code.preview else "on by default"
    fix = "some findings have a fix" if code.fixable else "no fix"
    return f"{severities(code).capitalize()}; {shown}; {fix}"


def severities(code: Code) -> str:
    """Those that its findings have: "error or warning"."""
    return " or ".join(sorted({code.severity, code.other_severity or code.severity}))


def _mark(code: Code) -> str:
    return " (preview)" if code.preview else ""


def _object(code: Code) -> dict[str, object]:
    return {
        "code": code.code,
        "name": code.name,
        "summary": code.summary,
        "severity": code.severity,
        "other_severity": code.other_severity,
        "preview": code.preview,
        "fixable": code.fixable,
        "explanation": code.page,
    }
