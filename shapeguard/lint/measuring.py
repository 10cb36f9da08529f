"""What an expression reads of a shape, and of which value."""

from __future__ import annotations

import ast

from shapeguard.lint.reading import number


def shape_source(node: ast.expr) -> tuple[ast.expr, bool] | None:
    """What a shape is asked of, and whether it is the whole shape: (x, True) for `x.shape`, (x, False) for `x.shape[:2]`."""
    match node:
        case ast.Attribute(value=value, attr="shape"):
            return value, True
        case ast.Call(func=ast.Attribute(value=value, attr="size"), args=[], keywords=[]):
            return value, True
        case ast.Subscript(value=whole, slice=ast.Slice(lower=None, step=None)):
            source = shape_source(whole)
            return None if source is None else (source[0], False)
    return None


def measured(node: ast.expr) -> tuple[ast.expr, int] | None:
    """The value and the axis of which an expression is the size."""
    index: int | None = None
    source: tuple[ast.expr, bool] | None = None
    match node:
        case ast.Subscript(value=whole, slice=at):
            source, index = shape_source(whole), number(at)
        case ast.Call(func=ast.Attribute(value=value, attr="size"), args=[at], keywords=[]):
            source, index = (value, True), number(at)
    return None if source is None or index is None else (source[0], index)


def path_of(node: ast.expr) -> str | None:
    """`self.heads`, as one name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        if node.attr in {"shape", "ndim", "T"}:
            return None
        parts.append(node.attr)
        node = node.value
    return ".".join((node.id, *reversed(parts))) if isinstance(node, ast.Name) else None
