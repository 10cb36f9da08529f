"""How many moments after the last one that a model has read its targets stand, by every way from the one to the other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from shapeguard.lint.following import argument_of, moments, result_of
from shapeguard.lint.moments import Frame, Moments, Place, is_one_sequence
from shapeguard.lint.only_model import called
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver

_KEEPS = frozenset({
    "dropout", "embedding", "gelu", "layer_norm", "linear", "log_softmax", "relu", "sigmoid", "silu", "softmax", "tanh",
    "checkpoint", "one_hot", "rms_norm", "pack_padded_sequence", "pad_packed_sequence",
})  # fmt: skip
"""Functions of torch that give something for each position, of what stands there."""
_OTHERWISE = re.compile(
    r"shift|roll|mask|nois|corrupt|perturb|generate|shuffle|insert|flip|sample|encode_only|augment|(word|token)_?drop"
)
_PARTS = frozenset({"logits", "last_hidden_state", "prediction_logits", "hidden_states"})
_RECURRENT = ("GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell")
_ONE_BY_ONE = ("Embedding", "Linear", "Dropout", "LayerNorm", "ReLU", "GELU", "Tanh", "Sequential", "RMSNorm")
_DEEPEST = 10
_MOST_CALLERS = 6
_HIGHEST = 2


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a model has read of a sequence, and the targets of the same sequence that its result is scored against."""

    loss: ast.Call
    read: Moments
    """What the result's positions have read last."""
    targets: Moments
    way: tuple[ast.Call, ...]
    """The calls that lead from what is read to the result, from the last to the first."""
    caller: Frame | None
    """The call through which both come to the loss, if they come through one."""

    @property
    def model(self) -> ast.Call:
        """The call that reads."""
        return self.way[-1]

    @property
    def ahead(self) -> int:
        """How many moments the targets are ahead of what is read: 1 is right."""
        return self.targets.shift - self.read.shift


def scorings(file: Reading, loss: ast.Call, scores: ast.expr, target: ast.expr) -> Iterator[Scoring]:
    """Where the targets of a loss and what its scores are made of are of one sequence."""
    yield from _scorings(file, loss, Place(scores), Place(target), 0)


def _scorings(file: Reading, loss: ast.Call, scores: Place, target: Place, height: int) -> Iterator[Scoring]:
    given, targets = moments(file, scores, logits=True), moments(file, target)
    if given is None or targets is None:
        return
    found = _last_read(file, given, targets, 0)
    if found is not None:
        read, way = found
        yield Scoring(loss, read, targets, way, scores.frame)
        return
    function = _function_of(file, targets)
    if function is None or height >= _HIGHEST:
        return
    for call in _callers(file).get(function, [])[:_MOST_CALLERS]:
        frame = Frame(function, call, None)
        over = _over(scores.frame, frame)
        yield from _scorings(file, loss, Place(scores.node, over), Place(target.node, over), height + 1)


def _over(inner: Frame | None, frame: Frame) -> Frame:
    """The frames of a place, with one more around them all."""
    return frame if inner is None else Frame(inner.function, inner.call, _over(inner.outer, frame))


def _function_of(file: Reading, targets: Moments) -> ast.FunctionDef | None:
    """The function whose callers decide what the targets are."""
    node, frame = targets.root
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    if not isinstance(node, ast.Name) or (frame is not None and frame.outer is not None):
        return None
    binding = file.definition(node)
    if binding is None or not isinstance(binding.statement, ast.arg):
        return None
    function = file.function(node)
    return function if isinstance(function, ast.FunctionDef) else None


@lru_cache(maxsize=1)
def _callers(file: Reading) -> dict[ast.FunctionDef, list[ast.Call]]:
    """Function -> the calls in the file that surely run it."""
    names = {each.name for each in file.all(ast.FunctionDef)}
    found: dict[ast.FunctionDef, list[ast.Call]] = {}
    for call in file.all(ast.Call):
        name = last_name(call.func)
        if not name or any(isinstance(each, ast.Starred) for each in call.args):
            continue
        if name in names or "forward" in names:
            for function in called(file, call):
                found.setdefault(function, []).append(call)
    return found


# What is read.

Read: TypeAlias = tuple[Moments, tuple[ast.Call, ...]]


