"""Axes in another order than the layer expects.

## Example

    import torch.nn.functional as F
    from torch import nn


    class NextToken(nn.Module):
        def __init__(self, vocab):
            super().__init__()
            self.lstm = nn.LSTM(vocab, 64)
            self.vocab = vocab

        def forward(self, ids):
            x = F.one_hot(ids, self.vocab).float()  # (batch, seq, vocab)
            return self.lstm(x.permute(0, 2, 1))[0]

The check says:

    example.py:13:26 SG201 permute-layout: `x.permute(0, 2, 1)` goes into `nn.LSTM` in a wrong layout: its features are axis 1, not the last one
        x.permute(0, 2, 1): (ids.shape[0], classes, ids.shape[1])
        hint: a layer made with `batch_first=True` takes `x`
        fix: Put the axes in the layer's order: `.permute(1, 0, 2)` (unsafe)

Use instead:

    def forward(self, ids):
        x = F.one_hot(ids, self.vocab).float()  # (batch, seq, vocab)
        return self.lstm(x.permute(1, 0, 2))[0]

Or make the layer with `batch_first=True`, and leave the permute away.

## Why is this bad?

The example raises unless `seq` equals `vocab`; a batch-first value in a sequence-first layer doesn't raise at all. A
recurrent layer then walks over the batch and carries its state from one example into the next; attention mixes examples
with each other. The loss goes down all the same, and batches of one, as in most tests, give other results than the
training did.

## What it does

Marks what goes into `nn.LSTM`, `nn.GRU`, `nn.RNN`, `nn.MultiheadAttention`, the parts of `nn.Transformer` and
`nn.Conv1d`, where it contradicts the layer's layout:

- batch-first values into a layer without `batch_first=True`, and sequence-first ones into one with it;
- features that `permute(0, 2, 1)` has moved away from the end, in front of a recurrent or attention layer;
- embeddings that go into `nn.Conv1d` without a transpose;
- a state `zeros(layers, x.size(0), hidden)` for a recurrent layer whose batch is axis 1;
- a result of a sequence-first layer that is read as batch-first: `out[:, -1]`, `out.mean(dim=1)`.

What an axis is for is read from `batch, seq, dim = x.shape`, from annotations, from the layer that made the value
(`nn.Embedding`, `one_hot`, `nn.Conv1d`), and from the name `input_ids`. A `permute` is marked only where its result
enters a layer.

## Fix safety

Unsafe: the fix changes what the layer sees, on purpose, and the layout of its result. What comes after it may need to
change too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.axes import Axes
from shapeguard.lint.axis_names import KEEPING_LAYERS, MADE_FEATURES, Role, given_name, role_of, shown
from shapeguard.lint.blocks import passed
from shapeguard.lint.layouts import BATCH_FIRST, CHANNELS_SECOND, SEQUENCE_FIRST, Use, uses
from shapeguard.lint.moving import as_method
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.lint.rule import Argument, Found, Repair, Replacement, Rule
from shapeguard.shapes.shape import Shape

_MOVES = frozenset({"permute", "transpose", "swapaxes"})
_MAKES_STATE = frozenset({"zeros", "randn", "ones", "empty", "rand", "new_zeros"})


def _net(layers: str, body: str, given: str = "x") -> str:
    """The source of a model with these layers and this forward pass."""
    made = "".join(f"        self.{each}\n" for each in layers.split("\n"))
    steps = "".join(f"        {each}\n" for each in body.split("\n"))
    head = "import torch\nimport torch.nn.functional as F\nfrom jaxtyping import Float\nfrom torch import Tensor, nn\n"
    start = f"class Net(nn.Module):\n    def __init__(self, d):\n{made}"
    return f"{head}{start}    def forward(self, {given}):\n{steps}"


def _pair(layers: str, body: str, change: tuple[str, str], given: str = "x") -> tuple[str, str]:
    """The source of a model, and what its fix makes of it."""
    before = _net(layers, body, given)
    return before, before.replace(*change)


def _in_model(layer: str, given: str, mark: str = "") -> str:
    """The source of a model whose stages read what a convolution makes of images."""
    return (
        "import torch\nfrom torch import nn\nclass Stage(nn.Module):\n    def __init__(self, d):\n"
        f"        super().__init__()\n        self.norm, self.mix = nn.LayerNorm(d), {layer}\n"
        f"    def forward(self, z):\n        return z + self.mix(self.norm(z)){mark}\n"
        "class Model(nn.Module):\n    def __init__(self, d):\n        super().__init__()\n"
        "        self.stem = nn.Conv2d(3, d, 8, 8)\n"
        "        self.stages = nn.Sequential(*[Stage(d) for _ in range(4)])\n"
        "    def forward(self, pixels):\n        tokens = self.stem(pixels).flatten(2).permute(0, 2, 1)\n"
        f"        return self.stages({given})\n"
    )


class PermuteLayout(Rule):
    """A layer's input has its axes in another order than the layer's."""

    code = "SG201"
    name = "permute-layout"
    severity = "warning"
    other_severity = "error"
    fixable = True
    words = (
        "LSTM(",
        "GRU(",
        "RNN(",
        "MultiheadAttention(",
        "nn.Transformer",
        "TransformerEncoderLayer(",
        "Conv1d( & Embedding(",
    )

    valid = (
        _in_model("nn.TransformerEncoderLayer(d, 4)", "tokens.transpose(0, 1)"),
        _in_model("nn.TransformerEncoderLayer(d, 4, batch_first=True)", "tokens"),
        _net(
            "lstm = nn.LSTM(vocab, 64)", "x = F.one_hot(x, vocab).float()\nreturn self.lstm(x.permute(1, 0, 2))[0][-1]"
        ),
        _net(
            "embed = nn.Embedding(vocab, d)\ngru = nn.GRU(d, 64, batch_first=True)",
            "b, t = x.shape\nout, _ = self.gru(self.embed(x))\nreturn out[:, -1]",
        ),
        # channels-second values, for a layer with the batch first, and with the sequence first
        _net(
            "conv = nn.Conv1d(1, 64, 5)\nlstm = nn.LSTM(64, 128, batch_first=True)",
            "x = self.conv(x).relu().permute(0, 2, 1)\nout, (h, _) = self.lstm(x)\nreturn h[-1]",
        ),
        _net(
            "conv = nn.Conv1d(1, 64, 5)\nlstm = nn.LSTM(64, 128)", "return self.lstm(self.conv(x).permute(2, 0, 1))[0]"
        ),
        _net(
            "attn = nn.MultiheadAttention(d, 8)",
            "b, t, d = x.shape\nx = x.transpose(0, 1)\nout, _ = self.attn(x, x, x)\nreturn out.transpose(0, 1)",
        ),
        _net("attn = nn.MultiheadAttention(d, 8)", "seq_len, bsz, d = x.shape\nreturn self.attn(x, x, x)[0]"),
        # nothing tells what the axes are
        _net("rnn = nn.RNN(32, 64)", "out, h = self.rnn(x.permute(0, 2, 1))\nreturn out"),
        _net(
            "gru = nn.GRU(steps, series)",
            "out, _ = self.gru(x.permute(2, 0, 1).contiguous())\nreturn out.permute(1, 0, 2)",
        ),
        # the layout is an option
        _net("lstm = nn.LSTM(d, d, batch_first=first)", "b, t, d = x.shape\nout, _ = self.lstm(x)\nreturn out[:, -1]"),
        _net("lstm = nn.LSTM(d, 64, 2, **options)", "b, t, d = x.shape\nout, _ = self.lstm(x)\nreturn out[:, -1]"),
        _net(
            "lstm = nn.LSTM(d, 64, 2)",
            "h = torch.zeros(2, x.size(1), 64)\nout, _ = self.lstm(x, (h, h))\nreturn out[-1]",
        ),
        _net(
            "lstm = nn.LSTM(d, 64, 2, batch_first=True)",
            "h = torch.zeros(2, x.size(0), 64).to(x.device)\nout, _ = self.lstm(x, (h, h))\nreturn out[:, -1, :]",
        ),
        _net(
            "embed = nn.Embedding(vocab, d)\nconv = nn.Conv1d(d, 64, 3)",
            "return self.conv(self.embed(x).transpose(1, 2))",
        ),
        # positions are the channels
        _net("embed = nn.Embedding(vocab, d)\nconv = nn.Conv1d(length, 64, 3)", "return self.conv(self.embed(x))"),
        _net(
            "encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 8, batch_first=True), 6)",
            "batch, seq, dim = x.size()\nreturn self.encoder(x).mean(dim=1)",
        ),
        _net("gru = nn.GRU(d, d)", "out, _ = self.gru(x)\nout = out.transpose(0, 1)\nreturn out[:, -1]"),
        _net(
            "layer = nn.TransformerEncoderLayer(d, 8)\nfc = nn.Linear(d, 2)",
            "x = self.layer(x)\nreturn self.fc(x[0]), self.fc(x.mean(0)), x[:, 0]",
        ),
        # one row of many steps
        _net("gru = nn.GRU(d, d)", "return self.gru(x.view(len(x), 1, -1))[0]"),
    )
    invalid = (
        _in_model("nn.TransformerEncoderLayer(d, 4)", "tokens", "  # <-"),
        _net(
            "layer = nn.TransformerEncoderLayer(d, 8)\nfc = nn.Linear(d, 2)",
            "x = self.layer(x)  # <-\nreturn self.fc(x[:, 0])",
        ),
        _net("gru = nn.GRU(d, d)", "out, _ = self.gru(x)  # <-\nreturn torch.amax(out, dim=1)"),
        _pair(
            "lstm = nn.LSTM(vocab, 64)",
            "x = F.one_hot(x, vocab).float()\nout, _ = self.lstm(x.permute(0, 2, 1))  # <-\nreturn out[-1]",
            ("x.permute(0, 2, 1)", "x.permute(1, 0, 2)"),
        ),
        _net(
            "embed = nn.Embedding(vocab, d)\ndrop = nn.Dropout(0.1)\ngru = nn.GRU(d, 64, batch_first=True)",
            "x = self.drop(self.embed(x))\nx = x.transpose(1, 2)\nout, _ = self.gru(x)  # <-\nreturn out",
        ),
        _pair(
            "embed = nn.Embedding(vocab, d)\nlstm = nn.LSTM(d, 64)",
            "batch_size, seq_len = x.shape\nout, _ = self.lstm(self.embed(x))  # <-\nreturn out",
            ("LSTM(d, 64)", "LSTM(d, 64, batch_first=True)"),
        ),
        # (batch, channels, time) as (batch, time, channels), taken for (time, batch, channels)
        _pair(
            "conv = nn.Conv1d(1, 64, 5)\nlstm = nn.LSTM(64, 128)",
            "x = self.conv(x).relu()\nout, _ = self.lstm(x.permute(0, 2, 1))  # <-\nreturn out",
            ("x.permute(0, 2, 1)", "x.permute(2, 0, 1)"),
        ),
        _pair(
            "conv = nn.Conv1d(1, 64, 5)\nlstm = nn.LSTM(64, 128, batch_first=True)",
            "out, _ = self.lstm(self.conv(x))  # <-\nreturn out",
            ("self.conv(x)", "self.conv(x).transpose(1, 2)"),
        ),
        _pair(
            "attn = nn.MultiheadAttention(d, 8, dropout=0.1)",
            "b, t, d = x.shape\nout, _ = self.attn(x, x, x)  # <-\nreturn x + out",
            ("dropout=0.1)", "dropout=0.1, batch_first=True)"),
        ),
        _net(
            "attn = nn.MultiheadAttention(d, 8, batch_first=True)",
            "b, t, d = x.shape\nx = x.permute(1, 0, 2)\nout, _ = self.attn(x, x, x)  # <-\nreturn out",
        ),
        _pair(
            "gru = nn.GRU(d, 64, batch_first=True)",
            "b, t, d = x.shape\nreturn self.gru(x.transpose(0, 1))[0]  # <-",
            ("x.transpose(0, 1)", "x"),
        ),
        _pair(
            "encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(d_model=d, nhead=8), num_layers=6)",
            "return self.encoder(x).mean(dim=1)  # <-",
            ("nhead=8)", "nhead=8, batch_first=True)"),
        ),
        _pair(
            "lstm = nn.LSTM(d, hidden, layers)",
            "h = torch.zeros(self.layers, x.size(0), self.hidden).to(x.device)\n"
            "c = torch.zeros(self.layers, x.size(0), self.hidden).to(x.device)\n"
            "out, _ = self.lstm(x, (h, c))  # <-\nreturn self.fc(out)",
            ("hidden, layers)", "hidden, layers, batch_first=True)"),
        ),
        _net(
            "layer = nn.TransformerEncoderLayer(d, 8)\nencoder = nn.TransformerEncoder(self.layer, 6)",
            "return self.encoder(src=x, mask=None).mean(1)  # <-",
        ),
        _pair(
            "gru = nn.GRU(d, 64, 1, True, False)",
            "out, h = self.gru(x)\nreturn out[:, -1, :]  # <-",
            ("True, False)", "True, True)"),
        ),
        _pair(
            "lstm = nn.LSTM(input_size=d, hidden_size=64)",
            "return self.lstm(x)[0][:, -1]  # <-",
            ("hidden_size=64)", "hidden_size=64, batch_first=True)"),
        ),
        _pair(
            "embed = nn.Embedding(vocab, d)\nconv = nn.Conv1d(d, 64, kernel_size=3)",
            "x = self.embed(x)\nreturn self.conv(x)  # <-",
            ("self.conv(x)", "self.conv(x.transpose(1, 2))"),
        ),
        _net(
            "embed = nn.Embedding(vocab, embedding_dim=d)\n"
            "convs = nn.ModuleList([nn.Conv1d(d, 64, k) for k in (3, 4)])",
            "x = self.embed(x)\nreturn torch.cat([conv(x).amax(2) for conv in self.convs], dim=1)  # <-",
        ),
        _net(
            "embed = nn.Embedding(vocab, d)\nbody = nn.Sequential(nn.Conv1d(d, 64, 3), nn.ReLU())",
            "return self.body(self.embed(x))  # <-",
        ),
        _net("lstm = nn.LSTM(d, 64)", "out, _ = self.lstm(x)  # <-\nlast = out[:, -1]\nreturn last"),
        _pair(
            "lstm = nn.LSTM(d, 64)",
            "out, _ = self.lstm(x)  # <-\nreturn out",
            ("LSTM(d, 64)", "LSTM(d, 64, batch_first=True)"),
            given='x: Float[Tensor, "batch seq dim"]',
        ),
        _pair(
            "embed = nn.Embedding(vocab, d)\ngru = nn.GRU(d, 64)",
            "return self.gru(self.embed(input_ids))[0]  # <-",
            ("GRU(d, 64)", "GRU(d, 64, batch_first=True)"),
            given="input_ids",
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Inputs of layers, and readings of their results, that contradict the layer's layout."""
        axes = Axes(file)
        done: set[ast.Call] = set()
        for use in uses(file):
            if use.call in done:
                continue
            for found in (_of_input(file, axes, use), _of_state(file, axes, use), _of_result(file, use)):
                if found is not None:
                    done.add(use.call)
                    yield found
                    break


