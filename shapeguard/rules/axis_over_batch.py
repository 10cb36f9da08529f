"""A softmax, an argmax, a mean or a recurrence that runs over the batch.

## Example

    import torch.nn.functional as F
    from torch import nn


    class Classifier(nn.Module):
        def __init__(self, features, classes):
            super().__init__()
            self.fc = nn.Linear(features, classes)

        def forward(self, images):
            logits = self.fc(images.flatten(1))
            return F.softmax(logits, dim=0)

The check says:

    example.py:12:16 SG206 axis-over-batch: `F.softmax(logits, dim=0)` runs over the batch: axis 0 of `logits` is that of the examples
        logits: (batch, feature)
        fix: Name the last axis: `-1` (unsafe)

Use instead:

    def forward(self, images):
        logits = self.fc(images.flatten(1))
        return F.softmax(logits, dim=-1)

## Why is this bad?

Nothing fails: a softmax over any axis sums to one. What is said of one example then depends on which others are in its
batch, and a batch of one gives 1 for every class.

## What it does

Marks a step along axis 0 where that is the batch and another axis is meant:

- `softmax(dim=0)`, `nn.Softmax(dim=0)`, `argmax(dim=0)`, `max(0)` of a model's output for a batch;
- `F.normalize(x, dim=0)` of rows later compared by `x @ y.T`, there or in a caller of the function that returns them;
- `(x - x.mean(0)) / x.std(0)`, and `self.fc(x.mean(0))`, of `(batch, time, features)`;
- `for t in range(steps): h = cell(x[t], h)` where `x` is `(batch, steps, ...)`;
- `rewards.cumsum(0)` of `(batch, time)`.

That axis 0 is the batch is read from a loss that takes the same value, from the loop over a data loader, from the
layers before, and from the names of sizes.

## Fix safety

The fix names the last axis, or the axis of the steps. Unsafe: it changes the result, on purpose.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.axis_names import given_name
from shapeguard.lint.batches import Batches
from shapeguard.lint.form import OPEN, Form, part_of
from shapeguard.lint.forms import KEEPS, Forms
from shapeguard.lint.layer_forms import through
from shapeguard.lint.losses import OF_CLASSES
from shapeguard.lint.making import functions_called
from shapeguard.lint.only_model import called
from shapeguard.lint.reading import Reading, argument, last_name, number
from shapeguard.lint.rule import Argument, Change, Found, Repair, Replacement, Rule

_SOFTMAXES = ("softmax", "log_softmax", "softmin")
_PICKS = ("argmax", "max", "argmin", "topk")
_STEPS = frozenset({"t", "step", "time", "timestep", "time_step", "ts", "tt"})
_ROWS_WITH_ROWS = re.compile(r"(\w)(\w),(\w)\2->\1\3")
_MATRIX = 2
_FARTHEST = 40


def _net(layers: str, body: str, given: str = "x") -> str:
    """The source of a model with these layers and this forward pass."""
    made = "".join(f"        self.{each}\n" for each in layers.split("\n"))
    steps = "".join(f"        {each}\n" for each in body.split("\n"))
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
    return f"{head}class Net(nn.Module):\n    def __init__(self, d):\n{made}    def forward(self, {given}):\n{steps}"


_HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"


class AxisOverBatch(Rule):
    """A step over axis 0, where that is the batch."""

    code = "SG206"
    name = "axis-over-batch"
    severity = "warning"
    fixable = True
    words = (
        "softmax & dim=0",
        "softmax & , 0)",
        "softmax(0)",
        "Softmax(0)",
        "Softmax & dim=0",
        "argmax(0",
        "argmax & dim=0",
        "argmax & , 0)",
        ".max(0",
        ".max & dim=0",
        "torch.max & , 0)",
        "topk & 0)",
        "normalize( & dim=0",
        ".mean(0",
        ".mean & dim=0",
        "torch.mean( & , 0",
        "cumsum(0",
        "cumsum & dim=0",
        "cumsum & , 0)",
        "cumprod & 0)",
        "range( & .shape",
        "range( & .size(",
        "Cell( & for ",
    )

    valid = (
        # columns with columns
        (
            "import torch.nn.functional as F\ndef unit(x):\n    return F.normalize(x, dim=0)\n"
            "def correlation(x, y):\n    a, b = unit(x), unit(y)\n    return a.T @ b\n"
        ),
        _net("fc = nn.Linear(d, 10)", "return F.softmax(self.fc(x.flatten(1)), dim=1)"),
        # one example
        _net("fc = nn.Linear(d, 10)", "return F.softmax(self.fc(x), dim=0)"),
        _net("fc = nn.Linear(d, 10)", "return self.fc(x).argmax(0)"),
        # the first axis is the sequence
        _net("fc = nn.Linear(d, 1)", "t, b, d = x.shape\nreturn F.softmax(self.fc(x), dim=0)"),
        _net(
            "rnn = nn.GRU(d, d)\nfc = nn.Linear(d, 1)",
            "out, _ = self.rnn(x)\nreturn (self.fc(out).softmax(0) * out).sum(0)",
        ),
        _HEAD + "def pick(model, image):\n    logits = model(image)[0]\n    return logits.argmax(0)\n",
        _HEAD
        + "def test(model, loader):\n    for x, y in loader:\n        out = model(x)\n"
        + "        loss = F.cross_entropy(out, y)\n        hits = (out.argmax(1) == y).sum()\n",
        # statistics of a batch
        _HEAD + "def whiten(x):\n    return (x - x.mean(0, keepdim=True)) / (x.std(0, keepdim=True) + 1e-5)\n",
        _HEAD + "def barlow(a, b):\n    a = F.normalize(a, dim=0)\n    b = F.normalize(b, dim=0)\n    return a.T @ b\n",
        _HEAD + "def head(x, weight):\n    return F.normalize(x, dim=1) @ F.normalize(weight, dim=0)\n",
        # loops over what they index
        _HEAD
        + "def scan(cell, x, h):\n    b, t, d = x.shape\n    for i in range(t):\n        h = cell(x[:, i], h)\n    return h\n",
        _HEAD
        + "def scan(cell, x, h):\n    t, b, d = x.shape\n    for i in range(t):\n        h = cell(x[i], h)\n    return h\n",
        _HEAD
        + "def gae(rewards, values):\n    num_steps, num_envs = rewards.shape\n    last = 0\n"
        + "    for t in reversed(range(num_steps)):\n        last = rewards[t] - values[t] + last\n    return last\n",
        _HEAD
        + "def each(x):\n    batch, time = x.shape\n    total = 0\n    for i in range(batch):\n"
        + "        total = total + x[i].sum()\n    return total\n",
        _HEAD + "def positions(counts):\n    return counts.cumsum(0)\n",
    )
    invalid = (
        (
            (
                "import torch.nn.functional as F\ndef unit(x):\n    return F.normalize(x, dim=0)  # <-\n"
                "def similarity(x, y):\n    a, b = unit(x), unit(y)\n    return a @ b.T\n"
            ),
            (
                "import torch.nn.functional as F\ndef unit(x):\n    return F.normalize(x, dim=-1)  # <-\n"
                "def similarity(x, y):\n    a, b = unit(x), unit(y)\n    return a @ b.T\n"
            ),
        ),
        (
            _net("fc = nn.Linear(d, 10)", "logits = self.fc(x.flatten(1))\nreturn F.softmax(logits, dim=0)  # <-"),
            _net("fc = nn.Linear(d, 10)", "logits = self.fc(x.flatten(1))\nreturn F.softmax(logits, dim=-1)  # <-"),
        ),
        _net(
            "conv = nn.Conv2d(3, 8, 3)\nfc = nn.Linear(d, 10)\nsoftmax = nn.Softmax(dim=0)",
            "x = F.relu(self.conv(x))\nx = x.view(x.size(0), -1)\nreturn self.softmax(self.fc(x))  # <-",
        ),
        _net(
            "net = nn.Sequential(nn.Flatten(), nn.Linear(d, 64), nn.ReLU(), nn.Linear(64, 10), nn.Softmax(dim=0))  # <-",
            "return self.net(x)",
        ),
        _net(
            "rnn = nn.GRU(d, 64, batch_first=True)\nfc = nn.Linear(64, 5)",
            "out, _ = self.rnn(x)\nreturn torch.log_softmax(self.fc(out[:, -1]), 0)  # <-",
        ),
        _HEAD
        + "def test(model, loader):\n    for images, labels in loader:\n        logits = model(images)\n"
        + "        loss = F.cross_entropy(logits, labels)\n        hits = (logits.argmax(dim=0) == labels).sum()  # <-\n",
        _HEAD
        + "def test(model, loader):\n    for i, (images, labels) in enumerate(loader):\n"
        + "        outputs = model(images.cuda())\n        _, predicted = torch.max(outputs, 0)  # <-\n"
        + "        hits = (predicted == labels).sum()\n",
        _HEAD
        + "def probabilities(net, test_loader):\n    for x in test_loader:\n        yield net(x).softmax(dim=0)  # <-\n",
        _HEAD
        + "def step(logits, y):\n    log_probs = F.log_softmax(logits, dim=0)  # <-\n    return F.nll_loss(log_probs, y)\n",
        _HEAD
        + "def similarity(a, b):\n    a = F.normalize(a, dim=0)  # <-\n    b = F.normalize(b, p=2, dim=0)  # <-\n"
        + "    return a @ b.T\n",
        _HEAD
        + "def cmvn(x):\n    b, t, d = x.shape\n    mean = x.mean(dim=0, keepdim=True)  # <-\n"
        + "    std = x.std(dim=0, keepdim=True)\n    return (x - mean) / (std + 1e-5)\n",
        _net(
            "embed = nn.Embedding(9, d)\nfc = nn.Linear(d, 2)",
            "batch, length = x.shape\npooled = self.embed(x).mean(dim=0)  # <-\nreturn self.fc(pooled)",
        ),
        (
            _HEAD
            + "def scan(cell, x, h):\n    b, t, d = x.shape\n    for i in range(t):\n        h = cell(x[i], h)  # <-\n"
            + "    return h\n",
            _HEAD
            + "def scan(cell, x, h):\n    b, t, d = x.shape\n    for i in range(t):\n        h = cell(x[:, i], h)  # <-\n"
            + "    return h\n",
        ),
        _HEAD
        + "def gae(rewards, values, gamma):\n    num_envs, num_steps = rewards.shape\n    last = 0\n"
        + "    for t in reversed(range(rewards.shape[0])):\n        delta = rewards[t] - values[t]  # <-\n"
        + "        last = delta + gamma * last\n    return last\n",
        _HEAD
        + "def returns(rewards):\n    batch_size, seq_len = rewards.shape\n    return rewards.flip(0).cumsum(0)  # <-\n",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Steps along axis 0 of batches."""
        forms = Forms(file)
        batches = Batches(file, forms)
        for call in file.calls(*_SOFTMAXES, *_PICKS):
            yield from _of_step(file, forms, batches, call)
        for call, name in file.torch_calls("Softmax", "LogSoftmax"):
            if number(argument(call, 0, "dim")) == 0:
                yield from _of_layer(file, batches, call, name)
        for call in file.calls("normalize"):
            yield from _of_rows(file, call)
        for call in file.calls("mean"):
            yield from _of_mean(file, forms, call)
        for call in file.calls("cumsum", "cumprod"):
            yield from _of_running(file, forms, call)
        for loop in file.all(ast.For):
            yield from _of_loop(file, forms, loop)
            yield from _of_items(file, forms, loop)


