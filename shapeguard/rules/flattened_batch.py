"""Rows flattened so that they no longer go with the rows of the other side.

## Example

    import torch.nn.functional as F


    def segmentation_loss(logits, labels):
        batch, classes, height, width = logits.shape
        return F.cross_entropy(logits.view(-1, classes), labels.view(-1))

The check says:

    example.py:6:28 SG203 flattened-batch: `view(-1, classes)` cuts its rows across axes: `classes` is not the last axis of (batch, classes, height, width)
        logits: (batch, classes, height, width)
        fix: Move it to the end first: `.permute(0, 2, 3, 1).reshape(-1, classes)` (unsafe)

Use instead:

    def segmentation_loss(logits, labels):
        batch, classes, height, width = logits.shape
        return F.cross_entropy(logits.permute(0, 2, 3, 1).reshape(-1, classes), labels.view(-1))

## Why is this bad?

A loss takes row by row what it is given. When one side is flattened in another order, or its rows are pieces of several
rows, the counts are right and nothing fails: each prediction is held against the label of another token, and the model
learns how often each label occurs, and no more. When only one side is flattened, torch refuses, or stretches one side
over the other.

## What it does

Marks the view, or else the loss, where `view(-1, ...)`, `reshape` or `flatten` loses the pairs:

- rows cut across axes: `logits.view(-1, c)` where `c` is not the last axis, as above, or of what a convolution with `c`
  channels gives (in preview: with a kernel of 1, where it may stand for a linear layer);
- both sides of a loss flattened in different orders: `logits.transpose(0, 1).reshape(-1, v)` with `labels.view(-1)`;
- one side flattened and the other not: `F.cross_entropy(logits.view(-1, v), labels)` with `labels` of `(b, t)`.

Axes are read from `b, t = labels.shape` and from the views, transposes and layers before; where they aren't known,
nothing is found. What is reported here isn't reported as `reshape-scrambles` too.

## Fix safety

Unsafe: the fix changes what is compared with what, on purpose.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.axes import Axes
from shapeguard.lint.axis_names import CONVOLUTIONS, shown
from shapeguard.lint.losses import OF_CLASSES, OF_ELEMENTS, Loss, losses
from shapeguard.lint.moving import Reshape, as_method, exchanged, move_before, reshape_of
from shapeguard.lint.reading import Reading, argument, last_name, number
from shapeguard.lint.rule import Found, Repair, Replacement, Rule
from shapeguard.shapes.shape import Axis, Shape, same_order


class FlattenedBatch(Rule):
    """What stands in one row on one side stands in another on the other."""

    code = "SG203"
    name = "flattened-batch"
    severity = "warning"
    other_severity = "error"
    fixable = True
    words = ("view(-1", "reshape(-1", "flatten(", "(-1,")
    valid = (
        "def f(logits):\n    b, c, h, w = logits.shape\n    return logits.permute(0, 2, 3, 1).reshape(-1, c)\n",
        "def f(x):\n    b, t, d = x.shape\n    return x.view(-1, d)\n",
        "def f(x):\n    b, t, h, d = x.shape\n    return x.view(-1, h * d)\n",
        "def f(x):\n    b, c, h, w = x.shape\n    return x.view(-1, h, w)\n",
        "def f(x):\n    b, c, h, w = x.shape\n    return x.view(-1, w)\n",
        "def f(x):\n    b, c = x.shape\n    return x.view(-1, c)\n",
        # averaged before
        "def f(self, x):\n    b, c, h, w = x.shape\n    return x.mean((2, 3)).view(-1, c)\n",
        "def f(self, x):\n    b, c, h, w = x.shape\n    return self.pool(x).view(-1, c)\n",
        """import torch.nn.functional as F
def f(logits, labels):
    b, t, v = logits.shape
    return F.cross_entropy(logits.view(-1, v), labels.view(-1))
""",
        """import torch.nn.functional as F
def f(logits, labels):
    b, t = labels.shape
    return F.cross_entropy(logits.transpose(1, 2), labels)
""",
        # as probabilities of classes
        """import torch.nn.functional as F
def f(logits, target):
    n, v = target.shape
    return F.cross_entropy(logits.view(-1, v), target)
""",
        # both in the same order
        """import torch.nn.functional as F
