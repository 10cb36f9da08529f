"""docs/rules/ says what the kinds of finding say, with examples that are so, and what judging released code gave."""

import ast
import csv
import re
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from shapeguard.catalog import CODES, chosen_codes
from shapeguard.check import check_bytes
from shapeguard.config import Config
from shapeguard.kinds import KINDS
from shapeguard.report import render
from shapeguard.report.rules import render_page, severities

PAGES = Path(__file__).parents[1] / "docs" / "rules"
JUDGED = PAGES / "judged.csv"
FOUND = PAGES / "found.csv"
NOT_JUDGED = {each.code for each in KINDS if not each.code.startswith("SG7")}
ENOUGH = 0.9
CORPUS = "the [18 packages](README.md#what-the-corpus-says) of the corpus"
HEADINGS = ["Example", "Why is this bad?", "What it does", "Fix safety"]
WITHOUT_PROGRAM = {
    "unreadable-file": "what can't be read can't be shown",
    "failed-check": "a program that did this would be mended",
}
EXAMPLES = [each for each in CODES if each.name not in WITHOUT_PROGRAM]
BLOCK = re.compile(r"^    .*\n(?:(?:    .*)?\n)*", re.MULTILINE)


def rows(path):
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def counts():
    """Code -> whether in preview -> findings, judged, right, wrong."""
    found = {(row["code"], row["preview"] == "yes"): int(row["findings"]) for row in rows(FOUND)}
    here = [row for row in rows(JUDGED) if row["where"] == "corpus"]
    judged = Counter((row["code"], row["preview"] == "yes", row["right"]) for row in here)
    return {
        code: {
            preview: (
                found.get((code, preview), 0),
                sum(judged[code, preview, verdict] for verdict in ("yes", "no", "unclear")),
                judged[code, preview, "yes"],
            )
            for preview in (False, True)
        }
        for code in (each.code for each in CODES)
    }


def on_the_corpus(code, figures):
    if code.code in NOT_JUDGED:
        return ""
    judged = [row for row in rows(JUDGED) if row["code"] == code.code]
    lines = ["## On released code", "", *_on_the_packages(code, figures)]
    for preview in ("no", "yes"):
        seen, right = further_of(judged, preview)
        if seen:
            lines += ["", _on_further_packages(seen, right, preview == "yes")]
    if judged:
        lines += ["", "Each judged finding is in [judged.csv](judged.csv), with the reason."]
    return "\n".join([*lines, ""])


def _on_the_packages(code, figures):
    if not any(findings for findings, _, _ in figures.values()):
        return [f"Nothing was found in {CORPUS}."]
    lines = [f"The findings in {CORPUS}:", "", "| | findings | judged | right |", "|---|---|---|---|"]
    for preview, label in ((False, "on by default"), (True, "with `--preview`")):
        findings, judged, right = figures[preview]
        if findings or preview == code.preview:
            lines.append(f"| {label} | {findings} | {judged} | {right} |")
    return lines


def page_of(code, figures):
    return f"{render_page(code)}\n{on_the_corpus(code, figures)}".rstrip() + "\n"


def _on_further_packages(seen, right, preview):
    """What was read there, in a line."""
    findings = f"{seen} finding{'' if seen == 1 else 's'}{' with `--preview`' if preview else ''}"
    verdict = f"{right or 'none'} {'was' if right == 1 else 'were'} right"
    others = " of the others" if right else ""
    causes = "" if preview or right == seen else f" The causes{others} are mended: they are no longer reported."
    return f"Of {findings} in other packages, {verdict}.{causes}"


def further_of(judged, preview="no"):
    """How many findings were read beyond the corpus, and how many of them were right."""
    verdicts = [row["right"] for row in judged if row["where"] == "further" and row["preview"] == preview]
    return len(verdicts), verdicts.count("yes")


