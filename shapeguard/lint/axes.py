"""How the code around a value calls its axes: by `b, t, d = x.shape`, by a view, by the layer that made it.

It is far less than the static checker knows, and costs next to nothing: names with one sure definition are followed,
everything else is unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Sequence

from shapeguard.lint.axis_names import (
    AXES_OF_IDS,
    BY_PLACE,
    CONVOLUTIONS,
    KEEPING_LAYERS,
    KEEPS_SHAPE,
    MARK,
    RECURRENT,
    Role,
    given_name,
    role_of,
)
from shapeguard.lint.binding import Binding
from shapeguard.lint.layouts import BATCH_FIRST, layout_of, state_count
from shapeguard.lint.measuring import measured, path_of, shape_source
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.dim import Dim, TooLargeError
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape

_ARITHMETIC: dict[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: Dim.__add__,
    ast.Sub: Dim.__sub__,
    ast.Mult: Dim.__mul__,
    ast.FloorDiv: Dim.__floordiv__,
}
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
_DEEPEST = 40


class Axes:
    """The axes of the values in one file."""

    def __init__(self, file: Reading) -> None:
        self._file = file
        self._shapes: dict[ast.expr, Shape | None] = {}
        self._dims: dict[tuple[Hashable, int | None], Dim] = {}
        self._names: set[str] = set()
        self._roles: dict[str, Role] = {}
        self._unpacked: dict[Hashable, list[ast.Tuple]] | None = None
        self._depth = 0

    def role(self, axis: Axis) -> Role | None:
        """What an axis is for, where its name or the layer that made it tells."""
        return None if axis.size is None else self._roles.get(str(axis.size))

    def roles(self, shape: Shape) -> tuple[Role | None, ...]:
        """What each axis is for."""
        return tuple(map(self.role, shape.axes or ()))

    def shape(self, node: ast.expr) -> Shape | None:
        """The shape of an expression, where its rank is known; its sizes are names of this file, told apart."""
        if node not in self._shapes:
            if self._depth > _DEEPEST:
                return None
            self._shapes[node] = None  # for a definition that goes round in a circle
            self._depth += 1
            try:
                self._shapes[node] = self._shape(node)
            except TooLargeError:
                pass
            finally:
                self._depth -= 1
        return self._shapes[node]

    def size(self, node: ast.expr) -> Dim | None:
        """The integer that an expression is."""
        if self._depth > _DEEPEST:
            return None
        self._depth += 1
        try:
            return self._size(node)
        except TooLargeError:
            return None
        finally:
            self._depth -= 1

    def _size(self, node: ast.expr) -> Dim | None:
        written = number(node)
        if written is not None:
            return Dim(written)
        match node:
            case ast.Name():
                return self._named(node)
            case ast.BinOp(left, operator, right):
                one, other, work = self.size(left), self.size(right), _ARITHMETIC.get(type(operator))
                if one is None or other is None or work is None or (isinstance(operator, ast.FloorDiv) and not other):
                    return None
                return work(one, other)
            case ast.Call(func=ast.Name(id="int"), args=[whole], keywords=[]):
                return self.size(whole)
            case ast.Call(func=ast.Name(id="len"), args=[whole], keywords=[]):
                return self.axis(whole, 0)
            case ast.Attribute() if (path := path_of(node)) is not None:
                return Dim(path)
        asked = measured(node)
        return None if asked is None else self.axis(*asked)

    def axis(self, node: ast.expr, index: int) -> Dim | None:
        """The size of one axis of an expression, whose rank need not be known."""
        shape = self.shape(node)
        if shape is not None and shape.axes is not None:
            return shape.axes[index].size if -len(shape.axes) <= index < len(shape.axes) else None
        return self._axis_of_name(node, index) if isinstance(node, ast.Name) else None

    def target(self, call: ast.Call) -> list[ast.expr] | None:
        """The sizes that a view or reshape asks for; None where they are hidden in one value."""
        sizes = call.args if receiver(call) is not None and not self._is_function(call) else call.args[1:]
        if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple | ast.List):
            sizes = sizes[0].elts
        if not sizes or call.keywords or any(isinstance(each, ast.Starred) for each in sizes):
            return None
        return sizes

    def viewed(self, call: ast.Call) -> ast.expr | None:
        """What a method or a function of torch is applied to."""
        return self._file.given(call, 0, "input")

    def order(self, call: ast.Call, rank: int | None = None) -> tuple[int, ...] | None:
        """The order into which a permute or transpose puts the axes; `rank` is needed for a transpose."""
        given = call.args[1:] if self._is_function(call) else call.args
        if last_name(call.func) == "permute" and len(given) == 1 and isinstance(given[0], ast.Tuple | ast.List):
            given = given[0].elts
        numbers = [each for each in map(number, given) if each is not None]
        if len(numbers) != len(given) or call.keywords:
            return None
        match last_name(call.func), numbers:
            case "permute", _:
                rank = len(numbers)
                return (
                    tuple(each % rank for each in numbers) if len({each % rank for each in numbers}) == rank else None
                )
            case (("transpose" | "swapaxes"), [one, other]) if rank and rank <= 8:  # noqa: PLR2004 - axes
                if not -rank <= min(one, other) <= max(one, other) < rank:
                    return None
                order = list(range(rank))
                order[one], order[other] = order[other], order[one]
                return tuple(order)
            case ("t", []) if rank in {None, 2}:
                return (1, 0)
        return None

    def made(self, name: str, role: Role | None = None) -> Axis:
        """A new axis."""
        unique, count = name, 1
        while unique in self._names:
            count += 1
            unique = f"{name}{MARK}{count}"
        self._names.add(unique)
        if role is not None:
            self._roles[unique] = role
        return Axis.of(Dim(unique))

    # Names.

    def _named(self, name: ast.Name) -> Dim | None:
        binding = self._file.definition(name)
        if binding is None:
            return None
        if binding.value is not None:
            source = shape_source(binding.value)
            if binding.index is not None:
                return None if source is None else self._unpacked_axis(source, binding)
            known = self.size(binding.value) if not isinstance(binding.value, ast.Constant) else None
            if known is not None or isinstance(binding.value, ast.Constant):
                return known if known is not None else self.size(binding.value)
        return self._dim(binding.target, None, name.id)

    def _unpacked_axis(self, source: tuple[ast.expr, bool], binding: Binding) -> Dim | None:
        value, whole = source
        shape = self.shape(value)
        index = binding.index or 0
        if shape is not None and shape.axes is not None and (not whole or len(shape.axes) == binding.count):
            known = shape.axes[index].size if index < len(shape.axes) else None
            if known is not None:
                return known
        return self._axis_of_name(value, index) if isinstance(value, ast.Name) else None

    def _axis_of_name(self, name: ast.Name, index: int) -> Dim | None:
        owner = self._owner(name)
        return None if owner is None else self._dim(owner, index, f"{name.id}{BY_PLACE}{index}".replace("-", "_"))

    def _owner(self, name: ast.Name) -> Hashable | None:
        """What tells the value of a name from others that it has elsewhere: where two are equal, so are the values."""
        binding = self._file.definition(name)
        if binding is not None:
            return binding.target
        if any(isinstance(each, _COMPREHENSIONS) for each in self._file.around(name)):
            return None
        statement = self._file.statement(name)
        bound = self._file.bindings(self._file.scope(name), name.id)
        before = [each.target for each in bound if _place(each.target) < _place(statement)]
        if not before:
            return None
        around = self._file.parent(statement)
        block = (
            next((field for field, value in ast.iter_fields(around) if _holds(value, statement)), "") if around else ""
        )
        return (before[-1], around, block)

    def _dim(self, owner: Hashable, index: int | None, name: str) -> Dim:
        key = (owner, index)
        if key not in self._dims:
            for unpacking in self._unpackings.get(owner, ()) if index is not None else ():
                part = unpacking.elts[index] if index is not None and index < len(unpacking.elts) else None
                if isinstance(part, ast.Name) and set(part.id) != {"_"}:
                    name = part.id
                    break
            self._dims[key] = self.made(name, AXES_OF_IDS.get(name) or role_of(name)).size or Dim(name)
        return self._dims[key]

    @property
    def _unpackings(self) -> dict[Hashable, list[ast.Tuple]]:
        """The places that take the whole shape of a value apart, by the definition of its name."""
        if self._unpacked is None:
            self._unpacked = {}
            for statement in self._file.all(ast.Assign):
                match statement:
                    case ast.Assign(targets=[ast.Tuple() as names], value=value):
                        source = shape_source(value)
                        if source is None or not source[1] or not isinstance(source[0], ast.Name):
                            continue
                        owner = self._owner(source[0])
                        if owner is not None:
                            self._unpacked.setdefault(owner, []).append(names)
        return self._unpacked

    def _from_unpacking(self, name: ast.Name) -> Shape | None:
        owner = self._owner(name)
        ranks = {len(each.elts) for each in self._unpackings.get(owner, ())}
        starred = any(isinstance(part, ast.Starred) for each in self._unpackings.get(owner, ()) for part in each.elts)
        if len(ranks) != 1 or starred:
            return None
        return Shape.of(*(self._axis_of_name(name, index) for index in range(ranks.pop())))

    # Values.

    def _shape(self, node: ast.expr) -> Shape | None:
        match node:
            case ast.Name():
                return self._shape_of_name(node)
            case ast.Call():
                return self._shape_of_call(node)
            case ast.Subscript(value, index):
                return self._subscripted(value, index)
            case ast.BinOp(left, ast.MatMult(), right):
                return self._product(left, right)
            case ast.BinOp(left, _, right):
                return self._combined(left, right)
        return None

    def _shape_of_name(self, name: ast.Name) -> Shape | None:
        binding = self._file.definition(name)
        known: Shape | None = None
        if binding is not None and binding.value is not None:
            if binding.index is None:
                known = self.shape(binding.value)
            elif binding.index == 0 and isinstance(binding.value, ast.Call):
                known = self._first_output(binding.value)
            elif binding.index == 1 and isinstance(binding.value, ast.Call):
                known = self._state(binding.value)
        elif binding is not None and isinstance(binding.statement, ast.Assign):
            match binding.statement:
                case ast.Assign(targets=[ast.Tuple(elts=[_, ast.Tuple(elts=[*states])])], value=ast.Call() as call):
                    known = self._state(call) if binding.target in states else None
        stated = self._from_unpacking(name)
        if known is None or known.axes is None or stated is None or stated.axes is None:
            return known or stated
        if len(known.axes) != len(stated.axes):
            return None
        return Shape(tuple(two if one.size is None else one for one, two in zip(known.axes, stated.axes, strict=True)))

    def _shape_of_call(self, call: ast.Call) -> Shape | None:
        name = last_name(call.func)
        if name in {"view", "reshape"}:
            return self._reshaped(call)
        if name in {"permute", "transpose", "swapaxes", "t"}:
            return self._moved(call)
        if name in {"matmul", "bmm"} and (inner := self.viewed(call)) is not None:
            other = argument(call, 1 if self._is_function(call) else 0, "other", "mat2")
            return None if other is None else self._product(inner, other)
        if name == "one_hot" and self._is_function(call):
            return self._with_feature(argument(call, 0, "tensor"), "classes")
        if name == "scaled_dot_product_attention" and len(call.args) > 2:  # noqa: PLR2004 - query, key and value
            return self._product(call.args[0], call.args[2])
        if name in KEEPS_SHAPE and (inner := self.viewed(call)) is not None:
            return self.shape(inner)
        if name in {"flatten", "unsqueeze"}:
            return self._flattened(call, name)
        return self._through_layer(call)

    def _through_layer(self, call: ast.Call) -> Shape | None:
        made = self._file.layer(call.func)
        given = call.args[0] if call.args else None
        if made is None or given is None or isinstance(given, ast.Starred):
            return None
        layer = last_name(made.func)
        if layer in KEEPING_LAYERS:
            return self.shape(given)
        if layer == "Embedding":
            return self._with_feature(given, "features")
        if layer == "Linear":
            inside = self.shape(given)
            return None if inside is None or not inside.axes else Shape((*inside.axes[:-1], UNKNOWN_AXIS))
        rank = CONVOLUTIONS.get(layer)
        if rank is None:
            return None
        inside = self.shape(given)
        whole = inside is not None and inside.axes is not None and len(inside.axes) == rank
        batch = inside.axes[0] if whole and inside and inside.axes else self.made("batch", "batch")
        over = [self.made("time", "time")] if layer == "Conv1d" else [UNKNOWN_AXIS] * (rank - 2)
        return Shape((batch, self.made("channels", "feature"), *over))

    def _first_output(self, call: ast.Call) -> Shape | None:
        made = self._file.layer(call.func)
        inside = None if made is None or not call.args else self.shape(call.args[0])
        if made is None or inside is None or inside.axes is None:
            return None
        if last_name(made.func) in RECURRENT:
            return Shape((*inside.axes[:-1], self.made("hidden", "feature")))
        return inside if last_name(made.func) == "MultiheadAttention" else None

    def _state(self, call: ast.Call) -> Shape | None:
        """The last state of a recurrent layer: (layers, batch, features)."""
        made = self._file.layer(call.func)
        if made is None or last_name(made.func) not in RECURRENT or not call.args:
            return None
        layout, count = layout_of(self._file, made), state_count(made)
        if layout is None or isinstance(call.args[0], ast.Starred):
            return None
        layers = self.made("layers").size if count is None else count
        batch = self.axis(call.args[0], 0 if layout == BATCH_FIRST else 1)
        return Shape.of(layers or None, batch, self.made("hidden", "feature"))

    def _with_feature(self, ids: ast.expr | None, name: str) -> Shape | None:
        if ids is None:
            return None
        inside = self.shape(ids)
        if inside is None:  # nearly always of two axes
            sizes = [self.axis(ids, index) for index in (0, 1)]
            before: Sequence[Axis] = [UNKNOWN_AXIS if size is None else Axis.of(size) for size in sizes]
        else:
            before = inside.axes or ()
        return Shape((*before, self.made(name, "feature")))

    def _reshaped(self, call: ast.Call) -> Shape | None:
        asked, inner = self.target(call), self.viewed(call)
        if asked is None or inner is None:
            return None
        sizes = [self.size(each) for each in asked]
        if len(sizes) == 1 and (sizes[0] is None or number(asked[0]) != -1):
            return None  # a single name may be a whole shape
        given = self.shape(inner) or Shape.unknown()
        result = shapes.reshape(given, sizes)
        if isinstance(result, Mismatch):
            return Shape.of(*(None if size == -1 else size for size in sizes))
        return result

    def _moved(self, call: ast.Call) -> Shape | None:
        inner = self.viewed(call)
        inside = None if inner is None else self.shape(inner)
        if inside is None or inside.axes is None:
            return None
        order = self.order(call, len(inside.axes))
        if order is None or len(order) != len(inside.axes):
            return None
        return Shape(tuple(inside.axes[each] for each in order))

    def _flattened(self, call: ast.Call, name: str) -> Shape | None:
        inner = self.viewed(call)
        inside = None if inner is None else self.shape(inner)
        first = 1 if self._is_function(call) else 0
        places = [number(each) for each in call.args[first:]]
        if inside is None and name == "flatten" and not places and not call.keywords:
            return Shape.of(None)
        if inside is None or None in places or call.keywords:
            return None
        known = [each for each in places if each is not None]
        if name == "flatten":
            result = shapes.flatten(inside, *known[:2])
        else:
            result = shapes.unsqueeze(inside, known[0] if known else 0)
        return None if isinstance(result, Mismatch) else result

    def _subscripted(self, value: ast.expr, index: ast.expr) -> Shape | None:
        inside = self.shape(value)
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        if inside is None or inside.axes is None or len(parts) > len(inside.axes):
            return None
        axes: list[Axis] = []
        for part, axis in zip(parts, inside.axes, strict=False):
            match part:
                case ast.Slice(lower=None, upper=None, step=None):
                    axes.append(axis)
                case ast.Slice():
                    axes.append(
                        self.made(f"{given_name(axis.size)}_part" if self.role(axis) else "part", self.role(axis))
                    )
                case _ if number(part) is not None:
                    pass
                case _:
                    return None
        return Shape((*axes, *inside.axes[len(parts) :]))

    def _product(self, left: ast.expr, right: ast.expr) -> Shape | None:
        one, other = self.shape(left), self.shape(right)
        if one is None or not one.axes or len(one.axes) < 3:  # noqa: PLR2004 - a batch of matrices
            return None
        if other is not None and (not other.axes or len(other.axes) > len(one.axes)):
            return None
        last = UNKNOWN_AXIS if other is None or not other.axes else other.axes[-1]
        return Shape((*one.axes[:-1], last))

    def _combined(self, left: ast.expr, right: ast.expr) -> Shape | None:
        if isinstance(right, ast.Constant):
            return self.shape(left)
        one, other = self.shape(left), self.shape(right)
        if one is None or other is None:
            return None
        result = shapes.broadcast(one, other, likely=True)
        return None if isinstance(result, Mismatch) else result

    def _is_function(self, call: ast.Call) -> bool:
        return self._file.is_torch(call, last_name(call.func))


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _holds(value: object, statement: ast.stmt) -> bool:
    return isinstance(value, list) and any(each is statement for each in value)
