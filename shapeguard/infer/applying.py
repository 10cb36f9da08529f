"""Calling a value with values: functions and modules are followed, operations worked out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from shapeguard.infer import follow, hugging_face
from shapeguard.infer.externals import call_external
from shapeguard.infer.operations import as_operand, attempt, call_op
from shapeguard.infer.values import (
    NOTHING,
    Bound,
    Chain,
    Class,
    External,
    Function,
    Instance,
    Many,
    OneOf,
    Pretrained,
    Scope,
    certain,
    join,
    join_all,
)
from shapeguard.ops.registry import Op, find
from shapeguard.ops.values import UNKNOWN, Module, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator


def apply(evaluator: Evaluator, function: Any, arguments: list[Any], named: Scope) -> Any:
    """Call a value with values."""
    function = certain(function)
    follows = _FOLLOWED.get(type(function))
    if follows is not None:
        found = follows(evaluator, function, arguments, named)
        if found is not _NOT_FOLLOWED:
            return found
    if isinstance(function, External) and any(isinstance(value, Many) for value in arguments):
        spread = _spread(evaluator, function, arguments, named)
        if spread is not None:
            return spread
    works_out = _WORKED_OUT.get(type(function))
    if works_out is None:
        return UNKNOWN
    is_open = named.pop("**", False)
    result = works_out(
        evaluator,
        function,
        [certain(value) for value in arguments],
        {name: certain(value) for name, value in named.items()},
    )
    # Something may be given that isn't seen here.
    return UNKNOWN if is_open and isinstance(result, Mismatch) else result


_NOT_FOLLOWED = object()


def _apply_bound(evaluator: Evaluator, function: Bound, arguments: list[Any], named: Scope) -> Any:
    if isinstance(function.call, Function):
        return follow.call_function(evaluator, function.call, [function.owner, *arguments], named)
    return _NOT_FOLLOWED


def _apply_instance(evaluator: Evaluator, function: Instance, arguments: list[Any], named: Scope) -> Any:
    forward = function.cls.find("forward") or function.cls.find("__call__")
    if isinstance(forward, Function):
        return follow.call_function(evaluator, forward, [function, *arguments], named)
    return UNKNOWN if function.base is None else apply(evaluator, function.base, arguments, named)


def _apply_options(evaluator: Evaluator, function: OneOf, arguments: list[Any], named: Scope) -> Any:
    result: Any = NOTHING
    evaluator.uncertain += 1
    kept = len(evaluator.refusals)
    for option in function.options:
        each = apply(evaluator, option, list(arguments), dict(named))
        result = join(result, UNKNOWN if isinstance(each, Mismatch) else each)
    evaluator.uncertain -= 1
    # One of them takes what it is given.
    del evaluator.refusals[kept:]
    return result


def _apply_chain(evaluator: Evaluator, function: Chain, arguments: list[Any], _: Scope) -> Any:
    value = arguments[0] if arguments else UNKNOWN
    for module in function.modules:
        if isinstance(module, Many):
            once = apply(evaluator, module.any_item, [value], {})
            twice = once if once == value else apply(evaluator, module.any_item, [once], {})
            value = once if once == value else join(once, twice)
        else:
            value = apply(evaluator, module, [value], {})
        if isinstance(value, Mismatch):
            return value
    return value


_FOLLOWED: dict[type, Callable[[Evaluator, Any, list[Any], Scope], Any]] = {
    Function: follow.call_function,
    Bound: _apply_bound,
    Class: follow.instantiate,
    Instance: _apply_instance,
    OneOf: _apply_options,
    Chain: _apply_chain,
}


def _work_out_bound(_: Evaluator, function: Bound, arguments: list[Any], named: Scope) -> Any:
    work = function.call
    if isinstance(work, Op):
        return call_op(work, [function.owner, *arguments], named)
    assert not isinstance(work, Function)
    return attempt(lambda: work(*arguments, **named))


def _work_out_module(_: Evaluator, function: Module, arguments: list[Any], named: Scope) -> Any:
    values = [as_operand(value) for value in arguments]
    inputs = {name: as_operand(value) for name, value in named.items()}
    return attempt(lambda: function.forward(*values, **inputs))


def _work_out_external(evaluator: Evaluator, function: External, arguments: list[Any], named: Scope) -> Any:
    return attempt(lambda: call_external(function.name, arguments, named, partial(apply, evaluator)))


def _work_out_pretrained(_: Evaluator, function: Pretrained, arguments: list[Any], named: Scope) -> Any:
    return hugging_face.called(function, arguments, named)


_WORKED_OUT: dict[type, Callable[[Evaluator, Any, list[Any], Scope], Any]] = {
    External: _work_out_external,
    Bound: _work_out_bound,
    Module: _work_out_module,
    Pretrained: _work_out_pretrained,
}


def _spread(evaluator: Evaluator, function: External, arguments: list[Any], named: Scope) -> Any:
    """What holds of a call for a list of two, of three and so of any number of items."""
    if find(function.name) is None:
        return None
    answers = []
    for count in (2, 3):
        given = [
            (*value.first, *(value.item,) * count, *value.last)
            if isinstance(value, Many) and value.item is not NOTHING
            else value
            for value in arguments
        ]
        if any(isinstance(value, Many) for value in given):
            return None
        answers.append(apply(evaluator, function, given, dict(named)))
    if any(isinstance(answer, Mismatch) for answer in answers):
        return UNKNOWN
    if all(isinstance(answer, tuple) for answer in answers):
        # As many results as items, none of which is known to be like another.
        return Many(join_all(NOTHING, tuple(part for answer in answers for part in answer)))
    counts = [value.count for value in arguments if isinstance(value, Many)]
    if len(counts) == 1 and counts[0] is not None and all(isinstance(answer, Tensor) for answer in answers):
        return _of_count(answers[0], answers[1], counts[0])
    return join(*answers)


def _of_count(two: Tensor, three: Tensor, count: Dim) -> Tensor:
    """What comes of so many items, by what comes of two and of three."""
    axes, others = two.shape.axes, three.shape.axes
    if axes is None or others is None or len(axes) != len(others):
        return cast("Tensor", join(two, three))
    return Tensor(Shape(tuple(map(partial(_axis_of_count, count), axes, others))), two.dtype)


def _axis_of_count(count: Dim, two: Axis, three: Axis) -> Axis:
    if two == three:
        return two
    if two.size is None or three.size is None:
        return UNKNOWN_AXIS
    part = three.size - two.size
    # What is put one after another has the items outermost.
    return Axis.of(count, part) if two.size == part + part else UNKNOWN_AXIS
