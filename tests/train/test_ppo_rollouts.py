"""Responses: how they are drawn, laid out, scored, and what is learned from them."""

import math
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny_ppo

from shapeguard.train.drawing import _Draw, draw_responses, random_numbers
from shapeguard.train.experience import _pick
from shapeguard.train.kl_control import adapt_coefficient
from shapeguard.train.rollouts import Actions, Rows, lay_out, learn_from, score_actions, share

PROMPTS = [[3, 4, 5, 6], [7], [8, 9]]


@pytest.fixture(scope="module")
def policy():
    return tiny_ppo.make_policy(tiny_ppo.make_tokenizer()).eval()


def drawn(scores, numbers, temperature=1.0):
    draw = _Draw(torch.tensor(numbers, dtype=torch.float64).unsqueeze(1), 1, temperature)
    return draw(torch.zeros(len(numbers), 1, dtype=torch.long), scores.expand(len(numbers), -1)).argmax(dim=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature):
    scores = torch.tensor([0.3, -1.0, 2.0, 0.0, -torch.inf])
    numbers = [(place + 0.5) / 1000 for place in range(1000)]
    counts = drawn(scores, numbers, temperature).bincount(minlength=5)
    assert torch.allclose(counts / 1000, (scores / temperature).softmax(dim=0), atol=0.0015)


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
def test_a_token_without_probability_is_never_drawn(number):
    scores = torch.tensor([-torch.inf, 1.0, 2.0, -torch.inf])
    assert drawn(scores, [number]).item() in (1, 2)


def test_neighbours_change_no_response(policy):
    numbers = [random_numbers(name, 6) for name in "xyz"]
    together = draw_responses(policy, PROMPTS, numbers, ends=(), temperature=1.0)
    apart = [
        draw_responses(policy, [prompt], [row], ends=(), temperature=1.0)[0]
        for prompt, row in zip(PROMPTS, numbers, strict=True)
    ]
    assert together == apart
    assert len({tuple(response) for response in together}) == 3


def test_a_response_goes_up_to_the_first_token_that_ends_it(policy):
    numbers = [random_numbers(name, 8) for name in "xyz"]
    whole = draw_responses(policy, PROMPTS, numbers, ends=(), temperature=1.0)
    ends = {whole[0][2], whole[1][0]}
    for response, uncut in zip(
        draw_responses(policy, PROMPTS, numbers, ends=ends, temperature=1.0), whole, strict=True
    ):
        last = next((place for place, token in enumerate(uncut) if token in ends), 7)
        assert response == uncut[: last + 1]


def test_prompts_stand_left_and_responses_right():
    rows = lay_out(PROMPTS, [[1], [2, 1, 0], [1, 1]])
    assert rows.input_ids.tolist() == [[3, 4, 5, 6, 1, 0, 0], [0, 0, 0, 7, 2, 1, 0], [0, 0, 8, 9, 1, 1, 0]]
    assert rows.attention_mask.tolist() == [[1, 1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 0]]
    assert rows.mask.tolist() == [[True, False, False], [True, True, True], [True, True, False]]


def test_each_action_is_scored_in_the_state_it_was_taken_in(policy):
    responses = [[1], [2, 1, 4], [1, 1]]
    rows = lay_out(PROMPTS, responses)
    with torch.no_grad():
        actions = score_actions(policy, rows.input_ids, rows.attention_mask, 3, 0.7)
        for row, (prompt, response) in enumerate(zip(PROMPTS, responses, strict=True)):
            alone = torch.tensor([prompt + response])
            logits, values = policy(alone, torch.ones_like(alone))
            states = range(len(prompt) - 1, len(prompt) + len(response) - 1)
            expected = [(logits[0, at] / 0.7).log_softmax(dim=0)[alone[0, at + 1]].item() for at in states]
            assert actions.log_probs[row][rows.mask[row]].tolist() == pytest.approx(expected, abs=1e-5)
            assert actions.values[row][rows.mask[row]].tolist() == pytest.approx(
                values[0, list(states)].tolist(), abs=1e-5
            )


