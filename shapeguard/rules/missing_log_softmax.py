"""A loss of log-probabilities that is given probabilities, or scores that went through no softmax.

## Example

    import torch.nn.functional as F


    def train_step(model, images, labels):
        probabilities = F.softmax(model(images), dim=1)
        return F.nll_loss(probabilities, labels)

The check says:

    example.py:6:23 SG405 missing-log-softmax: `F.nll_loss` takes logarithms of probabilities, and `probabilities` holds probabilities
        from `F.softmax(model(images), dim=1)`, line 5
        fix: Take the logarithm too: `log_softmax` (unsafe)

Use instead:

    def train_step(model, images, labels):
        log_probabilities = F.log_softmax(model(images), dim=1)
        return F.nll_loss(log_probabilities, labels)

## Why is this bad?

None of these losses looks at what it is given. `nll_loss` of probabilities is their negated mean, between -1 and 0, and
its gradient doesn't grow where the model is wrong; of scores it has no lower end, and is made smaller by making all
scores larger. `kl_div` of probabilities is no divergence, and often negative. Nothing fails.

## What it does

Marks what is given to `nll_loss`, `kl_div` and `ctc_loss`, and to their layers:

- an input that went through a softmax or a sigmoid last, or comes straight from a Linear or a convolution;
- a target of `kl_div` that is a `log_softmax`, without `log_target=True`.

The input is followed through names that are assigned once, and through functions and models of the same file. An
`nll_loss` that isn't reduced, or is negated, only takes one number of each row, and is left alone.

## Fix safety

The fix makes `log_softmax` of `softmax`, where only the loss sees it. What is trained changes: it is unsafe.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.losses import Loss, losses
from shapeguard.lint.reading import Reading, is_hiding, number
from shapeguard.lint.removing import logarithm
from shapeguard.lint.rule import Argument, Found, Repair, Rule
from shapeguard.lint.squashing import Squashed, squashed

_POSITIONAL = 5
"""More arguments than these of `kl_div` name a target's kind by their place."""
_ARE = {
    "softmax": "holds probabilities",
    "sigmoid": "is a sigmoid",
    "none": "went through no softmax",
}