def _over(file: Reading, call: ast.Call) -> tuple[ast.expr | None, ast.expr | None]:
    """What a method or function of torch is applied to, and along which axis."""
    return file.given(call, 0, "input"), file.given(call, 2 if last_name(call.func) == "topk" else 1, "dim")


def _last_axis(call: ast.Call, dim: ast.expr) -> Repair:
    by_name = any(each.value is dim for each in call.keywords)
    change: Change = Argument(call, "-1", "dim") if by_name else Replacement(dim, "-1")
    return Repair("Name the last axis: `-1`", (change,))


def _of_step(file: Reading, forms: Forms, batches: Batches, call: ast.Call) -> Iterator[Found]:
    value, dim = _over(file, call)
    if value is None or dim is None or number(dim) != 0:
        return
    name = last_name(call.func)
    reason = batches.reason(value)
    if reason is None and name in _SOFTMAXES:
        scored = _scored_result(file, batches, call)
        reason = None if scored is None else f"`{file.text(scored.func)}` takes it with the batch first"
    if reason is None or (name in _PICKS and not _is_of_classes(file, forms, batches, value, call)):
        return
    message = f"`{file.text(call)}` runs over the batch: axis 0 of `{file.text(value)}` is that of the examples"
    yield Found(call, message, (reason,), repair=_last_axis(call, dim))


