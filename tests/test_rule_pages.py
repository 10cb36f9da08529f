"""docs/rules/ says what the rules say, and what judging their findings on released code gave."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from shapeguard.catalog import CODES
from shapeguard.kinds import KINDS
from shapeguard.report.rules import render_page

PAGES = Path(__file__).parents[1] / "docs" / "rules"
JUDGED = PAGES / "judged.csv"
FOUND = PAGES / "found.csv"
NOT_JUDGED = {each.code for each in KINDS if not each.code.startswith("SG7")}
ENOUGH = 0.9


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
    lines = ["## On released code", "", "| | findings in 18 packages | judged | right |", "|---|---|---|---|"]
    for preview, label in ((False, "on by default"), (True, "with `--preview`")):
        findings, judged, right = figures[preview]
        if findings or preview == code.preview:
            lines.append(f"| {label} | {findings} | {judged} | {right} |")
    beyond = [row for row in rows(JUDGED) if row["where"] == "further" and row["code"] == code.code]
    further = [row["right"] for row in beyond if row["preview"] == "no"]
    if further:
        lines += ["", f"In further packages {_findings(len(further))} read that the rule had not been tried on:"]
        right = further.count("yes")
        lines += [
            f"{right} {'was' if right == 1 else 'were'} right; the wrong ones are no longer reported."
            if right < len(further)
            else "all were right."
        ]
    return "\n".join([*lines, "", "Each judged finding is in [judged.csv](judged.csv), with the reason.", ""])


def page_of(code, figures):
    return f"{render_page(code)}\n{on_the_corpus(code, figures)}".rstrip() + "\n"


def _findings(number):
    return "1 finding was" if number == 1 else f"{number} findings were"


def further_of(judged):
    """How many findings by default were read beyond the corpus, and how many of them were right."""
    verdicts = [row["right"] for row in judged if row["where"] == "further" and row["preview"] == "no"]
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
        lines.append(f"| {each.code} | [{each.name}]({each.name}.md) | {each.summary} | {each.severity} | {marks} |")
    seen, right = further_of(rows(JUDGED))
    lines += [
        "",
        "## What the corpus says",
        "",
        "The rules over 18 released packages, 7,024 files: how many findings, how many of these were",
        "judged by reading them in their context, and how many of those were right. Where there are more than 30, a",
        "random sample was judged. [judged.csv](judged.csv) has every judgement with its reason.",
        "",
        "| rule | by default | judged | right | in preview | judged | right |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in CODES:
        if each.code not in NOT_JUDGED:
            (stable, preview) = (figures[each.code][False], figures[each.code][True])
            cells = " | ".join(str(number) for number in (*stable, *preview))
            lines.append(f"| [{each.name}]({each.name}.md) | {cells} |")
    lines += [
        "",
        f"In about 370 further packages, which the rules had not been tried on, {seen} findings by default were read and",
        f"{right} were right. The wrong ones are silent since, so that this is the last word on how exact the rules were",
        "before, and none on how exact they are now. Rules of which nothing was found, there or here, have",
        "only their cases to show for it.",
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
    assert judged >= min(findings, 30)
    assert right >= ENOUGH * judged


def test_judgements_are_of_rules_that_are_there():
    names = {each.name: each.code for each in CODES}
    for row in rows(JUDGED):
        assert names[row["name"]] == row["code"]
        assert row["right"] in ("yes", "no", "unclear")
        assert row["where"] in ("corpus", "further")
        assert re.fullmatch(r"[\w./-]+\.(py|ipynb)", row["file"])
        assert row["why"]
