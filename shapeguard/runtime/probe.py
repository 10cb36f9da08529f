"""The word of jaxtyping and beartype on a call: the signature without the body, under `jaxtyped` and `beartype`."""

from __future__ import annotations

import functools
import inspect
import operator
import traceback
import types
from collections.abc import Callable
from typing import Any, get_args, get_origin

from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped

from shapeguard.runtime.call import Given, bound_names
from shapeguard.runtime.demand import arrays_of, is_array
from shapeguard.runtime.plan import Parameter, Plan
from shapeguard.shapes.annotation import Named, Symbolic, expression_names, parse

_RESULT = "result_of_the_call"


def build_probes(plan: Plan) -> None:
    """Let jaxtyping and beartype read the whole signature now, so that what they refuse is refused at decoration."""
    _probe(plan, "result")


def refuse_arguments(plan: Plan, given: Given) -> str | None:
    """Why jaxtyping and beartype refuse the arguments, or None."""
    return _ask(_probe(plan, "arguments"), plan, given)


def refuse_result(plan: Plan, given: Given, result: Any) -> str | None:
    """Why jaxtyping and beartype refuse the result, or None."""
    return _ask(_probe(plan, "result"), plan, given, result)


def _probe(plan: Plan, what: str) -> Callable[..., Any]:
    """A function with the plan's signature and no body, under jaxtyping and beartype."""
    if what not in plan.probes:
        parameters = [
            inspect.Parameter(entry.name, entry.kind, default=entry.default, annotation=_askable(plan, entry))
            for entry in plan.parameters
        ]
        if what == "arguments":

            def probe(*_: object, **__: object) -> None:
                return None

            signature = inspect.Signature(parameters)
        else:

            def probe(*_: object, **named: object) -> object:  # type: ignore[misc]
                return named[_RESULT]

            extra = inspect.Parameter(_RESULT, inspect.Parameter.KEYWORD_ONLY, annotation=Any)
            keyword = inspect.Parameter.VAR_KEYWORD
            cut = len(parameters) - (bool(parameters) and parameters[-1].kind is keyword)
            signature = inspect.Signature(
                [*parameters[:cut], extra, *parameters[cut:]], return_annotation=plan.result_hint
            )
        probe.__signature__ = signature  # type: ignore[attr-defined]
        plan.probes[what] = jaxtyped(probe, typechecker=beartype)
    probe_function: Callable[..., Any] = plan.probes[what]
    return probe_function


def _ask(probe: Callable[..., Any], plan: Plan, given: Given, *result: Any) -> str | None:
    """The refusal of jaxtyping and beartype, in their words, or None."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    kinds = inspect.Parameter
    spread = any(given.get(entry.name) for entry in plan.parameters if entry.kind is kinds.VAR_POSITIONAL)
    omitted = False
    for entry in plan.parameters:
        # Behind an argument left out, one that goes by position alone can only be left out as well.
        omitted = omitted or entry.name not in given
        if entry.name not in given or (omitted and entry.kind is kinds.POSITIONAL_ONLY):
            continue
        value = given[entry.name]
        if entry.kind is kinds.VAR_POSITIONAL:
            positional += value
        elif entry.kind is kinds.VAR_KEYWORD:
            named.update(value)
        elif entry.kind is kinds.POSITIONAL_ONLY or (spread and entry.kind is kinds.POSITIONAL_OR_KEYWORD):
            positional.append(value)
        else:
            named[entry.name] = value
    if result:
        named[_RESULT] = result[0]
    try:
        probe(*positional, **named)
    except TypeCheckError as error:
        text = str(error)
        _forget_frames(error)
        return text
    return None


def _forget_frames(error: BaseException | None) -> None:
    """Let go of the frames of a refusal, which hold the arguments, without waiting for the garbage collector."""
    while error is not None:
        if error.__traceback__ is not None:
            traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _askable(plan: Plan, parameter: Parameter) -> Any:
    """The hint for jaxtyping, which reads an expression before later arguments have bound its names."""
    early = _early_names(plan, parameter)
    return _relaxed(parameter.hint, early) if early else parameter.hint


def _early_names(plan: Plan, parameter: Parameter) -> set[str]:
    """Names that an expression in this parameter reads although only a later axis binds them."""
    bound = set[str]()
    for earlier in plan.parameters:
        if earlier is parameter:
            break
        bound |= bound_names(earlier.demand)
    early = set[str]()
    for array in arrays_of(parameter.demand):
        for axis in array.annotation.axes:
            if isinstance(axis, Symbolic):
                early |= expression_names(axis) - bound
            elif isinstance(axis, Named):
                bound.add(axis.name)
    everywhere = set(plan.self_dims).union(*(bound_names(entry.demand) for entry in plan.parameters))
    return early & everywhere


def _relaxed(hint: Any, names: set[str]) -> Any:
    """A hint in which expressions over these names demand nothing."""
    if is_array(hint):
        words = [
            "_" if isinstance(axis, Symbolic) and expression_names(axis) & names else axis.word
            for axis in parse(hint.dim_str).axes
        ]
        return hint.dtype[hint.array_type, " ".join(words)]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None or not arguments:
        return hint
    relaxed = tuple(_relaxed(argument, names) for argument in arguments)
    if hasattr(hint, "copy_with"):
        return hint.copy_with(relaxed)
    return functools.reduce(operator.or_, relaxed) if origin is types.UnionType else origin[relaxed]
