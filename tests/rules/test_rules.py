"""Each rule against its own cases: what it finds, what it leaves alone, and what its fixes make of the source."""

import ast
import re

import pytest

from shapeguard.check import check_source
from shapeguard.fixes import fixed_text
from shapeguard.rules import RULES
from shapeguard.source.file import Source

MARK = re.compile(r"#.*<-")
NAMES = [rule.name for rule in RULES]
VALID = [(rule, text) for rule in RULES for text in rule.valid]
INVALID = [(rule, case) for rule in RULES for case in rule.invalid]


def found_in(rule, text):
    text = text if "torch" in text else f"{text}# torch\n"
    outcome = check_source(Source("case.py", text), frozenset({rule.code}), preview=True)
    return list(outcome.diagnostics)


def numbered(cases):
    counts: dict[str, int] = {}
    for rule, _ in cases:
        counts[rule.name] = counts.get(rule.name, 0) + 1
        yield f"{rule.name}-{counts[rule.name]}"


@pytest.mark.parametrize(("rule", "text"), VALID, ids=numbered(VALID))
def test_valid(rule, text):
    assert not [f"{each.span.line}: {each.message}" for each in found_in(rule, text)]


@pytest.mark.parametrize(("rule", "case"), INVALID, ids=numbered(INVALID))
def test_invalid(rule, case):
    text = case if isinstance(case, str) else case[0]
    marked = [number for number, line in enumerate(text.split("\n"), 1) if MARK.search(line)]
    found = found_in(rule, text)
    assert [each.span.line for each in found] == marked
    assert all(each.code == rule.code and each.name == rule.name for each in found)


FIXED = [(rule, case) for rule, case in INVALID if isinstance(case, tuple)]


@pytest.mark.parametrize(("rule", "case"), FIXED, ids=numbered(FIXED))
def test_fix(rule, case):
    before, after = case
    fixes = [each.fix for each in found_in(rule, before)]
    assert all(fix is not None for fix in fixes)
    assert rule.fixable
    text, _ = fixed_text(before, fixes)
    assert text == after
    ast.parse(after)
    assert not found_in(rule, after), "what was fixed is still found"


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_unfixable_rules_say_so(rule):
    fixes = [each.fix for case in rule.invalid for each in found_in(rule, case if isinstance(case, str) else case[0])]
    assert any(fixes) == rule.fixable


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_rules_say_which_severities_they_give(rule):
    texts = (case if isinstance(case, str) else case[0] for case in rule.invalid)
    assert {each.severity for text in texts for each in found_in(rule, text)} == {
        rule.severity,
        rule.other_severity or rule.severity,
    }


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_every_rule_has_cases(rule):
    assert rule.valid
    assert rule.invalid


def test_labels_that_nobody_shifts_are_reported_once():
    source = Source(
        "case.py",
        "import torch.nn.functional as F\n"
        "from transformers import AutoModelForCausalLM\n"
        'model = AutoModelForCausalLM.from_pretrained("gpt2")\n'
        "def lm_loss(logits, labels):\n"
        "    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())\n"
        "def step(ids):\n"
        "    return lm_loss(model(ids).logits, ids)\n",
    )
    both = ("SG501", "SG509")
    assert [each.code for each in check_source(source, frozenset({"SG509"})).diagnostics] == ["SG509"]
    assert [each.code for each in check_source(source, frozenset(both)).diagnostics] == ["SG501"]


def test_labels_are_not_uncut_where_something_else_stays_cut():
    head = 'from transformers import GPT2LMHeadModel\nmodel = GPT2LMHeadModel.from_pretrained("gpt2")\n'
    (rule,) = (each for each in RULES if each.name == "double-shifted-labels")
    (both,) = found_in(rule, f"{head}loss = model(ids[:, :-1], labels=ids[:, 1:]).loss\n")
    (one,) = found_in(rule, f"{head}given = ids[:, :-1]\nloss = model(given, labels=ids[:, 1:]).loss\n")
    assert both.fix is not None
    assert one.fix is None


def test_codes_and_names_are_distinct():
    assert len({rule.code for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)
