"""PPO's clipped losses, per token; what they are measured against is taken as constant.

Gradients flow into the first argument only, so a policy loss trains no value head through its advantages.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from shapeguard.losses.arguments import Items
from shapeguard.losses.masked import keep, masked_mean
from shapeguard.runtime import guard

LARGEST_LOG_RATIO = 60.0
"""Its exponential times any sensible advantage is finite in float32, and so are its gradients."""


@guard
def clipped_policy_loss(
    log_probs: Float[Tensor, "batch seq"],
    old_log_probs: Float[Tensor, "batch seq"],
    advantages: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"],
    *,
    clip: float = 0.2,
    clip_high: float | None = None,
    num_items_in_batch: Items = None,
) -> Float[Tensor, ""]:
    """The mean over kept tokens of `max(-A * ratio, -A * ratio clipped to [1 - clip, 1 + clip])`.

    `clip_high` sets the upper bound apart from the lower one; `num_items_in_batch` is as in `masked_mean`.
    """
    advantage = keep(advantages.detach(), mask)
    log_ratio = keep(log_probs, mask) - keep(old_log_probs.detach(), mask)
    ratio = log_ratio.clamp(max=LARGEST_LOG_RATIO).exp()
    clipped = ratio.clamp(1 - clip, 1 + (clip if clip_high is None else clip_high))
    losses = torch.maximum(-advantage * ratio, -advantage * clipped)
    return masked_mean(losses, mask, num_items_in_batch=num_items_in_batch)


@guard
def clipped_value_loss(
    values: Float[Tensor, "batch seq"],
    old_values: Float[Tensor, "batch seq"],
    returns: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"],
    *,
    clip: float = 0.2,
    num_items_in_batch: Items = None,
) -> Float[Tensor, ""]:
    """Half the mean over kept tokens of the larger squared error: of the values, or of those kept near the old ones."""
    value, old, target = (keep(slots, mask) for slots in (values, old_values.detach(), returns.detach()))
    clipped = old + (value - old).clamp(-clip, clip)
    losses = torch.maximum((value - target).square(), (clipped - target).square())
    return 0.5 * masked_mean(losses, mask, num_items_in_batch=num_items_in_batch)
