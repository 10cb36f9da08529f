"""A task and what is asked -> transformers' Trainer, and how its run ended."""

import dataclasses
import gc
import math
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from shapeguard.config import UsageError
from shapeguard.models.backbone import first_line
from shapeguard.train.buckets import LengthBuckets
from shapeguard.train.folders import CHECKPOINTS, drop_unfinished, last_checkpoint
from shapeguard.train.options import Options
from shapeguard.train.settings import blamed_on, read_settings
from shapeguard.train.task import Batch, Task


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    trainer: "TaskTrainer"
    stopped: bool
    """Whether Ctrl-C has ended it; its checkpoint is written then."""
    step: int


class TaskTrainer(Trainer):
    """A Trainer that leaves to the task what is the task's."""

    loss_is_scaled_for_ga = True

    def __init__(self, task: Task, options: Options, args: TrainingArguments, callbacks: list[TrainerCallback]) -> None:
        self.task, self.options = task, options
        super().__init__(
            model=task.model,
            args=args,
            data_collator=task.collate,
            train_dataset=task.train,
            eval_dataset=task.held_out,
            compute_metrics=self._summarise,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the Trainer's own
        num_items_in_batch: Any = None,
    ) -> Any:
        """The task's loss; where processes average their gradients, each one's part counts as often as there are some."""
        step = self.state.global_step + 1
        try:
            loss = self.task.loss(model, inputs, int(num_items_in_batch)) * self.accelerator.num_processes
        except ValueError as error:
            if "NaN" not in str(error):
                raise
            raise UsageError(f"at step {step}, {error}; {_lower(self.options)}") from error  # a model has seen it
        if not math.isfinite(loss.item()):
            raise UsageError(f"the loss is {loss.item()} at step {step}; {_lower(self.options)}")
        return (loss, {}) if return_outputs else loss

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> Tensor:
        count = torch.tensor(sum(map(self.task.count, batch_samples)), device=device)
        total: Any = self.accelerator.reduce(count)
        return total  # type: ignore[no-any-return]

    def prediction_step(
        self,
        model: nn.Module,
        inputs: Batch,
        prediction_loss_only: bool,  # noqa: FBT001 - the Trainer's own
        ignore_keys: list[str] | None = None,
    ) -> tuple[None, Tensor, Tensor]:
        """What the task observes; the labels are a stand-in, without which no figures are computed."""
        del prediction_loss_only, ignore_keys
        with torch.no_grad(), self.compute_loss_context_manager():
            observed = self.task.observe(model, self._prepare_inputs(inputs))
        return None, observed, observed[:, 0]

    def _summarise(self, predictions: EvalPrediction) -> dict[str, float]:
        return self.task.summarise(torch.as_tensor(predictions.predictions))

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        items = self.task.train if train_dataset is None else train_dataset
        lengths = list(map(self.task.length, items)) if self.options.buckets else [1] * len(items)
        return LengthBuckets(lengths, self.options.batch, self.options.seed)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        if state_dict is not None:
            safetensors.torch.save_file(state_dict, folder / "model.safetensors")
        else:
            safetensors.torch.save_model(self.task.model, str(folder / "model.safetensors"))
        self.task.keep(folder)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Refuse weights of another model; of tied ones, a checkpoint names but one."""
        missing, weights = set(load_result.missing_keys), self.task.model.state_dict()
        loaded = {weight.data_ptr() for name, weight in weights.items() if name not in missing}
        strange = [name for name in missing if weights[name].data_ptr() not in loaded]
        strange += load_result.unexpected_keys
        if strange:
            raise ValueError(f"it is of another model, which differs in {min(strange)}")


def make_trainer(task: Task, options: Options, callbacks: Sequence[TrainerCallback] = ()) -> TaskTrainer:
    """The Trainer of a task."""
    arguments = _make_arguments(task, options)
    more: list[TrainerCallback] = [*task.callbacks(), *callbacks]
    if options.patience is not None:
        more.append(EarlyStoppingCallback(options.patience))
    with blamed_on(options.settings):
        return TaskTrainer(task, options, arguments, more)


def train(trainer: TaskTrainer) -> Outcome:
    """Train to the end, or to Ctrl-C, which lets the step end and leaves a checkpoint."""
    options = trainer.options
    checkpoint = _find_checkpoint(options) if options.resume else None
    course = _Course()
    trainer.add_callback(course)
    try:
        with _stopping(course, trainer.args.world_size):
            if checkpoint is not None:
                trainer.task.recall(Path(checkpoint))
            trainer.train(resume_from_checkpoint=checkpoint)
    except (UsageError, KeyboardInterrupt):
        raise
    except Exception as error:
        if checkpoint is not None and not course.begun:
            raise UsageError(
                f"can't go on from {checkpoint} ({first_line(error)}); delete it to go on from the one before"
            ) from error
        raise
    finally:
        if trainer.args.should_save:
            drop_unfinished(options.output)
    return Outcome(trainer, course.asked, trainer.state.global_step)


def leave_the_others() -> None:
    """Part from the other processes, whose listening threads abort an interpreter that ends before them.

    Call it where no Trainer is at hand any more: in circles of its own it holds the group, and with it the threads.
    """
    torch.distributed.destroy_process_group()
    gc.collect()


def steps_of(task: Task, options: Options) -> int:
    """How many steps a run takes."""
    return options.steps or max(1, math.ceil(options.epochs * task.turns * (len(task.train) // options.batch)))


def steps_between_evaluations(arguments: TrainingArguments) -> int:
    """Where `--set eval_steps` gives a share of the run, how many steps that is."""
    every = float(arguments.eval_steps or 1)
    return math.ceil(every * arguments.max_steps) if every < 1 else int(every)


def _make_arguments(task: Task, options: Options) -> TrainingArguments:
    if len(task.train) < options.batch:
        raise UsageError(
            f"there are {len(task.train)} {task.items} to train on, too few for a batch of {options.batch}; "
            f"give more data, or a smaller --batch"
        )
    steps = steps_of(task, options)
    every = max(1, math.ceil(steps / options.evaluations))
    chosen: dict[str, Any] = {
        "output_dir": str(options.output / CHECKPOINTS),
        "max_steps": steps,
        "gradient_accumulation_steps": options.accumulate,
        "learning_rate": options.learning_rate,
        "warmup_steps": math.ceil(options.warmup * steps),
        "lr_scheduler_type": "linear",
        "weight_decay": 0.01,
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_steps": every,
        "save_total_limit": 2,
        "logging_steps": max(1, steps // 200),
        "logging_nan_inf_filter": False,
        "load_best_model_at_end": options.patience is not None,
        "metric_for_best_model": task.best,
        "greater_is_better": task.higher_is_better,
        "seed": options.seed,
        "data_seed": options.seed,
        "bf16": torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        "remove_unused_columns": False,
        "label_names": [],
        "ddp_find_unused_parameters": False,
        "disable_tqdm": True,
        "report_to": "none",
        "log_level": "error",
    }
    chosen.update(read_settings(options.settings))
    with blamed_on(options.settings):
        arguments = TrainingArguments(**chosen)
    # A plain command uses one device: DataParallel would split what a task means to be whole.
    _ = arguments.n_gpu
    arguments._n_gpu = min(arguments.n_gpu, 1)  # noqa: SLF001 - the only way to say so
    parts = arguments.world_size * options.accumulate
    if options.batch % parts:
        raise UsageError(
            f"--batch {options.batch} can't be shared by {arguments.world_size} processes in {options.accumulate} "
            f"parts each; make it a multiple of {parts}"
        )
    arguments.per_device_train_batch_size = options.batch // parts
    arguments.per_device_eval_batch_size = max(1, 2 * options.batch // arguments.world_size)
    return arguments


def _find_checkpoint(options: Options) -> str:
    found = last_checkpoint(options.output)
    if found is None:
        raise UsageError(f"there is no checkpoint in {options.output}; begin anew with --overwrite")
    return str(found)


class _Course(TrainerCallback):
    """Whether the run has begun, and whether it has been asked to stop: in all processes at the same step."""

    def __init__(self) -> None:
        self.begun = self.asked = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        self.begun = True
        return control

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        if args.world_size > 1:
            asked = torch.tensor(int(self.asked), device=args.device)
            torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
            self.asked = bool(asked)
        if self.asked:
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False
        return control


@contextmanager
def _stopping(course: _Course, processes: int) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM ask for a stop; alone, the second one interrupts at once."""

    def ask(number: int, frame: Any) -> None:
        if course.asked and processes == 1:
            signal.default_int_handler(number, frame)
        course.asked = True

    if threading.current_thread() is not threading.main_thread():  # where Python takes no handlers
        yield
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _lower(options: Options) -> str:
    return f"try a lower --learning-rate than {options.learning_rate:g}, or look for records that aren't what they should be"
