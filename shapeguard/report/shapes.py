"""A file's source with what is known of its tensors beside each line, or the same as JSON."""

from __future__ import annotations

import ast
import json
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shapeguard.diagnostics import Span

if TYPE_CHECKING:
    from shapeguard.infer.analysis import Analysis, Expression
    from shapeguard.source.file import Source

_LEFT_AT_MOST = 88
"""The column at which what is known begins, where longer lines don't push it out."""
_TEXT_AT_MOST = 32


def functions(tree: ast.Module) -> dict[str, tuple[int, int]]:
    """Qualified name -> first and last line of each function and class."""
    found: dict[str, tuple[int, int]] = {}
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        around, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            name = around
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{around}.{child.name}" if around else child.name
                first = min(each.lineno for each in (child, *child.decorator_list))
                found.setdefault(name, (first, child.end_lineno or child.lineno))
            waiting.append((name, child))
    return found


def matching(names: Sequence[str], wanted: str) -> list[str]:
    """The qualified names that are this one or end in it: `forward` means every `forward`."""
    return [name for name in names if name == wanted or name.endswith(f".{wanted}")]


def render_text(source: Source, analysis: Analysis, chosen: Sequence[str] | None = None) -> str:
    """Numbered lines, aligned; of the functions chosen, or of the whole file."""
    stretches = [(1, len(source.lines))]
    if chosen is not None:
        extents = functions(source.tree)
        stretches = sorted(extents[name] for name in chosen)
    elif source.lines[-1] == "":
        stretches = [(1, len(source.lines) - 1)]
    ending: dict[int, list[Expression]] = {}
    for expression in analysis.expressions:
        ending.setdefault(expression.span.end_line, []).append(expression)
    first_lines = {cell.first_line: cell.number for cell in source.cells}
    digits = len(str(stretches[-1][1]))
    blocks: list[str] = []
    for first, last in stretches:
        rows: list[tuple[str, str]] = []
        for number in range(first, last + 1):
            if number in first_lines:
                rows.append((f"cell {first_lines[number]}", ""))
            text = source.original_lines[number - 1]
            shown = source.located(Span(number, 1, number, 1))[1].line
            rows.append((f"{shown:>{digits}}  {text.expandtabs(4)}".rstrip(), _beside(text, ending.get(number, ()))))
        blocks.append(_aligned(rows))
    return "\n\n".join(blocks) + "\n"


def render_json(source: Source, analysis: Analysis, chosen: Sequence[str] | None = None) -> str:
    """One object with every expression; a shape that isn't known is null."""
    expressions = [
        _object(source, each)
        for each in analysis.expressions
        if chosen is None or any(each.function == name or each.function.startswith(f"{name}.") for name in chosen)
    ]
    return json.dumps({"file": source.path, "expressions": expressions}) + "\n"


def _positions(span: Span) -> dict[str, int]:
    return {"line": span.line, "column": span.column, "end_line": span.end_line, "end_column": span.end_column}


def _object(source: Source, expression: Expression) -> dict[str, Any]:
    cell, span = source.located(expression.span)
    return {
        **({"cell": cell} if cell else {}),
        **_positions(span),
        "function": expression.function,
        "text": expression.text,
        "shape": None if expression.shape is None else list(expression.shape),
        "dtype": expression.dtype,
    }


def _beside(line: str, expressions: Sequence[Expression]) -> str:
    """What is known of the expressions that end on a line: of the widest ones, without the parts of what is known."""
    # The earlier beginning and the later end stands first, so that a part comes after the whole.
    ordered = sorted(expressions, key=lambda each: (each.span.line, each.span.column, -each.span.end_column))
    known = _widest([each for each in ordered if each.shape is not None])
    widest = _widest(ordered)
    if not known:
        return "?" if widest else ""
    alone = known[0] if len(known) == 1 and known == widest else None
    if alone is not None and _ends_line(line, alone):
        return _shown(alone)
    seen = dict.fromkeys(f"{_shortened(each.text)}: {_shown(each)}" for each in known)
    return "  ".join(seen)


def _widest(ordered: Sequence[Expression]) -> list[Expression]:
    found: list[Expression] = []
    for each in ordered:
        inside = found and (each.span.end_line, each.span.end_column) <= (
            found[-1].span.end_line,
            found[-1].span.end_column,
        )
        if not inside:
            found.append(each)
    return found


def _ends_line(line: str, expression: Expression) -> bool:
    rest = line[expression.span.end_column - 1 :].strip()
    return not rest or rest.startswith("#")


def _shown(expression: Expression) -> str:
    axes = expression.shape or ()
    inside = ", ".join(map(str, axes)) + ("," if len(axes) == 1 else "")
    return f"({inside})" + (f" {expression.dtype}" if expression.dtype else "")


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _TEXT_AT_MOST else f"{plain[: _TEXT_AT_MOST - 1]}…"


def _aligned(rows: Sequence[tuple[str, str]]) -> str:
    widths = [_width(left) for left, right in rows if right]
    edge = max((width for width in widths if width <= _LEFT_AT_MOST), default=_LEFT_AT_MOST)
    return "\n".join(f"{left}{' ' * max(edge - _width(left), 0)}  | {right}" if right else left for left, right in rows)


def _width(text: str) -> int:
    """The cells that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    narrow = sum(not unicodedata.combining(character) for character in text)
    return narrow + sum(unicodedata.east_asian_width(character) in "WF" for character in text)
