"""A reward model: one number for each row of tokens, whatever the backbone and wherever the padding."""

from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model as load_weights
from safetensors.torch import save_model as save_weights
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from shapeguard.models.backbone import Source, call_model, load_model, width_of
from shapeguard.models.pooling import last_token, mean_token, real_tokens, refuse_ids, refuse_rows
from shapeguard.runtime import guard

Pooling = Literal["last", "mean"]
_WEIGHTS = "model.safetensors"


@guard
class RewardModel(nn.Module):
    """A backbone of transformers, causal or encoder, and a scalar head on the last real token or the mean of them.

    A backbone with a head or a pooler of its own is stripped of it. The head is in float32, whatever the backbone is in.

    >>> from shapeguard.models import pad_rows
    >>> from transformers import GPT2Config
    >>> model = RewardModel(GPT2Config(vocab_size=37, n_embd=13, n_head=1, n_layer=1))
    >>> model(*pad_rows([[5, 11], [7, 2, 3, 5, 19, 23, 2], [31]])).shape
    torch.Size([3])
    """

    def __init__(self, backbone: Source, *, pooling: Pooling = "last") -> None:
        super().__init__()
        if pooling not in ("last", "mean"):
            raise ValueError(f"pooling is 'last' or 'mean', and not {pooling!r}")
        base: Any = load_model(backbone, AutoModel).base_model
        self.backbone: PreTrainedModel = base
        if self.backbone.config.is_encoder_decoder:
            name = type(self.backbone).__name__
            raise ValueError(f"{name} is an encoder with a decoder; pass a causal model or an encoder")
        if getattr(self.backbone, "pooler", None) is not None:
            self.backbone.pooler = None  # it would be trained by nothing
        self.pooling = pooling
        width = width_of(self.backbone)
        self.score = nn.Linear(width, 1, bias=False, device=self.backbone.device)
        nn.init.normal_(self.score.weight, std=(width + 1) ** -0.5)

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Int[Tensor, "batch seq"] | Bool[Tensor, "batch seq"] | None = None,
        token_type_ids: Int[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch"]:
        """The reward of each row, the same with padding on the left and on the right.

        `attention_mask` may be left out only where ids can't be padding: the padding token is one of its own, and none
        of them is it.
        """
        real: Bool[Tensor, "batch seq"] = real_tokens(input_ids, attention_mask, self.backbone.config)
        refuse_ids(input_ids, self.backbone.config)
        # Real tokens go first, so that every backbone counts their positions from where it always does.
        order = real.int().argsort(dim=1, descending=True, stable=True)
        real = real.gather(1, order)
        inputs = {"input_ids": input_ids.gather(1, order), "attention_mask": real.long()}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids.gather(1, order)
        hidden: Float[Tensor, "batch seq d"] = call_model(self.backbone, **inputs).last_hidden_state
        pool = last_token if self.pooling == "last" else mean_token
        pooled: Float[Tensor, "batch d"] = pool(hidden, real)
        rewards: Tensor = self.score(pooled.to(self.score.weight)).squeeze(-1)
        refuse_rows(rewards.isnan(), "has a reward of NaN: look for NaN in the weights, or load them in bfloat16")
        return rewards

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write `config.json`, which is the backbone's, and all weights in one `model.safetensors`."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        config = deepcopy(self.backbone.config)
        config.dtype = self.backbone.dtype
        config.save_pretrained(folder)
        about = {"format": "pt", "model": "RewardModel", "pooling": self.pooling}
        save_weights(self, str(Path(folder) / _WEIGHTS), about)

    @classmethod
    def from_pretrained(cls, folder: str | PathLike[str]) -> Self:
        """The model that `save_pretrained` has written to a folder."""
        weights = Path(folder) / _WEIGHTS
        if not weights.is_file():
            raise ValueError(f"no {_WEIGHTS} in {folder}; name a folder that RewardModel.save_pretrained has written")
        try:
            with safe_open(str(weights), "pt") as file:
                about = file.metadata() or {}
                dtype = file.get_tensor("score.weight").dtype if "score.weight" in file.keys() else None  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{weights} is broken ({error}); save the model again") from error
        if about.get("model") != "RewardModel" or dtype is None:
            raise ValueError(
                f"{weights} holds no RewardModel; RewardModel({str(folder)!r}) puts a fresh head on what it holds"
            )
        try:
            model = cls(AutoConfig.from_pretrained(folder), pooling=about["pooling"])
            model.score.to(dtype)
            load_weights(model, str(weights))
        except (OSError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"config.json in {folder} isn't the one that {_WEIGHTS} was saved with; save the model again"
            ) from error
        return model
