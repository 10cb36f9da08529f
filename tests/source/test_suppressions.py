"""Comments that silence findings: which they do, which of them are of no use, and how more are written."""

import ast
import json

import pytest

from shapeguard.catalog import CODES
from shapeguard.check import check_bytes, check_source
from shapeguard.config import Config
from shapeguard.diagnostics import Diagnostic, Edit, Fix, Span
from shapeguard.fixes import fixed_text
from shapeguard.rules import RULES
from shapeguard.source.file import Source
from shapeguard.source.read import source_from
from shapeguard.source.silencing import sift, silencing_edits, unused

EVERYTHING = frozenset(each.code for each in CODES)


def finding(line, code="SG301", name="shape-mismatch", end_line=None):
    return Diagnostic("a.py", Span(line, 1, end_line or line, 2), code, name, "")


def is_silenced(source, found):
    return not sift(source, [found]).kept


def silenced_lines(text):
    source = Source("a.py", text)
    return [number for number, _ in enumerate(source.lines, 1) if is_silenced(source, finding(number))]


# What a comment on a line silences


@pytest.mark.parametrize(
    ("comment", "silenced"),
    [
        ("# noqa", True),
        ("#NOQA", True),
        ("# noqa: SG301", True),
        ("# noqa:SG302,SG301", True),
        ("# noqa: sg301 because", True),
        ("# noqa: E501, SG3", True),
        ("# noqa: E501", False),
        ("# noqa: S3", False),
        ("# noqa: SG302", False),
        ("# noqa-like", False),
        ("# (B, T)  # noqa: SG301", True),
        ("# shapeguard: ignore", True),
        ("# shapeguard: ignore because", True),
        ("# shapeguard: ignore[SG301, wrong-permute]", True),
        ("# shapeguard:ignore[shape-mismatch]", True),
        ("# shapeguard: ignore[SG]", True),
        ("# shapeguard: ignore[ALL]", True),
        ("# shapeguard: ignore[S]", False),
        ("# shapeguard: ignore[wrong-permute]", False),
        ("# shapeguard: ignore[wrong-permute", False),
        ("# shapeguard: ignore[]", False),
        ("# shapeguard: ignored", False),
        ("# write `# shapeguard: ignore`", False),
        ("# type: ignore", False),
        ("# noqa: E501  # shapeguard: ignore[SG301]", True),
    ],
)
def test_comment_silences(comment, silenced):
    source = Source("a.py", f"x = 1\ny = q @ k  {comment}\n")
    assert is_silenced(source, finding(2)) is silenced
    assert not is_silenced(source, finding(1))


def test_comment_silences_what_begins_or_ends_on_its_line():
    source = Source("a.py", "f(  # noqa: SG301\n    a,\n    b)  # noqa: SG302\nc\n")
    assert is_silenced(source, finding(1, end_line=3))
    assert is_silenced(source, finding(1, "SG302", end_line=3))
    assert not is_silenced(source, finding(2))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x = f(\n    a,\n    b,\n)  # noqa\nc\n", [1, 2, 3, 4]),
        ("x = 1 + \\\n  2 + \\\n 3  # noqa\nc\n", [1, 2, 3]),
        ("x = '''\n# noqa\n''', f(  # noqa\n    a)\n", [1, 2, 3]),
        ("if (\n    a\n):  # noqa\n    b\n    c\n", [1, 2, 3]),
        ("if (a\n    and b): x = f(\n  c)  # noqa\n", [2, 3]),
        ("def f(\n    a,\n):  # noqa\n\n    # (b, t)\n    return a\n", [1, 2, 3]),
        ("class A:  # shapeguard: ignore\n    @b\n    def c(self): ...\n", [1]),
        ("match (\n    x\n):  # noqa\n    case 1:\n        y\n", [1, 2, 3]),
        ("x = '# noqa'\n", []),
    ],
)
def test_comment_at_the_end_of_a_statement_silences_all_of_it(text, lines):
    assert silenced_lines(text) == lines


# Blocks and files

