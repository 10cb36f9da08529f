"""Our reading of shape strings against jaxtyping's own, on random strings, broken strings and random shapes.

The default suite runs a share; `pytest -m slow tests/shapes/test_jaxtyping_agrees.py` runs them all.
"""

# ruff: noqa: S307, S311, T201 - random expressions are evaluated here

import random
import re
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from jaxtyping import AnnotationError, Shaped, jaxtyped

from shapeguard.shapes.annotation import AnnotationSyntaxError, Symbolic, parse, unreadable_expression
from shapeguard.shapes.binding import Bindings, bind
from shapeguard.shapes.expression import parse_dim

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")

NAMES = ("a", "b", "c", "dim_1", "in")
READABLE = ("a", "b", "c", "dim_1")
"""The names that an expression can read: `in` is a word of Python."""
RUNS = ("r", "s", "a")
HINTS = {word: Shaped[Any, word] for word in (*NAMES, *(f"*{name}" for name in RUNS))}
NUMBERS = ("0", "1", "2", "3", "4", "03", "1_0", "-1", "+2")
SPACES = (" ", " ", " ", "  ", "\t", "\n", " \x0b", "\u2003")
NOISE = "#*_?=.,(){}[]+-/%!:'\"\\^<~@$` 0123abnrπ\t"
LARGEST = 4


@dataclass(frozen=True)
class Array:
    """As much of an array as jaxtyping looks at."""

    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Word:
    """One axis of a random annotation, and how a fitting shape is made for it."""

    text: str
    kind: str
    core: str = ""
    binds: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sample:
    """A random annotation."""

    text: str
    words: tuple[Word, ...]
    binds: frozenset[str]
    needs: frozenset[str]
    jaxtyping: Any
    """What jaxtyping makes of it; None where it refuses."""


@dataclass
class World:
    """The sizes that one case is made from, so that most of its shapes agree."""

    sizes: dict[str, int]
    runs: dict[str, tuple[int, ...]]
    n: int
    m: int


def random_expression(rng: random.Random, depth: int = 0) -> str:
    """Arithmetic over names, numbers and placeholders, without spaces."""
    kind = rng.random()
    if depth > 1 or kind < 0.45:
        return rng.choice((*READABLE, *READABLE, "1", "2", "3", "{n}", "{self.n}", "{n}", "a{n}"[depth == 0 :]))
    left, right = random_expression(rng, depth + 1), random_expression(rng, depth + 1)
    if kind < 0.57:
        return f"{rng.choice(('min', 'max'))}({left},{right})"
    if kind < 0.65:
        return f"({left})"
    if kind < 0.68:
        return f"-{left}"
    return f"{left}{rng.choice('+-*+-*%') if rng.random() < 0.85 else '//'}{right}"


def random_word(rng: random.Random) -> Word:
    kind = rng.choices(
        ("named", "fixed", "any", "axes", "run", "symbolic", "labelled", "leaf"), (40, 9, 8, 3, 12, 20, 4, 0.7)
    )[0]
    share = "#" if rng.random() < 0.25 else ""
    if kind == "named":
        name = rng.choice(NAMES)
        label = rng.choice(("", "", "", "", "", "", "", "x="))
        return Word(share + label + name, "named", share + name, binds=frozenset({name}))
    if kind == "fixed":
        number = rng.choice(NUMBERS)
        return Word(share + number, "fixed", share + number)
    if kind == "any":
        return Word("_" + rng.choice(("", "", "a", "rest")), "any")
    if kind == "axes":
        return Word(rng.choice(("...", "...", "*_", "_*r")), "axes")
    if kind == "run":
        name = rng.choice(RUNS)
        marks = rng.choice(("*", "*", "*", "*#", "#*", "*#"))
        return Word(marks + name, "run", ("#" if "#" in marks else "") + name, binds=frozenset({"*" + name}))
    if kind == "leaf":
        return Word(rng.choice(("?a", "?#b", "*?r")), "axes")
    expression = random_expression(rng)
    if kind == "labelled":
        expression = rng.choice((*NUMBERS, expression))
        text = f"{share}rows={expression}"
    else:
        text = share + expression
    needs = frozenset(name for name in READABLE if name in expression)
    return Word(text, "symbolic", share + expression, needs=needs)


