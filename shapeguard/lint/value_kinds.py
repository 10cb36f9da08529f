"""What the numbers of a tensor mean: logits, probabilities, their logarithms, one-hot rows, class indices."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from shapeguard.lint.binding import bindings_seen
from shapeguard.lint.identity import name_of
from shapeguard.lint.making import class_named, functions_called, is_changed_in_place, makers, returned
from shapeguard.lint.only_model import called
from shapeguard.lint.reading import Reading, argument, last_name, number
from shapeguard.lint.squashing import squashed

Kind: TypeAlias = Literal["logits", "probabilities", "log-probabilities"]

_KINDS: dict[str, Kind] = {
    "softmax": "probabilities",
    "sigmoid": "probabilities",
    "log_softmax": "log-probabilities",
    "log_sigmoid": "log-probabilities",
    "none": "logits",
}
_LOGITS = re.compile(r"(^|_)logits?$")
_MADE_OF_LOGITS = re.compile(r"exp|sum|norm|max")
_PROBABILITIES = re.compile(r"(^|_)prob(s|abilities)$")
_SQUASHES = re.compile(r"softmax|sigmoid|prob|\bexp\b|normaliz|softplus|clamp|relu|entmax|gumbel|abs\b|sinkhorn|log\b")
_STAYS_LOGITS = frozenset(
    {"masked_fill", "masked_fill_", "clamp_max", "float", "to", "view", "reshape", "squeeze", "sum"}
)
_SAME = frozenset(
    "view reshape squeeze unsqueeze flatten to cuda cpu contiguous clone detach type_as transpose permute long int"  # noqa: SIM905 - a list of so many words reads better so
    " float double half repeat expand".split()
)
_FLOATS = frozenset({"float", "double", "half", "type_as"})
_LONGEST = 16


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the numbers of an expression are, and how that is known."""

    kind: Kind
    step: ast.expr | None
    """What makes them so; None where their name says it."""


def meaning(file: Reading, node: ast.expr, left: int = _LONGEST) -> Meaning | None:
    """Whether an expression holds logits, probabilities or their logarithms; None if that isn't sure."""
    if left <= 0:
        return None
    last = squashed(file, node)
    if last is not None:
        return Meaning(_KINDS[last.by], last.step)
    found = _of_operation(file, node, left)
    return found if found is not None else _by_name(file, node)


def _of_operation(file: Reading, node: ast.expr, left: int) -> Meaning | None:
    match node:
        case ast.Name():
            binding = file.definition(node)
            if (
                binding is None
                or binding.value is None
                or binding.index is not None
                or is_changed_in_place(file, binding)
            ):
                return None
            found = _of_operation(file, binding.value, left - 1)
            return found or (None if isinstance(binding.value, ast.Name) else _fact(file, binding.value, left - 1))
        case ast.BinOp(left=one, op=ast.MatMult(), right=other):
            found = _fact(file, one, left - 1) or _fact(file, other, left - 1)
            return found if found is not None and found.kind == "logits" else None
        case ast.BinOp(left=one, op=ast.Div(), right=ast.Name() | ast.Attribute() | ast.Constant()):
            found = _fact(file, one, left - 1)
            return found if found is not None and found.kind == "logits" else None
        case ast.Subscript(value=owner) if not isinstance(node.slice, ast.Constant):
            return _of_operation(file, owner, left - 1) if isinstance(owner, ast.Name | ast.Call) else None
        case ast.Call():
            return _of_function(file, node, left)
    return None


def _fact(file: Reading, node: ast.expr, left: int) -> Meaning | None:
    last = squashed(file, node)
    return Meaning(_KINDS[last.by], last.step) if last is not None else _of_operation(file, node, left)


