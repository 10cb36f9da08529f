"""A binary cross entropy of numbers that aren't kept between 0 and 1.

## Example

    import torch.nn.functional as F
    from torch import nn


    class SpamFilter(nn.Module):
        def __init__(self, features):
            super().__init__()
            self.head = nn.Linear(features, 1)

        def loss(self, x, labels):
            scores = self.head(x).squeeze(-1)
            return F.binary_cross_entropy(scores, labels)

The check says:

    example.py:12:39 SG406 logits-before-bce: `F.binary_cross_entropy` takes numbers between 0 and 1, and `scores` may be any number
        from `self.head(x)`, line 11
        fix: Call the loss of logits: `binary_cross_entropy_with_logits` (unsafe)

Use instead:

    def loss(self, x, labels):
        scores = self.head(x).squeeze(-1)
        return F.binary_cross_entropy_with_logits(scores, labels)

## Why is this bad?

torch refuses the first number below 0 or above 1: "all elements of input should be between 0 and 1". On a GPU this is
an assertion in a kernel, which ends the process without saying where.

## What it does

Marks the input of `binary_cross_entropy` and `BCELoss` that comes straight from a Linear or a convolution, or is a
logarithm of probabilities: in the call itself, through names that are assigned once, through functions and models of
the same file.

## Fix safety

The fix calls the loss that takes logits, where it is called as a function and the input comes from a layer. Calls that
worked by luck give another loss: it is unsafe.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.losses import losses
from shapeguard.lint.reading import Reading
from shapeguard.lint.rule import Found, Repair, Replacement, Rule
from shapeguard.lint.squashing import squashed


class LogitsBeforeBce(Rule):
    """Any number given to the loss that takes probabilities."""

    code = "SG406"
    name = "logits-before-bce"
    fixable = True
    words = ("binary_cross_entropy", "BCELoss")
    valid = (
        "import torch.nn.functional as F\np = F.linear(x, w)\np.sigmoid_()\nloss = F.binary_cross_entropy(p, y)\n",
        "import torch\nfrom torch import nn\nloss = nn.BCELoss()(torch.sigmoid(nn.Linear(8, 1)(x)), y)\n",
        "import torch.nn.functional as F\nloss = F.binary_cross_entropy(F.softmax(x, -1), y)\n",
        "import torch.nn.functional as F\nloss = F.binary_cross_entropy(x, y)\n",
        "import torch.nn.functional as F\nloss = F.binary_cross_entropy_with_logits(F.linear(x, w), y)\n",
        "import torch.nn.functional as F\nloss = F.binary_cross_entropy(F.linear(x, w).clamp(0, 1), y)\n",
        """from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 1)
        self.loss = nn.BCELoss()
    def forward(self, x, y):
        x = self.fc(x)
        return self.loss(x.sigmoid().view(-1), y)
""",
        """from torch import nn
net = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())
loss = nn.BCELoss()(net(x), y)
""",
        """from torch import nn
net = nn.Sequential(nn.Conv2d(8, 1, 3), nn.Tanh())
loss = nn.BCELoss()((net(x) + 1) / 2, y)
""",
        """import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.fc = nn.Linear(8, 1)
        self.last = last
    def forward(self, x):
        return self.last(self.fc(x))
loss = nn.BCELoss()(Net(torch.sigmoid)(x), y)
""",
        """from torch import nn
layers = [nn.Linear(8, 1)]
if probability:
    layers.append(nn.Sigmoid())
net = nn.Sequential(*layers)
loss = nn.BCELoss()(net(x), y)
""",
        """import torch
import torch.nn.functional as F
def loss(x, y, sigmoid):
    x = F.linear(x, w)
    if sigmoid:
        x = torch.sigmoid(x)
    return F.binary_cross_entropy(x, y)
""",
        """import torch.nn.functional as F
def binary_cross_entropy(logits, y):
    return F.binary_cross_entropy_with_logits(logits, y)
loss = binary_cross_entropy(F.linear(x, w), y)
""",
    )
    invalid = (
        (
            "import torch.nn.functional as F\nloss = F.binary_cross_entropy(F.linear(x, w), y)  # <-\n",
            "import torch.nn.functional as F\nloss = F.binary_cross_entropy_with_logits(F.linear(x, w), y)  # <-\n",
        ),
        (
            """import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(8, 1)
    def forward(self, x, y):
        score = self.head(x).squeeze(-1)
        return torch.nn.functional.binary_cross_entropy(score, y.float())  # <-
""",
            """import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(8, 1)
    def forward(self, x, y):
        score = self.head(x).squeeze(-1)
        return torch.nn.functional.binary_cross_entropy_with_logits(score, y.float())  # <-
""",
        ),
        """from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 64)
        self.fc2 = nn.Linear(64, 1)
    def forward(self, x):
        x = self.fc1(x).relu()
        return self.fc2(x)
model = Net().to(device)
criterion = nn.BCELoss()
for x, y in loader:
    y_pred = model(x)
    loss = criterion(y_pred, y)  # <-
""",
        """from torch import nn
net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1), nn.Flatten(0))
loss = nn.BCELoss()(net(x), y)  # <-
""",
        """import torch.nn as nn
import torch.nn.functional as F
class Net:
    def __init__(self):
        self.unet = nn.Conv2d(3, 1, 1)
        self.bce = nn.BCELoss(reduction="none")
    def step(self, x, y):
        return self.bce(self.unet(x), y).mean()  # <-
""",
        "import torch.nn.functional as F\nloss = F.binary_cross_entropy(F.log_softmax(x, 1), y)  # <-\n",
        "import torch.nn.functional as F\nloss = F.binary_cross_entropy(F.logsigmoid(x), y)  # <-\n",
        """import torch
from torch import nn
class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 1)
        self.loss = nn.BCELoss()
    def score(self, x):
        return self.head(x)
    def forward(self, real, fake):
        both = torch.cat([self.score(real), self.score(fake)])
        return self.loss(both, self.labels)  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Binary cross entropies of what isn't between 0 and 1."""
        for loss in losses(file, "binary_cross_entropy"):
            last = squashed(file, loss.given)
            if last is None or last.by not in {"none", "log_softmax", "log_sigmoid"}:
                continue
            func, repair = loss.call.func, None
            name = "binary_cross_entropy_with_logits"
            if last.by == "none" and isinstance(func, ast.Attribute) and func.attr == "binary_cross_entropy":
                repair = Repair(
                    f"Call the loss of logits: `{name}`", (Replacement(func, f"{{}}.{name}", (func.value,)),)
                )
            is_any = "may be any number" if last.by == "none" else "is never above 0"
            yield Found(
                loss.given,
                f"`{file.text(func)}` takes numbers between 0 and 1, and `{file.text(loss.given)}` {is_any}",
                (f"from `{file.text(last.step)}`, line {file.source.span_of(last.step).line}",),
                f"`{name}` takes logits" if repair is None and last.by == "none" else None,
                repair,
            )
