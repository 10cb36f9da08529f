"""`guard`: what it accepts, and how each kind of thing is put under guard."""

from __future__ import annotations

import dataclasses
import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any, TypeVar, overload

from shapeguard.runtime import probe
from shapeguard.runtime.generate import PLAN, generate
from shapeguard.runtime.mode import Mode, validated
from shapeguard.runtime.plan import GuardWarning, Plan, make_plan, mentions_arrays
from shapeguard.runtime.tensors import loaded_torch

Guarded = TypeVar("Guarded")


@overload
def guard(target: Guarded, /) -> Guarded: ...


@overload
def guard(*, mode: Mode | None = None, self_dims: str = "") -> Callable[[Guarded], Guarded]: ...


@overload
def guard(target: Guarded, /, *, mode: Mode | None = None, self_dims: str = "") -> Guarded: ...


def guard(target: Any = None, /, *, mode: Mode | None = None, self_dims: str = "") -> Any:
    """Check the jaxtyping annotations of `target` at every call.

    `target` is a function (plain, async, or a generator), a method, a class, or a torch module that exists already. Of
    a class, every method with an array in its annotations is guarded; of a dataclass, its fields are.

    `mode` fixes "on", "off" or "once" for this target, whatever the process is set to. `self_dims` names axes, such as
    "d heads", whose sizes belong to the instance: what the first call has bound, later calls must meet.
    """
    if mode is not None:
        validated(mode, "the argument mode of guard")
    local_names = sys._getframe(1).f_locals if target is not None else {}  # noqa: SLF001 - documented
    settings = _Settings(mode, tuple(self_dims.split()), local_names)
    if target is None:
        return functools.partial(_guard_later, settings)
    return _guard(target, settings)


def guard_among(target: Guarded, local_names: Mapping[str, Any]) -> Guarded:
    """`guard` for code that guards what others define, such as the import hook: the names around the target are given."""
    guarded: Guarded = _guard(target, _Settings(None, (), local_names))
    return guarded


@dataclasses.dataclass(frozen=True)
class _Settings:
    mode: Mode | None
    self_dims: tuple[str, ...]
    local_names: Mapping[str, Any]


def _guard_later(settings: _Settings, target: Any) -> Any:
    return _guard(target, dataclasses.replace(settings, local_names=sys._getframe(1).f_locals))  # noqa: SLF001


def _guard(target: Any, settings: _Settings) -> Any:
    if settings.mode == "off":
        return target
    torch = loaded_torch()
    if isinstance(target, type):
        return _guard_class(target, settings)
    if torch is not None and isinstance(target, torch.nn.Module):
        return _guard_module(target, settings)
    if isinstance(target, classmethod):
        return classmethod(_guard(target.__func__, dataclasses.replace(settings, self_dims=())))
    if isinstance(target, staticmethod):
        return staticmethod(_guard(target.__func__, dataclasses.replace(settings, self_dims=())))
    if isinstance(target, property):
        getter, setter, deleter = (part and _guard(part, settings) for part in (target.fget, target.fset, target.fdel))
        return property(getter, setter, deleter, target.__doc__)
    if isinstance(target, MethodType):
        return MethodType(_guard(target.__func__, settings), target.__self__)
    if isinstance(target, FunctionType):
        return _guard_function(target, settings)
    message = f"guard takes a function, a method, a class or a torch module, and not {_described(target)}"
    raise TypeError(message)


def _described(target: object) -> str:
    if callable(target):
        return f"{target!r}; guard a function that calls it"
    return f"the {type(target).__name__} {target!r}"


def _guard_function(function: FunctionType, settings: _Settings) -> Any:
    if is_guarded(function) or getattr(function, "__no_type_check__", False):
        return function
    plan = make_plan(function, self_dims=settings.self_dims, local_names=settings.local_names)
    if plan.demands_nothing:
        warnings.warn(f"guard on {plan.name}(): it has no annotation that could be checked", GuardWarning, stacklevel=4)
    if not plan.pending:
        probe.build_probes(plan)
    guarded = generate(plan, settings.mode)
    functools.update_wrapper(guarded, function)
    if plan.pending:
        _resolve_at_first_call(guarded, plan, settings.mode)
    return guarded


