"""Pairs of small programs, buggy and correct: each proven under torch, and none of the correct ones flagged.

A page in `first/`, `second/` or `third/` is about one kind of finding. Under each of its headings stand four blocks:
the buggy and the correct program, plain and annotated. `outcome()` runs a program; what a checker is given ends before
it, since a program in a file of its own has no such driver. `# <-` ends the line of the accident, `# <~` another one
that may be pointed at. `run(size)`, on the page of `size-one`, is `outcome()` at any size.
"""

import ast
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jaxtyping
import pytest
import torch
from beartype import beartype

from shapeguard.catalog import chosen_codes
from shapeguard.check import check_source
from shapeguard.config import Config
from shapeguard.source.file import Source

SETS = ("first", "second", "third")
FORMS = ("buggy", "correct", "buggy annotated", "correct annotated")
PAIR = re.compile(r"^## (?P<name>\S+)\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```py (?P<form>[a-z ]+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r" +# <[-~]$", re.MULTILINE)
DRIVER = re.compile(r"^def outcome\(\)", re.MULTILINE)
AT_LEAST = 10
"""Lines that a program has before its driver, blank ones aside."""
SOME_SIZE = 3


class Program(NamedTuple):
    """One program as a checker is given it."""

    part: str
    kind: str
    name: str
    form: str
    text: str
    marked: frozenset[int]
    """The lines of the accident; none in a correct program."""


class Pair(NamedTuple):
    """A buggy and a correct program, each in two forms."""

    part: str
    kind: str
    name: str
    codes: dict[str, str]
    """By form, with the drivers and without the marks."""
    marked: dict[str, frozenset[int]]


@cache
def pairs() -> tuple[Pair, ...]:
    found = []
    for part in SETS:
        for page in sorted((Path(__file__).parent / part).glob("*.md")):
            for entry in PAIR.finditer(page.read_text(encoding="utf-8")):
                blocks = {block["form"]: block["code"] for block in BLOCK.finditer(entry["body"])}
                codes = {form: MARK.sub("", code) for form, code in blocks.items()}
                marked = {form: lines_marked(code) for form, code in blocks.items()}
                found.append(Pair(part, page.stem, entry["name"], codes, marked))
    return tuple(found)


def lines_marked(code: str) -> frozenset[int]:
    return frozenset(number for number, line in enumerate(code.splitlines(), 1) if MARK.search(line))


def programs() -> Iterator[Program]:
    """Every program of every pair, with `part, kind, name, form, text, marked`."""
    for pair in pairs():
        for form, code in pair.codes.items():
            text = code[: DRIVER.search(code).start()].rstrip() + "\n"
            yield Program(pair.part, pair.kind, pair.name, form, text, pair.marked[form])


def findings(program: Program, *, preview: bool = False):
    """What `shapeguard check` says of a program on default settings, or with `--preview`."""
    source = Source(f"{program.name}.py", program.text)
    return check_source(source, chosen_codes(Config(preview=preview)), preview=preview).diagnostics


# What a program comes to under torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Everything here is tiny: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def load(code, form, *, checked=False):
    """The names that a program defines; if `checked`, every call is held to its annotations."""
    tree = ast.parse(code)
    names = {"__name__": form, "jaxtyped": jaxtyping.jaxtyped, "beartype": beartype}
    if checked:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                node.decorator_list.append(ast.parse("jaxtyped(typechecker=beartype)", mode="eval").body)
        ast.fix_missing_locations(tree)
    exec(compile(tree, form, "exec"), names)  # noqa: S102 - the programs stand beside this file
    return names


def run(code, form, *, size=None, checked=False):
    """What the driver returns, or what kind of exception it raises."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        names = load(code, form, checked=checked)
        try:
            return names["outcome"]() if size is None else names["run"](size)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            return type(error)


@cache
def outcomes(pair_at):
    pair = pairs()[pair_at]
    return {form: run(code, form) for form, code in pair.codes.items()}


def is_same(one, other):
    """Whether two outcomes are equal but for rounding."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.allclose(
            one.double(), other.double(), rtol=1e-4, atol=1e-6, equal_nan=True
        )
    if isinstance(one, float) and isinstance(other, float):
        return is_same(torch.tensor(one), torch.tensor(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return type(one) is type(other) and one == other


def names_of(things):
    return [f"{each.part}-{each.kind}-{each.name}" for each in things]


PLACES = range(len(pairs()))
every_pair = pytest.mark.parametrize("at", PLACES, ids=names_of(pairs()))


@every_pair
def test_pair_is_complete(at):
    pair = pairs()[at]
    assert tuple(pair.codes) == FORMS
    for form, code in pair.codes.items():
        before = code[: DRIVER.search(code).start()]
        assert len([line for line in before.splitlines() if line.strip()]) >= AT_LEAST
        assert bool(pair.marked[form]) == form.startswith("buggy")
        assert all(line <= before.count("\n") for line in pair.marked[form])
        assert ("jaxtyping" in code) == form.endswith("annotated")
        assert form.endswith("annotated") or not is_annotated(code)


def is_annotated(code):
    functions = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)]
    arguments = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.arg)]
    return any(node.returns for node in functions) or any(node.annotation for node in arguments)


