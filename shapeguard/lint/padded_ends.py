"""The ends of padded rows, where a recurrent layer or a softmax goes on as if there were steps."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.lint.masks import mask_of, named_mask
from shapeguard.lint.padding import is_pad, summed_row
from shapeguard.lint.pooling import KEYS, is_unread, masked_states, unread
from shapeguard.lint.reading import Function, Reading, argument, last_name, number
from shapeguard.lint.recurrence import Given, Recurrences
from shapeguard.lint.thin import thin

_LAST = -1
_STEPS = (1, _LAST)
_DEEPEST = 10
_CONTINUES = re.compile(r"generat|sampl|decod|next|step|rollout|act$", re.IGNORECASE)
_LEFT = re.compile(r"\bleft\b|\bflip\(|left_pad|pad_left")


@dataclass(frozen=True, slots=True)
class End:
    """A place that takes padding for what stands before it."""

    node: ast.expr
    message: str
    hint: str


def is_last_step(node: ast.Subscript) -> bool:
    """Whether it is `[:, -1]` or `[:, -1, :]`."""
    match node.slice:
        case ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), at, *rest]):
            return number(at) == _LAST and all(isinstance(each, ast.Slice) for each in rest)
    return False


def ends(file: Reading) -> Iterator[End]:
    """Last steps and final states of rows that are seen to be padded, and softmaxes over them."""
    layers = Recurrences(file)
    for node in file.all(ast.Subscript):
        if is_last_step(node) and isinstance(node.ctx, ast.Load):
            yield from _of_unpacked(file, node)
            yield from _of_told(file, node)
            given = layers.of(node.value)
            if given is not None and given.kind == "output" and given.first:
                yield from _of_padded(file, node, given)
    for statement in file.all(ast.Assign):
        yield from _final_states(file, statement, layers)
    for call in file.calls("softmax"):
        yield from _softmaxes(file, call)


def _of_unpacked(file: Reading, node: ast.Subscript) -> Iterator[End]:
    """`out[:, -1]` of what `pad_packed_sequence` gives."""
    name = node.value
    binding = file.definition(name) if isinstance(name, ast.Name) else None
    made = None if binding is None or binding.index != 0 else binding.value
    if not isinstance(made, ast.Call) or last_name(made.func) != "pad_packed_sequence":
        return
    first = argument(made, 1, "batch_first")
    if isinstance(first, ast.Constant) and first.value is True:
        message = f"`{file.text(node)}` is 0 in shorter rows: `{file.text(made)}` has filled them up"
        yield End(node, message, "take the layer's final state, or the last step by the lengths, row by row")


def _of_padded(file: Reading, node: ast.Subscript, given: Given) -> Iterator[End]:
    padded = _padded(file, given)
    if padded is not None:
        message = f"`{file.text(node)}` is what the layer makes of padding in shorter rows: {padded}"
        yield End(node, message, "take the last step that the lengths tell, row by row")


def _of_told(file: Reading, node: ast.Subscript) -> Iterator[End]:
    """The last step of what an encoder of torch gives that is told the padding, in a file that puts it at the end."""
    function = file.named_function(node)
    states = masked_states(file, node.value) if "key_padding_mask" in file.source.text else None
    if states is None or function is None or _CONTINUES.search(function.name):
        return
    if not any((each.arg or "") in KEYS for each in states.call.keywords) or "batch_first=True" not in file.source.text:
        return
    where = _pads_at_end(file)
    if where is not None:
        message = f"`{file.text(node)}` is padding in shorter rows: `{file.text(where)}` puts it at the end"
        yield End(node, message, "take the last step that the mask tells, row by row")


def _pads_at_end(file: Reading) -> ast.Call | None:
    """The only way in which a file pads rows, if that is at their end."""
    if _LEFT.search(file.source.text):
        return None
    found = list(file.calls("pad_sequence"))
    return (
        found[0] if found and not any(each.arg == "padding_side" for call in found for each in call.keywords) else None
    )


def unread_counts(file: Reading, function: Function) -> list[str]:
    """The parameters that a function doesn't read, and that calls in the file give the number of tokens of each row."""
    if not isinstance(function, ast.FunctionDef):
        return []
    plain = [*function.args.posonlyargs, *function.args.args]
    found = []
    for place, each in enumerate(plain[: len(plain) - len(function.args.defaults)]):
        at = place - (plain[0].arg == "self")
        if at < 1 or named_mask(each.arg, each.arg) is not None or not is_unread(each.arg, function):
            continue
        given = [one for call in _calls_with(file, each.arg) if (one := argument(call, at, each.arg)) is not None]
        if given and all(last_name(one) == each.arg and _counts_tokens(file, one) for one in given):
            found.append(each.arg)
    return found


def _calls_with(file: Reading, name: str) -> Iterator[ast.Call]:
    """The calls that are given something of this name."""
    for read in file.all(ast.Name):
        if read.id == name and isinstance(read.ctx, ast.Load):
            around = file.parent(read)
            around = file.parent(around) if isinstance(around, ast.keyword) else around
            if isinstance(around, ast.Call) and around.func is not read:
                yield around


