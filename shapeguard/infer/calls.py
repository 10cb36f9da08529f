"""What calls, operators and subscripts give: torch's by the operations, the file's own by following them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shapeguard.infer.claims import parameter_value, with_defaults
from shapeguard.infer.python import PYTHON, item_of, sizes_of
from shapeguard.infer.values import (
    Bound,
    Chain,
    Class,
    Dictionary,
    External,
    Function,
    Instance,
    Many,
    Symbol,
    as_size,
    join,
)
from shapeguard.ops.indexing import ELLIPSIS, Slice
from shapeguard.ops.indexing import subscript as subscript_tensor
from shapeguard.ops.pointwise import binary
from shapeguard.ops.registry import Op, find, renamed
from shapeguard.ops.values import UNKNOWN, Dtype, Module, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import Mismatch

if TYPE_CHECKING:
    from shapeguard.infer.expressions import Evaluator

# Operations in which a value that isn't known may be a tensor as well as a number.
_TAKES_TENSORS = (
    "shapeguard.ops.pointwise",
    "shapeguard.ops.products",
    "shapeguard.ops.losses",
    "shapeguard.ops.attention",
)

_TAKES_ANYTHING = ("torch.tensor", "torch.as_tensor")

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def operate(op: type[ast.AST], left: Any, right: Any) -> Any:
    """A binary operator or a comparison."""
    if op in (ast.Is, ast.IsNot):
        return _is(left, right, negated=op is ast.IsNot)
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        operands = (UNKNOWN if isinstance(value, Symbol | tuple) else value for value in (left, right))
        return binary(_OPERATORS[op], *operands) if op in _OPERATORS else UNKNOWN
    if isinstance(left, tuple) and isinstance(right, tuple) and op is ast.Add:
        return left + right
    if isinstance(left, tuple) and op is ast.Mult and isinstance(right, Dim) and (count := as_int(right)) is not None:
        return left * count if 0 <= count * len(left) <= 64 else UNKNOWN  # noqa: PLR2004 - longer lists aren't shapes
    return _operate_sizes(op, as_size(left), as_size(right))


_ARITHMETIC: dict[type[ast.AST], Callable[[Dim, Dim], Dim]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ORDERS: dict[type[ast.AST], Callable[[int, int], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_HIGHEST_POWER = 8


def _operate_sizes(op: type[ast.AST], left: Any, right: Any) -> Any:
    if op in (ast.Eq, ast.NotEq) and isinstance(left, str | bool | Dtype) and type(left) is type(right):
        return (left == right) is (op is ast.Eq)
    if not (isinstance(left, Dim) and isinstance(right, Dim)):
        return UNKNOWN
    if op in (ast.Eq, ast.NotEq):
        equal = compare(left, right, at_least=1)
        return UNKNOWN if equal is None else equal is (op is ast.Eq)
    one, other = as_int(left), as_int(right)
    try:
        if op in _ARITHMETIC:
            return _ARITHMETIC[op](left, right)
        if op is ast.Pow and other is not None and 0 <= other < _HIGHEST_POWER:
            return left**other
    except (ArithmeticError, ValueError):
        return UNKNOWN
    return _ORDERS[op](one, other) if op in _ORDERS and one is not None and other is not None else UNKNOWN


def _is(left: Any, right: Any, *, negated: bool) -> Any:
    if right is None or left is None:
        other = left if right is None else right
        if other is None:
            return not negated
        if isinstance(other, Tensor | Dim | Module | Instance | Chain | Function | str | bool | tuple):
            return negated
    return UNKNOWN


def operate_one(op: type[ast.unaryop], operand: Any) -> Any:
    """A unary operator."""
    if op is ast.Not:
        return not operand if isinstance(operand, bool) else True if operand is None else UNKNOWN
    if isinstance(operand, Tensor):
        return operand
    if op is ast.USub and isinstance(operand, float):
        return -operand
    operand = as_size(operand)
    return -operand if op is ast.USub and isinstance(operand, Dim) else UNKNOWN


def transposed(value: Tensor) -> Any:
    """`x.T` and `x.mT`."""
    rank = value.shape.rank
    if rank is None or rank < 2:  # noqa: PLR2004 - a matrix
        return value
    outcome = shapes.transpose(value.shape, rank - 2, rank - 1)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, value.dtype)


def slice_of(start: Any, stop: Any, step: Any) -> Slice:
    """A slice in a subscript."""
    return Slice(start, stop, step)


def subscript(owner: Any, index: Any) -> Any:
    """`owner[index]`."""
    if isinstance(owner, Tensor):
        parts = index if isinstance(index, tuple) else (index,)
        return subscript_tensor(
            owner, tuple(as_size(part) if not isinstance(part, Symbol) else UNKNOWN for part in parts)
        )
    if isinstance(owner, Many):
        return owner if isinstance(index, Slice) else owner.item
    if isinstance(owner, Dictionary):
        return owner.get(index)
    items = owner.modules if isinstance(owner, Chain) else owner
    if not isinstance(items, tuple):
        return UNKNOWN
    if isinstance(index, Slice):
        parts = (index.start, index.stop, index.step)
        start, stop, step = (as_int(part) if isinstance(part, Dim) else None for part in parts)
        if (start, stop, step).count(None) > parts.count(None):
            return UNKNOWN
        chosen = items[start:stop:step]
        return Chain(chosen) if isinstance(owner, Chain) else chosen
    number = as_int(index) if isinstance(index, Dim) else None
    if number is None:
        return item_of(items) if items else UNKNOWN
    return items[number] if -len(items) <= number < len(items) else UNKNOWN


# Calls


def call(evaluator: Evaluator, node: ast.Call) -> Any:
    """The result of a call."""
    special = _special(evaluator, node)
    if special is not None:
        return special[0]
    function = (
        evaluator.value(node.func)
        if not isinstance(node.func, ast.Attribute)
        else evaluator.attribute(evaluator.value(node.func.value), node.func.attr)
    )
    arguments: list[Any] = []
    for argument in node.args:
        value = evaluator.value(argument)
        if isinstance(argument, ast.Starred):
            if not isinstance(value, tuple):
                _evaluate_rest(evaluator, node)
                return UNKNOWN
            arguments += value
        else:
            arguments.append(value)
    named: dict[str, Any] = {}
    for keyword in node.keywords:
        value = evaluator.value(keyword.value)
        if keyword.arg is None:
            if not isinstance(value, Dictionary):
                return UNKNOWN
            named.update({str(key): entry for key, entry in value.items})
        else:
            named[keyword.arg] = value
    return apply(evaluator, function, arguments, named)


def _evaluate_rest(evaluator: Evaluator, node: ast.Call) -> None:
    for keyword in node.keywords:
        evaluator.value(keyword.value)


def _special(evaluator: Evaluator, node: ast.Call) -> tuple[Any] | None:
    """Calls that are known by their form: `super()`, and what registers a tensor with a module."""
    match node:
        case ast.Call(func=ast.Name(id="super")):
            return (_SUPER,)
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=name)):
            return (_call_super(evaluator, node, name),)
        case ast.Call(
            func=ast.Attribute(value=owner, attr="register_buffer" | "register_parameter"),
            args=[ast.Constant(value=str(name)), tensor, *_],
        ):
            instance, value = evaluator.value(owner), evaluator.value(tensor)
            if isinstance(instance, Instance):
                instance.attributes[name] = value
            return (None,)
        case ast.Call(
            func=ast.Attribute(value=owner, attr="append" | "extend" | "insert" | "pop" | "remove" | "clear")
        ):
            grown = evaluator.value(owner)
            for argument in node.args:
                evaluator.value(argument)
            if not isinstance(grown, tuple | Many):
                return None
            evaluator.assign(owner, Many(UNKNOWN), None)
            return (UNKNOWN,)
        case ast.Call(func=ast.Attribute(value=owner, attr="add_module"), args=[ast.Constant(value=str(name)), module]):
            instance, value = evaluator.value(owner), evaluator.value(module)
            if isinstance(instance, Instance):
                instance.attributes[name] = value
            return (None,)
    return None


_SUPER = External("super")


def _call_super(evaluator: Evaluator, node: ast.Call, name: str) -> Any:
    arguments = [evaluator.value(argument) for argument in node.args if not isinstance(argument, ast.Starred)]
    named = {keyword.arg: evaluator.value(keyword.value) for keyword in node.keywords if keyword.arg is not None}
    instance = next((value for value in evaluator.scope.values() if isinstance(value, Instance)), None)
    if evaluator.owner is None or instance is None:
        return UNKNOWN
    for base in evaluator.owner.bases:
        member = base.find(name) if isinstance(base, Class) else None
        if isinstance(member, Function):
            return call_function(evaluator, member, [instance, *arguments], named)
    return UNKNOWN


def apply(evaluator: Evaluator, function: Any, arguments: list[Any], named: dict[str, Any]) -> Any:  # noqa: PLR0911
    """Call a value with values."""
    match function:
        case External(name=name):
            return _attempt(lambda: _call_external(name, arguments, named))
        case Bound(owner=owner, call=Op() as method):
            return call_op(method, [owner, *arguments], named)
        case Bound(owner=owner, call=Function() as method):
            return call_function(evaluator, method, [owner, *arguments], named)
        case Bound(call=method) if not isinstance(method, Op | Function):
            return method(*arguments[:1])
        case Function():
            return call_function(evaluator, function, arguments, named)
        case Class():
            return instantiate(evaluator, function, arguments, named)
        case Instance(cls=cls):
            forward = cls.find("forward") or cls.find("__call__")
            return (
                call_function(evaluator, forward, [function, *arguments], named)
                if isinstance(forward, Function)
                else UNKNOWN
            )
        case Module(forward=forward):
            values = [UNKNOWN if isinstance(value, Symbol) else value for value in arguments]
            inputs = {name: UNKNOWN if isinstance(value, Symbol) else value for name, value in named.items()}
            return _attempt(lambda: forward(*values, **inputs))
        case Chain(modules=modules):
            value = arguments[0] if arguments else UNKNOWN
            for module in modules:
                value = apply(evaluator, module, [value], {})
                if isinstance(value, Mismatch):
                    return value
            return value
    return UNKNOWN


def call_op(operation: Op, arguments: list[Any], named: dict[str, Any]) -> Any:
    """Call an operation; what it can't take is unknown to it."""
    takes_tensors = operation.function.__module__ in _TAKES_TENSORS or operation.names[0] in _TAKES_ANYTHING
    sizes = [value for value in arguments if not isinstance(value, Tensor)]
    if len(sizes) == 1 and isinstance(sizes[0], Symbol) and _takes_any_number(operation):
        # One value in the place of many may be all of them: `x.view(shape)`.
        arguments = [UNKNOWN if isinstance(value, Symbol) else value for value in arguments]
    convert: Callable[[Any], Any] = _unless_symbol if takes_tensors else _as_argument
    values = [convert(value) for value in arguments]
    more = {name: convert(value) for name, value in renamed(named, operation).items()}
    return _attempt(lambda: operation(*values, **more))


