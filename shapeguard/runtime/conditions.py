"""Conditions in Python source that hold only if an argument surely meets its demand.

A condition may be false for a value that is fine; it is never true for one that isn't. So the order in which jaxtyping
reads the arguments doesn't matter here: sizes that agree in every pair agree in every order.
"""

from __future__ import annotations

import builtins
import types
from typing import Any, Literal, Union, get_args, get_origin

from beartype.door import is_bearable

from shapeguard.runtime.arithmetic import write_expression
from shapeguard.runtime.demand import (
    Anything,
    Array,
    Choice,
    Demand,
    Each,
    Items,
    Opaque,
    Plain,
    Record,
    Values,
    arrays_of,
)
from shapeguard.runtime.tensors import allowed_dtypes, is_tensor_class, loaded_torch, plain_classes
from shapeguard.shapes.annotation import (
    Annotation,
    AnnotationAxis,
    AnyAxes,
    AnySize,
    Fixed,
    Named,
    NamedAxes,
    OneAxis,
    Symbolic,
)


class Uncertain(Exception):  # noqa: N818 - no error: the demand is one that only the judge can decide
    """No quick condition exists for this demand."""


class Conditions:
    """The conditions for one function: what is known of its names grows from argument to argument."""

    def __init__(self, constants: dict[str, Any], taken: set[str]) -> None:
        self.constants = constants
        self.taken = taken
        self.exact: dict[str, str] = {}
        """Name -> source of its size."""
        self.tentative: dict[str, str] = {}
        """Name -> variable that is None until an argument that may be absent binds it."""
        self.loose: dict[str, str] = {}
        """Name -> variable that is 1 as long as only `#name` was met."""
        self.runs: dict[str, str] = {}
        """Name of several axes -> source of their sizes."""
        self.loose_runs: dict[str, str] = {}
        """Name of several axes -> variable that grows by broadcasting as long as only `*#name` was met."""
        self.known_shapes: dict[tuple[AnnotationAxis, ...], str] = {}
        """Axes that are all demanded exactly -> variable with the shape that has met them."""
        self.known_dtypes: dict[str, str] = {}
        """Constant with allowed dtypes -> variable with one of them."""
        self.waiting: list[tuple[Symbolic, str]] = []

    def variable(self, stem: str) -> str:
        """A name that nothing else in the function has."""
        number = 0
        while (name := f"{stem}{number}") in self.taken:
            number += 1
        self.taken.add(name)
        return name

    def constant(self, stem: str, value: object) -> str:
        """The global name under which the generated function finds a value."""
        for name, known in self.constants.items():
            if known is value or (isinstance(value, frozenset) and type(known) is frozenset and known == value):
                return name
        name = self.variable(stem)
        self.constants[name] = value
        return name

    def builtin(self, name: str) -> str:
        """How the generated function calls a built-in thing; a parameter may have its name."""
        return self.constant(name, getattr(builtins, name)) if name in self.taken else name

    def demand(self, value: str, demand: Demand, *, certain: bool = True) -> list[str]:
        """Conditions for `value` (a variable); `certain` is whether they are checked whatever the arguments are."""
        match demand:
            case Anything():
                return []
            case Plain(hint=hint):
                return [self._plain(value, hint)]
            case Array():
                return self._array(value, demand, certain=certain)
            case Choice(options=options):
                return [self._choice(value, options)]
            case Items(items=items):
                return self._items(value, items, certain=certain)
            case Record():
                return self._record(value, demand, certain=certain)
            case Each() | Values() | Opaque():
                raise Uncertain
        raise Uncertain

    def settle(self) -> list[str]:
        """Conditions for the expressions that had to wait for a name bound by a later argument."""
        waiting, self.waiting = self.waiting, []
        return [self._equal(size, self._expression(axis)) for axis, size in waiting]

    def _plain(self, value: str, hint: Any) -> str:
        if hint is type(None) or hint is None:
            return f"{value} is None"
        options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        if all(_is_ordinary_class(option) for option in options):
            classes = options[0] if len(options) == 1 else options
            return f"{self.builtin('isinstance')}({value}, {self.constant('classes', classes)})"
        return f"{self.constant('bearable', is_bearable)}({value}, {self.constant('hint', hint)})"

    def _array(self, value: str, demand: Array, *, certain: bool) -> list[str]:
        if not is_tensor_class(demand.array_type):
            raise Uncertain
        conditions = [*self._class(value, demand.array_type), *self._dtype(value, demand, certain=certain)]
        annotation = demand.annotation
        if annotation.axes in self.known_shapes:
            return [*conditions, f"{value}.shape == {self.known_shapes[annotation.axes]}"]
        if annotation.variadic is not None:
            return conditions + self._variadic_shape(value, annotation, certain=certain)
        axes = annotation.prefix
        if not axes:
            return [*conditions, f"{value}.ndim == 0"]
        if all(map(self._is_closed, axes)):
            return conditions + self._whole_shape(value, [self._closed(axis, certain=certain) for axis in axes])
        shape = self.variable("shape")
        conditions += self._rank(shape, value, f"== {len(axes)}")
        self._remember_shape(annotation, shape, certain=certain)
        for position, axis in enumerate(axes):
            conditions += self._axis(axis, f"{shape}[{position}]", certain=certain)
        return conditions

    def _class(self, value: str, cls: type) -> list[str]:
        """That a tensor is of a class whose sizes are ordinary integers."""
        kind = f"{self.builtin('type')}({value})"
        # Nearly every tensor is of the class itself, and `is` costs half of what `in` does.
        return [f"({kind} is {self.constant('cls', cls)} or {kind} in {self.constant('plain', plain_classes(cls))})"]

    def _dtype(self, value: str, demand: Array, *, certain: bool) -> list[str]:
        dtypes = allowed_dtypes(demand)
        if dtypes is None:
            return []
        allowed = self.constant("dtypes", dtypes)
        if allowed in self.known_dtypes:
            return [f"({value}.dtype is {self.known_dtypes[allowed]} or {value}.dtype in {allowed})"]
        if not certain:
            return [f"{value}.dtype in {allowed}"]
        known = self.known_dtypes[allowed] = self.variable("dtype")
        return [f"({known} := {value}.dtype) in {allowed}"]

    def _rank(self, shape: str, value: str, demanded: str) -> list[str]:
        return [f"{self.builtin('len')}({shape} := {value}.shape) {demanded}"]

    def _whole_shape(self, value: str, sizes: list[str]) -> list[str]:
        return [f"{value}.shape == ({', '.join(sizes)},)"]

    def _equal(self, size: str, expected: str) -> str:
        return f"{size} == {expected}"

    def _is_one(self, size: str) -> str:
        return f"{size} == 1"

    def _remember_shape(self, annotation: Annotation, shape: str, *, certain: bool) -> None:
        """Whoever has the same annotation must have the same shape, if each of its axes is demanded exactly."""
        if certain and not any(isinstance(axis, AnySize | AnyAxes) or axis.broadcast for axis in annotation.axes):
            self.known_shapes[annotation.axes] = shape

    def _is_closed(self, axis: OneAxis) -> bool:
        """Whether an axis' size is known by now and must be met exactly."""
        match axis:
            case Fixed(broadcast=False):
                return True
            case Named(broadcast=False, per_leaf=False):
                return axis.name in self.exact
            case Symbolic(broadcast=False):
                return self._can_read(axis)
        return False

    def _closed(self, axis: OneAxis, *, certain: bool) -> str:
        """The source of the size of a closed axis."""
        match axis:
            case Fixed():
                return str(axis.size)
            case Named():
                return self._known_size(axis.name, certain=certain)
            case Symbolic():
                return self._expression(axis)
        raise Uncertain

    def _known_size(self, name: str, *, certain: bool) -> str:
        """The source of a name's size; the first reading keeps it in a variable, as indexing a shape is slow."""
        return self._kept(self.exact, name, "size", certain=certain)

    def _kept(self, sources: dict[str, str], name: str, stem: str, *, certain: bool) -> str:
        source = sources[name]
        if not certain or source.isidentifier():
            return source
        variable = sources[name] = self.variable(stem)
        return f"({variable} := {source})"

    def _axis(self, axis: OneAxis, size: str, *, certain: bool) -> list[str]:
        match axis:
            case AnySize():
                return []
            case Fixed():
                return [self._or_one(axis, size, self._equal(size, str(axis.size)))]
            case Symbolic():
                if axis.broadcast or not certain:
                    return [self._or_one(axis, size, self._equal(size, self._expression(axis)))]
                self.waiting.append((axis, size))
                return []
            case Named(per_leaf=True):
                raise Uncertain
            case Named():
                return self._name(axis, size, certain=certain)
        raise Uncertain

    def _name(self, axis: Named, size: str, *, certain: bool) -> list[str]:
        name = axis.name
        if name in self.exact:
            expected = self._known_size(name, certain=certain and not axis.broadcast)
            return [self._or_one(axis, size, self._equal(size, expected))]
        if name in self.loose:
            known = self.loose[name]
            if axis.broadcast:
                return [f"({size} == 1 or {size} == {known} or {known} == 1 and ({known} := {size}) > 0)"]
            self.exact[name] = self.loose.pop(name)
            return [f"{size} == {known}"]
        if not certain:
            if axis.broadcast:
                raise Uncertain
            self.tentative[name] = self.tentative.get(name) or self.variable("size")
        if name in self.tentative:
            known = self.tentative[name]
            agrees = f"({known} is None and ({known} := {size}) >= 0 or {self._equal(size, known)})"
            return [self._or_one(axis, size, agrees)]
        if axis.broadcast:
            known = self.loose[name] = self.variable("size")
            return [f"({known} := {size}) >= 0"]
        self.exact[name] = size
        return []

    def _or_one(self, axis: Named | Fixed | Symbolic, size: str, condition: str) -> str:
        return f"({self._is_one(size)} or {condition})" if axis.broadcast else condition

    def _variadic_shape(self, value: str, annotation: Annotation, *, certain: bool) -> list[str]:
        run = annotation.axes[annotation.variadic or 0]
        before, after = annotation.prefix, annotation.suffix
        if isinstance(run, NamedAxes):
            if run.per_leaf or not certain:
                raise Uncertain
            if run.name in self.runs and not run.broadcast and all(map(self._is_closed, (*before, *after))):
                known = self._kept(self.runs, run.name, "run", certain=certain)
                ends = [self._closed(axis, certain=certain) for axis in (*before, *after)]
                return self._whole_shape(value, [*ends[: len(before)], f"*{known}", *ends[len(before) :]])
        shape = self.variable("shape")
        conditions = self._rank(shape, value, f">= {len(before) + len(after)}")
        self._remember_shape(annotation, shape, certain=certain)
        for position, axis in enumerate(before):
            conditions += self._axis(axis, f"{shape}[{position}]", certain=certain)
        for position, axis in enumerate(after, -len(after)):
            conditions += self._axis(axis, f"{shape}[{position}]", certain=certain)
        if isinstance(run, NamedAxes):
            stop = f"-{len(after)}" if after else ""
            conditions += self._run(run, f"{shape}[{len(before) or ''}:{stop}]" if before or after else shape)
        return conditions

    def _run(self, run: NamedAxes, sizes: str) -> list[str]:
        name = run.name
        joined = self.constant("broadcast", broadcast)
        if name in self.loose_runs:
            known = self.loose_runs[name]
            if run.broadcast:
                return [f"({known} := {joined}({known}, {sizes})) is not None"]
            self.runs[name] = self.loose_runs.pop(name)
            return [f"{sizes} == {known}"]
        if name in self.runs:
            known = self._kept(self.runs, name, "run", certain=True)
            if run.broadcast:
                variable = self.variable("run")
                return [f"({variable} := {known}) == {joined}({variable}, {sizes})"]
            return [f"{sizes} == {known}"]
        if run.broadcast:
            known = self.loose_runs[name] = self.variable("run")
            return [f"({known} := {sizes}) is not None"]
        self.runs[name] = sizes
        return []

    def _choice(self, value: str, options: tuple[Demand, ...]) -> str:
        arrays = [option for option in options if any(True for _ in arrays_of(option))]
        if len(arrays) > 1 or not all(isinstance(option, Array) or _excludes_tensors(option) for option in options):
            raise Uncertain
        tests = [test for option in options if option not in arrays for test in self.demand(value, option)]
        tests += [_all(self.demand(value, option, certain=False)) for option in arrays]
        return f"({' or '.join(tests)})"

    def _items(self, value: str, items: tuple[Demand, ...], *, certain: bool) -> list[str]:
        conditions = [
            f"{self.builtin('type')}({value}) is {self.builtin('tuple')}",
            f"{self.builtin('len')}({value}) == {len(items)}",
        ]
        for position, item in enumerate(items):
            conditions += self._part(f"{value}[{position}]", item, certain=certain)
        return conditions

    def _record(self, value: str, record: Record, *, certain: bool) -> list[str]:
        if record.by_key:
            conditions = [f"{self.builtin('type')}({value}) is {self.builtin('dict')}"]
            conditions += [f"{name!r} in {value}" for name, _ in record.fields]
        else:
            conditions = [f"{self.builtin('isinstance')}({value}, {self.constant('record', record.cls)})"]
        for name, demand in record.fields:
            part = f"{value}[{name!r}]" if record.by_key else f"{value}.{name}"
            if not record.by_key and isinstance(demand, Choice):
                part = f"{self.builtin('getattr')}({value}, {name!r}, None)"
            conditions += self._part(part, demand, certain=certain)
        return conditions

    def _part(self, source: str, demand: Demand, *, certain: bool) -> list[str]:
        """Conditions for a part of a value, which gets a variable of its own."""
        variable = self.variable("part")
        inner = self.demand(variable, demand, certain=certain)
        return [f"(({variable} := {source}) is {variable})", *inner] if inner else []

    def _can_read(self, axis: Symbolic) -> bool:
        try:
            self._expression(axis)
        except Uncertain:
            return False
        return True

    def _expression(self, axis: Symbolic) -> str:
        source = write_expression(axis, self.exact, self.constant, self.builtin)
        if source is None:
            raise Uncertain
        return source


def broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape that two shapes of integers broadcast to."""
    if len(first) < len(second):
        first, second = second, first
    result = list(first)
    for position in range(-len(second), 0):
        size = second[position]
        if size not in (1, result[position]):
            if result[position] != 1:
                return None
            result[position] = size
    return tuple(result)


def _all(conditions: list[str]) -> str:
    return f"({' and '.join(conditions)})"


def _excludes_tensors(demand: Demand) -> bool:
    """Whether no tensor meets a demand; else the order of a union's options decides if an array binds its names."""
    if not isinstance(demand, Plain):
        return False
    origin = get_origin(demand.hint) or demand.hint
    if origin in (Literal, None):
        return True
    if not _is_ordinary_class(origin) and getattr(origin, "__module__", "") != "collections.abc":
        return False
    tensor = loaded_torch().Tensor
    return not issubclass(origin, tensor) and not issubclass(tensor, origin)


def _is_ordinary_class(hint: Any) -> bool:
    """Whether beartype means by this class what `isinstance` means."""
    return (
        isinstance(hint, type)
        and type(hint).__instancecheck__ is type.__instancecheck__
        and get_origin(hint) is None
        and hint.__module__ not in ("typing", "typing_extensions", "jaxtyping")
    ) or hint is type(None)
