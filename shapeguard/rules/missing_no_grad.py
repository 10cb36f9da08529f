"""An evaluation that keeps the graph of every output.

## Example

    import torch


    def predict(model, loader):
        model.eval()
        outputs = []
        for batch in loader:
            outputs.append(model(batch).cpu())
        return torch.cat(outputs)

The check says:

    example.py:8:9 SG602 missing-no-grad: `outputs` keeps the graph of each `model(batch).cpu()`: `eval()` doesn't turn gradients off
        hint: run the loop of `predict` under `torch.no_grad()`

Use instead:

    def predict(model, loader):
        model.eval()
        outputs = []
        with torch.no_grad():
            for batch in loader:
                outputs.append(model(batch).cpu())
        return torch.cat(outputs)

## Why is this bad?

`eval()` changes what dropout and batch norm do. It doesn't turn gradients off: each output holds on to all that was
computed for it. Kept in a list, the whole data set's graphs are in memory at once, and the evaluation ends in "out of
memory" where training fitted.

## What it does

Marks the line on which a loop adds up or gathers what a model gives, after `model.eval()` in the same function.

Left alone are functions with `no_grad`, `inference_mode` or `set_grad_enabled` in or around them, or around their calls
in the file, and functions that call `backward`. `.detach()`, `.item()`, `.numpy()` and `argmax` leave the graph behind;
`.cpu()` doesn't.

The whole rule is in preview, because callers in other files may have turned gradients off.

## Fix safety

There is no fix: where gradients are to be turned off is for the reader to say.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.looping import GRAPH_METHODS, kept
from shapeguard.lint.reading import Reading, last_name
from shapeguard.lint.rule import Found, Rule

_OFF = frozenset({"no_grad", "inference_mode", "set_grad_enabled", "enable_grad"})
_TRAINING = ("backward", "manual_backward", "grad", "requires_grad_", "jacobian", "hessian")
_FUNCTIONS = frozenset(
    "softmax log_softmax sigmoid tanh relu cat stack mean sum squeeze flatten exp norm sqrt".split()  # noqa: SIM905 - a list of so many words reads better so
)
_DEEPEST = 8

_LOOP = """import torch
def predict(model, loader, device):
    model.eval()
    outputs = []
    for x in loader:
        out = model(x.to(device))
"""


class MissingNoGrad(Rule):
    """Graphs of a whole data set, kept alive by its outputs."""

    code = "SG602"
    name = "missing-no-grad"
    severity = "warning"
    preview = True
    words = ("eval() & append(", "eval() & += ", "eval() & + ")
    valid = (
        _LOOP + "        outputs.append(out.detach().cpu())\n    return torch.cat(outputs)\n",
        _LOOP + "        outputs.append(out.argmax(dim=1))\n    return torch.cat(outputs)\n",
        _LOOP + "        outputs += out.cpu().tolist()\n    return outputs\n",
        _LOOP + "        outputs.append(x)\n    return outputs\n",
        "@torch.no_grad()\n" + _LOOP.replace("import torch\n", "") + "        outputs.append(out)\nimport torch\n",
        _LOOP + "        outputs.append(out)\n    torch.cat(outputs).mean().backward()\n",
        """import torch
def evaluate(model, loader):
    model.eval()
    total = 0
    with torch.inference_mode():
        for x, y in loader:
            loss = model(x, y)
            total += loss
    return total
""",
        """import torch
def evaluate(model, loader):
    model.eval()
    total = 0
    for x, y in loader:
        with torch.no_grad():
            loss = model(x, y)
        total += loss
    return total
""",
        """import torch
def evaluate(model, loader):
    model.eval()
    total = 0
    for x in loader:
        total += model(x).item()
    return total
def main(model, loader):
    torch.set_grad_enabled(False)
    return evaluate(model, loader)
""",
        """import torch
def evaluate(model, loader):
    model.eval()
    scores = []
    for x in loader:
        scores.append(model(x))
    return scores
with torch.no_grad():
    print(evaluate(model, loader))
""",
        """import torch
def generate(model, tokens, n):
    model.eval()
    for _ in range(n):
        scores = []
        scores.append(model(tokens))
        tokens = pick(scores)
    return tokens
""",
        """import torch
def evaluate(model, tokenizer, texts):
    model.eval()
    found = []
    for text in texts:
        ids = tokenizer(text)
        found.append(model.generate(ids))
    return found
""",
    )
    invalid = (
        _LOOP + "        outputs.append(out)  # <-\n    return torch.cat(outputs)\n",
        _LOOP + "        outputs.append(out.cpu())  # <-\n    return torch.cat(outputs)\n",
        _LOOP + "        outputs.append(torch.softmax(out.logits, dim=-1))  # <-\n    return torch.cat(outputs)\n",
        _LOOP
        + "        probs = torch.sigmoid(out).squeeze(-1)\n        outputs.append(probs)  # <-\n    return outputs\n",
        """import torch
