"""`expect` and `reveal_shape` in a body."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

import shapeguard
from shapeguard import ShapeError, expect, guard, reveal_shape, switch
from shapeguard import expect as check


def test_names_are_those_of_the_call_around():
    @guard
    def body(x: Float[Tensor, "batch seq"]) -> None:
        hidden = expect(torch.ones(x.shape[0], x.shape[1], 4), "batch seq d")
        expect(hidden.sum(-1), "seq batch")

    body(torch.ones(3, 3))
    with pytest.raises(ShapeError, match=r"`hidden.sum\(-1\)` axis 0 is 2, expected seq = 3") as caught:
        body(torch.ones(2, 3))
    assert "`hidden.sum(-1).transpose(0, 1)` is (3, 2)" in str(caught.value)


def test_new_name_is_bound_for_later_calls_and_the_result():
    @guard
    def body(x: Float[Tensor, "n"], extra: int) -> Float[Tensor, "n m"]:
        expect(torch.ones(5), "m")
        expect(torch.ones(5), "m")
        return torch.ones(x.shape[0], 5 + extra)

    assert body(torch.ones(2), 0).shape == (2, 5)
    with pytest.raises(ShapeError, match="`result` axis 1 is 6, expected m = 5"):
        body(torch.ones(2), 1)


def test_helper_sees_the_names_of_the_guarded_caller():
    def helper(x):
        return expect(x, "n 2")

    @guard
    def body(x: Float[Tensor, "n"], wrong: int) -> Float[Tensor, "n 2"]:
        return helper(torch.ones(x.shape[0] + wrong, 2))

    assert body(torch.ones(3), 0).shape == (3, 2)
    with pytest.raises(ShapeError, match="axis 0 is 4, expected n = 3"):
        body(torch.ones(3), 1)


def test_inner_guarded_call_has_names_of_its_own():
    @guard
    def inner(x: Float[Tensor, "n"]) -> None:
        expect(x, "n")

    @guard
    def outer(x: Float[Tensor, "n"]) -> None:
        inner(torch.ones(7))
        expect(x, "n")

    outer(torch.ones(2))


def test_runs_expressions_and_arguments():
    @guard
    def body(x: Float[Tensor, "*batch d"], heads: int) -> None:
        expect(torch.ones(*x.shape[:-1], heads, x.shape[-1] // heads), "*batch {heads} d//{heads}")

    body(torch.ones(2, 3, 8), 4)


def test_outside_a_guarded_call_each_stands_alone():
    assert expect(torch.ones(2, 3), "a b").shape == (2, 3)
    expect(torch.ones(4, 4), "a a")
    with pytest.raises(ShapeError, match="axis 1 is 3, expected a = 2"):
        expect(torch.ones(2, 3), "a a")


def test_value_without_a_shape_is_refused():
    values = [1, 2]
    with pytest.raises(ShapeError) as caught:
        expect(values, "n")
    sentence, place = str(caught.value).splitlines()
    assert sentence == '`values` is list, expected an array "n"'
    assert place.startswith("    at ")
    assert place.endswith(f"test_expect.py:{sys._getframe().f_lineno - 4}")


def test_value_is_called_what_the_call_calls_it():
    a, b = torch.ones(2), torch.ones(3, 1)
    rows = {"(": b}
    with pytest.raises(ShapeError, match=r"^`b.repeat\(1, 2\)` has 2 axes"):
        _ = expect(a, "n"), expect(b.repeat(1, 2), "n")
    with pytest.raises(ShapeError, match=r"^`rows\['\('\]` has 2 axes"):
        expect(rows["("], "n")
    with pytest.raises(ShapeError, match=r"^`b` has 2 axes"):
        shapeguard.expect(shape="n", x=b)
    with pytest.raises(ShapeError, match=r"^`b` has 2 axes"):
        check(b, "n")
    with pytest.raises(ShapeError, match=r"^`b.repeat\(1, 2\)` has 2 axes"):
        expect(
            b.repeat(
                1,  # a comment (
                2,
            ),
            "n",
        )


def test_value_that_has_no_short_name_is_the_value():
    x, a_name_that_is_rather_long_for_a_tensor = torch.ones(2), torch.ones(3, 1)
    with pytest.raises(ShapeError) as caught:
        expect(a_name_that_is_rather_long_for_a_tensor.repeat(1, 1), "n")
    lines = str(caught.value).splitlines()
    assert lines[0] == 'the value has 2 axes (3, 1), expected 1: "n"'
    assert lines[2:] == ['    the value: [3, 1]   "n"', "    hint: `.squeeze(-1)` is (3,)"]
    for call in (lambda: expect(*(x, "n m")), lambda: list(map(expect, [x], ["n m"]))):
        with pytest.raises(ShapeError, match=r"^the value has 1 axis"):
            call()
    with pytest.raises(ShapeError, match=r"^the value has 1 axis"):
        exec("expect(x, 'n m')", {"expect": expect, "x": x})  # noqa: S102


def test_off_checks_nothing():
    with switch("off"):
        expect(torch.ones(2, 3), "n")


def test_after_the_slow_path_names_are_there_too():
    @guard
    def body(xs: list[Float[Tensor, "n"]], ids: Int[Tensor, "#n"]) -> None:
        expect(xs[0], "n")
        expect(torch.ones(3), "n")

    body([torch.ones(3)], torch.ones(1, dtype=torch.long))
    with pytest.raises(ShapeError, match="axis 0 is 3, expected n = 4"):
        body([torch.ones(4)], torch.ones(1, dtype=torch.long))


def test_reveal_shape_prints_where_what_and_returns(capsys):
    x = torch.ones(2, 3)
    assert reveal_shape(x) is x
    printed = capsys.readouterr().err
    assert "test_expect.py:" in printed
    assert printed.endswith(": x: f32[2, 3]\n")


def test_generators_have_names_of_their_own():
    @guard
    def rows(x: Float[Tensor, "n d"]) -> Iterator[Float[Tensor, "d"]]:
        for row in x:
            yield expect(row, "d")

    @guard
    def consume(y: Float[Tensor, "d"], items: object) -> float:
        return sum(float(item.sum()) for item in items)

    assert consume(torch.ones(7), rows(torch.ones(3, 4))) == 12

    @guard
    def short(x: Float[Tensor, "n d"]) -> Iterator[Any]:
        for row in x:
            yield expect(row[:2], "d")

    with pytest.raises(ShapeError, match="axis 0 is 2, expected d = 4"):
        next(short(torch.ones(3, 4)))


def test_async_generators_have_names_of_their_own():
    @guard
    async def rows(x: Float[Tensor, "n d"]) -> AsyncIterator[Any]:
        for row in x:
            yield expect(row[:2], "d")

    async def read():
        return [row async for row in rows(torch.ones(3, 4))]

    with pytest.raises(ShapeError, match="axis 0 is 2, expected d = 4"):
        asyncio.run(read())


def test_another_name_for_expect_binds_names_too():
    @guard
    def body(x: Float[Tensor, "n"]) -> Float[Tensor, "k"]:
        check(torch.ones(5), "k")
        return torch.ones(6)

    with pytest.raises(ShapeError, match="`result` axis 0 is 6, expected k = 5"):
        body(torch.ones(2))


def test_a_name_that_only_an_optional_or_stretched_argument_binds_is_known():
    @guard
    def optional(x: Float[Tensor, "_ _"], lengths: Float[Tensor, "batch"] | None = None) -> Any:
        return expect(x, "batch d")

    @guard
    def stretched(x: Float[Tensor, "_ _"], weights: Float[Tensor, "#batch"]) -> Any:
        return expect(x, "batch d")

    optional(torch.ones(3, 4))
    for body in (optional, stretched):
        body(torch.ones(3, 4), torch.ones(3))
        with pytest.raises(ShapeError, match="axis 0 is 3, expected batch = 5"):
            body(torch.ones(3, 4), torch.ones(5))