def _scored_result(file: Reading, batches: Batches, call: ast.Call) -> ast.Call | None:
    match file.parent(call):
        case ast.Assign(targets=[ast.Name() as name]):
            found = (batches.scored(each) for each in file.uses(name))
            return next((each for each in found if each is not None), None)
        case ast.Call() as loss if file.is_torch(loss, *OF_CLASSES) and loss.args[:1] == [call]:
            return loss
    return None


def _is_of_classes(file: Reading, forms: Forms, batches: Batches, value: ast.expr, call: ast.Call) -> bool:
    """Whether what is picked along axis 0 are classes: it is compared with labels, or a loss takes the same scores."""
    form = forms.of(value)
    if form is not None and form.rank != _MATRIX and not form.is_open:
        return False
    return _is_compared(file, call) or batches.scored(value) is not None


def _is_compared(file: Reading, call: ast.Call) -> bool:
    readers = file.reads(call)
    match file.parent(call):
        case ast.Assign(targets=[ast.Tuple(elts=[_, ast.Name() as name])]):
            readers += file.uses(name)
        case ast.Subscript() | ast.Attribute() as part:
            readers += file.reads(part)
    for each in readers:
        match file.parent(each):
            case ast.Compare(ops=[ast.Eq()]):
                return True
            case ast.Attribute(attr="eq"):
                return True
    return False


