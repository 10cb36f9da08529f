"""The small GPT-2 that a task begins with where it is given no model."""

from typing import Any

from transformers import GPT2Config

_HEAD = 32
"""The width of a head of attention."""


def describe_gpt2(tokenizer: Any, *, layers: int, width: int, longest: int, **more: Any) -> GPT2Config:
    """Its config, for a tokenizer; without dropout, since no text is seen often."""
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=longest,
        n_embd=width,
        n_layer=layers,
        n_head=width // _HEAD if width % _HEAD == 0 else 1,
        attn_pdrop=0.0,
        embd_pdrop=0.0,
        resid_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )
