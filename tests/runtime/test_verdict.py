"""The guard's verdict against that of `jaxtyped(typechecker=beartype)`, on random signatures and random calls.

The default suite runs a share; `pytest -m slow tests/runtime/test_verdict.py` runs them all.
"""

# ruff: noqa: S102, S307, S311, T201, UP007, UP045 - random code is written and run here, in old spellings too

import asyncio
import dataclasses
import gc
import inspect
import random
import types
from collections import Counter, abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Optional,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import numpy as np
import pytest
import torch
from beartype import beartype
from beartype.door import is_bearable
from jaxtyping import AnnotationError, Bool, Complex, Float, Float32, Inexact, Int, Integer, Num, Real, Shaped, jaxtyped
from torch import Tensor, nn
from transformers import BatchEncoding
from transformers.utils import ModelOutput

from shapeguard import GuardWarning, ShapeError, guard

FLOATS = (torch.float32, torch.float32, torch.float64, torch.bfloat16)
INTEGERS = (torch.int64, torch.int64, torch.int32, torch.uint8)
DTYPES = {
    Float: FLOATS,
    Int: INTEGERS[:3],
    Bool: (torch.bool,),
    Shaped: (*FLOATS, *INTEGERS, torch.bool, torch.complex64),
    Float32: (torch.float32,),
    Num: (*FLOATS, *INTEGERS),
    Real: (*FLOATS, *INTEGERS),
    Integer: INTEGERS,
    Inexact: (*FLOATS, torch.complex64),
    Complex: (torch.complex64,),
}
AXES = ("b", "s", "d", "in", "size0")
RUNS = ("batch", "lead")
PARAMETERS = (
    *("x", "y", "mask", "labels", "weights", "state", "n", "k"),
    *("type", "len", "min", "tuple", "isinstance", "shape0", "result0", "sure0", "function0", "default0", "refusal0"),
    *("part0", "item0", "plan0", "b", "args_", "value_0_", "judge_arguments0"),
)
LARGEST = 3


class Custom:
    """A class that is nothing to jaxtyping."""


class Owner:
    """What random methods belong to."""

    def __init__(self, n: int) -> None:
        self.n = n


@dataclass
class World:
    """The sizes that one call is made from, so that its arguments agree."""

    rng: random.Random
    sizes: dict[str, int]
    runs: dict[str, tuple[int, ...]]
    values: dict[str, Any] = field(default_factory=dict)
    """Integers that a placeholder may read."""


@dataclass(frozen=True)
class Spec:
    """A random annotation, and what makes a value for it."""

    hint: Any
    make: Callable[[World], Any]
    binds: frozenset[str] = frozenset()
    """Axes that are bound for sure once such an argument was checked."""
    holds_several: bool = False
    """Whether jaxtyping looks only at a random part of a value."""


@dataclass(frozen=True)
class Scope:
    """What a random annotation may refer to."""

    bound: frozenset[str]
    placeholders: tuple[str, ...]


# Random annotations


def random_axis(rng: random.Random, scope: Scope, bound: set[str]) -> tuple[str, Callable[[World], int]]:
    """A word for one axis, and what gives its size."""
    share = "#" if rng.random() < 0.2 else ""
    kind = rng.choices(("named", "fixed", "any", "symbolic", "placeholder"), (60, 10, 8, 14, 8))[0]
    readable = sorted((bound | scope.bound) & {"b", "s", "d"})
    if kind == "symbolic" and readable:
        left, right = rng.choice(readable), rng.choice((*readable, "1", "2"))
        text = rng.choice((f"{left}+{right}", f"{left}*{right}", f"{left}-1", f"min({left},{right})", f"{left}//2"))
        return share + text, lambda world: _shared(world, share, max(0, eval(text, dict(world.sizes))))
    if kind == "placeholder" and scope.placeholders:
        place = rng.choice(scope.placeholders)
        more = rng.choice(("", "+1", "*2"))
        return f"{share}{{{place}}}{more}", lambda world: _shared(world, share, eval(f"{world.values[place]}{more}"))
    if kind == "fixed":
        size = rng.randrange(LARGEST + 1)
        return f"{share}{rng.choice(('', '', 'rows='))}{size}", lambda world: _shared(world, share, size)
    if kind == "any":
        return rng.choice(("_", "_rest")), lambda world: world.rng.randrange(LARGEST + 1)
    name = rng.choice(AXES[:3] if rng.random() < 0.9 else AXES)
    if not share:
        bound.add(name)
    return share + name, lambda world: _shared(world, share, world.sizes[name])


