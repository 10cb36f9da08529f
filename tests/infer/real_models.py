"""What the static checker says of real models, held against what their tensors are when they run.

    python tests/infer/real_models.py [--fresh] [--top N] [MODEL ...]

prints how much is known, what is contradicted, and where track is lost first. What was seen in runs is kept in the
folder for temporary files, since it changes only with the models and torch.
"""

# ruff: noqa: T201 - printing is what the script is for

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import instrument
import losses
import model_zoo
import other_models
from comparison import Comparison, Contradiction, Known, compare
from instrument import Call, Place, instrumenting
from model_zoo import MODELS, SETS, Model
from other_models import OTHERS

from shapeguard.cli import main as shapeguard

EVERY = MODELS | OTHERS


def file_of(model: Model) -> Path:
    """The file that a model is written in, without importing it."""
    if model.path is not None:
        return model.path
    package, *rest = model.module.split(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*rest).with_suffix(".py")


# What is seen.


def seen_in(models: Sequence[Model], *, fresh: bool = False) -> dict[str, list[Call]]:
    """Model -> the calls seen in its module, from an earlier run where nothing changed since."""
    folder = Path(tempfile.gettempdir()) / f"shapeguard-real-models-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = {model.name: folder / f"{model.name}-{_fingerprint(model)}.json" for model in models}
    found: dict[str, Any] = {}
    for name, path in kept.items():
        with contextlib.suppress(FileNotFoundError):
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    missing = [name for name in kept if fresh or name not in found]
    if missing:
        # A process of its own, since a module that is imported already has no probes in it.
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--observe", *missing]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            message = f"the models don't run:\n{done.stderr[-4000:]}"
            raise RuntimeError(message)
        found |= json.loads(done.stdout.rpartition("\n#")[2])
    for name in missing:
        # Another process may be here at the same time: a file appears whole.
        partial = kept[name].with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(found[name]), encoding="utf-8")
        partial.replace(kept[name])
        for old in set(folder.glob(f"{name}-*.json")) - {kept[name]}:
            old.unlink(missing_ok=True)
    return {name: _read_calls(found[name]) for name in kept}


def _read_calls(data: list[Any]) -> list[Call]:
    return [tuple((tuple(place), tuple(shape)) for place, shape in call) for call in data]


def _fingerprint(model: Model) -> str:
    digest = hashlib.sha256(f"{sys.version} {version('torch')} {version('transformers')}".encode())
    for path in (instrument.__file__, model_zoo.__file__, other_models.__file__, file_of(model)):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]


def observe(chosen: Iterable[str]) -> dict[str, list[Call]]:
    """Run the models with both sets of sizes; their modules must not be imported before."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    seen: dict[str, list[Call]] = {}
    with instrumenting({model.module: model.path for model in EVERY.values()}) as recorder:
        for name in chosen:
            with recorder.watching(EVERY[name].module):
                for which in SETS:
                    torch.manual_seed(which)
                    np.random.seed(which)  # noqa: NPY002 - some models draw masks from it
                    EVERY[name].run(which)
                seen[name] = recorder.seen()
    return seen


# What is said.


@dataclass(frozen=True)
class Said:
    """What the checker says of one file."""

    shapes: Mapping[Place, Known | None]
    failure: str = ""
    """Why it says nothing."""


def said_of(path: Path) -> Said:
    """The output of `shapeguard shapes FILE --output-format json`."""
    output, errors = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = shapeguard(["shapes", str(path), "--output-format", "json"])
    except Exception as error:  # noqa: BLE001 - a checker under construction may fail in any way, on one file of many
        return Said({}, f"{type(error).__name__}: {error}")
    if status:
        return Said({}, errors.getvalue().strip().rpartition(f"{path}: ")[2])
    return read_said(json.loads(output.getvalue()))


def read_said(data: Mapping[str, Any]) -> Said:
    """Read the JSON of `shapeguard shapes`."""
    shapes: dict[Place, Known | None] = {}
    for each in data["expressions"]:
        place = (each["line"], each["column"], each["end_line"], each["end_column"])
        shapes[place] = None if each["shape"] is None else tuple(each["shape"])
    return Said(shapes)


# How much is known.


@dataclass(frozen=True)
class Score:
    """One model's expressions, at distinct places, that were tensors when it ran."""

    name: str
    observed: int
    known: int
    """Of those, the ones whose number of axes is known."""
    full: int
    """And the ones of which every axis is."""
    comparison: Comparison
    failure: str

    @property
    def known_share(self) -> float:
        return self.known / max(self.observed, 1)

    @property
    def full_share(self) -> float:
        return self.full / max(self.observed, 1)


def is_known(said: Known | None) -> bool:
    """Whether the number of axes is known."""
    return said is not None and "..." not in said


def is_full(said: Known | None) -> bool:
    """Whether every axis is known."""
    return said is not None and "..." not in said and "?" not in said


def places_of(calls: Iterable[Call]) -> set[Place]:
    """Where tensors were seen."""
    return {place for call in calls for place, _ in call}


def score(name: str, said: Said, calls: Sequence[Call]) -> Score:
    """What is known of one model."""
    places = places_of(calls)
    known = sum(is_known(said.shapes.get(place)) for place in places)
    full = sum(is_full(said.shapes.get(place)) for place in places)
    return Score(name, len(places), known, full, compare(said.shapes, calls), said.failure)