def f(logits, labels):
    b, t = labels.shape
    logits = logits.view(b, t, -1).transpose(0, 1)
    return F.cross_entropy(logits.reshape(b * t, -1), labels.transpose(0, 1).reshape(-1))
""",
        """import torch.nn.functional as F
def f(pred, target):
    b, t = target.shape
    return F.mse_loss(pred.view(-1), target.view(-1))
""",
        """from torch import nn
class Head(nn.Module):
    def __init__(self, d, classes):
        self.fc = nn.Conv1d(d, classes, 1)
    def forward(self, x, classes):
        return self.fc(x).transpose(1, 2).reshape(-1, classes)
""",
        # patches: each window gives one row
        """from torch import nn
class Patches(nn.Module):
    def __init__(self, d):
        self.embed_dim = d
        self.proj = nn.Conv2d(3, d, kernel_size=14, stride=14)
    def forward(self, x):
        return self.proj(x.view(-1, 3, 14, 14)).view(-1, self.embed_dim)
""",
        # a mask of pixels, each with its own loss
        """import torch.nn.functional as F
def f(mask, target):
    n, h, w = target.shape
    return F.binary_cross_entropy_with_logits(mask.flatten(1), target.flatten(1))
""",
    )
    invalid = (
        (
            "def f(logits):\n    b, c, h, w = logits.shape\n    return logits.view(-1, c)  # <-\n",
            "def f(logits):\n    b, c, h, w = logits.shape\n    return logits.permute(0, 2, 3, 1).reshape(-1, c)  # <-\n",
        ),
        (
            "def f(x):\n    b, d, t = x.size()\n    rows = x.contiguous().view(-1, d)  # <-\n    return rows\n",
            "def f(x):\n    b, d, t = x.size()\n    rows = x.contiguous().transpose(1, 2).reshape(-1, d)  # <-\n    return rows\n",
        ),
        (
            """from torch import nn
class Net(nn.Module):
    def __init__(self, d, num_classes):
        self.num_classes = num_classes
        self.head = nn.Conv2d(d, num_classes, 1)
        self.loss = nn.CrossEntropyLoss()
    def forward(self, x, labels):
        logits = self.head(x)
        return self.loss(logits.view(-1, self.num_classes), labels.view(-1))  # <-
""",
            """from torch import nn
class Net(nn.Module):
    def __init__(self, d, num_classes):
        self.num_classes = num_classes
        self.head = nn.Conv2d(d, num_classes, 1)
        self.loss = nn.CrossEntropyLoss()
    def forward(self, x, labels):
        logits = self.head(x)
        return self.loss(logits.permute(0, 2, 3, 1).reshape(-1, self.num_classes), labels.view(-1))  # <-
""",
        ),
        (
            """from torch import nn
class Tagger(nn.Module):
    def __init__(self, d):
        self.conv = nn.Conv1d(d, 9, kernel_size=3, padding=1)
    def forward(self, x):
        return self.conv(x).reshape(-1, 9).softmax(-1)  # <-
""",
            """from torch import nn
class Tagger(nn.Module):
    def __init__(self, d):
        self.conv = nn.Conv1d(d, 9, kernel_size=3, padding=1)
    def forward(self, x):
        return self.conv(x).transpose(1, 2).reshape(-1, 9).softmax(-1)  # <-
""",
        ),
        """import torch.nn.functional as F
def f(logits, labels):
    b, t = labels.shape
    logits = logits.view(b, t, -1).transpose(0, 1)
    return F.cross_entropy(logits.reshape(b * t, -1), labels.reshape(-1))  # <-
""",
        """import torch.nn.functional as F
def f(logits, labels):
    seq_len, batch_size, vocab = logits.shape
    bsz, length = labels.shape
    return F.cross_entropy(logits.reshape(-1, vocab), labels.reshape(-1))  # <-
""",
        """import torch.nn.functional as F
def f(pred, target):
    b, t = target.shape
    pred = pred.view(b, t).transpose(0, 1)
    return F.mse_loss(pred.reshape(-1), target.reshape(-1))  # <-
""",
        """from torch import nn
def f(logits, labels):
    criterion = nn.CrossEntropyLoss(ignore_index=-100)
    t, b, v = logits.size()
    b2, t2 = labels.size()
    labels = labels[:, :t]
    loss = criterion(logits.view(t * b, v), labels.reshape(-1))  # <-
    return loss
