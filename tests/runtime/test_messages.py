"""What a refused call says: the axis, both sizes, who bound the other one, the caller's line, and one sure hint."""

import sys

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shapeguard import ShapeError, guard


def refused(function, *arguments, **named):
    with pytest.raises(ShapeError) as caught:
        function(*arguments, **named)
    return str(caught.value)


def hint_of(message):
    lines = [line.strip() for line in message.splitlines() if line.strip().startswith("hint:")]
    assert len(lines) <= 1
    return lines[0].removeprefix("hint: ") if lines else None


@guard
def causal_lm_loss(logits: Float[Tensor, "batch seq vocab"], labels: Int[Tensor, "batch seq"]) -> Float[Tensor, ""]:
    return logits.sum()


def long(*sizes):
    return torch.zeros(sizes, dtype=torch.long)


def test_whole_message():
    line = sys._getframe().f_lineno + 1
    message = refused(causal_lm_loss, torch.zeros(2, 6, 11), long(2, 5))
    assert message.splitlines() == [
        "`labels` axis 1 is 5, expected seq = 6 (bound by `logits` axis 1)",
        f"    in causal_lm_loss(), called at {called_at(message)}",
        '    logits: f32[2, 6, 11]   "batch seq vocab"',
        '    labels: i64[2, 5]       "batch seq"',
        "    hint: labels look shifted by one; pass them unshifted",
    ]
    assert line


def called_at(message):
    return message.splitlines()[1].rpartition("called at ")[2]


def test_place_is_the_callers_line_and_no_line_of_ours_or_torchs():
    class Model(nn.Module):
        @guard
        def forward(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d"]:
            return x

    model = nn.Sequential(Model())
    try:
        model(torch.zeros(2))
    except ShapeError as error:
        place = called_at(str(error))
        assert place.endswith(f"test_messages.py:{sys._getframe().f_lineno - 3}")
        frames = []
        trace = error.__traceback__
        while trace:
            frames.append(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        # The last frame is the guard of `forward`; none of the machinery behind it is shown.
        assert frames[-1].startswith("<guard of Model.forward")
        assert not any("shapeguard/" in name for name in frames)


@guard
def score(hidden: Float[Tensor, "batch d"], weight: Float[Tensor, "d"]) -> Float[Tensor, "batch"]:
    return hidden @ weight


def test_trailing_axis_of_one():
    assert hint_of(refused(score, torch.zeros(4, 3, 1), torch.zeros(3))) == "`hidden.squeeze(-1)` is (4, 3)"


def test_axis_of_one_elsewhere():
    assert hint_of(refused(score, torch.zeros(4, 1, 3), torch.zeros(3))) == "`hidden.squeeze(1)` is (4, 3)"


def test_batch_of_one_squeezed_away():
    @guard
    def loss(reward: Float[Tensor, "batch"], target: Float[Tensor, "batch"]) -> None: ...

    hint = hint_of(refused(loss, torch.zeros(1, 1).squeeze(), torch.ones(1)))
    assert hint == "a batch of 1 was squeezed away; where it was made, use `.squeeze(-1)` instead of `.squeeze()`"
    # With a target of two, a batch of one is not what is missing.
    assert hint_of(refused(loss, torch.zeros(()), torch.ones(2))) is None


def test_missing_axis():
    @guard
    def attend(mask: Float[Tensor, "batch 1 t"], keys: Float[Tensor, "batch t d"]) -> None: ...

    assert hint_of(refused(attend, torch.zeros(2, 5), torch.zeros(2, 5, 8))) == "`mask.unsqueeze(1)` is (2, 1, 5)"


def test_transposed_argument_is_blamed_rather_than_the_innocent_one_after_it():
    @guard
    def pool(hidden: Float[Tensor, "batch seq d"], lengths: Int[Tensor, "batch"]) -> None: ...

    message = refused(pool, torch.zeros(7, 4, 16), long(4))
    assert message.startswith("`hidden` axis 0 is 7, expected batch = 4 (bound by `lengths` axis 0)")
    assert hint_of(message) == (
        "`hidden` looks sequence-first where batch-first is declared; `hidden.transpose(0, 1)` is (4, 7, 16)"
    )


def test_cyclic_order():
    @guard
    def conv(image: Float[Tensor, "batch 3 height width"]) -> None: ...

    assert hint_of(refused(conv, torch.zeros(2, 8, 9, 3))) == "`image.permute(0, 3, 1, 2)` is (2, 3, 8, 9)"


def test_the_one_against_all_is_blamed_wherever_it_stands():
    @guard
    def add(a: Float[Tensor, "n"], b: Float[Tensor, "n"], c: Float[Tensor, "n"]) -> None: ...

    sizes = [(5, 4, 4), (4, 5, 4), (4, 4, 5)]
    for wrong, (name, shapes) in enumerate(zip("abc", sizes, strict=True)):
        message = refused(add, *map(torch.zeros, shapes))
        assert message.startswith(f"`{name}` axis 0 is 5, expected n = 4"), wrong


def test_no_hint_where_two_changes_would_do():
    @guard
    def matmul(a: Float[Tensor, "n k"], b: Float[Tensor, "k m"]) -> None: ...

    message = refused(matmul, torch.zeros(2, 3), torch.zeros(2, 3))
    assert hint_of(message) is None
    assert message.startswith("`b` axis 0 is 2, expected k = 3 (bound by `a` axis 1)")


def test_wrong_kind_and_wrong_dtype():
    assert refused(score, [1.0], torch.zeros(3)).startswith("`hidden` is list, expected Tensor")
    assert refused(score, long(4, 3), torch.zeros(3)).startswith("`hidden` has dtype int64, expected Float")
    assert '    hidden: list of 1\n    weight: f32[3]      "d"' in refused(score, [1.0], torch.zeros(3))


def test_expression_and_variadic():
    @guard
    def split(x: Float[Tensor, "*batch d"], y: Float[Tensor, "*batch 2*d"]) -> None: ...

    assert refused(split, torch.zeros(2, 3, 4), torch.zeros(2, 3, 9)).startswith("`y` axis 2 is 9, expected 2*d = 8")
    assert refused(split, torch.zeros(2, 3, 4), torch.zeros(3, 3, 8)).startswith(
        "`y` has (3, 3) for *batch, expected (2, 3) (bound by `x`)"
    )


def test_scalar_result_that_should_have_an_axis():
    @guard
    def reduce(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return x.sum()

    message = refused(reduce, torch.zeros(3))
    assert message.startswith('`result` has 0 axes (), expected 1: "n"')
    assert hint_of(message) is None


def test_long_lists_are_cut():
    @guard
    def stack(xs: list[Float[Tensor, "n"]]) -> None: ...

    message = refused(stack, [torch.zeros(3)] * 30 + [torch.zeros(4)])
    assert message.startswith("`xs[30]` axis 0 is 4, expected n = 3 (bound by `xs[0]` axis 0)")
    assert "... and 19 more" in message
    assert len(message.splitlines()) < 20


def test_module_method_is_named_with_its_class():
    class Head(nn.Module):
        @guard
        def forward(self, x: Float[Tensor, "n"]) -> None: ...

    assert "in Head.forward(), called at " in refused(Head(), torch.zeros(1, 1))
