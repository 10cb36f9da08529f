"""The shapes that parameters of some names have by custom, in models of transformers' kind.

A convention helps to follow shapes. It is never the ground of a finding.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from shapeguard.infer.values import Guess
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.shape import Shape

# None is an axis that has no name by custom.
_ALWAYS: dict[str, tuple[str | None, ...]] = {
    "input_ids": ("batch", "seq"),
    "token_type_ids": ("batch", "seq"),
    "inputs_embeds": ("batch", "seq", None),
    "hidden_states": ("batch", "seq", None),
    "position_ids": (None, "seq"),
    "decoder_input_ids": ("batch", "decoder_seq"),
    "decoder_inputs_embeds": ("batch", "decoder_seq", None),
    "decoder_attention_mask": ("batch", None),
    "encoder_hidden_states": ("batch", "encoder_seq", None),
    "encoder_attention_mask": ("batch", None),
    "pixel_values": ("batch", "channels", "height", "width"),
    "input_features": ("batch", "features", "frames"),
    "input_values": ("batch", "samples"),
}
# Names that mean another thing deeper inside of a model.
_BESIDE_INPUTS: dict[str, tuple[str | None, ...]] = {
    "attention_mask": ("batch", None),
}
_INPUTS = frozenset({"input_ids", "inputs_embeds", "input_features", "input_values", "pixel_values"})
_INTEGERS = frozenset(
    {"decoder_position_ids", "input_ids", "labels", "token_type_ids", "position_ids", "decoder_input_ids"}
)


def guess(name: str, parameters: Collection[str], function: str) -> Guess | None:
    """What a parameter is likely to be, beside the others of its function and by the name of its class."""
    words = _labels(parameters, function) if name == "labels" else _ALWAYS.get(name)
    if words is None and _INPUTS & set(parameters):
        words = _BESIDE_INPUTS.get(name)
    if words is None:
        return None
    if name == "pixel_values" and "input_ids" in parameters:
        # There may be several images in a text.
        words = ("images", *words[1:])
    return Guess(Shape.of(*_sizes(words)), dtype_of(name))


def dtype_of(name: str) -> str | None:
    """The dtype that a parameter of this name has by custom."""
    return "int64" if name in _INTEGERS else None


def _labels(parameters: Collection[str], function: str) -> tuple[str | None, ...] | None:
    if not any(
        word in function
        for word in ("ForCausalLM", "ForMaskedLM", "LMHead", "ForConditionalGeneration", "ForTokenClassification")
    ):
        return None
    return ("batch", "decoder_seq" if "decoder_input_ids" in parameters else "seq")


def _sizes(words: tuple[str | None, ...]) -> list[Dim | None]:
    return [None if word is None else Dim(word) for word in words]


def unpacked_ranks(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, int]:
    """The parameters whose sizes a function unpacks, with their number: that is stronger than custom."""
    found: dict[str, int] = {}
    for part in ast.walk(node):
        match part:
            case ast.Assign(
                targets=[ast.Tuple(elts=targets)],
                value=ast.Attribute(value=ast.Name(id=name), attr="shape")
                | ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="size"), args=[]),
            ) if not any(isinstance(target, ast.Starred) for target in targets):
                found.setdefault(name, len(targets))
            case ast.If(test=test, body=[ast.Raise()]):
                found = dict(_demanded_ranks(test)) | found
    return found


def _demanded_ranks(test: ast.expr) -> Iterator[tuple[str, int]]:
    """The ranks without which a function raises: `if x.dim() != 3: raise`."""
    for part in ast.walk(test):
        match part:
            case ast.Compare(
                left=ast.Call(func=ast.Name(id="len"), args=[ast.Attribute(value=ast.Name(id=name), attr="shape")])
                | ast.Attribute(value=ast.Name(id=name), attr="ndim")
                | ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="dim"), args=[]),
                ops=[ast.NotEq()],
                comparators=[ast.Constant(value=int(rank))],
            ):
                yield name, rank
