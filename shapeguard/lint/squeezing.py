"""Squeezes that don't say which axis: where they stand, what they are of, and which axis is meant."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shapeguard.diagnostics import Applicability
from shapeguard.lint.making import makers, returned
from shapeguard.lint.only_model import called
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.lint.rule import Argument, Repair, Replacement
from shapeguard.shapes.dim import as_int

_DEEPEST = 2
_ACTIVATIONS = frozenset(
    "Sigmoid Tanh ReLU Softplus LeakyReLU ELU GELU SiLU Dropout Hardtanh LogSigmoid Identity".split()  # noqa: SIM905 - a list of so many words reads better so
)
_KEEPING = frozenset(
    "float double half to type cpu cuda detach clone contiguous exp log sigmoid tanh relu abs sqrt clamp clip round"  # noqa: SIM905 - a list of so many words reads better so
    " softplus logsigmoid bfloat16 masked_fill dropout data".split()
)
"""Methods, and functions of torch, that keep every axis."""
_POOLS = frozenset(
    "AdaptiveAvgPool2d AdaptiveMaxPool2d AdaptiveAvgPool1d AdaptiveMaxPool1d".split()  # noqa: SIM905 - a list of so many words reads better so
)
_RESIZING = frozenset(
    "interpolate max_pool1d avg_pool1d max_pool2d avg_pool2d pad grid_sample".split()  # noqa: SIM905 - a list of so many words reads better so
)
"""Functions that keep the first two axes."""
_MODEL = re.compile(
    r"(^|_)((model|net|network|critic|discriminator|classifier|regressor)(_\w+)?|actor|head|policy|qf|vf|value_head|mlp|fc"
    r"|out|output_layer|linear|rm|scorer|ranker|reranker|predictor|estimator|reward_fn|forward|discrim)\d*$"
)
"""What a model, or the layer at its end, is called."""
_OUTPUTS = frozenset(
    "logits scores score prediction_logits reward_logits rewards values".split()  # noqa: SIM905 - a list of so many words reads better so
)


@dataclass(frozen=True, slots=True, eq=False)
class Squeeze:
    """One squeeze without an axis."""

    call: ast.Call
    value: ast.expr
    """What is squeezed."""

    @property
    def is_function(self) -> bool:
        """Whether it is written `torch.squeeze(x)`."""
        return receiver(self.call) is not self.value


def bare_squeezes(file: Reading) -> Iterator[Squeeze]:
    """The squeezes in a file that name no axis."""
    for call in file.calls("squeeze"):
        found = squeeze_of(file, call)
        if found is not None:
            yield found


def squeeze_of(file: Reading, node: ast.expr) -> Squeeze | None:
    """The squeeze without an axis that an expression is; None for anything else."""
    if not isinstance(node, ast.Call) or last_name(node.func) != "squeeze":
        return None
    if file.full_name(node.func) in {"torch.squeeze", "torch.functional.squeeze"}:
        given = argument(node, 0, "input")
        return Squeeze(node, given) if given is not None and len(node.args) + len(node.keywords) == 1 else None
    owner = receiver(node)
    if owner is None or node.args or node.keywords or file.full_name(node.func) is not None:
        return None
    return Squeeze(node, owner)


def squeezed(file: Reading, node: ast.expr) -> Squeeze | None:
    """The squeeze without an axis from which a value comes, through names and steps that keep its axes."""
    return squeeze_of(file, source(file, node))


def source(file: Reading, node: ast.expr) -> ast.expr:
    """What has the same axes before steps that keep them: `model(x)` of `torch.sigmoid(model(x).float())`."""
    for _ in range(12):
        inner = _unkept(file, node)
        if inner is None:
            break
        node = inner
    return node


def _unkept(file: Reading, node: ast.expr) -> ast.expr | None:
    match node:
        case ast.Name():
            inner = file.origin(node)
            return None if inner is node else inner
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=given) if name in _KEEPING:
            full = file.full_name(node.func)
            if full is None:
                return value
            return given[0] if full.startswith("torch.") and given else None
        case ast.Attribute(value=value, attr="data"):
            return value
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() | ast.Add() | ast.Sub(), right=ast.Constant()):
            return left
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return operand
    return None


# Positions in a tensor.


def is_of_indices(file: Reading, squeeze: Squeeze) -> bool:
    """Whether the positions are squeezed that `nonzero`, `argwhere` or `where` gives, one a row."""
    call = source(file, squeeze.value)
    if not isinstance(call, ast.Call):
        return False
    name = last_name(call.func)
    full = file.full_name(call.func)
    if name not in {"nonzero", "argwhere"} or (full is not None and not full.startswith("torch.")):
        return False
    as_tuple = next((each.value for each in call.keywords if each.arg == "as_tuple"), None)
    return as_tuple is None or (isinstance(as_tuple, ast.Constant) and as_tuple.value is False)


# Which axis is meant.


@dataclass(frozen=True, slots=True)
class Meant:
    """The axes of size 1 that a squeeze is there to remove."""

    axes: tuple[int, ...]
    because: str
    """Where that is seen, as a note."""
    flattens: bool = False
    """Whether everything behind the second axis is meant."""
    sure: bool = False
    """Whether every other axis is known not to be of size 1 by itself."""
    rank: int | None = None
    """The number of axes after it, where that is known."""


def meant_axes(file: Reading, squeeze: Squeeze) -> Meant | None:
    """The axes of size 1 that a value is seen to have beside others whose size only the run tells."""
    return single_axes(file, squeeze.value)


def single_axes(file: Reading, value: ast.expr) -> Meant | None:
    """The same of any expression."""
    return _seen(file, value) or _of_result(file, value, 0) or _stated(file, value)


def _seen(file: Reading, value: ast.expr) -> Meant | None:
    node = source(file, value)
    match node:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            return _of_product(file, left, right, file.text(node))
        case ast.Subscript(value=ast.Call() as call, slice=ast.Constant(value=int())):
            return _of_kept(file, call)
        case ast.Attribute(value=ast.Call() as call, attr="values" | "indices"):
            return _of_kept(file, call)
        case ast.Attribute(value=inner, attr="logits") | ast.Subscript(value=inner, slice=ast.Constant(value="logits")):
            return _of_one_label(file, source(file, inner))
        case ast.Subscript():
            return _of_slice(node, file.text(node))
        case ast.Call():
            return _of_call(file, node)
    return None


def _of_call(file: Reading, call: ast.Call) -> Meant | None:
    name, text = last_name(call.func), file.text(call)
    if name in {"matmul", "bmm"}:
        left, right = file.given(call, 0, "input"), file.given(call, 1, "mat2", "other")
        return None if left is None or right is None else _of_product(file, left, right, text)
    if name == "gather":
        return _of_gather(file, call, text)
    if name == "stack":
        return _of_stacked(file, call)
    if name == "unsqueeze":
        axis = number(file.given(call, 1, "dim"))
        return Meant((axis,), f"`{text}` has put axis {axis} in") if axis else None
    if name in {"view", "reshape"} and len(call.args) > 1 and number(call.args[-1]) == 1:
        return Meant((-1,), f"`{text}` ends in an axis of size 1")
    if name in _RESIZING and call.args:
        return _of_resized(file, call)
    return _of_kept(file, call)


def _of_resized(file: Reading, call: ast.Call) -> Meant | None:
    inner = source(file, call.args[0])
    if not isinstance(inner, ast.Call) or last_name(inner.func) != "unsqueeze":
        return None
    is_second = number(file.given(inner, 1, "dim")) == 1
    return Meant((1,), f"`{file.text(inner)}` has put axis 1 in") if is_second else None


def _of_one_label(file: Reading, node: ast.expr) -> Meant | None:
    """The scores of a sequence that a model loaded with one label gives."""
    for made in makers(file, node.func) if isinstance(node, ast.Call) else ():
        labels = next((each.value for each in made.keywords if each.arg == "num_labels"), None)
        if last_name(made.func) == "from_pretrained" and number(labels) == 1:
            return Meant((-1,), f"`{file.text(made)}` scores one label, so the last axis is 1")
    return None


def _of_kept(file: Reading, call: ast.Call) -> Meant | None:
    """What reduces an axis and keeps it, or keeps one place of it."""
    if last_name(call.func) == "topk":
        if number(file.given(call, 1, "k")) != 1:
            return None
        given = file.given(call, 2, "dim")
        axis = -1 if given is None else number(given)
        return Meant((axis,), f"`{file.text(call)}` has one place along axis {axis}") if axis else None
    kept = next((each.value for each in call.keywords if each.arg == "keepdim"), None)
    if not (isinstance(kept, ast.Constant) and kept.value is True):
        return None
    axis = number(file.given(call, 1, "dim", "axis"))
    return Meant((axis,), f"`{file.text(call)}` keeps axis {axis}") if axis else None


def _new_axis(file: Reading, value: ast.expr) -> int | None:
    """The axis, counted as it is written, that `unsqueeze` or an index by None has put in last."""
    node = file.origin(value)
    match node:
        case ast.Call(func=ast.Attribute(attr="unsqueeze")):
            return number(file.given(node, 1, "dim"))
        case ast.Call(func=ast.Attribute(attr="view" | "reshape"), args=[*_, last]) if number(last) == 1:
            return -1
        case ast.Subscript(slice=ast.Tuple(elts=parts)):
            news = [index for index, each in enumerate(parts) if isinstance(each, ast.Constant) and each.value is None]
            if len(news) != 1:
                return None
            dotted = any(isinstance(each, ast.Constant) and each.value is ... for each in parts[: news[0]])
            return news[0] - len(parts) if dotted else news[0]
    return None


def _of_product(file: Reading, left: ast.expr, right: ast.expr, text: str) -> Meant | None:
    """Rows of the left one and columns of the right one are what a product has; so is a new axis there."""
    before, after = _new_axis(file, left), _new_axis(file, right)
    axes = []
    if before in {1, -2} and after != 0:  # else it is an outer product
        axes.append(-2)
    if after in {2, -1}:
        axes.append(-1)
    return Meant(tuple(axes), f"`{text}` multiplies by what was given an axis") if axes else None


def _of_gather(file: Reading, call: ast.Call, text: str) -> Meant | None:
    """What is gathered is shaped as the index."""
    index = file.given(call, 2, "index")
    axis = None if index is None else _new_axis(file, index)
    if index is None or not axis:
        return None
    return Meant((axis,), f"`{file.text(index)}`, the index of `{text}`, has axis {axis} of size 1")


def _of_slice(node: ast.Subscript, text: str) -> Meant | None:
    """`x[:, -1:]` has one of what is there."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    axes = []
    for index, part in enumerate(parts):
        if not isinstance(part, ast.Slice):
            return None
        first, last = number(part.lower), number(part.upper)
        one = (part.lower is None or first == 0) and last == 1
        if one or (first == -1 and part.upper is None) or (first is not None and last == first + 1 and last != 0):
            axes.append(index)
    return Meant(tuple(axes), f"`{text}` takes one place of axis {axes[0]}") if axes and axes[0] > 0 else None


