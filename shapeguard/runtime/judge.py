"""The verdict on what the quick check can't vouch for: jaxtyping and beartype decide, then every array is looked at."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from shapeguard.runtime import probe, traced
from shapeguard.runtime.call import Given, bind_arguments, keep_self_dims, passed, with_names
from shapeguard.runtime.demand import Anything, Demand
from shapeguard.runtime.error import ShapeError
from shapeguard.runtime.explain import explain
from shapeguard.runtime.match import match
from shapeguard.runtime.plan import Plan
from shapeguard.shapes.binding import Bindings, settle
from shapeguard.shapes.mismatch import Mismatch


def judge_arguments(plan: Plan, given: Given) -> ShapeError | None:
    """What is wrong with the arguments of a call, or None."""
    refusal: ShapeError | None = traced.call_untraced(_judge_arguments, plan, given)
    return refusal


def judge_result(plan: Plan, given: Given, result: Any, names: Mapping[str, Any] | None = None) -> ShapeError | None:
    """What is wrong with the result of a call whose arguments were accepted, or None.

    `names` are those that `expect` has seen in the body.
    """
    refusal: ShapeError | None = traced.call_untraced(_judge_result, plan, given, result, names)
    return refusal


def _judge_arguments(plan: Plan, given: Given) -> ShapeError | None:
    plan, given = plan.current(), passed(given)
    if _without_sizes(given.values()):
        return None
    if traced.has_symbols(given.values()):
        return traced.refuse_arguments(plan, given)
    refusal = probe.refuse_arguments(plan, given)
    if refusal is None and not plan.is_stricter:
        return None
    outcome = bind_arguments(plan, given)
    if refusal is None and isinstance(outcome, Bindings):
        return None
    return explain(plan, given, outcome if isinstance(outcome, Mismatch) else None, refusal)


def _judge_result(plan: Plan, given: Given, result: Any, names: Mapping[str, Any] | None) -> ShapeError | None:
    plan, given = plan.current(), passed(given)
    if _without_sizes((*given.values(), result)):
        return None
    if traced.has_symbols((*given.values(), result)):
        return traced.refuse_result(plan, given, plan.result, result, "result")
    refusal = probe.refuse_result(plan, given, result)
    if refusal is None and not plan.is_stricter:
        return None
    return _judged(plan, given, plan.result, result, refusal, names)


def judge_item(
    plan: Plan, given: Given, demand: Demand, item: Any, what: str, names: Mapping[str, Any] | None = None
) -> ShapeError | None:
    """What is wrong with something that a generator yields, takes or returns, or None."""
    refusal: ShapeError | None = traced.call_untraced(_judge_item, plan, given, demand, item, what, names)
    return refusal


def _judge_item(
    plan: Plan, given: Given, demand: Demand, item: Any, what: str, names: Mapping[str, Any] | None
) -> ShapeError | None:
    given = passed(given)
    if isinstance(demand, Anything) or _without_sizes((item,)):
        return None
    if traced.has_symbols((*given.values(), item)):
        return traced.refuse_result(plan, given, demand, item, what)
    return _judged(plan, given, demand, item, None, names, what)


def _judged(
    plan: Plan,
    given: Given,
    demand: Demand,
    value: Any,
    refusal: str | None,
    names: Mapping[str, Any] | None,
    what: str = "result",
) -> ShapeError | None:
    bindings = bind_arguments(plan, given)
    if not isinstance(bindings, Bindings):
        # The body changed its arguments in place, so that their names say nothing any more, nor does the refusal.
        bindings, refusal = Bindings(), None
    outcome = match(demand, value, what, with_names(bindings, names), given)
    if isinstance(outcome, Bindings):
        outcome = settle(outcome, given)
    if refusal is None and isinstance(outcome, Bindings):
        keep_self_dims(plan, given, outcome)
        return None
    return explain(
        plan, given, outcome if isinstance(outcome, Mismatch) else None, refusal, (demand, value, what), names
    )


def _without_sizes(values: Iterable[Any]) -> bool:
    """Whether a value stands for a tensor that isn't there yet, as in torch.fx.symbolic_trace."""
    fx = sys.modules.get("torch.fx")
    return fx is not None and any(isinstance(value, fx.Proxy) for value in values)
