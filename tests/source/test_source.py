"""A file of source: its text, places, comments, suppressions; notebooks; and which files are found."""

import ast
import io
import json
import os
import tokenize
from pathlib import Path

import pytest

from shapeguard.config import Config, UsageError
from shapeguard.diagnostics import Diagnostic, Span
from shapeguard.source.comments import scan_comments
from shapeguard.source.file import Source
from shapeguard.source.find import find_files
from shapeguard.source.read import is_relevant, read_source, source_from

HERE = Path(__file__)


def finding(line, code="SG301", name="shape-mismatch", end_line=None):
    return Diagnostic("a.py", Span(line, 1, end_line or line, 2), code, name, "")


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
    assert not is_relevant(b"import os")


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


def test_many_quotes_and_backslashes_take_no_time():
    for text in ('"' * 100_000 + "#", '"""' + "\\" * 100_000 + "#", "'\\" * 100_000 + "#", '""" "' * 20_000 + "#"):
        scan_comments(text)


# Suppressions


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
        ("# noqa: SG302", False),
        ("# noqa-like", False),
        ("# (B, T)  # noqa: SG301", True),
        ("# shapeguard: ignore", True),
        ("# shapeguard: ignore[SG301, wrong-permute]", True),
        ("# shapeguard:ignore[shape-mismatch]", True),
        ("# shapeguard: ignore[wrong-permute]", False),
        ("# shapeguard: ignore[]", False),
        ("# shapeguard: ignored", False),
        ("# type: ignore", False),
        ("# noqa: E501  # shapeguard: ignore[SG301]", True),
    ],
)
def test_comment_silences(comment, silenced):
    source = Source("a.py", f"x = 1\ny = q @ k  {comment}\n")
    assert source.suppresses(finding(2)) is silenced
    assert not source.suppresses(finding(1))


def test_comment_silences_what_begins_or_ends_on_its_line():
    source = Source("a.py", "f(  # noqa: SG301\n    a,\n)  # noqa: SG302\n")
    assert source.suppresses(finding(1, end_line=3))
    assert source.suppresses(finding(1, "SG302", end_line=3))
    assert not source.suppresses(finding(2))


def test_suppression_in_a_string_is_none():
    assert not Source("a.py", 'x = "# noqa"\n').suppressions


@pytest.mark.parametrize(
    ("text", "skipped"),
    [
        ("# shapeguard: skip-file\nx = 1\n", True),
        ("x = (  # shapeguard: skip-file\n", True),
        ('"""# shapeguard: skip-file"""\n', False),
        ("# shapeguard: skip-files\n", False),
    ],
)
def test_skip_file(text, skipped):
    assert Source("a.py", text).skipped is skipped


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


# Finding


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in (
        "a.py",
        "b.ipynb",
        "c.txt",
        ".hidden.py",
        "pkg/z.py",
        "pkg/sub/y.py",
        "pkg/__pycache__/y.py",
        ".git/g.py",
        "node_modules/n.py",
        "env/pyvenv.cfg",
        "env/lib/e.py",
        "build/lib/a.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_below_a_folder_in_order(tree):
    everything = ["a.py", "b.ipynb", "build/lib/a.py", "pkg/sub/y.py", "pkg/z.py"]
    assert find_files(["."], Config()) == everything
    assert find_files([str(tree)], Config()) == [str(tree / name) for name in everything]
    assert find_files(["./pkg/"], Config()) == ["pkg/sub/y.py", "pkg/z.py"]


def test_named_files_are_always_taken_and_once(tree):
    config = Config(exclude=("*",))
    assert find_files(["c.txt", "./c.txt", ".hidden.py"], config) == ["c.txt", ".hidden.py"]
    assert find_files([".git"], Config()) == [".git/g.py"]
    assert find_files(["pkg/z.py", "pkg"], Config()) == ["pkg/z.py", "pkg/sub/y.py"]


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        (("build",), ["a.py", "b.ipynb", "pkg/sub/y.py", "pkg/z.py"]),
        (("*.ipynb", "build/"), ["a.py", "pkg/sub/y.py", "pkg/z.py"]),
        (("pkg/*.py", "/build"), ["a.py", "b.ipynb", "pkg/sub/y.py"]),
        (("pkg/**", "build/lib"), ["a.py", "b.ipynb"]),
        (("**/y.py", "./build"), ["a.py", "b.ipynb", "pkg/z.py"]),
        (("[!b]*", "build"), ["b.ipynb"]),
        (("sub", "?.py"), ["b.ipynb"]),
    ],
)
def test_excluded_by_globs(tree, globs, left):
    assert find_files(["."], Config(exclude=globs, root=str(tree))) == left


def test_links_to_folders_are_not_followed(tree):
    (tree / "pkg" / "loop").symlink_to(tree)
    (tree / "pkg" / "gone.py").symlink_to(tree / "nowhere")
    assert find_files(["pkg"], Config()) == ["pkg/sub/y.py", "pkg/z.py"]


def test_path_that_is_not_there_is_refused(tree):
    with pytest.raises(UsageError, match=r"^no such file or folder: gone\.py$"):
        find_files(["a.py", "gone.py"], Config())


def test_folder_that_cannot_be_listed_stands_among_the_files(tree, monkeypatch):
    listing = os.scandir

    def refuse(folder):
        if str(folder).endswith("sub"):
            raise PermissionError
        return listing(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_files(["pkg"], Config()) == ["pkg/sub", "pkg/z.py"]
