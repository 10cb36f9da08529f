"""Texts of a few words of which the next one can often be told, and models of a few thousand weights for them."""

import json
import os
import random
import subprocess
import sys

import torch

from shapeguard.models import NextTokenLSTM
from shapeguard.train import lm, tokens
from shapeguard.train.data.records import Text
from shapeguard.train.lstm import LSTMTask
from shapeguard.train.options import make_options

LONGEST = 24
FOLLOWING = {"the": "cat dog", "a": "cat bird", "cat": "sat ran", "dog": "ran slept", "bird": "sang slept"}


def make_texts(count, seed=0, prompts=True):
    """Sentences of two to nine words, every second one behind a prompt."""
    chance = random.Random(seed)  # noqa: S311 - no secret

    def sentence(length):
        words = [chance.choice(["the", "a"])]
        while len(words) < length:
            words.append(chance.choice(FOLLOWING.get(words[-1], "the a").split()))
        return " ".join(words)

    return [
        Text(sentence(3) + "," if prompts and number % 2 else "", " " + sentence(2 + number % 8), f"texts:{number}")
        for number in range(count)
    ]


def make_tokenizer(kind="words"):
    texts = [part for text in make_texts(40) for part in (text.prompt, text.text)]
    return tokens.learn_tokenizer(texts, kind, 300)


def make_lstm_task(train=48, held_out=12, *, kind="words", longest=LONGEST, seed=0, **changes):
    """A task; `train` and `held_out` are texts, or how many there are to be."""
    tokenizer = make_tokenizer(kind)
    torch.manual_seed(seed)
    model = NextTokenLSTM(len(tokenizer), 8, **changes)
    return LSTMTask(model, tokenizer, _texts(train, 1), _texts(held_out, 2), longest=longest)


def make_lm_task(train=48, held_out=12, *, longest=LONGEST, seed=0):
    """Without dropout, so that however a batch is shared out, it gives the same."""
    tokenizer = make_tokenizer("words")
    torch.manual_seed(seed)
    model = lm.make_model(tokenizer, layers=1, width=16, longest=longest)
    return lm.LMTask(model, tokenizer, _texts(train, 1), _texts(held_out, 2), longest=longest)


def make_asked(task, output, **changes):
    chosen = {"batch": 8, "steps": 12, "evaluations": 2, "learning_rate": 1e-2, "settings": ("use_cpu=true",)}
    return make_options(task.name, output=output, **{**chosen, **changes})


def _texts(given, seed):
    return make_texts(given, seed) if isinstance(given, int) else given


def run_command(task, output, *arguments, processes=0):
    """The figures of the last evaluation of `shapeguard train`, run as a command."""
    many = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes else []
    subprocess.run(
        [sys.executable, *many, "-m", "shapeguard", "train", task, "--output", str(output), *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    return [line["evaluation"] for line in read_metrics(output) if "evaluation" in line][-1]


def read_metrics(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
