"""Responses as rows of tokens, what a policy says of their tokens, and what they are to learn from that."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from shapeguard.losses import estimate_kl, gae, masked_whiten
from shapeguard.losses.precision import upcast
from shapeguard.models import pad_rows
from shapeguard.models.value_head import log_probs_of

Done = TypeVar("Done")


class Rows(NamedTuple):
    """Prompts, padded on the left, and responses behind them, padded on the right; an action is a response's token."""

    input_ids: Int[Tensor, "rows seq"]
    attention_mask: Int[Tensor, "rows seq"]
    mask: Bool[Tensor, "rows actions"]
    """Where the last columns are a response's."""


class Actions(NamedTuple):
    """What a model says of each action, of padding too."""

    log_probs: Float[Tensor, "rows actions"]
    values: Float[Tensor, "rows actions"]


class Rollouts(NamedTuple):
    """Responses and what a loss needs to know of them; all rows are of one length, whatever batch they come into."""

    input_ids: Int[Tensor, "rows seq"]
    attention_mask: Int[Tensor, "rows seq"]
    mask: Bool[Tensor, "rows actions"]
    log_probs: Float[Tensor, "rows actions"]
    values: Float[Tensor, "rows actions"]
    advantages: Float[Tensor, "rows actions"]
    returns: Float[Tensor, "rows actions"]


def lay_out(prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]) -> Rows:
    """Prompts and responses as rows."""
    left, right = pad_rows(prompts, side="left"), pad_rows(responses, side="right")
    input_ids, attention_mask = (torch.cat(both, dim=1) for both in zip(left, right, strict=True))
    return Rows(input_ids, attention_mask, right.attention_mask.bool())


def score_actions(
    model: nn.Module,
    input_ids: Int[Tensor, "rows seq"],
    attention_mask: Int[Tensor, "rows seq"],
    actions: int,
    temperature: float,
) -> Actions:
    """Log-probability and value of the last `actions` tokens, at the temperature they were drawn at.

    `model` is a ValueHeadPolicy, wrapped or not.
    """
    logits, values = model(input_ids, attention_mask)
    states = slice(-actions - 1, -1)
    log_probs = log_probs_of(upcast(logits[:, states]) / temperature, input_ids[:, -actions:])
    return Actions(log_probs, values[:, states])


def learn_from(
    rows: Rows,
    policy: Actions,
    reference: Float[Tensor, "rows actions"],
    scores: Float[Tensor, "rows"],
    *,
    coefficient: float,
    gamma: float,
    lam: float,
) -> Rollouts:
    """The advantage and the return of each action.

    Its reward is what it costs to leave the reference there, and at a response's last token the response's score.
    """
    rewards = -coefficient * estimate_kl(policy.log_probs, reference, rows.mask, "k1")
    last = rows.mask.sum(dim=1, keepdim=True) - 1
    rewards = rewards.scatter_add(1, last, scores.to(rewards.dtype).unsqueeze(1))
    advantages, returns = gae(rewards, policy.values, rows.mask, gamma, lam)
    return Rollouts(*rows, *policy, masked_whiten(advantages, rows.mask), returns)


def share(count: int, work: Callable[[list[int]], Sequence[Done]]) -> list[Done]:
    """What `work` makes of the numbers up to `count`, in their order; each process does a part, and all get all."""
    state = PartialState()
    mine = list(range(state.process_index, count, state.num_processes))
    done = gather_object(list(zip(mine, work(mine), strict=True)))
    return [result for _, result in sorted(done, key=lambda pair: pair[0])]
