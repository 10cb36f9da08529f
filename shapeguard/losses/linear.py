"""The causal-LM loss from hidden states, without the logits ever being there all at once."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from shapeguard.losses.arguments import Items, WhenEmpty
from shapeguard.losses.linear_chunks import SMALL, Head, Scoring, add_up_in_chunks, add_up_whole
from shapeguard.losses.targets import divide, next_tokens, refuse_outside
from shapeguard.runtime import guard


@guard
def linear_causal_lm_loss(  # noqa: PLR0913 - those of causal_lm_loss, and those of the head
    hidden: Float[Tensor, "batch seq hidden"],
    weight: Float[Tensor, "vocab hidden"],
    labels: Int[Tensor, "batch seq"],
    *,
    bias: Float[Tensor, "vocab"] | None = None,
    ignore_index: int = -100,
    num_items_in_batch: Items = None,
    attention_mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"] | None = None,
    label_smoothing: float = 0.0,
    when_empty: WhenEmpty = "error",
    logit_scale: float | int = 1.0,
    logit_softcap: float | int | None = None,
    chunk_rows: int | None = None,
) -> Float[Tensor, ""]:
    """`causal_lm_loss` of the logits `hidden @ weight.T + bias`, of which only a chunk is there at a time.

    Only supervised positions are projected. The gradients are made in the forward, while a chunk's logits are there,
    and live until the backward: those of `weight` take as much memory as `weight`. A second backward through the same
    loss makes them again; a second derivative is refused. Where all logits are few, autograd does as usual.

    The logits may be scaled and then capped: `softcap * tanh(scale * logits / softcap)`, as some models do.
    `chunk_rows` is how many rows of logits to hold; by default it is chosen by size. In less than float32 the gradient
    of `weight` is added up from chunk to chunk in the type of `weight`, so it rounds once for each.
    """
    targets = next_tokens(labels.to(hidden.device), attention_mask, ignore_index)
    loss: Tensor = loss_of_targets(
        Head(hidden.flatten(0, 1), weight, bias),
        targets,
        Scoring(label_smoothing, float(logit_scale), None if logit_softcap is None else float(logit_softcap)),
        ignore_index=ignore_index,
        items=num_items_in_batch,
        when_empty=when_empty,
        chunk_rows=chunk_rows,
    )
    return loss


@torch.compiler.disable  # type: ignore[untyped-decorator]  # how many rows there are is known from the data alone
def loss_of_targets(
    head: Head,
    targets: Int[Tensor, "batch seq"],
    scoring: Scoring,
    *,
    ignore_index: int,
    items: Items,
    when_empty: WhenEmpty,
    chunk_rows: int | None,
) -> Float[Tensor, ""]:
    """The loss of what each position is to predict."""
    _refuse_types(head)
    if chunk_rows is not None and chunk_rows < 1:
        raise ValueError(f"chunk_rows is {chunk_rows}; a chunk has at least one row")
    seq, vocab = targets.size(1), head.weight.size(0)
    targets = targets.flatten()
    rows = (targets != ignore_index).nonzero()[:, 0]
    targets = targets[rows]
    refuse_outside(targets, rows, seq, vocab)
    if chunk_rows is None and len(rows) * vocab <= SMALL:
        total = add_up_whole(head, rows, targets, scoring)
    else:
        total = add_up_in_chunks(head, rows, targets, scoring, chunk_rows)
    return divide(total, len(rows), items, when_empty, ignore_index)


def _refuse_types(head: Head) -> None:
    for name, part in zip(Head._fields, head, strict=True):
        if hasattr(part, "__tensor_flatten__"):  # by which torch knows tensors made of others
            kind = type(part).__name__
            raise TypeError(f"{name} is a {kind}; it is needed whole, as `full_tensor()` of a DTensor gives it")
    if torch.is_autocast_enabled(head.hidden.device.type):
        return
    if any(part is not None and part.dtype != head.weight.dtype for part in head):
        types = ", ".join(
            f"{name} {str(part.dtype).removeprefix('torch.')}"
            for name, part in zip(Head._fields, head, strict=True)
            if part is not None
        )
        raise TypeError(f"{types}: a linear head needs one type; cast them, or run the loss under torch.autocast")
