"""One file, interpreted without being run: every function on its own, with what its signature and its comments claim."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from typing import TYPE_CHECKING, Any

from shapeguard.diagnostics import Diagnostic
from shapeguard.infer.analysis import Analysis, Expression
from shapeguard.infer.claims import annotated, parameter_value, with_defaults
from shapeguard.infer.expressions import Evaluator, Exhausted
from shapeguard.infer.statements import Body
from shapeguard.infer.values import Class, External, Function, Instance
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.source.file import Source

STEPS_PER_FUNCTION = 20_000
"""How many expressions are evaluated for one function before its analysis is given up."""


def analyse(source: Source) -> Analysis:
    """Interpret a file; never raises, whatever is in it."""
    return _FileAnalysis(source).run()


class _FileAnalysis:
    """The findings and expressions of one file, gathered function by function."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: dict[tuple[Any, str], Diagnostic] = {}
        self.expressions: dict[Any, Expression] = {}
        self.lost: Counter[str] = Counter()
        self.exhausted: list[str] = []

    def run(self) -> Analysis:
        module: dict[str, Any] = {name: External(name) for name in vars(builtins)}
        evaluator = Body(self, module, "")
        self.guarded(evaluator, lambda: evaluator.block(self.source.tree.body))
        for value in list(module.values()):
            if isinstance(value, Function) and value.node in self.source.tree.body:
                self.function(value, None)
            elif isinstance(value, Class) and value.node in self.source.tree.body:
                self.methods(value)
        return Analysis(
            tuple(sorted(self.diagnostics.values(), key=lambda entry: (entry.span, entry.code))),
            tuple(sorted(self.expressions.values(), key=lambda entry: entry.span)),
            dict(self.lost),
            tuple(self.exhausted),
        )

    def guarded(self, evaluator: Evaluator, work: Any) -> None:
        """Do a part of the analysis; a part that fails says nothing, and the others go on."""
        try:
            work()
        except Exhausted:
            self.exhausted.append(evaluator.qualified_name)
        except RecursionError:
            self.exhausted.append(evaluator.qualified_name)

    def methods(self, cls: Class) -> None:
        """Interpret each method on an instance as `__init__` leaves it."""
        instance = Instance(cls)
        initial = cls.find("__init__")
        if isinstance(initial, Function) and not isinstance(initial.node, ast.Lambda):
            self.function(initial, instance)
        for name, member in cls.members.items():
            if isinstance(member, Function) and not isinstance(member.node, ast.Lambda) and name != "__init__":
                kinds = {getattr(decorator, "id", "") for decorator in member.node.decorator_list}
                self.function(member, None if "staticmethod" in kinds else instance)

    def function(self, function: Function, instance: Instance | None) -> None:
        """Interpret a function with what its signature claims."""
        node = function.node
        assert not isinstance(node, ast.Lambda)
        evaluator = Body(self, dict(function.scope), function.qualified_name, STEPS_PER_FUNCTION)
        evaluator.owner = function.owner
        for position, (argument, default) in enumerate(with_defaults(node.args)):
            if position == 0 and instance is not None:
                evaluator.scope[argument.arg] = instance
            else:
                evaluator.scope[argument.arg] = parameter_value(argument, default, evaluator.resolve)
        for extra in (node.args.vararg, node.args.kwarg):
            if extra is not None:
                evaluator.scope[extra.arg] = UNKNOWN
        claimed, annotation = annotated(node.returns, evaluator.resolve)
        evaluator.names = _declared_names([value for value in evaluator.scope.values() if isinstance(value, Tensor)])

        def work() -> None:
            evaluator.block(node.body)
            if annotation is None or not isinstance(claimed, Tensor):
                return
            for place, value in evaluator.returned:
                if isinstance(value, Tensor):
                    self.check_return(evaluator, place, value.shape, claimed.shape, str(annotation))

        self.guarded(evaluator, work)

    def check_return(self, evaluator: Evaluator, place: ast.expr, actual: Shape, claimed: Shape, text: str) -> None:
        """Hold what a function returns to its annotation."""
        if actual.axes is None or claimed.axes is None:
            return
        notes = (f"returns: {actual}", f'declared: "{text}"')
        if len(actual.axes) != len(claimed.axes):
            message = f'returns {len(actual.axes)} axes {actual}, declared {len(claimed.axes)}: "{text}"'
            self.report(evaluator, place, "SG303", "annotation-drift", message, notes)
            return
        for position, (axis, wanted) in enumerate(zip(actual.axes, claimed.axes, strict=True)):
            if axis.size is None or wanted.size is None:
                continue
            equal = compare(axis.size, wanted.size, at_least=1)
            if equal is False:
                message = f"returned axis {position} is {axis.size}, declared {wanted.size}"
                self.report(evaluator, place, "SG303", "annotation-drift", message, notes)
                return
            if equal is None and _is_name(axis.size, evaluator) and _is_name(wanted.size, evaluator):
                message = (
                    f"returned axis {position} is {axis.size}, declared {wanted.size}; right only if they are equal"
                )
                self.report(evaluator, place, "SG302", "shape-not-proven", message, notes)
                return

    def report(
        self,
        evaluator: Evaluator,
        node: ast.expr | ast.stmt,
        code: str,
        name: str,
        message: str,
        notes: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        """Add a finding, once for each place."""
        if evaluator.muted:
            return
        span = self.source.span_of(node)
        self.diagnostics.setdefault(
            (span, code), Diagnostic(str(self.source.path), span, code, name, message, notes, hint)
        )

    def observe(self, evaluator: Evaluator, node: ast.expr, value: Tensor) -> None:
        """Remember what is known of an expression."""
        if evaluator.depth or evaluator.muted:
            return
        span = self.source.span_of(node)
        axes = value.shape.axes
        shape: tuple[str | int, ...] | None = None
        if axes is not None:
            shape = tuple("?" if axis.size is None else _shown(axis.size) for axis in axes)
        self.expressions[span] = Expression(
            span, evaluator.qualified_name, self.source.segment(node), shape, value.dtype
        )

    def lose(self, evaluator: Evaluator, node: ast.Call) -> None:
        """Remember a call that lost track."""
        if not evaluator.depth and not evaluator.muted:
            self.lost[ast.unparse(node.func)[:60]] += 1


def _shown(size: Dim) -> str | int:
    text = str(size)
    return int(text) if text.lstrip("-").isdigit() else text


def _declared_names(claims: list[Tensor]) -> frozenset[str]:
    """The names of axes that a signature declares."""
    return frozenset(str(axis.size) for claim in claims for axis in claim.shape.axes or () if axis.size is not None)


def _is_name(size: Dim, evaluator: Evaluator) -> bool:
    return str(size) in evaluator.names and str(size).isidentifier()
