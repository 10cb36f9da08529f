"""What `shapeguard check` does, from what it is asked to its exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TextIO

from shapeguard.check import Outcome, check_bytes, check_paths, check_source, codes_in, weighed
from shapeguard.config import Config, UsageError, read_config
from shapeguard.diagnostics import Diagnostic
from shapeguard.report import render
from shapeguard.report.colours import has_colour
from shapeguard.report.findings import read_from_disk
from shapeguard.report.progress import Progress
from shapeguard.report.wording import count
from shapeguard.source.file import Source

FOUND = 1
COULD_NOT = 2
STANDARD_INPUT = "-"
_FOR_READERS = ("full", "concise")


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line of `shapeguard check`."""

    paths: Sequence[str] = ()
    select: Sequence[str] | None = None
    extend_select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    preview: bool = False
    fix: bool = False
    unsafe_fixes: bool = False
    diff: bool = False
    add_noqa: bool = False
    output_format: str | None = None
    statistics: bool = False
    baseline: str | None = None
    write_baseline: str | None = None
    exit_zero: bool = False
    jobs: int | None = None
    cache: bool = True
    force_exclude: bool = False
    stdin_filename: str | None = None


def run_check(asked: Asked) -> int:
    """Check, print what is found, and say by the exit status whether that is something."""
    _refuse_contradictions(asked)
    if STANDARD_INPUT in asked.paths:
        return _Input(asked).run()
    return _Files(asked).run()


def _refuse_contradictions(asked: Asked) -> None:
    """Refuse what would leave one of the options without effect."""
    ends = {
        "--fix": asked.fix,
        "--diff": asked.diff and not asked.fix,  # together they show what the first would do
        "--add-noqa": asked.add_noqa,
        "--write-baseline": asked.write_baseline is not None,
        "--baseline": asked.baseline is not None and asked.write_baseline is not None,
    }
    one, *others = [option for option, is_asked in ends.items() if is_asked] or [""]
    if others:
        raise UsageError(f"{one} and {others[0]} can't be asked for at once")
    shown = {"--output-format": asked.output_format is not None, "--statistics": asked.statistics}
    instead = "--diff" if asked.diff else one
    if instead not in ("", "--fix"):
        for option in (option for option, is_asked in shown.items() if is_asked):
            raise UsageError(f"{option} is how findings are shown, and {instead} shows none")
    if asked.unsafe_fixes and not (asked.fix or asked.diff):
        raise UsageError("--unsafe-fixes needs --fix or --diff")
    if asked.stdin_filename is not None and STANDARD_INPUT not in asked.paths:
        raise UsageError("--stdin-filename needs the path `-`, which stands for standard input")


class _Run:
    """One run: what it looks at is a subclass's."""

    def __init__(self, asked: Asked, places: Sequence[str]) -> None:
        self.asked = asked
        self.config = _config(asked, places)
        self.output_format = asked.output_format or self.config.output_format

    def source(self, path: str) -> Source | None:
        """What is in a file that has findings."""
        return read_from_disk(path)

    def report(self, outcome: Outcome, out: TextIO) -> int:
        """Print the findings, or how many there are; the exit status."""
        from shapeguard.report import statistics, tracking  # noqa: PLC0415 - seldom asked for

        outcome = self.without_known(outcome)
        found, colour = outcome.diagnostics, has_colour(out)
        counted = self.asked.statistics and self.output_format in statistics.FORMATS
        if not counted:
            text = render(self.output_format, found, outcome.files, colour=colour, sources=self.source)
            print(text, end="", file=out)
        if self.asked.statistics:
            counts = statistics.render(found, outcome.files, as_json=self.output_format == "json")
            print(counts, end="", file=out if counted else sys.stderr)
            beside = out if self.output_format in _FOR_READERS else sys.stderr
            print(tracking.render(outcome.tracking), end="", file=beside)
        return FOUND if found and not self.asked.exit_zero else 0

    def without_known(self, outcome: Outcome) -> Outcome:
        """The outcome without what the baseline knows."""
        file = self.asked.baseline
        if file is None and self.config.baseline is not None:
            file = os.path.join(self.config.root, self.config.baseline)  # noqa: PTH118 - named as the user named it
        if file is None:
            return outcome
        from shapeguard.baseline import new_findings, read_baseline, stale_note  # noqa: PLC0415 - seldom asked for

        known = read_baseline(file)
        new, stale = new_findings(known, outcome.diagnostics, self.lines_of, checked=self.checked(), codes=self.codes())
        if stale:
            print(stale_note(known, stale), file=sys.stderr)
        return replace(outcome, diagnostics=new)

    def checked(self) -> Sequence[str]:
        """The files that are looked at."""
        raise NotImplementedError

    def codes(self) -> frozenset[str]:
        """The codes that are reported."""
        from shapeguard.catalog import chosen_codes  # noqa: PLC0415 - a run in which all is known needs no rules

        return chosen_codes(self.config)

    def findings_in(self, source: Source) -> Sequence[Diagnostic]:
        """What is found in a source while it is fixed."""
        codes = codes_in(source.path, self.codes(), self.config)
        return weighed(check_source(source, codes, preview=self.config.preview), self.config).diagnostics

    def lines_of(self, found: Diagnostic) -> str:
        """The lines on which a finding stands."""
        source = self.source(found.path)
        if source is None:
            return ""
        above = source.lines_above(found.cell)
        return "\n".join(source.lines[above + found.span.line - 1 : above + found.span.end_line])


