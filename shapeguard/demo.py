"""Three accidents that break training runs, each run bare and under guard."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from shapeguard.runtime import guard

WIDTH = 16
VOCABULARY = 11


class RewardHead(nn.Module):
    """Scores each sequence from its last hidden state."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(WIDTH, 1)

    def forward(self, hidden: Float[Tensor, "batch seq d"]) -> Float[Tensor, "batch 1"]:
        """The scores, each in an axis of its own, as a Linear gives them."""
        scores: Tensor = self.score(hidden[:, -1])
        return scores


def ranking_loss(chosen: Float[Tensor, "pairs"], rejected: Float[Tensor, "pairs"]) -> Float[Tensor, ""]:
    """The margin by which the chosen answer should score higher."""
    ones = torch.ones(chosen.size(0))
    return F.margin_ranking_loss(chosen, rejected, ones, margin=1.0)


class NextToken(nn.Module):
    """Predicts the next token from one-hot rows; its LSTM wants the sequence first, as by default."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(VOCABULARY, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(
        self, one_hot: Float[Tensor, "seq batch vocab"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "seq batch vocab"]:
        """The logits of every position; `lengths` would mask the padding."""
        states, _ = self.lstm(one_hot)
        logits: Tensor = self.head(states)
        return logits


@dataclass(frozen=True)
class Accident:
    """One way in which a run goes wrong, as a call of a bare or a guarded function."""

    title: str
    story: str
    code: str
    bare: Callable[[], object]
    guarded: Callable[[], object]


def accidents() -> list[Accident]:
    """The accidents, ready to happen."""
    torch.manual_seed(0)
    head, model = RewardHead(), NextToken()
    guarded_ranking_loss, guarded_model = guard(ranking_loss), guard(NextToken())
    hidden, other = torch.randn(4, 7, WIDTH), torch.randn(4, 7, WIDTH)
    one_hot = F.one_hot(torch.randint(VOCABULARY, (4, VOCABULARY)), VOCABULARY).float()
    lengths = torch.full((4,), VOCABULARY)
    return [
        Accident(
            "a reward head meets a ranking loss",
            "The head gives [batch, 1], the target is [batch].",
            "ranking_loss(head(chosen), head(rejected))",
            lambda: ranking_loss(head(hidden), head(other)),
            lambda: guarded_ranking_loss(head(hidden), head(other)),
        ),
        Accident(
            "a bare squeeze meets a batch of one",
            "`.squeeze()` mends that, until the last batch holds a single pair.",
            "ranking_loss(head(chosen).squeeze(), head(rejected).squeeze())",
            lambda: ranking_loss(head(hidden[:1]).squeeze(), head(other[:1]).squeeze()),
            lambda: guarded_ranking_loss(head(hidden[:1]).squeeze(), head(other[:1]).squeeze()),
        ),
        Accident(
            "an LSTM gets the batch where it wants the sequence",
            "Nothing is raised: the model learns across the batch instead of along the text.",
            "model(one_hot.permute(0, 2, 1), lengths)",
            lambda: model(one_hot.permute(0, 2, 1), lengths),
            lambda: guarded_model(one_hot.permute(0, 2, 1), lengths),
        ),
    ]


def run_demo() -> int:
    """Print what happens in each accident; 0 if the guard has caught every one."""
    caught = 0
    found = accidents()
    for number, accident in enumerate(found, 1):
        print(f"{number}. {accident.title}\n   {accident.story}\n\n       {accident.code}\n")
        print(_told("bare", accident.bare))
        guarded = _told("guarded", accident.guarded)
        caught += "ShapeError" in guarded
        print(guarded + "\n")
    print(f"{caught} of {len(found)} stopped at the boundary. To do the same: annotate, and put @guard above.")
    return 0 if caught == len(found) else 1


def _told(how: str, call: Callable[[], object]) -> str:
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 - the accident
        text = f"{type(error).__name__}: {error}"
    else:
        shape = tuple(result.shape) if isinstance(result, Tensor) else result
        text = f"no error; a result of shape {shape} that means nothing"
    first, *rest = map(str.rstrip, text.splitlines())
    return "\n".join([f"   {how + ':':9} {first}", *(f"             {line}" for line in rest)])
