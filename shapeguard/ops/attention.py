"""Attention: the function, and the layer with its projections and masks."""

# ruff: noqa: FBT002, PLR0913, PLR0917 - torch's defaults and parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shapeguard.ops.demands import (
    Demands,
    axes_of,
    dim_of,
    flag_of,
    int_of,
    layer,
    parameter,
    parameter_dtype,
    product,
    quotient,
)
from shapeguard.ops.layers import floating
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Module, Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Axis, Shape


@op(
    "torch.nn.functional.scaled_dot_product_attention",
    examples=(
        "f(t(2, 8, 5, 4), t(2, 8, 3, 4), t(2, 8, 3, 6))",
        "f(t(5, 4), t(3, 4), t(3, 4))",
        "f(t(2, 8, 5, 4), t(2, 8, 5, 4), t(2, 8, 5, 4), None, 0.0, True)",
        "f(t(2, 8, 5, 4), t(2, 8, 3, 4), t(2, 8, 3, 4), attn_mask=t(5, 3))",
        "f(t(2, 8, 5, 4), t(2, 8, 3, 4), t(2, 8, 3, 4), attn_mask=t(2, 1, 1, 3, dtype=boolean))",
        "f(t(2, 8, 5, 4), t(1, 1, 3, 4), t(2, 8, 3, 4))",
        "f(t(2, 8, 5, 4), t(2, 2, 3, 4), t(2, 2, 3, 4), enable_gqa=True)",
        "f(t(2, 8, 5, 4), t(2, 8, 3, 5), t(2, 8, 3, 6))",
        "f(t(2, 8, 5, 4), t(2, 8, 3, 4), t(2, 8, 4, 4))",
        "f(t(2, 8, 5, 4), t(2, 2, 3, 4), t(2, 2, 3, 4))",
        "f(t(2, 8, 5, 4), t(2, 3, 3, 4), t(2, 3, 3, 4), enable_gqa=True)",
        "f(t(2, 8, 5, 4), t(2, 8, 3, 4), t(2, 8, 3, 4), attn_mask=t(5, 4))",
        "f(t(2, 8, 5, 4), t(2, 8, 3, 4), t(2, 8, 3, 4), attn_mask=t(2, 3))",
        "f(t(4), t(3, 4), t(3, 4))",
    ),
)
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: Any = 0.0,
    is_causal: Any = False,
    scale: Any = None,
    enable_gqa: Any = False,
) -> Result:
    """(..., l, e), (..., s, e) and (..., s, v) to (..., l, v)."""
    del dropout_p, is_causal, scale
    if not isinstance(query, Tensor):
        return UNKNOWN
    demands = Demands("scaled_dot_product_attention")
    asking = demands.rank(query, 2, name="query")
    keys, values = demands.rank(key, 2, name="key"), demands.rank(value, 2, name="value")
    if keys is not None and asking is not None:
        demands.axis(keys, -1, asking[-1].size, "key")
    if values is not None and keys is not None:
        demands.axis(values, -2, keys[-2].size, "value")
    grouped = flag_of(enable_gqa)
    leading: tuple[Axis, ...] | None = None
    if asking is not None:
        leading = asking[:-2]
        if grouped is False:
            others = [Shape(axes[:-2]) for axes in (keys, values) if axes is not None]
            leading = demands.takes(shapes.broadcast(Shape(leading), *others))
        elif grouped:
            for axes in (keys, values):
                if axes is not None and len(axes) > 2 and len(asking) > 2:  # noqa: PLR2004 - heads before the matrices
                    demands.divisible(asking[-3].size, axes[-3].size, "the heads of `query`")
    if asking is None or leading is None:
        return demands.gives(None, floating(query))
    mask = axes_of(attn_mask)
    if mask is not None and keys is not None:
        wanted = Shape((*leading, asking[-2], keys[-2]))
        stretched = demands.takes(shapes.broadcast(wanted, Shape(mask)))
        if stretched is not None and len(stretched) != len(asking):
            return demands.gives(None, floating(query))
    return demands.gives((*leading, asking[-2], None if values is None else values[-1]), floating(query))


@dataclass(frozen=True)
class Heads:
    """The sizes of an attention layer; None for what isn't known."""

    name: str
    embed_dim: Dim | None
    num_heads: Dim | None
    key_dim: Dim | None
    value_dim: Dim | None
    batch_first: bool | None
    extra: Dim | None
    """Keys that the layer adds."""


