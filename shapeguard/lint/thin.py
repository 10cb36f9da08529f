"""Columns of one number a row: what a layer with one output, a kept reduction or a gather makes of a batch."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from shapeguard.lint.columns import gives_one
from shapeguard.lint.lookups import is_of_one, is_single
from shapeguard.lint.making import class_made, makers, returned
from shapeguard.lint.only_model import called
from shapeguard.lint.reading import Reading, argument, last_name, number

Making: TypeAlias = Literal["head", "kept", "gathered", "viewed", "looked up"]
"""`head`: by a layer with one output. `looked up`: in a table of one number for each id. `kept`: by a reduction that keeps its axis. `gathered`: by `gather(1, places)` at one
place a row. `viewed`: by hand, as `view(-1, 1)` does."""

SAME_AXES = frozenset(
    "abs bfloat16 bool ceil clamp clamp_ clamp_max clamp_min clip clone contiguous cpu cuda detach double dropout exp "  # noqa: SIM905 - a list of so many words reads better so
    "expm1 float floor half int leaky_relu log log10 log1p log2 logsigmoid long masked_fill nan_to_num neg pow relu "
    "relu_ requires_grad_ round rsqrt sigmoid sigmoid_ sign silu sin cos softplus sqrt square tanh to type type_as "
    "index_add index_add_ scatter_add scatter_add_ scatter scatter_ index_copy_ scatter_reduce data".split()
)
"""Methods, and functions of torch, that give as many axes, of the same sizes, as they are given."""
_LIKE = frozenset({"zeros_like", "ones_like", "rand_like", "randn_like", "full_like", "empty_like"})
_OF_PAIRS = frozenset({"minimum", "maximum", "min", "max", "fmin", "fmax"})
_REDUCES = frozenset(
    {"max", "min", "sum", "mean", "amax", "amin", "argmax", "argmin", "norm", "logsumexp", "prod", "any"}
)
_BEST = frozenset({"max", "min", "topk", "median", "mode"})
_NUMBERS = frozenset(
    {"gamma", "temperature", "alpha", "beta", "eps", "discount", "lam", "lmbda", "scale", "tau", "ratio"}
)
_NETS = re.compile(r"(^|_)(model|net|network|policy|critic|actor|classifier|regressor|mlp|q|qf|vf|v|u)\d*$")
_LAST = -1
_DEEPEST = 14


@dataclass(frozen=True, slots=True)
class Thin:
    """A column, and what makes it one."""

    kind: Making
    node: ast.expr
    of: ast.expr | None = None
    """What was reduced."""
    axes: int = 1
    """How many axes of 1 it surely ends in."""


def thin(file: Reading, node: ast.expr, left: int = _DEEPEST) -> Thin | None:
    """What makes a value a column; None where nothing is seen to."""
    file.spend()
    if left <= 0:
        return None
    match node:
        case ast.Name():
            return _of_name(file, node, left - 1)
        case ast.Attribute(value=inner, attr="values" | "indices"):
            return _best(file, inner)
        case ast.Attribute(value=inner, attr="data") | ast.UnaryOp(operand=inner):
            return thin(file, inner, left - 1)
        case ast.Subscript(value=inner, slice=place):
            return _of_part(file, inner, place, node, left - 1)
        case ast.BinOp(left=first, op=op, right=second) if not isinstance(op, ast.MatMult):
            return _of_both(file, first, second, op, left // 2)
        case ast.Call():
            return _of_call(file, node, left - 1)
    return None


def is_number(file: Reading, node: ast.expr) -> bool:
    """Whether an expression is surely a number, or is called as factors are."""
    match node:
        case ast.Constant():
            return True
        case ast.UnaryOp(operand=inner):
            return is_number(file, inner)
        case ast.BinOp(left=first, right=second):
            return is_number(file, first) and is_number(file, second)
        case ast.Attribute(value=ast.Name(id="math" | "np")):
            return True
        case ast.Attribute(attr=name):
            return name.lower() in _NUMBERS or is_single(file, node)
        case ast.Name(id=name):
            binding = file.definition(node)
            if binding is not None and isinstance(binding.target, ast.arg):
                return name.lower() in _NUMBERS or _is_number_by_default(file, binding.target)
            return name.lower() in _NUMBERS or (
                binding is not None and binding.index is None and isinstance(binding.value, ast.Constant)
            )
    return False


def _is_number_by_default(file: Reading, parameter: ast.arg) -> bool:
    """Whether a parameter is declared to be a number, or is one where it isn't given."""
    if parameter.annotation is not None:
        return last_name(parameter.annotation) in {"float", "int"}
    function = file.parent(file.parent(parameter) or parameter)
    if not isinstance(function, ast.FunctionDef):
        return False
    given = function.args.args[len(function.args.args) - len(function.args.defaults) :]
    pairs = [*zip(given, function.args.defaults, strict=True)]
    pairs += [
        (each, value) for each, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True) if value
    ]
    return any(each is parameter and isinstance(value, ast.Constant) and _is_numeric(value) for each, value in pairs)


