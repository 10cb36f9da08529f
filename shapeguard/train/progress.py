"""What is shown while a run goes on: a bar, and a row for each evaluation; all of it kept as JSON lines too."""

import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from shapeguard.train.folders import METRICS

_OF_THE_TRAINER = {"runtime", "samples_per_second", "steps_per_second", "model_preparation_time"}
_ROOM = 2
"""What later values may be longer than the first ones."""


class Progress(TrainerCallback):
    """Bar, table and JSON lines of a run, in the first process only."""

    def __init__(self, folder: Path | None) -> None:
        self.lines = folder / METRICS if folder else None
        self.bar: tqdm[Any] | None = None
        self.widths: list[int] = []
        self.last: tuple[int, dict[str, float]] = (-1, {})
        """The step of the last evaluation, and its figures."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Put up the bar, and forget what was written behind the checkpoint that the run goes on from."""
        if not state.is_world_process_zero:
            return control
        if self.lines is not None:
            _keep_until(self.lines, state.global_step)
        self.bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            unit="step",
            leave=False,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )
        return control

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> TrainerControl:
        """Keep what is logged, and show an evaluation."""
        if not state.is_world_process_zero or logs is None or "train_runtime" in logs:
            return control
        figures = evaluation(logs)
        if figures:
            self.last = (state.global_step, figures)
            self._show(state, figures)
            self._keep({"step": state.global_step, "epoch": state.epoch, "evaluation": figures})
        else:
            self._keep({"step": state.global_step, **logs})
            if self.bar is not None and "loss" in logs:
                self.bar.set_postfix_str(f"loss {logs['loss']:.4g}", refresh=False)
        return control

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Take the bar down."""
        if self.bar is not None:
            self.bar.close()
        return control

    def _show(self, state: TrainerState, figures: dict[str, float]) -> None:
        columns = columns_of({"step": state.global_step, **figures})
        if not self.widths:
            self.widths = [max(len(name), len(cell) + _ROOM) for name, cell in columns]
            tqdm.write(_row([name for name, _ in columns], self.widths), file=sys.stdout)
        tqdm.write(_row([cell for _, cell in columns], self.widths), file=sys.stdout)
        sys.stdout.flush()

    def _keep(self, line: dict[str, Any]) -> None:
        if self.lines is not None:
            with self.lines.open("a") as file:
                file.write(json.dumps(line) + "\n")


def evaluation(logs: dict[str, Any]) -> dict[str, float]:
    """The figures of an evaluation by the names that the task gave them; none if this is none."""
    figures = {name.removeprefix("eval_"): value for name, value in logs.items() if name.startswith("eval_")}
    return {name: float(value) for name, value in figures.items() if name not in _OF_THE_TRAINER}


def columns_of(figures: dict[str, float]) -> list[tuple[str, str]]:
    """Names and values as they are shown; a standard error stands behind what it is the error of."""
    columns: list[tuple[str, str]] = []
    for name, value in figures.items():
        if name.endswith("standard_error") and columns:
            before, cell = columns.pop()
            columns.append((before, f"{cell} ± {value:.3f}"))
        else:
            columns.append((name.replace("_", " "), f"{value:d}" if isinstance(value, int) else f"{value:.4g}"))
    return columns


def _row(cells: list[str], widths: list[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def _keep_until(lines: Path, step: int) -> None:
    """Cut off what was written behind this step."""
    if lines.exists():
        kept = [line for line in lines.read_text().splitlines() if json.loads(line)["step"] <= step]
        lines.write_text("".join(f"{line}\n" for line in kept))
