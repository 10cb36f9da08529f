"""Losses that cannot broadcast, shift twice, or turn into NaN on a batch of one or of nothing."""

from shapeguard.losses.advantages import Estimates, gae
from shapeguard.losses.causal_lm import causal_lm_loss
from shapeguard.losses.kl import estimate_kl
from shapeguard.losses.linear import linear_causal_lm_loss
from shapeguard.losses.linear_models import use_linear_loss
from shapeguard.losses.masked import masked_mean, masked_whiten
from shapeguard.losses.policy import clipped_policy_loss, clipped_value_loss
from shapeguard.losses.ranking import (
    BradleyTerryLoss,
    MarginRankingLoss,
    as_scores,
    bradley_terry_loss,
    margin_ranking_loss,
)
from shapeguard.losses.targets import count_supervised

__all__ = [
    "BradleyTerryLoss",
    "Estimates",
    "MarginRankingLoss",
    "as_scores",
    "bradley_terry_loss",
    "causal_lm_loss",
    "clipped_policy_loss",
    "clipped_value_loss",
    "count_supervised",
    "estimate_kl",
    "gae",
    "linear_causal_lm_loss",
    "margin_ranking_loss",
    "masked_mean",
    "masked_whiten",
    "use_linear_loss",
]
