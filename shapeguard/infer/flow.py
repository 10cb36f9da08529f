"""Which statements run, how often and under what, and what is known behind them: branches, loops, what is tried."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial, reduce

from shapeguard.infer import operators
from shapeguard.infer.changes import fills_once
from shapeguard.infer.joining import fill_in, join_scopes
from shapeguard.infer.likely import Likely
from shapeguard.infer.narrowing import narrowed
from shapeguard.infer.python import LONGEST, count_of, item_of
from shapeguard.infer.targets import Targets
from shapeguard.infer.values import Dictionary, Instance, Many, Scope, certain, join
from shapeguard.ops.values import UNKNOWN, Tensor

_MOST_PASSES = 3


class Flow(Targets):
    """Statements that hold others."""

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

    def while_loop(self, node: ast.While) -> None:
        """A loop under a condition."""
        self.value(node.test)
        self.repeat(node.body)
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

    def leave_block(self, node: ast.stmt) -> None:
        """`raise`, `break` and `continue`."""
        if not isinstance(node, ast.Raise):
            self.left.append((dict(self.scope), self.held()))
        self.ended = True

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
            self.settle(root, reduce(join_scopes, results))
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
        self.settle(root, reduce(join_scopes, results))

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


def _restore(held: list[tuple[Instance, Scope]]) -> None:
    for instance, attributes in held:
        _put(instance, attributes)


def _put(instance: Instance, attributes: Scope) -> None:
    if instance.attributes != attributes:
        instance.attributes = dict(attributes)
        instance.changes += 1
