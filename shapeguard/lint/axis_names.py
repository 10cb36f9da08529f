"""What the names of sizes say of axes, and what layers and methods do to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import show

Role: TypeAlias = Literal["batch", "time", "feature"]

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("b", "bs", "bsz", "bz", "nbatch", "nbatches", "n_batch", "num_batch"), "batch"),
    **dict.fromkeys(("batch", "batch_size", "batchsize", "batch_dim", "B"), "batch"),
    **dict.fromkeys(("t", "T", "L", "seq", "seqlen", "seq_len", "seq_length", "seq_size", "sequence"), "time"),
    **dict.fromkeys(("sequence_length", "length", "max_len", "max_length", "time", "timesteps", "time_steps"), "time"),
    **dict.fromkeys(("q_len", "tgt_len", "src_len", "target_len", "num_steps", "num_frames", "n_frames"), "time"),
    **dict.fromkeys(("d", "D", "c", "C", "dim", "hidden", "hidden_size", "hidden_dim", "channels"), "feature"),
    **dict.fromkeys(("embed_dim", "embedding_dim", "emb_dim", "embed_size", "d_model", "feat_dim"), "feature"),
    **dict.fromkeys(("input_size", "input_dim", "n_channels", "num_channels", "in_channels", "feature"), "feature"),
    **dict.fromkeys(("features", "feats", "vocab", "vocab_size", "n_features", "num_features"), "feature"),
    **dict.fromkeys(("v", "V", "classes", "n_classes", "num_classes"), "feature"),
}
"""What an axis is for, by the name that the code gives its size."""

BY_PLACE = "\N{MODIFIER LETTER DOUBLE PRIME}"
"""Stands between the name of a value and the place of an axis, where the code has no name for its size."""
AXES_OF_IDS: dict[str, Role] = {f"input_ids{BY_PLACE}0": "batch", f"input_ids{BY_PLACE}1": "time"}

KEEPS_SHAPE = frozenset(
    {"contiguous", "clone", "detach", "to", "float", "half", "double", "bfloat16", "long", "int", "cuda", "cpu", "type"}
    | {"type_as", "relu", "relu_", "gelu", "silu", "tanh", "sigmoid", "elu", "leaky_relu", "softmax", "log_softmax"}
    | {"dropout", "dropout_", "exp", "log", "abs", "sqrt", "softplus", "masked_fill", "masked_fill_", "clamp"}
    | {"normalize", "layer_norm", "batch_norm", "mul_", "add_", "div_", "sub_"}
)
KEEPING_LAYERS = frozenset(
    {"Dropout", "Dropout1d", "Dropout2d", "LayerNorm", "RMSNorm", "BatchNorm1d", "BatchNorm2d", "InstanceNorm1d"}
    | {"GroupNorm", "Identity", "ReLU", "GELU", "SiLU", "Tanh", "Sigmoid", "ELU", "LeakyReLU", "Softmax", "LogSoftmax"}
    | {"Softplus", "AlphaDropout", "PReLU"}
)
MADE_FEATURES = frozenset({"features", "classes", "channels", "hidden"})
"""Names of the axes that layers make."""
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
CONVOLUTIONS = {"Conv1d": 3, "Conv2d": 4, "Conv3d": 5}
"""Each with the rank of what it takes and gives."""
MARK = "\N{MODIFIER LETTER PRIME}"
"""Stands before the number that tells an axis from others of its name."""


def shown(sizes: Sequence[Dim | None]) -> str:
    """Sizes by the names that the code gives them."""
    text = re.sub(rf"{MARK}\d+", "", show(sizes))
    return re.sub(rf"{BY_PLACE}(_?)(\d+)", lambda found: f".shape[{found[1].replace('_', '-')}{found[2]}]", text)


def given_name(size: Dim | None) -> str:
    """The name that the code gives a size."""
    return str(size).partition(MARK)[0]


def role_of(name: str) -> Role | None:
    """What an axis with a size of this name is for: `t`, and `t2` or `t_2` as well."""
    return _ROLES.get(name) or _ROLES.get(name.rstrip("_0123456789"))
