"""Generalised advantage estimation over rows in which some slots are no steps."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from shapeguard.losses.masked import keep
from shapeguard.runtime import guard


class Estimates(NamedTuple):
    """What `gae` says of each step; 0 in slots that are none."""

    advantages: Float[Tensor, "batch seq"]
    returns: Float[Tensor, "batch seq"]


@guard
def gae(
    rewards: Float[Tensor, "batch seq"],
    values: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"],
    gamma: float | int = 1.0,
    lam: float | int = 0.95,
    *,
    last_values: Float[Tensor, "batch"] | None = None,
) -> Estimates:
    """The advantage and the return of each step that the mask keeps, as if the other slots were not there.

    They may be padding on either side or stand between steps (a tool's answer between a model's). After its last step a
    row has ended and is worth 0; where it was cut off, `last_values` says what it was worth. Whiten the advantages by
    `masked_whiten`.
    """
    order = torch.argsort(mask == 0, dim=1, stable=True)
    steps = (mask != 0).sum(1, keepdim=True)
    reward, value = (keep(slots, mask).gather(1, order) for slots in (rewards, values))

    following = F.pad(value, (0, 1))[:, 1:]
    if last_values is not None:
        slots = torch.arange(value.size(1), device=value.device)
        following = torch.where(slots == steps - 1, last_values.unsqueeze(1), following)
    advantage = _sum_discounted(reward + gamma * following - value, gamma * lam)

    advantages = torch.zeros_like(advantage).scatter(1, order, advantage)
    return Estimates(advantages, keep(advantages + keep(values, mask), mask))


def _sum_discounted(steps: Float[Tensor, "batch seq"], discount: float) -> Tensor:
    """Each step plus all later ones, discounted by their distance.

    After each round an entry sums twice as many steps, so a row of 1,024 takes ten rounds instead of a loop of 1,024.
    """
    span = 1
    while span < steps.size(1):
        steps = steps + discount**span * F.pad(steps[:, span:], (0, span))
        span *= 2
    return steps
