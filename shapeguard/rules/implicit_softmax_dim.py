"""A softmax that doesn't say over which axis.

## What it does

Flags `softmax`, `log_softmax` and `softmin` without a `dim`, as functions of `torch.nn.functional` and as layers.

## Why is this bad?

Without a `dim`, torch picks one by the number of axes: the first of 0, 1 or 3, the second of any other number. So
scores of shape `(batch, heads, queries)` are normalised over the batch: each row's weights then depend on the other
rows, and nothing fails. torch warns of it once, in a line that scrolls away.

## Example

    attention = F.softmax(scores)

Use instead:

    attention = F.softmax(scores, dim=-1)

## Fix safety

The fix names the last axis, which is what is nearly always meant. Where torch had picked another one, the result
changes: the fix is unsafe. Where the number of axes is known and torch picked the last one, it is safe.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.reading import Reading, argument, last_name
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
        "import torch\np = torch.softmax(x, *where)\n",
        "import torch.nn.functional as F\np = F.softmax(x, **options)\n",
        "from scipy.special import softmax\np = softmax(x)\n",
        "import jax, torch\np = jax.nn.softmax(x)\n",
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
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Calls of torch's softmaxes without a `dim`."""
        for names in (_FUNCTIONS, _LAYERS):
            for call in file.calls(*names):
                name = last_name(call.func)
                if not file.is_torch(call, name) or any(each.arg is None for each in call.keywords):
                    continue
                if any(isinstance(each, ast.Starred) for each in call.args) or _is_given(
                    argument(call, names[name], "dim")
                ):
                    continue
                yield self._found(file, call, name)

    def _found(self, file: Reading, call: ast.Call, name: str) -> Found:
        given = argument(call, 0, "input") if name in _FUNCTIONS else None
        shape = None if given is None else file.shape_of(given)
        rank = None if shape is None else shape.rank
        message = f"`{name}` doesn't say over which axis, and torch picks one by the number of axes"
        notes = () if rank is None or given is None else (f"{file.text(given)}: {shape}",)
        picked = None if rank is None else 0 if rank in _FIRST_AXIS else 1
        safe = rank is not None and picked == rank - 1
        repair = Repair("Name the last axis: `dim=-1`", (Argument(call, "-1", "dim"),), "safe" if safe else "unsafe")
        return Found(call, message, notes, repair=repair)


def _is_given(dim: ast.expr | None) -> bool:
    return dim is not None and not (isinstance(dim, ast.Constant) and dim.value is None)
