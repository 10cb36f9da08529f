"""The lint as a plugin of flake8, which reads the files, picks the codes and silences `# noqa` itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from shapeguard import __version__
from shapeguard.config import Config, UsageError, read_config
from shapeguard.source.file import Source
from shapeguard.source.read import is_relevant

_FOUND_BY_FLAKE8 = frozenset({"SG001", "SG002", "SG004"})
"""Files that can't be read or parsed, which it reports as E902 and E999; and it counts no unused comments."""


class Plugin:
    """One file, as flake8 hands it out."""

    name = "shapeguard"
    version = __version__

    def __init__(self, tree: ast.AST, filename: str, lines: Sequence[str]) -> None:
        del tree  # flake8 needs the parameter to know that files are to be parsed; ours counts columns in characters
        self._path = filename
        self._text = "".join(lines)

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        """Line, column, and what is found there."""
        if not is_relevant(self._text.encode(errors="surrogatepass")):
            return
        from shapeguard.catalog import chosen_codes  # noqa: PLC0415 - most files need none of it
        from shapeguard.check import check_source, codes_in  # noqa: PLC0415

        try:
            config = _config_of(str(Path(self._path).parent))
            codes = codes_in(self._path, chosen_codes(config), config) - _FOUND_BY_FLAKE8
        except UsageError as error:  # of anything that is raised flake8 shows the traceback
            yield 1, 0, f"SG001 {error}", type(self)
            return
        text = self._text.replace("\r\n", "\n").replace("\r", "\n")
        for found in check_source(Source(self._path, text), codes, preview=config.preview).diagnostics:
            yield found.span.line, found.span.column - 1, f"{found.code} {found.message}", type(self)


@cache
def _config_of(folder: str) -> Config:
    return read_config([folder])
