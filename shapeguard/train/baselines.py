"""What counting alone predicts: the most frequent token, and the most frequent one behind the token before."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Baselines(NamedTuple):
    """How well the counts of one text predict another."""

    unigram_accuracy: float
    bigram_accuracy: float
    bigram_perplexity: float


@dataclass(frozen=True)
class Counts:
    """How often tokens, and pairs of neighbours, occur."""

    tokens: Int[Tensor, "vocab"]
    before: Int[Tensor, "vocab"]
    """How often something follows each token."""
    pairs: Int[Tensor, "kinds"]
    """Each pair that occurs, once, as `first * vocab + second`, in order."""
    times: Int[Tensor, "kinds"]
    """How often it does."""

    @property
    def vocab(self) -> int:
        """The number of tokens."""
        return len(self.tokens)


def count_pairs(pairs: Int[Tensor, "2 pairs"], vocab: int) -> Counts:
    """The counts of pairs of a token and the one behind it."""
    codes = pairs[0] * vocab + pairs[1]
    kinds, times = torch.unique(codes, return_counts=True)
    return Counts(pairs[1].bincount(minlength=vocab), pairs[0].bincount(minlength=vocab), kinds, times)


def measure_baselines(counts: Counts, pairs: Int[Tensor, "2 pairs"]) -> Baselines:
    """How well the counts predict the second tokens of these pairs, of which the bigram sees the first."""
    unigram, bigram = (
        float((guess == pairs[1]).double().mean()) for guess in (counts.tokens.argmax(), _likeliest(counts)[pairs[0]])
    )
    return Baselines(unigram, bigram, float(_bigram(counts, pairs).log().mean().neg().exp()))


def _likeliest(counts: Counts) -> Int[Tensor, "vocab"]:
    """The most frequent token behind each one; behind one that never came, the most frequent of all.

    Of several that are as frequent it is the first.
    """
    vocab = counts.vocab
    ranks = counts.times * vocab + (vocab - 1 - counts.pairs % vocab)
    highest = torch.full((vocab,), -1).scatter_reduce(0, counts.pairs // vocab, ranks, "amax")
    return torch.where(highest < 0, counts.tokens.argmax(), vocab - 1 - highest % vocab)


def _unigram(counts: Counts) -> Float[Tensor, "vocab"]:
    """The share of each token, as if each had come once more."""
    return (counts.tokens + 1).double() / (counts.tokens.sum() + counts.vocab)


def _bigram(counts: Counts, pairs: Int[Tensor, "2 pairs"]) -> Float[Tensor, "pairs"]:
    """The probability of each second token behind the first, smoothed as Witten and Bell do.

    New tokens are given the more room, the more different ones have come; they share it as the unigram says.
    """
    codes = pairs[0] * counts.vocab + pairs[1]
    places = torch.searchsorted(counts.pairs, codes).clamp(max=len(counts.pairs) - 1)
    times = torch.where(counts.pairs[places] == codes, counts.times[places], 0)
    different = (counts.pairs // counts.vocab).bincount(minlength=counts.vocab)[pairs[0]]
    backed = _unigram(counts)[pairs[1]]
    seen = (times + different * backed) / (counts.before[pairs[0]] + different)
    return torch.where(different > 0, seen, backed)
