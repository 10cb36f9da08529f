"""A `view` or `reshape` that is to exchange axes, which it can't.

## Example

    from torch import nn


    class Mixer(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.conv = nn.Conv1d(dim, dim, kernel_size=3, padding=1)

        def forward(self, x):
            b, t, d = x.shape
            return self.conv(x.view(b, d, t))

The check says:

    example.py:11:26 SG202 view-as-transpose: `view` moves no element: (b, t, d) counted off as (b, d, t) mixes axes
        x: (b, t, d)
        fix: Exchange the axes: `.transpose(1, 2)` (unsafe)

Use instead:

    def forward(self, x):
        return self.conv(x.transpose(1, 2))

## Why is this bad?

A view never moves an element. It reads the same elements in the same order and regroups them by other sizes. The result
has the shape that was asked for, so nothing fails; but its rows are put together from pieces of several rows, and the
model trains on them, a little worse.

## What it does

Marks a `view` or `reshape` where an axis of the value turns up in the result behind more, or fewer, elements than it
had before it:

- `(b, t, d)` as `(b, d, t)`, and `(h, w, c)` as `(c, h, w)`;
- heads split as `(b, h, t, d // h)`, or merged from `(b, h, t, d)` to `(b, t, h * d)`.

What the axes are is read from `b, t, d = x.shape`, from `x.size(1)`, and from the views, transposes and layers that the
value went through. Functions with `shift` or `skew` in their name, such as those of relative positions, are left alone.
What only annotations or other shapes show is a `reshape-scrambles`.

In preview: heads split before a -1, `view(b, num_heads, -1, size)`, and a view that may undo an earlier one.

## Fix safety

Unsafe: the fix changes the result, on purpose. Weights that were trained with the scrambled order have learned it, and
want to be trained again.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.axes import Axes
from shapeguard.lint.axis_names import shown
from shapeguard.lint.heads import heads_cut
from shapeguard.lint.moving import (
    Reshape,
    as_method,
    exchanged,
    move_before,
    move_behind,
    order_between,
    reshape_of,
)
from shapeguard.lint.reading import Reading, last_name
from shapeguard.lint.rule import Found, Repair, Replacement, Rule

_LONGEST_CHAIN = 20


class ViewAsTranspose(Rule):
    """Axes change places in a view, and their elements don't."""

    code = "SG202"
    name = "view-as-transpose"
    severity = "warning"
    fixable = True
    words = (".view(", "reshape(")
    valid = (
        # only a batch of 1 goes through
        "def f(x, s):\n    n, t, d = x.shape\n    return x.permute(0, 2, 1).reshape(1, d, s, s)\n",
        """from torch import nn
class A(nn.Module):
    def __init__(self, d):
        self.q = nn.Conv1d(d, d, 1)
    def forward(self, x, n):
        return self.q(x).view(n, self.num_heads, self.width, -1)
""",
        """def f(x):
    b, t, d = x.shape
    return x.transpose(1, 2).reshape(b, d, t)
""",
        """def f(x):
    b, t, d = x.shape
    return x.view(b * t, d)
""",
        """def f(x, h):
    b, t, d = x.shape
    return x.view(b, t, h, d // h).transpose(1, 2)
""",
        """def f(x):
    b, n, t, d = x.shape
    return x.transpose(1, 2).reshape(b, t, n * d)
""",
        """def f(x):
    b, c, h, w = x.shape
    return x.view(b, c, h * w).permute(0, 2, 1)
""",
        # one axis stands for two
        """def f(x, b, h):
    n, t, d = x.shape
    return x.view(b, h, t, d)
""",
        """def f(x, b):
    n, c, h, w = x.shape
    return x.view(b, n // b, c, h, w)
""",
        # other elements were put into the same name
        """def f(x):
    b, t, d = x.shape
    x = x.transpose(1, 2)
    return x.reshape(b, d, t)
""",
        """def f(x, swap):
    b, t, d = x.shape
    if swap:
        x = x.transpose(1, 2)
    return x.reshape(b, d, t)
""",
        """def f(self, x):
    b, t, d = x.shape
    y = self.mix(x)
    return y.view(b, d, t)
""",
        # the only state, and states told apart
        """from torch import nn
class Encoder(nn.Module):
    def __init__(self, d, layers):
        self.gru = nn.GRU(d, 64, batch_first=True)
        self.lstm = nn.LSTM(d, 64, layers, batch_first=True)
    def forward(self, x):
        b, t, d = x.shape
        out, hidden = self.gru(x)
        _, (h, c) = self.lstm(x)
        return hidden.view(b, -1), h.view(b, -1), h.view(-1, 2, b, 64), hidden.permute(1, 0, 2).reshape(b, -1)
""",
        # flattened and taken apart in one order
        """def f(self, x):
    b, n, u, w = x.shape
    rows = x.permute(0, 2, 1, 3).reshape(-1, w).relu()
    return rows.reshape(b, u, n, w).transpose(1, 2)
""",
        # an axis of one element goes away
        """def f(x):
    b, t, d = x.shape
    return x.view(b, d)
""",
        """def f(self, x):
    b, c, _, _ = x.size()
    y = self.pool(x).view(b, c)
    return x * y.view(b, c, 1, 1)
""",
        # rows shifted by one each, on purpose
        """def rel_shift(x):
    b, h, t, s = x.shape
    return x.view(b, h, s, t)
""",
        """def f(x):
    n, _, t = x.shape
    return x.view(n, n, t)
""",
        """def f(x):
    b, t, d = x.shape
    t, d = d, t
    return x.transpose(1, 2).reshape(b, t, d)
""",
        """def f(x):
    h, w, c = x.shape
    return x.permute(2, 0, 1).reshape(1, c, h, w)
""",
        """import numpy as np
def f(x):
    h, w, c = x.shape
    return np.transpose(x, (2, 0, 1)).reshape(c, h * w)
""",
    )
    invalid = (
        (
            """from torch import nn
class A(nn.Module):
    def __init__(self, d):
        self.q = nn.Linear(d, d)
    def forward(self, x, n):
        return self.q(x).view(n, self.num_heads, -1, self.width)  # <-
""",
            """from torch import nn
class A(nn.Module):
    def __init__(self, d):
        self.q = nn.Linear(d, d)
    def forward(self, x, n):
        return self.q(x).view(n, -1, self.num_heads, self.width).transpose(1, 2)  # <-
""",
        ),
        (
            """def f(x):
    b, t, d = x.shape
    return x.view(b, d, t)  # <-
""",
            """def f(x):
    b, t, d = x.shape
    return x.transpose(1, 2)  # <-
""",
        ),
        (
            """def f(img):
    h, w, c = img.size()
    return img.reshape(c, h, w)  # <-
""",
            """def f(img):
    h, w, c = img.size()
    return img.permute(2, 0, 1)  # <-
""",
        ),
        (
            """def f(img):
    b, h, w, c = img.shape
    return img.view((b, c, h, w)).float()  # <-
""",
            """def f(img):
    b, h, w, c = img.shape
    return img.permute(0, 3, 1, 2).float()  # <-
""",
        ),
        (
            """def f(x, h):
    b, t, d = x.shape
    return x.view(b, h, t, d // h)  # <-
""",
            """def f(x, h):
    b, t, d = x.shape
    return x.view(b, t, h, d // h).transpose(1, 2)  # <-
""",
        ),
        (
            """from torch import nn
class A(nn.Module):
    def __init__(self, d):
        self.q = nn.Linear(d, d)
    def forward(self, x):
        b, t, d = x.size()
        return self.q(x).view(b, self.heads, t, self.width)  # <-
""",
            """from torch import nn
class A(nn.Module):
    def __init__(self, d):
        self.q = nn.Linear(d, d)
    def forward(self, x):
        b, t, d = x.size()
        return self.q(x).view(b, t, self.heads, self.width).transpose(1, 2)  # <-
""",
        ),
        (
            """import torch
def f(q, k, v):
    b, h, t, d = q.shape
    weights = torch.softmax(q @ k.transpose(-1, -2), dim=-1)
    out = torch.matmul(weights, v)
    return out.reshape(b, t, h * d)  # <-
""",
            """import torch
def f(q, k, v):
    b, h, t, d = q.shape
    weights = torch.softmax(q @ k.transpose(-1, -2), dim=-1)
    out = torch.matmul(weights, v)
    return out.transpose(1, 2).reshape(b, t, h * d)  # <-
""",
        ),
        (
            """def f(self, x):
    b, t, d = x.shape
    q = x.view(b, t, self.heads, -1).transpose(1, 2)
    return q.contiguous().view(b, t, -1)  # <-
""",
            """def f(self, x):
    b, t, d = x.shape
    q = x.view(b, t, self.heads, -1).transpose(1, 2)
    return q.contiguous().transpose(1, 2).reshape(b, t, -1)  # <-
""",
        ),
        # queries that come as (batch, length, heads, depth)
        (
            """def f(queries):
    B, L, H, D = queries.shape
    queries = queries.view(B, H, L, -1)  # <-
    return queries
""",
            """def f(queries):
    B, L, H, D = queries.shape
    queries = queries.transpose(1, 2)  # <-
    return queries
""",
        ),
        (
            """def f(x):
    b, n, c = x.shape
    s = int(n ** 0.5)
    return x.reshape(b, c, s, s)  # <-
""",
            """def f(x):
    b, n, c = x.shape
    s = int(n ** 0.5)
    return x.transpose(1, 2).reshape(b, c, s, s)  # <-
""",
        ),
        """def split_heads(self, x):
    n = x.size(0)
    return x.view(n, self.num_heads, -1, self.head_dim)  # <-
""",
        # the states of both directions, layer by layer
        """from torch import nn
class Encoder(nn.Module):
    def __init__(self, d):
        self.gru = nn.GRU(d, 64, batch_first=True, bidirectional=True)
    def forward(self, x):
        out, hidden = self.gru(x)
        return hidden.view(x.size(0), -1)  # <-
""",
        """from torch import nn
class Encoder(nn.Module):
    def __init__(self, d):
        self.lstm = nn.LSTM(d, 64, num_layers=2)
    def forward(self, x):
        seq_len, batch_size, _ = x.shape
        _, (h, c) = self.lstm(x)
        return h.reshape(batch_size, -1)  # <-
""",
        # flattened as (b, t), and taken apart as (t, b)
        """from torch import nn
class A(nn.Module):
    def __init__(self, d):
        self.fc = nn.Linear(d, d)
    def forward(self, x):
        b, t, d = x.shape
        x = self.fc(x.view(b * t, d))
        return x.view(t, b, -1)  # <-
""",
        (
            """from torch import nn
class A(nn.Module):
    def __init__(self, d):
        self.norm = nn.BatchNorm1d(d)
    def forward(self, x):
        B, T, C = x.shape
        return self.norm(x.view(B, C, T))  # <-
""",
            """from torch import nn
class A(nn.Module):
    def __init__(self, d):
        self.norm = nn.BatchNorm1d(d)
    def forward(self, x):
        B, T, C = x.shape
        return self.norm(x.transpose(1, 2))  # <-
""",
        ),
        (
            "def f(x):\n    return x.view(x.size(0), x.size(2), x.size(1)), x.dim()  # <-\n",
            "def f(x):\n    return x.transpose(1, 2), x.dim()  # <-\n",
        ),
        (
            """import torch
def f(out):
    t, b, d = out.shape
    return torch.reshape(out, (b, t * d))  # <-
""",
            """import torch
def f(out):
    t, b, d = out.shape
    return out.transpose(0, 1).reshape(b, t * d)  # <-
""",
        ),
        (
            """def f(x, flip):
    if flip:
        x = x.flip(1)
    b, t, d = x.shape
    return x.view(b, d, t)  # <-
""",
            """def f(x, flip):
    if flip:
        x = x.flip(1)
    b, t, d = x.shape
    return x.transpose(1, 2)  # <-
""",
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Views in which an axis changes its place."""
        axes = Axes(file)
        for call in file.calls("view", "reshape"):
            change = reshape_of(axes, call)
            if _is_shift(file, call):
                continue
            if change is None:
                yield from _heads_cut(file, axes, call)
            elif not change.is_of_rows and exchanged(change.taken_apart, change.after):
                yield _found(file, change, preview=_may_be_put_back(file, axes, change.given))


def _may_be_put_back(file: Reading, axes: Axes, value: ast.expr) -> bool:
    """Whether all that is known of a value is how it was viewed: a second view may undo the first."""
    for _ in range(_LONGEST_CHAIN):
        call = file.origin(value)
        if not isinstance(call, ast.Call):
            return False
        inner = axes.viewed(call)
        if last_name(call.func) in {"view", "reshape"}:
            return inner is None or axes.shape(inner) is None
        if file.layer(call.func) is not None:
            inner = call.args[0] if call.args else None
        if inner is None:
            return False
        value = inner
    return False


def _found(file: Reading, change: Reshape, *, preview: bool) -> Found:
    name, before = last_name(change.call.func), shown(change.before)
    message = f"`{name}` moves no element: {before} counted off as {shown(change.after)} mixes axes"
    notes = [f"{file.text(change.given)}: {before}"]
    if change.taken_apart != change.before:
        notes.append(f"flattened from {shown(change.taken_apart)}")
    return Found(change.call, message, tuple(notes), repair=_repair(file, change), preview=preview)


def _repair(file: Reading, change: Reshape) -> Repair | None:
    """The transpose that is meant: alone, before the view or behind it."""
    before, after = change.before, change.after
    if change.taken_apart != before:
        return None
    texts = [file.text(each).replace("{", "{{").replace("}", "}}") for each in change.asked]
    if any("#" in each for each in texts):
        return None
    order = order_between(before, after)
    if order is not None:
        text = as_method(order)
    elif len(after) > len(before) and (place := move_behind(before, after)) is not None:
        texts[place : place + 2] = [texts[place + 1], texts[place]]
        text = f".{last_name(change.call.func)}({', '.join(texts)}).transpose({place}, {place + 1})"
    elif (order := move_before(before, after)) is not None:
        text = f"{as_method(order)}.reshape({', '.join(texts)})"
    else:
        return None
    return Repair(f"Exchange the axes: `{text}`", (Replacement(change.call, "{}" + text, (change.given,)),))


def _heads_cut(file: Reading, axes: Axes, call: ast.Call) -> Iterator[Found]:
    cut = heads_cut(file, axes, call)
    if cut is None:
        return
    message = f"`{last_name(call.func)}` moves no element: this cuts the rows of `{file.text(cut.given)}` into heads across rows"
    if cut.text is None:
        hint = "split the last axis, then `.transpose(1, 2)`, then join the heads to the batch"
        yield Found(call, message, hint=hint, preview=True)
        return
    change = Replacement(call, "{}" + cut.text, (cut.given,))
    yield Found(call, message, repair=Repair(f"Split, then exchange: `{cut.text}`", (change,)), preview=True)


def _is_shift(file: Reading, call: ast.Call) -> bool:
    """Whether it stands in a function that shifts rows by it."""
    around = [each.name.lower() for each in file.around(call) if isinstance(each, ast.FunctionDef | ast.ClassDef)]
    return any(word in name for name in around for word in ("shift", "skew"))
