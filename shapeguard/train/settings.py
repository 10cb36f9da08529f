"""`--set NAME=VALUE`: fields of transformers' TrainingArguments by name, read as their types say."""

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch.distributed import DistError
from transformers import HfArgumentParser, TrainingArguments

from shapeguard.config import UsageError
from shapeguard.models.backbone import first_line
from shapeguard.spelling import did_you_mean

_OURS = {
    "output_dir": "--output",
    "per_device_train_batch_size": "--batch",
    "per_device_eval_batch_size": "--batch",
    "gradient_accumulation_steps": "--accumulate",
    "max_steps": "--steps",
    "num_train_epochs": "--epochs",
    "learning_rate": "--learning-rate",
    "warmup_steps": "--warmup",
    "seed": "--seed",
    "data_seed": "--seed",
    "resume_from_checkpoint": "--resume",
}


def read_settings(settings: Sequence[str]) -> dict[str, Any]:
    """The fields that the settings name, with values of their types."""
    chosen = dict(map(_split, settings))
    if not chosen:
        return {}
    parser = HfArgumentParser(TrainingArguments, exit_on_error=False)  # type: ignore[arg-type]
    arguments = [part for name, value in chosen.items() for part in (f"--{name}", value)]
    with blamed_on(settings):
        values, unread = parser.parse_known_args(["--output_dir", ".", *arguments])
    if unread:
        raise UsageError(f"--set can't read {' '.join(unread)}")
    return {name: getattr(values, name) for name in chosen}


@contextmanager
def blamed_on(settings: Sequence[str]) -> Iterator[None]:
    """What transformers refuses is told of the settings, if there are any: nothing else that it is given is the user's."""
    try:
        yield
    except DistError:  # the processes can't meet, whatever is set
        raise
    except (ValueError, ImportError, RuntimeError, argparse.ArgumentError) as error:
        if not settings:
            raise
        raise UsageError(f"--set {' '.join(settings)}: {first_line(error)}") from error


def _split(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    known = [field.name for field in dataclasses.fields(TrainingArguments) if field.init]
    if not equals:
        raise UsageError(f"--set takes NAME=VALUE, and not `{setting}`")
    if name in _OURS:
        raise UsageError(f"--set {name}: use {_OURS[name]}")
    if name not in known:
        raise UsageError(f"--set {name}: TrainingArguments has no such field{did_you_mean(name, known)}")
    return name, value
