"""A loss of which only one side is squeezed without an axis.

## Example

    import torch.nn.functional as F
    from torch import nn


    class Classifier(nn.Module):
        def __init__(self, features):
            super().__init__()
            self.head = nn.Linear(features, 1)

        def loss(self, x, labels):
            logits = self.head(x).squeeze()
            return F.binary_cross_entropy_with_logits(logits, labels)

The check says:

    example.py:11:18 SG103 one-sided-squeeze: `F.binary_cross_entropy_with_logits` is given one side squeezed: a batch of one makes a scalar of it, and `labels` stays a batch
        `self.head` ends in `nn.Linear(features, 1)`, so the last axis is 1
        torch then raises: Target size must be the same as input size
        fix: Name the axis: `.squeeze(-1)` (unsafe)

Use instead:

    def loss(self, x, labels):
        logits = self.head(x).squeeze(-1)
        return F.binary_cross_entropy_with_logits(logits, labels)

## Why is this bad?

The squeeze is there to make `(batch, 1)` into `(batch,)`, as the other side is. A batch of one, as the last one of an
epoch may be, becomes a scalar: some losses then raise, the others warn. And if the other side is `(batch, 1)` after
all, the loss is taken over `(batch, batch)` pairs, with no more than a warning.

## What it does

Marks the `.squeeze()` without an axis that one side of a loss comes from, if the other one doesn't:

- `binary_cross_entropy`, with logits too, `cosine_embedding_loss` and `margin_ranking_loss`, and their layers;
- `mse_loss`, `l1_loss`, `huber_loss`, `kl_div` and their like, if the other side is seen to have an axis of size 1:
  behind an `unsqueeze`, a `view(-1, 1)`, a `Linear(..., 1)`, or in a shape that the code states.

Both sides squeezed alike are left alone, and so is a side that is made after the other one (`torch.ones_like(x)`) or
never has one row only (`torch.cat([good, bad])`).

In preview: `mse_loss` and its like where the other side isn't known, what is called as losses are (`criterion`), what a
mask has picked, and what is computed over a whole data set.

## Fix safety

The axis is named where it is seen: behind a `Linear(..., 1)`, an `unsqueeze`, a `keepdim`, or in a shape that the code
states. Where other axes may be of size 1 by design the result changes, so the fix is unsafe; it is safe where the whole
shape is stated. Elsewhere there is no fix.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.harmless_squeezes import is_one_example
from shapeguard.lint.loss_sides import RAISING, OneSided, one_sided
from shapeguard.lint.reading import Reading, number
from shapeguard.lint.rule import Found, Rule
from shapeguard.lint.squeezing import Meant, meant_axes, repair, single_axes, source

_WHOLE = re.compile(r"(?i:(^|_)(train|test|val|valid|all|full)(_|$))|^[XY]$")


class OneSidedSqueeze(Rule):
    """Two sides have the same axes for every batch but that of one."""

    code = "SG103"
    name = "one-sided-squeeze"
    severity = "warning"
    other_severity = "error"
    fixable = True
    words = (
        "squeeze() & oss",
        "squeeze() & criterion",
        "squeeze() & binary_cross_entropy",
        "squeeze() & kl_div",
        "torch.squeeze( & oss",
        "torch.squeeze( & criterion",
        "torch.squeeze( & binary_cross_entropy",
    )
    valid = (
        "import torch.nn.functional as F\nloss = F.mse_loss(logits.squeeze(), labels.squeeze())\n",
        "import torch.nn.functional as F\nloss = F.mse_loss(logits.squeeze(-1), labels)\n",
        "import torch.nn.functional as F\nloss = F.cross_entropy(logits.squeeze(), labels)\n",
        "import torch.nn.functional as F\nloss = F.cross_entropy(logits, labels.squeeze())\n",
        ("from torch import nn\nloss_fct = nn.MSELoss()\nloss = loss_fct(pooled_logits.squeeze(), labels.squeeze())\n"),
        (
            "import torch\nimport torch.nn.functional as F\nreal = D(x).squeeze()\n"
            "loss = F.binary_cross_entropy(real, torch.ones_like(real))\n"
        ),
        (
            "import torch\nimport torch.nn.functional as F\nfake = D(G(z)).squeeze()\n"
            "loss = F.mse_loss(fake, torch.zeros(fake.shape))\n"
        ),
        (
            "import torch\nimport torch.nn.functional as F\nchosen = model(a).squeeze()\nrejected = model(b).squeeze()\n"
            "loss = F.margin_ranking_loss(chosen, rejected, torch.ones_like(chosen))\n"
        ),
        "import torch.nn.functional as F\nloss = F.mse_loss(values.view(-1), returns)\n",
        (
            "import torch.nn.functional as F\nq = model(x).squeeze()\ntarget = rewards + gamma * other(y).squeeze()\n"
            "loss = F.mse_loss(q, target)\n"
        ),
        (
            "import torch.nn.functional as F\nout = model(x).squeeze()\nif out.dim() == 0:\n    out = out[None]\n"
            "loss = F.mse_loss(out, y)\n"
        ),
        "import torch\nfrom torch import nn\ncriterion = nn.CrossEntropyLoss()\nloss = criterion(out.squeeze(), y)\n",
        "import torch\nloss = mean_squared_error(a.squeeze(), b)\n",
        (
            "import torch\nfrom torch import nn, ones\ndef step(logits, batch_size, device):\n"
            "    likelihood = torch.sigmoid(logits).squeeze()\n    labels = ones(2 * batch_size, device=device)\n"
            "    labels[1::2] = 0.0\n    return nn.BCELoss()(likelihood, labels)\n"
        ),
        (
            "import torch\nimport torch.nn.functional as F\nlabels = torch.cat([torch.ones(n), torch.zeros(n)])\n"
            "loss = F.binary_cross_entropy(D(torch.cat([real, fake])).squeeze(), labels)\n"
        ),
    )
    invalid = (
        "import torch.nn.functional as F\nloss = F.mse_loss(logits.squeeze(), labels.float())  # <-\n",
        (
            "from torch import nn\ncriterion = nn.BCEWithLogitsLoss()\nfor inputs, target in train_loader:\n"
            "    output = model(inputs)\n    loss = criterion(output.squeeze(), target.float())  # <-\n"
        ),
        (
            "from torch import nn\nclass Trainer:\n    def __init__(self):\n        self.crit = nn.BCELoss()\n"
            "    def step(self, x, y):\n        predicted = self.model(x).squeeze()  # <-\n"
            "        return self.crit(predicted, y)\n"
        ),
        (
            (
                "import torch\nimport torch.nn.functional as F\nclass Critic(torch.nn.Module):\n"
                "    def __init__(self, width):\n        self.head = torch.nn.Linear(width, 1)\n"
                "    def loss(self, h, returns):\n        values = self.head(h).squeeze()  # <-\n"
                "        return F.smooth_l1_loss(values, returns)\n"
            ),
            (
                "import torch\nimport torch.nn.functional as F\nclass Critic(torch.nn.Module):\n"
                "    def __init__(self, width):\n        self.head = torch.nn.Linear(width, 1)\n"
                "    def loss(self, h, returns):\n        values = self.head(h).squeeze(-1)  # <-\n"
                "        return F.smooth_l1_loss(values, returns)\n"
            ),
        ),
        (
            (
                "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"
                "model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())\n"
                "for x, y in loader:\n    loss = F.binary_cross_entropy(model(x).squeeze(), y)  # <-\n"
            ),
            (
                "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"
                "model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())\n"
                "for x, y in loader:\n    loss = F.binary_cross_entropy(model(x).squeeze(-1), y)  # <-\n"
            ),
        ),
        "import torch.nn.functional as F\nloss = F.mse_loss(model(x).squeeze(), y.unsqueeze(1))  # <-\n",
        "import torch.nn.functional as F\nloss = F.mse_loss(model(x).squeeze(), y.view(-1, 1).float())  # <-\n",
        "import torch\nimport torch.nn.functional as F\nloss = F.l1_loss(pred, torch.squeeze(target))  # <-\n",
        (
            "import torch.nn.functional as F\n_eos = eos_out[mask].squeeze()  # <-\n_tgt = eos_tgt[mask]\n"
            "loss = F.binary_cross_entropy_with_logits(_eos, _tgt, pos_weight=w)\n"
        ),
        (
            "import torch.nn.functional as F\nlogits = input_logits.squeeze().float()  # <-\ntargets = targets.float()\n"
            "loss = F.mse_loss(logits, targets, reduction='sum')\n"
        ),
        "import torch.nn.functional as F\nloss = F.huber_loss(model(x).squeeze(), target=y.view(-1))  # <-\n",
        (
            "import torch.nn.functional as F\nloss = F.margin_ranking_loss(\n    model(a).squeeze(),  # <-\n"
            "    scores,\n    target,\n)\n"
        ),
        (
            "import torch\nimport torch.nn.functional as F\nchosen = model(a).squeeze()  # <-\n"
            "rejected = model(b).squeeze()  # <-\n"
            "loss = F.margin_ranking_loss(chosen, rejected, torch.ones(batch_size))\n"
        ),
        (
            "import torch\nfrom torch import nn\nloss_fn = nn.BCELoss()\n"
            "loss = loss_fn(D(x).squeeze(), torch.ones(batch_size))  # <-\n"
        ),
        (
            "import torch\nfrom torch import nn\nloss_fn = nn.BCELoss()\n"
            "loss = loss_fn(D(x).squeeze(), torch.cat([labels]))  # <-\n"
        ),
        "import torch\nloss = criterion(model(x).squeeze(), y)  # <-\n",
        "import torch\nloss = self.loss_fn(outputs.squeeze(), labels)  # <-\n",
        (
            "import torch\nimport torch.nn.functional as F\ndef step(x: 'b d', w: 'd 1', y: 'b 1'):\n"
            "    return F.mse_loss((x @ w).squeeze(), y)  # <-\n"
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """The squeezes on one side of a loss, each once."""
        seen: set[ast.Call] = set()
        for each in one_sided(file):
            if each.squeeze.call not in seen and not _is_never_one(file, each.other):
                seen.add(each.squeeze.call)
                yield self._found(file, each)

    def _found(self, file: Reading, one: OneSided) -> Found:
        squeeze, other, function = one.squeeze, file.text(one.other), file.text(one.call.func)
        meant, facing = meant_axes(file, squeeze), single_axes(file, one.other)
        raised = RAISING.get(one.loss)
        message = (
            f"`{function}` is given one side squeezed: a batch of one makes a scalar of it, and `{other}` stays a batch"
        )
        notes = [] if meant is None else [meant.because]
        if facing is not None:
            message = f"`{function}` is given one side squeezed, and `{other}` keeps an axis of size 1"
            notes.append(facing.because)
        if raised is not None:
            notes.append(f"torch then raises: {raised}")
        elif facing is not None:
            notes.append("each element of one side meets every one of the other: (batch,) against (batch, 1)")
        else:
            notes.append("torch then warns, and broadcasts")
        return Found(
            squeeze.call,
            message,
            tuple(notes),
            _hint(meant, facing),
            None if meant is None or facing is not None else repair(squeeze, meant),
            "error" if raised is not None or facing is not None else "warning",
            preview=not one.loss
            or (raised is None and facing is None)
            or is_one_example(file, squeeze.value)
            or _is_picked(file, squeeze.value)
            or _is_whole(file, one),
        )


def _hint(meant: Meant | None, facing: Meant | None) -> str | None:
    if facing is not None:
        return "squeeze both sides along the same axis, or neither"
    return None if meant is not None else "name the axis: `.squeeze(-1)` where it is the last one"


def _is_picked(file: Reading, value: ast.expr) -> bool:
    """Whether it is what a mask or a list of positions has picked, of which there may be any number."""
    node = source(file, value)
    if not isinstance(node, ast.Subscript):
        return False
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return not all(isinstance(each, ast.Slice | ast.Constant | ast.UnaryOp) for each in parts)


def _is_never_one(file: Reading, other: ast.expr) -> bool:
    """Whether a side is made of more rows than one: `torch.ones(2 * n)`, `torch.cat([good, bad])`."""
    node = source(file, other)
    if not isinstance(node, ast.Call) or not node.args:
        return False
    match node.args[0]:
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            several = max(number(left) or 0, number(right) or 0) > 1
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            joins = file.is_torch(node, "cat", "concat", "hstack") and len(node.args) + len(node.keywords) == 1
            return joins and sum(not isinstance(each, ast.Starred) for each in parts) > 1
        case first:
            several = (number(first) or 0) > 1
    return several and file.is_torch(node, "ones", "zeros", "full", "rand", "randn", "empty")


def _is_whole(file: Reading, one: OneSided) -> bool:
    """Whether a side is named as a whole data set is."""
    names = [each for each in ast.walk(source(file, one.other)) if isinstance(each, ast.Name)]
    return any(_WHOLE.search(each.id) for each in names) or file.text(one.squeeze.value).endswith("(X)")
