"""A step in which `(batch, 1)` meets `(batch,)`, so that every value is paired with all of the other side.

## What it does

Flags arithmetic, comparisons and `torch.where` of a column, of shape (batch, 1), with a row, of shape (batch,): the
result is (batch, batch). What makes the column shows it: a layer with one output, as the head of a critic; a reduction
that keeps its axis; a `gather` of one place a row; a table of one number for each id, as biases are. That the other side is a row is told by the code, and the finding
says by what:

- it meets the same column with its axis taken away elsewhere in the function: `mse_loss(values.squeeze(1), returns)`;
- it is made a column elsewhere: `sold.view(-1, 1)`;
- a cross entropy takes it for classes, beside `output.argmax(1, keepdim=True)`;
- it is looked up in a table whose rows are given further axes elsewhere: `table[t].view(-1, 1, 1, 1)`;
- a loss takes the result with a row;
- it is the inner product of what was looked up for the same ids: `bias(u) + (users(u) * items(i)).sum(1)`;
- it is made with one axis, of the same data as the column.

Columns that are put up by hand, by `x[:, None]`, `unsqueeze` or `view(-1, 1)`, are taken for wanted: pairs of all with
all are written so. Losses have their own rule, `ranking-target-shape`; where all shapes are known the finding is an
`outer-broadcast`.

In preview: a row that is known by its making alone, where no mean, sum or loss takes the result.

## Why is this bad?

Nothing fails. The mean over (batch, batch) differences is a number like any other; an advantage is everyone's; an
accuracy counts matches between different rows.

## Example

    values = self.critic(obs)  # (batch, 1)
    advantage = returns - values.detach()
    loss = F.mse_loss(values.squeeze(1), returns)

Use instead:

    values = self.critic(obs).squeeze(1)
    advantage = returns - values.detach()
    loss = F.mse_loss(values, returns)

## Fix safety

There is no fix: whether the column loses its axis or the row is given one depends on what else is done with both.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.meetings import Evidence, Meeting, evidence, meetings
from shapeguard.lint.reading import Reading, last_name
from shapeguard.lint.rule import Found, Rule
from shapeguard.lint.thin import SAME_AXES

_MOST = 60
_MEANS = frozenset({"mean", "sum"})
_LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_HEAD = """import torch
import torch.nn.functional as F
from torch import nn
class Critic(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.v = nn.Linear(width, 1)
    def forward(self, x):
        return self.v(x)
"""


class ColumnWithRow(Rule):
    """Each row's number with everyone's."""

    code = "SG410"
    name = "column-with-row"
    severity = "warning"
    words = ("keepdim=True", "keepdims=True", "Linear & 1", "gather(", "Embedding & , 1)", "embedding_dim=1")
    valid = (
        _HEAD
        + """def loss(net, obs, returns):
    values = Critic(8)(obs).squeeze(1)
    advantage = returns - values.detach()
    return F.mse_loss(values, returns) + advantage.mean()
""",
        _HEAD
        + """def loss(obs, returns):
    values = Critic(8)(obs)
    return (returns.unsqueeze(1) - values).pow(2).mean()
""",
        _HEAD
        + """class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.score = nn.Linear(width, 1)
    def forward(self, h, scale):
        return (self.score(h).softmax(1) * h).sum(1)
""",
        """import torch
def normalised(x):
    total = x.sum(-1, keepdim=True)
    x = x / total
    return x.unsqueeze(-1)
""",
        """import torch
def distances(x, y):
    return x.pow(2).sum(1, keepdim=True) + y.pow(2).sum(1) - 2 * x @ y.t()
""",
        """import torch
import torch.nn.functional as F
def test(model, loader):
    for data, target in loader:
        output = model(data)
        loss = F.nll_loss(output, target)
        pred = output.argmax(dim=1, keepdim=True)
        correct = pred.eq(target.view_as(pred)).sum()
""",
        """import torch
from torch import nn
class Coral(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.weights = nn.Linear(width, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(classes - 1))
    def forward(self, x):
        return self.weights(x) + self.bias
""",
        """import torch
from torch import nn
class Recommender(nn.Module):
    def __init__(self, n, k):
        super().__init__()
        self.users, self.items = nn.Embedding(n, k), nn.Embedding(n, k)
        self.bias = nn.Embedding(n, 1)
        self.offset = nn.Parameter(torch.zeros(1))
    def forward(self, u, i):
        rows = (self.users(u) * self.items(i)).sum(1, keepdim=True)
        near = (self.users(u) * self.items(i)).sum(1)
        return self.bias(u) + rows, self.bias(u).squeeze(-1) + near, self.bias(i) + self.users(u) @ self.offset
""",
    )
    invalid = (
        """import torch
import torch.nn.functional as F
from torch import nn
class Actor(nn.Module):
    def __init__(self, d, a):
        super().__init__()
        self.net = nn.Linear(d, a)
    def forward(self, x):
        normal = torch.distributions.Normal(self.net(x), 1.0)
        move = normal.sample()
        return move, normal.log_prob(move).sum(1)
class Value(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.out = nn.Linear(d, 1)
    def forward(self, x, move):
        return self.out(torch.cat([x, move], 1))
def step(actor, frozen, online, x, after, reward):
    move, logp = actor(after)
    best = frozen(after, move) - 0.1 * logp  # <-
    return F.smooth_l1_loss(online(x, reward), best)
""",
        """import torch
from torch import nn
class Glove(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.words = nn.Embedding(vocab, width)
        self.context = nn.Embedding(vocab, width)
        self.word_bias = nn.Embedding(vocab, embedding_dim=1)
        self.context_bias = nn.Embedding(vocab, embedding_dim=1)
    def forward(self, left, right, counts):
        near = torch.sum(self.words(left) * self.context(right), dim=-1)
        bias = self.word_bias(left) + self.context_bias(right)
        return (near + bias - counts.log()) ** 2  # <-
""",
        """from torch import nn
class Scores(nn.Module):
    def __init__(self, n, k):
        super().__init__()
        self.entities = nn.Embedding(n, k)
        self.popular = nn.Embedding(n, 1)
    def forward(self, batch):
        vectors = self.entities(batch.head)
        return self.popular(batch.head) * (vectors * self.entities(batch.tail)).sum(-1)  # <-
""",
        _HEAD
        + """def loss(obs, returns):
    values = Critic(8)(obs)
    advantage = returns - values.detach()  # <-
    return F.mse_loss(values.squeeze(1), returns) + advantage.mean()
""",
        """import torch
import torch.nn.functional as F
def test(model, loader):
    for data, target in loader:
        output = model(data)
        loss = F.cross_entropy(output, target)
        pred = output.argmax(dim=1, keepdim=True)
        correct = pred.eq(target).sum()  # <-
""",
        """import torch
import torch.nn.functional as F
def test(model, loader):
    for data, target in loader:
        logits = model(data)
        loss = F.nll_loss(logits, target)
        correct = (logits.max(1, keepdim=True)[1] == target).float().mean()  # <-
""",
        """import torch
from torch import nn
def fit(x, y, epochs):
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    for _ in range(epochs):
        out = model(x)
        rmse = (out - y).pow(2).mean().sqrt()  # <-
        loss = nn.functional.mse_loss(out.squeeze(-1), y)
        loss.backward()
""",
        """import torch
import torch.nn.functional as F
def td_error(net, target_net, state, action, reward, next_state, gamma):
    n = len(reward)
    q = net(state)[torch.arange(n), action]
    best = target_net(next_state).amax(dim=1, keepdim=True)
    target = reward + gamma * best  # <-
    return F.mse_loss(q, target)
""",
        """import torch
from torch import nn
class Net(nn.Sequential):
    def __init__(self, n):
        super().__init__(nn.Linear(n, 16), nn.ReLU(), nn.Linear(16, 1))
def fit(net, x, y):
    error = net(x) - y.view(-1, 1)
    weight = torch.where(y > 0, 5.0, 1.0)
    return (weight * error.abs()).mean()  # <-
""",
        """import torch
class Diffusion:
    def noisy(self, x, noise, t):
        a = self.alphas[t].reshape(-1, 1, 1, 1)
        return a * x + (1 - a) * noise
    def loss(self, x, noise, t):
        error = (self.net(x, t) - noise).abs().mean(dim=(1, 2, 3), keepdim=True)
        weight = 1 - self.alphas[t]
        return (error * weight).mean()  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Columns that meet rows."""
        found = [(each, why) for each in meetings(file) if (why := evidence(file, each)) is not None]
        steps = {each.step for each, _ in found}
        for each, why in found:
            if not any(part in steps for part in ast.walk(each.step) if part is not each.step):
                yield _found(file, each, why)


def _found(file: Reading, meeting: Meeting, why: Evidence) -> Found:
    column, other = _short(file, meeting.column), _short(file, meeting.other)
    message = (
        f"`{column}` is a column and `{other}` a row: `{_short(file, meeting.step)}` pairs each with every other one"
    )
    making = {
        "head": "a layer with one output gives it",
        "kept": "the axis is kept",
        "gathered": "one place a row is taken",
        "looked up": "the table has one number for each",
    }
    made = meeting.made
    line = "" if made.node.lineno == meeting.step.lineno else f", line {made.node.lineno}"
    shape = "(batch, 1)" if made.axes == 1 else f"(batch{', 1' * made.axes})"
    of = "" if file.text(why.row) == other else f"`{_short(file, why.row)}`: "
    notes = (
        f"{column}: {shape}: {making[made.kind]}: {_short(file, made.node)}{line}",
        f"{other}: (batch,): {of}{why.why}",
    )
    hint = "give both the same axes: `squeeze(-1)` takes one of size 1 away, `unsqueeze(-1)` adds it"
    return Found(meeting.step, message, notes, hint, preview=not why.is_sure and not _is_hidden(file, meeting.step))


def _short(file: Reading, node: ast.expr) -> str:
    text = file.text(node)
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."


def _is_hidden(file: Reading, step: ast.expr) -> bool:
    """Whether a mean, a sum or a loss takes what comes out, or it goes on as if it were a column still."""
    node: ast.AST = step
    for _ in range(8):
        parent = file.parent(node)
        match parent:
            case ast.BinOp() | ast.UnaryOp():
                node = parent
            case ast.Attribute(attr=name):
                call = file.parent(parent)
                if name in _MEANS and isinstance(call, ast.Call) and not call.args and not call.keywords:
                    return True
                if name not in SAME_AXES or not isinstance(call, ast.Call):
                    return False
                node = call
            case ast.Call() if _averages(file, parent, node):
                return True
            case ast.Call(func=func, args=[first]) if first is node and last_name(func) in SAME_AXES:
                node = parent
            case ast.Assign(targets=[ast.Name() as name], value=value):
                if any(isinstance(each, ast.Name) and each.id == name.id for each in ast.walk(value)):
                    return True  # `score = 0.5 * score + ...`, time and again
                uses = [each for each in file.uses(name) if each is not node]
                return bool(uses) and any(_is_hidden(file, each) for each in uses)
            case _:
                return False
    return False


def _averages(file: Reading, call: ast.Call, value: ast.AST) -> bool:
    """Whether a call makes one number of a value: a mean, a sum, a loss."""
    if value in call.args[:2] and file.is_torch(call, *_LOSSES):
        return "reduction" not in {each.arg for each in call.keywords}
    return call.args == [value] and last_name(call.func) in _MEANS and not call.keywords
