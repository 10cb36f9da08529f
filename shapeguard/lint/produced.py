"""What a function of the file hands out under a key or a place: of a `get_batch`, of a collate function, of a dataset."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from shapeguard.lint.making import functions_called, returned
from shapeguard.lint.reading import Reading, last_name, number

_COLLATES = re.compile(r"collate|^__getitem__$")
_STEPS = frozenset({"training_step", "validation_step", "test_step", "compute_loss", "train_step"})
_WRAPPERS = frozenset({"tensor", "as_tensor", "stack", "LongTensor", "from_numpy", "array", "contiguous", "clone"})
_SAME = frozenset({"to", "long", "contiguous", "clone", "astype", "cuda", "detach", "int"})


@dataclass(frozen=True, slots=True)
class Window:
    """A slice of a sequence."""

    base: str
    """What is cut, as a text that tells it from others."""
    start: str
    """Where it begins, without its offset."""
    offset: int
    node: ast.Subscript


def produced(file: Reading, node: ast.expr) -> list[ast.expr]:
    """What an item of a batch is, in the functions of the file that make batches; none where that isn't sure."""
    match node:
        case ast.Subscript(value=ast.Name() as batch, slice=ast.Constant(value=str(key))):
            functions = _makers_of(file, batch)
            return _all_items(file, functions, key)
        case ast.Name():
            place = _place(file, node)
            if place is None:
                return []
            source, at = place
            functions = list(functions_called(file, source)) if isinstance(source, ast.Call) else []
            if not functions and not isinstance(source, ast.Call | ast.Name | ast.Attribute):
                return []
            return _all_items(file, functions or _collates(file), at)
    return []


def _makers_of(file: Reading, batch: ast.Name) -> list[ast.FunctionDef]:
    binding = file.definition(batch)
    if binding is not None and isinstance(binding.value, ast.Call):
        return list(functions_called(file, binding.value))
    if binding is not None and isinstance(binding.statement, ast.arg):
        # A step that a trainer calls.
        function = file.function(batch)
        return _collates(file) if getattr(function, "name", "") in _STEPS else []
    for loop in file.around(batch):
        if isinstance(loop, ast.For) and any(
            isinstance(each, ast.Name) and each.id == batch.id for each in ast.walk(loop.target)
        ):
            return _collates(file)
    return []


def _collates(file: Reading) -> list[ast.FunctionDef]:
    """The functions that make batches or examples for a data loader; none where there are several kinds."""
    found = [each for each in file.all(ast.FunctionDef) if _COLLATES.search(each.name) or _is_collator(file, each)]
    named = [each for each in found if each.name != "__getitem__"]
    chosen = named or found
    return chosen if len(chosen) == 1 else []


def _is_collator(file: Reading, function: ast.FunctionDef) -> bool:
    owner = file.class_of(function) if function.name == "__call__" else None
    return owner is not None and "collat" in owner.name.lower()


def _place(file: Reading, name: ast.Name) -> tuple[ast.expr, int] | None:
    """What a name is taken out of, and which part of it: `get_batch()` and 1 for `y` of `x, y = get_batch()`."""
    binding = file.definition(name)
    if binding is not None and binding.value is not None:
        if binding.index is not None:
            return binding.value, binding.index
        value = binding.value
        while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _SAME:
            value = value.func.value
        return _place(file, value) if isinstance(value, ast.Name) and value is not binding.value else None
    if binding is not None and binding.index is None and isinstance(binding.statement, ast.arg):
        return None
    for loop in file.around(name):
        if not isinstance(loop, ast.For):
            continue
        target = loop.target
        if (
            isinstance(target, ast.Tuple)
            and isinstance(loop.iter, ast.Call)
            and last_name(loop.iter.func) == "enumerate"
        ):
            target = target.elts[-1]
            iterated = loop.iter.args[0] if loop.iter.args else loop.iter
        else:
            iterated = loop.iter
        if isinstance(target, ast.Tuple):
            for at, each in enumerate(target.elts):
                if isinstance(each, ast.Name) and each.id == name.id:
                    return iterated, at
    return None


def _all_items(file: Reading, functions: list[ast.FunctionDef], key: str | int) -> list[ast.expr]:
    found: list[ast.expr] = []
    for function in functions:
        for value in returned(file, function) or []:
            item = item_of(file, value, key)
            if item is None:
                return []
            found.append(item)
    return found


def item_of(file: Reading, value: ast.expr, key: str | int) -> ast.expr | None:
    """One item of a tuple or dict that is written out."""
    match file.origin(value):
        case ast.Dict(keys=keys, values=values):
            for name, each in zip(keys, values, strict=True):
                if isinstance(name, ast.Constant) and name.value == key:
                    return each
        case ast.Tuple(elts=parts) if isinstance(key, int) and key < len(parts):
            return parts[key]
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            return next((each.value for each in keywords if each.arg == key), None)
    return None


def window(file: Reading, node: ast.expr) -> Window | None:
    """The slice that a value is: `data[i + 1 : i + 1 + n]`, also stacked from many, or made a tensor."""
    for _ in range(12):
        node = file.origin(node)
        match node:
            case ast.Call(args=[inner, *_]) if last_name(node.func) in _WRAPPERS and not _is_method_of_value(
                file, node
            ):
                node = inner
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _SAME | _WRAPPERS:
                node = inner
            case ast.ListComp(elt=inner):
                node = inner
            case ast.Subscript(slice=ast.Slice() as cut):
                return _window(node, cut)
            case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None), ast.Slice() as cut])):
                return _window(node, cut)
            case _:
                return None
    return None


def _is_method_of_value(file: Reading, call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and file.full_name(call.func) is None


def _window(node: ast.Subscript, cut: ast.Slice) -> Window | None:
    if cut.step is not None:
        return None
    start, offset = split_offset(cut.lower)
    return Window(ast.dump(node.value), start, offset, node)


def split_offset(node: ast.expr | None) -> tuple[str, int]:
    """`i + 1` as a text for `i` and 1."""
    if node is None:
        return "", 0
    known = number(node)
    if known is not None:
        return "", known
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            for one, other in ((left, right), (right, left)):
                shift = number(one)
                if shift is not None:
                    start, inner = split_offset(other)
                    return start, inner + shift
        case ast.BinOp(left=left, op=ast.Sub(), right=right) if (shift := number(right)) is not None:
            start, inner = split_offset(left)
            return start, inner - shift
    return ast.dump(node), 0
