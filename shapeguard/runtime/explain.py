"""A refused call in words: what is wrong, where it was called, what was passed, and what to change."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shapeguard.runtime.call import Given, each_value, self_bindings, with_names
from shapeguard.runtime.demand import Array, Choice, Demand, Each, Items, Plain, Record, Values
from shapeguard.runtime.error import ShapeError
from shapeguard.runtime.match import nearest, parts, wrong_kind
from shapeguard.runtime.plan import Plan
from shapeguard.runtime.repair import Leaf, diagnose
from shapeguard.runtime.tensors import dtype_name, readable_sizes, short_form
from shapeguard.shapes.binding import Bindings
from shapeguard.shapes.mismatch import KindMismatch, Mismatch

GENERATED = "<guard of "
"""How the file name of a generated function begins."""
UNNAMED = "the value"
"""The place of a value whose source is too long to be its name."""
_NOT_THE_CALLER = ("shapeguard.runtime.", "torch.", "jaxtyping.", "beartype.")
_STARTS_OTHERS = ("multiprocessing.", "threading.", "concurrent.", "asyncio.")
"""Modules that call what they were handed, so that a line of theirs says nothing."""
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
    passed_in = [shown for demand, value, place in _values(plan, given) for shown in _leaves(demand, value, place)]
    shown = passed_in if result is None else passed_in + _leaves(*result)
    if mismatch is None:
        # With the result beartype sees the arguments once more, and may find what it has missed in them.
        mismatch = _wrong_item([*([] if result is None else [result]), *_values(plan, given)])
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
    place = caller()
    lines.append(f"    in {plan.name}()" + (f", called at {place}" if place else ""))
    lines += _table(shown, lines[0])
    if mismatch is None and refusal:
        lines += [f"    {line}" for line in refusal.strip().splitlines() if line.strip()]
    if hint:
        lines.append(f"    hint: {hint}")
    return ShapeError("\n".join(lines))


def caller() -> str | None:
    """The file and line of the nearest call that isn't ours, torch's, jaxtyping's or beartype's.

    None where that only starts threads, processes or tasks.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - documented
    while frame.f_back is not None and _is_machinery(frame.f_globals.get("__name__", ""), frame.f_code.co_filename):
        frame = frame.f_back
    if f"{frame.f_globals.get('__name__', '')}.".startswith(_STARTS_OTHERS):
        return None
    path = frame.f_code.co_filename
    here = os.getcwd() + os.sep  # noqa: PTH109 - text, and no Path to build while a run dies
    return f"{path.removeprefix(here)}:{frame.f_lineno}"


def _is_machinery(module: str, filename: str) -> bool:
    return filename.startswith(GENERATED) or f"{module}.".startswith(_NOT_THE_CALLER)


Shown = tuple[str, Any, Leaf | None]
Result = tuple[Demand, Any, str]


def _values(plan: Plan, given: Given) -> Iterator[Result]:
    """Each argument with its demand and name."""
    for parameter in plan.parameters:
        if parameter.name in given:
            for place, value in each_value(parameter, given[parameter.name]):
                yield parameter.demand, value, place


def _wrong_item(values: Iterable[Result]) -> KindMismatch | None:
    """What beartype has refused, and may not have met again, in a value without arrays."""
    found = (wrong_kind(demand.hint, value, place) for demand, value, place in values if isinstance(demand, Plain))
    return next((entry for entry in found if entry is not None), None)


def _leaves(demand: Demand, value: Any, place: str) -> list[Shown]:
    """Each array in a value, by name; what should be one and isn't, too."""
    match demand:
        case Array():
            return [(place, value, _leaf(demand, value, place))]
        case Choice(options=options):
            option, _ = nearest(options, value, place, Bindings(), {})
            return [(place, value, None)] if option is None else _leaves(option, value, place)
        case Each() | Items() | Values() | Record():
            return [leaf for part, inner, where in parts(demand, value, place) for leaf in _leaves(part, inner, where)]
    return []


def _leaf(demand: Array, value: Any, place: str) -> Leaf | None:
    sizes = readable_sizes(value)
    if sizes is None or not hasattr(value, "dtype"):
        return None
    integer = dtype_name(value.dtype).startswith(("int", "uint"))
    return Leaf(place, sizes, demand.annotation, integer=integer)


def _table(shown: list[Shown], sentence: str) -> list[str]:
    """Name, value and declared shape in columns; of many rows the first, and those that the sentence mentions."""
    kept = [row for row, (place, _, _) in enumerate(shown) if row < _MOST_LINES or f"`{place}`" in sentence]
    total, shown = len(shown), [shown[row] for row in kept]
    if not shown:
        return []
    names = [f"{place}:" for place, _, _ in shown]
    values = [short_form(value) for _, value, _ in shown]
    wide_name, wide_value = max(map(len, names)), max(map(len, values))
    lines = []
    for row, following, name, text, (_, _, leaf) in zip(kept, [*kept[1:], total], names, values, shown, strict=True):
        lines.append(f"    {name:{wide_name}} {text:{wide_value}}" + (f'   "{leaf.annotation}"' if leaf else ""))
        if following - row > 1:
            lines.append(f"    ... and {following - row - 1} more")
    return [line.rstrip() for line in lines]


def explain_expected(leaf: Leaf, mismatch: Mismatch, start: Bindings, arguments: Mapping[str, object]) -> ShapeError:
    """The exception for an `expect` in a body that didn't hold."""
    diagnosis = diagnose([leaf], [leaf], mismatch, start, arguments)
    sizes = ", ".join(map(str, leaf.sizes))
    lines = [f'    {leaf.place}: [{sizes}]   "{leaf.annotation}"']
    if diagnosis is not None and diagnosis.hint:
        lines.append(f"    hint: {diagnosis.hint}")
    return refuse_expected(mismatch, *lines)


def refuse_expected(mismatch: Mismatch, *lines: str) -> ShapeError:
    """The exception for an `expect` that didn't hold: what is wrong, where, and any more `lines`."""
    place = caller()
    text = "\n".join([mismatch.sentence(), *([f"    at {place}"] if place else []), *lines])
    # No name stands in backticks that isn't the reader's own.
    return ShapeError(text.replace(f"`{UNNAMED}`", UNNAMED).replace(f"`{UNNAMED}.", "`."))