BLOCKS = """\
import torch

# shapeguard: ignore[shape-mismatch]
a = 1                               # <-
b = 2

# shapeguard: ignore

# because
@decorated                          # <-
@twice                              # <-
def f(                              # <-
    x,                              # <-
):                                  # <-
    if x:                           # <-
        return 1                    # <-
    return 2                        # <-

class A:
    # shapeguard: ignore[SG3]
    x = [                           # <-
        1,                          # <-
    ]                               # <-
    y = 3
    @decorated
    # shapeguard: ignore
    def g(self):                    # <-
        return 2                    # <-

    # shapeguard: ignore
z = 1                               # <-
if z:
    x = 3
# shapeguard: ignore
elif a:                             # <-
    x = 4                           # <-
elif b:
    x = 5
# shapeguard: ignore
else:                               # <-
    if x:                           # <-
        x = 6                       # <-
for z in b:
    with z:
        # shapeguard: ignore
        with y:                     # <-
            pass                    # <-
# shapeguard: ignore
else: x = 8                         # <-
try:
    x = 9
# shapeguard: ignore
except A:                           # <-
    x = 10                          # <-
except B:
    x = 11
# shapeguard: ignore
else:                               # <-
    x = 12                          # <-
# shapeguard: ignore
finally:                            # <-
    # (b, t)                        # <-
    x = 13                          # <-
match x:
    # shapeguard: ignore
    case 1:                         # <-
        x = 14                      # <-
    case 2:
        x = 15
f(
    # shapeguard: ignore
    x,                              # <-
    y,
)
# noqa
x = 16
# shapeguard: ignore
"""


def test_comment_on_a_line_of_its_own_silences_the_statement_after_it():
    marked = [number for number, line in enumerate(BLOCKS.split("\n"), 1) if "# <-" in line]
    alone = [number for number, line in enumerate(BLOCKS.split("\n"), 1) if line.strip() == "# noqa"]
    ast.parse(BLOCKS)
    # Inside a statement that is silenced, its blank lines and comments are too.
    inside = [number for number in silenced_lines(BLOCKS) if BLOCKS.split("\n")[number - 1].strip()]
    assert [number for number in inside if number not in alone] == marked


@pytest.mark.parametrize(
    ("comment", "silenced"),
    [
        ("# shapeguard: ignore-file[SG301]", True),
        ("# shapeguard: ignore-file[SG302, shape-mismatch]", True),
        ("# shapeguard: ignore-file[SG302]", False),
        ("# flake8: noqa: SG301", True),
        ("# flake8: noqa: E501,SG302", False),
        ("x = 1  # flake8: noqa: SG301", False),
        ("# flake8: noqa: SG301 because", False),
    ],
)
def test_comment_for_the_file_silences_all_of_it(comment, silenced):
    source = Source("a.py", f"x = 1\nf(\n  y)\n{comment}\n")
    assert is_silenced(source, finding(1)) is silenced
    assert is_silenced(source, finding(3)) is silenced
    assert not source.skipped


@pytest.mark.parametrize(
    ("text", "skipped"),
    [
        ("# shapeguard: skip-file\nx = 1\n", True),
        ("x = (  # shapeguard: skip-file\n", True),
        ("# shapeguard: ignore-file\n", True),
        ("# flake8: noqa\n", True),
        ("    #flake8:NOQA\n", True),
        ("# flake8: noqa because\n", False),
        ("x = 1  # flake8: noqa\n", False),
        ('"""# shapeguard: skip-file"""\n', False),
        ("# shapeguard: skip-files\n", False),
        ("# shapeguard: ignore-files\n", False),
        ("# shapeguard: ignore\n", False),
    ],
)
def test_skipped_file(text, skipped):
    assert Source("a.py", text).skipped is skipped


# Comments of no use

HEAD = "import torch.nn.functional as F\n"


def idle(text, codes=EVERYTHING):
    return [each for each in check_source(Source("a.py", text), codes).diagnostics if each.code == "SG004"]


