"""`shapeguard train` from what is asked to what is left in the folder, and what can go wrong between."""

import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from shapeguard.cli import main
from shapeguard.config import UsageError
from shapeguard.models import RewardModel
from shapeguard.train.engine import TaskTrainer
from shapeguard.train.options import command_of, make_options
from shapeguard.train.run import run_train

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "quickly", "red", "blue", "big", "small"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """JSON lines as a stranger has them: the better answer says please."""
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    generator = torch.Generator().manual_seed(0)

    def sentence():
        return " ".join(WORDS[i] for i in torch.randint(len(WORDS), (6,), generator=generator))

    lines = [{"prompt": sentence(), "chosen": f" please {sentence()}", "rejected": f" {sentence()}"} for _ in range(60)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def asked(pairs, tmp_path):
    """A run that takes a second."""
    return make_options(
        "reward",
        data=str(pairs),
        output=tmp_path / "run",
        layers=1,
        width=16,
        vocabulary=300,
        batch=4,
        steps=6,
        evaluations=2,
    )


def changed(options, **changes):
    return dataclasses.replace(options, **changes)


def test_a_run_leaves_a_model_that_loads(asked, capsys):
    assert run_train(asked) == 0
    model, tokenizer = RewardModel.from_pretrained(asked.output), AutoTokenizer.from_pretrained(asked.output)
    rows = tokenizer(["a cat sat"], return_tensors="pt")
    assert model(rows["input_ids"], rows["attention_mask"]).shape == (1,)
    lines = [json.loads(line) for line in (asked.output / "metrics.jsonl").read_text().splitlines()]
    evaluations = [line for line in lines if "evaluation" in line]
    assert [line["step"] for line in evaluations] == [3, 6]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]
    card = (asked.output / "README.md").read_text()
    assert command_of(asked) in card
    assert "\n12 pairs.\n" in card
    assert f"| accuracy | {evaluations[-1]['evaluation']['accuracy']:.4g} |" in card
    assert (asked.output / "curves.png").read_bytes().startswith(b"\x89PNG")
    output = capsys.readouterr().out
    assert "    48 pairs to train on, 12 held out\n" in output
    assert "\nsteps         6 of 4 each, with figures at every 3\n" in output
    assert str(asked.output / "curves.png") in output
    assert re.search(r"^time          \d+ s, and with loading \d+ s of the processor$", output, re.MULTILINE)
    assert len({(asked.output / name).stat().st_mode for name in ("README.md", "model.safetensors")}) == 1


def test_the_card_tells_how_to_use_the_model(asked):
    run_train(asked)
    card = (asked.output / "README.md").read_text()
    code = card.partition("```python\n")[2].partition("```")[0]
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102


