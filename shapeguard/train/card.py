"""The model card: what a model is, where it is from, how good it is, and how to use it."""

import platform
from pathlib import Path

import torch
import transformers

from shapeguard import __version__
from shapeguard.train.engine import TaskTrainer
from shapeguard.train.folders import CURVES
from shapeguard.train.options import TASKS, command_of

CARD = "README.md"


def write_card(folder: Path, trainer: TaskTrainer, figures: dict[str, float], usage: str) -> None:
    """Write README.md into a model's folder."""
    task, options = trainer.task, trainer.options
    what = TASKS[options.task][0]
    rows = [f"| {name.replace('_', ' ')} | {value:.4g} |" for name, value in figures.items()]
    made = (
        f"shapeguard {__version__}, torch {torch.__version__}, transformers {transformers.__version__}, "
        f"Python {platform.python_version()}, on {trainer.args.device.type}"
    )
    parts = [
        "---\nlibrary_name: shapeguard\ntags: [shapeguard]\n---",
        f"# {options.output.resolve().name}",
        f"Made by `shapeguard train {options.task}`, which trains {what}. The data: {task.about_data}.",
        f"```sh\n{command_of(options)}\n```",
        f"{trainer.state.global_step:,} steps of {options.batch}, with {made}.",
        "## On what was held out",
        "\n".join([f"{len(task.held_out):,} {task.items}.", "", "| figure | value |", "| --- | --- |", *rows]),
        f"![The course of the training]({CURVES})",
        "## Use",
        f"```python\n{usage.rstrip()}\n```",
        "## Limits",
        "It knows nothing but the data above, and was judged on data of the same kind alone.",
    ]
    (folder / CARD).write_text("\n\n".join(parts) + "\n")
