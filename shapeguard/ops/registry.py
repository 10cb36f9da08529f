"""Where operations are found by the names that torch gives them, with the calls that prove them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, TypeVar

from shapeguard.ops.values import Result, called

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Op:
    """One function over values, registered under every name that means it."""

    function: Callable[..., Any]
    names: tuple[str, ...]
    examples: tuple[str, ...]
    """Calls such as "f(t(2, 3), dim=0)": `f` is the operation, `t` makes a float tensor of these sizes."""
    is_module: bool

    @cached_property
    def signature(self) -> inspect.Signature:
        """The parameters, named as torch names them."""
        return inspect.signature(self.function)

    @cached_property
    def takes_any_number(self) -> bool:
        """Whether it takes any number of positional arguments."""
        return any(entry.kind is entry.VAR_POSITIONAL for entry in self.signature.parameters.values())

    def __call__(self, *arguments: Any, **named: Any) -> Result:
        """What the operation gives; unknown where it is called in a way that this op doesn't know."""
        return called(self.function, arguments, named)


_OPS: dict[str, Op] = {}
# numpy's word for `dim`, which torch takes in many places.
_ALIASES = {"axis": "dim", "keepdims": "keepdim"}


def op(*names: str, examples: tuple[str, ...]) -> Callable[[Function], Function]:
    """Register a function over values as what torch does under these names.

    A name is "torch.sum", "torch.nn.functional.relu" or, for a method, "Tensor.sum". The function's parameters have
    torch's names. It gets Dims for integers and UNKNOWN for what isn't known, and gives a value or a Mismatch; it never
    raises for a disagreement of shapes.
    """
    return _registering(names, examples, is_module=False)


def module(*names: str, examples: tuple[str, ...]) -> Callable[[Function], Function]:
    """Register what a layer's constructor makes: a function of its arguments that gives a Module.

    An example is "f(3, 4)(t(2, 3))": the constructor, then the call.
    """
    return _registering(names, examples, is_module=True)


def find(name: str) -> Op | None:
    """The operation that torch has under a full name, if it is known."""
    _load()
    return _OPS.get(name)


def every_op() -> Mapping[str, Op]:
    """All operations by name."""
    _load()
    return _OPS


def renamed(named: Mapping[str, Any], function: Op) -> dict[str, Any]:
    """Keyword arguments with numpy's words replaced by torch's."""
    if _ALIASES.keys().isdisjoint(named):
        return dict(named)
    known = function.signature.parameters
    return {_ALIASES.get(name, name) if name not in known else name: value for name, value in named.items()}


def _registering(
    names: tuple[str, ...], examples: tuple[str, ...], *, is_module: bool
) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        entry = Op(function, names, examples, is_module)
        for name in names:
            assert name not in _OPS, f"{name} is registered twice"
            _OPS[name] = entry
        return function

    return register


@cache
def _load() -> None:
    """Import every file of this folder; each registers its operations."""
    for entry in iter_modules([str(Path(__file__).parent)]):
        if entry.name not in ("registry", "values"):
            import_module(f"shapeguard.ops.{entry.name}")
