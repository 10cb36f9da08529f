"""Whether a tensor is a column or a row: what its last axis is, as far as its making shows it."""

from __future__ import annotations

import ast
from typing import Literal, TypeAlias

from shapeguard.lint.making import functions_called, is_changed_in_place, makers, returned
from shapeguard.lint.reading import Reading, argument, last_name, number
from shapeguard.shapes.dim import as_int

Column: TypeAlias = Literal["column", "row", "wide", "loose", "maybe", "matrix"]
"""`column`: the last of several axes has size 1. `row`: one axis, of more elements than one. `wide`: a row that something
was added to. `loose`: a column without its last axis. `maybe`: the `max(1)` of a matrix. `matrix`: several axes, of which
nothing else is known."""
BATCH_SIZES = frozenset({"batch_size", "bs", "batchsize", "n_samples", "num_samples"})
"""Names of numbers of rows."""

_SAME_SHAPE = frozenset(
    "float double half bfloat16 long int bool to cuda cpu type type_as detach clone contiguous requires_grad_"  # noqa: SIM905 - a list of so many words reads better so
    " sigmoid tanh relu exp log sqrt abs pow clamp clip neg softplus logsigmoid round clamp_ mul add sub div"
    " sigmoid_ relu_ tanh_ leaky_relu gelu dropout nan_to_num".split()
)
_SAME_SHAPE_LAYERS = frozenset(
    "Sigmoid Tanh ReLU LeakyReLU Softplus Dropout Identity GELU ELU LogSigmoid BatchNorm1d Hardtanh".split()  # noqa: SIM905 - a list of so many words reads better so
)
_SIZED = frozenset({"ones", "zeros", "rand", "randn", "empty", "arange"})
_REDUCTIONS = frozenset({"max", "min", "sum", "mean", "amax", "amin", "prod", "logsumexp", "norm", "argmax", "argmin"})
_LONGEST = 20


def column_of(file: Reading, node: ast.expr) -> Column | None:
    """What the code that makes a tensor shows of its last axis."""
    return _column(file, node, _LONGEST)


def column_by_shape(file: Reading, node: ast.expr) -> Column | None:
    """The same, by what the static checker knows."""
    shape = file.shape_of(node)
    if shape is None or not shape.axes:
        return None
    last = shape.axes[-1].size
    size = None if last is None else as_int(last)
    if size == 1:
        return "column" if len(shape.axes) > 1 else None
    return "row" if len(shape.axes) == 1 and last is not None else None


