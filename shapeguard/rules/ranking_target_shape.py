"""A loss that compares a column of predictions `(batch, 1)` with a row of targets `(batch,)`, or the reverse.

## Example

    import torch.nn.functional as F
    from torch import nn


    class Critic(nn.Module):
        def __init__(self, features):
            super().__init__()
            self.head = nn.Linear(features, 1)

        def loss(self, states, returns):
            values = self.head(states)  # (batch, 1)
            return F.mse_loss(values, returns.view(-1))

The check says:

    example.py:12:16 SG402 ranking-target-shape: `F.mse_loss` compares each element of `values` with all of `returns.view(-1)`: a column meets a row
        values: (batch, 1)
        returns.view(-1): (batch,)
        fix: Take the axis of size 1 away: `values.squeeze(-1)` (unsafe)

Use instead:

    def loss(self, states, returns):
        values = self.head(states).squeeze(-1)  # (batch,)
        return F.mse_loss(values, returns.view(-1))

## Why is this bad?

A column and a row are broadcast to a matrix: each prediction is compared with the targets of the whole batch. The loss
falls, to where the model predicts the mean of all targets, and stays there. torch warns of it once, in a line that
scrolls away; of `hinge_embedding_loss` not at all. Four of the losses raise at the first batch.

## What it does

Marks a loss, as a function or a layer, of a column `(batch, 1)` and a row `(batch,)`: `mse_loss`, `l1_loss`,
`smooth_l1_loss`, `huber_loss` and `hinge_embedding_loss`, which stretch them, and `binary_cross_entropy`, with logits
too, `margin_ranking_loss` and `soft_margin_loss`, which refuse them. The name is from ranking: a reward head gives the
column, and its target is `torch.ones(batch)`.

Column and row are told apart by the code: `nn.Linear(d, 1)`, `unsqueeze(-1)`, `view(-1, 1)`, `gather(1, places)`
against `view(-1)`, `flatten()`, `torch.ones(len(x))`, `max(1)[0]`; and shapes that are stated. What `shape-mismatch`
reports isn't reported again. It is an error, where `loss-contract` may only warn, since both sides are seen.

Where a column `(b, 1)` meets a row `(b,)`, one rule reports it:

- `ranking-target-shape`: a loss of torch, column and row both seen in the code or in annotations;
- `loss-contract`: any other loss, and an `argmax` compared with labels;
- `column-with-row`: any other step, column and row both seen in the code;
- `outer-broadcast`: any other step of known shapes.

## Fix safety

The fix adds `.squeeze(-1)` to the column, where the other side surely has one axis. Unsafe: the loss changes, and an
unreduced one changes shape.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.columns import Column, column_by_shape, column_of
from shapeguard.lint.losses import OF_CHANCES, OF_DIFFERENCES, Loss, losses
from shapeguard.lint.reading import Reading, argument, last_name
from shapeguard.lint.rule import Found, Repair, Replacement, Rule

_STRETCH = (*OF_DIFFERENCES, "hinge_embedding_loss")
_REFUSE = (*OF_CHANCES, "margin_ranking_loss", "soft_margin_loss")

_HEAD = """import torch
import torch.nn.functional as F
from torch import nn
class Value(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.body = nn.Linear(d, d)
        self.head = nn.Linear(d, 1)
        self.loss = nn.MSELoss()
    def forward(self, x, returns):
"""


class RankingTargetShape(Rule):
    """Every prediction compared with every target."""

    code = "SG402"
    name = "ranking-target-shape"
    fixable = True
    words = (
        "mse_loss",
        "MSELoss",
        "l1_loss",
        "L1Loss",
        "huber_loss",
        "HuberLoss",
        "soft_margin_loss",
        "SoftMarginLoss",
        "hinge_embedding_loss",
        "HingeEmbeddingLoss",
        "binary_cross_entropy",
        "BCELoss",
        "BCEWithLogitsLoss",
        "margin_ranking_loss",
        "MarginRankingLoss",
    )
    valid = (
        """import torch
import torch.nn.functional as F
def optimize(self, batch, gamma):
    state_action_values = self.net(batch.state).gather(1, batch.action)
    next_state_values = torch.zeros(self.batch_size, device=self.device)
    next_state_values[batch.mask] = self.target(batch.next).max(1)[0].detach()
    expected = next_state_values * gamma + batch.reward
    return F.smooth_l1_loss(state_action_values, expected.unsqueeze(1))
""",
        "import torch.nn.functional as F\nloss = F.mse_loss(logps.gather(1, tokens), F.linear(h, w).squeeze(-1))\n",
        _HEAD + "        return F.mse_loss(self.head(x).squeeze(-1), returns.view(-1))\n",
        _HEAD + "        return F.mse_loss(self.head(x).view(-1), returns.view(-1))\n",
        _HEAD + "        return F.mse_loss(self.head(x), returns.view(-1, 1))\n",
        _HEAD + "        return F.mse_loss(self.head(x), returns)\n",
        _HEAD + "        return self.loss(self.head(x), returns.float().unsqueeze(1))\n",
        _HEAD + "        return self.loss(self.head(x)[:, 0], torch.ones(x.size(0)))\n",
        _HEAD + "        return self.loss(self.body(x), torch.ones(x.size(0)))\n",
        _HEAD + "        return F.mse_loss(self.head(x).mean(), returns.flatten())\n",
        _HEAD + "        return F.binary_cross_entropy_with_logits(self.head(x), torch.ones_like(self.head(x)))\n",
        """import torch.nn.functional as F
def dqn_loss(net, target, s, a, r, s2, gamma):
    q = net(s).gather(1, a.unsqueeze(1))
    best = target(s2).max(1)[0].detach()
    return F.smooth_l1_loss(q, (r + gamma * best).unsqueeze(1))
""",
        """import torch.nn.functional as F
def dqn_loss(net, target, s, a, r, s2, gamma):
    q = net(s).gather(1, a.unsqueeze(1)).squeeze(1)
    best = target(s2).max(1)[0].detach()
    return F.smooth_l1_loss(q, r + gamma * best)
""",
        """import torch.nn.functional as F
def dqn_loss(net, target, s, a, r, s2, gamma):
    q = net(s).gather(1, a)
    best = target(s2).max(1, keepdim=True)[0]
    return F.smooth_l1_loss(q, r + gamma * best)
""",
        """import torch
def margin(a, b):
    return torch.nn.functional.margin_ranking_loss(a.view(-1), b.view(-1), torch.ones(len(a)))
""",
        """import torch.nn.functional as F
def loss(x, y):
    if x.dim() > 1:
        x = x.view(-1, 1)
    else:
        y = y.view(-1)
    return F.mse_loss(x, y)
""",
        """import torch.nn.functional as F
def pairwise(points):
    return (points[:, None] - points.view(-1)).abs().mean()
""",
    )
    invalid = (
        (
            _HEAD + "        return F.mse_loss(self.head(x), returns.view(-1))  # <-\n",
            _HEAD + "        return F.mse_loss(self.head(x).squeeze(-1), returns.view(-1))  # <-\n",
        ),
        (
            _HEAD + "        values = self.head(x)\n        return self.loss(values, torch.ones(x.size(0)))  # <-\n",
            _HEAD
            + "        values = self.head(x)\n        return self.loss(values.squeeze(-1), torch.ones(x.size(0)))  # <-\n",
        ),
        (
            _HEAD + "        return F.l1_loss(returns.flatten(), torch.sigmoid(self.head(x)))  # <-\n",
            _HEAD + "        return F.l1_loss(returns.flatten(), torch.sigmoid(self.head(x)).squeeze(-1))  # <-\n",
        ),
        (
            """import torch
from jaxtyping import Float
from torch import Tensor
def loss(scores: Float[Tensor, "batch 1"], labels: Float[Tensor, "batch"]):
    return torch.nn.functional.huber_loss(scores, labels)  # <-
""",
            """import torch
from jaxtyping import Float
from torch import Tensor
def loss(scores: Float[Tensor, "batch 1"], labels: Float[Tensor, "batch"]):
    return torch.nn.functional.huber_loss(scores.squeeze(-1), labels)  # <-
""",
        ),
        (
            _HEAD + "        return nn.MarginRankingLoss(0.5)(self.head(x), self.head(-x), torch.ones(len(x)))  # <-\n",
            _HEAD
            + "        return nn.MarginRankingLoss(0.5)(self.head(x).squeeze(-1), self.head(-x).squeeze(-1),"
            + " torch.ones(len(x)))  # <-\n",
        ),
        _HEAD + "        return F.margin_ranking_loss(self.head(x), returns, torch.ones(x.shape[0]))  # <-\n",
        _HEAD
        + """        labels = returns.float().view(-1)
        return F.binary_cross_entropy_with_logits(self.head(self.body(x).relu()), labels)  # <-
""",
        """import torch.nn.functional as F
def dqn_loss(net, target, s, a, r, s2, gamma):
    q = net(s).gather(1, a.unsqueeze(1))
    best = target(s2).max(1)[0].detach()
    expected = r + gamma * best
    return F.smooth_l1_loss(q, expected)  # <-
""",
        """import torch
from torch import nn
class Agent:
    def learn(self, states, actions, rewards, next_states, dones):
        q = self.net(states).gather(1, actions.long().view(-1, 1))
        with torch.no_grad():
            next_q, _ = self.target(next_states).max(dim=1)
            target = rewards + self.gamma * next_q * (1 - dones)
        loss = nn.MSELoss()(q, target)  # <-
        loss.backward()
""",
        """import torch
from torch import nn
class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid())
    def forward(self, x):
        return self.net(x)
