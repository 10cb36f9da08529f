"""What one guarded function demands: its parameters, its result, and how it is called."""

from __future__ import annotations

import ast
import builtins
import enum
import functools
import inspect
import types
import warnings
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import dataclass, field
from typing import Any, ParamSpecArgs, ParamSpecKwargs, Unpack, get_args, get_origin, get_type_hints

from shapeguard.runtime.demand import (
    Anything,
    Array,
    Choice,
    Demand,
    Each,
    Items,
    Record,
    Values,
    arrays_of,
    mentions_array,
    read_hint,
)
from shapeguard.shapes.annotation import (
    AnnotationSyntaxError,
    Named,
    NamedAxes,
    Symbolic,
    expression_names,
    parse,
    unreadable_expression,
)


class GuardWarning(UserWarning):
    """A guard that can't check what it was asked to check."""


class Kind(enum.Enum):
    """How a function gives its result."""

    PLAIN = "plain"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"


@dataclass(frozen=True)
class Parameter:
    """One parameter, with its annotation resolved."""

    name: str
    kind: inspect._ParameterKind
    default: Any
    hint: Any
    demand: Demand

    @property
    def stars(self) -> str:
        """What stands before the name: two for `**kwargs`, one for `*args`, else none."""
        return {inspect.Parameter.VAR_POSITIONAL.value: "*", inspect.Parameter.VAR_KEYWORD.value: "**"}.get(
            self.kind, ""
        )


@dataclass(frozen=True)
class Stream:
    """What a generator yields, takes by `send`, and returns."""

    item: Demand
    sent: Demand
    returned: Demand


@dataclass
class Plan:
    """All that a guard knows of one function; its probes for jaxtyping are built by the judge when first needed."""

    function: Callable[..., Any]
    kind: Kind
    parameters: tuple[Parameter, ...]
    result_hint: Any
    result: Demand
    stream: Stream | None
    self_dims: tuple[str, ...]
    expects: bool
    """Whether the body calls `expect`, so that the names must be at hand."""
    pending: bool
    """Whether an annotation names something that isn't defined yet; it is tried again at the first call."""
    local_names: Mapping[str, Any]
    probes: dict[str, Any] = field(default_factory=dict)
    resolve: Callable[[], Plan] | None = None
    """Set while the plan is pending: reads the signature again, now that its names should exist."""
    settled: Plan | None = None
    """What a pending plan has become."""

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what can be built again, and the locals that resolving needed."""
        return {**self.__dict__, "probes": {}, "local_names": {}, "resolve": None, "settled": None}

    @property
    def name(self) -> str:
        """The function's qualified name, without the scopes around a local one."""
        return getattr(self.function, "__qualname__", repr(self.function)).rpartition("<locals>.")[2]

    @property
    def demands_nothing(self) -> bool:
        """Whether there is nothing that a guard could check."""
        demands = [parameter.demand for parameter in self.parameters] + [self.result]
        nothing = all(isinstance(demand, Anything) for demand in demands)
        return nothing and not (self.pending or self.expects or self.stream)

    def current(self) -> Plan:
        """The plan with every annotation resolved that can be."""
        if self.settled is None and (resolve := self.resolve) is not None:
            self.settled = resolve()
        return self.settled or self

    @functools.cached_property
    def is_stricter(self) -> bool:
        """Whether every array must be looked at, since jaxtyping and beartype would not look at all of them."""
        demands = [parameter.demand for parameter in self.parameters] + [self.result]
        return bool(self.self_dims) or self.expects or any(map(_holds_container, demands)) or _reads_early(demands)


