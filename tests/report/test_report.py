"""Each output format, as its reader sees it."""

import json

import pytest

from shapeguard.catalog import CODES, codes_meant
from shapeguard.config import FORMATS
from shapeguard.diagnostics import Diagnostic, Edit, Fix, Span, Tracking
from shapeguard.infer.analysis import Analysis, Expression
from shapeguard.report import MODULES, render, shapes, statistics
from shapeguard.source.file import Cell, Source

MISMATCH = Diagnostic(
    "gpt.py",
    Span(41, 15, 41, 20),
    "SG301",
    "shape-mismatch",
    "`q @ k` contracts `d` with `t`",
    ("q: (b, h, t, d)", "k: (b, h, t, d)"),
    "`k.transpose(-2, -1)` is (b, h, d, t)",
    Fix("Transpose the right factor", (Edit(Span(41, 19, 41, 20), "k.transpose(-2, -1)"),)),
)
PLAIN = Diagnostic("a b/ü,1:2.py", Span(1, 1, 3, 4), "SG306", "axis-out-of-range", "100% out\nof range")
CELL = Diagnostic("gpt.ipynb", Span(4, 2, 4, 9), "SG304", "wrong-permute", "wrong", cell=3)


def test_text():
    assert (
        render("text", [MISMATCH, CELL], 40)
        == """\
gpt.py:41:15 SG301 shape-mismatch: `q @ k` contracts `d` with `t`
    q: (b, h, t, d)
    k: (b, h, t, d)
    hint: `k.transpose(-2, -1)` is (b, h, d, t)
gpt.ipynb:cell 3:4:2 SG304 wrong-permute: wrong
2 findings in 2 of 40 files.
"""
    )


@pytest.mark.parametrize(
    ("diagnostics", "files", "summary"),
    [
        ([], 1, "No findings in 1 file."),
        ([], 2860, "No findings in 2,860 files."),
        ([MISMATCH], 1, "1 finding in 1 file."),
        ([MISMATCH, MISMATCH], 2, "2 findings in 1 of 2 files."),
    ],
)
def test_summary(diagnostics, files, summary):
    assert render("text", diagnostics, files).splitlines()[-1] == summary


