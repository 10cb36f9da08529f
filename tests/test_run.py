"""`shapeguard check` as its user sees it: what is reported, what is written, and the exit status."""

import io
import json
import os
import stat
from pathlib import Path

import pytest

from shapeguard.cli import main

SURE = "import torch\nimport torch.nn.functional as F\n\np = F.softmax(torch.zeros(2, 3))\n"
FIXED = SURE.replace("3))", "3), dim=-1)")
UNSURE = "import torch.nn.functional as F\n\n\ndef weights(scores):\n    return F.softmax(scores)\n"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sure.py").write_text(SURE)
    Path("unsure.py").write_text(UNSURE)
    return tmp_path


def check(capsys, *arguments):
    status = main(["check", *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def give(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def concise(capsys, *arguments):
    status, out, _ = check(capsys, "--output-format", "concise", *arguments)
    return status, [line.partition(" ")[0] for line in out.splitlines() if ".py:" in line]


def test_fix_makes_what_is_safe_and_reports_the_rest(capsys):
    status, out, _ = check(capsys, "--fix")
    assert (status, out.splitlines()[0]) == (1, "Fixed 1 finding in 1 file.")
    assert "unsure.py:5:12" in out
    assert (Path("sure.py").read_text(), Path("unsure.py").read_text()) == (FIXED, UNSURE)


def test_unsafe_fixes_are_made_when_they_are_asked_for(capsys):
    status, out, _ = check(capsys, "--fix", "--unsafe-fixes")
    assert (status, out) == (0, "Fixed 2 findings in 2 files.\nNo findings in 2 files.\n")
    assert "F.softmax(scores, dim=-1)" in Path("unsure.py").read_text()
    assert check(capsys, "--fix", "--unsafe-fixes")[1] == "No findings in 2 files.\n"


def test_diff_writes_nothing(capsys):
    status, out, err = check(capsys, "--diff", "sure.py")
    assert (status, err) == (1, "Would fix 1 finding in 1 file.\n")
    assert out.splitlines()[-2:] == ["-p = F.softmax(torch.zeros(2, 3))", "+p = F.softmax(torch.zeros(2, 3), dim=-1)"]
    assert Path("sure.py").read_text() == SURE
    assert check(capsys, "--diff", "unsure.py") == (0, "", "Nothing to fix safely; 1 with --unsafe-fixes.\n")
    assert check(capsys, "--diff")[::2] == (1, "Would fix 1 finding in 1 file; 1 more with --unsafe-fixes.\n")
    assert check(capsys, "--diff", "--unsafe-fixes")[::2] == (1, "Would fix 2 findings in 2 files.\n")
    assert check(capsys, "--diff", "--ignore", "ALL") == (0, "", "Nothing to fix.\n")
    assert check(capsys, "--fix", "--diff", "sure.py") == (1, out, err)
    assert Path("sure.py").read_text() == SURE


def test_finding_in_a_notebook_names_lines_of_its_cells(capsys):
    cells = ["import torch\nx = torch.zeros(4, 8)", "%time x.sum()\nz = x @ x"]
    made = [{"cell_type": "code", "source": cell} for cell in cells]
    Path("net.ipynb").write_text(json.dumps({"nbformat": 4, "cells": made}))
    status, out, _ = check(capsys, "net.ipynb")
    assert (status, out.partition(" SG301 ")[0]) == (1, "net.ipynb:cell 2:2:5")
    assert "    x: (4, 8), from line 2 of cell 1\n    1 | %time x.sum()\n    2 | z = x @ x\n" in out


def test_what_cannot_be_written_is_told_and_the_others_are(capsys, monkeypatch):
    Path("there").mkdir()
    Path("there/sure.py").write_text(SURE)
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, *rest, **how: "there" not in str(path) and access(path, *rest, **how)
    )
    status, _, err = check(capsys, "--fix")
    assert (status, err) == (2, "shapeguard check: can't write there/sure.py: it is read-only\n")
    assert Path("sure.py").read_text() == FIXED
    assert Path("there/sure.py").read_text() == SURE


def test_mode_is_kept(capsys):
    Path("sure.py").chmod(0o750)
    check(capsys, "--fix")
    assert stat.S_IMODE(Path("sure.py").stat().st_mode) == 0o750


def test_standard_input(capsys, monkeypatch):
    give(monkeypatch, SURE)
    status, out, _ = check(capsys, "-", "--stdin-filename", "src/net.py", "--output-format", "concise")
    assert (status, out.splitlines()[0].partition(" ")[0]) == (1, "src/net.py:4:5:")
    give(monkeypatch, SURE)
    status, out, err = check(capsys, "-", "--fix")
    assert (status, out, err) == (0, FIXED, "No findings in 1 file.\n")
    give(monkeypatch, "")
    assert check(capsys, "-")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-", "sure.py"], "`-` stands for standard input, and no other path can stand beside it"),
        (["-", "--add-noqa"], "--add-noqa changes files, and standard input is none"),
        (["--baseline", "gone.json"], "there is no baseline gone.json; `--write-baseline gone.json` writes it"),
        (["gone.py"], "no such file or folder: gone.py"),
        (["--add-noqa", "--fix"], "--fix and --add-noqa can't be asked for at once"),
        (["--write-baseline", "a.json", "--diff"], "--diff and --write-baseline can't be asked for at once"),
        (
            ["--write-baseline", "a.json", "--baseline", "b.json"],
            "--write-baseline and --baseline can't be asked for at once",
        ),
        (["--unsafe-fixes"], "--unsafe-fixes needs --fix or --diff"),
        (["--diff", "--output-format", "json"], "--output-format is how findings are shown, and --diff shows none"),
        (["--add-noqa", "--statistics"], "--statistics is how findings are shown, and --add-noqa shows none"),
        (["--stdin-filename", "sure.py"], "--stdin-filename needs the path `-`, which stands for standard input"),
    ],
)
def test_wrong_input_is_one_sentence(capsys, arguments, sentence):
    assert check(capsys, *arguments) == (2, "", f"shapeguard check: {sentence}\n")


