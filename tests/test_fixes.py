"""Fixes made: in a text, in the bytes of a file, in a notebook; and files written."""

import ast
import json
import os
import random
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapeguard import fixes as fixes_module
from shapeguard.check import check_source
from shapeguard.config import UsageError
from shapeguard.diagnostics import Diagnostic, Edit, Fix, Span
from shapeguard.fixes import Fixed, diff, fix_data, fix_file, fixed_text, write_fixed
from shapeguard.source.editing import CannotEditError, document
from shapeguard.source.file import Source
from shapeguard.source.read import source_from
from shapeguard.source.writing import write_file


def edit(line, column, end_line, end_column, text):
    return Edit(Span(line, column, end_line, end_column), text)


def fix(*edits, applicability="safe", message="m"):
    return Fix(message, edits, applicability)


def found(source, made, name="a-rule"):
    """A diagnostic with a fix."""
    return Diagnostic(source.path, made.edits[0].span, "SG999", name, "m", fix=made)


def replacing(old, new, applicability="safe"):
    """A check that finds each place where a text stands, and replaces it."""

    def check(source):
        found_here = []
        for number, line in enumerate(source.lines, 1):
            for match in re.finditer(re.escape(old), line):
                one = fix(edit(number, match.start() + 1, number, match.end() + 1, new), applicability=applicability)
                found_here.append(found(source, one))
        return found_here

    return check


def softmax(source):
    """What the rule says of a softmax without an axis."""
    return check_source(source, frozenset({"SG401"})).diagnostics


def fixed(data, check, path="a.py", *, unsafe=False):
    return fix_data(path, data, check, unsafe=unsafe)


# Which go together


def test_fixes_that_are_apart_are_made_together():
    text, made = fixed_text(
        "abc\ndef\n", [fix(edit(2, 1, 2, 2, "D")), fix(edit(1, 1, 1, 2, "A"), edit(1, 3, 1, 4, "C"))]
    )
    assert text == "AbC\nDef\n"
    assert len(made) == 2


@pytest.mark.parametrize(
    "later",
    [
        edit(1, 2, 1, 3, "x"),
        edit(1, 4, 1, 5, "x"),
        edit(1, 4, 1, 4, "x"),
        edit(1, 2, 1, 2, "x"),
        edit(1, 2, 1, 4, "x"),
        edit(1, 3, 1, 3, "x"),
    ],
    ids=["overlap", "touch", "insert behind", "insert before", "the same", "insert inside"],
)
def test_fix_that_overlaps_or_touches_another_waits(later):
    first = fix(edit(1, 2, 1, 4, "BC"))
    texts = {fixed_text("abcdef", order)[0] for order in ([first, fix(later)], [fix(later), first])}
    assert len(texts) == 1
    assert all(len(fixed_text("abcdef", order)[1]) == 1 for order in ([first, fix(later)], [fix(later), first]))


def test_fix_with_one_edit_in_the_way_waits_whole():
    text, made = fixed_text("abcdef", [fix(edit(1, 1, 1, 2, "A")), fix(edit(1, 1, 1, 1, "("), edit(1, 6, 1, 6, ")"))])
    assert (text, len(made)) == ("(abcde)f", 1)


def test_edits_of_one_fix_may_touch():
    text, made = fixed_text("ab", [fix(edit(1, 1, 1, 2, "A"), edit(1, 2, 1, 2, "-"), edit(1, 2, 1, 3, "B"))])
    assert (text, len(made)) == ("A-B", 1)


@pytest.mark.parametrize(
    "wrong",
    [
        fix(),
        fix(edit(1, 1, 1, 9, "")),
        fix(edit(3, 1, 3, 1, "")),
        fix(edit(0, 1, 1, 1, "")),
        fix(edit(1, 3, 1, 1, "")),
        fix(edit(1, 1, 1, 3, ""), edit(1, 2, 1, 4, "")),
    ],
    ids=["no edits", "beyond the line", "beyond the text", "before it", "backwards", "overlap in itself"],
)
def test_fix_that_fits_nowhere_is_not_made(wrong):
    assert fixed_text("abc\n", [wrong]) == ("abc\n", ())


