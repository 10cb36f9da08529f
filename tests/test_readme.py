"""The README's picture of a terminal is what a terminal shows, and the bugs in it are bugs that the fixes mend."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

if os.name == "nt":
    pytest.skip("Windows has no such terminals", allow_module_level=True)

ROOT = Path(__file__).parents[1]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


terminal = load(ROOT / "docs" / "pictures" / "terminal.py")


def test_the_picture_is_what_a_terminal_shows(request):
    drawn = terminal.draw(terminal.record())
    if request.config.getoption("--rewrite"):
        terminal.PICTURE.write_text(drawn)
    assert terminal.PICTURE.read_text() == drawn, "pytest --rewrite draws it anew"


def test_the_picture_needs_nothing_from_elsewhere():
    svg = terminal.PICTURE.read_text().replace("http://www.w3.org/2000/svg", "")
    assert all(word not in svg for word in ("url(http", 'url("', "@import", "href", "<script"))


def test_the_hook_is_the_one_of_the_example():
    comment, example = (ROOT / "examples/pre_commit/.pre-commit-config.yaml").read_text().split("\n", 1)
    assert comment.startswith("#")
    assert f"```yaml\n{example}```" in (ROOT / "README.md").read_text()


@pytest.fixture(scope="module", params=["broken", "fixed"])
def programs(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    terminal.write_programs(folder)
    if request.param == "fixed":
        fix = [sys.executable, "-m", "shapeguard", "check", "--fix", "--unsafe-fixes"]
        subprocess.run(fix, cwd=folder, check=True, capture_output=True)
    return request.param, {name: load(folder / name) for name in terminal.PROGRAMS}


def test_the_reward_model_keeps_a_batch_of_one_once_it_is_fixed(programs):
    import torch

    which, loaded = programs
    model = loaded["reward.py"].RewardModel(4)
    chosen, rejected = torch.randn(3, 4), torch.randn(3, 4)
    if which == "broken":
        assert model(chosen[:1]).shape == ()
        with pytest.raises(RuntimeError, match="same dimension"):
            model.loss(chosen, rejected)
    else:
        assert model(chosen[:1]).shape == (1,)
        assert model.loss(chosen, rejected).shape == ()


def test_the_lstm_reads_along_the_text_once_it_is_fixed(programs):
    import torch

    which, loaded = programs
    ids = torch.randint(7, (2, 7))  # as long as the vocabulary is large: torch refuses nothing
    other = torch.stack([(ids[0] + 1) % 7, ids[1]])
    model = loaded["lstm.py"].NextToken(7, 4)
    rows, of_other = (model(each).transpose(0, 0 if which == "broken" else 1) for each in (ids, other))
    assert rows.shape == (2, 7, 7)
    assert not torch.equal(rows[0], of_other[0])
    assert torch.equal(rows[1], of_other[1]) == (which == "fixed")  # broken, a row hears of the one before


def test_the_language_model_is_scored_on_what_comes_next_once_it_is_fixed(programs):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    which, loaded = programs
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=8)).eval()
    ids = torch.randint(50, (2, 6))
    shifts = torch.isclose(loaded["lm.py"].loss(model, ids), model(ids, labels=ids).loss)
    assert bool(shifts) == (which == "fixed")
