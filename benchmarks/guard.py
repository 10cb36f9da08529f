"""What a guarded call costs, beside a check written by hand, jaxtyped + beartype, and dltype.

    python benchmarks/guard.py [--rounds N] [--json FILE] [--quick] [--skip-compile]

All contestants are measured in one run, in turns: in every round each of them is called for 0.3 ms, and what is printed
is the median over the rounds of (contestant - bare function of the same round). Each contestant also gets a call that
its annotations forbid and that the bare function takes without a word; who lets it pass is marked.
"""

import argparse
import json
import platform
import statistics
import sys
import timeit
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from guard_cases import AGAIN, COMPILED, REAL, SMALL, Case

from shapeguard import guard, switch
from shapeguard.runtime.mode import Mode

CHECKERS = ("by hand", "jaxtyped", "dltype", "guard")
CONTESTANTS = (*CHECKERS, "once", "switch off", "mode=off", AGAIN)
MOST_OF_HAND = 1.3
LEAST_OF_JAXTYPED = 30.0


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    turn: int
    """Nanoseconds that one contestant's turn should last."""


def interleave(contestants: dict[str, tuple[Callable[..., Any], Mode]], arguments: tuple[Any, ...], effort: Effort):
    """Nanoseconds a call, one number a round, for each contestant; `timeit` keeps the garbage collector off."""
    names = [f"argument{position}" for position in range(len(arguments))]
    timers: dict[str, tuple[timeit.Timer, int, Mode]] = {}
    for name, (call, mode) in contestants.items():
        scope = {"call": call, **dict(zip(names, arguments, strict=True))}
        timer = timeit.Timer(f"call({', '.join(names)})", globals=scope)
        with switch(mode):
            timer.timeit(10)
            a_call = min(timer.repeat(3, 10)) * 1e9 / 10
        timers[name] = timer, max(1, int(effort.turn / a_call)), mode
    times: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for _ in range(effort.rounds):
        # Who comes first is another one in each round, so that no one always follows the same neighbour's leftovers.
        order.append(order.pop(0))
        for name in order:
            timer, count, mode = timers[name]
            with switch(mode):
                times[name].append(timer.timeit(count) * 1e9 / count)
    return times


def measure(case: Case, effort: Effort) -> dict[str, Any]:
    """The bare function's time, each contestant's overhead, and who lets the wrong call pass."""
    contestants = case.contestants()
    assert lets_pass(case.bare, case), "a call that the bare function refuses says nothing about the checks"
    times = interleave(contestants, case.arguments, effort)
    bare = times.pop("bare")
    overheads = {
        name: statistics.median(value - base for value, base in zip(values, bare, strict=True))
        for name, values in times.items()
    }
    return {
        "case": case.name,
        "bare": statistics.median(bare),
        "overheads": overheads,
        "blind": [name for name in CHECKERS if name in contestants and lets_pass(contestants[name][0], case)],
        "notes": [case.with_dltype] if isinstance(case.with_dltype, str) else [],
    }


def lets_pass(call: Callable[..., Any], case: Case) -> bool:
    """Whether the wrong call gets through, once at least in twenty: some look at one item that they choose by lot."""
    passed = 0
    for _ in range(20):
        with suppress(Exception):
            call(*case.wrong)
            passed += 1
    return passed > 0


def measure_compiled(case: Case, effort: Effort) -> dict[str, Any]:
    """The guarded function against the bare one, both compiled, and for the noise a second copy of the bare one."""
    assert isinstance(case.bare, FunctionType)
    copy = FunctionType(case.bare.__code__.replace(), globals(), "copy", None, case.bare.__closure__)
    functions = {"bare": case.bare, AGAIN: copy, "guard": guard(case.bare)}
    contestants: dict[str, tuple[Callable[..., Any], Mode]] = {
        name: (torch.compile(function, backend="inductor", fullgraph=True), "on")
        for name, function in functions.items()
    }
    times = interleave(contestants, case.arguments, effort)
    bare = times.pop("bare")
    ratios = {
        name: statistics.quantiles((value / base for value, base in zip(values, bare, strict=True)), n=4)
        for name, values in times.items()
    }
    return {"case": case.name, "bare": statistics.median(bare), "ratios": ratios}


# Printing