class MissingLogSoftmax(Rule):
    """Numbers that aren't logarithms of probabilities, given to a loss that takes them for such."""

    code = "SG405"
    name = "missing-log-softmax"
    severity = "warning"
    fixable = True
    words = ("nll_loss", "NLLLoss", "kl_div", "KLDivLoss", "ctc_loss", "CTCLoss")
    valid = (
        "import torch.nn.functional as F\nprobs = -F.nll_loss(F.softmax(x, -1), y, reduction='none')\n",
        "import torch.nn.functional as F\nscore = -1 * F.nll_loss(F.softmax(x, 1), y, reduction='sum')\n",
        "import torch.nn.functional as F\nloss = F.nll_loss(F.log_softmax(x, dim=1), y)\n",
        "import torch.nn.functional as F\nloss = F.nll_loss(F.softmax(x, dim=1).log(), y)\n",
        "import torch\nimport torch.nn.functional as F\nloss = F.nll_loss(torch.log(x.softmax(1) + 1e-9), y)\n",
        "import torch.nn.functional as F\nloss = F.kl_div(F.log_softmax(x, -1), F.softmax(y, -1))\n",
        "import torch.nn.functional as F\nloss = F.kl_div(F.log_softmax(x, -1), F.log_softmax(y, -1), log_target=True)\n",
        "import torch.nn.functional as F\nloss = F.kl_div(F.logsigmoid(x), y)\n",
        "import torch.nn.functional as F\nloss = F.kl_div(x.log_softmax(-1), y.log_softmax(-1), **options)\n",
        """from torch import nn
import torch.nn.functional as F
divergence = nn.KLDivLoss(reduction="batchmean", log_target=True)
loss = divergence(F.log_softmax(x, -1), F.log_softmax(y, -1))
""",
        """from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 3)
        self.out = nn.LogSoftmax(dim=1)
    def forward(self, x):
        return self.out(self.fc(x))
criterion = nn.NLLLoss()
loss = criterion(Net()(x), y)
""",
        """import torch.nn.functional as F
def nat_loss(outputs, targets, factor):
    logits = F.log_softmax(outputs, dim=-1)
    if targets.dim() == 1:
        losses = F.nll_loss(logits, targets, reduction="none")
    else:
        losses = F.kl_div(logits, targets, reduction="none").sum(-1)
    return losses.mean()
""",
        """import torch.nn.functional as F
def nll_loss(probabilities, y):
    return -probabilities.gather(1, y[:, None]).log().mean()
loss = nll_loss(F.softmax(x, dim=1), y)
""",
        """import torch.nn.functional as F
class Speech:
    def step(self, features, targets, lengths, sizes):
        logits = self.encoder(features)
        log_probs = F.log_softmax(logits, dim=-1).transpose(0, 1)
        return F.ctc_loss(log_probs, targets, lengths, sizes)
""",
        """import torch
import torch.nn.functional as F
def jensen_shannon(p, q):
    p, q = torch.softmax(p, -1), torch.softmax(q, -1)
    mean = torch.clamp((p + q) / 2, 1e-7, 1).log()
    return F.kl_div(mean, p, reduction="batchmean") + F.kl_div(mean, q, reduction="batchmean")
""",
    )
    invalid = (
        (
            "import torch.nn.functional as F\nloss = F.nll_loss(F.softmax(x, dim=1), y)  # <-\n",
            "import torch.nn.functional as F\nloss = F.nll_loss(F.log_softmax(x, dim=1), y)  # <-\n",
        ),
        (
            "import torch\nfrom torch import nn\nloss = nn.NLLLoss()(torch.softmax(x, 1).view(-1, n), y)  # <-\n",
            "import torch\nfrom torch import nn\nloss = nn.NLLLoss()(torch.log_softmax(x, 1).view(-1, n), y)  # <-\n",
        ),
        (
            """import torch.nn.functional as F
def distil(student, teacher, t):
    p = (student / t).softmax(dim=-1)
    q = F.softmax(teacher / t, dim=-1)
    return F.kl_div(p, q, reduction="batchmean") * t * t  # <-
""",
            """import torch.nn.functional as F
def distil(student, teacher, t):
    p = (student / t).log_softmax(dim=-1)
    q = F.softmax(teacher / t, dim=-1)
    return F.kl_div(p, q, reduction="batchmean") * t * t  # <-
""",
        ),
        (
            """import torch.nn.functional as F
def divergence(x, y):
    return F.kl_div(x.log_softmax(-1), F.log_softmax(y, -1), reduction="batchmean")  # <-
""",
            """import torch.nn.functional as F
def divergence(x, y):
    return F.kl_div(x.log_softmax(-1), F.log_softmax(y, -1), reduction="batchmean", log_target=True)  # <-
""",
        ),
        """from torch import nn
import torch.nn.functional as F
class Distilled(nn.Module):
    def __init__(self):
        super().__init__()
        self.kl = nn.KLDivLoss(reduction="batchmean")
    def forward(self, x, y):
        return self.kl(F.log_softmax(x, 1), F.log_softmax(y, 1))  # <-
""",
        """import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    def forward(self, x):
        return self.layers(x)
model = Net()
criterion = nn.NLLLoss()
for x, y in loader:
    output = model(x)
    loss = criterion(output, y)  # <-
    loss.backward()
""",
        """from torch import nn
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden2tag = nn.Linear(64, 9)
    def forward(self, x):
        tags = self.hidden2tag(self.lstm(x)[0])
        return nn.functional.softmax(tags, dim=1)
def main():
    model, loss_function = Tagger(), nn.NLLLoss()
    for x, y in data:
        scores = model(x)
        loss = loss_function(scores, y)  # <-
""",
        """from torch import nn
class Speech(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(256, 29)
        self.ctc = nn.CTCLoss(blank=28)
    def step(self, x, y, n, m):
        return self.ctc(self.head(x).transpose(0, 1), y, n, m)  # <-
""",
        """from torch.nn import functional as F
def loss(log_probs, targets, n, m):
    return F.ctc_loss(log_probs.softmax(2), targets, n, m)  # <-
""",
        """import torch.nn as nn
class Net:
    def __init__(self):
        self.sm = nn.Softmax(dim=1)
        self.loss = nn.NLLLoss()
    def forward(self, h, y):
        h = self.sm(h)
        return self.loss(h, y)  # <-
""",
        """import torch
import torch.nn.functional as F
def loss(x, y):
    x = torch.sigmoid(x)
    return F.nll_loss(x, y)  # <-
""",
        """import torch
import torch.nn.functional as F
def loss(x, y):
    return F.kl_div(torch.softmax(x, dim=1), torch.softmax(y, dim=1))  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Losses of log-probabilities that are given something else."""
        for loss in losses(file, "nll_loss", "kl_div", "ctc_loss"):
            last = squashed(file, loss.given)
            if last is not None and last.by in _ARE:
                if not _picks(file, loss):
                    yield _found(file, loss, last)
            elif loss.name == "kl_div" and loss.target is not None and not _may_be_log(loss):
                target = squashed(file, loss.target)
                if target is not None and target.by == "log_softmax":
                    yield _of_target(file, loss, loss.target)


def _picks(file: Reading, loss: Loss) -> bool:
    """Whether `nll_loss` is no loss here, but takes one number of each row: it isn't reduced, or is negated."""
    reduction = loss.options.get("reduction")
    if loss.name != "nll_loss":
        return False
    if isinstance(reduction, ast.Constant) and reduction.value == "none":
        return True
    match file.parent(loss.call):
        case ast.UnaryOp(op=ast.USub()):
            return True
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return -1 in {number(left), number(right)}
    return False


def _found(file: Reading, loss: Loss, last: Squashed) -> Found:
    changes = logarithm(file, loss.given, last)
    repair = Repair("Take the logarithm too: `log_softmax`", changes) if changes else None
    func, line = file.text(loss.call.func), file.source.span_of(last.step).line
    hint = (
        f"`cross_entropy` takes what `{func}` is given here" if last.by == "none" and loss.name == "nll_loss" else None
    )
    if hint is None and repair is None and last.by != "sigmoid":
        hint = f"`log_softmax` gives what `{func}` takes"
    return Found(
        loss.given,
        f"`{func}` takes logarithms of probabilities, and `{file.text(loss.given)}` {_ARE[last.by]}",
        (f"from `{file.text(last.step)}`, line {line}",),
        hint,
        repair,
    )


def _may_be_log(loss: Loss) -> bool:
    """Whether the target is said to be logarithms, or options aren't seen."""
    hidden = is_hiding(loss.call) or is_hiding(loss.made)
    return hidden or "log_target" in loss.options or len(loss.call.args) > _POSITIONAL


def _of_target(file: Reading, loss: Loss, target: ast.expr) -> Found:
    function = loss.made is loss.call
    change = (Argument(loss.call, "True", "log_target"),) if function else ()
    say = "Say that the target is logarithms: `log_target=True`"
    return Found(
        target,
        f"`{file.text(loss.call.func)}` takes probabilities as target, and `{file.text(target)}` holds their logarithms",
        hint=None if change else "make the loss with `log_target=True`",
        repair=Repair(say, change) if change else None,
    )
