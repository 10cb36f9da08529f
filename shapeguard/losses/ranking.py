"""Losses over pairs of scores, of which the chosen one should be the higher."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from shapeguard.losses.arguments import WhenEmpty
from shapeguard.losses.precision import upcast
from shapeguard.runtime import guard


@guard
def margin_ranking_loss(
    chosen: Float[Tensor, "pairs"],
    rejected: Float[Tensor, "pairs"],
    margin: float | int | Float[Tensor, "pairs"] = 0.0,
    *,
    when_empty: WhenEmpty = "error",
) -> Float[Tensor, ""]:
    """The mean over pairs of how far the chosen score misses the rejected one plus `margin`.

    It is `torch.nn.functional.margin_ranking_loss` with a target of ones. A batch of no pairs is refused, or costs 0
    with gradients of 0 if `when_empty="zero"`.
    """
    chosen, rejected = upcast(chosen), upcast(rejected)
    return _average((rejected - chosen + margin).clamp_min(0), when_empty)


@guard
def bradley_terry_loss(
    chosen: Float[Tensor, "pairs"],
    rejected: Float[Tensor, "pairs"],
    margin: float | int | Float[Tensor, "pairs"] = 0.0,
    *,
    center: float | int = 0.0,
    when_empty: WhenEmpty = "error",
) -> Float[Tensor, ""]:
    """The mean of `-log sigmoid(chosen - rejected - margin)`: how unlikely the model finds each choice.

    Only differences count in it, so scores may drift; `center` weighs a mean of `(chosen + rejected) ** 2` that keeps
    them around 0. A batch of no pairs is refused, or costs 0 with gradients of 0 if `when_empty="zero"`.
    """
    chosen, rejected = upcast(chosen), upcast(rejected)
    losses = -F.logsigmoid(chosen - rejected - margin)
    if center:
        losses = losses + center * (chosen + rejected).square()
    return _average(losses, when_empty)


@guard
def as_scores(
    scores: Float[Tensor, "pairs"] | Float[Tensor, "pairs 1"],
) -> Float[Tensor, "pairs"]:
    """The scores of a head that gives `[pairs, 1]` as `[pairs]`, for a batch of one too; nothing else is taken."""
    return scores[:, 0] if scores.ndim == 2 else scores  # noqa: PLR2004 - the two shapes that come in


class MarginRankingLoss(nn.Module):
    """`margin_ranking_loss` as a module."""

    def __init__(self, margin: float = 0.0, *, when_empty: WhenEmpty = "error") -> None:
        super().__init__()
        self.margin = margin
        self.when_empty: WhenEmpty = when_empty

    @guard
    def forward(self, chosen: Float[Tensor, "pairs"], rejected: Float[Tensor, "pairs"]) -> Float[Tensor, ""]:
        """The loss of these pairs."""
        return margin_ranking_loss(chosen, rejected, self.margin, when_empty=self.when_empty)

    def extra_repr(self) -> str:
        """The settings, as `print(model)` shows them."""
        return f"margin={self.margin}, when_empty={self.when_empty!r}"


class BradleyTerryLoss(nn.Module):
    """`bradley_terry_loss` as a module; a margin for each pair goes into `forward`."""

    def __init__(self, margin: float = 0.0, *, center: float = 0.0, when_empty: WhenEmpty = "error") -> None:
        super().__init__()
        self.margin = margin
        self.center = center
        self.when_empty: WhenEmpty = when_empty

    @guard
    def forward(
        self,
        chosen: Float[Tensor, "pairs"],
        rejected: Float[Tensor, "pairs"],
        margin: Float[Tensor, "pairs"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of these pairs; `margin` stands in for the module's own."""
        return bradley_terry_loss(
            chosen,
            rejected,
            self.margin if margin is None else margin,
            center=self.center,
            when_empty=self.when_empty,
        )

    def extra_repr(self) -> str:
        """The settings, as `print(model)` shows them."""
        return f"margin={self.margin}, center={self.center}, when_empty={self.when_empty!r}"


def _average(losses: Float[Tensor, "pairs"], when_empty: WhenEmpty) -> Tensor:
    pairs = losses.size(0)
    if pairs == 0 and when_empty == "error":
        raise ValueError("there are no pairs to rank: skip such a batch, or pass when_empty='zero'")
    return losses.sum() / max(pairs, 1)
