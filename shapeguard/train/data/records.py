"""Records to train on, what is wrong with those that can't be, and the two sides of a split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(frozen=True, slots=True)
class Pair:
    """Two continuations of a prompt, of which people, or the data's makers, prefer the first."""

    prompt: str
    chosen: str
    rejected: str
    margin: float = 0.0
    """By how much the chosen one is better; what it is counted in is the data's own affair."""
    place: str = ""
    """Where it stands: `pairs.jsonl:17`."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text to learn after a prompt that isn't learned. Either may be empty: a prompt alone is something to continue."""

    prompt: str
    text: str
    place: str = ""


Record = TypeVar("Record", Pair, Text)


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that isn't trained on, and why."""

    place: str
    kind: str
    """What such problems are counted by: "missing key", "identical pair"."""
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Record]):
    """What one source holds."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...] = ()
    about: str = ""
    """One sentence for the model card: where this is from."""


@dataclass(frozen=True, slots=True)
class Split(Generic[Record]):
    """Records to learn from, and others to judge by what was learned."""

    train: tuple[Record, ...]
    held_out: tuple[Record, ...]
    problems: tuple[Problem, ...]
    about: str
    """For the model card: where the records are from, and how they were held out."""


def count_problems(problems: Sequence[Problem]) -> str:
    """How many there are of each kind, the most frequent first: `2 broken JSON, 1 identical pair`."""
    counts = Counter(problem.kind for problem in problems)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def refuse_overlong(
    records: Sequence[Record], lengths: Sequence[int], longest: int
) -> tuple[tuple[Record, ...], tuple[Problem, ...]]:
    """The records of at most `longest` tokens, and a problem for each of the others: nothing is cut.

    The length of a pair is that of the longer of its two texts, with the prompt.
    """
    kept: list[Record] = []
    problems: list[Problem] = []
    for record, length in zip(records, lengths, strict=True):
        if length <= longest:
            kept.append(record)
        else:
            sentence = f"is {length} tokens long, and at most {longest} are taken"
            problems.append(Problem(record.place, "over-long", sentence))
    return tuple(kept), tuple(problems)
