"""The documentation can't lie: its programs and commands run and print what it shows, and its links lead somewhere."""

import contextlib
import io
import json
import linecache
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shapeguard.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RULES = sorted((ROOT / "docs" / "rules").glob("*.md"))
EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*") if path.suffix in (".py", ".yml", ".yaml"))
PYTHON_AND_TEXT = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<text>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
# A command that looks at a file which the page shows further up, under its name.
COMMAND_AND_TEXT = re.compile(
    r"^```sh\nshapeguard (?P<command>(?:check|shapes) [^\n]*)\n```\n\n```text\n(?P<text>.*?)^```\n",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r'^```\w+ title="(?P<name>[^"/]+)"\n(?P<text>.*?)^```\n', re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```.*?^```\n", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
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


def with_output(found, printed):
    return found[0][: found.start("text") - found.start()] + printed + "```\n"


def compare(page, before, after, request):
    if request.config.getoption("--rewrite"):
        page.write_text(after, encoding="utf-8")
    else:
        assert after == before, f"{page.name} shows what is no longer printed; pytest --rewrite mends it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run_and_print_what_the_page_shows(page, request):
    names = {"__name__": "train"}

    def replaced(found):
        printed = run_block(found["code"], names)
        if found["text"] is None:
            assert printed == "", f"a block of {page.name} prints, and the page does not show it:\n{printed}"
            return found[0]
        return with_output(found, printed)

    before = page.read_text(encoding="utf-8")
    compare(page, before, PYTHON_AND_TEXT.sub(replaced, before), request)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if COMMAND_AND_TEXT.search(page.read_text(encoding="utf-8"))],
    ids=lambda page: page.name,
)
def test_commands_print_what_the_page_shows(page, request, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = page.read_text(encoding="utf-8")
    for file in FILE.finditer(before):
        Path(file["name"]).write_text(file["text"], encoding="utf-8")

    def replaced(found):
        main(found["command"].split())
        return with_output(found, capsys.readouterr().out)

    compare(page, before, COMMAND_AND_TEXT.sub(replaced, before), request)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.name, marks=[pytest.mark.slow] if path.name == "two_processes.py" else [])
        for path in EXAMPLES
        if path.suffix == ".py"
    ],
)
def test_examples_run(example):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-W", "error", example], check=True, env={**os.environ, "PYTHONPATH": path})


def test_every_example_is_shown():
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for example in EXAMPLES:
        assert f'--8<-- "{example.relative_to(ROOT).as_posix()}"' in pages


def anchors_of(page):
    """What a git host calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *RULES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for link in LINK.finditer(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        target = page.parent / link["path"] if link["path"] else page
        assert target.exists(), f"{page.name} links to {link['path']}"
        if link["anchor"]:
            assert link["anchor"] in anchors_of(target), f"{page.name} links to {link['path']}#{link['anchor']}"


def test_every_option_of_the_check_is_told(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    told = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("check.md", "configuration.md"))
    for option in set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}:
        assert re.search(rf"`{option}[` ]", told), f"{option} stands on no page"


def test_problem_matcher_reads_what_the_check_prints(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "editors-and-ci.md").read_text(encoding="utf-8")
    block = re.search(r'^```json title=".vscode/tasks.json"\n(.*?)^```', page, re.MULTILINE | re.DOTALL)
    (task,) = json.loads(block[1])["tasks"]
    pattern = task["problemMatcher"]["pattern"]
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("import torch\n\ntorch.zeros(2) + torch.zeros(3)\n", encoding="utf-8")
    main(task["command"].split()[1:])
    found = re.match(pattern["regexp"], capsys.readouterr().out.splitlines()[0])
    assert [found[pattern[part]] for part in ("file", "line", "column", "code")] == ["net.py", "3", "1", "SG301"]
