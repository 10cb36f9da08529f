"""The documentation can't lie: each Python block runs, and the text block behind it is what it printed."""

import contextlib
import io
import linecache
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON_AND_TEXT = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<text>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
# What a page calls its blocks: the file that the reader would have written.
SCRIPT = "train.py"


def run_block(code, names):
    """What a block prints; an exception as Python shows its last lines."""
    linecache.cache[SCRIPT] = (len(code), None, code.splitlines(keepends=True), SCRIPT)
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            exec(compile(code, SCRIPT, "exec"), names)  # noqa: S102
        except Exception as error:  # noqa: BLE001
            print(f"{type(error).__name__}: {error}")  # noqa: T201
    return "".join(line.rstrip() + "\n" for line in output.getvalue().splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run_and_print_what_the_page_shows(page, request):
    names = {"__name__": "train"}

    def replaced(found):
        printed = run_block(found["code"], names)
        shown = found["text"]
        if shown is None:
            assert printed == "", f"a block of {page.name} prints, and the page does not show it:\n{printed}"
            return found[0]
        return found[0][: found.start("text") - found.start()] + printed + "```\n"

    before = page.read_text()
    after = PYTHON_AND_TEXT.sub(replaced, before)
    if request.config.getoption("--rewrite"):
        page.write_text(after)
    else:
        assert after == before, f"{page.name} shows what its code no longer prints; pytest --rewrite mends it"


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(example):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-W", "error", example], check=True, env={**os.environ, "PYTHONPATH": path})


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
