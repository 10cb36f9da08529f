"""The kinds of finding that no rule makes: those of files, of comments, and of the static checker.

The page of each is a Markdown file beside this one, whose first line is the summary.
"""

from __future__ import annotations

from pkgutil import get_data

from shapeguard.diagnostics import Code, Severity


def _kind(code: str, name: str, severity: Severity = "error", *, fixable: bool = False) -> Code:
    told = get_data(__name__, f"{name}.md")  # which reads from a packed package too
    assert told is not None
    summary, _, page = told.decode().partition("\n")
    return Code(code, name, summary.rstrip("."), severity, fixable=fixable, page=page.strip() + "\n")


KINDS = (
    _kind("SG001", "unreadable-file"),
    _kind("SG002", "syntax-error"),
    _kind("SG003", "failed-check"),
    _kind("SG004", "unused-suppression", "warning", fixable=True),
    _kind("SG301", "shape-mismatch", fixable=True),
    _kind("SG302", "shape-not-proven", fixable=True),
    _kind("SG303", "annotation-drift", fixable=True),
    _kind("SG304", "wrong-permute"),
    _kind("SG305", "wrong-unpacking"),
    _kind("SG306", "axis-out-of-range"),
    _kind("SG701", "outer-broadcast", "warning", fixable=True),
    _kind("SG702", "reshape-scrambles", "warning", fixable=True),
    _kind("SG703", "axis-mixup", "warning", fixable=True),
    _kind("SG704", "size-one", "warning", fixable=True),
    _kind("SG711", "comment-drift", "warning", fixable=True),
    _kind("SG712", "docstring-drift", "warning", fixable=True),
)
UNCHECKED = frozenset({"SG001", "SG002", "SG003"})
"""The codes of what kept a file from being checked."""
OF_SHAPES = frozenset(each.code for each in KINDS if each.code.startswith(("SG3", "SG7")))
"""The codes of what the static checker finds."""
LEFT_TO_RULES = {
    **dict.fromkeys(("SG101", "SG102", "SG103"), ("SG704",)),
    **dict.fromkeys(("SG202", "SG203"), ("SG702",)),
    "SG206": ("SG703",),
    **dict.fromkeys(("SG402", "SG409"), ("SG701", "SG410")),
    "SG410": ("SG701",),
    "SG501": ("SG509",),
}
"""A rule's code -> what isn't reported again on a line on which that rule finds something.

What a rule finds in preview alone isn't reported where one of these stands without it.
"""
