"""Where a value's positions come from: through names, items, attributes, slices and shifts, and functions of the file."""

from __future__ import annotations

import ast
from dataclasses import replace

from shapeguard.lint.making import returned
from shapeguard.lint.moments import Frame, Moments, Place, cut_of
from shapeguard.lint.only_model import called
from shapeguard.lint.produced import item_of, produced, split_offset
from shapeguard.lint.reading import Reading, argument, is_self, last_name, number, receiver
from shapeguard.lint.sequences import KEEPS_THE_SEQUENCE, RESHAPES, has_slices, is_reshaped, stores

_WRAPS = frozenset({"tensor", "as_tensor", "stack", "LongTensor", "from_numpy", "array", "asarray"})
_SAME = frozenset({"astype", "numpy", "requires_grad_", "pin_memory"})
_JOINS = frozenset({"cat", "concat", "hstack", "concatenate"})
_FRESH = frozenset({
    "clone", "copy", "empty", "empty_like", "full", "full_like", "new_full", "new_zeros", "ones", "ones_like", "zeros",
    "zeros_like", "new_ones", "new_empty",
})  # fmt: skip
_FIRST = ("bos", "sos", "start", "begin", "go_", "first", "init")
_DEEPEST = 40
_MOST_FRAMES = 5


def moments(file: Reading, place: Place, *, logits: bool = False) -> Moments | None:
    """What moments an expression is of; None where that isn't sure. Along logits, the last axis is the vocabulary."""
    found: Moments | None = Moments(place)
    for _ in range(_DEEPEST):
        file.spend()
        if found is None or (found.steps and is_reshaped(found.root.node)):
            return None
        inner = _inner(file, *found.root, logits=logits)
        if inner is not None and inner.root.node is found.root.node and inner.root.frame is found.root.frame:
            return found
        found = None if inner is None else found.within(inner)
    return None


def _inner(file: Reading, node: ast.expr, frame: Frame | None, *, logits: bool) -> Moments | None:
    """One step towards where a value comes from: itself at the end, None where it isn't sure."""
    own = Moments(Place(node, frame))
    match node:
        case ast.Name():
            return _of_name(file, node, frame)
        case ast.Subscript() if (cut := cut_of(node, logits=logits)) is not None:
            return cut.at(node.value, frame)
        case ast.Subscript():
            item = _item(file, node, frame)
            return Moments(item) if item is not None else own if _is_key(node) else None
        case ast.Call():
            return _through(file, node, frame) or own
        case ast.Attribute():
            made = _attribute(file, node)
            return own if made is None else Moments(made)
        case ast.ListComp(elt=element) | ast.NamedExpr(value=element):
            return own.at(element, frame)
    return None


# Names, items, attributes.


def _of_name(file: Reading, name: ast.Name, frame: Frame | None) -> Moments | None:
    """What a name stands for: the moments of a root, itself where nothing more is known; None where that isn't sure."""
    own = Moments(Place(name, frame))
    binding = file.definition(name)
    if binding is None:
        item = _handed_out(file, name)
        is_unsure = bool(file.bindings(file.scope(name), name.id)) and not _is_looped(file, name)
        return Moments(item) if item is not None else None if is_unsure else own
    if isinstance(binding.statement, ast.arg):
        given = argument_of(frame, name.id)
        return own if given is None else Moments(given)
    if binding.value is None or binding.index is not None:
        item = None if binding.value is None else _unpacked(file, binding.value, binding.index, frame)
        item = item or _handed_out(file, name)
        return own if item is None else Moments(item)
    filled = _filled(file, name, binding.value, frame)
    plain = Moments(Place(binding.value, frame)) if _is_steady(file, name) else None
    return filled or plain


def _handed_out(file: Reading, node: ast.expr) -> Place | None:
    """What the function of the file that makes batches hands out, where there is one such thing."""
    items = produced(file, node)
    return Place(items[0]) if len(items) == 1 else None


