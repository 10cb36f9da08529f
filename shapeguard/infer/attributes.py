"""What `owner.name` is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shapeguard.infer import distributions, follow, operators
from shapeguard.infer.python import CONSTANTS, sizes_of
from shapeguard.infer.values import (
    NOTHING,
    NUMBER,
    Bound,
    Chain,
    Class,
    Dictionary,
    External,
    Function,
    Guess,
    Instance,
    Many,
    OneOf,
    Pretrained,
    Symbol,
    join,
)
from shapeguard.ops.registry import find
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Dtype, Module, Tensor
from shapeguard.shapes.dim import Dim

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator

_DTYPE_NAMES = frozenset({
    "float", "double", "half", "float16", "float32", "float64", "bfloat16", "int", "long", "short", "int8", "int16",
    "int32", "int64", "uint8", "bool", "complex64", "complex128",
})  # fmt: skip
_FULL_DTYPES = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "int": "int32",
    "long": "int64",
    "short": "int16",
}
_SETTINGS = frozenset({
    "config", "cfg", "conf", "args", "opt", "opts", "hparams", "hyperparams", "settings", "configuration", "flags",
    "hps", "hp",
})  # fmt: skip
"""Names of what holds plain values and no tensors."""
# Methods that nothing but a tensor has.
_ONLY_TENSORS = frozenset({
    "view", "permute", "unsqueeze", "masked_fill", "masked_fill_", "contiguous", "expand", "expand_as", "softmax",
    "log_softmax", "bmm", "matmul", "view_as", "reshape_as", "type_as", "unflatten", "repeat_interleave",
    "index_select", "index_add_", "index_copy_", "masked_select", "scatter_", "scatter_add_", "scatter", "scatter_add",
    "detach", "movedim", "narrow", "unfold", "argwhere", "new_zeros", "new_ones", "new_full", "new_tensor", "new_empty",
    "logsumexp", "cumsum_", "rsqrt", "sigmoid", "relu", "triu", "tril", "mT",
})  # fmt: skip


def attribute(evaluator: Evaluator, owner: Any, name: str) -> Any:
    """What an attribute of a value is."""
    handler = _HANDLERS.get(type(owner))
    found = UNKNOWN if handler is None else handler(evaluator, owner, name)
    if found is UNKNOWN and name in _ONLY_TENSORS and (owner is UNKNOWN or isinstance(owner, Symbol)):
        method = find(f"Tensor.{name}")
        return UNKNOWN if method is None else Bound(UNKNOWN_TENSOR, method)
    return found


def holds_settings(name: str) -> bool:
    """Whether a value of this name holds plain values and no tensors: `config`, `model_args`."""
    return name in _SETTINGS or name.endswith(("config", "_cfg", "_args", "Config"))


def _of_external(evaluator: Evaluator, owner: External, name: str) -> Any:
    full = f"{owner.name}.{name}"
    if owner.name == "torch" and name in _DTYPE_NAMES:
        return Dtype(_FULL_DTYPES.get(name, name))
    return CONSTANTS[full] if full in CONSTANTS else evaluator.home.loaded(External(full))


def _of_symbol(_: Evaluator, owner: Symbol, name: str) -> Any:
    if name in _ONLY_TENSORS and not owner.is_number:
        return UNKNOWN
    is_number = owner.is_number or holds_settings(owner.name.rpartition(".")[2])
    return Symbol(f"{owner.name}.{name}", is_number)


def _of_tensor(_: Evaluator, owner: Tensor, name: str) -> Any:
    shape, dtype = owner.shape, owner.dtype
    if name == "shape":
        return sizes_of(owner)
    if name in ("T", "mT", "H", "mH"):
        return operators.transposed(owner)
    if name in ("data", "grad", "real"):
        return Tensor(shape, dtype)
    if name == "ndim":
        return NUMBER if shape.axes is None else Dim(len(shape.axes))
    if name == "dtype":
        return UNKNOWN if dtype is None else Dtype(dtype)
    if name == "is_sparse":
        return False
    method = find(f"Tensor.{name}")
    return UNKNOWN if method is None else Bound(owner, method)


def _of_instance(evaluator: Evaluator, owner: Instance, name: str) -> Any:  # noqa: PLR0911 - one case a name
    if name in owner.attributes:
        found = owner.attributes[name]
        # What is empty after `__init__` is there for something to be added to it.
        return Many(UNKNOWN) if found == () and not evaluator.qualified_name.endswith("__init__") else found
    member = owner.cls.find(name)
    if isinstance(member, Function):
        if member.kinds & {"property", "cached_property", "classproperty"}:
            return follow.call_function(evaluator, member, [owner], {})
        if "staticmethod" in member.kinds:
            return member
        return Bound(owner.cls if "classmethod" in member.kinds else owner, member)
    if member is not None:
        return evaluator.home.loaded(member)
    if owner.base is not None and name in owner.base.attributes:
        return owner.base.attributes[name]
    if name == "__class__":
        return owner.cls
    if name in (
        "eval",
        "train",
        "to",
        "cuda",
        "cpu",
        "half",
        "float",
        "requires_grad_",
        "bfloat16",
    ) and follow.is_module(owner.cls):
        return Bound(owner, lambda *_: owner)
    if name in ("forward", "__call__"):
        return owner
    if name == "training":
        return UNKNOWN
    if evaluator.scope.get("self") is owner and owner.cls.foreign and not evaluator.depth:
        # What a base that isn't read has set.
        return Symbol(f"self.{name}", is_number=False)
    return UNKNOWN


def _of_module(_: Evaluator, owner: Module, name: str) -> Any:
    return owner.attributes.get(name, UNKNOWN)


def _of_class(evaluator: Evaluator, owner: Class, name: str) -> Any:
    member = owner.find(name)
    if isinstance(member, Function) and "classmethod" in member.kinds:
        return Bound(owner, member)
    if name == "__name__":
        return owner.node.name
    return UNKNOWN if member is None else evaluator.home.loaded(member)


def _of_pretrained(_: Evaluator, owner: Pretrained, name: str) -> Any:
    if name in _KEEPS:
        return Bound(owner, lambda *_, **__: owner)
    return Symbol("config") if name == "config" else UNKNOWN


_KEEPS = frozenset(
    {"to", "eval", "train", "cuda", "cpu", "half", "float", "bfloat16", "requires_grad_", "from_pretrained"}
)


def _of_dictionary(_: Evaluator, owner: Dictionary, name: str) -> Any:
    if name in ("get", "pop"):
        return Bound(owner, lambda key=UNKNOWN, default=None: owner.get(key, default))
    whole = not owner.is_open
    if name == "items":
        return Bound(owner, lambda: owner.items if whole else Many(UNKNOWN))
    if name == "keys":
        return Bound(owner, lambda: tuple(key for key, _ in owner.items) if whole else Many(UNKNOWN))
    if name == "values":
        return Bound(owner, lambda: tuple(value for _, value in owner.items) if whole else Many(UNKNOWN))
    if name == "copy":
        return Bound(owner, lambda: owner)
    if name == "to":
        return Bound(owner, lambda *_, **__: owner)
    found = owner.get(name, UNKNOWN)
    return distributions.method(owner, name) if found is UNKNOWN and owner.is_open else found


def _of_chain(_: Evaluator, owner: Chain, name: str) -> Any:
    modules = owner.modules
    return modules[int(name)] if name.isdigit() and int(name) < len(modules) else UNKNOWN


_PLACES = {"values": 0, "indices": 1}
"""What `x.max(1)`, `x.topk(2)` and `x.sort()` give stands in this order."""


def _of_many(_: Evaluator, owner: Many | tuple[Any, ...], name: str) -> Any:
    if name == "copy":
        return Bound(owner, lambda: owner)
    if name == "numel":
        return Bound(owner, lambda: NUMBER)
    if isinstance(owner, tuple) and name in _PLACES and owner and all(isinstance(each, Tensor) for each in owner):
        place = _PLACES[name]
        return owner[place] if place < len(owner) else UNKNOWN
    if isinstance(owner, tuple) and name == "index":
        return Bound(owner, lambda *_: NUMBER)
    return UNKNOWN


def _of_options(evaluator: Evaluator, owner: OneOf, name: str) -> Any:
    found: Any = NOTHING
    for option in owner.options:
        found = join(found, attribute(evaluator, option, name))
    return found


_HANDLERS: dict[type, Any] = {
    OneOf: _of_options,
    Pretrained: _of_pretrained,
    External: _of_external,
    Symbol: _of_symbol,
    Tensor: _of_tensor,
    Guess: _of_tensor,
    Instance: _of_instance,
    Module: _of_module,
    Class: _of_class,
    Dictionary: _of_dictionary,
    Chain: _of_chain,
    Many: _of_many,
    tuple: _of_many,
}
