"""The command line as its user sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shapeguard import __version__, check
from shapeguard.cli import main
from shapeguard.diagnostics import Diagnostic, Span
from shapeguard.infer.analysis import Analysis, Expression

PACKAGES = str(Path(check.__file__).parents[1])


def test_no_command_shows_the_help(capsys):
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_unknown_command_names_the_one_that_is_meant_or_all(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["dmo"])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert printed == "shapeguard: no command is called `dmo`; did you mean `demo`?\n"
    with pytest.raises(SystemExit):
        main(["nothing"])
    listed = "check, rule, rules, shapes, train, demo, help"
    assert capsys.readouterr().err == f"shapeguard: no command is called `nothing`; choose from {listed}\n"


def test_help_is_a_command_too(capsys):
    main([])
    shown = capsys.readouterr().out
    assert main(["help"]) == 0
    assert capsys.readouterr().out == shown


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"shapeguard {__version__}\n"


def test_guard_works_without_torch_on_numpy():
    program = """
import sys
sys.modules["torch"] = None
import numpy as np
from jaxtyping import Float
from shapeguard import ShapeError, guard

@guard
def add(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    return a + b

add(np.ones(3), np.ones(3))
try:
    add(np.ones(3), np.ones(4))
except ShapeError as error:
    print(error.headline)
"""
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout == "`b` axis 0 is 4, expected n = 3 (bound by `a` axis 0)\n"


# check and shapes


def analyse_products(source, *, guessing=False):
    """A finding and an expression wherever `q @ k` stands."""
    spans = [
        Span(number, line.index("q @ k") + 1, number, line.index("q @ k") + 6)
        for number, line in enumerate(source.lines, start=1)
        if "q @ k" in line
    ]
    return Analysis(
        tuple(Diagnostic(source.path, span, "SG301", "shape-mismatch", "`q @ k` é", ("q: (b, t)",)) for span in spans),
        tuple(Expression(span, "Head.forward", "q @ k", ("b", "t"), None) for span in spans),
        {"self.rope": 2},
    )


SOURCE = """\
import torch

class Head:
    def forward(self, q, k):
        return q @ k
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "analyse", analyse_products)
    monkeypatch.chdir(tmp_path)
    Path("gpt.py").write_text(SOURCE, encoding="utf-8")
    Path("fine.py").write_text("import torch\n", encoding="utf-8")
    return tmp_path


def test_check_exits_with_one_for_findings_and_zero_for_none(project, capsys):
    assert main(["check"]) == 1
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == "gpt.py:5:16 SG301 shape-mismatch: `q @ k` é"
    assert last == "1 finding in 1 of 2 files."
    assert main(["check", "fine.py"]) == 0
    assert capsys.readouterr().out == "No findings in 1 file.\n"


def test_check_selects_and_ignores(project, capsys):
    assert main(["check", "--ignore", "SG302,SG301"]) == 0
    assert main(["check", "--select", "SG302", "--select", "SG303"]) == 0
    assert main(["check", "--select", "shape-mismatch"]) == 1


