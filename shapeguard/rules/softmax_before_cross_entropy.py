"""A cross entropy of what is a softmax already.

## Example

    import torch.nn.functional as F


    def train_step(model, images, labels):
        probabilities = F.softmax(model(images), dim=-1)
        return F.cross_entropy(probabilities, labels)

The check says:

    example.py:6:28 SG403 softmax-before-cross-entropy: `F.cross_entropy` makes a softmax itself, and `probabilities` is one already
        from `F.softmax(model(images), dim=-1)`, line 5
        fix: Give the loss the scores themselves (unsafe)

Use instead:

    def train_step(model, images, labels):
        logits = model(images)
        return F.cross_entropy(logits, labels)

## Why is this bad?

The loss takes scores and makes their softmax itself. Of numbers between 0 and 1 it makes a nearly flat one: with ten
classes, a model that is surely right reaches a probability of 0.23 and a loss of 1.46, never less. Gradients shrink
with it. Nothing fails; training is slow and stops early, which is found late.

## What it does

Marks the input of `cross_entropy` or of a `CrossEntropyLoss` that went through a softmax last: in the call itself,
through names that are assigned once, in a function or in the `forward` of a model of the same file, or in an
`nn.Sequential`.

Targets may be probabilities, and a `log_softmax` is left alone: another one doesn't change it.

## Fix safety

The fix gives the loss what the softmax is made of. Losses, and so what is trained, change: it is unsafe. There is no
fix where the softmax is made in a function or model that others may call.
"""

from __future__ import annotations

from collections.abc import Iterator

from shapeguard.lint.losses import losses
from shapeguard.lint.reading import Reading
from shapeguard.lint.removing import without
from shapeguard.lint.rule import Found, Repair, Rule
from shapeguard.lint.squashing import squashed

_MODEL = """import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 3)
        self.softmax = nn.Softmax(dim=1)
    def forward(self, x):
        x = self.fc(x)
        return self.softmax(x)
"""


