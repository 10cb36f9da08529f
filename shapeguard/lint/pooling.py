"""States of a padded batch: what a model makes of steps that a mask tells apart."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from shapeguard.lint.binding import bindings_seen
from shapeguard.lint.masks import is_lengths_name, mask_of, named_mask
from shapeguard.lint.padding import padding_tokenizer
from shapeguard.lint.reading import Function, Reading, is_self, last_name, number

_NO_STATES = re.compile(
    r"attn|attention|weight|score|prob|img|image|patch|pixel|map|head|pool|corr|sim|logit|loss|energ"
)
_NO_STEPS = re.compile(
    r"attn|attention|weight|prob|img|image|patch|pixel|map|pool|corr|sim|loss|energ|logit|class|^fc|output_layer|predict|decod"
)
KEYS = frozenset({"src_key_padding_mask", "key_padding_mask", "tgt_key_padding_mask"})
_TELLS = re.compile(r"^(encoder_|src_|tgt_)?(attention_mask|key_padding_mask|padding_mask|pad_mask)$")
_STATES = frozenset({"last_hidden_state", "hidden_states", "encoder_last_hidden_state"})
_IMAGES = re.compile(r"Image|Vision|ViT|Video|Pixel|Patch|GPTForImage|Visual")
_KEEPS = frozenset(
    "float to detach clone contiguous cpu cuda half bfloat16 double dropout relu gelu tanh silu normalize layer_norm"  # noqa: SIM905 - a list of so many words reads better so
    " type masked_fill".split()
)
_LONGEST = 12


@dataclass(frozen=True, slots=True)
class MaskedStates:
    """What a model gives that knows a mask."""

    call: ast.Call
    names: set[str]
    """Those of the mask."""
    told: str
    """How the model knows, in words."""


def masked_states(  # noqa: PLR0911 - one a form
    file: Reading, node: ast.expr, left: int = _LONGEST
) -> MaskedStates | None:
    """The call of a model with a mask whose steps an expression has, if it does."""
    if left <= 0:
        return None
    match node:
        case ast.Name(id=name):
            return None if _NO_STATES.search(name) else _of_name(file, node, left)
        case ast.Attribute(value=owner, attr=name) if name in _STATES:
            return _of_output(file, owner, left)
        case ast.Subscript(value=ast.Attribute(value=owner, attr="hidden_states")):
            return _of_output(file, owner, left)
        case ast.Subscript(value=owner, slice=ast.Constant(value=0 | "last_hidden_state")):
            return _of_output(file, owner, left)
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _KEEPS and not is_self(owner):
            return masked_states(file, node.args[0] if file.full_name(node.func) and node.args else owner, left - 1)
        case ast.Call():
            return _of_call(file, node, left)
        case ast.BinOp(left=one, op=ast.Add(), right=other):
            return masked_states(file, one, left - 1) or masked_states(file, other, left - 1)
    return None


def _of_name(file: Reading, name: ast.Name, left: int) -> MaskedStates | None:
    binding = file.definition(name)
    bound = bindings_seen(file, name) if binding is None else [binding]
    for each in bound:
        if each.value is None or each.index not in {None, 0}:
            continue
        if each.index == 0 and not isinstance(each.value, ast.Call):
            continue
        found = masked_states(file, each.value, left // 2 if len(bound) > 1 else left - 1)
        if found is not None:
            return found
    return None


def _of_output(file: Reading, owner: ast.expr, left: int) -> MaskedStates | None:
    made = file.origin(owner)
    return _of_call(file, made, left) if isinstance(made, ast.Call) else None


def _of_call(file: Reading, call: ast.Call, left: int) -> MaskedStates | None:
    name = last_name(call.func)
    if _NO_STATES.search(name.lower()) or "mask" in name or (file.full_name(call.func) or "").startswith("torch"):
        return None
    if _reads_another(file, call) or _is_of_images(file, call):
        return None
    for value in (*(each.value for each in call.keywords if _TELLS.search(each.arg or "")), *call.args[1:]):
        mask = mask_of(file, value)
        if mask is not None and (mask.padding or value not in call.args):
            return MaskedStates(call, {mask.name, *_names(value)}, f"`{mask.name}` marks")
    tokenizer = padded_by(file, call)
    if tokenizer is not None:
        return MaskedStates(call, {"attention_mask"}, f"`{file.text(tokenizer.func)}` puts behind shorter texts")
    if isinstance(call.func, ast.Attribute) and len(call.args) == 1 and not call.keywords:
        return masked_states(file, call.args[0], left - 1)
    return None


def _reads_another(file: Reading, call: ast.Call) -> bool:
    """Whether a layer attends to something else than the steps that it gives."""
    read = [*call.args[:2], *(each.value for each in call.keywords if each.arg in {"query", "key"})]
    keys = any((each.arg or "").endswith("key_padding_mask") for each in call.keywords)
    return keys and len(read) > 1 and len({file.text(each) for each in read}) > 1


def _is_of_images(file: Reading, call: ast.Call) -> bool:
    owner = file.class_of(call)
    return owner is not None and bool(_IMAGES.search(owner.name))


def _names(node: ast.expr) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def padded_by(file: Reading, call: ast.Call) -> ast.Call | None:
    """The tokenizer's call whose padded batch a model reads."""
    given = [*call.args[:1], *(each.value for each in call.keywords if each.arg in {None, "input_ids"})]
    made = (padding_tokenizer(file, each) for each in given)
    return next((each for each in made if each is not None), None)


