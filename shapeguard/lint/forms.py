"""The form of a tensor: how many axes it has and what each is for, as far as the layers and steps that make it tell.

It follows functions, methods and models of the file, where the static checker's facts end at what nobody annotated. What
it doesn't know is None; a form that is open has further axes before those it knows.
"""

from __future__ import annotations

import ast

from shapeguard.lint.axes import Axes
from shapeguard.lint.axis_names import RECURRENT
from shapeguard.lint.form import OPEN, Form, Part, part_of
from shapeguard.lint.layer_forms import laid_out, through
from shapeguard.lint.layouts import BATCH_FIRST, SEQUENCE_FIRST, layout_of
from shapeguard.lint.making import functions_called, is_changed_in_place, makers, returned
from shapeguard.lint.measuring import shape_source
from shapeguard.lint.only_model import called
from shapeguard.lint.reading import Reading, argument, last_name, number
from shapeguard.shapes.dim import as_int

KEEPS = frozenset(
    "float double half bfloat16 long int bool to cuda cpu type type_as detach clone contiguous requires_grad_ sigmoid"  # noqa: SIM905 - a list of so many words reads better so
    " tanh relu relu_ exp log sqrt abs pow clamp clip clamp_min neg softplus logsigmoid round softmax log_softmax elu"
    " leaky_relu gelu silu dropout nan_to_num masked_fill cumsum cumprod flip roll sort square erf normalize sigmoid_"
    " layer_norm batch_norm zeros_like ones_like rand_like randn_like full_like eq ne gt lt ge le logical_not".split()
)
_REDUCES = frozenset(
    {"mean", "sum", "amax", "amin", "argmax", "argmin", "prod", "logsumexp", "norm", "std", "var", "any"}
)
_PAIRS = frozenset({"max", "min", "median", "mode", "topk", "kthvalue"})
"""Those that give values and places."""
_FILLED = frozenset({"zeros", "ones", "rand", "randn", "empty"})
_LONGEST = 24


def is_annotated(file: Reading, name: ast.Name) -> bool:
    """Whether a name is a parameter whose annotation may state a shape: else the static checker isn't worth its time."""
    binding = file.definition(name)
    if binding is None or not isinstance(binding.target, ast.arg) or binding.target.annotation is None:
        return False
    return any(isinstance(each, ast.Subscript) for each in ast.walk(binding.target.annotation))