def _of_input(file: Reading, axes: Axes, use: Use) -> Found | None:
    if use.layout == CHANNELS_SECOND:
        return _embedded(file, axes, use)
    shape, roles = _known(file, axes, use.given)
    if shape is None and use.layout == SEQUENCE_FIRST:
        return _of_block(file, axes, use)
    if shape is None or len(roles) != 3:  # noqa: PLR2004 - a layout's
        return None
    if "feature" in roles[:2] and roles[2] != "feature":
        made = given_name((shape.sizes or ())[roles.index("feature")]) in MADE_FEATURES
        if not made and roles[2] is None:
            return None
        what = f"its features are axis {roles.index('feature')}, not the last one"
    elif use.layout == SEQUENCE_FIRST and roles[0] == "batch":
        what = "it is batch-first, and the layer takes the sequence first"
    elif use.layout == BATCH_FIRST and (roles[0] == "time" or (roles[1] == "batch" and roles[0] != "batch")):
        what = "it is sequence-first, and the layer takes the batch first"
    else:
        return None
    unsure = use.layout == SEQUENCE_FIRST and roles[0] == "batch" and roles[1] is None
    message = f"`{file.text(use.given)}` goes into `nn.{use.layer}` in a wrong layout: {what}"
    note = f"{file.text(use.given)}: {shown(shape.sizes or ())}"
    repair, hint = _repair(file, axes, use, roles)
    return Found(use.given, message, (note,), hint, repair, preview=unsure)


