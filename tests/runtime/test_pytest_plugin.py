"""The pytest plugin, in test runs of their own: what it guards, what it says, and that it costs nothing unasked."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import shapeguard

pytest_plugins = ["pytester"]

# Nothing but a shape and a dtype, so that the runs don't have to wait for torch.
PACKAGE = """
from jaxtyping import Float

class Array:
    dtype = "float32"
    def __init__(self, *shape): self.shape = shape

def add(a: Float[Array, "n"], b: Float[Array, "n"]) -> Float[Array, "n"]:
    return a
"""
TEST = """
from mypkg.model import Array, add

def test_add():
    add(Array(2), Array(3))
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A package with a wrong shape in its tests; the plugin is there even where shapeguard isn't installed."""
    monkeypatch.setenv("PYTHONPATH", str(Path(shapeguard.__file__).parents[1]))
    for variable in ("SHAPEGUARD", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(variable, raising=False)
    if "shapeguard" not in entry_points(group="pytest11").names:
        monkeypatch.setenv("PYTEST_PLUGINS", "shapeguard.pytest_plugin")
    pytester.mkpydir("mypkg").joinpath("model.py").write_text(PACKAGE)
    pytester.makepyfile(test_model=TEST)
    return pytester


REFUSAL = [
    "E*ShapeError: `b` axis 0 is 3, expected n = 2 (bound by `a` axis 0)",
    '*a: f32?2?   "n"',
    '*b: f32?3?   "n"',
]


def test_run_without_the_option_guards_nothing(project):
    result = project.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*shapeguard:*")


def test_option_guards_the_package(project):
    result = project.runpytest_subprocess("--shapeguard=mypkg", "-W", "error")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["shapeguard: mypkg", *REFUSAL])


def test_of_a_refusal_only_the_code_that_it_is_about_is_shown(project):
    project.makepyfile(
        test_model="""
        from collections.abc import Iterator
        from jaxtyping import Float
        from mypkg.model import Array
        from shapeguard import expect, guard

        @guard
        def take(a: Float[Array, "n"]) -> Float[Array, "n"]: return expect(a, "n n")

        @guard
        def give(a: Float[Array, "n"]) -> Iterator[Float[Array, "n"]]: yield Array(3)

        def test_argument(): take(Array(2, 2))
        def test_expected(): take(Array(2))
        def test_yielded(): next(give(Array(2)))
        """
    )
    result = project.runpytest_subprocess()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        ["E*ShapeError: `a` has 2*", "E*ShapeError: `a` has 1*", "E*ShapeError: `yield` axis 0*"]
    )
    for ours in ("*<guard of*", "*shapeguard/runtime/*"):
        result.stdout.no_fnmatch_line(ours)


@pytest.mark.parametrize("options", [["--shapeguard=other, mypkg"], ["--shapeguard=other", "--shapeguard", "mypkg"]])
def test_option_takes_several_packages(project, options):
    project.makepyfile(other="")
    result = project.runpytest_subprocess(*options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["shapeguard: other, mypkg", *REFUSAL])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nshapeguard = other, mypkg"),
        ("pytest.ini", "[pytest]\nshapeguard =\n    other\n    mypkg"),
        ("pyproject.toml", "[tool.pytest.ini_options]\nshapeguard = ['other', 'mypkg']"),
        ("pyproject.toml", "[tool.pytest.ini_options]\nshapeguard = 'other mypkg'"),
        ("pytest.toml", "[pytest]\nshapeguard = ['other', 'mypkg']"),
    ],
)
def test_ini_option_guards_the_package(project, name, text):
    project.path.joinpath(name).write_text(text)
    result = project.runpytest_subprocess("--strict-config")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["shapeguard: other, mypkg", *REFUSAL])


def test_option_stands_above_the_ini_option(project):
    project.makeini("[pytest]\nshapeguard = mypkg")
    project.runpytest_subprocess("--shapeguard=").assert_outcomes(passed=1)