def _takes_any_number(operation: Op) -> bool:
    return any(entry.kind is entry.VAR_POSITIONAL for entry in operation.signature.parameters.values())


def _attempt(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError):
        # Called in a way that the operation doesn't know.
        return UNKNOWN


def _as_argument(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_as_argument, value))
    value = as_size(value)
    known = isinstance(value, Tensor | Dim | Dtype | Module | bool | float | str | tuple) or value is None
    return value if known else UNKNOWN


def _unless_symbol(value: Any) -> Any:
    return UNKNOWN if isinstance(value, Symbol) else _as_argument(value)


_SAME = (
    "torch.nn.Parameter",
    "torch.nn.Buffer",
    "torch.nn.parameter.Parameter",
    "shapeguard.expect",
    "shapeguard.reveal_shape",
)


def _call_external(name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
    if name in PYTHON:
        return PYTHON[name](*arguments) if not named else UNKNOWN
    if name in _SAME:
        return arguments[0] if arguments else UNKNOWN
    if name in _CONTAINERS:
        return _CONTAINERS[name](arguments)
    operation = find(name)
    return UNKNOWN if operation is None else call_op(operation, arguments, named)


def _sequential(modules: list[Any]) -> Any:
    if len(modules) == 1 and isinstance(modules[0], Dictionary):
        return Chain(tuple(value for _, value in modules[0].items))
    return UNKNOWN if any(isinstance(value, Many) for value in modules) else Chain(tuple(modules))


_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "torch.nn.Sequential": _sequential,
    "torch.nn.ModuleList": lambda given: given[0] if given and isinstance(given[0], tuple | Many) else UNKNOWN,
    "torch.nn.ParameterList": lambda given: given[0] if given and isinstance(given[0], tuple | Many) else UNKNOWN,
    "torch.nn.ModuleDict": lambda given: given[0] if given and isinstance(given[0], Dictionary) else UNKNOWN,
}