def index(figures):
    lines = [
        "# Rules",
        "",
        "Every kind of finding. `shapeguard rule NAME` prints a page of these; `shapeguard rules` lists them.",
        "",
        "| code | name | | severity | fix | preview |",
        "|---|---|---|---|---|---|",
    ]
    for each in CODES:
        marks = f"{'some' if each.fixable else ''} | {'yes' if each.preview else ''}"
        lines.append(f"| {each.code} | [{each.name}]({each.name}.md) | {each.summary} | {severities(each)} | {marks} |")
    seen, right = further_of(rows(JUDGED))
    lines += [
        "",
        "## What the corpus says",
        "",
        "The rules over 18 released packages, 7,024 files, as `python benchmarks/corpus.py DIR` counts them: how many",
        "findings, how many of these were judged by reading them in their context, and how many of those were right. Where",
        "there are more than 30, a random sample was judged. [judged.csv](judged.csv) has every judgement with its reason.",
        "",
        "| rule | by default | judged | right | in preview | judged | right |",
        "|---|---|---|---|---|---|---|",
    ]
    judged = [each for each in CODES if each.code not in NOT_JUDGED]
    fruitful = [each for each in judged if any(findings for findings, _, _ in figures[each.code].values())]
    for each in fruitful:
        cells = " | ".join(str(number) for preview in (False, True) for number in figures[each.code][preview])
        lines.append(f"| [{each.name}]({each.name}.md) | {cells} |")
    lines += [
        "",
        f"The other {len(judged) - len(fruitful)} found nothing there.",
        "",
        f"In other packages, which the rules had not been tried on, {seen} findings by default were read and {right} were",
        "right. The wrong ones are silent since, so that this is the last word on how exact the rules were before, and none",
        "on how exact they are now. Rules of which nothing was found, there or here, have only their cases to show for it.",
    ]
    return "\n".join(lines) + "\n"


def pages():
    figures = counts()
    return {"README.md": index(figures)} | {f"{each.name}.md": page_of(each, figures[each.code]) for each in CODES}


def test_pages_say_what_the_rules_say(request):
    written = pages()
    if request.config.getoption("--rewrite"):
        for old in PAGES.glob("*.md"):
            old.unlink()
        for name, text in written.items():
            (PAGES / name).write_text(text, encoding="utf-8")
    found = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")}
    assert found == written, "docs/rules/ is behind the rules; pytest tests/test_rule_pages.py --rewrite writes it anew"


@pytest.mark.parametrize("code", [each for each in CODES if each.code not in NOT_JUDGED], ids=lambda each: each.name)
def test_what_is_on_by_default_was_right_in_nine_of_ten(code):
    findings, judged, right = counts()[code.code][False]
    assert min(findings, 30) <= judged <= findings
    assert right >= ENOUGH * judged


def test_judgements_are_of_rules_that_are_there():
    names = {each.name: each.code for each in CODES}
    for row in rows(JUDGED):
        assert names[row["name"]] == row["code"]
        assert row["right"] in ("yes", "no", "unclear")
        assert row["where"] in ("corpus", "further")
        assert re.fullmatch(r"[\w./-]+\.(py|ipynb)", row["file"])
        assert row["why"]


@pytest.mark.parametrize("code", CODES, ids=lambda each: each.name)
def test_every_kind_is_told_in_full(code):
    assert re.findall(r"^## (.*)$", code.page, re.MULTILINE) == HEADINGS
    assert code.summary


def example_of(code):
    """The wrong program, what the check says of it, and the right one, or the function of it that differs."""
    section = code.page.split("## Example\n")[1].split("\n## ")[0] + "\n"
    blocks = list(BLOCK.finditer(section))
    wrong, said, right = (textwrap.dedent(each[0]).strip("\n") + "\n" for each in blocks)
    assert section[: blocks[1].start()].rstrip().endswith("The check says:")
    assert section[: blocks[2].start()].rstrip().endswith("Use instead:")
    return wrong, said, right


def findings_in(text, code):
    config = Config(preview=code.preview)
    return check_bytes("example.py", text.encode(), chosen_codes(config), config).diagnostics


def printed(found):
    """What the check prints, but for the lines of source."""
    text = render("full", found, files=1, sources=lambda path: None)
    return text.split("\n1 finding in ")[0].rstrip() + "\n"


def mended(wrong, right):
    """The right program: as it stands, or the wrong one with a function in the place of the one of its name."""
    match ast.parse(right).body:
        case [ast.FunctionDef(name=name)]:
            functions = [each for each in ast.walk(ast.parse(wrong)) if isinstance(each, ast.FunctionDef)]
            (old,) = (each for each in functions if each.name == name)
            lines = wrong.splitlines(keepends=True)
            first = min(each.lineno for each in (old, *old.decorator_list))
            lines[first - 1 : old.end_lineno] = [textwrap.indent(right, " " * old.col_offset)]
            return "".join(lines)
    return right


@pytest.mark.parametrize("code", EXAMPLES, ids=lambda each: each.name)
def test_example_is_what_the_check_says(code):
    wrong, said, _ = example_of(code)
    found = findings_in(wrong, code)
    assert [each.name for each in found] == [code.name]
    assert said == printed(found)


@pytest.mark.parametrize("code", EXAMPLES, ids=lambda each: each.name)
def test_what_to_use_instead_has_no_findings(code):
    wrong, _, right = example_of(code)
    program = mended(wrong, right)
    compile(program, "example.py", "exec")
    assert "import" in program
    assert not findings_in(program, code)
