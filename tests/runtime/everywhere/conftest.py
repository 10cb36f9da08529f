"""The cases of this folder, run under guard and, to write docs/compatibility.md, under jaxtyped with beartype too.

A test marked `case(group, text)` is one row of the table, and its outcome must be the one that stands there. Write the
table with

    pytest tests/runtime/everywhere --write-compatibility
"""

from __future__ import annotations

import ast
import functools
import gc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped

from shapeguard import ShapeError, guard

TABLE = Path(__file__).parents[3] / "docs" / "compatibility.md"
WORKS = "works"
DECORATORS = {
    "guard": ("from shapeguard import guard\n", "@guard"),
    "jaxtyped": (
        "from beartype import beartype\nfrom jaxtyping import jaxtyped\n",
        "@jaxtyped(typechecker=beartype)",
    ),
}


class Outcome(Exception):  # noqa: N818 - not always an error: some outcomes are what the table says
    """How a case ended, in the table's words."""


class Check:
    """One of the two checkers, and what is asked of it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, target: Any) -> Any:
        """Put a function, a class of modules or one module under the checker."""
        if self.name == "guard":
            return guard(target)
        if isinstance(target, type):
            target.forward = _jaxtyped(target.__dict__["forward"])
            return target
        if isinstance(target, torch.nn.Module):
            raise Outcome("not offered")
        return _jaxtyped(target)

    def source(self, body: str) -> str:
        """The text of a module in which `@check` is the checker's decorator."""
        imports, decorator = DECORATORS[self.name]
        return imports + body.replace("@check", decorator)

    def module(self, path: Path, body: str) -> ModuleType:
        """A module of its own file, likewise."""
        path.write_text(self.source(body))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @contextmanager
    def right(self) -> Iterator[None]:
        """What is done here is right, and must go through."""
        try:
            yield
        except Outcome:
            raise
        except Exception as error:
            if _is_refusal(error):
                raise Outcome("false alarm") from error
            raise Outcome(f"fails: {type(error).__name__}") from error

    @contextmanager
    def refused(self, *words: str) -> Iterator[None]:
        """What is done here is wrong, and must be refused; by the guard, in these words."""
        try:
            yield
        except Exception as error:
            if not _is_refusal(error):
                raise Outcome(f"fails: {type(error).__name__}") from error
            if self.name == "guard":
                require(all(word in _texts(error) for word in words), f"does not say {words}")
            return
        raise Outcome("not caught")

    @staticmethod
    def require(condition: object, otherwise: str) -> None:
        """The outcome is `otherwise` unless the condition holds."""
        if not condition:
            raise Outcome(otherwise)

    def same(self, result: Any, expected: Any) -> None:
        """The result must be what the bare function gives."""
        try:
            torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-6)
        except AssertionError as error:
            raise Outcome("another result") from error


require = Check.require
_jaxtyped: Callable[..., Any] = functools.partial(jaxtyped, typechecker=beartype)


def _is_refusal(error: BaseException) -> bool:
    refusals = ("ShapeError", "Type-check error", "TypeCheckError", "Runtime assertion failed")
    return isinstance(error, ShapeError | TypeCheckError) or any(word in _texts(error) for word in refusals)


def _texts(error: BaseException) -> str:
    """The words of an exception and of those that led to it."""
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None:
        texts.append(f"{type(current).__name__}: {current}")
        current = current.__cause__ or current.__context__
    return "\n".join(texts)


