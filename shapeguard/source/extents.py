"""How far statements reach over the lines of a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.source.file import Source


def last_lines(source: Source) -> dict[int, int]:
    """Line -> the last one of the statement that it is in, for those that aren't the last themselves.

    Of a statement with a block it is what stands before the block.
    """
    found: dict[int, int] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.stmt):
            end = _head_end(source, node)
            for line in range(node.lineno, end):
                found[line] = max(end, found.get(line, 0))
    return found


def block_ends(source: Source) -> dict[int, int]:
    """Line -> where the statement, or the clause such as `else`, that begins on it ends."""
    found: dict[int, int] = {}

    def note(line: int | None, end: int) -> None:
        if line is not None:
            found[line] = max(end, found.get(line, 0))

    for node in ast.walk(source.tree):
        match node:
            case ast.If(body=body) if _is_elif(source, node):
                note(node.lineno, _end(body[-1]))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                for start in (node, *node.decorator_list):
                    note(start.lineno, _end(node))
            case ast.stmt() | ast.ExceptHandler():
                note(node.lineno, _end(node))
            case ast.match_case(pattern=pattern, body=body):
                note(pattern.lineno, _end(body[-1]))
        for before, block in _clauses(node):
            if not _is_elif(source, block[0]):
                note(next_code_line(source, _end(before) + 1), _end(block[-1]))
    return found


def next_code_line(source: Source, line: int) -> int | None:
    """The first line from this one on that says more than a comment; None where there is none in the cell."""
    for number in range(line, last_line_of_cell(source, line) + 1):
        if _is_code(source, number):
            return number
    return None


def last_line_of_cell(source: Source, line: int) -> int:
    """The last line of the notebook's cell that a line is in; of the file, where it has no cells."""
    return min((cell.first_line - 1 for cell in source.cells if cell.first_line > line), default=len(source.lines))


def _clauses(node: ast.AST) -> Iterator[tuple[ast.stmt | ast.ExceptHandler, list[ast.stmt]]]:
    """The blocks that follow a word alone, `else` or `finally`, each with what stands before it."""
    match node:
        case ast.If() | ast.For() | ast.AsyncFor() | ast.While():
            blocks: list[list[ast.stmt]] = [node.orelse]
            before: ast.stmt | ast.ExceptHandler = node.body[-1]
        case ast.Try() | ast.TryStar():
            blocks = [node.orelse, node.finalbody]
            before = (node.handlers or node.body)[-1]
        case _:
            return
    for block in blocks:
        if block:
            yield before, block
            before = block[-1]


def _head_end(source: Source, node: ast.stmt) -> int:
    """The last line of what stands before the block of a statement, or of all of one without a block."""
    first: int
    if isinstance(node, ast.Match):
        first = node.cases[0].pattern.lineno
    else:
        body: list[ast.stmt] = getattr(node, "body", [])
        if not body:
            return _end(node)
        first = min([body[0].lineno, *(each.lineno for each in getattr(body[0], "decorator_list", ()))])
        if source.lines[first - 1][: body[0].col_offset].strip():
            return first  # the block begins on the line of its head
    before = (line for line in range(first - 1, node.lineno, -1) if _is_code(source, line))
    return next(before, node.lineno)


def _is_elif(source: Source, node: ast.AST) -> bool:
    return isinstance(node, ast.If) and source.lines[node.lineno - 1].lstrip().startswith("elif")


def _is_code(source: Source, line: int) -> bool:
    comment = source.comments.get(line)
    return bool(source.lines[line - 1].strip()) and not (comment and comment.alone)


def _end(node: ast.stmt | ast.ExceptHandler) -> int:
    return node.end_lineno or node.lineno
