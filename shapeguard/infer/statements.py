"""What each statement does to the values in scope."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from shapeguard.infer import apart, drift, operators, remarks
from shapeguard.infer.assertions import learn
from shapeguard.infer.changes import fills_once
from shapeguard.infer.claims import annotated, shape_text
from shapeguard.infer.joining import fill_in, join_scopes
from shapeguard.infer.likely import Likely
from shapeguard.infer.narrowing import narrowed
from shapeguard.infer.python import LONGEST, count_of, item_of
from shapeguard.infer.targets import Targets
from shapeguard.infer.values import (
    Class,
    Dictionary,
    External,
    Function,
    Instance,
    Many,
    Scope,
    certain,
    join,
    qualified,
)
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Shape

_MOST_PASSES = 3


class Body(Targets):
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

    # Statements

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

    def while_loop(self, node: ast.While) -> None:
        """A loop under a condition."""
        self.value(node.test)
        self.repeat(node.body)
        self.block(node.orelse)

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

    def leave_block(self, node: ast.stmt) -> None:
        """`raise`, `break` and `continue`."""
        if not isinstance(node, ast.Raise):
            self.left.append((dict(self.scope), self.held()))
        self.ended = True

    def loop_body(self, body: Sequence[ast.stmt], prepare: Callable[[], None]) -> None:
        """One pass through a loop's body; what was so at a `break` or `continue` may be so behind it."""
        outer, self.left = self.left, []
        prepare()
        self.block(body)
        left, self.left = self.left, outer
        for scope, held in left:
            self.settle(self.scope, scope if self.ended else join_scopes(scope, self.scope, whole=False))
            self.ended = False
            for instance, attributes in held:
                _put(instance, join_scopes(attributes, instance.attributes, whole=False))

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

    # Flow

    def branch(self, node: ast.If) -> None:
        """Run both arms, unless it is known which one."""
        test = operators.truth(self.value(node.test))
        if test is not None:
            self.scope.update(narrowed(self, node.test, positive=test))
            self.block(node.body if test else node.orelse)
            return
        root, before, kept = self.scope, dict(self.scope), self.held()
        self.uncertain += 1
        self.scope.update(narrowed(self, node.test, positive=True))
        self.block(node.body)
        first, first_held, first_ended = dict(self.scope), self.held(), self.ended
        self.settle(root, before)
        self.ended = False
        _restore(kept)
        self.scope.update(narrowed(self, node.test, positive=False))
        self.block(node.orelse)
        self.uncertain -= 1
        if first_ended and self.ended:
            return
        # Where one arm leaves, what follows is for the other one's values.
        self.uncertain += first_ended or self.ended
        other = dict(self.scope)
        if first_ended:
            self.ended = False
        elif self.ended:
            self.ended = False
            self.settle(root, first)
            _restore(first_held)
        else:
            likely = Likely(node, before) if self.reporter.guessing else None
            self.settle(
                root,
                join_scopes(first, self.scope, names=None if self.vague else self.fresh, likely=likely),
            )
            if self.reporter.guessing:
                fill_in(self.scope, node.test, first, other)
            for instance, attributes in first_held:
                # What only one arm sets is there wherever it is used.
                _put(instance, join_scopes(attributes, instance.attributes, whole=False))

    def settle(self, root: Scope, values: Scope) -> None:
        """Let a scope hold these values; functions that were defined in it see them."""
        if values is not root:
            root.clear()
            root.update(values)
        self.scope = root

    def held(self) -> list[tuple[Instance, Scope]]:
        """What the instances in scope hold now."""
        instances = {id(value): value for value in self.scope.values() if isinstance(value, Instance)}
        return [(instance, dict(instance.attributes)) for instance in instances.values()]

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        """Run the body for each item, or for what all items have in common."""
        items = certain(self.value(node.iter))
        if isinstance(items, Dictionary) and not items.is_open:
            items = tuple(key for key, _ in items.items)
        if isinstance(items, tuple) and len(items) <= LONGEST:
            for item in items:
                before = dict(self.scope)
                self.loop_body(node.body, partial(self.assign, node.target, item, None))
                if self.ended:
                    self.settle(self.scope, join_scopes(before, self.scope))
                    self.ended = False
        else:
            item = item_of(items)
            empty = [name for name, value in self.scope.items() if isinstance(value, tuple) and not value]
            self.repeat(node.body, lambda: self.assign(node.target, item, None))
            count = count_of(items)
            for name in () if count is None else empty:
                filled = certain(self.scope.get(name))
                if isinstance(filled, Many | tuple) and fills_once(node.body, name):
                    self.scope[name] = Many(item_of(filled), count=count)
        self.block(node.orelse)

    def repeat(self, body: Sequence[ast.stmt], prepare: Callable[[], None] = lambda: None) -> None:
        """Run a loop's body until what is known no longer changes; only what is found then is kept."""
        self.vague += 1
        self.uncertain += 1
        for number in range(_MOST_PASSES + 1):
            before, count = dict(self.scope), len(self.returned)
            self.reporter.begin_trial()
            self.loop_body(body, prepare)
            self.ended = False
            # A name that the body alone binds has no value before it.
            after = {name: join(value, self.scope.get(name, UNKNOWN)) for name, value in before.items()}
            changed = [name for name, value in before.items() if value is not after[name] and value != after[name]]
            self.reporter.end_trial(kept=not changed)
            if not changed:
                self.settle(self.scope, {**self.scope, **after})
                break
            del self.returned[count:]
            if number == _MOST_PASSES - 1:
                after |= dict.fromkeys(changed, UNKNOWN)
            self.settle(self.scope, after)
        self.vague -= 1
        self.uncertain -= 1

    def with_block(self, node: ast.With | ast.AsyncWith) -> None:
        """Run a block under a context manager."""
        for item in node.items:
            value = self.value(item.context_expr)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value if isinstance(value, Tensor) else UNKNOWN, None)
        expects_error = any("raises" in ast.dump(item.context_expr).lower() for item in node.items)
        self.quiet += expects_error
        self.block(node.body)
        self.quiet -= expects_error

    def try_block(self, node: ast.Try) -> None:
        """Run what is tried, and what happens if it fails."""
        before = dict(self.scope)
        root = self.scope
        # What is tried may be meant to fail.
        self.quiet += 1
        self.block(node.body)
        self.quiet -= 1
        after, ended = dict(self.scope), self.ended
        joined = join_scopes(before, after)
        stored = Counter(
            part.id
            for statement in node.body
            for part in ast.walk(statement)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        )
        # What was given several values may have any of them where an error came.
        joined |= {name: UNKNOWN for name, count in stored.items() if count > 1}
        results = [] if ended else [after]
        for handler in node.handlers:
            self.settle(root, dict(joined))
            self.ended = False
            if handler.name:
                self.scope[handler.name] = UNKNOWN
            self.block(handler.body)
            if not self.ended:
                results.append(dict(self.scope))
        self.ended = not results
        if results:
            final = results[0]
            for other in results[1:]:
                final = join_scopes(final, other)
            self.settle(root, final)
            self.block(node.orelse)
        else:
            self.settle(root, joined)
        ended, self.ended = self.ended, False
        self.block(node.finalbody)
        self.ended = ended or self.ended

    def match(self, node: ast.Match) -> None:
        """Run each case; what they bind isn't known."""
        self.value(node.subject)
        root, before = self.scope, dict(self.scope)
        last = node.cases[-1]
        is_complete = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
        results: list[Scope] = [] if is_complete else [before]
        self.uncertain += 1
        for case in node.cases:
            self.settle(root, dict(before))
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(name, str):
                    self.scope[name] = UNKNOWN
            self.block(case.body)
            if not self.ended:
                results.append(dict(self.scope))
            self.ended = False
        if not results:
            self.ended = True
            return
        final = results[0]
        for other in results[1:]:
            final = join_scopes(final, other)
        self.settle(root, final)


