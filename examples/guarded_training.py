"""A reward head trained on pairs under guard, down to a last batch of one.

The better answer of a pair is the one whose hidden states point along a direction that the head has to find.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from shapeguard import expect, guard

WIDTH = 32


@guard(self_dims="d")
class RewardHead(nn.Module):
    """Scores a sequence by its last position; the width that `__init__` saw holds in `forward`."""

    def __init__(self, direction: Float[Tensor, "d"]) -> None:
        super().__init__()
        self.score = nn.Linear(direction.shape[0], 1)

    def forward(self, hidden: Float[Tensor, "batch seq d"]) -> Float[Tensor, "batch"]:
        last = expect(hidden[:, -1], "batch d")
        return self.score(last).squeeze(-1)


@guard
def ranking_loss(chosen: Float[Tensor, "pairs"], rejected: Float[Tensor, "pairs"]) -> Float[Tensor, ""]:
    """Bradley and Terry's: small where the chosen answer scores higher."""
    return -F.logsigmoid(chosen - rejected).mean()


def main() -> None:
    torch.manual_seed(0)
    direction = torch.randn(WIDTH)
    model = RewardHead(direction)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)

    better = torch.randn(257, 9, WIDTH)
    worse = torch.randn(257, 9, WIDTH)
    better[:, -1] += 0.3 * direction
    # 257 pairs in batches of 16 leave one that stands alone: the batch that breaks a bare `.squeeze()`.
    for _ in range(5):
        for chosen, rejected in zip(better.split(16), worse.split(16), strict=True):
            loss = ranking_loss(model(chosen), model(rejected))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    with torch.no_grad():
        accuracy = (model(better) > model(worse)).float().mean().item()
    print(f"{accuracy:.0%} of {len(better)} pairs ranked right; the last batch held {len(better) % 16} pair")


if __name__ == "__main__":
    main()
