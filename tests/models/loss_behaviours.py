"""What the losses do, told as in `model_behaviours`; their own tests, in `tests/losses`, say far more of them."""

import pytest
import torch
from torch.nn import functional as F
from transformers.loss.loss_utils import ForCausalLMLoss

from shapeguard import ShapeError, losses
from shapeguard.losses.linear import linear_causal_lm_loss

close = torch.testing.assert_close
BEHAVIOURS = {}


def behaviour(function):
    BEHAVIOURS[function.__name__] = function
    return function


# Ranking


@behaviour
def pairs_cost_what_torch_says():
    for pairs in (5, 1):
        chosen, rejected, margin = torch.randn(3, pairs)
        expected = F.margin_ranking_loss(chosen, rejected, torch.ones(pairs), margin=0.3)
        close(losses.margin_ranking_loss(chosen, rejected, 0.3), expected)
        close(losses.MarginRankingLoss(0.3)(chosen, rejected), expected)
        difference = chosen - rejected - margin
        expected = -F.logsigmoid(difference).mean() + 0.1 * (chosen + rejected).square().mean()
        close(losses.bradley_terry_loss(chosen, rejected, margin, center=0.1), expected)
        close(losses.BradleyTerryLoss(0.7, center=0.1)(chosen, rejected, margin), expected)
        close(losses.BradleyTerryLoss(0.7)(chosen, rejected), -F.logsigmoid(chosen - rejected - 0.7).mean())


@behaviour
def columns_are_refused_and_made_scores_safely():
    for pairs in (3, 1):
        column, row = torch.randn(pairs, 1), torch.randn(pairs)
        for loss in (losses.margin_ranking_loss, losses.bradley_terry_loss):
            for sides in ((column, row), (row, column), (column, column)):
                with pytest.raises(ShapeError, match="expected 1"):
                    loss(*sides)
        assert torch.equal(losses.as_scores(column), column.flatten())
        assert torch.equal(losses.as_scores(row), row)


@behaviour
def no_pairs_cost_what_is_asked_for():
    none = torch.empty(0, requires_grad=True)
    for loss in (losses.margin_ranking_loss, losses.bradley_terry_loss):
        with pytest.raises(ValueError, match="there are no pairs"):
            loss(none, none)
        assert loss(none, none, when_empty="zero").item() == 0


# Causal language models


def text(batch=3, seq=7, vocab=11):
    torch.manual_seed(0)
    logits, labels = torch.randn(batch, seq, vocab, requires_grad=True), torch.randint(vocab, (batch, seq))
    return logits, labels


@behaviour
def labels_are_shifted_once():
    for batch, seq, vocab in ((3, 7, 11), (1, 7, 11), (3, 2, 1)):
        logits, labels = text(batch, seq, vocab)
        expected = ForCausalLMLoss(logits, labels, vocab)
        assert expected.isfinite()
        close(losses.causal_lm_loss(logits, labels), expected)
        close(losses.causal_lm_loss({"logits": logits}, labels), expected)


@behaviour
def ignored_and_masked_labels_cost_nothing():
    logits, labels = text()
    mask = torch.ones_like(labels)
    mask[0, :3], mask[1, 2:], mask[2, 4:] = 0, 0, 0
    ignored = labels.masked_fill(mask == 0, -100)
    for kept in (mask, mask.bool(), 5 * mask):
        close(losses.causal_lm_loss(logits, labels, attention_mask=kept), ForCausalLMLoss(logits, ignored, 11))
    close(losses.causal_lm_loss(logits, ignored.masked_fill(mask == 0, 3), ignore_index=3, attention_mask=mask),
          ForCausalLMLoss(logits, ignored.masked_fill(labels == 3, -100), 11))  # fmt: skip
    assert losses.count_supervised(labels, mask) == (ignored[:, 1:] != -100).sum()
    smooth = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), label_smoothing=0.1)
    close(losses.causal_lm_loss(logits, labels, label_smoothing=0.1), smooth)


@behaviour
def micro_batches_add_up():
    logits, labels = text()
    labels[0, 3:] = -100
    items = sum(losses.count_supervised(row) for row in labels.split(1))
    parts = [
        losses.causal_lm_loss(some, row, num_items_in_batch=items)
        for some, row in zip(logits.split(1), labels.split(1), strict=True)
    ]
    close(torch.stack(parts).sum(), losses.causal_lm_loss(logits, labels))


@behaviour
def nothing_supervised_and_labels_outside_are_told():
    logits, labels = text()
    nothing = torch.full_like(labels, -100)
    nothing[:, 0] = 4
    head = torch.randn(11, 11)

    def from_hidden(hidden, labels, **settings):
        return linear_causal_lm_loss(hidden, head, labels, **settings)

    for loss in (losses.causal_lm_loss, from_hidden):
        with pytest.raises(ValueError, match="no label is supervised"):
            loss(logits, nothing)
        zero = loss(logits, nothing, when_empty="zero")
        assert zero.item() == 0
        (gradient,) = torch.autograd.grad(zero, logits)
        assert (gradient == 0).all()
        for token in (11, -1):
            outside = labels.clone()
            outside[1, 2] = token
            with pytest.raises(ValueError, match=rf"labels\[1, 2\] is {token}, outside the vocabulary of 11"):
                loss(logits, outside)