def _with_claim(result: Any, actual: Tensor, claim: Tensor) -> Any:
    """A value whose unknown sizes are as they are claimed to be."""
    axes, claimed = actual.shape.axes, claim.shape.axes
    if axes is None or claimed is None or len(axes) != len(claimed) or all(axis.size is not None for axis in axes):
        return result
    filled = (said if axis.size is None else axis for axis, said in zip(axes, claimed, strict=True))
    return Tensor(Shape(tuple(filled)), actual.dtype)


def _plain_base(base: ast.expr) -> ast.expr:
    """`Generic` of `Generic[T]`."""
    return base.value if isinstance(base, ast.Subscript) else base


def _called(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _restore(held: list[tuple[Instance, Scope]]) -> None:
    for instance, attributes in held:
        _put(instance, attributes)


def _put(instance: Instance, attributes: Scope) -> None:
    if instance.attributes != attributes:
        instance.attributes = dict(attributes)
        instance.changes += 1


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
    ast.If: Body.branch,
    ast.For: Body.loop,
    ast.AsyncFor: Body.loop,
    ast.While: Body.while_loop,
    ast.With: Body.with_block,
    ast.AsyncWith: Body.with_block,
    ast.Try: Body.try_block,
    ast.TryStar: Body.try_block,
    ast.FunctionDef: Body.define,
    ast.AsyncFunctionDef: Body.define,
    ast.ClassDef: Body.define_class,
    ast.Import: Body.import_modules,
    ast.ImportFrom: Body.import_names,
    ast.Assert: Body.assertion,
    ast.Raise: Body.leave_block,
    ast.Break: Body.leave_block,
    ast.Continue: Body.leave_block,
    ast.Delete: Body.delete,
    ast.Global: Body.name_outer,
    ast.Nonlocal: Body.name_outer,
    ast.Pass: Body.nothing,
    ast.Match: Body.match,
}
