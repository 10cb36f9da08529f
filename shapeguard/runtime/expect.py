"""Checks in a body, against the names that the guarded call around it has bound."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType
from typing import Any, TypeVar

from shapeguard.runtime import mode, traced
from shapeguard.runtime.call import names_of, with_names
from shapeguard.runtime.error import ShapeError
from shapeguard.runtime.explain import explain_expected
from shapeguard.runtime.generate import PLAN, SCOPE
from shapeguard.runtime.repair import Leaf
from shapeguard.runtime.tensors import loaded_torch, short_form
from shapeguard.shapes.annotation import Annotation, Fixed, Named, parse, unreadable_expression
from shapeguard.shapes.binding import Bindings, bind
from shapeguard.shapes.mismatch import KindMismatch, Mismatch

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
    if not hasattr(x, "shape"):
        raise ShapeError(KindMismatch("x", type(x).__name__, f'an array "{shape}"').sentence())
    names, arguments = _names_around(sys._getframe(1))  # noqa: SLF001 - documented
    sizes = tuple(x.shape)
    if _surely_fits(annotation, sizes, names):
        return x
    start = with_names(Bindings(), names)
    outcome = bind(annotation, sizes, start, value="x", arguments=arguments)
    if isinstance(outcome, Mismatch):
        place = _source_of_value(sys._getframe(1)) or "x"  # noqa: SLF001
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
    name = _source_of_value(frame) or "x"
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
        plan = frame.f_globals.get(PLAN)
        if plan is not None:
            variables = frame.f_locals
            arguments = {entry.name: variables[entry.name] for entry in plan.parameters}
            names = variables.get(SCOPE)
            return (names_of(plan, arguments) if names is None else names), arguments
        frame = frame.f_back
    return {}, {}


_CALL = re.compile(r"\b(?:expect|reveal_shape)\(")


def _source_of_value(frame: FrameType) -> str | None:
    """What the caller passes as the first argument, as written, if it stands on the line and is short."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    for found in _CALL.finditer(line):
        source = "".join(_first_argument(line[found.end() :])).strip()
        if source and len(source) < _LONGEST:
            return source
    return None


_LONGEST = 40


def _first_argument(text: str) -> Iterator[str]:
    depth = 0
    for character in text:
        if depth == 0 and character in ",)":
            return
        depth += (character in "([{") - (character in ")]}")
        yield character
