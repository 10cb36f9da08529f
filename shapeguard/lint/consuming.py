"""What is done with a value afterwards, as far as it asks for an axis to be there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from shapeguard.lint.reading import Reading, argument, last_name, number

Kind: TypeAlias = Literal[
    "measured",
    "iterated",
    "indexed",
    "joined",
    "axis",
    "changed",
    "multiplied",
    "stacked",
    "returned",
    "collected",
    "reduced",
    "number",
    "regardless",
    "asked",
    "selects",
    "other",
]
"""`axis` of an operation along another axis than the first or last, `reduced` along one of these; `collected` in a list;
`regardless` of a `view`, `number` of `item()`: they take what has lost an axis; `asked` where its rank is looked at;
`selects` where it is an index."""

BREAKING: frozenset[Kind] = frozenset({"measured", "iterated", "indexed", "joined", "axis", "changed"})
"""What fails, or takes another axis for the first, when that is gone."""
RANKED: frozenset[Kind] = frozenset({"multiplied", "stacked", "returned", "collected", "reduced"})
"""What gives a result of another rank then."""
HARMLESS: frozenset[Kind] = frozenset({"number", "regardless"})


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that is done with a value."""

    kind: Kind
    node: ast.AST
    """The call, the loop, the `return`."""


_KEEPING = frozenset(
    "float double half long int bool to type cpu cuda numpy detach clone contiguous requires_grad_ exp log log1p"  # noqa: SIM905 - a list of so many words reads better so
    " sigmoid tanh relu abs neg sqrt square pow clamp clip clamp_min clamp_max round floor ceil softplus logsigmoid"
    " masked_fill tolist squeeze astype copy add sub mul div nan_to_num type_as logical_not bfloat16 item_ expm1".split()
)
"""Methods, and functions of torch, that give as many axes as they are given."""
_REGARDLESS = frozenset(
    "view reshape flatten ravel view_as reshape_as expand_as expand repeat".split()  # noqa: SIM905 - a list of so many words reads better so
)
_ALONG = frozenset(
    "softmax log_softmax topk sort argsort cumsum cumprod unsqueeze chunk split unbind select narrow flip index_select"  # noqa: SIM905 - a list of so many words reads better so
    " gather unflatten".split()
)
_REDUCING = frozenset(
    "sum mean max min argmax argmin std var any all norm prod median logsumexp".split()  # noqa: SIM905 - a list of so many words reads better so
)
_MULTIPLYING = frozenset(
    "matmul mm bmm einsum dot mv baddbmm addmm outer".split()  # noqa: SIM905 - a list of so many words reads better so
)
_CHANGING = frozenset(
    "add_ sub_ mul_ div_ copy_".split()  # noqa: SIM905 - a list of so many words reads better so
)
_JOINING = frozenset(
    "cat concat concatenate pad_sequence".split()  # noqa: SIM905 - a list of so many words reads better so
)
_STACKING = frozenset(
    "stack vstack".split()  # noqa: SIM905 - a list of so many words reads better so
)
_ITERATING = frozenset(
    "zip enumerate list tuple map iter set sorted".split()  # noqa: SIM905 - a list of so many words reads better so
)
_NUMBERS = frozenset(
    "float int bool str print repr round".split()  # noqa: SIM905 - a list of so many words reads better so
)
_NUMERIC_METHODS = frozenset(
    "item numel nelement backward".split()  # noqa: SIM905 - a list of so many words reads better so
)
_RANKS = frozenset(
    "dim ndim ndimension".split()  # noqa: SIM905 - a list of so many words reads better so
)
_LAYERS_THAT_KEEP = frozenset({"Linear", "Dropout", "ReLU", "GELU", "SiLU", "Tanh", "Sigmoid", "LayerNorm"})
"""However many axes they are given."""
_DEEPEST = 4


def uses_of(file: Reading, value: ast.expr, depth: int = 0) -> Iterator[Use]:
    """What is done with a value: at once, through names, and after steps that keep its axes."""
    node: ast.AST = value
    above: ast.AST | None = value
    while above is not None:
        node = above
        above = _kept(file, node)
    parent = file.parent(node)
    match parent:
        case ast.Assign(targets=targets):
            for target in targets:
                yield from _of_target(file, target, parent, depth)
        case ast.AnnAssign(target=target) | ast.NamedExpr(target=target):
            yield from _of_target(file, target, parent, depth)
        case ast.Tuple():
            yield from _of_member(file, parent, node, depth)
        case ast.List():
            yield from _of_listed(file, parent, depth)
        case ast.Call() if parent.func is not node:
            yield from _of_argument(file, parent, node, depth)
        case ast.keyword():
            call = file.parent(parent)
            if isinstance(call, ast.Call):
                yield from _of_argument(file, call, parent.value, depth)
        case ast.Attribute():
            yield from _of_attribute(file, parent, depth)
        case ast.AST():
            yield Use(_kind_below(parent, node), parent)


