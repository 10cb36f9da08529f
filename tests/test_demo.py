"""`shapeguard demo`: the scripts are broken as told, the tools find it, and what they mend learns."""

import io
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shapeguard import check
from shapeguard.cli import main
from shapeguard.demo import run, trial
from shapeguard.demo.checking import Checked
from shapeguard.demo.curves import draw_curves
from shapeguard.demo.guarded import ANNOTATED, guard_says
from shapeguard.demo.screen import Screen
from shapeguard.demo.stories import STORIES
from shapeguard.demo.trial import Trial, run_script

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(check.__file__).parents[1]), "COLUMNS": "100"}
DEMO = [sys.executable, "-W", "error", "-m", "shapeguard", "demo"]

by_name = pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)


@by_name
def test_each_script_has_its_findings_and_the_fixes_leave_none(story):
    checked = Checked("broken.py", story.script)
    assert {each.code for each in checked.findings} == story.codes
    assert checked.fixed.made
    assert not checked.fixed.remaining
    assert Checked("fixed.py", checked.fixed.after).findings == ()


@by_name
def test_each_script_fits_a_screen(story):
    text = story.script.decode("ascii")
    assert 20 <= text.count("\n") <= 60
    assert max(map(len, text.splitlines())) <= 95  # with what the screen puts before a line


def test_the_guard_stops_each_accident():
    said = {name: guard_says(name) or "" for name in ANNOTATED}
    assert set(said) == {story.name for story in STORIES}
    assert said["ranking_loss"].startswith("`better` has 2 axes (32, 1), expected 1:")
    assert said["bare_squeeze"].startswith("`better` has 0 axes (), expected 1:")
    assert said["lstm_layout"].startswith("`result` axis 0 is 64, expected steps = 32")


@pytest.mark.slow
def test_the_whole_story(tmp_path):
    ran = subprocess.run(DEMO, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=900)
    assert (ran.returncode, ran.stderr) == (0, "")
    told = ran.stdout
    parts = [told.index(story.title) for story in STORIES] + [told.index("Before and after")]
    assert parts == sorted(parts)
    for error in ("RuntimeError: margin_ranking_loss", "IndexError: Dimension specified as 0", "nothing learnt"):
        assert error in told
    assert [told.count(f"\n   {mark}  ") for mark in "-+"] == [3, 3]
    assert told.count("ShapeError: ") == 3
    assert told.count("step 198/198") == 2
    assert "\033" not in told
    assert max(map(len, told.splitlines())) <= 100
    folder = tmp_path / "shapeguard-demo"
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in folder.iterdir()} == {"broken", "fixed", "curves.png"}
    again = [sys.executable, "-m", "shapeguard", "check", "--no-cache"]
    for half, status in (("broken", 1), ("fixed", 0)):
        assert subprocess.run([*again, half], cwd=folder, env=ENVIRONMENT, check=False).returncode == status


@pytest.fixture
def without_torch(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.chdir(tmp_path)


def test_without_torch_the_checking_half_is_shown(tmp_path):
    program = "import sys; sys.modules['torch'] = None; from shapeguard.cli import main; sys.exit(main(['demo']))"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert set(re.findall(r"\bSG\d+\b", ran.stdout)) == {"SG101", "SG201", "SG402", "SG702"}
    assert "x.permute(1, 0, 2)" in ran.stdout
    assert "$ python" not in ran.stdout
    assert "pip install 'shapeguard[train]'" in ran.stdout
    assert {path.name for path in (tmp_path / "shapeguard-demo" / "fixed").iterdir()} == {
        f"{story.name}.py" for story in STORIES
    }


@pytest.mark.usefixtures("without_torch")
def test_a_second_run_takes_a_folder_of_its_own(capsys):
    Path("shapeguard-demo").write_text("somebody's")
    assert (main(["demo"]), main(["demo"])) == (0, 0)
    assert Path("shapeguard-demo").read_text() == "somebody's"
    assert Path("shapeguard-demo-2/broken").is_dir()
    assert Path("shapeguard-demo-3/broken").is_dir()
    assert "They are in shapeguard-demo-3" in capsys.readouterr().out


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("full", "full isn't empty"),
        ("full/notes", "can't write full/notes: Not a directory"),
        ("full/notes/new", "can't write full/notes/new: Not a directory"),
        ("/dev/null/new", "can't write /dev/null/new: Not a directory"),
    ],
)
def test_a_folder_that_cannot_be_taken_is_one_sentence(capsys, output, sentence):
    Path("full").mkdir()
    Path("full/notes").write_text("mine")
    assert main(["demo", "--output", output]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"shapeguard demo: {sentence}; name another folder with --output\n"
    assert [path.name for path in Path("full").rglob("*")] == ["notes"]


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("output", ["new/folder", "empty"])
def test_what_goes_wrong_on_the_way_leaves_nothing(capsys, monkeypatch, output):
    Path("empty").mkdir()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run._Demo, "mend", fail)
    assert main(["demo", "--output", output]) == 2
    assert f"can't write {output}: No space left on device" in capsys.readouterr().err
    assert [str(path) for path in Path().rglob("*")] == ["empty"]


