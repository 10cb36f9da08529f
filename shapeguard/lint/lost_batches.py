"""Which squeezes without an axis surely take the batch's axis, when the batch is one, from something that needs it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from shapeguard.lint.consuming import RANKED, Kind, Use, uses_of
from shapeguard.lint.reading import Reading
from shapeguard.lint.squeezing import Meant, Squeeze, meant_axes, output_of_model, squeezed

DONE: dict[Kind, str] = {
    "measured": "measured",
    "iterated": "iterated over",
    "indexed": "indexed",
    "joined": "joined to others",
    "axis": "worked on along another axis",
    "changed": "changed in place",
}
"""What breaks without the axis, in the order in which it is told."""
_BATCHES = re.compile(r"load|batch|dataset|\bdl\b", re.IGNORECASE)
_FOR_ONE = re.compile(r"(^|_)(act|action|select|choose|step|sample|single|one)(_|$)")
_ONE = frozenset({"state", "obs", "observation"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of one squeeze."""

    squeeze: Squeeze
    meant: Meant | None
    model: ast.Call | None
    """The call of a model whose result it is of."""
    use: Use | None
    """What suffers most from a lost axis."""
    preview: bool
    beside: bool = False
    """Whether it is flagged only for what it is used with."""


def judged(file: Reading, squeeze: Squeeze, uses: list[Use]) -> Verdict:
    """What is thought of a squeeze, by what is squeezed and what is done with it."""
    meant = meant_axes(file, squeeze)
    model = output_of_model(file, squeeze.value)
    breaking = next((each for kind in DONE for each in uses if each.kind == kind), None)
    ranked = next((each for each in uses if each.kind in RANKED), None)
    if meant is not None:
        unsure = ranked is None or _is_for_one(file, ranked) or _is_passed_on(file, squeeze, ranked)
        told = breaking or (None if unsure else ranked)
        return Verdict(squeeze, meant, model, breaking or ranked, preview=told is None)
    sure = model is not None and breaking is not None and _is_of_batches(file, squeeze, breaking)
    return Verdict(squeeze, None, model, breaking or ranked, preview=not sure)


def _is_for_one(file: Reading, use: Use) -> bool:
    """Whether a function that returns a value is, by its name or parameters, for one example without a batch."""
    function = file.function(use.node)
    if use.kind != "returned" or not isinstance(function, ast.FunctionDef) or function.name == "forward":
        return False
    return _FOR_ONE.search(function.name) is not None or any(each.arg in _ONE for each in function.args.args)


def _is_passed_on(file: Reading, squeeze: Squeeze, use: Use) -> bool:
    """Whether a private function returns it, and what calls that only hands it to functions of other files."""
    function = file.function(use.node)
    if not isinstance(use.node, ast.Return) or not isinstance(function, ast.FunctionDef):
        return False
    if not function.name.startswith("_") or function.name.endswith("__"):
        return False
    uses = [
        each
        for call in file.calls(function.name)
        for value in _taken(file, call, use.node.value, squeeze)
        for each in uses_of(file, value)
    ]
    calls = [each.node.func for each in uses if each.kind == "other" and isinstance(each.node, ast.Call)]
    return bool(calls) and len(calls) == len(uses) and all(_is_of_elsewhere(file, each) for each in calls)


def _is_of_elsewhere(file: Reading, func: ast.expr) -> bool:
    """Whether a function is imported, also from the package's own folders."""
    binding = file.definition(func) if isinstance(func, ast.Name) else None
    is_imported = binding is not None and isinstance(binding.statement, ast.Import | ast.ImportFrom)
    return is_imported or file.full_name(func) is not None


def _taken(file: Reading, call: ast.Call, given: ast.expr | None, squeeze: Squeeze) -> list[ast.expr]:
    """The places that read what a call gives of a squeeze: by itself, or as one of several values."""
    if not isinstance(given, ast.Tuple):
        return [call]
    found = [squeezed(file, each) for each in given.elts]
    places = [index for index, each in enumerate(found) if each is not None and each.call is squeeze.call]
    match file.parent(call):
        case ast.Assign(targets=[ast.Tuple(elts=names)]) if len(names) == len(found):
            targets = [names[each] for each in places]
            return [use for name in targets if isinstance(name, ast.Name) for use in file.uses(name)]
    return []


def _is_of_batches(file: Reading, squeeze: Squeeze, use: Use) -> bool:
    """Whether what a model gives is a batch: its size is asked for, or it stands in a loop over batches."""
    if use.kind == "measured":
        return True
    loops = [file.text(each.iter) for each in file.around(squeeze.call) if isinstance(each, ast.For)]
    function = file.function(squeeze.call)
    loops += [] if function is None else [each.arg for each in function.args.args]
    needs = use.kind in {"iterated", "joined"} or _keeps_first(use.node)
    return needs and any(_BATCHES.search(each) for each in loops)


def _keeps_first(node: ast.AST) -> bool:
    """Whether an index takes all of the first axis and goes on to another one: `x[:, 1:]`."""
    match node:
        case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), _, *_])):
            return True
    return False
