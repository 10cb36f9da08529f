"""Models of transformers as the part below a head: how they are loaded, and what the head must know of them."""

from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

Source = str | PathLike[str] | PretrainedConfig | PreTrainedModel
"""A name on the hub, a folder, a config (which gives fresh weights), or a model that exists already."""


def load_model(source: Source, maker: Any) -> PreTrainedModel:
    """What `maker`, an Auto class of transformers, makes of `source`, trainable and on one device."""
    if isinstance(source, PreTrainedModel):
        return source
    try:
        if isinstance(source, PretrainedConfig):
            made: PreTrainedModel = maker.from_config(source)
        else:
            made = maker.from_pretrained(source)
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        raise ValueError(f"{maker.__name__} {_reason(source)} ({first_line(error)})") from error
    return made


def _reason(source: object) -> str:
    if isinstance(source, PretrainedConfig):
        return f"makes no model from a {type(source).__name__}; pass the config of a text model"
    if Path(str(source)).is_dir():
        return f"finds no model in the folder {source}; name one that `save_pretrained` has written"
    return (
        f"can't load {str(source)!r}: it is no folder here, and the hub has no such model or can't be reached; "
        "name a folder, or pass a config or a model"
    )


def first_line(error: BaseException) -> str:
    """The first words of an error, or its name where it has none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def call_model(model: PreTrainedModel, **inputs: Any) -> Any:
    """What a model makes of its inputs; where it fails on rows longer than it was made for, the error says so."""
    if torch.compiler.is_compiling():
        return model(**inputs, return_dict=True)
    try:
        return model(**inputs, return_dict=True)
    except (IndexError, RuntimeError) as error:
        seq, most = inputs["input_ids"].shape[1], positions_of(model)
        if most is None or seq <= most or isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(
            f"rows are {seq} tokens long, and a {type(model).__name__} like this one takes {most} ({first_line(error)}); "
            f"cut them, as encode_texts does with max_length={most}"
        ) from error


def width_of(model: PreTrainedModel) -> int:
    """The size of the last axis of a model's hidden states."""
    config: Any = model.config.get_text_config()
    reads_ids = isinstance(model.get_input_embeddings(), nn.Embedding)
    # OPT's first and last layers may be narrower than those between.
    width = getattr(config, "word_embed_proj_dim", None) or getattr(config, "hidden_size", None)
    if not (reads_ids and isinstance(width, int)):
        raise ValueError(f"a {type(model).__name__} reads no token ids; pass a model of text")
    return width


def positions_of(model: PreTrainedModel) -> int | None:
    """How many tokens a model takes at most; None where nothing says so."""
    config: Any = model.config.get_text_config()
    most = getattr(config, "max_position_embeddings", None)
    return most - first_position(model) if isinstance(most, int) and most > 0 else None


def first_position(model: nn.Module) -> int:
    """The position of the first real token: RoBERTa and its kin keep the positions up to their padding id free."""
    for name, part in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding) and part.padding_idx is not None:
            return part.padding_idx + 1
    return 0