def _shared(world: World, share: str, size: int) -> int:
    return 1 if share and world.rng.random() < 0.4 else size


def random_run(rng: random.Random) -> tuple[str, Callable[[World], tuple[int, ...]]]:
    """A word for several axes, and what gives their sizes."""
    if rng.random() < 0.3:
        return "...", lambda world: tuple(world.rng.choices(range(LARGEST + 1), k=world.rng.randrange(3)))
    name = rng.choice(RUNS)
    if rng.random() < 0.6:
        return f"*{name}", lambda world: world.runs[name]

    def broadcast(world: World) -> tuple[int, ...]:
        run = world.runs[name]
        return tuple(size if world.rng.random() < 0.8 else 1 for size in run[world.rng.randrange(len(run) + 1) :])

    return f"*#{name}", broadcast


def random_array(rng: random.Random, scope: Scope) -> Spec:
    bound = set[str]()
    makers: list[Any] = []
    words: list[str] = []
    several = rng.choices((False, True), (4, 1))[0]
    count = rng.choice((0, 1, 1, 2, 2, 3))
    run_at = rng.randrange(count + 1) if several else -1
    for position in range(count + several):
        if position == run_at:
            word, make_run = random_run(rng)
            makers.append(make_run)
        else:
            word, make_size = random_axis(rng, scope, bound)
            makers.append(lambda world, make_size=make_size: (make_size(world),))
        words.append(word)
    dtype = rng.choice(tuple(DTYPES) if rng.random() < 0.5 else (Float, Int))
    kind = rng.choices((Tensor, nn.Parameter, np.ndarray, Any, Tensor | np.ndarray), (80, 4, 6, 5, 5))[0]
    if kind is nn.Parameter:
        dtype = Float

    def make(world: World) -> Any:
        shape = tuple(size for maker in makers for size in maker(world))
        chosen = world.rng.choice([known for known in DTYPES[dtype] if known is not torch.bfloat16 or kind is Tensor])
        tensor = torch.empty(shape, dtype=chosen)
        if kind is np.ndarray or (kind is not Tensor and kind is not nn.Parameter and world.rng.random() < 0.5):
            return tensor.numpy()
        if kind is nn.Parameter or (chosen.is_floating_point and world.rng.random() < 0.1):
            return nn.Parameter(tensor)
        return tensor

    hint = dtype[kind, " ".join(words)]
    return Spec(Annotated[hint, "what it is"] if rng.random() < 0.05 else hint, make, frozenset(bound))


def bare_hint(hint: Any) -> Any:
    return hint.__origin__ if get_origin(hint) is Annotated else hint


def random_plain(rng: random.Random) -> Spec:
    hint, values = rng.choice(
        (
            (int, (0, 1, 7)),
            (float, (0.5, 2.0)),
            (str, ("a", "mean")),
            (bool, (True, False)),
            (Literal["mean", "sum"], ("mean", "sum")),
            (list[int], ([], [1, 2])),
            (dict[str, int], ({}, {"a": 1})),
            (Callable, (len, lambda: None)),
            (Callable[[int], str], (str,)),
            (type, (int, Custom)),
            (type[Custom], (Custom,)),
            (Custom, (Custom(),)),
            (torch.dtype, (torch.float32,)),
            (torch.device, (torch.device("cpu"),)),
            (Tensor, (torch.zeros(2), torch.zeros(()))),
            (int | None, (None, 3)),
            (Optional[float], (None, 0.5)),
            (int | str, (3, "a")),
            (tuple[int, ...], ((), (1, 2))),
            (tuple[int, str], ((1, "a"),)),
            (tuple[int, None], ((1, None),)),
            (list[None], ([], [None])),
            (Sequence[int], ([1], (2,))),
            (Mapping[str, int], ({"a": 1},)),
            (Any, (None, 3, "a")),
            (object, (None, 3)),
            (None, (None,)),
            (inspect.Parameter.empty, (None, 3)),
        )
    )
    return Spec(hint, lambda world: world.rng.choice(values))


