"""Generators under guard: what they yield, take by `send` and return is checked as it passes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from shapeguard.runtime.call import Given
from shapeguard.runtime.demand import Demand
from shapeguard.runtime.judge import judge_item
from shapeguard.runtime.plan import Plan, Stream

__tracebackhide__ = True  # of a refusal pytest shows the code that it is about

Names = dict[str, Any] | None
"""What `expect` has seen in the body; None where the body doesn't call it."""


def watch(plan: Plan, given: Given, generator: Generator[Any, Any, Any], names: Names) -> Generator[Any, Any, Any]:
    """Pass everything on, in both directions."""
    stream = plan.current().stream
    assert stream is not None
    try:
        item = next(generator)
        while True:
            _require(plan, given, stream.item, item, "yield", names)
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever is thrown in is thrown on
                item = generator.throw(error)
            else:
                _require_sent(plan, given, stream, sent, names)
                item = next(generator) if sent is None else generator.send(sent)
    except StopIteration as stop:
        _require(plan, given, stream.returned, stop.value, "result", names)
        return stop.value
    finally:
        generator.close()


async def watch_async(
    plan: Plan, given: Given, generator: AsyncGenerator[Any, Any], names: Names
) -> AsyncGenerator[Any, Any]:
    """Pass everything on, in both directions."""
    stream = plan.current().stream
    assert stream is not None
    try:
        item = await anext(generator)
        while True:
            _require(plan, given, stream.item, item, "yield", names)
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever is thrown in is thrown on
                item = await generator.athrow(error)
            else:
                _require_sent(plan, given, stream, sent, names)
                item = await (anext(generator) if sent is None else generator.asend(sent))
    except StopAsyncIteration:
        return
    finally:
        await generator.aclose()


def _require(plan: Plan, given: Given, demand: Demand, item: Any, what: str, names: Names) -> None:
    refusal = judge_item(plan, given, demand, item, what, names)
    if refusal is not None:
        raise refusal


def _require_sent(plan: Plan, given: Given, stream: Stream, sent: Any, names: Names) -> None:
    if sent is not None:
        _require(plan, given, stream.sent, sent, "send", names)
