"""What a layer's call demands of its inputs: the first demand that surely fails, and the first that may."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from shapeguard.ops.values import UNKNOWN, Dtype, Module, Result, Tensor, called
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, as_int, bounds
from shapeguard.shapes.mismatch import (
    LayerMismatch,
    LayerRankMismatch,
    LayerRefusal,
    LayerShapeMismatch,
    Mismatch,
    NotDivisible,
    TooSmall,
)
from shapeguard.shapes.shape import Axis, Shape, position_of

Sized: TypeAlias = Axis | Dim | int | None


class Demands:
    """The demands of one call, gathered as they are checked; a size that is not known meets every one of them.

    One that surely fails becomes the call's result, one that fails for some sizes the doubt of the result's shape.
    """

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self.refusal: Mismatch | None = None
        self.doubt: Mismatch | None = None

    def note(self, mismatch: Mismatch, *, met: bool | None = False) -> None:
        """Keep the mismatch unless the demand is surely met."""
        if met is False:
            self.refusal = self.refusal or mismatch
        elif met is None:
            self.doubt = self.doubt or mismatch

    def refuse(self, reason: str) -> None:
        """Note arguments that torch refuses whatever the sizes."""
        self.note(LayerRefusal(self.layer, reason))

    def rank(self, value: Any, least: int, most: int | None = None, name: str = "input") -> tuple[Axis, ...] | None:
        """The axes of a tensor, or None where they are unknown or not as many as wanted."""
        axes = axes_of(value)
        if axes is not None and (len(axes) < least or (most is not None and len(axes) > most)):
            self.note(LayerRankMismatch(self.layer, name, sizes_of(axes), least, most))
            return None
        return axes

    def axis(self, axes: Sequence[Axis] | None, axis: int, wanted: Any, value: str = "") -> None:
        """Demand a size of one axis; counted from the front unless it is the last."""
        size, wanted = None if axes is None else axes[axis].size, dim_of(wanted)
        if axes is not None and size is not None and wanted is not None:
            place = axis if axis == -1 else axis % len(axes)
            self.note(LayerMismatch(self.layer, wanted, place, size, value), met=compare(size, wanted))

    def shape(self, value: Any, wanted: Sequence[Sized] | None, name: str, why: str = "") -> None:
        """Demand all sizes of a tensor."""
        axes = axes_of(value)
        if axes is None or wanted is None:
            return
        mismatch = LayerShapeMismatch(self.layer, name, sizes_of(wanted), sizes_of(axes), why)
        if len(axes) != len(wanted):
            self.note(mismatch)
            return
        for axis, size in zip(axes, mismatch.wanted, strict=True):
            if axis.size is not None and size is not None:
                self.note(mismatch, met=compare(axis.size, size))

    def divisible(self, size: Any, parts: Any, what: str) -> None:
        """Demand that nothing remains of a division."""
        whole, count = dim_of(size), dim_of(parts)
        if whole is not None and count is not None:
            met = False if count == 0 else compare(whole % count, 0)
            # Sizes are chosen to divide; that a symbol may not is nobody's concern.
            self.note(NotDivisible(self.layer, what, whole, count), met=met is not False)

    def at_least(self, size: Dim | None, least: Dim | None, axis: int) -> None:
        """Demand that an axis is long enough; that a symbol may be too small is no doubt."""
        if size is not None and least is not None:
            most = bounds(size - least)[1]
            self.note(TooSmall(self.layer, axis, size, least), met=most is None or most >= 0)

    def position(self, dim: Any, rank: int) -> int | None:
        """An axis counted from the front, or None where it is unknown or does not exist."""
        number = int_of(dim)
        if number is None:
            return None
        position = position_of(number, rank)
        if isinstance(position, Mismatch):
            self.note(position)
            return None
        return position

    def gives(self, sizes: Iterable[Sized] | None, dtype: str | None) -> Tensor | Mismatch:
        """The result: a tensor of these sizes, None for not even their number, unless a demand surely fails."""
        if self.refusal is not None:
            return self.refusal
        return Tensor(Shape(None if sizes is None else Shape.of(*sizes).axes, self.doubt), dtype)

    def takes(self, outcome: Shape | Mismatch) -> tuple[Axis, ...] | None:
        """The axes of a step on the way, whose mismatch or doubt becomes one of the call's."""
        if isinstance(outcome, Mismatch):
            self.note(outcome)
            return None
        if outcome.doubt is not None:
            self.note(outcome.doubt, met=None)
        return outcome.axes


def axes_of(value: Any) -> tuple[Axis, ...] | None:
    """The axes of a tensor; None where they, or the tensor, aren't known."""
    return value.shape.axes if isinstance(value, Tensor) else None


def sizes_of(axes: Sequence[Sized]) -> tuple[Dim | None, ...]:
    """The sizes alone."""
    sizes = (axis.size if isinstance(axis, Axis) else axis for axis in axes)
    return tuple(None if size is None else Dim(size) for size in sizes)


def dtype_of(value: Any) -> str | None:
    """The dtype of a tensor."""
    return value.dtype if isinstance(value, Tensor) else None


def parameter_dtype(dtype: Any) -> str | None:
    """The dtype of a layer's parameters, by its constructor's argument."""
    return "float32" if dtype is None else dtype.name if isinstance(dtype, Dtype) else None


def is_floating(dtype: str | None) -> bool | None:
    """Whether a dtype holds fractions; None for one that is not known."""
    return None if dtype is None else dtype.startswith(("float", "bfloat", "complex"))


def dim_of(value: Any) -> Dim | None:
    """An argument that is to be one integer."""
    return Dim(value) if isinstance(value, (Dim, int)) else None


def int_of(value: Any) -> int | None:
    """An argument that is to be one integer, where its value is known."""
    return None if (dim := dim_of(value)) is None else as_int(dim)


def flag_of(value: Any) -> bool | None:
    """An argument that is to be true or false; None where that isn't known."""
    if value is None or isinstance(value, (bool, str, tuple, Tensor)):
        return value is not None and value is not False
    number = int_of(value)
    return None if number is None else bool(number)


def each(value: Any, count: int) -> tuple[Dim | None, ...]:
    """An argument that is one integer for all spatial axes or one for each."""
    if isinstance(value, tuple) and len(value) in (1, count):
        return tuple(map(dim_of, value)) * (count // len(value))
    return (None if isinstance(value, tuple) else dim_of(value),) * count


def product(sizes: Iterable[Dim | None]) -> Dim | None:
    """The product; None where a size is unknown."""
    total = Dim(1)
    for size in sizes:
        if size is None:
            return None
        total = total * size
    return total


def quotient(size: Dim | None, parts: Dim | None) -> Dim | None:
    """A floor division; None where a part is unknown or the divisor is 0."""
    return None if size is None or parts is None or parts == 0 else size // parts


def parameter(sizes: Iterable[Sized], dtype: str | None, *, present: bool | None = True) -> Any:
    """A layer's parameter, None where the layer was made without, UNKNOWN where that isn't known."""
    return UNKNOWN if present is None else Tensor(Shape.of(*sizes), dtype) if present else None


def layer(forward: Callable[..., Any], **attributes: Any) -> Module:
    """A Module whose call is unknown where its arguments are not those of `forward`."""

    def call(*arguments: Any, **named: Any) -> Result:
        return called(forward, arguments, named)

    held = {name: Dim(value) if type(value) is int else value for name, value in attributes.items()}
    return Module(call, held)
