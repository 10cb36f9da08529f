"""A loss that makes a sigmoid or softmax itself, of what went through a sigmoid already.

## Example

    import torch
    import torch.nn.functional as F


    def train_step(model, images, labels):
        scores = torch.sigmoid(model(images))
        return F.binary_cross_entropy_with_logits(scores, labels)

The check says:

    example.py:7:47 SG404 sigmoid-before-logits-loss: `F.binary_cross_entropy_with_logits` makes a sigmoid itself, and `scores` is a sigmoid already
        from `torch.sigmoid(model(images))`, line 6
        fix: Give the loss the logits themselves (unsafe)

Use instead:

    def train_step(model, images, labels):
        logits = model(images)
        return F.binary_cross_entropy_with_logits(logits, labels)

## Why is this bad?

Of a number between 0 and 1 the second sigmoid makes one between 0.5 and 0.73: no input can be called negative, the loss
of a negative never falls below 0.69, and gradients shrink. Nothing fails.

## What it does

Marks the input of `binary_cross_entropy_with_logits`, `multilabel_soft_margin_loss` and torchvision's
`sigmoid_focal_loss` that went through a sigmoid or softmax last, and that of `cross_entropy` that went through a
sigmoid. Layers count as functions do; the input is followed through names that are assigned once, and through functions
and models of the same file.

A softmax before `cross_entropy` has its own rule, `softmax-before-cross-entropy`.

## Fix safety

The fix gives the loss what the sigmoid is made of. Losses, and so what is trained, change: it is unsafe. There is no
fix where the sigmoid is made in a function or model that others may call.
"""

from __future__ import annotations

from collections.abc import Iterator

from shapeguard.lint.losses import Loss, losses
from shapeguard.lint.reading import Reading, argument
from shapeguard.lint.removing import without
from shapeguard.lint.rule import Found, Repair, Rule
from shapeguard.lint.squashing import squashed

_BINARY = ("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss")


