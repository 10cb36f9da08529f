"""What a function does where an axis is 1: held to what it does where all are longer, for squeezes that name no axis."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from shapeguard.diagnostics import Diagnostic, Edit, Fix, Span
from shapeguard.infer.renaming import substituted
from shapeguard.infer.steps import call_of, short_text_of
from shapeguard.infer.supposing import Heard, Looked, Trial
from shapeguard.infer.values import Exhausted, certain
from shapeguard.ops.values import Tensor
from shapeguard.shapes.dim import Dim, names
from shapeguard.shapes.shape import Shape
from shapeguard.source.file import Source

_KIND = ("SG704", "size-one")
_MOST_NAMES = 3
_GOES_OVER = frozenset({"zip", "enumerate", "list", "tuple", "len", "map", "sorted"})
_MORE = "_beyond_one"
_NEVER_ONE = re.compile(
    r"^(self\.)?(h|w|d|c|height|width|dim|hidden|channels|features|vocab|embed|\w+_dim|\w+_features|\w+_channels"
    r"|(hidden|embed|embedding|vocab|image|patch|kernel|feature)_size)s?$",
    re.IGNORECASE,
)
"""Sizes that nobody sets to 1."""
_BEYOND = re.compile(rf"(\w+){_MORE} ?\+ ?1\b")
"""A name plus one, as sizes that are surely longer than 1 are written."""
_REDUCES = frozenset(
    {"mean", "sum", "std", "var", "amax", "amin", "argmax", "argmin", "softmax", "log_softmax", "logsumexp"}
)
_RANK = frozenset({"dim", "ndim", "ndimension"})


class _Squeeze(NamedTuple):
    """A squeeze without an axis, of a value with axes that have a name."""

    node: ast.Call
    value: ast.expr
    shape: Shape
    names: tuple[str, ...]
    """Of axes that may be 1, the first axis first."""


class _Effect(NamedTuple):
    """What comes of a lost axis."""

    says: str
    note: str
    is_sure: bool = True
    """Whether it is wrong whatever the caller does."""


def squeezes(node: ast.AST) -> bool:
    """Whether a squeeze that names no axis stands in a function, and nothing in it looks at a rank."""
    found = False
    for part in ast.walk(node):
        match part:
            case ast.Attribute(attr=name) if name in _RANK:
                return False
            case ast.Call(func=ast.Name(id="len"), args=[ast.Attribute(attr="shape")]):
                return False
        found = found or _squeezed(part) is not None
    return found


def weigh_sizes(looked: Looked, known: Mapping[ast.expr, Tensor]) -> None:
    """Report squeezes that take an axis of size 1 which is longer elsewhere, and what then goes wrong."""
    places = list(_places(looked.function.node, known))
    if not places:
        return
    every = dict.fromkeys(name for place in places for name in place.names)
    longer = _run(looked, {name: _more(name) for name in every})
    if longer is None or longer.heard:
        return
    told: set[ast.Call] = set()
    for name in [each for each in every if not _NEVER_ONE.match(each)][:_MOST_NAMES]:
        sizes = {other: _more(other) for other in every if other != name}
        single = _run(looked, {**sizes, name: Dim(1)})
        place = None if single is None else _first_lost(places, name, longer, single)
        if single is None or place is None or place.node in told:
            continue
        effect = (
            _failure(longer, single)
            or _passes(looked, longer, single)
            or _reduces(looked, longer, single)
            or _returned(longer, single)
        )
        if effect is not None:
            told.add(place.node)
            _report(looked, place, name, effect, single)


def _more(name: str) -> Dim:
    """A size that is surely longer than 1."""
    return Dim(f"{name}{_MORE}") + 1


def _squeezed(node: ast.AST) -> ast.expr | None:
    """`x` of `x.squeeze()`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="squeeze"), args=[only], keywords=[]):
            return only
        case ast.Call(func=ast.Attribute(value=value, attr="squeeze"), args=[], keywords=[]):
            return value
    return None


def _places(node: ast.AST, known: Mapping[ast.expr, Tensor]) -> Iterator[_Squeeze]:
    for part in ast.walk(node):
        value = _squeezed(part)
        if not isinstance(part, ast.Call) or value is None or value not in known:
            continue
        shape = known[value].shape
        named = [
            str(axis.size)
            for axis in shape.axes or ()
            if axis.size is not None and names(axis.size) == {str(axis.size)}
        ]
        if named and len(named) == len(set(named)) and len(shape.axes or ()) > 1:
            yield _Squeeze(part, value, shape, tuple(named))


def _run(looked: Looked, sizes: Mapping[str, Dim]) -> Trial | None:
    """A run through a function with some of its names replaced."""
    trial = looked.prepare()
    body, node = trial.body, looked.function.node
    assert not isinstance(node, ast.Lambda)
    try:
        for statement in (None, *node.body):
            if statement is not None:
                body.block([statement])
            for name, value in body.scope.items():
                body.scope[name] = substituted(value, sizes)
    except (Exhausted, RecursionError):
        return None
    return trial


def _first_lost(places: list[_Squeeze], name: str, longer: Trial, single: Trial) -> _Squeeze | None:
    """The first squeeze that takes an axis more where that one is 1."""
    for place in sorted(places, key=lambda each: (each.node.lineno, each.node.col_offset)):
        before, after = longer.seen.get(place.node), single.seen.get(place.node)
        if place.shape.sizes is None or Dim(name) not in place.shape.sizes or before is None or after is None:
            continue
        if before.rank is not None and after.rank is not None and after.rank < before.rank:
            return place
    return None