class _Files(_Run):
    """A run over files and folders."""

    def __init__(self, asked: Asked) -> None:
        given = asked.paths or (os.curdir,)
        self.paths = [path for path in given if os.path.lexists(path)]
        self.missing = [f"no such file or folder: {path}" for path in given if path not in self.paths]
        super().__init__(asked, given)

    def run(self) -> int:
        """Check those that are there, and do with the findings what is asked."""
        status = self.check() if self.paths else 0
        return _told(self.missing) or status

    def check(self) -> int:
        """The exit status of what is there."""
        with Progress() as progress:
            outcome = check_paths(
                self.paths, self.config, jobs=self.asked.jobs, cached=self.asked.cache, progress=progress
            )
        if self.asked.write_baseline is not None:
            return self.keep_as_known(self.asked.write_baseline, outcome)
        if self.asked.add_noqa:
            return self.silence(outcome)
        if self.asked.fix or self.asked.diff:
            return self.fix(outcome)
        return self.report(outcome, sys.stdout)

    def checked(self) -> Sequence[str]:
        """The files below the paths."""
        from shapeguard.source.find import find_files  # noqa: PLC0415 - only a baseline asks

        return find_files(self.paths, self.config)

    def keep_as_known(self, path: str, outcome: Outcome) -> int:
        """Write the findings down as known."""
        from shapeguard.baseline import write_baseline  # noqa: PLC0415 - seldom asked for

        number = write_baseline(path, outcome.diagnostics, self.lines_of)
        use = "" if self.config.baseline else "; the key `baseline` names it to every run"
        print(f"Wrote {count(number, 'finding')} to {path}{use}.")
        return 0

    def silence(self, outcome: Outcome) -> int:
        """Write a `# noqa` beside each finding."""
        from shapeguard.source.editing import CannotEditError, document  # noqa: PLC0415 - seldom asked for
        from shapeguard.source.read import read_bytes, source_from  # noqa: PLC0415
        from shapeguard.source.silencing import silencing_edits  # noqa: PLC0415
        from shapeguard.source.writing import write_file  # noqa: PLC0415

        lines, files, problems = 0, 0, list[str]()
        for path, found in groupby(outcome.diagnostics, key=lambda each: each.path):
            data = read_bytes(path)
            source = source_from(path, data) if isinstance(data, bytes) else data
            if isinstance(source, Diagnostic) or isinstance(data, Diagnostic):
                continue
            try:
                file = document(source, data)
                edits = [edit for edit in silencing_edits(source, found) if file.places(edit) is not None]
                if edits:
                    write_file(path, file.edited(edits))
                    lines, files = lines + len(edits), files + 1
            except CannotEditError as error:
                problems.append(f"{path} {error}; it is left as it was")
            except UsageError as error:
                problems.append(str(error))
        print(f"Silenced {count(lines, 'line')} in {count(files, 'file')}.")
        return _told(problems)

    def fix(self, outcome: Outcome) -> int:
        """Fix what can be fixed, or show how that would look, and report the rest."""
        from shapeguard.fixes import Fixed, diff, fix_file, is_made, write_fixed  # noqa: PLC0415 - seldom asked for

        unsafe = self.asked.unsafe_fixes
        fixable = [each.path for each in outcome.diagnostics if is_made(each.fix, unsafe=unsafe)]
        fixed: dict[str, Fixed] = {}
        problems: list[str] = []
        for path in dict.fromkeys(fixable):
            done = fix_file(path, self.findings_in, unsafe=unsafe)
            if done.problem is not None:
                problems.append(done.problem)
                continue
            try:
                if self.asked.diff:
                    print(diff(path, done.before, done.after, colour=has_colour(sys.stdout)), end="")
                else:
                    write_fixed(done)
                fixed[path] = done
            except UsageError as error:
                problems.append(str(error))
        made = sum(len(each.made) for each in fixed.values())
        where = f"{count(made, 'finding')} in {count(sum(bool(each.made) for each in fixed.values()), 'file')}"
        if self.asked.diff:
            left = 0 if unsafe else sum(is_made(each.fix, unsafe=True) for each in outcome.diagnostics) - len(fixable)
            said = f"Would fix {where}" if made else "Nothing to fix safely" if left else "Nothing to fix"
            more = f"; {left:,}{' more' if made else ''} with --unsafe-fixes" if left else ""
            print(f"{said}{more}.", file=sys.stderr)
            return _told(problems) or (FOUND if made and not self.asked.exit_zero else 0)
        if made:
            print(f"Fixed {where}.", file=sys.stdout if self.output_format in _FOR_READERS else sys.stderr)
        remaining = _with_remaining(outcome.diagnostics, {path: each.remaining for path, each in fixed.items()})
        status = self.report(replace(outcome, diagnostics=tuple(remaining)), sys.stdout)
        return _told(problems) or status


