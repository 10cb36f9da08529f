"""Positions that were set to something by hand before a mean counts them: filled predictions, errors where nothing was seen."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from shapeguard.lint.averages import Average
from shapeguard.lint.losses import OF_DIFFERENCES
from shapeguard.lint.produced import item_of
from shapeguard.lint.reading import Function, Reading, argument, is_self, last_name, number, receiver

_SAME = frozenset({"float", "double", "half", "to", "long", "int", "bool", "type", "byte", "type_as", "squeeze"})
_SEEN = re.compile(r"(^|_)(observed|is_observed|non_?missing|not_missing)(_mask|_indicator)?s?$")
_NAN = frozenset({"isnan", "isfinite"})
_SQUARES = frozenset({"square", "abs", "pow"})
_DEEPEST = 6


class LeftOut(NamedTuple):
    """A mask that a mean should have been taken under."""

    name: str
    note: str
    """Where it is put on what is averaged."""


def left_out(file: Reading, average: Average, function: Function) -> LeftOut | None:
    """What sets positions of an averaged value that have no meaning, if it is seen."""
    if average.over != "all" or len(average.of) != 1:
        return None
    value = _unwrapped(file, average.of[0])
    sides = _compared(file, value)
    if sides:
        return next((found for each in sides if (found := _filled(file, each, function)) is not None), None)
    match value:
        case ast.BinOp(left=one, op=ast.Mult(), right=other):
            for error, table in ((one, other), (other, one)):
                name = _observed(file, table)
                if name is not None and _is_error(file, error, _DEEPEST):
                    return LeftOut(name, f"`{file.text(value)}`")
    return None


def _unwrapped(file: Reading, node: ast.expr) -> ast.expr:
    """A value without conversions and names."""
    for _ in range(_DEEPEST):
        node = file.origin(node)
        inner = receiver(node) if isinstance(node, ast.Call) and last_name(node.func) in _SAME else None
        if inner is None or (isinstance(node, ast.Call) and file.full_name(node.func) is not None):
            return node
        node = inner
    return node


def _compared(file: Reading, node: ast.expr) -> list[ast.expr]:
    """Both sides of `guess == gold`."""
    match node:
        case ast.Compare(left=one, ops=[ast.Eq()], comparators=[other]):
            return [one, other]
        case ast.Call(func=ast.Attribute(value=owner, attr="eq"), args=[*given]):
            return given[:2] if file.is_torch(node, "eq") else [owner, *given[:1]]
    return []


def _filled(file: Reading, node: ast.expr, function: Function) -> LeftOut | None:
    """The parameter by which predictions are replaced by a number."""
    made = _unwrapped(file, node)
    match made:
        case ast.Call(func=ast.Attribute(value=owner, attr="masked_fill"), args=[mask, by]) if (
            file.full_name(made.func) is None
        ):
            told = _inverted(mask)
        case ast.Call(func=ast.Attribute(attr="where"), args=[mask, owner, by]) if file.is_torch(made, "where"):
            told = _plain(mask)
        case _:
            return None
    picked = _unwrapped(file, owner)
    if told is None or number(by) is None or not isinstance(picked, ast.Call) or last_name(picked.func) != "argmax":
        return None
    binding = file.definition(told)
    if binding is None or not isinstance(binding.statement, ast.arg) or file.function(told) is not function:
        return None
    return LeftOut(told.id, f"`{file.text(made)}`")


def _inverted(node: ast.expr) -> ast.Name | None:
    """`m` of `~m`, `m == 0`, `m.logical_not()`, `1 - m`."""
    match node:
        case (
            ast.UnaryOp(op=ast.Invert(), operand=inner)
            | ast.Compare(left=inner, ops=[ast.Eq()], comparators=[ast.Constant(value=0 | False)])
        ):
            return _plain(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr="logical_not"), args=[]):
            return _plain(inner)
    return None


def _plain(node: ast.expr) -> ast.Name | None:
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SAME:
        node = node.func.value
    return node if isinstance(node, ast.Name) else None


def _observed(file: Reading, node: ast.expr) -> str | None:
    """The name of a table of what was measured: by that of an item or a parameter, or made of what is a number."""
    shown = file.text(node)
    made = _unwrapped(file, node)
    match made:
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return shown if _SEEN.search(key) else None
        case ast.Name(id=name):
            if _SEEN.search(name):
                return shown
            binding = file.definition(made)
            value = None if binding is None or binding.index is None else binding.value
            item = None if binding is None or value is None else item_of(file, value, binding.index or 0)
            return shown if isinstance(item, ast.Subscript) and _observed(file, item) is not None else None
        case ast.UnaryOp(op=ast.Invert(), operand=inner):
            tested = _unwrapped(file, inner)
            return shown if isinstance(tested, ast.Call) and file.is_torch(tested, "isnan") else None
        case ast.Call():
            return shown if last_name(made.func) == "isfinite" and file.is_torch(made, *_NAN) else None
    return None


def _is_error(file: Reading, node: ast.expr, left: int) -> bool:
    """Whether it is a difference squared or made positive, or a loss of each element."""
    made = _unwrapped(file, node)
    match made:
        case ast.BinOp(left=base, op=ast.Pow()):
            return _is_difference(file, base)
        case ast.BinOp(left=one, op=ast.Mult(), right=other) if left > 0:
            return any(_is_error(file, each, left - 1) for each in (one, other))
        case ast.Call() if last_name(made.func) in OF_DIFFERENCES:
            reduction = argument(made, 9, "reduction")
            return isinstance(reduction, ast.Constant) and reduction.value == "none"
        case ast.Call() if last_name(made.func) in _SQUARES:
            is_function = file.full_name(made.func) is not None
            of = argument(made, 0, "input") if is_function else receiver(made)
            return of is not None and not is_self(of) and _is_difference(file, of)
    return False


def _is_difference(file: Reading, node: ast.expr) -> bool:
    made = _unwrapped(file, node)
    return isinstance(made, ast.BinOp) and isinstance(made.op, ast.Sub)
