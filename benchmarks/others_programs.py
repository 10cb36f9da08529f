"""What others.py measures on: the pairs of tests/pairs, and the blocks of tests/cases, as programs of their own."""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from processes import ROOT

sys.path.insert(0, str(ROOT / "tests" / "pairs"))
sys.path.insert(0, str(ROOT / "tests" / "infer"))

from test_cases import BLOCKS, REFUSED, SETTING, Run, read
from test_pairs import DRIVER, pairs

GROUPS = ("plain", "annotated", "refused")


@dataclass(frozen=True)
class Program:
    """One program, without a line that calls it."""

    group: str
    """`plain` and `annotated` are the pairs, `refused` the blocks of the specification."""
    role: str
    """`buggy`, `correct`, or `twin`: a refused block without the step that is refused."""
    title: str
    text: str
    marked: frozenset[int] = frozenset()
    driver: str = ""
    """A function `outcome()` that calls it; empty where none is known."""

    @property
    def stem(self) -> str:
        """The name of its file, which can be imported."""
        return re.sub(r"\W", "_", f"{self.group}_{self.role}_{self.title}")


def programs(limit: int | None) -> list[Program]:
    """All of them, or of each group about `limit` buggy ones, evenly spread, and as many correct ones."""
    found = [*paired(limit), *specified("refused", limit), *specified("runs", limit)]
    assert len({each.stem for each in found}) == len(found)
    return found


def spread(items: Sequence, limit: int | None) -> Sequence:
    return items if limit is None else items[:: max(1, len(items) // limit)][:limit]


def paired(limit: int | None) -> Iterator[Program]:
    for pair in spread(pairs(), limit):
        for form, code in pair.codes.items():
            role, _, annotated = form.partition(" ")
            start = DRIVER.search(code).start()
            title = f"{pair.part}_{pair.kind}_{pair.name}"
            text = code[:start].rstrip() + "\n"
            yield Program(annotated or "plain", role, title, text, pair.marked[form], code[start:])


def specified(which: str, limit: int | None) -> Iterator[Program]:
    """Blocks that torch refuses, each with its twin; or blocks in which nothing is wrong."""
    chosen = []
    for block in BLOCKS:
        info, code = block.values
        text, _, errors = read(code)
        refused = frozenset(line for line, kind in errors.items() if kind in REFUSED)
        if "not run:" not in info and (refused if which == "refused" else not errors):
            chosen.append((block.id, info, text, refused))
    for title, info, text, refused in spread(chosen, limit):
        role = "buggy" if refused else "correct"
        yield Program("refused", role, title, text, refused, calls(info, text))
        if refused:
            yield Program("refused", "twin", title, without(text, refused))


def without(text: str, lines: frozenset[int]) -> str:
    """The program, left just before the steps on some lines."""
    tree = ast.parse(text)
    rows = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno in lines and not hasattr(node, "body"):
            rows[node.lineno - 1] = f"{rows[node.lineno - 1][: node.col_offset]}return None"
            rows[node.lineno : node.end_lineno] = [""] * (node.end_lineno - node.lineno)
    return "\n".join(rows) + "\n"


def calls(info: str, text: str) -> str:
    """A driver that calls the block's functions as its test does; empty if one takes more than tensors and numbers."""
    run = Run(dict(SETTING.findall(info)), text)
    exec(compile(text, "case.py", "exec"), vars(run.module))  # noqa: S102 - the blocks are the specification
    lines = []
    for call, _ in run.calls():
        try:
            given = ", ".join(f"{name}={written(value)}" for name, value in call.keywords.items())
        except TypeError:
            return ""
        owner = getattr(call.func, "__self__", None)
        if owner is not None:
            return ""
        lines.append(f"    {call.func.__name__}({given})\n")
    return "def outcome():\n" + "".join(lines) if lines else ""


def written(value) -> str:
    """The value as source."""
    if isinstance(value, torch.Tensor):
        return f"torch.ones({tuple(value.shape)}, dtype={value.dtype})"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    raise TypeError(value)