def instantiate(evaluator: Evaluator, cls: Class, arguments: list[Any], named: dict[str, Any]) -> Any:
    """An instance of a class of the file, with what its `__init__` sets."""
    instance = Instance(cls)
    initial = cls.find("__init__")
    if isinstance(initial, Function):
        call_function(evaluator, initial, [instance, *arguments], named)
    return instance


def call_function(evaluator: Evaluator, function: Function, arguments: list[Any], named: dict[str, Any]) -> Any:
    """Follow a call into a function of the file with the caller's values."""
    if not evaluator.may_call:
        return UNKNOWN
    node = function.node
    inner = evaluator.inner(dict(function.scope), function.qualified_name)
    inner.owner = function.owner
    if not _bind(inner, node.args, list(arguments), dict(named)):
        return UNKNOWN
    if isinstance(node, ast.Lambda):
        return inner.value(node.body)
    if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(node)):
        return UNKNOWN
    inner.block(node.body)
    if not inner.returned:
        return None
    result = inner.returned[0][1]
    for _, value in inner.returned[1:]:
        result = join(result, value)
    return result if inner.ended or result is None else join(result, None)


def _bind(inner: Evaluator, parameters: ast.arguments, arguments: list[Any], named: dict[str, Any]) -> bool:
    """Give the parameters their values; False where the call doesn't fit them."""
    for argument, default in with_defaults(parameters):
        if arguments and argument not in parameters.kwonlyargs:
            value = arguments.pop(0)
        elif argument.arg in named:
            value = named.pop(argument.arg)
        elif default is not None:
            value = inner.value(default)
        else:
            return False
        if value is UNKNOWN:
            claimed = parameter_value(argument, default, inner.resolve)
            value = Tensor(shapes.Shape.unknown()) if isinstance(claimed, Tensor) else UNKNOWN
        inner.scope[argument.arg] = value
    if parameters.vararg is not None:
        inner.scope[parameters.vararg.arg] = tuple(arguments)
    elif arguments:
        return False
    if parameters.kwarg is not None:
        inner.scope[parameters.kwarg.arg] = Dictionary(tuple(named.items()))
    elif named:
        return False
    return True


__all__ = ["ELLIPSIS", "item_of", "sizes_of"]
