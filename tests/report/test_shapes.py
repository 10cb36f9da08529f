"""A file's source with what is known of its tensors, as its reader sees it."""

import json

from shapeguard.diagnostics import Span
from shapeguard.infer.analysis import Analysis, Expression
from shapeguard.report import shapes
from shapeguard.source.file import Cell, Source

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


def test_shapes_of_a_notebook_stand_beside_what_is_written_there():
    source = Source("m.ipynb", "pass\nc", (Cell(1, 1),), original="%time c\nc")
    assert shapes.render_text(source, Analysis()) == "cell 1\n1  %time c\n2  c\n"


def test_shapes_of_an_empty_file():
    assert shapes.render_text(Source("m.py", ""), Analysis()) == "\n"
