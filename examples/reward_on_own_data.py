"""A reward model trained on pairs of one's own, written as JSON lines in TRL's format, and then asked about new texts.

The same on the command line: shapeguard train reward --data answers.jsonl --output runs/answers
"""

import json
import tempfile
from itertools import product
from pathlib import Path

import torch
from transformers import AutoTokenizer

from shapeguard.models import RewardModel, encode_texts
from shapeguard.train.options import make_options
from shapeguard.train.run import run_train

THINGS = ("the parcel", "my refund", "the invoice", "a new password", "the missing book", "my order", "the warranty")
KIND = ("Sorry about that, we look for {} at once.", "Thank you for asking, {} is on its way.", "Gladly, here is {}.")
CURT = ("Read the manual before you ask.", "Finding {} is not our job.", "Ask somebody else about {}.", "No idea.")


def write_pairs(path: Path) -> None:
    pairs = [
        {"prompt": f"Where is {thing}?\n", "chosen": kind.format(thing), "rejected": curt.format(thing)}
        for thing, kind, curt in product(THINGS, KIND, CURT)
    ]
    pairs[7]["rejected"] = pairs[7]["chosen"]  # teaches nothing: it is left out, and its line is named
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))


def main(folder: Path) -> None:
    data, output = folder / "answers.jsonl", folder / "reward"
    write_pairs(data)
    run_train(make_options("reward", data=str(data), output=output, width=32, vocabulary=400, batch=8, steps=20))

    tokenizer = AutoTokenizer.from_pretrained(output)
    model = RewardModel.from_pretrained(output).eval()
    texts = ["Where is my bag?\nThank you for asking, we look for it.", "Where is my bag?\nNo, ask somebody else."]
    with torch.no_grad():
        print("\nnew texts     ", model(*encode_texts(texts, tokenizer)).tolist())


if __name__ == "__main__":
    torch.set_num_threads(1)  # in a model as small as this, more of them wait for each other
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
