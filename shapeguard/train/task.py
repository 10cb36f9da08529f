"""What the engine must be told of a task to train it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from transformers import TrainerCallback

from shapeguard.train.data.records import Problem, Split

Batch = dict[str, Tensor]


class Task(ABC):
    """A model, what it is trained on, and how far it has come; everything else is the engine's.

    `train` and `held_out` are what `collate` makes batches of.
    """

    name: ClassVar[str]
    items: ClassVar[str]
    """What it learns from and is judged by: pairs, windows, prompts."""
    best: ClassVar[str]
    """The figure by which evaluations are compared."""
    higher_is_better: ClassVar[bool]

    model: nn.Module
    train: Sequence[Any]
    held_out: Sequence[Any]
    turns: int = 1
    """How often `train` is gone over in one of `--epochs`."""
    problems: Sequence[Problem] = ()
    """What is wrong with records that are left out."""
    about_data: str = ""
    """One sentence for the model card."""

    @property
    def size(self) -> int:
        """How many items there are to learn from."""
        return len(self.train)

    @property
    def called(self) -> str:
        """What the model is."""
        return type(self.model).__name__

    def tell_of(self, split: Split[Any]) -> None:
        """Say where the items are from, and what was wrong with records before the task had a look at them."""
        self.problems = [*split.problems, *self.problems]
        self.about_data = split.about

    @abstractmethod
    def collate(self, items: Sequence[Any]) -> Batch:
        """Items as a batch."""

    @abstractmethod
    def length(self, item: Any) -> int:
        """By what items are put into buckets."""

    @abstractmethod
    def count(self, batch: Batch) -> int:
        """What the loss is a mean over: pairs, tokens."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, count: int) -> Float[Tensor, ""]:
        """The sum of the batch's losses, divided by `count`, which goes over every part of a step in every process.

        `model` may be wrapped, so that it is called, and nothing else is asked of it.
        """

    @abstractmethod
    def observe(self, model: nn.Module, batch: Batch) -> Float[Tensor, "rows figures"]:
        """What `summarise` wants to know of each row, computed without gradients."""

    @abstractmethod
    def summarise(self, observed: Float[Tensor, "rows figures"]) -> dict[str, float]:
        """The figures of an evaluation, `best` and the loss if it has one among them, in the order in which they are shown."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what loads again into an empty folder: model and tokenizer."""

    @abstractmethod
    def usage(self, folder: Path) -> str:
        """Python code for the model card that loads what `save` wrote and uses it."""

    def keep(self, folder: Path) -> None:  # noqa: B027 - most tasks have nothing to keep
        """Write into a checkpoint what else a run must have to go on exactly."""

    def recall(self, folder: Path) -> None:  # noqa: B027 - nor to read
        """Read what `keep` has written."""

    def callbacks(self) -> list[TrainerCallback]:
        """What the task does between steps."""
        return []

    def seconds_between(self, batch: int) -> float:
        """What a step of so many items takes besides its own time, as far as that is known."""
        del batch
        return 0.0

    def epilogue(self) -> str:
        """What is shown at the end, such as predictions; empty if there is nothing to show."""
        return ""
