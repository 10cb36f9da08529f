"""What each statement does to the values in scope."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from shapeguard.infer import calls
from shapeguard.infer.claims import annotated
from shapeguard.infer.expressions import LONGEST_UNROLLED, Evaluator, qualified
from shapeguard.infer.values import Class, External, Function, Instance, Many, join
from shapeguard.ops.values import UNKNOWN, Tensor

_MOST_PASSES = 3


class Body(Evaluator):
    """A body of statements."""

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Run statements until one leaves the block."""
        for statement in body:
            if self.ended:
                return
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912, PLR0915 - one case a kind of statement
        """Run one statement."""
        match node:
            case ast.Assign(targets=targets, value=value):
                result = self.value(value)
                for target in targets:
                    self.assign(target, result, value)
            case ast.AnnAssign(target=target, value=value):
                claimed, _ = annotated(node.annotation, self.resolve)
                result = UNKNOWN if value is None else self.value(value)
                known = isinstance(result, Tensor) and result.shape.axes is not None
                self.assign(target, claimed if isinstance(claimed, Tensor) and not known else result, value)
            case ast.AugAssign(target=target, op=op, value=value):
                load = ast.copy_location(ast.BinOp(_as_load(target), op, value), node)
                self.assign(target, self.value(load), None)
            case ast.Return(value=value):
                self.returned.append((value or ast.Constant(None), None if value is None else self.value(value)))
                self.ended = True
            case ast.Expr(value=value):
                self.value(value)
            case ast.If():
                self.branch(node)
            case ast.For() | ast.AsyncFor():
                self.loop(node)
            case ast.While():
                self.value(node.test)
                self.repeat(node.body)
                self.block(node.orelse)
            case ast.With() | ast.AsyncWith():
                self.with_block(node)
            case ast.Try():
                self.try_block(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.scope[node.name] = Function(
                    node, self.scope, qualified(self.qualified_name, node.name), self.owner
                )
            case ast.ClassDef():
                self.define_class(node)
            case ast.Import(names=names):
                for alias in names:
                    root = alias.name.partition(".")[0]
                    self.scope[alias.asname or root] = External(alias.name if alias.asname else root)
            case ast.ImportFrom(names=names, module=module, level=0) if module:
                for alias in names:
                    self.scope[alias.asname or alias.name] = External(f"{module}.{alias.name}")
            case ast.ImportFrom(names=names):
                for alias in names:
                    self.scope[alias.asname or alias.name] = UNKNOWN
            case ast.Assert(test=test):
                self.value(test)
            case ast.Raise() | ast.Break() | ast.Continue():
                self.ended = True
            case ast.Delete(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        self.scope.pop(target.id, None)
            case ast.Global() | ast.Nonlocal() | ast.Pass():
                return
            case _:
                self.forget(node)

    def define_class(self, node: ast.ClassDef) -> None:
        """Make a class of the file."""
        cls = Class(node, tuple(map(self.value, node.bases)), {})
        inside = Body(self.reporter, dict(self.scope), qualified(self.qualified_name, node.name))
        inside.steps, inside.muted, inside.owner = self.steps, self.muted, cls
        before = set(inside.scope)
        inside.block(node.body)
        for name, value in inside.scope.items():
            if name not in before or value is not self.scope.get(name):
                # A method's names are those around the class, not those in it.
                is_method = isinstance(value, Function)
                cls.members[name] = Function(value.node, self.scope, value.qualified_name, cls) if is_method else value
        self.scope[node.name] = cls

    def forget(self, node: ast.AST) -> None:
        """Know nothing of any name that a piece of code may bind."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self.scope[part.id] = UNKNOWN

    def branch(self, node: ast.If) -> None:
        """Run both arms, unless it is known which one."""
        test = self.value(node.test)
        if isinstance(test, bool) or test is None:
            self.block(node.body if test else node.orelse)
            return
        before, kept = dict(self.scope), self.held()
        self.block(node.body)
        first, first_held, first_ended = self.scope, self.held(), self.ended
        self.scope, self.ended = before, False
        _restore(kept)
        self.block(node.orelse)
        if first_ended and self.ended:
            return
        if first_ended:
            self.ended = False
        elif self.ended:
            self.scope, self.ended = first, False
            _restore(first_held)
        else:
            self.scope = _join_scopes(first, self.scope)
            for instance, attributes in first_held:
                instance.attributes = _join_scopes(attributes, instance.attributes)

    def held(self) -> list[tuple[Instance, dict[str, Any]]]:
        """What the instances in scope hold now."""
        instances = {id(value): value for value in self.scope.values() if isinstance(value, Instance)}
        return [(instance, dict(instance.attributes)) for instance in instances.values()]

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        """Run the body for each item, or for what all items have in common."""
        items = self.value(node.iter)
        if isinstance(items, tuple) and len(items) <= LONGEST_UNROLLED:
            for item in items:
                before = dict(self.scope)
                self.assign(node.target, item, None)
                self.block(node.body)
                if self.ended:
                    self.scope, self.ended = _join_scopes(before, self.scope), False
        else:
            item = items.item if isinstance(items, Many) else calls.item_of(items)
            self.assign(node.target, item, None)
            self.repeat(node.body, lambda: self.assign(node.target, item, None))
        self.block(node.orelse)

    def repeat(self, body: Sequence[ast.stmt], prepare: Callable[[], None] = lambda: None) -> None:
        """Run a loop's body until what is known no longer changes; only what holds then is reported."""
        for number in range(_MOST_PASSES):
            before = dict(self.scope)
            self.muted += 1
            count = len(self.returned)
            self.block(body)
            self.ended = False
            del self.returned[count:]
            self.muted -= 1
            self.scope = _join_scopes(before, self.scope)
            prepare()
            if number == _MOST_PASSES - 1:
                for name, value in self.scope.items():
                    if name in before and before[name] is not value and before[name] != value:
                        self.scope[name] = UNKNOWN
        before = dict(self.scope)
        self.block(body)
        self.ended = False
        self.scope = _join_scopes(before, self.scope)

    def with_block(self, node: ast.With | ast.AsyncWith) -> None:
        """Run a block under a context manager."""
        for item in node.items:
            value = self.value(item.context_expr)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value if isinstance(value, Tensor) else UNKNOWN, None)
        expects_error = any("raises" in ast.dump(item.context_expr).lower() for item in node.items)
        self.muted += expects_error
        self.block(node.body)
        self.muted -= expects_error

    def try_block(self, node: ast.Try) -> None:
        """Run what is tried, and what happens if it fails."""
        before = dict(self.scope)
        # What is tried may be meant to fail.
        self.muted += 1
        self.block(node.body)
        self.muted -= 1
        after, ended = self.scope, self.ended
        self.scope = _join_scopes(before, after)
        for handler in node.handlers:
            outer, self.ended = dict(self.scope), False
            self.block(handler.body)
            self.scope = outer if self.ended else _join_scopes(outer, self.scope)
        self.ended = ended and bool(node.handlers) is False
        if not node.handlers:
            self.scope = after
        self.block(node.orelse)
        self.block(node.finalbody)


def _restore(held: list[tuple[Instance, dict[str, Any]]]) -> None:
    for instance, attributes in held:
        instance.attributes = dict(attributes)


def _join_scopes(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {
        name: join(first[name], second[name]) if name in first and name in second else UNKNOWN
        for name in first.keys() | second.keys()
    }


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