def _is_looped(file: Reading, name: ast.Name) -> bool:
    """Whether the variable of a loop or comprehension around it is meant."""
    for around in file.around(name):
        targets = [around.target] if isinstance(around, ast.For) else []
        if isinstance(around, ast.ListComp | ast.GeneratorExp):
            targets = [each.target for each in around.generators]
        if any(isinstance(part, ast.Name) and part.id == name.id for each in targets for part in ast.walk(each)):
            return True
    return False


def argument_of(frame: Frame | None, name: str) -> Place | None:
    """What the call of a frame gives a parameter."""
    if frame is None:
        return None
    parameters = frame.function.args
    names = [each.arg for each in (*parameters.posonlyargs, *parameters.args)]
    bound = bool(names) and names[0] in {"self", "cls"}
    at = names.index(name) - bound if name in names else len(frame.call.args)
    if at < 0:
        return None
    given = argument(frame.call, at, name)
    return None if given is None else Place(given, frame.outer)


def _unpacked(file: Reading, value: ast.expr, index: int | None, frame: Frame | None) -> Place | None:
    """One of the values that a function of the file returns together."""
    value = _moved_together(file, file.origin(value))
    if not isinstance(value, ast.Call):
        return None
    return result_of(file, value, frame, index)


def _moved_together(file: Reading, value: ast.expr) -> ast.expr:
    """`batch` of `(each.to(device) for each in batch)`."""
    match value:
        case ast.GeneratorExp(generators=[ast.comprehension(target=ast.Name(id=name), iter=given, ifs=[])], elt=elt):
            inner = elt
            while isinstance(inner, ast.Call) and (owner := receiver(inner)) is not None:
                inner = owner
            if isinstance(inner, ast.Name) and inner.id == name:
                return file.origin(given)
    return value


def result_of(file: Reading, call: ast.Call, frame: Frame | None, key: int | str | None = None) -> Place | None:
    """What a function of the file gives, or an item of that, as an expression in it."""
    if _depth(frame) >= _MOST_FRAMES:
        return None
    functions = called(file, call)
    values = returned(file, functions[0]) if len(functions) == 1 else None
    if values is None or len(values) != 1 or any(isinstance(each, ast.Starred) for each in call.args):
        return None
    value = values[0] if key is None else item_of(file, values[0], key)
    return None if value is None else Place(value, Frame(functions[0], call, frame))


def _depth(frame: Frame | None) -> int:
    count = 0
    while frame is not None:
        count, frame = count + 1, frame.outer
    return count


def _is_key(node: ast.Subscript) -> bool:
    return isinstance(node.slice, ast.Constant) and not isinstance(node.slice.value, int)


def _item(file: Reading, node: ast.Subscript, frame: Frame | None) -> Place | None:
    """An item of a dict or tuple that is written out here, or in the function of the file that makes it."""
    if not isinstance(node.slice, ast.Constant) or not isinstance(key := node.slice.value, int | str):
        return None
    return _keyed(file, node.value, key, node, frame)


def _keyed(file: Reading, owner: ast.expr, key: int | str, node: ast.expr, frame: Frame | None) -> Place | None:
    if isinstance(owner, ast.Name) and (given := argument_of(frame, owner.id)) is not None:
        owner, frame = given
    made = file.origin(owner)
    if isinstance(owner, ast.Name) and any(
        isinstance(each.slice, ast.Constant) and each.slice.value == key and file.scope(each) is file.scope(owner)
        for each in stores(file).get(owner.id, ())
    ):
        return None
    item = item_of(file, made, key)
    if item is not None:
        return Place(item, frame)
    if isinstance(made, ast.Call) and (result := result_of(file, made, frame, key)) is not None:
        return result
    return _handed_out(file, node)


