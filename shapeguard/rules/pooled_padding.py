"""The last step, the final state or the maximum of a padded batch, in a function that doesn't read its mask.

## Example

    import torch
    from torch import nn


    class NameClassifier(nn.Module):
        def __init__(self, letters, classes):
            super().__init__()
            self.embed = nn.Embedding(letters, 32, padding_idx=0)
            self.lstm = nn.LSTM(32, 64, batch_first=True)
            self.head = nn.Linear(64, classes)

        def forward(self, names, lengths):
            output, _ = self.lstm(self.embed(names))
            return self.head(output[:, -1])

The check says:

    example.py:14:26 SG508 pooled-padding: `output[:, -1]` is padding in shorter rows: `lengths`, which tells where they end, is read nowhere
        hint: take the last step that `lengths` tells, row by row

Use instead:

    def forward(self, names, lengths):
        output, _ = self.lstm(self.embed(names))
        rows = torch.arange(len(names), device=names.device)
        return self.head(output[rows, lengths - 1])

## Why is this bad?

Shorter rows end in padding. A recurrent layer reads on through it, and its output there is used for the row; a maximum
takes what the layers make of the padding. With one row, or rows of one length, all is right, so that tests pass.

## What it does

Marks the step, state or maximum that is taken without regard to where each row ends:

- in a function with a required parameter `mask`, `attention_mask`, `lengths` or their like that it reads nowhere: the
  last step, the final state or the maximum of what a layer gives, and a softmax over the scores of the steps;
- `output[:, -1]` of what `pad_packed_sequence` gives, which is 0 in all rows but the longest;
- the last step or final state of a recurrent layer that reads what `pad_sequence` made, unpacked;
- `[:, -1]` of an encoder's output that was computed with a `key_padding_mask`;
- the maximum over the steps of a model's output that was computed with a mask;
- `logits[rows, (ids == pad_id).int().argmax(-1)]`: the last token stands one place before the first padding
  (`pad-token-pooling` is about padding that can't be told from the last token).

Functions that generate are left alone. Means have their own rule, `unmasked-mean`. In preview: a mask that a base class
may ask for, and values at the first padding that aren't seen to be made of the same tokens.

## Fix safety

There is no fix: packing, indexing and filling each ask for something else of the lengths.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.averages import is_choice
from shapeguard.lint.axis_names import RECURRENT
from shapeguard.lint.first_padding import first_paddings
from shapeguard.lint.padded_ends import ends, is_last_step, is_told, unread_counts
from shapeguard.lint.padding import is_generating
from shapeguard.lint.pooling import layer_call, masked_states, unread
from shapeguard.lint.reading import Function, Reading, last_name, number, receiver
from shapeguard.lint.rule import Found, Rule

_LAST = -1
_STEPS = 1
_FILLS = re.compile(r"masked_fill|inf\b|where\(|finfo|-1e|-10000|\*=? ?\w*mask")


class PooledPadding(Rule):
    """Padding taken for the end, or for a part, of what it stands behind."""

    code = "SG508"
    name = "pooled-padding"
    severity = "warning"
    words = (
        *(
            f"{mask} & {pool}"
            for pool in ("[:, -1", "[:,-1", "max(", "LSTM(", "GRU(", "RNN(")
            for mask in ("mask", "valid", "lengths", "lens", "length", "pad_packed_sequence", "pad_sequence")
        ),
        *(f"{count}.sum( & {layer}" for count in ("!= 0)", ".ne(0)") for layer in ("LSTM(", "GRU(", "RNN(")),
        "pad & argmax(",
        "attention_mask & argmax(",
        "attention_mask & argmin(",
    )
    valid = (
        """\
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
class Judge(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(d, 2, batch_first=True)
    def forward(self, rows, pad_mask):
        return self.head(self.layer(rows, src_key_padding_mask=pad_mask)[:, -1])
def judge(model, rows, pad_mask):
    return model(pad_sequence(rows, batch_first=True, padding_side="left"), pad_mask)
""",
        """\
import torch
from torch import nn
class Rater(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.lstm = nn.LSTM(d, d, batch_first=True)
    def forward(self, words, seen):
        return self.head(self.lstm(self.embed(words))[0][:, -1])
def rate(rater, words, seen):
    seen = words.mean(dim=-1)
    return rater(words, seen)
""",
        """\
import torch
def rewards(model, ids, pad_id):
    values = model(ids)
    first = ids.eq(pad_id).int().argmax(-1)
    return values[torch.arange(len(ids)), first - 1], ids[torch.arange(len(ids)), first]
""",
        """\
import torch
def append(ids, pad_id, end):
    ids[torch.arange(len(ids)), ids.eq(pad_id).int().argmax(-1)] = end
    return ids
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def at_end(model, ids, pad_token_id=None):
    return model(ids)[torch.arange(len(ids)), (ids == pad_token_id).int().argmax(-1)]
""",
        """\
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
class Net(nn.Module):
    def forward(self, x, sizes):
        packed = pack_padded_sequence(x, sizes, batch_first=True)
        states, rest = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return states[range(len(rest)), rest - 1], states[:, 0]
""",
        """\
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
class Encoder(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.gru = nn.GRU(d, d, batch_first=True)
    def forward(self, rows, lengths):
        x = pack_padded_sequence(pad_sequence(rows, batch_first=True), lengths, batch_first=True)
        _, h = self.gru(x)
        return h[-1]
""",
        """\
from torch import nn
class Attend(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Linear(d, 1)
    def forward(self, states, padding_mask):
        scores = self.w(states).masked_fill(~padding_mask[..., None], float("-inf"))
        return (scores.softmax(dim=1) * states).sum(1)
""",
        """\
import torch
class Net(torch.nn.Module):
    def forward(self, names, lengths):
        output, _ = self.lstm(self.embed(names))
        return self.fc(output[torch.arange(len(names)), lengths - 1])
""",
        """\
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(8, 8, batch_first=True)
    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        _, h = self.rnn(packed)
        return h[-1]
""",
        """\
import torch
class Net(torch.nn.Module):
    def forward(self, points, valid):
        h = self.phi(points).masked_fill(~valid[..., None], float("-inf"))
        return self.rho(h.max(dim=1).values)
""",
        """\
import torch
class Net(torch.nn.Module):
    def forward(self, frames):
        output, _ = self.lstm(frames)
        return output[:, -1]
""",
        """\
import torch
class Net(torch.nn.Module):
    def forward(self, x, mask=None):
        h = self.layers(x)
        return h[:, -1]
""",
        """\
import torch
class Net(torch.nn.Module):
    def generate(self, x, mask):
        h = self.layers(x)
        return self.head(h)[:, -1]
""",
        """\
import torch
class Net(torch.nn.Module):
    def forward(self, x, lengths):
        logits = self.output_layer(self.body(x))
        return torch.max(logits, 1)
""",
        """\
import torch
from torch import nn
class Policy(Base):
    def __init__(self):
        self.lstm = nn.LSTM(8, 8)
    @override(Base)
    def forward(self, x, seq_lens):
        out, state = self.lstm(x)
        return out, state[0]
""",
        """\
import torch
from torch import nn
class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 8)
    def forward(self, x, state, seq_lens):
        out, state = self.lstm(x, state)
        return out, state
""",
        """\
import torch
class Net(torch.nn.Module):
    def forward(self, x, text_mask):
        x = self.encoder(x, text_mask)
        x = torch.where(text_mask[..., None], x, -1e9)
        return x.max(dim=1).values
""",
        """\
import torch
class Net(torch.nn.Module):
    def forward(self, x, mask):
        return self.encoder(x)[:, 0]
""",
        """\
import torch
def largest(image, mask):
    return image.max(dim=1)
""",
    )
    invalid = (
        """\
import torch
from torch import nn
class Rater(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.lstm = nn.LSTM(d, d, batch_first=True)
    def forward(self, words, used):
        states, _ = self.lstm(self.embed(words))
        return self.head(states[:, -1])  # <-
def rate(rater, words):
    used = words.ne(0).sum(dim=-1)
    return rater(words, used=used)
""",
        """\
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
class Judge(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(d, 2, batch_first=True)
    def forward(self, rows, pad_mask):
        h = self.layer(rows, src_key_padding_mask=pad_mask)
        return self.head(h[:, -1, :])  # <-
def judge(model, rows, pad_mask):
    return model(pad_sequence(rows, batch_first=True), pad_mask)
""",
        """\
import torch
class Scorer(torch.nn.Module):
    def forward(self, tokens):
        states = self.encoder(self.embed(tokens))[0]
        ends = (tokens == self.pad_id).long().argmax(dim=1)  # <-
        index = ends[:, None, None].expand(-1, 1, states.size(-1))
        return self.head(states.gather(1, index).squeeze(1))
""",
        """\
import torch
def rewards(model, input_ids, attention_mask):
    values = model(input_ids, attention_mask=attention_mask)[0]
    rows = torch.arange(len(values))
    return values[rows, torch.argmax((attention_mask == 0).int(), dim=-1)]  # <-
""",
        """\
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
class Net(nn.Module):
    def forward(self, x, sizes):
        packed = pack_padded_sequence(x, sizes, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return states[:, -1, :]  # <-
""",
        """\
from torch import nn
from torch.nn.utils.rnn import pad_sequence
class Encoder(nn.Module):
    def __init__(self, v, d):
        super().__init__()
        self.emb = nn.Embedding(v, d)
        self.lstm = nn.LSTM(d, d, batch_first=True)
    def forward(self, texts):
        ids = pad_sequence(texts, batch_first=True)
        output, (hidden, cell) = self.lstm(self.emb(ids))  # <-
        return hidden[-1]
""",
        """\
from torch import nn
class Encoder(nn.Module):
    def __init__(self, v, d):
        super().__init__()
        self.emb = nn.Embedding(v, d)
        self.gru = nn.GRU(d, d, batch_first=True)
    def forward(self, ids, padding_mask):
        x = self.emb(ids) * padding_mask[..., None]
        states, _ = self.gru(x)
        return states[:, -1]  # <-
""",
        """\
from torch import nn
class Attend(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Sequential(nn.Linear(d, d), nn.Tanh(), nn.Linear(d, 1, bias=False))
    def forward(self, states, padding_mask):
        weights = self.w(states).softmax(dim=1)  # <-
        return (weights * states).sum(1)
""",
        """\
import torch
from torch import nn
class TextCNN(nn.Module):
    def __init__(self, d, n):
        super().__init__()
        self.conv = nn.Conv1d(d, n, 3, padding=1)
    def forward(self, x, lengths):
        features = torch.relu(self.conv(x.transpose(1, 2)))
        return features.max(dim=-1).values  # <-
""",
        """\
import torch
class Net(torch.nn.Module):
    def forward(self, names, lengths):
        output, _ = self.lstm(self.embed(names))
        return self.fc(output[:, -1])  # <-
""",
        """\
import torch
class Net(torch.nn.Module):
    def forward(self, x, seq_lens):
        out, (h, c) = self.lstm(x)
        out = self.dropout(out)
        return self.fc(out[:, -1, :])  # <-
""",
        """\
import torch
class Reward(torch.nn.Module):
    def forward(self, input_ids, attention_mask):
        hidden = self.backbone(input_ids)
        values = self.value_head(hidden).squeeze(-1)
        return values[:, -1]  # <-
""",
        """\
import torch
class SetEncoder(torch.nn.Module):
    def forward(self, points, mask):
        h = self.phi(points)
        return self.rho(h.amax(dim=1))  # <-
""",
        """\
import torch
class SetEncoder(torch.nn.Module):
    def forward(self, points, valid):
        h = torch.relu(self.phi(points))
        pooled, _ = torch.max(self.norm(h), dim=1)  # <-
        return self.rho(pooled)
""",
        """\
import torch
class Encoder(torch.nn.Module):
    def forward(self, tokens, padding_mask):
        h = self.encoder(tokens, src_key_padding_mask=padding_mask)
        return h.max(dim=1)[0]  # <-
""",
        """\
import torch
class Encoder(torch.nn.Module):
    def forward(self, ids, attention_mask):
        out = self.bert(ids, attention_mask=attention_mask)
        return torch.max(out.last_hidden_state, 1).values  # <-
""",
        """\
import torch
from torch import nn
class Speaker(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(40, 64, batch_first=True, bidirectional=True)
    def forward(self, mels, mel_lengths):
        _, h_n = self.rnn(mels)  # <-
        return torch.cat([h_n[0], h_n[1]], dim=-1)
""",
        """\
import torch
from torch import nn
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(40, 64, batch_first=True)
    def forward(self, x, lengths):
        out, (hidden, cell) = self.lstm(self.embedding(x))  # <-
        return self.fc(hidden[-1])
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Summaries of steps that are told apart by what nothing reads."""
        told: set[ast.expr] = set()
        for end in ends(file):
            told.add(end.node)
            yield Found(end.node, end.message, hint=end.hint)
        for found in self._unread(file):
            if found.node not in told and getattr(found.node, "value", None) not in told:
                yield found

        for first in first_paddings(file):
            message = f"`{file.text(first.where)}` reads `{file.text(first.read)}` at the first padding of each row"
            hint = "the last token stands one place before: subtract 1"
            yield Found(first.node, message, hint=hint, preview=not first.is_same_row)

    def _unread(self, file: Reading) -> Iterator[Found]:
        for node in file.all(ast.Subscript):
            function = file.named_function(node) if is_last_step(node) else None
            if function is not None and not _generates(function):
                yield from _last_step(file, node, function)
        for call in file.calls("max", "amax"):
            function = file.named_function(call)
            of = _maximum(file, call)
            if function is not None and of is not None:
                yield from _largest(file, call, of, function)
        for statement in file.all(ast.Assign):
            function = file.named_function(statement)
            if function is not None:
                yield from _final_state(file, statement, function)


def _generates(function: Function) -> bool:
    return isinstance(function, ast.FunctionDef) and is_generating(function.name)


def _last_step(file: Reading, node: ast.Subscript, function: Function) -> Iterator[Found]:
    names = unread(function) or unread_counts(file, function)
    if not names or not isinstance(node.ctx, ast.Load) or layer_call(file, node.value) is None:
        return
    message = (
        f"`{file.text(node)}` is padding in shorter rows: `{names[0]}`, which tells where they end, is read nowhere"
    )
    hint = f"take the last step that `{names[0]}` tells, row by row"
    yield Found(node, message, hint=hint, preview=not is_told(file, function))


def _maximum(file: Reading, call: ast.Call) -> ast.expr | None:
    """`h` of `h.max(dim=1)`; of what a convolution gives, the steps are the last axis."""
    of, place = file.given(call, 0, "input"), number(file.given(call, 1, "dim", "axis"))
    if of is None or place == _STEPS:
        return of
    return of if place in {_LAST, _STEPS + 1} and _convolution(file, of) is not None else None


def _convolution(file: Reading, node: ast.expr, left: int = 6) -> ast.Call | None:
    """The call of a convolution over steps that gives a value."""
    made = file.origin(node)
    if not isinstance(made, ast.Call) or left <= 0:
        return None
    layer = file.layer(made.func)
    if layer is not None and last_name(layer.func) == "Conv1d":
        return made
    if last_name(made.func) not in {"relu", "tanh", "gelu", "dropout"}:
        return None
    inner = made.args[0] if made.args else receiver(made)
    return None if inner is None else _convolution(file, inner, left - 1)


def _largest(file: Reading, call: ast.Call, of: ast.expr, function: Function) -> Iterator[Found]:
    names = unread(function)
    text = file.text(call)
    if names and (layer_call(file, of) or _convolution(file, of)) is not None:
        message = f"`{text}` may take padding: `{names[0]}`, which tells it, is read nowhere"
        yield Found(call, message, hint="fill the padding with -inf before", preview=not is_told(file, function))
        return
    states = masked_states(file, of)
    fills = _FILLS.search(file.source.segment(function))
    if states is not None and not fills and not is_choice(file, call, states.names):
        yield Found(call, f"`{text}` may take padding, which {states.told}", hint="fill the padding with -inf before")


def _final_state(file: Reading, statement: ast.Assign, function: Function) -> Iterator[Found]:
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=[_, state])], value=ast.Call(args=[_]) as call):
            made = file.layer(call.func)
        case _:
            return
    names = unread(function) if made is None else unread(function) or unread_counts(file, function)
    if made is None or not names or last_name(made.func) not in RECURRENT or not _is_used(file, state):
        return
    message = f"the final state of `{file.text(call.func)}` has read the padding: `{names[0]}` is read nowhere"
    hint = "give it `pack_padded_sequence` of the rows and their lengths"
    yield Found(call, message, hint=hint, preview=not is_told(file, function))


def _is_used(file: Reading, state: ast.expr) -> bool:
    names = [each for each in ast.walk(state) if isinstance(each, ast.Name)]
    return any(file.uses(each) for each in names)
