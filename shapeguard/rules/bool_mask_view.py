"""Values that a mask picked from padded rows, viewed as rows again.

## Example

    from torch import Tensor


    def real_tokens(hidden: Tensor, attention_mask: Tensor, batch_size: int) -> Tensor:
        tokens = hidden[attention_mask.bool()]
        return tokens.view(batch_size, -1, hidden.size(-1))

The check says:

    example.py:6:12 SG204 bool-mask-view: `batch_size` rows can't be restored from `tokens`: `attention_mask` keeps as many values of a row as it has tokens
        hint: `pad_sequence([row[keep] for row, keep in zip(hidden, attention_mask.bool())], batch_first=True)` keeps the rows apart

Use instead:

    from torch import Tensor
    from torch.nn.utils.rnn import pad_sequence


    def real_tokens(hidden: Tensor, attention_mask: Tensor) -> Tensor:
        rows = [row[keep] for row, keep in zip(hidden, attention_mask.bool())]
        return pad_sequence(rows, batch_first=True)

## Why is this bad?

A mask over two axes joins them: `hidden[mask]` is `(n, d)`, where `n` counts the true values of the whole batch. The
rows were of different lengths, and the boundaries are lost. Viewed as `(batch, -1, d)`, it fails as soon as `n` is no
multiple of the batch; where it happens to be a multiple, tokens slip from each row into its neighbours. With a batch of one,
or without padding, all is well.

## What it does

Marks `hidden[mask].view(batch, ...)`, `.reshape(batch, ...)` and the same of `masked_select`, with masks that may be
true more often in one row than in another:

- those of padding by their names: `attention_mask`, `padding_mask`, `pad_mask`, `loss_mask`;
- those of padding by what makes them: `ids != pad_id`, `labels != -100`, `positions < lengths[:, None]`;
- comparisons of the picked values with a number: `points[points[..., 2] > ground]`.

The batch is known by its name (`batch_size`, `bsz`) or as `hidden.size(0)`. Left alone are masks that pick as many
values from each row, such as `~torch.eye(n).bool()`, and masks whose sums over rows are looked at in the same function.
In preview: masks made by any other comparison, such as `scores > 0.5`, and parameters `Bool[Tensor, "b n"]`.

## Fix safety

There is no fix: rows of different lengths need padding, or to stay flat. Padded as in the example, they need no
`batch_size`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.axes import Axes
from shapeguard.lint.axis_names import given_name, role_of
from shapeguard.lint.reading import Reading, last_name, number, receiver
from shapeguard.lint.rule import Found, Rule

_PADDING = ("attention_mask", "attn_mask", "padding_mask", "pad_mask", "loss_mask", "seq_mask", "token_mask")
"""Parts of names of masks whose rows have different numbers of true values."""
_PADS = ("pad", "ignore_index", "length", "lens")
"""Parts of names of what such masks are made of."""
_COMPARING: dict[str, type[ast.cmpop]] = {
    "ne": ast.NotEq,
    "eq": ast.Eq,
    "lt": ast.Lt,
    "le": ast.LtE,
    "gt": ast.Gt,
    "ge": ast.GtE,
}
_SAME_MASK = frozenset({"bool", "to", "type", "byte", "unsqueeze", "expand", "expand_as", "contiguous", "logical_not"})
_ORDERING = frozenset({ast.Lt, ast.LtE, ast.Gt, ast.GtE})
_IGNORED = -100


class BoolMaskView(Rule):
    """Rows that a mask made ragged, taken for even ones."""

    code = "SG204"
    name = "bool-mask-view"
    severity = "warning"
    words = (
        *("mask & .view(", "mask & .reshape(", "!= & .view(", "!= & .reshape(", ".ne( & .view("),
        *("].view(", "].reshape("),
    )
    valid = (
        "def f(hidden, mask, d):\n    return hidden[mask].view(-1, d)\n",
        "def f(hidden, attention_mask, d):\n    return hidden[attention_mask.bool()].view(-1, d)\n",
        # one packed row
        "def f(hidden, attention_mask, d):\n    return hidden[attention_mask.bool()].view(1, -1, d)\n",
        """def f(hidden, attention_mask, d):
    n = attention_mask.sum()
    return hidden[attention_mask > 0].view(n, d)
""",
        # as many in each row
        """import torch
def f(scores, batch_size):
    mask = ~torch.eye(batch_size, dtype=torch.bool)
    return scores[mask].view(batch_size, -1)
""",
        """def f(x, bool_masked_pos):
    b, _, c = x.shape
    return x[bool_masked_pos].reshape(b, -1, c)
""",
        "def f(y, mask_indices):\n    return y[mask_indices].view(y.size(0), -1, y.size(-1))\n",
        # each row has one end, which is checked
        """import torch
def f(x, ids, eos):
    eos_mask = ids.eq(eos)
    if len(torch.unique_consecutive(eos_mask.sum(1))) > 1:
        raise ValueError
    return x[eos_mask].view(x.size(0), -1, x.size(-1))
