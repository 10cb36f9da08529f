"""Lengths given to `pack_padded_sequence` from a GPU.

## Example

    import torch
    from torch.nn.utils.rnn import pack_padded_sequence


    def pack(x, sizes, device):
        lengths = torch.tensor(sizes).to(device)
        return pack_padded_sequence(x.to(device), lengths, batch_first=True)

The check says:

    example.py:7:47 SG407 [*] lengths-on-gpu: `pack_padded_sequence` takes lengths on the CPU, and `lengths` is moved to a device
        by `torch.tensor(sizes).to(device)`, line 6
        fix: Bring the lengths back: `.cpu()`

Use instead:

    def pack(x, sizes, device):
        lengths = torch.tensor(sizes).to(device)
        return pack_padded_sequence(x.to(device), lengths.cpu(), batch_first=True)

## Why is this bad?

torch packs by numbers it has to know before the GPU has run: "'lengths' argument should be a 1D CPU int64 tensor, but
got 1D cuda:0 Long tensor". Code that was written on a computer without a GPU stops at its first batch on one.

## What it does

Marks lengths in a call of `pack_padded_sequence` that were moved to a device, by `.cuda()`, `.to(device)` or `device=`,
and not brought back by `.cpu()` (a warning where the device may be the CPU): in the call itself, and through names that
are assigned once, a sort or an index.

## Fix safety

The fix adds `.cpu()`, which changes nothing where the lengths are there already: it is safe, and `--fix` makes it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.reading import Reading, argument, last_name
from shapeguard.lint.rule import Found, Repair, Replacement, Rule

_SAME_PLACE = frozenset(
    "long int sort view reshape squeeze flatten clone detach contiguous index_select clamp type sum".split()  # noqa: SIM905 - a list of so many words reads better so
)
_MADE = frozenset({"tensor", "as_tensor", "full", "ones", "zeros", "full_like", "empty"})
_LONGEST = 12

_ENCODER = """import torch
from torch.nn.utils.rnn import pack_padded_sequence
class Encoder(torch.nn.Module):
    def forward(self, x, sizes):
"""


class LengthsOnGpu(Rule):
    """What has to be on the CPU, moved to a device."""

    code = "SG407"
    name = "lengths-on-gpu"
    severity = "error"
    other_severity = "warning"
    fixable = True
    words = ("pack_padded_sequence",)
    valid = (
        _ENCODER + "        return pack_padded_sequence(x, sizes, batch_first=True)\n",
        _ENCODER + "        return pack_padded_sequence(x.cuda(), sizes.cpu())\n",
        _ENCODER + "        return pack_padded_sequence(x, sizes.to('cpu'))\n",
        _ENCODER + "        return pack_padded_sequence(x, sizes.cuda().tolist())\n",
        _ENCODER + "        return pack_padded_sequence(x, lengths=torch.tensor(sizes))\n",
        _ENCODER + "        sizes = sizes.to(x.device)\n        return pack_padded_sequence(x, sizes.cpu().long())\n",
        _ENCODER + "        sizes = sizes.to(torch.int64)\n        return pack_padded_sequence(x, sizes)\n",
        _ENCODER + "        sizes = sizes.to(torch.device('cpu'))\n        return pack_padded_sequence(x, sizes)\n",
        _ENCODER + "        sizes = sizes.to('cuda')\n        return pack_padded_sequence(x, sizes.to('cpu'))\n",
        _ENCODER + "        sizes = sizes.cuda()\n        return pack_padded_sequence(x, sizes.to(kept))\n",
        _ENCODER
        + "        lengths = torch.tensor(sizes, device='cpu')\n        return pack_padded_sequence(x, lengths)\n",
        _ENCODER + "        device = torch.device('cpu')\n        return pack_padded_sequence(x, sizes.to(device))\n",
        _ENCODER + "        mask = sizes.cuda()\n        return pack_padded_sequence(x * mask, sizes)\n",
        _ENCODER
        + "        if self.gpu:\n            sizes = sizes.cuda()\n        else:\n            sizes = sizes.cpu()\n"
        + "        return pack_padded_sequence(x, sizes)\n",
        """from torch.nn.utils.rnn import PackedSequence
def pack_padded_sequence(x, n):
    return n
