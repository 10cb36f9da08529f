"""The conditions of a generated function inside torch.compile, where a size may be a symbol.

They are built from comparisons alone, since the compiled program tests again at each call whatever else they touch:
a global, a helper, a built-in function.
"""

from __future__ import annotations

import re
from typing import Any

from shapeguard.runtime.conditions import Conditions, Uncertain
from shapeguard.runtime.demand import Array, Choice, Demand, Plain
from shapeguard.runtime.tensors import allowed_dtypes, loaded_torch
from shapeguard.shapes.annotation import Symbolic


class TracedConditions(Conditions):
    """Conditions for tensors, given or absent; the rest is left to the code in traced.py."""

    def __init__(self, constants: dict[str, Any], taken: set[str]) -> None:
        super().__init__(constants, taken)
        torch = loaded_torch()
        self.surely = self.variable("surely")
        self.check = self.constant("check", torch._check)  # noqa: SLF001 - documented by that name
        # The module behind it is loaded with the compiler; sooner, it would cost every program a quarter of a second.
        experimental = self.constant("experimental", torch.fx.experimental)
        self.preparation = f"{self.surely} = {experimental}.symbolic_shapes.guard_or_false"
        """The line that the conditions need before them."""

    def demand(self, value: str, demand: Demand, *, certain: bool = True) -> list[str]:
        """Conditions for `value`; what only beartype could decide is not checked here."""
        if isinstance(demand, Plain):
            return []
        if isinstance(demand, Array | Choice):
            return super().demand(value, demand, certain=certain)
        if any(super().demand(value, demand)):
            raise Uncertain
        return []

    def _choice(self, value: str, options: tuple[Demand, ...]) -> str:
        arrays = [option for option in options if isinstance(option, Array)]
        if len(arrays) != 1 or [option for option in options if option not in arrays] != [Plain(type(None))]:
            raise Uncertain
        return f"({value} is None or {' and '.join(self.demand(value, arrays[0], certain=False))})"

    def _class(self, value: str, cls: type) -> list[str]:
        return []

    def _dtype(self, value: str, demand: Array, *, certain: bool) -> list[str]:
        dtypes = allowed_dtypes(demand)
        return [] if dtypes is None else [f'f"{{{value}.dtype}}" in {tuple(sorted(map(str, dtypes)))!r}']

    def _rank(self, shape: str, value: str, demanded: str) -> list[str]:
        return [f"{value}.ndim {demanded}", f"({shape} := {value}.shape) is not None"]

    def _whole_shape(self, value: str, sizes: list[str]) -> list[str]:
        shape = self.variable("shape")
        pairs = enumerate(sizes)
        return [
            *self._rank(shape, value, f"== {len(sizes)}"),
            *(self._equal(f"{shape}[{position}]", size) for position, size in pairs),
        ]

    def _variadic_shape(self, value: str, annotation: Any, *, certain: bool) -> list[str]:
        raise Uncertain

    def _remember_shape(self, annotation: Any, shape: str, *, certain: bool) -> None:
        return

    def _kept(self, sources: dict[str, str], name: str, stem: str, *, certain: bool) -> str:
        return sources[name]

    def _name(self, axis: Any, size: str, *, certain: bool) -> list[str]:
        # A name that may be bound by its second mention can't be followed in an expression of comparisons.
        if axis.name not in self.exact and (axis.broadcast or not certain):
            raise Uncertain
        return super()._name(axis, size, certain=certain)

    def _equal(self, size: str, expected: str) -> str:
        # Where only data decides, the sizes are not known to differ, and the program checks them when it runs.
        same, other = f"{size} == {expected}", f"{size} != {expected}"
        return f"({self.surely}({same}) or not {self.surely}({other}) and {self.check}({same}) is None)"

    def _is_one(self, size: str) -> str:
        return f"not {self.surely}({size} != 1)"

    def _expression(self, axis: Symbolic) -> str:
        # What may divide by zero is left to the code in traced.py: of a symbol that can't simply be asked.
        if re.search(r"(//|%)(?!\d)", axis.expression):
            raise Uncertain
        return super()._expression(axis)
