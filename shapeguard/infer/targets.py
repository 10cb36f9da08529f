"""What an assignment does to the values in scope."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from shapeguard.infer.evaluator import Evaluator
from shapeguard.infer.measures import length_owner, reads_size, reads_sizes, shape_owner
from shapeguard.infer.python import item_of
from shapeguard.infer.steps import short_text_of
from shapeguard.infer.values import WHOLE, Dictionary, Guess, Instance, Many, Number, Symbol, certain, join
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import count_axes
from shapeguard.shapes.shape import Shape


class Targets(Evaluator):
    """The targets of assignments."""

    def assign(self, target: ast.expr, value: Any, source: ast.expr | None) -> None:
        """Give a target its value."""
        if isinstance(target, ast.Name):
            name = target.id
            self.lengths.pop(name, None)
            self.scope[name] = self.named(name, value, source)
            self.origins[name] = target.lineno
            if name in self.outer_names:
                for scope in self.scopes:
                    if name in scope:
                        scope[name] = join(scope[name], self.scope[name])
                        break
        elif isinstance(target, ast.Tuple | ast.List):
            self.unpack(target, target.elts, value, source)
        elif isinstance(target, ast.Attribute):
            self.assign_attribute(target, value)
        elif isinstance(target, ast.Subscript):
            self.assign_item(target, value)
        elif isinstance(target, ast.Starred):
            self.value(target.value)

    def assign_attribute(self, target: ast.Attribute, value: Any) -> None:
        """`owner.name = value`."""
        instance = certain(self.value(target.value))
        if isinstance(instance, Tensor) and target.attr == "data" and isinstance(target.value, ast.Name):
            self.replace(self.lookup(target.value.id), Tensor(Shape.unknown()))
        if not isinstance(instance, Instance):
            return
        name = target.attr
        inside_init = self.qualified_name.endswith("__init__")
        if inside_init and not self.vague and (value is UNKNOWN or isinstance(value, Number)):
            # As a size it has a name all the same.
            value = Symbol(self.reporter.memory.name_for(instance, name), is_number=value is not UNKNOWN)
        instance.lines[name] = target.lineno
        known = instance.attributes.get(name)
        instance.set(name, value if name not in instance.attributes or inside_init else join(known, value))

    def assign_item(self, target: ast.Subscript, value: Any) -> None:
        """`owner[key] = value`."""
        owner = certain(self.value(target.value))
        key = self.index(target.slice)
        if isinstance(owner, Dictionary):
            self.assign(target.value, owner.with_items([(key, value)]), None)
        elif isinstance(owner, tuple):
            self.assign(target.value, Many(join(item_of(owner), value) if owner else value), None)

    def named(self, name: str, value: Any, source: ast.expr | None) -> Any:
        """A size that is read without being known gets the name of the variable that it goes to."""
        if source is not None and value is UNKNOWN and reads_size(source):
            return Dim(self.fresh(name))
        if value == WHOLE and source is not None and (counted := length_owner(source)) is not None:
            self.lengths[counted] = Dim(self.fresh(name))
            return self.lengths[counted]
        return value

    def unpack(self, node: ast.expr, targets: Sequence[ast.expr], value: Any, source: ast.expr | None) -> None:
        """Give several targets their values; the names of `b, t = x.shape` become sizes."""
        starred = [number for number, target in enumerate(targets) if isinstance(target, ast.Starred)]
        owner = shape_owner(source) if source is not None else None
        items = _parts(certain(value), len(targets))
        if starred:
            self.unpack_starred(targets, starred[0], items)
            return
        if isinstance(items, tuple) and len(items) != len(targets):
            self.refuse_unpacking(node, targets, items, owner)
            items = UNKNOWN
        if isinstance(items, tuple):
            sources = (
                source.elts
                if isinstance(source, ast.Tuple) and len(source.elts) == len(targets)
                else [None] * len(targets)
            )
            for target, item, part in zip(targets, items, sources, strict=True):
                name = target.id if isinstance(target, ast.Name) else "size"
                self.assign(target, Dim(self.fresh(name)) if owner is not None and item is UNKNOWN else item, part)
            if owner is not None and any(item is UNKNOWN for item in items):
                self.name_sizes(owner, targets)
        elif owner is not None:
            self.unpack_shape(owner, targets)
        elif items is UNKNOWN and source is not None and reads_sizes(source):
            for target in targets:
                self.assign(target, Dim(self.fresh(target.id)) if isinstance(target, ast.Name) else UNKNOWN, None)
        else:
            item = item_of(items) if isinstance(items, Many) else UNKNOWN
            for target in targets:
                self.assign(target, item, None)

    def unpack_starred(self, targets: Sequence[ast.expr], position: int, items: Any) -> None:
        """`first, *rest = items`."""
        behind = len(targets) - position - 1
        if isinstance(items, tuple) and len(items) >= len(targets) - 1:
            middle = items[position : len(items) - behind]
            given = [*items[:position], middle, *items[len(items) - behind :]]
        else:
            item = item_of(items) if isinstance(items, Many) else UNKNOWN
            given = [*[item] * position, Many(item), *[item] * behind]
        for target, value in zip(targets, given, strict=True):
            self.assign(target.value if isinstance(target, ast.Starred) else target, value, None)

    def unpack_shape(self, owner: ast.expr, targets: Sequence[ast.expr]) -> None:
        """`b, t = x.shape`, where nothing was known of `x`."""
        sizes = [
            Dim(self.fresh(target.id)) if isinstance(target, ast.Name) and target.id != "_" else None
            for target in targets
        ]
        for target, size in zip(targets, sizes, strict=True):
            self.assign(target, UNKNOWN if size is None else size, None)
        if isinstance(owner, ast.Name):
            known = certain(self.lookup(owner.id))
            if isinstance(known, Tensor) or (
                not self.home.uses_scipy and (isinstance(known, Symbol) or known is UNKNOWN)
            ):
                self.scope[owner.id] = Tensor(Shape.of(*sizes), known.dtype if isinstance(known, Tensor) else None)

    def refuse_unpacking(
        self, node: ast.expr, targets: Sequence[ast.expr], sizes: tuple[Any, ...], owner: ast.expr | None
    ) -> None:
        """Report that a shape has another number of axes than it is unpacked into."""
        known = self.lookup(owner.id) if isinstance(owner, ast.Name) else None
        if owner is None or isinstance(certain(known), Guess) or self.quiet or self.aside:
            return
        names = "1 name" if len(targets) == 1 else f"{len(targets)} names"
        message = f"`{short_text_of(owner)}.shape` has {count_axes(len(sizes))}, and is unpacked into {names}"
        shown = ", ".join(map(str, sizes))
        self.reporter.report(self, node, "SG305", "wrong-unpacking", message, (f"shape: ({shown})",))

    def name_sizes(self, owner: ast.expr, targets: Sequence[ast.expr]) -> None:
        """Give the axes of a tensor whose sizes weren't known the names that they were unpacked into."""
        known = certain(self.lookup(owner.id)) if isinstance(owner, ast.Name) else None
        if not isinstance(known, Tensor) or known.shape.axes is None or not isinstance(owner, ast.Name):
            return
        sizes: list[Any] = []
        for axis, target in zip(known.shape.axes, targets, strict=True):
            size = self.scope.get(target.id) if isinstance(target, ast.Name) and target.id != "_" else None
            sizes.append(size if axis.size is None and isinstance(size, Dim) else axis)
        self.scope[owner.id] = Tensor(Shape.of(*sizes), known.dtype)


def _parts(value: Any, count: int) -> Any:
    """The items that a value is unpacked into, if they are known one by one."""
    if isinstance(value, Tensor) and value.shape.axes:
        return (item_of(value),) * count
    if isinstance(value, Instance) and value.cls.makes_records:
        return tuple(value.attributes.get(name, UNKNOWN) for name in value.cls.fields)
    return value
