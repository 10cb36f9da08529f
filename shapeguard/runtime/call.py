"""One call of a guarded function: its arguments by name, and the sizes that they bind."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from jaxtyping import AnnotationError

from shapeguard.runtime.demand import Demand, arrays_of
from shapeguard.runtime.match import match
from shapeguard.runtime.plan import Parameter, Plan
from shapeguard.shapes.annotation import Named, NamedAxes, expression_names
from shapeguard.shapes.binding import Bindings, Size, settle
from shapeguard.shapes.mismatch import Mismatch

DIMS = "_shapeguard_dims"
"""The attribute in which an instance keeps the sizes that belong to it."""

Given = Mapping[str, Any]


class Omitted:
    """Stands for an argument that wasn't passed, where that differs from passing the default."""

    def __repr__(self) -> str:
        return "<omitted>"

    def __reduce__(self) -> str:
        return "OMITTED"


OMITTED = Omitted()


def passed(given: Given) -> dict[str, Any]:
    """The arguments without those left out."""
    return {name: value for name, value in given.items() if value is not OMITTED}


def bind_arguments(plan: Plan, given: Given) -> Bindings | Mismatch:
    """Match every argument in turn."""
    bindings = self_bindings(plan, given)
    for parameter in plan.parameters:
        if parameter.name not in given:
            continue
        for place, value in each_value(parameter, given[parameter.name]):
            outcome = match(parameter.demand, value, place, bindings, given)
            if not isinstance(outcome, Bindings):
                return outcome
            bindings = outcome
    outcome = settle(bindings, given)
    if isinstance(outcome, Bindings) and outcome.waiting:
        entry = outcome.waiting[0]
        missing = sorted(expression_names(entry.axis) - outcome.sizes.keys())
        message = f"`{entry.value}` axis {entry.position} is `{entry.axis.word}`, but this call binds no `{missing[0]}`"
        if missing[0] not in bound_names(plan.result):
            raise AnnotationError(message)
    return outcome


def each_value(parameter: Parameter, value: Any) -> list[tuple[str, Any]]:
    """The values behind a parameter, `*args` and `**kwargs` taken apart, with the reader's names for them."""
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return [(f"{parameter.name}[{position}]", entry) for position, entry in enumerate(value)]
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return [(f"{parameter.name}[{name!r}]", entry) for name, entry in value.items()]
    return [(parameter.name, value)]


def names_of(plan: Plan, given: Given) -> dict[str, Any]:
    """The sizes that the arguments of a call have bound, runs under `*name`."""
    outcome = bind_arguments(plan.current(), passed(given))
    if not isinstance(outcome, Bindings):
        return {}
    return {**outcome.sizes, **{f"*{name}": sizes for name, (_, sizes) in outcome.runs.items()}}


def bound_names(demand: Demand) -> set[str]:
    """The names that the arrays of a demand bind."""
    return {
        axis.name
        for array in arrays_of(demand)
        for axis in array.annotation.axes
        if isinstance(axis, Named | NamedAxes)
    }


def self_bindings(plan: Plan, given: Given) -> Bindings:
    """The sizes that the instance has kept from earlier calls."""
    if not plan.self_dims or not plan.parameters:
        return Bindings()
    owner = plan.parameters[0].name
    sizes: dict[str, Size] = dict(getattr(given.get(owner), DIMS, {}))
    return Bindings(sizes, {}, dict.fromkeys(sizes, f"`{owner}`"))


def keep_self_dims(plan: Plan, given: Given, bindings: Bindings) -> None:
    """Leave with the instance the sizes that are its own."""
    if not plan.self_dims or not plan.parameters:
        return
    owner = given[plan.parameters[0].name]
    known = {name: bindings.sizes[name] for name in plan.self_dims if name in bindings.sizes}
    if known != getattr(owner, DIMS, {}):
        object.__setattr__(owner, DIMS, known)


def with_names(bindings: Bindings, names: Mapping[str, Any] | None) -> Bindings:
    """Add what `expect` has seen in the body, runs under `*name`."""
    if not names:
        return bindings
    sizes = {**{name: size for name, size in names.items() if not name.startswith("*")}, **bindings.sizes}
    runs = {name[1:]: (False, sizes) for name, sizes in names.items() if name.startswith("*")}
    return Bindings(sizes, {**runs, **bindings.runs}, bindings.places, bindings.waiting)