def without_idle(text):
    for _ in range(2):
        text, _ = fixed_text(text, [each.fix for each in idle(text) if each.fix])
    return text


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("x = 1  # noqa: SG401\n", "x = 1\n", "`SG401` silences nothing here"),
        ("x = 1  # noqa: SG401   \ny = 2\n", "x = 1\ny = 2\n", "`SG401` silences nothing here"),
        ("x = 1  # noqa: E501, SG401\n", "x = 1  # noqa: E501\n", "`SG401` silences nothing here"),
        ("x = 1  # noqa:SG401,E501\n", "x = 1  # noqa:E501\n", "`SG401` silences nothing here"),
        (
            "x = 1  # noqa: SG302, A1, SG304 SG401 B2, SG3\n",
            "x = 1  # noqa: A1, B2\n",
            "`SG302`, `SG304`, `SG401` and `SG3` silence nothing here",
        ),
        ("x = 1  # (b, t)  # noqa: SG401\n", "x = 1  # (b, t)\n", "`SG401` silences nothing here"),
        ("x = 1  # noqa: SG401  # (b, t)\n", "x = 1  # (b, t)\n", "`SG401` silences nothing here"),
        ("x = 1  # noqa: SG401 - so it must be\n", "x = 1\n", "`SG401` silences nothing here"),
        ("x = 1  # noqa: SG401 (b, t)\n", "x = 1  # (b, t)\n", "`SG401` silences nothing here"),
        ("x = 1  # noqa: SG499\n", "x = 1\n", "`SG499` silences nothing here"),
        ("# noqa: SG401\nx = 1\n", "x = 1\n", "`SG401` silences nothing here"),
        ("x = 1  # shapeguard: ignore\n", "x = 1\n", "this comment silences nothing here"),
        ("x = 1  # shapeguard: ignore[]\n", "x = 1\n", "this comment silences nothing here"),
        ("x = 1  # shapeguard: ignore[implicit-softmax-dim]\n", "x = 1\n", "`implicit-softmax-dim` silences nothing"),
        (
            "x = 1  # noqa: E501  # shapeguard: ignore[E501, SG401]\n",
            "x = 1  # noqa: E501\n",
            "`E501` and `SG401` silence nothing here",
        ),
        (
            "# shapeguard: ignore[SG401]\ndef f():\n    pass\n",
            "def f():\n    pass\n",
            "`SG401` silences nothing in what",
        ),
        ("x = 1\n# shapeguard: ignore-file[SG401]", "x = 1", "`SG401` silences nothing in this file"),
        ("# flake8: noqa: SG401\nx = 1\n", "x = 1\n", "`SG401` silences nothing in this file"),
        (
            "x = F.softmax(y)  # noqa: SG401, SG301\n",
            "x = F.softmax(y)  # noqa: SG401\n",
            "`SG301` silences nothing here",
        ),
    ],
)
@pytest.mark.parametrize("head", [HEAD, ""], ids=["with torch", "without"])
def test_comment_that_silences_nothing_is_taken_away(head, before, after, message):
    if not head and "softmax(" in before:
        head = HEAD
    (found,) = idle(f"{head}{before}")
    assert found.message.startswith(message)
    assert (found.name, found.severity) == ("unused-suppression", "warning")
    assert found.fix
    assert found.fix.applicability == "safe"
    fixed = without_idle(f"{head}{before}")
    assert fixed == f"{head}{after}"
    assert without_idle(fixed) == fixed


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("x = 1  # noqa\n", EVERYTHING),
        ("x = 1  # noqa: E501, NPY002, SGX1\n", EVERYTHING),
        ("x = 1  # noqa: SG401\n", EVERYTHING - {"SG401"}),
        ("x = 1  # noqa: SG401\n", EVERYTHING - {"SG004"}),
        ("x = 1  # noqa: SG4\n", EVERYTHING - {"SG401"}),
        ("x = 1  # shapeguard: ignore\n", EVERYTHING - {"SG401"}),
        ("x = 1  # shapeguard: skip-file\ny = 1  # noqa: SG401\n", EVERYTHING),
        ("x = F.softmax(y)  # noqa: SG401\n", EVERYTHING),
        ("x = F.softmax(y)  # noqa: SG4\n", EVERYTHING),
        ("x = F.softmax(y)  # shapeguard: ignore\n", EVERYTHING),
        ("# shapeguard: ignore[implicit-softmax-dim]\ndef f(y):\n    return F.softmax(y)\n", EVERYTHING),
        ("# shapeguard: ignore-file[SG401]\nx = F.softmax(y)\n", EVERYTHING),
        ("x = 1  # noqa: SG401, SG004\n", EVERYTHING),
        ("x = 1  # noqa: SG401  # noqa\n", EVERYTHING),
        ("x = 1  # shapeguard: ignore[SG401, unused-suppression]\n", EVERYTHING),
        ("# shapeguard: ignore-file[SG004]\nx = 1  # noqa: SG401\n", EVERYTHING),
        ("# shapeguard: ignore\ndef f():\n    x = 1  # noqa: SG401\n", EVERYTHING),
        ("x = '# noqa: SG401'\n", EVERYTHING),
        ("def f(:  # noqa: SG401\n", EVERYTHING),
    ],
)
def test_comment_that_is_not_judged(text, codes):
    assert not idle(HEAD + text, codes)