class SigmoidBeforeLogitsLoss(Rule):
    """Probabilities given to a loss that takes logits."""

    code = "SG404"
    name = "sigmoid-before-logits-loss"
    severity = "warning"
    fixable = True
    words = (
        "igmoid & binary_cross_entropy_with_logits",
        "igmoid & BCEWithLogitsLoss",
        "oftmax & binary_cross_entropy_with_logits",
        "oftmax & BCEWithLogitsLoss",
        "igmoid & ross_entropy",
        "igmoid & CrossEntropyLoss",
        "igmoid & SoftMarginLoss",
        "igmoid & soft_margin_loss",
        "sigmoid_focal_loss",
    )
    valid = (
        "import torch.nn.functional as F\nloss = F.binary_cross_entropy_with_logits(logits, labels)\n",
        "import torch\nfrom torch import nn\nloss = nn.BCELoss()(torch.sigmoid(logits), labels)\n",
        "import torch.nn.functional as F\nloss = F.binary_cross_entropy_with_logits(logits, teacher.sigmoid())\n",
        "import torch\nimport torch.nn.functional as F\nloss = F.binary_cross_entropy(x.sigmoid(), y)\n",
        "import torch.nn.functional as F\nloss = F.cross_entropy(h * h.sigmoid(), y)\n",
        "import torch.nn.functional as F\nloss = F.cross_entropy(F.logsigmoid(x), y)\n",
        "import torch\nimport torch.nn.functional as F\nloss = F.cross_entropy(torch.logit(x.sigmoid()), y)\n",
        "import torch.nn.functional as F\nloss = F.cross_entropy(F.softmax(x, -1), y)\n",
        """import torch
import torch.nn.functional as F
def step(self, x, y):
    logits = self.head(x)
    scores = torch.sigmoid(logits)
    return F.binary_cross_entropy_with_logits(logits, y), scores
""",
        """import torch
from torch import nn
class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(8, 8), nn.Sigmoid())
        self.head = nn.Linear(8, 1)
        self.loss = nn.BCEWithLogitsLoss()
    def forward(self, x, y):
        x = x * self.gate(x)
        return self.loss(self.head(x), y)
""",
        """import torch
from torch import nn
class Critic(nn.Module):
    def __init__(self, wasserstein):
        super().__init__()
        self.fc = nn.Linear(8, 1)
        self.wasserstein = wasserstein
    def forward(self, x):
        x = self.fc(x)
        return x if self.wasserstein else torch.sigmoid(x)
loss = nn.BCEWithLogitsLoss()(Critic(True)(x), y)
""",
        """import torch
def focal_loss(inputs, targets, gamma=2.0):
    p = torch.sigmoid(inputs)
    ce = torch.nn.functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    return (ce * (1 - p * targets) ** gamma).mean()
""",
        """import torch.nn.functional as F
def step(score, labels, kind):
    if kind == "probability":
        score = score.sigmoid()
    else:
        return F.binary_cross_entropy_with_logits(score, labels)
    return F.binary_cross_entropy(score, labels)
""",
    )
    invalid = (
        (
            "import torch\nfrom torch import nn\nloss = nn.BCEWithLogitsLoss()(torch.sigmoid(x), y)  # <-\n",
            "import torch\nfrom torch import nn\nloss = nn.BCEWithLogitsLoss()(x, y)  # <-\n",
        ),
        (
            "import torch.nn.functional as F\nF.binary_cross_entropy_with_logits((a + b).sigmoid().squeeze(1), y)  # <-\n",
            "import torch.nn.functional as F\nF.binary_cross_entropy_with_logits((a + b).squeeze(1), y)  # <-\n",
        ),
        """import torch
def focal_loss(inputs, targets):
    inputs = torch.sigmoid(inputs)
    p = inputs * targets
    return torch.nn.functional.binary_cross_entropy_with_logits(inputs, targets) * (1 - p)  # <-
""",
        (
            """import torch
import torch.nn.functional as F
def edge_loss(cs, target):
    edge_out = torch.sigmoid(cs)
    loss = F.binary_cross_entropy_with_logits(edge_out, target)  # <-
    return loss, edge_out
""",
            """import torch
import torch.nn.functional as F
def edge_loss(cs, target):
    edge_out = torch.sigmoid(cs)
    loss = F.binary_cross_entropy_with_logits(cs, target)  # <-
    return loss, edge_out
""",
        ),
        """import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid())
    def forward(self, x):
        return self.net(x).squeeze(-1)
model = Net(10).to("cuda")
criterion = nn.BCEWithLogitsLoss(pos_weight=weight)
for x, y in loader:
    loss = criterion(model(x), y)  # <-
    loss.backward()
""",
        """from torch import nn
class TokenConfidence(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.token = nn.Sequential(nn.Linear(dim, 1), nn.Sigmoid())
        self.loss_fn = nn.BCEWithLogitsLoss(reduction="none")
    def loss(self, desc, correct):
        logit = self.token(desc.detach()).squeeze(-1)
        return self.loss_fn(logit, correct.float()).mean(-1)  # <-
""",
        """import torch.nn as nn
import torch.nn.functional as F
class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.sigmoid = nn.Sigmoid()
        self.conv = nn.Conv2d(3, 1, 4)
    def forward(self, x):
        x = self.conv(x)
        return self.sigmoid(x).view(-1)
netD = Discriminator()
real = netD(images)
loss_real = F.binary_cross_entropy_with_logits(real, ones)  # <-
fake = netD(made.detach())
loss_fake = F.binary_cross_entropy_with_logits(fake, zeros)  # <-
""",
        """import torch
from torch import nn
loss_fn = nn.CrossEntropyLoss()
def train(x, y):
    out = torch.sigmoid(model(x))
    loss = loss_fn(out.flatten(0, 1), y.flatten())  # <-
    return loss, out
""",
        """import torch
from torchvision.ops import sigmoid_focal_loss
def loss(scores, y):
    return sigmoid_focal_loss(scores.sigmoid(), y, reduction="mean")  # <-
""",
        """from torch import nn
class Multi:
    def __init__(self):
        self.criterion = nn.MultiLabelSoftMarginLoss()
        self.act = nn.Sigmoid()
    def loss(self, h, y):
        return self.criterion(self.act(h), y)  # <-
""",
        """import torch.nn.functional as F
def loss(h, y):
    probabilities = F.softmax(h, dim=-1)
    return F.binary_cross_entropy_with_logits(probabilities[:, 1], y)  # <-
""",
        """import torch.nn as nn
from torchvision import models
model = models.resnet50(weights="DEFAULT")
model.fc = nn.Sequential(nn.Linear(2048, 1), nn.Sigmoid())
model.to(device)
criterion = nn.BCEWithLogitsLoss()
for images, labels in loader:
    outputs = model(images).squeeze(1)
    loss = criterion(outputs, labels.float())  # <-
""",
        """from torch import nn
class Match(nn.Module):
    def __init__(self):
        super().__init__()
        self.loss = nn.BCEWithLogitsLoss()
    def score(self, a, b):
        return (a * b).sum(-1).sigmoid()
    def forward(self, a, b, y):
        return self.loss(self.score(a, b), y)  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Losses of logits that are given probabilities."""
        for loss in (*losses(file, *_BINARY, "cross_entropy"), *_focal_losses(file)):
            last = squashed(file, loss.given)
            if last is None or last.by not in ({"sigmoid"} if loss.name == "cross_entropy" else {"sigmoid", "softmax"}):
                continue
            changes = without(file, loss.given, last)
            repair = Repair("Give the loss the logits themselves", changes) if changes else None
            own = "softmax" if loss.name == "cross_entropy" else "sigmoid"
            line = file.source.span_of(last.step).line
            where = f"`{last.through.name}` returns " if last.through is not None else "from "
            yield Found(
                loss.given,
                f"`{file.text(loss.call.func)}` makes a {own} itself, and `{file.text(loss.given)}` is a {last.by}"
                + (" already" if own == last.by else ""),
                (f"{where}`{file.text(last.step)}`, line {line}",),
                None if repair is not None else f"give the loss the logits, and make a {last.by} where they are shown",
                repair,
            )


def _focal_losses(file: Reading) -> Iterator[Loss]:
    for call in file.calls("sigmoid_focal_loss"):
        given = argument(call, 0, "inputs")
        if given is not None and (file.full_name(call.func) or "").startswith("torchvision."):
            yield Loss("sigmoid_focal_loss", call, call, given, argument(call, 1, "targets"))