def test_epoch(model, loader, criterion, args):
    model.eval()
    losses, outputs, targets = [], [], []
    for batch in loader:
        batch = batch.to(args.device)
        out = model(batch)
        outputs.append(out)  # <-
        targets.append(batch.y)
        loss = criterion(out, batch.y)
        losses.append(loss.item())
    return torch.cat(outputs), torch.cat(targets)
""",
        """import torch
def validate(model, loader, criterion):
    model.eval()
    total = 0.0
    for x, y in loader:
        output = model(x)
        loss = criterion(output, y)
        total += loss  # <-
    return total / len(loader)
""",
        """import torch
def eval_fn(model, loader):
    model.eval()
    predictions, total = [], 0
    for data in loader:
        batch_predictions, loss = model(**data)
        total += loss.item()
        predictions.append(batch_predictions)  # <-
    return predictions, total / len(loader)
""",
        """import torch
class Trainer:
    def evaluate(self):
        self.model.eval()
        total = 0
        for batch in self.loader:
            outputs = self.model(**batch)
            total += outputs.loss  # <-
        return total
""",
        """import torch
def embed(encoder, loader):
    encoder.eval()
    found = []
    for images, _ in loader:
        features = encoder(images.cuda())
        features = features / features.norm(dim=-1, keepdim=True)
        found.append(features)  # <-
    return torch.cat(found)
""",
        """import torch
def test(net, loader):
    net = net.eval()
    scores = {"loss": 0.0}
    for x, y in loader:
        loss = torch.nn.functional.cross_entropy(net(x), y)
        scores["loss"] += loss  # <-
    return scores
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Outputs that evaluations keep."""
        for one in kept(file):
            function = file.function(one.node)
            if not isinstance(function, ast.FunctionDef):
                continue
            models = _evaluated(file, function, one.node)
            if not models or _is_off(file, function) or _learns(file, function):
                continue
            if not _is_output(file, one.value, models):
                continue
            yield Found(
                one.node,
                f"`{file.text(one.place)}` keeps the graph of each `{file.text(one.value)}`: `eval()` doesn't turn gradients"
                " off",
                hint=f"run the loop of `{function.name}` under `torch.no_grad()`",
            )


def _evaluated(file: Reading, function: ast.FunctionDef, node: ast.stmt) -> set[str]:
    """The models, as they are written, of which a function calls `eval` before a statement."""
    found: set[str] = set()
    for call in file.calls("eval"):
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if owner is None or call.args or file.function(call) is not function or call.lineno >= node.lineno:
            continue
        match owner:
            case ast.Name() | ast.Attribute(value=ast.Name(id="self")):
                found.add(file.text(owner))
    return found


def _is_off(file: Reading, function: ast.FunctionDef) -> bool:
    """Whether something turns gradients off in or around a function, or around a call of it."""
    outer = [function, *(each for each in file.around(function) if isinstance(each, ast.FunctionDef | ast.With))]
    if any(_mentions_off(each) for each in outer):
        return True
    if any(isinstance(each, ast.Module) for each in file.around(function)) and any(
        last_name(call.func) == "set_grad_enabled" for call in file.calls("set_grad_enabled")
    ):
        return True
    return any(
        _mentions_off(around)
        for call in file.calls(function.name)
        for around in file.around(call)
        if isinstance(around, ast.With | ast.FunctionDef)
    )


def _mentions_off(node: ast.AST) -> bool:
    """Whether a statement names what turns gradients off."""
    return any(
        (isinstance(each, ast.Attribute) and each.attr in _OFF) or (isinstance(each, ast.Name) and each.id in _OFF)
        for each in ast.walk(node)
    )


def _learns(file: Reading, function: ast.FunctionDef) -> bool:
    return any(file.is_in(call, function) for call in file.calls(*_TRAINING))


def _is_output(file: Reading, node: ast.expr, models: set[str], depth: int = 0) -> bool:
    """Whether an expression is what a model gave, or was computed of that with its graph."""
    if depth > _DEEPEST:
        return False
    return any(_is_output(file, each, models, depth + 1) for each in _made_of(file, node)) or (
        isinstance(node, ast.Call) and file.text(node.func) in models
    )


def _made_of(file: Reading, node: ast.expr) -> list[ast.expr]:
    """The expressions whose graph goes on in the value of this one, as far as that is sure."""
    match node:
        case ast.Name():
            binding = file.definition(node)
            return [] if binding is None or binding.value is None else [binding.value]
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.UnaryOp(operand=value) | ast.Subscript(value=value):
            return [value]
        case ast.Attribute(value=value, attr="logits" | "loss" | "last_hidden_state"):
            return [value]
        case ast.Call(func=func, args=args):
            name, full = last_name(func), file.full_name(func)
            if "loss" in name.lower() or name in {"criterion", "cross_entropy"}:
                return args
            if full is not None:
                return args[:1] if full.startswith("torch.") and name in _FUNCTIONS else []
            if isinstance(func, ast.Attribute) and name in GRAPH_METHODS:
                return [func.value]
    return []
