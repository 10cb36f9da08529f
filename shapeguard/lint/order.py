"""Which part of a statement runs before another one, and which runs whenever the statement does."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TypeAlias

SURE, PERHAPS = "surely before", "perhaps before"
_EARLIER, _AGAIN, _TRIED = "if earlier", "if earlier, else in a pass before", "perhaps, if earlier"
_SELF = "what the statement itself binds"

Places: TypeAlias = Mapping[ast.AST, tuple[str, int]]
"""Part of a node -> the field that it stands in, and its place there."""
_Orders = dict[str, dict[str, str]]
"""Field in which one part stands -> field in which the other one does -> whether that comes before."""
_BODY: _Orders = {"body": {"body": _EARLIER}}
_FUNCTION: _Orders = {"body": {"args": SURE, "body": _EARLIER}}
_FOR: _Orders = {
    "target": {_SELF: PERHAPS, "iter": PERHAPS, "body": PERHAPS},
    "body": {_SELF: SURE, "iter": SURE, "body": _AGAIN},
    "orelse": {_SELF: PERHAPS, "iter": PERHAPS, "body": PERHAPS, "orelse": _EARLIER},
}
_WHILE: _Orders = {
    "test": {"test": PERHAPS, "body": PERHAPS},
    "body": {"test": SURE, "body": _AGAIN},
    "orelse": {"test": PERHAPS, "body": PERHAPS, "orelse": _EARLIER},
}
_IF: _Orders = {"body": {"test": SURE, "body": _EARLIER}, "orelse": {"test": SURE, "orelse": _EARLIER}}
_WITH: _Orders = {"items": {"items": _EARLIER}, "body": {"items": SURE, "body": _EARLIER}}
_TRY: _Orders = {
    "body": {"body": _EARLIER},
    "handlers": {"body": PERHAPS},
    "orelse": {"body": SURE, "orelse": _EARLIER},
    "finalbody": {"body": PERHAPS, "handlers": PERHAPS, "orelse": PERHAPS, "finalbody": _EARLIER},
}
_HANDLER: _Orders = {"body": {_SELF: SURE, "type": PERHAPS, "body": _EARLIER}}
# A pattern that fails may have bound names all the same.
_MATCH: _Orders = {"cases": {"subject": PERHAPS, "cases": _TRIED}}
_CASE: _Orders = {"guard": {"pattern": SURE}, "body": {"pattern": SURE, "guard": SURE, "body": _EARLIER}}
_ORDERS: dict[type[ast.AST], _Orders] = {
    ast.Module: _BODY,
    ast.ClassDef: _BODY,
    ast.FunctionDef: _FUNCTION,
    ast.AsyncFunctionDef: _FUNCTION,
    ast.Lambda: _FUNCTION,
    ast.For: _FOR,
    ast.AsyncFor: _FOR,
    ast.While: _WHILE,
    ast.If: _IF,
    ast.With: _WITH,
    ast.AsyncWith: _WITH,
    ast.Try: _TRY,
    ast.TryStar: _TRY,
    ast.ExceptHandler: _HANDLER,
    ast.Match: _MATCH,
    ast.match_case: _CASE,
}

_ALWAYS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.If: ("test",),
    ast.IfExp: ("test",),
    ast.While: ("test",),
    ast.For: ("iter",),
    ast.AsyncFor: ("iter",),
    ast.Match: ("subject",),
    ast.Try: ("finalbody",),
    ast.TryStar: ("finalbody",),
    ast.Compare: ("left",),
    ast.match_case: (),
    ast.ExceptHandler: (),
    ast.Assert: (),
    ast.BoolOp: (),
    ast.ListComp: (),
    ast.SetComp: (),
    ast.DictComp: (),
    ast.GeneratorExp: (),
}
"""Node -> the fields that run whenever it does; of any other node all do."""
_SWALLOW = ("suppress", "raises", "assertRaises", "assertRaisesRegex")
"""Context managers after which the program goes on though their body has failed."""


def places_in(around: ast.AST) -> Places:
    """Where the parts of a node stand in it."""
    found: dict[ast.AST, tuple[str, int]] = {}
    for name, value in ast.iter_fields(around):
        if isinstance(value, list):
            found.update((each, (name, index)) for index, each in enumerate(value) if isinstance(each, ast.AST))
        elif isinstance(value, ast.AST):
            found[value] = name, 0
    return found


def order(around: ast.AST, here: ast.AST, part: ast.AST, places: Places) -> str | None:
    """Whether a part of a node, or the node itself by what it binds, comes before another part; None for never."""
    orders = _ORDERS.get(type(around))
    if orders is None:
        return None if part is around else PERHAPS  # the order within expressions is not looked into
    place, index = places[here]
    field, other = (_SELF, 0) if part is around else places[part]
    found = orders.get(place, {}).get(field)
    if found in (SURE, PERHAPS, None):
        return found
    if not isinstance(getattr(around, field), list):
        return PERHAPS  # the one expression that a lambda gives
    if other < index:
        return PERHAPS if found == _TRIED else SURE
    return PERHAPS if found == _AGAIN else None


def repeats(around: ast.AST, here: ast.AST, places: Places) -> bool:
    """Whether a node runs one of its parts again and again."""
    return isinstance(around, ast.For | ast.AsyncFor | ast.While) and places[here][0] not in ("iter", "orelse")


def always_runs(around: ast.AST, part: ast.AST, places: Places) -> bool:
    """Whether what comes after a node can only be reached through this part of it."""
    if isinstance(around, ast.With | ast.AsyncWith):
        return part in around.items or not any(_may_swallow(each.context_expr) for each in around.items)
    if isinstance(around, ast.BoolOp):
        return part is around.values[0]
    fields = _ALWAYS.get(type(around))
    return fields is None or places[part][0] in fields


def _may_swallow(manager: ast.expr) -> bool:
    maker = manager.func if isinstance(manager, ast.Call) else manager
    return getattr(maker, "attr", getattr(maker, "id", "")) in _SWALLOW
