"""The place of the first padding of a row, where that of its last token is meant."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.lint.binding import bindings_seen
from shapeguard.lint.masks import mask_of
from shapeguard.lint.padding import ROW_AXES, along_row, pad_set_to_eos, pad_test
from shapeguard.lint.reading import Reading, last_name, number, receiver

_SAME = frozenset({"int", "long", "float", "to", "byte", "half"})
_SPREADS = frozenset({"view", "reshape", "unsqueeze", "expand", "repeat", *_SAME})
_MOVES = frozenset({"cat", "concat", "pad", "roll", "flip", "stack", "cumsum"})
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class FirstPadding:
    """A value read at the first padding of each row."""

    node: ast.Call
    """What finds the place."""
    read: ast.expr
    """What is read there."""
    where: ast.expr
    """Where it is read."""
    is_same_row: bool
    """Whether it is surely made of the very tokens whose padding is looked for."""


def first_paddings(file: Reading) -> Iterator[FirstPadding]:
    """The values that are read at `(ids == pad_id).int().argmax(-1)`, with nothing taken from it."""
    sites = [(call, found) for call in file.calls("argmax", "argmin") if (found := _tokens(file, call)) is not None]
    if not sites or pad_set_to_eos(file) is not None:
        return
    for call, tokens in sites:
        for where, read in _read_at(file, call):
            if file.text(read) != file.text(tokens):
                yield FirstPadding(call, read, where, _is_made_of(file, read, file.text(tokens), _DEEPEST))
                break


def _tokens(file: Reading, call: ast.Call) -> ast.expr | None:
    """The tokens or the mask whose first padding a call finds."""
    of = along_row(file, call, last_name(call.func))
    if of is None:
        return None
    while isinstance(of, ast.Call) and isinstance(of.func, ast.Attribute) and of.func.attr in _SAME:
        of = of.func.value
    of = file.origin(of)
    if last_name(call.func) == "argmin":
        return _mask(file, of)
    found = pad_test(of, equal=True)
    if found is not None:
        return found[0]
    match of:
        case ast.Compare(left=inner, ops=[ast.Eq()], comparators=[ast.Constant(value=0)]):
            return _mask(file, inner)
        case ast.UnaryOp(op=ast.Invert(), operand=inner):
            return _mask(file, inner)
    return None


def _mask(file: Reading, node: ast.expr) -> ast.expr | None:
    """A mask that is 1 on tokens."""
    name = last_name(node)
    mask = mask_of(file, node) if name == "attention_mask" or name.endswith("_attention_mask") else None
    return node if mask is not None and mask.padding else None


def _read_at(file: Reading, call: ast.Call) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Where something is read at a place, and what."""

    def onward(each: ast.AST) -> ast.AST | None:
        match file.parent(each):
            case ast.Attribute(attr=name) as around if name in _SPREADS:
                method = file.parent(around)
                return method if isinstance(method, ast.Call) and method.func is around else None
            case ast.Subscript(value=value) as part if value is each:
                return part
        return None

    for each, around in file.reads_beyond(call, onward):
        match around:
            case ast.Tuple(elts=[rows, place]) if place is each and _counts_rows(file, rows):
                read = file.parent(around)
                if isinstance(read, ast.Subscript) and read.slice is around and isinstance(read.ctx, ast.Load):
                    yield read, read.value
            case ast.Call(func=ast.Attribute(attr="gather")):
                of, at = file.given(around, 0, "input"), file.given(around, 2, "index")
                if of is not None and at is each and number(file.given(around, 1, "dim")) in ROW_AXES:
                    yield around, of


def _counts_rows(file: Reading, node: ast.expr) -> bool:
    made = file.origin(node)
    return any(isinstance(each, ast.Call) and last_name(each.func) == "arange" for each in ast.walk(made))


def _is_made_of(file: Reading, node: ast.expr, text: str, left: int) -> bool:
    """Whether a value is made of what is written so, step by step, with nothing put before or cut off."""
    if file.text(node) == text:
        return True
    if left <= 0 or isinstance(node, ast.Constant | ast.Lambda):
        return False
    match node:
        case ast.Name():
            binding = file.definition(node)
            bound = bindings_seen(file, node) if binding is None else [binding]
            return any(each.value is not None and _is_made_of(file, each.value, text, left - 1) for each in bound)
        case ast.Call():
            parts = [*node.args, *(each.value for each in node.keywords)]
            inner = receiver(node)
            parts += [] if inner is None or file.layer(node.func) is not None else [inner]
            return last_name(node.func) not in _MOVES and any(_is_made_of(file, each, text, left - 1) for each in parts)
        case ast.Subscript(value=inner, slice=ast.Constant()) | ast.Attribute(value=inner):
            return _is_made_of(file, inner, text, left - 1)
        case ast.BinOp(left=one, right=other):
            return any(_is_made_of(file, each, text, left - 1) for each in (one, other))
    return False