def test_misspelt_name_is_told_and_left():
    (found,) = idle(f"{HEAD}x = 1  # shapeguard: ignore[implicit-softmax]\n")
    assert found.message == "`implicit-softmax` silences nothing; did you mean `implicit-softmax-dim`?"
    assert found.span == Span(2, 29, 2, 45)
    assert found.fix is None


def test_misspelt_name_stays_where_another_one_goes():
    text = f"{HEAD}x = 1  # shapeguard: ignore[SG401, implicit-softmax]\n"
    assert [bool(each.fix) for each in idle(text)] == [True, False]
    assert without_idle(text) == f"{HEAD}x = 1  # shapeguard: ignore[implicit-softmax]\n"


def test_unknown_code_is_told():
    (found,) = idle("x = 1  # shapeguard: ignore[SG999]\n")
    assert found.notes == ("shapeguard finds nothing called `SG999`",)


def test_file_without_torch_is_judged_without_being_parsed():
    config = Config()
    (found,) = check_bytes("a.py", b"def f(:  # noqa: SG401\n", EVERYTHING, config).diagnostics
    assert (found.code, found.span) == ("SG004", Span(1, 10, 1, 23))
    assert not check_bytes("a.py", b"def f(:  # noqa: E501\n", EVERYTHING, config).diagnostics


def test_silencing_what_is_in_preview_is_of_use():
    source = Source("a.py", "x = 1  # noqa: SG301\n")
    sifted = sift(source, [Diagnostic("a.py", Span(1, 1, 1, 2), "SG301", "shape-mismatch", "", preview=True)])
    assert not sifted.kept
    assert not unused(source, sifted.used, EVERYTHING, CODES)


# Comments written


