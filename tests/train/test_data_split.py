"""What is held out: never what is trained on, and always the same."""

import json
import subprocess
import sys

import pytest

from shapeguard.config import UsageError
from shapeguard.train.data.load import PAIRS, TEXTS, load
from shapeguard.train.data.split import share


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def pair(prompt, chosen, rejected):
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def sides(split):
    """The texts and the prompts of each side."""
    for side in (split.train, split.held_out):
        yield {text for record in side for text in (record.chosen, record.rejected)}, {record.prompt for record in side}


@pytest.mark.parametrize(
    ("count", "expected"), [(2, 1), (9, 1), (50, 10), (500, 100), (900, 100), (2000, 200), (6000, 600), (90_000, 600)]
)
def test_share(count, expected):
    assert share(count) == expected


def test_no_prompt_and_no_text_stands_on_both_sides(tmp_path):
    rows = [pair(f"prompt {n // 3}", f"text {n}", f"text {n + 1 if n % 7 else n + 900}") for n in range(300)]
    split = load(PAIRS, write(tmp_path / "pairs.jsonl", rows))
    (texts, prompts), (held_texts, held_prompts) = sides(split)
    assert len(split.train) + len(split.held_out) == 300
    assert 30 <= len(split.held_out) <= 120
    assert not texts & held_texts
    assert not prompts & held_prompts
    assert "no prompt and no text stands on both sides" in split.about


def test_a_prompt_that_all_share_is_said_to_stand_on_both_sides(tmp_path):
    rows = [pair("Write a review:", f"good {n}", f"bad {n}") for n in range(50)]
    split = load(PAIRS, write(tmp_path / "pairs.jsonl", rows))
    (texts, _), (held_texts, _) = sides(split)
    assert len(split.held_out) == 10
    assert not texts & held_texts
    assert "no text stands on both sides, though prompts do" in split.about


def test_a_text_that_all_share_is_said_to_stand_on_both_sides(tmp_path):
    rows = [pair("", f"good {n}", "I don't know.") for n in range(50)]
    split = load(PAIRS, write(tmp_path / "pairs.jsonl", rows))
    assert len(split.held_out) == 10
    assert "no record stands on both sides, though prompts and texts do" in split.about


def test_copies_of_a_record_are_on_one_side(tmp_path):
    split = load(TEXTS, write(tmp_path / "texts.jsonl", [{"text": f"text {n % 20}"} for n in range(60)]))
    assert not {text.text for text in split.train} & {text.text for text in split.held_out}


def test_a_source_of_its_own_is_held_out_and_taken_out_of_training(tmp_path):
    data = write(tmp_path / "train.jsonl", [{"text": f"text {n}"} for n in range(6)])
    held = write(tmp_path / "test.jsonl", [{"text": f"text {n}"} for n in (4, 77)])
    split = load(TEXTS, data, held_out=held)
    assert [text.text for text in split.held_out] == ["text 4", "text 77"]
    assert len(split.train) == 5
    assert [str(problem) for problem in split.problems] == [f"{data}:5: is the same as {held}:1, which is held out"]
    with pytest.raises(UsageError, match="is the same as what is trained on"):
        load(TEXTS, data, held_out=data)
    with pytest.raises(UsageError, match="so none is left to train on"):
        load(TEXTS, held, held_out=write(tmp_path / "all.jsonl", [{"text": "text 4"}, {"text": "text 77"}]))


def test_a_limit_is_how_many_are_trained_on(tmp_path):
    data = write(tmp_path / "texts.jsonl", [{"text": f"text {n}"} for n in range(300)])
    split = load(TEXTS, data, limit=50)
    assert (len(split.train), len(split.held_out)) == (50, 10)
    assert len(load(TEXTS, data, limit=10_000).train) == 240
    with pytest.raises(UsageError, match="at least one record"):
        load(TEXTS, data, limit=0)


PROGRAM = """
import sys, hashlib
from shapeguard.train.data.load import PAIRS, TEXTS, load
split = load(PAIRS, sys.argv[1], seed=int(sys.argv[2]))
print(hashlib.sha256(repr((split.train, split.held_out)).encode()).hexdigest())
"""


def split_elsewhere(data, seed, hash_seed):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, data, str(seed)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": str(hash_seed)},
    )
    return done.stdout


def test_the_same_seed_splits_alike_in_every_process(tmp_path):
    data = write(tmp_path / "pairs.jsonl", [pair(f"p{n // 2}", f"a{n}", f"b{n // 3}") for n in range(100)])
    assert split_elsewhere(data, 5, 1) == split_elsewhere(data, 5, 2) != split_elsewhere(data, 6, 1)


def test_no_torch_is_needed_to_load_data():
    program = "import sys, shapeguard.train.data.load; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
