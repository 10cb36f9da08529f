"""A file of source: its text, places and comments; notebooks."""

import ast
import io
import json
import os
import tokenize
from pathlib import Path

import pytest

from shapeguard.diagnostics import Diagnostic, Span
from shapeguard.source.comments import continued_lines, scan_comments
from shapeguard.source.file import Source
from shapeguard.source.read import is_relevant, read_source, source_from

HERE = Path(__file__)


# Reading


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"x = 1\r\ny = 2\rz = 3\n", "x = 1\ny = 2\nz = 3\n"),
        (b"\xef\xbb\xbfx = 1\n", "x = 1\n"),
        ("# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"), "# -*- coding: latin-1 -*-\nx = 'é'\n"),
        (b"", ""),
    ],
    ids=["line ends", "bom", "declared encoding", "empty"],
)
def test_text_is_what_python_reads(data, text):
    source = source_from("a.py", data)
    assert isinstance(source, Source)
    assert source.text == text
    assert source.errors == ()


@pytest.mark.parametrize(
    ("data", "message", "line"),
    [
        ("x = 1\ny = 'é'\n".encode("latin-1"), "the file is not utf-8: byte 0xe9 on line 2; declare its encoding", 2),
        (b"x = '" + b"a" * 70_000 + b"'\n\xff", "the file is not utf-8: byte 0xff on line 2; declare its encoding", 2),
        (b"# coding: nonsense\n", "the file can't be decoded: unknown encoding: nonsense", 1),
        (b"# coding: rot13\n", "the file can't be decoded: 'rot13' is not a text encoding; use codecs.decode()", 1),
        (b"\xef\xbb\xbf# coding: latin-1\n", "the file can't be decoded: encoding problem: utf-8", 1),
    ],
)
def test_file_that_cannot_be_decoded_is_a_finding(data, message, line):
    found = source_from("a.py", data)
    assert isinstance(found, Diagnostic)
    assert (found.code, found.name, found.span.line) == ("SG001", "unreadable-file", line)
    assert found.message.startswith(message.split(" to handle")[0])


def test_path_that_cannot_be_read_is_a_finding(tmp_path):
    for path in (str(tmp_path / "gone.py"), str(tmp_path), "a\0b.py"):
        found = read_source(path)
        assert isinstance(found, Diagnostic)
        assert (found.path, found.code) == (path, "SG001")
        assert found.message.startswith("the file can't be read: ")


@pytest.mark.parametrize(
    ("text", "span", "message"),
    [
        ("def f(:\n    pass\n", Span(1, 7, 1, 8), "invalid syntax"),
        ("x = 1\ny = '\0'\n", Span(2, 6, 2, 7), "source code string cannot contain null bytes"),
        ("é = (\n", Span(1, 5, 1, 6), "'(' was never closed"),
        ("if x:\n\ty\n        z\n", Span(3, 1, 3, 2), "inconsistent use of tabs"),
        ("x = " + "1+" * 50_000 + "1", Span(1, 1, 1, 1), "it is nested too deeply for Python's parser"),
        ("x = " + "-" * 100_000 + "1", Span(1, 1, 1, 1), "it is nested too deeply for Python's parser"),
    ],
    ids=["syntax", "nul", "open", "tabs", "sum", "signs"],
)
def test_file_that_cannot_be_parsed_has_an_empty_tree_and_says_why(text, span, message):
    source = Source("a.py", text)
    assert source.tree.body == []
    (found,) = source.errors
    assert (found.code, found.name) == ("SG002", "syntax-error")
    assert found.message.startswith(f"Python can't parse this: {message or ''}")
    if span:
        assert (found.span.line, found.span.end_line) == (span.line, span.end_line)
    if message in ("invalid syntax", "'(' was never closed") or "null" in (message or ""):
        assert found.span == span


def test_escapes_that_python_warns_of_are_fine():
    assert Source("a.py", "pattern = '\\d'\n").errors == ()


def test_relevant_is_what_names_torch_or_a_word_of_its_shapes():
    assert is_relevant(b"import torch")
    assert is_relevant(b"from einops import rearrange")
    assert is_relevant(b"from transformers import Trainer")
    assert not is_relevant(b"import os")