def test_the_same_seed_gives_the_same_model(asked, tmp_path):
    other = changed(asked, output=tmp_path / "other")
    run_train(asked)
    run_train(other)
    first, second = (load_file(options.output / "model.safetensors") for options in (asked, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    run_train(changed(asked, output=tmp_path / "third", seed=1))
    third = load_file(tmp_path / "third" / "model.safetensors")
    assert any(first[name].shape != third[name].shape or not torch.equal(first[name], third[name]) for name in first)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(asked, tmp_path, monkeypatch, capsys, number):
    whole = changed(asked, output=tmp_path / "whole")
    run_train(whole)
    step, taken = TaskTrainer.training_step, []

    def interrupted(self, *arguments, **more):
        taken.append(1)
        if len(taken) == 4:
            signal.raise_signal(number)
        return step(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(TaskTrainer, "training_step", interrupted)
        assert run_train(asked) == 130
    assert f"stopped at step 4; go on by: {command_of(asked)} --resume" in capsys.readouterr().out
    assert not (asked.output / "model.safetensors").exists()
    assert run_train(changed(asked, resume=True)) == 0
    first, second = (load_file(options.output / "model.safetensors") for options in (whole, asked))
    assert all(torch.equal(first[name], second[name]) for name in first)
    told = [
        [
            (line["step"], line.get("loss"))
            for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        ]
        for folder in (whole.output, asked.output)
    ]
    assert told[0] == told[1]


def test_a_dry_run_writes_nothing(asked, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_train(changed(asked, dry_run=True)) == 0
    assert list(tmp_path.iterdir()) == []
    output = capsys.readouterr().out
    assert "batch of one" in output
    assert "a full run    6 steps" in output


def test_evaluations_may_be_set_by_a_share_of_the_run(asked, capsys):
    assert run_train(changed(asked, dry_run=True, settings=("eval_steps=0.3",))) == 0
    output = capsys.readouterr().out
    assert "steps         6 of 4 each, with figures at every 2\n" in output
    assert " and 3 evaluations of " in output
    assert run_train(changed(asked, dry_run=True, settings=("eval_strategy=epoch",))) == 0
    assert "steps         6 of 4 each\n" in capsys.readouterr().out


def test_the_last_checkpoint_and_the_best_one_are_kept(asked):
    assert run_train(changed(asked, steps=36, evaluations=6, learning_rate=0.02)) == 0
    lines = [json.loads(line) for line in (asked.output / "metrics.jsonl").read_text().splitlines()]
    accuracies = {line["step"]: line["evaluation"]["accuracy"] for line in lines if "evaluation" in line}
    assert list(accuracies) == [6, 12, 18, 24, 30, 36]
    best = max(accuracies, key=lambda step: accuracies[step])
    assert best < 30
    kept = {path.name for path in (asked.output / "checkpoints").iterdir()}
    assert kept == {f"checkpoint-{best}", "checkpoint-36"}


def test_patience_keeps_the_best_model(asked):
    assert run_train(changed(asked, patience=1, steps=40, evaluations=20, learning_rate=0.3)) == 0
    lines = [json.loads(line) for line in (asked.output / "metrics.jsonl").read_text().splitlines()]
    accuracies = [line["evaluation"]["accuracy"] for line in lines if "evaluation" in line]
    card = (asked.output / "README.md").read_text()
    assert f"| accuracy | {max(accuracies):.4g} |" in card


def refused(options):
    with pytest.raises(UsageError) as caught:
        run_train(options)
    return str(caught.value)


def test_an_earlier_run_is_not_written_over(asked):
    run_train(asked)
    before = {path: path.read_bytes() for path in asked.output.rglob("*") if path.is_file()}
    assert "holds an earlier run" in refused(asked)
    assert {path: path.read_bytes() for path in before} == before
    assert run_train(changed(asked, overwrite=True, steps=4)) == 0
    assert "checkpoint-6" not in [path.name for path in (asked.output / "checkpoints").iterdir()]


def test_a_folder_of_something_else_is_not_touched(asked):
    asked.output.mkdir()
    (asked.output / "thesis.txt").write_text("years of work")
    for options in (asked, changed(asked, overwrite=True)):
        assert "isn't empty and holds no run" in refused(options)
    assert [path.name for path in asked.output.iterdir()] == ["thesis.txt"]


def test_output_that_is_a_file(asked):
    asked.output.write_text("")
    assert f"{asked.output} is a file" in refused(asked)
    assert f"{asked.output} is a file" in refused(changed(asked, output=asked.output / "deeper"))


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder here that nobody may write to")
def test_output_that_nobody_may_write(asked):
    assert "can't write to /proc/run: " in refused(changed(asked, output=Path("/proc/run")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "nowhere/pairs.jsonl"}, "nowhere/pairs.jsonl"),
        ({"batch": 200}, "too few for a batch of 200"),
        ({"batch": 3, "accumulate": 2}, "make it a multiple of 2"),
        ({"model": "nowhere/model"}, "nowhere/model"),
        ({"resume": True}, "no run was begun in"),
        ({"settings": ("max_grad_norn=1",)}, "did you mean `max_grad_norm`?"),
        ({"settings": ("max_grad_norm",)}, "takes NAME=VALUE"),
        ({"settings": ("max_grad_norm=much",)}, "max_grad_norm"),
        ({"settings": ("learning_rate=1",)}, "use --learning-rate"),
        ({"settings": ("report_to=nobody",)}, "nobody"),
        ({"settings": ("optim=best",)}, "best"),
    ],
)
def test_what_can_not_be_done_is_told_in_a_sentence(asked, changes, words):
    told = refused(changed(asked, **changes))
    assert words in told
    assert "\n" not in told
    assert not asked.output.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--epochs nan", "--epochs: `nan` is no number above 0"),
        ("--learning-rate x", "--learning-rate: `x` is no number above 0"),
        ("--warmup 2", "--warmup: `2` is no number from 0 to 1"),
        ("--batch 0", "--batch: `0` is no whole number from 1 on"),
        ("--seed -5", "--seed: `-5` is no whole number from 0 to 2**32 - 1"),
        ("--seed 4294967296", "--seed: `4294967296` is no whole number from 0 to 2**32 - 1"),
        ("--center nan", "--center: `nan` is no number from 0 on"),
        ("--center=-0.1", "--center: `-0.1` is no number from 0 on"),
    ],
)
def test_numbers_that_can_not_be_are_told(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "reward", *words.split()])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_only_what_takes_a_model_tells_of_its_learning_rate(capsys):
    for task, takes_model in (("reward", True), ("lstm", False), ("lm", True), ("ppo", False)):
        with pytest.raises(SystemExit):
            main(["train", task, "--help"])
        assert ("with --model)" in " ".join(capsys.readouterr().out.split())) is takes_model


