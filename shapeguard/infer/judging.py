"""The verdict on the steps of a file that torch takes and that are likely wrong."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping

from shapeguard.diagnostics import Diagnostic
from shapeguard.infer.along import judge_cosine, judge_doubled, judge_picked, judge_spread, judge_stacked
from shapeguard.infer.mixups import judge_alignment, judge_alike, judge_letters, judge_mask
from shapeguard.infer.order import judge_order, judge_rows, judge_taken
from shapeguard.infer.outer import judge_kept, judge_outer
from shapeguard.infer.runs import Run
from shapeguard.infer.silent import ShapeAt, Suspect, Verdict
from shapeguard.infer.sources import Sources
from shapeguard.infer.weights import judge_join, judge_softmax
from shapeguard.shapes.shape import Shape
from shapeguard.source.file import Source


def judged(suspects: Iterable[Suspect], source: Source, runs: Mapping[object, Run]) -> Iterator[Diagnostic]:
    """A finding for each step that is wrong, as far as can be told."""
    sources = Sources(source.tree)
    seen = {node: value.shape for run in runs.values() for node, (value, _) in run.seen.items()}

    def shape_at(node: ast.expr) -> Shape | None:
        return seen.get(node)

    for suspect in suspects:
        verdict = _verdict(suspect, sources, source, shape_at)
        if verdict is not None:
            span = source.span_of(verdict.place or suspect.node)
            yield Diagnostic(
                str(source.path), span, verdict.code, verdict.name, verdict.message, verdict.notes, verdict.hint,
                verdict.fix, severity="warning", preview=verdict.preview,
            )  # fmt: skip


def _verdict(suspect: Suspect, sources: Sources, source: Source, shape_at: ShapeAt) -> Verdict | None:
    by_kind: dict[str, Callable[[], Verdict | None]] = {
        "outer": lambda: judge_outer(suspect, sources, source, shape_at),
        "loss": lambda: judge_outer(suspect, sources, source, shape_at),
        "kept": lambda: judge_kept(suspect, sources, shape_at),
        "order": lambda: judge_order(suspect, sources, source),
        "taken": lambda: judge_taken(suspect, sources, shape_at),
        "rows": lambda: judge_rows(suspect, sources, shape_at),
        "softmax": lambda: judge_softmax(suspect, sources, source, shape_at),
        "softmax layer": lambda: judge_softmax(suspect, sources, source, shape_at),
        "joined": lambda: judge_join(suspect, sources, source) or judge_doubled(suspect, sources, source, shape_at),
        "stacked": lambda: judge_stacked(suspect, sources),
        "picked": lambda: judge_picked(suspect, sources),
        "spread": lambda: judge_spread(suspect, sources),
        "cosine": lambda: judge_cosine(suspect, sources, source),
        "mask": lambda: judge_mask(suspect, sources),
        "misaligned": lambda: judge_alignment(suspect, source),
        "einsum": lambda: judge_letters(suspect, source),
        "alike": lambda: judge_alike(suspect),
    }
    return by_kind[suspect.kind]()


def together(found: Iterable[Diagnostic], silent: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Both, without what says of a step that two sizes have to be equal where it is told which axis was meant."""
    more = list(silent)
    told = {each.span for each in more if each.code == "SG703"}
    return [*(each for each in found if each.code != "SG302" or each.span not in told), *more]
