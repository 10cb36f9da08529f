"""Losses that are one number already, times a weight for each row."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.lint.losses import Loss
from shapeguard.lint.reading import Reading

_WHOLE = frozenset({"mean", "sum"})
_OF_TENSORS = frozenset(
    {"unsqueeze", "squeeze", "view", "reshape", "float", "long", "to", "gather", "detach", "flatten"}
)
_WEIGHTS = re.compile(r"(^|_)(weights?|masks?|ws?|isw|importance|ratios?)$")
_OF_ROWS = frozenset({"sum", "mean", "numel", "view", "reshape", "unsqueeze", "flatten", "expand_as", "size", "any"})
"""Methods that are of no use for a single number."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A product of a loss and a weight for each row."""

    loss: Loss
    product: ast.BinOp
    weight: ast.expr
    why: str
    """What tells that the weight is one for each row."""
    whole: ast.Call
    """The mean or sum over the product."""


def weighed(file: Reading, loss: Loss) -> Iterator[Weighed]:
    """The products in which a loss that is averaged meets weights, and which are averaged or summed themselves."""
    if loss.options.keys() & {"reduction", "reduce", "size_average"} or _has_more(loss):
        return
    for place in file.reads(loss.call):
        match file.parent(place):
            case ast.BinOp(left=left, op=ast.Mult(), right=right) as product:
                weight = right if left is place else left
            case _:
                continue
        whole = _whole(file, product)
        why = None if whole is None else _of_rows(file, weight, loss)
        if whole is not None and why is not None:
            yield Weighed(loss, product, weight, why, whole)


def _has_more(loss: Loss) -> bool:
    """Whether options are given by their place, or hidden."""
    return len(loss.call.args) > 2 or any(each.arg is None for each in (*loss.call.keywords, *loss.made.keywords))  # noqa: PLR2004 - prediction and target


def _whole(file: Reading, product: ast.BinOp) -> ast.Call | None:
    """The mean or sum over all of a product, on the spot or of the name that it is given."""
    for place in file.reads(product):
        match file.parent(place):
            case ast.Attribute(attr=name) as method if name in _WHOLE:
                call = file.parent(method)
                if isinstance(call, ast.Call) and not call.args and not call.keywords:
                    return call
            case ast.Call(args=[only], keywords=[]) as call if only is place and file.is_torch(call, *_WHOLE):
                return call
    return None


def _of_rows(file: Reading, weight: ast.expr, loss: Loss) -> str | None:
    """What tells that a factor is a tensor of several numbers."""
    shape = file.shape_of(weight)
    if shape is not None:
        return f"{file.text(weight)}: {shape}" if shape.axes and any(each.size != 1 for each in shape.axes) else None
    match weight:
        case ast.Name():
            return _of_name(file, weight)
        case ast.Subscript(value=ast.Name() as owner, slice=ast.Constant(value=str(key))) if _WEIGHTS.search(key):
            beside = _beside(file, owner, loss)
            return None if beside is None else f"{file.text(weight)} comes with `{file.text(beside)}`, a tensor"
    return None


def _of_name(file: Reading, name: ast.Name) -> str | None:
    """A name that comes with each batch, or whose methods are asked as those of a tensor with axes are."""
    binding = file.definition(name)
    if binding is None:
        return None
    loop = binding.statement
    if isinstance(loop, ast.For) and isinstance(loop.target, ast.Tuple) and _WEIGHTS.search(name.id):
        return f"{name.id} comes with each batch, line {loop.lineno}"
    for other in file.all(ast.Name):
        if other.id == name.id and _is_asked(file, other) and file.definition(other) is binding:
            return f"{name.id} is a tensor with axes, line {other.lineno}"
    return None


def _is_asked(file: Reading, owner: ast.Name) -> bool:
    match file.parent(owner):
        case ast.Attribute(attr=name) as method if name in _OF_ROWS:
            return isinstance(file.parent(method), ast.Call)
    return False


def _beside(file: Reading, owner: ast.Name, loss: Loss) -> ast.expr | None:
    """Another item of the same dictionary that a method of tensors is called of, or that the loss is given."""
    binding = file.definition(owner)
    for item in file.all(ast.Subscript):
        match item:
            case ast.Subscript(value=ast.Name(id=name) as other, slice=ast.Constant(value=str())) if name == owner.id:
                if binding is None or file.definition(other) is not binding:
                    continue
                method = file.parent(item)
                is_tensor = isinstance(method, ast.Attribute) and method.attr in _OF_TENSORS
                if is_tensor or item in (loss.given, loss.target):
                    return item
    return None