def reference(rows, log_probs, values, reference_log_probs, scores, coefficient, gamma, lam):
    """What `learn_from` does, step by step."""
    advantages, returns = torch.zeros(rows.mask.shape), torch.zeros(rows.mask.shape)
    kept = []
    for row in range(len(rows.mask)):
        steps = int(rows.mask[row].sum())
        advantage = 0.0
        for step in reversed(range(steps)):
            reward = -coefficient * (log_probs[row, step] - reference_log_probs[row, step])
            if step == steps - 1:
                reward = reward + scores[row]
            following = values[row, step + 1] if step + 1 < steps else 0.0
            advantage = reward + gamma * following - values[row, step] + gamma * lam * advantage
            advantages[row, step] = advantage
            returns[row, step] = advantage + values[row, step]
            kept.append(float(advantage))
    mean = sum(kept) / len(kept)
    spread = math.sqrt(sum((value - mean) ** 2 for value in kept) / (len(kept) - 1))
    return torch.where(rows.mask, (advantages - mean) / spread, 0), returns


def test_advantages_and_returns_are_those_of_a_loop():
    torch.manual_seed(0)
    rows = lay_out(PROMPTS, [[1], [2, 1, 4], [1, 1]])
    log_probs, values, other = torch.randn(3, 3, 3)
    scores = torch.randn(3)
    learned = learn_from(rows, Actions(log_probs, values), other, scores, coefficient=0.3, gamma=0.9, lam=0.8)
    advantages, returns = reference(rows, log_probs, values, other, scores, 0.3, 0.9, 0.8)
    assert torch.allclose(learned.advantages, advantages, atol=1e-5)
    assert torch.allclose(learned.returns, returns, atol=1e-5)


def test_what_stands_at_padding_teaches_nothing():
    torch.manual_seed(0)
    rows = lay_out(PROMPTS, [[1], [2, 1, 4], [1, 1]])
    log_probs, values, other = torch.randn(3, 3, 3)
    spoiled = [part.masked_fill(~rows.mask, torch.nan) for part in (log_probs, values, other)]
    chosen = {"coefficient": 0.3, "gamma": 1.0, "lam": 0.95}
    clean = learn_from(rows, Actions(log_probs, values), other, torch.ones(3), **chosen)
    dirty = learn_from(rows, Actions(*spoiled[:2]), spoiled[2], torch.ones(3), **chosen)
    assert torch.equal(clean.advantages, dirty.advantages)
    assert torch.equal(clean.returns, dirty.returns)


def test_a_single_action_has_no_spread():
    rows = Rows(torch.tensor([[3, 1]]), torch.ones(1, 2, dtype=torch.long), torch.ones(1, 1, dtype=torch.bool))
    zero = torch.zeros(1, 1)
    learned = learn_from(rows, Actions(zero, zero), zero, torch.tensor([5.0]), coefficient=0.1, gamma=1.0, lam=0.95)
    assert learned.advantages.tolist() == [[0.0]]
    assert learned.returns.tolist() == [[5.0]]


@pytest.mark.parametrize(
    ("divergence", "share_of_horizon", "expected"),
    [
        (2.0, 0.0, 0.1),
        (2.0, 0.5, 0.1),  # on target
        (2.2, 0.5, 0.1 * 1.05),
        (3.6, 0.5, 0.1 * 1.4),
        (9.0, 0.5, 0.1 * 1.5),  # twice the target is the most that counts
        (1.9, 0.5, 0.1 * 0.975),
        (0.0, 0.5, 0.1 * 0.9),
        (9.0, 7.0, 0.1 * 2.0),
    ],
)
def test_the_coefficient_follows_the_divergence(divergence, share_of_horizon, expected):
    assert adapt_coefficient(0.1, divergence, 2.0, share_of_horizon) == pytest.approx(expected)


def test_every_prompt_comes_once_before_one_comes_twice():
    picked = [place for number in range(5) for place in _pick(number, 4, 10, seed=3)]
    assert sorted(picked[:10]) == sorted(picked[10:]) == list(range(10))
    assert picked[:10] != picked[10:]
    assert sorted(_pick(0, 7, 3, seed=3)[:6]) == [0, 0, 1, 1, 2, 2]


def test_one_process_does_all():
    assert share(3, lambda mine: [place * 2 for place in mine]) == [0, 2, 4]