def test_colour_changes_no_word():
    coloured = render("text", [MISMATCH], 1, colour=True)
    assert "\033[" in coloured
    for code in ("\033[1m", "\033[1;31m", "\033[36m", "\033[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == render("text", [MISMATCH], 1)


def test_json_is_one_object_a_line():
    first, second = map(json.loads, render("json", [MISMATCH, CELL], 40).splitlines())
    assert first == {
        "file": "gpt.py",
        "cell": None,
        "line": 41,
        "column": 15,
        "end_line": 41,
        "end_column": 20,
        "code": "SG301",
        "name": "shape-mismatch",
        "message": "`q @ k` contracts `d` with `t`",
        "notes": ["q: (b, h, t, d)", "k: (b, h, t, d)"],
        "hint": "`k.transpose(-2, -1)` is (b, h, d, t)",
    }
    assert (second["cell"], second["line"]) == (3, 4)
    assert render("json", [], 40) == ""


def test_github_escapes_what_ends_a_property():
    mismatch, plain, cell = render("github", [MISMATCH, PLAIN, CELL], 3).splitlines()
    assert mismatch == (
        "::error title=SG301 shape-mismatch,file=gpt.py,line=41,endLine=41,col=15,endColumn=20"
        "::`q @ k` contracts `d` with `t`%0Aq: (b, h, t, d)%0Ak: (b, h, t, d)"
        "%0Ahint: `k.transpose(-2, -1)` is (b, h, d, t)"
    )
    assert plain == (
        "::error title=SG306 axis-out-of-range,file=a b/ü%2C1%3A2.py,line=1,endLine=3::100%25 out%0Aof range"
    )
    assert cell == "::error title=SG304 wrong-permute,file=gpt.ipynb::cell 3, line 4: wrong"


def test_sarif():
    log = json.loads(render("sarif", [MISMATCH, PLAIN, CELL], 3))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == [each.code for each in CODES]
    mismatch, plain, cell = run["results"]
    assert mismatch["ruleId"] == "SG301"
    assert mismatch["message"]["text"].splitlines()[1] == "q: (b, h, t, d)"
    assert mismatch["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "gpt.py"},
        "region": {"startLine": 41, "startColumn": 15, "endLine": 41, "endColumn": 20},
    }
    place = plain["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20b/%C3%BC%2C1%3A2.py"
    assert "region" not in cell["locations"][0]["physicalLocation"]
    assert json.loads(render("sarif", [], 3))["runs"][0]["results"] == []


def test_every_format_has_its_file():
    assert tuple(MODULES) == FORMATS
    for output_format in FORMATS:
        assert "MISMATCH" not in render(output_format, [MISMATCH], 1, colour=False)


def test_codes_are_named_once():
    assert len({each.code for each in CODES}) == len({each.name for each in CODES}) == len(CODES)
    assert codes_meant("SG301") == codes_meant("shape-mismatch") == {"SG301"}
    assert codes_meant("SG30") == codes_meant("SG3") < codes_meant("ALL") == codes_meant("SG")
    for nothing in ("", "S", "E501", "SG999", "shape"):
        assert not codes_meant(nothing)


# Shapes

SOURCE = Source(
    "m.py",
    """\
class Head:
    def forward(self, x):
        q, k = self.a(x), self.b(x)
        y = q @ k  # scores
        z = (
            y.relu()
            .mean(-1)
        )
        return lost(z)


def other(x):
    return x
""",
)


def expression(text, shape, dtype=None, *, source=SOURCE, function="Head.forward", line=1):
    """The first one with this text from a line on."""
    before = sum(len(each) + 1 for each in source.lines[: line - 1])
    start = source.text.index(text, before)

    def position(offset):
        return source.text.count("\n", 0, offset) + 1, offset - source.text.rfind("\n", 0, offset)

    return Expression(Span(*position(start), *position(start + len(text))), function, text, shape, dtype)


ANALYSIS = Analysis(
    expressions=(
        expression("self.a(x)", ("b", "t", 64)),
        expression("self.b(x)", ("b", 64, "t")),
        expression("q @ k", ("b", "t", "t"), "float32"),
        expression("q", ("b", "t", 64), line=4),
        expression("y.relu()", ("b", "t", "t")),
        expression("y.relu()\n            .mean(-1)", ("b", "t")),
        expression("lost(z)", None),
        expression("x", ("...", "?"), line=13, function="other"),
    )
)


def test_shapes_stand_beside_the_lines_on_which_expressions_end():
    assert (
        shapes.render_text(SOURCE, ANALYSIS)
        == """\
 1  class Head:
 2      def forward(self, x):
 3          q, k = self.a(x), self.b(x)  | self.a(x): (b, t, 64)  self.b(x): (b, 64, t)
 4          y = q @ k  # scores          | (b, t, t) float32
 5          z = (
 6              y.relu()                 | (b, t, t)
 7              .mean(-1)                | (b, t)
 8          )
 9          return lost(z)               | ?
10
11
12  def other(x):
13      return x                         | (..., ?)
"""
    )


def test_shapes_of_one_function():
    names = shapes.functions(SOURCE.tree)
    assert names == {"Head": (1, 9), "Head.forward": (2, 9), "other": (12, 13)}
    assert shapes.matching(list(names), "forward") == ["Head.forward"]
    assert shapes.matching(list(names), "Head.forward") == ["Head.forward"]
    assert shapes.matching(list(names), "ward") == []
    assert shapes.render_text(SOURCE, ANALYSIS, ["other"]) == "12  def other(x):\n13      return x  | (..., ?)\n"


def test_shapes_of_what_is_known_inside_of_what_is_not():
    source = Source("m.py", "y = lost(x)\n")
    known = (expression("lost(x)", None, source=source), expression("x", ("n",), source=source))
    assert shapes.render_text(source, Analysis(expressions=known)) == "1  y = lost(x)  | x: (n,)\n"


def test_shapes_align_wide_characters_and_long_lines():
    source = Source("m.py", f"x = '漢'; y\nz\n{'w' * 90}\n")
    known = [expression(text, (1,), source=source) for text in ("y", "z", "w" * 90)]
    lines = shapes.render_text(source, Analysis(expressions=tuple(known))).splitlines()
    assert lines == ["1  x = '漢'; y  | (1,)", "2  z            | (1,)", f"3  {'w' * 90}  | (1,)"]


def test_shapes_json():
    written = json.loads(shapes.render_json(SOURCE, ANALYSIS, ["Head.forward"]))
    assert written["file"] == "m.py"
    assert written["expressions"][2] == {
        "line": 4,
        "column": 13,
        "end_line": 4,
        "end_column": 18,
        "function": "Head.forward",
        "text": "q @ k",
        "shape": ["b", "t", "t"],
        "dtype": "float32",
    }
    assert written["expressions"][-1]["shape"] is None
    assert len(written["expressions"]) == 7
    assert len(json.loads(shapes.render_json(SOURCE, ANALYSIS))["expressions"]) == 8


def test_shapes_of_a_notebook_count_lines_in_cells():
    source = Source("m.ipynb", "a\nb\nc", (Cell(1, 1), Cell(4, 3)))
    known = Analysis(expressions=(expression("c", (2,), source=source),))
    assert shapes.render_text(source, known) == "cell 1\n1  a\n2  b\ncell 4\n1  c  | (2,)\n"
    (only,) = json.loads(shapes.render_json(source, known))["expressions"]
    assert (only["cell"], only["line"]) == (4, 1)


def test_shapes_of_an_empty_file():
    assert shapes.render_text(Source("m.py", ""), Analysis()) == "\n"


# Statistics


def test_statistics_name_the_most_costly_calls_first():
    lost = {f"f{number:02}": 1 for number in range(25)} | {"a.view": 1204, "self.rope": 31}
    tracking = Tracking(2000, 1500, 1200, lost, ("m.py: Head.forward",))
    lines = statistics.render(tracking).splitlines()
    assert lines[:4] == [
        "1,500 of 2,000 tensor expressions have a known shape (75 %), 1,200 on every axis.",
        "Track is lost at:",
        "    1,204  a.view",
        "       31  self.rope",
    ]
    assert lines[-3:] == ["        7  in 7 other calls", "Given up as too long:", "    m.py: Head.forward"]


def test_statistics_of_nothing():
    assert statistics.render(Tracking()) == "0 of 0 tensor expressions have a known shape, 0 on every axis.\n"
