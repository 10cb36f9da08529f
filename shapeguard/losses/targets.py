"""What each position of a text is to predict, and by how much its loss counts."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from shapeguard.losses.arguments import Items, WhenEmpty
from shapeguard.runtime import guard

NOTHING = (
    "no label is supervised: after the first of each row, all are {ignore_index} or masked; "
    "check the collator and what truncation leaves, or pass when_empty='zero'"
)
"""No double quotes in it: Inductor pastes it into C++ as it stands."""


def next_tokens(
    labels: Int[Tensor, "batch seq"],
    attention_mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"] | None,
    ignore_index: int,
) -> Int[Tensor, "batch seq"]:
    """The token that each position is to predict; `ignore_index` where it is none, as at the last."""
    labels = labels.long()
    if attention_mask is not None:
        labels = labels.masked_fill(attention_mask.to(labels.device) == 0, ignore_index)
    targets = torch.full_like(labels, ignore_index)
    targets[:, :-1] = labels[:, 1:]
    return targets


@guard
def count_supervised(
    labels: Int[Tensor, "batch seq"],
    attention_mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"] | None = None,
    *,
    ignore_index: int = -100,
) -> Int[Tensor, ""]:
    """How many tokens of these unshifted labels are predicted; summed over micro-batches, their `num_items_in_batch`."""
    return (next_tokens(labels, attention_mask, ignore_index) != ignore_index).sum()


def refuse_outside(targets: Int[Tensor, "rows"], places: Int[Tensor, "rows"], seq: int, vocab: int) -> None:
    """Raise for a target that is no token, naming the label that it was; `places` count positions through the batch."""
    if not len(targets):
        return
    lowest, highest = torch.stack(targets.aminmax()).tolist()
    if lowest >= 0 and highest < vocab:
        return
    outside = ((targets < 0) | (targets >= vocab)).nonzero()[:, 0]
    place, token = int(places[outside[0]]), int(targets[outside[0]])
    raise ValueError(
        f"labels[{place // seq}, {place % seq + 1}] is {token}, outside the vocabulary of {vocab}, 0 to {vocab - 1}"
        + (f" ({len(outside)} labels are)" if len(outside) > 1 else "")
        + (f"; if it marks what is not supervised, pass ignore_index={token}" if token < 0 else "")
    )


def assert_inside(targets: Int[Tensor, "rows"], vocab: int, ignore_index: int) -> Int[Tensor, "rows"]:
    """The same in a compiled call: asserted on the device, with nobody waiting; what is outside becomes harmless."""
    inside = (targets >= 0) & (targets < vocab) | (targets == ignore_index)
    torch._assert_async(inside.all(), f"a label is outside the vocabulary of {vocab}")  # noqa: SLF001 - no other name
    return torch.where(inside, targets, ignore_index)


def divide(
    total: Float[Tensor, ""], count: int, items: Items, when_empty: WhenEmpty, ignore_index: int
) -> Float[Tensor, ""]:
    """A sum over `count` targets as the mean over `items`; without any, what `when_empty` says."""
    items = count if items is None else items
    if items > 0:
        return total / (items.to(total.device) if isinstance(items, Tensor) else items)
    if count:
        raise ValueError(f"num_items_in_batch is {items}, and this batch alone has {count} supervised labels")
    if when_empty == "error":
        raise ValueError(NOTHING.format(ignore_index=ignore_index))
    return total


def divide_compiled(
    total: Float[Tensor, ""], targets: Int[Tensor, "rows"], items: Items, when_empty: WhenEmpty, ignore_index: int
) -> Float[Tensor, ""]:
    """The same in a compiled call."""
    divisor = (targets != ignore_index).sum() if items is None else torch.as_tensor(items, device=total.device)
    if when_empty == "error":
        torch._assert_async(divisor > 0, NOTHING.format(ignore_index=ignore_index))  # noqa: SLF001 - no other name
    return total / torch.where(divisor > 0, divisor, 1)
