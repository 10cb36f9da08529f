"""Known findings: recognised wherever they have moved to, and told when they are gone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shapeguard.baseline import new_findings, read_baseline, stale_note, write_baseline
from shapeguard.config import UsageError
from shapeguard.diagnostics import Diagnostic, Span


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def found(path, line, code="SG401"):
    return Diagnostic(path, Span(line, 1, line, 5), code, "implicit-softmax-dim", "a message")


def text_of(diagnostic):
    lines = Path(diagnostic.path).read_text(encoding="utf-8").split("\n")
    return "\n".join(lines[diagnostic.span.line - 1 : diagnostic.span.end_line])


def write(path, *lines):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("\n".join(lines), encoding="utf-8")


def test_known_findings_are_not_new():
    write("pkg/a.py", "x = softmax(a)", "y = softmax(b)")
    every = (found("pkg/a.py", 1), found("pkg/a.py", 2))
    assert write_baseline("known.json", every, text_of) == 2
    assert new_findings(read_baseline("known.json"), every, text_of) == ((), 0)


def test_moved_and_reformatted_code_stays_known():
    write("a.py", "x = softmax(a)")
    write_baseline("known.json", [found("a.py", 1)], text_of)
    write("a.py", "import torch", "", "if x:", "    x  =\tsoftmax(a)")
    assert new_findings(read_baseline("known.json"), [found("a.py", 4)], text_of) == ((), 0)


def test_second_finding_of_the_same_text_is_new():
    write("a.py", "x = softmax(a)", "x = softmax(a)", "x = softmax(a)")
    write_baseline("known.json", [found("a.py", 1), found("a.py", 2)], text_of)
    kept, stale = new_findings(read_baseline("known.json"), [found("a.py", line) for line in (1, 2, 3)], text_of)
    assert (kept, stale) == ((found("a.py", 3),), 0)


@pytest.mark.parametrize("other", [found("b.py", 1), found("a.py", 1, "SG402"), found("a.py", 2)])
def test_another_file_code_or_text_is_new(other):
    for name in ("a.py", "b.py"):
        write(name, "x = softmax(a)", "y = softmax(a)")
    write_baseline("known.json", [found("a.py", 1)], text_of)
    assert new_findings(read_baseline("known.json"), [other], text_of) == ((other,), 1)


def test_what_is_no_longer_found_is_counted():
    write("a.py", "x = softmax(a)", "x = softmax(a)", "y = softmax(a)")
    write_baseline("known.json", [found("a.py", line) for line in (1, 2, 3)], text_of)
    baseline = read_baseline("known.json")
    assert new_findings(baseline, [found("a.py", 1)], text_of) == ((), 2)
    assert stale_note(baseline, 2) == "2 entries of known.json are no longer found; write it anew"
    assert stale_note(baseline, 1) == "1 entry of known.json is no longer found; write it anew"


def test_only_what_was_looked_for_can_be_gone():
    for name in ("a.py", "b.py", "c.py"):
        write(name, "x = softmax(a)")
    write_baseline("known.json", [found(name, 1) for name in ("a.py", "b.py", "c.py")], text_of)
    baseline = read_baseline("known.json")
    Path("c.py").unlink()
    assert new_findings(baseline, [], text_of, checked=["a.py"])[1] == 2
    assert new_findings(baseline, [], text_of, checked=["a.py"], codes={"SG402"})[1] == 0


def test_what_could_not_be_checked_is_new_and_makes_nothing_stale():
    write("a.py", "x = softmax(a)")
    broken = found("a.py", 1, "SG002")
    assert write_baseline("known.json", [found("a.py", 1), broken], text_of) == 1
    assert new_findings(read_baseline("known.json"), [broken], text_of) == ((broken,), 0)


def test_paths_start_from_the_folder_of_the_baseline(monkeypatch):
    write("pkg/a.py", "x = softmax(a)")
    write("ci/README")
    write_baseline("ci/known.json", [found("pkg/a.py", 1)], text_of)
    assert json.loads(Path("ci/known.json").read_text())["findings"][0]["path"] == "../pkg/a.py"
    monkeypatch.chdir("pkg")
    assert new_findings(read_baseline("../ci/known.json"), [found("a.py", 1)], text_of) == ((), 0)
    absolute = str(Path("a.py").absolute())
    assert new_findings(read_baseline("../ci/known.json"), [found(absolute, 1)], text_of) == ((), 0)


def test_file_is_sorted_and_has_a_line_for_each_entry():
    write("b.py", "y = softmax(ü)", "x = softmax(a)")
    every = [found("b.py", 1), found("b.py", 2), replace(found("b.py", 2), span=Span(2, 3, 2, 5))]
    write_baseline("one.json", every, text_of)
    write_baseline("two.json", every[::-1], text_of)
    assert Path("one.json").read_text(encoding="utf-8") == Path("two.json").read_text(encoding="utf-8")
    assert Path("one.json").read_text(encoding="utf-8") == (
        '{\n  "version": 1,\n  "findings": [\n'
        '    {"path": "b.py", "code": "SG401", "name": "implicit-softmax-dim", "text": "x = softmax(a)", "count": 2},\n'
        '    {"path": "b.py", "code": "SG401", "name": "implicit-softmax-dim", "text": "y = softmax(ü)", "count": 1}\n'
        "  ]\n}\n"
    )


def test_no_finding_makes_an_empty_baseline():
    assert write_baseline("known.json", [], text_of) == 0
    assert new_findings(read_baseline("known.json"), [], text_of) == ((), 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "it has no `version` or no list of `findings`"),
        ('{"version": 2, "findings": []}', "its version is 2, and only version 1 is read"),
        ('{"version": 1}', "it has no `version` or no list of `findings`"),
        ('{"version": 1, "findings": [{"path": "a.py"}]}', '{"path": "a.py"} is no finding'),
        ('{"version": 1, "findings": [' + "[" * 100_000, "maximum recursion depth"),
        (b"\xff\xfe", "'utf-8' codec can't decode"),
    ],
)
def test_damaged_baseline_is_refused(content, reason):
    Path("known.json").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageError) as refused:
        read_baseline("known.json")
    assert str(refused.value).startswith(f"known.json is no baseline: {reason}")
    assert str(refused.value).endswith("; `--write-baseline known.json` writes it anew")


def test_missing_baseline_is_refused():
    with pytest.raises(UsageError, match=r"^there is no baseline known.json; `--write-baseline known.json` writes it$"):
        read_baseline("known.json")


def test_folder_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match=r"^can't write none/known.json: No such file or directory$"):
        write_baseline("none/known.json", [], text_of)
