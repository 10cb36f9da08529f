"""`expect` and `reveal_shape` in a body."""

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from shapeguard import ShapeError, expect, guard, reveal_shape, switch


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
    with pytest.raises(ShapeError, match='`x` is list, expected an array "n"'):
        expect([1, 2], "n")


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
