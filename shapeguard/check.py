"""Files in, findings out: what is looked at, by how many processes, and which findings are passed on."""

from __future__ import annotations

import gc
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from shapeguard.config import Config, UsageError
from shapeguard.diagnostics import Diagnostic, Span, Tracking
from shapeguard.infer.analysis import Analysis
from shapeguard.kinds import LEFT_TO_RULES, OF_SHAPES
from shapeguard.source.file import Source
from shapeguard.source.find import find_files, ignored_in
from shapeguard.source.read import is_relevant, mentions_tensors, read_bytes, read_source, source_from
from shapeguard.source.traces import Trace, forget_traces, keep_traces, news

if TYPE_CHECKING:
    from shapeguard.cache import Cache

# What knows of rules and of shapes is loaded where a file is checked: a run over files that are all known needs none.
_FEW = 16
"""So many files are checked sooner than another process has started."""
_CHUNK_AT_MOST = 16
_OBJECTS_BETWEEN_COLLECTIONS = 500_000
"""More than one file's analysis makes, unless it gets out of hand."""
_LOADED_ONCE = ("shapeguard.check", "shapeguard.infer.interpreter", "shapeguard.lint.finding", "shapeguard.rules")


@dataclass(frozen=True)
class Outcome:
    """What a run, or one file of it, comes to."""

    diagnostics: tuple[Diagnostic, ...] = ()
    """In the order of the files, then of the lines."""
    files: int = 0
    """Looked at."""
    tracking: Tracking = field(default_factory=Tracking)


