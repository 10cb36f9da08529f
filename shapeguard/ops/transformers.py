"""torch's Transformer: encoder and decoder layers, stacks of them, and both together."""

# ruff: noqa: FBT002, PLR0913, PLR0917 - torch's defaults and parameters

from __future__ import annotations

from typing import Any

from shapeguard.ops.attention import Heads, attend, demand_heads
from shapeguard.ops.demands import Demands, dim_of, flag_of, layer
from shapeguard.ops.registry import module
from shapeguard.ops.values import UNKNOWN, Module, Result
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import Mismatch


def _heads(name: str, d_model: Any, nhead: Any, batch_first: Any) -> Heads | Mismatch:
    demands = Demands(name)
    demand_heads(demands, d_model, nhead)
    if demands.refusal is not None:
        return demands.refusal
    size = dim_of(d_model)
    return Heads(name, size, dim_of(nhead), size, size, flag_of(batch_first), Dim(0))


def _found(heads: Heads, query: Any, key: Any, padding: Any, mask: Any) -> Result:
    """What attention finds, which is as large as what it asks for."""
    found = attend(heads, query, key, key, padding, mask, need_weights=False)
    return found[0] if isinstance(found, tuple) else found


@module(
    "torch.nn.TransformerEncoderLayer",
    examples=(
        "f(4, 2)(t(5, 6, 4))",
        "f(4, 2, 8, batch_first=True)(t(6, 5, 4), t(5, 5))",
        "f(4, 2, 8, norm_first=True)(t(5, 4))",
        "f(4, 2, 8)(t(5, 6, 4), src_key_padding_mask=t(6, 5, dtype=boolean))",
        "f(4, 3)(t(5, 6, 4))",
        "f(4, 2)(t(5, 6, 8))",
        "f(4, 2)(t(5, 6, 4), t(6, 6))",
    ),
)
def encoder_layer(
    d_model: Any,
    nhead: Any,
    dim_feedforward: Any = 2048,
    dropout: Any = 0.1,
    activation: Any = UNKNOWN,
    layer_norm_eps: Any = 1e-5,
    batch_first: Any = False,
    *_: Any,
    **__: Any,
) -> Result:
    """The same shape."""
    del dim_feedforward, dropout, activation, layer_norm_eps
    heads = _heads("TransformerEncoderLayer", d_model, nhead, batch_first)
    if isinstance(heads, Mismatch):
        return heads

    def forward(src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: Any = False) -> Result:
        del is_causal
        return _found(heads, src, src, src_key_padding_mask, src_mask)

    return layer(forward)


@module(
    "torch.nn.TransformerDecoderLayer",
    examples=(
        "f(4, 2)(t(5, 6, 4), t(3, 6, 4))",
        "f(4, 2, 8, batch_first=True)(t(6, 5, 4), t(6, 3, 4), t(5, 5), t(5, 3))",
        "f(4, 3)(t(5, 6, 4), t(3, 6, 4))",
        "f(4, 2)(t(5, 6, 4), t(3, 6, 8))",
        "f(4, 2)(t(5, 6, 4), t(3, 7, 4))",
    ),
)
def decoder_layer(
    d_model: Any,
    nhead: Any,
    dim_feedforward: Any = 2048,
    dropout: Any = 0.1,
    activation: Any = UNKNOWN,
    layer_norm_eps: Any = 1e-5,
    batch_first: Any = False,
    *_: Any,
    **__: Any,
) -> Result:
    """The shape of the target."""
    del dim_feedforward, dropout, activation, layer_norm_eps
    heads = _heads("TransformerDecoderLayer", d_model, nhead, batch_first)
    if isinstance(heads, Mismatch):
        return heads

    def forward(
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        *_: Any,
        **__: Any,
    ) -> Result:
        first = _found(heads, tgt, tgt, tgt_key_padding_mask, tgt_mask)
        return (
            first if isinstance(first, Mismatch) else _found(heads, first, memory, memory_key_padding_mask, memory_mask)
        )

    return layer(forward)


@module("torch.nn.TransformerEncoder", examples=())  # no example can make the layer that it takes
def encoder(encoder_layer: Any, num_layers: Any, norm: Any = None, *_: Any, **__: Any) -> Result:
    """What its layer does to a shape; several do the same."""

    def forward(src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: Any = None) -> Result:
        del is_causal
        if not isinstance(encoder_layer, Module):
            return UNKNOWN
        return _normalized(encoder_layer.forward(src, mask, src_key_padding_mask), norm)

    return layer(forward, num_layers=num_layers, norm=norm)


@module("torch.nn.TransformerDecoder", examples=())  # no example can make the layer that it takes
def decoder(decoder_layer: Any, num_layers: Any, norm: Any = None) -> Result:
    """What its layer does to a shape; several do the same."""

    def forward(tgt: Any, memory: Any, *masks: Any, **named: Any) -> Result:
        if not isinstance(decoder_layer, Module):
            return UNKNOWN
        return _normalized(decoder_layer.forward(tgt, memory, *masks, **named), norm)

    return layer(forward, num_layers=num_layers, norm=norm)


def _normalized(value: Result, norm: Any) -> Result:
    if norm is None or isinstance(value, Mismatch):
        return value
    return norm.forward(value) if isinstance(norm, Module) else UNKNOWN


@module(
    "torch.nn.Transformer",
    examples=(
        "f(4, 2, 1, 1, 8, batch_first=True)(t(5, 4), t(3, 4))",
        "f(4, 2, 1, 1, 8, batch_first=True)(t(6, 5, 4), t(6, 3, 4))",
        "f(4, 2, 1, 1, 8, batch_first=True)(t(5, 6, 4), t(3, 6, 4))",
        "f(4, 2, 1, 1, 8, batch_first=True)(t(6, 5, 8), t(6, 3, 8))",
        "f(4, 3, 1, 1, 8)(t(5, 6, 4), t(3, 6, 4))",
    ),
)
def transformer(
    d_model: Any = 512,
    nhead: Any = 8,
    num_encoder_layers: Any = 6,
    num_decoder_layers: Any = 6,
    dim_feedforward: Any = 2048,
    dropout: Any = 0.1,
    activation: Any = UNKNOWN,
    custom_encoder: Any = None,
    custom_decoder: Any = None,
    layer_norm_eps: Any = 1e-5,
    batch_first: Any = False,
    *_: Any,
    **__: Any,
) -> Result:
    """The shape of the target."""
    del num_encoder_layers, num_decoder_layers, dim_feedforward, dropout, activation, layer_norm_eps
    heads = _heads("Transformer", d_model, nhead, batch_first)
    if isinstance(heads, Mismatch):
        return heads

    def forward(
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        *_: Any,
        **__: Any,
    ) -> Result:
        if custom_encoder is not None or custom_decoder is not None:
            return UNKNOWN
        memory = _found(heads, src, src, src_key_padding_mask, src_mask)
        decoded = _found(heads, tgt, tgt, tgt_key_padding_mask, tgt_mask)
        for outcome in (memory, decoded):
            if isinstance(outcome, Mismatch):
                return outcome
        return _found(heads, decoded, memory, memory_key_padding_mask, memory_mask)

    return layer(forward, d_model=d_model, nhead=nhead, batch_first=batch_first)