def _kept(file: Reading, node: ast.AST) -> ast.AST | None:
    """The expression around one that has as many axes; None if it has others."""
    parent = file.parent(node)
    match parent:
        case ast.Attribute(attr=name):
            call = file.parent(parent)
            if not isinstance(call, ast.Call) or call.func is not parent:
                return parent if name == "data" else None
            return call if name in _KEEPING and not (name == "squeeze" and call.args) else None
        case ast.Call(func=func, args=[first, *_]) if first is node and last_name(func) in _KEEPING:
            full = file.full_name(func)
            return parent if full is not None and full.startswith(("torch.", "numpy.")) else None
        case ast.BinOp(op=op, left=left, right=right) if not isinstance(op, ast.MatMult):
            return parent if isinstance(right if left is node else left, ast.Constant) else None
        case ast.Compare(left=left, comparators=[ast.Constant()]) if left is node:
            return parent
        case ast.UnaryOp() | ast.IfExp():
            return parent if not (isinstance(parent, ast.IfExp) and parent.test is node) else None
    return None


def _kind_below(parent: ast.AST, node: ast.AST) -> Kind:
    match parent:
        case ast.For(iter=source) | ast.AsyncFor(iter=source) | ast.comprehension(iter=source) if source is node:
            return "iterated"
        case ast.Starred():
            return "iterated"
        case ast.Subscript(value=value, slice=place):
            if value is not node:
                return "selects"
            return "other" if _is_of_new_axes(place) else "indexed"
        case ast.BinOp(op=ast.MatMult()):
            return "multiplied"
        case ast.Return() | ast.Lambda():
            return "returned"
        case ast.FormattedValue() | ast.Expr() | ast.IfExp() | ast.If() | ast.Assert():
            return "number"
    return "other"


def _is_of_new_axes(place: ast.expr) -> bool:
    parts = place.elts if isinstance(place, ast.Tuple) else [place]
    return all(isinstance(each, ast.Constant) and (each.value is None or each.value is ...) for each in parts)


def _of_target(file: Reading, target: ast.expr, statement: ast.AST, depth: int) -> Iterator[Use]:
    if not isinstance(target, ast.Name) or depth >= _DEEPEST:
        yield Use("other", statement)
        return
    for name in file.uses(target):
        yield from uses_of(file, name, depth + 1)
    for change in file.all(ast.AugAssign):
        if isinstance(change.target, ast.Name) and change.target.id == target.id and not _is_number(change.value):
            binding = file.definition(change.target)
            if binding is not None and binding.target is target:
                yield Use("changed", change)


def _is_number(node: ast.expr) -> bool:
    """Whether what is added may well be a number, or a tensor without axes: all but what has surely some."""
    match node:
        case ast.Compare():
            return False
        case ast.Call(func=ast.Attribute(value=value, attr="float" | "to" | "long" | "int" | "bool" | "type_as")):
            return not isinstance(value, ast.Name | ast.Compare | ast.Subscript)
    return True


def _of_member(file: Reading, parent: ast.Tuple, node: ast.AST, depth: int) -> Iterator[Use]:
    """Of a value that stands in a tuple: `a, b = x.squeeze(), y.squeeze()`, `return x.squeeze(), h`, `cat((x, y))`."""
    around = file.parent(parent)
    match around:
        case ast.Assign(targets=[ast.Tuple(elts=targets)]) if len(targets) == len(parent.elts):
            place = next(index for index, each in enumerate(parent.elts) if each is node)
            yield from _of_target(file, targets[place], around, depth)
        case ast.Return():
            yield Use("returned", around)
        case ast.Subscript(slice=place) if place is parent:
            yield Use("selects", around)
        case _:
            yield from _of_listed(file, parent, depth)


def _of_listed(file: Reading, listed: ast.List | ast.Tuple, depth: int) -> Iterator[Use]:
    """Of a value that stands in a list: what is done with the list."""
    around = file.parent(listed)
    match around:
        case ast.Call(func=func) if last_name(func) in _JOINING:
            yield Use("joined", around)
        case ast.Call(func=func) if last_name(func) in _STACKING:
            yield Use("stacked", around)
        case ast.AugAssign(op=ast.Add(), target=ast.Name() as target) if depth < _DEEPEST:
            yield from _of_collected(file, target, around)
        case _:
            yield Use("other", listed)