@pytest.mark.parametrize(
    ("data", "relevant"),
    [
        (b"x = 1  # noqa: SG301\n", True),
        (b"x = 1  # NOQA : E501,sg3\n", True),
        (b"x = 1  # shapeguard: ignore\n", True),
        (b"x = 1  # noqa\n", False),
        (b"x = 1  # noqa: E501\nMSG1 = 2\n", False),
    ],
)
def test_relevant_is_what_may_silence_shapeguard(data, relevant):
    assert is_relevant(data) is relevant


def test_pipe_is_not_waited_for(tmp_path):
    pipe = tmp_path / "a.py"
    os.mkfifo(pipe)
    found = read_source(str(pipe))
    assert isinstance(found, Diagnostic)
    assert found.message == "the file can't be read: it is no regular file"


# Places


def test_columns_count_characters():
    source = Source("a.py", "é = 'ü😀' + name(\n    'é', b)\n")
    assert isinstance(source.tree.body[0], ast.Assign)
    value = source.tree.body[0].value
    assert isinstance(value, ast.BinOp)
    call = value.right
    assert source.span_of(value.left) == Span(1, 5, 1, 9)
    assert source.span_of(call) == Span(1, 12, 2, 12)
    assert source.segment(value.left) == "'ü😀'"
    assert source.segment(call) == "name(\n    'é', b)"


def test_tabs_count_as_one_column():
    source = Source("a.py", "if x:\n\ty = z\n")
    name = next(node for node in ast.walk(source.tree) if isinstance(node, ast.Name) and node.id == "z")
    assert source.span_of(name) == Span(2, 6, 2, 7)


def test_form_feeds_and_unicode_separators_end_no_line():
    source = Source("a.py", "x = 1\f\ny = '\u2028\x1c'\nz = w\n")
    name = next(node for node in ast.walk(source.tree) if isinstance(node, ast.Name) and node.id == "w")
    assert source.segment(name) == "w"
    assert source.lines[2] == "z = w"


def test_segments_agree_with_ast():
    source = Source("a.py", HERE.read_text(encoding="utf-8"))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword):
            assert source.segment(node) == ast.get_source_segment(source.text, node)


def test_places_inside_f_strings_are_never_outside_the_file():
    source = Source("a.py", 'x = f"""\n{a}\n\n{b!r:>{w}}"""\n')
    for node in ast.walk(source.tree):
        if isinstance(node, ast.expr):
            source.segment(node)


# Comments


COMMENTS = '''\
# first
x = "# no"  # (B, T, C)
y = 'it\\'s # no'  #!odd
z = """ # no
# no " "" \\""" # no
"""  # yes
w = r"\\\\"  # raw
v = f"{x!r:#>10}"  # after
    # indented
u = 'continued \\
# no'  # end
t = "", '', """""", \'\'\'\'\'\'  # empty
'''


def test_comments_are_those_that_the_tokenizer_finds():
    texts = [COMMENTS, *(path.read_text(encoding="utf-8") for path in HERE.parents[1].rglob("*.py"))]
    for text in texts:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        expected = {
            token.start[0]: (token.start[1] + 1, token.string, not token.line[: token.start[1]].strip())
            for token in tokens
            if token.type == tokenize.COMMENT
        }
        found = {line: (each.column, each.text, each.alone) for line, each in scan_comments(text).items()}
        assert found == expected


def test_content_of_a_comment():
    comments = Source("a.py", COMMENTS).comments
    assert comments[2].content == "(B, T, C)"
    assert not comments[2].alone
    assert comments[1].alone


def test_comments_in_broken_files_are_found_without_a_tree():
    assert scan_comments("x = 'never ends\ny = 1  # fine\n")[2].text == "# fine"
    assert scan_comments('"""never ends # \n# inside\n') == {}


CONTINUED = r"""
a = 'x \
 y' + \
  z
b = '''
# no \
'''  # end \
c = r"\\"
"""


def test_lines_that_no_comment_can_end():
    assert sorted(continued_lines(CONTINUED)) == [2, 3, 5, 6]
    assert not continued_lines("x = 1  # \\\ny = '\\\\'\n")


