"""What the models do, each behaviour a function that takes no argument and raises if it isn't so.

Every one runs under guard in a moment, so all of them can be run against every mutant. What the models equal is computed
here by hand, or by torch and transformers without shapeguard.
"""

import tempfile
from functools import cache

import pytest
import tiny
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import AutoModel, AutoModelForCausalLM

from shapeguard import models
from shapeguard.models import backbone, pooling

close = torch.testing.assert_close
BEHAVIOURS = {}


def behaviour(function):
    BEHAVIOURS[function.__name__] = function
    return function


def ragged(lengths=tiny.LENGTHS):
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(3, tiny.VOCAB, (length,), generator=generator).tolist() for length in lengths]


@cache
def made(family, kind):
    torch.manual_seed(0)
    return getattr(models, kind)(getattr(tiny, family)()).eval()


@torch.no_grad()
def lone_hidden(model, row):
    return model(input_ids=torch.tensor([row])).last_hidden_state[0]


# Pooling


@behaviour
def pooled_vectors_are_those_of_a_loop():
    hidden = torch.randn(3, 7, 13)
    for rows in (3, 1):
        real = torch.tensor([[0, 1, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1]]).bool()[:rows]
        last = torch.stack([states[keep][-1] for states, keep in zip(hidden[:rows], real, strict=True)])
        mean = torch.stack([states[keep].mean(0) for states, keep in zip(hidden[:rows], real, strict=True)])
        assert torch.equal(models.last_token(hidden[:rows], real), last)
        close(models.mean_token(hidden[:rows], real), mean)


@behaviour
def padding_reaches_no_vector_and_gets_no_gradient():
    hidden = torch.randn(2, 5, 3, requires_grad=True)
    real = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 0, 0, 0]]).bool()
    spoilt = hidden.detach().masked_fill(~real.unsqueeze(-1), torch.nan)
    for pool in (models.last_token, models.mean_token):
        assert torch.equal(pool(spoilt, real), pool(hidden.detach(), real))
        (gradient,) = torch.autograd.grad(pool(hidden, real).square().sum(), hidden)
        assert (gradient[~real] == 0).all()
        assert gradient[real].any()


@behaviour
def means_are_added_up_in_float32():
    hidden = torch.randn(64, 7, 13).bfloat16()
    mean = models.mean_token(hidden, torch.ones(64, 7, dtype=torch.bool))
    assert torch.equal(mean, hidden.double().mean(1).bfloat16())


# Rows


@behaviour
def rows_are_padded_on_the_side_that_is_asked_for():
    right, left = models.pad_rows([[4, 5], [6]], fill=9), models.pad_rows([[4, 5], [6]], side="left", fill=9)
    assert right.input_ids.tolist() == [[4, 5], [6, 9]]
    assert right.attention_mask.tolist() == [[1, 1], [1, 0]]
    assert left.input_ids.tolist() == [[4, 5], [9, 6]]
    assert left.attention_mask.tolist() == [[1, 1], [0, 1]]
    with pytest.raises(ValueError, match="row 1 is empty: drop it"):
        models.pad_rows([[4], []])


# The reward model


@behaviour
def rewards_are_those_of_each_row_alone():
    for family in ("gpt2", "bert"):
        model = made(family, "RewardModel")
        rows = ragged()
        states = [lone_hidden(model.backbone, row) for row in rows]
        weight = model.score.weight[0].detach()
        for side in ("left", "right"):
            model.pooling = "last"
            close(model(*models.pad_rows(rows, side=side)).detach(), torch.stack([row[-1] @ weight for row in states]))
            model.pooling = "mean"
            close(
                model(*models.pad_rows(rows, side=side)).detach(), torch.stack([row.mean(0) @ weight for row in states])
            )
        model.pooling = "last"


@behaviour
def rewards_do_not_depend_on_padding():
    for family in ("gpt2", "roberta"):
        model = made(family, "RewardModel")
        ids, mask = models.pad_rows(ragged(), fill=1)
        rewards = model(ids, mask)
        noise = torch.where(mask == 1, ids, torch.randint_like(ids, tiny.VOCAB))
        close(model(noise, mask), rewards)
        close(model(F.pad(ids, (2, 3), value=5), F.pad(mask, (2, 3))), rewards)
        close(model(ids, mask.bool()), rewards)


