"""What a refused call says: the axis, both sizes, who bound the other one, the caller's line, and one sure hint."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal
from unittest.mock import Mock

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shapeguard import ShapeError, expect, guard


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
    assert hint == "if a batch of 1 was squeezed away where this was made, use `.squeeze(-1)` instead of `.squeeze()`"
    # With a target of two, a batch of one is not what is missing.
    assert hint_of(refused(loss, torch.zeros(()), torch.ones(2))) is None

    @guard
    def reward(hidden: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        return hidden[:, :1].squeeze()  # noqa: SG101

    assert hint_of(refused(reward, torch.zeros(1, 3))) == hint


def test_a_word_that_is_none_of_those_asked_for_is_shown():
    @guard
    def pad(x: Float[Tensor, "n"], side: Literal["left", "right"], fill: Literal[0, "edge"] | None = None) -> None: ...

    x = torch.zeros(2)
    assert refused(pad, x, "middle").startswith("`side` is 'middle', expected Literal['left', 'right']\n")
    assert refused(pad, x, "left", 1).startswith("`fill` is 1, expected ")
    assert refused(pad, x, "left", x).startswith("`fill` is Tensor, expected ")


def test_no_batch_was_squeezed_away_where_none_is_asked_for():
    @guard
    def weigh(x: Float[Tensor, "n d"], w: Float[Tensor, "classes"]) -> None: ...

    @guard
    def one(y: Float[Tensor, "1"]) -> None: ...

    assert hint_of(refused(weigh, torch.zeros(2, 3), torch.zeros(()))) is None
    assert hint_of(refused(one, torch.zeros(()))) is None


def test_only_labels_of_a_sequence_look_shifted():
    @guard
    def classify(logits: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch"]) -> None: ...

    @guard
    def tag(
        x: Float[Tensor, "b seq"], label_lengths: Int[Tensor, "b seq"], target_mask: Int[Tensor, "b seq"]
    ) -> None: ...

    @guard
    def scalar(label: Int[Tensor, ""]) -> None: ...

    assert hint_of(refused(classify, torch.zeros(4, 7), long(3))) is None
    assert hint_of(refused(tag, torch.zeros(2, 6), long(2, 5), long(2, 6))) is None
    assert hint_of(refused(tag, torch.zeros(2, 6), long(2, 6), long(2, 5))) is None
    assert hint_of(refused(scalar, long(5))) is None


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


def test_no_hint_about_shapes_where_only_the_dtype_is_wrong():
    @guard
    def f(x: Float[Tensor, "b d"]) -> None: ...

    assert hint_of(refused(f, long(2, 3))) is None


def test_union_reports_the_option_that_comes_nearest():
    @guard
    def f(w: Float[Tensor, "d"], x: Float[Tensor, "b d"] | Float[Tensor, "b t d"]) -> None: ...

    message = refused(f, torch.zeros(3), torch.zeros(2, 5, 4))
    assert message.startswith("`x` axis 2 is 4, expected d = 3 (bound by `w` axis 0)")
    assert '    x: f32[2, 5, 4]   "b t d"' in message

    @guard
    def g(x: Int[Tensor, "b"] | Float[Tensor, "b 3"] | None) -> None: ...

    assert refused(g, torch.zeros(4)).startswith("`x` has dtype float32, expected Int")
    assert refused(g, torch.zeros(4, 2)).startswith("`x` axis 1 is 2, expected 3")
    assert '    x: f32[4, 2]   "b 3"' in refused(g, torch.zeros(4, 2))


def test_union_of_other_kinds_names_them_all_and_shows_the_value():
    @guard
    def f(x: Float[Tensor, "b"] | None = None, y: list[Float[Tensor, "b"]] | int | None = None) -> None: ...

    assert refused(f, "text").splitlines()[::2] == ["`x` is str, expected Tensor or None", "    x: str 'text'"]
    assert refused(f, y=2.5).startswith("`y` is float, expected list, int or None")
    message = refused(f, torch.zeros(2), [torch.zeros(2), torch.zeros(3)])
    assert message.startswith("`y[1]` axis 0 is 3, expected b = 2")
    assert '    y[1]: f32[3]   "b"' in message


def test_item_of_another_kind_is_named():
    @guard
    def f(x: Float[Tensor, "b"], ids: list[int] | None = None, names: tuple[str, ...] = ()) -> None: ...

    # beartype looks at one item by chance.
    messages = {first_refusal(f, torch.zeros(2), [0, 1, 2, "3", 4]) for _ in range(5)}
    assert messages == {"`ids[3]` is str, expected int"}
    assert first_refusal(f, torch.zeros(2), None, (1,)) == "`names[0]` is int, expected str"
    assert refused(f, torch.zeros(2), 3).startswith("`ids` is int, expected ")


def first_refusal(function, *arguments):
    """The sentence of the first refusal, where beartype may need several calls to see what is wrong."""
    while True:
        try:
            function(*arguments)
        except ShapeError as error:
            return str(error).splitlines()[0]


class Raising:
    dtype = torch.float32

    @property
    def shape(self):
        raise ValueError


def shape_is_none():
    value = Mock(dtype=torch.float32)
    value.shape = None
    return value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Mock(), "Mock"),
        (shape_is_none(), "Mock"),
        (Tensor, "the class Tensor"),
        (Raising(), "Raising whose sizes can't be read"),
        (nn.UninitializedParameter(), "UninitializedParameter whose sizes can't be read"),
    ],
)
def test_value_whose_sizes_cannot_be_read(value, kind):
    @guard
    def f(x: Float[Tensor, "b"]) -> None: ...

    @guard
    def g(x: Float[Any, "b"] | None) -> None: ...

    assert refused(f, value).startswith(f"`x` is {kind}, expected Tensor\n")
    assert refused(g, value).startswith(f"`x` is {kind}, expected an array or None\n")
    with pytest.raises(ShapeError, match=re.escape(f'`value` is {kind}, expected an array "b"')):
        expect(value, "b")


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensor_is_a_tensor():
    @guard
    def f(x: Tensor, y: Float[Tensor, "n"] | list[Float[Tensor, "n"]]) -> Tensor:
        return x

    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    assert f(nested, torch.zeros(3)) is nested
    assert f(nested, [torch.zeros(3)]) is nested
    assert hint_of(refused(f, nested, torch.zeros(3, 1))) == "`y.squeeze(-1)` is (3,)"


def test_named_number():
    @guard
    def f(x: Float[Tensor, "rows=4 #cols=3 d"], y: Float[Tensor, "k=2*d"]) -> None: ...

    assert refused(f, torch.zeros(5, 1, 2), torch.zeros(4)).startswith("`x` axis 0 is 5, expected rows = 4\n")
    assert refused(f, torch.zeros(4, 2, 2), torch.zeros(4)).startswith("`x` axis 1 is 2, expected cols = 3\n")
    assert refused(f, torch.zeros(4, 3, 2), torch.zeros(5)).startswith("`y` axis 0 is 5, expected 2*d = 4\n")


def test_sentence_is_about_the_culprit_where_expressions_of_others_find_it():
    @guard
    def f(x: Float[Tensor, "n"], y: Float[Tensor, "n-1"], w: Float[Tensor, "2*n"]) -> None: ...

    message = refused(f, torch.zeros(3), torch.zeros(3), torch.zeros(8))
    assert message.startswith("`x` axis 0 is 3, expected n = 4 (bound by `y` axis 0)")
    assert refused(f, torch.zeros(4), torch.zeros(9), torch.zeros(8)).startswith("`y` axis 0 is 9, expected n-1 = 3")
    # Where no `n` would do for the others, the first expression that fails is reported.
    assert refused(f, torch.zeros(3), torch.zeros(3), torch.zeros(9)).startswith("`y` axis 0 is 3, expected n-1 = 2")


def test_no_place_is_named_that_only_starts_threads():
    @guard
    def f(x: Float[Tensor, "n"]) -> None: ...

    with ThreadPoolExecutor(1) as pool:
        message = str(pool.submit(f, torch.zeros(2, 2)).exception())
    assert message.splitlines()[1].endswith("f()")

    def own(x):
        f(x)

    with ThreadPoolExecutor(1) as pool:
        assert "called at " in str(pool.submit(own, torch.zeros(2, 2)).exception())


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
    lines = message.splitlines()
    assert len(lines) < 20
    # However many there are, the one that the message is about is shown.
    assert lines[-2:] == ["    ... and 18 more", '    xs[30]: f32[4]   "n"']
    lines = refused(stack, [torch.zeros(3)] * 20 + [torch.zeros(4)] + [torch.zeros(3)] * 10).splitlines()
    assert lines[-3:] == ["    ... and 8 more", '    xs[20]: f32[4]   "n"', "    ... and 10 more"]


def test_module_method_is_named_with_its_class():
    class Head(nn.Module):
        @guard
        def forward(self, x: Float[Tensor, "n"]) -> None: ...

    assert "in Head.forward(), called at " in refused(Head(), torch.zeros(1, 1))