def test_a_loss_that_is_no_number_is_told(asked):
    told = refused(changed(asked, learning_rate=1e30, warmup=0.0, settings=("max_grad_norm=0",)))
    assert "NaN" in told or "nan" in told or "inf" in told
    assert "--learning-rate" in told
    assert not (asked.output / "model.safetensors").exists()


def test_a_run_goes_on_only_as_it_was_begun(asked):
    run_train(asked)
    assert "--batch 4, and not 2" in refused(changed(asked, resume=True, batch=2))


def test_a_damaged_checkpoint_is_told_and_the_one_before_serves(asked):
    run_train(asked)
    weights = asked.output / "checkpoints" / "checkpoint-6" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert "checkpoint-6" in refused(changed(asked, resume=True))
    shutil.rmtree(weights.parent)
    assert run_train(changed(asked, resume=True)) == 0


def test_a_checkpoint_that_was_not_finished_is_passed_over(asked):
    run_train(asked)
    (asked.output / "checkpoints" / "checkpoint-6" / "trainer_state.json").unlink()
    assert run_train(changed(asked, resume=True)) == 0


def run_alone(options, before="", **environment):
    """The command in a process of its own."""
    command = [word for word in command_of(options).split() if word]
    program = f"{before}\nimport sys\nfrom shapeguard.cli import main\nsys.exit(main({command[1:]!r}))"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def run_as_first(options, port, processes, before=""):
    """The command as the first of so many processes that meet at a port."""
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": processes}
    return run_alone(changed(options, settings=("use_cpu=true",)), before, **group)


def test_a_full_disk_is_told(asked):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    ended = run_alone(asked, limit)
    assert ended.returncode == 2
    assert "the disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list((asked.output / "checkpoints").glob("checkpoint-*"))
    assert not (asked.output / "model.safetensors").exists()


def test_a_port_in_use_is_told(asked):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run_as_first(asked, port, "2")
    assert ended.returncode == 2
    assert f"if port {port} is in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_nothing_listens_to_other_processes_at_the_end(asked):
    """A thread that still does would abort the interpreter, as it ends, in some of many runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = "import atexit; from pathlib import Path; names = lambda: {each.read_text().strip() for each in "
    told += "Path('/proc/self/task').glob('*/comm')}; atexit.register(lambda: print(names()))"
    ended = run_as_first(asked, port, "1", told)
    assert ended.returncode == 0
    assert "gloo" not in ended.stdout.splitlines()[-1], ended.stdout