def make_plan(
    function: Callable[..., Any],
    *,
    self_dims: tuple[str, ...] = (),
    local_names: Mapping[str, Any] | None = None,
    give_up: bool = False,
) -> Plan:
    """Read a function's signature.

    An annotation that names something undefined makes the plan pending; with `give_up` it is warned of instead.
    """
    reading = _Reading(function, local_names or {}, give_up=give_up)
    signature = inspect.signature(function)
    parameters = []
    for entry in signature.parameters.values():
        hint = reading.resolve(entry.annotation, f"`{entry.name}`")
        demand = Anything() if _is_of_the_whole(hint) else reading.read(hint, f"`{entry.name}`")
        parameters.append(Parameter(entry.name, entry.kind, entry.default, hint, demand))
    kind = _kind(function)
    result_hint = reading.resolve(signature.return_annotation, "the result")
    if kind is not _kind(inspect.unwrap(function)):
        reading.complain("a decorator has made something else of its result, which is not checked")
        result_hint = Any
    stream = None
    result: Demand = Anything()
    if kind in (Kind.GENERATOR, Kind.ASYNC_GENERATOR):
        stream = _read_stream(result_hint, reading)
    else:
        result = reading.read(result_hint, "the result")
    plan = Plan(
        function=function,
        kind=kind,
        parameters=tuple(parameters),
        result_hint=result_hint,
        result=result,
        stream=stream,
        self_dims=self_dims,
        expects=_calls_expect(function),
        pending=reading.pending,
        local_names=(local_names or {}) if reading.pending else {},
    )
    if not plan.pending:
        _refuse_unbound_names(plan)
    return plan


def _holds_container(demand: Demand) -> bool:
    if isinstance(demand, Choice | Items):
        return any(map(_holds_container, demand.options if isinstance(demand, Choice) else demand.items))
    return isinstance(demand, Each | Values | Record)


def _reads_early(demands: list[Demand]) -> bool:
    """Whether an expression stands before the axis that binds one of its names."""
    bound: set[str] = set()
    for demand in demands:
        for array in arrays_of(demand):
            for axis in array.annotation.axes:
                if isinstance(axis, Symbolic) and expression_names(axis) - bound - set(vars(builtins)):
                    return True
                if isinstance(axis, Named):
                    bound.add(axis.name)
    return False


def mentions_arrays(function: Callable[..., Any]) -> bool:
    """Whether an annotation of a function has an array in it, or, if it can't be resolved yet, looks as if."""
    names = _names_in_reach(function, {})
    for annotation in inspect.get_annotations(function).values():
        try:
            hint = _resolve(annotation, getattr(function, "__globals__", {}), names)
        except (NameError, AttributeError):
            if isinstance(annotation, str) and _shape_strings(annotation):
                return True
            continue
        if mentions_array(hint) or any(arrays_of(read_hint(hint, lambda _: None))):
            return True
    return False


class _Reading:
    """Resolves the annotations of one function, each on its own, so that one bad one doesn't hide the others."""

    def __init__(self, function: Callable[..., Any], local_names: Mapping[str, Any], *, give_up: bool) -> None:
        self.function = function
        self.names = _names_in_reach(function, local_names)
        self.give_up = give_up
        self.pending = False

    def resolve(self, annotation: Any, where: str) -> Any:
        """The object that an annotation stands for; typing.Any if there is none, or none that can be found."""
        if annotation is inspect.Signature.empty:
            return Any
        try:
            return _resolve(annotation, getattr(self.function, "__globals__", {}), self.names)
        except (NameError, AttributeError) as error:
            if not self.give_up:
                self.pending = True
            else:
                self.complain(
                    f"the annotation of {where}, {annotation!r}, can't be resolved ({error}); it is not checked"
                )
            return Any

    def read(self, hint: Any, where: str) -> Demand:
        """What a resolved annotation demands."""
        demand = read_hint(hint, lambda text: self.complain(f"{where}: {text}"))
        for array in arrays_of(demand):
            unreadable = unreadable_expression(array.annotation)
            if unreadable is not None:
                raise unreadable
        return demand

    def complain(self, text: str) -> None:
        message = f"guard on {getattr(self.function, '__qualname__', repr(self.function))}(): {text}"
        bare = inspect.unwrap(self.function)
        if not isinstance(bare, types.FunctionType):
            warnings.warn(message, GuardWarning, stacklevel=2)
            return
        # The warning belongs to the line of the function, wherever it is found out.
        warnings.warn_explicit(
            message,
            GuardWarning,
            bare.__code__.co_filename,
            bare.__code__.co_firstlineno,
            module=bare.__module__,
            registry=bare.__globals__.setdefault("__warningregistry__", {}),
        )


