"""The losses of the broken and of the mended scripts as one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from shapeguard.demo.stories import Story
from shapeguard.demo.trial import Trial

_BROKEN, _FIXED, _GREY = "#c8452c", "#2066a8", "#666666"
_MEMORY = 0.85
"""What each point of a smooth line keeps of the ones before."""


def draw_curves(path: Path, told: Sequence[tuple[Story, Trial, Trial]]) -> None:
    """Write a picture with a part for each story: its losses before and after."""
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12, wspace=0.04)
    figure = Figure(figsize=(4.3 * len(told), 4.0), dpi=150, layout=layout)
    for axes, (story, before, after) in zip(figure.subplots(1, len(told), squeeze=False)[0], told, strict=True):
        _prepare(axes, story.title)
        losses = filter(math.isfinite, (*_smooth(before.losses), *_smooth(after.losses)))
        axes.set_xlim(0, max(before.steps, after.steps, 1))
        axes.set_ylim(0, 1.1 * max(losses, default=1.0) or 1.0)
        _line(axes, after, _FIXED, "fixed")
        _line(axes, before, _BROKEN, "broken")
        if before.error is not None:
            _mark_stop(axes, before, after)
    figure.savefig(path, facecolor="white")


def _prepare(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=11, fontweight="bold", loc="left", pad=10)
    axes.set_xlabel("step", color=_GREY)
    axes.set_ylabel("loss", color=_GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#cccccc")
    axes.tick_params(colors=_GREY, length=3)
    axes.locator_params(nbins=5)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)


def _line(axes: Axes, trial: Trial, colour: str, which: str) -> None:
    if not trial.losses:
        return
    steps, smooth = range(1, len(trial.losses) + 1), _smooth(trial.losses)
    axes.plot(steps, trial.losses, color=colour, alpha=0.18, linewidth=1)
    axes.plot(steps, smooth, color=colour, linewidth=2.2)
    if trial.accuracy is not None:
        place = (steps[-1], smooth[-1])
        axes.annotate(
            f"{which}: {trial.accuracy:.1%} right",
            place,
            (-4, 24),
            textcoords="offset points",
            ha="right",
            color=colour,
            fontsize=10,
        )


def _mark_stop(axes: Axes, before: Trial, after: Trial) -> None:
    """Where the broken script ended: on its line, or where the line of the fixed one begins."""
    kind, step = (before.error or "").partition(":")[0], len(before.losses) + 1
    place = (step, _smooth(before.losses)[-1] if before.losses else _smooth(after.losses or (0.0,))[0])
    axes.plot(*place, "X", color=_BROKEN, markersize=10, markeredgecolor="white", zorder=5, clip_on=False)
    axes.annotate(
        f"broken: {kind}\nin step {step}", place, (12, -2), textcoords="offset points", color=_BROKEN, fontsize=10
    )


def _smooth(losses: Sequence[float]) -> list[float]:
    """Each loss averaged with those before it, the nearer ones more."""
    smooth, total, weight = list[float](), 0.0, 0.0
    for loss in losses:
        total, weight = _MEMORY * total + loss, _MEMORY * weight + 1
        smooth.append(total / weight)
    return smooth