def _attribute(file: Reading, node: ast.Attribute) -> Place | None:
    """What `self.inputs` is set to, where that happens once."""
    owner = file.class_of(node) if is_self(node.value) else None
    values = [] if owner is None else file.assigned(owner, node.attr)
    return Place(values[0]) if len(values) == 1 and values[0] is not node and _is_cut(values[0]) else None


def _is_cut(node: ast.expr) -> bool:
    """Whether a value is cut where it is made: else an attribute is a whole of its own."""
    return any(isinstance(each, ast.Slice) for each in ast.walk(node))


# What is set in place.


def _is_steady(file: Reading, name: ast.Name) -> bool:
    """Whether no part of what a name stands for is set from elsewhere."""
    scope = file.scope(name)
    for stored in stores(file).get(name.id, ()):
        if file.scope(stored) is scope and has_slices(stored):
            statement = file.statement(stored)
            value = statement.value if isinstance(statement, ast.Assign) else None
            if number(value) is None and not _is_first(stored):
                return False
    return True


def _is_first(stored: ast.Subscript) -> bool:
    """Whether one position of each row is set: `x[:, 0]`."""
    parts = stored.slice.elts if isinstance(stored.slice, ast.Tuple) else []
    return bool(parts) and number(parts[-1]) is not None


def _filled(file: Reading, name: ast.Name, value: ast.expr, frame: Frame | None) -> Moments | None:
    """`shifted[:, 1:] = x[:, :-1]` of a tensor that was made for it."""
    if not isinstance(value, ast.Call) or last_name(value.func) not in _FRESH:
        return None
    scope = file.scope(name)
    set_here = [each for each in stores(file).get(name.id, ()) if file.scope(each) is scope and has_slices(each)]
    set_here = [each for each in set_here if not _is_first(each)]
    if len(set_here) != 1:
        return None
    statement = file.statement(set_here[0])
    cut = cut_of(set_here[0], logits=False)
    if not isinstance(statement, ast.Assign) or cut is None or cut.start or cut.is_step:
        return None
    if number(statement.value) is not None or statement.lineno > name.lineno:
        return None
    inner = moments(file, Place(statement.value, frame))
    if inner is None or not inner.steps:
        return None
    return replace(inner, shift=inner.shift - cut.shift, drops=0, steps=(statement.value,))


# Calls.


def _through(file: Reading, call: ast.Call, frame: Frame | None) -> Moments | None:
    """What a call makes of a sequence; None where it makes something of its own."""
    name = last_name(call.func)
    is_function = file.full_name(call.func) is not None
    owner = None if is_function else receiver(call)
    first = call.args[0] if call.args else None
    given = first if is_function or owner is None else owner
    if name == "get" and owner is not None and isinstance(first, ast.Constant):
        item = _keyed(file, owner, first.value, call, frame) if isinstance(first.value, str | int) else None
        return None if item is None else Moments(item)
    if name in KEEPS_THE_SEQUENCE | RESHAPES | _SAME or (is_function and name in _WRAPS):
        return None if given is None else Moments(Place(given, frame))
    offset = 0 if owner is not None else 1
    if name == "narrow" and given is not None:
        return _narrowed(call, Place(given, frame), offset)
    if name == "roll" and given is not None:
        by, dim = number(argument(call, offset, "shifts")), number(argument(call, offset + 1, "dims", "dim"))
        return None if by is None or dim not in {1, -1} else Moments(Place(given, frame)).moved(-by, call)
    if name == "index_select" and given is not None:
        return _selected(file, call, Place(given, frame), offset)
    if name == "pad" and is_function and given is not None:
        return _padded(call, Place(given, frame))
    if name in _JOINS and is_function and isinstance(first, ast.List | ast.Tuple):
        return _joined(file, call, first.elts, frame)
    result = result_of(file, call, frame) if not is_function else None
    inner = None if result is None else moments(file, result)
    # What a function makes of its own isn't followed into it.
    return inner if inner is not None and inner.root.frame is not result.frame else None  # type: ignore[union-attr]


