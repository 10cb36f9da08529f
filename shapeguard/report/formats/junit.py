"""Findings as JUnit's XML, which build servers show as failed tests."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import PurePath

from shapeguard.diagnostics import Diagnostic
from shapeguard.report.findings import Findings
from shapeguard.report.wording import lines_below, place, summary

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML can't hold, not even escaped."""


def render(findings: Findings) -> str:
    """A suite for each file with findings, and in it a failed test for each finding; one passed test without any."""
    total = len(findings.diagnostics)
    suites = [line for path, found in groupby(findings.diagnostics, key=_path) for line in _suite(path, list(found))]
    if not suites:
        (said,) = summary((), findings.files)
        suites = [
            f"  <testsuite {_attributes(name='shapeguard', tests=1, failures=0, errors=0, skipped=0)}>",
            f"    <testcase {_attributes(name=said, classname='shapeguard')}/>",
            "  </testsuite>",
        ]
    counts = _attributes(name="shapeguard", tests=total or 1, failures=total, errors=0)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {counts}>", *suites, "</testsuites>"]
    return "\n".join(lines) + "\n"


def _path(found: Diagnostic) -> str:
    return found.path


def _suite(path: str, diagnostics: list[Diagnostic]) -> Iterable[str]:
    number = len(diagnostics)
    yield f"  <testsuite {_attributes(name=path, tests=number, failures=number, errors=0, skipped=0)}>"
    module = PurePath(path).with_suffix("").as_posix() if PurePath(path).name else path
    for found in diagnostics:
        span = found.span
        where = _attributes(
            name=f"{found.code} {found.name}", classname=module, file=path, line=span.line, column=span.column
        )
        text = _escaped("\n".join((f"{place(found)}: {found.message}", *lines_below(found))))
        yield f"    <testcase {where}>"
        yield f"      <failure {_attributes(type=found.severity, message=found.message)}>{text}</failure>"
        yield "    </testcase>"
    yield "  </testsuite>"


def _attributes(**values: str | int) -> str:
    return " ".join(f'{name}="{_escaped(str(value))}"' for name, value in values.items())


def _escaped(text: str) -> str:
    return html.escape(_ILLEGAL.sub(lambda found: f"\\x{ord(found[0]):02x}", text))
