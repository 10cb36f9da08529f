"""What several runs through the same code, with different values, say of it together."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shapeguard.infer.values import Function
from shapeguard.ops.values import Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape


class Observed(NamedTuple):
    """A tensor-valued expression as the interpreter saw it."""

    node: ast.expr
    function: str
    value: Tensor


@dataclass
class Run:
    """One run through a body, with the values that it was given."""

    function: Function | None
    claims: bool = False
    """Whether it took its values from what the function says itself."""
    guesses: bool = False
    """Whether it took them from convention."""
    seen: dict[ast.expr, tuple[Tensor, str]] = field(default_factory=dict)
    """Expression -> what is known of it, and the name of the function around it."""
    missed: dict[ast.expr, None] = field(default_factory=dict)
    """Expressions of which nothing is known."""
    leads_to: dict[Any, None] = field(default_factory=dict)
    """The runs of the functions that it calls."""

    @property
    def known(self) -> int:
        """How many expressions have a known rank."""
        return sum(value.shape.axes is not None for value, _ in self.seen.values())


def observed(runs: Mapping[Any, Run]) -> tuple[Observed, ...]:
    """What is known of each expression in all runs that count."""
    groups: dict[Function | None, list[Run]] = {}
    for key in _counting(runs):
        groups.setdefault(runs[key].function, []).append(runs[key])
    found: dict[ast.expr, Observed] = {}
    for group in groups.values():
        for entry in _together(group):
            found.setdefault(entry.node, entry)
    return tuple(found.values())


def _counting(runs: Mapping[Any, Run]) -> list[Any]:
    """The runs that count: where a function says what it takes, that one, else those that the file's calls lead to."""
    called = {target for key, run in runs.items() for target in run.leads_to if _of(runs, target) is not run.function}
    reached = {_of(runs, key) for key in called}
    claiming = {run.function for run in runs.values() if run.claims}
    most: dict[Function | None, int] = {}
    for key in called & runs.keys():
        run = runs[key]
        most[run.function] = max(most.get(run.function, 0), run.known)
    counting: dict[Any, None] = {}
    begins = [
        key
        for key, run in runs.items()
        if key is None
        or run.claims
        or (
            key is run.function
            and (run.function not in reached or (not run.guesses and run.known >= most.get(run.function, 0)))
        )
    ]
    for start in (begins, list(runs)):
        counted = {runs[each].function for each in counting}
        waiting = [key for key in start if start is begins or runs[key].function not in counted]
        while waiting:
            key = waiting.pop()
            if key in counting or key not in runs or (runs[key].function in claiming and not runs[key].claims):
                continue
            counting[key] = None
            waiting += runs[key].leads_to
    return list(counting)


def _of(runs: Mapping[Any, Run], key: Any) -> Function | None:
    return runs[key].function if key in runs else None


def _together(group: list[Run]) -> Iterable[Observed]:
    """What the runs through one body have in common.

    Sizes that are different ones in each run, but always the same together, get one name.
    """
    if len(group) == 1:
        for node, (value, function) in group[0].seen.items():
            yield Observed(node, function, value)
        return
    names: dict[tuple[tuple[int, Dim], ...], Dim] = {}
    nodes = dict.fromkeys(node for run in group for node in run.seen)
    for node in sorted(
        nodes, key=lambda each: (each.lineno, each.col_offset, each.end_lineno or 0, each.end_col_offset or 0)
    ):
        values = [(number, *run.seen[node]) for number, run in enumerate(group) if node in run.seen]
        _, first, function = values[0]
        dtype = first.dtype if all(value.dtype == first.dtype for _, value, _ in values) else None
        ranks = {value.shape.rank for _, value, _ in values}
        if len(ranks) > 1 or None in ranks or any(node in run.missed for run in group):
            yield Observed(node, function, Tensor(Shape.unknown(), dtype))
            continue
        axes = []
        for position in range(first.shape.rank or 0):
            sizes = [(number, (value.shape.axes or ())[position].size) for number, value, _ in values]
            axes.append(_axis(sizes, names, node, position))
        yield Observed(node, function, Tensor(Shape(tuple(axes)), dtype))


def _axis(
    sizes: list[tuple[int, Dim | None]], names: dict[tuple[tuple[int, Dim], ...], Dim], node: ast.expr, position: int
) -> Axis:
    known = tuple((number, size) for number, size in sizes if size is not None)
    if len(known) != len(sizes):
        return UNKNOWN_AXIS
    if len({size for _, size in known}) == 1:
        return Axis.of(known[0][1])
    if known not in names:
        word = node.id if isinstance(node, ast.Name) else "size"
        taken = {str(name) for name in names.values()}
        candidate, number = f"{word}_{position}", 2
        while candidate in taken:
            candidate, number = f"{word}_{position}_{number}", number + 1
        names[known] = Dim(candidate)
    return Axis.of(names[known])