def _is_numeric(node: ast.Constant) -> bool:
    return isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _of_name(file: Reading, name: ast.Name, left: int) -> Thin | None:
    binding = file.definition(name)
    if binding is None:
        every = file.bindings(file.scope(name), name.id)
        first = every[0] if every else None
        rest = [each.value for each in every[1:]]
        # In a loop, `score = 0.5 * score + ...` is what it was at first.
        if first is None or first.value is None or first.index is not None or not rest:
            return None
        return thin(file, first.value, left) if all(each is not None and _has(each, name.id) for each in rest) else None
    if binding.value is None:
        return None
    return thin(file, binding.value, left) if binding.index is None else _item(file, binding.value, binding.index, left)


def _has(node: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))


def _item(file: Reading, value: ast.expr, index: int, left: int) -> Thin | None:
    """One of several values that a call gives."""
    if not isinstance(value, ast.Call):
        return None
    if last_name(value.func) in _BEST:
        return _best(file, value)
    found = [_returned(file, each, index, left) for each in called(file, value)]
    return found[0] if found and None not in found else None


def _best(file: Reading, call: ast.expr) -> Thin | None:
    if not isinstance(call, ast.Call) or last_name(call.func) not in _BEST:
        return None
    return _kept(file, call)


def _returned(file: Reading, function: ast.FunctionDef, index: int | None, left: int) -> Thin | None:
    values = returned(file, function) or []
    if index is not None:
        values = [each.elts[index] for each in values if isinstance(each, ast.Tuple) and index < len(each.elts)]
    found = [thin(file, each, left // 2) for each in values]
    return found[0] if found and None not in found else None


def _of_part(file: Reading, value: ast.expr, place: ast.expr, whole: ast.expr, left: int) -> Thin | None:
    match place:
        case ast.Tuple(elts=[_, *_, ast.Constant(value=None)]):
            return Thin("viewed", whole)
        case ast.Constant(value=0 | 1):
            return _best(file, value)
        case ast.Name():
            binding = file.definition(place)
            is_counter = binding is not None and isinstance(binding.statement, ast.For | ast.comprehension)
            return None if is_counter else thin(file, value, left)
        case ast.Slice():
            return thin(file, value, left)
    return None


def _of_both(file: Reading, first: ast.expr, second: ast.expr, op: ast.operator, left: int) -> Thin | None:
    if is_number(file, first) or is_number(file, second):
        return thin(file, second if is_number(file, first) else first, left)
    one, other = thin(file, first, left), thin(file, second, left)
    if one is not None and other is not None:
        return other if one.kind == "viewed" else one
    # What is taken from a prediction is as long as that: `model(x) - y.view(-1, 1)`.
    is_model = isinstance(first, ast.Call) and bool(_NETS.search(last_name(first.func).lower()))
    if one is None and other is not None and other.kind == "viewed" and is_model and isinstance(op, ast.Sub):
        return Thin("head", first)
    return None


def _of_call(file: Reading, call: ast.Call, left: int) -> Thin | None:
    name, full = last_name(call.func), file.full_name(call.func)
    if full is not None and full.partition(".")[0] == "torch":
        return _of_torch(file, call, name, left)
    if isinstance(call.func, ast.Attribute) and last_name(call.func.value) != "self" and name != "forward":
        return _of_method(file, call, call.func.value, name, left)
    if is_of_one(file, call):
        return Thin("looked up", call)
    layers = makers(file, call.func)
    if layers and all(gives_one(file, each) or _ends_in_one(file, each) for each in layers):
        return Thin("head", call)
    found = [_returned(file, each, None, left) for each in called(file, call)]
    if found:
        return Thin("head", call) if all(each is not None and each.kind == "head" for each in found) else found[0]
    return Thin("head", call) if not layers and _is_only_net(file, call) else None


def _ends_in_one(file: Reading, made: ast.Call) -> bool:
    """Whether a class of the file is a Sequential that ends in a layer with one output."""
    kind = class_made(file, made)
    return kind is not None and _is_thin_sequence(file, kind)


def _is_thin_sequence(file: Reading, kind: ast.ClassDef) -> bool:
    if not any(last_name(base) == "Sequential" for base in kind.bases):
        return False
    made = [each for each in file.calls("__init__") if file.class_of(each) is kind and each.args]
    return len(made) == 1 and gives_one(file, made[0].args[-1])


def _is_only_net(file: Reading, call: ast.Call) -> bool:
    """Whether a network that is handed in can only be one with one output, as no other one is made in the file."""
    if not isinstance(call.func, ast.Name) or not _NETS.search(call.func.id.lower()) or len(call.args) != 1:
        return False
    binding = file.definition(call.func)
    if binding is None or not isinstance(binding.target, ast.arg):
        return False
    annotation = binding.target.annotation
    stated = "" if annotation is None else last_name(annotation)
    kinds = list(_nets(file))
    if stated not in {"", "Module", "Callable", "Sequential"}:
        kinds = [each for each in kinds if each[0] == stated]
    return len(kinds) == 1 and kinds[0][1]


def _nets(file: Reading) -> Iterator[tuple[str, bool]]:
    """The networks that a file makes, by class or function, and whether each has one output."""
    for kind in file.all(ast.ClassDef):
        has_forward = any(isinstance(each, ast.FunctionDef) and each.name == "forward" for each in kind.body)
        if has_forward or any(last_name(base) in {"Sequential", "Module"} for base in kind.bases):
            yield kind.name, _is_thin_sequence(file, kind)
    for function in file.all(ast.FunctionDef):
        if isinstance(file.parent(function), ast.Module):
            values = returned(file, function) or []
            layers = [isinstance(each, ast.Call) and last_name(each.func) == "Sequential" for each in values]
            if layers and all(layers):
                yield function.name, all(gives_one(file, each) for each in values)


def _of_torch(file: Reading, call: ast.Call, name: str, left: int) -> Thin | None:
    if not call.args:
        return None
    if name in _OF_PAIRS and len(call.args) == 2 and not call.keywords and number(call.args[1]) is None:  # noqa: PLR2004 - a pair
        found = [thin(file, each, left // 2) for each in call.args]
        return found[0] if None not in found else None
    if name in {"cat", "concat"} and number(argument(call, 1, "dim")) in {None, 0}:
        found = [thin(file, each, left // 2) for each in items_of(file, call.args[0])]
        return found[0] if found and None not in found else None
    if name in _LIKE or name in SAME_AXES:
        return thin(file, call.args[0], left)
    return _of_method(file, call, call.args[0], name, left)


def items_of(file: Reading, node: ast.expr) -> list[ast.expr]:
    """The items of a list that is written out, or filled by `append`."""
    if isinstance(node, ast.List | ast.Tuple):
        return node.elts
    if not isinstance(node, ast.Name):
        return []
    scope = file.scope(node)
    found: list[ast.expr] = []
    for call in file.calls("append"):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name)), args=[item]) if name == node.id:
                if file.scope(call) is scope:
                    found.append(item)
    return found


def _of_method(file: Reading, call: ast.Call, value: ast.expr, name: str, left: int) -> Thin | None:
    if name in SAME_AXES:
        return thin(file, value, left)
    if name in _REDUCES or name in _BEST:
        return _kept(file, call)
    is_function = file.full_name(call.func) is not None
    place = argument(call, 1 if is_function else 0, "dim")
    if name in {"view", "reshape"}:
        sizes = call.args[is_function:]
        sizes = list(sizes[0].elts) if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple | ast.List) else sizes
        return Thin("viewed", call) if len(sizes) > 1 and number(sizes[-1]) == 1 else None
    if name == "unsqueeze":
        return Thin("viewed", call) if number(place) == _LAST else None
    if name == "gather" and number(place) in {1, _LAST}:
        index = argument(call, 2 if is_function else 1, "index")
        is_single = index is not None and _is_single(file, index, left)
        return Thin("gathered", call) if is_single else None
    return None


def _is_single(file: Reading, index: ast.expr, left: int) -> bool:
    """Whether an index has one place a row."""
    match index:
        case ast.Call(func=ast.Attribute(attr="unsqueeze"), args=[place]):
            return number(place) in {1, _LAST}
    return thin(file, index, left // 2) is not None


def _kept(file: Reading, call: ast.Call) -> Thin | None:
    """`x.max(dim=1, keepdim=True)`: along the second axis of two, the last one, or all behind the first."""
    kept = next((each.value for each in call.keywords if each.arg in {"keepdim", "keepdims"}), None)
    if not (isinstance(kept, ast.Constant) and kept.value is True):
        return None
    is_function = file.full_name(call.func) is not None
    of = call.args[0] if is_function and call.args else getattr(call.func, "value", None)
    given = argument(call, is_function + (last_name(call.func) in {"norm", "topk"}), "dim", "axis")
    places = [number(each) for each in given.elts] if isinstance(given, ast.Tuple | ast.List) else [number(given)]
    if places in ([1], [_LAST]):
        return Thin("kept", call, of)
    if len(places) > 1 and places in (list(range(1, len(places) + 1)), list(range(-len(places), 0))):
        return Thin("kept", call, of, len(places))
    return None
