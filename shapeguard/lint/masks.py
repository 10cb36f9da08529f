"""Masks over padded batches: which values are one, by their names and by how they are made."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.lint.identity import name_of
from shapeguard.lint.reading import Reading, last_name, number

_MASK = re.compile(r"(^|_)masks?$|^(is_)?valid$|^non_?pad(ding)?$|_is_pad(ding)?$")
_OF_PADDING = re.compile(
    r"attention_masks?$|pad(ding|ded)?_?masks?$|^non_?pad|_is_pad(ding)?$"
    r"|(^|_)(response|completion|reply|label|token|word|text|seq|sequence|step|time|frame|mel|utterance|sent)s?_masks?$"
    r"|^(shift(ed)?_|flat_)?loss_masks?$"
)
_OF_OTHERS = re.compile(
    r"causal|bias|image|img|pixel|segment|drop|random|bool_masked|head|future|ahead|edge|object|instance|gt_|pred|crop"
    r"|alpha|paint|ground|box|roi|patch|cross|4d|legal|cam|sub|diag|eye|tri|special|mlm|noise|prune|weight|sparse|action"
    r"|depth|vision|visual|window|video|position|change|block|pos_|neg_|positive|negative|update|inside|global|local"
)
_PAD = re.compile(
    r"(^|_)(pad(ding)?|ignore)(_(token|tag|label))?(_?(id|idx|index|value))?$|^(ignore_index|pad)$", re.IGNORECASE
)
_LENGTHS = re.compile(r"(^|_)(lengths?|lens|seq_?lens?|num_frames)$")
_TOKENS = re.compile(r"(^|_)(ids|tokens?|labels?|tags?|text|words?|chars?|src|tgt|seqs?|sequences?|sents?)$")
_SAME = frozenset(
    "float long int bool half double bfloat16 to type type_as cpu cuda contiguous clone detach expand expand_as byte"  # noqa: SIM905 - a list of so many words reads better so
    " logical_not eq ne gt lt ge bitwise_not".split()
)
_IGNORED = -100
_LAST = -1
_SECOND = 2


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask over the positions of a batch."""

    name: str
    """What it is called in the file, or how it is written."""
    spread: int = 0
    """How many axes of size 1 are put behind its own."""
    padding: bool = False
    """Whether it surely tells padding, by its name or by how it is made."""


def mask_of(file: Reading, node: ast.expr | None, left: int = 12) -> Mask | None:  # noqa: PLR0911 - one a form
    """The mask that an expression is, or is a conversion of."""
    if node is None or left <= 0:
        return None
    match node:
        case ast.Name(id=name):
            return _named(file, node, name, left)
        case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return named_mask(file.text(node), name)
        case ast.UnaryOp(op=ast.Invert() | ast.Not(), operand=operand):
            return mask_of(file, operand, left - 1)
        case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=right):
            return mask_of(file, right, left - 1)
        case ast.Compare(left=inner, comparators=[ast.Constant(value=0 | 1 | True | False)]):
            return mask_of(file, inner, left - 1)
        case ast.Compare():
            return Mask(file.text(node), padding=True) if made_from(file, node) is not None else None
        case ast.Subscript(value=owner, slice=index):
            return _cut(mask_of(file, owner, left - 1), index)
        case ast.Call():
            return _called(file, node, left)
    return None


def _named(file: Reading, node: ast.Name, name: str, left: int) -> Mask | None:
    binding = file.definition(node)
    value = None if binding is None or binding.index is not None else binding.value
    if value is None:
        return named_mask(name, name)
    if made_from(file, value) is not None:
        return Mask(name, padding=True)
    found = mask_of(file, value, left - 1)
    return found if found is not None else _made_otherwise(file, value, named_mask(name, name))


def _made_otherwise(file: Reading, value: ast.expr, mask: Mask | None) -> Mask | None:
    """A mask by its name that isn't seen to be made of padding."""
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _SAME:
        if file.full_name(value.func) is not None:
            break
        value = value.func.value
    match value:
        case ast.Call() if not isinstance(value.func, ast.Attribute) or _is_of_self(value.func):
            return None if file.is_torch(value, last_name(value.func)) else mask
        case ast.Compare(ops=[ast.NotEq() | ast.Gt()], comparators=[ast.Constant(value=0)]):
            return None if mask is None else Mask(mask.name, mask.spread, bool(_TOKENS.search(name_of(value.left))))
        case ast.BinOp() | ast.UnaryOp():
            return None if mask is None else Mask(mask.name, mask.spread)
        case ast.Name() | ast.Attribute() | ast.IfExp() | ast.Subscript(slice=ast.Constant()):
            return mask
    return None


