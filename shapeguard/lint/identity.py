"""Whether two expressions are the same value, and by which name a value is known."""

from __future__ import annotations

import ast

from shapeguard.lint.reading import Reading, last_name


def is_same(file: Reading, one: ast.expr, other: ast.expr) -> bool:
    """Whether two expressions surely are the same value."""
    match _item_asked(one), _item_asked(other):
        case ast.Name(id=name), ast.Name(id=twin):
            if name != twin:
                return False
            assert isinstance(one, ast.Name)
            assert isinstance(other, ast.Name)
            binding = file.definition(one)
            return binding is file.definition(other) and (
                binding is not None or not file.bindings(file.scope(one), name)
            )
        case ast.Attribute(attr=name, value=left), ast.Attribute(attr=twin, value=right):
            return name == twin and is_same(file, left, right)
        case (
            ast.Subscript(slice=ast.Constant(value=key), value=left),
            ast.Subscript(slice=ast.Constant(value=twin), value=right),
        ):
            return bool(key == twin) and is_same(file, left, right)
        case ast.Subscript(slice=ast.Constant(value=key), value=left), ast.Attribute(attr=name, value=right):
            return bool(key == name) and is_same(file, left, right)
        case ast.Attribute(), ast.Subscript():
            return is_same(file, other, one)
    return False


def _item_asked(node: ast.expr) -> ast.expr:
    """`batch["ids"]` for `batch.get("ids")`; any other expression as it is."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[ast.Constant(value=str()) as key, *_]):
            return ast.Subscript(owner, key, ast.Load())
    return node


def name_of(node: ast.expr) -> str:
    """The name by which a value is known: `labels` of `batch["labels"]`."""
    match node := _item_asked(node):
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
    return last_name(node)
