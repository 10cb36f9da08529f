"""PPO's pieces equal their textbook forms, and masked slots reach none of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shapeguard import ShapeError
from shapeguard.losses import (
    clipped_policy_loss,
    clipped_value_loss,
    estimate_kl,
    gae,
    masked_mean,
    masked_whiten,
)

PIECES = {
    "masked_mean": (1, masked_mean),
    "masked_whiten": (1, masked_whiten),
    "masked_whiten, mean kept": (1, lambda x, mask: masked_whiten(x, mask, shift_mean=False)),
    "gae": (2, lambda rewards, values, mask: torch.cat(gae(rewards, values, mask, 0.9, 0.8))),
    "gae, cut off": (
        2,
        lambda rewards, values, mask: torch.cat(
            gae(rewards, values, mask, 0.9, 0.8, last_values=torch.arange(1.0, 1.0 + len(mask)))
        ),
    ),
    "policy": (3, clipped_policy_loss),
    "policy, accumulated": (3, lambda *given: clipped_policy_loss(*given, num_items_in_batch=7)),
    "value": (3, clipped_value_loss),
    "k1": (2, lambda p, q, mask: estimate_kl(p, q, mask, "k1")),
    "k2": (2, lambda p, q, mask: estimate_kl(p, q, mask, "k2")),
    "k3": (2, lambda p, q, mask: estimate_kl(p, q, mask, "k3")),
}
GARBAGE = [float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 0.0, -7.0]
every_piece = pytest.mark.parametrize(("count", "piece"), PIECES.values(), ids=PIECES)
sizes = st.tuples(st.integers(0, 3), st.integers(0, 9))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def masks(draw, sizes=sizes):
    batch, seq = draw(sizes)
    rows = draw(st.lists(st.lists(st.booleans(), min_size=seq, max_size=seq), min_size=batch, max_size=batch))
    return torch.tensor(rows, dtype=torch.bool).view(batch, seq)


def make(seed, count, shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(dtype) for _ in range(count)]


def with_gradients(piece, inputs, mask):
    inputs = [given.clone().requires_grad_() for given in inputs]
    result = piece(*inputs, mask)
    weights = torch.arange(1.0, 1.0 + result.numel()).view(result.shape)
    gradients = torch.autograd.grad((result * weights).sum(), inputs, materialize_grads=True)
    return [result.detach(), *gradients]


@every_piece
@given(masks(), seeds, st.data())
@settings(deadline=None, max_examples=40)
def test_masked_slots_change_nothing(count, piece, mask, seed, data):
    inputs = make(seed, count, mask.shape)
    garbage = [
        torch.tensor(data.draw(st.lists(st.sampled_from(GARBAGE), min_size=mask.numel(), max_size=mask.numel())))
        for _ in inputs
    ]
    spoilt = [torch.where(mask, clean, other.view(mask.shape)) for clean, other in zip(inputs, garbage, strict=True)]
    clean, found = with_gradients(piece, inputs, mask), with_gradients(piece, spoilt, mask)
    assert all(a.isfinite().all() for a in found)
    assert all(map(torch.equal, clean, found))
    assert all((gradient[~mask] == 0).all() for gradient in found[1:])


@every_piece
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 5)])
def test_a_single_unmasked_token_works(count, piece, shape):
    mask = torch.zeros(shape, dtype=torch.long)
    mask[-1, shape[1] // 2] = 1
    results = with_gradients(piece, make(0, count, shape), mask)
    assert all(result.isfinite().all() for result in results)


@every_piece
@pytest.mark.parametrize("shape", [(0, 5), (2, 0), (0, 0), (2, 3)])
def test_nothing_unmasked_is_zero_with_zero_gradients(count, piece, shape):
    results = with_gradients(piece, make(0, count, shape), torch.zeros(shape, dtype=torch.bool))
    assert all((result == 0).all() for result in results)


@every_piece
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(count, piece, dtype):
    mask = torch.rand(3, 40) < 0.7
    inputs = make(1, count, mask.shape, dtype)
    result, *gradients = with_gradients(piece, inputs, mask)
    torch.testing.assert_close(result, piece(*(given.float() for given in inputs), mask))
    assert {gradient.dtype for gradient in gradients} == {dtype}


@every_piece
def test_gradients_in_float64(count, piece, request):
    mask = torch.tensor([[0, 1, 1, 0, 1], [1, 1, 1, 1, 1]], dtype=torch.bool)
    inputs = make(3, count, (2, 5), torch.float64)
    constants = 2 if request.node.callspec.id.startswith(("policy", "value")) else 0
    for differentiated in inputs[: count - constants]:
        differentiated.requires_grad_()
    assert torch.autograd.gradcheck(lambda *given: piece(*given, mask), inputs)


@every_piece
def test_a_mask_of_another_shape_is_refused(count, piece):
    with pytest.raises(ShapeError):
        piece(*make(0, count, (2, 5)), torch.ones(2, 1, dtype=torch.bool))
    with pytest.raises(ShapeError, match="`mask` has dtype float32"):
        piece(*make(0, count, (2, 5)), torch.zeros(2, 5))


def one_row(rewards, values, gamma, lam, last):
    """Advantages by their definition: a sum over all later steps."""
    following = [*values, last][1:]
    deltas = [r + gamma * f - v for r, f, v in zip(rewards, following, values, strict=True)]
    return [sum((gamma * lam) ** (s - t) * deltas[s] for s in range(t, len(deltas))) for t in range(len(deltas))]


@given(masks(), seeds, st.floats(0, 1), st.floats(0, 1), st.booleans())
@settings(deadline=None, max_examples=40)
def test_gae_is_that_of_each_row_without_its_masked_slots(mask, seed, gamma, lam, cut_off):
    rewards, values = make(seed, 2, mask.shape, torch.float64)
    last = torch.randn(len(mask), dtype=torch.float64) if cut_off else None
    advantages, returns = gae(rewards, values, mask, gamma, lam, last_values=last)
    assert (advantages[~mask] == 0).all()
    assert (returns[~mask] == 0).all()
    for row, kept in enumerate(mask):
        ends = last[row].item() if cut_off else 0.0
        expected = one_row(rewards[row][kept].tolist(), values[row][kept].tolist(), gamma, lam, ends)
        torch.testing.assert_close(advantages[row][kept], torch.tensor(expected, dtype=torch.float64))
        torch.testing.assert_close(returns[row][kept], advantages[row][kept] + values[row][kept])


@pytest.mark.parametrize("seq", [1, 2, 64, 100])
def test_gae_equals_the_loop_over_time_where_nothing_is_masked(seq):
    rewards, values = make(5, 2, (3, seq))
    gamma, lam, last, backwards = 0.99, 0.95, 0.0, []
    for t in reversed(range(seq)):
        following = values[:, t + 1] if t < seq - 1 else 0.0
        last = rewards[:, t] + gamma * following - values[:, t] + gamma * lam * last
        backwards.append(last)
    advantages, returns = gae(rewards, values, torch.ones(3, seq, dtype=torch.bool), gamma, lam)
    torch.testing.assert_close(advantages, torch.stack(backwards[::-1], 1))
    torch.testing.assert_close(returns, advantages + values)


def test_whitening_equals_the_plain_form_over_the_kept_values():
    mask = torch.rand(4, 30) < 0.6
    (values,) = make(2, 1, mask.shape)
    values = 3 * values + 100
    kept = values[mask]
    plain = (kept - kept.mean()) * torch.rsqrt(kept.var() + 1e-8)
    torch.testing.assert_close(masked_whiten(values, mask)[mask], plain)
    torch.testing.assert_close(masked_whiten(values, mask, shift_mean=False)[mask], plain + kept.mean())
    torch.testing.assert_close(masked_mean(values, mask), kept.mean())


def plain_policy_loss(log_probs, old, advantages, mask, low=0.2, high=0.2):
    ratio = torch.exp(log_probs - old)
    losses = torch.max(-advantages * ratio, -advantages * torch.clamp(ratio, 1 - low, 1 + high))
    return losses[mask].mean()


def plain_value_loss(values, old, returns, mask, clip=0.2):
    clipped = torch.clamp(values, old - clip, old + clip)
    return 0.5 * torch.max((values - returns) ** 2, (clipped - returns) ** 2)[mask].mean()


@given(masks(st.tuples(st.integers(1, 3), st.integers(1, 9))).filter(lambda mask: mask.any()), seeds)
@settings(deadline=None, max_examples=40)
def test_clipped_losses_equal_their_plain_forms(mask, seed):
    x, old, goal = make(seed, 3, mask.shape, torch.float64)
    for ours, plain in [
        (clipped_policy_loss, plain_policy_loss),
        (
            lambda *given: clipped_policy_loss(*given, clip=0.1, clip_high=0.4),
            lambda *given: plain_policy_loss(*given, 0.1, 0.4),
        ),
        (clipped_value_loss, plain_value_loss),
    ]:
        found = x.clone().requires_grad_()
        expected = x.clone().requires_grad_()
        results = ours(found, old, goal, mask), plain(expected, old, goal, mask)
        torch.testing.assert_close(*results)
        torch.testing.assert_close(
            *(torch.autograd.grad(r, i)[0] for r, i in zip(results, (found, expected), strict=True))
        )


@pytest.mark.parametrize("loss", [clipped_policy_loss, clipped_value_loss])
def test_what_a_loss_is_measured_against_gets_no_gradient(loss):
    inputs = [given.requires_grad_() for given in make(0, 3, (2, 4))]
    loss(*inputs, torch.ones(2, 4, dtype=torch.bool)).backward()
    assert inputs[0].grad.abs().sum() > 0
    assert inputs[1].grad is None
    assert inputs[2].grad is None


@pytest.mark.parametrize("advantage", [1.0, -1.0])
@pytest.mark.parametrize("log_ratio", [100.0, 1e4, -1e4])
def test_a_policy_that_has_moved_far_gives_no_nan(advantage, log_ratio):
    log_probs = torch.full((1, 1), log_ratio, requires_grad=True)
    mask = torch.ones(1, 1, dtype=torch.bool)
    loss = clipped_policy_loss(log_probs, torch.zeros(1, 1), torch.full((1, 1), advantage), mask)
    divergence = estimate_kl(log_probs, torch.zeros(1, 1), mask, "k3")
    (loss + divergence.sum()).backward()
    assert loss.isfinite()
    assert divergence.isfinite().all()
    assert log_probs.grad.isfinite().all()


@pytest.mark.parametrize(
    ("piece", "count"),
    [(masked_mean, 1), (clipped_policy_loss, 3), (clipped_value_loss, 3)],
    ids=["mean", "policy", "value"],
)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_micro_batches_add_up(piece, count, as_tensor):
    mask = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]])
    inputs = make(4, count, mask.shape)
    items = mask.sum() if as_tensor else int(mask.sum())
    parts = [
        piece(*(given[i : i + 1] for given in inputs), mask[i : i + 1], num_items_in_batch=items) for i in range(4)
    ]
    torch.testing.assert_close(sum(parts), piece(*inputs, mask))


def test_estimators_by_their_definitions():
    p, q = make(6, 2, (3, 4), torch.float64)
    mask = torch.ones(3, 4, dtype=torch.bool)
    ratio = (q - p).exp()
    torch.testing.assert_close(estimate_kl(p, q, mask, "k1"), -ratio.log())
    torch.testing.assert_close(estimate_kl(p, q, mask, "k2"), ratio.log() ** 2 / 2)
    torch.testing.assert_close(estimate_kl(p, q, mask), ratio - 1 - ratio.log())
    assert (estimate_kl(p, q, mask) >= 0).all()
    with pytest.raises(ShapeError, match="`estimator`"):
        estimate_kl(p, q, mask, "k4")


def test_estimators_estimate_what_they_say():
    """Expectations over a small vocabulary, worked out in full: weighted by the policy's own probabilities."""
    policy, reference = (given.log_softmax(1) for given in make(7, 2, (1, 6), torch.float64))
    mask = torch.ones(1, 6, dtype=torch.bool)

    def divergence(p, q):
        return (p.exp() * (p - q)).sum()

    def gradient(estimator):
        logits = policy.clone().requires_grad_()
        log_probs = logits.log_softmax(1)
        expected = (policy.exp() * estimate_kl(log_probs, reference, mask, estimator)).sum()
        return torch.autograd.grad(expected, logits)[0]

    def true_gradient(towards):
        logits = policy.clone().requires_grad_()
        return torch.autograd.grad(towards(logits.log_softmax(1)), logits)[0]

    exact = divergence(policy, reference)
    for estimator in ("k1", "k3"):
        torch.testing.assert_close((policy.exp() * estimate_kl(policy, reference, mask, estimator)).sum(), exact)
    torch.testing.assert_close(gradient("k1"), torch.zeros_like(policy))
    torch.testing.assert_close(gradient("k2"), true_gradient(lambda p: divergence(p, reference)))
    torch.testing.assert_close(gradient("k3"), true_gradient(lambda p: divergence(reference, p)))
