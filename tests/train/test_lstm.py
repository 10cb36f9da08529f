"""The LSTM task: what it saves, and what it shows at the end."""

import contextlib
import io
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny_texts
from transformers import AutoTokenizer

from shapeguard.losses import causal_lm_loss
from shapeguard.models import NextTokenLSTM
from shapeguard.train import lstm
from shapeguard.train.data.records import Text
from shapeguard.train.options import make_options

KINDS = ("characters", "words")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_loads_and_gives_the_same(kind, tmp_path):
    task = tiny_texts.make_lstm_task(kind=kind, layers=2)
    task.save(tmp_path)
    model, tokenizer = NextTokenLSTM.from_pretrained(tmp_path).eval(), AutoTokenizer.from_pretrained(tmp_path)
    batch = task.collate(task.held_out[:5])
    with torch.no_grad():
        logits = model(batch["input_ids"], batch["attention_mask"].sum(1))
        assert torch.equal(logits, task.predict(task.model.eval(), batch))
    sentence = "the cat sat a bird"
    assert tokenizer(sentence).input_ids == task.tokenizer(sentence).input_ids
    assert len(tokenizer) == model.vocab


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_says_how_to_use_it(kind, tmp_path):
    task = tiny_texts.make_lstm_task(kind=kind)
    task.save(tmp_path)
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        exec(task.usage(tmp_path), {})  # noqa: S102 - it is there to be run
    assert written.getvalue().startswith("def read(")


def test_characters_are_shown_one_below_the_other():
    text = Text("", "the\tcat\n" * 4, "t:1")
    task = tiny_texts.make_lstm_task(held_out=[text], kind="characters", longest=64)
    with torch.no_grad():
        task.model.lstm.head.weight.zero_()
        task.model.lstm.head.bias.zero_()
        task.model.lstm.head.bias[task.tokenizer.convert_tokens_to_ids("t")] = 1.0
    told, legend, _, given, target, predicted, wrong = task.epilogue().split("\n")
    assert told == "Held-out texts, the tokens behind each of theirs, and those that were predicted"
    assert legend.startswith("(· is a space, ↵ the end of a line")
    # The tokenizer is from texts without tabs and line ends.
    assert given == "  input     " + "the□cat□" * 4
    assert target == "  target    " + given[13:] + "∎"
    assert predicted == "  predicted " + "t" * 32
    assert wrong == "  wrong     " + "".join(" " if letter == "t" else "^" for letter in target[12:])


def test_words_are_shown_in_columns():
    sentence = "the cat sat the dog ran a bird sang the cat sat a"
    task = tiny_texts.make_lstm_task(held_out=[Text("", sentence, "t:1")])
    rows = [row[12:] for row in task.epilogue().split("\n")[3:]]
    assert len(rows) == 4
    assert rows[0].split() == sentence.split()
    assert rows[1].split()[:-1] == rows[0].split()[1:]
    starts = [
        place for place, letter in enumerate(rows[0]) if letter != " " and (place == 0 or rows[0][place - 1] == " ")
    ]
    for start in starts:
        assert rows[1][start] != " "
        right = rows[1][start:].split()[0] == rows[2][start:].split()[0]
        assert (rows[3].ljust(200)[start] == "^") is not right


def test_the_epilogue_of_a_single_short_text():
    task = tiny_texts.make_lstm_task(held_out=[Text("", "the", "t:1")])
    assert "∎" in task.epilogue()


@pytest.mark.parametrize(("kind", "letter"), [("characters", "t"), ("words", "the")])
def test_the_level_is_what_a_token_is(kind, letter, tmp_path):
    lines = tmp_path / "texts.jsonl"
    lines.write_text("".join(f'{{"text": "the cat ran over {number} dogs"}}\n' for number in range(20)) + "{}\n")
    task = lstm.make_task(make_options("lstm", data=str(lines), level=kind, width=8, vocabulary=50))
    assert letter in task.tokenizer.get_vocab()
    assert ("the" in task.tokenizer.get_vocab()) is (kind == "words")
    assert len(task.problems) == 1
    assert task.problems[0].place.endswith("texts.jsonl:21")
    assert task.about_data
    assert task.model.lstm.vocab == len(task.tokenizer)


def test_the_loss_is_that_of_the_logits():
    task = tiny_texts.make_lstm_task()
    batch = task.collate(task.train[:6])
    logits = task.predict(task.model, batch)
    torch.testing.assert_close(
        task.loss(task.model, batch, 50), causal_lm_loss(logits, batch["labels"], num_items_in_batch=50)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_default_run_beats_the_bigram(kind, tmp_path):
    figures = tiny_texts.run_command("lstm", tmp_path / "run", "--level", kind)
    assert figures["accuracy"] > figures["bigram_baseline"] + 3 * figures["standard_error"]
