"""Texts and lists of ids, each of its own length -> ids in rows, and the mask that says which are real."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from shapeguard.runtime import guard


class Rows(NamedTuple):
    """Padded rows: `model(*rows)` and `model(**rows._asdict())` both work."""

    input_ids: Int[Tensor, "batch seq"]
    attention_mask: Int[Tensor, "batch seq"]


@guard
def pad_rows(rows: Sequence[Sequence[int]], *, side: Literal["left", "right"] = "right", fill: int = 0) -> Rows:
    """Rows filled up to the longest one. `fill` may be any id of the vocabulary: the mask tells it from real ones."""
    empty = [number for number, row in enumerate(rows) if len(row) == 0]
    if empty:
        raise ValueError(f"row {empty[0]} is empty: drop it, or put a token into it that begins every text")
    seq = max(map(len, rows), default=0)
    input_ids = torch.full((len(rows), seq), fill)
    attention_mask = torch.zeros_like(input_ids)
    for number, row in enumerate(rows):
        places = slice(0, len(row)) if side == "right" else slice(seq - len(row), seq)
        input_ids[number, places] = torch.as_tensor(row)
        attention_mask[number, places] = 1
    return Rows(input_ids, attention_mask)


@guard
def encode_texts(texts: Sequence[str], tokenizer: Any, *, max_length: int | None = None) -> Rows:
    """Texts as a tokenizer of transformers encodes them, cut at `max_length`, padded on the tokenizer's side."""
    if isinstance(texts, str):
        raise ValueError("texts is one text; pass a list of them, [text]")  # noqa: TRY004 - the same for every bad input
    if tokenizer.pad_token_id is None:
        raise ValueError(
            "the tokenizer has no padding token: set tokenizer.pad_token = tokenizer.eos_token; the attention mask "
            "keeps the two apart"
        )
    encoded = tokenizer(list(texts), truncation=max_length is not None, max_length=max_length)
    return pad_rows(encoded.input_ids, side=tokenizer.padding_side, fill=tokenizer.pad_token_id)