def check_paths(
    paths: Sequence[str],
    config: Config,
    *,
    jobs: int | None = None,
    cached: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Outcome:
    """Check all files below the paths, in up to `jobs` processes: as many as there are processors, if None.

    `progress` is told how many files are done, of how many. A file that can't be checked is a finding and stops
    nothing; a path or a code that doesn't exist is a UsageError.
    """
    files = find_files(paths, config)
    memory = _opened(config) if cached else None
    known = memory.known(files) if memory else {}
    outcomes = {file: Outcome(diagnostics, 1, tracking) for file, (diagnostics, tracking) in known.items()}
    waiting = [file for file in files if file not in outcomes]
    if waiting or not files:
        for part in _parts(waiting, config, jobs or _processors(), traced=cached):
            outcomes.update(part.outcomes)
            if memory:
                memory.add(
                    {file: (each.diagnostics, each.tracking) for file, each in part.outcomes.items()}, part.traces
                )
            if progress:
                progress(len(outcomes), len(files))
    if memory:
        memory.save()
    return joined(outcomes[file] for file in files)


def _opened(config: Config) -> Cache:
    from shapeguard.cache import open_cache  # noqa: PLC0415 - not all want one

    return open_cache(config)


def check_file(path: str, codes: frozenset[str], config: Config) -> Outcome:
    """Check one file; whatever is in it, nothing is raised."""
    data = read_bytes(path)
    if isinstance(data, Diagnostic):
        return _of_unchecked(data, codes, config)
    return check_bytes(path, data, codes, config)


def check_bytes(path: str, data: bytes, codes: frozenset[str], config: Config) -> Outcome:
    """Check what is, or would be, in a file."""
    if not is_relevant(data):
        return Outcome(files=1)
    source = source_from(path, data)
    if isinstance(source, Diagnostic):
        return _of_unchecked(source, codes, config)
    return weighed(check_source(source, codes_in(path, codes, config), preview=config.preview), config)


def _of_unchecked(why: Diagnostic, codes: frozenset[str], config: Config) -> Outcome:
    """What a file comes to that wasn't checked."""
    is_reported = why.code in codes_in(why.path, codes, config)
    return weighed(Outcome((why,) if is_reported else (), files=1), config)


def weighed(outcome: Outcome, config: Config) -> Outcome:
    """The same with the severities that the configuration asks for."""
    if not config.severity:
        return outcome
    every = outcome.diagnostics
    severities = [config.severity_of(each.code, each.name, each.severity) for each in every]
    changed = (replace(each, severity=severity) for each, severity in zip(every, severities, strict=True))
    return replace(outcome, diagnostics=tuple(changed))


def codes_in(path: str, codes: frozenset[str], config: Config) -> frozenset[str]:
    """The codes that are reported in this file."""
    from shapeguard.catalog import codes_meant  # noqa: PLC0415

    return codes - frozenset().union(*map(codes_meant, ignored_in(path, config)))


def analyse(source: Source, *, guessing: bool = False) -> Analysis:
    """What the static checker says of a file; never raises, whatever is in it."""
    from shapeguard.infer.interpreter import analyse as interpreted  # noqa: PLC0415

    return interpreted(source, guessing=guessing)


def check_source(source: Source, codes: frozenset[str], *, preview: bool = False) -> Outcome:
    """Check what is in a file, without the findings that a comment in it silences."""
    from shapeguard.catalog import CODES_IN_SHORT  # noqa: PLC0415
    from shapeguard.source.silencing import sift, unused  # noqa: PLC0415

    if source.skipped:
        return Outcome(files=1)
    if not mentions_tensors(source.text):  # and so holds nothing but comments to check
        idle = unused(source, frozenset(), codes, CODES_IN_SHORT)
        return Outcome(tuple(_placed(source, each) for each in idle), files=1)
    if not source.tree.body:
        return Outcome(tuple(each for each in source.errors if each.code in codes), files=1)
    try:
        found, analysis = _found_in(source, codes)
        sifted = sift(source, found)
        kept = [each for each in sifted.kept if preview or not each.preview]
        if not source.errors and not analysis.exhausted:  # else something may not have been found
            kept = sorted((*kept, *unused(source, sifted.used, codes, CODES_IN_SHORT)), key=lambda each: each.span)
    except Exception as error:  # noqa: BLE001 - one file doesn't stop the run
        analysis, kept = Analysis(), [_failure(source.path, error)]
    every = sorted((*source.errors, *(_placed(source, each) for each in kept)), key=lambda each: (each.cell, each.span))
    reported = tuple(each for each in every if each.code in codes)
    return Outcome(reported, files=1, tracking=tracking_of(source, analysis))


def _found_in(source: Source, codes: frozenset[str]) -> tuple[Iterable[Diagnostic], Analysis]:
    """All that rules and the static checker find, and what that one knows of the file if it is asked."""
    from shapeguard.lint.finding import lint  # noqa: PLC0415
    from shapeguard.rules import OUTLINES  # noqa: PLC0415
    from shapeguard.source.silencing import silencer  # noqa: PLC0415

    shapes = cache(lambda: analyse(source))
    silencing = cache(lambda: silencer(source))
    given_up: list[str] = []
    rules = [rule for rule in OUTLINES if rule.kind.code in codes]
    linted = list(lint(source, rules, lambda: shapes().tensors, given_up.append, lambda each: bool(silencing()(each))))
    analysis = shapes() if codes & OF_SHAPES else Analysis()
    told = {(each.span.line, code) for each in linted if not each.preview for code in LEFT_TO_RULES.get(each.code, ())}
    shaped = [each for each in analysis.diagnostics if (each.span.line, each.code) not in told]
    known = {(each.span.line, each.code) for each in shaped if not each.preview and each.code in codes}
    alone = (each for each in linted if (each.span.line, each.code) not in told)
    every = (*shaped, *(each for each in alone if not (each.preview and _is_told(each, known))))
    found = dict.fromkeys(sorted(every, key=lambda each: (each.span, each.code, each.message)))
    return found, replace(analysis, exhausted=(*analysis.exhausted, *given_up))


def _is_told(found: Diagnostic, known: set[tuple[int, str]]) -> bool:
    """Whether the static checker says on its line what a rule is unsure of."""
    return any((found.span.line, code) in known for code in LEFT_TO_RULES.get(found.code, ()))


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
    if isinstance(source, Diagnostic):
        raise UsageError(f"{path}: {source.message}")
    if source.errors and not source.cells:
        first = source.errors[0]
        raise UsageError(f"{path}:{first.span.line}:{first.span.column} {first.message}")
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


@dataclass(frozen=True)
class _Part:
    """What one process has to tell of some files."""

    outcomes: dict[str, Outcome]
    traces: dict[str, Trace] = field(default_factory=dict)


def _parts(files: Sequence[str], config: Config, jobs: int, *, traced: bool) -> Iterator[_Part]:
    """The outcomes of files that are checked in up to so many processes."""
    from shapeguard.catalog import chosen_codes  # noqa: PLC0415

    codes = chosen_codes(config)
    jobs = 1 if len(files) < _FEW else min(jobs, len(files))
    size = min(_CHUNK_AT_MOST, max(1, len(files) // (4 * jobs)))
    chunks = [files[start : start + size] for start in range(0, len(files), size)]
    work = partial(_check_in_turn, codes=codes, config=config, traced=traced)
    if jobs > 1:
        from shapeguard.processes import in_processes  # noqa: PLC0415 - few files need no other process

        yield from in_processes(work, chunks, jobs, partial(_died, codes=codes, config=config), _LOADED_ONCE)
        return
    forget_traces()
    yield from map(work, chunks)


def _check_in_turn(files: Sequence[str], codes: frozenset[str], config: Config, *, traced: bool) -> _Part:
    """Check files one after the other."""
    if traced:
        keep_traces()
    outcomes: dict[str, Outcome] = {}
    with _collecting_seldom():
        for file in files:
            outcomes[file] = check_file(file, codes, config)
            # All that was made for the file is young, and garbage now.
            gc.collect(0)
    return _Part(outcomes, news())


def _died(file: str, codes: frozenset[str], config: Config) -> _Part:
    found = _failed(file, "the process that checked this file died", ())
    return _Part({file: _of_unchecked(found, codes, config)})


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Look for garbage seldom: while a file is checked there is hardly any, and looking took a quarter of the time."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


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
