"""What the functions of torch, of Python and of other packages give, by their full names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapeguard.infer import hugging_face
from shapeguard.infer.claims import claimed_shape
from shapeguard.infer.distributions import distribution
from shapeguard.infer.operations import call_op
from shapeguard.infer.python import PYTHON
from shapeguard.infer.values import (
    OPAQUE,
    Bound,
    Chain,
    Dictionary,
    Function,
    Many,
    Scope,
    fill_unknown,
)
from shapeguard.ops.registry import find
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.annotation import AnnotationSyntaxError, parse
from shapeguard.shapes.shape import Shape

_SAME = frozenset({
    "torch.nn.Parameter",
    "torch.nn.Buffer",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
    "torch.compile",
    "torch.jit.script",
    "shapeguard.expect",
    "shapeguard.reveal_shape",
    "copy.copy",
    "copy.deepcopy",
    "typing.cast",
    "torch.nn.utils.weight_norm",
    "torch.nn.utils.remove_weight_norm",
    "torch.nn.utils.spectral_norm",
    "torch.nn.utils.parametrizations.weight_norm",
    "torch.nn.utils.parametrizations.spectral_norm",
    "torch.nn.utils.parametrizations.orthogonal",
})  # fmt: skip
_LAST = frozenset({"typing.cast"})


def call_external(name: str, arguments: list[Any], named: Scope, again: Callable[..., Any]) -> Any:  # noqa: PLR0911 - one case a kind of name
    """What a call gives, by the full name of what is called; `again` calls what is handed over."""
    if name in PYTHON:
        return PYTHON[name](*arguments, **named)
    if name == "shapeguard.expect" and len(arguments) > 1 and isinstance(arguments[1], str):
        return _expected(arguments[0], arguments[1])
    if name in _SAME:
        return arguments[-1 if name in _LAST else 0] if arguments else named.get("data", UNKNOWN)
    if name in _CONTAINERS:
        return _CONTAINERS[name](arguments)
    if name == "functools.partial" and arguments:
        first, *rest = arguments
        return Bound(UNKNOWN, lambda *more, **others: again(first, [*rest, *more], {**named, **others}))
    if name.endswith(".apply_chunking_to_forward") and len(arguments) > 3:  # noqa: PLR2004 - the function, two numbers, then its arguments
        return again(arguments[0], arguments[3:], {})
    if name == "torch.utils.checkpoint.checkpoint" and arguments:
        more = {key: value for key, value in named.items() if key not in ("use_reentrant", "preserve_rng_state")}
        return again(arguments[0], arguments[1:], more)
    if name == "torch.from_numpy" and arguments and isinstance(arguments[0], Tensor):
        return Tensor(arguments[0].shape)
    operation = find(name)
    if operation is not None:
        return call_op(operation, arguments, named)
    if name.startswith("torch.distributions."):
        return distribution(name, arguments, named)
    result = hugging_face.function(name, arguments, named)
    # What becomes of a function that is handed to another isn't known.
    return OPAQUE if result is UNKNOWN and any(isinstance(value, Function) for value in arguments) else result


def _expected(value: Any, text: str) -> Any:
    """`expect(x, "b t d")`: what isn't known of a tensor is as it is expected to be."""
    try:
        shape = claimed_shape(parse(text))
    except AnnotationSyntaxError:
        return value
    known = value.shape.axes if isinstance(value, Tensor) else None
    dtype = value.dtype if isinstance(value, Tensor) else None
    if shape.axes is None or (known is not None and len(known) != len(shape.axes)):
        return value if isinstance(value, Tensor) else Tensor(Shape.unknown())
    if known is None:
        return Tensor(shape, dtype)
    return Tensor(fill_unknown(known, shape.axes), dtype)


def _sequential(modules: list[Any]) -> Any:
    if len(modules) == 1 and isinstance(modules[0], Dictionary):
        return Chain(tuple(value for _, value in modules[0].items))
    return Chain(tuple(modules))


def _list(given: list[Any]) -> Any:
    return given[0] if given and isinstance(given[0], tuple | Many) else () if not given else UNKNOWN


def _dictionary(given: list[Any]) -> Any:
    if not given:
        return Dictionary()
    return given[0] if isinstance(given[0], Dictionary) else Dictionary((), is_open=True)


_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "torch.nn.Sequential": _sequential,
    "torch.nn.ModuleList": _list,
    "torch.nn.ParameterList": _list,
    "torch.nn.ModuleDict": _dictionary,
    "torch.nn.ParameterDict": _dictionary,
    "collections.OrderedDict": lambda given: _ordered(given[0]) if given else Dictionary(),
    "torch.Size": _list,
}


def _ordered(entries: Any) -> Any:
    if isinstance(entries, Dictionary):
        return entries
    if not isinstance(entries, tuple) or not all(isinstance(each, tuple) and len(each) == 2 for each in entries):  # noqa: PLR2004 - a key and a value
        return UNKNOWN
    return Dictionary().with_items(entries)
