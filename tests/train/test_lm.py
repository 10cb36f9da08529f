"""The language-model task: from scratch or from a model, what it saves, and the same in two processes."""

import contextlib
import io
import json
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny_texts
from huggingface_hub import constants
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, BertLMHeadModel, BloomConfig, BloomForCausalLM

from shapeguard.config import UsageError
from shapeguard.losses import causal_lm_loss
from shapeguard.train import lm
from shapeguard.train.data.records import Text
from shapeguard.train.options import make_options


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """JSON lines as a stranger has them."""
    path = tmp_path_factory.mktemp("data") / "texts.jsonl"
    rows = [
        {"prompt": text.prompt, "completion": text.text} if text.prompt else {"text": text.text.strip()}
        for text in {text.prompt + text.text: text for text in tiny_texts.make_texts(150, 5)}.values()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_what_is_saved_loads_with_the_auto_classes(tmp_path):
    task = tiny_texts.make_lm_task()
    task.save(tmp_path)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path).eval(), AutoTokenizer.from_pretrained(tmp_path)
    assert type(model).__name__ == "GPT2LMHeadModel"
    batch = task.collate(task.held_out[:5])
    with torch.no_grad():
        assert torch.equal(task.predict(model, batch), task.predict(task.model.eval(), batch))
    assert tokenizer("the cat sat").input_ids == task.tokenizer("the cat sat").input_ids
    assert model.config.eos_token_id == tokenizer.eos_token_id


def test_the_card_says_how_to_use_it(tmp_path):
    task = tiny_texts.make_lm_task(longest=64)
    task.save(tmp_path)
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        exec(task.usage(tmp_path), {})  # noqa: S102 - it is there to be run
    assert written.getvalue().strip()


def test_the_loss_is_that_of_the_logits():
    task = tiny_texts.make_lm_task()
    batch = task.collate(task.train[:6])
    logits = task.predict(task.model, batch)
    expected = causal_lm_loss(logits, batch["labels"], num_items_in_batch=50)
    torch.testing.assert_close(task.loss(task.model, batch, 50), expected)
    task.linear = False
    torch.testing.assert_close(task.loss(task.model, batch, 50), expected)


def test_a_model_whose_loss_is_its_own_is_trained_on_its_logits():
    task = tiny_texts.make_lm_task()
    tied = BloomForCausalLM(BloomConfig(vocab_size=len(task.tokenizer), hidden_size=8, n_layer=1, n_head=1))
    tied.lm_head = torch.nn.Sequential(tied.lm_head)
    other = lm.LMTask(tied, task.tokenizer, tiny_texts.make_texts(8), tiny_texts.make_texts(8), longest=24)
    assert task.linear
    assert not other.linear
    batch = other.collate(other.train[:4])
    loss = other.loss(other.model, batch, other.count(batch))
    torch.testing.assert_close(loss, causal_lm_loss(other.predict(tied, batch), batch["labels"]))


def test_continuations_are_shown_and_are_the_same_each_time():
    task = tiny_texts.make_lm_task(held_out=[Text("the cat,", " sat a bird sang", "t:1")], longest=64)
    before = torch.get_rng_state()
    told = task.epilogue()
    assert told == task.epilogue()
    assert torch.equal(torch.get_rng_state(), before)
    head, _, text, follows, model = told.split("\n")
    assert head.startswith("Held-out texts, and how the model goes on where they are cut")
    assert text.split() == ["text", "the·cat·,"]
    assert follows.split() == ["goes", "on", "sat·a·bird·sang∎"]
    assert model.startswith("  model     ")


def test_training_goes_on_from_a_folder(lines, tmp_path):
    asked = make_options("lm", data=str(lines), layers=1, width=16, vocabulary=300, longest=32)
    first = lm.make_task(asked)
    first.save(tmp_path)
    second = lm.make_task(make_options("lm", data=str(lines), model=str(tmp_path), longest=32))
    assert len(second.tokenizer) == len(first.tokenizer)
    assert all(torch.equal(*pair) for pair in zip(first.model.parameters(), second.model.parameters(), strict=True))
    with pytest.raises(UsageError, match=r"takes 32 tokens, fewer than --longest 64"):
        lm.make_task(make_options("lm", data=str(lines), model=str(tmp_path), longest=64))


def test_a_model_that_is_none_is_refused(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    tiny_texts.make_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"--model: .* finds no model in the folder") as caught:
        lm.make_task(make_options("lm", data=str(lines), model=str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_a_model_that_can_not_be_trained_so_is_refused(lines, tmp_path):
    tokenizer = tiny_texts.make_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    BertLMHeadModel(BertConfig(vocab_size=50, intermediate_size=8, is_decoder=True, **size)).save_pretrained(tmp_path)
    asked = make_options("lm", data=str(lines), model=str(tmp_path), longest=32)
    assert lm.make_task(asked).train
    BertLMHeadModel(BertConfig(vocab_size=50, intermediate_size=8, **size)).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="is a BertLMHeadModel, which sees what comes next; name a causal model"):
        lm.make_task(asked)
    BloomForCausalLM(BloomConfig(vocab_size=3, hidden_size=8, n_layer=1, n_head=1)).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=rf"the tokenizer of .* has {len(tokenizer)} tokens, and the model knows 3"):
        lm.make_task(asked)


def test_a_model_in_half_precision_is_trained_in_float32(lines, tmp_path):
    tokenizer = tiny_texts.make_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    half = BloomForCausalLM(BloomConfig(vocab_size=len(tokenizer), hidden_size=8, n_layer=1, n_head=1)).bfloat16()
    half.save_pretrained(tmp_path)
    task = lm.make_task(make_options("lm", data=str(lines), model=str(tmp_path), longest=32))
    assert {weight.dtype for weight in task.model.parameters()} == {torch.float32}


def losses(output):
    return [line["loss"] for line in tiny_texts.read_metrics(output) if "loss" in line]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["lstm", "lm"])
def test_two_processes_learn_as_one_does(task, lines, tmp_path):
    asked = f"--data {lines} --layers 1 --width 16 --vocabulary 300 --longest 32 --batch 8 --steps 10 --evaluations 2"
    words = [*asked.split(), "--learning-rate", "0.01", "--set", "use_cpu=true"]
    one = tiny_texts.run_command(task, tmp_path / "one", *words)
    two = tiny_texts.run_command(task, tmp_path / "two", *words, processes=2)
    assert len(losses(tmp_path / "one")) == 10
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["lstm", "lm"])
def test_a_seed_gives_the_same_weights_in_another_process(task, lines, tmp_path):
    asked = f"--data {lines} --layers 1 --width 16 --vocabulary 300 --longest 32 --batch 8 --steps 6 --evaluations 1"
    for number, seed in enumerate("335"):
        tiny_texts.run_command(task, tmp_path / str(number), *asked.split(), "--seed", seed)
    first, again, other = (load_file(tmp_path / str(number) / "model.safetensors") for number in range(3))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.slow
def test_the_default_run_beats_the_bigram(tmp_path):
    figures = tiny_texts.run_command("lm", tmp_path / "run")
    assert figures["perplexity"] < 0.9 * figures["bigram_perplexity"]
    assert figures["accuracy"] > figures["bigram_baseline"] + 3 * figures["standard_error"]
