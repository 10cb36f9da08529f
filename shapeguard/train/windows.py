"""Texts as tokens, cut into windows of which each but the first token of a text is predicted exactly once."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from shapeguard.models import pad_rows
from shapeguard.train.data.records import Problem, Text
from shapeguard.train.task import Batch
from shapeguard.train.tokens import encode

IGNORED = -100


class Window(NamedTuple):
    """Neighbouring tokens of one text."""

    ids: list[int]
    given: int
    """How many of them, at the start, aren't learned: a prompt, or at least the first one, which nothing precedes."""
    text: int
    """Which text it is from."""


def make_windows(texts: Sequence[Text], tokenizer: Any, longest: int) -> tuple[list[Window], list[Problem]]:
    """The windows of all texts, and the texts that have none.

    A text begins with its prompt, which stays whole, and ends with the tokenizer's end token.
    """
    prompts = encode(tokenizer, [text.prompt or "" for text in texts], ends=False)
    endings = encode(tokenizer, [text.text for text in texts], ends=True)
    windows: list[Window] = []
    problems: list[Problem] = []
    for number, (text, prompt, ending) in enumerate(zip(texts, prompts, endings, strict=True)):
        told = _told_of(len(prompt), len(ending), longest)
        if told:
            problems.append(Problem(text.place, *told))
        else:
            windows.extend(_cut(prompt, ending, longest, number))
    return windows, problems


def collate_windows(windows: Sequence[Window]) -> Batch:
    """Windows as rows padded on the right, with labels where something is learned."""
    rows = pad_rows([window.ids for window in windows])
    given = torch.tensor([window.given for window in windows]).unsqueeze(1)
    learned = (torch.arange(rows.input_ids.size(1)) >= given) & rows.attention_mask.bool()
    return {
        "input_ids": rows.input_ids,
        "attention_mask": rows.attention_mask,
        "labels": rows.input_ids.masked_fill(~learned, IGNORED),
        "texts": torch.tensor([window.text for window in windows]),
    }


def pairs_of(windows: Sequence[Window]) -> Int[Tensor, "2 pairs"]:
    """Each token that is learned, below the one before it."""
    before = [token for window in windows for token in window.ids[window.given - 1 : -1]]
    learned = [token for window in windows for token in window.ids[window.given :]]
    return torch.tensor([before, learned])


def _cut(prompt: list[int], ending: list[int], longest: int, number: int) -> Iterator[Window]:
    """Each window begins with the token that the one before ends with, and learns what follows it."""
    ids = prompt + ending
    given = max(1, len(prompt))
    start = 0
    while start + given < len(ids):
        yield Window(ids[start : start + longest], given, number)
        start, given = start + longest - 1, 1


def _told_of(prompt: int, ending: int, longest: int) -> tuple[str, str] | None:
    """What is wrong with a text of such lengths: the kind, and a sentence."""
    if prompt >= longest:
        return "over-long", f"the prompt has {prompt} tokens, and with at least one behind it more than {longest}"
    if max(1, prompt) == prompt + ending:
        return "too short", "a single token: there is none behind it to be predicted"
    return None
