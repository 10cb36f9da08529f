"""Windows, baselines and figures: what the LSTM and the language model have in common."""

import math
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny_texts

from shapeguard.config import UsageError
from shapeguard.train import baselines, tokens
from shapeguard.train.data.records import Text
from shapeguard.train.engine import make_trainer, train
from shapeguard.train.next_token import standard_error
from shapeguard.train.windows import IGNORED, Window, collate_windows, make_windows, pairs_of

TASKS = {"lstm": tiny_texts.make_lstm_task, "lm": tiny_texts.make_lm_task}
each_task = pytest.mark.parametrize("make_task", TASKS.values(), ids=TASKS)


def learned(batch):
    """The tokens that are predicted: those of the labels but the first."""
    labels = batch["labels"][:, 1:]
    return labels[labels != IGNORED].tolist()


@pytest.mark.parametrize(
    ("prompt", "longest"), [("", 2), ("", 3), ("", 5), ("", 100), ("ab", 3), ("ab", 5), ("ab", 8), ("ab", 100)]
)
def test_each_token_behind_the_first_is_learned_exactly_once(prompt, longest):
    tokenizer = tokens.learn_tokenizer(["abcdefghijk"], "characters", 20)
    windows, problems = make_windows([Text(prompt, "cdefghijk", "here")], tokenizer, longest)
    whole = tokens.encode(tokenizer, [prompt + "cdefghijk"], ends=True)[0]
    assert not problems
    assert all(2 <= len(window.ids) <= longest for window in windows)
    assert [token for window in windows for token in learned(collate_windows([window]))] == whole[len(prompt) or 1 :]
    assert pairs_of(windows).T.tolist() == [list(pair) for pair in pairwise(whole)][max(0, len(prompt) - 1) :]
    assert windows[0].ids[: len(prompt)] == whole[: len(prompt)]


def test_texts_without_a_window_are_named():
    tokenizer = tokens.learn_tokenizer(["abcdef"], "characters", 20)
    texts = [Text("abcdef", "a", "t:1"), Text("", "", "t:2"), Text("abcde", "a", "t:3"), Text("", "a", "t:4")]
    windows, problems = make_windows(texts, tokenizer, 6)
    assert [(problem.place, problem.kind) for problem in problems] == [("t:1", "over-long"), ("t:2", "too short")]
    assert problems[0].sentence == "the prompt has 6 tokens, and with at least one behind it more than 6"
    assert {window.text for window in windows} == {2, 3}
    assert [len(window.ids) for window in windows] == [6, 2, 2]


def test_a_text_of_one_token_ends_and_that_is_learned():
    tokenizer = tokens.learn_tokenizer(["abc"], "characters", 20)
    ((window,), _) = make_windows([Text("", "a")], tokenizer, 8)
    assert learned(collate_windows([window])) == [tokenizer.eos_token_id]


@each_task
def test_no_texts_at_all_are_refused(make_task):
    with pytest.raises(
        UsageError, match=r"there is no text to evaluate on \(t:1: a single token: there is none behind"
    ):
        make_task(8, [Text("", "", "t:1")])


def brute_force(pairs, held_out, vocab):
    """Accuracies and the perplexity by counting in loops."""
    following = Counter(after for _, after in pairs)
    behind = {before: Counter(a for b, a in pairs if b == before) for before, _ in pairs}
    best = lambda counter: min(counter, key=lambda token: (-counter[token], token))  # noqa: E731
    uni = lambda token: (following[token] + 1) / (len(pairs) + vocab)  # noqa: E731

    def bi(before, after):
        if before not in behind:
            return uni(after)
        counter = behind[before]
        return (counter[after] + len(counter) * uni(after)) / (counter.total() + len(counter))

    guesses = [(best(following), best(behind.get(before, following)), after) for before, after in held_out]
    return (
        sum(first == after for first, _, after in guesses) / len(guesses),
        sum(second == after for _, second, after in guesses) / len(guesses),
        math.exp(-sum(math.log(bi(*pair)) for pair in held_out) / len(held_out)),
    )


@pytest.mark.parametrize("seed", range(5))
def test_baselines_equal_a_brute_force_count(seed):
    generator = torch.Generator().manual_seed(seed)
    vocab = 7
    pairs, held_out = (torch.randint(vocab - 1, (2, 60), generator=generator) for _ in range(2))
    held_out[:, :5] = vocab - 1  # never seen
    measured = baselines.measure_baselines(baselines.count_pairs(pairs, vocab), held_out)
    wanted = brute_force(pairs.T.tolist(), held_out.T.tolist(), vocab)
    assert measured == pytest.approx(wanted)


def test_the_bigram_shares_out_the_whole_probability():
    pairs = torch.randint(6, (2, 50), generator=torch.Generator().manual_seed(0))
    everything = torch.cartesian_prod(torch.arange(7), torch.arange(7)).T
    shares = baselines._bigram(baselines.count_pairs(pairs, 7), everything).view(7, 7)
    torch.testing.assert_close(shares.sum(1), torch.ones(7, dtype=torch.float64))


