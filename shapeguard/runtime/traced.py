"""Checks while a program is being traced: sizes may be symbols, so they are compared as the compiler wants it.

torch.compile follows this code when it traces a guarded function; nothing of it remains in the compiled one but guards
that hold for the shapes it was compiled for. What only jaxtyping or beartype could decide is not checked here.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from shapeguard.runtime.call import OMITTED, Given
from shapeguard.runtime.demand import Array, Choice, Demand, Each, Items, Plain, Record, Values
from shapeguard.runtime.error import ShapeError
from shapeguard.runtime.tensors import allowed_dtypes, is_tensor_class, loaded_torch
from shapeguard.shapes.annotation import Annotation, AnyAxes, AnySize, Fixed, Named, NamedAxes, Symbolic, parse

if TYPE_CHECKING:
    from shapeguard.runtime.plan import Plan

# Demands as nothing but tuples, strings and numbers, which the tracer takes as constants.
Constant = tuple[Any, ...]

scopes: list[dict[str, Any]] = []
"""The names of the guarded calls that are being traced, for `expect` in their bodies."""


def tracing_test() -> Callable[[], bool] | None:
    """The function that is true inside torch.compile; None if the program doesn't use torch."""
    torch = loaded_torch()
    if torch is None:
        return None
    _let_jit_trace_comparisons(torch.jit.TracerWarning)
    return torch.compiler.is_dynamo_compiling  # type: ignore[no-any-return]