def _of_function(file: Reading, call: ast.Call, left: int) -> Meaning | None:
    """What a function of the file gives, if all that it returns is of one kind."""
    found: list[Meaning | None] = []
    for function in called(file, call):
        found += [
            _fact(file, each, left // 2) for each in returned(file, function) or [] if not isinstance(each, ast.Tuple)
        ]
    kinds = {None if each is None else each.kind for each in found}
    return found[0] if len(kinds) == 1 else None


def _by_name(file: Reading, node: ast.expr) -> Meaning | None:
    """What a name says of its values, where nothing that it may be bound to says otherwise."""
    while True:
        match node:
            case ast.Subscript(value=inner, slice=index) if (
                not isinstance(index, ast.Constant) or number(index) is not None
            ):
                node = inner
            case ast.BinOp(left=inner, op=ast.Div() | ast.Mult(), right=ast.Name() | ast.Attribute() | ast.Constant()):
                node = inner
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _STAYS_LOGITS:
                node = inner
            case _:
                break
    name = name_of(node)
    if _LOGITS.search(name) and not _MADE_OF_LOGITS.search(name) and not _may_be_squashed(file, node):
        return Meaning("logits", None)
    if _PROBABILITIES.search(name) and "log" not in name and not _may_be_raw(file, node):
        return Meaning("probabilities", None)
    return None


def _may_be_squashed(file: Reading, node: ast.expr) -> bool:
    """Whether something that the value is made of makes probabilities of it."""
    return any(_SQUASHES.search(file.text(each)) for each in _made_of(file, node))


def _may_be_raw(file: Reading, node: ast.expr) -> bool:
    return any(re.search(r"log", file.text(each)) for each in _made_of(file, node)) or not isinstance(node, ast.Name)


def _made_of(file: Reading, node: ast.expr) -> list[ast.expr]:
    """All that may be assigned to a name, and to the names in it, a few steps back."""
    found: list[ast.expr] = []
    waiting = [node]
    while waiting and len(found) < _LONGEST:
        each = waiting.pop()
        for name in (part for part in ast.walk(each) if isinstance(part, ast.Name)):
            for binding in bindings_seen(file, name):
                if binding.value is not None and binding.value not in found:
                    found.append(binding.value)
                    waiting.append(binding.value)
    return found


# One-hot rows.


@dataclass(frozen=True, slots=True)
class OneHot:
    """Rows of zeros with a single one."""

    step: ast.expr
    """What makes them."""
    floating: bool


def one_hot(  # noqa: PLR0911 - one a form
    file: Reading, node: ast.expr, left: int = _LONGEST
) -> OneHot | None:
    """Whether an expression surely is one-hot rows."""
    if left <= 0:
        return None
    match node:
        case ast.Name():
            return _one_hot_name(file, node, left)
        case ast.Attribute(value=ast.Name() as owner, attr=attribute) if attribute not in {"T", "mT", "data"}:
            stored = _stored(file, owner, attribute)
            return None if stored is None else one_hot(file, stored, left - 1)
        case ast.Subscript(value=ast.Call() as table) if file.is_torch(table, "eye"):
            return OneHot(node, floating=True)
        case ast.Subscript(value=inner, slice=ast.Slice() | ast.Tuple()):
            return one_hot(file, inner, left - 1)
        case ast.Call() if file.is_torch(node, "one_hot"):
            return OneHot(node, floating=False)
        case ast.Call(args=[ast.List(elts=[first, *rest])]) if file.is_torch(node, "cat", "stack", "concat"):
            found = [one_hot(file, each, left // 2) for each in (first, *rest)]
            return found[0] if all(found) else None
        case ast.Call(args=[items, *_]) if file.is_torch(node, "cat", "stack", "concat"):
            return _appended(file, items, left - 1)
        case ast.Call(func=ast.Attribute(value=inner, attr=name)) if file.full_name(node.func) is None:
            return _one_hot_method(file, node, inner, name, left)
    return None


def _one_hot_name(file: Reading, node: ast.Name, left: int) -> OneHot | None:
    binding = file.definition(node)
    if binding is None or binding.value is None:
        return None
    if binding.index is None:
        return one_hot(file, binding.value, left - 1)
    functions = _functions(file, binding.value) if isinstance(binding.value, ast.Call) else []
    found: list[OneHot | None] = []
    for function in functions:
        for value in returned(file, function) or []:
            whole = isinstance(value, ast.Tuple) and len(value.elts) == binding.count
            found.append(
                one_hot(file, value.elts[binding.index], left // 2) if whole and isinstance(value, ast.Tuple) else None
            )
    return found[0] if found and all(found) else None


def _stored(file: Reading, owner: ast.Name, attribute: str) -> ast.expr | None:
    """What a class of the file puts into an attribute, once and alone, where the owner is surely one of these."""
    kinds = [each for each in file.all(ast.ClassDef) if file.assigned(each, attribute)]
    if len(kinds) != 1 or len(file.assigned(kinds[0], attribute)) != 1:
        return None
    put = [each for each in file.all(ast.Attribute) if each.attr == attribute and isinstance(each.ctx, ast.Store)]
    return file.assigned(kinds[0], attribute)[0] if len(put) == 1 and _is_of(file, owner, kinds[0]) else None


def _is_of(file: Reading, owner: ast.Name, kind: ast.ClassDef) -> bool:
    """Whether a name stands for an object of a class: by its making, its annotation, or as short for the class."""
    if owner.id == "self":
        return file.class_of(owner) is kind
    binding = file.definition(owner)
    if binding is None:
        return False
    if isinstance(binding.target, ast.arg):
        stated = binding.target.annotation
        is_short = len(owner.id) > 2 and owner.id.replace("_", "") in kind.name.lower()  # noqa: PLR2004 - letters
        return is_short if stated is None else class_named(file, stated) is kind
    return any(class_named(file, each.func) is kind for each in makers(file, owner))


def _functions(file: Reading, call: ast.Call) -> list[ast.FunctionDef]:
    """The functions of the file that a call runs; a method by its name, where one class has it, called like the object."""
    found = list(functions_called(file, call))
    match call.func:
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if not found:
            methods = [each for each in file.all(ast.FunctionDef) if each.name == name]
            kind = file.class_of(methods[0]) if len(methods) == 1 else None
            if kind is not None and owner.replace("_", "") in kind.name.lower():
                return methods
    return found


def _one_hot_method(file: Reading, call: ast.Call, inner: ast.expr, name: str, left: int) -> OneHot | None:
    if (
        name == "scatter_"
        and isinstance(inner, ast.Call)
        and last_name(inner.func) in {"zeros", "zeros_like", "new_zeros"}
    ):
        value = argument(call, 2, "value", "src")
        if re.search(r"bool|top", file.text(call)):
            return None
        return OneHot(call, floating=True) if number(value) == 1 or _is_one(value) else None
    found = one_hot(file, inner, left - 1) if name in _SAME else None
    if found is None:
        return None
    kinds = " ".join(file.text(each) for each in (*call.args, *(each.value for each in call.keywords)))
    if name in _FLOATS or (name == "to" and re.search(r"float|half|dtype|double", kinds)):
        return replace(found, floating=True)
    return replace(found, floating=False) if name in {"long", "int"} else found


def _is_one(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def _appended(file: Reading, items: ast.expr, left: int) -> OneHot | None:
    """What is put into a list of self, or of the function, where all of that is one-hot rows."""
    text = file.text(items)
    put = [
        each.args[0]
        for each in file.calls("append")
        if isinstance(each.func, ast.Attribute)
        and each.args
        and file.text(each.func.value) == text
        and (
            file.class_of(each) is file.class_of(items)
            if text.startswith("self.")
            else file.scope(each) is file.scope(items)
        )
    ]
    found = [one_hot(file, each, left // 2) for each in put]
    return found[0] if found and all(found) else None