def random_spec(rng: random.Random, scope: Scope, depth: int = 0) -> Spec:
    kind = rng.choices(
        ("array", "plain", "optional", "arrays", "array or not", "container"),
        (54, 12, 9, 7, 6, 12) if not depth else (80, 0, 6, 4, 2, 5 - 2 * depth),
    )[0]
    if kind == "plain":
        return random_plain(rng)
    if kind == "array":
        return random_array(rng, scope)
    if kind == "optional":
        inner = random_spec(rng, scope, depth + 1) if rng.random() < 0.3 else random_array(rng, scope)
        hint = Optional[inner.hint] if rng.random() < 0.5 else Union[None, inner.hint]
        return Spec(
            hint,
            lambda world: None if world.rng.random() < 0.3 else inner.make(world),
            holds_several=inner.holds_several,
        )
    if kind == "arrays":
        options = [random_array(rng, scope), random_array(rng, scope)]
        # In a container, options that bind other names would make the verdict depend on the item that beartype picks.
        if depth or rng.random() < 0.5:
            first = bare_hint(options[0].hint)
            texts = [option.dim_str for option in (get_args(first) or (first,))]
            other = rng.choice((Int, Float, Bool, Shaped))
            options[1] = Spec(other[Tensor, texts[0]], options[0].make)
        return Spec(Union[options[0].hint, options[1].hint], lambda world: world.rng.choice(options).make(world))
    if kind == "array or not":
        options = [random_array(rng, scope), random_plain(rng)]
        rng.shuffle(options)
        hints = [Any if option.hint is inspect.Parameter.empty else option.hint for option in options]
        return Spec(Union[tuple(hints)], lambda world: world.rng.choice(options).make(world))
    return random_container(rng, scope, depth)


def random_container(rng: random.Random, scope: Scope, depth: int) -> Spec:
    inner = random_spec(rng, scope, depth + 1)
    other = random_spec(rng, scope, depth + 1) if rng.random() < 0.8 else Spec(int, lambda _: 3)
    kind = rng.randrange(9)
    if kind >= 7:
        return random_record(rng, scope)
    if kind <= 1:
        hint, container = rng.choice(
            ((list[inner.hint], list), (Sequence[inner.hint], list), (tuple[inner.hint, ...], tuple))
        )

        def make_each(world: World) -> Any:
            return container(inner.make(world) for _ in range(world.rng.choice((0, 1, 2, 3))))

        return Spec(hint, make_each, holds_several=True)
    if kind <= 3:
        hint = rng.choice((dict[str, inner.hint], Mapping[str, inner.hint]))

        def make_values(world: World) -> Any:
            return {name: inner.make(world) for name in "pqr"[: world.rng.randrange(4)]}

        return Spec(hint, make_values, holds_several=True)
    parts = [inner, other][: rng.choice((1, 2, 2))]
    return Spec(
        tuple[tuple(part.hint for part in parts)],
        lambda world: tuple(part.make(world) for part in parts),
        frozenset().union(*(part.binds for part in parts)),
        holds_several=any(part.holds_several for part in parts),
    )


def random_record(rng: random.Random, scope: Scope) -> Spec:
    """A record of arrays, into which jaxtyping doesn't look."""
    parts = {name: random_array(rng, scope) for name in "pq"[: rng.choice((1, 2))]}
    hints = {name: part.hint if rng.random() < 0.8 else Optional[part.hint] for name, part in parts.items()}
    # Beartype takes two hints of which the texts agree for one.
    name = f"Record{rng.getrandbits(64)}"
    makers: tuple[Callable[[], Any], ...] = (
        lambda: dataclasses.make_dataclass(name, hints.items(), frozen=rng.random() < 0.5),
        lambda: NamedTuple(name, list(hints.items())),
        lambda: TypedDict(name, hints),
    )
    record = rng.choice(makers)()
    return Spec(
        record,
        lambda world: record(**{name: part.make(world) for name, part in parts.items()}),
        holds_several=True,
    )


# Random functions


@dataclass(frozen=True)
class Entry:
    """One parameter of a random function."""

    name: str
    kind: inspect._ParameterKind
    spec: Spec
    default: Any = inspect.Parameter.empty


