"""`--set NAME=VALUE`: fields of transformers' TrainingArguments by name, read as their types say."""

import dataclasses
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from transformers import HfArgumentParser, TrainingArguments

from shapeguard.config import UsageError

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
    try:
        values, unread = parser.parse_known_args(["--output_dir", ".", *arguments])
    except Exception as error:
        raise UsageError(f"--set {' '.join(settings)}: {error}") from error
    if unread:
        raise UsageError(f"--set can't read {' '.join(unread)}")
    return {name: getattr(values, name) for name in chosen}


def _split(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    known = [field.name for field in dataclasses.fields(TrainingArguments) if field.init]
    if not equals:
        raise UsageError(f"--set takes NAME=VALUE, and not `{setting}`")
    if name in _OURS:
        raise UsageError(f"--set {name}: use {_OURS[name]}")
    if name not in known:
        close = get_close_matches(name, known, n=1)
        more = f"; did you mean `{close[0]}`?" if close else ""
        raise UsageError(f"--set {name}: TrainingArguments has no such field{more}")
    return name, value
