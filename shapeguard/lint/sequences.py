"""What part of a sequence of tokens, or of what a model says of it, a value is."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache

from shapeguard.lint.identity import name_of
from shapeguard.lint.reading import Reading, argument, last_name, number

KEEPS_THE_SEQUENCE = frozenset(
    "clamp clamp_min clone contiguous cpu cuda detach double exp float half int log log_softmax long masked_fill"  # noqa: SIM905 - a list of so many words reads better so
    " requires_grad_ softmax to type type_as unsqueeze".split()
)
"""Methods and functions of torch that give a value with the same positions."""
RESHAPES = frozenset({"flatten", "permute", "rearrange", "reshape", "squeeze", "swapaxes", "transpose", "view"})
"""Those that give one with the same positions in another form, in which `[:, 1:]` would mean something else."""
_TOKENS = re.compile(r"(^|_)(input_?ids|token_?ids|ids|tokens?|idx|toks)$")
_LONGEST = 32
"""More steps than code takes from a value to where it comes from."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """A value as a part of a sequence."""

    root: ast.expr
    """The whole of it."""
    start: int = 0
    """How many positions are cut off its beginning."""
    stop: int = 0
    """And off its end."""
    cuts: tuple[ast.Subscript, ...] = ()
    """Where, from the outside in."""

    def cut_like(self, other: Sequence) -> Sequence:
        """The part of this one that another is of its own whole."""
        return Sequence(self.root, self.start + other.start, self.stop + other.stop, (*other.cuts, *self.cuts))


def sequence(file: Reading, node: ast.expr, *, logits: bool = False, untouched: bool = False) -> Sequence | None:
    """What an expression is a part of; None where that isn't sure, or not `untouched`: if some of it is replaced.

    Along logits, the last axis is the vocabulary.
    """
    found = Sequence(node)
    for _ in range(_LONGEST):
        if (found.cuts and is_reshaped(found.root)) or (untouched and _replaces(found.root)):
            return None
        inner = _inside(file, found.root)
        if inner is not None:
            found = Sequence(inner, found.start, found.stop, found.cuts)
            continue
        match found.root:
            case ast.Name() as name:
                if not _is_steady(file, name) or (untouched and _is_changed(file, name)):
                    return None
                binding = file.definition(name)
                if binding is None or binding.value is None or binding.index is not None:
                    return found
                found = Sequence(binding.value, found.start, found.stop, found.cuts)
            case ast.Subscript() as subscript if _takes_apart(subscript):
                cut = _cut(subscript, logits=logits)
                if cut is None:
                    return None
                cuts = (*found.cuts, subscript) if any(cut) else found.cuts
                found = Sequence(subscript.value, found.start + cut[0], found.stop + cut[1], cuts)
            case ast.Call() | ast.Attribute() | ast.Subscript():
                return found
            case _:
                return None
    return None


def uncut(file: Reading, node: ast.expr) -> ast.expr | None:
    """Where in an expression its sequence is written; None if it has another form there, or is cut."""
    while (inner := _inside(file, node)) is not None:
        node = inner
    rest = node
    for _ in range(_LONGEST):
        if is_reshaped(rest) or (isinstance(rest, ast.Subscript) and _takes_apart(rest)):
            return None
        made = _inside(file, rest) or file.origin(rest)
        if made is rest:
            return node
        rest = made
    return None


def written_cut(node: ast.Subscript, *, logits: bool = False) -> tuple[int, int] | None:
    """How many tokens a subscript cuts off the beginning and the end: (1, 0) for `[:, 1:]`."""
    return _cut(node, logits=logits)


def _inside(file: Reading, node: ast.expr) -> ast.expr | None:
    """The value with the same positions that an expression is made of."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in KEEPS_THE_SEQUENCE | RESHAPES:
            if file.full_name(node.func) is None:
                return owner
            return argument(node, 0, "input")
        case ast.Call(func=ast.Name(id=name)) if name in KEEPS_THE_SEQUENCE | RESHAPES:
            return argument(node, 0, "input", "tensor")
        case ast.Call(func=ast.Attribute(attr="where"), args=[_, one, other]) if number(one) is not None:
            return other
        case ast.Call(func=ast.Attribute(attr="where"), args=[_, one, other]) if number(other) is not None:
            return one
        case ast.BinOp(left=left, op=ast.Div(), right=ast.Name() | ast.Attribute() | ast.Constant()):
            return left  # a temperature
        case ast.NamedExpr(value=value):
            return value
    return None


