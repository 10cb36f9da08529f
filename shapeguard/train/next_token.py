"""What the LSTM and the language model have in common: windows of texts, and how well their tokens are predicted."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from shapeguard.config import UsageError
from shapeguard.losses import count_supervised
from shapeguard.losses.targets import next_tokens
from shapeguard.train.baselines import count_pairs, measure_baselines
from shapeguard.train.data.records import Problem, Text
from shapeguard.train.task import Batch, Task
from shapeguard.train.windows import IGNORED, Window, collate_windows, make_windows, pairs_of


class NextTokenTask(Task):
    """A model that predicts the next token, and texts to train it on."""

    items: ClassVar[str] = "windows"

    def __init__(
        self, model: nn.Module, tokenizer: Any, train: Sequence[Text], held_out: Sequence[Text], *, longest: int
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.train, wrong = make_windows(train, tokenizer, longest)
        self.held_out, more = make_windows(held_out, tokenizer, longest)
        self.problems: list[Problem] = [*wrong, *more]
        for what, windows in (("train on", self.train), ("evaluate on", self.held_out)):
            if not windows:
                first = f" ({self.problems[0].place}: {self.problems[0].sentence})" if self.problems else ""
                raise UsageError(f"there is no text to {what}{first}")
        self.baselines = measure_baselines(count_pairs(pairs_of(self.train), len(tokenizer)), pairs_of(self.held_out))

    @abstractmethod
    def predict(self, model: nn.Module, batch: Batch) -> Float[Tensor, "batch seq vocab"]:
        """The logits of the token behind each one."""

    def collate(self, items: Sequence[Window]) -> Batch:
        """Rows padded on the right; labels stand where the ids stand, and are those that are learned."""
        return collate_windows(items)

    def length(self, item: Window) -> int:
        """Tokens."""
        return len(item.ids)

    def count(self, batch: Batch) -> int:
        """Tokens that are predicted."""
        return int(count_supervised(batch["labels"]))

    def observe(self, model: nn.Module, batch: Batch) -> Float[Tensor, "batch 4"]:
        """Of each window: the sum of its losses, how many tokens are predicted right, how many there are, its text."""
        logits = self.predict(model, batch)
        targets = next_tokens(batch["labels"], None, IGNORED)
        rows, places = (targets != IGNORED).nonzero(as_tuple=True)
        logits, targets = logits[rows, places].float(), targets[rows, places]
        losses = F.cross_entropy(logits, targets, reduction="none")
        right = (logits.argmax(dim=-1) == targets).float()
        figures = torch.stack([losses, right, torch.ones_like(right)], dim=1)
        sums = figures.new_zeros(len(batch["texts"]), 3).index_add(0, rows, figures)
        return torch.cat([sums, batch["texts"].unsqueeze(1).to(sums)], dim=1)

    def summarise(self, observed: Float[Tensor, "windows 4"]) -> dict[str, float]:
        """Over all tokens that are predicted; the baselines are those of counting in what is trained on."""
        losses, right, counts, texts = observed.double().unbind(1)
        loss, accuracy = losses.sum() / counts.sum(), right.sum() / counts.sum()
        return {
            "loss": loss.item(),
            "perplexity": loss.exp().item(),
            "accuracy": accuracy.item(),
            "standard_error": standard_error(right, counts, texts),
            "unigram_baseline": self.baselines.unigram_accuracy,
            "bigram_baseline": self.baselines.bigram_accuracy,
        }


def standard_error(
    right: Float[Tensor, "windows"], counts: Float[Tensor, "windows"], texts: Float[Tensor, "windows"]
) -> float:
    """That of the share of right tokens, by how it differs from text to text: tokens of one text are alike.

    A single text tells no difference; its tokens are then taken for independent.
    """
    total, accuracy = counts.sum(), right.sum() / counts.sum()
    which = torch.unique(texts, return_inverse=True)[1]
    number = int(which.max()) + 1
    if number == 1:
        return float((accuracy * (1 - accuracy) / total).sqrt())
    apart = right.new_zeros(number).index_add(0, which, right - accuracy * counts)
    return float((apart.square().sum() * number / (number - 1)).sqrt() / total)
