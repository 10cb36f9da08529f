"""What training a reward model costs per pair, beside TRL's RewardTrainer on the same model and the same pairs.

    python benchmarks/reward_training.py [--data WHAT] [--pairs N] [--batch N] [--layers N] [--width N] [--threads N]
                                         [--rounds N] [--json FILE] [--quick]

Everybody begins with the same weights, a GPT-2 with fresh ones, and takes the same steps of transformers' Trainer over
pairs that are tokens already; the first steps aren't counted. In each round every contestant has its turn over all
pairs; printed are medians, and of the ratios to TRL the median over the rounds. On one thread the clock counts processor
time, which other processes disturb less. First the losses of one batch are compared.

It needs trl, which brings `datasets`: pip install trl. Without it, shapeguard is measured alone.
"""

import argparse
import dataclasses
import importlib.util
import json
import platform
import statistics
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import torch
from processes import is_reached, table
from transformers import GPT2Config, GPT2ForSequenceClassification, PrinterCallback, TrainerCallback
from transformers.utils import logging

from shapeguard.train.engine import TaskTrainer, make_trainer
from shapeguard.train.options import make_options
from shapeguard.train.reward import RewardTask, make_task

TRL = "TRL's RewardTrainer"
OURS = "shapeguard, in any order"
BUCKETS = "shapeguard, in length buckets"
GOALS = {OURS: 1.0, BUCKETS: 1.0}
"""How much of TRL's time is to be enough."""
WARM = 2
"""Steps that aren't counted."""


class Clock(TrainerCallback):
    """The seconds of all steps but the first ones."""

    def __init__(self) -> None:
        self.now = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        self.start = self.seconds = 0.0

    def on_step_end(self, args, state, control, **_):  # noqa: D102 - what it does, Trainer says
        if state.global_step == WARM:
            self.start = self.now()
        self.seconds = self.now() - self.start


def same_model(task: RewardTask) -> GPT2ForSequenceClassification:
    """TRL's model with our weights."""
    config = GPT2Config.from_dict(task.model.backbone.config.to_dict())
    config.num_labels = 1
    model = GPT2ForSequenceClassification(config)
    model.transformer.load_state_dict(task.model.backbone.state_dict())
    model.score.load_state_dict(task.model.score.state_dict())
    return model


def trl_trainer(task: RewardTask, of_ours: TaskTrainer):
    """TRL's trainer with our arguments, as far as they mean the same."""
    from datasets import Dataset  # noqa: PLC0415 - comes with TRL
    from trl import RewardConfig, RewardTrainer  # noqa: PLC0415 - may be missing

    args = of_ours.args
    config = RewardConfig(
        output_dir=args.output_dir,
        max_steps=args.max_steps,
        per_device_train_batch_size=args.per_device_train_batch_size,
        learning_rate=args.learning_rate,
        logging_steps=args.logging_steps,
        lr_scheduler_type=args.lr_scheduler_type,
        warmup_steps=args.warmup_steps,
        weight_decay=args.weight_decay,
        save_strategy="no",
        bf16=args.bf16,
        gradient_checkpointing=False,
        disable_tqdm=True,
        dataloader_pin_memory=args.dataloader_pin_memory,
        report_to="none",
        log_level="error",
        max_length=None,
    )
    rows = [{"chosen_ids": item.chosen, "rejected_ids": item.rejected, "margin": item.margin} for item in task.train]
    data = Dataset.from_list(rows)
    trainer = RewardTrainer(same_model(task), config, train_dataset=data, processing_class=task.tokenizer)
    trainer.remove_callback(PrinterCallback)
    return trainer