@behaviour
def a_linear_head_gives_the_loss_and_gradients_of_its_logits():
    torch.manual_seed(0)
    parts = [torch.randn(*shape, requires_grad=True) for shape in ((3, 7, 5), (11, 5), (11,))]
    labels = torch.randint(11, (3, 7))
    labels[0, 2:5] = -100
    hidden, weight, bias = parts
    for scale, cap, smoothing in ((1.0, None, 0.0), (0.5, 3.0, 0.1)):
        logits = scale * F.linear(hidden, weight, bias)
        logits = logits if cap is None else cap * (logits / cap).tanh()
        expected = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), label_smoothing=smoothing)
        gradients = torch.autograd.grad(2 * expected, parts)
        for chunk in (None, 1, 4, 100):
            loss = linear_causal_lm_loss(
                *(hidden, weight, labels),
                bias=bias,
                logit_scale=scale,
                logit_softcap=cap,
                label_smoothing=smoothing,
                chunk_rows=chunk,
            )
            close(loss, expected)
            for gradient, right in zip(torch.autograd.grad(2 * loss, parts), gradients, strict=True):
                close(gradient, right)


# PPO


def steps(rows=3):
    torch.manual_seed(0)
    mask = torch.tensor([[0, 0, 1, 1, 0, 1, 1], [1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0]])[:rows]
    return [torch.randn(rows, 7) for _ in range(3)], mask


@behaviour
def advantages_are_those_of_a_loop():
    for rows in (3, 1):
        (rewards, values, _), mask = steps(rows)
        cut = torch.randn(rows)
        for last_values in (None, cut):
            found = losses.gae(rewards, values, mask, 0.9, 0.8, last_values=last_values)
            for row in range(rows):
                advantage, following = 0.0, 0.0 if last_values is None else cut[row].item()
                for place in reversed(mask[row].nonzero()[:, 0].tolist()):
                    delta = rewards[row, place] + 0.9 * following - values[row, place]
                    advantage, following = delta + 0.9 * 0.8 * advantage, values[row, place].item()
                    close(found.advantages[row, place], advantage)
                    close(found.returns[row, place], advantage + following)
            assert (found.advantages[mask == 0] == 0).all()
            assert (found.returns[mask == 0] == 0).all()


@behaviour
def ppo_losses_are_those_of_the_kept_slots():
    (new, old, advantages), mask = steps()
    kept = mask.bool()
    ratio = (new - old)[kept].exp()
    expected = -torch.minimum(advantages[kept] * ratio, advantages[kept] * ratio.clamp(0.8, 1.3)).mean()
    close(losses.clipped_policy_loss(new, old, advantages, mask, clip_high=0.3), expected)
    clipped = old[kept] + (new - old)[kept].clamp(-0.2, 0.2)
    errors = torch.maximum((new - advantages)[kept] ** 2, (clipped - advantages[kept]) ** 2)
    close(losses.clipped_value_loss(new, old, advantages, mask), errors.mean() / 2)
    for name, expected in (("k1", -ratio.log()), ("k2", ratio.log() ** 2 / 2), ("k3", ratio - 1 - ratio.log())):
        close(losses.estimate_kl(old, new, mask, name)[kept], expected)
    close(losses.masked_mean(new, mask), new[kept].mean())
    close(losses.masked_mean(new, mask, num_items_in_batch=23), new[kept].sum() / 23)
    white = losses.masked_whiten(new, mask)[kept]
    close(white, (new[kept] - new[kept].mean()) / new[kept].std())
    close(losses.masked_whiten(new, mask, shift_mean=False)[kept], white + new[kept].mean())


@behaviour
def masked_slots_change_nothing():
    inputs, mask = steps()
    spoilt = [part.masked_fill(mask == 0, torch.nan) for part in inputs]
    every = (
        lambda a, b, c: losses.gae(a, b, mask).advantages,
        lambda a, b, c: losses.gae(a, b, mask).returns,
        lambda a, b, c: losses.clipped_policy_loss(a, b, c, mask),
        lambda a, b, c: losses.clipped_value_loss(a, b, c, mask),
        lambda a, b, c: losses.estimate_kl(a, b, mask),
        lambda a, b, c: losses.masked_mean(a, mask),
        lambda a, b, c: losses.masked_whiten(a, mask),
        lambda a, b, c: losses.masked_whiten(a, mask, shift_mean=False),
    )
    for loss in every:
        found = []
        for given in (inputs, spoilt):
            leaves = [part.clone().requires_grad_() for part in given]
            value = loss(*leaves)
            gradients = torch.autograd.grad(value.square().sum(), leaves, allow_unused=True)
            found.append([value, *(gradient for gradient in gradients if gradient is not None)])
        for clean, dirty in zip(*found, strict=True):
            close(clean, dirty)


@behaviour
def what_is_measured_against_gets_no_gradient():
    inputs, mask = steps()
    for loss in (losses.clipped_policy_loss, losses.clipped_value_loss):
        leaves = [part.clone().requires_grad_() for part in inputs]
        gradients = torch.autograd.grad(loss(*leaves, mask), leaves, allow_unused=True)
        assert gradients[0].any()
        assert gradients[1:] == (None, None)


@behaviour
def one_kept_slot_is_enough():
    inputs, mask = steps()
    new, old, advantages = (part[2:, 3:4] for part in inputs)
    kept = mask[2:, 3:4]
    assert losses.masked_whiten(new, kept).item() == 0
    close(losses.masked_whiten(new, kept, shift_mean=False), new)
    assert losses.clipped_policy_loss(new, old, advantages, kept).isfinite()
    close(losses.gae(new, old, kept).advantages, new - old)