def _of_block(file: Reading, axes: Axes, use: Use) -> Found | None:
    """The input of a block's `forward`, where a model of the file passes it patches as a convolution gives them."""
    given = passed(file, use.given)
    shapes = [axes.shape(each) for each in given]
    if not given or any(each is None or axes.roles(each) != ("batch", None, "feature") for each in shapes):
        return None
    text, value = file.text(use.given), file.text(given[0])
    message = f"`{text}` goes into `nn.{use.layer}` in a wrong layout: it is batch-first, and the layer takes the sequence first"
    repair = Repair("Say so to the layer: `batch_first=True`", (_batch_first(use),))
    return Found(use.given, message, (f"given in line {given[0].lineno}: {value}",), repair=repair)


def _known(file: Reading, axes: Axes, given: ast.expr) -> tuple[Shape | None, tuple[Role | None, ...]]:
    """The shape of a value, and what its axes are for."""
    shape = axes.shape(given)
    if shape is not None:
        return shape, axes.roles(shape)
    binding = file.definition(given) if isinstance(given, ast.Name) else None
    if binding is None or not isinstance(binding.statement, ast.arg):
        return None, ()
    annotation = binding.statement.annotation
    if not isinstance(annotation, ast.Subscript):
        return None, ()
    shape = file.shape_of(given)
    return shape, () if shape is None else tuple(role_of(str(size)) for size in shape.sizes or ())