critic = Critic()
criterion = nn.BCELoss()
real = critic(images)
loss = criterion(real, torch.ones(images.size(0)))  # <-
""",
        """import torch
from torch import nn
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
loss_fn = torch.nn.MSELoss()
x = torch.randn(100, 2)
y = x[:, 0] * 2
for epoch in range(100):
    loss = loss_fn(model(x), y.view(-1))  # <-
""",
        """import torch.nn.functional as F
def loss(prediction, target):
    prediction = prediction.reshape(-1)
    target = target[:, None]
    return F.l1_loss(prediction, target, reduction="none").mean()  # <-
""",
        _HEAD + "        return F.mse_loss(self.head(x), self.head(returns).squeeze(-1))  # <-\n",
        """import torch
import torch.nn.functional as F
def optimize(self, batch, gamma):
    actions, rewards = torch.cat(batch.action), torch.cat(batch.reward)
    state_action_values = self.net(batch.state).gather(1, actions)
    next_state_values = torch.zeros(self.batch_size, device=self.device)
    next_state_values[batch.mask] = self.target(batch.next).max(1)[0].detach()
    expected = next_state_values * gamma + rewards
    return F.smooth_l1_loss(state_action_values, expected)  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Losses of a column and a row."""
        for loss in losses(file, *_STRETCH, *_REFUSE):
            sides = _sides(loss)
            kinds = [column_of(file, each) for each in sides]
            if None in kinds and (any(kinds) or "jaxtyping" in file.source.text):
                kinds = [kind or column_by_shape(file, each) for each, kind in zip(sides, kinds, strict=True)]
            pairs = list(zip(sides, kinds, strict=True))
            columns = [each for each, kind in pairs if kind == "column"]
            others = [(each, kind) for each, kind in pairs if kind in {"row", "wide", "loose", "maybe"}]
            if not columns and any(kind in {"row", "wide"} for kind in kinds):
                columns = [each for each, kind in pairs if kind == "matrix"]
            if not columns or not others or (loss.name in _REFUSE and _is_reported(file, sides)):
                continue
            yield _found(file, loss, columns, others[-1], sure=not {None, "matrix"} & {*kinds})


def _sides(loss: Loss) -> list[ast.expr]:
    """The tensors that have to be of one shape, the target last."""
    second = argument(loss.call, 1, "input2") if loss.name == "margin_ranking_loss" else None
    return [each for each in (loss.given, second, loss.target) if each is not None]


def _is_reported(file: Reading, sides: list[ast.expr]) -> bool:
    """Whether the static checker knows all shapes, and so reports the call itself."""
    return all(file.shape_of(each) is not None for each in sides)


def _found(
    file: Reading, loss: Loss, columns: list[ast.expr], other: tuple[ast.expr, Column | None], *, sure: bool
) -> Found:
    """What is told of a loss; `sure` if all of its sides are known."""
    node, kind = other
    func, first, second = (file.text(each) for each in (loss.call.func, columns[0], node))
    if loss.name in _REFUSE:
        message = f"`{func}` refuses `{first}` and `{second}`: only the one ends in an axis of size 1"
    else:
        message = f"`{func}` compares each element of `{first}` with all of `{second}`: a column meets a row"
    repair = hint = None
    if sure and kind == "row":
        changes = tuple(Replacement(each, "{}.squeeze(-1)", (each,)) for each in columns)
        repair = Repair(f"Take the axis of size 1 away: `{first}.squeeze(-1)`", changes)
    else:
        hint = "give both the same axes: `squeeze(-1)` takes one of size 1 away, `unsqueeze(-1)` adds it"
    shape = "(batch,)" if kind == "row" else "(..., batch)"
    gathered = file.origin(columns[0])
    is_gathered = isinstance(gathered, ast.Call) and last_name(gathered.func) == "gather"
    notes = (f"{first}: (batch, 1)", f"{second}: {shape}")
    preview = kind == "maybe" and not is_gathered
    return Found(loss.call, message, notes, hint, repair, preview=preview)