def test_check_reads_the_project(project, capsys):
    Path("pyproject.toml").write_text("[tool.shapeguard]\nignore = ['SG301']\noutput-format = 'json'", encoding="utf-8")
    assert main(["check"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["check", "--select", "SG3"]) == 1
    assert [each["code"] for each in json.loads(capsys.readouterr().out)] == ["SG301"]
    assert main(["check", "--select", "SG3", "--output-format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error ")


def test_statistics_stand_apart_from_what_a_program_reads(project, capsys):
    main(["check", "--statistics"])
    assert "    4  self.rope\n" in capsys.readouterr().out
    main(["check", "--statistics", "--output-format", "sarif"])
    printed = capsys.readouterr()
    assert json.loads(printed.out)["version"] == "2.1.0"
    assert "self.rope" in printed.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "gone"], "shapeguard check: no such file or folder: gone"),
        (["check", "--select", "SG399"], "shapeguard check: argument --select: no rule is called `SG399`; `shape"),
        (["check", "--ignore", "E501"], "shapeguard check: argument --ignore: no rule is called `E501`; `shape"),
        (
            ["check", "--select", "sg301"],
            "shapeguard check: argument --select: no rule is called `sg301`; did you mean `SG",
        ),
        (["rule", "sg301"], "shapeguard rule: no rule is called `sg301`; did you mean `SG301`?"),
        (["rule", "SG3"], "shapeguard rule: no rule is called `SG3`; `shapeguard rules` lists them"),
        (["gpt.py"], "shapeguard: no command is called `gpt.py`; did you mean `shapeguard check gpt.py`?"),
        (["check", "--exclude", "a"], "shapeguard check: it takes no `--exclude`; `shapeguard check --help` shows"),
        (["check", "--selct", "SG301"], "shapeguard check: it takes no `--selct`; did you mean `--select`?"),
        (["check", "--frobnicate=1"], "shapeguard check: it takes no `--frobnicate`; `shapeguard check --help` shows"),
        (["rules", "SG301"], "shapeguard rules: it takes no `SG301`; `shapeguard rules --help` shows what it takes"),
        (["rule"], "shapeguard rule: the following arguments are required: RULE"),
        (["train", "rewrd"], "shapeguard train: no task is called `rewrd`; did you mean `reward`?"),
        (
            ["train", "reward", "--pooling", "max"],
            "shapeguard train reward: --pooling can't be `max`; choose from last",
        ),
        (["check", ""], "shapeguard check: argument PATH: the name is empty"),
        (["check", "--baseline", ""], "shapeguard check: argument --baseline: the name is empty"),
        (["check", "--select", ", "], "shapeguard check: argument --select: it names no rule"),
        (
            ["check", "--output-format", "xml"],
            "shapeguard check: --output-format can't be `xml`; choose from concise, ",
        ),
        (["check", "--jobs", "0"], "shapeguard check: argument --jobs: `0` is no whole number from 1 on"),
        (["check", "--jobs", "many"], "shapeguard check: argument --jobs: `many` is no whole number from 1 on"),
        (["shapes", "gone.py"], "shapeguard shapes: no such file: gone.py"),
        (["shapes", "."], "shapeguard shapes: .: the file can't be read: Is a directory"),
        (
            ["shapes", "gpt.py", "--output-format", "sarif"],
            "shapeguard shapes: --output-format can't be `sarif`; choose from text, json",
        ),
        (
            ["shapes", "gpt.py", "--function", "foward"],
            "shapeguard shapes: gpt.py has no function `foward`; did you mean `Head.forward`?",
        ),
    ],
)
def test_wrong_input_is_one_sentence(project, capsys, arguments, sentence):
    try:
        status = main(arguments)
    except SystemExit as stopped:
        status = stopped.code
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert printed.err.startswith(sentence)
    assert printed.err.count("\n") == 1


def test_unreadable_config_is_one_sentence(project, capsys):
    Path("pyproject.toml").write_text("[tool.shapeguard]\nselect = 1", encoding="utf-8")
    assert main(["check"]) == 2
    assert "`select` in [tool.shapeguard] is 1; it must be a list of strings\n" in capsys.readouterr().err


def test_shapes_shows_what_is_known(project, capsys):
    assert main(["shapes", "gpt.py", "--function", "forward", "--statistics"]) == 0
    assert capsys.readouterr().out == (
        "4      def forward(self, q, k):\n"
        "5          return q @ k  | (b, t)\n"
        "1 of 1 tensor expression has a known shape (100 %), 1 on every axis.\n"
        "Track is lost at:\n"
        "    2  self.rope\n"
    )