ENDINGS = st.sampled_from(["\n", "\r\n", "\r"])
LINE = st.text(alphabet='ab é😀\t\f\x0b\x1c\u2028"\\#', max_size=6)


@st.composite
def texts_and_fixes(draw):
    lines = draw(st.lists(LINE, min_size=1, max_size=6))
    raw = "".join(f"{line}{draw(ENDINGS)}" for line in lines[:-1]) + lines[-1]
    text = raw.replace("\r\n", "\n").replace("\r", "\n")
    places = [(n, c) for n, line in enumerate(text.split("\n"), 1) for c in range(1, len(line) + 2)]
    made = []
    for _ in range(draw(st.integers(1, 5))):
        ends = sorted(draw(st.lists(st.sampled_from(places), min_size=2, max_size=4)))
        pairs = zip(ends[::2], ends[1::2], strict=False)
        new = st.text(alphabet='xy\né"\\', max_size=4)
        edits = [edit(*start, *end, draw(new)) for start, end in pairs]
        # One that changes nothing has no place of its own, in a text or a notebook.
        made.append(
            fix(
                *(
                    each
                    for each in edits
                    if each.text or each.span.column != each.span.end_column or each.span.line != each.span.end_line
                )
            )
        )
    return raw, text, made


@given(texts_and_fixes())
@settings(max_examples=300, deadline=None)
def test_order_of_fixes_makes_no_difference_and_no_two_that_touch_are_made(case):
    _, text, every = case
    result, made = fixed_text(text, every)
    assert fixed_text(text, list(reversed(every)))[0] == result
    spans = [(one, each.span) for one in made for each in one.edits]
    for one, span in spans:
        for other, there in spans:
            if one is not other:
                starts, ends = (span.line, span.column), (there.end_line, there.end_column)
                assert starts > ends or (there.line, there.column) > (span.end_line, span.end_column)


# The bytes


@given(texts_and_fixes(), st.sampled_from(["", "# coding: latin-1", "# coding: shift_jis", "\ufeff"]))
@settings(max_examples=300, deadline=None)
def test_bytes_are_what_the_text_is_and_the_rest_is_untouched(case, head):
    raw, _, every = case
    raw = raw if head in ("", "\ufeff") else f"{head}\n{raw}".replace("😀", "").replace("\u2028", "")
    encoding = {"": "utf-8", "\ufeff": "utf-8-sig"}.get(head, head.rpartition(" ")[2])
    try:
        data = raw.encode(encoding)
    except UnicodeEncodeError:
        return
    source = source_from("a.py", data)
    assert isinstance(source, Source)
    text, made = fixed_text(source.text, every)
    try:
        after = document(source, data).edited(each for one in made for each in one.edits)
    except CannotEditError:
        assert not text.isascii()
        return
    result = source_from("a.py", after)
    if not isinstance(result, Source) or ("\r" in raw and result.text != text):
        return  # a declared encoding is declared no longer; what is deleted between a `\r` and a `\n` makes one line's end of them; fixing a file refuses it
    assert result.text == text
    spans = sorted(each.span for one in made for each in one.edits)
    kept_before = source.text_at(Span(1, 1, spans[0].line, spans[0].column)) if spans else source.text
    length = len(kept_before)
    beginning = raw if not spans else raw[: sum(len(p) for p in re.findall(r"\r\n|.", raw, re.DOTALL)[:length])]
    assert after.startswith(beginning.encode(encoding))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a = OLD\r\nb = 1\r\n", b"a = NEW\r\nb = 1\r\n"),
        (b"a = OLD\rb = 1\r", b"a = NEW\rb = 1\r"),
        (b"a = 1\r\nb = OLD\nc = 1\r", b"a = 1\r\nb = NEW\nc = 1\r"),
        (b"a = 1\n\x0c\nb = OLD", b"a = 1\n\x0c\nb = NEW"),
        (b"\xef\xbb\xbfa = OLD\n", b"\xef\xbb\xbfa = NEW\n"),
        (b"if a:\n\tb = OLD\t# x \n", b"if a:\n\tb = NEW\t# x \n"),
        ("# coding: latin-1\né = OLD\n".encode("latin-1"), "# coding: latin-1\né = NEW\n".encode("latin-1")),
        ("# coding: cp1252\né = '€', OLD\n".encode("cp1252"), "# coding: cp1252\né = '€', NEW\n".encode("cp1252")),
        ("é = '😀'; ü = OLD\n".encode(), "é = '😀'; ü = NEW\n".encode()),
        ("# coding: utf-8-sig\né = OLD".encode(), "# coding: utf-8-sig\né = NEW".encode()),
        (b"a = '\xe2\x80\xa8', OLD  \n\n\n", b"a = '\xe2\x80\xa8', NEW  \n\n\n"),
    ],
    ids=["crlf", "cr", "mixed", "form feed", "bom", "tabs", "latin-1", "cp1252", "utf-8", "sig", "separator"],
)
def test_what_is_not_edited_stays_byte_for_byte(before, after):
    result = fixed(before, replacing("OLD", "NEW"))
    assert result.problem is None
    assert result.after == after
    assert fixed(after, replacing("OLD", "NEW")).after == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a = 1\r\nOLD\r\n", b"a = 1\r\nf(\r\n  1)\r\n"),
        (b"a = 1\r\nOLD", b"a = 1\r\nf(\r\n  1)"),
        (b"a = 1\nOLD\r\n", b"a = 1\nf(\r\n  1)\r\n"),
        (b"a = 1\rOLD", b"a = 1\rf(\r  1)"),
        (b"OLD", b"f(\n  1)"),
    ],
)
def test_new_lines_end_as_those_around_them_do(before, after):
    assert fixed(before, replacing("OLD", "f(\n  1)")).after == after


