"""The course of a run as a picture: its loss, and the figure that it is judged by beside what it must beat."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

_INK, _FAINT, _GRID = "#22303c", "#9fb3c8", "#e6ebf0"
_COLOURS = ("#0b6e99", "#d1495b", "#edae49", "#66a182")
_SPANS = 20


def draw_curves(metrics: Path, picture: Path, title: str, figures: Sequence[str]) -> None:
    """Draw the loss and each of the named figures of an evaluation, one beside the other."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    evaluations = [(line["step"], line["evaluation"]) for line in lines if "evaluation" in line]
    shown = [name for name in figures if any(name in values for _, values in evaluations)]
    with mpl.rc_context(_STYLE):
        drawing, axes = plt.subplots(
            1, 1 + len(shown), figsize=(5.2 * (1 + len(shown)), 3.9), squeeze=False, layout="constrained"
        )
        _draw_loss(axes[0, 0], steps, evaluations)
        for name, place in zip(shown, axes[0, 1:], strict=True):
            _draw_figure(place, name, evaluations)
        drawing.suptitle(title, x=0.01, ha="left", fontweight="bold", color=_INK)
        drawing.savefig(picture, dpi=150)
        plt.close(drawing)


_STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "font.size": 10,
}


def _draw_loss(axes: Axes, steps: list[dict[str, Any]], evaluations: list[tuple[int, dict[str, float]]]) -> None:
    places, losses = [line["step"] for line in steps], [line["loss"] for line in steps]
    axes.plot(places, losses, color=_FAINT, linewidth=0.8, alpha=0.7)
    axes.plot(places, smooth(losses), color=_COLOURS[0], linewidth=2, label="training")
    held_out = [(step, values["loss"]) for step, values in evaluations if "loss" in values]
    if held_out:
        axes.plot(*zip(*held_out, strict=True), color=_COLOURS[1], marker="o", linewidth=1.5, label="held out")
    axes.set_title("loss")
    axes.set_xlabel("step")
    axes.legend()


def _draw_figure(axes: Axes, name: str, evaluations: list[tuple[int, dict[str, float]]]) -> None:
    at = [(step, values) for step, values in evaluations if name in values]
    places, heights = [step for step, _ in at], [values[name] for _, values in at]
    axes.plot(places, heights, color=_COLOURS[0], marker="o", linewidth=2, label=_said(name))
    error = _error_of(name, at[-1][1])
    if error is not None:
        low, high = ([values[name] + sign * values[error] for _, values in at] for sign in (-1, 1))
        axes.fill_between(places, low, high, color=_COLOURS[0], alpha=0.15, linewidth=0, label="± standard error")
    for number, baseline in enumerate(_baselines_of(name, at[-1][1]), 1):
        axes.axhline(
            at[-1][1][baseline],
            color=_COLOURS[number % len(_COLOURS)],
            linestyle="--",
            linewidth=1.5,
            label=_said(baseline),
        )
    axes.set_xlim(left=0)
    axes.set_title(f"{_said(name)}, held out")
    axes.set_xlabel("step")
    axes.legend()


def _said(name: str) -> str:
    return "KL" if name == "kl" else name.replace("_", " ")


def _error_of(name: str, figures: dict[str, float]) -> str | None:
    """A standard error belongs to the figure that it follows."""
    names = list(figures)
    following = names[names.index(name) + 1 : names.index(name) + 2]
    return following[0] if following and following[0].endswith("standard_error") else None


def _baselines_of(name: str, figures: dict[str, float]) -> list[str]:
    judged = name in ("accuracy", "reward")
    return [other for other in figures if other.endswith(f"_{name}") or (judged and other.endswith("baseline"))]


def smooth(values: Sequence[float]) -> list[float]:
    """The mean around each value, over a twentieth of them."""
    reach = len(values) // (2 * _SPANS)
    return [fmean(values[max(0, at - reach) : at + reach + 1]) for at in range(len(values))]
