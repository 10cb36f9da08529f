"""What shapeguard finds in a broken script, and what its fixes make of it."""

from __future__ import annotations

from shapeguard.catalog import chosen_codes
from shapeguard.check import check_source
from shapeguard.config import Config
from shapeguard.fixes import Fixed, diff, fix_data
from shapeguard.report import render
from shapeguard.source.file import Source
from shapeguard.source.read import source_from


class Checked:
    """A script as `shapeguard check` sees it, with no project around it."""

    def __init__(self, path: str, script: bytes) -> None:
        source = source_from(path, script)
        assert isinstance(source, Source), source
        self.path, self.source = path, source
        self.codes = chosen_codes(Config())
        self.findings = check_source(source, self.codes).diagnostics
        self.is_unsafe = any(each.fix is not None and each.fix.applicability == "unsafe" for each in self.findings)
        """Whether a fix has to be asked for."""
        self.fixed: Fixed = fix_data(
            path, script, lambda each: check_source(each, self.codes).diagnostics, unsafe=self.is_unsafe
        )

    def report(self, *, colour: bool) -> str:
        """What `shapeguard check` prints."""
        return render("full", self.findings, 1, colour=colour, sources=lambda _: self.source)

    def diff(self, *, colour: bool) -> str:
        """What `--diff` adds."""
        return diff(self.path, self.fixed.before, self.fixed.after, colour=colour)
