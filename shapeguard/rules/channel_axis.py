"""A convolution or batch norm that takes the steps for the channels.

## Example

    from torch import nn


    class Encoder(nn.Module):
        def __init__(self, features, hidden):
            super().__init__()
            self.gru = nn.GRU(features, hidden, batch_first=True)
            self.norm = nn.BatchNorm1d(hidden)

        def forward(self, x):
            states, _ = self.gru(x)
            return self.norm(states)

The check says:

    example.py:12:16 SG207 channel-axis: `nn.BatchNorm1d` takes the channels as axis 1, and `states` has them last
        states: (batch, time, feature)
        hint: put them second: `states.transpose(1, 2)`

Use instead:

    def forward(self, x):
        states, _ = self.gru(x)
        return self.norm(states.transpose(1, 2)).transpose(1, 2)

## Why is this bad?

Where there are as many steps as features, nothing fails: the convolution slides over the features, and the norm treats
each step as a channel. With any other number of steps most raise; a norm that keeps no numbers of its own doesn't.

## What it does

Marks the call of an `nn.Conv1d`, `nn.BatchNorm1d` or `nn.InstanceNorm1d` on `(batch, time, features)`: on what a
recurrent layer or an encoder with `batch_first=True` gives, or what is called so in the code. Their channels are axis
1. The hint puts them there; after a norm they usually go back, as in the example. Layers that are made with the number
of steps as their channels are left alone; what comes straight from an embedding is reported by `permute-layout`.

## Fix safety

There is no fix: what follows may want the axes in either order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.form import part_of
from shapeguard.lint.forms import Forms
from shapeguard.lint.reading import Reading, argument, last_name, number
from shapeguard.lint.rule import Found, Rule

_TAKES = {"Conv1d": "in_channels", "BatchNorm1d": "num_features", "InstanceNorm1d": "num_features"}


def _net(layers: str, body: str) -> str:
    """The source of a model with these layers and this forward pass."""
    made = "".join(f"        self.{each}\n" for each in layers.split("\n"))
    steps = "".join(f"        {each}\n" for each in body.split("\n"))
    head = "import torch\nfrom torch import nn\n"
    return f"{head}class Net(nn.Module):\n    def __init__(self, d):\n{made}    def forward(self, x):\n{steps}"


class ChannelAxis(Rule):
    """The channels aren't axis 1."""

    code = "SG207"
    name = "channel-axis"
    severity = "warning"
    words = ("Conv1d(", "BatchNorm1d(", "InstanceNorm1d(")

    valid = (
        _net(
            "rnn = nn.GRU(d, d, batch_first=True)\nnorm = nn.BatchNorm1d(d)",
            "h, _ = self.rnn(x)\nreturn self.norm(h.transpose(1, 2))",
        ),
        _net(
            "rnn = nn.GRU(d, d, batch_first=True)\nnorm = nn.BatchNorm1d(d)",
            "h, _ = self.rnn(x)\nreturn self.norm(h[:, -1])",
        ),
        _net("rnn = nn.GRU(d, d, batch_first=True)\nnorm = nn.LayerNorm(d)", "h, _ = self.rnn(x)\nreturn self.norm(h)"),
        _net("conv = nn.Conv1d(seq_len, 8, 1)", "b, t, d = x.shape\nreturn self.conv(x)"),
        _net("conv = nn.Conv1d(d, 8, 1)", "b, c, t = x.shape\nreturn self.conv(x)"),
        _net(
            "embed = nn.Embedding(9, d)\nconv = nn.Conv1d(d, 8, 1)", "b, t = x.shape\nreturn self.conv(self.embed(x))"
        ),
        _net("conv = nn.Conv1d(d, 8, 1)\nnorm = nn.BatchNorm1d(8)", "return self.norm(self.conv(x))"),
    )
    invalid = (
        _net(
            "rnn = nn.GRU(d, d, batch_first=True)\nnorm = nn.BatchNorm1d(d)",
            "h, _ = self.rnn(x)\nreturn self.norm(h)  # <-",
        ),
        _net(
            "enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 2, batch_first=True), 2)\nconv = nn.Conv1d(d, 8, 3)",
            "h = self.enc(x)\nreturn self.conv(h)  # <-",
        ),
        _net("conv = nn.Conv1d(d, 8, 3)", "batch, seq_len, dim = x.shape\nreturn self.conv(x)  # <-"),
        _net(
            "rnn = nn.LSTM(d, 8, batch_first=True)\nfc = nn.Linear(8, 16)\nhead = nn.Sequential(nn.BatchNorm1d(16), nn.ReLU())",
            "h, _ = self.rnn(x)\nreturn self.head(self.fc(h))  # <-",
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Calls of layers over channels whose input has them last."""
        forms = Forms(file)
        for call in file.all(ast.Call):
            if len(call.args) != 1 or not isinstance(call.func, ast.Name | ast.Attribute):
                continue
            layer = file.layer(call.func)
            if layer is not None and last_name(layer.func) == "Sequential" and layer.args:
                first = file.origin(layer.args[0])
                layer = first if isinstance(first, ast.Call) else None
            name = "" if layer is None else last_name(layer.func)
            if layer is None or name not in _TAKES or not file.is_torch(layer, name):
                continue
            size = argument(layer, 0, _TAKES[name])
            if size is None or part_of(last_name(size)) == "time":
                continue
            if name == "Conv1d" and _is_embedded(file, call.args[0]):
                continue
            form = forms.of(call.args[0])
            if form is None or form.is_open or form.parts[:2] != ("batch", "time") or form.rank != 3:  # noqa: PLR2004 - as taken
                continue
            known = form.parts[2]
            if isinstance(known, int) and number(size) is not None and known != number(size):
                continue
            text = file.text(call.args[0])
            shown = ", ".join("?" if each is None else str(each) for each in form.parts)
            message = f"`nn.{name}` takes the channels as axis 1, and `{text}` has them last"
            yield Found(call, message, (f"{text}: ({shown})",), f"put them second: `{text}.transpose(1, 2)`")


def _is_embedded(file: Reading, node: ast.expr) -> bool:
    """Whether embeddings are given as they are, or with some of them dropped."""
    made = file.origin(node)
    while isinstance(made, ast.Call) and (layer := file.layer(made.func)) is not None and made.args:
        if last_name(layer.func) == "Embedding":
            return True
        if not last_name(layer.func).startswith("Dropout"):
            return False
        made = file.origin(made.args[0])
    return False