@behaviour
def a_batch_of_one_gives_one_reward():
    for family in ("gpt2", "bert"):
        for length in (1, 5):
            rewards = made(family, "RewardModel")(*models.pad_rows(ragged([length])))
            assert rewards.shape == (1,)


@behaviour
def token_types_go_with_their_tokens():
    model = made("bert", "RewardModel")
    rows, kinds = ragged([7, 3]), [[0, 0, 0, 1, 1, 1, 1], [0, 1, 1]]
    alone = [
        model(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long), torch.tensor([kind]))
        for row, kind in zip(rows, kinds, strict=True)
    ]
    padded = model(*models.pad_rows(rows, side="left"), models.pad_rows(kinds, side="left", fill=1).input_ids)
    close(padded, torch.cat(alone))
    assert not torch.allclose(padded, model(*models.pad_rows(rows, side="left")))


@behaviour
def rows_of_padding_alone_are_refused():
    ids, mask = models.pad_rows(ragged([3, 2]))
    mask[1] = 0
    for model in (made("gpt2", "RewardModel"), made("gpt2", "ValueHeadPolicy")):
        with pytest.raises(ValueError, match="row 1 is padding alone: drop it"):
            model(ids, mask)


@behaviour
def a_missing_mask_is_refused_where_ids_may_be_padding():
    ids = torch.tensor([[5, 4, 3]])
    for pad, eos, told in ((None, 3, "names no padding token"), (3, 3, "3 both pads"), (3, [7, 3], "3 both pads")):
        with pytest.raises(ValueError, match=f"attention_mask is missing.*{told}.*pass the attention_mask"):
            pooling.real_tokens(ids, None, tiny.llama(pad_token_id=pad, eos_token_id=eos))
    with pytest.raises(ValueError, match="row 0 holds the padding token 3, and attention_mask is missing"):
        pooling.real_tokens(ids, None, tiny.llama(pad_token_id=3, eos_token_id=2))
    assert pooling.real_tokens(ids, None, tiny.llama(pad_token_id=0, eos_token_id=2)).tolist() == [[True] * 3]


@behaviour
def nan_is_refused_by_row():
    ids, mask = models.pad_rows([[4, 5], [6]])
    for kind, told in (("RewardModel", "reward of NaN"), ("ValueHeadPolicy", "value of NaN")):
        model = getattr(models, kind)(tiny.gpt2()).eval()
        with torch.no_grad():
            next(model.parameters())[6] = torch.nan
        with pytest.raises(ValueError, match=f"row 1 has a {told}: look for NaN"):
            model(ids, mask)


@behaviour
def a_saved_reward_model_comes_back_equal():
    for family, how in (("gpt2", "mean"), ("bert", "last")):
        model = models.RewardModel(getattr(tiny, family)(), pooling=how).eval()
        rows = models.pad_rows(ragged())
        for saved in (model, model.bfloat16()):
            with tempfile.TemporaryDirectory() as folder:
                saved.save_pretrained(folder)
                loaded = models.RewardModel.from_pretrained(folder).eval()
            assert loaded.pooling == how
            assert loaded.score.weight.dtype == saved.score.weight.dtype
            assert torch.equal(loaded(*rows), saved(*rows))


@behaviour
def the_width_is_that_of_the_hidden_states():
    for family in ("gpt2", "llama", "opt"):
        model = AutoModel.from_config(getattr(tiny, family)())
        assert backbone.width_of(model) == lone_hidden(model, [3]).shape[-1]


# The LSTM


def plain_logits(model, rows):
    """What torch's own LSTM makes of one-hot rows with the same weights."""
    recurrent = model.lstm
    plain = nn.LSTM(model.vocab, recurrent.hidden_size, recurrent.num_layers, bias=recurrent.bias, batch_first=True)
    weights = recurrent.state_dict() | {"weight_ih_l0": model.table.weight.detach().T}
    plain.load_state_dict(weights)
    states, _ = plain(F.one_hot(rows, model.vocab).float())
    return F.linear(states, model.head.weight, model.head.bias)


def lstm_and_rows(**settings):
    torch.manual_seed(0)
    model = models.NextTokenLSTM(**{"vocab": 11, "hidden": 5, **settings}).eval()
    return model, torch.randint(model.vocab, (3, 7)), torch.tensor([4, 7, 2])