def with_noqa(source, found):
    text, made = fixed_text(source.text, [Fix("", (edit,)) for edit in silencing_edits(source, found)])
    assert len(made) == len(silencing_edits(source, found))
    return text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = F.softmax(y)\n", "x = F.softmax(y)  # noqa: SG401\n"),
        ("x = F.softmax(y)", "x = F.softmax(y)  # noqa: SG401"),
        ("x = F.softmax(y)   \n", "x = F.softmax(y)  # noqa: SG401\n"),
        ("x = F.softmax(y)  # (b, t)\n", "x = F.softmax(y)  # (b, t)  # noqa: SG401\n"),
        ("x = F.softmax(y)  # noqa: E501\n", "x = F.softmax(y)  # noqa: E501, SG401\n"),
        ("x = F.softmax(y)  # noqa:E501,W1 because\n", "x = F.softmax(y)  # noqa:E501,W1, SG401 because\n"),
        ("x = F.softmax(\n    y\n)\n", "x = F.softmax(  # noqa: SG401\n    y\n)\n"),
        ("x = F.softmax(y) + \\\n    1\n", "x = F.softmax(y) + \\\n    1  # noqa: SG401\n"),
        ("x = F.softmax(y), '''\n'''\n", "x = F.softmax(y), '''\n'''  # noqa: SG401\n"),
        ("x = (F.softmax(y), '''\n''',\n    z)\n", "x = (F.softmax(y), '''\n''',  # noqa: SG401\n    z)\n"),
        ("x = F.softmax(y), F.softmax(z)\n", "x = F.softmax(y), F.softmax(z)  # noqa: SG401\n"),
        ("x = F.softmax(y), 'é'\n", "x = F.softmax(y), 'é'  # noqa: SG401\n"),
    ],
)
def test_finding_is_silenced_by_what_is_written(text, expected):
    source = Source("a.py", HEAD + text)
    found = check_source(source, EVERYTHING).diagnostics
    assert {each.code for each in found} == {"SG401"}
    written = with_noqa(source, found)
    assert written == HEAD + expected
    assert not check_source(Source("a.py", written), EVERYTHING).diagnostics


CASES = [
    (rule.name, number, case if isinstance(case, str) else case[0])
    for rule in RULES
    for number, case in enumerate(rule.invalid, 1)
]


@pytest.mark.parametrize(("name", "number", "text"), CASES, ids=[f"{name}-{number}" for name, number, _ in CASES])
def test_every_rule_is_silenced_by_what_is_written(name, number, text):
    del name, number
    source = Source("a.py", text)
    found = check_source(source, EVERYTHING, preview=True).diagnostics
    written = with_noqa(source, found)
    assert not check_source(Source("a.py", written), EVERYTHING, preview=True).diagnostics
    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(text))


def test_several_codes_stand_in_one_comment():
    source = Source("a.py", "x = 1  # noqa: SG304\ny = 2\n")
    found = [finding(1, "SG302"), finding(1, "SG301"), finding(1, "SG304"), finding(2, "SG306")]
    assert with_noqa(source, found) == "x = 1  # noqa: SG304, SG301, SG302\ny = 2  # noqa: SG306\n"


def test_what_no_comment_silences_gets_none():
    source = Source("a.py", "x = 1\ny = 2  # noqa\n")
    found = [finding(1, code) for code in ("SG001", "SG002", "SG003", "SG004")]
    assert not silencing_edits(source, [*found, finding(2)])


# Notebooks


def read(*cells):
    made = [{"cell_type": "code", "source": cell} for cell in cells]
    source = source_from("a.ipynb", json.dumps({"nbformat": 4, "metadata": {}, "cells": made}).encode())
    assert isinstance(source, Source)
    return source


def test_comments_are_written_into_the_cell():
    source = read(HEAD, "%time 1\nx = F.softmax(y)", "z = 1")
    found = check_source(source, EVERYTHING).diagnostics
    assert [(each.cell, each.span.line) for each in found] == [(2, 2)]
    assert silencing_edits(source, found) == (Edit(Span(3, 17, 3, 17), "  # noqa: SG401"),)


@pytest.mark.parametrize(
    ("cell", "span"),
    [
        ("# shapeguard: ignore[SG401]", Span(3, 1, 3, 28)),
        ("# shapeguard: ignore[SG401]\nx = 1", Span(3, 1, 4, 1)),
        ("x = 1\n# shapeguard: ignore[SG401]", Span(3, 6, 4, 28)),
    ],
)
def test_line_taken_away_leaves_other_cells_alone(cell, span):
    source = read("import torch\nx = 1", cell, "z = 1")
    (found,) = unused(source, (), EVERYTHING, CODES)
    assert found.fix
    assert [(edit.span, edit.text) for edit in found.fix.edits] == [(span, "")]


def test_comment_counts_for_a_statement_in_its_cell_alone():
    source = read("# shapeguard: ignore", "x = 1")
    assert not is_silenced(source, finding(2))