def is_guarded(function: object) -> bool:
    """Whether a function is one that guard has made."""
    return PLAN in getattr(function, "__globals__", {})


def _resolve_at_first_call(guarded: FunctionType, plan: Plan, fixed_mode: Mode | None) -> None:
    """An annotation names something that comes later in the file: try again when the function is first called."""

    def resolve() -> Plan:
        settled = make_plan(plan.function, self_dims=plan.self_dims, local_names=plan.local_names, give_up=True)
        probe.build_probes(settled)
        again = generate(settled, fixed_mode, guarded.__globals__)
        guarded.__globals__.update(again.__globals__)
        guarded.__code__ = again.__code__
        guarded.__defaults__, guarded.__kwdefaults__ = again.__defaults__, again.__kwdefaults__
        plan.resolve = None
        return settled

    plan.resolve = resolve


def _guard_class(cls: type, settings: _Settings) -> type:
    """Guard in place the methods that the class itself defines and that have arrays in their annotations."""
    if settings.self_dims and not cls.__dictoffset__:
        message = f"guard(self_dims=...) on {cls.__name__}: its instances have no __dict__ to keep the sizes in"
        raise TypeError(message)
    found = False
    for name, member in list(vars(cls).items()):
        if _has_arrays(member) or (dataclasses.is_dataclass(cls) and name == "__init__"):
            setattr(cls, name, _guard(member, settings))
            found = True
    if not found:
        message = f"guard on {cls.__name__}: none of its methods has an array in its annotations"
        raise TypeError(message)
    return cls


def _guard_module(module: Any, settings: _Settings) -> Any:
    """Guard one module and those inside it, and no other instance of their classes."""
    found = False
    for part in module.modules():
        if any(_has_arrays(member) for cls in type(part).__mro__ for member in vars(cls).values()):
            found = True
            part.__class__ = _class_of_guarded(type(part), settings)
    if not found:
        message = (
            f"guard on a {type(module).__name__}: no method of it or of the modules inside it has an array in its "
            "annotations"
        )
        raise TypeError(message)
    return module


def _class_of_guarded(cls: Any, settings: _Settings) -> Any:
    """The subclass, one for each class, that differs from it in nothing but guarded methods.

    A class, since what an instance itself holds is shared with its copies, bound to the one it was made for.
    """
    key = settings.mode, settings.self_dims
    for known in cls.__subclasses__():
        if vars(known).get(_INSTANCE) == key:
            return known
    members = {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}
    guarded = {
        name: _guard(member, settings)
        for name, member in members.items()
        if _has_arrays(member) and not is_guarded(member)
    }
    if not guarded:
        return cls

    def reduce(self: Any, protocol: Any) -> Any:
        maker, arguments, *state = cls.__reduce_ex__(self, protocol)
        bare = tuple(cls if argument is made else argument for argument in arguments)
        return (_guarded_again, (*key, maker, bare), *state)

    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__, _INSTANCE: key}
    made = type(cls)(cls.__name__, (cls,), {**names, **guarded, "__reduce_ex__": reduce})
    return made


_INSTANCE = "_shapeguard_instance"
"""The attribute of a class made for guarded instances: the settings it was made with."""


def _guarded_again(mode: Mode | None, self_dims: tuple[str, ...], maker: Callable[..., Any], arguments: Any) -> Any:
    """A copied or unpickled instance, under guard as the one it comes from."""
    instance = maker(*arguments)
    instance.__class__ = _class_of_guarded(type(instance), _Settings(mode, self_dims, {}))
    return instance


def _has_arrays(member: object) -> bool:
    """Whether a class' member is a function with an array in its annotations."""
    parts = [getattr(member, name, None) for name in ("__func__", "fget", "fset", "fdel")] + [member]
    return any(isinstance(part, FunctionType) and mentions_arrays(part) for part in parts)
