"""Checks while a program is being traced: sizes may be symbols, so they are compared as the compiler wants it.

torch.compile follows this code when it traces a guarded function; nothing of it remains in the compiled one but guards
that hold for the shapes it was compiled for. What only jaxtyping or beartype could decide is not checked here.
"""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from shapeguard.runtime.call import DIMS, OMITTED, Given
from shapeguard.runtime.error import ShapeError
from shapeguard.runtime.tensors import loaded_torch, shape_of
from shapeguard.runtime.traced_constants import Constant, constant_demand, constant_demands

if TYPE_CHECKING:
    from shapeguard.runtime.demand import Demand
    from shapeguard.runtime.plan import Plan

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


def demands_by_now(plan: Plan) -> Constant:
    """The demands of a plan that was pending when its function was written."""
    from shapeguard.runtime import while_tracing  # noqa: PLC0415 - loads the compiler

    demands: Constant = while_tracing.demands_by_now(plan)
    return demands


def constant_annotation(text: str) -> Constant:
    """A shape string as constants."""
    from shapeguard.runtime import while_tracing  # noqa: PLC0415 - loads the compiler

    axes: Constant = while_tracing.constant_annotation(text)
    return axes


def check_arguments(demands: Constant, passed: tuple[Any, ...], filled: tuple[Any, ...]) -> dict[str, Any]:
    """Check the arguments of a traced call; the names that they bind.

    `passed` are the arguments, with OMITTED for those left out, which are not checked; `filled` has their defaults.
    """
    parameters, _, kept = demands
    names: dict[str, Any] = {}
    if kept:
        known = getattr(passed[0], DIMS, {})
        for name in kept:
            if name in known:
                names[name] = known[name]
    given: dict[str, Any] = {}
    waiting: list[tuple[str, int, Any, Constant]] = []
    for (name, kind, demand), value, argument in zip(parameters, passed, filled):  # noqa: B905 - strict= is not traced
        given[name] = argument
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
    _, demand, _ = demands
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
        for size in shape_of(tensor) or ()
    )


def refuse_arguments(plan: Plan, given: Given) -> ShapeError | None:
    """Why arguments with symbolic sizes don't fit, or None."""
    try:
        _names_of(plan, given)
    except ShapeError as error:
        return error
    return None


def refuse_result(plan: Plan, given: Given, demand: Demand, result: Any, place: str) -> ShapeError | None:
    """Why something with symbolic sizes that comes out of a call doesn't fit, or None."""
    try:
        check_result(((), constant_demand(demand), ()), _names_of(plan, given), result, place)
    except ShapeError as error:
        return error
    return None


def _names_of(plan: Plan, given: Given) -> dict[str, Any]:
    if "traced" not in plan.probes:
        plan.probes["traced"] = constant_demands(plan)
    passed = tuple(given.get(entry.name, OMITTED) for entry in plan.parameters)
    filled = tuple(given.get(entry.name, entry.default) for entry in plan.parameters)
    return check_arguments(plan.probes["traced"], passed, filled)


_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL.value
_VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD.value


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
        if not _is_tensor(value):
            message = f"`{place}` is no tensor"
            raise ShapeError(message)
        if demand[1] is not None and str(value.dtype) not in demand[1]:
            message = f"`{place}` has dtype {value.dtype}"
            raise ShapeError(message)
        _check_axes(demand[2], value.shape, place, names, waiting)
    elif kind == "maybe":
        if _is_tensor(value):
            _check(demand[1], value, place, names, waiting)
    elif kind == "optional":
        if value is not None:
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
                _check(inner, getattr(value, name, None), f"{place}.{name}", names, waiting)
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
                _check_run(axis, tuple(sizes[index : index + shift + 1]), place, index, names)
        else:
            position = index if variadic < 0 or index < variadic else index + shift
            _check_axis(axis, sizes[position], place, position, names, waiting)


def _check_run(axis: Constant, run: tuple[Any, ...], place: str, start: int, names: dict[str, Any]) -> None:
    """Compare the sizes from axis `start` on; who may broadcast must reach the sizes of who may not."""
    _, broadcast, name = axis
    if "*" + name not in names:
        names["*" + name], names["*#" + name] = run, broadcast
        return
    known, grows = names["*" + name], names["*#" + name]
    if (len(run) < len(known) and not broadcast) or (len(run) > len(known) and not grows):
        message = f"`{place}` has {len(run)} axes for *{name}, expected {len(known)}"
        raise ShapeError(message)
    longest = max(len(run), len(known))
    common = []
    for position in range(longest):
        here, there = position - longest + len(run), position - longest + len(known)
        if here < 0 or there < 0:
            common.append(known[there] if here < 0 else run[here])
        elif grows and _surely(known[there] == 1):
            common.append(run[here])
        else:
            if not (broadcast and _may_be_one(run[here])) and not (grows and _may_be_one(known[there])):
                _require_equal(place, start + here, run[here], "*" + name, known[there])
            common.append(known[there])
    names["*" + name], names["*#" + name] = tuple(common), grows and broadcast


def _check_axis(
    axis: Constant,
    size: Any,
    place: str,
    position: int,
    names: dict[str, Any],
    waiting: list[tuple[str, int, Any, Constant]],
) -> None:
    kind = axis[0]
    if kind == "size" or (axis[1] and _may_be_one(size)):
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
    if expected is None or _surely(size == expected):
        return
    if _surely(size != expected):
        # The tracer can't print an integer that the program was given, but one that it has computed.
        message = f"`{place}` axis {position} is {size}, expected {wanted} = {expected + 0}"
        raise ShapeError(message)
    # A size that only data decides: the compiled program checks it when it runs.
    loaded_torch()._check(size == expected)  # noqa: SLF001 - documented by that name


def _may_be_one(size: Any) -> bool:
    return not _surely(size != 1)


def _surely(comparison: Any) -> bool:
    """Whether a comparison holds; False too where only data decides."""
    return bool(loaded_torch().fx.experimental.symbolic_shapes.guard_or_false(comparison))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, loaded_torch().Tensor)


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
            value = getattr(value, attribute, None)
        return value if isinstance(value, int) else None
    if kind == "unknown":
        return None
    left, right = _evaluate(expression[1], names, given), _evaluate(expression[2], names, given)
    if left is None or right is None or _has_no_value(kind, right):
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


def _has_no_value(operator: str, right: Any) -> bool:
    return (operator in ("FloorDiv", "Mod") and _surely(right == 0)) or (operator == "Pow" and _surely(right < 0))