def test_shapes_as_json(project, capsys):
    assert main(["shapes", "gpt.py", "--output-format", "json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)["expressions"]
    assert (only["function"], only["shape"]) == ("Head.forward", ["b", "t"])


def run(*arguments, code="ascii", **options):
    environment = {**os.environ, "PYTHONPATH": PACKAGES, "PYTHONIOENCODING": code}
    command = [sys.executable, "-m", "shapeguard", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, **options)


def test_terminal_that_cannot_show_a_character_gets_its_number(tmp_path):
    (tmp_path / "é.py").write_text("import torch\ndef f(:\n", encoding="utf-8")
    ran = run("check", ".", cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stdout.startswith("\\xe9.py:2:7 SG002 syntax-error: ")
    assert ran.stderr == ""


def test_output_that_nobody_reads_is_no_error(tmp_path):
    for number in range(12):
        (tmp_path / f"{'long' * 50}{number}.py").write_text("import torch\ndef f(:\n" * 40, encoding="utf-8")
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    command = [sys.executable, "-m", "shapeguard", "check", str(tmp_path)]
    ran = subprocess.run(command, check=False, stdout=writing, stderr=subprocess.PIPE, env=environment)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (1, b"")


POSIX = pytest.mark.skipif(os.name != "posix", reason="it is told to a POSIX shell")


def shell(line, folder):
    """What a line of a shell does, in which `SHAPEGUARD` stands for the command."""
    line = line.replace("SHAPEGUARD", f"{sys.executable} -m shapeguard")
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    ran = subprocess.run(["sh", "-c", line], check=False, capture_output=True, text=True, cwd=folder, env=environment)  # noqa: S607
    return ran.returncode, ran.stdout, ran.stderr


@POSIX
@pytest.mark.parametrize(
    ("line", "status", "err"),
    [
        ("SHAPEGUARD check - <&-", 2, "shapeguard check: standard input is closed\n"),
        ("SHAPEGUARD check . >&-", 1, ""),
        ("SHAPEGUARD rules >&-", 0, ""),
        ("SHAPEGUARD check gone 2>&-", 2, ""),
    ],
)
def test_streams_that_are_closed(tmp_path, line, status, err):
    (tmp_path / "a.py").write_text("import torch\ndef f(:\n", encoding="utf-8")
    assert shell(line, tmp_path) == (status, "", err)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to write to")
@pytest.mark.parametrize("command", ["check .", "check --statistics .", "rules", "shapes b.py", "check --fix - < a.py"])
def test_output_that_cannot_be_written_is_one_sentence(tmp_path, command):
    (tmp_path / "a.py").write_text("import torch\ndef f(:\n", encoding="utf-8")
    (tmp_path / "b.py").write_text("import torch\n", encoding="utf-8")
    name = command.partition(" ")[0]
    status, out, err = shell(f"SHAPEGUARD {command} > /dev/full", tmp_path)
    assert (status, out) == (2, "")
    assert err.endswith(f"shapeguard {name}: No space left on device\n")
    assert "Traceback" not in err


@POSIX
def test_current_folder_that_is_gone_is_one_sentence(tmp_path):
    (tmp_path / "gone").mkdir()
    line = "cd gone && rmdir ../gone && SHAPEGUARD check"
    assert shell(line, tmp_path) == (2, "", "shapeguard check: the current folder is gone\n")


def test_commands_need_no_torch(tmp_path):
    (tmp_path / "a.py").write_text("import torch\n", encoding="utf-8")
    hide = "import sys; sys.modules['torch'] = None; from shapeguard.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    for command in ("check", "shapes"):
        ran = subprocess.run([sys.executable, "-c", hide, command, "a.py"], check=False, cwd=tmp_path, env=environment)
        assert ran.returncode == 0


def test_help_loads_little():
    program = "from shapeguard.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\nimport sys\n"
    unwanted = {"torch", "jaxtyping", "beartype", "libcst", "tomllib", "json", "shapeguard.check"}
    program += f"assert not {unwanted} & set(sys.modules), {unwanted} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=environment)