def test_package_that_a_conftest_imports_is_guarded(project):
    project.makeconftest("import mypkg.model")
    result = project.runpytest_subprocess("--shapeguard=mypkg", "-W", "error")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(REFUSAL)


def test_package_that_comes_before_the_plugin_is_named(project):
    project.makepyfile(early="import mypkg.model")
    result = project.runpytest_subprocess("-p", "early", "--shapeguard=mypkg")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*GuardWarning: mypkg was imported before the hook; its modules are not guarded*"])
    strict = project.runpytest_subprocess("-p", "early", "--shapeguard=mypkg", "-W", "error")
    assert strict.ret == pytest.ExitCode.USAGE_ERROR
    strict.stderr.fnmatch_lines(["ERROR: mypkg was imported before the hook*"])


@pytest.mark.parametrize(
    ("option", "variable", "message"),
    [
        ("src/mypkg", "on", "ERROR: 'src/mypkg' is no name of a package*"),
        ("mypkg", "of", "ERROR: the environment variable SHAPEGUARD is 'of'; the modes are on, off, once"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(project, monkeypatch, option, variable, message):
    monkeypatch.setenv("SHAPEGUARD", variable)
    result = project.runpytest_subprocess(f"--shapeguard={option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_package_that_no_test_imports_is_named(project):
    result = project.runpytest_subprocess("--shapeguard=mypkg,mypgk")
    result.stdout.fnmatch_lines(["shapeguard: no module of mypgk was imported, so nothing of it was guarded"])


def test_header_says_when_the_guards_do_not_check(project, monkeypatch):
    monkeypatch.setenv("SHAPEGUARD", "off")
    result = project.runpytest_subprocess("--shapeguard=mypkg")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["shapeguard: mypkg (SHAPEGUARD=off)"])


def test_workers_of_xdist_guard_too(project):
    pytest.importorskip("xdist")
    project.makeconftest("import mypkg.model")
    result = project.runpytest_subprocess("--shapeguard=mypkg", "-n1", "-W", "error")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(REFUSAL)
    result.stdout.no_fnmatch_line("*no module of*")


def test_asserts_of_tests_inside_the_package_are_still_explained(project):
    project.path.joinpath("mypkg", "test_inside.py").write_text("def test_sum(): assert 1 + 1 == 3")
    result = project.runpytest_subprocess("--shapeguard=mypkg", "mypkg", "-W", "error")
    result.stdout.fnmatch_lines(["E*assert (1 + 1) == 3"])


def test_conftest_may_name_the_plugin(project, monkeypatch):
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)
    project.makeconftest("pytest_plugins = ['shapeguard.pytest_plugin']")
    project.makeini("[pytest]\nshapeguard = mypkg")
    project.runpytest_subprocess("-p", "no:shapeguard").assert_outcomes(failed=1)


def test_run_without_torch_works(project):
    project.makepyfile(no_torch="import sys; sys.modules['torch'] = None")
    result = project.runpytest_subprocess("-p", "no_torch", "--shapeguard=mypkg", "-W", "error")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(REFUSAL)


def test_plugin_unasked_loads_nothing(project):
    project.makepyfile(
        test_model="""
        import sys
        def test_loaded():
            loaded = {name for name in sys.modules if name.partition(".")[0] == "shapeguard"}
            assert loaded == {"shapeguard", "shapeguard.pytest_plugin"}
            assert not {"torch", "beartype"} & set(sys.modules)
        """
    )
    project.runpytest_subprocess("-p", "no:jaxtyping").assert_outcomes(passed=1)


def test_module_of_the_plugin_imports_nothing_heavy():
    program = "import sys, pytest; before = set(sys.modules); import shapeguard.pytest_plugin; print(set(sys.modules) - before)"
    env = {**os.environ, "PYTHONPATH": str(Path(shapeguard.__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=env)
    assert {name.partition(".")[0] for name in eval(result.stdout)} == {"shapeguard"}  # noqa: S307 - printed above
