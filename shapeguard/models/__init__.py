"""Checked reference models: a reward model, an LSTM next-token predictor, a policy with a value head."""

from shapeguard.models.lstm import NextTokenLSTM
from shapeguard.models.pooling import last_token, mean_token
from shapeguard.models.reward import RewardModel
from shapeguard.models.rows import encode_texts, pad_rows
from shapeguard.models.value_head import ActionScores, PolicyOutput, ValueHeadPolicy

__all__ = [
    "ActionScores",
    "NextTokenLSTM",
    "PolicyOutput",
    "RewardModel",
    "ValueHeadPolicy",
    "encode_texts",
    "last_token",
    "mean_token",
    "pad_rows",
]
