"""A refused call in words: what is wrong, where it was called, what was passed, and what to change."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from shapeguard.runtime.call import Given, each_value, self_bindings, with_names
from shapeguard.runtime.demand import Array, Choice, Demand, Each, Items, Record, Values
from shapeguard.runtime.error import ShapeError
from shapeguard.runtime.match import parts
from shapeguard.runtime.plan import Plan
from shapeguard.runtime.repair import Leaf, diagnose
from shapeguard.runtime.tensors import dtype_name, short_form, sizes_of
from shapeguard.shapes.binding import Bindings
from shapeguard.shapes.mismatch import Mismatch

GENERATED = "<guard of "
"""How the file name of a generated function begins."""
_NOT_THE_CALLER = ("shapeguard.runtime.", "torch.", "jaxtyping.", "beartype.")
_MOST_LINES = 12


def explain(
    plan: Plan,
    given: Given,
    mismatch: Mismatch | None,
    refusal: str | None,
    result: Result | None = None,
    names: Mapping[str, Any] | None = None,
) -> ShapeError:
    """The exception for a refused call.

    `mismatch` is what disagrees, `refusal` the words of jaxtyping where only it found something, `result` the place,
    demand and value of what came out, `names` those that `expect` has seen in the body.
    """
    passed_in = _arguments(plan, given)
    shown = passed_in if result is None else passed_in + _leaves(*result)
    leaves = [leaf for _, _, leaf in shown if leaf is not None]
    hint = None
    if mismatch is not None:
        # Arguments that were accepted are not to blame for what came out.
        suspects = leaves if result is None else [leaf for _, _, leaf in shown[len(passed_in) :] if leaf is not None]
        diagnosis = diagnose(leaves, suspects, mismatch, with_names(self_bindings(plan, given), names), given)
        if diagnosis is not None:
            mismatch, hint = diagnosis.mismatch, diagnosis.hint
        lines = [mismatch.sentence()]
    else:
        lines = [f"{'what came out' if result else 'an argument'} does not meet its annotation"]
    lines.append(f"    in {plan.name}(), called at {caller()}")
    lines += _table(shown)
    if mismatch is None and refusal:
        lines += [f"    {line}" for line in refusal.strip().splitlines() if line.strip()]
    if hint:
        lines.append(f"    hint: {hint}")
    return ShapeError("\n".join(lines))


def caller() -> str:
    """The file and line of the nearest call that isn't ours, torch's, jaxtyping's or beartype's."""
    frame = sys._getframe(1)  # noqa: SLF001 - documented
    while frame.f_back is not None and _is_machinery(frame.f_globals.get("__name__", ""), frame.f_code.co_filename):
        frame = frame.f_back
    path = frame.f_code.co_filename
    here = os.getcwd() + os.sep  # noqa: PTH109 - text, and no Path to build while a run dies
    return f"{path.removeprefix(here)}:{frame.f_lineno}"


def _is_machinery(module: str, filename: str) -> bool:
    return filename.startswith(GENERATED) or f"{module}.".startswith(_NOT_THE_CALLER)


Shown = tuple[str, Any, Leaf | None]
Result = tuple[Demand, Any, str]


def _arguments(plan: Plan, given: Given) -> list[Shown]:
    """Each array among the arguments, by name; an argument that should be one and isn't, too."""
    return [
        shown
        for parameter in plan.parameters
        if parameter.name in given
        for place, value in each_value(parameter, given[parameter.name])
        for shown in _leaves(parameter.demand, value, place)
    ]


def _leaves(demand: Demand, value: Any, place: str) -> list[Shown]:
    match demand:
        case Array():
            return [(place, value, _leaf(demand, value, place))]
        case Choice(options=options):
            choices = [option for option in options if isinstance(option, Array) and hasattr(value, "shape")]
            return _leaves(choices[0], value, place) if choices else []
        case Each() | Items() | Values() | Record():
            return [leaf for part, inner, where in parts(demand, value, place) for leaf in _leaves(part, inner, where)]
    return []


def _leaf(demand: Array, value: Any, place: str) -> Leaf | None:
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        return None
    integer = dtype_name(value.dtype).startswith(("int", "uint"))
    return Leaf(place, sizes_of(value), demand.annotation, integer)


def _table(shown: list[Shown]) -> list[str]:
    """Name, value and declared shape in columns."""
    if not shown:
        return []
    names = [f"{place}:" for place, _, _ in shown]
    values = [short_form(value) for _, value, _ in shown]
    wide_name, wide_value = max(map(len, names)), max(map(len, values))
    lines = [
        f"    {name:{wide_name}} {text:{wide_value}}" + (f'   "{leaf.annotation}"' if leaf else "")
        for name, text, (_, _, leaf) in zip(names, values, shown, strict=True)
    ]
    more = len(lines) - _MOST_LINES
    if more > 0:
        lines = [*lines[:_MOST_LINES], f"    ... and {more} more"]
    return [line.rstrip() for line in lines]


def explain_expected(leaf: Leaf, mismatch: Mismatch, start: Bindings, arguments: Mapping[str, object]) -> ShapeError:
    """The exception for an `expect` in a body that didn't hold."""
    diagnosis = diagnose([leaf], [leaf], mismatch, start, arguments)
    sizes = ", ".join(map(str, leaf.sizes))
    lines = [mismatch.sentence(), f"    at {caller()}", f'    {leaf.place}: [{sizes}]   "{leaf.annotation}"']
    if diagnosis is not None and diagnosis.hint:
        lines.append(f"    hint: {diagnosis.hint}")
    return ShapeError("\n".join(lines))