def total(scores: Sequence[Score]) -> Score:
    """All models together."""
    everything = Comparison()
    for each in scores:
        # The places of different files may be the same; of these only the numbers are wanted.
        for name in ("checked", "binding", "unbound"):
            getattr(everything, name).update((each.name, *axis) for axis in getattr(each.comparison, name))
        everything.contradictions.update(
            {(each.name, *key): value for key, value in each.comparison.contradictions.items()}
        )
    sums = [sum(getattr(each, name) for each in scores) for name in ("observed", "known", "full")]
    return Score("total", *sums, everything, "")


# The script.


def table(scores: Sequence[Score]) -> str:
    """A row per model, and one for all."""
    rows = [
        f"{'model':<12}{'seen':>6}{'rank known':>12}{'full':>8}{'wrong':>7}{'axes checked':>14}{'bound':>7}{'unbound':>9}"
    ]
    for each in (*scores, total(scores)):
        of = each.comparison
        rows.append(
            f"{each.name:<12}{each.observed:>6}{each.known_share:>12.1%}{each.full_share:>8.1%}"
            f"{len(of.contradictions):>7}{len(of.checked):>14}{len(of.binding - of.checked):>7}"
            f"{len(of.unbound - of.checked):>9}" + (f"  {each.failure}" if each.failure else "")
        )
    return "\n".join(rows)


def described(contradiction: Contradiction, path: Path, text: str) -> str:
    """A contradiction in one line."""
    line, column, *_ = contradiction.place
    sizes = ", ".join(f"{name}={size}" for name, size in contradiction.sizes.items())
    return (
        f"{_short(path)}:{line}:{column} `{text}`: said ({', '.join(map(str, contradiction.said))}), "
        f"seen {contradiction.seen}: {contradiction.reason}" + (f" with {sizes}" if sizes else "")
    )


def every(wrong: Mapping[Place, Contradiction], file: losses.File, path: Path) -> list[str]:
    """A line per contradiction."""
    return [described(wrong[place], path, file.text_at(place)) for place in sorted(wrong)]


def grouped(wrong: Mapping[Place, Contradiction], file: losses.File, places: set[Place], path: Path) -> list[str]:
    """A line per cause: the place where the wrong shape begins, and how many have it from there."""
    search = losses.Search(file, places, lambda place: place not in wrong)
    by_cause: dict[str, list[tuple[bool, Place]]] = {}
    for place in sorted(wrong):
        cause, origin = search.cause(file.nodes[place])
        # The origins come first.
        key = (file.places.of(origin) != place, place)
        by_cause.setdefault(cause, []).append(key)
    return [
        f"{described(wrong[first], path, file.text_at(first))}  [{cause}"
        + (f"; {len(rest)} more follow]" if rest else "]")
        for cause, group in by_cause.items()
        for (_, first), *rest in [sorted(group)]
    ]


def _short(path: Path) -> str:
    """The path from the folder of packages, or from here."""
    parts = path.parts
    if "site-packages" in parts:
        return str(Path(*parts[parts.index("site-packages") + 1 :]))
    return os.path.relpath(path)


def main() -> None:
    """Print what is known of the models named, or of all."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # for `| head`
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"any of {', '.join(EVERY)} (default: the first {len(MODELS)})"
    )
    parser.add_argument(
        "--others", action="store_true", help="the models that nothing was tuned to, where none is named"
    )
    parser.add_argument("--fresh", action="store_true", help="run the models, whatever is kept of earlier runs")
    parser.add_argument("--full", action="store_true", help="list where an axis is lost first, too, not only the rank")
    parser.add_argument("--every", action="store_true", help="list every contradiction, those that follow too")
    parser.add_argument("--top", type=int, default=40, metavar="N", help="so many losses (default: 40)")
    parser.add_argument("--observe", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    unknown = set(chosen.models) - EVERY.keys()
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(EVERY)}")
    names = chosen.models or (OTHERS if chosen.others else MODELS)
    models = [model for name, model in EVERY.items() if name in names]
    if chosen.observe:
        print("\n#" + json.dumps(observe(model.name for model in models)))
        return
    seen = seen_in(models, fresh=chosen.fresh)
    scores: list[Score] = []
    contradictions: list[str] = []
    unknown_losses, partial_losses = losses.Losses(), losses.Losses()
    for model in models:
        path, calls = file_of(model), seen[model.name]
        said = said_of(path)
        scores.append(score(model.name, said, calls))
        file = losses.File(path.read_text(encoding="utf-8"), _short(path))
        places = places_of(calls)
        if said.failure:
            # Nothing is lost in particular.
            continue
        unknown_losses.add(file, places, lambda place, shapes=said.shapes: is_known(shapes.get(place)))
        partial_losses.add(file, places, lambda place, shapes=said.shapes: is_full(shapes.get(place)))
        wrong = scores[-1].comparison.contradictions
        contradictions += grouped(wrong, file, places, path) if not chosen.every else every(wrong, file, path)
    print(table(scores))
    if all(each.failure for each in scores):
        sys.exit("the checker says nothing of any file")
    print(
        "\ncontradictions" + ("" if chosen.every else ", the first of each cause"),
        *contradictions or ["none"],
        sep="\n  ",
    )
    print("\nwhere the rank is lost first", unknown_losses.render(chosen.top), sep="\n")
    print("\nparameters by name", unknown_losses.render_parameters(), sep="\n")
    if chosen.full:
        print("\nwhere the rank or an axis is lost first", partial_losses.render(chosen.top), sep="\n")


if __name__ == "__main__":
    main()
