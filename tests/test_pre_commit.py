"""The hooks, run by pre-commit itself in a repository of their own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BROKEN = "import torch.nn.functional as F\n\n\ndef weights(scores):\n    return F.softmax(scores)\n"
SURE = "import torch\nimport torch.nn.functional as F\n\nweights = F.softmax(torch.zeros(2, 3))\n"
CLEAN = "import torch\n\nx = torch.zeros(2, 3).softmax(-1)\n"
EXAMPLE = (ROOT / "examples" / "pre_commit" / ".pre-commit-config.yaml").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow


def git(folder, *arguments):
    identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip()


def commit_all(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it is", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What stands here, as a repository that can be cloned."""
    folder = tmp_path_factory.mktemp("shapeguard")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "shapeguard", folder / "shapeguard", ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "--quiet")
    return folder, commit_all(folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("pre-commit")


@pytest.fixture
def project(tmp_path):
    git(tmp_path, "init", "--quiet")
    return tmp_path


def configured(**values):
    """The example with other values behind these keys."""
    config = EXAMPLE
    for key, value in values.items():
        config, replaced = re.subn(rf"(- |  ){key}: \S+", rf"\g<1>{key}: {value}", config)
        assert replaced == 1, f"the example has {replaced} times {key}"
    return config


def run(project, home, source, hook, *arguments):
    folder, revision = source
    (project / ".pre-commit-config.yaml").write_text(configured(repo=folder, rev=revision, id=hook))
    commit_all(project)
    environment = {**os.environ, "PRE_COMMIT_HOME": str(home)}
    command = [sys.executable, "-m", "pre_commit", "run", "--color=never", *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_findings_stop_a_commit(project, home, source):
    (project / "net.py").write_text(BROKEN)
    status, said = run(project, home, source, "shapeguard", "--all-files")
    assert status == 1
    assert "net.py:5:12" in said
    assert "SG401" in said


def test_nothing_found(project, home, source):
    (project / "net.py").write_text(CLEAN)
    status, said = run(project, home, source, "shapeguard", "--all-files")
    assert (status, "Passed" in said) == (0, True)


def test_no_files_to_check(project, home, source):
    (project / "notes.md").write_text("nothing\n")
    status, said = run(project, home, source, "shapeguard", "--files", "notes.md")
    assert (status, "Skipped" in said) == (0, True)


def test_what_is_excluded_stays_so_though_it_is_named(project, home, source):
    (project / "pyproject.toml").write_text('[tool.shapeguard]\nexclude = ["old"]\n')
    (project / "old").mkdir()
    (project / "old" / "net.py").write_text(BROKEN)
    assert run(project, home, source, "shapeguard", "--all-files")[0] == 0


def test_fixes_are_made_and_the_commit_stopped(project, home, source):
    net = project / "net.py"
    net.write_text(SURE)
    status, said = run(project, home, source, "shapeguard-fix", "--all-files")
    assert status == 1
    assert "files were modified by this hook" in said
    assert net.read_text() == SURE.replace("3))", "3), dim=-1)")
    status, said = run(project, home, source, "shapeguard-fix", "--all-files")
    assert status == 0, said
