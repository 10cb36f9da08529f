"""What an expression reads of a tensor's shape: all of it, its rank, or sizes."""

from __future__ import annotations

import ast


def shape_owner(node: ast.expr) -> ast.expr | None:
    """The tensor in `x.shape` or `x.size()`."""
    match node:
        case ast.Attribute(value=owner, attr="shape"):
            return owner
        case ast.Call(func=ast.Attribute(value=owner, attr="size"), args=[], keywords=[]):
            return owner
    return None


def rank_owner(node: ast.expr) -> ast.expr | None:
    """The tensor in `x.dim()`, `x.ndim` or `len(x.shape)`."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr="dim" | "ndimension"), args=[]):
            return owner
        case ast.Attribute(value=owner, attr="ndim"):
            return owner
        case ast.Call(func=ast.Name(id="len"), args=[shape]):
            return shape_owner(shape)
    return None


def length_owner(node: ast.expr) -> str | None:
    """The name in `len(items)`."""
    match node:
        case ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=name)]):
            return name
    return None


def reads_size(node: ast.expr) -> bool:
    """Whether an expression is `x.shape[i]` or `x.size(i)`."""
    match node:
        case ast.Subscript(value=value, slice=index):
            return shape_owner(value) is not None and not isinstance(index, ast.Slice)
        case (
            ast.Call(func=ast.Attribute(attr="size"), args=[_])
            | ast.Call(func=ast.Attribute(attr="size"), keywords=[ast.keyword(arg="dim")])
        ):
            return True
    return False


def reads_sizes(node: ast.expr) -> bool:
    """Whether an expression is `x.shape[-2:]`."""
    match node:
        case ast.Subscript(value=value, slice=ast.Slice()):
            return shape_owner(value) is not None
    return False
