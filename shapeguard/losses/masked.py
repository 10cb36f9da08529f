"""Means over the slots that a mask keeps; what stands in the others, NaN too, changes no value and no gradient.

A mask is of bool or integers: not 0 keeps. Where it keeps nothing, a mean is 0 with gradients of 0.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from shapeguard.losses.arguments import Items
from shapeguard.losses.precision import upcast
from shapeguard.runtime import guard


@guard
def masked_mean(
    values: Float[Tensor, "*shape"],
    mask: Bool[Tensor, "*shape"] | Int[Tensor, "*shape"],
    *,
    num_items_in_batch: Items = None,
) -> Float[Tensor, ""]:
    """The mean of the values that the mask keeps.

    With gradient accumulation the mean of means weighs tokens unequally: give each micro-batch the number of kept slots
    in all of them as `num_items_in_batch`, and add the results up.
    """
    items = (mask != 0).sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
    return keep(values, mask).sum() / items


@guard
def masked_whiten(
    values: Float[Tensor, "*shape"],
    mask: Bool[Tensor, "*shape"] | Int[Tensor, "*shape"],
    *,
    shift_mean: bool = True,
    epsilon: float = 1e-8,
) -> Float[Tensor, "*shape"]:
    """The kept values with a variance of 1, and a mean of 0 unless `shift_mean=False`; 0 where the mask is 0.

    The variance is the unbiased one. A single kept value has none: it becomes 0, or stays if `shift_mean=False`.
    """
    count = (mask != 0).sum()
    mean = keep(values, mask).sum() / count.clamp(min=1)
    centred = keep(upcast(values) - mean, mask)
    variance = centred.square().sum() / (count - 1).clamp(min=1)
    whitened = centred * torch.rsqrt(variance + epsilon)
    return whitened if shift_mean else keep(whitened + mean, mask)


def keep(values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"] | Int[Tensor, "*shape"]) -> Tensor:
    """The values that the mask keeps, at least in float32, and 0 in the other slots.

    It stands before everything else that is computed: where masked values go through a function first and are dropped
    afterwards, the gradient in their slots is 0 times what may be infinite.
    """
    return torch.where(mask != 0, upcast(values), 0)
