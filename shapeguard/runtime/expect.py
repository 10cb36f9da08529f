"""Checks in a body, against the names that the guarded call around it has bound."""

from __future__ import annotations

import ast
import itertools
import linecache
import sys
from functools import lru_cache
from types import FrameType
from typing import Any, TypeVar

from shapeguard.runtime import mode, traced
from shapeguard.runtime.call import names_of, with_names
from shapeguard.runtime.explain import UNNAMED, explain_expected, refuse_expected
from shapeguard.runtime.generate import PLAN, SCOPE
from shapeguard.runtime.repair import Leaf
from shapeguard.runtime.streams import watch_async
from shapeguard.runtime.tensors import kind_of, loaded_torch, shape_of, short_form
from shapeguard.shapes.annotation import Annotation, Fixed, Named, parse, unreadable_expression
from shapeguard.shapes.binding import Bindings, bind
from shapeguard.shapes.mismatch import KindMismatch, Mismatch

__tracebackhide__ = True  # of a refusal pytest shows the code that it is about

Value = TypeVar("Value")


def expect(x: Value, shape: str) -> Value:
    """Check that `x` has this shape, and return it.

    Names mean what the arguments of the guarded function around this call have bound; a new name is bound here, for
    later calls and for the result. Outside a guarded function each call stands for itself.

        @guard
        def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
            hidden = expect(self.encode(tokens), "batch seq d")
            return expect(self.head(hidden), "batch seq vocab")
    """
    if _is_tracing():
        traced.check_expected(traced.constant_annotation(shape), x, traced.scopes[-1] if traced.scopes else {})
        return x
    if not (mode.on or mode.once):
        return x
    annotation = _readable(shape)
    sizes = shape_of(x)
    if sizes is None:
        place = _source_of_value(sys._getframe(1))  # noqa: SLF001 - documented
        raise refuse_expected(KindMismatch(place, kind_of(x), f'an array "{shape}"'))
    names, arguments = _names_around(sys._getframe(1))  # noqa: SLF001 - documented
    if _surely_fits(annotation, sizes, names):
        return x
    start = with_names(Bindings(), names)
    outcome = bind(annotation, sizes, start, value="x", arguments=arguments)
    if isinstance(outcome, Mismatch):
        place = _source_of_value(sys._getframe(1))  # noqa: SLF001
        outcome = bind(annotation, sizes, start, value=place, arguments=arguments)
        assert isinstance(outcome, Mismatch)
        raise explain_expected(Leaf(place, sizes, annotation), outcome, start, arguments)
    names.update(outcome.sizes)
    names.update({f"*{name}": run for name, (_, run) in outcome.runs.items()})
    return x


def reveal_shape(x: Value) -> Value:
    """Print where this is called, what `x` is called there, and its shape; return `x`."""
    if _is_tracing():
        return x
    frame = sys._getframe(1)  # noqa: SLF001 - documented
    name = _source_of_value(frame)
    print(f"{frame.f_code.co_filename}:{frame.f_lineno}: {name}: {short_form(x)}", file=sys.stderr)  # noqa: T201
    return x


def _is_tracing() -> bool:
    torch = loaded_torch()
    return torch is not None and torch.compiler.is_dynamo_compiling()


def _surely_fits(annotation: Annotation, sizes: tuple[int, ...], names: dict[str, Any]) -> bool:
    """Whether sizes agree with an annotation of plain names and numbers, axis by axis; new names are bound."""
    if len(sizes) != len(annotation.axes):
        return False
    new: dict[str, int] = {}
    for axis, size in zip(annotation.axes, sizes, strict=True):
        if type(axis) is Named and not axis.broadcast:
            if names.get(axis.name, size) != size or new.setdefault(axis.name, size) != size:
                return False
        elif type(axis) is not Fixed or axis.size != size:
            return False
    names.update(new)
    return True


@lru_cache(maxsize=1024)
def _readable(shape: str) -> Annotation:
    annotation = parse(shape)
    unreadable = unreadable_expression(annotation)
    if unreadable is not None:
        raise unreadable
    return annotation


def _names_around(frame: FrameType | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The names of the nearest guarded call, to be added to, and its arguments."""
    while frame is not None:
        if frame.f_code is watch_async.__code__:
            watched = frame.f_locals
            return ({} if watched["names"] is None else watched["names"]), watched["given"]
        plan = frame.f_globals.get(PLAN)
        if plan is not None:
            variables = frame.f_locals
            arguments = {entry.name: variables[entry.name] for entry in plan.parameters}
            names = variables.get(SCOPE)
            return (names_of(plan, arguments) if names is None else names), arguments
        frame = frame.f_back
    return {}, {}


_LONGEST = 40


def _source_of_value(frame: FrameType) -> str:
    """What the caller passes as the first argument, as written, if its file can be read and that is short."""
    call = _call_under_way(frame)
    if not isinstance(call, ast.Call) or not _is_ours(ast.unparse(call.func), frame):
        return UNNAMED
    named = [entry.value for entry in call.keywords if entry.arg == "x"]
    sources = [ast.unparse(value) for value in [*call.args, *named] if not isinstance(value, ast.Starred)]
    return sources[0] if sources and len(sources[0]) < _LONGEST else UNNAMED


def _is_ours(called: str, frame: FrameType) -> bool:
    """Whether it is one of the functions here that a name stands for; what took them as a callback is not."""
    named = frame.f_globals.get(called)
    return called.rpartition(".")[2] in ("expect", "reveal_shape") or named is expect or named is reveal_shape


def _call_under_way(frame: FrameType) -> ast.expr | None:
    """The expression that a frame is just evaluating, read from its file."""
    positions = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    first_line, last_line, start, end = positions
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    if first_line is None or last_line is None or last_line > len(lines):
        return None
    # Columns count bytes. The end is cut first, as it may be on the line of the start.
    text = [line.encode() for line in lines[first_line - 1 : last_line]]
    text[-1] = text[-1][:end]
    text[0] = text[0][start:]
    try:
        return ast.parse(b"(%s)" % b"".join(text), mode="eval").body
    except (SyntaxError, ValueError):
        return None
