"""The policy of PPO: where it is from, how much it can read, what ends its responses, and how it is saved."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from shapeguard.config import UsageError
from shapeguard.models import ValueHeadPolicy
from shapeguard.models.backbone import positions_of
from shapeguard.train import tokens

VALUE_HEAD = "value_head.safetensors"
_ANY = 2**31


def load_policy(folder: Path) -> tuple[ValueHeadPolicy, Any]:
    """The language model in a folder and its tokenizer; with the value head that an earlier run has left there."""
    if not folder.is_dir():
        raise UsageError(f"no policy in {folder}: train one with `shapeguard train lm`, or name one by --policy")
    try:
        # Whatever it was saved in, small steps are lost on weights in half precision.
        policy = ValueHeadPolicy(folder).float()
    except ValueError as error:
        raise UsageError(f"--policy: {error}") from error
    tokenizer = tokens.load_tokenizer(str(folder))
    embeddings: Any = policy.model.get_input_embeddings()
    known = embeddings.weight.size(0)
    if len(tokenizer) > known:
        raise UsageError(f"--policy: the tokenizer in {folder} has {len(tokenizer)} tokens, and the model {known}")
    _load_value_head(policy, folder / VALUE_HEAD)
    return policy, tokenizer


def save_policy(policy: ValueHeadPolicy, tokenizer: Any, folder: Path) -> None:
    """Write a causal language model, its tokenizer, and the value head beside them."""
    policy.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(policy.value.state_dict(), folder / VALUE_HEAD)


def room_of(policy: ValueHeadPolicy, longest: int | None) -> int:
    """How many tokens a prompt and its response may have."""
    return min(longest or _ANY, positions_of(policy.model) or _ANY)


def ends_of(policy: ValueHeadPolicy, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a response: some models have several."""
    config: Any = policy.model.generation_config
    of_model = config.eos_token_id if config is not None else None
    many = of_model if isinstance(of_model, list) else [of_model]
    return frozenset(token for token in (*many, tokenizer.eos_token_id) if token is not None)


def is_whole(policy: ValueHeadPolicy) -> bool:
    """Whether all weights are finite."""
    return all(bool(weight.isfinite().all()) for weight in policy.parameters())


def refuse_broken(policy: ValueHeadPolicy) -> None:
    """Raise for weights that aren't finite."""
    if not is_whole(policy):
        raise UsageError("the policy's weights aren't finite any more; try a lower --learning-rate")


def _load_value_head(policy: ValueHeadPolicy, file: Path) -> None:
    if not file.is_file():
        nn.init.zeros_(policy.value.weight)  # until it knows better, every state is worth the same
        return
    try:
        policy.value.load_state_dict(load_file(file))
    except (RuntimeError, SafetensorError) as error:
        raise UsageError(f"--policy: {file} isn't the value head of the model beside it") from error
