"""The three scripts: what went wrong in each, and what is to be seen when they are checked and run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Story:
    """One script, broken in one place."""

    name: str
    """Of the script, without its ending."""
    title: str
    accident: str
    codes: frozenset[str]
    """Of the findings, all of which are in it, and no others."""
    error: str | None
    """The exception that ends it; None where it runs to its end and has learnt nothing."""
    measured: str
    """What its accuracy is a share of."""
    without: str
    """How one does as well as `baseline` without a model."""
    baseline: float | None
    """None where the script says it."""
    reached: float
    """An accuracy above which the mended script has learnt what it should."""

    @property
    def script(self) -> bytes:
        """The broken script."""
        return resources.files("shapeguard.demo").joinpath("scripts", f"{self.name}.py").read_bytes()


STORIES = (
    Story(
        name="ranking_loss",
        title="A ranking loss with an extra axis",
        accident="The head gives the scores as (batch, 1). The target is (batch,).",
        codes=frozenset({"SG402"}),
        error="RuntimeError",
        measured="pairs ranked right",
        without="a coin",
        baseline=0.5,
        reached=0.85,
    ),
    Story(
        name="bare_squeeze",
        title="A bare squeeze at a batch of one",
        accident="`.squeeze()` takes that axis away, and the batch's too in the last batch, of a single pair.",
        codes=frozenset({"SG101"}),
        error="IndexError",
        measured="pairs ranked right",
        without="a coin",
        baseline=0.5,
        reached=0.85,
    ),
    Story(
        name="lstm_layout",
        title="An LSTM fed by permute(0, 2, 1)",
        accident="Steps and width are both 32, so the sizes fit: it reads across the batch, not along the text.",
        codes=frozenset({"SG201", "SG702"}),
        error=None,
        measured="next characters guessed",
        without="always a space",
        baseline=None,
        reached=0.55,
    ),
)
