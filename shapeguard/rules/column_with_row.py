"""A step in which `(batch, 1)` meets `(batch,)`, so that every value is paired with all of the other side.

## Example

    import torch.nn.functional as F
    from torch import nn


    class Critic(nn.Module):
        def __init__(self, features):
            super().__init__()
            self.head = nn.Linear(features, 1)

        def forward(self, states, returns):
            values = self.head(states)
            advantages = returns - values
            return advantages.detach(), F.mse_loss(values.squeeze(1), returns)

The check says:

    example.py:12:22 SG410 column-with-row: `values` is a column and `returns` a row: `returns - values` pairs each value with all of the other side
        values: (batch, 1): a layer with one output gives it: self.head(states), line 11
        returns: (batch,): line 13 has it beside `values.squeeze(1)`
        hint: give both the same axes: `squeeze(-1)` takes one of size 1 away, `unsqueeze(-1)` adds it

Use instead:

    def forward(self, states, returns):
        values = self.head(states).squeeze(1)
        advantages = returns - values
        return advantages.detach(), F.mse_loss(values, returns)

## Why is this bad?

Nothing fails. The mean over `(batch, batch)` squared differences is a number like any other; each advantage mixes all
rows; an accuracy counts matches between different rows.

## What it does

Marks arithmetic, comparisons and `torch.where` of a column, which `nn.Linear(d, 1)`, `nn.Embedding(n, 1)`,
`x.mean(1, keepdim=True)` or `q.gather(1, actions)` makes, with a row. The other side counts as a row if:

- the column meets it with its axis taken away elsewhere: `F.mse_loss(values.squeeze(1), returns)`;
- it is made a column elsewhere, `returns.view(-1, 1)`, or a loss takes the result with a row;
- it is the inner product of what the same ids look up: `bias(u) + (users(u) * items(i)).sum(1)`;
- it is made with one axis of the same data, `returns.view(len(states))` (in preview where no mean or loss takes the
  result);
- in a difference with what a layer with one output gives, the code itself makes it a row: `returns.view(-1)`,
  `returns.squeeze(-1)`, `torch.tensor([each.reward for each in batch])` (in preview as above).

A column written by hand, `x[:, None]` or `x.view(-1, 1)`, is assumed intended; so are all pairs of predictions,
`scores - scores.view(-1)`. The plain mean of a difference is the same over all pairs, and isn't reported.

Where a column `(b, 1)` meets a row `(b,)`, one rule reports it:

- `ranking-target-shape`: a loss of torch, column and row both seen in the code or in annotations;
- `loss-contract`: any other loss, and an `argmax` compared with labels;
- `column-with-row`: any other step, column and row both seen in the code;
- `outer-broadcast`: any other step of known shapes.

## Fix safety

There is no fix: whether the column loses its axis or the row is given one depends on what else is done with both.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.losses import OF_DIFFERENCES
from shapeguard.lint.meetings import Evidence, Meeting, evidence, meetings
from shapeguard.lint.reading import Reading, last_name, receiver
from shapeguard.lint.rows import flattened
from shapeguard.lint.rule import Found, Rule
from shapeguard.lint.thin import SAME_AXES

_MOST = 60
_MEANS = frozenset({"mean", "sum"})
_ALONE = re.compile(r"unsqueeze\(0\)|\[None\b")
"""One row that is given a batch's axis."""
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
        _HEAD
        + """def loss(obs, returns):
    values = Critic(8)(obs)
    near = (values.view(-1) - returns.view(-1)).pow(2).mean()
    return near + (values - returns.view(-1, 1)).pow(2).mean()
""",
        _HEAD
        + """def energy_distance(x, y):
    critic = Critic(8)
    ours, theirs = critic(x), critic(y)
    return (ours - theirs.view(-1)).abs().mean() - (ours - ours.view(-1)).abs().mean()
""",
        _HEAD
        + """def bias(obs, returns):
    values = Critic(8)(obs)
    error = values - returns.view(-1)
    return error.mean(), torch.mean(values - returns.flatten())
""",
        _HEAD
        + """def steps(x, bins):
    values = Critic(8)(x)
    levels = torch.tensor([float(each) for each in range(9)])
    return (values - levels).abs().mean() + (values - bins.view(-1)).abs().mean()
""",
        _HEAD
        + """def gated(x, query):
    return (Critic(8)(x) * query.view(-1)).sum(), (Critic(8)(x) + query.flatten()).sum()
""",
        _HEAD
        + """def step(state, target):
    value = Critic(8)(state.unsqueeze(0))
    return (value - target.view(-1)).pow(2).mean()
""",
        _HEAD
        + """def loss(x, y, weights):
    values = Critic(8)(x)
    return ((values - y.view(-1).unsqueeze(1)) ** 2 * weights).mean()
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
        """import torch
