"""Files in, findings out: what is looked at, by how many processes, and which findings are passed on."""

from __future__ import annotations

import gc
import os
import signal
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from shapeguard.catalog import chosen_codes, codes_meant
from shapeguard.config import Config, UsageError
from shapeguard.diagnostics import Diagnostic, Span, Tracking
from shapeguard.infer.analysis import Analysis
from shapeguard.infer.interpreter import analyse
from shapeguard.kinds import OF_SHAPES
from shapeguard.lint.finding import lint
from shapeguard.rules import RULES
from shapeguard.source.file import Source
from shapeguard.source.find import find_files
from shapeguard.source.read import is_relevant, read_bytes, read_source, source_from

_FEW = 16
"""So many files are checked sooner than another process has started."""
_CHUNK_AT_MOST = 16
_OBJECTS_BETWEEN_COLLECTIONS = 500_000
"""More than one file's analysis makes, unless it gets out of hand."""


@dataclass(frozen=True)
class Outcome:
    """What a run, or one file of it, comes to."""

    diagnostics: tuple[Diagnostic, ...] = ()
    """In the order of the files, then of the lines."""
    files: int = 0
    """Looked at."""
    tracking: Tracking = field(default_factory=Tracking)


def check_paths(paths: Sequence[str], config: Config, *, jobs: int | None = None) -> Outcome:
    """Check all files below the paths, in up to `jobs` processes: as many as there are processors, if None.

    A file that can't be checked is a finding and stops nothing; a path or a code that doesn't exist is a UsageError.
    """
    codes = chosen_codes(config)
    files = find_files(paths, config)
    jobs = min(jobs or _processors(), len(files))
    if jobs <= 1 or len(files) < _FEW:
        return _check_in_turn((files, codes, config))
    size = min(_CHUNK_AT_MOST, max(1, len(files) // (4 * jobs)))
    chunks = [(files[start : start + size], codes, config) for start in range(0, len(files), size)]
    return joined(_in_processes(chunks, jobs))


def check_file(path: str, codes: frozenset[str], config: Config) -> Outcome:
    """Check one file; whatever is in it, nothing is raised."""
    data = read_bytes(path)
    if isinstance(data, Diagnostic):
        codes = codes_in(path, codes, config)
        return Outcome(tuple(each for each in (data,) if each.code in codes), files=1)
    return check_bytes(path, data, codes, config)


def check_bytes(path: str, data: bytes, codes: frozenset[str], config: Config) -> Outcome:
    """Check what is, or would be, in a file."""
    codes = codes_in(path, codes, config)
    if not is_relevant(data):
        return Outcome(files=1)
    source = source_from(path, data)
    if isinstance(source, Diagnostic):
        return Outcome(tuple(each for each in (source,) if each.code in codes), files=1)
    return check_source(source, codes, preview=config.preview)


def codes_in(path: str, codes: frozenset[str], config: Config) -> frozenset[str]:
    """The codes that are reported in this file."""
    return codes - frozenset().union(*map(codes_meant, config.ignored_in(path)))


def check_source(source: Source, codes: frozenset[str], *, preview: bool = False) -> Outcome:
    """Check what is in a file, without the findings that a comment in it silences."""
    if source.skipped:
        return Outcome(files=1)
    if not source.tree.body:
        return Outcome(tuple(each for each in source.errors if each.code in codes), files=1)
    rules = [rule for rule in RULES if rule.code in codes]
    shapes = cache(lambda: analyse(source))
    analysis = Analysis()
    try:
        linted = [each for each in lint(source, rules, lambda: shapes().tensors) if preview or not each.preview]
        if codes & OF_SHAPES:
            analysis = shapes()
        both = (*analysis.diagnostics, *linted)
        found = dict.fromkeys(sorted(both, key=lambda each: (each.span, each.code, each.message)))
        kept = [each for each in found if not source.suppresses(each)]
    except Exception as error:  # noqa: BLE001 - one file doesn't stop the run
        analysis, kept = Analysis(), [_failure(source.path, error)]
    reported = tuple(each for each in (*source.errors, *(_placed(source, each) for each in kept)) if each.code in codes)
    return Outcome(reported, files=1, tracking=tracking_of(source, analysis))


def _placed(source: Source, found: Diagnostic) -> Diagnostic:
    """A finding with lines that count in its notebook's cell."""
    if not source.cells:
        return found
    cell, span = source.located(found.span)
    return replace(found, cell=cell, span=span)


def tracking_of(source: Source, analysis: Analysis) -> Tracking:
    """How much of a file is known."""
    shapes = [each.shape for each in analysis.expressions if each.shape is not None]
    return Tracking(
        expressions=len(analysis.expressions),
        known=len(shapes),
        complete=sum("?" not in shape and "..." not in shape for shape in shapes),
        lost=analysis.lost,
        exhausted=tuple(f"{source.path}: {function}" for function in analysis.exhausted),
    )


def inspect_file(path: str) -> tuple[Source, Analysis]:
    """A file with all that is known of it; one that can't be read or parsed is a UsageError."""
    if not os.path.lexists(path):
        raise UsageError(f"no such file: {path}")
    source = read_source(path)
    errors = (source,) if isinstance(source, Diagnostic) else source.errors
    if isinstance(source, Diagnostic) or (errors and not source.cells):
        raise UsageError(f"{path}:{errors[0].span.line}:{errors[0].span.column} {errors[0].message}")
    try:
        with _collecting_seldom():
            return source, analyse(source, guessing=True)
    except Exception as error:
        found = _failure(path, error)
        raise UsageError(f"{path}: {found.message} {found.notes[0]}") from error


def joined(outcomes: Iterable[Outcome]) -> Outcome:
    """Several outcomes as one."""
    every = list(outcomes)
    parts = [each.tracking for each in every]
    lost: Counter[str] = Counter()
    for part in parts:
        lost.update(part.lost)
    tracking = Tracking(
        expressions=sum(part.expressions for part in parts),
        known=sum(part.known for part in parts),
        complete=sum(part.complete for part in parts),
        lost=lost,
        exhausted=tuple(name for part in parts for name in part.exhausted),
    )
    diagnostics = tuple(diagnostic for each in every for diagnostic in each.diagnostics)
    return Outcome(diagnostics, sum(each.files for each in every), tracking)


_Chunk = tuple[Sequence[str], frozenset[str], Config]


def _check_in_turn(chunk: _Chunk) -> Outcome:
    """Check files one after the other."""
    files, codes, config = chunk
    outcomes: list[Outcome] = []
    with _collecting_seldom():
        for file in files:
            outcomes.append(check_file(file, codes, config))
            # All that was made for the file is young, and garbage now.
            gc.collect(0)
    return joined(outcomes)


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Look for garbage seldom: while a file is checked there is hardly any, and looking took a quarter of the time."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _in_processes(chunks: Sequence[_Chunk], jobs: int) -> list[Outcome]:
    """The outcome of each chunk, in their order. A file that kills its process is found by halving its chunk."""
    # Loaded here, because few files need no other process.
    from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor  # noqa: PLC0415
    from multiprocessing import get_all_start_methods, get_context  # noqa: PLC0415

    # A plain fork of a process that has threads, as one with torch in it does, may hang.
    method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
    pool = ProcessPoolExecutor(jobs, mp_context=get_context(method), initializer=_leave_interrupts_alone)
    futures: list[Future[Outcome]] = []
    outcomes: list[Outcome | None] = []
    try:
        with suppress(BrokenExecutor):
            futures += [pool.submit(_check_in_turn, chunk) for chunk in chunks]
        for future in futures:
            try:
                outcomes.append(future.result())
            except BrokenExecutor:
                outcomes.append(None)
    finally:
        pool.shutdown(cancel_futures=True)
    outcomes += [None] * (len(chunks) - len(outcomes))
    return [
        _without_what_kills(chunk) if outcome is None else outcome
        for chunk, outcome in zip(chunks, outcomes, strict=True)
    ]


def _without_what_kills(chunk: _Chunk) -> Outcome:
    """The outcome of a chunk that was in work, or waiting, when a process died."""
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor  # noqa: PLC0415
    from multiprocessing import get_context  # noqa: PLC0415

    files, codes, config = chunk
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_leave_interrupts_alone) as pool:
        try:
            return pool.submit(_check_in_turn, chunk).result()
        except BrokenExecutor:
            pass
    if len(files) > 1:
        middle = len(files) // 2
        return joined(_without_what_kills((part, codes, config)) for part in (files[:middle], files[middle:]))
    found = _failed(files[0], "the process that checked this file died", ())
    return Outcome((found,) if found.code in codes else (), files=1)


def _leave_interrupts_alone() -> None:
    """Ctrl-C is for the process that was started by hand; it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _failure(path: str, error: Exception) -> Diagnostic:
    place = traceback.extract_tb(error.__traceback__)[-1]
    note = f"in {place.name}(), {Path(place.filename).name}:{place.lineno}"
    return _failed(path, f"the checker failed on this file: {type(error).__name__}: {error}", (note,))


def _failed(path: str, message: str, notes: tuple[str, ...]) -> Diagnostic:
    first_line = " ".join(message.split())
    return Diagnostic(path, Span(1, 1, 1, 1), "SG003", "failed-check", first_line, notes)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