def _failure(longer: Trial, single: Trial) -> _Effect | None:
    """What torch then refuses."""
    found: list[Heard] = [each for each in single.heard if each.node not in {other.node for other in longer.heard}]
    if not found:
        return None
    line = found[0].node.lineno
    why = _BEYOND.sub(r"\1", found[0].why)
    said = "" if _MORE in why else f": {why}"
    return _Effect(f"line {line} then fails", f"line {line}: {short_text_of(found[0].node)}{said}")


def _passes(looked: Looked, longer: Trial, single: Trial) -> _Effect | None:
    """What then goes over another axis, or over none."""
    for node in ast.walk(looked.function.node):
        over: list[ast.expr] = []
        if isinstance(node, ast.For | ast.comprehension):
            over = [node.iter]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _GOES_OVER:
            over = list(node.args)
        for value in over:
            before, after = longer.seen.get(value), single.seen.get(value)
            if before is None or after is None or not before.axes or after.axes is None:
                continue
            if len(after.axes) >= len(before.axes):
                continue
            what = f"line {value.lineno}: {short_text_of(value)} is {_named(after)}"
            left = _named(after).sizes
            over_what = f"`{left[0]}`" if left else "a number"
            return _Effect(f"line {value.lineno} then goes over {over_what}", what)
    return None


def _reduces(looked: Looked, longer: Trial, single: Trial) -> _Effect | None:
    """What is then reduced over another axis, which has a number and is the next one."""
    for node in ast.walk(looked.function.node):
        call = call_of(node)
        if call is None or call.name not in _REDUCES or call.axes is None or len(call.axes) != 1:
            continue
        before, after = longer.seen.get(call.of), single.seen.get(call.of)
        if before is None or after is None or not before.axes or not after.axes or len(after.axes) >= len(before.axes):
            continue
        at = call.axes[0]
        if not 0 <= at < len(after.axes):
            continue
        was, now = before.axes[at].size, after.axes[at].size
        if was is None or now is None or was == now or now not in (before.sizes or ())[at + 1 :]:
            continue
        over, whole = _named(Shape((after.axes[at],))).sizes, _named(after)
        says = f"line {getattr(node, 'lineno', 0)} is then over `{over[0] if over else now}`"
        return _Effect(
            says, f"line {getattr(node, 'lineno', 0)}: {short_text_of(call.of)} is {whole}: {short_text_of(node)}"
        )
    return None


def _returned(longer: Trial, single: Trial) -> _Effect | None:
    """What is then returned with an axis less."""
    before = dict(longer.body.returned)
    for node, value in single.body.returned:
        one, other = certain(before.get(node)), certain(value)
        if not isinstance(one, Tensor) or not isinstance(other, Tensor):
            continue
        if one.shape.rank is not None and other.shape.rank is not None and other.shape.rank < one.shape.rank:
            count = "axis" if other.shape.rank == 1 else "axes"
            return _Effect(
                f"what is returned has {other.shape.rank or 'no'} {count} then",
                f"line {node.lineno}: returned: {_named(other.shape)}, else {one.shape.rank} axes",
                is_sure=False,
            )
    return None


def _report(looked: Looked, place: _Squeeze, name: str, effect: _Effect, single: Trial) -> None:
    home = looked.evaluator.home.source
    after = single.seen[place.node]
    ones = [number for number, axis in enumerate(place.shape.axes or ()) if axis.size == 1]
    given = substituted(Tensor(place.shape), {name: Dim(1)}).shape
    message = f"`{short_text_of(place.node)}` takes `{name}` away, too, where that is 1: {effect.says}"
    notes = (
        f"{short_text_of(place.value)}: {place.shape}",
        f"with {name} = 1: {given} becomes {_named(after)}",
        effect.note,
    )
    hint, fix = _mended(home, place, ones)
    span = home.span_of(place.node)
    found = Diagnostic(
        str(home.path),
        span,
        *_KIND,
        message,
        notes,
        hint,
        fix,
        severity="warning",
        preview=not (ones and effect.is_sure),
    )
    looked.evaluator.reporter.add(looked.evaluator, found)


def _named(shape: Shape) -> Shape:
    """A shape of a run in the names that the function has."""
    back = {
        name: Dim(name.removesuffix(_MORE)) - 1
        for size in shape.sizes or ()
        if size is not None
        for name in names(size)
        if name.endswith(_MORE)
    }
    return shape if shape.axes is None else substituted(Tensor(shape), back).shape


def _mended(home: Source, place: _Squeeze, ones: list[int]) -> tuple[str | None, Fix | None]:
    """Name the axes of 1."""
    rank = len(place.shape.axes or ())
    if not ones:
        return "name the axis that is meant", None
    axis = -1 if ones == [rank - 1] else ones[0]
    method = isinstance(place.node.func, ast.Attribute) and not place.node.args
    if len(ones) > 1 or not method or home.cells:
        return f"name the axes: {', '.join(map(str, ones))}", None
    span = home.span_of(place.node)
    end = Span(span.end_line, span.end_column - 1, span.end_line, span.end_column - 1)
    return None, Fix(f"Name the axis: `.squeeze({axis})`", (Edit(end, str(axis)),), "unsafe")
