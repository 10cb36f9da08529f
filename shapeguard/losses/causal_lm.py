"""The loss of causal language models: labels go in as they are, and are shifted inside."""

import functools
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from shapeguard.losses.arguments import Items, WhenEmpty
from shapeguard.losses.precision import upcast
from shapeguard.losses.targets import (
    assert_inside,
    divide,
    divide_compiled,
    next_tokens,
    refuse_outside,
)
from shapeguard.runtime import expect, guard


@guard
def causal_lm_loss(
    logits: Float[Tensor, "batch seq vocab"] | Mapping[str, Any],
    labels: Int[Tensor, "batch seq"],
    *,
    ignore_index: int = -100,
    num_items_in_batch: Items = None,
    attention_mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"] | None = None,
    label_smoothing: float = 0.0,
    when_empty: WhenEmpty = "error",
) -> Float[Tensor, ""]:
    """The mean cross-entropy of each token given those before it, computed in float32 at least.

    `labels` are not shifted: `labels[:, t + 1]` is what `logits[:, t]` predict. Supervised is every label that is not
    `ignore_index`, has a position before it, and is not masked. With gradient accumulation, pass to each micro-batch the
    number of supervised tokens in all of them as `num_items_in_batch`: their losses then add up to that of one big
    batch. If there are none at all, the call is refused, or costs 0 with gradients of 0 if `when_empty="zero"`.

    In place of logits a model's outputs are taken, so that it is a `compute_loss_func` of transformers' Trainer.

    A label that is no token is refused by its value and place. That reads the labels back from the device, once. A
    compiled call waits for nothing: it leaves an assertion on the device instead.
    """
    scores: Tensor = expect(logits["logits"], "batch seq vocab") if isinstance(logits, Mapping) else logits
    targets = next_tokens(labels.to(scores.device), attention_mask, ignore_index).flatten()
    rows = scores.flatten(0, 1)
    add_up = functools.partial(
        F.cross_entropy, ignore_index=ignore_index, reduction="sum", label_smoothing=label_smoothing
    )
    if torch.compiler.is_compiling():
        targets = assert_inside(targets, scores.size(2), ignore_index)
        return divide_compiled(add_up(upcast(rows), targets), targets, num_items_in_batch, when_empty, ignore_index)

    supervised = (targets != ignore_index).nonzero()[:, 0]
    refuse_outside(targets[supervised], supervised, scores.size(1), scores.size(2))
    if 2 * len(supervised) <= len(targets):
        rows, targets = rows.index_select(0, supervised), targets[supervised]
    return divide(add_up(upcast(rows), targets), len(supervised), num_items_in_batch, when_empty, ignore_index)
