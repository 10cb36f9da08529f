"""Estimates of how far a policy has moved from a reference, from the log-probabilities of sampled tokens."""

from typing import Literal

from jaxtyping import Bool, Float, Int
from torch import Tensor

from shapeguard.losses.masked import keep
from shapeguard.losses.policy import LARGEST_LOG_RATIO
from shapeguard.runtime import guard


@guard
def estimate_kl(
    log_probs: Float[Tensor, "batch seq"],
    reference_log_probs: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"],
    estimator: Literal["k1", "k2", "k3"] = "k3",
) -> Float[Tensor, "batch seq"]:
    """KL(policy || reference) at each token that the policy has sampled; 0 where the mask is 0.

    With `d = log_probs - reference_log_probs`: k1 is `d`, unbiased and of either sign; k2 is `d ** 2 / 2`, biased and of
    low variance; k3 is `exp(-d) - 1 + d`, unbiased and never negative. Taken from a reward, k1 or k3 estimate it well.
    Added to a loss, k2 is the one whose gradient is that of the divergence; k1's is 0 on average, k3's that of
    KL(reference || policy).
    """
    difference = keep(log_probs, mask) - keep(reference_log_probs, mask)
    match estimator:
        case "k1":
            return difference
        case "k2":
            return difference.square() / 2
        case "k3":
            return (-difference).clamp(max=LARGEST_LOG_RATIO).expm1() + difference