def _of_layer(file: Reading, batches: Batches, made: ast.Call, name: str) -> Iterator[Found]:
    """`nn.Softmax(dim=0)` as a layer of its own, or in a stack."""
    repair = Repair("Name the last axis: `-1`", (Argument(made, "-1", "dim" if made.keywords else None),))
    if not made.keywords:
        repair = Repair("Name the last axis: `-1`", (Replacement(made.args[0], "-1"),))
    stack = file.parent(made)
    if isinstance(stack, ast.Call) and file.is_torch(stack, "Sequential") and made in stack.args:
        form: Form | None = OPEN
        for each in stack.args[: stack.args.index(made)]:
            form = None if isinstance(each, ast.Starred) else through(file, file.origin(each), form or OPEN)
        if form is not None and not form.is_open and len(form.parts) > 1 and form.parts[0] == "batch":
            message = f"`nn.{name}` runs over the batch: its axis 0 is that of the examples"
            yield Found(made, message, repair=repair)
            return
    for call in file.all(ast.Call):
        if call.args and isinstance(call.func, ast.Name | ast.Attribute) and file.layer(call.func) is made:
            reason = batches.reason(call.args[0])
            if reason is not None:
                value = file.text(call.args[0])
                message = f"`{file.text(call.func)}` runs over the batch: axis 0 of `{value}` is that of the examples"
                yield Found(call, message, (reason,), repair=repair)


# Rows.


