"""A reward model as a judge of texts: it need not share a single token with the policy that wrote them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from shapeguard.config import UsageError
from shapeguard.models import RewardModel, pad_rows
from shapeguard.models.backbone import positions_of
from shapeguard.train import tokens
from shapeguard.train.reward import encode_whole

Judge = Callable[[Sequence[str], Sequence[str]], Float[Tensor, "texts"]]
"""The reward of each response to its prompt: the higher, the better."""

_AT_ONCE = 64


class RewardJudge:
    """The rewards that a model gives to prompts with their responses, encoded as the texts that it was trained on.

    Of what has more tokens than the model has positions, the last ones count.
    """

    def __init__(self, model: RewardModel, tokenizer: Any) -> None:
        self.model, self.tokenizer = model.eval().requires_grad_(False), tokenizer  # noqa: FBT003
        self.special = tokens.template_of(tokenizer) is not None
        self.most = positions_of(model.backbone)

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> Float[Tensor, "texts"]:
        """The reward of each response to its prompt."""
        texts = [prompt + response for prompt, response in zip(prompts, responses, strict=True)]
        encoded = encode_whole(self.tokenizer, texts, special=self.special)
        encoded = [row[-(self.most or len(row)) :] for row in encoded]
        device = self.model.score.weight.device
        rewards = [torch.zeros(0)]
        for begin in range(0, len(encoded), _AT_ONCE):
            rows = pad_rows(encoded[begin : begin + _AT_ONCE])
            try:
                rewards.append(self.model(*(part.to(device) for part in rows)).float().cpu())
            except ValueError as error:
                raise UsageError(f"the reward model can't judge what was written: {error}") from error
        return torch.cat(rewards)


def load_judge(folder: Path) -> RewardJudge:
    """The judge that `shapeguard train reward` has left in a folder."""
    if not folder.is_dir():
        raise UsageError(
            f"no reward model in {folder}: train one with `shapeguard train reward`, or name one by --reward"
        )
    try:
        model = RewardModel.from_pretrained(folder)
    except ValueError as error:
        raise UsageError(f"--reward: {error}") from error
    return RewardJudge(model, tokens.load_tokenizer(str(folder)))
