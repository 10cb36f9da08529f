"""transformers' causal models made to take their loss from hidden states, with their code left as it is.

The model runs its own `forward`. Its head gives `Unprojected` in place of logits, which remembers what is done to it,
and its loss function turns that into the loss. What `Unprojected` can't remember, it refuses.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from shapeguard.losses.arguments import WhenEmpty
from shapeguard.losses.linear import loss_of_targets
from shapeguard.losses.linear_chunks import Head, Scoring
from shapeguard.losses.targets import next_tokens

_MARK = "_takes_linear_loss"


class use_linear_loss:  # noqa: N801 - used as a function and as a context manager
    """Have `model(..., labels=...)` compute its loss without its logits: from now on, or for a `with` block.

    The loss and all gradients stay those of the model; its outputs then hold no logits. Without labels, as in
    `generate`, nothing changes. Scaled and softly capped logits are understood; a model that does something else with
    them, or whose loss isn't transformers' `ForCausalLMLoss`, is refused, the former when it is first called.
    """

    def __init__(self, model: nn.Module, *, when_empty: WhenEmpty = "error", chunk_rows: int | None = None) -> None:
        _refuse(model)
        self.model, self.kind = model, type(model)
        model.__class__ = _derive(self.kind, functools.partial(_take_loss, when_empty, chunk_rows))

    def __enter__(self) -> None:
        """Leave it as it is until the end of the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.model.__class__ = self.kind


@dataclass(frozen=True)
class Unprojected:
    """Logits as hidden states and the head they are for."""

    owner: str
    hidden: Tensor
    weight: Tensor
    bias: Tensor | None
    scale: float = 1.0
    """By which the products of the head are multiplied."""
    softcap: float | None = None
    """By which the tanh of that is multiplied, if there is one."""

    @property
    def device(self) -> torch.device:
        """Where they would be."""
        return self.hidden.device

    def __mul__(self, factor: float) -> "Unprojected":
        if not isinstance(factor, int | float):
            raise self._refusal("multiplies them by a tensor")
        if self.softcap is None:
            return replace(self, scale=self.scale * factor)
        return replace(self, softcap=self.softcap * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> "Unprojected":
        if not isinstance(divisor, int | float):
            raise self._refusal("divides them by a tensor")
        return self * (1 / divisor)

    def tanh(self) -> "Unprojected":
        """The tanh of these logits, once."""
        if self.softcap is not None:
            raise self._refusal("takes their tanh twice")
        return replace(self, softcap=1.0)

    def float(self) -> "Unprojected":
        """These logits, which the loss computes in float32 anyway."""
        return self

    def contiguous(self) -> "Unprojected":
        """These logits."""
        return self

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], _: object, args: tuple[Any, ...] = (), kwargs: object = None
    ) -> "Unprojected":
        self: Unprojected = next(part for part in args if isinstance(part, cls))
        if function is torch.tanh and args == (self,) and not kwargs:
            return self.tanh()
        raise self._refusal(f"calls `{function.__name__}` on them")

    def __getitem__(self, place: object) -> None:
        raise self._refusal("indexes them")

    def __getattr__(self, name: str) -> None:
        raise AttributeError(self._refusal(f"asks for their `{name}`"))

    def _refusal(self, what: str) -> NotImplementedError:
        return NotImplementedError(
            f"use_linear_loss can't stand in for the logits of {self.owner}: it {what} before the loss; "
            "pass the logits to causal_lm_loss instead"
        )


def _derive(kind: type[nn.Module], take_loss: Callable[..., Tensor]) -> type[nn.Module]:
    """A class like this one, under its name, but for how it comes by its loss."""
    signature = inspect.signature(kind.forward)

    @functools.wraps(kind.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(self, *args, **kwargs).arguments
        if given.get("labels") is None:
            return kind.forward(self, *args, **kwargs)
        head = self.get_output_embeddings()
        head.forward = lambda hidden: Unprojected(kind.__name__, hidden, head.weight, head.bias)
        try:
            output = kind.forward(self, *args, **kwargs)
        finally:
            del head.forward
        if isinstance(output, tuple):
            return tuple(part for part in output if not isinstance(part, Unprojected))
        return type(output)(**{name: part for name, part in output.items() if not isinstance(part, Unprojected)})

    loss_function = property(lambda _: take_loss)
    body = {"forward": forward, "loss_function": loss_function, "__module__": kind.__module__, _MARK: True}
    return type(kind.__name__, (kind,), body)


def _take_loss(
    when_empty: WhenEmpty,
    chunk_rows: int | None,
    logits: Unprojected,
    labels: Tensor,
    vocab_size: int | None = None,
    num_items_in_batch: Tensor | int | None = None,
    ignore_index: int = -100,
    shift_labels: Tensor | None = None,
    **_: object,
) -> Tensor:
    """What transformers' `ForCausalLMLoss` gives for the same arguments, of which it ignores the rest too."""
    hidden, weight = logits.hidden, logits.weight
    if vocab_size not in (None, weight.size(0)):
        raise ValueError(
            f"the vocabulary is {vocab_size}, and the head of {logits.owner} gives {weight.size(0)} logits"
        )
    targets = next_tokens(labels, None, ignore_index) if shift_labels is None else shift_labels
    if targets.shape != hidden.shape[:-1]:
        raise ValueError(f"labels are {tuple(targets.shape)}, and the logits are for {tuple(hidden.shape[:-1])}")
    scale = logits.scale if logits.softcap is None else logits.scale * logits.softcap
    loss: Tensor = loss_of_targets(
        Head(hidden.flatten(0, 1), weight, logits.bias),
        targets.to(hidden.device),
        Scoring(0.0, scale, logits.softcap),
        ignore_index=ignore_index,
        items=num_items_in_batch,
        when_empty=when_empty,
        chunk_rows=chunk_rows,
    )
    return loss


def _refuse(model: nn.Module) -> None:
    """Raise for a model of which it is known beforehand that this can't be done."""
    from transformers import PreTrainedModel  # noqa: PLC0415 - the other losses do without it
    from transformers.loss.loss_utils import ForCausalLMLoss  # noqa: PLC0415

    name = type(model).__name__
    if not isinstance(model, PreTrainedModel):
        raise TypeError(
            f"{name} is no model of transformers; if it wraps one, pass that, as `get_base_model()` of PEFT"
        )
    if hasattr(model, _MARK):
        raise ValueError(f"this {name} takes its loss from hidden states already")
    if model.loss_function is not ForCausalLMLoss:
        raise TypeError(f"the loss of {name} isn't transformers' ForCausalLMLoss, and would become another one")
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if type(head) is not nn.Linear:
        raise TypeError(f"the head of {name} is {type(head).__name__}; only a torch.nn.Linear can be taken apart")
    if "forward" in vars(head) or head._forward_hooks or head._forward_pre_hooks:  # noqa: SLF001 - no other name
        raise TypeError(f"the head of {name} has hooks, which would not be run")
