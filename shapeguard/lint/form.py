"""A form: how many axes a tensor has, and what each is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from shapeguard.lint.axis_names import role_of

Part: TypeAlias = Literal["batch", "time", "feature", "space"] | int | None
"""What an axis is for, or its size."""

_ROLES: dict[str, Part] = {
    **dict.fromkeys(("num_envs", "n_envs", "envs", "num_env", "n_env", "num_environments"), "batch"),
    **dict.fromkeys(
        ("frames", "steps", "tokens", "words", "positions", "n_steps", "chars", "horizon", "window"), "time"
    ),
}
"""Further names of sizes."""


def part_of(name: str) -> Part:
    """What an axis is for, by the name of its size."""
    return role_of(name) or _ROLES.get(name)


@dataclass(frozen=True, slots=True)
class Form:
    """The axes of a tensor."""

    parts: tuple[Part, ...]
    is_open: bool = False

    @property
    def rank(self) -> int | None:
        """How many axes there are."""
        return None if self.is_open else len(self.parts)

    def with_last(self, part: Part) -> Form:
        """The same with another last axis."""
        return Form((*self.parts[:-1], part), self.is_open)

    def without(self, dim: int, *, kept: bool = False) -> Form | None:
        """The same with one axis taken away, or left at size 1."""
        if self.is_open and (dim >= 0 or -dim > len(self.parts)):
            return None
        if not -len(self.parts) <= dim < len(self.parts):
            return None
        at = dim % len(self.parts)
        return Form((*self.parts[:at], *((1,) if kept else ()), *self.parts[at + 1 :]), self.is_open)


OPEN = Form((), is_open=True)