def _of_layer(file: Reading, call: ast.Call) -> Meant | None:
    """Of what a layer gives."""
    for made in makers(file, call.func):
        last = _last_layer(made)
        if last is None:
            continue
        size = argument(last, 1, "out_features") if "Linear" in last_name(last.func) else None
        if number(size) == 1:
            return Meant((-1,), f"`{file.text(call.func)}` ends in `{file.text(last)}`, so the last axis is 1")
        if isinstance(size, ast.Name) and _is_setting(file, size):
            why = f"`{file.text(call.func)}` ends in `{file.text(last)}`: the last axis is 1 only where `{last_name(size)}` is"
            return Meant((-1,), why)
        size = argument(last, 0, "output_size")
        ones = size.elts if isinstance(size, ast.Tuple) else [size]
        if last_name(last.func) in _POOLS and all(number(each) == 1 for each in ones):
            why = f"`{file.text(call.func)}` is `{file.text(last)}`, so what is behind the channels is 1"
            return Meant((), why, flattens=True)
    if last_name(call.func) in {"adaptive_avg_pool2d", "adaptive_max_pool2d"} and len(call.args) > 1:
        size = call.args[1]
        if all(number(each) == 1 for each in (size.elts if isinstance(size, ast.Tuple) else [size])):
            return Meant((), f"`{file.text(call)}` leaves 1 behind the channels", flattens=True)
    return None


