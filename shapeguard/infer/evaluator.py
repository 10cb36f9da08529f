"""The values in scope of one body, and what is told of its expressions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from shapeguard.infer import drift, operators, silent
from shapeguard.infer.attributes import attribute
from shapeguard.infer.expressions import HANDLERS, rest
from shapeguard.infer.mending import repair
from shapeguard.infer.narrowing import narrowed
from shapeguard.infer.python import LONGEST, count_of, item_of
from shapeguard.infer.values import (
    NOTHING,
    Class,
    Exhausted,
    External,
    Function,
    Instance,
    Many,
    Maybe,
    Refusal,
    Scope,
    Scopes,
    certain,
    join,
    join_all,
)
from shapeguard.ops.indexing import Slice
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import AxisOutOfRange, Mismatch, OrderLengthMismatch, RepeatedAxis
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.diagnostics import Diagnostic, Fix
    from shapeguard.infer.files import File
    from shapeguard.infer.follow import Memory
    from shapeguard.infer.silent import Suspect


class Reporter(Protocol):
    """Where findings, knowledge and losses go."""

    guessing: bool
    """Whether what is likely is taken for known."""
    trusting: bool
    """Whether comments are taken for facts where nothing else is known."""
    memory: Memory
    """What calls have given."""

    def report(
        self,
        evaluator: Evaluator,
        node: ast.expr | ast.stmt,
        code: str,
        name: str,
        message: str,
        notes: tuple[str, ...] = ...,
        hint: str | None = ...,
        fix: Fix | None = ...,
    ) -> None:
        """Add a finding."""

    def add(self, evaluator: Evaluator, found: Diagnostic) -> None:
        """Add a finding that is made already."""

    def report_call(self, evaluator: Evaluator, node: ast.expr, refusal: Refusal) -> None:
        """Add a finding about what a called function does with its values."""

    def suspect(self, evaluator: Evaluator, suspect: Suspect) -> None:
        """Remember a step that torch takes and that may be wrong."""

    def begin_trial(self) -> None:
        """Be ready to forget what is found from here on."""

    def end_trial(self, *, kept: bool) -> None:
        """Keep or forget what was found since the trial began."""

    def led_to(self, function: Function, arguments: list[Any], named: Scope) -> None:
        """Remember what a function is called with."""

    def observe(self, evaluator: Evaluator, node: ast.expr, value: Tensor) -> None:
        """Remember what is known of an expression."""

    def miss(self, node: ast.expr) -> None:
        """Remember that an expression isn't known."""

    def lose(self, evaluator: Evaluator, node: ast.Call) -> None:
        """Remember a call that lost track."""


_KINDS = {
    OrderLengthMismatch: ("SG304", "wrong-permute"),
    RepeatedAxis: ("SG304", "wrong-permute"),
    AxisOutOfRange: ("SG306", "axis-out-of-range"),
}
_MISSING = object()


