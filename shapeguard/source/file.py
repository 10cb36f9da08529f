"""One file of source: its text, tree, comments and suppressions, each made when it is first asked for."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TypeAlias

from shapeguard.diagnostics import Diagnostic, Span
from shapeguard.source.comments import Comment, scan_comments
from shapeguard.source.suppressions import Suppression, may_suppress, skips_file, suppressions_in

Located: TypeAlias = ast.expr | ast.stmt | ast.arg | ast.keyword | ast.alias | ast.excepthandler | ast.pattern
"""The nodes that have a place."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a notebook's cell stands in the text of its source."""

    number: int
    """Its place among all cells of the notebook, counted from 1."""
    first_line: int


class _CellLine(int):
    """A line of the joined text that is written as the notebook's reader knows it: a sentence that names it is right."""

    written: str

    def __format__(self, how: str) -> str:
        return format(self.written, how)

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True)
class Source:
    """A file of Python, or the code of a notebook in one text.

    Nothing here raises: what can't be parsed has an empty tree, and `errors` says why.
    """

    path: str
    """As the user gave it."""
    text: str
    """Its lines end in a line feed alone, whatever they end in on disk."""
    cells: tuple[Cell, ...] = ()
    """In the order of the text; empty for a file that is no notebook."""
    cell_errors: tuple[Diagnostic, ...] = ()
    """Of cells left out of the text because they can't be parsed."""
    original: str = ""
    """The text of a notebook as its cells have it, line for line."""

    @cached_property
    def _parsed(self) -> tuple[ast.Module, tuple[Diagnostic, ...]]:
        problem = parse(self.text)
        if isinstance(problem, ast.Module):
            if self.cells:
                self._count_in_cells(problem)
            return problem, self.cell_errors
        span, message = problem
        return ast.Module([], []), (*self.cell_errors, syntax_error(self.path, span, message))

    @property
    def tree(self) -> ast.Module:
        """The whole file; an empty module where it can't be parsed."""
        return self._parsed[0]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """What keeps the file, or cells of it, from being checked."""
        return self._parsed[1]

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """As `ast` counts them, without their ends."""
        return tuple(self.text.split("\n"))

    @cached_property
    def original_lines(self) -> tuple[str, ...]:
        """The same as they are to be shown."""
        return tuple(self.original.split("\n")) if self.original else self.lines

    @cached_property
    def comments(self) -> Mapping[int, Comment]:
        """Line -> the comment that stands on it."""
        return MappingProxyType(scan_comments(self.text))

    @cached_property
    def suppressions(self) -> tuple[Suppression, ...]:
        """What its comments silence, in the order of the lines."""
        return suppressions_in(self.comments) if may_suppress(self.text) else ()

    @cached_property
    def skipped(self) -> bool:
        """Whether a comment says that nothing in it is to be looked at, as `# shapeguard: skip-file` does."""
        return may_suppress(self.text) and skips_file(self.comments)

    def span_of(self, node: Located) -> Span:
        """The place of a node, in characters where `ast` counts bytes."""
        end_line = node.end_lineno or node.lineno
        end_offset = node.col_offset if node.end_col_offset is None else node.end_col_offset
        return Span(
            node.lineno, self._column(node.lineno, node.col_offset), end_line, self._column(end_line, end_offset)
        )

    def segment(self, node: Located) -> str:
        """The text of a node."""
        return self.text_at(self.span_of(node))

    def text_at(self, span: Span) -> str:
        """The text that stands at a place."""
        if span.line == span.end_line:
            return self._line(span.line)[span.column - 1 : span.end_column - 1]
        first, *middle, last = self.lines[span.line - 1 : span.end_line]
        return "\n".join((first[span.column - 1 :], *middle, last[: span.end_column - 1]))

    def located(self, span: Span) -> tuple[int, Span]:
        """The notebook's cell, and the place in it; 0 and the same place in a file that has no cells."""
        cell = self.cell_at(span.line)
        up = self.lines_above(cell)
        return cell, Span(span.line - up, span.column, span.end_line - up, span.end_column)

    def cell_at(self, line: int) -> int:
        """The number of the notebook's cell that a line is in; 0 in a file that has no cells."""
        return next((cell.number for cell in reversed(self.cells) if cell.first_line <= line), 0)

    def lines_above(self, cell: int) -> int:
        """How many lines stand above the cell with this number."""
        return next((each.first_line - 1 for each in self.cells if each.number == cell), 0)

    def _count_in_cells(self, tree: ast.Module) -> None:
        """Have each node know how its line is written."""
        lines: dict[int, _CellLine] = {}
        for node in ast.walk(tree):
            if isinstance(node, Located):
                if node.lineno not in lines:
                    cell = self.cell_at(node.lineno)
                    line = lines[node.lineno] = _CellLine(node.lineno)
                    line.written = f"{node.lineno - self.lines_above(cell)} of cell {cell}"
                node.lineno = lines[node.lineno]

    @cached_property
    def _ascii(self) -> bool:
        return self.text.isascii()

    def _line(self, number: int) -> str:
        # Before Python 3.12 the places of nodes inside an f-string may lie outside the file.
        return self.lines[number - 1] if number <= len(self.lines) else ""

    def _column(self, line: int, offset: int) -> int:
        if self._ascii:
            return offset + 1
        text = self._line(line)
        if text.isascii():
            return offset + 1
        return len(text.encode(errors="surrogatepass")[:offset].decode(errors="replace")) + 1


def parse(text: str) -> ast.Module | tuple[Span, str]:
    """The tree, or where and why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python says of invalid escapes is not ours to repeat
            return ast.parse(text)
    except SyntaxError as error:
        if error.lineno is None:
            at = max(text.find("\0"), 0)  # it names no place for a NUL alone
            line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
            return Span(line, column, line, column + 1), error.msg
        line = min(max(error.lineno, 1), text.count("\n") + 1)
        column = max(error.offset or 1, 1)
        end_line, end_column = error.end_lineno or line, error.end_offset or 0
        if (end_line, end_column) <= (line, column):
            end_line, end_column = line, column + 1
        return Span(line, column, end_line, end_column), error.msg
    except (RecursionError, MemoryError):
        return Span(1, 1, 1, 1), "it is nested too deeply for Python's parser"
    except ValueError as error:  # NUL bytes before Python 3.11.4; lone surrogates
        return Span(1, 1, 1, 1), str(error)


def unreadable(path: str, reason: str, line: int = 1) -> Diagnostic:
    """The finding that a file can't be read; `reason` continues a sentence that begins with the file."""
    return Diagnostic(path, Span(line, 1, line, 1), "SG001", "unreadable-file", f"the file {reason}")


def syntax_error(path: str, span: Span, message: str, cell: int = 0) -> Diagnostic:
    """The finding that a file, or one cell of it, can't be parsed."""
    return Diagnostic(path, span, "SG002", "syntax-error", f"Python can't parse this: {message}", cell=cell)