# The fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-compatibility", action="store_true", help="run each case twice; write the table")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "case(group, text): a row of docs/compatibility.md")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "check" in metafunc.fixturenames:
        names: list[Any] = ["guard"]
        is_row = metafunc.definition.get_closest_marker("case") is not None
        if is_row and metafunc.config.getoption("--write-compatibility", default=False):
            # Nobody else's warnings are counted against them.
            names.append(pytest.param("jaxtyped", marks=pytest.mark.filterwarnings("default")))
        metafunc.parametrize("check", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def check(request: pytest.FixtureRequest) -> Check:
    return Check(request.param)


@pytest.fixture(autouse=True)
def _nothing_compiled() -> Iterator[None]:
    """Each case compiles anew, from the same random numbers."""
    torch.compiler.reset()
    torch.manual_seed(0)
    yield
    torch.compiler.reset()


# The table

Case = tuple[str, str]
_outcomes: dict[Case, dict[str, str]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    marker = pyfuncitem.get_closest_marker("case")
    if marker is None:
        return (yield)
    case, checker = marker.args, pyfuncitem.funcargs["check"].name
    outcome, error = WORKS, None
    try:
        result = yield
    except Outcome as ending:
        outcome, error, result = str(ending), ending, True
    found = _outcomes.setdefault(case, {})
    if found.get(checker, WORKS) == WORKS:
        found[checker] = outcome
    if checker != "guard":
        error = None
        gc.collect()  # what nobody has closed or awaited is complained of now, where it is not counted
    else:
        writing = pyfuncitem.config.getoption("--write-compatibility", default=False)
        stated = WORKS if writing else committed_table().get(case, {}).get(checker)
        if outcome != stated:
            message = f"{TABLE.name} says {stated!r} of {case}, and it is {outcome!r}; see {__file__}"
            raise AssertionError(message) from error
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--write-compatibility", default=False):
        # Cases that this run has left out keep what is committed.
        known = {**committed_table(), **_outcomes}
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(_written({case: known[case] for case in cases() if case in known}))


@pytest.fixture
def tables(request: pytest.FixtureRequest) -> tuple[list[Case], dict[Case, dict[str, str]]]:
    """The cases of this folder, and what is committed."""
    if request.config.getoption("--write-compatibility", default=False):
        pytest.skip("the table is being written")
    return cases(), committed_table()


def cases() -> list[Case]:
    """What the tests' marks say, in the order in which they stand."""
    marks = [
        mark
        for path in sorted(Path(__file__).parent.glob("test_*.py"))
        for function in ast.parse(path.read_text()).body
        if isinstance(function, ast.FunctionDef)
        for mark in function.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.case"
    ]
    return [tuple(map(ast.literal_eval, mark.args)) for mark in marks]


_INTRODUCTION = """\
# Where the guard works

<!-- Written by `pytest tests/runtime/everywhere --write-compatibility`; the suite compares it with what happens. -->

Each row is a test in `tests/runtime/everywhere`. It *works* if a right call goes through with the result of the bare
function, and a wrong shape, which the bare function would take, is refused in words that name the argument and its
axis. The last column is the same test under `jaxtyped(typechecker=beartype)`: a *false alarm* refuses the right call,
*not caught* lets the wrong one pass, *not offered* means that it takes functions and no modules that exist already, and
*fails* names the exception on the right call.

`torch.jit.script` is no row: it can't read jaxtyping's annotations, on a bare function either.
"""


def _written(outcomes: dict[Case, dict[str, str]]) -> str:
    lines = [_INTRODUCTION.rstrip()]
    group = None
    for case, found in outcomes.items():
        if case[0] != group:
            group = case[0]
            lines += ["", f"## {group}", "", "| case | guard | jaxtyped + beartype |", "|---|---|---|"]
        lines.append(f"| {case[1]} | {found.get('guard', '')} | {found.get('jaxtyped', '')} |")
    return "\n".join(lines) + "\n"


@functools.cache
def committed_table() -> dict[Case, dict[str, str]]:
    table: dict[Case, dict[str, str]] = {}
    group = ""
    for line in TABLE.read_text().splitlines() if TABLE.exists() else ():
        if line.startswith("## "):
            group = line[3:]
        elif line.startswith("| ") and not line.startswith("| case |"):
            text, guarded, jaxtyped_too = (cell.strip() for cell in line.strip("|").split("|"))
            table[group, text] = {"guard": guarded, "jaxtyped": jaxtyped_too}
    return table