def test_character_that_the_encoding_lacks_leaves_the_file_as_it_was():
    data = "# coding: latin-1\né = OLD\n".encode("latin-1")
    result = fixed(data, replacing("OLD", "'€'"))
    assert result.after == data
    assert result.made == ()
    assert len(result.remaining) == 1
    assert result.problem == "a.py is iso-8859-1, which can't hold the character '€' of a fix; it is left as it was"


def test_encoding_that_does_not_give_back_its_bytes_is_refused():
    data = b"# coding: utf-7\na = '+AGE-', OLD\n"
    result = fixed(data, replacing("OLD", "NEW"))
    assert result.after == data
    assert result.problem == "a.py is utf-7, which doesn't give back the bytes it was read from; it is left as it was"


# Again and again


def test_checked_again_until_nothing_is_left():
    steps = {"A": "BB", "B": "C", "C": "D"}

    def check(source):
        return [each for old, new in steps.items() for each in replacing(old, new)(source)]

    result = fixed(b"x = A + A\n", check)
    assert result.after == b"x = DD + DD\n"
    assert result.remaining == ()
    assert len(result.made) == 2 + 4 + 4


def test_long_chain_of_fixes_that_wait_for_each_other_comes_to_its_end():
    result = fixed(b"x = '" + b"a" * 60 + b"'\n", replacing("a", "b"))
    assert result.after == b"x = '" + b"b" * 60 + b"'\n"


def test_many_fixes_at_one_place_come_to_their_end():
    def check(source):
        line = {text: number for number, text in enumerate(source.lines, 1) if text.startswith("old")}
        return [
            found(
                source, fix(edit(1, 1, 1, 1, f"import {name}_\n"), edit(line[name], 1, line[name], 1 + len(name), "n"))
            )
            for name in line
        ]

    result = fixed("".join(f"old{n}\n" for n in range(30)).encode(), check)
    assert result.problem is None
    assert result.after.count(b"import") == 30
    assert result.after.endswith(b"n\n" * 30)


def test_fixes_that_undo_each_other_leave_the_file_as_it_was():
    def check(source):
        return [*replacing("ping", "pong")(source), *replacing("pong", "ping")(source)]

    result = fixed(b"x = ping\n", check)
    assert (result.after, result.made) == (b"x = ping\n", ())
    assert len(result.remaining) == 1
    assert result.problem == "a.py can't be fixed: what is done about `a-rule` comes to no end; it is left as it was"