def _column(file: Reading, node: ast.expr, left: int) -> Column | None:
    if left <= 0:
        return None
    match node:
        case ast.Name():
            return _of_name(file, node, left - 1)
        case ast.Subscript(value=value, slice=place):
            return _of_part(file, value, place, left - 1)
        case ast.Attribute(value=value, attr="values" | "indices"):
            return _of_best(file, value, left - 1)
        case ast.Attribute(value=value, attr="data") | ast.UnaryOp(op=ast.USub(), operand=value):
            return _column(file, value, left - 1)
        case ast.BinOp(left=first, op=operator, right=second) if not isinstance(operator, ast.MatMult):
            return _of_both(file, first, second, left // 2)
        case ast.Call():
            return _of_call(file, node, left - 1)
    return None


def _of_name(file: Reading, name: ast.Name, left: int) -> Column | None:
    binding = file.definition(name)
    if binding is None or binding.value is None or is_changed_in_place(file, binding):
        return None
    if binding.index is None:
        return _column(file, binding.value, left)
    return _of_best(file, binding.value, left) if binding.count == 2 else None  # noqa: PLR2004 - values and places


def _of_part(file: Reading, value: ast.expr, place: ast.expr, left: int) -> Column | None:
    """`x[:, None]`, `x.max(1)[0]`."""
    match place:
        case ast.Tuple(elts=[_, *_, ast.Constant(value=None)]):
            return "column"
        case ast.Constant(value=0 | 1):
            return _of_best(file, value, left)
    return None


def _of_best(file: Reading, call: ast.expr, left: int) -> Column | None:
    """The values or places of `x.max(1)`."""
    if not isinstance(call, ast.Call) or last_name(call.func) not in {"max", "min"}:
        return None
    return _of_reduction(file, call, left)


def _of_both(file: Reading, first: ast.expr, second: ast.expr, left: int) -> Column | None:
    """What arithmetic gives of two tensors or numbers, by broadcasting."""
    kinds: list[Column | None] = []
    for each in (first, second):
        if _is_number(file, each):
            continue
        kinds.append(_column(file, each, left))
    if len(kinds) == 1 or (len(kinds) > 1 and kinds[0] == kinds[1]):
        return kinds[0]
    if "row" in kinds or "wide" in kinds:
        return "wide"
    return "loose" if "loose" in kinds else "maybe" if "maybe" in kinds else None


def _is_number(file: Reading, node: ast.expr) -> bool:
    """Whether an expression is surely no tensor of several elements; names of factors that are numbers count."""
    match file.origin(node):
        case ast.Constant():
            return True
        case ast.UnaryOp(operand=ast.Constant()):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower() in {"gamma", "temperature", "alpha", "beta", "scale", "eps", "discount"}
    return False


def _of_call(file: Reading, call: ast.Call, left: int) -> Column | None:
    full, name = file.full_name(call.func), last_name(call.func)
    if full is not None and name == "Variable":
        return _column(file, call.args[0], left) if call.args else None
    if full is not None:
        return _of_torch(file, call, name, left) if full.partition(".")[0] == "torch" else None
    if isinstance(call.func, ast.Attribute) and last_name(call.func.value) != "self":
        return _of_method(file, call, call.func.value, name, left)
    layers = makers(file, call.func)
    if layers and all(gives_one(file, each) for each in layers):
        return "column"
    kinds = {
        _column(file, value, left // 2)
        for function in functions_called(file, call)
        for value in returned(file, function) or [ast.Constant(None)]
    }
    return kinds.pop() if len(kinds) == 1 else None


def gives_one(file: Reading, layer: ast.expr) -> bool:
    """Whether a layer gives one number for each row: `nn.Linear(d, 1)`, and what ends in one."""
    if not isinstance(layer, ast.Call) or not (file.full_name(layer.func) or "").startswith("torch."):
        return False
    name = last_name(layer.func)
    if name == "Linear":
        return number(argument(layer, 1, "out_features")) == 1
    if name != "Sequential":
        return False
    for each in reversed(layer.args):
        if not (isinstance(each, ast.Call) and last_name(each.func) in _SAME_SHAPE_LAYERS):
            return gives_one(file, each)
    return False


def _of_torch(file: Reading, call: ast.Call, name: str, left: int) -> Column | None:
    """`torch.sigmoid(x)`, `torch.ones(len(x))`."""
    if not call.args:
        return None
    if name in _SIZED:
        return "row" if len(call.args) == 1 and _is_size(file, call.args[0]) else None
    if (
        name == "cat"
        and isinstance(call.args[0], ast.List | ast.Tuple)
        and number(argument(call, 1, "dim")) in {None, 0}
    ):
        kinds = {_column(file, each, left // 2) for each in call.args[0].elts}
        return kinds.pop() if len(kinds) == 1 else None
    if name in {"ones_like", "zeros_like", "rand_like", "randn_like", "full_like"}:
        return _column(file, call.args[0], left)
    method = ast.Call(call.func, call.args[1:], call.keywords)
    return _of_method(file, method, call.args[0], name, left)


def _is_size(file: Reading, node: ast.expr) -> bool:
    """Whether an expression is surely one number: `x.size(0)`, `len(x)`, `x.shape[0]`."""
    match file.origin(node):
        case ast.Call(func=ast.Attribute(attr="size"), args=[_]) | ast.Call(func=ast.Name(id="len")):
            return True
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=place):
            return number(place) is not None
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower() in BATCH_SIZES
    return False


def _of_method(file: Reading, call: ast.Call, value: ast.expr, name: str, left: int) -> Column | None:
    """What a method, or a function of a tensor, makes of it; `call` has the further arguments."""
    if name in _SAME_SHAPE:
        return _column(file, value, left) if not call.args or name not in {"mul", "add", "sub", "div", "pow"} else None
    if name in _REDUCTIONS:
        return None if name in {"max", "min"} else _of_reduction(file, call, left)
    place = number(argument(call, 0, "dim"))
    match name:
        case "view" | "reshape":
            return _of_sizes(call.args)
        case "flatten" | "ravel":
            return "row" if not call.args and not call.keywords else None
        case "unsqueeze":
            return "column" if place == -1 or (place == 1 and _column(file, value, left) == "row") else None
        case "squeeze":
            return "loose" if place == -1 and _column(file, value, left) == "column" else None
        case "gather":
            index = argument(call, 1, "index")
            is_column = place in {1, -1} and index is not None and _is_column_of_places(file, index, left)
            return "column" if is_column else "matrix" if place == 1 else None
    return None


def _is_column_of_places(file: Reading, index: ast.expr, left: int) -> bool:
    """Whether what `gather(1, index)` takes from a matrix is a column: `actions.unsqueeze(1)`."""
    match index:
        case ast.Call(func=ast.Attribute(attr="unsqueeze"), args=[place]):
            return number(place) in {1, -1}
    return _column(file, index, left) == "column"


def _of_sizes(sizes: list[ast.expr]) -> Column | None:
    """`view(-1)`, `view(-1, 1)`."""
    if len(sizes) == 1:
        sizes = sizes[0].elts if isinstance(sizes[0], ast.Tuple | ast.List) else sizes
    if len(sizes) == 1:
        return "row" if number(sizes[0]) == -1 else None
    return "column" if len(sizes) > 1 and number(sizes[-1]) == 1 else None


def _of_reduction(file: Reading, call: ast.Call, left: int) -> Column | None:
    """`x.max(1)[0]` of a matrix, and `x.mean(-1, keepdim=True)`."""
    is_function = file.full_name(call.func) is not None
    place = number(argument(call, 1 if is_function and last_name(call.func) in {"max", "min"} else 0, "dim"))
    kept = next((each.value for each in call.keywords if each.arg == "keepdim"), None)
    if left <= 0 or place is None or len(call.args) > 1 + is_function:
        return None
    if kept is not None:
        return "column" if place == -1 and isinstance(kept, ast.Constant) and kept.value is True else None
    return "maybe" if place == 1 and last_name(call.func) in {"max", "min"} else None
