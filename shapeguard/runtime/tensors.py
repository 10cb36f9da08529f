"""What the guard knows of torch, without loading it before the guarded code has."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from shapeguard.runtime.demand import Array


def loaded_torch() -> Any:
    """Torch if the program uses it."""
    # Kept, because torch.compile reads this too, and follows a look into sys.modules to every module there is.
    global _torch  # noqa: PLW0603
    if _torch is None:
        _torch = sys.modules.get("torch")
    return _torch


_torch: ModuleType | None = None


def is_tensor_class(cls: object) -> bool:
    """Whether a class is torch.Tensor or one of its subclasses."""
    torch = loaded_torch()
    return torch is not None and isinstance(cls, type) and issubclass(cls, torch.Tensor)


@lru_cache(maxsize=64)
def plain_classes(cls: type) -> frozenset[type]:
    """The classes whose instances hold ordinary sizes, among those that an annotation with `cls` accepts.

    Subclasses in general don't: a FakeTensor's sizes may be symbols.
    """
    torch = loaded_torch()
    return frozenset(known for known in (torch.Tensor, torch.nn.Parameter) if issubclass(known, cls)) or frozenset(
        {cls}
    )


def shape_of(value: object) -> tuple[Any, ...] | None:
    """What a value says are its sizes, which may be symbols; None where it has none, or none that can be read.

    The class Tensor, a Mock, a nested tensor and an uninitialised parameter have a `shape` that raises or is no tuple.
    """
    try:
        return tuple(value.shape)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - whatever a property of the user's raises
        return None


def readable_sizes(value: object) -> tuple[int, ...] | None:
    """The sizes of an array as integers (in torch.jit.trace they are tensors); None where they can't be read."""
    shape = shape_of(value)
    try:
        return None if shape is None else tuple(map(int, shape))
    except Exception:  # noqa: BLE001 - as above
        return None


def kind_of(value: object) -> str:
    """What a value is, as a message says it."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    unreadable = hasattr(type(value), "shape") and readable_sizes(value) is None
    return f"{type(value).__name__} whose sizes can't be read" if unreadable else type(value).__name__


def dtype_name(dtype: Any) -> str:
    """A dtype's name as jaxtyping reads it: "float32"."""
    if isinstance(dtype, str):
        return dtype
    numpy_name = getattr(getattr(dtype, "type", None), "__name__", None)
    return numpy_name or repr(dtype).rpartition(".")[2]


Rules = tuple[str | re.Pattern[str], ...] | object
"""The dtypes that a jaxtyping class allows: names and patterns; anything but a tuple allows all."""


def accepts_dtype(rules: Iterable[Rules], name: str) -> bool:
    """Whether any of several jaxtyping classes allows a dtype."""
    return any(
        not isinstance(allowed, tuple)
        or any(name == rule if isinstance(rule, str) else bool(rule.match(name)) for rule in allowed)
        for allowed in rules
    )


def allowed_dtypes(demand: Array) -> frozenset[torch.dtype] | None:
    """The torch dtypes that an annotation accepts, or None if it accepts all."""
    return _allowed_dtypes(demand.dtype_rules)


@lru_cache(maxsize=256)
def _allowed_dtypes(rules: tuple[Rules, ...]) -> frozenset[torch.dtype] | None:
    if not all(isinstance(allowed, tuple) for allowed in rules):
        return None
    torch = loaded_torch()
    dtypes = [value for value in vars(torch).values() if isinstance(value, torch.dtype)]
    return frozenset(dtype for dtype in dtypes if accepts_dtype(rules, dtype_name(dtype)))


_SHORT = {"float": "f", "bfloat": "bf", "int": "i", "uint": "u", "complex": "c"}


def short_form(value: object) -> str:
    """A value in a few characters: `f32[2, 6, 11]`, `int 3`, `None`."""
    shape = shape_of(value)
    dtype = getattr(value, "dtype", None) if shape is not None else None
    if shape is not None and dtype is not None:
        name = dtype_name(dtype)
        letters = name.rstrip("0123456789_")
        short = _SHORT.get(letters, letters) + name[len(letters) :] if letters in _SHORT else name
        return f"{short}[{', '.join(map(str, shape))}]"
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, int | float | complex | str | bytes):
        text = repr(value)
        return f"{type(value).__name__} {text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}"
    if isinstance(value, list | tuple | set | frozenset | dict):
        return f"{type(value).__name__} of {len(value)}"
    return kind_of(value)


_LONGEST = 40
