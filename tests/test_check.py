"""From files to findings: which are looked at, which findings are passed on, and that no file stops the run."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shapeguard import check
from shapeguard.catalog import CODES, chosen_codes
from shapeguard.check import check_file, check_paths, inspect_file
from shapeguard.config import Config, UsageError
from shapeguard.diagnostics import Diagnostic, Span
from shapeguard.infer.analysis import Analysis, Expression

PACKAGES = str(Path(check.__file__).parents[1])
EVERYTHING = frozenset(each.code for each in CODES)
NAMES = {each.code: each.name for each in CODES}


def analyse_marks(source, *, guessing=False):
    """A finding for each code that stands in the text of a file as `mark_SG301`, and an expression of each kind."""
    found = []
    for number, line in enumerate(source.lines, start=1):
        for code in EVERYTHING:
            if f"mark_{code}" in line:
                column = line.index(f"mark_{code}") + 1
                span = Span(number, column, number, column + 10)
                found.append(Diagnostic(source.path, span, code, NAMES[code], "marked"))
    place = Span(1, 1, 1, 2)
    shapes = [("b", 3), ("b", "?"), ("...",), None]
    return Analysis(
        tuple(reversed(found)), tuple(Expression(place, "f", "x", shape, None) for shape in shapes), {"lose": 1}, ("f",)
    )


@pytest.fixture(autouse=True)
def marked(monkeypatch, tmp_path):
    monkeypatch.setattr(check, "analyse", analyse_marks)
    monkeypatch.chdir(tmp_path)


def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


def codes_of(outcome):
    return [each.code for each in outcome.diagnostics]


def test_findings_are_in_the_order_of_files_and_lines():
    write("b.py", "import torch\nmark_SG301\nmark_SG304, mark_SG302\n")
    write("a.py", "import torch\nmark_SG306\n")
    outcome = check_paths(["."], Config())
    assert [(each.path, each.span.line, each.code) for each in outcome.diagnostics] == [
        ("a.py", 2, "SG306"),
        ("b.py", 2, "SG301"),
        ("b.py", 3, "SG304"),
        ("b.py", 3, "SG302"),
    ]
    assert outcome.files == 2


def test_file_without_a_word_of_torch_is_not_parsed():
    write("a.py", "def f(:\n")
    write("b.py", "import torch\ndef f(:\n")
    assert [each.path for each in check_paths(["."], Config()).diagnostics] == ["b.py"]


def test_same_finding_twice_is_reported_once(monkeypatch):
    write("a.py", "import torch\nmark_SG301\n")
    monkeypatch.setattr(
        check, "analyse", lambda source: Analysis(analyse_marks(source).diagnostics + analyse_marks(source).diagnostics)
    )
    assert codes_of(check_paths(["."], Config())) == ["SG301"]


def test_comments_silence_findings():
    write("a.py", "import torch\nmark_SG301  # noqa: SG301\nmark_SG301  # shapeguard: ignore[SG302]\n")
    write("b.py", "# shapeguard: skip-file\nimport torch\nmark_SG301\ndef f(:\n")
    assert [(each.path, each.span.line) for each in check_paths(["."], Config()).diagnostics] == [("a.py", 3)]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Config(), ["SG301", "SG302", "SG304"]),
        (Config(select=("SG301", "wrong-permute")), ["SG301", "SG304"]),
        (Config(select=("SG3",), ignore=("SG302",)), ["SG301", "SG304"]),
        (Config(ignore=("ALL",)), []),
        (Config(per_file_ignores=(("pkg/*.py", ("SG30",)),)), []),
        (Config(per_file_ignores=(("other/*.py", ("SG30",)),)), ["SG301", "SG302", "SG304"]),
    ],
)
def test_select_and_ignore(config, expected):
    write("pkg/a.py", "import torch\nmark_SG301\nmark_SG302\nmark_SG304\n")
    assert codes_of(check_paths(["."], config)) == expected


def test_what_went_unchecked_is_reported_unless_ignored():
    write("a.py", "import torch\ndef f(:\n")
    assert codes_of(check_paths(["."], Config(select=("SG304",)))) == ["SG002"]
    assert codes_of(check_paths(["."], Config(ignore=("syntax-error",)))) == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (Config(select=("SG31",)), "unknown rule `SG31` in `select`; `shapeguard rules` lists them"),
        (Config(ignore=("shape-mismach",)), "unknown rule `shape-mismach` in `ignore`; did you mean `shape-mismatch`?"),
        (
            Config(per_file_ignores=(("a", ("X",)),)),
            "unknown rule `X` in `per-file-ignores`; `shapeguard rules` lists them",
        ),
        (Config(severity=(("SG9", "info"),)), "unknown rule `SG9` in `severity`; "),
    ],
)
def test_unknown_rule_is_refused_with_the_file_that_names_it(config, sentence):
    with pytest.raises(UsageError) as refused:
        chosen_codes(config)
    assert str(refused.value).startswith(f"pyproject.toml: {sentence}")


def test_file_on_which_the_checker_fails_stops_nothing(monkeypatch):
    write("a.py", "import torch\nmark_SG301\n")
    write("b.py", "import torch\nmark_SG302\n")

    def fail(source):
        if source.path == "a.py":
            raise ValueError("two\nlines")
        return analyse_marks(source)

    monkeypatch.setattr(check, "analyse", fail)
    failed, found = check_paths(["."], Config()).diagnostics
    assert (failed.code, failed.name) == ("SG003", "failed-check")
    assert failed.message == "the checker failed on this file: ValueError: two lines"
    assert failed.notes[0].startswith("in fail(), test_check.py:")
    assert found.code == "SG302"


def test_unreadable_file_stops_nothing():
    Path("a.py").write_bytes("import torch\n# ü".encode("latin-1"))
    write("b.py", "import torch\nmark_SG301\n")
    outcome = check_paths(["."], Config())
    assert codes_of(outcome) == ["SG001", "SG301"]
    assert outcome.files == 2


def test_byte_order_mark_and_line_ends_move_nothing():
    Path("a.py").write_bytes(b"\xef\xbb\xbfimport torch\r\n\r\n  # \xc3\xa9\r\nmark_SG301  \r\n")
    (found,) = check_paths(["a.py"], Config()).diagnostics
    assert found.span == Span(4, 1, 4, 11)


def test_notebook_findings_count_lines_in_their_cell():
    cells = ["import torch", "%load x\\nmark_SG301", "def f(:", "mark_SG302  # noqa"]
    made = ", ".join(f'{{"cell_type": "code", "source": "{cell}"}}' for cell in cells)
    write("a.ipynb", f'{{"nbformat": 4, "cells": [{made}]}}')
    found, broken = check_paths(["."], Config()).diagnostics
    assert (broken.code, broken.cell, broken.span.line) == ("SG002", 3, 1)
    assert (found.code, found.cell, found.span) == ("SG301", 2, Span(2, 1, 2, 11))


def test_tracking_is_summed_over_files():
    for name in ("a.py", "b.py"):
        write(name, "import torch\n")
    tracking = check_paths(["."], Config()).tracking
    assert (tracking.expressions, tracking.known, tracking.complete) == (8, 6, 2)
    assert tracking.lost == {"lose": 2}
    assert tracking.exhausted == ("a.py: f", "b.py: f")


def test_inspect_file_says_what_is_known():
    write("a.py", "x = 1\n")
    source, analysis = inspect_file("a.py")
    assert source.path == "a.py"
    assert len(analysis.expressions) == 4


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone.py", "no such file: gone.py"),
        (".", ".: the file can't be read: Is a directory"),
        ("broken.py", "broken.py:2:4 Python can't parse this: invalid syntax"),
    ],
)
def test_inspect_file_refuses_what_it_cannot_read(name, sentence):
    write("broken.py", "x = 1\ny =\n")
    with pytest.raises(UsageError) as refused:
        inspect_file(name)
    assert str(refused.value) == sentence


# Several processes. The stand-in for the checker isn't known in these, so they are given what no checker ever sees.


def broken_files(count=40):
    for number in range(count):
        write(f"{number:02}.py", "import torch\n" + "\n" * number + "def f(:\n")


def test_many_processes_find_what_one_finds():
    broken_files()
    several = check_paths(["."], Config(), jobs=3)
    assert several.diagnostics == check_paths(["."], Config(), jobs=1).diagnostics
    assert [each.path for each in several.diagnostics] == [f"{number:02}.py" for number in range(40)]
    assert several.files == 40


def test_file_that_kills_its_process_is_found():
    broken_files(20)
    write("07.py", "import torch\nkill\n")
    # A new process knows the site's customisation alone.
    write(".site/sitecustomize.py", KILLER)
    path = os.pathsep.join([str(Path(".site").absolute()), PACKAGES])
    command = [sys.executable, "-m", "shapeguard", "check", "--jobs", "2", "--output-format", "json"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert ran.returncode == 1
    assert ran.stderr == ""
    found = json.loads(ran.stdout)
    assert [Path(each["filename"]).name for each in found] == [f"{number:02}.py" for number in range(20)]
    assert {Path(each["filename"]).name for each in found if each["code"] == "SG003"} == {"07.py"}
    assert found[7]["message"] == "the process that checked this file died"


KILLER = """
import os, pathlib
read = pathlib.Path.read_bytes
def read_bytes(self):
    data = read(self)
    if self.name == "07.py" and b"kill" in data:
        os._exit(9)
    return data