class _Input(_Run):
    """A run over what comes in on standard input."""

    def __init__(self, asked: Asked) -> None:
        if list(asked.paths) != [STANDARD_INPUT]:
            raise UsageError("`-` stands for standard input, and no other path can stand beside it")
        if asked.add_noqa or asked.write_baseline is not None:
            option = "--add-noqa" if asked.add_noqa else "--write-baseline"
            raise UsageError(f"{option} changes files, and standard input is none")
        self.path = asked.stdin_filename or STANDARD_INPUT
        super().__init__(asked, [asked.stdin_filename or os.curdir])
        self.data = b""

    def run(self) -> int:
        """Check it; with `--fix` the fixed code goes to standard output, and the findings beside it."""
        if sys.stdin is None:
            raise UsageError("standard input is closed")
        self.data = sys.stdin.buffer.read()
        outcome = check_bytes(self.path, self.data, self.codes(), self.config)
        if not self.asked.fix and not self.asked.diff:
            return self.report(outcome, sys.stdout)
        from shapeguard.fixes import diff, fix_data  # noqa: PLC0415 - seldom asked for

        done = fix_data(self.path, self.data, self.findings_in, unsafe=self.asked.unsafe_fixes)
        problems = [] if done.problem is None else [done.problem]
        if self.asked.diff:
            print(diff(self.path, done.before, done.after, colour=has_colour(sys.stdout)), end="")
            return _told(problems) or (FOUND if done.made and not self.asked.exit_zero else 0)
        sys.stdout.buffer.write(done.after)
        sys.stdout.flush()
        self.data = done.after
        status = self.report(replace(outcome, diagnostics=done.remaining), sys.stderr)
        return _told(problems) or status

    def checked(self) -> Sequence[str]:
        """The input, by the name that it is given."""
        return [self.path]

    def source(self, path: str) -> Source | None:
        """The input itself."""
        from shapeguard.source.read import source_from  # noqa: PLC0415 - only findings are shown in it

        read = source_from(path, self.data)
        return read if isinstance(read, Source) else None


def _config(asked: Asked, places: Sequence[str]) -> Config:
    """The configuration of the project, changed by the command line."""
    config = read_config(places)
    if asked.select is not None:
        # What the command line selects isn't taken away again by what the project ignores.
        config = replace(config, select=tuple(asked.select), extend_select=(), ignore=())
    return replace(
        config,
        extend_select=(*config.extend_select, *asked.extend_select),
        ignore=(*config.ignore, *asked.ignore),
        preview=config.preview or asked.preview,
        force_exclude=config.force_exclude or asked.force_exclude,
    )


def _with_remaining(found: Iterable[Diagnostic], remaining: dict[str, Sequence[Diagnostic]]) -> list[Diagnostic]:
    """Findings file by file, of which some files have others now."""
    every: list[Diagnostic] = []
    for path, here in groupby(found, key=lambda each: each.path):
        every += remaining.get(path, list(here))
    return every


def _told(problems: Iterable[str]) -> int:
    """Tell what couldn't be done; the exit status of that, 0 where all could."""
    status = 0
    for problem in problems:
        print(f"shapeguard check: {problem}", file=sys.stderr)
        status = COULD_NOT
    return status