pack_padded_sequence(x, n.cuda())
""",
    )
    invalid = (
        (
            _ENCODER + "        return pack_padded_sequence(x, sizes.cuda())  # <-\n",
            _ENCODER + "        return pack_padded_sequence(x, sizes.cuda().cpu())  # <-\n",
        ),
        (
            _ENCODER
            + "        lengths = torch.tensor(sizes).to(self.device)\n"
            + "        return pack_padded_sequence(x, lengths, batch_first=True)  # <-\n",
            _ENCODER
            + "        lengths = torch.tensor(sizes).to(self.device)\n"
            + "        return pack_padded_sequence(x, lengths.cpu(), batch_first=True)  # <-\n",
        ),
        (
            _ENCODER
            + "        lengths = torch.tensor(sizes, device=x.device)\n"
            + "        return torch.nn.utils.rnn.pack_padded_sequence(x, lengths=lengths)  # <-\n",
            _ENCODER
            + "        lengths = torch.tensor(sizes, device=x.device)\n"
            + "        return torch.nn.utils.rnn.pack_padded_sequence(x, lengths=lengths.cpu())  # <-\n",
        ),
        _ENCODER
        + "        lengths, order = sizes.to(x.device).sort(0, descending=True)\n"
        + "        return pack_padded_sequence(x[order], lengths, batch_first=True)  # <-\n",
        _ENCODER
        + "        sizes = sizes.cuda().to(torch.int64).to(dtype=torch.long)\n"
        + "        return pack_padded_sequence(x, sizes)  # <-\n",
        _ENCODER
        + "        sizes = sizes.to(x.device)\n"
        + "        order = sizes.argsort(descending=True)\n"
        + "        return pack_padded_sequence(x[order], sizes[order])  # <-\n",
        _ENCODER
        + "        lengths = torch.as_tensor(sizes, dtype=torch.int64, device='cuda')\n"
        + "        return pack_padded_sequence(x, lengths)  # <-\n",
        _ENCODER
        + "        lengths = torch.LongTensor(sizes).cuda(non_blocking=True)\n"
        + "        return pack_padded_sequence(x, lengths.long(), enforce_sorted=False)  # <-\n",
        """import torch.nn as nn
def run(x, n, device):
    n = n.to(device)
    return nn.utils.rnn.pack_padded_sequence(x, n.view(-1))  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Lengths that were moved to a device."""
        for call, _ in file.torch_calls("pack_padded_sequence"):
            lengths = argument(call, 1, "lengths")
            moved = None if lengths is None else _moved(file, lengths)
            if lengths is None or moved is None:
                continue
            where = file.text(moved)
            yield Found(
                lengths,
                f"`{last_name(call.func)}` takes lengths on the CPU, and `{file.text(lengths)}` is moved to a device",
                (f"by `{where}`, line {file.source.span_of(moved).line}",) if moved is not lengths else (),
                severity="error" if "cuda" in where else "warning",
                repair=Repair(
                    "Bring the lengths back: `.cpu()`", (Replacement(lengths, "{}.cpu()", (lengths,)),), "safe"
                ),
            )


def _moved(file: Reading, node: ast.expr) -> ast.Call | None:
    """The call that last moved a tensor to a device."""
    for _ in range(_LONGEST):
        match node:
            case ast.Name():
                binding = file.definition(node)
                if binding is None or binding.value is None or (binding.index is not None and binding.index != 0):
                    return None
                if binding.index == 0 and not (
                    isinstance(binding.value, ast.Call) and last_name(binding.value.func) == "sort"
                ):
                    return None
                node = binding.value
            case ast.Subscript(value=value):
                node = value
            case ast.Call(func=ast.Attribute(value=value, attr="cuda")) if file.full_name(value) is None:
                return node
            case ast.Call(func=ast.Attribute(value=value, attr="to")):
                given = argument(node, 0, "device")
                if given is not None and not _is_dtype(file, given):
                    return node if _is_device(file, given) else None
                node = value
            case ast.Call() if (file.full_name(node.func) or "").startswith("torch.") and last_name(node.func) in _MADE:
                given = next((each.value for each in node.keywords if each.arg == "device"), None)
                return node if _is_device(file, given) else None
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _SAME_PLACE:
                if file.full_name(node.func) is not None:
                    return None
                node = value
            case _:
                return None
    return None


def _is_dtype(file: Reading, node: ast.expr) -> bool:
    """Whether an expression stands for a type of numbers, by its name: `torch.int64`, `x.dtype`."""
    made = file.origin(node)
    return last_name(made) == "dtype" or (file.full_name(made) or "").startswith("torch.")


def _is_device(file: Reading, node: ast.expr | None) -> bool:
    """Whether an expression stands for a device that may be a GPU: `"cuda"`, `device`, `x.device`."""
    made = None if node is None else file.origin(node)
    match made:
        case ast.Constant(value=str(name)):
            return name.startswith("cuda")
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == "device"
    return made is not None and "cuda" in file.text(made)