@every_pair
def test_buggy_program_fails_or_gives_something_else(at):
    given = outcomes(at)
    assert not isinstance(given["correct"], type)
    assert not is_same(given["buggy"], given["correct"])


@every_pair
def test_annotations_change_nothing(at):
    given = outcomes(at)
    assert is_same(given["buggy annotated"], given["buggy"])
    assert is_same(given["correct annotated"], given["correct"])


@every_pair
def test_annotations_of_a_correct_program_hold(at):
    code = pairs()[at].codes["correct annotated"]
    assert is_same(run(code, "correct annotated", checked=True), outcomes(at)["correct"])


@pytest.mark.parametrize("at", [at for at in PLACES if pairs()[at].kind == "size-one"], ids=lambda at: pairs()[at].name)
def test_size_one_alone_is_at_fault(at):
    codes = pairs()[at].codes
    given = run(codes["buggy"], "buggy", size=SOME_SIZE)
    assert not isinstance(given, type)
    assert is_same(given, run(codes["correct"], "correct", size=SOME_SIZE))


# What the checker says of the correct ones

CORRECT = [program for program in programs() if program.form.startswith("correct")]


@pytest.mark.parametrize(
    "program", CORRECT, ids=[f"{each.part}-{each.kind}-{each.name}-{each.form}" for each in CORRECT]
)
def test_correct_program_is_not_flagged(program):
    assert [f"{each.span.line}: {each.name}: {each.message}" for each in findings(program)] == []


ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "silent.md"
TABLE = re.compile(r"^\| kind \|.*?\n(?=\n)", re.MULTILINE | re.DOTALL)
FOUND = re.compile(r"^\| shapeguard \| (\d+) of (\d+) \| (\d+) of (\d+) \| 0 of \d+ \|$", re.MULTILINE)


@cache
def caught():
    """By set, kind and form: how many buggy programs have a finding on a line that is marked, and how many there are."""
    counts = defaultdict(lambda: [0, 0])
    for program in programs():
        if program.marked:
            hit = any(each.span.line in program.marked for each in findings(program))
            for kind in (program.kind, "all"):
                counts[program.part, kind, program.form][0] += hit
                counts[program.part, kind, program.form][1] += 1
    return counts


def table():
    columns = [(part, form) for part in SETS for form in ("buggy", "buggy annotated")]
    kinds = sorted({pair.kind for pair in pairs()})
    rows = [[f"{part}, plain" if form == "buggy" else "annotated" for part, form in columns], ["---"] * len(columns)]
    rows += [["{}/{}".format(*caught()[part, kind, form]) for part, form in columns] for kind in kinds]
    sums = [caught()[part, "all", form] for part, form in columns]
    rows.append([f"{some}/{every} ({some / every:.0%})" for some, every in sums])
    heads = ["kind", "---", *kinds, "all"]
    return "".join(f"| {' | '.join([head, *row])} |\n" for head, row in zip(heads, rows, strict=True))


def test_page_says_what_is_caught(request):
    page = PAGE.read_text(encoding="utf-8")
    if request.config.getoption("--rewrite"):
        PAGE.write_text(TABLE.sub(lambda _: table(), page), encoding="utf-8")
    assert table() in PAGE.read_text(encoding="utf-8"), "pytest tests/pairs --rewrite writes the table anew"


def test_readme_says_what_is_caught():
    told = [int(number) for number in FOUND.search((ROOT / "README.md").read_text(encoding="utf-8")).groups()]
    sums = [[caught()[part, "all", form] for part in SETS] for form in ("buggy", "buggy annotated")]
    assert told == [sum(number) for counts in sums for number in zip(*counts, strict=True)]