pathlib.Path.read_bytes = read_bytes
"""


@pytest.mark.parametrize(
    "program", ["import shapeguard.check", "import shapeguard.cli; shapeguard.cli.main(['check', '.'])"]
)
def test_checking_loads_neither_the_guard_nor_torch(program):
    write("a.py", "import torch\nfrom torch import Tensor\n\ndef f(x: Tensor):\n    return x.relu()\n")
    unwanted = {"torch", "libcst", "jaxtyping", "beartype", "numpy", "shapeguard.runtime", "concurrent.futures.process"}
    lines = f"{program}\nimport sys\nassert not {unwanted} & set(sys.modules), {unwanted} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    subprocess.run([sys.executable, "-c", lines], check=True, capture_output=True, env=environment)


def test_check_file_is_one_file():
    write("a.py", "import torch\nmark_SG301\n")
    assert codes_of(check_file("a.py", EVERYTHING, Config())) == ["SG301"]
    assert codes_of(check_file("a.py", frozenset({"SG302"}), Config())) == []


def test_collecting_garbage_is_as_it_was_after_a_check(monkeypatch):
    during = []

    def look(source, **_):
        during.append(gc.get_threshold())
        return Analysis()

    monkeypatch.setattr(check, "analyse", look)
    write("a.py", "import torch\nx = 1\n")
    before = gc.get_threshold()

    check_paths(["a.py"], Config())
    inspect_file("a.py")

    assert gc.get_threshold() == before
    assert all(each[0] > before[0] for each in during)
    assert len(during) == 2
