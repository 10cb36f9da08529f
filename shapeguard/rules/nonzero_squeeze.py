"""The positions that `nonzero` gives, squeezed without an axis.

## Example

    import torch


    def print_spikes(scores, threshold):
        positions = (scores > threshold).nonzero().squeeze()
        for position in positions:
            print(position.item())

The check says:

    example.py:5:17 SG102 nonzero-squeeze: where one position is found, `(scores > threshold).nonzero().squeeze()` is a scalar and is then iterated over
        `(scores > threshold).nonzero()` has one row for each position; only its last axis is to go
        fix: Name the axis: `.squeeze(-1)` (unsafe)

Use instead:

    def print_spikes(scores, threshold):
        positions = (scores > threshold).nonzero().squeeze(-1)
        for position in positions:
            print(position.item())

## Why is this bad?

`nonzero` gives one row for each position: `(n, 1)` for a tensor of one axis. `.squeeze()` makes `(n,)` of that, until
one day exactly one position is found: then `(1, 1)` becomes a scalar. A loop over it raises "iteration over a 0-d
tensor", `len` raises, and `x[positions]` has an axis less.

## What it does

Marks `.squeeze()` without an axis on what `nonzero` and `argwhere` give, where the result is measured, iterated,
indexed, joined, returned or used as an index.

Left alone is what does the same with a scalar: `.item()`, a `view`, a test of the rank, `x[positions] = 0`,
`x[positions] = y[positions]`; and the borders of runs that `diff` finds, of which there is never one alone.

In preview: positions that are only handed on, and those in a whole data set, by names such as `train_mask`.

## Fix safety

The fix names the last axis. The result changes only where one position is found, and a program that counts on the
scalar then has a tensor of one element: the fix is unsafe.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.consuming import BREAKING, HARMLESS, Use, uses_of
from shapeguard.lint.harmless_squeezes import is_elsewhere, is_guarded
from shapeguard.lint.reading import Reading, last_name
from shapeguard.lint.rule import Found, Rule
from shapeguard.lint.squeezing import Meant, Squeeze, bare_squeezes, is_of_indices, repair, source

_MEANT = Meant((-1,), "")
_DOES = {
    "measured": "measured",
    "iterated": "iterated over",
    "indexed": "indexed",
    "joined": "joined to others",
    "axis": "worked on along another axis",
    "changed": "changed in place",
    "returned": "returned",
    "selects": "used as an index",
}


_AS_THEY_ARE = frozenset({"clone", "detach", "cpu", "float", "long", "contiguous"})
_SPLIT = re.compile(r"(^|_)(train|test|val|valid|splits?)(_|$)", re.IGNORECASE)


class NonzeroSqueeze(Rule):
    """Positions of which there may be one lose the axis that counts them."""

    code = "SG102"
    name = "nonzero-squeeze"
    severity = "warning"
    other_severity = "error"
    fixable = True
    words = ("nonzero & squeeze", "argwhere & squeeze")
    valid = (
        "import torch\nindices = mask.nonzero().squeeze(-1)\nfor i in indices:\n    print(i)\n",
        "import torch\nindices = mask.nonzero().view(-1)\nn = len(indices)\n",
        "import torch\nrows = mask.nonzero(as_tuple=True)[0].squeeze()\n",
        "import torch\n(rows,) = torch.nonzero(mask, as_tuple=True)\nn = len(rows)\n",
        "import torch\nwhere = int((ids == eos).nonzero().squeeze())\n",
        "import torch\nwhere = (ids == eos).nonzero().squeeze().item()\n",
        "import torch\nindices = mask.nonzero().squeeze().view(-1)\nn = len(indices)\n",
        "import torch\nindices = mask.nonzero().squeeze().reshape(-1)\nfor i in indices:\n    print(i)\n",
        (
            "import torch\nindices = mask.nonzero().squeeze()\nif indices.dim() == 0:\n    indices = indices[None]\n"
            "n = len(indices)\n"
        ),
        ("import torch\nends = (ids == eos).nonzero().squeeze()\nn = len(ends) if len(ends.shape) > 0 else 1\n"),
        "import numpy as np, torch\nindices = np.argwhere(a > 0).squeeze()\nn = len(indices)\n",
        "import torch\nindices = torch.from_numpy(a).numpy().nonzero().squeeze()\nn = len(indices)\n",
        "import torch\nindices = torch.atleast_1d(mask.nonzero().squeeze())\nn = len(indices)\n",
        (
            "import torch\nsteps = torch.diff(ids, prepend=edge, append=edge)\n"
            "starts = torch.nonzero(steps != 0).squeeze().tolist()\npairs = zip(starts[:-1], starts[1:])\n"
        ),
        "import torch\nbad = (valid == 0).nonzero().squeeze()\nactions[bad] = 0\nlogps[bad] = -1\n",
        (
            "import torch\nbetter = (loss > best).nonzero().squeeze()\nx_best[better] = x[better].clone()\n"
            "best[better] = loss[better] + 0\n"
        ),
        (
            "import torch\nseen = visible.nonzero().squeeze()\nqueries = indices[seen]\n"
            "target[seen, queries] = torch.tensor([1.0, 0.0])\n"
        ),
        (
            "import torch\nfooled = (right == 0).nonzero().squeeze()\nright_at_all[kept[fooled]] = 0\n"
            "x_best[(loss > best).nonzero().squeeze()] = x[(loss > best).nonzero().squeeze()] + 0.0\n"
        ),
    )
    invalid = (
        (
            "import torch\nfor i in torch.nonzero(probs > least).squeeze():  # <-\n    print(names[i])\n",
            "import torch\nfor i in torch.nonzero(probs > least).squeeze(-1):  # <-\n    print(names[i])\n",
        ),
        (
            "import torch\nindices = A[i, :].nonzero(as_tuple=False).squeeze()  # <-\ncoefficients = -A[i, indices]\n",
            (
                "import torch\nindices = A[i, :].nonzero(as_tuple=False).squeeze(-1)  # <-\n"
                "coefficients = -A[i, indices]\n"
            ),
        ),
        (
            "import torch\nnames = [index[i] for i in torch.squeeze(torch.nonzero(mask))]  # <-\n",
            "import torch\nnames = [index[i] for i in torch.squeeze(torch.nonzero(mask), -1)]  # <-\n",
        ),
        (
            "import torch\nsame = (labels == labels[i]).nonzero().squeeze()  # <-\nothers = same[same != i]\n",
            "import torch\nsame = (labels == labels[i]).nonzero().squeeze(-1)  # <-\nothers = same[same != i]\n",
        ),
        (
            (
                "import torch\ncolumns = embedding.nonzero().squeeze().cpu().tolist()  # <-\n"
                "pairs = dict(zip(columns, weights))\n"
            ),
            (
                "import torch\ncolumns = embedding.nonzero().squeeze(-1).cpu().tolist()  # <-\n"
                "pairs = dict(zip(columns, weights))\n"
            ),
        ),
        (
            "import torch\ncount = (confident != 0).nonzero().squeeze().shape[0]  # <-\n",
            "import torch\ncount = (confident != 0).nonzero().squeeze(-1).shape[0]  # <-\n",
        ),
        (
            "import torch\nkept = torch.argwhere(scores > 0).squeeze()  # <-\nn = kept.size(0)\n",
            "import torch\nkept = torch.argwhere(scores > 0).squeeze(-1)  # <-\nn = kept.size(0)\n",
        ),
        (
            "import torch\ndef ends(ids, eos):\n    return (ids == eos).nonzero().squeeze()  # <-\n",
            "import torch\ndef ends(ids, eos):\n    return (ids == eos).nonzero().squeeze(-1)  # <-\n",
        ),
        (
            "import torch\nkept = mask.nonzero().squeeze()  # <-\nboxes = boxes[kept]\n",
            "import torch\nkept = mask.nonzero().squeeze(-1)  # <-\nboxes = boxes[kept]\n",
        ),
        (
            "import torch\nkept = mask.nonzero().squeeze()  # <-\nsums[kept] = x[kept].sum(1)\n",
            "import torch\nkept = mask.nonzero().squeeze(-1)  # <-\nsums[kept] = x[kept].sum(1)\n",
        ),
        (
            "import torch\nhits = torch.nonzero(mask)\nfound = hits.squeeze()  # <-\nprint(len(found))\n",
            "import torch\nhits = torch.nonzero(mask)\nfound = hits.squeeze(-1)  # <-\nprint(len(found))\n",
        ),
        (
            "import torch\nall_ = torch.cat([mask.nonzero().squeeze(), extra])  # <-\n",
            "import torch\nall_ = torch.cat([mask.nonzero().squeeze(-1), extra])  # <-\n",
        ),
        (
            "import torch\nout = reorder(encoded, alive.nonzero(as_tuple=False).squeeze())  # <-\n",
            "import torch\nout = reorder(encoded, alive.nonzero(as_tuple=False).squeeze(-1))  # <-\n",
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Squeezes of positions, but for those that are taken for a number."""
        for squeeze in bare_squeezes(file):
            if not is_of_indices(file, squeeze) or is_elsewhere(file, squeeze) or is_guarded(file, squeeze):
                continue
            uses = list(uses_of(file, squeeze.call))
            kinds = {each.kind for each in uses}
            telling = [each for each in uses if each.kind not in HARMLESS and not _only_places(file, each)]
            if "asked" in kinds or (uses and not telling) or _come_in_pairs(file, squeeze):
                continue
            yield self._found(file, squeeze, telling)

    def _found(self, file: Reading, squeeze: Squeeze, uses: list[Use]) -> Found:
        telling = [each for each in uses if each.kind in _DOES]
        use = min(telling, key=lambda each: list(_DOES).index(each.kind), default=None)
        then = "" if use is None else f" and is then {_DOES[use.kind]}"
        return Found(
            squeeze.call,
            f"where one position is found, `{file.text(squeeze.call)}` is a scalar{then}",
            (f"`{file.text(squeeze.value)}` has one row for each position; only its last axis is to go",),
            repair=repair(squeeze, _MEANT),
            severity="error" if use is not None and use.kind in BREAKING else "warning",
            preview=use is None or _is_of_split(file, squeeze),
        )