def _of_collected(file: Reading, name: ast.Name, place: ast.AST) -> Iterator[Use]:
    """Of a value that is put at a place into the list of this name."""
    yield Use("collected", place)
    scope = file.scope(name)
    for call in file.all(ast.Call):
        kind = last_name(call.func)
        if kind in _JOINING or kind in _STACKING:
            first = call.args[0] if call.args else None
            if isinstance(first, ast.Name) and first.id == name.id and file.scope(first) is scope:
                yield Use("joined" if kind in _JOINING else "stacked", call)


def _of_argument(file: Reading, call: ast.Call, node: ast.AST, depth: int) -> Iterator[Use]:
    name = last_name(call.func)
    plain = isinstance(call.func, ast.Name)
    if plain and name == "len":
        yield Use("measured", call)
    elif (plain and name in _ITERATING) or name == "extend":
        yield Use("iterated", call)
    elif plain and name in _NUMBERS:
        yield Use("number", call)
    elif plain and name == "isinstance":
        yield Use("asked", call)
    elif name in {"atleast_1d", "atleast_2d"} or (name in _REGARDLESS and call.args and call.args[0] is node):
        yield Use("regardless", call)
    elif name in _MULTIPLYING:
        yield Use("multiplied", call)
    elif name == "append" and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        yield from _of_collected(file, call.func.value, call) if depth < _DEEPEST else ()
    elif name in _REDUCING | _ALONG and call.args and call.args[0] is node and file.is_torch(call, name):
        yield from _along(file, call, argument(call, 2 if name == "topk" else 1, "dim", "axis"), depth)
    else:
        yield from _of_layer(file, call, node, depth)


def _of_layer(file: Reading, call: ast.Call, node: ast.AST, depth: int) -> Iterator[Use]:
    """Of a value that is given to a layer, or to what isn't known."""
    made = file.layer(call.func)
    kind = "" if made is None or not call.args or call.args[0] is not node else last_name(made.func)
    if kind.startswith("BatchNorm"):
        yield Use("axis", call)
    elif kind in _LAYERS_THAT_KEEP and depth < _DEEPEST:
        yield from uses_of(file, call, depth + 1)
    else:
        yield Use("other", call)


def _of_attribute(file: Reading, attribute: ast.Attribute, depth: int) -> Iterator[Use]:
    """Of a value whose attribute or method is asked for."""
    name = attribute.attr
    around = file.parent(attribute)
    if name in _RANKS:
        yield Use("asked", attribute)
    elif name == "shape":
        yield _of_shape(attribute, around)
    elif not isinstance(around, ast.Call) or around.func is not attribute:
        yield Use("other", attribute)
    elif name in _REDUCING | _ALONG:
        yield from _along(file, around, argument(around, 1 if name == "topk" else 0, "dim", "axis"), depth)
    else:
        yield Use(_of_method(name, around), around)


def _of_shape(attribute: ast.Attribute, around: ast.AST | None) -> Use:
    match around:
        case ast.Subscript(slice=place):
            return Use("measured" if (number(place) or 0) >= 0 else "regardless", around)
        case ast.Call(func=ast.Name(id="len")):
            return Use("asked", around)
    return Use("other", attribute)


def _of_method(name: str, call: ast.Call) -> Kind:
    given = argument(call, 0, "dim", "other")
    if name == "size":
        return "other" if given is None else "measured" if (number(given) or 0) >= 0 else "regardless"
    if name in _CHANGING:
        return "other" if given is None or _is_number(given) else "changed"
    if name in {"transpose", "permute", "swapaxes"}:
        return "axis"
    if name in _MULTIPLYING:
        return "multiplied"
    if name in _REGARDLESS:
        return "regardless"
    return "number" if name in _NUMERIC_METHODS else "other"


def _along(file: Reading, call: ast.Call, axis: ast.expr | None, depth: int) -> Iterator[Use]:
    """Of a value that an operation goes over along an axis; over all of them, to a number."""
    name = last_name(call.func)
    place = number(axis)
    if axis is None:
        yield Use("number" if name in _REDUCING else "other", call)
    elif place not in {None, 0, -1}:
        yield Use("axis", call)
    elif name in _REDUCING:
        yield Use("reduced" if place == -1 else "other", call)
    elif name in {"softmax", "log_softmax", "cumsum", "flip"} and depth < _DEEPEST:
        yield from uses_of(file, call, depth + 1)
    else:
        yield Use("other", call)