def _narrowed(call: ast.Call, place: Place, offset: int) -> Moments | None:
    dim, start = number(argument(call, offset, "dim")), argument(call, offset + 1, "start")
    length = argument(call, offset + 2, "length")
    if dim not in {1, -1} or start is None or length is None:
        return None
    text, shift = split_offset(start)
    less = _less(length) if not text else None
    drops = None if less is None else less - shift
    return Moments(place, text, shift, drops if drops is None or drops >= 0 else None, steps=(call,))


def _less(length: ast.expr) -> int | None:
    """How much less than a size a length is: 1 for `x.size(1) - 1`."""
    match length:
        case ast.BinOp(op=ast.Sub(), right=right):
            return number(right)
    return None


def _selected(file: Reading, call: ast.Call, place: Place, offset: int) -> Moments | None:
    """`x.index_select(1, torch.arange(1, n))`."""
    index = argument(call, offset + 1, "index")
    made = None if index is None else file.origin(index)
    if number(argument(call, offset, "dim")) not in {1, -1} or not isinstance(made, ast.Call):
        return None
    if last_name(made.func) != "arange" or not made.args or len(made.args) > 2:  # noqa: PLR2004 - a step would leave some out
        return None
    start, shift = split_offset(made.args[0]) if len(made.args) > 1 else ("", 0)
    less = _less(made.args[-1])
    drops = None if start else 0 if less is None else less
    return Moments(place, start, shift, drops, steps=(call,))


def _padded(call: ast.Call, place: Place) -> Moments | None:
    """`F.pad(x, (1, -1))`, and `F.pad(x[:, 1:], (0, 1))`."""
    match argument(call, 1, "pad"):
        case ast.Tuple(elts=[left, right]) | ast.List(elts=[left, right]):
            before, behind = number(left), number(right)
            if before is not None and behind is not None:
                drops = max(0, -behind - before) if before <= 0 else 0
                return Moments(place).moved(-before, call, drops) if before else Moments(place)
    return None


def _joined(file: Reading, call: ast.Call, parts: list[ast.expr], frame: Frame | None) -> Moments | None:
    """`torch.cat([start, x[:, :-1]], dim=1)`, and `torch.cat([x[:, 1:], end], dim=1)`."""
    dim = number(argument(call, 1, "dim", "axis"))
    if len(parts) != 2 or dim not in {1, -1}:  # noqa: PLR2004 - the sequence, and what is put to it
        return None
    before, behind = (moments(file, Place(each, frame)) for each in parts)
    if behind is not None and (behind.shift, behind.drops) == (0, 1) and _is_one(file, parts[0]):
        return replace(behind.moved(-1, call), drops=0)
    if before is not None and (before.shift, before.drops) == (1, 0) and _is_one(file, parts[1]):
        return replace(before, drops=0, steps=(call,))
    return None


def _is_one(file: Reading, node: ast.expr) -> bool:
    """Whether it is one position for each row, by how it is made or called."""
    made = file.origin(node)
    if isinstance(made, ast.Call) and last_name(made.func) == "expand":
        made = receiver(made) or made
    if any(word in last_name(node).lower() for word in _FIRST):
        return True
    match made:
        case ast.Call(func=func, args=args):
            sizes = [
                part for each in args for part in (each.elts if isinstance(each, ast.Tuple | ast.List) else [each])
            ]
            if last_name(func) == "unsqueeze":
                return True
            makes = last_name(func) in _FRESH | {"new_tensor", "view", "reshape"}
            return makes and any(number(each) == 1 for each in sizes[1:3])
        case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice(), ast.Slice(upper=upper, lower=lower)])):
            return (number(upper) == 1 and lower is None) or (number(lower) == -1 and upper is None)
        case ast.Subscript(slice=ast.Tuple(elts=[*_, ast.Constant(value=None)])):
            return True
    return False