def test_a_baseline_hides_what_is_known(capsys):
    status, out, _ = check(capsys, "--write-baseline", "known.json")
    assert (status, out) == (0, "Wrote 2 findings to known.json; the key `baseline` names it to every run.\n")
    assert concise(capsys, "--baseline", "known.json") == (0, [])
    Path("sure.py").write_text(f"# moved down\n{SURE}q = F.softmax(torch.zeros(2, 3))\n")
    assert concise(capsys, "--baseline", "known.json") == (1, ["sure.py:6:5:"])
    Path("sure.py").write_text(FIXED)
    _, _, err = check(capsys, "--baseline", "known.json")
    assert "1 entry of known.json is no longer found" in err


def test_the_project_may_name_its_baseline(capsys):
    Path("pyproject.toml").write_text('[tool.shapeguard]\nbaseline = "known.json"\n')
    assert check(capsys, "--write-baseline", "known.json")[0] == 0
    assert concise(capsys) == (0, [])
    assert concise(capsys, "sure.py") == (0, [])


def test_add_noqa_silences_all(capsys):
    status, out, _ = check(capsys, "--add-noqa")
    assert (status, out) == (0, "Silenced 2 lines in 2 files.\n")
    assert "F.softmax(scores)  # noqa: SG401\n" in Path("unsure.py").read_text()
    assert concise(capsys) == (0, [])


def test_what_is_missing_is_told_and_the_rest_is_checked(capsys):
    status, out, err = check(capsys, "gone.py", "sure.py", "--output-format", "concise")
    assert (status, err) == (2, "shapeguard check: no such file or folder: gone.py\n")
    assert out.startswith("sure.py:4:5: ")


def test_exit_zero(capsys):
    status, out, _ = check(capsys, "--exit-zero")
    assert (status, "2 findings" in out) == (0, True)


def test_what_is_selected_and_ignored(capsys):
    Path("pyproject.toml").write_text('[tool.shapeguard]\nselect = ["SG3"]\n')
    assert concise(capsys) == (0, [])
    assert concise(capsys, "--extend-select", "implicit-softmax-dim", "sure.py") == (1, ["sure.py:4:5:"])
    assert concise(capsys, "--select", "SG4", "--ignore", "SG401") == (0, [])


def test_severity_per_rule(capsys):
    Path("pyproject.toml").write_text('[tool.shapeguard.severity]\nimplicit-softmax-dim = "info"\n')
    _, out, _ = check(capsys, "--output-format", "json", "sure.py")
    assert [each["severity"] for each in json.loads(out)] == ["info"]


def test_statistics_count(capsys):
    status, out, _ = check(capsys, "--statistics")
    assert (status, out.splitlines()[0]) == (1, "2  SG401  [-] implicit-softmax-dim")


def test_what_is_known_of_unchanged_files_is_the_same(capsys):
    first = check(capsys)
    assert Path(".shapeguard_cache").is_dir()
    assert check(capsys) == first == check(capsys, "--no-cache")
    Path("unsure.py").write_text(FIXED)
    assert check(capsys)[1] != first[1]


def test_rules_and_rule(capsys):
    assert main(["rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("SG401  implicit-softmax-dim ") for line in lines)
    assert main(["rules", "--output-format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(lines)
    assert main(["rule", "SG401"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("# implicit-softmax-dim (SG401)\n")
    assert main(["rule", "implicit-softmax-dim"]) == 0
    assert capsys.readouterr().out == page
    assert main(["rule", "implicit-softmax"]) == 2
    assert capsys.readouterr().err == (
        "shapeguard rule: no rule is called `implicit-softmax`; did you mean `implicit-softmax-dim`?\n"
    )


def test_a_rule_that_takes_too_long_is_told_of(capsys):
    lines = "".join("    x = model(x).squeeze()\n" for _ in range(3000))
    Path("long.py").write_text(f"import torch\n\n\ndef f(model, x):\n{lines}    return x.size(0)\n")
    _, out, _ = check(capsys, "--statistics", "--select", "SG101", "long.py")
    assert "Given up as too long:\n    long.py: bare-squeeze\n" in out
