"""Findings for a reader: the place and one sentence, the shapes, the code, what to do, and a summary at the end."""

from __future__ import annotations

from shapeguard.diagnostics import Diagnostic
from shapeguard.report.colours import BOLD, BY_SEVERITY, CYAN, painted
from shapeguard.report.findings import Findings
from shapeguard.report.frame import frame
from shapeguard.report.wording import SAFE_MARK, advice, is_fixable, place, summary, visible

_INDENT = "    "


def render(findings: Findings) -> str:
    """A block per finding, with an empty line behind it, and the summary."""
    blocks = [f"{_block(findings, found)}\n" for found in findings.diagnostics]
    return "\n".join([*blocks, *summary(findings.diagnostics, findings.files)]) + "\n"


def _block(findings: Findings, found: Diagnostic) -> str:
    colour = findings.colour
    first = [
        painted(place(found), BOLD, colour=colour),
        painted(found.code, BY_SEVERITY[found.severity], colour=colour),
    ]
    if is_fixable(found):
        first.append(painted(SAFE_MARK, CYAN, colour=colour))
    below = [visible(line) for note in found.notes for line in note.splitlines()]
    source = findings.sources(found.path)
    if source is not None:
        below += frame(source, found, colour=colour)
    for label, text in advice(found):
        head, *rest = text.splitlines() or [""]
        below += [f"{painted(f'{label}:', CYAN, colour=colour)} {visible(head)}", *map(visible, rest)]
    lines = [f"{' '.join(first)} {found.name}: {visible(found.message)}", *(f"{_INDENT}{line}" for line in below)]
    return "\n".join(lines)
