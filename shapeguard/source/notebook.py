"""The code cells of a notebook as one source, with the way back to cell and line."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from shapeguard.diagnostics import Diagnostic
from shapeguard.source.file import Cell, Source, parse, syntax_error, unreadable

_OLDEST = 4  # the format in which cells stand directly in the notebook; IPython has written it since 2015
_INDENTED = re.compile(r"(?P<indent>\s*)(?P<rest>.*)")
# `y = !ls` and `y = %time f()`: the value is the shell's or the magic's.
_ASSIGNED = re.compile(r"(?P<target>\s*[\w.,\s\[\]]+=\s*)[!%](?!=)")
# Cell magics after which Python goes on.
_PYTHON_GOES_ON = ("%%time", "%%timeit", "%%capture", "%%prun")


def read_notebook(path: str, data: bytes) -> Source | Diagnostic:
    """Its code cells one after the other; what IPython alone understands stands as `pass`, a line for a line.

    A cell that can't be parsed is left out and reported alone.
    """
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return unreadable(path, f"is no notebook: {error}")
    sources = raw_cells(notebook)
    if isinstance(sources, str):
        return unreadable(path, f"is no notebook that can be read: {sources}")
    lines: list[str] = []
    original: list[str] = []
    cells: list[Cell] = []
    errors: list[Diagnostic] = []
    for number, raw in sources:
        text = raw.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
        understood = _as_python(text)
        parsed = parse(understood)
        cells.append(Cell(number, len(lines) + 1))
        original += text.split("\n")
        if isinstance(parsed, ast.Module):
            lines += understood.split("\n")
        else:
            errors.append(syntax_error(path, *parsed, cell=number))
            lines += [""] * (understood.count("\n") + 1)
    return Source(path, "\n".join(lines), tuple(cells), tuple(errors), "\n".join(original))


def raw_cells(notebook: Any) -> list[tuple[int, str]] | str:
    """Each code cell's number and text as they stand, or what is wrong with the notebook."""
    if not isinstance(notebook, dict) or not isinstance(notebook.get("nbformat"), int):
        return "it names no `nbformat`"
    if notebook["nbformat"] < _OLDEST:
        return f"its format is {notebook['nbformat']}, and the oldest one that is read is {_OLDEST}"
    if not isinstance(notebook.get("cells"), list):
        return "it has no list of `cells`"
    if _language(notebook) != "python":
        return []
    found: list[tuple[int, str]] = []
    for number, cell in enumerate(notebook["cells"], start=1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        text = cell.get("source", "")
        if isinstance(text, list) and all(isinstance(line, str) for line in text):
            text = "".join(text)
        if not isinstance(text, str):
            return f"the source of cell {number} is no text"
        found.append((number, text))
    return found


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    for part in ("language_info", "kernelspec"):
        details = metadata.get(part) if isinstance(metadata, dict) else None
        if isinstance(details, dict):
            language = details.get("name" if part == "language_info" else "language")
            if isinstance(language, str):
                return language.lower()
    return "python"


def _as_python(text: str) -> str:
    """The cell with what IPython alone understands taken out, line for line."""
    lines = text.split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    if lines[first].startswith("%%"):
        goes_on = lines[first].split()[0] in _PYTHON_GOES_ON
        lines = [""] * (first + 1) + [line if goes_on else "" for line in lines[first + 1 :]]
    # A line may begin with `%` in the middle of an expression or of a string, so only a cell that is no Python as it
    # stands is changed.
    plain = "\n".join(lines)
    return plain if isinstance(parse(plain), ast.Module) else "\n".join(_without_magic(lines))


def _without_magic(lines: list[str]) -> list[str]:
    result: list[str] = []
    continues = False
    for line in lines:
        if continues:
            continues = line.endswith("\\")
            result.append("")
            continue
        matched = _INDENTED.fullmatch(line)
        indent, rest = (matched["indent"], matched["rest"]) if matched else ("", line)
        magic = rest.startswith(("%", "!", "?")) or (rest.endswith("?") and "#" not in rest)
        assigned = _ASSIGNED.match(line)
        if magic or assigned:
            continues = line.endswith("\\")
            result.append(f"{assigned['target']}None" if assigned and not magic else f"{indent}pass")
        else:
            result.append(line)
    return result