class SoftmaxBeforeCrossEntropy(Rule):
    """Probabilities given to the loss that makes them itself."""

    code = "SG403"
    name = "softmax-before-cross-entropy"
    severity = "warning"
    fixable = True
    words = ("oftmax & cross_entropy", "oftmax & CrossEntropyLoss")
    valid = (
        "import torch.nn.functional as F\nloss = F.cross_entropy(logits, F.softmax(teacher, dim=-1))\n",
        "import torch.nn.functional as F\nloss = F.cross_entropy(F.log_softmax(logits, dim=-1), labels)\n",
        "import torch\nimport torch.nn.functional as F\nloss = F.cross_entropy(torch.log(x.softmax(-1)), labels)\n",
        "import torch.nn.functional as F\nprobs = F.softmax(logits, -1)\nloss = F.cross_entropy(logits, labels)\n",
        "import torch.nn.functional as F\nloss = F.cross_entropy(F.softmax(a, -1) @ values, labels)\n",
        "import torch.nn.functional as F\np = F.softmax(x, -1)\np = p.log()\nloss = F.cross_entropy(p, labels)\n",
        """import torch.nn.functional as F
def step(x, labels, log):
    x = F.softmax(x, dim=-1)
    if log:
        x = x.log()
    return F.cross_entropy(x, labels)
""",
        """import torch.nn.functional as F
def cross_entropy(x, labels):
    return -(labels * x.log()).sum(-1).mean()
def step(x, labels):
    return cross_entropy(F.softmax(x, -1), labels)
""",
        """import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 3)
    def forward(self, x):
        x = self.fc(x)
        if self.training:
            return x
        return torch.softmax(x, dim=-1)
def train(loader):
    net, criterion = Net(), nn.CrossEntropyLoss()
    for x, y in loader:
        criterion(net(x), y).backward()
""",
        """from torch import nn
class Ranker(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.softmax = nn.Softmax(dim=-1)
        if kind == "ce":
            self.loss = nn.CrossEntropyLoss()
        else:
            self.loss = nn.BCELoss()
    def forward(self, x, y):
        return self.loss(self.softmax(x), y)
""",
        "import jax, torch\nfrom optax import cross_entropy\nloss = cross_entropy(jax.nn.softmax(x), labels)\n",
        """import torch.nn as nn
import torch.nn.functional as F
def soft_target_loss(student, teacher, temperature):
    criterion = nn.CrossEntropyLoss()
    soft = F.softmax(teacher / temperature, dim=-1)
    return criterion(student / temperature, soft)
""",
        """import torch.nn.functional as F
def attend(q, k, v, labels):
    weights = F.softmax(q @ k.transpose(-2, -1), dim=-1)
    logits = weights @ v
    return F.cross_entropy(logits.view(-1, logits.size(-1)), labels.view(-1))
""",
    )
    invalid = (
        (
            "import torch.nn.functional as F\nloss = F.cross_entropy(F.softmax(logits, dim=-1), labels)  # <-\n",
            "import torch.nn.functional as F\nloss = F.cross_entropy(logits, labels)  # <-\n",
        ),
        (
            "import torch.nn.functional as F\nloss = F.cross_entropy(x.softmax(-1).view(-1, n), y.view(-1))  # <-\n",
            "import torch.nn.functional as F\nloss = F.cross_entropy(x.view(-1, n), y.view(-1))  # <-\n",
        ),
        (
            """import torch
from torch import nn
def validate(model, loader, device):
    criterion = nn.CrossEntropyLoss().to(device)
    for x, y in loader:
        logits = model(x)
        probs = torch.softmax(logits, dim=1)
        loss = criterion(probs, y)  # <-
        guesses = probs.argmax(1)
""",
            """import torch
from torch import nn
def validate(model, loader, device):
    criterion = nn.CrossEntropyLoss().to(device)
    for x, y in loader:
        logits = model(x)
        probs = torch.softmax(logits, dim=1)
        loss = criterion(logits, y)  # <-
        guesses = probs.argmax(1)
""",
        ),
        (
            """import torch.nn.functional as F
class Model:
    def step(self, h, labels):
        out = F.softmax(
            self.head(h),  # scores
            dim=1,
        )
        return F.cross_entropy(out, labels)  # <-
""",
            """import torch.nn.functional as F
class Model:
    def step(self, h, labels):
        out = self.head(h)
        return F.cross_entropy(out, labels)  # <-
""",
        ),
        """import torch.nn.functional as F
class Broken:
    def forward(self, idx, targets=None):
        x = self.embedding(idx)
        a = self.linear(x)
        logits = F.softmax(a, dim=-1)
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, self.size), targets.view(-1))  # <-
            return logits, loss
        return logits
""",
        _MODEL
        + """model = Net().cuda()
criterion = nn.CrossEntropyLoss()
for x, y in loader:
    out = model(x)
    loss = criterion(out, y)  # <-
    loss.backward()
""",
        _MODEL
        + """def train(model, loader, criterion, optimizer):
    for x, y in loader:
        loss = criterion(model(x), y)  # <-
        loss.backward()
def main():
    device = "cuda"
    model = Net()
    model = model.to(device)
    if torch.cuda.device_count() > 1:
        model = nn.DataParallel(model)
    loss_fn = nn.CrossEntropyLoss()
    train(model, loader, loss_fn, None)
""",
        """import torch
class Trainer:
    def __init__(self):
        self.model = torch.nn.Sequential(torch.nn.Linear(8, 3), torch.nn.Softmax(dim=1))
        self.criterion = torch.nn.CrossEntropyLoss()
    def step(self, x, y):
        y_pred = self.model(x)
        return self.criterion(y_pred, y)  # <-
""",
        """import torch.nn as nn
class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Sequential(nn.Linear(16, 10), nn.Softmax(dim=-1))
        self.aux = nn.CrossEntropyLoss()
    def forward(self, x):
        features = self.body(x)
        return self.judge(features), self.classifier(features)
discriminator = Discriminator()
auxiliary_loss = nn.CrossEntropyLoss()
validity, label = discriminator(images)
loss = auxiliary_loss(label, labels)  # <-
""",
        """from torch.nn import functional as F
def predict(model, x):
    return F.softmax(model(x), dim=1)
def evaluate(model, x, y):
    return F.cross_entropy(predict(model, x), y)  # <-
""",
        """import torch
import torch.nn.functional as F
def both(a, b, y):
    scores = torch.cat([F.softmax(a, -1), F.softmax(b, -1)])
    return F.cross_entropy(scores, y)  # <-
""",
        (
            """from torch.nn.functional import cross_entropy as ce, softmax as soft
loss = ce(input=soft(a + b, 1), target=y)  # <-
""",
            """from torch.nn.functional import cross_entropy as ce, softmax as soft
loss = ce(input=a + b, target=y)  # <-
""",
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Cross entropies of softmaxes."""
        for loss in losses(file, "cross_entropy"):
            last = squashed(file, loss.given)
            if last is None or last.by != "softmax":
                continue
            changes = without(file, loss.given, last)
            repair = Repair("Give the loss the scores themselves", changes) if changes else None
            line = file.source.span_of(last.step).line
            where = f"`{last.through.name}` returns " if last.through is not None else "from "
            yield Found(
                loss.given,
                f"`{file.text(loss.call.func)}` makes a softmax itself, and `{file.text(loss.given)}` is one already",
                (f"{where}`{file.text(last.step)}`, line {line}",),
                None if repair is not None else "give the loss the scores, and make a softmax where they are shown",
                repair,
            )
