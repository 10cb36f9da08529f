"""Calls into functions and classes that are read: followed with the caller's values, each set of them once."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from shapeguard.infer.claims import annotated, parameter_value, shape_text, with_defaults
from shapeguard.infer.operations import call_op
from shapeguard.infer.renaming import names_of, substituted
from shapeguard.infer.values import (
    Bound,
    Chain,
    Class,
    Dictionary,
    Exhausted,
    External,
    Function,
    Instance,
    Many,
    Maybe,
    OneOf,
    Refusal,
    Scope,
    Symbol,
    certain,
    join,
)
from shapeguard.ops.registry import find
from shapeguard.ops.values import UNKNOWN, Module, Tensor
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import AxisMismatch, Mismatch, RankMismatch
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator

DEEPEST_CALL = 8
_PLAIN_SCOPES = 2
"""A function of a file sees its file and what is built in."""


class Outcome(NamedTuple):
    """What a call comes to."""

    value: Any
    invented: frozenset[str] = frozenset()
    """The names in it that were invented on the way."""
    refusals: tuple[Refusal, ...] = ()
    """What torch surely refuses on the way."""


@dataclass
class Memory:
    """What calls have given, so that no function is followed twice with the same values."""

    results: dict[Any, Outcome] = field(default_factory=dict)
    """Function and values -> what the call comes to."""
    instances: dict[Any, Instance] = field(default_factory=dict)
    active: set[Any] = field(default_factory=set)
    kept: list[Any] = field(default_factory=list)
    """Keeps alive what is known by its identity."""
    examples: dict[Class, Instance] = field(default_factory=dict)
    """An instance of each class that is as its `__init__` leaves it, whatever it is given."""
    names: dict[tuple[Instance, str], str] = field(default_factory=dict)
    """Attributes that are known by name alone -> the name, another one for each instance."""

    def name_for(self, instance: Instance, attribute: str) -> str:
        """What an attribute is called where nothing else is known of it."""
        key = (instance, attribute)
        if key not in self.names:
            number = sum(name == attribute for _, name in self.names) + 1
            self.names[key] = f"self.{attribute}" if number == 1 else f"self.{attribute}_{number}"
        return self.names[key]


def call_function(evaluator: Evaluator, function: Function, arguments: list[Any], named: Scope) -> Any:
    """What a call gives, found by following it."""
    if evaluator.depth >= DEEPEST_CALL:
        return UNKNOWN
    memory = evaluator.reporter.memory
    if not evaluator.depth and not evaluator.aside:
        evaluator.reporter.led_to(function, arguments, named)
    key = _key_of(function, arguments, named, memory)
    if key is not None:
        if key in memory.active:
            return UNKNOWN
        known = memory.results.get(key)
        if known is not None:
            return _handed_over(known, evaluator)
        memory.active.add(key)
    try:
        outcome = _followed(evaluator, function, arguments, named)
    finally:
        if key is not None:
            memory.active.discard(key)
    if key is not None:
        memory.results[key] = outcome
    return _handed_over(outcome, evaluator)


def _handed_over(outcome: Outcome, evaluator: Evaluator) -> Any:
    """A result with the names that the callee invented made names of the caller's own."""
    evaluator.refuse(outcome.refusals)
    own = names_of(outcome.value) & outcome.invented if outcome.invented else frozenset()
    return (
        substituted(outcome.value, {name: Dim(evaluator.fresh(name)) for name in sorted(own)}) if own else outcome.value
    )


def _followed(evaluator: Evaluator, function: Function, arguments: list[Any], named: Scope) -> Outcome:
    node = function.node
    home: Any = function.home
    inner = evaluator.inner(home, function.scopes, function.qualified_name)
    inner.owner = function.owner
    before = inner.steps
    try:
        if not bind(inner, node.args, list(arguments), dict(named)):
            return Outcome(UNKNOWN)
        if isinstance(node, ast.Lambda):
            return Outcome(inner.value(node.body), frozenset(inner.invented), tuple(inner.refusals))
        inner.block(node.body)
    except Exhausted:
        return Outcome(UNKNOWN)
    finally:
        evaluator.steps -= before - max(inner.steps, 0)
    if inner.is_generator:
        return Outcome(UNKNOWN)
    if not inner.returned:
        return Outcome(_declared(inner, node) if inner.ended else None, refusals=tuple(inner.refusals))
    result = inner.returned[0][1]
    for _, value in inner.returned[1:]:
        result = join(result, value)
    whole = result if inner.ended or result is None else join(result, None)
    if whole is UNKNOWN or (isinstance(whole, Tensor) and whole.shape.axes is None):
        whole = _declared(inner, node) or whole
    return Outcome(whole, frozenset(inner.invented), tuple(inner.refusals))