def test_many_quotes_and_backslashes_take_no_time():
    for text in ('"' * 100_000 + "#", '"""' + "\\" * 100_000 + "#", "'\\" * 100_000 + "#", '""" "' * 20_000 + "#"):
        scan_comments(text)


# Notebooks


def notebook(*cells, **metadata):
    made = [{"cell_type": "code", "source": cell} if isinstance(cell, str | list) else cell for cell in cells]
    return json.dumps({"nbformat": 4, "metadata": metadata, "cells": made}).encode()


def read(*cells, **metadata):
    source = source_from("a.ipynb", notebook(*cells, **metadata))
    assert isinstance(source, Source)
    return source


def test_cells_are_one_source_with_a_way_back():
    source = read("import torch\n", {"cell_type": "markdown", "source": "# hi"}, ["x = 1\n", "y = é"])
    assert source.text == "import torch\nx = 1\ny = é"
    assert source.located(Span(1, 1, 1, 2)) == (1, Span(1, 1, 1, 2))
    assert source.located(Span(3, 5, 3, 6)) == (3, Span(2, 5, 2, 6))


def test_plain_file_has_no_cells():
    assert Source("a.py", "x\n").located(Span(1, 1, 1, 2)) == (0, Span(1, 1, 1, 2))


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("!pip install \\\n  torch\nx = 1", "pass\n\nx = 1"),
        ("if x:\n    !ls", "if x:\n    pass"),
        ("files = !ls\nx = %time f()", "files = None\nx = None"),
        ("torch.nn?\n?torch", "pass\npass"),
        ("%%time\nx = 1", "\nx = 1"),
        ("%%bash\nls -la\n", "\n"),
        ("x = (a\n     % b)", "x = (a\n     % b)"),
        ("await f()", "await f()"),
    ],
)
def test_what_only_ipython_understands_is_passed_over(cell, python):
    source = read(cell)
    assert source.text == python
    assert source.errors == ()


def test_cells_are_shown_as_they_are_written():
    cells = ("%time x = 1", "!pip install \\\n  torch\nx = 1", "def f(:\n\n", "%%time\nx = 1\n")
    source = read(*cells)
    assert source.original_lines == tuple("\n".join(cell.removesuffix("\n") for cell in cells).split("\n"))
    assert len(source.original_lines) == len(source.lines)


def test_sentences_about_nodes_count_in_their_cell():
    first, second, third = read("x = 1\n\ny = 2", "# hi\nz = 3").tree.body
    assert [f"line {node.lineno}" for node in (first, second, third)] == [
        "line 1 of cell 1",
        "line 3 of cell 1",
        "line 2 of cell 2",
    ]
    assert third.lineno == 5
    assert json.dumps(third.lineno) == "5"
    assert str(ast.parse("x").body[0].lineno) == "1"


def test_broken_cell_is_reported_alone():
    source = read("x = 1", "def f(:", "y = 2")
    assert source.text == "x = 1\n\ny = 2"
    (found,) = source.errors
    assert (found.code, found.cell, found.span) == ("SG002", 2, Span(1, 7, 1, 8))
    assert len(source.tree.body) == 2


def test_notebook_of_another_language_has_no_code():
    assert read("x <- 1", language_info={"name": "R"}).text == ""
    assert read("x <- 1", kernelspec={"language": "julia"}).text == ""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"torch", "the file is no notebook: "),
        (b"\xff", "the file is no notebook: "),
        (b"[" * 100_000, "the file is no notebook: "),
        (b"[]", "the file is no notebook that can be read: it names no `nbformat`"),
        (b'{"nbformat": 3}', "the file is no notebook that can be read: its format is 3"),
        (b'{"nbformat": 4}', "the file is no notebook that can be read: it has no list of `cells`"),
        (
            notebook({"cell_type": "code", "source": [1]}),
            "the file is no notebook that can be read: the source of cell",
        ),
    ],
)
def test_bad_notebook_is_a_finding(data, message):
    found = source_from("a.ipynb", data)
    assert isinstance(found, Diagnostic)
    assert found.code == "SG001"
    assert found.message.startswith(message)


def test_notebook_whose_parts_are_odd_is_read():
    assert source_from("a.ipynb", b'{"nbformat": 4, "metadata": [], "cells": [1, {}]}') == Source("a.ipynb", "")
