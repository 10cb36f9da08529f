"""Whether guards check: by argument, by environment variable, by `switch`."""

import subprocess
import sys
from types import FunctionType

import pytest
from jaxtyping import Float
from torch import Tensor, nn, ones

from shapeguard import ShapeError, expect, guard, switch
from shapeguard.runtime import mode


@pytest.fixture(autouse=True)
def _on():
    with switch("on"):
        yield


@guard
def add(a: Float[Tensor, "n"], b: Float[Tensor, "n"]) -> Tensor:
    return a.sum() + b.sum()


def checks(function=add):
    try:
        function(ones(2), ones(3))
    except ShapeError:
        return True
    return False


def run(program, variable=None):
    """A program in a process of its own; what it prints, or the last line of its traceback."""
    environment = {} if variable is None else {"SHAPEGUARD": variable}
    lines = (
        "from jaxtyping import Float",
        "from numpy import ndarray, ones",
        "from shapeguard import ShapeError, guard, switch",
        "from shapeguard.runtime import mode",
        "def call(a: Float[ndarray, '2']): return 'not checked'",
        "def tried(function):",
        "    try: return function(ones(3))",
        "    except ShapeError: return 'checked'",
    )
    result = subprocess.run(
        [sys.executable, "-c", "\n".join((*lines, program))],
        env={"PYTHONPATH": ":".join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return (result.stdout or result.stderr.splitlines()[-1]).strip()


# By argument


def test_off_by_argument_leaves_the_function_as_it_is():
    def bare(a: Float[Tensor, "n"], b: Float[Tensor, "n"]):
        return a

    class Bare:
        pass

    assert guard(mode="off")(bare) is bare
    assert guard(bare, mode="off") is bare
    assert guard(mode="off")(Bare) is Bare


@pytest.mark.parametrize("process", mode.MODES)
def test_on_by_argument_checks_whatever_the_process_is_set_to(process):
    @guard(mode="on")
    def always(a: Float[Tensor, "n"], b: Float[Tensor, "n"]):
        return a

    with switch(process):
        assert [checks(always) for _ in range(2)] == [True, True]


@pytest.mark.parametrize("process", mode.MODES)
def test_once_by_argument_checks_each_place_once_whatever_the_process_is_set_to(process):
    @guard(mode="once")
    def once(a: Float[Tensor, "n"], b: Float[Tensor, "n"]):
        return a

    with switch(process):
        assert [checks(once) for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    "set_mode",
    [
        lambda word: guard(mode=word),
        lambda word: guard(add, mode=word),
        switch,
        lambda word: switch(mode=word),
    ],
)
@pytest.mark.parametrize("word", ["of", "ON", "", "true"])
def test_unknown_mode_lists_the_modes(set_mode, word):
    with pytest.raises(ValueError, match=rf"mode.* is '{word}'; the modes are on, off, once"):
        set_mode(word)
    assert mode.current() == "on"


# By environment variable


@pytest.mark.parametrize(
    ("variable", "expected"), [(None, "on"), ("", "on"), ("on", "on"), ("off", "off"), ("OFF", "off"), ("once", "once")]
)
def test_environment_variable_sets_the_mode_of_the_process(variable, expected):
    assert run("print(mode.current())", variable) == expected


def test_unknown_mode_in_the_environment_lists_the_modes():
    assert run("", "yes") == "ValueError: the environment variable SHAPEGUARD is 'yes'; the modes are on, off, once"


def test_off_in_the_environment_can_be_switched_on_later():
    program = "g = guard(call); print(tried(g)); switch('on'); print(tried(g))"
    assert run(program, "off").splitlines() == ["not checked", "checked"]


def test_argument_stands_above_the_environment():
    assert run("print(tried(guard(call, mode='on')))", "off") == "checked"
    assert run("print(tried(guard(call, mode='off')))", "on") == "not checked"


# By switch


def test_switch_sets_the_mode_at_once():
    switch("off")
    assert not checks()
    switch("on")
    assert checks()


def test_switch_in_a_block_holds_for_its_length():
    with switch("off"):
        assert mode.current() == "off"
        assert not checks()
    assert mode.current() == "on"
    assert checks()


def test_switches_nest():
    with switch("off"):
        with switch("once"):
            with switch("on"):
                assert checks()
            assert mode.current() == "once"
        assert mode.current() == "off"
    assert mode.current() == "on"


def test_switch_restores_the_mode_after_an_exception():
    with pytest.raises(ZeroDivisionError), switch("off"):
        raise ZeroDivisionError
    assert mode.current() == "on"


def test_switch_that_fails_leaves_the_mode():
    with switch("off"):
        with pytest.raises(ValueError, match="the modes are"):
            switch("loud")
        assert mode.current() == "off"


def test_expect_follows_the_switch():
    with switch("off"):
        expect(ones(2), "3")
    with pytest.raises(ShapeError):
        expect(ones(2), "3")


def test_results_are_not_checked_when_off():
    @guard
    def wrong(a: Float[Tensor, "n"]) -> Float[Tensor, "n n"]:
        return a

    with switch("off"):
        assert wrong(ones(2)).shape == (2,)
    with pytest.raises(ShapeError):
        wrong(ones(2))


# Once


def outcomes(call, times=3):
    result = []
    for _ in range(times):
        try:
            call()
        except ShapeError:
            result.append("checked")
        else:
            result.append("not checked")
    return result


def test_once_checks_each_place_at_its_first_call():
    with switch("once"):
        assert outcomes(lambda: add(ones(2), ones(3))) == ["checked", "not checked", "not checked"]
        assert outcomes(lambda: add(ones(2), ones(3))) == ["checked", "not checked", "not checked"]


def test_once_tells_places_on_one_line_apart():
    with switch("once"):
        assert outcomes(lambda: add(ones(2), ones(2)) + add(ones(2), ones(3))) == ["checked"] + ["not checked"] * 2


def test_once_tells_functions_apart():
    @guard
    def other(a: Float[Tensor, "n"], b: Float[Tensor, "n"]):
        return a

    with switch("once"):
        assert [checks(function) for function in (add, other)] == [True, True]


def test_once_tells_functions_of_the_same_code_apart():
    source = compile("def call(function, a, b): return function(a, b)", "same.py", "exec").co_consts[0]
    first, second = FunctionType(source, {}), FunctionType(source, {})
    with switch("once"):
        assert outcomes(lambda: first(add, ones(2), ones(3)), 1) == ["checked"]
        assert outcomes(lambda: second(add, ones(2), ones(3)), 1) == ["not checked"]


def test_once_is_over_when_the_first_call_was_right():
    def call(size):
        return add(ones(2), ones(size))

    with switch("once"):
        call(2)
        call(3)
    with pytest.raises(ShapeError):
        call(3)


def test_overlapping_blocks_of_two_threads_leave_no_trace():
    first = switch("off")
    first.__enter__()
    second = switch("once")
    second.__enter__()
    first.__exit__(None, None, None)
    assert mode.current() == "once"
    second.__exit__(None, None, None)
    assert mode.current() == "on"


def test_once_checks_each_place_that_calls_a_module():
    class Module(nn.Module):
        @guard(mode="once")
        def forward(self, x: Float[Tensor, "3"]):
            return x

    module = Module()
    module(ones(3))
    with pytest.raises(ShapeError):
        module(ones(4))