def _replaces(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) in {"clamp", "clamp_min", "masked_fill", "where"}


def is_reshaped(node: ast.expr) -> bool:
    """Whether a value may have its positions along another axis than what it is made of."""
    return isinstance(node, ast.Call) and last_name(node.func) in RESHAPES | {"unsqueeze"}


def _takes_apart(node: ast.Subscript) -> bool:
    """Whether a subscript takes a part of a tensor, and not an item of a tuple or dict."""
    return not isinstance(node.slice, ast.Constant | ast.Name | ast.Attribute) and number(node.slice) is None


def _cut(node: ast.Subscript, *, logits: bool) -> tuple[int, int] | None:
    """How many positions a subscript cuts off the beginning and the end; None where that isn't sure."""
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else []
    while parts and isinstance(parts[-1], ast.Constant) and parts[-1].value is None:
        parts.pop()  # `[:, 1:, None]`
    match parts:
        case [ast.Slice(lower=None, upper=None, step=None), ast.Slice() as axis]:
            pass
        case [ast.Slice(lower=None, upper=None, step=None), ast.Slice() as axis, ast.Slice()] if logits:
            pass
        case [ast.Constant(value=constant), ast.Slice() as axis, ast.Slice()] if constant is ... and logits:
            pass
        case [ast.Constant(value=constant), ast.Slice() as axis] if constant is ... and not logits:
            pass
        case _:
            return None
    start = 0 if axis.lower is None else number(axis.lower)
    stop = 0 if axis.upper is None else number(axis.upper)
    if axis.step is not None or start is None or stop is None or start < 0 or stop > 0:
        return None
    return (start, -stop) if stop or axis.upper is None else None


def _is_steady(file: Reading, name: ast.Name) -> bool:
    """Whether it is sure where a name has its value from, and no part of it is set from elsewhere."""
    scope = file.scope(name)
    if file.bindings(scope, name.id) and file.definition(name) is None:
        return False
    for stored in stores(file).get(name.id, ()):
        if file.scope(stored) is scope:
            statement = file.statement(stored)
            value = statement.value if isinstance(statement, ast.Assign) else None
            if number(value) is None and has_slices(stored):
                return False
    return True


def _is_changed(file: Reading, name: ast.Name) -> bool:
    """Whether some of what a name stands for is replaced in place."""
    scope = file.scope(name)
    called = (each.func for each in file.all(ast.Call) if last_name(each.func).endswith("_"))
    changed = [each.value for each in stores(file).get(name.id, ())]
    changed += [each.value for each in called if isinstance(each, ast.Attribute)]
    return any(isinstance(each, ast.Name) and each.id == name.id and file.scope(each) is scope for each in changed)


@lru_cache(maxsize=1)
def stores(file: Reading) -> dict[str, list[ast.Subscript]]:
    """Name -> where a part of it is set."""
    found: dict[str, list[ast.Subscript]] = {}
    for each in file.all(ast.Subscript):
        if isinstance(each.ctx, ast.Store):
            found.setdefault(last_name(each.value), []).append(each)
    return found


def has_slices(node: ast.Subscript) -> bool:
    """Whether a subscript takes more than single items."""
    return any(isinstance(each, ast.Slice) for each in ast.walk(node.slice))


def is_called_tokens(node: ast.expr) -> bool:
    """Whether the name of a value says that it is tokens: `input_ids`, `tokens`, `idx`."""
    return bool(_TOKENS.search(name_of(node)))