def attend(
    heads: Heads,
    query: Any,
    key: Any,
    value: Any,
    key_padding_mask: Any = None,
    attn_mask: Any = None,
    *,
    need_weights: bool | None = True,
    average: bool | None = True,
) -> Result:
    """What an attention layer gives: the values found, and the weights."""
    if not isinstance(query, Tensor):
        return (UNKNOWN_TENSOR, UNKNOWN if need_weights is not False else None)
    demands = Demands(heads.name)
    asking = demands.rank(query, 2, 3, "query")
    rank = None if asking is None else len(asking)
    keys, values = (demands.rank(entry, rank or 2, rank or 3, name) for entry, name in ((key, "key"), (value, "value")))
    demands.axis(asking, -1, heads.embed_dim, "query")
    demands.axis(keys, -1, heads.key_dim, "key")
    demands.axis(values, -1, heads.value_dim, "value")
    # The places of the batch and of the steps.
    batch, steps = (None, 0) if rank == 2 else (0, 1) if heads.batch_first else (1, 0)  # noqa: PLR2004 - no batch
    known = rank == 2 or heads.batch_first is not None  # noqa: PLR2004 - no batch
    if keys is not None and values is not None:
        demands.shape(value, (*keys[:-1], values[-1]), "value", "there is one for each `key`")
    many: Axis | None = None
    length: Axis | None = None
    source: Axis | None = None
    if asking is not None and known:
        many = None if batch is None else asking[batch]
        length, source = asking[steps], None if keys is None else keys[steps]
        if batch is not None and many is not None and keys is not None:
            demands.axis(keys, batch, many.size, "key")
    if asking is None or not known:
        return _attended(demands, None if asking is None else (*asking[:-1], heads.embed_dim), query, UNKNOWN)
    wide = () if batch is None else (many,)
    if source is not None:
        demands.shape(key_padding_mask, (*wide, source), "key_padding_mask")
        _demand_mask(demands, attn_mask, heads, many, (length, source))
    if need_weights is False:
        weights: Any = None
    else:
        total = None if source is None or source.size is None or heads.extra is None else source.size + heads.extra
        each_head = () if average else (heads.num_heads,)
        unsure = need_weights is None or average is None
        weights = UNKNOWN if unsure else Tensor(Shape.of(*wide, *each_head, length, total), floating(query))
    return _attended(demands, (*asking[:-1], heads.embed_dim), query, weights)


def _attended(demands: Demands, sizes: Any, query: Any, weights: Any) -> Result:
    found = demands.gives(sizes, floating(query))
    return found if isinstance(found, Mismatch) else (found, weights)


def _demand_mask(
    demands: Demands, mask: Any, heads: Heads, many: Axis | None, matrix: tuple[Axis | None, Axis | None]
) -> None:
    axes = demands.rank(mask, 2, 3, "attn_mask")
    if axes is None:
        return
    if len(axes) == 2:  # noqa: PLR2004 - one for all heads
        demands.shape(mask, matrix, "attn_mask")
    else:
        count = product((Dim(1) if many is None else many.size, heads.num_heads))
        demands.shape(mask, (count, *matrix), "attn_mask", "there is one for each head")


def demand_heads(demands: Demands, embed_dim: Any, num_heads: Any) -> None:
    """Demand that the features can be divided among the heads."""
    if int_of(num_heads) is not None and (int_of(num_heads) or 0) <= 0:
        demands.refuse(f"takes a num_heads above 0, not {num_heads}")
    else:
        demands.divisible(embed_dim, num_heads, "embed_dim")


