"""Prompts -> responses, drawn by random numbers of each response's own: its neighbours in a batch change nothing."""

from collections.abc import Collection, Sequence
from random import Random
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor

from shapeguard.models import ValueHeadPolicy, pad_rows


def random_numbers(name: str, count: int) -> list[float]:
    """Numbers in [0, 1) that the name alone decides, on every machine."""
    random = Random(name)  # noqa: S311 - nothing secret
    return [random.random() for _ in range(count)]


@torch.no_grad()
def draw_responses(
    policy: ValueHeadPolicy,
    prompts: Sequence[Sequence[int]],
    numbers: Sequence[Sequence[float]],
    *,
    ends: Collection[int],
    temperature: float,
) -> list[list[int]]:
    """For each prompt as many tokens as it has numbers, or fewer: up to the first of `ends`, which is kept."""
    if not prompts:
        return []
    rows = pad_rows(prompts, side="left")
    device = next(policy.parameters()).device
    draw: Any = _Draw(torch.tensor(numbers, dtype=torch.float64), rows.input_ids.size(1), temperature)
    ids: Tensor = policy.generate(
        rows.input_ids.to(device),
        attention_mask=rows.attention_mask.to(device),
        generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=len(numbers[0]),
            do_sample=False,  # what is likeliest has been drawn already
            eos_token_id=sorted(ends) or None,
            pad_token_id=0,
        ),
        logits_processor=[draw],
    )
    return [_cut(row, ends) for row in ids[:, rows.input_ids.size(1) :].tolist()]


class _Draw(LogitsProcessor):
    """Leaves of each row's tokens the one at which the cumulated probabilities reach the row's number."""

    def __init__(self, numbers: Float[Tensor, "rows steps"], begin: int, temperature: float) -> None:
        self.numbers, self.begin, self.temperature = numbers, begin, temperature

    def __call__(
        self, input_ids: Int[Tensor, "rows seq"], scores: Float[Tensor, "rows vocab"]
    ) -> Float[Tensor, "rows vocab"]:
        precise = torch.float32 if scores.device.type == "mps" else torch.float64
        number = self.numbers[:, input_ids.size(1) - self.begin].to(scores.device, precise)
        reached = (scores.to(precise) / self.temperature).softmax(dim=-1).cumsum(dim=-1)
        # What is to be reached is above 0 and at most the last sum, so a token without probability is never drawn;
        # where all is NaN there is no such token, and any other one will do until the loss tells.
        token = torch.searchsorted(reached, reached[:, -1:] * (1 - number.unsqueeze(1))).clamp(max=scores.size(1) - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, token, 0)


def _cut(response: list[int], ends: Collection[int]) -> list[int]:
    last = next((place for place, token in enumerate(response) if token in ends), len(response) - 1)
    return response[: last + 1]
