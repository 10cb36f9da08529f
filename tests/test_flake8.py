"""The plugin, run by flake8 itself."""

import subprocess
import sys

CODE = """\
import torch
import torch.nn.functional as F

ü = 1
p = F.softmax(torch.zeros(2, 3))
q = F.softmax(torch.zeros(2, 3))  # noqa: SG401
r = F.softmax(torch.zeros(2, 3))  # shapeguard: ignore[implicit-softmax-dim]
torch.zeros(2) + torch.zeros(3)
"""


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "flake8", "--isolated", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.returncode, [line.split(" ")[:2] for line in done.stdout.splitlines()]


def test_findings_of_rules_and_of_the_static_checker(tmp_path):
    (tmp_path / "net.py").write_text(CODE, encoding="utf-8")
    assert run(tmp_path, "net.py") == (1, [["net.py:5:5:", "SG401"], ["net.py:8:1:", "SG301"]])


def test_flake8_chooses(tmp_path):
    (tmp_path / "net.py").write_text(CODE, encoding="utf-8")
    assert run(tmp_path, "--ignore=SG4", "net.py") == (1, [["net.py:8:1:", "SG301"]])
    assert run(tmp_path, "--select=E", "net.py") == (0, [])


def test_the_project_is_asked_too(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.shapeguard]\nignore = ["SG301"]\n')
    (tmp_path / "net.py").write_bytes(("\ufeff" + CODE.replace("\n", "\r\n")).encode())
    assert run(tmp_path, "net.py") == (1, [["net.py:5:5:", "SG401"]])


def test_a_wrong_setting_is_told_in_one_sentence(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.shapeguard]\nselect = ['SG999']\n")
    (tmp_path / "net.py").write_text(CODE, encoding="utf-8")
    assert run(tmp_path, "net.py") == (1, [["net.py:1:1:", "SG001"]])


def test_what_flake8_reports_itself_is_not_said_twice(tmp_path):
    (tmp_path / "net.py").write_text("import torch\ndef f(:\n")
    assert {code for _, code in run(tmp_path, "net.py")[1]} == {"E999"}


def test_an_empty_file_and_standard_input(tmp_path):
    (tmp_path / "empty.py").write_text("")
    assert run(tmp_path, "empty.py") == (0, [])
    done = subprocess.run(
        [sys.executable, "-m", "flake8", "--isolated", "--select=SG", "-"],
        input=CODE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[0].startswith("stdin:5:5: SG401 ")