def _repair(file: Reading, axes: Axes, use: Use, roles: tuple[Role | None, ...]) -> tuple[Repair | None, str | None]:
    """The change of what goes in, or of the layer; and the other one as a hint."""
    move = file.origin(use.given)
    moved = isinstance(move, ast.Call) and last_name(move.func) in _MOVES
    base = axes.viewed(move) if isinstance(move, ast.Call) and moved else use.given
    before = roles if base is None or base is use.given else _filled(_known(file, axes, base)[1])
    order = _order(before, use.layout)
    if base is None or order is None:
        return None, None
    text = "" if order == (0, 1, 2) else as_method(order)
    if text and moved and isinstance(move, ast.Call) and last_name(move.func) == "permute":
        text = f".permute({', '.join(map(str, order))})"
    node = move if moved else use.given
    change = Replacement(node, "{}" + text, (base,))
    other = _order(before, BATCH_FIRST) if use.layout == SEQUENCE_FIRST else None
    if not moved and other == (0, 1, 2):
        return Repair(
            "Say so to the layer: `batch_first=True`", (_batch_first(use),)
        ), f"as it is, the layer takes `{file.text(base)}{text}`"
    hint = None
    if other is not None:
        hint = f"a layer made with `batch_first=True` takes `{file.text(base)}{'' if other == (0, 1, 2) else as_method(other)}`"
    if not text and node is not use.given:
        return None, f"leave `{file.text(node)}` away"
    order_text = f"Put the axes in the layer's order: `{text}`" if text else "Leave the axes as they are"
    return Repair(order_text, (change,)), hint


