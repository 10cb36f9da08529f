"""A softmax that doesn't say over which axis.

## Example

    import torch.nn.functional as F


    def attend(queries, keys, values):
        scores = queries @ keys.transpose(-2, -1)
        weights = F.softmax(scores)
        return weights @ values

The check says:

    example.py:6:15 SG401 implicit-softmax-dim: `F.softmax` doesn't say over which axis, and torch picks one by the number of axes
        fix: Name the last axis: `dim=-1` (unsafe)

Use instead:

    def attend(queries, keys, values):
        scores = queries @ keys.transpose(-2, -1)
        weights = F.softmax(scores, dim=-1)
        return weights @ values

## Why is this bad?

Without a `dim`, torch picks one by the number of axes: the first if there are 0, 1 or 3, else the second. So scores of
shape `(batch, queries, keys)` are normalised over the batch: each row's weights then depend on the other rows, and
nothing fails. torch warns of it once, in a line that scrolls away.

## What it does

Marks `softmax`, `log_softmax` and `softmin` without a `dim`, as functions of `torch.nn.functional` and as layers, under
whatever name they are imported; and `torch.softmax` and `torch.log_softmax` without one, which torch refuses.

## Fix safety

The fix names the last axis, which is what is nearly always meant. Where torch had picked another one, the result
changes: the fix is unsafe. Where the number of axes is known and torch picked the last one, it is safe.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.reading import Reading, argument, is_hiding
from shapeguard.lint.rule import Argument, Found, Repair, Rule

_FUNCTIONS = {"softmax": 1, "log_softmax": 1, "softmin": 1}
_LAYERS = {"Softmax": 0, "LogSoftmax": 0, "Softmin": 0}
_FIRST_AXIS = frozenset({0, 1, 3})


class ImplicitSoftmaxDim(Rule):
    """Over which axis a softmax goes is left to torch."""

    code = "SG401"
    name = "implicit-softmax-dim"
    fixable = True
    words = ("oftmax", "oftmin")
    valid = (
        "import torch.nn.functional as F\np = F.softmax(x, dim=1)\n",
        "import torch.nn.functional as F\np = F.softmax(x, 1)\n",
        "from torch import nn\nlayer = nn.Softmax(dim=-1)\n",
        "from torch import nn\nlayer = nn.LogSoftmax(1)\n",
        "import torch\np = torch.softmax(x, *where)\n",
        "import torch\np = torch.softmax(input=x, dim=0)\n",
        "import torch\np = torch.softmax(x, axis=1)\n",
        "import torch.nn.functional as F\np = F.softmax(x, **options)\n",
        "import torch.nn.functional as F\np = F.gumbel_softmax(x, tau=0.5)\n",
        "import torch.nn as nn\nlayer = nn.Softmax2d()\n",
        "from scipy.special import softmax\np = softmax(x)\n",
        "import jax, torch\np = jax.nn.softmax(x)\n",
        "import torch\ndef softmax(x):\n    return x.softmax(-1)\np = softmax(x)\n",
        "from torch import nn\nlog_softmax = nn.LogSoftmax(dim=-1)\nloss = -(log_softmax(logits) * labels).sum(-1)\n",
        "import torch\nclass Head:\n    def forward(self, x):\n        return self.softmax(x)\n",
        "from torch import nn\nclass Tiny(nn.Module):\n    def __init__(self):\n        self.softmax = nn.Softmax()\n",
    )
    invalid = (
        (
            "import torch.nn.functional as F\np = F.softmax(x)  # <-\n",
            "import torch.nn.functional as F\np = F.softmax(x, dim=-1)  # <-\n",
        ),
        (
            "from torch import nn\nhead = nn.Sequential(nn.Linear(3, 2), nn.LogSoftmax())  # <-\n",
            "from torch import nn\nhead = nn.Sequential(nn.Linear(3, 2), nn.LogSoftmax(dim=-1))  # <-\n",
        ),
        (
            "import torch.nn.functional as F\np = F.softmax(x, dim=None)  # <-\n",
            "import torch.nn.functional as F\np = F.softmax(x, dim=-1)  # <-\n",
        ),
        (
            "import torch\nscores = torch.nn.functional.softmax(logits)[:, :, :-1]  # <-\n",
            "import torch\nscores = torch.nn.functional.softmax(logits, dim=-1)[:, :, :-1]  # <-\n",
        ),
        (
            "from torch.nn.functional import log_softmax as logp\nloss = -logp(self.head(x)).mean()  # <-\n",
            "from torch.nn.functional import log_softmax as logp\nloss = -logp(self.head(x), dim=-1).mean()  # <-\n",
        ),
        (
            "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        self.act = nn.Softmax()  # <-\n        y = self.act(x)\n",
            "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        self.act = nn.Softmax(dim=-1)  # <-\n        y = self.act(x)\n",
        ),
        (
            "import torch.nn as tnn\nclass Net(tnn.Module):\n    act = tnn.Softmax()  # <-\n",
            "import torch.nn as tnn\nclass Net(tnn.Module):\n    act = tnn.Softmax(dim=-1)  # <-\n",
        ),
        (
            "from torch.nn import Softmax\np = Softmax()(x)  # <-\n",
            "from torch.nn import Softmax\np = Softmax(dim=-1)(x)  # <-\n",
        ),
        (
            "from torch.nn import functional\np = functional.softmin(distances, dtype=None)  # <-\n",
            "from torch.nn import functional\np = functional.softmin(distances, dtype=None, dim=-1)  # <-\n",
        ),
        (
            "import torch\np = torch.softmax(x)  # <-\n",
            "import torch\np = torch.softmax(x, dim=-1)  # <-\n",
        ),
        (
            "import torch.nn.functional as F\np = F.softmax(  # <-\n    x,\n)\n",
            "import torch.nn.functional as F\np = F.softmax(  # <-\n    x,\n    dim=-1,\n)\n",
        ),
        (
            "import torch.nn.functional as F\np = F.softmax(input=x)  # <-\n",
            "import torch.nn.functional as F\np = F.softmax(input=x, dim=-1)  # <-\n",
        ),
        (
            "import torch.nn.functional as F\np = F.softmax(x + 1)  # <-\n",
            "import torch.nn.functional as F\np = F.softmax(x + 1, dim=-1)  # <-\n",
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Calls of torch's softmaxes without a `dim`."""
        for names in (_FUNCTIONS, _LAYERS):
            for call, name in file.torch_calls(*names):
                is_given = is_hiding(call) or _is_given(argument(call, names[name], "dim", "axis"))
                if not is_given and not _is_idle(file, call):
                    yield self._found(file, call, name)

    def _found(self, file: Reading, call: ast.Call, name: str) -> Found:
        written = file.text(call.func)
        if file.full_name(call.func) == f"torch.{name}":
            repair = Repair("Name the last axis: `dim=-1`", (Argument(call, "-1", "dim"),))
            return Found(call, f"`{written}` doesn't say over which axis, and torch refuses that", repair=repair)
        given = argument(call, 0, "input") if name in _FUNCTIONS else None
        shape = None if given is None else file.shape_of(given)
        rank = None if shape is None else shape.rank
        picked = None if rank is None else 0 if rank in _FIRST_AXIS else 1
        which = "one by the number of axes" if picked is None else f"the {('first', 'second')[picked]} of its {rank}"
        notes = () if rank is None or given is None else (f"{file.text(given)}: {shape}",)
        safe = rank is not None and picked == rank - 1
        repair = Repair("Name the last axis: `dim=-1`", (Argument(call, "-1", "dim"),), "safe" if safe else "unsafe")
        return Found(call, f"`{written}` doesn't say over which axis, and torch picks {which}", notes, repair=repair)


def _is_idle(file: Reading, call: ast.Call) -> bool:
    """Whether a layer is kept as `self.softmax` and never read."""
    match file.parent(call):
        case ast.Assign(targets=[ast.Attribute(attr=name)]):
            reads = (each for each in file.all(ast.Attribute) if isinstance(each.ctx, ast.Load))
            return not any(each.attr == name for each in reads)
    return False


def _is_given(dim: ast.expr | None) -> bool:
    return dim is not None and not (isinstance(dim, ast.Constant) and dim.value is None)
