"""What `items.append(x)`, `table.update(...)` and their like make of a list or a dict."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from shapeguard.infer.python import item_of
from shapeguard.infer.values import NOTHING, Dictionary, Many, Scope, certain, join, join_all
from shapeguard.ops.values import UNKNOWN

_LONGEST = 64
"""Lists that grow longer are not kept item by item."""


def changed(
    owner: tuple[Any, ...] | Many | Dictionary, method: str, arguments: list[Any] | None, named: Scope | None
) -> tuple[Any, Any]:
    """The list or dict after a call of one of its methods, and what the call gives."""
    if isinstance(owner, Dictionary):
        return _changed_dictionary(owner, method, arguments, named)
    items = _items_after(owner, method, arguments or [])
    item = _common_item(owner)
    return items, item if method == "pop" and item is not NOTHING else UNKNOWN


def _changed_dictionary(
    owner: Dictionary, method: str, arguments: list[Any] | None, named: Scope | None
) -> tuple[Any, Any]:
    if method == "pop" and arguments:
        kept = tuple((key, value) for key, value in owner.items if key != arguments[0])
        return Dictionary(kept, owner.is_open), owner.get(*arguments[:2])
    if method == "update" and named is not None and arguments is not None:
        more = [certain(value) for value in arguments]
        if all(isinstance(each, Dictionary) for each in more):
            entries = [entry for each in more for entry in each.items]
            entries += [(key, value) for key, value in named.items() if key != "**"]
            is_open = owner.is_open or "**" in named or any(each.is_open for each in more)
            return Dictionary(owner.items, is_open).with_items(entries), None
    return Dictionary((), is_open=True), UNKNOWN


def _items_after(owner: tuple[Any, ...] | Many, method: str, arguments: list[Any]) -> Any:
    item = _common_item(owner)
    if method == "append" and len(arguments) == 1:
        if isinstance(owner, tuple) and len(owner) < _LONGEST:
            return (*owner, arguments[0])
        if isinstance(owner, Many):
            return Many(join_all(owner.item, owner.last), owner.first, (arguments[0],))
        return Many(join(item, arguments[0]))
    if method == "extend" and len(arguments) == 1:
        more = certain(arguments[0])
        if isinstance(owner, tuple) and isinstance(more, tuple) and len(owner) + len(more) < _LONGEST:
            return owner + more
        return Many(join(item, item_of(more)))
    if method == "insert" and len(arguments) > 1:
        return Many(join(item, arguments[1]))
    return Many(item) if method in ("pop", "remove") else Many(UNKNOWN)


def _common_item(owner: tuple[Any, ...] | Many) -> Any:
    if isinstance(owner, Many):
        return owner.any_item
    return join_all(NOTHING, owner)


def fills_once(body: Sequence[ast.stmt], name: str) -> bool:
    """Whether each pass of a loop surely appends just one item to a list, and does nothing else to it."""
    owners = []
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=owner) as node, attr="append"))) if (
                owner == name
            ):
                owners.append(node)
    if len(owners) != 1:
        return False
    reads = {owners[0]}
    for statement in body:
        for part in ast.walk(statement):
            if isinstance(part, ast.Break | ast.Continue):
                return False
            if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Load):
                reads |= {part.value} if isinstance(part.value, ast.Name) else set()
            elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name | ast.Attribute):
                is_read = getattr(part.func, "id", getattr(part.func, "attr", "")) in ("len", "stack", "cat", "sum")
                reads |= {each for each in part.args if isinstance(each, ast.Name)} if is_read else set()
    names = (part for statement in body for part in ast.walk(statement) if isinstance(part, ast.Name))
    return all(part in reads for part in names if part.id == name)