""",
        (
            """import torch.nn.functional as F
def f(logits, labels, v):
    b, t = labels.shape
    return F.cross_entropy(logits.view(-1, v), labels)  # <-
""",
            """import torch.nn.functional as F
def f(logits, labels, v):
    b, t = labels.shape
    return F.cross_entropy(logits.view(-1, v), labels.reshape(-1))  # <-
""",
        ),
        (
            """from torch import nn
class Head(nn.Module):
    def __init__(self):
        self.loss = nn.NLLLoss()
    def forward(self, scores, labels):
        batch, length = labels.size()
        return self.loss(scores.reshape(-1, scores.size(-1)), labels)  # <-
""",
            """from torch import nn
class Head(nn.Module):
    def __init__(self):
        self.loss = nn.NLLLoss()
    def forward(self, scores, labels):
        batch, length = labels.size()
        return self.loss(scores.reshape(-1, scores.size(-1)), labels.reshape(-1))  # <-
""",
        ),
        (
            """import torch.nn.functional as F
def f(pred, target):
    b, t = pred.shape
    return F.l1_loss(pred, target.flatten())  # <-
""",
            """import torch.nn.functional as F
def f(pred, target):
    b, t = pred.shape
    return F.l1_loss(pred.reshape(-1), target.flatten())  # <-
""",
        ),
        (
            """import torch.nn.functional as F
def f(pred, target):
    b, t = target.shape
    return F.mse_loss(pred.view(-1), target)  # <-
""",
            """import torch.nn.functional as F
def f(pred, target):
    b, t = target.shape
    return F.mse_loss(pred.view(-1), target.reshape(-1))  # <-
""",
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Views that mix rows, and losses whose sides don't go together."""
        axes = Axes(file)
        for call in file.calls("view", "reshape"):
            change = reshape_of(axes, call)
            if change is not None and change.is_of_rows:
                if exchanged(change.taken_apart, change.after):
                    yield _mixed(file, change)
            else:
                yield from _channels(file, axes, call)
        for loss in losses(file, *OF_CLASSES, *OF_ELEMENTS):
            yield from _of_loss(file, axes, loss)


def _mixed(file: Reading, change: Reshape) -> Found:
    before, size = shown(change.before), file.text(change.asked[1])
    message = f"`{last_name(change.call.func)}(-1, {size})` cuts its rows across axes: `{size}` is not the last axis of {before}"
    order = move_before(change.before, change.after)
    repair = None
    if order is not None and not set(size) & set("{}#"):
        text = f"{as_method(order)}.reshape(-1, {size})"
        repair = Repair(
            f"Move it to the end first: `{text}`", (Replacement(change.call, "{}" + text, (change.given,)),)
        )
    return Found(change.call, message, (f"{file.text(change.given)}: {before}",), repair=repair)


def _channels(file: Reading, axes: Axes, call: ast.Call) -> Iterator[Found]:
    """Rows of as many as there are channels, of what a convolution gives."""
    given, asked = axes.viewed(call), axes.target(call)
    if given is None or asked is None or len(asked) != 2 or number(asked[0]) != -1:  # noqa: PLR2004 - rows and columns
        return
    made_by = file.origin(given)
    made = file.layer(made_by.func) if isinstance(made_by, ast.Call) else None
    rank = 0 if made is None else CONVOLUTIONS.get(last_name(made.func), 0)
    channels = None if made is None else argument(made, 1, "out_channels")
    if made is None or not rank or channels is None or not _is_same(file, channels, asked[1]):
        return
    kernel, padding = argument(made, 2, "kernel_size"), argument(made, 4, "padding")
    spreads = number(padding) != 0 if not isinstance(padding, ast.Constant) else padding.value in {1, 2, 3, 4, "same"}
    padded = padding is not None and spreads and number(kernel) != 1
    if not padded and number(kernel) != 1:
        return  # one window for each value, as of patches: there is one place to each row
    order = (0, *range(2, rank), 1)
    size = file.text(asked[1])
    text = f"{as_method(order)}.reshape(-1, {size})"
    message = f"`{last_name(call.func)}(-1, {size})` cuts its rows across axes: `{file.text(given)}` has its channels in axis 1"
    yield Found(
        call,
        message,
        repair=Repair(f"Move them to the end first: `{text}`", (Replacement(call, "{}" + text, (given,)),)),
    )


