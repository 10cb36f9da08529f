"""The lines of source around a finding, as its reader sees them."""

import pytest

from shapeguard.diagnostics import Diagnostic, Span
from shapeguard.report.frame import frame
from shapeguard.source.file import Cell, Source


def picture(text, *span, cell=0, cells=()):
    """The frame around a place."""
    found = Diagnostic("m.py", Span(*span), "SG301", "shape-mismatch", "m", cell=cell)
    return "\n".join(frame(Source("m.py", text, cells), found))


def test_place_at_the_ends_of_a_file():
    assert picture("a + b\n", 1, 1, 1, 6) == "1 | a + b\n  | ^^^^^"
    assert picture("\n\na + b", 3, 5, 3, 6) == "3 | a + b\n  |     ^"


def test_place_behind_the_end_of_a_line_is_underlined_there():
    assert picture("f(", 1, 3, 1, 4) == "1 | f(\n  |   ^"
    assert picture("f(", 1, 30, 1, 40) == "1 | f(\n  |   ^"


@pytest.mark.parametrize("span", [(1, 1, 1, 1), (7, 1, 7, 2), (2, 1, 2, 2), (0, 0, 0, 1)])
def test_no_frame_without_a_place(span):
    assert picture("x\n\ny", *span) == ""


def test_numbers_are_aligned():
    text = "\n".join(f"x{number}" for number in range(1, 12))
    assert picture(text, 9, 1, 9, 3) == " 8 | x8\n 9 | x9\n   | ^^\n10 | x10"


def test_tabs_and_wide_characters_are_aligned():
    assert picture("\tx = '漢字'\t+ y", 1, 11, 1, 12) == "1 |     x = '漢字'  + y\n  |                 ^"
    assert picture("e\u0301 + 漢", 1, 6, 1, 7) == "1 | e\u0301 + 漢\n  |     ^^"


def test_characters_that_move_the_cursor_are_made_visible():
    text = "s = '\x1b[2J\r\u202e' + t"
    assert picture(text, 1, 16, 1, 17) == "1 | s = '␛[2J␍\ufffd' + t\n  |                ^"


def test_long_lines_are_cut():
    begins = picture(f"f(x){' + a' * 50}\n{'b' * 101}", 1, 1, 1, 5).splitlines()
    assert begins[0] == f"1 | f(x){' + a' * 23}{' + '}…"
    assert begins[1] == "  | ^^^^"
    assert begins[2] == f"2 | {'b' * 99}…"
    ends = picture(f"{'a' * 200} + f(x) + {'b' * 200}\nshort", 1, 204, 1, 208).splitlines()
    assert len(ends) == 2
    assert ends[0].startswith("1 | …aaaa")
    assert ends[0].endswith("bbb…")
    assert ends[0][ends[1].index("^") :].startswith("f(x)")
    assert ends[1].endswith(" ^^^^")
    whole = picture("a" * 300, 1, 1, 1, 301).splitlines()
    assert whole == [f"1 | {'a' * 99}…", f"  | {'^' * 100}"]


def test_long_lines_of_wide_characters_are_cut():
    rows = picture(f"'{'漢' * 100}' + f(x)", 1, 106, 1, 110).splitlines()
    assert rows[0].startswith("1 | … 漢漢")
    assert rows[0].endswith("漢' + f(x)")
    assert rows[1] == f"  | {' ' * 24}^^^^"
    assert picture("漢" * 60, 1, 1, 1, 2).splitlines()[0] == f"1 | {'漢' * 49}…"


def test_line_that_nobody_wrote_is_cut_around_the_place():
    shown = f"1 | …{'é' * 20} + f(x)\n  | {' ' * 24}^^^^"
    assert picture(f"{'é' * 10_000_000} + f(x)", 1, 10_000_004, 1, 10_000_008) == shown
    assert picture("é" * 10_000_000, 1, 1, 1, 10_000_001) == f"1 | {'é' * 99}…\n  | {'^' * 100}"


def test_statement_over_several_lines():
    text = "a\nwith x:\n    y\nb\n"
    assert picture(text, 2, 1, 3, 6) == "1 |   a\n2 | / with x:\n3 | |     y\n  | |_____^\n4 |   b"


def test_middle_of_many_lines_is_left_out():
    text = "\n".join(["f(", *(f"    {number}," for number in range(2, 100)), ")"])
    assert picture(text, 1, 1, 100, 2) == (
        "  1 | / f(\n  2 | |     2,\n  3 | |     3,\n    | | …\n 99 | |     99,\n100 | | )\n    | |_^"
    )


def test_lines_of_which_the_place_has_nothing_are_no_part_of_it():
    assert picture("x = 1\ny", 1, 1, 2, 1) == "1 | x = 1\n  | ^^^^^\n2 | y"
    assert picture("x = 1", 1, 5, 9, 9) == "1 | x = 1\n  |     ^"


def test_frame_stays_in_its_cell():
    cells = (Cell(1, 1), Cell(3, 2), Cell(4, 4))
    assert picture("a\nb\nc\nd", 2, 1, 2, 2, cell=3, cells=cells) == "1 | b\n2 | c\n  | ^"
    assert picture("a\nb\nc\nd", 1, 1, 1, 2, cell=4, cells=cells) == "1 | d\n  | ^"
    assert picture("a\nb\nc\nd", 1, 1, 1, 2, cell=2, cells=cells) == ""