class Race:
    """The contestants, who all begin with the same weights."""

    def __init__(self, options: argparse.Namespace, folder: str) -> None:
        self.options = make_options(
            "reward",
            data=options.data,
            limit=options.pairs,
            output=Path(folder),
            layers=options.layers,
            width=options.width,
            vocabulary=options.vocabulary,
            batch=options.batch,
            pooling="last",
            steps=WARM + options.pairs // options.batch,
            settings=("eval_strategy=no", "save_strategy=no", "logging_steps=10"),
        )
        self.task = make_task(self.options)
        self.weights = {name: weight.clone() for name, weight in self.task.model.state_dict().items()}

    def trainer(self, name: str):
        """A trainer before its first step."""
        self.task.model.load_state_dict(self.weights)
        self.task.model.train()
        ours = make_trainer(self.task, dataclasses.replace(self.options, buckets=name == BUCKETS))
        return trl_trainer(self.task, ours) if name == TRL else ours

    def run(self, name: str) -> float:
        """Seconds per pair."""
        trainer, clock = self.trainer(name), Clock()
        trainer.add_callback(clock)
        trainer.train()
        return clock.seconds / ((self.options.steps - WARM) * self.options.batch)

    def losses(self, names: list[str]) -> dict[str, float]:
        """Of the first pairs."""
        items = self.task.train[: self.options.batch]
        found = {}
        for name in names:
            trainer = self.trainer(name)
            if name == TRL:
                batch = trainer.data_collator([trainer.train_dataset[place] for place in range(len(items))])
            else:
                batch = self.task.collate(items)
            batch = trainer._prepare_inputs(batch)  # noqa: SLF001 - moves it to the device
            found[name] = trainer.compute_loss(trainer.model, batch, num_items_in_batch=len(items)).item()
        return found


def measure(race: Race, names: list[str], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in names}
    order = list(names)
    for _ in range(rounds):
        order.append(order.pop(0))
        for name in order:
            seconds[name].append(race.run(name))
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, to: str) -> float:
    return statistics.median(mine / theirs for mine, theirs in zip(seconds[name], seconds[to], strict=True))


def show(seconds: dict[str, list[float]], losses: dict[str, float]) -> str:
    to = TRL if TRL in seconds else OURS
    rows = [
        [
            name,
            f"{1e3 * statistics.median(each):.2f}",
            f"{1e3 * min(each):.2f} to {1e3 * max(each):.2f}",
            f"{ratio(seconds, name, to):.2f}",
            f"{losses[name]:.6f}",
        ]
        for name, each in seconds.items()
    ]
    return table(["", "ms per pair", "all rounds", f"times {to}", "loss at first"], rows)


def judge(seconds: dict[str, list[float]]) -> list[list[str]]:
    found = {name: ratio(seconds, name, TRL) for name in GOALS}
    return [
        [f"{name}: times {TRL}, at most", f"{limit:.2f}", f"{found[name]:.2f}", is_reached(found[name], limit)]
        for name, limit in GOALS.items()
    ]


def read_options() -> argparse.Namespace:
    usual = make_options("reward")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=usual.data, help=f"as for `shapeguard train reward` ({usual.data})")
    for name, size in (("pairs", 512), ("batch", usual.batch), ("layers", 4), ("width", 128), ("vocabulary", 8000)):
        parser.add_argument(f"--{name}", type=int, default=size, help=f"({size})")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the CPU (torch's own number)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant has its turn (5)")
    parser.add_argument("--quick", action="store_true", help="only show that it runs, at a small size")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.quick:
        options.pairs, options.layers, options.width, options.vocabulary, options.rounds = 64, 1, 16, 300, 1
    return options


def main() -> int:
    options = read_options()
    torch.set_num_threads(options.threads)
    logging.set_verbosity_error()
    for category in (UserWarning, FutureWarning):
        warnings.simplefilter("ignore", category)
    names = [OURS, BUCKETS]
    if importlib.util.find_spec("trl"):
        names.insert(0, TRL)
        trl = f"trl {version('trl')}, "
    else:
        print("trl isn't installed, so shapeguard is measured alone: pip install trl")
        trl = ""
    with tempfile.TemporaryDirectory() as folder:
        race = Race(options, folder)
        losses = race.losses(names)
        seconds = measure(race, names, options.rounds)
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers {version('transformers')}, {trl}"
        f"{options.threads} threads; GPT-2 {options.layers}x{options.width}, {options.pairs} pairs of {options.data} in "
        f"batches of {options.batch}; {options.rounds} rounds\n"
    )
    print(show(seconds, losses))
    if TRL in seconds:
        print(f"\n{table(['target', '', 'measured', ''], judge(seconds))}")
    if options.json:
        options.json.write_text(json.dumps({"seconds per pair": seconds, "losses": losses}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
