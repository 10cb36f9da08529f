"""The cross-entropy of a linear head chunk by chunk, its gradients made while the logits of each chunk are there."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from shapeguard.losses.precision import upcast

SMALL = 1 << 19
"""Up to so many logits, autograd over all of them costs no more than chunks do."""
_BYTES_IN_CACHE = 2 << 20
_LEAST_BYTES = {"cpu": 24 << 20, "cuda": 128 << 20}


@dataclass(frozen=True)
class Scoring:
    """What lies between the product of the head and the loss."""

    label_smoothing: float
    scale: float
    softcap: float | None

    def logits(self, products: Tensor) -> Tensor:
        """The logits that the head's products stand for."""
        if self.softcap is not None:
            return (products * (self.scale / self.softcap)).tanh() * self.softcap
        return products if self.scale == 1 else products * self.scale


class Head(NamedTuple):
    """What gets a gradient."""

    hidden: Tensor
    """Every position, one a row."""
    weight: Tensor
    bias: Tensor | None


class Wanted(NamedTuple):
    """Which of them."""

    hidden: bool
    weight: bool
    bias: bool


def add_up_whole(head: Head, rows: Tensor, targets: Tensor, scoring: Scoring) -> Tensor:
    """The sum of the losses of these rows, with all of their logits at once."""
    logits = scoring.logits(upcast(F.linear(head.hidden.index_select(0, rows), head.weight, head.bias)))
    return F.cross_entropy(logits, targets, reduction="sum", label_smoothing=scoring.label_smoothing)


def add_up_in_chunks(
    head: Head, rows: Tensor, targets: Tensor, scoring: Scoring, chunk_rows: int | None = None
) -> Tensor:
    """The same with the logits of one chunk at a time."""
    head = _as_autocast(head)
    chunk = chunk_rows or choose_chunk(len(rows), head.weight)
    if torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in head):
        total: Tensor = _Chunked.apply(*head, rows, targets, scoring, chunk)  # type: ignore[no-untyped-call]
        return total
    return _run(head, rows, targets, scoring, chunk, Wanted(hidden=False, weight=False, bias=False))[0]