def test_fix_that_grows_without_end_leaves_the_file_as_it_was():
    result = fixed(b"x = a\n", replacing("a", "a+a"))
    assert result.after == b"x = a\n"
    assert "comes to no end" in result.problem


def test_fix_that_python_cannot_parse_leaves_the_file_as_it_was():
    def check(source):
        return [*replacing("good", "better")(source), *replacing("bad", "wor(se")(source)]

    result = fixed(b"x = good\ny = bad\n", check)
    assert result.after == result.before == b"x = good\ny = bad\n"
    expected = "a.py can't be fixed: the fix of `a-rule` on line 2 gives what Python can't parse; it is left as it was"
    assert result.problem == expected


@pytest.mark.parametrize(
    ("applicability", "unsafe", "made"),
    [("safe", False, 1), ("unsafe", False, 0), ("safe", True, 1), ("unsafe", True, 1), ("display", True, 0)],
)
def test_only_fixes_that_were_asked_for_are_made(applicability, unsafe, made):
    result = fixed(b"x = OLD\n", replacing("OLD", "NEW", applicability), unsafe=unsafe)
    assert len(result.made) == made
    assert len(result.remaining) == 1 - made
    assert result.after == (b"x = NEW\n" if made else b"x = OLD\n")


def test_file_that_cannot_be_read_or_parsed_stays(tmp_path):
    broken = fixed(b"x = (OLD\n", replacing("OLD", "NEW)"))
    assert (broken.after, broken.made) == (b"x = (OLD\n", ())
    gone = fix_file(str(tmp_path / "gone.py"), replacing("OLD", "NEW"))
    assert [each.code for each in gone.remaining] == ["SG001"]
    undecodable = fixed(b"x = '\xff', OLD\n", replacing("OLD", "NEW"))
    assert undecodable.after == undecodable.before
    assert [each.code for each in undecodable.remaining] == ["SG001"]


def test_line_ends_that_would_run_together_are_refused():
    def check(source):
        return [found(source, fix(edit(2, 1, 3, 1, "")))] if "OLD" in source.text else []

    data = b"x = 1\rOLD\r\n\ny = 2\n"  # without the second line, `\r` and `\n` would be the end of one
    result = fixed(data, check)
    assert result.after == data
    assert (
        result.problem == "a.py can't be fixed: it would read otherwise than the fixes leave it; it is left as it was"
    )


# Notebooks


def notebook(*sources, **options):
    """A notebook's text; a source is a list or a string."""
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {"source": ["OLD"], "tags": []},
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["OLD\n"], "source": "OLD"}],
            "source": source,
        }
        for source in sources
    ]
    cells.insert(1, {"cell_type": "markdown", "metadata": {}, "source": ["OLD # no code"]})
    whole = {"cells": cells, "metadata": {"OLD": [{}, [], "]"]}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, **options)


STYLES = [
    {"indent": 1, "ensure_ascii": False},
    {"indent": 1},
    {"indent": 4},
    {},
    {"separators": (",", ":")},
    {"indent": "\t", "sort_keys": True},
]


@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=repr)
def test_only_the_source_of_the_cell_changes(style, end):
    lines = ['# é \\ "q" 😀\n', "\n", "x = OLD\n", "y = 'é😀', OLD"]
    text = notebook(lines, "".join(lines), ["x = 1"], **style).replace("\n", end or "\n") + end
    wanted = text
    for kept in ("OLD # no code", '"OLD\\n"', '"source": ["OLD', '"OLD"'):
        wanted = wanted.replace(kept, kept.replace("OLD", "KEPT"))
    wanted = wanted.replace("= OLD", "= NEW").replace(", OLD", ", NEW").replace("KEPT", "OLD")
    result = fixed(text.encode(), replacing("OLD", "NEW"), "a.ipynb")
    assert result.problem is None
    assert result.after.decode() == wanted
    assert len(result.made) == 4


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_new_lines_are_set_as_those_that_are_there(style):
    check = replacing("OLD", "f(\n  'ö\"'\n)")
    before = ["x = 1\n", "y = OLD; z = 2\n", "w = OLD"]
    after = ["x = 1\n", "y = f(\n", "  'ö\"'\n", "); z = 2\n", "w = f(\n", "  'ö\"'\n", ")"]
    for old, new in ((before, after), ("".join(before), "".join(after)), (before[2:], after[4:])):
        # Nothing in it says that what isn't ASCII is to be escaped.
        wanted = notebook(new, **{**style, "ensure_ascii": False})
        assert fixed(notebook(old, **style).encode(), check, "a.ipynb").after.decode() == wanted