@each_task
def test_figures_equal_those_of_each_window_alone(make_task):
    task = make_task()
    task.model.eval().requires_grad_(False)
    observed = torch.cat([task.observe(task.model, task.collate(task.held_out[at : at + 5])) for at in range(0, 12, 5)])
    figures = task.summarise(observed)
    losses, right = [], []
    for window in task.held_out:
        batch = task.collate([window])
        logits = task.predict(task.model, batch)[0, window.given - 1 : -1]
        targets = torch.tensor(window.ids[window.given :])
        losses += F.cross_entropy(logits, targets, reduction="none").tolist()
        right += (logits.argmax(-1) == targets).tolist()
    assert figures["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert figures["perplexity"] == pytest.approx(math.exp(figures["loss"]))
    assert figures["accuracy"] == pytest.approx(sum(right) / len(right))
    names = list(figures)
    assert names[:4] == ["loss", "perplexity", "accuracy", "standard_error"]
    assert names[4:6] == ["unigram_baseline", "bigram_baseline"]
    assert observed[:, 2].sum() == len(right) == pairs_of(task.held_out).size(1)


def test_the_standard_error_is_that_of_texts_drawn_again():
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(1, 30, (200,), generator=generator).double()
    right = (counts * torch.rand(200, generator=generator).double()).round()
    told = standard_error(right, counts, torch.arange(200))
    draws = torch.randint(200, (4000, 200), generator=generator)
    drawn = (right[draws].sum(1) / counts[draws].sum(1)).std().item()
    assert told == pytest.approx(drawn, rel=0.1)
    halves = torch.cat([right, right]), torch.cat([counts, counts]), torch.arange(200).repeat(2)
    assert standard_error(*halves) == pytest.approx(told)
    one = standard_error(torch.tensor([3.0]), torch.tensor([12.0]), torch.zeros(1))
    assert one == pytest.approx((0.25 * 0.75 / 12) ** 0.5)


@each_task
def test_a_batch_of_one_and_of_one_prediction(make_task):
    task = make_task()
    batch = task.collate([Window([4, 5], 1, 0)])
    assert task.count(batch) == 1
    loss = task.loss(task.model, batch, 1)
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in task.model.parameters())
    assert task.observe(task.model, batch).shape == (1, 4)


@each_task
def test_what_the_labels_of_a_prompt_would_be_changes_nothing(make_task):
    task = make_task()
    windows = [window for window in task.train if window.given > 1][:4]
    batch = task.collate(windows)
    count = task.count(batch)
    assert count == sum(len(window.ids) - window.given for window in windows)
    loss = task.loss(task.model, batch, count)
    alone = []
    for window in windows:
        logits = task.predict(task.model, task.collate([window]))[0, window.given - 1 : -1]
        alone.append(F.cross_entropy(logits, torch.tensor(window.ids[window.given :]), reduction="sum"))
    torch.testing.assert_close(loss, sum(alone) / count)
    learned_too = {**batch, "labels": batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED)}
    assert task.count(learned_too) > count
    assert not torch.isclose(task.loss(task.model, learned_too, count), loss)


@each_task
def test_what_stands_in_padding_changes_nothing(make_task):
    task = make_task()
    batch = task.collate(task.train[:6])
    padding = batch["attention_mask"] == 0
    assert padding.any()
    other = {**batch, "input_ids": batch["input_ids"].masked_fill(padding, 5)}
    assert torch.equal(task.loss(task.model, batch, 30), task.loss(task.model, other, 30))
    assert torch.equal(task.observe(task.model, batch), task.observe(task.model, other))


def losses_of(task, asked):
    trainer = make_trainer(task, asked)
    train(trainer)
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


@each_task
def test_accumulation_equals_one_batch(make_task, tmp_path):
    runs = [
        losses_of(task := make_task(), tiny_texts.make_asked(task, tmp_path / str(parts), accumulate=parts, steps=6))
        for parts in (1, 2, 8)
    ]
    assert len(runs[0]) == 6
    assert runs[1] == pytest.approx(runs[0], rel=1e-5)
    assert runs[2] == pytest.approx(runs[0], rel=1e-5)


@each_task
def test_a_seed_gives_the_same_model_bit_for_bit(make_task, tmp_path):
    states = []
    for number, seed in enumerate((3, 3, 4)):
        task = make_task(seed=seed)
        losses_of(task, tiny_texts.make_asked(task, tmp_path / str(number), seed=seed, steps=4))
        states.append(task.model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


@each_task
def test_a_run_that_is_resumed_equals_one_that_never_stopped(make_task, tmp_path):
    whole = make_task()
    asked = tiny_texts.make_asked(whole, tmp_path)
    losses = losses_of(whole, asked)
    last = tmp_path / "checkpoints" / "checkpoint-12"
    assert (tmp_path / "checkpoints" / "checkpoint-6").is_dir()
    last.rename(tmp_path / "kept")
    again = make_task(seed=1)
    assert losses_of(again, tiny_texts.make_asked(again, tmp_path, resume=True)) == losses
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name]), name


@each_task
def test_words_are_learned(make_task, tmp_path):
    task = make_task(200)
    asked = tiny_texts.make_asked(task, tmp_path, steps=80, learning_rate=2e-2, evaluations=1)
    trainer = make_trainer(task, asked)
    before = trainer.evaluate()
    train(trainer)
    after = trainer.evaluate()
    assert after["eval_accuracy"] > before["eval_accuracy"] + 0.2
    assert after["eval_accuracy"] > after["eval_unigram_baseline"] + 0.1