class Evaluator:
    """The values in scope, and what is found out from them; what changes them are Targets, Flow and Body."""

    def __init__(self, reporter: Reporter, home: File, scopes: Scopes, qualified_name: str, steps: int) -> None:
        self.reporter = reporter
        self.home = home
        self.scope: Scope = {}
        self.scopes = scopes
        """The scopes around this one, the nearest first."""
        self.qualified_name = qualified_name
        self.steps = steps
        self.aside = 0
        """Above 0 where an expression is looked at for what it says of another, and nothing is told of it."""
        self.quiet = 0
        """Above 0 where a mismatch is no finding: in what is tried."""
        self.depth = 0
        self.vague = 0
        """Above 0 where one value stands for several that may differ: in a list of unknown length."""
        self.owner: Class | None = None
        self.names: frozenset[str] = frozenset()
        self.returned: list[tuple[ast.expr, Any]] = []
        self.refusals: list[Refusal] = []
        """What is refused inside of the functions that were called."""
        self.uncertain = 0
        """Above 0 where the code may not run for the values that are known: in an arm of a branch, after a return."""
        self.invented: set[str] = set()
        """Names that were given to sizes here, and mean nothing outside of this body."""
        self.divisible: set[tuple[Dim, Dim]] = set()
        """Sizes of which the first is a multiple of the second, as an assertion says."""
        self.origins: dict[str, int] = {}
        """Name -> the line on which it got its value."""
        self.outer_names: set[str] = set()
        """Names that `global` and `nonlocal` make those of a scope around this one."""
        self.calling: ast.Call | None = None
        """The call that is being followed, or was last."""
        self.called_at: int | None = None
        """The line of the call that this body is followed for."""
        self.left: list[tuple[Scope, list[tuple[Any, Scope]]]] = []
        """What held at each `break` and `continue` of the loop that is being run."""
        self.is_generator = False
        """Whether a `yield` stands in it."""
        self.ended = False
        """Whether the statements so far leave the block: by return, raise, break or continue."""
        self.lengths: dict[str, Dim] = {}
        """Names of lists whose lengths have been read -> what these are called."""
        self.words: dict[str, Dim | None] = {}
        """What comments call sizes that have no name in the code; None for what they say of several."""

    def inner(self, home: File, scopes: Scopes, name: str) -> Self:
        """An evaluator for a body that this one calls."""
        other = type(self)(self.reporter, home, scopes, name, self.steps // 2)
        other.depth, other.aside, other.quiet = self.depth + 1, self.aside, self.quiet
        other.vague = self.vague
        other.called_at = None if self.calling is None else self.calling.lineno
        return other

    def attribute(self, owner: Any, name: str) -> Any:
        """`owner.name`."""
        return attribute(self, owner, name)

    def lookup(self, name: str) -> Any:
        """What a name means here."""
        found = self.scope.get(name, _MISSING)
        if found is not _MISSING:
            return found
        for scope in self.scopes:
            found = scope.get(name, _MISSING)
            if found is not _MISSING:
                return self.home.loaded(found)
        return UNKNOWN

    def resolve(self, node: ast.expr) -> Any:
        """A name or dotted name, without a trace in the findings."""
        match node:
            case ast.Name(id=name):
                return self.home.loaded(self.lookup(name))
            case ast.Attribute(value=owner, attr=name):
                found = self.resolve(owner)
                return self.home.loaded(External(f"{found.name}.{name}")) if isinstance(found, External) else UNKNOWN
        return UNKNOWN

    def fresh(self, name: str) -> str:
        """A name for a size that no other value in scope has."""
        used = {str(value) for value in self.scope.values() if isinstance(value, Dim)} | self.names
        for value in self.scope.values():
            if isinstance(value, Tensor) and value.shape.axes is not None:
                used.update(str(axis.size) for axis in value.shape.axes)
        number = 2
        candidate = name
        while candidate in used or candidate in self.invented:
            candidate = f"{name}_{number}"
            number += 1
        self.invented.add(candidate)
        return candidate

    def replace(self, old: Any, new: Any) -> None:
        """Let every name in scope that means this very value mean another."""
        if isinstance(old, tuple) and not old:
            return
        for name, value in self.scope.items():
            if value is old:
                self.scope[name] = new

    def assign(self, target: ast.expr, value: Any, source: ast.expr | None) -> None:
        """Give a target its value; see Targets."""
        raise NotImplementedError

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Run statements; see Body."""
        raise NotImplementedError

    def value(self, node: ast.expr) -> Any:
        """What an expression is."""
        self.steps -= 1
        if self.steps < 0:
            raise Exhausted
        handler = HANDLERS.get(type(node))
        try:
            result = rest(self, node) if handler is None else handler(self, node)
        except ArithmeticError:
            # A size that has grown beyond what is worked out.
            result = UNKNOWN
        if isinstance(result, Mismatch):
            result = self.contradicted(node, result)
        elif isinstance(result, Tensor) and result.shape.doubt is not None:
            silent.doubted(self, node, result.shape.doubt)
            if self.names and not self.depth:
                drift.check_doubt(self, node, result.shape.doubt)
            result = Tensor(Shape(result.shape.axes), result.dtype)
        if not self.depth and not self.aside:
            self.enter(node, result)
        return result

    def contradicted(self, node: ast.expr, mismatch: Mismatch) -> Any:
        """Report what torch surely refuses; the result isn't known."""
        if not self.quiet and not self.aside:
            if self.depth:
                self.refuse([Refusal(mismatch, node, self.qualified_name, self.home)])
            else:
                notes = self.notes_of(node)
                mended = repair(self, node, mismatch)
                self.reporter.report(self, node, *kind_of(mismatch), mismatch.sentence(), notes, *mended)
        return UNKNOWN

    def enter(self, node: ast.expr, result: Any) -> None:
        """Tell what is known of an expression in a function that is looked at for itself."""
        if self.refusals:
            self.reporter.report_call(self, node, self.refusals[0])
            self.refusals.clear()
        if result is UNKNOWN:
            self.reporter.miss(node)
        elif isinstance(result, Tensor):
            self.reporter.observe(self, node, result)
        elif isinstance(result, Maybe) and isinstance(result.value, Tensor):
            self.reporter.observe(self, node, result.value)

    def refuse(self, refusals: Sequence[Refusal]) -> None:
        """Take note of what a called function refuses, if the call surely takes place."""
        if refusals and not self.quiet and not self.aside and not (self.depth and self.uncertain):
            self.refusals += refusals

    def notes_of(self, node: ast.expr) -> tuple[str, ...]:
        """The tensors that take part in an expression, each with its shape."""
        parts: list[ast.expr] = []
        match node:
            case ast.BinOp(left=left, right=right):
                parts = [left, right]
            case ast.Compare(left=left, comparators=others):
                parts = [left, *others]
            case ast.Call(func=function, args=arguments, keywords=keywords):
                owner = [function.value] if isinstance(function, ast.Attribute) else []
                parts = [*owner, *arguments, *(keyword.value for keyword in keywords)]
            case ast.Subscript(value=value):
                parts = [value]
        self.aside += 1
        shown = []
        for part in parts:
            found = UNKNOWN if isinstance(part, ast.Starred) else certain(self.value(part))
            several = found if isinstance(found, tuple) else (found,)
            origin = self.origin_of(part, node.lineno)
            shown += [f"{ast.unparse(part)}: {one.shape}{origin}" for one in several if isinstance(one, Tensor)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = certain(self.value(node.func.value))
            line = owner.lines.get(node.func.attr) if isinstance(owner, Instance) else None
            if line is not None:
                shown.append(f"{ast.unparse(node.func)} is made on line {line}")
        self.aside -= 1
        return tuple(dict.fromkeys(shown))

    def origin_of(self, part: ast.expr, line: int) -> str:
        """Where a name got its value, if that is on another line."""
        origin = self.origins.get(part.id, line) if isinstance(part, ast.Name) else line
        return "" if origin == line else f", from line {origin}"

    def items(self, nodes: Sequence[ast.expr]) -> Any:
        """The items of a tuple or list that is written out."""
        found: list[Any] = []
        several: list[Any] = []
        for node in nodes:
            value = self.value(node)
            if not isinstance(node, ast.Starred):
                found.append(value)
                continue
            value = certain(value)
            if isinstance(value, tuple):
                found += value
            else:
                several.append(value)
        if not several:
            return tuple(found)
        if not all(isinstance(each, Many) for each in several):
            return UNKNOWN
        return Many(join_all(NOTHING, (*(each.item for each in several), *found)))

    def index(self, node: ast.expr) -> Any:
        """What stands between the brackets of a subscript."""
        match node:
            case ast.Slice(lower=lower, upper=upper, step=step):
                return Slice(*(None if part is None else self.value(part) for part in (lower, upper, step)))
            case ast.Tuple(elts=items):
                found: list[Any] = []
                for item in items:
                    value = self.index(item)
                    if isinstance(item, ast.Starred) and isinstance(value, tuple):
                        found += value
                    else:
                        found.append(value)
                return tuple(found)
        return self.value(node)

    def comprehension(self, element: Callable[[], Any], generators: Sequence[ast.comprehension]) -> Any:
        """What a list comprehension, or a generator in its place, gives."""
        before = self.scope
        self.scope = dict(before)
        try:
            return self._comprehended(element, generators)
        finally:
            self.scope = before

    def _comprehended(self, element: Callable[[], Any], generators: Sequence[ast.comprehension]) -> Any:
        generator, *others = generators
        items = certain(self.value(generator.iter))

        def inside() -> Any:
            for test in generator.ifs:
                self.value(test)
                self.scope.update(narrowed(self, test, positive=True))
            if not others:
                return element()
            nested = self._comprehended(element, others)
            return item_of(nested)

        if isinstance(items, tuple) and len(items) <= LONGEST and not generator.ifs and not others:
            found = []
            for item in items:
                self.assign(generator.target, item, None)
                found.append(inside())
            return tuple(found)
        self.assign(generator.target, item_of(items), None)
        self.vague += 1
        count = None if generator.ifs or others else count_of(items)
        if count is None and isinstance(generator.iter, ast.Name) and not (generator.ifs or others):
            count = self.lengths.get(generator.iter.id)
        result = Many(inside(), count=count)
        self.vague -= 1
        return result

    def branches(self, test: ast.expr, body: Callable[[], Any], orelse: Callable[[], Any]) -> Any:
        """What one of two expressions gives, each under what the test says then."""
        chosen = operators.truth(self.value(test))
        if chosen is not None:
            return body() if chosen else orelse()
        before = self.scope
        self.uncertain += 1
        self.scope = {**before, **narrowed(self, test, positive=True)}
        first = body()
        self.scope = {**before, **narrowed(self, test, positive=False)}
        second = orelse()
        self.scope = before
        self.uncertain -= 1
        return join(first, second)


def kind_of(mismatch: Mismatch) -> tuple[str, str]:
    """The code and the name of the finding that a mismatch is."""
    return _KINDS.get(type(mismatch), ("SG301", "shape-mismatch"))
