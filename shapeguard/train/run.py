"""`shapeguard train`, from what is asked to what is left in the folder."""

import dataclasses
import errno
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from textwrap import wrap

import torch
from torch.distributed import DistError
from transformers import IntervalStrategy, set_seed
from transformers.utils import logging

from shapeguard.config import UsageError
from shapeguard.models.backbone import first_line
from shapeguard.train.card import CARD, write_card
from shapeguard.train.curves import draw_curves
from shapeguard.train.engine import TaskTrainer, leave_the_others, make_trainer, steps_between_evaluations, train
from shapeguard.train.folders import CURVES, METRICS, begin, check_output, write_whole
from shapeguard.train.options import Options, command_of
from shapeguard.train.progress import Progress, columns_of, evaluation
from shapeguard.train.rehearsal import rehearse, told_time
from shapeguard.train.task import Task

DONE, INTERRUPTED = 0, 130
_PROBLEMS_SHOWN = 5
_COLUMNS = 100


def run_train(options: Options) -> int:
    """Train, and say what happens; the exit status."""
    try:
        return _run(options)
    finally:
        if torch.distributed.is_initialized():
            leave_the_others()


def _run(options: Options) -> int:
    if not options.dry_run:
        check_output(options)
    with _told_plainly(options):
        started = time.monotonic()
        set_seed(options.seed)
        task = _make_task(options)
        if options.dry_run:
            return _rehearse(task, options)
        progress = Progress(options.output)
        trainer = make_trainer(task, options, [progress])
        first = trainer.is_world_process_zero()
        if first:
            _say(_opening(trainer))
            begin(options)
        outcome = train(trainer)
        if outcome.stopped and outcome.step < trainer.args.max_steps:
            if first:
                _say([f"stopped at step {outcome.step}; go on by: {command_of(options)} --resume"])
            return INTERRUPTED
        figures = _judge(trainer, progress)
        if first:
            _finish(trainer, figures)
            _say(_closing(trainer, figures, time.monotonic() - started, time.process_time()))
    return DONE


def _make_task(options: Options) -> Task:
    task: Task = import_module(f"shapeguard.train.{options.task}").make_task(options)
    return task


def _rehearse(task: Task, options: Options) -> int:
    with tempfile.TemporaryDirectory() as folder:  # the Trainer makes one, whatever it is for
        trainer = make_trainer(task, dataclasses.replace(options, output=Path(folder)))
        if trainer.is_world_process_zero():
            _say(_opening(trainer))
            for line in rehearse(trainer):
                _say([line])
            _say(["nothing was written; leave --dry-run out to train"])
    return DONE


def _opening(trainer: TaskTrainer) -> Iterator[str]:
    task = trainer.task
    parameters = sum(int(parameter.numel()) for parameter in task.model.parameters() if parameter.requires_grad)
    yield from wrap(f"data          {task.about_data}", width=_COLUMNS, subsequent_indent=" " * 14)
    yield f"              {task.size:,} {task.items} to train on, {len(task.held_out):,} held out" + (
        f"; {len(task.problems):,} records left out:" if task.problems else ""
    )
    for problem in task.problems[:_PROBLEMS_SHOWN]:
        yield f"                {problem.place}: {problem.sentence}"
    if len(task.problems) > _PROBLEMS_SHOWN:
        yield f"                and {len(task.problems) - _PROBLEMS_SHOWN:,} more"
    precision = "bfloat16" if trainer.args.bf16 else "float16" if trainer.args.fp16 else "float32"
    processes = f" in {trainer.args.world_size} processes" if trainer.args.world_size > 1 else ""
    yield (
        f"model         {task.called}, {parameters:,} parameters, {precision} on {trainer.args.device.type}{processes}"
    )
    by_steps = trainer.args.eval_strategy == IntervalStrategy.STEPS  # unless --set says something else
    figures = f", with figures at every {steps_between_evaluations(trainer.args):,}" if by_steps else ""
    yield f"steps         {trainer.args.max_steps:,} of {trainer.options.batch} each{figures}"


def _judge(trainer: TaskTrainer, progress: Progress) -> dict[str, float]:
    """The figures of the model as it is now: with --patience, that is the best one, and not the last."""
    step, figures = progress.last
    alone = trainer.args.world_size == 1  # of several processes only the first one has kept the last figures
    known = alone and step == trainer.state.global_step and not trainer.args.load_best_model_at_end
    return figures if known else evaluation(trainer.evaluate())


def _finish(trainer: TaskTrainer, figures: dict[str, float]) -> None:
    """Leave model, tokenizer, card and curves in the folder, all of them or none."""
    task, folder = trainer.task, trainer.options.output

    def write(place: Path) -> None:
        task.save(place)
        title = f"{folder.resolve().name}: {', '.join(f'{name} {cell}' for name, cell in columns_of(figures)[:2])}"
        draw_curves(folder / METRICS, place / CURVES, title, [task.best, "kl"])
        write_card(place, trainer, figures, task.usage(folder))

    write_whole(folder, write)


def _closing(trainer: TaskTrainer, figures: dict[str, float], seconds: float, of_processor: float) -> Iterator[str]:
    folder = trainer.options.output
    epilogue = trainer.task.epilogue()
    if epilogue:
        yield ""
        yield epilogue
    yield ""
    yield "held out      " + ", ".join(f"{name} {cell}" for name, cell in columns_of(figures))
    yield f"model         {folder} (loads again; {folder / CARD} says how)"
    yield f"curves        {folder / CURVES}"
    yield f"figures       {folder / METRICS}"
    yield f"time          {told_time(seconds)}, and with loading {of_processor:.0f} s of the processor"


def _say(lines: Iterator[str] | list[str]) -> None:
    for line in lines:
        print(line, flush=True)


@contextmanager
def _told_plainly(options: Options) -> Iterator[None]:
    """What can go wrong with a machine, in one sentence; and no chatter of the libraries."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    except DistError as error:
        raise UsageError(f"the processes can't meet ({first_line(error)}); {_about_port()}") from error
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"the device has too little memory ({first_line(error)}); try a smaller --batch, more --accumulate, or a "
            "smaller --longest"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and str(error.filename).startswith(str(options.output)) and not _is_full(error):
            raise UsageError(f"can't write to {options.output}: {error.strerror}; name another --output") from error
        if not _is_full(error):
            raise
        raise UsageError(
            f"can't write to {options.output}: the disk is full, or a file may not be as big; make room and go on by "
            "--resume"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _about_port() -> str:
    port = os.environ.get("MASTER_PORT", "29500")
    return f"if port {port} is in use, choose another one by --master-port, or let torchrun choose by --standalone"


def _is_full(error: BaseException | None) -> bool:
    """Whether a disk or a limit on files has ended what was written; safetensors and torch say so in words alone."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if any(words in str(error) for words in ("No space left", "File too large", "PytorchStreamWriter failed")):
            return True
        error = error.__cause__ or error.__context__
    return False