""",
        "def f(x, attention_mask):\n    return x[:, 1:].view(x.size(0), -1)\n",
        "def f(x, attention_mask, index):\n    return x[index].view(x.size(0), -1)\n",
        "def f(x, attention_mask):\n    return (x * attention_mask[..., None]).view(x.size(0), -1)\n",
        "def f(x, mask):\n    return x[mask].view(x.size(0), -1)\n",
        # the mask picks rows, not tokens
        """def f(x, lengths):
    keep = lengths != 0
    return x[keep].view(x.size(0), -1)
""",
        """import torch
def f(x, attention_mask):
    return torch.masked_select(x, attention_mask.bool()).view(-1, 4)
""",
    )
    invalid = (
        """def f(hidden, attention_mask, d):
    b = hidden.size(0)
    return hidden[attention_mask.bool()].view(b, -1, d)  # <-
""",
        """def f(hidden, padding_mask):
    b, t, d = hidden.shape
    return hidden[~padding_mask].reshape(b, -1, d)  # <-
""",
        """def f(x, ids, pad):
    mask = ids != pad
    return x[mask].view(x.shape[0], -1, x.shape[-1])  # <-
""",
        "def f(x, ids, tokenizer):\n    return x[ids.ne(tokenizer.pad_token_id)].view(len(x), -1, 8)  # <-\n",
        """def f(losses, labels):
    batch_size = labels.shape[0]
    return losses[labels != -100].view(batch_size, -1)  # <-
""",
        """import torch
def f(hidden, lengths):
    b, t, d = hidden.shape
    mask = torch.arange(t)[None, :] < lengths[:, None]
    return hidden[mask].view(b, -1, d)  # <-
""",
        """def f(self, hidden, attention_mask):
    batch_size = hidden.shape[0]
    tokens = hidden[attention_mask == 1]
    tokens = self.norm(tokens) if self.first else tokens
    return hidden[attention_mask == 1].view(batch_size, -1)  # <-
""",
        """def f(x, attention_mask):
    kept = x[attention_mask.to(bool)]
    return kept.view(x.size(0), -1, x.size(-1))  # <-
""",
        """import torch
def f(x, attention_mask):
    b, t, d = x.shape
    return torch.masked_select(x, attention_mask.bool().unsqueeze(-1)).view(b, -1, d)  # <-
""",
        """def f(x, attention_mask):
    b, t, d = x.shape
    return x.masked_select(attention_mask[..., None] > 0).view(b, t, d)  # <-
""",
        "def f(logp, loss_mask):\n    return logp[loss_mask.bool()].view(logp.shape[0], -1).sum(-1)  # <-\n",
        """def f(points, ground=0.0):
    clouds, n, _ = points.shape
    above = points[..., 2] > ground
    return points[above].view(clouds, -1, 3)  # <-
""",
        """def f(scores, at_least: float):
    b, n = scores.shape
    return scores[scores >= at_least].reshape(b, -1)  # <-
""",
        # in preview
        """from jaxtyping import Bool, Float
from torch import Tensor
def f(x: Float[Tensor, "b n d"], seen: Bool[Tensor, "b n"]):
    b, n, d = x.shape
    return x[seen].reshape(b, -1, d)  # <-
""",
        """def f(x, scores):
    mask = scores > 0.5
    return x[mask].view(x.size(0), -1, x.size(-1))  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Views of what a ragged mask picks."""
        axes = Axes(file)
        for call in file.calls("view", "reshape"):
            picked, asked = axes.viewed(call), axes.target(call)
            if picked is None or asked is None or len(asked) < 2:  # noqa: PLR2004 - rows
                continue
            value, mask = _masked(file, picked)
            if value is None or mask is None or not _is_batch(file, axes, asked[0], value, mask):
                continue
            ragged = _raggedness(file, mask, value)
            if ragged is None or _counts_rows(file, mask) or _is_delayed(file, call):
                continue
            message = f"`{file.text(asked[0])}` rows can't be restored from `{file.text(picked)}`: {ragged[1]}"
            hint = None
            if not ragged[0] and isinstance(file.origin(picked), ast.Subscript):
                rows = f"[row[keep] for row, keep in zip({file.text(value)}, {file.text(mask)})]"
                hint = f"`pad_sequence({rows}, batch_first=True)` keeps the rows apart"
            yield Found(call, message, hint=hint, preview=ragged[0])


def _is_batch(file: Reading, axes: Axes, size: ast.expr, value: ast.expr, mask: ast.expr) -> bool:
    """Whether a size is that of the batch: by its name, or as that of the value's axis 0."""
    match size:
        case ast.Name(id=name):
            known = axes.size(size)
            return "batch" in {role_of(name), role_of(given_name(known))} or (
                known is not None and known in {axes.axis(value, 0), axes.axis(_bare(mask), 0)}
            )
        case ast.Subscript(value=ast.Attribute(value=whole, attr="shape"), slice=at):
            place = number(at)
        case ast.Call(func=ast.Attribute(value=whole, attr="size"), args=[at]):
            place = number(at)
        case ast.Call(func=ast.Name(id="len"), args=[whole]):
            place = 0
        case _:
            return False
    return place == 0 and file.text(whole) in {file.text(value), file.text(mask), file.text(_bare(mask))}


