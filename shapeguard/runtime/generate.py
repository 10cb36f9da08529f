"""A plan written out as a Python function: the quick check, the call, and the judge for whatever isn't surely fine.

For `def loss(chosen: Float[Tensor, "batch"], rejected: Float[Tensor, "batch"]) -> Float[Tensor, ""]` it is, in short,

    def loss(chosen, rejected):
        if mode0.on or mode0.once and is_new_site0(sites0):
            if tracing0():
                ...
            sure0 = False
            if type(chosen) in plain0 and ... and len(shape0 := chosen.shape) == 1 and ... and rejected.shape == shape0:
                sure0 = True
                result0 = function0(chosen, rejected)
                if type(result0) in plain0 and result0.dtype in dtypes0 and result0.ndim == 0:
                    return result0
            if not sure0:
                refusal0 = judge_arguments0(plan0, {'chosen': chosen, 'rejected': rejected})
                if refusal0 is not None:
                    raise refusal0
                result0 = function0(chosen, rejected)
            refusal0 = judge_result0(plan0, {'chosen': chosen, 'rejected': rejected}, result0)
            if refusal0 is not None:
                raise refusal0
            return result0
        return function0(chosen, rejected)
"""

from __future__ import annotations

import inspect
import itertools
import keyword
import linecache
import weakref
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from beartype.door import is_bearable

from shapeguard.runtime import judge, mode, streams, traced
from shapeguard.runtime.call import DIMS, OMITTED, names_of
from shapeguard.runtime.conditions import Conditions, Uncertain
from shapeguard.runtime.demand import Anything, Array, Choice, Demand, Each, Values, arrays_of
from shapeguard.runtime.mode import Mode
from shapeguard.runtime.plan import Kind, Parameter, Plan
from shapeguard.runtime.traced_conditions import TracedConditions
from shapeguard.runtime.traced_constants import constant_demands
from shapeguard.shapes.annotation import Named, NamedAxes

_numbers = itertools.count()
MOST_PARAMETERS = 40
"""Beyond that many demands the nesting of a generated function would reach Python's limits."""


SCOPE = "__shapeguard_names__"
"""The local variable in which a generated function keeps the names for `expect`, if its body calls it."""
PLAN = "__shapeguard_plan__"
"""The global variable by which a generated function is known, and its plan found."""
_HIDDEN = "__tracebackhide__"
"""The global variable by which pytest leaves a function out of a traceback."""


def generate(plan: Plan, fixed_mode: Mode | None, known: Mapping[str, Any] | None = None) -> FunctionType:
    """The guarded function of a plan; its source can be read in a traceback or by `inspect.getsource`.

    `known` are the constants of an earlier function, some of whose calls may still go on: its names keep their values.
    """
    writer = _Writer(plan, fixed_mode, known or {})
    source = writer.function()
    filename = f"<guard of {plan.name} #{next(_numbers)}>"
    # A list entry of this form tells linecache that there is no file to compare with.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), writer.constants)  # noqa: S102 - source written above, names checked
    function: FunctionType = writer.constants.pop(writer.name)
    weakref.finalize(function, linecache.cache.pop, filename, None)
    return function


