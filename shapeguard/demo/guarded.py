"""The same three accidents under the guard: what the scripts do where it goes wrong, annotated."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from shapeguard.runtime import ShapeError, guard


@guard
def ranking_loss(better: Float[Tensor, "pairs"], worse: Float[Tensor, "pairs"]) -> Float[Tensor, ""]:
    """The loss of the first two scripts."""
    target = torch.ones(better.size(0))
    return F.margin_ranking_loss(better, worse, target, margin=1.0)


@guard
class NextCharacter(nn.Module):
    """The model of the third one."""

    def __init__(self, vocab: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab, 32)
        self.lstm = nn.LSTM(32, 128)
        self.head = nn.Linear(128, vocab)

    def forward(self, ids: Int[Tensor, "batch steps"]) -> Float[Tensor, "steps batch vocab"]:
        """Logits, steps first."""
        x = self.embed(ids)
        out, _ = self.lstm(x.permute(0, 2, 1))
        logits: Tensor = self.head(out)
        return logits


ANNOTATED = {
    "ranking_loss": 'better: Float[Tensor, "pairs"]',
    "bare_squeeze": 'better: Float[Tensor, "pairs"]',
    "lstm_layout": 'ids: Int[Tensor, "batch steps"]` and `-> Float[Tensor, "steps batch vocab"]',
}
"""What a reader has to know of the annotations, for each script."""


def guard_says(name: str) -> str | None:
    """What the guard says of the accident in this script; None if it lets it pass."""
    try:
        match name:
            case "ranking_loss":
                ranking_loss(torch.randn(32, 1), torch.randn(32, 1))
            case "bare_squeeze":
                ranking_loss(torch.randn(1, 1).squeeze(), torch.randn(1, 1).squeeze())
            case "lstm_layout":
                NextCharacter(96)(torch.randint(96, (64, 32)))
    except ShapeError as error:
        return str(error)
    return None