def unread(function: Function) -> list[str]:
    """The masks and lengths that a function has to be given, and reads nowhere."""
    plain = [*function.args.posonlyargs, *function.args.args]
    asked = plain[: len(plain) - len(function.args.defaults)]
    asked += [
        each for each, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True) if not value
    ]
    names = [each.arg for each in asked if named_mask(each.arg, each.arg) is not None or is_lengths_name(each.arg)]
    return [each for each in names if is_unread(each, function)]


def is_unread(name: str, function: Function) -> bool:
    """Whether a function has a parameter without a default of this name, and no other word of it."""
    if isinstance(function, ast.Lambda) or any("overrid" in last_name(each) for each in _decorators(function)):
        return False
    plain = [*function.args.posonlyargs, *function.args.args]
    asked = plain[: len(plain) - len(function.args.defaults)]
    if not any(each.arg == name for each in asked):
        return False
    return not any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(function))


def _decorators(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    """What decorates a function, without arguments."""
    return [each.func if isinstance(each, ast.Call) else each for each in function.decorator_list]


def unmasked_states(file: Reading, node: ast.expr, function: Function) -> MaskedStates | None:
    """The layer that makes an expression of a parameter, in a function that is given a mask and doesn't read it."""
    names = unread(function)
    made = layer_call(file, node) if names else None
    return None if made is None else MaskedStates(made, {names[0]}, f"`{names[0]}` tells, which is read nowhere here")


def layer_call(file: Reading, node: ast.expr, left: int = _LONGEST) -> ast.Call | None:
    """The call of a layer, of self or of the file, whose steps an expression has."""
    match node:
        case ast.Name(id=name) if left > 0 and not _NO_STEPS.search(name):
            binding = file.definition(node)
            if binding is None or binding.value is None or binding.index not in {None, 0}:
                return None
            return layer_call(file, binding.value, left - 1)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)) if not _NO_STEPS.search(name.lower()):
            return node
        case ast.Call(func=ast.Attribute(value=owner, attr="squeeze"), args=[axis]) if left > 0 and number(axis) == -1:
            return layer_call(file, owner, left - 1)
        case ast.Call(func=ast.Attribute(value=owner, attr="view" | "reshape"), args=[_, _, _, *_]) if left > 0:
            return layer_call(file, owner, left - 1)
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _KEEPS and left > 0:
            return layer_call(file, node.args[0] if file.full_name(node.func) and node.args else owner, left - 1)
    return None