@dataclass(frozen=True)
class Subject:
    """A random function, bare and under both checks."""

    source: str
    entries: tuple[Entry, ...]
    result: Spec
    names: dict[str, Any]
    bare: Any
    guarded: Any
    reference: Any
    holds_several: bool


def random_subject(rng: random.Random) -> Subject:
    form = rng.choices(("function", "method", "classmethod", "staticmethod"), (60, 25, 8, 7))[0]
    entries = random_entries(rng, ("self.n",) if form == "method" else ())
    bound = frozenset().union(*(entry.spec.binds for entry in entries if _is_certain(entry)))
    scope = Scope(bound, _placeholders(entries, ("self.n",) if form == "method" else ()))
    result = random_spec(rng, scope) if rng.random() < 0.75 else Spec(inspect.Signature.empty, lambda _: None)
    names: dict[str, Any] = {}
    source = written(rng, entries, result, {"method": "self", "classmethod": "cls"}.get(form), names)
    exec(source, names)
    bare = names["f"]
    wrap = {"classmethod": classmethod, "staticmethod": staticmethod}.get(form)
    targets = [wrap(bare) if wrap else bare] * 3
    decorated = [
        targets[0],
        guard(targets[1]),
        jaxtyped(targets[2], typechecker=quick_beartype),
    ]
    if wrap:
        decorated = [target.__get__(None, Owner) for target in decorated]
    return Subject(
        source,
        tuple(entries),
        result,
        names,
        *decorated,
        holds_several=any(spec.holds_several for spec in (*(entry.spec for entry in entries), result)),
    )


def quick_beartype(function: Any) -> Any:
    """Beartype, but for the functions that jaxtyping makes only to find words for a violation found already."""
    if function.__name__ == "check_single_arg":

        def refuse(*_: object, **__: object) -> None:
            raise TypeError

        return refuse
    return beartype(function)


def random_entries(rng: random.Random, placeholders: tuple[str, ...]) -> list[Entry]:
    kinds = inspect.Parameter
    count = rng.randrange(1, 6)
    names = rng.sample(PARAMETERS, count)
    chosen = sorted(
        rng.choices((kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY), (1, 6, 2), k=count)
    )
    if count > 1 and rng.random() < 0.12:
        chosen[-1] = kinds.VAR_KEYWORD
    if rng.random() < 0.12:
        spots = [place for place, kind in enumerate(chosen) if kind is kinds.POSITIONAL_OR_KEYWORD]
        if spots:
            chosen[spots[-1]] = kinds.VAR_POSITIONAL
    entries: list[Entry] = []
    defaults = False
    for name, kind in zip(names, chosen, strict=True):
        bound = frozenset().union(*(entry.spec.binds for entry in entries if _is_certain(entry)))
        spec = random_spec(rng, Scope(bound, _placeholders(entries, placeholders)))
        default = kinds.empty
        if kind in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD):
            pass
        elif (defaults and kind is not kinds.KEYWORD_ONLY) or rng.random() < 0.2:
            defaults = True
            default = random_default(rng, spec)
        entries.append(Entry(name, kind, spec, default))
    return entries


def random_default(rng: random.Random, spec: Spec) -> Any:
    if rng.random() < 0.4:
        return None
    world = random_world(rng)
    world.values = dict.fromkeys(PARAMETERS, 1) | {"self.n": 1}
    return spec.make(world)


def _is_certain(entry: Entry) -> bool:
    """Whether every call passes the argument."""
    kinds = inspect.Parameter
    return entry.default is kinds.empty and entry.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)


def _placeholders(entries: list[Entry], others: tuple[str, ...]) -> tuple[str, ...]:
    return (*others, *(entry.name for entry in entries if entry.spec.hint is int and _is_certain(entry)))


