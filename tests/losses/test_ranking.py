"""Losses over pairs equal torch's and TRL's, and refuse what would broadcast."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from shapeguard import ShapeError
from shapeguard.losses import (
    BradleyTerryLoss,
    MarginRankingLoss,
    as_scores,
    bradley_terry_loss,
    margin_ranking_loss,
)

scores = st.lists(st.tuples(st.floats(-50, 50, width=32), st.floats(-50, 50, width=32)), min_size=1, max_size=7).map(
    lambda pairs: torch.tensor(pairs).unbind(1)
)
margins = st.floats(-3, 3, width=32)


def trl_reward_loss(chosen, rejected, margin=0.0, center=0.0):
    return -F.logsigmoid(chosen - rejected - margin).mean() + center * torch.mean((chosen + rejected) ** 2)


def with_gradients(loss, *inputs):
    inputs = [given.detach().clone().requires_grad_() for given in inputs]
    value = loss(*inputs)
    value.backward()
    return [value.detach(), *(given.grad for given in inputs)]


@given(scores, margins)
@settings(deadline=None, max_examples=40)
def test_margin_ranking_equals_torch(pairs, margin):
    ours = with_gradients(lambda a, b: margin_ranking_loss(a, b, margin), *pairs)
    theirs = with_gradients(lambda a, b: F.margin_ranking_loss(a, b, torch.ones_like(a), margin), *pairs)
    torch.testing.assert_close(ours, theirs)


@given(scores, margins, st.floats(0, 1, width=32))
@settings(deadline=None, max_examples=40)
def test_bradley_terry_equals_trl(pairs, margin, center):
    ours = with_gradients(lambda a, b: bradley_terry_loss(a, b, margin, center=center), *pairs)
    theirs = with_gradients(lambda a, b: trl_reward_loss(a, b, margin, center), *pairs)
    torch.testing.assert_close(ours, theirs)


def test_a_margin_for_each_pair():
    chosen, rejected, margin = torch.randn(3, 5)
    torch.testing.assert_close(bradley_terry_loss(chosen, rejected, margin), trl_reward_loss(chosen, rejected, margin))
    each = [
        F.margin_ranking_loss(c, r, torch.tensor(1.0), m.item())
        for c, r, m in zip(chosen, rejected, margin, strict=True)
    ]
    torch.testing.assert_close(margin_ranking_loss(chosen, rejected, margin), torch.stack(each).mean())
    with pytest.raises(ShapeError, match=r"`margin` .*\(bound by `chosen` axis 0\)"):
        bradley_terry_loss(chosen, rejected, margin[:1])


def test_the_hinge_itself_has_the_gradient_that_torch_gives_it():
    chosen, rejected = torch.tensor([2.0, 1.0]), torch.tensor([1.0, 1.0])
    ours = with_gradients(lambda a, b: margin_ranking_loss(a, b, 1.0), chosen, rejected)
    theirs = with_gradients(lambda a, b: F.margin_ranking_loss(a, b, torch.ones(2), 1.0), chosen, rejected)
    assert ours[0] == 0.5
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("difference", [1e2, 1e4, 1e30])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("loss", [margin_ranking_loss, bradley_terry_loss])
def test_large_differences_stay_finite(loss, difference, sign):
    value, *gradients = with_gradients(loss, torch.tensor([sign * difference]), torch.tensor([0.0]))
    torch.testing.assert_close(value, torch.tensor(0.0 if sign > 0 else difference))
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", [margin_ranking_loss, lambda a, b: bradley_terry_loss(a, b, center=0.01)])
def test_half_precision_is_computed_in_float32(loss, dtype):
    chosen, rejected = (3000 * torch.randn(2, 9)).to(dtype)
    value, *gradients = with_gradients(loss, chosen, rejected)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(chosen.float(), rejected.float()))
    assert [gradient.dtype for gradient in gradients] == [dtype, dtype]


@pytest.mark.parametrize("loss", [margin_ranking_loss, bradley_terry_loss, MarginRankingLoss(), BradleyTerryLoss()])
@pytest.mark.parametrize("pairs", [1, 4])
def test_a_column_of_scores_is_refused_with_the_fix(loss, pairs):
    head = nn.Linear(3, 1)
    chosen, rejected = head(torch.randn(pairs, 3)), head(torch.randn(pairs, 3))
    with pytest.raises(ShapeError, match=rf"hint: `chosen.squeeze\(-1\)` is \({pairs},\)"):
        loss(chosen, rejected)
    assert loss(as_scores(chosen), as_scores(rejected)).shape == ()
    with pytest.raises(ShapeError, match="if a batch of 1 was squeezed away"):
        loss(chosen[:1].squeeze(), rejected[:1].squeeze())


@pytest.mark.parametrize("loss", [margin_ranking_loss, bradley_terry_loss])
def test_sides_of_unequal_length_are_refused(loss):
    with pytest.raises(ShapeError, match="`rejected` axis 0 is 1, expected pairs = 4"):
        loss(torch.randn(4), torch.randn(1))


@pytest.mark.parametrize("loss", [margin_ranking_loss, bradley_terry_loss])
def test_no_pairs_are_refused_or_cost_nothing(loss):
    empty = torch.zeros(0)
    with pytest.raises(ValueError, match="when_empty='zero'"):
        loss(empty, empty)
    value, *gradients = with_gradients(lambda a, b: loss(a, b, when_empty="zero"), empty, empty)
    assert value == 0
    assert [gradient.shape for gradient in gradients] == [(0,), (0,)]


@pytest.mark.parametrize("loss", [margin_ranking_loss, lambda a, b: bradley_terry_loss(a, b, 0.5, center=0.1)])
@pytest.mark.parametrize("pairs", [1, 5])
def test_gradients_in_float64(loss, pairs):
    inputs = [torch.randn(pairs, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(loss, inputs)


def test_modules_hold_their_settings():
    chosen, rejected, margin = torch.randn(3, 6)
    module = BradleyTerryLoss(0.5, center=0.1)
    torch.testing.assert_close(module(chosen, rejected), bradley_terry_loss(chosen, rejected, 0.5, center=0.1))
    torch.testing.assert_close(
        module(chosen, rejected, margin), bradley_terry_loss(chosen, rejected, margin, center=0.1)
    )
    torch.testing.assert_close(
        MarginRankingLoss(2.0)(chosen, rejected), nn.MarginRankingLoss(2.0)(chosen, rejected, torch.ones(6))
    )
    assert MarginRankingLoss(when_empty="zero")(chosen[:0], rejected[:0]) == 0
    assert repr(module) == "BradleyTerryLoss(margin=0.5, center=0.1, when_empty='error')"
    assert repr(MarginRankingLoss(2.0)) == "MarginRankingLoss(margin=2.0, when_empty='error')"


@pytest.mark.parametrize("pairs", [0, 1, 5])
def test_scores_of_a_head_lose_their_last_axis_only(pairs):
    column = torch.randn(pairs, 1, requires_grad=True)
    assert as_scores(column).tolist() == [row[0] for row in column.tolist()]
    assert as_scores(as_scores(column)).shape == (pairs,)
    as_scores(column).sum().backward()
    assert column.grad.tolist() == [[1.0]] * pairs


@pytest.mark.parametrize("shape", [(), (1, 3), (3, 2), (3, 1, 1), (2, 0)])
def test_what_is_no_scores_is_refused(shape):
    with pytest.raises(ShapeError, match="`scores`"):
        as_scores(torch.zeros(shape))
