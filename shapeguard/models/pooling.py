"""Hidden states of padded rows -> one vector a row, by the mask alone: padding may stand left, right or between."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from shapeguard.runtime import guard


@guard
def last_token(hidden: Float[Tensor, "batch seq d"], real: Bool[Tensor, "batch seq"]) -> Float[Tensor, "batch d"]:
    """The hidden state of each row's last real token."""
    batch, seq = real.shape
    places = torch.arange(seq, device=real.device)
    last = places.where(real, 0).amax(dim=1)
    return hidden[torch.arange(batch, device=hidden.device), last.to(hidden.device)]


@guard
def mean_token(hidden: Float[Tensor, "batch seq d"], real: Bool[Tensor, "batch seq"]) -> Float[Tensor, "batch d"]:
    """The mean of each row's real tokens, added up in float32 or better; whatever stands at padding is left out."""
    padding = ~real.to(hidden.device).unsqueeze(-1)
    total = hidden.masked_fill(padding, 0).sum(dim=1, dtype=torch.promote_types(hidden.dtype, torch.float32))
    count = (~padding).sum(dim=1)
    return (total / count).to(hidden.dtype)


@guard
def real_tokens(
    input_ids: Int[Tensor, "batch seq"],
    attention_mask: Int[Tensor, "batch seq"] | Bool[Tensor, "batch seq"] | None,
    config: Any,
) -> Bool[Tensor, "batch seq"]:
    """Where tokens are real. Ids never decide this: a missing mask is refused wherever there may be padding."""
    if attention_mask is None:
        _refuse_hidden_padding(input_ids, config)
        return torch.ones_like(input_ids, dtype=torch.bool)
    real = attention_mask.bool()
    refuse_rows(~real.any(dim=1), "is padding alone: drop it, or mend its attention_mask (1 where a token is real)")
    return real


def _refuse_hidden_padding(input_ids: Tensor, config: Any) -> None:
    pad, eos = config.pad_token_id, getattr(config, "eos_token_id", None)
    way_out = (
        "pass the attention_mask that the tokenizer gives, or torch.ones_like(input_ids) if there is no padding at all"
    )
    if pad is None:
        raise ValueError(f"attention_mask is missing, and the model names no padding token: {way_out}")
    if pad == eos or (isinstance(eos, list) and pad in eos):
        raise ValueError(
            f"attention_mask is missing, and {pad} both pads and ends a text, so that ids can't tell padding: {way_out}"
        )
    refuse_rows(
        (input_ids == pad).any(dim=1), f"holds the padding token {pad}, and attention_mask is missing: {way_out}"
    )


def refuse_ids(input_ids: Int[Tensor, "batch seq"], config: Any) -> None:
    """Stop at the first row with an id that isn't in the vocabulary, at padding too: every id is looked up."""
    vocab = config.get_text_config().vocab_size
    wrong = (input_ids < 0) | (input_ids >= vocab)
    refuse_rows(
        wrong.any(dim=1), f"holds an id that isn't 0 to {vocab - 1}: encode with the tokenizer that goes with the model"
    )


def refuse_rows(wrong: Bool[Tensor, "batch"], problem: str) -> None:
    """Stop at the first wrong row; a compiled program says the same in words of its own."""
    if torch.compiler.is_compiling():
        torch._assert_async(~wrong.any(), f"a row {problem}")  # noqa: SLF001 - has no public name
    elif bool(wrong.any()):
        raise ValueError(f"row {int(wrong.nonzero()[0, 0])} {problem}")