def _is_setting(file: Reading, size: ast.Name) -> bool:
    """Whether the number of features is what `__init__` is given."""
    binding = file.definition(size)
    return binding is not None and isinstance(binding.statement, ast.arg)


def _of_stacked(file: Reading, call: ast.Call) -> Meant | None:
    """Of a list of what a model gives for one example at a time, stacked."""
    items = file.origin(call.args[0]) if call.args else None
    axis = file.given(call, 1, "dim")
    if items is None or (axis is not None and number(axis) != 0) or not isinstance(call.args[0], ast.Name):
        return None
    scope, name = file.scope(call), call.args[0].id
    given = [
        each.args[0]
        for each in file.calls("append")
        if isinstance(each.func, ast.Attribute)
        and isinstance(each.func.value, ast.Name)
        and each.func.value.id == name
        and file.scope(each) is scope
        and len(each.args) == 1
    ]
    ones = [made for each in given if (made := _batch_of_one(file, each)) is not None]
    if not given or len(ones) < len(given):
        return None
    return Meant((1,), f"`{file.text(ones[0])}` is a batch of one, so axis 1 of what is stacked is 1", rank=2)


def _batch_of_one(file: Reading, value: ast.expr) -> ast.expr | None:
    """`x.unsqueeze(0)` of `model(x.unsqueeze(0))`."""
    node = source(file, value)
    if isinstance(node, ast.Call) and len(node.args) == 1 and (made := source(file, node.args[0])) is not node:
        node = made if not _is_new_batch(file, node) else node
    return node if _is_new_batch(file, node) else None


