"""What every part of shapeguard reports: a place in a file, a sentence, and perhaps an edit. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "info"]
Applicability: TypeAlias = Literal["safe", "unsafe", "display"]
"""`safe` if the program's behaviour can't change but for the better; `display` is shown and never made."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of source; lines and columns count from 1, columns in characters, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Edit:
    """Text that takes the place of a stretch of source; its lines count in the whole text, in a notebook too."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that belong together, and what they do."""

    message: str
    """What it does, as a sentence to the reader: "Name the axis: `.squeeze(-1)`"."""
    edits: tuple[Edit, ...]
    """None overlaps another."""
    applicability: Applicability = "unsafe"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding."""

    path: str
    span: Span
    code: str
    """Stable, such as "SG301"."""
    name: str
    """The pattern that is found, such as "shape-mismatch"."""
    message: str
    """One line that stands alone, without the place."""
    notes: tuple[str, ...] = ()
    """The shapes involved, one a line, with where each came from."""
    hint: str | None = None
    fix: Fix | None = None
    cell: int = 0
    """The cell of a notebook, counted from 1, in which the lines of `span` count; 0 in a file that has no cells."""
    severity: Severity = "error"
    preview: bool = False
    """Whether it is shown only to those who ask for what isn't exact enough for everyone."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """How much of a program the static checker knows."""

    expressions: int = 0
    """Tensor expressions met."""
    known: int = 0
    """Of these, how many have a shape."""
    complete: int = 0
    """Of these, how many have a size on every axis."""
    lost: Mapping[str, int] = field(default_factory=dict)
    """Call, as written -> how many expressions are unknown because of it."""
    exhausted: tuple[str, ...] = ()
    """Functions that were given up as too long, each with its file."""


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding."""

    code: str
    name: str
    summary: str
    severity: Severity = "error"
    other_severity: Severity | None = None
    """That of some of its findings."""
    preview: bool = False
    """Whether it is off until it is asked for."""
    fixable: bool = False
    """Whether some of its findings come with a fix."""
    page: str = ""
    """What it does, why it matters, an example, and whether the fix is safe: Markdown below the summary."""


def selects(selector: str, code: str, name: str) -> bool:
    """Whether "ALL", a code, the beginning of one ("SG3") or a name means the findings of this code and name."""
    return selector in (name, "ALL") or (selector.startswith("SG") and code.startswith(selector))
