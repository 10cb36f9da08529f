"""One file, interpreted without being run: every function on its own, with what its signature and its comments claim."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapeguard.diagnostics import Diagnostic, Fix
from shapeguard.infer import drift, follow, single, supposing
from shapeguard.infer.analysis import Analysis, Expression
from shapeguard.infer.claims import annotated, with_defaults
from shapeguard.infer.evaluator import Evaluator, Reporter, kind_of
from shapeguard.infer.files import File
from shapeguard.infer.follow import DEEPEST_CALL, Memory
from shapeguard.infer.judging import judged, together
from shapeguard.infer.listening import Listener, Nobody
from shapeguard.infer.parameters import Parameters, parameters_of
from shapeguard.infer.runs import Run, observed
from shapeguard.infer.silent import Suspect
from shapeguard.infer.statements import Body
from shapeguard.infer.values import (
    Class,
    Dictionary,
    Exhausted,
    External,
    Function,
    Guess,
    Instance,
    Many,
    Refusal,
    Scope,
    join_shapes,
)
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim, as_int

if TYPE_CHECKING:
    from shapeguard.source.file import Source

STEPS_PER_FUNCTION = 20_000
"""How many expressions are evaluated for one function before its analysis is given up."""
_STEPS_PER_MODULE = 200_000
_BUILTINS: dict[str, Any] = {name: External(name) for name in vars(builtins)}
_ABSENT = object()
_PLACE = attrgetter("line", "column", "end_line", "end_column")
_LONGEST_CALL = 60
_LONGEST_STEP = 80
_MOST_CALLS = 8
"""So many different calls of one function are followed for what they say of its expressions."""


def analyse(source: Source, *, guessing: bool = False) -> Analysis:
    """Interpret a file; never raises, whatever is in it.

    With `guessing`, conventional names of parameters are taken for shapes, and functions are seen as the file calls
    them: good to follow shapes with, and no ground for findings.
    """
    return _FileAnalysis(source, guessing=guessing).run()


class _FileAnalysis:
    """The findings and expressions of one file, gathered function by function."""

    def __init__(self, source: Source, *, guessing: bool) -> None:
        self.source = source
        self.guessing = guessing
        self.trusting = False
        self.home = File(source, _load)
        self.home.is_checked = True
        self.memory = Memory()
        self.diagnostics: dict[tuple[Any, str], Diagnostic] = {}
        self.runs: dict[Any, Run] = {}
        """What was found, by the function and the values that it was given."""
        self.run_now = self.runs[None] = Run(None)
        self.runs_of: dict[Function, dict[Any, None]] = {}
        self.waiting: dict[Any, tuple[Function, list[Any], Scope]] = {}
        self.lost: dict[ast.Call, int] = {}
        self.refused: dict[ast.expr, tuple[Evaluator, Refusal]] = {}
        """Calls of functions that don't take what they are given."""
        self.suspects: dict[tuple[ast.expr, str], Suspect] = {}
        """Steps that torch takes and that may be wrong."""
        self.looked: list[supposing.Looked] = []
        """Functions whose docstrings and comments are held to them, and these to each other."""
        self.squeezing: list[supposing.Looked] = []
        """Functions in which a squeeze may take away more than is meant."""
        self.trials: list[list[tuple[dict[Any, Any], Any, Any]]] = []
        """What to restore where what was found in a trial is forgotten: the table, the key and what stood there."""
        self.exhausted: list[str] = []

    def run(self) -> Analysis:
        evaluator = Body(self, self.home, (_BUILTINS,), "", _STEPS_PER_MODULE)
        self.home.scope = evaluator.scope
        self.guarded("", lambda: evaluator.block(self.source.tree.body))
        here = set(self.source.tree.body)
        members = [value for value in self.home.scope.values() if getattr(value, "node", None) in here]
        for value in members:
            if isinstance(value, Class):
                self.initial(value)
        # Callers mostly stand below what they call.
        for value in reversed(members) if self.guessing else members:
            if isinstance(value, Function):
                self.function(value, None)
            elif isinstance(value, Class):
                self.methods(value)
        while self.waiting:
            self.follow_calls(None)
        self.report_refusals()
        for looked in self.looked:
            self.guarded(looked.function.qualified_name, partial(supposing.weigh, looked))
        for looked in self.squeezing:
            seen = {node: value for node, (value, _) in self.runs[looked.function].seen.items()}
            self.guarded(looked.function.qualified_name, partial(single.weigh_sizes, looked, seen))
        found = list(self.diagnostics.values())
        if self.suspects:
            found = together(found, judged(self.suspects.values(), self.source, self.runs))
        found.sort(key=lambda each: (each.span, each.code))
        diagnostics = () if self.guessing else tuple(found)
        known = observed(self.runs)
        expressions = {
            span: Expression(span, each.function, self.source.text_at(span), _shown(each.value), each.value.dtype)
            for each in known
            for span in (self.source.span_of(each.node),)
        }
        ordered = tuple(expressions[span] for span in sorted(expressions, key=_PLACE))
        tensors = {each.node: each.value for each in known if not isinstance(each.value, Guess)}
        return Analysis(diagnostics, ordered, self.lost_at(), tuple(self.exhausted), tensors)

    def lost_at(self) -> dict[str, int]:
        """How often each call, as it is written, lost track."""
        found: Counter[str] = Counter()
        for node, count in self.lost.items():
            found[" ".join(self.source.segment(node.func).split())[:_LONGEST_CALL]] += count
        return dict(found)

    def begin_trial(self) -> None:
        """Be ready to forget what is found from here on."""
        self.trials.append([])

    def end_trial(self, *, kept: bool) -> None:
        """Keep or forget what was found since the trial began."""
        ended = self.trials.pop()
        if kept:
            if self.trials:
                self.trials[-1] += ended
            return
        for table, key, before in reversed(ended):
            if before is _ABSENT:
                del table[key]
            else:
                table[key] = before

    def note(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Enter something found into a table."""
        if self.trials:
            self.trials[-1].append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    def follow_calls(self, only: Function | None) -> None:
        """See functions as the file calls them."""
        for key, (function, arguments, named) in list(self.waiting.items()):
            if only is None or function is only:
                del self.waiting[key]
                self.call(function, key, arguments, named)

    def led_to(self, function: Function, arguments: list[Any], named: Scope) -> None:
        """Remember what a function is called with."""
        if not self.guessing or function.home is not self.home:
            return
        key = follow.key_of(function, arguments, named, self.memory)
        self.note(self.run_now.leads_to, key, None)
        others = self.runs_of.setdefault(function, {})
        if key not in self.runs and key not in self.waiting and len(others) < _MOST_CALLS:
            self.note(others, key, None)
            self.note(self.waiting, key, (function, arguments, named))

    def call(self, function: Function, key: Any, arguments: list[Any], named: Scope) -> None:
        """Interpret a function with the values of a call."""
        node = function.node
        evaluator = Body(self, self.home, function.scopes, function.qualified_name, STEPS_PER_FUNCTION)
        evaluator.owner = function.owner

        def work() -> None:
            if not follow.bind(evaluator, node.args, list(arguments), dict(named)):
                return
            if isinstance(node, ast.Lambda):
                evaluator.value(node.body)
            else:
                evaluator.block(node.body)

        self.run_now = self.runs[key] = Run(function)
        self.guarded(function.qualified_name, work)

    def guarded(self, name: str, work: Callable[[], None]) -> None:
        """Do a part of the analysis; a part that fails says nothing, and the others go on."""
        try:
            work()
        except (Exhausted, RecursionError):
            self.exhausted.append(name)

    def initial(self, cls: Class) -> None:
        """Interpret `__init__`, which says what the other methods find."""
        initial = cls.find("__init__")
        if isinstance(initial, Function):
            self.function(initial, self.memory.examples.setdefault(cls, Instance(cls)))

    def methods(self, cls: Class) -> None:
        """Interpret each method on an instance as `__init__` leaves it."""
        instance = self.memory.examples.setdefault(cls, Instance(cls))
        for name, member in cls.members.items():
            if isinstance(member, Function) and not isinstance(member.node, ast.Lambda) and name != "__init__":
                self.function(
                    member,
                    None if "staticmethod" in member.kinds else cls if "classmethod" in member.kinds else instance,
                )

    def function(self, function: Function, instance: Instance | Class | None) -> None:
        """Interpret a function with what its signature claims."""
        node = function.node
        if isinstance(node, ast.Lambda) or function.home is not self.home:
            return
        if self.guessing:
            self.follow_calls(function)
        evaluator, parameters = self.body_of(self, function, instance)
        claim, _ = annotated(node.returns, evaluator.resolve)
        evaluator.names = _declared_names([value for value in evaluator.scope.values() if isinstance(value, Tensor)])

        def work() -> None:
            evaluator.block(node.body)
            for place, value in evaluator.returned:
                drift.check_return(evaluator, place, value, claim, node.returns)

        self.run_now = self.runs[function] = Run(function, claims=parameters.claims, guesses=parameters.guesses)
        self.guarded(function.qualified_name, work)
        if self.guessing or function.qualified_name in self.exhausted:
            return
        looked = supposing.Looked(function, evaluator, partial(self.trial_of, function, instance))
        if supposing.claims(function):
            self.looked.append(looked)
        if "squeeze()" in self.source.text and single.squeezes(node):
            self.squeezing.append(looked)

    def trial_of(
        self, function: Function, instance: Instance | Class | None, *, trusting: bool = False
    ) -> supposing.Trial:
        """The body of a function, ready to be interpreted as words say that its values are."""
        listening = Listener(self.memory, trusting=trusting)
        body, _ = self.body_of(listening, function, instance)
        return supposing.Trial(body, listening.heard, listening.drifted, listening.seen)

    def body_of(
        self, reporter: Reporter, function: Function, instance: Instance | Class | None
    ) -> tuple[Body, Parameters]:
        """The body of a function, ready to be interpreted with what its signature claims."""
        node = function.node
        evaluator = Body(reporter, self.home, function.scopes, function.qualified_name, STEPS_PER_FUNCTION)
        evaluator.owner = function.owner
        parameters = parameters_of(function, self.home, evaluator.resolve, guessing=self.guessing)
        for name, value in parameters.values.items():
            is_blank = isinstance(value, Instance) and not value.attributes and not value.cls.makes_records
            evaluator.scope[name] = follow.example_of(evaluator, value.cls) if is_blank else value
        evaluator.origins.update((argument.arg, argument.lineno) for argument, _ in with_defaults(node.args))
        if instance is not None and (first := next(iter(parameters.values), None)) is not None:
            evaluator.scope[first] = instance
        if node.args.vararg is not None:
            items, _ = annotated(node.args.vararg.annotation, evaluator.resolve)
            evaluator.scope[node.args.vararg.arg] = Many(items) if isinstance(items, Tensor) else UNKNOWN
        if node.args.kwarg is not None:
            evaluator.scope[node.args.kwarg.arg] = Dictionary((), is_open=True)
        return evaluator, parameters

    def report(
        self,
        evaluator: Evaluator,
        node: ast.expr | ast.stmt,
        code: str,
        name: str,
        message: str,
        notes: tuple[str, ...] = (),
        hint: str | None = None,
        fix: Fix | None = None,
    ) -> None:
        """Add a finding, once for each place, of a function that is looked at for itself."""
        if evaluator.home is self.home:
            span = self.source.span_of(node)
            self.add(evaluator, Diagnostic(str(self.source.path), span, code, name, message, notes, hint, fix))

    def add(self, evaluator: Evaluator, found: Diagnostic) -> None:
        """Add a finding, once for each place, of a function that is looked at for itself."""
        key = (found.span, found.code)
        if not evaluator.depth and evaluator.home is self.home and key not in self.diagnostics:
            self.note(self.diagnostics, key, found)

    def report_call(self, evaluator: Evaluator, node: ast.expr, refusal: Refusal) -> None:
        """Remember what a call leads to; it is a finding unless the function itself has it."""
        if not self.guessing and evaluator.home is self.home:
            self.note(self.refused, node, (evaluator, refusal))

    def suspect(self, evaluator: Evaluator, suspect: Suspect) -> None:
        """Remember a step, once; one in a function that is followed if it surely takes place."""
        key = (suspect.node, suspect.kind)
        if evaluator.home is self.home and key not in self.suspects and not (evaluator.depth and evaluator.uncertain):
            self.note(self.suspects, key, suspect)

    def report_refusals(self) -> None:
        """Add findings for the calls of functions that don't take what they are given."""
        found = {span for span, _ in self.diagnostics}
        for node, (evaluator, refusal) in self.refused.items():
            assert isinstance(refusal.home, File)
            where = refusal.home.source
            span = where.span_of(refusal.node)
            if refusal.home is self.home and span in found:
                continue
            step = " ".join(where.segment(refusal.node).split())[:_LONGEST_STEP]
            says = "isn't given what it declares" if refusal.is_claim else "fails with what it is given"
            message = f"`{refusal.function}` {says}: {refusal.mismatch.sentence()}"
            cell, at = where.located(span)
            place = f"{Path(where.path).name}:{f'cell {cell}:' if cell else ''}{at.line}"
            notes = (*evaluator.notes_of(node), f"{place}: {step}")
            kind = ("SG303", "annotation-drift") if refusal.is_claim else kind_of(refusal.mismatch)
            self.report(evaluator, node, *kind, message, notes)

    def observe(self, evaluator: Evaluator, node: ast.expr, value: Tensor) -> None:
        """Remember what is known of an expression."""
        seen = self.run_now.seen
        known = seen.get(node)
        if known is not None and known[0] != value:
            dtype = known[0].dtype if known[0].dtype == value.dtype else None
            value = Tensor(join_shapes(known[0].shape, value.shape), dtype)
        self.note(seen, node, (value, evaluator.qualified_name))

    def miss(self, node: ast.expr) -> None:
        """Remember that an expression isn't known, if it may be a tensor."""
        if self.guessing:
            self.note(self.run_now.missed, node, None)

    def lose(self, evaluator: Evaluator, node: ast.Call) -> None:
        """Remember a call that lost track."""
        if evaluator.home is self.home:
            self.note(self.lost, node, self.lost.get(node, 0) + 1)


def _load(file: File) -> None:
    """Bind the names of a file that is imported, without following what it calls."""
    evaluator = Body(Nobody(), file, (_BUILTINS,), "", _STEPS_PER_MODULE)
    file.scope = evaluator.scope
    evaluator.depth = DEEPEST_CALL
    evaluator.quiet = 1
    try:
        evaluator.block(file.source.tree.body)
    except (Exhausted, RecursionError):
        return


def _shown(value: Tensor) -> tuple[str | int, ...] | None:
    axes = value.shape.axes
    return None if axes is None else tuple("?" if axis.size is None else _size(axis.size) for axis in axes)


def _size(size: Dim) -> str | int:
    number = as_int(size)
    return str(size) if number is None else number


def _declared_names(claims: list[Tensor]) -> frozenset[str]:
    """The names of axes that a signature declares."""
    return frozenset(
        str(axis.size)
        for claim in claims
        if not isinstance(claim, Guess)
        for axis in claim.shape.axes or ()
        if axis.size is not None
    )
