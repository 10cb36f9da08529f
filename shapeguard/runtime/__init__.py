"""The guard: jaxtyping annotations enforced by beartype while the code runs."""

from shapeguard.runtime.decorate import guard
from shapeguard.runtime.error import ShapeError
from shapeguard.runtime.expect import expect, reveal_shape
from shapeguard.runtime.hook import guard_imports
from shapeguard.runtime.mode import switch
from shapeguard.runtime.plan import GuardWarning

__all__ = ["GuardWarning", "ShapeError", "expect", "guard", "guard_imports", "reveal_shape", "switch"]
