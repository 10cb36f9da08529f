"""What scores went through last: a softmax, a sigmoid, the logarithm of one, or a layer that gives any number."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal, TypeAlias

from shapeguard.lint.making import is_changed_in_place, makers, returned
from shapeguard.lint.only_model import called
from shapeguard.lint.reading import Reading, is_self, number

Squashing: TypeAlias = Literal["softmax", "sigmoid", "log_softmax", "log_sigmoid", "none"]
"""`none` of what a Linear or a convolution gives."""

_FUNCTIONS: dict[str, Squashing] = {
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "sigmoid": "sigmoid",
    "sigmoid_": "sigmoid",
    "expit": "sigmoid",
    "logsigmoid": "log_sigmoid",
    "linear": "none",
}
_LAYERS: dict[str, Squashing] = {
    "Softmax": "softmax",
    "Softmax2d": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
    "LogSigmoid": "log_sigmoid",
    "Linear": "none",
    "Bilinear": "none",
    "Conv1d": "none",
    "Conv2d": "none",
    "Conv3d": "none",
    "ConvTranspose1d": "none",
    "ConvTranspose2d": "none",
    "ConvTranspose3d": "none",
}
_METHODS: dict[str, Squashing] = {
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "sigmoid": "sigmoid",
    "sigmoid_": "sigmoid",
}
_SAME_VALUES = frozenset(
    "view reshape transpose permute squeeze unsqueeze flatten unflatten contiguous float double half bfloat16 to"  # noqa: SIM905 - a list of so many words reads better so
    " cuda cpu type view_as reshape_as type_as clone detach t swapaxes movedim chunk split unbind repeat expand"
    " expand_as index_select masked_select gather requires_grad_ squeeze_ unsqueeze_".split()
)
"""Methods and functions after which the values are some of those before."""
_SAME_VALUES_LAYERS = frozenset({"Flatten", "Unflatten", "Identity", "Dropout"})
_HEADS = frozenset({"fc", "classifier", "head", "heads"})
_LONGEST = 24


@dataclass(frozen=True, slots=True)
class Squashed:
    """The last step that changed the range of some values."""

    by: Squashing
    step: ast.Call
    """What does it."""
    through: ast.FunctionDef | None = None
    """The function of the file that returns the values, if it isn't done in the open."""


def squashed(file: Reading, node: ast.expr) -> Squashed | None:
    """What the values of an expression went through last; None if that isn't sure."""
    return _last(file, node, None, _LONGEST)


def _last(file: Reading, node: ast.expr, index: int | None, left: int) -> Squashed | None:
    """As `squashed`; of one of several values that an expression may give, if there is an index."""
    if left <= 0:
        return None
    match node:
        case ast.Name():
            binding = file.definition(node)
            if binding is None or binding.value is None or is_changed_in_place(file, binding):
                return None
            return _last(file, binding.value, index if binding.index is None else binding.index, left - 1)
        case ast.Subscript(value=value, slice=place):
            one = number(place)
            return _last(file, value, index if one is None else one, left - 1)
        case ast.Attribute(value=value, attr="T" | "mT" | "data"):
            return _last(file, value, index, left - 1)
        case ast.IfExp(body=body, orelse=other):
            return _agreed([_last(file, each, index, left // 2) for each in (body, other)])
        case ast.Call():
            return _last_of_call(file, node, index, left - 1)
    return None


def _agreed(found: list[Squashed | None]) -> Squashed | None:
    """What all of them are."""
    kinds = {None if each is None else each.by for each in found}
    return found[0] if len(kinds) == 1 else None


def _last_of_call(file: Reading, call: ast.Call, index: int | None, left: int) -> Squashed | None:
    full = file.full_name(call.func)
    if full is not None:
        return _last_of_torch(file, call, full, index, left)
    if isinstance(call.func, ast.Attribute) and not is_self(call.func.value):
        if call.func.attr in _METHODS:
            return Squashed(_METHODS[call.func.attr], call)
        if call.func.attr in _SAME_VALUES:
            return _last(file, call.func.value, index, left)
        return None
    layers = makers(file, call.func)
    if layers and all(file.full_name(each.func) for each in layers):
        kinds = [_of_layer(file, each) or _of_new_head(file, call.func, each) for each in layers]
        kind = kinds[0] if len(set(kinds)) == 1 else None
        return None if kind is None else Squashed(kind, call)
    return _last_of_function(file, call, index, left)


def _last_of_torch(file: Reading, call: ast.Call, full: str, index: int | None, left: int) -> Squashed | None:
    top, name = full.partition(".")[0], full.rpartition(".")[2]
    if top != "torch" or not call.args:
        return None
    if name in _FUNCTIONS:
        return Squashed(_FUNCTIONS[name], call)
    if name in _SAME_VALUES:
        return _last(file, call.args[0], index, left)
    if name in {"cat", "concat", "stack"} and isinstance(call.args[0], ast.List | ast.Tuple):
        return _agreed([_last(file, each, None, left // 2) for each in call.args[0].elts])
    return None


def _of_layer(file: Reading, made: ast.expr) -> Squashing | None:
    """What a layer of torch does last, by the call that makes it."""
    if not isinstance(made, ast.Call):
        return None
    full = file.full_name(made.func) or ""
    if full.partition(".")[0] != "torch":
        return None
    name = full.rpartition(".")[2]
    if name != "Sequential":
        return _LAYERS.get(name)
    for layer in reversed(made.args):
        inner = file.full_name(layer.func) if isinstance(layer, ast.Call) else None
        if inner is None or inner.rpartition(".")[2] not in _SAME_VALUES_LAYERS:
            return _of_layer(file, layer)
    return None


def _of_new_head(file: Reading, model: ast.expr, made: ast.Call) -> Squashing | None:
    """What a model of torchvision does last whose head is exchanged: `model.fc = nn.Sequential(..., nn.Sigmoid())`."""
    if not (file.full_name(made.func) or "").startswith("torchvision.models."):
        return None
    heads: list[ast.expr] = []
    for assigned in file.all(ast.Assign):
        match assigned.targets:
            case [ast.Attribute(value=owner, attr=name)] if name in _HEADS and file.text(owner) == file.text(model):
                heads.append(assigned.value)
    return _of_layer(file, heads[0]) if len(heads) == 1 else None


def _last_of_function(file: Reading, call: ast.Call, index: int | None, left: int) -> Squashed | None:
    """What a function of the file, or a model of a class in it, does last to each value that it may return."""
    functions = called(file, call)
    found: list[Squashed | None] = []
    for function in functions:
        for value in returned(file, function) or [call]:
            if isinstance(value, ast.Tuple):
                inside = index is not None and -len(value.elts) <= index < len(value.elts)
                found.append(_last(file, value.elts[index], None, left // 2) if inside and index is not None else None)
            else:
                found.append(_last(file, value, index, left // 2) if value is not call else None)
    last = _agreed(found) if found else None
    return None if last is None else Squashed(last.by, last.step, functions[0])