def _resolve(annotation: Any, global_names: dict[str, Any], local_names: Mapping[str, Any]) -> Any:
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    try:
        return get_type_hints(holder, global_names, dict(local_names), include_extras=True)["value"]
    except (ValueError, SyntaxError):
        if isinstance(annotation, str):
            for text in _shape_strings(annotation):
                parse(text)
        raise


def _shape_strings(annotation: str) -> list[str]:
    """The shape strings in an annotation's source: the last string of each subscript."""
    try:
        tree = ast.parse(annotation, mode="eval")
    except SyntaxError:
        return []
    return [
        element.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple)
        for element in node.slice.elts[1:2]
        if isinstance(element, ast.Constant) and isinstance(element.value, str)
    ]


def _names_in_reach(function: Callable[..., Any], local_names: Mapping[str, Any]) -> dict[str, Any]:
    names = dict(local_names)
    bare = inspect.unwrap(function)
    cells = getattr(bare, "__closure__", None) or ()
    for name, cell in zip(getattr(getattr(bare, "__code__", None), "co_freevars", ()), cells, strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # a variable of the enclosing function that has no value yet
            continue
    return names


def _is_of_the_whole(hint: Any) -> bool:
    """Whether a hint on `*args` or `**kwargs` is about all of them together, and says nothing of each."""
    return isinstance(hint, ParamSpecArgs | ParamSpecKwargs) or get_origin(hint) is Unpack


def _kind(function: Callable[..., Any]) -> Kind:
    if inspect.isasyncgenfunction(function):
        return Kind.ASYNC_GENERATOR
    if inspect.iscoroutinefunction(function):
        return Kind.COROUTINE
    return Kind.GENERATOR if inspect.isgeneratorfunction(function) else Kind.PLAIN


_STREAMS = (Iterator, Iterable, Generator, AsyncIterator, AsyncIterable, AsyncGenerator)


def _read_stream(hint: Any, reading: _Reading) -> Stream:
    """The demands in `Iterator[item]` or `Generator[item, sent, returned]`."""
    arguments = get_args(hint) if get_origin(hint) in _STREAMS else ()
    item, sent, returned = (*arguments, *(Any,) * 3)[:3]
    return Stream(reading.read(item, "yield"), reading.read(sent, "send"), reading.read(returned, "the result"))


def _calls_expect(function: Callable[..., Any]) -> bool:
    """Whether the body mentions `expect`, under its own name or another."""
    names = _names_called(function)
    found = (getattr(inspect.unwrap(function), "__globals__", {}).get(name) for name in names)
    return "expect" in names or any(
        (getattr(value, "__module__", ""), getattr(value, "__name__", "")) == ("shapeguard.runtime.expect", "expect")
        for value in found
    )


def _names_called(function: Callable[..., Any]) -> set[str]:
    """Every name that the body mentions, with those of the functions inside it."""
    names: set[str] = set()
    codes = [getattr(inspect.unwrap(function), "__code__", None)]
    while codes:
        code = codes.pop()
        if code is not None:
            names.update(code.co_names)
            codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return names


def _refuse_unbound_names(plan: Plan) -> None:
    """Raise for an expression that reads a name which no axis binds: it could never be checked."""
    if plan.expects:
        return
    demands = [parameter.demand for parameter in plan.parameters] + [plan.result]
    if plan.stream:
        demands += [plan.stream.item, plan.stream.returned]
    arrays = [array for demand in demands for array in arrays_of(demand)]
    bound = set(plan.self_dims) | {
        axis.name for array in arrays for axis in array.annotation.axes if isinstance(axis, Named | NamedAxes)
    }
    for array in arrays:
        for axis in array.annotation.axes:
            if isinstance(axis, Symbolic):
                _refuse_unbound_axis(array, axis, bound, {parameter.name for parameter in plan.parameters})


def _refuse_unbound_axis(array: Array, axis: Symbolic, bound: set[str], parameters: set[str]) -> None:
    for name in sorted(expression_names(axis) - bound):
        if hasattr(builtins, name):
            continue
        hint = f"; for the argument's value write {{{name}}}" if name in parameters else ""
        text = array.annotation.text
        raise AnnotationSyntaxError(
            text, text.index(axis.word), axis.word, f"no axis of the signature binds `{name}`{hint}"
        )
