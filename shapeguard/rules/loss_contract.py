"""A loss, a metric or a gather is given what it doesn't take.

## Example

    import torch.nn.functional as F
    from torch import nn


    class Tagger(nn.Module):
        def __init__(self, features, tags):
            super().__init__()
            self.lstm = nn.LSTM(features, 128, batch_first=True)
            self.head = nn.Linear(128, tags)

        def loss(self, x, labels):
            states, _ = self.lstm(x)
            return F.cross_entropy(self.head(states), labels)

The check says:

    example.py:13:16 SG409 loss-contract: `F.cross_entropy` takes the classes as axis 1, and `self.head(states)` is (batch, time, feature)
        fix: Put the classes second: `.transpose(1, 2)` (unsafe)

Use instead:

    def loss(self, x, labels):
        states, _ = self.lstm(x)
        return F.cross_entropy(self.head(states).transpose(1, 2), labels)

## Why is this bad?

Some of it raises at the first batch, as the example does unless there are as many steps as tags. The rest broadcasts:
each prediction meets every label, the loss is a number like any other, and so is the accuracy.

## What it does

Marks a call or comparison whose arguments have other axes than it takes, as far as layers, views and functions of the
file tell them:

| marked | wanted |
|---|---|
| `F.cross_entropy` of `(batch, time, classes)` | the classes as axis 1 |
| `F.cross_entropy(self.head(x.flatten(1)), labels.view(-1, 1))` | labels of `(batch,)` |
| `F.cross_entropy(labels, logits)` | the logits first |
| `F.mse_loss` of `(batch, 1)` and `(batch,)`, or of `(batch, 1, h, w)` and `(batch, h, w)` | equal shapes |
| `F.ctc_loss` of `(batch, time, classes)` | time first |
| `F.cosine_embedding_loss` with signs of `(batch, 1)` | signs of `(batch,)` |
| `F.kl_div(log_p, q)` | `reduction="batchmean"`: the mean divides by batch and classes, not the batch alone |
| `logits.log_softmax(-1).gather(-1, labels)` | `labels.unsqueeze(-1)` |
| `logits.argmax(1, keepdim=True) == labels` | an argmax without `keepdim` |
| `(batch["weight"] * F.mse_loss(net(batch["x"]), batch["y"])).mean()` | a loss not already reduced to one number |

In preview: `kl_div` with `reduction="mean"` written out. Where both shapes are known, what torch refuses is a
`shape-mismatch`.

Where a column `(b, 1)` meets a row `(b,)`, one rule reports it:

- `ranking-target-shape`: a loss of torch, column and row both seen in the code or in annotations;
- `loss-contract`: any other loss, and an `argmax` compared with labels;
- `column-with-row`: any other step, column and row both seen in the code;
- `outer-broadcast`: any other step of known shapes.

## Fix safety

The fix moves the axis of the classes or of time, takes away an axis of 1, or names the reduction. Unsafe: it changes
the result, on purpose.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.columns import Column, column_by_shape, column_of
from shapeguard.lint.form import Form, Part
from shapeguard.lint.forms import Forms
from shapeguard.lint.identity import name_of
from shapeguard.lint.losses import OF_CHANCES, OF_CLASSES, OF_DIFFERENCES, Loss, losses
from shapeguard.lint.making import functions_called
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.lint.rule import Argument, Found, Repair, Replacement, Rule
from shapeguard.lint.weighed_losses import weighed

_LIKELIHOODS = ("gaussian_nll_loss", "poisson_nll_loss")
_PAIRED = (*OF_DIFFERENCES, *_LIKELIHOODS)
_IDS = re.compile(
    r"(^|_)(input|completion|response|target|token|label|output|chosen|rejected)_?ids$|^(labels|targets)$"
)
_LABELS = re.compile(r"^(labels?|targets?|y|y_true|true_labels|gt|ground_truth|tags)$")
_SCORES = re.compile(r"(^|_)(logits?|outputs?|preds?|y_pred|y_hat|predictions?|log_?probs?)$")
_SEVERAL = re.compile(r"top[-_ ]?k", re.IGNORECASE)
_LONG = 3
_HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"


def _net(layers: str, body: str, given: str = "x, y") -> str:
    """The source of a model with these layers and this step."""
    made = "".join(f"        self.{each}\n" for each in layers.split("\n"))
    steps = "".join(f"        {each}\n" for each in body.split("\n"))
    return f"{_HEAD}class Net(nn.Module):\n    def __init__(self, d):\n{made}    def step(self, {given}):\n{steps}"


class LossContract(Rule):
    """What a loss, a metric or a gather is given isn't what it takes."""

    code = "SG409"
    name = "loss-contract"
    severity = "warning"
    other_severity = "error"
    fixable = True
    words = (
        "cross_entropy",
        "CrossEntropyLoss",
        "nll_loss",
        "NLLLoss",
        "mse_loss",
        "MSELoss",
        "l1_loss",
        "L1Loss",
        "huber_loss",
        "HuberLoss",
        "BCELoss",
        "BCEWithLogitsLoss",
        "ctc_loss",
        "CTCLoss",
        "gaussian_nll",
        "GaussianNLL",
        "poisson_nll",
        "PoissonNLL",
        "cosine_embedding",
        "CosineEmbedding",
        "kl_div",
        "KLDivLoss",
        "gather(",
        "argmax(",
        "topk(",
        ".max(",
    )

    valid = (
        _net(
            "embed = nn.Embedding(9, d)\nrnn = nn.GRU(d, d, batch_first=True)\nfc = nn.Linear(d, 5)",
            "out, _ = self.rnn(self.embed(x))\nreturn F.cross_entropy(self.fc(out).transpose(1, 2), y)",
        ),
        _net(
            "rnn = nn.GRU(d, d, batch_first=True)\nfc = nn.Linear(d, 5)",
            "out, _ = self.rnn(x)\nlogits = self.fc(out)\nreturn F.cross_entropy(logits.view(-1, 5), y.view(-1))",
        ),
        _net(
            "rnn = nn.GRU(d, d, batch_first=True)\nfc = nn.Linear(d, 5)",
            "out, _ = self.rnn(x)\nreturn F.cross_entropy(self.fc(out[:, -1]), y)",
        ),
        _net("fc = nn.Linear(d, 5)", "return F.cross_entropy(self.fc(x), y)"),
        _net("conv = nn.Conv2d(3, 5, 1)", "return F.cross_entropy(self.conv(x), y)"),
        _net("fc = nn.Linear(d, 1)", "return F.mse_loss(self.fc(x).squeeze(-1), torch.ones(x.size(0)))"),
        _net("fc = nn.Linear(d, 1)", "return F.mse_loss(self.fc(x), torch.ones(x.size(0), 1))"),
        _net("fc = nn.Linear(d, 1)", "return F.mse_loss(self.fc(x), y)"),
        _net("fc = nn.Linear(d, 1)", "n, _ = x.shape\nreturn F.mse_loss(self.fc(x), y.view(n, 1) + self.rest(x))"),
        _net("conv = nn.Conv1d(d, 1, 3)", "b, t = y.shape\nreturn F.mse_loss(self.conv(x), y, reduction='none')"),
        _net(
            "fc = nn.Linear(d, 8)\ncriterion = nn.CosineEmbeddingLoss()",
            "return self.criterion(self.fc(x), self.fc(y), torch.ones(len(x)))",
        ),
        _net("conv = nn.Conv2d(3, 1, 1)", "b, h, w = y.shape\nreturn F.l1_loss(self.conv(x).squeeze(1), y)"),
        _net(
            "rnn = nn.GRU(d, d, batch_first=True)",
            "out, _ = self.rnn(x)\nlogs = out.log_softmax(-1).transpose(0, 1)\nreturn F.ctc_loss(logs, y, n, m)",
            "x, y, n, m",
        ),
        _net(
            "rnn = nn.GRU(d, d)", "out, _ = self.rnn(x)\nreturn F.ctc_loss(out.log_softmax(2), y, n, m)", "x, y, n, m"
        ),
        _HEAD + "def kl(p, q):\n    return F.kl_div(p, q, reduction='batchmean')\n",
        _HEAD + "def kl(p, q):\n    return F.kl_div(p, q, reduction='none').sum(-1)\n",
        _HEAD
        + "def logps(logits, input_ids):\n    return logits.log_softmax(-1).gather(-1, input_ids.unsqueeze(-1)).squeeze(-1)\n",
        _HEAD + "def best(logits, k):\n    ids = logits.topk(k, dim=-1).indices\n    return logits.gather(-1, ids)\n",
        _HEAD
        + "def hits(model, x, target):\n    out = model(x)\n    loss = F.nll_loss(out, target)\n"
        + "    pred = out.argmax(dim=1, keepdim=True)\n    return pred.eq(target.view_as(pred)).sum()\n",
        _HEAD
        + "def hits(model, x, target):\n    out = model(x)\n    loss = F.nll_loss(out, target)\n"
        + "    return (out.argmax(dim=1) == target).sum()\n",
        _HEAD + "def loss(logits, labels):\n    return F.cross_entropy(logits, labels)\n",
        _HEAD
        + "class Loss:\n    def __call__(self, y_true, y_pred):\n        return F.cross_entropy(y_true, y_pred)\n",
        _HEAD
        + "def distil(logits, target_ids, q):\n    # target_ids: (batch, time, top_k)\n"
        + "    logs = logits.log_softmax(-1)\n    return (q * logs.gather(-1, target_ids)).sum()\n",
        _HEAD
        + "def loss(q, y, batch, weight, known):\n    each = F.mse_loss(q, y, reduction='none')\n"
        + "    return (batch['weight'] * each).mean() + (weight * F.mse_loss(q, y)).mean() + (each * known).sum() / known.sum()\n",
        _HEAD
        + "def contrast(image_logits, targets):\n    return F.cross_entropy(input=image_logits, target=targets)\n",
    )
    invalid = (
        (
            _net(
                "embed = nn.Embedding(9, d)\nrnn = nn.LSTM(d, d, batch_first=True)\nfc = nn.Linear(d, 5)",
                "out, _ = self.rnn(self.embed(x))\nlogits = self.fc(out)\nreturn F.cross_entropy(logits, y)  # <-",
            ),
            _net(
                "embed = nn.Embedding(9, d)\nrnn = nn.LSTM(d, d, batch_first=True)\nfc = nn.Linear(d, 5)",
                "out, _ = self.rnn(self.embed(x))\nlogits = self.fc(out)\n"
                "return F.cross_entropy(logits.transpose(1, 2), y)  # <-",
            ),
        ),
        _HEAD
        + "class Tagger(nn.Module):\n    def __init__(self, d, n):\n        self.rnn = nn.GRU(d, d, batch_first=True)\n"
        + "        self.out = nn.Sequential(nn.Dropout(0.1), nn.Linear(d, n))\n    def forward(self, x):\n"
        + "        states, _ = self.rnn(x)\n        return self.out(states)\n"
        + "def train(loader):\n    model = Tagger(8, 3)\n    criterion = nn.CrossEntropyLoss()\n    for x, y in loader:\n"
        + "        scores = model(x)\n        loss = criterion(scores, y)  # <-\n",
        _net("fc = nn.Linear(d, 5)", "return F.cross_entropy(self.fc(x.flatten(1)), y.view(-1, 1))  # <-"),
        _net(
            "fc = nn.Linear(d, 1)",
            "n, _ = x.shape\nreturn F.mse_loss(self.fc(x), 0.5 * y.view(n) + self.rest(x))  # <-",
        ),
        _HEAD
        + "def update(net, target, obs, act, rew, after, gamma):\n    B = obs.shape[0]\n"
        + "    picked = torch.gather(net(obs), dim=1, index=act.reshape(B, 1))\n    goal = rew.reshape(B) + gamma * target(after)\n"
        + "    return F.huber_loss(picked, goal)  # <-\n",
        _net(
            "mean = nn.Linear(d, 1)\ncriterion = nn.GaussianNLLLoss()",
            "return self.criterion(self.mean(x), y.view(-1), torch.ones(len(x), 1))  # <-",
        ),
        _net("conv = nn.Conv1d(d, 1, 3)", "b, t = y.shape\nreturn F.mse_loss(self.conv(x), y)  # <-"),
        _HEAD
        + "class Net(nn.Module):\n    def __init__(self, d):\n        super().__init__()\n        self.conv = nn.Conv2d(3, d, 1)\n"
        + "    def forward(self, x):\n        return self.conv(x)\n"
        + "def loss(net: Net, x, y):\n    return F.cross_entropy(net(x).permute(0, 2, 3, 1), y)  # <-\n",
        _net(
            "fc = nn.Linear(d, 8)\ncriterion = nn.CosineEmbeddingLoss()",
            "return self.criterion(self.fc(x), self.fc(y), torch.ones(len(x), 1))  # <-",
        ),
        _net(
            "fc = nn.Sequential(nn.Linear(d, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())\nbce = nn.BCELoss()",
            "target = torch.full((len(x),), 0.9)\nreturn self.bce(self.fc(x), target)  # <-",
        ),
        _net("conv = nn.Conv2d(3, 1, 1)", "b, h, w = y.shape\nreturn F.l1_loss(self.conv(x), y)  # <-"),
        (
            _net(
                "rnn = nn.GRU(d, d, batch_first=True)\nfc = nn.Linear(d, 9)",
                "out, _ = self.rnn(x)\nlogs = self.fc(out).log_softmax(-1)\nreturn F.ctc_loss(logs, y, n, m)  # <-",
                "x, y, n, m",
            ),
            _net(
                "rnn = nn.GRU(d, d, batch_first=True)\nfc = nn.Linear(d, 9)",
                "out, _ = self.rnn(x)\nlogs = self.fc(out).log_softmax(-1)\n"
                "return F.ctc_loss(logs.transpose(0, 1), y, n, m)  # <-",
                "x, y, n, m",
            ),
        ),
        (
            _HEAD + "def distil(log_p, q):\n    return F.kl_div(log_p, q)  # <-\n",
            _HEAD + "def distil(log_p, q):\n    return F.kl_div(log_p, q, reduction='batchmean')  # <-\n",
        ),
        _net("kl = nn.KLDivLoss()  # <-", "return self.kl(x.log_softmax(-1), y.softmax(-1))"),
        _HEAD + "def distil(p, q):\n    return F.kl_div(p.log_softmax(1), q.softmax(1), reduction='mean')  # <-\n",
        _HEAD + "def logps(logits, labels):\n    return logits.log_softmax(-1).gather(-1, labels)  # <-\n",
        _HEAD
        + "def picked(logits, index):\n    logps = F.log_softmax(logits, dim=-1)\n"
        + "    return torch.gather(logps, 2, index)  # <-\n"
        + "def loss(logits, completion_ids):\n    return -picked(logits, completion_ids).mean()\n",
        _HEAD
        + "def hits(model, x, target):\n    out = model(x)\n    loss = F.nll_loss(out, target)\n"
        + "    pred = out.argmax(dim=1, keepdim=True)\n    return (pred == target).sum()  # <-\n",
        _HEAD
        + "def hits(model, x, target):\n    out = model(x)\n    loss = F.cross_entropy(out, target)\n"
        + "    pred = out.max(1, keepdim=True)[1]\n    return pred.eq(target).sum()  # <-\n",
        _net(
            "rnn = nn.GRU(d, d, batch_first=True)\nfc = nn.Linear(d, 5)",
            "out, _ = self.rnn(x)\nlogits = self.fc(out)\nreturn (logits.argmax(dim=1) == y).float().mean()  # <-",
        ),
        _HEAD + "def loss(logits, labels):\n    return F.binary_cross_entropy_with_logits(labels, logits)  # <-\n",
        (
            _HEAD
            + "def loss(net, sample):\n    guess = net(sample['x'].float())\n"
            + "    return (F.l1_loss(guess, sample['y']) * sample['weight']).sum()  # <-\n",
            _HEAD
            + "def loss(net, sample):\n    guess = net(sample['x'].float())\n"
            + "    return (F.l1_loss(guess, sample['y'], reduction='none') * sample['weight']).sum()  # <-\n",
        ),
        _HEAD
        + "def loss(logits, tags, known):\n    each = F.cross_entropy(logits.transpose(1, 2), tags)\n"
        + "    kept = each * known  # <-\n    return kept.sum() / known.sum()\n",
        _HEAD
        + "def fit(net, loader):\n    criterion = nn.MSELoss()\n    for x, y, w in loader:\n"
        + "        loss = torch.mean(w * criterion(net(x), y))  # <-\n        loss.backward()\n",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Losses, gathers and comparisons whose arguments aren't what they take."""
        forms = Forms(file)
        swapped: set[ast.Call] = set()
        for loss in losses(file, *OF_CLASSES, *OF_CHANCES):
            found = _swapped(file, loss)
            if found is not None:
                swapped.add(loss.call)
                yield found
        for loss in losses(file, *OF_CLASSES):
            if loss.call not in swapped:
                yield from _of_classes(file, forms, loss)
        for loss in losses(file, *_PAIRED, *OF_CHANCES):
            if loss.call not in swapped:
                yield from _of_pairs(file, forms, loss)
        for loss in losses(file, *OF_CLASSES, *_PAIRED, *OF_CHANCES):
            yield from _of_weights(file, loss)
        for loss in losses(file, "ctc_loss"):
            yield from _of_ctc(file, forms, loss)
        for loss in losses(file, "cosine_embedding_loss"):
            yield from _of_signs(file, forms, loss)
        yield from _of_divergences(file)
        for call in file.calls("gather"):
            yield from _of_gather(file, forms, call)
        yield from _of_comparisons(file, forms)


def _shown(form: Form) -> str:
    parts = ", ".join("?" if each is None else str(each) for each in form.parts)
    return f"({'..., ' if form.is_open else ''}{parts}{',' if form.rank == 1 else ''})"


def _is_feature(part: Part) -> bool:
    return part == "feature" or (isinstance(part, int) and part > 1)


def _swapped(file: Reading, loss: Loss) -> Found | None:
    if loss.target is None or loss.given not in loss.call.args or loss.target not in loss.call.args:
        return None
    if not _LABELS.match(name_of(loss.given)) or not _SCORES.search(name_of(loss.target)):
        return None
    if _are_passed_on(file, loss.given, loss.target):
        return None
    one, other = file.text(loss.given), file.text(loss.target)
    message = f"`{file.text(loss.call.func)}` takes the prediction first, and `{one}` stands before `{other}`"
    changes = (Replacement(loss.given, "{}", (loss.target,)), Replacement(loss.target, "{}", (loss.given,)))
    return Found(loss.call, message, repair=Repair("Put the prediction first", changes))


def _are_passed_on(file: Reading, one: ast.expr, other: ast.expr) -> bool:
    """Whether both are parameters of one function, in this order: who calls it by position doesn't know their names."""
    bindings = [file.definition(each) for each in (one, other) if isinstance(each, ast.Name)]
    places = [None if each is None else each.statement for each in bindings]
    match places:
        case [ast.arg() as first, ast.arg() as second]:
            arguments = file.parent(first)
            plain = [*arguments.posonlyargs, *arguments.args] if isinstance(arguments, ast.arguments) else []
            return first in plain and second in plain[plain.index(first) :]
    return False


# Losses.


def _of_classes(file: Reading, forms: Forms, loss: Loss) -> Iterator[Found]:
    """The classes as the last axis of several; labels with an axis of 1."""
    form = forms.of(loss.given)
    target = None if loss.target is None else forms.of(loss.target)
    if form is None or loss.target is None:
        return
    parts, func, text = form.parts, file.text(loss.call.func), file.text(loss.given)
    if not form.is_open and len(parts) >= _LONG and _is_feature(parts[-1]) and parts[1] in {"time", "space"}:
        message = f"`{func}` takes the classes as axis 1, and `{text}` is {_shown(form)}"
        turn = ".transpose(1, 2)" if len(parts) == _LONG else ".movedim(-1, 1)"
        change = Replacement(loss.given, "{}" + turn, (loss.given,))
        yield Found(loss.call, message, repair=Repair(f"Put the classes second: `{turn}`", (change,)))
        return
    if target is None or target.is_open:
        return
    same = form.rank == target.rank and target.rank is not None
    if len(target.parts) > 1 and target.parts[1] == 1 and same and _is_feature(parts[1]):
        if file.shape_of(loss.given) is not None and file.shape_of(loss.target) is not None:
            return
        message = (
            f"`{func}` takes labels without an axis for the classes, and `{file.text(loss.target)}` is {_shown(target)}"
        )
        change = Replacement(loss.target, "{}.squeeze(1)", (loss.target,))
        yield Found(loss.call, message, repair=Repair("Take the axis away: `.squeeze(1)`", (change,)), severity="error")


def _of_pairs(file: Reading, forms: Forms, loss: Loss) -> Iterator[Found]:
    """One side with an axis of 1 that the other one lacks."""
    if loss.target is None or _is_ranked(file, loss, loss.target):
        return
    sides = (loss.given, loss.target)
    for one, other in (sides, sides[::-1]):
        axis = _lone_axis(file, forms, one, other)
        if axis is None or (axis == 1 and _is_unreduced(loss)):
            continue
        if file.shape_of(one) is not None and file.shape_of(other) is not None:
            return
        form, twin = forms.of(one), forms.of(other)
        text, rest = file.text(one), file.text(other)
        raises = loss.name in OF_CHANCES
        effect = "which raises" if raises else "and each value is compared with all of the other side"
        what = "a column and a row" if axis == -1 else "with an axis of 1 and without one"
        message = f"`{file.text(loss.call.func)}` is given `{text}` and `{rest}`, {what}: {effect}"
        notes = tuple(f"{side}: {_shown(each)}" for side, each in ((text, form), (rest, twin)) if each is not None)
        change = Replacement(one, f"{{}}.squeeze({axis})", (one,))
        repair = Repair(f"Take the axis away: `.squeeze({axis})`", (change,))
        yield Found(loss.call, message, notes, repair=repair, severity="error" if raises else "warning")
        return


def _is_ranked(file: Reading, loss: Loss, target: ast.expr) -> bool:
    """Whether both sides show by themselves that they are a column and a row, as `ranking-target-shape` tells."""
    kinds: set[Column | None] = {column_of(file, loss.given), column_of(file, target)}
    if None in kinds and len(kinds) > 1:
        kinds |= {column_by_shape(file, loss.given), column_by_shape(file, target)}
    made = file.origin(loss.given)
    if "maybe" in kinds and isinstance(made, ast.Call) and last_name(made.func) == "gather":
        kinds.add("loose")
    is_told = ("column" in kinds and kinds & {"row", "wide", "loose"}) or (
        "matrix" in kinds and kinds & {"row", "wide"}
    )
    return loss.name not in _LIKELIHOODS and bool(is_told)


def _lone_axis(file: Reading, forms: Forms, one: ast.expr, other: ast.expr) -> int | None:
    """The axis of 1 that the first has and the second hasn't: -1 for a column and a row, 1 for a channel."""
    form, twin = forms.of(one), forms.of(other)
    if twin is not None and twin.rank == 1 and twin.parts[0] != 1:
        is_column = form is not None and form.parts[-1:] == (1,) and form.rank in {None, 2}
        return -1 if is_column else None
    if form is not None and twin is not None and form.rank is not None and form.rank >= _LONG:
        is_less = twin.rank == form.rank - 1 and form.parts[1] == 1 and 1 not in twin.parts
        return 1 if is_less else None
    if form is not None and twin is None:
        is_column = form.rank == 2 and form.parts[-1] == 1  # noqa: PLR2004 - rows and columns
        return -1 if is_column and _is_wide(file, forms, other) else None
    return None


def _is_wide(file: Reading, forms: Forms, node: ast.expr) -> bool:
    """Whether a value is a row that something of unknown form was added to or multiplied with."""
    match file.origin(node):
        case ast.BinOp(left=left, op=operator, right=right) if not isinstance(operator, ast.MatMult):
            sides = [forms.of(each) for each in (left, right)]
            if any(each is not None and each.rank not in {0, 1} for each in sides):
                return False
            rows = [each is not None and each.rank == 1 and each.parts[0] != 1 for each in sides]
            return any(rows) or _is_wide(file, forms, left) or _is_wide(file, forms, right)
    return False


def _is_unreduced(loss: Loss) -> bool:
    """Whether a loss gives each element's, which may be meant for every pair."""
    given = loss.options.get("reduction")
    return given is not None and not (isinstance(given, ast.Constant) and given.value in {"mean", "sum"})


def _of_weights(file: Reading, loss: Loss) -> Iterator[Found]:
    """A weight for each row, times the mean over all rows."""
    for each in weighed(file, loss):
        text, weight = file.text(loss.call), file.text(each.weight)
        message = f"`{text}` is one number, the mean over all rows, and `{weight}` weighs none of them by itself"
        notes = (each.why, f"line {each.whole.lineno}: {file.text(each.whole)}")
        change = Argument(loss.made, "'none'", "reduction")
        yield Found(each.product, message, notes, repair=Repair("Keep a loss for each row: `none`", (change,)))


def _of_ctc(file: Reading, forms: Forms, loss: Loss) -> Iterator[Found]:
    form = forms.of(loss.given)
    if form is None or form.is_open or form.rank != _LONG or form.parts[:2] != ("batch", "time"):
        return
    message = f"`{file.text(loss.call.func)}` takes time first, and `{file.text(loss.given)}` is {_shown(form)}"
    change = Replacement(loss.given, "{}.transpose(0, 1)", (loss.given,))
    yield Found(loss.call, message, repair=Repair("Put time first: `.transpose(0, 1)`", (change,)))


def _of_signs(file: Reading, forms: Forms, loss: Loss) -> Iterator[Found]:
    """A sign with a further axis, where each pair has one."""
    form = None if loss.target is None else forms.of(loss.target)
    if loss.target is None or form is None or form.rank != 2 or form.parts[-1] != 1:  # noqa: PLR2004 - a column
        return
    if file.shape_of(loss.target) is not None and file.shape_of(loss.given) is not None:
        return
    text = file.text(loss.target)
    message = f"`{file.text(loss.call.func)}` takes one sign for each pair, and `{text}` is {_shown(form)}"
    change = Replacement(loss.target, "{}.squeeze(-1)", (loss.target,))
    yield Found(loss.call, message, repair=Repair("Take the axis away: `.squeeze(-1)`", (change,)), severity="error")


def _of_divergences(file: Reading) -> Iterator[Found]:
    """`kl_div` whose mean is over the classes too."""
    for call, name in file.torch_calls("kl_div", "KLDivLoss"):
        if any(each.arg is None or each.arg in {"size_average", "reduce"} for each in call.keywords):
            continue
        given = argument(call, 4 if name == "kl_div" else 2, "reduction")
        most = 2 if name == "kl_div" else 0
        is_default = given is None and len(call.args) <= most
        is_mean = isinstance(given, ast.Constant) and given.value == "mean"
        if not is_default and not is_mean:
            continue
        message = f"`{file.text(call.func)}` divides by the number of classes too: its divergence is the `batchmean`"
        change = Argument(call, "'batchmean'", "reduction")
        yield Found(call, message, repair=Repair("Name the reduction: `batchmean`", (change,)), preview=is_mean)


# Gathers.


def _of_gather(file: Reading, forms: Forms, call: ast.Call) -> Iterator[Found]:
    """An index with an axis less than what it takes from."""
    value, index = file.given(call, 0, "input"), file.given(call, 2, "index")
    dim = number(file.given(call, 1, "dim"))
    if value is None or index is None or dim is None:
        return
    form = forms.of(index)
    if form is not None and form.rank is not None and 0 < form.rank <= dim:
        found: str | None = f"{file.text(index)}: {_shown(form)}"
    elif form is None and dim in {-1, 2} and _is_of_vocabulary(file, value) and not _are_several(file, call):
        found = _ids_behind(file, index)
    else:
        return
    if found is None or (file.shape_of(value) is not None and file.shape_of(index) is not None):
        return
    text = file.text(index)
    message = f"`{file.text(call.func)}` takes an index with as many axes as the scores, and `{text}` has none for the classes"
    change = Replacement(index, "{}.unsqueeze(-1)", (index,))
    yield Found(call, message, (found,), repair=Repair("Give it one: `.unsqueeze(-1)`", (change,)), severity="error")


def _is_of_vocabulary(file: Reading, value: ast.expr) -> bool:
    """Whether scores over a vocabulary are taken from: the log-softmax of logits."""
    made = file.origin(value)
    if not isinstance(made, ast.Call) or last_name(made.func) not in {"log_softmax", "softmax"}:
        return False
    inner = made.args[0] if file.full_name(made.func) is not None and made.args else receiver(made)
    return inner is not None and "logits" in last_name(inner).lower()


def _are_several(file: Reading, call: ast.Call) -> bool:
    """Whether a function speaks of the best k: its ids are several for each position then."""
    function = file.function(call)
    return function is not None and _SEVERAL.search(file.source.segment(function)) is not None


def _ids_behind(file: Reading, index: ast.expr) -> str | None:
    """What tells that an index is ids or labels, one for each position: its name, or that of what it is in every call."""
    if not isinstance(index, ast.Name | ast.Attribute | ast.Subscript):
        return None
    if isinstance(index, ast.Name):
        binding = file.definition(index)
        if binding is None or not isinstance(binding.statement, ast.arg):
            return None
        given = _given_for(file, binding.statement)
        if given and all(_IDS.search(name_of(each)) for each in given):
            return f"{index.id}: `{file.text(given[0])}`, one id for each position"
    return f"{file.text(index)}: one id for each position" if _IDS.search(name_of(index)) else None


def _given_for(file: Reading, parameter: ast.arg) -> list[ast.expr]:
    function = file.parent(file.parent(parameter) or parameter)
    if not isinstance(function, ast.FunctionDef):
        return []
    names = [each.arg for each in function.args.args]
    if parameter.arg not in names:
        return []
    at = names.index(parameter.arg) - (names[0] == "self")
    calls = [each for each in file.calls(function.name) if function in functions_called(file, each)]
    given = [argument(each, at, parameter.arg) for each in calls]
    return [each for each in given if each is not None] if None not in given else []


# Comparisons.


def _of_comparisons(file: Reading, forms: Forms) -> Iterator[Found]:
    """Predictions compared with labels."""
    for compare in file.all(ast.Compare):
        if len(compare.ops) == 1 and isinstance(compare.ops[0], ast.Eq):
            yield from _of_comparison(file, forms, compare, compare.left, compare.comparators[0])
    for call in file.calls("eq"):
        owner = receiver(call)
        if file.is_torch(call, "eq") and len(call.args) == 2:  # noqa: PLR2004 - two tensors
            yield from _of_comparison(file, forms, call, call.args[0], call.args[1])
        elif owner is not None and len(call.args) == 1 and file.full_name(call.func) is None:
            yield from _of_comparison(file, forms, call, owner, call.args[0])


def _of_comparison(file: Reading, forms: Forms, whole: ast.expr, one: ast.expr, other: ast.expr) -> Iterator[Found]:
    for prediction, labels in ((one, other), (other, one)):
        pick = _pick(file, _moved(prediction) or prediction)
        if pick is None or isinstance(file.origin(labels), ast.Constant):
            continue
        is_column = _keeps_axis(pick)
        if is_column and _is_row(file, forms, labels):
            text, rest = file.text(prediction), file.text(labels)
            message = (
                f"`{file.text(whole)}` compares each prediction with every label: `{text}` is a column, `{rest}` a row"
            )
            change = Replacement(prediction, "{}.squeeze(-1)", (prediction,))
            yield Found(whole, message, repair=Repair("Take the axis away: `.squeeze(-1)`", (change,)))
            return
        if not is_column:
            found = _over_other_axis(file, forms, pick)
            if found is not None:
                yield found
                return


def _pick(file: Reading, node: ast.expr) -> ast.Call | None:
    """The `argmax` or `max` that a prediction is."""
    if isinstance(node, ast.Name):
        binding = file.definition(node)
        if binding is None or binding.value is None or binding.index not in {None, 1}:
            return None
        value = binding.value
        is_pair = binding.index == 1
    else:
        value, is_pair = node, False
    match value:
        case ast.Subscript(value=ast.Call() as call, slice=place) if number(place) == 1:
            return call if last_name(call.func) in {"max", "topk"} else None
        case ast.Attribute(value=ast.Call() as call, attr="indices"):
            return call if last_name(call.func) in {"max", "topk"} else None
        case ast.Call() as call if last_name(call.func) == "argmax" or (
            is_pair and last_name(call.func) in {"max", "topk"}
        ):
            return call
    return None


def _keeps_axis(pick: ast.Call) -> bool:
    """Whether what is picked keeps an axis of 1."""
    kept = next((each.value for each in pick.keywords if each.arg == "keepdim"), None)
    if last_name(pick.func) == "topk":
        places = [number(each) for each in pick.args]
        return 1 in places[:2] and (len(places) < _LONG or places[-1] != 0)
    return isinstance(kept, ast.Constant) and kept.value is True


def _is_row(file: Reading, forms: Forms, labels: ast.expr) -> bool:
    """Whether labels are one number for each example: a row by its making, or what a loss over classes takes."""
    form = forms.of(labels)
    if form is not None:
        return form.rank == 1 and form.parts[0] != 1
    while (inner := _moved(labels)) is not None:
        labels = inner
    if not isinstance(labels, ast.Name):
        return False
    for loss in losses(file, *OF_CLASSES):
        if (
            isinstance(loss.target, ast.Name)
            and loss.target.id == labels.id
            and file.scope(loss.call) is file.scope(labels)
        ):
            given = forms.of(loss.given)
            same = file.definition(loss.target) is file.definition(labels)
            return same and (given is None or given.is_open or given.rank == 2)  # noqa: PLR2004 - examples and classes
    return False


def _moved(node: ast.expr) -> ast.expr | None:
    """`y` of `y.data` and `y.cpu()`."""
    match node:
        case ast.Attribute(value=value, attr="data"):
            return value
        case ast.Call(func=ast.Attribute(value=value, attr="cpu" | "cuda" | "to" | "long" | "detach")):
            return value
    return None


def _over_other_axis(file: Reading, forms: Forms, pick: ast.Call) -> Found | None:
    """A pick over another axis than that of the classes."""
    value, dim = file.given(pick, 0, "input"), file.given(pick, 2 if last_name(pick.func) == "topk" else 1, "dim")
    at = number(dim)
    form = None if value is None else forms.of(value)
    if value is None or dim is None or at is None or form is None or form.is_open or len(form.parts) < _LONG:
        return None
    if not -len(form.parts) <= at < len(form.parts):
        return None
    at %= len(form.parts)
    last = len(form.parts) - 1
    classes = (
        1 if _is_feature(form.parts[1]) and form.parts[2] == "space" else last if form.parts[1] == "time" else None
    )
    if classes is None or not _is_feature(form.parts[classes]) or at == classes:
        return None
    text = file.text(value)
    message = f"`{file.text(pick)}` picks along axis {at}, and the classes of `{text}` are axis {classes}"
    by_name = any(each.value is dim for each in pick.keywords)
    right = "-1" if classes == last else str(classes)
    change = Argument(pick, right, "dim") if by_name else Replacement(dim, right)
    return Found(pick, message, (f"{text}: {_shown(form)}",), repair=Repair(f"Name the axis: `{right}`", (change,)))