def _filled(roles: tuple[Role | None, ...]) -> tuple[Role | None, ...]:
    """The roles with those that are open given out: features come last, and the batch, where nothing else is known, first."""
    missing: list[Role] = [role for role in BATCH_FIRST if role not in roles]
    return tuple(role if role is not None or not missing else missing.pop(0) for role in roles)


def _order(before: tuple[Role | None, ...], layout: tuple[Role, ...]) -> tuple[int, ...] | None:
    filled = _filled(before)
    return tuple(filled.index(role) for role in layout) if sorted(map(str, filled)) == sorted(layout) else None


def _batch_first(use: Use) -> Argument | Replacement:
    if use.flag is not None and all(each.value is not use.flag for each in use.made.keywords):
        return Replacement(use.flag, "True")
    return Argument(use.made, "True", "batch_first")


def _embedded(file: Reading, axes: Axes, use: Use) -> Found | None:
    """Embeddings that go into a convolution over them as they are."""
    value = file.origin(use.given)
    while isinstance(value, ast.Call) and (made := file.layer(value.func)) is not None:
        if last_name(made.func) == "Embedding":
            break
        if not last_name(made.func).startswith("Dropout") or not value.args:
            return None
        value = file.origin(value.args[0])
    else:
        return None
    size, taken = argument(made, 1, "embedding_dim"), argument(use.made, 0, "in_channels")
    if size is None or taken is None or file.text(size) != file.text(taken):
        return None
    if number(size) is None and not isinstance(size, ast.Name | ast.Attribute):
        return None
    shape = axes.shape(use.given) or Shape.unknown()
    message = (
        f"`{file.text(use.given)}` goes into `nn.Conv1d` in a wrong layout: its features are the last axis, not axis 1"
    )
    change = Replacement(use.given, "{}.transpose(1, 2)", (use.given,))
    return Found(
        use.given,
        message,
        (f"{file.text(use.given)}: {shown(shape.sizes or ())}",),
        repair=Repair("Put the features second", (change,)),
    )


