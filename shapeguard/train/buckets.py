"""In which order records are trained on: like lengths together, and everything by the seed."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

_BATCHES = 50
"""How many batches are drawn at random before they are sorted: enough for like lengths, few enough to stay random."""


class LengthBuckets(Sampler[int]):
    """Places in a shuffled order in which each batch is full and holds like lengths, the same for every process.

    The order depends on the seed and the epoch alone, so a run that is resumed goes on in it. What doesn't fill a batch
    is left out, in each epoch something else.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = list(lengths), batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this pass over the data."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths) // self.batch * self.batch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order: list[int] = torch.randperm(len(self.lengths), generator=generator).tolist()
        order = order[: len(self)]
        batches: list[list[int]] = []
        for start in range(0, len(order), self.batch * _BATCHES):
            near = sorted(order[start : start + self.batch * _BATCHES], key=self.lengths.__getitem__)
            batches += [near[at : at + self.batch] for at in range(0, len(near), self.batch)]
        shuffled: list[int] = torch.randperm(len(batches), generator=generator).tolist()
        for number in shuffled:
            yield from batches[number]
