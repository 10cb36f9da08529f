"""Pictures of what the other benchmarks measured, drawn from the files that their `--json` wrote.

    python benchmarks/plots.py [--guard FILE] [--check FILE] [--lint FILE] [--others FILE] [--into DIR]

One picture for each file that is named, but for `--check` and `--lint`, which share one.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from processes import ROOT

INK, FAINT, GRID = "#22303c", "#9fb3c8", "#e6ebf0"
OURS, SECOND = "#0b6e99", "#edae49"
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.left": False,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "font.size": 10,
}
COLOURS = {"plain": OURS, "annotated": SECOND, "refused": FAINT}
CONTESTANTS = {
    "jaxtyped": ("jaxtyped + beartype", "#d1495b", "s"),
    "dltype": ("dltype", SECOND, "D"),
    "by hand": ("by hand", FAINT, "|"),
    "guard": ("guard", OURS, "o"),
}
COMMANDS = {
    "all": "shapeguard check",
    "rules": "shapeguard, the rules alone",
    "ruff": "ruff, every rule",
    "flake8": "flake8",
    "torchfix": "torchfix, every rule",
    "fixit": "fixit",
}


def draw_guard(figures: Mapping[str, Any], file: Path) -> None:
    """What a check adds to a call of a function that does nothing."""
    cases = figures["small"]
    with mpl.rc_context(STYLE):
        drawing, axes = plt.subplots(figsize=(8, 0.42 * len(cases) + 1.6), layout="constrained")
        for name, (label, colour, marker) in CONTESTANTS.items():
            at = {
                place: case["overheads"][name]
                for place, case in enumerate(cases)
                if name in case["overheads"] and name not in case["blind"]
            }
            size = 160 if marker == "|" else 46
            axes.scatter(list(at.values()), list(at), s=size, color=colour, marker=marker, linewidth=2, label=label)
        axes.set_xscale("log")
        axes.set_yticks(range(len(cases)), [case["case"] for case in cases])
        axes.invert_yaxis()
        axes.set_xlabel("nanoseconds that the check adds to a call; who lets a wrong call pass is left out")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.5 / len(cases) + 0.06), ncols=4)
        finish(drawing, file)


def draw_check(check: Mapping[str, Any] | None, lint: Mapping[str, Any] | None, file: Path) -> None:
    """Processor seconds of whole commands."""
    panels: list[tuple[str, dict[str, float]]] = []
    if check is not None:
        taken = {
            COMMANDS.get(name, ""): middle(check["seconds"][key])
            for name, key in (("all", "shapeguard"), ("ruff",) * 2)
        }
        panels.append((f"all of {Path(check['path']).name}", taken))
    if lint is not None:
        taken = {
            label: middle(lint["seconds"]["files"][name])
            for name, label in COMMANDS.items()
            if name in lint["seconds"]["files"]
        }
        panels.append((f"some files of {Path(lint['path']).name}", taken))
    with mpl.rc_context(STYLE):
        heights = [len(taken) for _, taken in panels]
        drawing, places = plt.subplots(
            len(panels),
            1,
            figsize=(8, 0.4 * sum(heights) + 1.0 * len(panels)),
            squeeze=False,
            layout="constrained",
            gridspec_kw={"height_ratios": heights},
        )
        for axes, (title, taken) in zip(places[:, 0], panels, strict=True):
            colours = [OURS if name.startswith("shapeguard") else FAINT for name in taken]
            bars = axes.barh(list(taken), list(taken.values()), color=colours, height=0.62)
            axes.bar_label(bars, fmt="%.3g", padding=3, color=INK)
            axes.invert_yaxis()
            axes.set_title(title)
            axes.margins(x=0.08)
        places[-1, 0].set_xlabel("seconds of the processor")
        finish(drawing, file)


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def draw_found(figures: Mapping[str, Any], file: Path) -> None:
    """Of the bugs in tests/pairs, how many each tool finds on their line; and of the steps that torch refuses."""
    names = list(figures["found"])
    panels = {
        "silent bugs of this project's own set": ("plain", "annotated"),
        "steps that torch refuses": ("refused",),
    }
    with mpl.rc_context(STYLE):
        drawing, places = plt.subplots(1, 2, figsize=(11, 0.5 * len(names) + 1.5), sharey=True, layout="constrained")
        for axes, (title, groups) in zip(places, panels.items(), strict=True):
            most = draw_shares(axes, figures["found"], groups)
            axes.set_title(f"{title}, of {most}")
            axes.set_xlim(0, most * 1.08)
        places[0].set_yticks(range(len(names)), names)
        places[0].invert_yaxis()
        places[0].legend(loc="lower right")
        finish(drawing, file)


def draw_shares(axes: Axes, found: Mapping[str, Any], groups: Sequence[str]) -> int:
    """Bars for each tool, and how many there could be."""
    height = 0.72 / len(groups)
    for number, group in enumerate(groups):
        caught = [each[group]["on_line"] for each in found.values()]
        labels = [str(each[group]["on_line"]) if each[group]["is_asked"] else "" for each in found.values()]
        places = [place + (number - (len(groups) - 1) / 2) * height for place in range(len(caught))]
        bars = axes.barh(places, caught, height=height * 0.9, color=COLOURS[group], label=group)
        axes.bar_label(bars, labels, padding=3, color=INK, fontsize=9)
    return max(each[group]["buggy"] for each in found.values() for group in groups)


def finish(drawing: Any, file: Path) -> None:
    drawing.savefig(file, dpi=150)
    plt.close(drawing)
    print(file)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("guard", "check", "lint", "others"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"what `{name}.py --json` wrote")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "pictures", metavar="DIR", help="(docs/pictures)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    figures = {
        name: json.loads(file.read_text()) if (file := getattr(options, name)) else None
        for name in ("guard", "check", "lint", "others")
    }
    if figures["guard"]:
        draw_guard(figures["guard"], options.into / "benchmark-guard.png")
    if figures["check"] or figures["lint"]:
        draw_check(figures["check"], figures["lint"], options.into / "benchmark-check.png")
    if figures["others"]:
        draw_found(figures["others"], options.into / "benchmark-found.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