def _is_of_self(func: ast.Attribute) -> bool:
    return isinstance(func.value, ast.Name)


def named_mask(text: str, name: str) -> Mask | None:
    """The mask that a value of this name is."""
    if not _MASK.search(name) or _OF_OTHERS.search(name):
        return None
    return Mask(text, padding=bool(_OF_PADDING.search(name)))


def _cut(mask: Mask | None, index: ast.expr) -> Mask | None:
    """A mask of which a part is taken, or that is given further axes at its end."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    added = 0
    for each in parts:
        match each:
            case ast.Constant(value=None):
                added += 1
            case ast.Slice() | ast.Constant() if not added and _is_dots(each):
                pass
            case _:
                return None
    return None if mask is None else Mask(mask.name, mask.spread + added, mask.padding)


def _called(file: Reading, call: ast.Call, left: int) -> Mask | None:
    name = last_name(call.func)
    if not isinstance(call.func, ast.Attribute):
        return None
    owner: ast.expr = call.func.value
    if file.full_name(call.func) is not None:
        if not call.args:
            return None
        owner = call.args[0]
    if name in {"ne", "eq"} and made_from(file, call) is not None:
        return Mask(file.text(call), padding=True)
    found = mask_of(file, owner, left - 1) if name in _SAME or name == "unsqueeze" else None
    if name == "unsqueeze" and found is not None:
        return _unsqueezed(found, call)
    return found


def _unsqueezed(mask: Mask, call: ast.Call) -> Mask | None:
    place = number(call.args[-1] if call.args else None)
    if place is None and call.keywords:
        place = number(call.keywords[0].value)
    return Mask(mask.name, mask.spread + 1, mask.padding) if place in {_LAST, _SECOND + mask.spread} else None


def made_from(file: Reading, node: ast.expr) -> ast.expr | None:
    """The tokens or labels of `labels != -100`, the lengths of `torch.arange(n) < lengths[:, None]`."""
    while isinstance(node, ast.Call) and last_name(node.func) in _SAME - {"eq", "ne"}:
        if not isinstance(node.func, ast.Attribute):
            return None
        node = node.func.value
    match node:
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return made_from(file, operand)
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            return made_from(file, left) or made_from(file, right)
        case ast.Compare(left=tokens, ops=[ast.NotEq() | ast.Eq()], comparators=[pad]) if _is_filler(pad):
            return tokens
        case ast.Call(func=ast.Attribute(value=tokens, attr="ne" | "eq"), args=[pad]) if _is_filler(pad):
            return tokens
        case ast.Compare(left=one, ops=[ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()], comparators=[other]):
            return _counted(file, one, other) or _counted(file, other, one)
    return None


def _counted(file: Reading, steps: ast.expr, lengths: ast.expr) -> ast.expr | None:
    """The lengths, where the other side counts the positions."""
    counts = any(last_name(each.func) == "arange" for each in _calls(file.origin(_base(steps))))
    return lengths if counts and is_lengths(_base(lengths)) else None


def _calls(node: ast.expr) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def _base(node: ast.expr) -> ast.expr:
    while True:
        match node:
            case ast.Subscript(value=inner, slice=index) if not isinstance(index, ast.Constant):
                node = inner
            case ast.Call(func=ast.Attribute(value=inner, attr="unsqueeze" | "view" | "expand" | "to" | "reshape")):
                node = inner
            case _:
                return node


def _is_filler(node: ast.expr) -> bool:
    """Whether an expression is what stands where there is no token: -100, `pad_id`, `self.ignore_index`."""
    return number(node) == _IGNORED or bool(_PAD.search(last_name(node)))


def is_lengths(node: ast.expr) -> bool:
    """Whether a value is the lengths of the rows of a batch, by its name."""
    return is_lengths_name(name_of(node))


def is_lengths_name(name: str) -> bool:
    """Whether this is a name for lengths."""
    return bool(_LENGTHS.search(name))


def _is_dots(node: ast.expr) -> bool:
    return isinstance(node, ast.Slice) or (isinstance(node, ast.Constant) and node.value is ...)
