"""Every model and pooling under guard with distinct primes as sizes, and with each of them 1."""

import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny

from shapeguard.losses import bradley_terry_loss, causal_lm_loss, clipped_value_loss
from shapeguard.models import NextTokenLSTM, RewardModel, ValueHeadPolicy

PRIMES = {"batch": 3, "seq": 7, "width": 13, "vocab": 37}
SIZES = [PRIMES, *({**PRIMES, name: 1} for name in PRIMES), dict.fromkeys(PRIMES, 1)]


@pytest.fixture(params=SIZES, ids=lambda sizes: ",".join(map(str, sizes.values())))
def sizes(request):
    torch.manual_seed(0)
    return request.param


@pytest.fixture
def ids(sizes):
    return torch.randint(sizes["vocab"], (sizes["batch"], sizes["seq"]))


@pytest.fixture
def mask(ids):
    mask = torch.ones_like(ids)
    mask[0, : ids.size(1) // 2] = 0
    return mask


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_reward_model(sizes, ids, mask, pooling):
    model = RewardModel(tiny.gpt2(n_embd=sizes["width"], vocab_size=sizes["vocab"]), pooling=pooling)
    rewards = model(ids, mask)
    assert rewards.shape == (sizes["batch"],)
    bradley_terry_loss(rewards, rewards.flip(0)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("batch_first", [True, False])
def test_lstm(sizes, ids, batch_first):
    model = NextTokenLSTM(sizes["vocab"], sizes["width"], batch_first=batch_first)
    lengths = torch.randint(1, sizes["seq"] + 1, (sizes["batch"],))
    tokens = ids if batch_first else ids.T
    logits = model(tokens, lengths)
    assert logits.shape == (*tokens.shape, sizes["vocab"])
    rows = logits if batch_first else logits.transpose(0, 1)
    causal_lm_loss(rows, ids, when_empty="zero").backward()
    drawn = model.generate(tokens, 5, lengths=lengths, temperature=1)
    assert drawn.shape == ((sizes["batch"], 5) if batch_first else (5, sizes["batch"]))


def test_policy(sizes, ids, mask):
    policy = ValueHeadPolicy(tiny.gpt2(n_embd=sizes["width"], vocab_size=sizes["vocab"]))
    output = policy(ids, mask)
    assert output.logits.shape == (sizes["batch"], sizes["seq"], sizes["vocab"])
    assert output.values.shape == (sizes["batch"], sizes["seq"])
    scores = policy.score(ids, mask)
    assert [part.shape for part in scores] == [(sizes["batch"], sizes["seq"] - 1)] * 3
    loss = clipped_value_loss(scores.values, scores.values, scores.log_probs.detach(), scores.mask)
    loss.backward()
    assert loss.isfinite()