def _of_rows(file: Reading, call: ast.Call) -> Iterator[Found]:
    """`F.normalize(x, dim=0)` of what is multiplied as `x @ y.T`."""
    if not file.is_torch(call, "normalize") or number(argument(call, 2, "dim")) != 0:
        return
    for each in _read_beyond(file, call):
        product = _product_of_rows(file, each)
        if product is not None:
            dim = argument(call, 2, "dim")
            message = f"`{file.text(call)}` normalises over axis 0, and `{file.text(product)}` multiplies rows along the last one"
            yield Found(call, message, repair=None if dim is None else _last_axis(call, dim))
            return


def _read_beyond(file: Reading, node: ast.expr) -> list[ast.expr]:
    """Where a value is read, in the callers of its function too if it is returned."""
    found: list[ast.expr] = []
    waiting = [node]
    while waiting and len(found) < _FARTHEST:
        value = waiting.pop()
        for each in (value, *_given_to(file, value)):
            found.append(each)
            function = file.function(each)
            if isinstance(file.parent(each), ast.Return) and isinstance(function, ast.FunctionDef):
                calls = [call for call in file.all(ast.Call) if function in called(file, call)]
                waiting += [call for call in calls if call not in found]
    return found


def _given_to(file: Reading, value: ast.expr) -> list[ast.Name]:
    """Where the name is read that a value is given, also beside others: `a, b = f(x), f(y)`."""
    outer = file.parent(value)
    match outer:
        case ast.Assign(targets=[ast.Name() as name]):
            return file.uses(name)
        case ast.Tuple(elts=values):
            match file.parent(outer):
                case ast.Assign(targets=[ast.Tuple(elts=names)]) if len(names) == len(values):
                    given = names[values.index(value)]
                    return file.uses(given) if isinstance(given, ast.Name) else []
    return []


def _product_of_rows(file: Reading, node: ast.expr) -> ast.expr | None:
    """`x @ y.T`, of either."""
    parent = file.parent(node)
    is_turned = False
    if isinstance(parent, ast.Attribute) and parent.attr in {"T", "t", "mT"}:
        is_turned = True
        node, parent = parent, file.parent(parent)
        if isinstance(parent, ast.Call) and parent.func is node:
            node, parent = parent, file.parent(parent)
    match parent:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            pass
        case ast.Call(args=[left, right]) if file.is_torch(parent, "matmul", "mm"):
            pass
        case ast.Call(args=[ast.Constant(value=str(letters)), *operands]) if file.is_torch(parent, "einsum"):
            return parent if node in operands and _ROWS_WITH_ROWS.fullmatch(letters.replace(" ", "")) else None
        case _:
            return None
    if is_turned:
        return parent if node is right and _turned(left) is None else None
    return parent if node is left and _turned(right) is not None else None


