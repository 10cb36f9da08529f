"""The table of what is known of rules before they are loaded is what the rules say."""

import dataclasses
import json
import subprocess
import sys

import pytest

from shapeguard import rules


def table():
    """The text of the table."""
    told = []
    for rule in rules.RULES:
        known = rules.outline(rule)
        kind = {name: value for name, value in dataclasses.asdict(known.kind).items() if name != "page"}
        told.append([type(rule).__module__.rpartition(".")[2], known.words, kind])
    return json.dumps({"sizes": dict(sorted(rules.sizes().items())), "rules": told}, indent=1) + "\n"


def test_table_is_of_these_rules(request):
    written = table()
    if request.config.getoption("rewrite"):
        rules.TABLE.write_text(written, encoding="utf-8", newline="\n")
    assert rules.TABLE.read_text(encoding="utf-8") == written, (
        "the rules have changed; pytest tests/rules/test_table.py --rewrite writes their table anew"
    )


def test_outlines_are_of_all_rules():
    assert [type(each.load()) for each in rules.OUTLINES] == [type(rule) for rule in rules.RULES]
    assert [each.kind for each in rules.OUTLINES] == [rules.outline(rule).kind for rule in rules.RULES]
    assert [each.words for each in rules.OUTLINES] == [rule.words for rule in rules.RULES]


@pytest.mark.parametrize("text", [None, '{"sizes": {}, "rules": []}'])
def test_table_of_other_files_is_not_believed(text, tmp_path, monkeypatch):
    other = tmp_path / "table.json"
    if text is not None:
        other.write_text(text)
    monkeypatch.setattr(rules, "TABLE", other)
    (tmp_path / "new.py").touch()
    assert [each.kind for each in rules._outlines()] == [each.kind for each in rules.OUTLINES]


def test_only_rules_with_words_in_a_file_are_loaded(tmp_path):
    (tmp_path / "a.py").write_text("import torch\n\nx = torch.nn.functional.softmax(y)\n")
    program = (
        "import sys; from shapeguard.check import check_paths; from shapeguard.config import Config\n"
        f"print([each.code for each in check_paths([{str(tmp_path)!r}], Config(select=('SG4',))).diagnostics])\n"
        "print('shapeguard.rules.implicit_softmax_dim' in sys.modules, 'shapeguard.rules.bare_squeeze' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['SG401']\nTrue False\n"