def _of_state(file: Reading, axes: Axes, use: Use) -> Found | None:
    """A first state whose batch is another axis of the input than the layer's."""
    if not use.is_recurrent or len(use.call.args) < 2:  # noqa: PLR2004 - input and state
        return None
    given = file.origin(use.call.args[1])
    state = file.origin(given.elts[0]) if isinstance(given, ast.Tuple) and given.elts else given
    while isinstance(state, ast.Call) and last_name(state.func) in {"to", "cuda", "requires_grad_", "float", "double"}:
        inner = receiver(state)
        if inner is None:
            return None
        state = inner
    if not isinstance(state, ast.Call) or last_name(state.func) not in _MAKES_STATE:
        return None
    sizes = (
        state.args[0].elts if len(state.args) == 1 and isinstance(state.args[0], ast.Tuple | ast.List) else state.args
    )
    if len(sizes) != 3:  # noqa: PLR2004 - layers, batch and features
        return None
    batch, right = axes.size(sizes[1]), 0 if use.layout == BATCH_FIRST else 1
    if batch is None or number(sizes[1]) is not None or batch != axes.axis(use.given, 1 - right):
        return None
    if batch == axes.axis(use.given, right):
        return None
    text = file.text(use.given)
    message = f"the state of `nn.{use.layer}` takes axis {1 - right} of `{text}` for the batch, and the layer takes axis {right}"
    if right == 0:
        return Found(use.call, message, severity="error")
    repair = Repair("Say so to the layer: `batch_first=True`", (_batch_first(use),))
    return Found(use.call, message, (), f"as it is, the layer takes `{text}.transpose(0, 1)`", repair, severity="error")