def random_sample(rng: random.Random, *, broken: bool) -> Sample:
    count = rng.choices((0, 1, 2, 3, 4), (2, 30, 34, 24, 10))[0]
    words: list[Word] = []
    while len(words) < count:
        word = random_word(rng)
        several = word.kind in ("axes", "run")
        if not (several and any(known.kind in ("axes", "run") for known in words)) or rng.random() < 0.03:
            words.append(word)
    text = "".join(word.text + rng.choice(SPACES) for word in words)
    text = rng.choice(("", "", "", " ", "\t")) + (text if rng.random() < 0.2 else text.rstrip())
    if broken:
        for _ in range(rng.choice((1, 1, 2))):
            place = rng.randrange(len(text) + 1)
            text = text[:place] + rng.choice(NOISE) + text[place + (rng.random() < 0.2) :]
    try:
        hint = Shaped[Any, text]
    except ValueError:
        hint = None
    bound = set[str]()
    needs = set[str]()
    for word in words:
        needs |= word.needs - bound
        bound |= word.binds
    return Sample(text, tuple(words), frozenset(bound), frozenset(needs), hint)


def fitting_size(rng: random.Random, word: Word, world: World) -> int:
    core = word.core.removeprefix("#")
    if word.core.startswith("#") and rng.random() < 0.3:
        return 1
    if word.kind == "named":
        return world.sizes[core]
    if word.kind == "fixed":
        return abs(int(core))
    if word.kind == "any":
        return rng.randrange(LARGEST + 1)
    filled = core.replace("{n}", str(world.n)).replace("{self.n}", str(world.m))
    try:
        return max(0, min(50, eval(filled, dict(world.sizes))))
    except (ZeroDivisionError, NameError, SyntaxError, TypeError):
        return 1


def fitting_shape(rng: random.Random, sample: Sample, world: World) -> tuple[int, ...]:
    """A shape that agrees with the world, and by chance one that doesn't."""
    sizes: list[int] = []
    for word in sample.words:
        if word.kind == "axes":
            sizes += rng.choices(range(LARGEST + 1), k=rng.choice((0, 1, 1, 2)))
        elif word.kind == "run":
            run = world.runs[word.core.removeprefix("#")]
            if word.core.startswith("#"):
                run = tuple(size if rng.random() < 0.7 else 1 for size in run[rng.randrange(len(run) + 1) :])
            sizes += run
        else:
            sizes.append(fitting_size(rng, word, world))
    if rng.random() < 0.2:
        change = rng.randrange(4)
        if change == 0 or not sizes:
            sizes.insert(rng.randrange(len(sizes) + 1), rng.randrange(LARGEST + 1))
        elif change == 1:
            del sizes[rng.randrange(len(sizes))]
        else:
            sizes[rng.randrange(len(sizes))] = rng.randrange(LARGEST + 1)
    return tuple(sizes)


def random_case(rng: random.Random, samples: list[Sample], world: World) -> list[tuple[Sample, tuple[int, ...]]]:
    """One to four steps; expressions mostly stand after what binds their names."""
    steps = []
    bound = set[str]()
    for _ in range(rng.choice((1, 2, 2, 3, 3, 4))):
        for _ in range(12):
            sample = rng.choice(samples)
            if sample.needs <= bound:
                break
        bound |= sample.binds
        steps.append((sample, fitting_shape(rng, sample, world)))
    return steps


def jaxtyping_verdict(hint: Any, shape: tuple[int, ...]) -> str:
    try:
        return "accepts" if isinstance(Array(shape), hint) else "rejects"
    except AnnotationError:
        return "early"
    except SyntaxError:
        return "unreadable"
    except Exception:  # noqa: BLE001 - whatever evaluating an expression raises
        return "fails"


def can_be_followed(sample: Sample) -> bool:
    """Whether every expression is arithmetic; of any other we know nothing, and accept."""
    for axis in parse(sample.text).axes:
        if isinstance(axis, Symbolic):
            expression = axis.expression
            for placeholder in axis.placeholders:
                if placeholder not in ("n", "self.n"):
                    return False
                expression = expression.replace("{" + placeholder + "}", "2")
            try:
                parse_dim(expression)
            except ValueError:
                return False
    return True