def _masked(file: Reading, picked: ast.expr) -> tuple[ast.expr | None, ast.expr | None]:
    """The value and the mask of `value[mask]` or `value.masked_select(mask)`."""
    match file.origin(picked):
        case ast.Subscript(value=value, slice=ast.Name() | ast.Call() | ast.Compare() | ast.UnaryOp() as mask):
            return value, mask
        case ast.Call(func=func) as call if last_name(func) == "masked_select":
            return file.given(call, 0, "input"), file.given(call, 1, "mask")
    return None, None


def _raggedness(file: Reading, mask: ast.expr, value: ast.expr) -> tuple[bool, str] | None:
    """Whether that is unsure, and why a mask has different numbers of true values in its rows; None if it need not."""
    bare = _bare(mask)
    if _is_named(bare, _PADDING):
        return False, f"`{file.text(bare)}` keeps as many values of a row as it has tokens"
    made = _bare(file.origin(bare))
    sides = _compared(made)
    if sides is None:
        unbound = f"nothing says that `{file.text(bare)}` is true as often in each row"
        return (True, unbound) if isinstance(bare, ast.Name) and _is_declared(file, bare) else None
    left, right, operator = sides
    why = f"`{file.text(made)}` keeps as many values of a row as it has tokens"
    if _is_named(_bare(left), _PADDING) or (number(right) == _IGNORED and operator is ast.NotEq):
        return False, why
    if operator is not ast.Eq and (_is_named(_bare(left), _PADS) or _is_named(_bare(right), _PADS)):
        return None if number(left) is not None or number(right) is not None else (False, why)
    if operator in _ORDERING:
        unsure = not (file.text(_bare(left)) == file.text(value) and _is_number(file, right))
        return unsure, f"`{file.text(made)}` may be true more often in one row than in another"
    return None


def _is_declared(file: Reading, mask: ast.Name) -> bool:
    """Whether a mask is a parameter declared as truths along several axes: `Bool[Tensor, "b n"]`."""
    binding = file.definition(mask)
    match None if binding is None else getattr(binding.statement, "annotation", None):
        case ast.Subscript(value=kind, slice=ast.Tuple(elts=[_, ast.Constant(value=str(axes))])):
            return last_name(kind) == "Bool" and len(axes.split()) > 1
    return False


def _is_number(file: Reading, node: ast.expr) -> bool:
    """Whether an expression is one written number, or a parameter that stands for one."""
    match file.origin(node):
        case ast.Constant() | ast.UnaryOp(operand=ast.Constant()):
            return True
        case ast.Name() as name:
            binding = file.definition(name)
            return (
                binding is not None and isinstance(binding.statement, ast.arg) and _has_number(binding.statement, file)
            )
    return False


def _has_number(parameter: ast.arg, file: Reading) -> bool:
    """Whether a parameter is declared as a number, or has one for want of another."""
    if isinstance(parameter.annotation, ast.Name) and parameter.annotation.id in {"int", "float"}:
        return True
    arguments = file.parent(parameter)
    if not isinstance(arguments, ast.arguments):
        return False
    names = [*arguments.posonlyargs, *arguments.args]
    given = dict(zip(names[len(names) - len(arguments.defaults) :], arguments.defaults, strict=True))
    given |= {name: value for name, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value}
    return isinstance(given.get(parameter), ast.Constant) and isinstance(given[parameter].value, int | float)  # type: ignore[attr-defined] # a constant


def _is_named(node: ast.expr, words: tuple[str, ...]) -> bool:
    return any(word in last_name(node).lower() for word in words)


def _bare(mask: ast.expr) -> ast.expr:
    """A mask without what keeps its true values, or turns all of them round."""
    while True:
        match mask:
            case ast.UnaryOp(op=ast.Invert(), operand=inner) | ast.Subscript(value=inner):
                mask = inner
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _SAME_MASK:
                mask = inner
            case _:
                return mask


def _compared(mask: ast.expr) -> tuple[ast.expr, ast.expr, type[ast.cmpop]] | None:
    """Both sides of the comparison that makes a mask, and how it compares."""
    match mask:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return left, right, type(operator)
        case ast.Call(func=ast.Attribute(value=left, attr=name), args=[right], keywords=[]) if name in _COMPARING:
            return left, right, _COMPARING[name]
    return None


def _counts_rows(file: Reading, mask: ast.expr) -> bool:
    """Whether the function around looks at how many values are true."""
    wanted = {file.text(mask), file.text(_bare(mask))}
    return any(
        call.args + call.keywords and file.text(whole) in wanted
        for call in file.calls("sum")
        if file.scope(call) is file.scope(mask) and (whole := receiver(call)) is not None
    )


def _is_delayed(file: Reading, node: ast.expr) -> bool:
    """Whether codes are taken out of a pattern, which holds as many of each codebook."""
    return any(word in file.text(file.statement(node)).lower() for word in ("codebook", "delay", "pattern", "eos"))