@module(
    "torch.nn.MultiheadAttention",
    examples=(
        "f(4, 2)(t(5, 6, 4), t(3, 6, 4), t(3, 6, 4))",
        "f(4, 2, batch_first=True)(t(6, 5, 4), t(6, 3, 4), t(6, 3, 4))",
        "f(4, 2)(t(5, 4), t(3, 4), t(3, 4))",
        "f(4, 2)(t(5, 6, 4), t(3, 6, 4), t(3, 6, 4), need_weights=False)",
        "f(4, 2)(t(5, 6, 4), t(3, 6, 4), t(3, 6, 4), average_attn_weights=False)",
        "f(4, 2, add_bias_kv=True, add_zero_attn=True)(t(5, 6, 4), t(3, 6, 4), t(3, 6, 4))",
        "f(4, 2, kdim=7, vdim=8)(t(5, 6, 4), t(3, 6, 7), t(3, 6, 8))",
        "f(4, 2)(t(5, 6, 4), t(3, 6, 4), t(3, 6, 4), t(6, 3, dtype=boolean), True, t(5, 3, dtype=boolean))",
        "f(4, 2)(t(5, 6, 4), t(3, 6, 4), t(3, 6, 4), attn_mask=t(12, 5, 3))",
        "f(5, 2)(t(5, 6, 5), t(3, 6, 5), t(3, 6, 5))",
        "f(4, 2)(t(5, 6, 3), t(3, 6, 4), t(3, 6, 4))",
        "f(4, 2)(t(5, 6, 4), t(3, 7, 4), t(3, 7, 4))",
        "f(4, 2)(t(5, 6, 4), t(3, 6, 4), t(2, 6, 4))",
        "f(4, 2)(t(5, 6, 4), t(3, 4), t(3, 4))",
        "f(4, 2)(t(5, 6, 4), t(3, 6, 4), t(3, 6, 4), attn_mask=t(3, 5))",
        "f(4, 2)(t(5, 6, 4), t(3, 6, 4), t(3, 6, 4), key_padding_mask=t(3, 6, dtype=boolean))",
    ),
)
def multihead_attention_layer(
    embed_dim: Any,
    num_heads: Any,
    dropout: Any = 0.0,
    bias: Any = True,
    add_bias_kv: Any = False,
    add_zero_attn: Any = False,
    kdim: Any = None,
    vdim: Any = None,
    batch_first: Any = False,
    device: Any = None,
    dtype: Any = None,
) -> Result:
    """Queries, keys and values to what is found and the weights."""
    del dropout, device
    demands = Demands("MultiheadAttention")
    demand_heads(demands, embed_dim, num_heads)
    if demands.refusal is not None:
        return demands.refusal
    size, count = dim_of(embed_dim), dim_of(num_heads)
    added = [flag_of(add_bias_kv), flag_of(add_zero_attn)]
    heads = Heads(
        "MultiheadAttention",
        size,
        count,
        size if kdim is None else dim_of(kdim),
        size if vdim is None else dim_of(vdim),
        flag_of(batch_first),
        None if None in added else Dim(sum(map(bool, added))),
    )

    def forward(
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: Any = True,
        attn_mask: Any = None,
        average_attn_weights: Any = True,
        is_causal: Any = False,
    ) -> Result:
        del is_causal
        wanted, average = flag_of(need_weights), flag_of(average_attn_weights)
        return attend(heads, query, key, value, key_padding_mask, attn_mask, need_weights=wanted, average=average)

    made, biased = parameter_dtype(dtype), flag_of(bias)
    together = kdim is None and vdim is None
    triple = None if size is None else 3 * size
    return layer(
        forward,
        embed_dim=embed_dim,
        num_heads=num_heads,
        head_dim=quotient(size, count) or UNKNOWN,
        batch_first=batch_first,
        in_proj_weight=parameter((triple, size), made) if together else UNKNOWN,
        in_proj_bias=parameter((triple,), made, present=biased),
        out_proj=Module(
            lambda *_, **__: UNKNOWN_TENSOR,
            {"weight": parameter((size, size), made), "bias": parameter((size,), made, present=biased)},
        ),
    )


@op(
    "torch.nn.functional.multi_head_attention_forward",
    examples=(
        "f(t(5, 6, 4), t(3, 6, 4), t(3, 6, 4), 4, 2, t(12, 4), t(12), None, None, False, 0.0, t(4, 4), t(4))",
        "f(t(5, 4), t(3, 4), t(3, 4), 4, 2, t(12, 4), None, None, None, True, 0.0, t(4, 4), None, need_weights=False)",
        "f(t(5, 6, 8), t(3, 6, 8), t(3, 6, 8), 4, 2, t(12, 4), t(12), None, None, False, 0.0, t(4, 4), t(4))",
        "f(t(5, 6, 4), t(3, 6, 4), t(2, 6, 4), 4, 2, t(12, 4), t(12), None, None, False, 0.0, t(4, 4), t(4))",
    ),
)
def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: Any,
    num_heads: Any,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: Any,
    *_: Any,
    key_padding_mask: Any = None,
    need_weights: Any = True,
    attn_mask: Any = None,
    use_separate_proj_weight: Any = False,
    average_attn_weights: Any = True,
    **more: Any,
) -> Result:
    """What nn.MultiheadAttention does, with the weights as arguments."""
    del in_proj_weight, in_proj_bias, bias_v
    # What else is given by place stands behind the weights.
    if len(_) > 4 or more.get("static_k") is not None or more.get("static_v") is not None:  # noqa: PLR2004
        return (UNKNOWN_TENSOR, UNKNOWN)
    size = dim_of(embed_dim_to_check)
    added = [False if bias_k is None else True if isinstance(bias_k, Tensor) else None, flag_of(add_zero_attn)]
    own = None if flag_of(use_separate_proj_weight) is not False else size
    extra = None if None in added else Dim(sum(map(bool, added)))
    heads = Heads("multi_head_attention_forward", size, dim_of(num_heads), own, own, batch_first=False, extra=extra)
    wanted, average = flag_of(need_weights), flag_of(average_attn_weights)
    return attend(heads, query, key, value, key_padding_mask, attn_mask, need_weights=wanted, average=average)