def test_whole_lines_come_and_go():
    def check(source):
        here = source.lines.index("OLD") + 1 if "OLD" in source.lines else 0
        return [found(source, fix(edit(here, 1, here + 1, 1, "a = 1\nb = 2\n")))] if here else []

    text = notebook(["x = 1\n", "OLD\n", "y = 2"], indent=1)
    assert fixed(text.encode(), check, "a.ipynb").after.decode() == notebook(
        ["x = 1\n", "a = 1\n", "b = 2\n", "y = 2"], indent=1
    )


def test_escapes_are_kept_as_they_are_written():
    source = r'"x = \"\u00e9\ud83d\ude00\/\t\u0041\", OLD\n", "y = 1"'
    text = '{"cells": [{"cell_type": "code", "source": ["a\\n"], "source": [SOURCE]}], "nbformat": 4}'
    text = text.replace("SOURCE", source)
    result = fixed(text.encode(), replacing("OLD", "'ö'"), "a.ipynb")
    assert result.after.decode() == text.replace("OLD", r"'\u00f6'")


@pytest.mark.parametrize(
    "cell",
    [
        ["%matplotlib inline\n", "x = OLD"],
        ["%%time\n", "x = OLD"],
        ["!pip install OLD\n", "y = !ls OLD\n", "x = OLD"],
        ["x = OLD\n", "%timeit OLD"],
        ["x = OLD\n", "OLD?"],
    ],
)
def test_magics_are_never_touched(cell):
    text = notebook(cell, indent=1)
    wanted = notebook([line.replace("x = OLD", "x = NEW") for line in cell], indent=1)
    assert fixed(text.encode(), replacing("OLD", "NEW"), "a.ipynb").after.decode() == wanted
    for gone in ("pass", "None"):  # what stands in the place of a magic
        assert fixed(text.encode(), replacing(gone, "NEW"), "a.ipynb").after.decode() == text


def test_fix_across_cells_or_in_a_broken_one_is_not_made():
    def check(source):
        last = len(source.lines)
        return [found(source, fix(edit(1, 1, last, 1, ""))), found(source, fix(edit(last, 1, last, 1, "x")))]

    data = notebook(["x = 1"], ["y = ("], indent=1).encode()
    result = fixed(data, check, "a.ipynb")
    assert result.after == data
    assert result.problem is None
    assert fixed(notebook(["x = OLD"], ["y = ("]).encode(), replacing("OLD", "NEW"), "a.ipynb").after.count(b"NEW") == 1


@pytest.mark.parametrize("source", [[], "", [""], None])
def test_cell_without_code_takes_no_edits_or_good_ones(source):
    def check(found_in):
        return [] if "x" in found_in.text else [found(found_in, fix(edit(1, 1, 1, 1, "x = 1")))]

    cells = [{"cell_type": "code", "source": source}] if source is not None else [{"cell_type": "code"}]
    text = json.dumps({"cells": cells, "nbformat": 4})
    result = fixed(text.encode(), check, "a.ipynb")
    assert result.problem is None
    json.loads(result.after)


def test_bom_and_carriage_returns_in_a_notebook_are_kept():
    text = "\ufeff" + notebook(["x = 1\r\n", "y = OLD\r\n", "z = OLD"], ["a = OLD\r", "b = 1"])
    result = fixed(text.encode(), replacing("OLD", "f(\n1)"), "a.ipynb")
    assert result.after.startswith(b"\xef\xbb\xbf{")
    cells = [each["source"] for each in json.loads(result.after.decode("utf-8-sig"))["cells"]]
    assert cells[0] == ["x = 1\r\n", "y = f(\r\n", "1)\r\n", "z = f(\r\n", "1)"]
    assert cells[2] == ["a = f(\r", "1)\r", "b = 1"]


