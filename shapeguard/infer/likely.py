"""Where two ways through a branch meet and one of them isn't known: what the other makes likely."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from shapeguard.infer.values import Maybe, Scope, certain
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import as_int
from shapeguard.shapes.shape import Shape

_MEASURES = frozenset({"shape", "size", "dim", "ndim"})


class Likely:
    """What a branch makes likely of the names that are known behind one of its arms alone."""

    def __init__(self, node: ast.If, before: Scope) -> None:
        self.before = before
        self.rebound = _rebound(node)
        self.measured = {
            part.value.id
            for part in ast.walk(node.test)
            if isinstance(part, ast.Attribute) and part.attr in _MEASURES and isinstance(part.value, ast.Name)
        }

    def value(self, name: str, joined: Any, one: Any, other: Any) -> Any:
        """A joined value, where one of the two isn't known and the other is: as far as it is likely, that one."""
        first, second = certain(one), certain(other)
        known = first if _is_known(first) else second
        unknown = second if known is first else first
        if not _is_known(known) or not _is_blank(unknown):
            return joined
        is_optional = None in (one, other) or isinstance(one, Maybe) or isinstance(other, Maybe)
        tensor = known
        before = certain(self.before.get(name))
        if name in self.rebound:
            if known is not before:
                if unknown is before:
                    # The arm made it of something that isn't known, and may have made it another thing.
                    return joined
            elif name in self.measured:
                # It is changed because of its sizes, and so are these.
                tensor = _without(known, ones_only=False)
            elif any(isinstance(value, ast.BinOp) for value in self.rebound[name]):
                # What it is combined with may stretch it.
                tensor = _without(known, ones_only=True)
        return Maybe(tensor) if is_optional else tensor


def _is_known(value: Any) -> bool:
    return isinstance(value, Tensor) and value.shape.axes is not None


def _is_blank(value: Any) -> bool:
    return value is UNKNOWN or (isinstance(value, Tensor) and value.shape.axes is None)


def _without(value: Tensor, *, ones_only: bool) -> Tensor:
    """A tensor of which the sizes aren't known, or those aren't that are 1."""
    axes = value.shape.axes or ()
    sizes = [None if not ones_only or (axis.size is not None and as_int(axis.size) == 1) else axis for axis in axes]
    return Tensor(Shape.of(*sizes), value.dtype)


def _rebound(node: ast.If) -> Mapping[str, list[ast.expr]]:
    """The names that are given values made of themselves, with these."""
    found: dict[str, list[ast.expr]] = {}
    for statement in (*node.body, *node.orelse):
        for part in ast.walk(statement):
            if isinstance(part, ast.Assign):
                stored = {
                    each.id
                    for target in part.targets
                    for each in ast.walk(target)
                    if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
                }
                read = {each.id for each in ast.walk(part.value) if isinstance(each, ast.Name)}
                for name in stored & read:
                    found.setdefault(name, []).append(part.value)
    return found