from torch import nn
class Critic(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.head = nn.Linear(width, 1)
        self.deep = nn.Sequential(nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, 1))
    def loss(self, states, returns):
        values = self.head(states)
        first = ((values - returns.view(-1)) ** 2).mean()  # <-
        error = torch.flatten(returns) - self.deep(states)  # <-
        small = error.abs() < 1
        second = torch.where(small, 0.5 * error**2, error.abs() - 0.5).sum()
        return first + second + (values.squeeze(-1) - returns.view(-1)).abs().mean()
""",
        _HEAD
        + """def fit(loader, optimizer):
    model = Critic(8)
    for batch in loader:
        target = 0.5 * batch["reward"].float().reshape(-1)
        error = model(batch["state"]) - target  # <-
        loss = (error * error).mean()
        loss.backward()
""",
        _HEAD
        + """def loss(obs, batch, late):
    values = Critic(8)(obs)
    returns = torch.tensor([each.reward for each in batch])
    first = (returns - values).square().mean()  # <-
    return first + torch.sum(torch.abs(values - late.squeeze(-1)))  # <-
""",
        _HEAD
        + """def advantages(obs, returns):
    return returns.view(-1) - Critic(8)(obs).detach()  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Columns that meet rows."""
        told = ((each, evidence(file, each) or _flat(file, each)) for each in meetings(file))
        found = [(each, why) for each, why in told if why is not None and not _is_of_itself(file, each, why.row)]
        steps = {each.step for each, _ in found}
        for each, why in found:
            if not any(part in steps for part in ast.walk(each.step) if part is not each.step):
                yield _found(file, each, why)


def _is_of_itself(file: Reading, meeting: Meeting, row: ast.expr) -> bool:
    """Whether a value meets itself, as in a loss of ranks: all pairs are meant, for one by one the step says nothing."""
    made = file.origin(row)
    owner = receiver(made) if isinstance(made, ast.Call) else None
    return owner is not None and file.text(owner) == file.text(meeting.column)


def _flat(file: Reading, meeting: Meeting) -> Evidence | None:
    """A difference of what a layer with one output gives, and data that was flattened."""
    made, step = meeting.made.node, meeting.step
    if meeting.made.kind != "head" or not (isinstance(step, ast.BinOp) and isinstance(step.op, ast.Sub)):
        return None
    row = flattened(file, meeting.other)
    if row is None or _is_averaged(file, step):
        return None
    given = made.args if isinstance(made, ast.Call) else []
    if any(_ALONE.search(file.text(file.origin(each))) for each in given):
        return None
    return Evidence(f"`{file.text(row)}` has one axis", row, row, is_sure=False)


def _is_averaged(file: Reading, step: ast.expr) -> bool:
    """Whether only the mean of a difference is taken, which is the same over all pairs."""
    reads = file.reads(step)
    around = [file.parent(each) for each in reads[1:] or reads]
    return all(
        isinstance(each, ast.Attribute | ast.Call)
        and last_name(each.func if isinstance(each, ast.Call) else each) == "mean"
        for each in around
    )


def _found(file: Reading, meeting: Meeting, why: Evidence) -> Found:
    column, other = _short(file, meeting.column), _short(file, meeting.other)
    message = f"`{column}` is a column and `{other}` a row: `{_short(file, meeting.step)}` pairs each value with all of the other side"
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
            case ast.BinOp() | ast.UnaryOp() | ast.Compare():
                node = parent
            case ast.Call(func=func) if last_name(func) == "where" and file.full_name(func) is not None:
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
    if value in call.args[:2] and file.is_torch(call, *OF_DIFFERENCES):
        return "reduction" not in {each.arg for each in call.keywords}
    return call.args == [value] and last_name(call.func) in _MEANS and not call.keywords
