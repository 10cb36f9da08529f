"""What each statement does to the values in scope."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from shapeguard.infer import apart, drift, operators, remarks
from shapeguard.infer.assertions import learn
from shapeguard.infer.claims import annotated, shape_text
from shapeguard.infer.flow import Flow
from shapeguard.infer.narrowing import narrowed
from shapeguard.infer.values import (
    Class,
    External,
    Function,
    Many,
    certain,
    fill_unknown,
    qualified,
)
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.mismatch import Mismatch


class Body(Flow):
    """A body of statements."""

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Run statements until one leaves the block."""
        for statement in body:
            if self.ended:
                return
            handler = _HANDLERS.get(type(statement))
            if handler is None:
                self.forget(statement)
            else:
                handler(self, statement)

    def assignment(self, node: ast.Assign) -> None:
        """`a = b = value`."""
        result = self.value(node.value)
        result = remarks.applied(self, node, result)
        told = () if self.reporter.guessing else apart.claims(self, node)
        for target in node.targets:
            self.assign(target, result, node.value)
        if told:
            apart.weigh(self, node, result, told)

    def annotated_assignment(self, node: ast.AnnAssign) -> None:
        """`a: Float[Tensor, "b"] = value`."""
        claim, _ = annotated(node.annotation, self.resolve)
        result = UNKNOWN if node.value is None else self.value(node.value)
        actual = certain(result)
        known = isinstance(actual, Tensor) and actual.shape.axes is not None
        says = isinstance(claim, Tensor) and claim.shape.axes is not None
        if says and known:
            self.check_claim(node, actual, claim)
            result = _with_claim(result, actual, claim)
        taken = claim if isinstance(claim, Tensor) and not known and (says or actual is UNKNOWN) else result
        if taken is result:
            taken = remarks.applied(self, node, taken)
        self.assign(node.target, taken, node.value)

    def check_claim(self, node: ast.AnnAssign, actual: Tensor, claim: Tensor) -> None:
        """Hold a value to what its annotation says."""
        drift.check(self, node.value or node.target, actual.shape, claim.shape, shape_text(node.annotation), "is")

    def augmented(self, node: ast.AugAssign) -> None:
        """`a += value`."""
        load = ast.copy_location(ast.BinOp(_as_load(node.target), node.op, node.value), node)
        known = certain(self.value(load.left))
        if isinstance(known, Tensor):
            # A tensor is changed where it is.
            changed = operators.operate_in_place(type(node.op), known, certain(self.value(node.value)))
            result = self.contradicted(load, changed) if isinstance(changed, Mismatch) else changed
            result = (
                Tensor(result.shape, result.dtype) if isinstance(result, Tensor) else Tensor(known.shape, known.dtype)
            )
        else:
            result = self.value(load)
        self.assign(node.target, result, None)

    def leave(self, node: ast.Return) -> None:
        """`return value`."""
        value = None if node.value is None else self.value(node.value)
        value = remarks.applied(self, node, value)
        self.returned.append((node.value or ast.Constant(None), value))
        self.ended = True

    def expression(self, node: ast.Expr) -> None:
        """An expression that stands alone."""
        if not isinstance(node.value, ast.Constant):
            self.value(node.value)

    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """A function inside of this body."""
        name = qualified(self.qualified_name, node.name)
        self.scope[node.name] = Function(node, (self.scope, *self.scopes), name, self.home, self.owner)

    def import_modules(self, node: ast.Import) -> None:
        """`import a.b as c`."""
        for alias in node.names:
            root = alias.name.partition(".")[0]
            self.scope[alias.asname or root] = External(alias.name if alias.asname else root)

    def import_names(self, node: ast.ImportFrom) -> None:
        """`from a import b`."""
        module = self.home.absolute(node.module, node.level)
        for alias in node.names:
            name = alias.asname or alias.name
            if alias.name == "*":
                continue
            full = alias.name if module is None else f"{module}.{alias.name}"
            self.scope[name] = External(full) if module is not None or not node.level else UNKNOWN

    def assertion(self, node: ast.Assert) -> None:
        """What an assertion says holds from here on."""
        self.value(node.test)
        self.scope.update(narrowed(self, node.test, positive=True))
        learn(self, node.test)

    def delete(self, node: ast.Delete) -> None:
        """`del name`."""
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.scope.pop(target.id, None)
            elif isinstance(target, ast.Subscript) and isinstance(held := certain(self.value(target.value)), Many):
                self.replace(held, Many(held.any_item))

    def name_outer(self, node: ast.Global | ast.Nonlocal) -> None:
        """`global` and `nonlocal`."""
        self.outer_names.update(node.names)

    def nothing(self, _: ast.stmt) -> None:
        """A statement that changes no value."""

    def define_class(self, node: ast.ClassDef) -> None:
        """Make a class."""
        bases = tuple(self.resolve(_plain_base(base)) for base in node.bases)
        decorators = {getattr(_called(each), "id", getattr(_called(each), "attr", "")) for each in node.decorator_list}
        named = {each.name.rpartition(".")[2] for each in bases if isinstance(each, External)}
        is_record = "dataclass" in decorators or bool(named & {"NamedTuple", "TypedDict", "ModelOutput"})
        cls = Class(node, bases, {}, is_record)
        inside = type(self)(
            self.reporter, self.home, (self.scope, *self.scopes), qualified(self.qualified_name, node.name), self.steps
        )
        inside.aside, inside.quiet, inside.owner, inside.depth = self.aside, self.quiet, cls, self.depth
        inside.block(node.body)
        self.steps = inside.steps
        for name, value in inside.scope.items():
            # A method's names are those around the class, not those in it.
            is_method = isinstance(value, Function) and value.scopes[0] is inside.scope
            cls.members[name] = (
                Function(value.node, (self.scope, *self.scopes), value.qualified_name, self.home, cls)
                if is_method
                else value
            )
        self.scope[node.name] = cls

    def forget(self, node: ast.AST) -> None:
        """Know nothing of any name that a piece of code may bind."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self.scope[part.id] = UNKNOWN


def _with_claim(result: Any, actual: Tensor, claim: Tensor) -> Any:
    """A value whose unknown sizes are as they are claimed to be."""
    axes, claimed = actual.shape.axes, claim.shape.axes
    if axes is None or claimed is None or len(axes) != len(claimed) or all(axis.size is not None for axis in axes):
        return result
    return Tensor(fill_unknown(axes, claimed), actual.dtype)


def _plain_base(base: ast.expr) -> ast.expr:
    """`Generic` of `Generic[T]`."""
    return base.value if isinstance(base, ast.Subscript) else base


def _called(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _as_load(target: ast.expr) -> ast.expr:
    """The target of an augmented assignment, read."""
    match target:
        case ast.Name(id=name):
            return ast.copy_location(ast.Name(name, ast.Load()), target)
        case ast.Attribute(value=owner, attr=name):
            return ast.copy_location(ast.Attribute(owner, name, ast.Load()), target)
        case ast.Subscript(value=owner, slice=index):
            return ast.copy_location(ast.Subscript(owner, index, ast.Load()), target)
    return target


_HANDLERS: dict[type[ast.stmt], Callable[[Body, Any], None]] = {
    ast.Assign: Body.assignment,
    ast.AnnAssign: Body.annotated_assignment,
    ast.AugAssign: Body.augmented,
    ast.Return: Body.leave,
    ast.Expr: Body.expression,
    ast.If: Flow.branch,
    ast.For: Flow.loop,
    ast.AsyncFor: Flow.loop,
    ast.While: Flow.while_loop,
    ast.With: Flow.with_block,
    ast.AsyncWith: Flow.with_block,
    ast.Try: Flow.try_block,
    ast.TryStar: Flow.try_block,
    ast.FunctionDef: Body.define,
    ast.AsyncFunctionDef: Body.define,
    ast.ClassDef: Body.define_class,
    ast.Import: Body.import_modules,
    ast.ImportFrom: Body.import_names,
    ast.Assert: Body.assertion,
    ast.Raise: Flow.leave_block,
    ast.Break: Flow.leave_block,
    ast.Continue: Flow.leave_block,
    ast.Delete: Body.delete,
    ast.Global: Body.name_outer,
    ast.Nonlocal: Body.name_outer,
    ast.Pass: Body.nothing,
    ast.Match: Flow.match,
}
