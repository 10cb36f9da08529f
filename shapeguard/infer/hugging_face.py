"""What is known of transformers' own machinery, which is not followed: caches, masks, activations, the base class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapeguard.infer.values import WHOLE, Bound, Dictionary, Function, Maybe, Pretrained, Scope, certain
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.shape import Axis, Shape

_NOT_FOLLOWED = (
    "transformers.activations",
    "transformers.cache_utils",
    "transformers.generation",
    "transformers.integrations",
    "transformers.masking_utils",
    "transformers.modeling_flash_attention_utils",
    "transformers.modeling_rope_utils",
    "transformers.modeling_utils",
    "transformers.pytorch_utils.apply_chunking_to_forward",
    "transformers.utils",
)


def knows(name: str) -> bool:
    """Whether a name is of the machinery that is not followed."""
    return name.startswith(_NOT_FOLLOWED)


def function(name: str, arguments: list[Any], named: Scope) -> Any:
    """What a function gives that is not followed, by its full name; UNKNOWN for one that isn't known."""
    owner, _, last = name.rpartition(".")
    if last in ("from_pretrained", "from_config") and owner.startswith("transformers."):
        return Pretrained(owner.rpartition(".")[2])
    if last == "get_activation":
        return Bound(UNKNOWN, _elementwise)
    if last == "ACT2FN[]":
        return _elementwise(*arguments)
    if last in _MASKS:
        return _MASKS[last](named)
    if last == "slice_logits_to_keep" and arguments:
        return _with_axis(arguments[0], 1, "kept_seq")
    return method(last, arguments)


def called(model: Pretrained, arguments: list[Any], named: Scope) -> Any:
    """What calling something pretrained gives, as far as the name of its class tells."""
    kind = model.kind
    if kind.endswith(("Tokenizer", "TokenizerFast")):
        # What several texts, or one, become; without tensors asked for, lists.
        ids = Tensor(Shape.of(None, None), "int64")
        entries = (("input_ids", ids), ("attention_mask", ids))
        return Dictionary(entries, is_open=True) if named.get("return_tensors") == "pt" else UNKNOWN
    ids = certain(named.get("input_ids", arguments[0] if arguments else UNKNOWN))
    axes = ids.shape.axes if isinstance(ids, Tensor) and ids.dtype in ("int64", None) else None
    if axes is None or len(axes) != _ROWS_AND_TOKENS:
        return UNKNOWN
    rows, tokens = axes
    loss = ("loss", Tensor(Shape(())))
    if kind.endswith("ForSequenceClassification"):
        return Dictionary((loss, ("logits", Tensor(Shape.of(rows, None)))), is_open=True)
    if kind.endswith(("ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForTokenClassification")):
        return Dictionary((loss, ("logits", Tensor(Shape.of(rows, tokens, None)))), is_open=True)
    if kind.endswith("Model"):
        # With a decoder of its own it is as long as what that is given.
        hidden, pooled = Tensor(Shape.of(rows, None, None)), Tensor(Shape.of(rows, None))
        return Dictionary((("last_hidden_state", hidden), ("pooler_output", pooled)), is_open=True)
    return UNKNOWN


_ROWS_AND_TOKENS = 2


def method(name: str, arguments: list[Any], *, of_self: bool = False) -> Any:
    """What a method gives whose owner isn't known, by its name; UNKNOWN for one that isn't known."""
    if name == "update" and len(arguments) >= 2:  # noqa: PLR2004 - a cache takes keys and values
        keys, values = (_with_axis(value, -2, "kv_seq") for value in arguments[:2])
        return UNKNOWN if keys is UNKNOWN or values is UNKNOWN else (keys, values)
    if name in ("get_seq_length", "get_max_length", "get_max_cache_shape", "get_usable_length"):
        return WHOLE
    if name == "get_interface" and len(arguments) > 1 and isinstance(arguments[1], Function):
        # Whichever is chosen does what the one written in the file does.
        return arguments[1]
    if name == "loss_function" and of_self:
        return Tensor(Shape(()), None)
    if name in ("get_extended_attention_mask", "invert_attention_mask"):
        return Tensor(Shape.of(None, None, None, None))
    return UNKNOWN


def _elementwise(value: Any = UNKNOWN, *_: Any, **__: Any) -> Any:
    return Tensor(Shape(value.shape.axes), value.dtype) if isinstance(value, Tensor) else UNKNOWN


def _with_axis(value: Any, position: int, name: str) -> Any:
    """A tensor one of whose axes has a length of its own."""
    if not isinstance(value, Tensor):
        return UNKNOWN
    axes = value.shape.axes
    if axes is None or not -len(axes) <= position < len(axes):
        return Tensor(Shape.unknown(), value.dtype)
    changed = list(axes)
    changed[position] = Axis.of(Dim(name))
    return Tensor(Shape(tuple(changed)), value.dtype)


def _mask(named: Scope) -> Any:
    batch, length = _rows_and_length(_embedded(named))
    return Maybe(Tensor(Shape.of(batch, 1, length, None)))


def _both_ways(named: Scope) -> Any:
    embeds, others = _embedded(named), certain(named.get("encoder_hidden_states"))
    batch, length = _rows_and_length(embeds)
    _, width = _rows_and_length(embeds if others is None else others)
    return Maybe(Tensor(Shape.of(batch, 1, length, width)))


def _embedded(named: Scope) -> Any:
    return certain(named.get("inputs_embeds", named.get("input_embeds", UNKNOWN)))


def _rows_and_length(value: Any) -> tuple[Axis | None, Axis | None]:
    """The first two axes of a tensor."""
    axes = value.shape.axes if isinstance(value, Tensor) else None
    return (axes[0], axes[1]) if axes is not None and len(axes) > 1 else (None, None)


_MASKS: dict[str, Callable[[Scope], Any]] = {
    "create_causal_mask": _mask,
    "create_sliding_window_causal_mask": _mask,
    "create_chunked_causal_mask": _mask,
    "create_bidirectional_mask": _both_ways,
    "create_bidirectional_sliding_window_mask": _both_ways,
}
