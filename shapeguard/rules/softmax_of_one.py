"""A softmax, an argmax or a cross entropy over a single score.

## Example

    from torch import nn


    class AttentionPool(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.score = nn.Linear(dim, 1)

        def forward(self, x):  # (batch, time, dim)
            weights = self.score(x).softmax(dim=-1)
            return (weights * x).sum(dim=1)

The check says:

    example.py:10:19 SG411 softmax-of-one: `self.score(x).softmax(dim=-1)` is over an axis of 1: all that it gives is 1
        self.score(x): (..., 1)

Use instead:

    def forward(self, x):  # (batch, time, dim)
        weights = self.score(x).softmax(dim=1)
        return (weights * x).sum(dim=1)

## Why is this bad?

The softmax of one number is 1, whatever the number is; its logarithm is 0, and argmax is always 0. Weights that are all
1 make a sum where a weighted mean is meant, and nothing fails. The cross entropy of one class raises at a label of 1;
where all labels are 0, or are floats of `(batch, 1)`, it is 0, and the classifier learns nothing.

## What it does

Marks `softmax`, `log_softmax` and `argmax` over an axis of size 1, and the cross entropy of a single class, where the
layers and steps of the file show that the axis is 1: after `nn.Linear(d, 1)`, a convolution with one channel,
`unsqueeze` or `keepdim=True`. A softmax layer inside an `nn.Sequential` is marked where it is made.

## Fix safety

There is no fix: only its owner knows which axis, or whether a sigmoid with binary cross entropy, is meant.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.form import Form
from shapeguard.lint.forms import Forms
from shapeguard.lint.layer_forms import through
from shapeguard.lint.losses import losses
from shapeguard.lint.reading import Reading, argument, last_name, number
from shapeguard.lint.rule import Found, Rule

_SOFTMAXES = ("softmax", "log_softmax")
_LAYERS = ("Softmax", "LogSoftmax")
_PAIR = 2

_HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"


def _net(layers: str, body: str, given: str = "x, y") -> str:
    """The source of a model with these layers and this step."""
    made = "".join(f"        self.{each}\n" for each in layers.split("\n"))
    steps = "".join(f"        {each}\n" for each in body.split("\n"))
    return (
        f"{_HEAD}class Net(nn.Module):\n    def __init__(self, d, n):\n        super().__init__()\n{made}"
        f"    def forward(self, {given}):\n{steps}"
    )


class SoftmaxOfOne(Rule):
    """A softmax over an axis of size 1."""

    code = "SG411"
    name = "softmax-of-one"
    severity = "warning"
    words = ("softmax", "Softmax", "argmax", "cross_entropy", "CrossEntropy")
    valid = (
        _net("w = nn.Linear(d, 1)", "return self.softmax(self.w(x)), self.argmax(dim=1)"),
        _net("w = nn.Linear(d, 1)", "a = self.w(x).softmax(dim=1)\nreturn (a * x).sum(dim=1)"),
        _net("w = nn.Linear(d, 1)", "b, t, d = x.shape\na = self.w(x).squeeze(-1).softmax(dim=-1)\nreturn a @ x"),
        _net("w = nn.Linear(d, n)", "return F.softmax(self.w(x), dim=-1), F.cross_entropy(self.w(x), y)"),
        _net("w = nn.Linear(d, 1)", "return F.cross_entropy(self.w(x).view(-1, 4), y)"),
        _net("w = nn.Linear(d, 1)", "return F.cross_entropy(self.w(x).squeeze(-1), y)"),
        _net("w = nn.Conv2d(d, 1, 1)", "return self.w(x).flatten(1).softmax(dim=1), self.w(x).softmax(dim=-1)"),
        _net("a = nn.Sequential(nn.Linear(d, 1), nn.Softmax(dim=1))", "return (self.a(x) * x).sum(1)"),
        _net("w = nn.Linear(d, 1)", "return torch.cat([self.w(x), self.w(y)], dim=-1).softmax(-1)"),
        _net("w = nn.Linear(d, 1)", "return self.w(x).argmax(dim=1), self.w(x).argmax()"),
        _net("w = nn.Linear(d, 1)", "s = self.w(x) + self.w(y).transpose(1, 2)\nreturn s.softmax(dim=-1)"),
    )
    invalid = (
        _net("w = nn.Linear(d, 1)", "a = torch.softmax(self.w(torch.tanh(x)), dim=-1)  # <-\nreturn (a * x).sum(1)"),
        _net("w = nn.Linear(d, 1)", "b, t, f = x.shape\ns = self.w(x)\nreturn s.softmax(2), s.softmax(1)  # <-"),
        _net("w = nn.Linear(d, 1)\nsoft = nn.Softmax(dim=-1)", "return self.soft(self.w(x))  # <-"),
        _net(
            "a = nn.Sequential(nn.Linear(d, 8), nn.Tanh(), nn.Linear(8, 1), nn.Softmax(dim=-1))  # <-",
            "return self.a(x)",
        ),
        _net("w = nn.Linear(d, 1)", "out = self.w(x)\nreturn F.cross_entropy(out, y)  # <-"),
        _net("w = nn.Linear(d, 1)\nloss = nn.CrossEntropyLoss()", "return self.loss(self.w(x.flatten(1)), y)  # <-"),
        _net("w = nn.Conv2d(d, 1, 1)", "mask = self.w(x).argmax(dim=1)  # <-\nreturn mask"),
        _net("w = nn.Linear(d, 1)", "best = torch.argmax(self.w(x), dim=-1)  # <-\nreturn best == y"),
        _HEAD
        + "class Head(nn.Module):\n    def __init__(self, d):\n        super().__init__()\n        self.out = nn.Linear(d, 1)\n"
        + "    def forward(self, x):\n        return self.out(x)\n"
        + "def step(model: Head, x, y):\n    return nn.CrossEntropyLoss()(model(x), y)  # <-\n",
        _net("w = nn.Linear(d, n)", "s = self.w(x).mean(dim=-1, keepdim=True)\nreturn F.softmax(s, dim=-1)  # <-"),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """What is chosen or weighed among one."""
        forms = Forms(file)
        for call in file.calls(*_SOFTMAXES, "argmax"):
            of, dim = file.given(call, 0, "input"), number(file.given(call, 1, "dim"))
            if of is not None and _is_one(forms.of(of), dim):
                yield _found(file, call, of, forms.of(of))
        yield from _of_layers(file, forms)
        for loss in losses(file, "cross_entropy"):
            form = forms.of(loss.given)
            if form is None or not _is_single_class(form):
                continue
            func, given = file.text(loss.call.func), file.text(loss.given)
            message = f"`{func}` of a single class can't learn: `{given}` has one class"
            hint = "`binary_cross_entropy_with_logits` takes one logit"
            yield Found(loss.call, message, _shown(file, loss.given, form), hint)


def _is_one(form: Form | None, dim: int | None) -> bool:
    """Whether an axis surely has size 1."""
    if form is None or dim is None or (form.is_open and dim >= 0) or not -len(form.parts) <= dim < len(form.parts):
        return False
    return form.parts[dim] == 1


def _is_single_class(form: Form) -> bool:
    """Whether the classes are an axis of 1: the second one, or what a layer gives at the end of whatever it takes."""
    if form.is_open:
        return form.parts == (1,)
    return len(form.parts) >= _PAIR and form.parts[1] == 1


def _found(file: Reading, call: ast.Call, of: ast.expr, form: Form | None) -> Found:
    name = last_name(call.func)
    gives = {"argmax": "number 0", "log_softmax": "0"}.get(name, "1")
    message = f"`{file.text(call)}` is over an axis of 1: all that it gives is {gives}"
    return Found(call, message, () if form is None else _shown(file, of, form))


def _shown(file: Reading, of: ast.expr, form: Form) -> tuple[str, ...]:
    parts = ", ".join("?" if each is None else str(each) for each in form.parts)
    return (f"{file.text(of)}: ({'..., ' if form.is_open else ''}{parts}{',' if form.rank == 1 else ''})",)


def _of_layers(file: Reading, forms: Forms) -> Iterator[Found]:
    """Softmaxes that are layers, called or in a row of layers."""
    dims = {call: number(argument(call, 0, "dim")) for call, _ in file.torch_calls(*_LAYERS)}
    for call in file.all(ast.Call) if dims else ():
        if last_name(call.func) == "Sequential" and file.is_torch(call, "Sequential"):
            for before, layer in zip(call.args, call.args[1:], strict=False):
                if isinstance(layer, ast.Call) and dims.get(layer) == -1 and not isinstance(before, ast.Starred):
                    form = through(file, before, Form((None,), is_open=True))
                    if form is not None and form.is_open and form.parts[-1:] == (1,):
                        message = f"`{file.text(layer)}` is over an axis of 1: all that it gives is 1"
                        yield Found(layer, message, (f"after: {file.text(before)}",))
            continue
        made = file.layer(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else None
        if made in dims and len(call.args) == 1 and _is_one(forms.of(call.args[0]), dims[made]):
            message = f"`{file.text(call)}` is over an axis of 1: all that it gives is 1"
            form = forms.of(call.args[0])
            yield Found(call, message, () if form is None else _shown(file, call.args[0], form))