def written(rng: random.Random, entries: list[Entry], result: Spec, owner: str | None, names: dict[str, Any]) -> str:
    """The function's source; annotations and defaults are values in `names`."""
    kinds = inspect.Parameter
    parts = [owner] if owner else []
    kind_before = kinds.POSITIONAL_ONLY if owner and entries[0].kind is kinds.POSITIONAL_ONLY else None
    for position, entry in enumerate(entries):
        if kind_before is kinds.POSITIONAL_ONLY and entry.kind is not kinds.POSITIONAL_ONLY:
            parts.append("/")
        if entry.kind is kinds.KEYWORD_ONLY and kind_before not in (kinds.KEYWORD_ONLY, kinds.VAR_POSITIONAL):
            parts.append("*")
        stars = {kinds.VAR_POSITIONAL: "*", kinds.VAR_KEYWORD: "**"}.get(entry.kind, "")
        text = stars + entry.name
        if entry.spec.hint is not kinds.empty:
            names[f"Hint{position}"] = entry.spec.hint
            text += f": Hint{position}"
        if entry.default is not kinds.empty:
            names[f"Default{position}"] = entry.default
            text += f" = Default{position}"
        parts.append(text)
        kind_before = entry.kind
    if kind_before is kinds.POSITIONAL_ONLY:
        parts.append("/")
    as_text = "from __future__ import annotations\n" if rng.random() < 0.15 else ""
    arrow = ""
    if result.hint is not kinds.empty:
        names["Result"] = result.hint
        arrow = " -> Result"
    return f"{as_text}def f({', '.join(parts)}){arrow}:\n    return produce_result()\n"


# Random calls


def random_world(rng: random.Random) -> World:
    return World(
        rng,
        {name: rng.randrange(LARGEST + 1) for name in AXES},
        {name: tuple(rng.choices(range(LARGEST + 1), k=rng.randrange(3))) for name in RUNS},
    )


@dataclass
class Call:
    """Arguments for a subject, and what its body returns."""

    positional: list[Any]
    named: dict[str, Any]
    result: Any


def random_call(rng: random.Random, subject: Subject) -> Call:
    world = random_world(rng)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    if "def f(self" in subject.source:
        instance = Owner(rng.randrange(LARGEST + 1))
        world.values["self.n"] = instance.n
        positional.append(instance)
    mutated = rng.randrange(len(subject.entries) + 1) if rng.random() < 0.75 else -1
    kinds = inspect.Parameter
    by_position = True
    for position, entry in enumerate(subject.entries):
        wrong = position == mutated
        if entry.kind is kinds.VAR_POSITIONAL:
            values = [entry.spec.make(world) for _ in range(rng.choice((0, 1, 1, 2)))] if by_position else []
            positional += mutate_all(rng, values) if wrong else values
            by_position = False
            continue
        if entry.kind is kinds.VAR_KEYWORD:
            extra = {name: entry.spec.make(world) for name in ("more", "others")[: rng.choice((0, 1, 1, 2))]}
            named |= mutate_all(rng, extra) if wrong else extra
            continue
        if entry.default is not kinds.empty and rng.random() < 0.45:
            by_position = False
            world.values[entry.name] = entry.default
            continue
        if entry.kind is kinds.POSITIONAL_ONLY and not by_position:
            continue
        value = entry.spec.make(world)
        if entry.spec.hint is int:
            world.values[entry.name] = value
        if wrong:
            value = None if rng.random() < 0.1 else mutate(rng, value)
        by_position = by_position and entry.kind is not kinds.KEYWORD_ONLY
        if entry.kind is kinds.POSITIONAL_ONLY or (by_position and rng.random() < 0.7):
            positional.append(value)
        else:
            by_position = False
            named[entry.name] = value
    if rng.random() < 0.02:
        named["unheard_of"] = 1
    if positional and rng.random() < 0.02:
        positional.pop()
    result = subject.result.make(world)
    return Call(positional, named, mutate(rng, result) if mutated == len(subject.entries) else result)


def mutate(rng: random.Random, value: Any) -> Any:
    """Something else in the value's place."""
    if (dataclasses.is_dataclass(value) or (isinstance(value, list | tuple | dict) and value)) and rng.random() < 0.8:
        return mutate_all(rng, value)
    if isinstance(value, Tensor | np.ndarray) and rng.random() < 0.85:
        return mutate_array(rng, value)
    others = (None, 3, -1, 0.5, "text", [], (), {}, torch.zeros(2), [torch.zeros(1)], np.zeros(3), Custom(), True)
    return rng.choice(others)