@behaviour
def ids_equal_one_hot_rows_through_a_plain_lstm():
    for settings in ({}, {"layers": 2, "bias": False}, {"vocab": 1, "hidden": 1}):
        model, rows, _ = lstm_and_rows(**settings)
        for some in (rows, rows[:1], rows[:, :1], rows[:1, :1]):
            expected = plain_logits(model, some)
            assert torch.equal(model(some), expected)
            assert torch.equal(model(F.one_hot(some, model.vocab)), expected)
            assert torch.equal(model(F.one_hot(some, model.vocab).float()), expected)


@behaviour
def sequence_first_gives_the_same_numbers():
    model, rows, lengths = lstm_and_rows()
    expected, drawn = model(rows, lengths), model.generate(rows, 3, lengths=lengths)
    model.batch_first = False
    close(model(rows.T, lengths), expected.transpose(0, 1))
    close(model(F.one_hot(rows.T, 11), lengths), expected.transpose(0, 1))
    assert torch.equal(model.generate(rows.T, 3, lengths=lengths), drawn.T)


@behaviour
def padded_and_packed_rows_give_the_logits_of_each_alone():
    model, rows, lengths = lstm_and_rows(layers=2)
    alone = [plain_logits(model, row[:length].unsqueeze(0))[0] for row, length in zip(rows, lengths, strict=True)]
    rows[torch.arange(7) >= lengths.unsqueeze(1)] = -100
    lengths[1], rows[1, 6], alone[1] = 6, -100, alone[1][:6]  # no row is as long as the batch
    padded = model(rows, lengths)
    packed = model(pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False))
    unpacked, _ = pad_packed_sequence(packed, batch_first=True, total_length=7)
    for logits in (padded, unpacked):
        assert logits.shape == (3, 7, 11)
        for row, length, expected in zip(logits, lengths, alone, strict=True):
            close(row[:length], expected)
            assert (row[length:] == 0).all()


@behaviour
def the_head_sees_real_tokens_only():
    model, rows, lengths = lstm_and_rows()
    seen = []
    model.head.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].numel()))
    model(rows, lengths)
    assert seen == [13 * 5]


@behaviour
def one_hot_rows_get_their_gradient_and_the_input_weight_none():
    model, rows, lengths = lstm_and_rows()
    one_hot = F.one_hot(rows, 11).float().requires_grad_()
    model(one_hot, lengths).square().sum().backward()
    assert one_hot.grad.any()
    assert model.table.weight.grad.any()
    assert model.lstm.weight_ih_l0.grad is None


@behaviour
def what_is_no_token_is_refused():
    model, rows, lengths = lstm_and_rows()
    one_hot = F.one_hot(rows, 11).float()
    for bad in (rows - 1, rows + 1):
        with pytest.raises(ValueError, match="ids must be 0 to 10, and these go from"):
            model(bad)
    for bad in (one_hot * 2, one_hot * 0, one_hot + F.one_hot((rows + 1) % 11, 11), one_hot - 0.5 * one_hot.roll(1, 2)):
        with pytest.raises(ValueError, match="a row isn't one-hot"):
            model(bad)
    for bad, told in (([0, 7, 2], "row 0 has length 0"), ([4, 7, 8], "row 2 has length 8")):
        with pytest.raises(ValueError, match=f"{told}, and rows are 1 to 7 tokens long"):
            model(rows, torch.tensor(bad))
    with pytest.raises(ValueError, match="rows are 0 tokens long"):
        model(rows[:, :0])
    for bad in ({"count": 0}, {"count": 1, "temperature": -1}, {"count": 1, "top_k": 12}, {"count": 1, "top_k": -1}):
        with pytest.raises(ValueError, match="generate takes a count of at least 1"):
            model.generate(rows, **bad)
    assert model(one_hot.where(torch.arange(7)[:, None] < lengths[:, None, None], 0), lengths).shape == (3, 7, 11)


@behaviour
def greedy_tokens_are_the_likeliest_one_after_another():
    for settings in ({}, {"layers": 2, "dropout": 0.5}):
        model, rows, lengths = lstm_and_rows(**settings)
        drawn = model.train().generate(rows, 5, lengths=lengths)
        assert model.training
        assert torch.equal(model.generate(rows[:1, :4], 5), drawn[:1])
        for row, length, tokens in zip(rows, lengths, drawn, strict=True):
            text = row[:length]
            for token in tokens:
                assert plain_logits(model, text.unsqueeze(0))[0, -1].argmax() == token
                text = torch.cat([text, token.unsqueeze(0)])


