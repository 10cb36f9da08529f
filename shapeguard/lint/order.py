"""Which part of a statement runs before another one, and which runs whenever the statement does."""

from __future__ import annotations

import ast

SURE, PERHAPS = "surely before", "perhaps before"
_EARLIER, _AGAIN, _TRIED = "if earlier", "if earlier, else in a pass before", "perhaps, if earlier"
_SELF = "what the statement itself binds"

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


def order(around: ast.AST, here: ast.AST, part: ast.AST) -> str | None:
    """Whether a part of a node, or the node itself by what it binds, comes before another part; None for never."""
    orders = _ORDERS.get(type(around))
    if orders is None:
        return None if part is around else PERHAPS  # the order within expressions is not looked into
    field = _SELF if part is around else _field(around, part)
    found = orders.get(_field(around, here), {}).get(field)
    if found in (SURE, PERHAPS, None):
        return found
    block = getattr(around, field)
    if not isinstance(block, list):
        return PERHAPS  # the one expression that a lambda gives
    if block.index(part) < block.index(here):
        return PERHAPS if found == _TRIED else SURE
    return PERHAPS if found == _AGAIN else None


def repeats(around: ast.AST, here: ast.AST) -> bool:
    """Whether a node runs one of its parts again and again."""
    return isinstance(around, ast.For | ast.AsyncFor | ast.While) and _field(around, here) not in ("iter", "orelse")


def always_runs(around: ast.AST, part: ast.AST) -> bool:
    """Whether what comes after a node can only be reached through this part of it."""
    if isinstance(around, ast.With | ast.AsyncWith):
        return part in around.items or not any(_may_swallow(each.context_expr) for each in around.items)
    if isinstance(around, ast.BoolOp):
        return part is around.values[0]
    fields = _ALWAYS.get(type(around))
    return fields is None or _field(around, part) in fields


def _may_swallow(manager: ast.expr) -> bool:
    maker = manager.func if isinstance(manager, ast.Call) else manager
    return getattr(maker, "attr", getattr(maker, "id", "")) in _SWALLOW


def _field(around: ast.AST, part: ast.AST) -> str:
    for name, value in ast.iter_fields(around):
        if value is part or (isinstance(value, list) and any(each is part for each in value)):
            return name
    return ""