def _last_read(file: Reading, given: Moments, targets: Moments, depth: int) -> Read | None:
    """The latest moments of the targets' sequence that a value is made of, and the calls that make it of them."""
    file.spend()
    call, frame = _maker(file, given.root)
    if call is None or depth > _DEEPEST or _OTHERWISE.search(last_name(call.func).lower()):
        return None
    name = last_name(call.func)
    if file.full_name(call.func) is not None and not _makes_layer(call) and name not in _KEEPS:
        return None
    result = result_of(file, call, frame)
    inside = None if result is None else moments(file, result, logits=True)
    within = None if inside is None else given.within(inside)
    best = None if within is None else _last_read(file, within, targets, depth + 1)
    for each in () if best is not None else _given(file, call):
        part = moments(file, Place(each, frame))
        within = None if part is None else given.within(part)
        if within is None:
            continue
        found: Read | None = (within, ()) if is_one_sequence(file, within, targets) else None
        found = found or _last_read(file, within, targets, depth + 1)
        if found is not None and (best is None or found[0].shift > best[0].shift):
            best = found
    return None if best is None else (best[0], (call, *best[1]))


def _makes_layer(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Call)


def _maker(file: Reading, root: Place) -> tuple[ast.Call | None, Frame | None]:
    """The call that gives a value, or the record or tuple that it is the first item of."""
    node, frame = root
    for _ in range(_DEEPEST):
        match node:
            case ast.Call():
                return node, frame
            case ast.Attribute(value=owner, attr=name) if name in _PARTS:
                node = owner
            case ast.Subscript(value=owner, slice=ast.Constant(value=0 | "logits")):
                node = owner
            case ast.Name():
                binding = file.definition(node)
                if binding is None:
                    return None, None
                if isinstance(binding.statement, ast.arg):
                    given = argument_of(frame, node.id)
                    if given is None:
                        return None, None
                    node, frame = given
                    continue
                if binding.value is None or binding.index not in {None, 0}:
                    return None, None
                node = binding.value
            case _:
                return None, None
    return None, None


def _given(file: Reading, call: ast.Call) -> Iterator[ast.expr]:
    """What a call makes its result of, taken apart where values are added or put together."""
    owner = receiver(call)
    waiting = list(_inputs(call))
    if owner is not None and last_name(call.func) in _KEEPS and file.full_name(call.func) is None:
        waiting = [owner]
    for each in waiting:
        yield from _parts(file, each, 0)


def _inputs(call: ast.Call) -> Iterator[ast.expr]:
    """What a call is given that may be a sequence: its arguments, without masks and labels."""
    for each in call.args:
        if not isinstance(each, ast.Starred):
            yield each
    for keyword in call.keywords:
        if keyword.arg is not None and not any(word in keyword.arg for word in ("label", "target", "mask", "position")):
            yield keyword.value


def _parts(file: Reading, node: ast.expr, depth: int) -> Iterator[ast.expr]:
    made = file.origin(node)
    match made:
        case ast.BinOp(left=left, op=ast.Add() | ast.Mult() as sign, right=right) if depth < _DEEPEST:
            for side in (left, right):
                # Tokens times a mask are other tokens.
                if isinstance(sign, ast.Add) or isinstance(file.origin(side), ast.Call):
                    yield from _parts(file, side, depth + 1)
        case ast.Call(args=[ast.List(elts=parts) | ast.Tuple(elts=parts), *_], func=func) if (
            last_name(func) in {"cat", "concat"} and number(argument(made, 1, "dim")) != 1 and depth < _DEEPEST
        ):
            for part in parts:
                yield from _parts(file, part, depth + 1)
        case _:
            yield node


# Models that only look back.


def is_causal_way(file: Reading, way: tuple[ast.Call, ...]) -> bool:
    """Whether all that a value goes through is known, and a recurrent layer that runs one way is among it."""
    is_recurrent = False
    for call in way:
        layer = call.func if isinstance(call.func, ast.Call) else file.layer(call.func)
        if layer is not None and file.is_torch(layer, *_RECURRENT):
            both = next((each.value for each in layer.keywords if each.arg == "bidirectional"), None)
            if both is not None and not (isinstance(both, ast.Constant) and both.value is False):
                return False
            is_recurrent = True
        elif not (layer is not None and file.is_torch(layer, *_ONE_BY_ONE)) and not (
            last_name(call.func) in _KEEPS or called(file, call)
        ):
            return False
    return is_recurrent