def table(head: list[str], rows: list[list[str]]) -> str:
    """Columns as wide as their widest cell: the first flush left, numbers flush right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in [head, ["-" * width for width in widths], *rows])
    ]
    return "\n".join(line.rstrip() for line in lines)


def small_table(results: list[dict[str, Any]]) -> str:
    head = ["case", "bare", *CONTESTANTS, "guard / by hand", "jaxtyped / guard"]
    rows = []
    for result in results:
        overheads = result["overheads"]
        cells = [
            f"{round(overheads[name]):,}{'!' * (name in result['blind'])}" if name in overheads else "-"
            for name in CONTESTANTS
        ]
        ratios = [f"{of_hand(result):.2f}", f"{of_jaxtyped(result):.1f}{'!' * ('jaxtyped' in result['blind'])}"]
        rows.append([result["case"], f"{result['bare']:,.0f}", *cells, *ratios])
    return table(head, rows)


def real_table(results: list[dict[str, Any]]) -> str:
    rows = [
        [
            result["case"],
            f"{result['bare']:,.0f}",
            *(f"{result['overheads'][name] / result['bare']:+.1%}" for name in CONTESTANTS),
        ]
        for result in results
    ]
    return table(["case", "bare", *CONTESTANTS], rows)


def compiled_table(results: list[dict[str, Any]]) -> str:
    rows = []
    for result in results:
        cells = ["{1:.3f} ({0:.3f} to {2:.3f})".format(*result["ratios"][name]) for name in (AGAIN, "guard")]
        rows.append([result["case"], f"{result['bare']:,.0f}", *cells, "yes" if is_noise(result) else "no"])
    return table(["case", "bare", "bare again / bare", "guard / bare", "within the noise"], rows)


def of_hand(result: dict[str, Any]) -> float:
    return result["overheads"]["guard"] / result["overheads"]["by hand"]


def of_jaxtyped(result: dict[str, Any]) -> float:
    return result["overheads"]["jaxtyped"] / result["overheads"]["guard"]


def is_noise(result: dict[str, Any]) -> bool:
    """Whether the guarded function's median lies where half of the bare function's second copies lie."""
    low, _, high = result["ratios"][AGAIN]
    return low <= result["ratios"]["guard"][1] <= high


def verdicts(small: list[dict[str, Any]], compiled: list[dict[str, Any]]) -> str:
    rows = []
    for result in small[:2]:
        hand, of_rival = of_hand(result), of_jaxtyped(result)
        rows += [
            [
                f"{result['case']}: at most 1/{LEAST_OF_JAXTYPED:.0f} of jaxtyped + beartype",
                f"1/{of_rival:.1f}",
                is_reached(of_rival >= LEAST_OF_JAXTYPED),
            ],
            [
                f"{result['case']}: at most {MOST_OF_HAND} times the check by hand",
                f"{hand:.2f}",
                is_reached(hand <= MOST_OF_HAND),
            ],
            [f"{result['case']}: switched off", f"{round(result['overheads']['switch off'])} ns", ""],
            [f'{result["case"]}: mode="off"', f"{round(result['overheads']['mode=off'])} ns", ""],
        ]
    rows += [
        [
            f"{result['case']}, compiled: no cost beyond the noise",
            f"{result['ratios']['guard'][1]:.3f}",
            is_reached(is_noise(result)),
        ]
        for result in compiled
    ]
    return table(["target", "measured", ""], rows)


def is_reached(reached: bool) -> str:  # noqa: FBT001
    return "reached" if reached else "not reached"


EXPLANATION = """\
by hand     the same check written for speed into the body
jaxtyped    @jaxtyped(typechecker=beartype)
dltype      @dltype.dltyped()
guard       @guard
once        the same function in the mode "once", after the first call from this place
switch off  the same function in the mode "off", set for the process
mode=off    @guard(mode="off"), which gives back the function itself
bare again  the bare function a second time: what is noise
!           let a wrong call of this case pass, so it checks less than the others
-           can't check this case"""


def environment(effort: Effort) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "jaxtyping", "beartype", "dltype"))
    return f"Python {platform.python_version()}, {packages}; {effort.rounds} rounds, torch on one thread, no gradients"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300, help="how often each contestant has its turn (300)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="a few short rounds: to see that it runs")
    parser.add_argument("--skip-compile", action="store_true", help="leave out torch.compile")
    options = parser.parse_args()
    effort = Effort(5, 20_000) if options.quick else Effort(options.rounds, 300_000)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)

    print(environment(effort))
    print("\nNanoseconds a call: the bare function, then what each contestant adds to it\n")
    small = [measure(make(), effort) for make in SMALL]
    print(small_table(small))
    print(f"\n{EXPLANATION}")
    for result in small:
        for note in result["notes"]:
            print(f"            {result['case']}: {note}")
    print("\nReal bodies: nanoseconds of the bare function, then by what share each contestant lengthens it\n")
    real = [measure(make(), effort) for make in REAL]
    print(real_table(real))
    compiled = []
    if not options.skip_compile:
        print("\ntorch.compile (inductor), steady state: median over the rounds of the ratio, and its quartiles\n")
        compiled = [measure_compiled(make(), effort) for make in COMPILED]
        print(compiled_table(compiled))
    print(f"\n{verdicts(small, compiled)}")
    if options.json:
        figures = {"environment": environment(effort), "small": small, "real": real, "compiled": compiled}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
