"""What the page for contributors says of adding things: one file, the command beneath it, and nothing else to touch."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = re.compile(
    r"^`(?P<path>shapeguard/\S+\.py)`:\n\n```py\n(?P<text>.*?)^```$.*?^```sh\n(?P<command>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
ADDED = {found["path"]: found for found in FILES.finditer((ROOT / "docs/contributing.md").read_text(encoding="utf-8"))}
RULE = "shapeguard/rules/legacy_tensor.py"
OPERATION = "shapeguard/ops/vandermonde.py"
FORMAT = "shapeguard/report/formats/markdown.py"
MODEL = "shapeguard/models/bag_of_tokens.py"


class House:
    """A copy of the repository, to which one file of the page is added."""

    def __init__(self, root, path):
        self.root, self.path = root, path
        for folder in ("shapeguard", "tests", "docs"):
            shutil.copytree(ROOT / folder, root / folder)
        shutil.copy(ROOT / "pyproject.toml", root)
        self.before = self.files()
        (root / path).write_text(ADDED[path]["text"], encoding="utf-8")

    def files(self):
        listed = (path for path in self.root.rglob("*") if path.is_file())
        hidden = re.compile(r"/(__pycache__|\.\w+)/")
        return {str(path.relative_to(self.root)): path.read_bytes() for path in listed if not hidden.search(str(path))}

    def run(self, command, folder=None, status=0, **environment):
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],  # noqa: S607 - as a reader has it
            cwd=folder or self.root,
            env={**os.environ, "PATH": programs, "PYTHONPATH": str(self.root), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout

    def run_what_the_page_says(self, *, only):
        """The files that are new, and those that have changed, but for the one that was written by hand.

        Of the tests, only those are run that are about what was added: the suite runs the others.
        """
        self.run(ADDED[self.path]["command"], PYTEST_ADDOPTS=f"-k '{only}'")
        after = self.files()
        assert not self.before.keys() - after.keys()
        changed = {name for name, old in self.before.items() if after[name] != old}
        return after.keys() - self.before.keys() - {self.path}, changed


@pytest.fixture
def add(tmp_path):
    (tmp_path / "house").mkdir()
    (tmp_path / "user").mkdir()
    return lambda path: (House(tmp_path / "house", path), tmp_path / "user")


def test_a_rule(add):
    house, user = add(RULE)
    new, changed = house.run_what_the_page_says(only="legacy-tensor or table_is or pages_say")
    assert new == {"docs/rules/legacy-tensor.md"}
    assert changed == {"docs/rules/README.md", "shapeguard/rules/table.json"}

    program = user / "soften.py"
    program.write_text("import torch\n\ntemperature = torch.Tensor(3)\n", encoding="utf-8")
    assert "soften.py:3:15: SG603" in house.run("shapeguard check --preview --output-format concise", user, status=1)
    house.run("shapeguard check --preview --fix --unsafe-fixes", user)
    assert program.read_text(encoding="utf-8") == "import torch\n\ntemperature = torch.empty(3)\n"
    assert house.run("shapeguard check", user) == "No findings in 1 file.\n"
    assert house.run("shapeguard rule legacy-tensor") in (house.root / "docs/rules/legacy-tensor.md").read_text("utf-8")


def test_an_operation(add):
    house, user = add(OPERATION)
    assert house.run_what_the_page_says(only="vander") == (set(), set())

    (user / "powers.py").write_text(
        "import torch\n"
        "from jaxtyping import Float\n"
        "def powers(x: Float[torch.Tensor, 'n']):\n"
        "    y = torch.vander(x, 5)\n"
        "    return torch.vander(y)\n",
        encoding="utf-8",
    )
    assert "4      y = torch.vander(x, 5)  | (n, 5)" in house.run("shapeguard shapes powers.py", user)
    assert "powers.py:5:12 SG301 shape-mismatch: (n, 5) has 2 axes, expected 1\n" in house.run(
        "shapeguard check", user, status=1
    )


def test_an_output_format(add):
    house, user = add(FORMAT)
    assert house.run_what_the_page_says(only="markdown or page_tells") == (set(), {"docs/check.md"})
    assert "\n| `markdown` | as a table in Markdown, for" in (house.root / "docs/check.md").read_text(encoding="utf-8")

    (user / "wrong.py").write_text("import torch\n\ntorch.zeros(2) + torch.zeros(3)\n", encoding="utf-8")
    head, _, row, *_ = house.run("shapeguard check --output-format markdown", user, status=1).splitlines()
    assert head == "| where | what | |"
    assert row.startswith("| wrong.py:3:1 | SG301 shape-mismatch | (2,) and (3,) do not broadcast: ")
    assert "junit, markdown, sarif" in house.run("shapeguard check --help | tr -s ' \n' ' '")
    (user / "pyproject.toml").write_text("[tool.shapeguard]\noutput-format = 'markdown'\n", encoding="utf-8")
    assert house.run("shapeguard check", user, status=1).startswith(head)


def test_a_model(add):
    house, _ = add(MODEL)
    assert house.run_what_the_page_says(only="BagOfTokens or bag_of_tokens or finds_nothing") == (set(), set())


def test_all_files_of_the_page_are_added_here():
    assert set(ADDED) == {RULE, OPERATION, FORMAT, MODEL}


@pytest.mark.slow
def test_the_files_are_written_as_all_are(add):
    house, _ = add(RULE)
    for path, found in ADDED.items():
        (house.root / path).write_text(found["text"], encoding="utf-8")
    paths = " ".join(ADDED)
    modules = " ".join(f"-m {path.removesuffix('.py').replace('/', '.')}" for path in ADDED)
    house.run(f"ruff check {paths} && ruff format --check {paths} && mypy {modules}")