def _of_result(file: Reading, use: Use) -> Found | None:
    """A result of a sequence-first layer that is read as if its second axis were the steps."""
    if use.layout != SEQUENCE_FIRST:
        return None
    if use.given is not argument(use.call, 0, "input", "src", "tgt", "query"):
        return None
    whole: ast.expr = use.call
    parent = file.parent(whole)
    gives_several = use.is_recurrent or use.layer == "MultiheadAttention"
    if gives_several:
        if isinstance(parent, ast.Subscript) and number(parent.slice) == 0:
            whole = parent
        elif not isinstance(parent, ast.Assign):
            return None
    for value in (whole, *_names(file, whole, taken_apart=gives_several)):
        reading = _steps_second(file, value) or (None if use.is_recurrent else _first_step(file, value))
        if reading is not None:
            text = file.text(reading)
            message = f"`{text}` takes axis 1 of what `nn.{use.layer}` gives for the steps, and it is the batch"
            move = file.origin(use.given)
            if isinstance(move, ast.Call) and last_name(move.func) in _MOVES | {"t"}:
                return Found(reading, message)
            repair = Repair("Say so to the layer: `batch_first=True`", (_batch_first(use),))
            if use.flag is not None:
                return Found(reading, message, repair=repair)
            message = f"`nn.{use.layer}` takes the steps first, and `{text}` takes axis 1 of what it gives for them"
            return Found(use.call, message, (f"line {reading.lineno}: {text}",), repair=repair)
    return None


def _names(file: Reading, value: ast.expr, *, taken_apart: bool) -> Iterator[ast.expr]:
    """The places that read the name which a value is assigned to."""
    read: list[ast.Name] = []
    match file.parent(value):
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name() as name, *_])]) if taken_apart:
            read = file.uses(name)
        case ast.Assign(targets=[ast.Name() as name]) if not (taken_apart and isinstance(value, ast.Call)):
            read = file.uses(name)
    for each in read:
        yield each
        mapped = file.parent(each)
        layer = file.layer(mapped.func) if isinstance(mapped, ast.Call) and each in mapped.args[:1] else None
        if isinstance(mapped, ast.Call) and layer is not None and last_name(layer.func) in KEEPING_LAYERS | {"Linear"}:
            yield mapped
            yield from _names(file, mapped, taken_apart=False)


def _first_step(file: Reading, value: ast.expr) -> ast.expr | None:
    """`out[:, 0]` of a value, if a layer takes it: what a class token has come to."""
    parent = file.parent(value)
    match parent:
        case ast.Subscript(value=whole, slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None), first, *rest])):
            if whole is not value or number(first) != 0 or len(rest) > 1:
                return None
            call = file.parent(parent)
            layer = file.layer(call.func) if isinstance(call, ast.Call) and parent in call.args else None
            return None if layer is None else parent
    return None


_POOLS = frozenset({"mean", "amax", "max", "sum", "logsumexp"})


def _steps_second(file: Reading, value: ast.expr) -> ast.expr | None:
    """`out[:, -1]` or `out.mean(dim=1)` of a value."""
    parent = file.parent(value)
    match parent:
        case ast.Call(args=[whole, *_]) if whole is value and file.is_torch(parent, *_POOLS):
            return parent if number(argument(parent, 1, "dim")) in {1, -2} else None
        case ast.Subscript(value=whole, slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None), last, *rest])):
            if whole is value and number(last) == -1 and len(rest) <= 1:
                return parent
        case ast.Attribute(value=whole, attr=name) if whole is value and name in _POOLS:
            call = file.parent(parent)
            if isinstance(call, ast.Call) and call.func is parent:
                return call if number(argument(call, 0, "dim")) in {1, -2} else None
    return None