def _only_places(file: Reading, use: Use) -> bool:
    """Whether it is an index in an assignment to elements, of a number or of elements that are taken as they are.

    Or the index of what is then only such an index.
    """
    if use.kind != "selects" or not isinstance(use.node, ast.Subscript):
        return False
    inner: ast.AST = use.node
    for around in file.around(use.node):
        match around:
            case ast.Subscript() | ast.Attribute() | ast.BinOp(right=ast.Constant()) | ast.Tuple():
                inner = around
            case ast.Call(func=func, args=[]) if func is inner and last_name(func) in _AS_THEY_ARE:
                inner = around
            case ast.Assign(targets=[ast.Subscript()]) | ast.AugAssign(target=ast.Subscript()):
                return True
            case ast.Assign(targets=[ast.Name()], value=ast.Subscript() as picked) if picked is use.node:
                then = list(uses_of(file, picked))
                return bool(then) and all(_only_places(file, each) for each in then)
            case _:
                return False
    return False


def _is_of_split(file: Reading, squeeze: Squeeze) -> bool:
    """Whether they are positions in a whole data set, by its names: of which there is never one."""
    nodes = list(ast.walk(source(file, squeeze.value)))
    nodes += [inner for each in nodes if isinstance(each, ast.Name) for inner in ast.walk(file.origin(each))]
    names = [last_name(each) for each in nodes if isinstance(each, ast.Name | ast.Attribute)]
    return any(_SPLIT.search(each) for each in names)


def _come_in_pairs(file: Reading, squeeze: Squeeze) -> bool:
    """Whether they are the borders of runs: with something put at both ends there is never one alone."""
    call = source(file, squeeze.value)
    names = [each for each in ast.walk(call) if isinstance(each, ast.Name | ast.Call)]
    origins = [file.origin(each) if isinstance(each, ast.Name) else each for each in names]
    steps = [each for each in origins if isinstance(each, ast.Call) and last_name(each.func) == "diff"]
    return any({"prepend", "append"} <= {keyword.arg for keyword in each.keywords} for each in steps)
