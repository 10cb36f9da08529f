"""What a value is of what a recurrent layer gives: its output, its last state, or both."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from shapeguard.lint.axis_names import KEEPING_LAYERS, RECURRENT
from shapeguard.lint.layouts import BATCH_FIRST, layout_of
from shapeguard.lint.making import functions_called, makers, returned
from shapeguard.lint.reading import Reading, argument, is_hiding, last_name, number, receiver

_KEEPS = frozenset({"contiguous", "clone", "detach", "to", "float", "relu", "tanh", "dropout", "gelu", "cuda", "cpu"})
_TRANSPOSES = {("transpose", (0, 1)), ("transpose", (1, 0)), ("swapaxes", (0, 1)), ("permute", (1, 0, 2))}
_LONGEST = 16


@dataclass(frozen=True, slots=True)
class Given:
    """A part of what a recurrent layer's call gives."""

    kind: Literal["both", "output", "states", "state", "cell"]
    """`states` are `h` and `c` of an LSTM, as one tuple."""
    call: ast.Call
    """The layer's call."""
    made: ast.Call
    """`nn.LSTM(...)`."""
    first: bool | None
    """Whether the batch is its first axis; None where that isn't known."""
    is_packed: bool = False

    @property
    def layer(self) -> str:
        """`LSTM`."""
        return last_name(self.made.func)


class Recurrences:
    """What the recurrent layers of one file give, found from where it is read."""

    def __init__(self, file: Reading) -> None:
        self.file = file
        self._known: dict[ast.expr, Given | None] = {}
        self._depth = 0

    def of(self, node: ast.expr) -> Given | None:
        """What an expression is; None where it isn't surely of a recurrent layer."""
        if node not in self._known:
            if self._depth > _LONGEST:
                return None
            self.file.spend()
            self._known[node] = None
            self._depth += 1
            self._known[node] = self._of(node)
            self._depth -= 1
        return self._known[node]

    def _of(self, node: ast.expr) -> Given | None:
        match node:
            case ast.Name():
                return self._of_name(node)
            case ast.Subscript(value=value, slice=index) if (place := number(index)) is not None:
                whole = self.of(value)
                is_tuple = whole is not None and whole.kind in {"both", "states"}
                return self._item(whole, place) if is_tuple else self._returned(value, [place])
            case ast.Call(func=func):
                return self._of_call(node, func)
        return None

    def _of_name(self, name: ast.Name) -> Given | None:
        binding = self.file.definition(name)
        if binding is None:
            return None
        if binding.value is not None and binding.index is None:
            return self.of(binding.value)
        statement = binding.statement
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return None
        path = _path(statement.targets[0], binding.target)
        whole = self.of(statement.value)
        if whole is None:
            return self._returned(statement.value, path) if path else None
        for place in path or []:
            whole = self._item(whole, place)
        return whole

    def _item(self, whole: Given | None, place: int) -> Given | None:
        if whole is None:
            return None
        if whole.kind == "both":
            if place in {0, -2}:
                return replace(whole, kind="output")
            if place not in {1, -1} or whole.is_packed:
                return None
            return replace(whole, kind="states" if whole.layer == "LSTM" else "state", first=False)
        if whole.kind == "states":
            return replace(whole, kind="state" if place in {0, -2} else "cell", first=False)
        return None

    def _of_call(self, call: ast.Call, func: ast.expr) -> Given | None:
        file, name = self.file, last_name(func)
        full = file.full_name(func)
        if name == "pad_packed_sequence":
            inner = self.of(call.args[0]) if call.args else None
            flag = argument(call, 1, "batch_first")
            first = isinstance(flag, ast.Constant) and flag.value is True
            known = flag is None or isinstance(flag, ast.Constant)
            is_output = inner is not None and inner.kind == "output"
            return (
                replace(inner, kind="both", first=first if known else None, is_packed=True)
                if inner and is_output
                else None
            )
        if full is None:
            made = makers(file, func) if isinstance(func, ast.Name | ast.Attribute) else []
            kinds = {last_name(each.func) for each in made if file.is_torch(each, last_name(each.func))}
            if len(made) == 1 and kinds <= RECURRENT and kinds and made[0] is not func:
                return _both(file, call, made[0])
            if len(kinds) == 1 and kinds <= KEEPING_LAYERS and call.args:
                return self.of(call.args[0])
        owner = (call.args[0] if call.args else None) if full is not None else receiver(call)
        rest = call.args[1:] if full is not None else call.args
        if owner is not None and name in _KEEPS and not isinstance(owner, ast.Starred):
            return self.of(owner)
        if owner is not None and (name, tuple(map(number, rest))) in _TRANSPOSES:
            inner = self.of(owner)
            if inner is None or inner.kind != "output":
                return None
            return replace(inner, first=None if inner.first is None else not inner.first)
        return self._returned(call, [])

    def _returned(self, call: ast.expr, path: list[int]) -> Given | None:
        """What a function or model of the file gives, or a part of it."""
        if not isinstance(call, ast.Call):
            return None
        found = [self._at(value, path) for value in self._values(call)]
        return found[0] if found and all(each == found[0] for each in found) else None

    def _values(self, call: ast.Call) -> Iterator[ast.expr]:
        for function in functions_called(self.file, call):
            yield from returned(self.file, function) or []

    def _at(self, value: ast.expr, path: list[int]) -> Given | None:
        while path and isinstance(value, ast.Tuple):
            if not -len(value.elts) <= path[0] < len(value.elts):
                return None
            value, path = value.elts[path[0]], path[1:]
        whole = self.of(value)
        for place in path:
            whole = self._item(whole, place)
        return whole


def _both(file: Reading, call: ast.Call, made: ast.Call) -> Given | None:
    layout = layout_of(file, made)
    plain = call.args and not isinstance(call.args[0], ast.Starred)
    return Given("both", call, made, None if layout is None else layout == BATCH_FIRST) if plain else None


def _path(target: ast.expr, sought: ast.AST) -> list[int] | None:
    """Where in a target a name stands: [1, 0] for `h` in `out, (h, c)`."""
    if target is sought:
        return []
    if isinstance(target, ast.Tuple | ast.List) and not any(isinstance(each, ast.Starred) for each in target.elts):
        for place, each in enumerate(target.elts):
            inner = _path(each, sought)
            if inner is not None:
                return [place, *inner]
    return None


def stacked(file: Reading, made: ast.Call) -> int | None:
    """How many layers a recurrent layer has: what is written, or the default of the parameter that says it."""
    if is_hiding(made):
        return None
    layers = argument(made, 2, "num_layers")
    if layers is None:
        return 1
    known = number(file.origin(layers))
    if known is not None:
        return known
    function = file.function(made)
    name = layers.attr if isinstance(layers, ast.Attribute) and last_name(layers.value) == "self" else last_name(layers)
    if not isinstance(function, ast.FunctionDef) or (
        isinstance(layers, ast.Attribute) and last_name(layers.value) != "self"
    ):
        return None
    arguments = function.args
    places = [*arguments.posonlyargs, *arguments.args]
    defaults = dict(zip([each.arg for each in reversed(places)], reversed(arguments.defaults), strict=False))
    defaults |= {
        each.arg: value for each, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value
    }
    return number(defaults.get(name))