class _Writer:
    """Writes one function, line by line."""

    def __init__(self, plan: Plan, fixed_mode: Mode | None, known: Mapping[str, Any]) -> None:
        self.plan = plan
        self.fixed_mode = fixed_mode
        name = getattr(plan.function, "__name__", "guarded")
        self.name = name if name.isidentifier() and not keyword.iskeyword(name) else "guarded"
        self.constants: dict[str, Any] = {**known, PLAN: plan, _HIDDEN: True}
        taken = {parameter.name for parameter in plan.parameters} | {self.name, *known}
        self.conditions = Conditions(self.constants, taken)
        self.lines: list[str] = []
        self.depth = 0
        # As long as the plan is pending, nobody knows what the annotations demand of the defaults.
        self.passing = {
            parameter.name
            for parameter in plan.parameters
            if (parameter.default is not inspect.Parameter.empty if plan.pending else _needs_omitted(parameter))
        }

    def function(self) -> str:
        plan = self.plan
        constant = self.conditions.constant
        self.result = self.conditions.variable("result")
        self.refusal = self.conditions.variable("refusal")
        self.names = self.conditions.variable("names")
        self.demands = self.conditions.variable("demands")
        self.called = constant("function", plan.function)
        self.plan_name = constant("plan", plan)
        self.write(f"{'async ' if plan.kind is Kind.COROUTINE else ''}def {self.name}{self.signature()}:")
        self.depth = 1
        self.write(f"if {self.switch_condition()}:")
        self.depth = 2
        if plan.kind is Kind.PLAIN:
            self.traced_branch()
        elif plan.kind is Kind.GENERATOR:
            self.traced_stream()
        self.checked_branch()
        self.depth = 1
        self.write(self.giving(self.call()))
        return "\n".join(self.lines) + "\n"

    def giving(self, result: str) -> str:
        """The return of a result; a generator function stays one, so that whoever asks takes it for what it is."""
        return f"return (yield from {result})" if self.plan.kind is Kind.GENERATOR else f"return {result}"

    def write(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def signature(self) -> str:
        """The parameters as the function has them, with constants for the defaults."""
        empty = inspect.Parameter.empty
        parameters = []
        for entry in self.plan.parameters:
            default: Any = empty
            if entry.default is not empty:
                value = OMITTED if entry.name in self.passing else entry.default
                default = _Source(self.conditions.constant("default", value))
            parameters.append(inspect.Parameter(entry.name, entry.kind, default=default))
        return str(inspect.Signature(parameters))

    def switch_condition(self) -> str:
        module = self.conditions.constant("mode", mode)
        if self.fixed_mode == "on":
            return "True"
        sites = self.conditions.constant("sites", set())
        is_new = f"{self.conditions.constant('is_new_site', mode.is_new_site)}({sites})"
        tracing = traced.tracing_test()
        if tracing is not None:
            # A compiled program is checked once anyway, and its tracer can't look at the caller.
            is_new = f"({self.conditions.constant('tracing', tracing)}() or {is_new})"
        return is_new if self.fixed_mode == "once" else f"{module}.on or {module}.once and {is_new}"

    def traced_branch(self) -> None:
        """Inside torch.compile only comparisons of integers are traced; see traced.py."""
        tracing = traced.tracing_test()
        if tracing is None:
            return
        self.write(f"if {self.conditions.constant('tracing', tracing)}():")
        self.depth += 1
        start, depth = len(self.lines), self.depth
        try:
            self.traced_conditions()
        except Uncertain:
            del self.lines[start:]
            self.depth = depth
            self.traced_checks(called=False)
        self.depth = depth - 1

    def traced_conditions(self) -> None:
        """Comparisons that say at once that a traced call is fine; what falls out of them is looked at closely."""
        plan, depth = self.plan, self.depth
        if plan.expects or plan.pending or plan.self_dims or any(entry.stars for entry in plan.parameters):
            raise Uncertain
        conditions = TracedConditions(self.constants, self.conditions.taken)
        tests: list[str] = []
        for entry in sorted(plan.parameters, key=_may_be_absent):
            of_entry = conditions.demand(entry.name, entry.demand, certain=entry.name not in self.passing)
            if of_entry and entry.name in self.passing:
                of_entry = [f"({self.is_omitted(entry.name)} or {' and '.join(of_entry)})"]
            tests += of_entry
        tests += conditions.settle()
        self.write(conditions.preparation)
        self.open_if(tests)
        self.write(f"{self.result} = {self.call()}")
        inside = self.depth
        self.open_if([*conditions.demand(self.result, plan.result), *conditions.settle()])
        self.write(f"return {self.result}")
        self.depth = inside
        self.traced_checks(called=True)
        self.depth = depth
        if tests:
            self.traced_checks(called=False)

    def traced_checks(self, *, called: bool) -> None:
        """The closer look, which has a message for what is wrong."""
        constant, plan = self.conditions.constant, self.plan
        self.traced_arguments()
        if plan.expects:
            scopes = constant("scopes", traced.scopes)
            self.write(f"{scopes}.append({self.names})")
            self.write("try:")
            self.write(f"    {self.result} = {self.call()}")
            self.write("finally:")
            self.write(f"    {scopes}.pop()")
        elif not called:
            self.write(f"{self.result} = {self.call()}")
        self.write(f"{constant('trace_result', traced.check_result)}({self.demands}, {self.names}, {self.result})")
        self.write(f"return {self.result}")

    def traced_arguments(self) -> None:
        constant, plan = self.conditions.constant, self.plan
        demands = repr(constant_demands(plan))
        if plan.pending:
            demands = f"{constant('demands_by_now', traced.demands_by_now)}({self.plan_name})"
        self.write(f"{self.demands} = {demands}")
        passed = "".join(f"{entry.name}, " for entry in plan.parameters)
        filled = "".join(f"{self.filled(entry)}, " for entry in plan.parameters)
        check = constant("trace_arguments", traced.check_arguments)
        self.write(f"{self.names} = {check}({self.demands}, ({passed}), ({filled}))")

    def traced_stream(self) -> None:
        """The same for a generator, whose items are looked at as they pass."""
        tracing, constant = traced.tracing_test(), self.conditions.constant
        if tracing is None:
            return
        self.write(f"if {constant('tracing', tracing)}():")
        self.depth += 1
        self.traced_arguments()
        stream = constant("trace_stream", traced.check_stream)
        self.write(self.giving(f"{stream}({self.demands}, {self.names}, {self.call()})"))
        self.depth -= 1

    def checked_branch(self) -> None:
        start, depth = len(self.lines), self.depth
        constants, taken = dict(self.constants), set(self.conditions.taken)
        try:
            self.quick_branch()
        except Uncertain:
            del self.lines[start:]
            self.depth = depth
            self.constants.clear()
            self.constants.update(constants)
            self.conditions = Conditions(self.constants, taken)
            self.judge_arguments()
            self.write(f"{self.result} = {self.awaited_call()}")
        self.depth = depth
        self.judge_result()

    def quick_branch(self) -> None:
        """The nested conditions and the call inside them; what falls out of them goes to the judge."""
        if self.plan.pending or len(self.plan.parameters) > MOST_PARAMETERS:
            raise Uncertain
        sure = self.conditions.variable("sure")
        top, depth = len(self.lines), self.depth
        self.self_dims()
        self.write(f"{sure} = False")
        flag = len(self.lines) - 1
        self.arguments()
        inside = self.depth
        if inside == depth and not self.plan.expects:
            del self.lines[flag]
            self.write(f"{self.result} = {self.awaited_call()}")
            self.result_conditions()
            self.depth = depth
            self.tentative_names(top, depth)
            return
        self.write(f"{sure} = True")
        if self.plan.expects:
            self.keep_names()
        self.write(f"{self.result} = {self.awaited_call()}")
        self.result_conditions()
        self.depth = depth
        self.write(f"if not {sure}:")
        self.depth += 1
        self.judge_arguments()
        self.write(f"{self.result} = {self.awaited_call()}")
        self.depth = depth
        self.tentative_names(top, depth)

    def tentative_names(self, line: int, depth: int) -> None:
        for variable in self.conditions.tentative.values():
            self.lines.insert(line, "    " * depth + f"{variable} = None")

    def self_dims(self) -> None:
        """Names that the instance keeps are read first; as long as one isn't known, the judge is asked."""
        if not self.plan.self_dims or not self.plan.parameters:
            return
        dims = self.conditions.variable("dims")
        owner = self.plan.parameters[0].name
        self.write(f"{dims} = {self.conditions.builtin('getattr')}({owner}, {DIMS!r}, {{}})")
        for name in self.plan.self_dims:
            self.conditions.exact[name] = f"{dims}.get({name!r})"

    def arguments(self) -> None:
        """Open one block a group of conditions: certain arguments first, those that may be absent or loop last."""
        ordered = sorted(self.plan.parameters, key=_may_be_absent)
        certain = [parameter for parameter in ordered if not _may_be_absent(parameter)]
        tests: list[str] = []
        for parameter in certain:
            tests += self.conditions.demand(parameter.name, parameter.demand)
        tests += self.conditions.settle()
        for parameter in ordered[len(certain) :]:
            demand = parameter.demand
            if parameter.name in self.passing:
                tests.append(self.omitted_or(parameter))
            elif isinstance(demand, Each | Values) or (parameter.stars and not isinstance(demand, Anything)):
                self.open_if(tests)
                tests = []
                self.loop(parameter.name, demand, parameter)
            else:
                tests += self.conditions.demand(parameter.name, demand)
        self.open_if(tests)

    def omitted_or(self, parameter: Parameter) -> str:
        omitted = f"{parameter.name} is {self.conditions.constant('default', OMITTED)}"
        tests = self.conditions.demand(parameter.name, parameter.demand, certain=False)
        return f"({omitted} or {' and '.join(tests)})" if tests else f"({omitted} or True)"

    def open_if(self, tests: list[str]) -> None:
        if tests:
            self.write("if (")
            self.write("    " + tests[0])
            for test in tests[1:]:
                self.write(f"    and {test}")
            self.write("):")
            self.depth += 1

    def loop(self, value: str, demand: Demand, parameter: Parameter | None) -> None:
        """Check every item; go on in the `else` of the loop."""
        item = self.conditions.variable("item")
        kind = parameter.kind if parameter is not None else None
        if kind is inspect.Parameter.VAR_POSITIONAL:
            inner, source = self.conditions.demand(item, demand, certain=False), value
        elif kind is inspect.Parameter.VAR_KEYWORD:
            inner, source = self.conditions.demand(item, demand, certain=False), f"{value}.values()"
        elif isinstance(demand, Each):
            classes = frozenset(
                {list, tuple} if demand.container not in (list, tuple, set, frozenset) else {demand.container}
            )
            self.open_if(
                [f"{self.conditions.builtin('type')}({value}) in {self.conditions.constant('containers', classes)}"]
            )
            inner, source = self.conditions.demand(item, demand.item, certain=False), value
        elif isinstance(demand, Values):
            self.open_if([f"{self.conditions.builtin('type')}({value}) is {self.conditions.builtin('dict')}"])
            key = self.conditions.variable("key")
            inner = self.conditions.demand(key, demand.key, certain=False)
            inner += self.conditions.demand(item, demand.value, certain=False)
            item, source = f"{key}, {item}", f"{value}.items()"
        else:
            raise Uncertain
        if not inner:
            return
        self.write(f"for {item} in {source}:")
        self.write(f"    if not ({' and '.join(inner)}):")
        self.write("        break")
        self.write("else:")
        self.depth += 1
        # The last item is the caller's to let go of.
        self.write(f"{item} = None" if "," not in item else f"{item.replace(', ', ' = ')} = None")

    def result_conditions(self) -> None:
        """Return at once where the result is surely fine too."""
        plan = self.plan
        demand = plan.result
        unready = plan.pending or plan.stream is not None
        if unready or (plan.expects and not self.mentions_only_arguments(demand)):
            return
        start, depth = len(self.lines), self.depth
        try:
            if isinstance(demand, Each | Values):
                self.loop(self.result, demand, None)
            else:
                self.open_if([*self.conditions.demand(self.result, demand), *self.conditions.settle()])
        except Uncertain:
            del self.lines[start:]
            self.depth = depth
            return
        self.write(f"return {self.result}")

    def mentions_only_arguments(self, demand: Demand) -> bool:
        """Whether no name of the result could have been bound by an `expect` in the body."""
        known = self.conditions.exact.keys() | self.conditions.runs.keys()
        return all(
            axis.name in known
            for array in arrays_of(demand)
            for axis in array.annotation.axes
            if isinstance(axis, Named | NamedAxes)
        )

    def keep_names(self) -> None:
        """Keep what the arguments bind for `expect`; what only some calls bind is looked up."""
        conditions = self.conditions
        if conditions.tentative or conditions.loose or conditions.loose_runs:
            names = conditions.constant("names_of", names_of)
            self.write(f"{SCOPE} = {names}({self.plan_name}, {self.given()})")
            return
        pairs = {**conditions.exact, **{f"*{name}": run for name, run in conditions.runs.items()}}
        self.write(f"{SCOPE} = {{{', '.join(f'{name!r}: {size}' for name, size in pairs.items())}}}")

    def judge_arguments(self) -> None:
        judged = self.conditions.constant("judge_arguments", judge.judge_arguments)
        self.write(f"{self.refusal} = {judged}({self.plan_name}, {self.given()})")
        self.raise_refusal()
        if self.plan.expects:
            names = self.conditions.constant("names_of", names_of)
            self.write(f"{SCOPE} = {names}({self.plan_name}, {self.given()})")

    def judge_result(self) -> None:
        """The judge's word on the result; for a generator, a watch on what it yields."""
        constant = self.conditions.constant
        if self.plan.stream is not None:
            watch = streams.watch_async if self.plan.kind is Kind.ASYNC_GENERATOR else streams.watch
            scope = SCOPE if self.plan.expects else "None"
            self.write(
                self.giving(f"{constant('watch', watch)}({self.plan_name}, {self.given()}, {self.result}, {scope})")
            )
            return
        if not isinstance(self.plan.result, Anything) or self.plan.pending or self.plan.self_dims:
            judged = constant("judge_result", judge.judge_result)
            scope = f", {SCOPE}" if self.plan.expects else ""
            self.write(f"{self.refusal} = {judged}({self.plan_name}, {self.given()}, {self.result}{scope})")
            self.raise_refusal()
        self.write(f"return {self.result}")

    def raise_refusal(self) -> None:
        # The exception and this frame would keep each other, and the arguments, alive.
        self.write(f"if {self.refusal} is not None:")
        self.write("    try:")
        self.write(f"        raise {self.refusal}")
        self.write("    finally:")
        self.write(f"        del {self.refusal}")

    def given(self) -> str:
        """The arguments by name; those left out are left out here too."""
        pairs = ", ".join(f"{parameter.name!r}: {parameter.name}" for parameter in self.plan.parameters)
        return f"{{{pairs}}}"

    def filled(self, parameter: Parameter) -> str:
        """An argument, or its default where it was left out."""
        name = parameter.name
        if name not in self.passing:
            return name
        return f"{self.conditions.constant('default', parameter.default)} if {self.is_omitted(name)} else {name}"

    def is_omitted(self, name: str) -> str:
        return f"{name} is {self.conditions.constant('default', OMITTED)}"

    def awaited_call(self) -> str:
        return f"await {self.call()}" if self.plan.kind is Kind.COROUTINE else self.call()

    def call(self) -> str:
        """The call of the function itself, with every argument passed on."""
        arguments = []
        for entry in self.plan.parameters:
            value = self.filled(entry)
            if entry.kind is inspect.Parameter.KEYWORD_ONLY:
                value = f"{entry.name}={value}"
            arguments.append(entry.stars + value)
        return f"{self.called}({', '.join(arguments)})"


class _Source(str):
    """Source that stands for itself where a value's repr is asked for."""

    __slots__ = ()
    __repr__ = str.__str__


def _needs_omitted(parameter: Parameter) -> bool:
    """Whether leaving the argument out differs from passing its default: beartype checks only what is passed."""
    default = parameter.default
    if default is inspect.Parameter.empty or isinstance(parameter.demand, Anything):
        return False
    is_empty = isinstance(default, tuple) and not default
    harmless = default is None or isinstance(default, bool | int | float | str) or is_empty
    return not (harmless and is_bearable(default, parameter.hint))


def _may_be_absent(parameter: Parameter) -> bool:
    """Whether the argument's arrays may not be there, so that it can't bind names for the others."""
    demand = parameter.demand
    if parameter.stars or isinstance(demand, Choice | Each | Values):
        return True
    return _needs_omitted(parameter) and any(isinstance(entry, Array) for entry in arrays_of(demand))