def _turned(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.Attribute(value=value, attr="T" | "mT"):
            return value
        case ast.Call(func=ast.Attribute(value=value, attr="t"), args=[]):
            return value
        case ast.Call(func=ast.Attribute(value=value, attr="transpose"), args=[one, other]):
            return value if {number(one), number(other)} in ({0, 1}, {-1, -2}) else None
    return None


# Means.


def _of_mean(file: Reading, forms: Forms, call: ast.Call) -> Iterator[Found]:
    value, dim = _over(file, call)
    if value is None or dim is None or number(dim) != 0 or not isinstance(value, ast.Name | ast.Call):
        return
    division = _standardised(file, value, call)
    if division is None and not _before_linear(file, call):
        return
    form = forms.of(value)
    text = file.text(value)
    if form is None:
        reason = None if division is None else _pooled_later(file, forms, division)
    else:
        is_batch = form.rank is not None and form.rank > _MATRIX and form.parts[0] == "batch"
        is_sure = division is not None or form.parts[1:2] == ("time",)
        reason = f"{text}: ({', '.join(str(each or '?') for each in form.parts)})" if is_batch and is_sure else None
    if reason is None:
        return
    message = f"`{file.text(call)}` is the mean over the batch: axis 0 of `{text}` is that of the examples"
    by_name = any(each.value is dim for each in call.keywords)
    change: Change = Argument(call, "1", "dim") if by_name else Replacement(dim, "1")
    repair = None if division is not None else Repair("Take the mean over the steps: `1`", (change,))
    yield Found(call, message, (reason,), repair=repair)


def _standardised(file: Reading, value: ast.expr, call: ast.Call) -> ast.BinOp | None:
    """`(x - mean) / std`, of the same value, and by a deviation along the same axis."""
    for each in file.reads(call):
        match file.parent(each):
            case ast.BinOp(left=left, op=ast.Sub(), right=right) as centred if right is each:
                outer = file.parent(centred)
                scaled = isinstance(outer, ast.BinOp) and isinstance(outer.op, ast.Div) and outer.left is centred
                if isinstance(outer, ast.BinOp) and scaled and ast.dump(left) == ast.dump(value):
                    return outer
    return None


def _pooled_later(file: Reading, forms: Forms, node: ast.expr) -> str | None:
    """Where a linear layer's result of a value is pooled along axis 1, which is that of the steps then."""
    waiting: list[tuple[ast.expr, bool]] = [(node, False)]
    seen: set[ast.expr] = set()
    while waiting and len(seen) < _FARTHEST:
        value, is_mapped = waiting.pop()
        for each in file.reads(value):
            seen.add(each)
            parent = file.parent(each)
            if isinstance(parent, ast.Return) and isinstance(function := file.function(each), ast.FunctionDef):
                calls = [call for call in file.calls(function.name) if function in functions_called(file, call)]
                waiting += [(call, is_mapped) for call in calls if call not in seen]
            elif isinstance(parent, ast.Call) and each in parent.args[:1]:
                layer = forms.layer(parent)
                is_linear = layer is not None and last_name(layer.func) == "Linear"
                if is_linear or last_name(parent.func) in KEEPS:
                    waiting.append((parent, is_mapped or is_linear))
            elif isinstance(parent, ast.Attribute) and isinstance(call := file.parent(parent), ast.Call):
                if is_mapped and parent.attr in {"mean", "amax", "sum"} and number(argument(call, 0, "dim")) == 1:
                    return f"line {call.lineno}: `{file.text(call)}` takes axis 1 for the steps"
                if parent.attr in KEEPS:
                    waiting.append((call, is_mapped))
    return None


def _before_linear(file: Reading, call: ast.Call) -> bool:
    """Whether a value goes into a linear layer as it is."""
    for each in file.reads(call):
        outer = file.parent(each)
        if isinstance(outer, ast.Call) and each in outer.args and isinstance(outer.func, ast.Name | ast.Attribute):
            layer = file.layer(outer.func)
            if layer is not None and file.is_torch(layer, "Linear", "LayerNorm"):
                return True
    return False


def _of_running(file: Reading, forms: Forms, call: ast.Call) -> Iterator[Found]:
    """A running sum over `(batch, time)`."""
    value, dim = _over(file, call)
    if value is None or dim is None or number(dim) != 0:
        return
    form = forms.of(value)
    if form is not None and not form.is_open and form.parts[:2] == ("batch", "time"):
        message = f"`{file.text(call)}` runs over the batch: `{file.text(value)}` is ({', '.join(str(each or '?') for each in form.parts)})"
        yield Found(call, message, hint="the steps are axis 1")


# Loops.


def _of_loop(file: Reading, forms: Forms, loop: ast.For) -> Iterator[Found]:
    """A loop whose variable counts another axis than the one that it indexes, or steps along the batch."""
    counted = _counted(loop.iter)
    if counted is None or not isinstance(loop.target, ast.Name) or isinstance(counted, ast.Constant):
        return
    parts = [each for statement in loop.body for each in ast.walk(statement) if isinstance(each, ast.Subscript)]
    parts = [each for each in parts if isinstance(each.value, ast.Name)]
    indexed = [(each, at) for each in parts if (at := _place_of(each.slice, loop.target.id)) is not None]
    size = forms.axes.size(counted) if indexed else None
    if size is None:
        return
    for part, at in indexed:
        shape = forms.axes.shape(part.value)
        if shape is None or shape.axes is None or len(shape.axes) <= at:
            continue
        sizes = [each.size for each in shape.axes]
        own = sizes[at]
        shown = ", ".join("?" if each is None else given_name(each) for each in sizes)
        note = f"{file.text(part.value)}: ({shown})"
        if own is not None and own != size and size in sizes:
            place = sizes.index(size)
            message = f"`{file.text(part)}` indexes axis {at} of `{file.text(part.value)}`, and the loop counts its axis {place}"
            change = Replacement(part, "{}[" + ", ".join([":"] * place + [loop.target.id]) + "]", (part.value,))
            repair = Repair(f"Index axis {place}", (change,)) if at == 0 and isinstance(part.slice, ast.Name) else None
            yield Found(part, message, (note,), repair=repair)
            return
        if own == size and at == 0 and _steps_along_batch(loop, [given_name(each) for each in sizes]):
            message = (
                f"the loop over steps runs over the batch: axis 0 of `{file.text(part.value)}` is `{given_name(own)}`"
            )
            yield Found(part, message, (note,), "the steps are axis 1")
            return


def _of_items(file: Reading, forms: Forms, loop: ast.For) -> Iterator[Found]:
    """`for step in x: h = cell(step, h)` over what has the batch first."""
    if not isinstance(loop.iter, ast.Name) or not isinstance(loop.target, ast.Name):
        return
    calls = [each for statement in loop.body for each in ast.walk(statement) if isinstance(each, ast.Call)]
    for call in calls:
        given = call.args[0] if call.args else None
        if len(call.args) != 2 or not isinstance(given, ast.Name) or given.id != loop.target.id:  # noqa: PLR2004 - input, state
            continue
        layer = file.layer(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else None
        if layer is None or not file.is_torch(layer, "LSTMCell", "GRUCell", "RNNCell"):
            continue
        form = forms.of(loop.iter)
        if form is not None and not form.is_open and len(form.parts) > _MATRIX and form.parts[0] == "batch":
            message = (
                f"the loop over `{loop.iter.id}` runs over the batch, and carries a state from one example to the next"
            )
            note = f"{loop.iter.id}: ({', '.join(str(each or '?') for each in form.parts)})"
            change = Replacement(loop.iter, "{}.unbind(1)", (loop.iter,))
            yield Found(loop.iter, message, (note,), repair=Repair("Go through the steps: `.unbind(1)`", (change,)))
            return


def _counted(node: ast.expr) -> ast.expr | None:
    """`n` of `range(n)`, `reversed(range(n))`, `range(n - 1, -1, -1)`."""
    match node:
        case ast.Call(func=ast.Name(id="reversed" | "tqdm"), args=[inner, *_]):
            return _counted(inner)
        case ast.Call(func=ast.Name(id="range"), args=[count]):
            return count
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=0 | 1), count]):
            return count
        case ast.Call(
            func=ast.Name(id="range"), args=[ast.BinOp(left=count, op=ast.Sub(), right=ast.Constant(value=1)), *_]
        ):
            return count
    return None


def _place_of(index: ast.expr, name: str) -> int | None:
    """Which axis is indexed by a name alone: 1 in `x[:, t]`."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    for place, each in enumerate(parts):
        if isinstance(each, ast.Name) and each.id == name:
            return place
        if not (isinstance(each, ast.Slice) and each.lower is each.upper is None):
            return None
    return None


def _steps_along_batch(loop: ast.For, sizes: list[str]) -> bool:
    """Whether a loop by the name of a step carries a value along an axis that is called a batch."""
    if not isinstance(loop.target, ast.Name) or loop.target.id not in _STEPS or len(sizes) < _MATRIX:
        return False
    is_batch = part_of(sizes[0]) == "batch"
    if not is_batch or part_of(sizes[1]) != "time":
        return False
    stored = {each.id for each in ast.walk(loop) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    for statement in loop.body:
        if isinstance(statement, ast.Assign):
            names = {each.id for each in ast.walk(statement.value) if isinstance(each, ast.Name)}
            if names & (stored - {loop.target.id}):
                return True
    return False