def _is_new_batch(file: Reading, node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="unsqueeze")):
            return number(file.given(node, 1, "dim")) == 0
        case ast.Subscript(slice=ast.Constant(value=None)):
            return True
    return False


def _of_function(file: Reading, call: ast.Call, index: int | None, depth: int) -> Meant | None:
    """Of what a function of the file gives, or one of the values that it gives: if a layer gives that."""
    for function in called(file, call):
        values = returned(file, function)
        value = values[0] if values is not None and len(values) == 1 else None
        if index is not None:
            value = value.elts[index] if isinstance(value, ast.Tuple) and index < len(value.elts) else None
        found = None if value is None else _of_result(file, value, depth + 1)
        if found is not None:
            return found
    return None


def _of_result(file: Reading, value: ast.expr, depth: int) -> Meant | None:
    node = source(file, value)
    index = None
    if isinstance(node, ast.Name):
        binding = file.definition(node)
        if binding is None or binding.value is None or binding.index is None:
            return None
        node, index = binding.value, binding.index
    if not isinstance(node, ast.Call) or depth > _DEEPEST:
        return None
    own = _of_layer(file, node) if index is None else _of_kept(file, node)
    return own or _of_function(file, node, index, depth)


def is_one_number_a_row(file: Reading, value: ast.expr) -> bool:
    """Whether a layer with one output gives a value: that is neither sound nor a picture."""
    found = _of_result(file, value, 0)
    return found is not None and found.axes == (-1,)


def _last_layer(made: ast.Call) -> ast.Call | None:
    """The layer at the end of a Sequential, before what keeps the axes."""
    while last_name(made.func) == "Sequential":
        layers = [each for each in made.args if not _is_activation(each)]
        if not layers or not isinstance(layers[-1], ast.Call):
            return None
        made = layers[-1]
    return made


def _is_activation(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) in _ACTIVATIONS


def _stated(file: Reading, value: ast.expr) -> Meant | None:
    """The axes of size 1 in a shape that the code states, if the first one and another one aren't."""
    shape = file.shape_of(value)
    if shape is None or shape.sizes is None or any(size is None for size in shape.sizes):
        return None
    sizes = [None if size is None else as_int(size) for size in shape.sizes]
    ones = [index for index, size in enumerate(sizes) if size == 1]
    if not ones or ones[0] == 0 or sizes[0] is not None:
        return None
    axes = (-1,) if ones == [len(sizes) - 1] else tuple(ones)
    return Meant(axes, f"{file.text(value)}: {shape}", sure=True, rank=len(sizes) - len(ones))


def repair(squeeze: Squeeze, meant: Meant) -> Repair:
    """The squeeze with its axes named."""
    if meant.flattens:
        change = Replacement(squeeze.call, "{}.flatten(1)", (squeeze.value,))
        return Repair("Say what is flattened: `.flatten(1)`", (change,))
    order = sorted(meant.axes, reverse=True)
    steps = [axis + index if axis < 0 else axis for index, axis in enumerate(order)]
    text = "".join(f".squeeze({axis})" for axis in steps)
    message = f"Name the axis: `{text}`"
    applicability: Applicability = "safe" if meant.sure else "unsafe"
    if len(steps) > 1:
        return Repair(message, (Replacement(squeeze.call, f"{{}}{text}", (squeeze.value,)),), applicability)
    keyword = "dim" if squeeze.call.keywords else None
    return Repair(message, (Argument(squeeze.call, str(steps[0]), keyword),), applicability)


def output_of_model(file: Reading, value: ast.expr) -> ast.Call | None:
    """The call of a model, by its name, whose result a value is or is a field of."""
    node = source(file, value)
    for _ in range(6):
        match node:
            case ast.Attribute(value=inner, attr=name) if name in _OUTPUTS:
                node = source(file, inner)
            case ast.Subscript(value=inner, slice=ast.Constant(value=str() | 0)):
                node = source(file, inner)
            case ast.Name():
                binding = file.definition(node)
                if binding is None or binding.value is None:
                    break
                node = source(file, binding.value)
            case _:
                break
    if not isinstance(node, ast.Call):
        return None
    name = last_name(node.func)
    is_own = isinstance(node.func, ast.Name) and name == "self"
    return node if is_own or _MODEL.search(name.lower()) else None