def mutate_all(rng: random.Random, values: Any) -> Any:
    """The container with all items changed alike, since jaxtyping looks at one of them."""
    seed = rng.getrandbits(32)
    if isinstance(values, dict):
        return {name: mutate(random.Random(seed), value) for name, value in values.items()}
    if dataclasses.is_dataclass(values):
        return type(values)(**{name: mutate(random.Random(seed), value) for name, value in vars(values).items()})
    changed = [mutate(random.Random(seed), value) for value in values]
    return type(values)(*changed) if hasattr(values, "_fields") else type(values)(changed)


def mutate_array(rng: random.Random, value: Any) -> Any:
    shape = list(value.shape)
    dtype = torch.as_tensor(value).dtype
    kind = rng.randrange(10)
    if kind == 0:
        return nn.Parameter(torch.empty(shape))
    if kind == 1:
        return torch.empty(shape).numpy() if isinstance(value, Tensor) else torch.empty(shape)
    if kind == 2:
        dtype = rng.choice((torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64))
    elif kind == 3 or not shape:
        shape.insert(rng.randrange(len(shape) + 1), rng.choice((0, 1, 2, 3)))
    elif kind == 4:
        del shape[rng.randrange(len(shape))]
    else:
        shape[rng.randrange(len(shape))] = rng.choice((0, 1, 2, 3, 4, 5))
    changed = torch.empty(shape, dtype=dtype)
    return changed.numpy() if isinstance(value, np.ndarray) else changed


# Both verdicts


def accepts(function: Any, subject: Subject, call: Call) -> bool:
    subject.names["produce_result"] = lambda: call.result
    try:
        returned = function(*call.positional, **call.named)
    except (TypeError, AnnotationError):
        return False
    assert returned is call.result
    return True


def every_item_fits(subject: Subject, call: Call) -> bool:
    """What jaxtyping would say if beartype looked at every item of every container."""
    signature = inspect.signature(subject.bare, eval_str=True)
    bound = signature.bind(*call.positional, **call.named)

    def walk() -> bool:
        for name, value in bound.arguments.items():
            entry = signature.parameters[name]
            hint = entry.annotation
            several = {entry.VAR_POSITIONAL: tuple[hint, ...], entry.VAR_KEYWORD: dict[str, hint]}
            if hint is not entry.empty and not fits(several.get(entry.kind, hint), value):
                return False
        hint = signature.return_annotation
        return hint is signature.empty or fits(hint, call.result)

    subject.names["produce_result"] = walk
    try:
        return jaxtyped(subject.bare, typechecker=None)(*call.positional, **call.named)
    except AnnotationError:
        return False


def is_record(hint: Any) -> bool:
    return is_typeddict(hint) or dataclasses.is_dataclass(hint) or hasattr(hint, "_fields")


def holds_array(hint: Any) -> bool:
    """Whether an array annotation stands somewhere in a hint; all records here have one."""
    return is_record(hint) or hasattr(hint, "dim_str") or any(map(holds_array, get_args(hint)))