def _is_same(file: Reading, made: ast.expr, asked: ast.expr) -> bool:
    """Whether a number given to a layer is the one in a view: `num_classes`, and `self.num_classes` elsewhere."""
    if number(made) is not None:
        return number(made) == number(asked) != 1
    if not isinstance(made, ast.Name | ast.Attribute) or not isinstance(asked, ast.Name | ast.Attribute):
        return False
    return file.text(made).removeprefix("self.") == file.text(asked).removeprefix("self.")


def _of_loss(file: Reading, axes: Axes, loss: Loss) -> Iterator[Found]:
    if loss.target is None:
        return
    given, target = axes.shape(loss.given), axes.shape(loss.target)
    if given is None or target is None or not given.axes or not target.axes:
        return
    texts = file.text(loss.given), file.text(loss.target)
    notes = (f"{texts[0]}: {shown(given.sizes or ())}", f"{texts[1]}: {shown(target.sizes or ())}")
    if _are_crossed(axes, given.axes[0], target.axes[0]):
        message = f"the rows of `{texts[0]}` and `{texts[1]}` are flattened in different orders"
        orders = [shown(axis.factors or ()) for axis in (given.axes[0], target.axes[0])]
        notes = (f"{texts[0]}: rows in the order of {orders[0]}", f"{texts[1]}: rows in the order of {orders[1]}")
        yield Found(loss.call, message, notes, "flatten both from the same order of axes")
        return
    flat = _flattened(file, axes, loss.given), _flattened(file, axes, loss.target)
    wanted = "rows" if loss.name in OF_CLASSES else "all"
    if flat == (wanted, None) and len(target.axes) > 1 and _are_unlike(given, target):
        yield _one_sided(file, loss, notes, loss.target, "{}.reshape(-1)")
    elif flat == (None, "all") and wanted == "all" and len(given.axes) > 1 and _are_unlike(target, given):
        yield _one_sided(file, loss, notes, loss.given, "{}.reshape(-1)")


def _one_sided(file: Reading, loss: Loss, notes: tuple[str, ...], left: ast.expr, text: str) -> Found:
    other = loss.target if left is loss.given else loss.given
    message = f"`{file.text(left)}` is not flattened, and `{file.text(other or left)}` is"
    repair = Repair("Flatten it too", (Replacement(left, text, (left,)),))
    return Found(loss.call, message, notes, repair=repair, severity="error")


def _flattened(file: Reading, axes: Axes, node: ast.expr) -> str | None:
    """`all` for `x.view(-1)`, `rows` for `x.view(-1, d)`."""
    call = file.origin(node)
    if not isinstance(call, ast.Call):
        return None
    name = last_name(call.func)
    if name in {"view", "reshape"}:
        asked = [] if (found := axes.target(call)) is None else found
        kinds = {1: "all", 2: "rows"}
        return kinds.get(len(asked)) if asked and number(asked[0]) == -1 else None
    return "all" if name in {"flatten", "ravel"} and not call.keywords and len(call.args) < 1 else None


def _are_unlike(flat: Shape, whole: Shape) -> bool:
    """Whether no broadcasting, and no reading as probabilities of classes, lets one go with the other."""
    last, other = (flat.axes or ())[-1].size, (whole.axes or ())[-1].size
    sizes = whole.sizes or ()
    if None in sizes or 1 in sizes:
        return False
    return len(flat.axes or ()) == 1 or (last is not None and other is not None and last != other)


def _are_crossed(axes: Axes, one: Axis, other: Axis) -> bool:
    """Whether two axes were flattened from the same ones in different orders: by their names, or by what they are for."""
    if not one.factors or not other.factors or len(one.factors) != len(other.factors) or len(one.factors) < 2:  # noqa: PLR2004
        return False
    if set(one.factors) == set(other.factors):
        return same_order(one, other) is False
    roles = [[axes.role(Axis.of(each)) for each in axis.factors or ()] for axis in (one, other)]
    return (
        None not in (*roles[0], *roles[1])
        and roles[0] != roles[1]
        and sorted(map(str, roles[0])) == sorted(map(str, roles[1]))
    )