@pytest.mark.usefixtures("without_torch")
def test_what_is_not_as_told_is_said(capsys, monkeypatch):
    monkeypatch.setattr(run, "STORIES", [replace(STORIES[0], codes=frozenset({"SG999"}))])
    assert main(["demo"]) == 1
    assert "Not as it was to be: broken/ranking_loss.py has SG402, and not SG999." in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_an_interrupted_demo_leaves_nothing(tmp_path):
    with subprocess.Popen(
        DEMO, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert any("$ python broken/" in line for line in process.stdout)
        assert (tmp_path / "shapeguard-demo").is_dir()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.wait(60) == 130
    assert list(tmp_path.iterdir()) == []


# Scripts in a Python of their own


def trial_of(folder, code):
    (folder / "script.py").write_text(code)
    heard = []
    return run_script(folder, "script.py", lambda *step: heard.append(step)), heard


def test_a_trial_hears_each_step(tmp_path):
    made, heard = trial_of(tmp_path, "print('step 1/2 loss 0.5')\nprint('step 2/2 loss nan')\nprint('accuracy 0.75')")
    assert heard[0] == (1, 2, 0.5)
    assert (len(made.losses), made.steps, made.accuracy, made.baseline, made.error) == (2, 2, 0.75, None, None)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("{}['é']", "KeyError: 'é'"),
        ("import sys; sys.exit(3)", "it ended with status 3"),
        ("import time; time.sleep(60)", "it was stopped after 0.5 seconds"),
    ],
)
def test_a_trial_says_why_it_failed(tmp_path, monkeypatch, code, error):
    monkeypatch.setattr(trial, "SECONDS_AT_MOST", 20 if "sleep" not in code else 0.5)
    assert trial_of(tmp_path, code)[0].error == error


def test_a_trial_that_is_interrupted_ends_its_script(tmp_path):
    (tmp_path / "script.py").write_text(
        "import os, time\nprint('step 1/2 loss', os.getpid(), flush=True)\ntime.sleep(60)"
    )
    heard = []

    def interrupt(*step):
        heard.append(step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_script(tmp_path, "script.py", interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int(heard[0][2]), 0)


# What is shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_has_a_bar_and_colours(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "")  # as good as unset
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    screen = Screen(stream)
    with screen.bar() as step:
        step(1, 2, 0.5)
    screen.say("wrong", "31")
    assert stream.getvalue().endswith(f"\r\033[K   [{'=' * 15:<30}] 1/2  loss 0.500\n   \033[31mwrong\033[0m\n")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_switched_off(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not Screen(Terminal()).colour


def test_without_a_terminal_some_steps_are_lines():
    stream = io.StringIO()
    with Screen(stream).bar() as step:
        for number in range(1, 9):
            step(number, 8, 1 / number)
    assert stream.getvalue() == "".join(f"   step {n}/8  loss {1 / n:.3f}\n" for n in (2, 4, 6, 8))


def test_wide_lines_are_broken_between_words_whatever_their_colours(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    stream = io.StringIO()
    Screen(stream).say("  \033[1maaaa\033[0m bbbb cccc dddd eeee")
    assert stream.getvalue() == "     \033[1maaaa\033[0m bbbb cccc\n         dddd eeee\n"


def test_curves_of_scripts_that_stop_and_scripts_that_do_not(tmp_path):
    whole = Trial((3.0, 2.0, float("nan")), 3, 0.9)
    told = [(STORIES[0], Trial(error="RuntimeError: no"), whole), (STORIES[2], whole, Trial())]
    draw_curves(tmp_path / "curves.png", told)
    assert (tmp_path / "curves.png").stat().st_size > 10_000