class Forms:
    """The forms of the values in one file."""

    def __init__(self, file: Reading) -> None:
        self.file = file
        self.axes = Axes(file)
        self._known: dict[ast.expr, Form | None] = {}
        self._depth = 0

    def of(self, node: ast.expr) -> Form | None:
        """The form of an expression; None where nothing is known of it."""
        if node not in self._known:
            if self._depth > _LONGEST:
                return None
            self.file.spend()
            self._known[node] = None  # for a definition that goes round in a circle
            self._depth += 1
            self._known[node] = self._stated(node) or self._of(node)
            self._depth -= 1
        return self._known[node]

    def _stated(self, node: ast.expr) -> Form | None:
        """What the code's own names for the sizes say, or the static checker."""
        if not isinstance(node, ast.Name):
            return None
        shape = (self.file.shape_of(node) if is_annotated(self.file, node) else None) or self.axes.shape(node)
        if shape is None or shape.axes is None or not any(each.size is not None for each in shape.axes):
            return None
        roles = self.axes.roles(shape)
        parts: list[Part] = []
        for axis, role in zip(shape.axes, roles, strict=True):
            size = None if axis.size is None else as_int(axis.size)
            parts.append(size if size is not None else role or part_of(str(axis.size)))
        made = self._of(node)
        if made is not None and made.rank == len(parts):
            parts = [one if one is not None else two for one, two in zip(parts, made.parts, strict=True)]
        return Form(tuple(parts))

    def _of(self, node: ast.expr) -> Form | None:
        match node:
            case ast.Name():
                return self._of_name(node)
            case ast.Call():
                return self._of_call(node)
            case ast.Subscript(value=value, slice=index):
                return self._of_part(value, index)
            case ast.Attribute(value=value, attr=name):
                return self._of_attribute(value, name)
            case ast.UnaryOp(op=ast.USub(), operand=value):
                return self.of(value)
            case ast.BinOp(left=left, op=operator, right=right) if not isinstance(operator, ast.MatMult):
                return self._combined(left, right)
            case ast.Compare(left=left, comparators=[right]):
                return self._combined(left, right)
        return None

    def _of_attribute(self, value: ast.expr, name: str) -> Form | None:
        if name in {"values", "indices"}:
            return self._item(value, 0)
        inner = self.of(value) if name in {"data", "T"} else None
        if name == "T":
            return Form(inner.parts[::-1]) if inner is not None and inner.rank == 2 else None  # noqa: PLR2004 - a matrix
        return inner

    # Names, and what is taken out of tuples.

    def _of_name(self, name: ast.Name) -> Form | None:
        binding = self.file.definition(name)
        if binding is None:
            return None
        if isinstance(binding.statement, ast.arg):
            return self._of_parameter(binding.statement)
        if isinstance(binding.target, ast.Name) and is_changed_in_place(self.file, binding):
            return None
        if binding.value is None:
            return self._nested(binding.statement, binding.target)
        return self.of(binding.value) if binding.index is None else self._item(binding.value, binding.index)

    def _nested(self, statement: ast.AST, target: ast.AST) -> Form | None:
        """`h` of `out, (h, c) = lstm(x)`."""
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=[_, ast.Tuple(elts=inner)])], value=ast.Call() as call):
                return self._state(call) if target in inner else None
        return None

    def _of_parameter(self, parameter: ast.arg) -> Form | None:
        """What all places of the file that call a function give for a parameter."""
        function = self.file.parent(parameter)
        function = self.file.parent(function) if isinstance(function, ast.arguments) else None
        if not isinstance(function, ast.FunctionDef):
            return None
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if parameter.arg not in names:
            return None
        is_method = bool(names) and names[0] == "self"
        if parameter.arg == "self":
            return None
        calls = self._calls(function)
        given = [argument(call, names.index(parameter.arg) - is_method, parameter.arg) for call in calls]
        forms = [None if each is None else self.of(each) for each in given]
        return forms[0] if forms and all(each == forms[0] for each in forms) else None

    def _calls(self, function: ast.FunctionDef) -> list[ast.Call]:
        if function.name == "__init__":
            return []
        if function.name != "forward":
            return [each for each in self.file.calls(function.name) if function in functions_called(self.file, each)]
        owner = self.file.class_of(function)
        if owner is None:
            return []
        named = [each for each in self.file.all(ast.Call) if isinstance(each.func, ast.Name | ast.Attribute)]
        return [each for each in named if each.args and function in called(self.file, each)]

    def _item(self, value: ast.expr, index: int) -> Form | None:
        """One value of several."""
        match value:
            case ast.Name():
                binding = self.file.definition(value)
                whole = None if binding is None or binding.index is not None else binding.value
                return None if whole is None else self._item(whole, index)
            case ast.Tuple(elts=parts):
                return self.of(parts[index]) if index < len(parts) else None
            case ast.Call():
                return self._item_of_call(value, index)
        return None

    def _item_of_call(self, call: ast.Call, index: int) -> Form | None:
        name = last_name(call.func)
        if name in _PAIRS and self.recurrent(call) is None:
            return self._reduced(call, kept=name == "topk", is_pair=True)
        if name == "pad_packed_sequence":
            flag = argument(call, 1, "batch_first")
            first = isinstance(flag, ast.Constant) and flag.value is True
            return Form((*(BATCH_FIRST if first else SEQUENCE_FIRST)[:2], "feature")) if index == 0 else None
        made = self.recurrent(call)
        if made is not None:
            layout = layout_of(self.file, made)
            given = self.of(call.args[0]) if call.args else None
            if index != 0:
                return self._state(call) if last_name(made.func) != "LSTM" else None
            if layout is None or (given is not None and given.rank == 2):  # noqa: PLR2004 - without a batch
                return None
            return Form(layout)
        layer = self.layer(call)
        if layer is not None:
            attends = last_name(layer.func) == "MultiheadAttention" and index == 0 and call.args
            return self.of(call.args[0]) or laid_out(self.file, layer) if attends else None
        return self._returned(call, index)

    def _state(self, call: ast.Call) -> Form | None:
        made = self.recurrent(call)
        return None if made is None else Form((None, "batch", "feature"))

    def _of_part(self, value: ast.expr, index: ast.expr) -> Form | None:
        place = number(index)
        if place is not None and place >= 0:
            item = self._item(value, place)
            if item is not None:
                return item
        inner = self.of(value)
        if inner is None or inner.is_open:
            return None
        parts = list(index.elts) if isinstance(index, ast.Tuple) else [index]
        known, out = list(inner.parts), list[Part]()
        if any(isinstance(each, ast.Constant) and each.value is ... for each in parts):
            at = next(i for i, each in enumerate(parts) if isinstance(each, ast.Constant) and each.value is ...)
            used = sum(not (isinstance(each, ast.Constant) and each.value in {None, ...}) for each in parts)
            parts[at : at + 1] = [ast.Slice()] * max(len(known) - used, 0)
        for each in parts:
            if isinstance(each, ast.Constant) and each.value is None:
                out.append(1)
            elif not known:
                return None
            elif isinstance(each, ast.Slice):
                part = known.pop(0)
                whole = each.lower is each.upper is each.step is None
                out.append(part if whole or isinstance(part, str) else None)
            elif number(each) is not None:
                known.pop(0)
            else:
                return None
        return Form((*out, *known))

    def _combined(self, left: ast.expr, right: ast.expr) -> Form | None:
        """What arithmetic gives, where both are known or one is a number."""
        for one, other in ((left, right), (right, left)):
            if number(one) is not None or (isinstance(one, ast.Constant) and isinstance(one.value, float)):
                return self.of(other)
        one_form, other_form = self.of(left), self.of(right)
        return one_form if one_form == other_form else None

    # Calls.

    def recurrent(self, call: ast.Call) -> ast.Call | None:
        """The `nn.LSTM(...)` that is called."""
        made = self.layer(call)
        return made if made is not None and last_name(made.func) in RECURRENT else None

    def layer(self, call: ast.Call) -> ast.Call | None:
        """The call that makes the layer of torch which is called."""
        if not isinstance(call.func, ast.Name | ast.Attribute | ast.Call):
            return None
        found = makers(self.file, call.func)
        if len(found) != 1 or (found[0] is call.func and not isinstance(call.func, ast.Call)):
            return None
        return found[0] if (self.file.full_name(found[0].func) or "").startswith("torch.nn.") else None

    def _of_call(self, call: ast.Call) -> Form | None:
        name, full = last_name(call.func), self.file.full_name(call.func)
        if full is not None and full.startswith("torch."):
            return self._of_function(call, name)
        layer = self.layer(call)
        if layer is not None:
            given = self.of(call.args[0]) if call.args else None
            return through(self.file, layer, given or OPEN)
        if full is None and isinstance(call.func, ast.Attribute) and last_name(call.func.value) != "self":
            found = self._of_method(call, call.func.value, call.args, name)
            if found is not None:
                return found
        return self._returned(call, None)

    def _returned(self, call: ast.Call, index: int | None) -> Form | None:
        """What a function or model of the file gives."""
        values = [
            value
            for function in called(self.file, call)
            for value in returned(self.file, function) or [ast.Constant(None)]
        ]
        found = [self.of(each) if index is None else self._item(each, index) for each in values]
        return found[0] if found and all(each == found[0] for each in found) else None

    def _of_function(self, call: ast.Call, name: str) -> Form | None:
        """`torch.softmax(x, dim=1)`, `torch.ones(3, 4)`."""
        sizes: list[ast.expr] = []
        if name in _FILLED:
            sizes = call.args
        elif name in {"randint", "full"}:
            sizes = [each for each in call.args if isinstance(each, ast.Tuple | ast.List)]
        elif name in {"arange", "linspace", "randperm"}:
            return Form((None,))
        elif name == "one_hot":
            inner = self.of(call.args[0]) if call.args else None
            return None if inner is None else Form((*inner.parts, "feature"), inner.is_open)
        if sizes or name in _FILLED:
            return self._sized(sizes)
        if name == "cat" and call.args and isinstance(call.args[0], ast.List | ast.Tuple):
            return self._joined(call, call.args[0].elts)
        if not call.args or isinstance(call.args[0], ast.Starred):
            return None
        return self._of_method(call, call.args[0], call.args[1:], name)

    def _joined(self, call: ast.Call, items: list[ast.expr]) -> Form | None:
        """What `cat` gives of values of one form: the size along which they are joined is another."""
        forms = [self.of(each) for each in items]
        form = forms[0] if forms else None
        along = argument(call, 1, "dim", "axis")
        dim = 0 if along is None else number(along)
        if form is None or dim is None or any(each != form for each in forms) or (form.is_open and dim > 0):
            return None
        if form.is_open and (dim == 0 or -dim > len(form.parts)):
            return form
        if not -len(form.parts) <= dim < len(form.parts) or isinstance(form.parts[dim], str):
            return form
        at = dim % len(form.parts)
        return Form((*form.parts[:at], None, *form.parts[at + 1 :]), form.is_open)

    def _sized(self, sizes: list[ast.expr]) -> Form | None:
        """A tensor of written sizes."""
        if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple | ast.List):
            sizes = sizes[0].elts
        elif len(sizes) == 1 and self._may_be_shape(sizes[0]):
            return None
        if any(isinstance(each, ast.Starred) for each in sizes):
            return None
        return Form(tuple(self._part(each) for each in sizes))

    def _may_be_shape(self, node: ast.expr) -> bool:
        """Whether a single size may be a whole shape."""
        made = self.file.origin(node)
        if number(made) is not None or isinstance(made, ast.BinOp):
            return False
        binding = self.file.definition(made) if isinstance(made, ast.Name) else None
        if binding is not None and binding.index is not None and binding.value is not None:
            # One of what a shape is unpacked into.
            return shape_source(binding.value) is None
        return self.axes.size(node) is None or isinstance(made, ast.Name | ast.Attribute)

    def _part(self, size: ast.expr) -> Part:
        known = number(size)
        if known is not None:
            return known if known >= 0 else None
        dim = self.axes.size(size)
        measured = None if dim is None else part_of(str(dim))
        return measured or (part_of(size.id) if isinstance(size, ast.Name) else None)

    def _of_method(self, call: ast.Call, value: ast.expr, rest: list[ast.expr], name: str) -> Form | None:
        """What a method, or a function of a tensor, makes of it; `rest` are the further arguments."""
        if name in KEEPS:
            return self.of(value)
        if name in {"view", "reshape"}:
            return self._sized(rest) if rest else None
        if name == "flatten":
            return self._flattened(value, list(map(number, rest)), call)
        if name == "gather" and len(rest) + len(call.keywords) == 2:  # noqa: PLR2004 - the axis and the index
            index = rest[1] if len(rest) > 1 else argument(call, 2, "index")
            return None if index is None else self.of(index)
        inner = self.of(value)
        if inner is None or name in _REDUCES:
            return None if inner is None else self._reduced(call, value=value, rest=rest)
        return self._moved(call, inner, rest, name)

    def _moved(self, call: ast.Call, inner: Form, rest: list[ast.expr], name: str) -> Form | None:
        """What a step makes that moves, adds or takes away axes."""
        dim = number(rest[0] if rest else next((each.value for each in call.keywords if each.arg == "dim"), None))
        match name:
            case "squeeze" if dim is not None:
                return self._squeezed(inner, dim)
            case "unsqueeze" if dim is not None and (not inner.is_open or dim == -1):
                at = dim if dim >= 0 else len(inner.parts) + 1 + dim
                return Form((*inner.parts[:at], 1, *inner.parts[at:]), inner.is_open)
            case "transpose" | "swapaxes" | "permute" | "t" if not inner.is_open:
                order = self.axes.order(call, len(inner.parts))
                fits = order is not None and len(order) == len(inner.parts)
                return Form(tuple(inner.parts[each] for each in order)) if order is not None and fits else None
        return None

    def _squeezed(self, inner: Form, dim: int) -> Form | None:
        without = inner.without(dim)
        if without is None:
            return None
        part = inner.parts[dim]
        return without if part == 1 else inner if isinstance(part, int) else None

    def _flattened(self, value: ast.expr, dims: list[int | None], call: ast.Call) -> Form | None:
        start = next((number(each.value) for each in call.keywords if each.arg == "start_dim"), None)
        if start is not None and not dims:
            dims = [start]
        if not dims and not call.keywords:
            return Form((None,))
        inner = self.of(value)
        if dims == [1]:
            return Form(("batch" if inner is None or not inner.parts else inner.parts[0], "feature"))
        if dims == [0, 1] and inner is not None and not inner.is_open and len(inner.parts) > 1:
            return Form((None, *inner.parts[2:]))
        return None

    def _reduced(
        self,
        call: ast.Call,
        *,
        value: ast.expr | None = None,
        rest: list[ast.expr] | None = None,
        kept: bool = False,
        is_pair: bool = False,
    ) -> Form | None:
        """`x.argmax(1)`, `x.mean(-1, keepdim=True)`, the values and places of `x.max(1)`."""
        if value is None or rest is None:
            is_function = self.file.full_name(call.func) is not None
            if not is_function and not isinstance(call.func, ast.Attribute):
                return None
            value = call.args[0] if is_function and call.args else getattr(call.func, "value", None)
            rest = call.args[1:] if is_function else call.args
        if value is None:
            return None
        inner = self.of(value)
        if last_name(call.func) == "topk":
            rest = rest[1:] or [ast.Constant(-1)]
        dim = number(
            rest[0] if rest else next((each.value for each in call.keywords if each.arg in {"dim", "axis"}), None)
        )
        if inner is None or (dim is None and is_pair):
            return None
        if dim is None:
            return Form(()) if not rest and not call.keywords else None
        flag = argument(ast.Call(call.func, rest, call.keywords), 1, "keepdim")
        keeps = isinstance(flag, ast.Constant) and flag.value is True
        if flag is not None and not isinstance(flag, ast.Constant):
            return None
        found = inner.without(dim, kept=keeps)
        if found is not None and kept:
            return Form(tuple(inner.parts), inner.is_open).with_last(None) if dim == -1 else None
        return found