def _counts_tokens(file: Reading, node: ast.expr) -> bool:
    """Whether it is `(ids != 0).sum(1)`, or the sum of a mask."""
    counted = summed_row(file, file.origin(node))
    match counted:
        case None:
            return False
        case ast.Compare(ops=[ast.NotEq()], comparators=[pad]):
            return number(pad) == 0 or is_pad(pad)
        case ast.Call(func=ast.Attribute(attr="ne"), args=[pad]):
            return number(pad) == 0 or is_pad(pad)
    return mask_of(file, counted) is not None


def _final_states(file: Reading, statement: ast.Assign, layers: Recurrences) -> Iterator[End]:
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=[_, state])], value=ast.Call(args=[_]) as call):
            pass
        case _:
            return
    given = layers.of(call)
    used = any(file.uses(each) for each in ast.walk(state) if isinstance(each, ast.Name))
    padded = None if given is None or not used else _padded(file, given)
    if padded is not None:
        message = f"the final state of `{file.text(call.func)}` has read the padding: {padded}"
        yield End(call, message, "give it `pack_padded_sequence` of the rows and their lengths")


def _padded(file: Reading, given: Given) -> str | None:
    """What tells that a recurrent layer reads padded rows, and isn't told of it."""
    call, function = given.call, file.named_function(given.call)
    if given.is_packed or function is None or not call.args:
        return None
    made = _pad_sequence(file, call.args[0], _DEEPEST)
    if made is not None and not _packs(function):
        return f"`{file.text(made)}` puts it there"
    mask = _only_fills(file, function, call)
    return None if mask is None else f"`{mask}` sets it to 0 before, and the layer goes on over it"


def _packs(function: Function) -> bool:
    return any(
        isinstance(each, ast.Call) and last_name(each.func) in {"pack_padded_sequence", "pack_sequence"}
        for each in ast.walk(function)
    )


def _pad_sequence(file: Reading, node: ast.expr, left: int) -> ast.Call | None:
    """The call that pads what a layer is given, by itself or as embeddings."""
    made = file.origin(node)
    if not isinstance(made, ast.Call) or left <= 0:
        return None
    if last_name(made.func) == "pad_sequence":
        return made
    inner = made.args[:1]
    if isinstance(made.func, ast.Attribute) and made.func.attr in {"to", "float", "cuda", "long"}:
        inner = [made.func.value]
    elif last_name(getattr(file.layer(made.func), "func", ast.Constant(0))) not in {"Embedding", "Linear", "Dropout"}:
        return None
    return _pad_sequence(file, inner[0], left - 1) if inner else None


def _only_fills(file: Reading, function: Function, call: ast.Call) -> str | None:
    """A mask that a function is given and reads in nothing but the input of a layer."""
    if _packs(function):
        return None
    for each in function.args.args:
        mask = named_mask(each.arg, each.arg)
        if mask is None or not mask.padding:
            continue
        reads = [part for part in ast.walk(function) if isinstance(part, ast.Name) and part.id == each.arg]
        inside = {part for value in _inputs(file, call.args[0], _DEEPEST) for part in ast.walk(value)}
        if reads and all(part in inside for part in reads):
            return each.arg
    return None


def _inputs(file: Reading, node: ast.expr, left: int) -> Iterator[ast.expr]:
    """An expression, and those that the names in it stand for."""
    yield node
    for part in ast.walk(node) if left > 0 else ():
        if isinstance(part, ast.Name):
            made = file.origin(part)
            if made is not part:
                yield from _inputs(file, made, left - 1)


def _softmaxes(file: Reading, call: ast.Call) -> Iterator[End]:
    """Weights of the steps, one number for each, in a function that doesn't read its mask."""
    function = file.named_function(call)
    names = [] if function is None else unread(function)
    if not names:
        return
    of, place = file.given(call, 0, "input"), number(file.given(call, 1, "dim"))
    if of is None or place not in _STEPS:
        return
    scores = file.origin(of)
    match scores:
        case ast.Call(func=ast.Attribute(value=inner, attr="squeeze"), args=[axis]) if number(axis) in {_LAST, 2}:
            scores, is_row = inner, True
        case _:
            is_row = False
    made = thin(file, scores)
    if made is None or made.kind != "head" or (not is_row and place == _LAST):
        return
    message = f"`{file.text(call)}` weighs padding like any step: `{names[0]}`, which tells it, is read nowhere"
    yield End(call, message, "fill the scores of padding with -inf before")


def is_told(file: Reading, function: Function) -> bool:
    """Whether lengths or a mask are more than a parameter that every function of a kind has to have."""
    owner = file.class_of(function)
    bases = [] if owner is None else [last_name(each) for each in owner.bases]
    return all(each in {"Module", "object"} for each in bases) and not isinstance(function, ast.Lambda)