@given(texts_and_fixes(), st.sampled_from(["list", "string", "pieces"]), st.sampled_from(STYLES), st.randoms())
@settings(max_examples=300, deadline=None)
def test_notebook_reads_as_the_text_does(case, form, style, chance):
    raw, _, every = case
    lines = re.findall(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+", raw)
    cuts = sorted(chance.randrange(len(raw) + 1) for _ in range(3))
    pieces = [raw[: cuts[0]], raw[cuts[0] : cuts[1]], raw[cuts[1] : cuts[2]], raw[cuts[2] :]]
    before = notebook({"list": lines, "string": raw, "pieces": pieces}[form], "z = 1", **style)
    source = source_from("a.ipynb", before.encode())
    assert isinstance(source, Source)
    file = document(source, before.encode())
    _, made = fixed_text(source.text, [one for one in every if all(map(file.places, one.edits))])
    after = file.edited(each for one in made for each in one.edits)
    old, new = json.loads(before), json.loads(after)
    first, second = (new["cells"][index].pop("source") for index in (0, 2))
    assert "".join(second) == "".join(old["cells"][2].pop("source")) or made
    old["cells"][0].pop("source")
    assert old == new
    cell = normal(raw)
    last = len(cell.removesuffix("\n").split("\n"))
    inside = [fix(*(each for each in one.edits if each.span.end_line <= last)) for one in made]
    if "\r" not in raw:
        assert "".join(first) == fixed_text(cell, inside)[0]


def normal(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


# Written


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes(b"before")
    return path


def test_written_file_keeps_its_mode(file):
    file.chmod(0o751)
    write_file(str(file), b"after")
    assert file.read_bytes() == b"after"
    assert stat.S_IMODE(file.stat().st_mode) == 0o751
    assert [each.name for each in file.parent.iterdir()] == ["a.py"]


def test_written_file_is_as_young_as_it_is(file):
    os.utime(file, (1, 1))
    write_file(str(file), b"after")
    assert file.stat().st_mtime > 1_000_000_000


def test_link_stays_and_its_target_is_written(file):
    link, again = file.parent / "link.py", file.parent / "again.py"
    link.symlink_to("a.py")
    again.symlink_to(link)
    write_file(str(again), b"after")
    assert file.read_bytes() == b"after"
    assert link.is_symlink()
    assert again.is_symlink()


def test_new_file_is_made_as_any_other(tmp_path):
    write_file(str(tmp_path / "new"), b"x")
    (tmp_path / "other").write_bytes(b"x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("step", ["write", "replace", "copystat"])
def test_failure_leaves_everything_as_it_was(file, monkeypatch, step):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    if step == "write":
        monkeypatch.setattr(os, "fdopen", lambda descriptor, mode: Full(descriptor))
    elif step == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    else:
        monkeypatch.setattr("shutil.copystat", fail)
    with pytest.raises(UsageError, match=f"can't write {file}: No space left on device"):
        write_file(str(file), b"after")
    assert file.read_bytes() == b"before"
    assert [each.name for each in file.parent.iterdir()] == ["a.py"]


class Full:
    """A file on a full disk."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def write(self, data):
        os.write(self.descriptor, data[:2])
        raise OSError(28, "No space left on device")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_what_is_read_only_is_refused(file):
    file.chmod(0o444)
    with pytest.raises(UsageError, match="it is read-only"):
        write_file(str(file), b"after")
    file.chmod(0o644)
    file.parent.chmod(0o555)
    with pytest.raises(UsageError, match="Permission denied"):
        write_file(str(file), b"after")
    file.parent.chmod(0o755)
    assert file.read_bytes() == b"before"


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="it is no regular file"):
        write_file(str(tmp_path), b"after")
    with pytest.raises(UsageError, match="can't write"):
        write_file(str(tmp_path / "gone" / "a.py"), b"after")
    with pytest.raises(UsageError, match="can't write"):
        write_file("a\0b", b"after")


def test_file_that_changed_in_the_meantime_is_left(file):
    with pytest.raises(UsageError, match="it has changed since it was read"):
        write_fixed(Fixed(str(file), b"other", b"after"))
    assert file.read_bytes() == b"before"
    write_fixed(Fixed(str(file), b"before", b"after"))
    assert file.read_bytes() == b"after"


def test_file_without_fixes_is_not_written(file, monkeypatch):
    monkeypatch.setattr(fixes_module, "write_file", None)
    write_fixed(fix_file(str(file), replacing("OLD", "NEW")))


# Shown


def test_difference_is_as_diff_says_it():
    assert diff("a.py", b"a\nb\nc", b"a\nB\nc") == (
        "--- a.py\n+++ a.py\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n\\ No newline at end of file\n"
    )
    assert diff("a.py", b"a\n", b"a\n") == ""
    assert diff("a.py", b"a\rb", b"a\rc").count("\n") == 8
    coloured = diff("a.py", b"a\n-- b\n", b"a\n++ c\n", colour=True)
    assert re.sub(r"\033\[\d*m", "", coloured) == diff("a.py", b"a\n-- b\n", b"a\n++ c\n")
    assert "\033[31m--- b\033[0m\n\033[32m+++ c\033[0m\n" in coloured


def test_difference_of_a_notebook_is_that_of_its_cells():
    before = notebook(["x = 1\n", "y = OLD"], ["z = 1"], indent=1).encode()
    shown = diff("a.ipynb", before, fixed(before, replacing("OLD", "NEW"), "a.ipynb").after)
    assert shown == (
        "--- a.ipynb:cell 1\n+++ a.ipynb:cell 1\n@@ -1,2 +1,2 @@\n x = 1\n-y = OLD\n\\ No newline at end of file\n"
        "+y = NEW\n\\ No newline at end of file\n"
    )


# A rule over a project


def code(chance):
    """Some code with softmaxes that name no axis, nested and over several lines; and how many."""
    lines = ["import torch.nn.functional as F", "from torch import nn", ""]
    pieces = [
        "p = F.softmax(x)  # é",
        "q = F.log_softmax(F.softmax(y), )",
        "r = F.softmax(\n    x,  # why\n    dtype=None\n)",
        "layer = nn.Sequential(nn.Linear(3, 2), nn.Softmax())",
        "fine = F.softmax(x, dim=1)",
        "s = F.softmax(v for v in F.softmin(x, dim=None)); t = F.softmax('😀', dtype=1)",
        "text = f'{F.softmax(x)}'",
    ]
    lines += [chance.choice(pieces) for _ in range(20)]
    return "\n".join(lines) + chance.choice(["", "\n"])


def test_project_is_fixed_once_and_for_all(tmp_path):
    chance = random.Random(7)  # noqa: S311 - for variety, not for secrets
    for number in range(20):
        text = code(chance)
        if number % 2:
            cells = [["%matplotlib inline\n", *re.findall(r".*\n|.+", text)], ["!ls\n", "z = F.softmax(y)"]]
            (tmp_path / f"{number}.ipynb").write_text(notebook(*cells, indent=1), encoding="utf-8")
        else:
            (tmp_path / f"{number}.py").write_bytes(text.replace("\n", chance.choice(["\n", "\r\n"])).encode())
    for path in sorted(tmp_path.iterdir()):
        result = fix_file(str(path), softmax, unsafe=True)
        assert result.problem is None
        assert result.made
        write_fixed(result)
        assert path.read_bytes() == result.after
        again = fix_file(str(path), softmax, unsafe=True)
        assert again.after == again.before
        assert all(each.fix is None for each in again.remaining)  # those in f-strings
        if path.suffix == ".py":
            ast.parse(result.after)
            ends = [re.findall(rb"\r?\n", each) for each in (result.before, result.after)]
            assert set(ends[0]) == set(ends[1])
        assert result.after.count(b"# ") == result.before.count(b"# ")
        safe = fix_data(str(path), result.before, softmax)
        assert safe.after == safe.before
