"""What is proven of sizes holds for every value of their names."""

import itertools
import random

import pytest

from shapeguard.shapes.dim import Dim, evaluate, maximum, minimum, names
from shapeguard.shapes.expression import parse_dim
from shapeguard.shapes.inequality import at_most, lesser, more_than, never_negative, not_below_zero
from shapeguard.shapes.whole import compare_whole, rejoin

SIZES = [0, 1, 2, 3, 4, 6, 7, 12]


def values(*dims, least):
    """Every choice of a few values for the names of some sizes."""
    found = sorted(set().union(*map(names, dims)))
    choices = [number for number in SIZES if number >= least]
    return [dict(zip(found, chosen, strict=True)) for chosen in itertools.product(choices, repeat=len(found))]


def random_dim(source, depth=2):
    if depth == 0 or source.random() < 0.2:
        return source.choice([Dim("a"), Dim("b"), Dim(source.randint(-3, 5))])
    left, right = random_dim(source, depth - 1), random_dim(source, depth - 1)
    match source.choice("+-*/mM"):
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left // source.choice([Dim(2), Dim(3), Dim("b"), Dim("a") + 1])
        case "m":
            return minimum(left, right)
    return maximum(left, right)


@pytest.mark.parametrize("seed", range(10))
def test_what_is_proven_holds(seed):
    source = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(60):
        dim, other = random_dim(source), random_dim(source)
        for least in (0, 1):
            proven = {
                "never negative": never_negative(dim, least),
                "at most": at_most(dim, other, least),
                "more than": more_than(dim, other, least),
            }
            lower, not_negative = lesser(dim, other, least), not_below_zero(dim, least)
            for sizes in values(dim, other, least=least):
                try:
                    one, two = evaluate(dim, sizes), evaluate(other, sizes)
                except ZeroDivisionError:
                    continue
                truth = {"never negative": one >= 0, "at most": one <= two, "more than": one > two}
                for word, claim in proven.items():
                    assert not claim or truth[word], f"{dim} {word} {other} with {sizes}"
                assert evaluate(lower, sizes) == min(one, two)
                assert evaluate(not_negative, sizes) == max(one, 0)


@pytest.mark.parametrize(
    "text",
    [
        "d-d//2",
        "d//2",
        "d-2*(d//2)",
        "h*d-d//h",
        "t-1",
        "a*b-b",
        "t-min(k,t)",
        "max(a,b)-b",
        "t-min(k,t)//2",
        "(d+1)//2-d//2",
    ],
)
def test_proves(text):
    assert never_negative(parse_dim(text), 1)


@pytest.mark.parametrize("text", ["t-2", "a-b", "d//2-1", "min(k,t)-2", "2*(d//2)-d", "b-max(a,b)"])
def test_does_not_prove_what_is_not_so(text):
    assert not never_negative(parse_dim(text), 1)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("2*(d//2)", "d", True),
        ("(d+1)//2", "d//2", True),
        ("d-d//2", "d//2", True),
        ("h*(d//h)", "d", True),
        ("(d+1)//2", "d", None),
        ("a//2", "b//2", None),
        ("d//2", "d//4", None),
        ("t", "t", True),
        ("t", "t+1", False),
    ],
)
def test_sizes_are_equal_where_nothing_remains(left, right, equal):
    assert compare_whole(parse_dim(left), parse_dim(right), 1) is equal


@pytest.mark.parametrize(
    ("total", "whole"),
    [
        ("2*(d//2)", "d"),
        ("d//2+(d+1)//2", "d"),
        ("3*(d//3)+b", "d+b"),
        ("d//2", "d//2"),
        ("d//2+1", "d//2+1"),
        ("d//2+d//4", "d//2+d//4"),
        ("h*(d//h)", "d"),
        ("b*t", "b*t"),
        ("min(a,b)*2", "2*min(a,b)"),
    ],
)
def test_parts_are_put_together(total, whole):
    assert rejoin(parse_dim(total)) == parse_dim(whole)
