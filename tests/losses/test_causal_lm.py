"""The causal loss equals that of transformers in every form it has had, and never turns into NaN."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers.loss.loss_utils import ForCausalLMLoss
from transformers.modeling_outputs import CausalLMOutput
from transformers.trainer_pt_utils import LabelSmoother

from shapeguard import ShapeError
from shapeguard.losses import causal_lm_loss, count_supervised

VOCAB = 11


def make(batch=3, seq=6, supervised=0.7, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, seq, VOCAB, generator=generator).to(dtype)
    labels = torch.randint(VOCAB, (batch, seq), generator=generator)
    labels[torch.rand(batch, seq, generator=generator) >= supervised] = -100
    return logits, labels


def with_gradient(loss, logits):
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits)
    value.backward()
    return value.detach(), logits.grad


def llava_loss(logits, labels, attention_mask):
    """The loss of LlavaForConditionalGeneration up to transformers 4.45, which leaves out what the mask does."""
    mask = attention_mask[..., 1:]
    return F.cross_entropy(logits[..., :-1, :][mask != 0], labels[..., 1:][mask != 0])


@given(st.integers(1, 4), st.integers(2, 9), st.sampled_from([0.1, 0.4, 0.8, 1.0]), st.integers(0, 999), st.booleans())
@settings(deadline=None, max_examples=25)
def test_equals_transformers(batch, seq, supervised, seed, accumulated):
    logits, labels = make(batch, seq, supervised, seed=seed)
    labels[0, 1] = 3
    items = torch.tensor(23) if accumulated else None
    ours = with_gradient(lambda x: causal_lm_loss(x, labels, num_items_in_batch=items), logits)
    theirs = with_gradient(lambda x: ForCausalLMLoss(x, labels, VOCAB, num_items_in_batch=items), logits)
    torch.testing.assert_close(ours, theirs)


@given(st.integers(1, 4), st.integers(2, 9), st.integers(0, 999), st.sampled_from(["left", "right", "holes"]))
@settings(deadline=None, max_examples=25)
def test_with_a_mask_equals_the_older_llava(batch, seq, seed, side):
    logits, labels = make(batch, seq, 0.9, seed=seed)
    lengths = torch.randint(1, seq + 1, (batch, 1), generator=torch.Generator().manual_seed(seed))
    lengths[0] = seq
    steps = torch.arange(seq)
    mask = {
        "left": steps >= seq - lengths,
        "right": steps < lengths,
        "holes": torch.rand(batch, seq, generator=torch.Generator().manual_seed(seed)) < 0.7,
    }[side].long()
    labels[0, 1], mask[0, 1] = 3, 1
    ours = with_gradient(lambda x: causal_lm_loss(x, labels, attention_mask=mask), logits)
    older = with_gradient(lambda x: llava_loss(x, labels, mask), logits)
    masked = with_gradient(lambda x: ForCausalLMLoss(x, labels.masked_fill(mask == 0, -100), VOCAB), logits)
    torch.testing.assert_close(ours, older)
    torch.testing.assert_close(ours, masked)
    assert torch.equal(ours[0], causal_lm_loss(logits, labels, attention_mask=mask.bool()))


@pytest.mark.parametrize("supervised", [0.3, 1.0])
def test_label_smoothing_equals_torch_and_transformers(supervised):
    logits, labels = make(supervised=supervised)
    ours = with_gradient(lambda x: causal_lm_loss(x, labels, label_smoothing=0.1), logits)
    plain = with_gradient(
        lambda x: F.cross_entropy(x[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), label_smoothing=0.1), logits
    )
    trainer = with_gradient(lambda x: LabelSmoother(0.1)({"logits": x}, labels, shift_labels=True), logits)
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(ours, trainer)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("supervised", [0.2, 1.0])
def test_half_precision_is_computed_in_float32(dtype, supervised):
    logits, labels = make(dtype=dtype, supervised=supervised)
    ours = with_gradient(lambda x: causal_lm_loss(x, labels), logits)
    theirs = with_gradient(lambda x: ForCausalLMLoss(x, labels, VOCAB), logits)
    assert ours[0].dtype == torch.float32
    assert ours[1].dtype == dtype
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("supervised", [0.2, 1.0])
def test_gradients_in_float64(supervised):
    logits, labels = make(dtype=torch.float64, supervised=supervised)
    assert torch.autograd.gradcheck(lambda x: causal_lm_loss(x, labels), logits.requires_grad_())


def test_under_autocast_and_no_grad():
    logits, labels = make()
    weight = torch.randn(VOCAB, VOCAB, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = causal_lm_loss(logits @ weight, labels)
    loss.backward()
    assert loss.dtype == torch.float32
    assert weight.grad.isfinite().all()
    with torch.no_grad():
        assert not causal_lm_loss(logits @ weight, labels).requires_grad


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_labels_of_any_integers(dtype):
    logits, labels = make()
    mask = torch.rand(labels.shape) < 0.8
    expected = causal_lm_loss(logits, labels, attention_mask=mask)
    torch.testing.assert_close(causal_lm_loss(logits, labels.to(dtype), attention_mask=mask.to(dtype)), expected)


def test_another_ignore_index():
    logits, labels = make()
    padded = labels.masked_fill(labels == -100, 0)
    expected = ForCausalLMLoss(logits, padded, VOCAB, ignore_index=0)
    torch.testing.assert_close(causal_lm_loss(logits, padded, ignore_index=0), expected)


@pytest.mark.parametrize("supervised", [0.4, 1.0])
def test_labels_and_their_tensors_are_left_as_they_were(supervised):
    logits, labels = make(supervised=supervised)
    before = logits.clone(), labels.clone()
    causal_lm_loss(logits, labels, attention_mask=labels > 3)
    assert torch.equal(logits, before[0])
    assert torch.equal(labels, before[1])


def test_logits_of_unsupervised_positions_do_not_matter():
    logits, labels = make(supervised=0.8)
    idle = torch.ones_like(labels, dtype=torch.bool)
    idle[:, :-1] = labels[:, 1:] == -100
    spoilt = torch.where(idle[..., None], torch.randn_like(logits) * 1e4, logits)
    clean, found = (with_gradient(lambda x: causal_lm_loss(x, labels), given) for given in (logits, spoilt))
    torch.testing.assert_close(clean, found)


@pytest.mark.parametrize(("supervised", "rows"), [(3, 3), (9, 9), (10, 18)])
def test_only_supervised_rows_are_scored_where_they_are_few(supervised, rows):
    logits, labels = make(supervised=0)
    places = [(row, column) for row in range(3) for column in range(1, 6)][:supervised]
    for place in places:
        labels[place] = 1
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: kept.append(saved) or saved, lambda saved: saved):
        loss = causal_lm_loss(logits.requires_grad_(), labels)
    assert max(saved.numel() for saved in kept) == rows * VOCAB
    torch.testing.assert_close(loss, ForCausalLMLoss(logits, labels, VOCAB))


NOTHING = {
    "one position": (2, 1, torch.tensor([[3], [4]])),
    "all ignored": (2, 4, torch.full((2, 4), -100)),
    "only the first": (2, 4, torch.tensor([[3, -100, -100, -100]] * 2)),
    "no rows": (0, 4, torch.zeros(0, 4, dtype=torch.long)),
    "no positions": (2, 0, torch.zeros(2, 0, dtype=torch.long)),
}


@pytest.mark.parametrize(("batch", "seq", "labels"), NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("items", [None, 0, torch.tensor(0), torch.tensor(0.0)])
def test_nothing_supervised_is_refused_or_costs_nothing(batch, seq, labels, items):
    logits = torch.randn(batch, seq, VOCAB)
    with pytest.raises(ValueError, match=r"no label is supervised.*when_empty='zero'"):
        causal_lm_loss(logits, labels, num_items_in_batch=items)
    value, gradient = with_gradient(
        lambda x: causal_lm_loss(x, labels, num_items_in_batch=items, when_empty="zero"), logits
    )
    assert value == 0
    assert torch.equal(gradient, torch.zeros_like(logits))


def test_nothing_supervised_among_others_costs_nothing():
    logits, labels = make()
    value, gradient = with_gradient(
        lambda x: causal_lm_loss(x, torch.full_like(labels, -100), num_items_in_batch=5), logits
    )
    assert value == 0
    assert torch.equal(gradient, torch.zeros_like(logits))
    assert causal_lm_loss(logits * float("nan"), torch.full_like(labels, -100), when_empty="zero") == 0


def test_a_number_of_items_that_cannot_be_is_refused():
    logits, labels = make()
    with pytest.raises(ValueError, match=rf"is 0, and this batch alone has {count_supervised(labels)} supervised"):
        causal_lm_loss(logits, labels, num_items_in_batch=torch.tensor(0))


@pytest.mark.parametrize("rows", [1, 2])
def test_accumulation_equals_one_big_batch(rows):
    logits, labels = make(batch=6, supervised=0.5)
    labels[2] = -100
    items = count_supervised(labels)
    assert items == (labels[:, 1:] != -100).sum()
    parts = [
        causal_lm_loss(logits[i : i + rows], labels[i : i + rows], num_items_in_batch=items) for i in range(0, 6, rows)
    ]
    torch.testing.assert_close(sum(parts), causal_lm_loss(logits, labels))


def test_counts_what_is_supervised():
    labels = torch.tensor([[1, 2, -100, 4], [-100, 2, 3, 0]])
    assert count_supervised(labels) == 5
    assert count_supervised(labels, torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])) == 4
    assert count_supervised(labels, ignore_index=0) == 5
    assert count_supervised(labels[:, :1]) == 0


@pytest.mark.parametrize("supervised", [0.3, 1.0])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({(1, 3): VOCAB}, r"labels[1, 3] is 11, outside the vocabulary of 11, 0 to 10"),
        ({(2, 1): 99, (2, 5): 12}, r"labels[2, 1] is 99, outside the vocabulary of 11, 0 to 10 (2 labels are)"),
        (
            {(0, 2): -1},
            r"labels[0, 2] is -1, outside the vocabulary of 11, 0 to 10; if it marks what is not supervised, pass ignore_index=-1",
        ),
    ],
)
def test_labels_outside_the_vocabulary_are_named(bad, message, supervised):
    logits, labels = make(supervised=supervised)
    for place, token in bad.items():
        labels[place] = token
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        causal_lm_loss(logits, labels)


def test_labels_that_nothing_predicts_may_be_anything():
    logits, labels = make()
    mask = torch.ones_like(labels)
    strange = labels.clone()
    strange[:, 0], strange[1, 4], mask[1, 4] = 99, -7, 0
    expected = causal_lm_loss(logits, labels, attention_mask=mask)
    assert torch.equal(causal_lm_loss(logits, strange, attention_mask=mask), expected)


def test_shifted_or_flattened_inputs_are_refused():
    logits, labels = make()
    with pytest.raises(ShapeError, match="hint: labels look shifted by one; pass them unshifted"):
        causal_lm_loss(logits, labels[:, 1:])  # noqa: SG502
    with pytest.raises(ShapeError, match="`labels` axis 1 is 6, expected seq = 5"):
        causal_lm_loss(logits[:, :-1], labels)
    with pytest.raises(ShapeError, match="`logits` has 2 axes"):
        causal_lm_loss(logits.flatten(0, 1), labels.flatten())
    with pytest.raises(ShapeError, match="`labels` has dtype float32"):
        causal_lm_loss(logits, labels.float())


def test_outputs_of_a_model_stand_for_their_logits():
    logits, labels = make()
    expected = causal_lm_loss(logits, labels)
    assert torch.equal(causal_lm_loss(CausalLMOutput(logits=logits), labels), expected)
    assert torch.equal(causal_lm_loss({"logits": logits}, labels), expected)
    with pytest.raises(ShapeError, match="axis 1 is 6, expected seq = 5"):
        causal_lm_loss(CausalLMOutput(logits=logits), labels[:, 1:])  # noqa: SG502
