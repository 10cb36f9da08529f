"""What a rule is, and what it finds."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from shapeguard.diagnostics import Applicability, Code, Severity
from shapeguard.lint.reading import Reading


@dataclass(frozen=True, slots=True)
class Argument:
    """The change that gives a call one more argument, or another value to one that it has."""

    call: ast.Call
    value: str
    keyword: str | None = None
    """A positional argument, after those that are there, if None."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The change that takes away all arguments of a call and gives it these."""

    call: ast.Call
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replacement:
    """The change that puts an expression in the place of another one, with parentheses where they are needed."""

    node: ast.expr
    text: str
    """Python; `{}` stands for the text of the next of `parts`."""
    parts: tuple[ast.expr, ...] = ()


Change: TypeAlias = Argument | Arguments | Replacement


@dataclass(frozen=True, slots=True)
class Repair:
    """What mends a finding."""

    message: str
    """What it does, as an order to the reader: "Name the axis: `.squeeze(-1)`"."""
    changes: tuple[Change, ...]
    applicability: Applicability = "unsafe"


@dataclass(frozen=True, slots=True)
class Found:
    """A place where the pattern stands."""

    node: ast.expr | ast.stmt
    message: str
    """One line that stands alone; code in backticks, the reader's own names."""
    notes: tuple[str, ...] = ()
    """Further lines: shapes, and where they come from."""
    hint: str | None = None
    """What to do, where that is sure and no repair says it."""
    repair: Repair | None = None
    severity: Severity | None = None
    """That of the rule, if None."""
    preview: bool = False
    """Whether it is too unsure to be shown to everyone, though the rule isn't."""


class Rule:
    """One pattern that is flagged.

    The docstring of its module is its page: a first line that says the pattern, then the sections "Example", "Why is this
    bad?", "What it does" and "Fix safety".
    """

    code: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity] = "error"
    other_severity: ClassVar[Severity | None] = None
    """That of some of its findings."""
    preview: ClassVar[bool] = False
    """Whether it is off until it is asked for."""
    fixable: ClassVar[bool] = False
    """Whether some of its findings have a repair."""
    words: ClassVar[tuple[str, ...]]
    """A file whose text has none of them isn't looked at; `a & b` asks for both."""
    valid: ClassVar[tuple[str, ...]]
    """Files in which the rule finds nothing."""
    invalid: ClassVar[tuple[str | tuple[str, str], ...]]
    """Files in which it finds something on each line that ends in `# <-`, and nowhere else; beside one, what all fixes
    make of it."""

    def find(self, file: Reading) -> Iterator[Found]:
        """The places in a file where the pattern stands, in any order."""
        raise NotImplementedError

    def as_code(self) -> Code:
        """The kind of its findings."""
        summary, _, page = (sys.modules[type(self).__module__].__doc__ or "").strip().partition("\n")
        return Code(
            self.code, self.name, summary.rstrip("."), self.severity, self.other_severity, self.preview, self.fixable,
            page.strip() + "\n",
        )  # fmt: skip