def _let_jit_trace_comparisons(warning: type[Warning]) -> None:
    """Keep torch.jit.trace from warning that our comparisons are not recorded, as torch does for its own modules."""
    nameless = "<string>$"  # what warnings call code without a module, such as a generated function
    if ("ignore", None, warning, re.compile(nameless), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", category=warning, module=nameless)


def call_untraced(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call where no tracer looks.

    Inside torch.compile jaxtyping and beartype answer wrongly; in torch.jit.trace each comparison brings a warning.
    """
    torch = loaded_torch()
    if torch is None:
        return function(*arguments)
    if torch.jit.is_tracing():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            return function(*arguments)
    # As long as the tracer isn't even loaded, there is nothing to turn off, and loading it takes most of a second.
    if "torch._dynamo" in sys.modules:
        if function not in _disabled_functions:
            _disabled_functions[function] = torch.compiler.disable(function)
        function = _disabled_functions[function]
    return function(*arguments)


_disabled_functions: dict[Callable[..., Any], Callable[..., Any]] = {}


def constant_demands(plan: Plan) -> Constant:
    """The plan's demands as constants, to stand in the source of the generated function."""
    return (
        tuple((entry.name, entry.kind.value, _constant(entry.demand)) for entry in plan.parameters),
        _constant(plan.result if plan.stream is None else plan.stream.item),
    )


def prepare_expect() -> None:
    """Let the tracer read shape strings in a body once instead of following the parser."""
    torch = loaded_torch()
    if torch is not None:
        torch.compiler.assume_constant_result(constant_annotation)


def constant_annotation(text: str) -> Constant:
    """A shape string as constants."""
    return _constant_axes(parse(text))


def check_arguments(demands: Constant, values: tuple[Any, ...]) -> dict[str, Any]:
    """Check the arguments of a traced call; the names that they bind."""
    names: dict[str, Any] = {}
    given: dict[str, Any] = {}
    waiting: list[tuple[str, int, Any, Constant]] = []
    parameters, _ = demands
    for (name, kind, demand), value in zip(parameters, values):  # noqa: B905 - strict= is not traced
        given[name] = value
        if kind == _VAR_POSITIONAL:
            for position, item in enumerate(value):
                _check(demand, item, f"{name}[{position}]", names, waiting)
        elif kind == _VAR_KEYWORD:
            for key in value:
                _check(demand, value[key], f"{name}[{key}]", names, waiting)
        elif value is not OMITTED:
            _check(demand, value, name, names, waiting)
    _settle(waiting, names, given)
    names["{}"] = given
    return names


def check_result(demands: Constant, names: dict[str, Any], result: Any, place: str = "result") -> None:
    """Check the result of a traced call with the names that its arguments bound."""
    _, demand = demands
    waiting: list[tuple[str, int, Any, Constant]] = []
    _check(demand, result, place, names, waiting)
    _settle(waiting, names, names["{}"])


def check_stream(
    demands: Constant, names: dict[str, Any], generator: Generator[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """Check what a generator yields in a traced call, each item for itself; pass on what is sent and returned."""
    try:
        item = next(generator)
        while True:
            check_result(demands, dict(names), item, "yield")
            sent = yield item
            item = next(generator) if sent is None else generator.send(sent)
    except StopIteration as stop:
        return stop.value


def check_expected(axes: Constant, value: Any, names: dict[str, Any]) -> None:
    """Check a value in the body of a traced call."""
    waiting: list[tuple[str, int, Any, Constant]] = []
    _check_axes(axes, value.shape, "x", names, waiting)
    _settle(waiting, names, names.get("{}", {}))


def has_symbols(values: Iterable[Any]) -> bool:
    """Whether a tensor's size is a symbol: inside torch.export, or under a FakeTensor with dynamic shapes."""
    torch = loaded_torch()
    return torch is not None and any(
        isinstance(size, torch.SymInt)
        for value in values
        for tensor in (value if isinstance(value, list | tuple) else (value,))
        if isinstance(tensor, torch.Tensor)
        for size in tensor.shape
    )


def refuse_arguments(plan: Plan, given: Given) -> ShapeError | None:
    """Why arguments with symbolic sizes don't fit, or None."""
    values = tuple(given.get(entry.name, OMITTED) for entry in plan.parameters)
    try:
        check_arguments(_demands_of(plan), values)
    except ShapeError as error:
        return error
    return None


def refuse_result(plan: Plan, given: Given, demand: Demand, result: Any, place: str) -> ShapeError | None:
    """Why something with symbolic sizes that comes out of a call doesn't fit, or None."""
    arguments, _ = _demands_of(plan)
    demands = arguments, _constant(demand)
    values = tuple(given.get(entry.name, OMITTED) for entry in plan.parameters)
    try:
        check_result(demands, check_arguments(demands, values), result, place)
    except ShapeError as error:
        return error
    return None


_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL.value
_VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD.value


def _demands_of(plan: Plan) -> Constant:
    if "traced" not in plan.probes:
        plan.probes["traced"] = constant_demands(plan)
    demands: Constant = plan.probes["traced"]
    return demands


# From demands to constants


def _constant(demand: Demand) -> Constant:
    match demand:
        case Array() if is_tensor_class(demand.array_type):
            dtypes = allowed_dtypes(demand)
            listed = None if dtypes is None else tuple(sorted(map(str, dtypes)))
            return ("array", listed, _constant_axes(demand.annotation))
        case Choice(options=options):
            arrays = [_constant(option) for option in options if not isinstance(option, Plain)]
            if len(arrays) == 1 and arrays[0][0] == "array":
                return ("maybe", arrays[0])
        case Each(item=item):
            return ("each", _constant(item))
        case Items(items=items):
            return ("items", tuple(map(_constant, items)))
        case Values(value=value):
            return ("values", _constant(value))
        case Record(fields=fields, by_key=by_key):
            return ("record", by_key, tuple((name, _constant(field)) for name, field in fields))
    return ("any",)


def _constant_axes(annotation: Annotation) -> Constant:
    axes: list[Constant] = []
    for axis in annotation.axes:
        match axis:
            case AnySize():
                axes.append(("size",))
            case AnyAxes():
                axes.append(("axes",))
            case Fixed():
                axes.append(("fixed", axis.broadcast, axis.size))
            case Named(per_leaf=False):
                axes.append(("name", axis.broadcast, axis.name))
            case NamedAxes(per_leaf=False, broadcast=False):
                axes.append(("run", axis.name))
            case NamedAxes():
                axes.append(("axes",))
            case Symbolic():
                axes.append(("expression", axis.broadcast, _constant_expression(axis), axis.word))
            case _:
                axes.append(("size",))
    return (annotation.text, -1 if annotation.variadic is None else annotation.variadic, tuple(axes))


def _constant_expression(axis: Symbolic) -> Constant:
    source = axis.expression
    stand_ins = {}
    for number, placeholder in enumerate(axis.placeholders):
        stand_ins[f"value_{number}_"] = placeholder
        source = source.replace("{" + placeholder + "}", f"value_{number}_")
    try:
        return _constant_node(ast.parse(source, mode="eval").body, stand_ins)
    except (SyntaxError, ValueError):
        return ("unknown",)


def _constant_node(node: ast.expr, stand_ins: Mapping[str, str]) -> Constant:
    match node:
        case ast.Constant(value=int()):
            return ("number", node.value)
        case ast.Name(id=name) if name in stand_ins:
            if not all(part.isidentifier() for part in stand_ins[name].split(".")):
                raise ValueError(name)
            return ("value", tuple(stand_ins[name].split(".")))
        case ast.Name(id=name):
            return ("read", name)
        case ast.BinOp(left=left, op=op, right=right):
            return (type(op).__name__, _constant_node(left, stand_ins), _constant_node(right, stand_ins))
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=[left, right], keywords=[]):
            return (name, _constant_node(left, stand_ins), _constant_node(right, stand_ins))
    raise ValueError(ast.dump(node))


# The checks that are traced; plain code, because each line of it is followed by the tracer


def _check(  # noqa: C901, PLR0912
    demand: Constant,
    value: Any,
    place: str,
    names: dict[str, Any],
    waiting: list[tuple[str, int, Any, Constant]],
) -> None:
    kind = demand[0]
    if kind == "array":
        if not hasattr(value, "shape") or not hasattr(value, "dtype"):
            message = f"`{place}` is no tensor"
            raise ShapeError(message)
        if demand[1] is not None and str(value.dtype) not in demand[1]:
            message = f"`{place}` has dtype {value.dtype}"
            raise ShapeError(message)
        _check_axes(demand[2], value.shape, place, names, waiting)
    elif kind == "maybe":
        if hasattr(value, "shape"):
            _check(demand[1], value, place, names, waiting)
    elif kind == "each":
        if isinstance(value, list | tuple):
            for position, item in enumerate(value):
                _check(demand[1], item, f"{place}[{position}]", names, waiting)
    elif kind == "items":
        if isinstance(value, tuple) and len(value) == len(demand[1]):
            for position, inner in enumerate(demand[1]):
                _check(inner, value[position], f"{place}[{position}]", names, waiting)
    elif kind == "values":
        if isinstance(value, dict):
            for key in value:
                _check(demand[1], value[key], f"{place}[{key}]", names, waiting)
    elif kind == "record":
        for name, inner in demand[2]:
            if not demand[1]:
                _check(inner, getattr(value, name), f"{place}.{name}", names, waiting)
            elif name in value:
                _check(inner, value[name], f"{place}[{name}]", names, waiting)


def _check_axes(
    annotation: Constant,
    sizes: Any,
    place: str,
    names: dict[str, Any],
    waiting: list[tuple[str, int, Any, Constant]],
) -> None:
    text, variadic, axes = annotation
    rank, count = len(sizes), len(axes)
    if rank != count and (variadic < 0 or rank < count - 1):
        message = f'`{place}` has {rank} axes, expected {count - (variadic >= 0)}: "{text}"'
        raise ShapeError(message)
    shift = rank - count
    for index in range(count):
        axis = axes[index]
        if index == variadic:
            if axis[0] == "run":
                _check_run(place, tuple(sizes[index : index + shift + 1]), axis[1], names)
        else:
            position = index if variadic < 0 or index < variadic else index + shift
            _check_axis(axis, sizes[position], place, position, names, waiting)


def _check_run(place: str, run: tuple[Any, ...], name: str, names: dict[str, Any]) -> None:
    known = names.get("*" + name)
    if known is None:
        names["*" + name] = run
        return
    if len(known) != len(run):
        message = f"`{place}` has {len(run)} axes for *{name}, expected {len(known)}"
        raise ShapeError(message)
    for position in range(len(run)):
        _require_equal(place, position, run[position], "*" + name, known[position])


def _check_axis(
    axis: Constant,
    size: Any,
    place: str,
    position: int,
    names: dict[str, Any],
    waiting: list[tuple[str, int, Any, Constant]],
) -> None:
    kind = axis[0]
    if kind == "size" or (axis[1] and _is_one(size)):
        return
    if kind == "fixed":
        _require_equal(place, position, size, "size", axis[2])
    elif kind == "expression":
        waiting.append((place, position, size, axis))
    elif axis[2] in names:
        _require_equal(place, position, size, axis[2], names[axis[2]])
    else:
        names[axis[2]] = size


def _settle(waiting: list[tuple[str, int, Any, Constant]], names: dict[str, Any], given: dict[str, Any]) -> None:
    """Compare the expressions, whose names may have been bound after they were met."""
    for place, position, size, (_, _, expression, word) in waiting:
        _require_equal(place, position, size, word, _evaluate(expression, names, given))


def _require_equal(place: str, position: int, size: Any, wanted: str, expected: Any) -> None:
    if expected is None:
        return
    surely, torch_check = _comparison()
    if surely(size == expected):
        return
    if surely(size != expected):
        message = f"`{place}` axis {position} is {size}, expected {wanted} = {expected}"
        raise ShapeError(message)
    # A size that only data decides: the compiled program checks it when it runs.
    torch_check(size == expected)


def _is_one(size: Any) -> bool:
    surely, _ = _comparison()
    return bool(surely(size == 1))


def _comparison() -> tuple[Callable[[Any], bool], Callable[[Any], None]]:
    torch = loaded_torch()
    return torch.fx.experimental.symbolic_shapes.guard_or_false, torch._check  # noqa: SLF001 - documented names


def _evaluate(expression: Constant, names: dict[str, Any], given: dict[str, Any]) -> Any:  # noqa: C901, PLR0911
    """An expression's value; None where it can't be told while tracing."""
    kind = expression[0]
    if kind == "number":
        return expression[1]
    if kind == "read":
        return names.get(expression[1])
    if kind == "value":
        value = given.get(expression[1][0])
        for attribute in expression[1][1:]:
            value = getattr(value, attribute)
        return value if isinstance(value, int) else None
    if kind == "unknown":
        return None
    left, right = _evaluate(expression[1], names, given), _evaluate(expression[2], names, given)
    if left is None or right is None:
        return None
    if kind == "Add":
        return left + right
    if kind == "Sub":
        return left - right
    if kind == "Mult":
        return left * right
    if kind == "FloorDiv":
        return left // right
    if kind == "Mod":
        return left % right
    if kind == "Pow":
        return left**right
    if kind == "min":
        return min(left, right)
    return max(left, right) if kind == "max" else None