@behaviour
def draws_follow_temperature_and_top_k():
    logits = torch.tensor([[0.0, 2.0, 1.0, -1.0]]).repeat(20_000, 1)
    drawn = models.lstm.draw(logits, 0.5, 3, torch.Generator().manual_seed(0))
    share = drawn.bincount(minlength=4) / len(drawn)
    expected = torch.tensor([0.0, 4.0, 2.0, -torch.inf]).softmax(0)
    close(share, expected, atol=0.01, rtol=0)
    model, rows, _ = lstm_and_rows()
    first, second, other = (
        model.generate(rows, 9, temperature=2, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert model.generate(rows[:1], 1, temperature=1).shape == (1, 1)
    assert torch.equal(model.generate(rows, 4, temperature=3, top_k=1), model.generate(rows, 4))


# The policy


@behaviour
def logits_and_values_are_those_of_each_row_alone():
    for family in ("gpt2", "opt"):
        policy = made(family, "ValueHeadPolicy")
        rows = ragged()
        for side in ("left", "right"):
            ids, mask = models.pad_rows(rows, side=side, fill=5)
            with torch.no_grad():
                logits, values = policy(ids, mask)
            assert values.shape == ids.shape
            assert (values[mask == 0] == 0).all()
            for row, keep, its_logits, its_values in zip(rows, mask.bool(), logits, values, strict=True):
                with torch.no_grad():
                    expected = policy.model(torch.tensor([row])).logits[0]
                states = lone_hidden(policy.model.base_model, row)
                close(its_logits[keep], expected)
                close(its_values[keep], (states @ policy.value.weight[0] + policy.value.bias).detach())


@behaviour
def actions_are_scored_in_the_state_before_them():
    policy = made("gpt2", "ValueHeadPolicy")
    rows = ragged()
    for side in ("left", "right"):
        ids, mask = models.pad_rows(rows, side=side, fill=5)
        with torch.no_grad():
            scores, values = policy.score(ids, mask, temperature=0.7), policy(ids, mask).values
        for number, (row, keep) in enumerate(zip(rows, scores.mask, strict=True)):
            with torch.no_grad():
                log_probs = (policy.model(torch.tensor([row])).logits[0] / 0.7).log_softmax(-1)
            expected = [log_probs[place, token] for place, token in enumerate(row[1:])]
            assert keep.sum() == len(row) - 1
            close(scores.log_probs[number][keep], torch.stack(expected) if expected else torch.empty(0))
            close(scores.values[number][keep], values[number][mask[number].bool()][:-1])
        assert (scores.log_probs[~scores.mask] == 0).all()
        assert (scores.values[~scores.mask] == 0).all()
    close(policy.score(ids, mask).log_probs, policy.score(ids, mask, temperature=1.0).log_probs)
    assert [part.shape for part in policy.score(ids[:1, :1], mask[:1, :1])] == [torch.Size([1, 0])] * 3


@behaviour
def log_probs_of_bfloat16_logits_are_those_of_float32():
    logits, actions = torch.randn(2, 3, 1009).bfloat16(), torch.randint(1009, (2, 3))
    exact = logits.double().log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    close(models.value_head.log_probs_of(logits, actions).double(), exact, atol=1e-5, rtol=0)


@behaviour
def positions_begin_where_the_model_begins_them():
    model = AutoModelForCausalLM.from_config(tiny.roberta(is_decoder=True)).eval()
    policy, row = models.ValueHeadPolicy(model).eval(), torch.tensor([[5, 9, 4]])
    close(policy(row, torch.ones_like(row)).logits, model(row).logits)


@behaviour
def the_value_head_trains_and_generate_passes_through():
    policy = models.ValueHeadPolicy(tiny.gpt2()).eval()
    ids, mask = models.pad_rows([[4, 5], [6]], side="left")
    policy(ids, mask).values.sum().backward()
    assert policy.value.weight.grad.any()
    assert policy.model.transformer.h[0].attn.c_attn.weight.grad.any()
    settings = {"attention_mask": mask, "max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
    assert torch.equal(policy.generate(ids, **settings), policy.model.generate(ids, **settings))