def _declared(inner: Evaluator, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Tensor | None:
    """What a function declares to return; the names in it are its own, so that only numbers are known outside."""
    claim = certain(annotated(node.returns, inner.resolve)[0]) if node.returns is not None else UNKNOWN
    if not isinstance(claim, Tensor) or claim.shape.axes is None:
        return None
    sizes = [
        axis.size if axis.size is not None and as_int(axis.size) is not None else None for axis in claim.shape.axes
    ]
    return Tensor(Shape.of(*sizes), claim.dtype)


def key_of(function: Function | Class, arguments: list[Any], named: Scope, memory: Memory) -> Any:
    """What a call of a function, or of a class, is told apart by."""
    parts = [_identity(value, memory) for value in arguments]
    parts += [(name, _identity(value, memory)) for name, value in sorted(named.items())]
    return (function, *parts)


def _key_of(function: Function, arguments: list[Any], named: Scope, memory: Memory) -> Any:
    """What a call is remembered by; None for a function that sees more than its arguments and its file."""
    if len(function.scopes) > _PLAIN_SCOPES:
        return None
    return key_of(function, arguments, named, memory)


def _identity(value: Any, memory: Memory) -> Any:
    if isinstance(value, Instance):
        return (value, value.changes)
    if isinstance(value, tuple):
        return tuple(_identity(each, memory) for each in value)
    if isinstance(value, Many | Maybe):
        inside = (value.item, value.first, value.last, value.count) if isinstance(value, Many) else value.value
        return (type(value), _identity(inside, memory))
    if isinstance(value, Chain | OneOf):
        parts = value.modules if isinstance(value, Chain) else value.options
        return (type(value), _identity(parts, memory))
    if isinstance(value, Dictionary):
        return (Dictionary, value.is_open, _identity(value.items, memory))
    if isinstance(value, Module):
        memory.kept.append(value)
        return (Module, id(value))
    if isinstance(value, Bound):
        memory.kept.append(value.call)
        return (Bound, _identity(value.owner, memory), id(value.call))
    return (type(value), value)


def instantiate(evaluator: Evaluator, cls: Class, arguments: list[Any], named: Scope) -> Any:
    """An instance of a class that is read, with what its `__init__` sets; the same one for the same arguments."""
    memory = evaluator.reporter.memory
    initial = cls.find("__init__")
    if not isinstance(initial, Function) and cls.makes_records:
        return _record(evaluator, cls, arguments, named)
    key = (bool(evaluator.vague), key_of(cls, arguments, named, memory))
    known = memory.instances.get(key)
    if known is not None:
        return known
    instance = Instance(cls)
    if evaluator.depth >= DEEPEST_CALL:
        return instance
    memory.instances[key] = instance
    if isinstance(initial, Function):
        call_function(evaluator, initial, [instance, *arguments], named)
    elif is_module(cls) and not derive(instance, arguments, named):
        take_over(instance, arguments, named)
    return instance


def example_of(evaluator: Evaluator, cls: Class) -> Instance:
    """An instance of a class as its `__init__` leaves it, whatever that is given."""
    memory = evaluator.reporter.memory
    known = memory.examples.get(cls)
    if known is not None:
        return known
    instance = memory.examples[cls] = Instance(cls)
    initial = cls.find("__init__")
    if isinstance(initial, Function):
        home: Any = initial.home
        inner = evaluator.inner(home, initial.scopes, initial.qualified_name)
        given = [
            (argument.arg, parameter_value(argument, default, inner.resolve))
            for argument, default in with_defaults(initial.node.args)[1:]
        ]
        inner.quiet += 1
        call_function(inner, initial, [instance], dict(given))
    return instance


def _record(evaluator: Evaluator, cls: Class, arguments: list[Any], named: Scope) -> Instance:
    """An instance of a dataclass or of its kind."""
    fields = cls.fields
    given = {**dict(zip(fields, arguments, strict=False)), **named}
    instance = Instance(cls)
    for name in fields:
        default = cls.find(name)
        value = given.get(name, UNKNOWN if default is None else default)
        instance.attributes[name] = evaluator.home.loaded(value)
    finish = cls.find("__post_init__")
    if isinstance(finish, Function) and not any(base.node.name == "ModelOutput" for base in cls.ancestry):
        call_function(evaluator, finish, [instance], {})
    return instance


def derive(instance: Instance, arguments: list[Any], named: Scope) -> bool:
    """Make an instance what the constructor of a layer of torch's makes of it; False where it derives from none."""
    for base in instance.cls.foreign:
        layer = find(base.name) if isinstance(base, External) else None
        if layer is not None and layer.is_module:
            made = call_op(layer, arguments, {name: value for name, value in named.items() if name != "**"})
            instance.base = made if isinstance(made, Module) else None
            return True
    return False


def take_over(instance: Instance, arguments: list[Any], named: Scope) -> None:
    """What the constructor of a base that isn't read does with what it is given, by custom: it keeps it by its name."""
    for value in (*arguments, *named.values()):
        if isinstance(value, Symbol):
            last = value.name.rpartition(".")[2]
            if last not in instance.attributes:
                instance.set("config" if last.endswith("config") else last, value)


def _hold_to_claim(inner: Evaluator, argument: ast.arg, value: Tensor) -> None:
    """Refuse a tensor that surely isn't what the annotation of its parameter says."""
    claim = certain(annotated(argument.annotation, inner.resolve)[0])
    axes = value.shape.axes
    if argument.annotation is None or not isinstance(claim, Tensor) or claim.shape.axes is None or axes is None:
        return
    wanted = shape_text(argument.annotation)
    mismatch: Mismatch | None = None
    if len(axes) != len(claim.shape.axes):
        mismatch = RankMismatch(argument.arg, value.shape.sizes or (), wanted)
    for position, (axis, declared) in enumerate(zip(axes, claim.shape.axes, strict=False)):
        # The names that a function declares mean what it is given.
        is_number = declared.size is not None and as_int(declared.size) is not None
        if (
            mismatch is None
            and is_number
            and axis.size is not None
            and compare(axis.size, declared.size or 0, 1) is False
        ):
            mismatch = AxisMismatch(argument.arg, position, axis.size, str(declared.size), declared.size or 0, None)
    if mismatch is not None:
        inner.refuse([Refusal(mismatch, argument.annotation, inner.qualified_name, inner.home, is_claim=True)])


def is_module(cls: Class) -> bool:
    """Whether a class derives from something, which may be nn.Module."""
    return bool(cls.foreign) or cls.find("forward") is not None


def bind(inner: Evaluator, parameters: ast.arguments, arguments: list[Any], named: Scope) -> bool:
    """Give the parameters their values; False where the call doesn't fit them."""
    is_open = named.pop("**", False) is True
    rest = arguments
    for argument, default in with_defaults(parameters):
        if rest and argument not in parameters.kwonlyargs:
            value = rest.pop(0)
        elif argument.arg in named:
            value = named.pop(argument.arg)
        elif default is not None:
            value = inner.value(default)
        elif is_open:
            value = UNKNOWN
        else:
            return False
        if value is UNKNOWN:
            claimed = parameter_value(argument, default, inner.resolve)
            value = Tensor(Shape.unknown()) if isinstance(claimed, Tensor) else UNKNOWN
        elif isinstance(value, Tensor) and argument.annotation is not None:
            _hold_to_claim(inner, argument, value)
        inner.scope[argument.arg] = value
    if parameters.vararg is not None:
        inner.scope[parameters.vararg.arg] = tuple(rest)
    elif rest:
        return False
    if parameters.kwarg is not None:
        inner.scope[parameters.kwarg.arg] = Dictionary(tuple(named.items()), is_open)
    elif named:
        return False
    return True
