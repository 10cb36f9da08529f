"""`--dry-run`: a few steps on real data, for a batch of one too, and what a full run will take; nothing is written."""

import itertools
import math
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from shapeguard.train.engine import TaskTrainer, steps_between_evaluations
from shapeguard.train.task import Batch

_STEPS = 8
_WARM = 2
_MINUTE = 60


def rehearse(trainer: TaskTrainer) -> Iterator[str]:
    """Do what a run does, on a few batches, and tell of each."""
    model: nn.Module = trainer.task.model
    batches = list(itertools.islice(iter(trainer.get_train_dataloader()), _STEPS))
    yield f"first batch   {_shapes(batches[0])}"
    trainer.create_optimizer_and_scheduler(_STEPS)
    seconds = [_step(trainer, batch) for batch in batches]
    for name, batch in _alone(trainer):
        loss = trainer.compute_loss(model, batch, num_items_in_batch=trainer.task.count(batch))
        yield f"{name}  {_shapes(batch)}, loss {loss.item():.4g}"
    begin = time.perf_counter()
    figures = _evaluate_some(trainer)
    evaluation = (time.perf_counter() - begin) * _batches_held_out(trainer) / min(_STEPS, _batches_held_out(trainer))
    yield "evaluation    " + ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items())
    per_step = median(seconds[_WARM:] or seconds) + trainer.task.seconds_between(trainer.options.batch)
    steps, every = trainer.args.max_steps, steps_between_evaluations(trainer.args)
    total = steps * per_step + math.ceil(steps / every) * evaluation
    yield (
        f"a full run    {steps:,} steps of {per_step * 1000:.0f} ms and {math.ceil(steps / every)} evaluations of "
        f"{evaluation:.1f} s: about {told_time(total)}"
    )
    if torch.cuda.is_available():
        yield f"memory        {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB at most"


def _step(trainer: TaskTrainer, batch: Batch) -> float:
    """One step as the run will take it; its seconds."""
    begin = time.perf_counter()
    trainer.task.model.train()
    trainer.training_step(trainer.task.model, batch, trainer.task.count(batch))
    optimizer: Any = trainer.optimizer
    optimizer.step()
    optimizer.zero_grad()
    return (time.perf_counter() - begin) * trainer.args.gradient_accumulation_steps


def _alone(trainer: TaskTrainer) -> Iterator[tuple[str, Batch]]:
    """A batch of one, and the longest one: where shapes break and memory ends first."""
    items = trainer.task.train
    longest = max(items, key=trainer.task.length)
    for name, chosen in (
        ("batch of one", items[:1]),
        ("longest     ", [longest] * trainer.args.per_device_train_batch_size),
    ):
        yield name, trainer._prepare_inputs(trainer.task.collate(chosen))  # noqa: SLF001 - moves it to the device


def _evaluate_some(trainer: TaskTrainer) -> dict[str, float]:
    trainer.task.model.eval()
    seen = [
        trainer.prediction_step(trainer.task.model, batch, prediction_loss_only=False)[1]
        for batch in itertools.islice(iter(trainer.get_eval_dataloader()), _STEPS)
    ]
    return trainer.task.summarise(torch.cat([rows.cpu() for rows in seen]))


def _batches_held_out(trainer: TaskTrainer) -> int:
    return math.ceil(len(trainer.task.held_out) / trainer.args.eval_batch_size)


def _shapes(batch: Batch) -> str:
    return ", ".join(f"{name} {_shape(value)}" for name, value in batch.items())


def _shape(tensor: Tensor) -> str:
    if tensor.dtype == torch.bool:
        return f"bool{list(tensor.shape)}"
    kind = str(tensor.dtype).removeprefix("torch.")[0]
    return f"{kind}{8 * tensor.dtype.itemsize}{list(tensor.shape)}"


def told_time(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes} min" if minutes < 2 * _MINUTE else f"{minutes // 60} h {minutes % 60} min"
