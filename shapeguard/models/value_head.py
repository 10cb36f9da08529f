"""A policy for PPO: a causal language model that also says what it expects each state to be worth."""

import inspect
from typing import Any, NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from shapeguard.models.backbone import Source, call_model, first_position, load_model
from shapeguard.models.pooling import real_tokens, refuse_ids, refuse_rows
from shapeguard.runtime import guard


class PolicyOutput(NamedTuple):
    """What one forward says of every token."""

    logits: Float[Tensor, "batch seq vocab"]
    values: Float[Tensor, "batch seq"]


class ActionScores(NamedTuple):
    """What it says of every action: action t is token t + 1, taken in the state that ends with token t."""

    log_probs: Float[Tensor, "batch actions"]
    values: Float[Tensor, "batch actions"]
    mask: Bool[Tensor, "batch actions"]


@guard
class ValueHeadPolicy(nn.Module):
    """Any causal language model of transformers and a scalar head, in float32, on what its own head reads.

    >>> from shapeguard.models import pad_rows
    >>> from transformers import GPT2Config
    >>> policy = ValueHeadPolicy(GPT2Config(vocab_size=37, n_embd=13, n_head=1, n_layer=1))
    >>> [part.shape for part in policy(*pad_rows([[5, 11], [7, 2, 3, 5, 19, 23, 2], [31]]))]
    [torch.Size([3, 7, 37]), torch.Size([3, 7])]
    """

    def __init__(self, model: Source) -> None:
        super().__init__()
        self.model = load_model(model, AutoModelForCausalLM)
        head = self.model.get_output_embeddings()  # type: ignore[no-untyped-call]
        if head is None:
            raise ValueError(f"a {type(self.model).__name__} has no language-model head; pass a ...ForCausalLM")
        if getattr(self.model.config, "is_decoder", True) is False:
            raise ValueError(f"a {type(self.model).__name__} sees what comes next; pass a config with is_decoder=True")
        width = head.weight.size(1)
        self.value = nn.Linear(width, 1, device=self.model.device)
        nn.init.normal_(self.value.weight, std=(width + 1) ** -0.5)
        nn.init.zeros_(self.value.bias)
        # Asked for its hidden states, a model keeps those of every layer; this keeps the last ones, and only in `forward`.
        self._hidden: list[Tensor] | None = None
        head.register_forward_pre_hook(self._keep_hidden)
        self._takes_positions = "position_ids" in inspect.signature(self.model.forward).parameters
        self._first_position = first_position(self.model)

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Int[Tensor, "batch seq"] | Bool[Tensor, "batch seq"] | None = None,
    ) -> PolicyOutput:
        """Logits and values from one forward; the value of padding is 0.

        Positions are counted from the first real token, as `generate` counts them.
        """
        real: Bool[Tensor, "batch seq"] = real_tokens(input_ids, attention_mask, self.model.config)
        refuse_ids(input_ids, self.model.config)
        inputs = {"input_ids": input_ids, "attention_mask": real.long()}
        if self._takes_positions:
            inputs["position_ids"] = (real.cumsum(dim=1) - 1).clamp(min=0) + self._first_position
        self._hidden = []
        logits: Float[Tensor, "batch seq vocab"] = call_model(self.model, **inputs, use_cache=False).logits
        hidden: Float[Tensor, "batch seq d"] = self._hidden[0]
        self._hidden = None
        values: Tensor = self.value(hidden.to(self.value.weight)).squeeze(-1)
        values = values.masked_fill(~real.to(values.device), 0)
        refuse_rows(
            values.isnan().any(dim=1), "has a value of NaN: look for NaN in the weights, or load them in bfloat16"
        )
        return PolicyOutput(logits, values)

    def score(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Int[Tensor, "batch seq"] | Bool[Tensor, "batch seq"] | None = None,
        *,
        temperature: float | int = 1.0,
    ) -> ActionScores:
        """The log-probability and value of each action in rows of prompt and response, at the temperature they were drawn at.

        The mask is where both the action and the token before it are real; elsewhere all is 0.
        """
        logits, values = self(input_ids, attention_mask)
        real: Bool[Tensor, "batch seq"] = real_tokens(input_ids, attention_mask, self.model.config)
        mask = (real[:, 1:] & real[:, :-1]).to(values.device)
        log_probs = log_probs_of(logits[:, :-1] / temperature, input_ids[:, 1:].to(logits.device))
        return ActionScores(log_probs.masked_fill(~mask, 0), values[:, :-1].masked_fill(~mask, 0), mask)

    def _keep_hidden(self, _head: nn.Module, inputs: tuple[Tensor]) -> None:
        if self._hidden is not None:
            self._hidden.append(inputs[0])

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """The language model's own `generate`."""
        return self.model.generate(*args, **kwargs)  # type: ignore[operator]


@guard
def log_probs_of(
    logits: Float[Tensor, "batch actions vocab"], actions: Int[Tensor, "batch actions"]
) -> Float[Tensor, "batch actions"]:
    """The log-probability, in float32 or better, of each action under the logits that it was drawn from."""
    precise = logits.float() if logits.dtype.itemsize < 4 else logits  # noqa: PLR2004 - bytes of a float32
    chosen = precise.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    return chosen - precise.logsumexp(dim=-1)
