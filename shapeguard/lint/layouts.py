"""In which order layers take their axes: recurrent ones, attention and convolutions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from shapeguard.lint.axis_names import RECURRENT, Role
from shapeguard.lint.reading import Reading, argument, is_hiding, last_name, number

Layout: TypeAlias = tuple[Role, Role, Role]

SEQUENCE_FIRST: Layout = ("time", "batch", "feature")
BATCH_FIRST: Layout = ("batch", "time", "feature")
CHANNELS_SECOND: Layout = ("batch", "feature", "time")

_FLAGS = {
    "LSTM": 4,
    "GRU": 4,
    "RNN": 5,
    "MultiheadAttention": 8,
    "TransformerEncoderLayer": 6,
    "TransformerDecoderLayer": 6,
    "Transformer": 10,
}
"""Layer -> the position of its `batch_first`."""
_INPUTS = {
    "LSTM": (0,),
    "GRU": (0,),
    "RNN": (0,),
    "MultiheadAttention": (0, 1, 2),
    "TransformerEncoderLayer": (0,),
    "TransformerEncoder": (0,),
    "TransformerDecoderLayer": (0, 1),
    "TransformerDecoder": (0, 1),
    "Transformer": (0, 1),
    "Conv1d": (0,),
}
"""Layer -> the positions of what it takes in its layout."""
_STACKS = frozenset({"TransformerEncoder", "TransformerDecoder"})


@dataclass(frozen=True, slots=True)
class Use:
    """A layer's call with one of its inputs."""

    call: ast.Call
    given: ast.expr
    layer: str
    made: ast.Call
    """The call that says the layout."""
    layout: Layout
    flag: ast.expr | None
    """`batch_first`, where it is written."""

    @property
    def is_recurrent(self) -> bool:
        """Whether it takes a state as well."""
        return self.layer in RECURRENT


def uses(file: Reading) -> Iterator[Use]:
    """The calls of layers that have a layout, where it is sure."""
    for call in file.all(ast.Call):
        if not isinstance(call.func, ast.Name | ast.Attribute):
            continue
        made = _made(file, call.func)
        name = "" if made is None else last_name(made.func)
        if made is None or name not in _INPUTS or not file.is_torch(made, name):
            continue
        layout = layout_of(file, made)
        if layout is None:
            continue
        said = _said_by(file, made) or made
        flag = argument(said, _FLAGS.get(last_name(said.func), 0), "batch_first") if name != "Conv1d" else None
        given = [call.args[place] for place in _INPUTS[name] if place < len(call.args)]
        given += [each.value for each in call.keywords if each.arg in {"query", "key", "value", "input", "src", "tgt"}]
        for each in dict.fromkeys(given):
            if not isinstance(each, ast.Starred):
                yield Use(call, each, name, said, layout, flag)


def _made(file: Reading, func: ast.expr) -> ast.Call | None:
    """The call that makes a layer: one of its own, the first of a stack, or one of a list that is gone through."""
    made = file.layer(func)
    if made is None and isinstance(func, ast.Name):
        made = _one_of_list(file, func)
    if made is not None and last_name(made.func) == "Sequential" and file.is_torch(made, "Sequential"):
        first = file.origin(made.args[0]) if made.args else None
        made = first if isinstance(first, ast.Call) and last_name(first.func) == "Conv1d" else None
    return made


def _one_of_list(file: Reading, name: ast.Name) -> ast.Call | None:
    """`nn.Conv1d(...)` for `conv` in `for conv in self.convs`, where the list is made of such alone."""
    for around in file.around(name):
        loops = around.generators if isinstance(around, ast.ListComp | ast.GeneratorExp) else [around]
        for loop in loops:
            if not isinstance(loop, ast.For | ast.comprehension) or not isinstance(loop.target, ast.Name):
                continue
            if loop.target.id == name.id:
                return _alike(file, file.layer(loop.iter))
    return None


def _alike(file: Reading, made: ast.Call | None) -> ast.Call | None:
    """One of the layers in a list, where all take the same."""
    if made is None or not file.is_torch(made, "ModuleList") or not made.args:
        return None
    match made.args[0]:
        case ast.ListComp(elt=ast.Call() as layer) | ast.GeneratorExp(elt=ast.Call() as layer):
            return layer
        case ast.List(elts=[ast.Call() as layer, *others]):
            same = (isinstance(each, ast.Call) and _begins(each) == _begins(layer) for each in others)
            return layer if all(same) else None
    return None


def _begins(layer: ast.Call) -> tuple[str, str]:
    return ast.dump(layer.func), ast.dump(layer.args[0]) if layer.args else ""


def layout_of(file: Reading, made: ast.Call) -> Layout | None:
    """The layout of what a layer takes; None where it isn't written plainly."""
    said = _said_by(file, made)
    if said is None or is_hiding(said):
        return None
    if last_name(said.func) == "Conv1d":
        return CHANNELS_SECOND
    match argument(said, _FLAGS[last_name(said.func)], "batch_first"):
        case None | ast.Constant(value=False):
            return SEQUENCE_FIRST
        case ast.Constant(value=True):
            return BATCH_FIRST
    return None


def _said_by(file: Reading, made: ast.Call) -> ast.Call | None:
    """The call that says the layout: for a stack, that of the layer in it."""
    if last_name(made.func) not in _STACKS:
        return made
    inner = argument(made, 0, "encoder_layer", "decoder_layer")
    layer = None if inner is None else file.layer(inner) if isinstance(inner, ast.Attribute) else file.origin(inner)
    return (
        layer
        if isinstance(layer, ast.Call)
        and last_name(layer.func) in _FLAGS
        and file.is_torch(layer, last_name(layer.func))
        else None
    )


def state_count(made: ast.Call) -> int | None:
    """How many states a recurrent layer has at each step: 1 or 0, where it may be any number; None for surely several."""
    if is_hiding(made):
        return 0
    several, both = argument(made, 2, "num_layers"), directions(made)
    layers = 1 if several is None else number(several)
    if (layers or 0) > 1 or both == 2:  # noqa: PLR2004 - forwards and backwards
        return None
    return 1 if layers == both == 1 else 0


def directions(made: ast.Call) -> int | None:
    """How many directions a recurrent layer has; None where that is an option."""
    if is_hiding(made):
        return None
    match argument(made, 7 if last_name(made.func) == "RNN" else 6, "bidirectional"):
        case None | ast.Constant(value=False):
            return 1
        case ast.Constant(value=True):
            return 2
    return None