def fits(hint: Any, value: Any) -> bool:
    hint = bare_hint(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if is_record(hint) and is_typeddict(hint):
        parts = get_type_hints(hint, include_extras=True)
        return isinstance(value, dict) and all(fits(parts[name], value[name]) for name in parts if name in value)
    if is_record(hint):
        parts = get_type_hints(hint, include_extras=True)
        return isinstance(value, hint) and all(fits(part, getattr(value, name)) for name, part in parts.items())
    if not holds_array(hint):
        return is_bearable(value, hint)
    if origin in (Union, types.UnionType):
        return any(fits(option, value) for option in arguments)
    if origin is tuple and arguments[-1:] != (Ellipsis,):
        return isinstance(value, tuple) and len(value) == len(arguments) and all(map(fits, arguments, value))
    if origin in (list, tuple, abc.Sequence):
        return isinstance(value, origin) and (isinstance(value, str) or all(fits(arguments[0], item) for item in value))
    if origin in (dict, abc.Mapping):
        return isinstance(value, origin) and all(
            fits(arguments[0], name) and fits(arguments[1], item) for name, item in value.items()
        )
    return is_bearable(value, hint)


def told(subject: Subject, call: Call) -> str:
    """A function and a call of it, for the message of a failing test."""
    hints = {name: value for name, value in subject.names.items() if name[0].isupper()}
    return f"{subject.source}\n{hints}\n{described(call)}"


def described(call: Call) -> object:
    def short(value: Any) -> object:
        if isinstance(value, list | tuple):
            return [type(value).__name__, *map(short, value)]
        if isinstance(value, dict):
            return {name: short(item) for name, item in value.items()}
        is_array = isinstance(value, Tensor | np.ndarray)
        return f"{type(value).__name__} {value.dtype} {tuple(value.shape)}" if is_array else value

    return short([call.positional, call.named, call.result])


@pytest.mark.parametrize(("functions", "calls"), [pytest.param(50, 70), pytest.param(1500, 70, marks=pytest.mark.slow)])
def test_guard_and_jaxtyped_agree(functions, calls):
    rng = random.Random(5)
    endings: Counter[str] = Counter()
    for _ in range(functions):
        subject = random_subject(rng)
        for _ in range(calls):
            call = random_call(rng, subject)
            theirs, ours = accepts(subject.reference, subject, call), accepts(subject.guarded, subject, call)
            if ours != theirs:
                # Only where jaxtyping looks at one item of several may the guard know better.
                assert theirs, told(subject, call)
                assert subject.holds_several, told(subject, call)
            if subject.holds_several and theirs:
                assert ours == every_item_fits(subject, call), told(subject, call)
            endings["accepted" if ours else "rejected" if not theirs else "rejected by the guard alone"] += 1
    print(f"{functions} functions, {functions * calls} calls: {dict(endings)}")
    assert 0.4 < endings["accepted"] / endings.total() < 0.6


# Where the guard is stricter, or more able, by design


def both(function: Any) -> tuple[Any, Any]:
    return guard(function), jaxtyped(function, typechecker=beartype)


class Chosen(NamedTuple):
    tokens: Int[Tensor, "b s"]
    mask: Int[Tensor, "b s"]


class Encoded(TypedDict):
    tokens: Int[Tensor, "b s"]
    mask: Int[Tensor, "b s"]


@dataclass
class Batch:
    tokens: Int[Tensor, "b s"]
    mask: Int[Tensor, "b s"]


@dataclass
class Output(ModelOutput):
    tokens: Int[Tensor, "b s"] | None = None
    mask: Int[Tensor, "b s"] | None = None


@pytest.mark.parametrize(
    ("hint", "pack"),
    [
        (Chosen, Chosen),
        (Encoded, lambda tokens, mask: {"tokens": tokens, "mask": mask}),
        (Encoded, lambda tokens, mask: BatchEncoding({"tokens": tokens, "mask": mask})),
        (Mapping[str, Int[Tensor, "b s"]], lambda tokens, mask: BatchEncoding({"tokens": tokens, "mask": mask})),
        (dict[str, Int[Tensor, "b s"]], lambda tokens, mask: {"tokens": tokens, "mask": mask}),
        (Batch, Batch),
        (Output, Output),
        (list[Chosen], lambda tokens, mask: [Chosen(tokens, tokens), Chosen(tokens, mask)]),
    ],
)
def test_every_tensor_in_a_container_is_checked(hint, pack):
    def read(batch: hint) -> None: ...

    guarded, reference = both(read)
    tokens = torch.ones(2, 3, dtype=torch.long)
    good, bad = pack(tokens, tokens), pack(tokens, tokens[:, :2])
    guarded(good)
    for _ in range(5):
        with pytest.raises(ShapeError, match="axis 1 is"):
            guarded(bad)
    reference(bad)


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("container", [list, tuple])
def test_no_place_in_a_list_is_overlooked(container, position):
    def read(scale: Float[Tensor, "n"], rows: Sequence[Float[Tensor, "n"]]) -> None: ...

    guarded, reference = both(read)
    items = [torch.ones(3)] * 6
    guarded(torch.ones(3), container(items))
    items[position] = torch.ones(4)
    rows = container(items)
    for _ in range(5):
        with pytest.raises(ShapeError, match=rf"`rows\[{position}\]` axis 0 is 4, expected n = 3"):
            guarded(torch.ones(3), rows)
    verdicts = {_raises(reference, torch.ones(3), rows) for _ in range(200)}
    assert verdicts == {True, False}


def _raises(function: Any, *arguments: Any) -> bool:
    try:
        function(*arguments)
    except TypeError:
        return True
    return False


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_correct_coroutine_passes():
    async def double(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return torch.cat([x, x])[: len(x)]

    async def wrong(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return torch.cat([x, x])

    guarded, reference = both(double)
    assert asyncio.run(guarded(torch.ones(3))).shape == (3,)
    with pytest.raises(TypeError):
        reference(torch.ones(3))
    gc.collect()
    with pytest.raises(ShapeError, match="`result` axis 0 is 6, expected n = 3"):
        asyncio.run(guard(wrong)(torch.ones(3)))


def test_yields_are_checked():
    def halves(x: Float[Tensor, "n"]) -> Iterator[Float[Tensor, "n"]]:
        yield x
        yield x[1:]

    guarded, reference = both(halves)
    assert [len(part) for part in reference(torch.ones(3))] == [3, 2]
    stream = guarded(torch.ones(3))
    next(stream)
    with pytest.raises(ShapeError, match="`yield` axis 0 is 2, expected n = 3"):
        next(stream)


def test_expression_before_its_names_is_understood():
    def loss(logits: Float[Tensor, "b s-1 v"], labels: Int[Tensor, "b s"]) -> Float[Tensor, ""]:
        return logits.sum()

    guarded, reference = both(loss)
    logits, labels = torch.ones(2, 4, 7), torch.ones(2, 5, dtype=torch.long)
    assert guarded(logits, labels).ndim == 0
    with pytest.raises(ShapeError, match="`labels` axis 1 is 4, expected s = 5"):
        guarded(logits, labels[:, 1:])
    with pytest.raises(AnnotationError):
        reference(logits, labels)


def test_expression_whose_names_nothing_has_bound_is_refused_by_both():
    def masked(x: Float[Tensor, "b s"] | None, mask: Bool[Tensor, "b s+1"]) -> None: ...

    for function in both(masked):
        function(torch.ones(2, 3), torch.ones(2, 4, dtype=torch.bool))
        with pytest.raises(AnnotationError):
            function(None, torch.ones(2, 4, dtype=torch.bool))


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("Float[Tensr, 'n']", "Tensr"),
        (Callable[[Float[Tensor, "n"]], int], r"Callable\[\[Float\[Tensor, 'n'\]\], int\]"),
    ],
)
def test_what_is_not_checked_is_warned_of_once(annotation, words):
    def apply(x, y: Float[Tensor, "n"]) -> None: ...

    apply.__annotations__["x"] = annotation
    with pytest.warns(GuardWarning, match=words) as warned:  # noqa: PT031 - once in all of these
        guarded = guard(apply)
        guarded(len, torch.ones(2))
        guarded(len, torch.ones(2))
    assert len(warned) == 1
    with pytest.raises(ShapeError, match="`y` has 2 axes"):
        guarded(len, torch.ones(2, 2))
    jaxtyped(apply, typechecker=beartype)(len, torch.ones(2))


def test_sizes_can_belong_to_an_instance():
    class Average:
        @guard(self_dims="d")
        def update(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "d"]:
            return x.mean(0)

        update_unguarded = jaxtyped(update.__wrapped__, typechecker=beartype)

    average = Average()
    average.update(torch.ones(2, 3))
    average.update(torch.ones(5, 3))
    average.update_unguarded(torch.ones(2, 4))
    with pytest.raises(ShapeError, match=r"`x` axis 1 is 4, expected d = 3 \(bound by `self`\)"):
        average.update(torch.ones(2, 4))
    assert Average().update(torch.ones(2, 4)).shape == (4,)


def test_arguments_are_checked_on_entry_alone():
    def grow(x: Float[Tensor, "n"], y: Float[Tensor, "n"]) -> Float[Tensor, "m"]:
        return x.resize_(len(x) + 1)

    guarded, reference = both(grow)
    assert guarded(torch.ones(3), torch.ones(3)).shape == (4,)
    # jaxtyping looks at the arguments a second time, together with the result.
    with pytest.raises(TypeError):
        reference(torch.ones(3), torch.ones(3))