def choose_chunk(rows: int, weight: Tensor) -> int:
    """How many rows of logits to hold: enough to keep the products efficient, small beside the weight's gradient."""
    row = weight.size(0) * weight.element_size()
    size = weight.numel() * weight.element_size()
    least = max(_LEAST_BYTES.get(weight.device.type, _LEAST_BYTES["cuda"]), size // 8) // row
    return max(1, least, min(rows // 16, 2 * least))


def score(products: Tensor, targets: Tensor, scoring: Scoring) -> tuple[Tensor, Tensor]:
    """The loss of each row, and its gradient at the target; in place of `products`, the gradient at all other tokens.

    The targets' are apart because `p - 1` is only exact where it comes from the logarithm of `p`.
    """
    logits = scoring.logits(upcast(products))
    log_probs = logits.log_softmax(1)
    at_target = log_probs.gather(1, targets[:, None])
    losses, target_gradient = -at_target, at_target.expm1()
    smoothing, share = scoring.label_smoothing, scoring.label_smoothing / products.size(1)
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * log_probs.mean(1, keepdim=True)
        target_gradient = target_gradient + (smoothing - share)
    if scoring.softcap is None and scoring.scale == 1 and not smoothing:
        torch.exp(log_probs, out=products)
        return losses, target_gradient
    gradient, slope = log_probs.exp() - share, logits.new_full((1, 1), scoring.scale)
    if scoring.softcap is not None:
        slope = scoring.scale * (1 - (logits / scoring.softcap).square())
    products.copy_(gradient * slope)
    return losses, target_gradient * slope.expand_as(gradient).gather(1, targets[:, None])


def score_blocks(products: Tensor, targets: Tensor, scoring: Scoring) -> Tensor:
    """The sum of the losses; `products` become its gradient. In blocks of rows that stay in the processor's cache."""
    total = products.new_zeros((), dtype=upcast(products[:0]).dtype)
    least = _BYTES_IN_CACHE // (products.size(1) * max(4, products.element_size()))
    size = max(1, least, 4 * torch.get_num_threads())
    for start in range(0, len(products), size):
        block, right = products[start : start + size], targets[start : start + size]
        losses, target_gradient = score(block, right, scoring)
        block.scatter_(1, right[:, None], target_gradient.to(block.dtype))
        total += losses.sum()
    return total


def score_compiled(
    products: Tensor, targets: Tensor, scoring: Scoring, scored: Callable[..., tuple[Tensor, Tensor]] | None = None
) -> Tensor:
    """The same over the whole chunk, as what Inductor makes of it. Compared with plain code on the CPU; not run on CUDA."""
    losses, target_gradient = (scored or _compiled_score())(products, targets, scoring)
    products.scatter_(1, targets[:, None], target_gradient.to(products.dtype))
    return losses.sum()


@functools.cache
def _compiled_score() -> Callable[..., tuple[Tensor, Tensor]]:
    return torch.compile(score)


def _run(
    head: Head, rows: Tensor, targets: Tensor, scoring: Scoring, chunk: int, wanted: Wanted
) -> tuple[Tensor, list[Tensor | None]]:
    """The sum of the losses, and its gradients; that of `hidden` for the given rows alone."""
    hidden, weight, bias = head
    chunks = max(1, -(-len(rows) // chunk))
    even = max(1, -(-len(rows) // chunks))
    buffer = weight.new_empty((even, weight.size(0)))
    of_hidden = hidden.new_empty((len(rows), hidden.size(1))) if wanted.hidden else None
    # The first product overwrites what is there, if there is one.
    make = torch.empty_like if len(rows) else torch.zeros_like
    of_weight = make(weight) if wanted.weight else None
    of_bias = torch.zeros_like(bias) if bias is not None and wanted.bias else None
    total = weight.new_zeros((), dtype=upcast(weight[:0]).dtype)
    add_up = score_compiled if weight.is_cuda else score_blocks
    for start in range(0, len(rows), even):
        stop = min(start + even, len(rows))
        inputs = hidden.index_select(0, rows[start:stop])
        logits = buffer[: stop - start]
        if bias is None:
            torch.mm(inputs, weight.t(), out=logits)
        else:
            torch.addmm(bias, inputs, weight.t(), out=logits)
        total += add_up(logits, targets[start:stop], scoring)
        if of_hidden is not None:
            torch.mm(logits, weight, out=of_hidden[start:stop])
        if of_weight is not None:
            of_weight.addmm_(logits.t(), inputs, beta=1 if start else 0)
        if of_bias is not None:
            of_bias += logits.sum(0)
    return total, [of_hidden, of_weight, of_bias]


class _Chunked(torch.autograd.Function):
    """Makes its gradients in the forward; the first backward takes them, another one makes them again."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        rows: Tensor,
        targets: Tensor,
        scoring: Scoring,
        chunk: int,
    ) -> Tensor:
        ctx.save_for_backward(hidden, weight, bias, rows, targets)
        ctx.scoring, ctx.chunk = scoring, chunk
        with torch.autocast(hidden.device.type, enabled=False):
            total, ctx.gradients = _run(
                Head(hidden, weight, bias), rows, targets, scoring, chunk, Wanted(*ctx.needs_input_grad[:3])
            )
        return total

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "linear_causal_lm_loss has no second derivative where it works in chunks; "
                "use causal_lm_loss on the logits for a backward with create_graph=True"
            )
        hidden, weight, bias, rows, targets = ctx.saved_tensors
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            wanted = Wanted(*ctx.needs_input_grad[:3])
            gradients = _run(Head(hidden, weight, bias), rows, targets, ctx.scoring, ctx.chunk, wanted)[1]
        of_hidden, of_weight, of_bias = (None if part is None else part.mul_(slope) for part in gradients)
        if of_hidden is not None:
            of_hidden = torch.zeros_like(hidden).index_copy_(0, rows, of_hidden)
        return of_hidden, of_weight, of_bias, None, None, None, None


def _as_autocast(head: Head) -> Head:
    """The head in the type in which autocast would run a linear layer."""
    device = head.hidden.device.type
    if not torch.is_autocast_enabled(device):
        return head
    dtype = torch.get_autocast_dtype(device)
    hidden, weight, bias = (part if part is None or part.dtype == torch.float64 else part.to(dtype) for part in head)
    assert hidden is not None
    assert weight is not None
    return Head(hidden, weight, bias)