def compare_case(steps: list[tuple[Sample, tuple[int, ...]]], arguments: dict[str, object], seen: Counter[str]) -> str:
    """Run one case through both; how it ended. To be called in a context of jaxtyping's."""
    story = [(sample.text, shape) for sample, shape in steps]
    bindings = Bindings()
    for sample, shape in steps:
        if sample.jaxtyping is None:
            return "refused"
        annotation = parse(sample.text)
        theirs = jaxtyping_verdict(sample.jaxtyping, shape)
        ours = bind(annotation, shape, bindings, arguments=arguments)
        if theirs == "accepts" and not set("#'\"\\") & set(sample.text):
            assert unreadable_expression(annotation) is None, story
        waits = isinstance(ours, Bindings) and bool(ours.waiting)
        seen[theirs] += 1
        if theirs == "early":
            outside_a_tree = "?" in sample.text
            assert waits or outside_a_tree or not isinstance(ours, Bindings) or not can_be_followed(sample), story
            return "early"
        if theirs == "unreadable":
            # What comes out of `{n}1` depends on the value: Python can't read "01".
            joined = re.search(r"[}\w]\{|\}[{\w]", sample.text)
            assert unreadable_expression(annotation) is not None or joined, story
            return "unreadable"
        if theirs == "fails":
            return "fails"
        if theirs == "rejects" and isinstance(ours, Bindings):
            assert not can_be_followed(sample), (story, ours, arguments)
            return "not followed"
        assert isinstance(ours, Bindings) == (theirs == "accepts"), (story, ours, arguments)
        if not isinstance(ours, Bindings):
            return "rejected"
        assert not waits, (story, ours)
        bindings = ours
    compare_bindings(bindings, story)
    return "accepted"


def compare_bindings(bindings: Bindings, story: object) -> None:
    """What each side has bound shows in what it takes afterwards."""
    for name in NAMES:
        size = bindings.sizes.get(name)
        theirs = jaxtyping_verdict(HINTS[name], (90,)), jaxtyping_verdict(HINTS[name], (size or 0,))
        assert theirs == ("accepts", "rejects") if size is None else ("rejects", "accepts"), (story, name, size)
    for name in RUNS:
        _, sizes = bindings.runs.get(name, (False, (90,)))
        assert jaxtyping_verdict(HINTS["*" + name], sizes) == "accepts", (story, name, sizes)


def judge(samples: list[Sample], cases: int, seed: int) -> Counter[str]:
    """How random cases end, each judged by both."""
    rng = random.Random(seed)
    endings: Counter[str] = Counter()
    steps_seen: Counter[str] = Counter()

    @jaxtyped(typechecker=None)
    def compare_with_arguments(steps, n, self):
        return compare_case(steps, {"steps": steps, "n": n, "self": self}, steps_seen)

    for _ in range(cases):
        world = World(
            {name: rng.randrange(LARGEST + 1) for name in NAMES},
            {name: tuple(rng.choices(range(LARGEST + 1), k=rng.randrange(4))) for name in RUNS},
            rng.randrange(LARGEST + 1),
            rng.randrange(LARGEST + 1),
        )
        steps = random_case(rng, samples, world)
        if any("{" in sample.text for sample, _ in steps):
            endings[compare_with_arguments(steps, world.n, SimpleNamespace(n=world.m))] += 1
        else:
            with jaxtyped("context"):
                endings[compare_case(steps, {}, steps_seen)] += 1
    print(f"{cases} cases: {dict(endings)}; steps: {dict(steps_seen)}")
    return endings


@pytest.mark.parametrize(
    ("strings", "cases"),
    [pytest.param(4_000, 20_000), pytest.param(60_000, 250_000, marks=pytest.mark.slow)],
)
def test_sound_annotations_are_judged_alike(strings, cases):
    rng = random.Random(1)
    samples = [random_sample(rng, broken=False) for _ in range(strings)]
    for sample in samples:
        compare_parsing(sample)
    endings = judge(samples, cases, seed=2)
    assert 0.3 < endings["accepted"] / cases < 0.7
    assert endings["not followed"] == 0


@pytest.mark.parametrize(
    ("strings", "cases"),
    [pytest.param(3_000, 10_000), pytest.param(60_000, 100_000, marks=pytest.mark.slow)],
)
def test_broken_annotations_are_judged_alike(strings, cases):
    rng = random.Random(3)
    broken = [random_sample(rng, broken=True) for _ in range(strings)]
    refused = sum(compare_parsing(sample) for sample in broken)
    assert 0.1 < refused / strings < 0.6
    endings = judge(broken + [random_sample(rng, broken=False) for _ in range(3 * strings)], cases, seed=4)
    assert 0.3 < endings["accepted"] / cases < 0.7
    assert endings["not followed"] < cases / 100


def compare_parsing(sample: Sample) -> bool:
    """Whether a string is refused, by both."""
    try:
        parse(sample.text)
    except AnnotationSyntaxError:
        assert sample.jaxtyping is None, sample.text
        return True
    assert sample.jaxtyping is not None, sample.text
    return False


@pytest.mark.parametrize("size", [1, 2])
def test_bool_in_a_placeholder_counts_as_an_integer(size):
    @jaxtyped(typechecker=None)
    def theirs(n):
        return isinstance(Array((size,)), Shaped[Any, "{n}+1"])

    ours = bind(parse("{n}+1"), (size,), Bindings(), arguments={"n": True})
    assert isinstance(ours, Bindings) == theirs(True) == (size == 2)
