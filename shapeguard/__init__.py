"""shapeguard checks tensor shapes in PyTorch code before and while it runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapeguard.runtime import GuardWarning, ShapeError, expect, guard, guard_imports, reveal_shape, switch

__version__ = "0.1.0"
__all__ = ["GuardWarning", "ShapeError", "expect", "guard", "guard_imports", "reveal_shape", "switch"]

# Loaded on first use, so that the command line and the lint start without them.
_HOME = "shapeguard.runtime"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module 'shapeguard' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(_HOME), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
