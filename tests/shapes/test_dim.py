"""What the algebra of sizes promises, held against plain integers."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, as_int, bounds, divide_exactly, evaluate, maximum, minimum, names, substitute
from shapeguard.shapes.expression import parse_dim

Tree: TypeAlias = int | str | tuple[str, "Tree", "Tree"]

NAMES = ("a", "b", "t")
a, b, t = map(Dim, NAMES)
INTEGER_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "min": min,
    "max": max,
}
DIM_OPERATIONS: dict[str, Callable[[Dim, Dim], Dim]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "min": minimum,
    "max": maximum,
}


def trees(operations: str, leaves: int) -> st.SearchStrategy[Tree]:
    leaf = st.sampled_from(NAMES) | st.integers(-6, 12)
    return st.recursive(
        leaf, lambda inner: st.tuples(st.sampled_from(operations.split()), inner, inner), max_leaves=leaves
    )


def build(tree: Tree) -> Dim:
    if not isinstance(tree, tuple):
        return Dim(tree)
    symbol, left, right = tree
    return DIM_OPERATIONS[symbol](build(left), build(right))


def compute(tree: Tree, sizes: Mapping[str, int]) -> int:
    if isinstance(tree, int):
        return tree
    if isinstance(tree, str):
        return sizes[tree]
    symbol, left, right = tree
    return INTEGER_OPERATIONS[symbol](compute(left, sizes), compute(right, sizes))


def built(tree: Tree) -> Dim:
    """Build what no size can make sense of never."""
    try:
        return build(tree)
    except ZeroDivisionError:
        assume(False)
        raise


def computed(tree: Tree, sizes: Mapping[str, int]) -> int:
    """Divisors are taken to be non-zero, so other sizes say nothing."""
    try:
        return compute(tree, sizes)
    except ZeroDivisionError:
        assume(False)
        raise


ALL = "+ - * // % min max + - * //"
expressions = trees(ALL, 8)
polynomials = trees("+ - *", 8)
sizes_of_names = st.fixed_dictionaries({name: st.integers(0, 13) for name in NAMES})


@given(expressions, sizes_of_names)
@settings(deadline=None, max_examples=1500)
def test_arithmetic_is_that_of_integers(tree: Tree, sizes: dict[str, int]) -> None:
    expected = computed(tree, sizes)
    assert evaluate(build(tree), sizes) == expected


@given(expressions)
@settings(deadline=None, max_examples=300)
def test_a_division_that_is_refused_is_one_by_zero(tree: Tree) -> None:
    try:
        build(tree)
    except ZeroDivisionError:
        for sizes in ({"a": 3, "b": 5, "t": 7}, {"a": 11, "b": 2, "t": 4}):
            with pytest.raises(ZeroDivisionError):
                compute(tree, sizes)


@given(polynomials, polynomials)
@settings(deadline=None, max_examples=800)
def test_polynomials_have_one_form(left: Tree, right: Tree) -> None:
    # So far apart that no two polynomials of this size agree by accident.
    sizes = {"a": 10**40, "b": 10**400, "t": 10**4000}
    same = compute(left, sizes) == compute(right, sizes)
    assert (build(left) == build(right)) is same
    assert compare(build(left), build(right)) in ((True,) if same else (False, None))
    if same:
        assert hash(build(left)) == hash(build(right))


@given(polynomials, polynomials, polynomials)
@settings(deadline=None, max_examples=300)
def test_ring_laws_hold_structurally(one: Tree, two: Tree, three: Tree) -> None:
    x, y, z = build(one), build(two), build(three)
    assert x * (y + z) == x * y + x * z
    assert (x + y) - y == x
    assert (x * y) * z == x * (y * z)
    assert -(x - y) == y - x
    assert (x + y) ** 2 == x**2 + 2 * x * y + y**2


@given(expressions, expressions, st.integers(-3, 3), st.integers(0, 3), sizes_of_names)
@settings(deadline=None, max_examples=2000)
def test_compare_never_contradicts_values(
    left: Tree, right: Tree, shift: int, lowest: int, sizes: dict[str, int]
) -> None:
    sizes = {name: size + lowest for name, size in sizes.items()}
    for pair in ((left, right), (left, ("+", left, shift)), (("+", ("*", right, left), shift), ("*", left, right))):
        values = [computed(tree, sizes) for tree in pair]
        one, two = map(built, pair)
        for at_least in (0, lowest, {"a": lowest}):
            verdict = compare(one, two, at_least)
            assert verdict is None or verdict is (values[0] == values[1])


@given(expressions, st.integers(0, 3), sizes_of_names)
@settings(deadline=None, max_examples=1000)
def test_bounds_hold_every_value(tree: Tree, lowest: int, sizes: dict[str, int]) -> None:
    sizes = {name: size + lowest for name, size in sizes.items()}
    value = computed(tree, sizes)
    low, high = bounds(build(tree), lowest)
    assert low is None or low <= value
    assert high is None or value <= high


@given(expressions, sizes_of_names)
@settings(deadline=None, max_examples=1000)
def test_text_parses_to_the_same_dim_and_means_it_in_python(tree: Tree, sizes: dict[str, int]) -> None:
    expected = computed(tree, sizes)
    dim = build(tree)
    text = str(dim)
    assert " " not in text
    assert parse_dim(text) == dim
    assert eval(text, {"min": min, "max": max}, sizes) == expected  # noqa: S307


@given(expressions, st.sampled_from(NAMES), expressions, sizes_of_names)
@settings(deadline=None, max_examples=500)
def test_substitution_is_evaluation_in_two_steps(tree: Tree, name: str, inner: Tree, sizes: dict[str, int]) -> None:
    value = computed(inner, sizes)
    assume(value >= 0)
    expected = computed(tree, {**sizes, name: value})
    try:
        dim = substitute(build(tree), {name: build(inner)})
    except ZeroDivisionError:
        pytest.fail("no divisor is 0 for these sizes")
    assert evaluate(dim, sizes) == expected
    assert names(dim) <= set(NAMES)


@given(polynomials, polynomials)
@settings(deadline=None, max_examples=500)
def test_exact_division_undoes_multiplication(left: Tree, right: Tree) -> None:
    dividend, divisor = build(left), build(right)
    quotient = divide_exactly(dividend, divisor)
    assert quotient is None or quotient * divisor == dividend
    if divisor:
        assert divide_exactly(dividend * divisor, divisor) == dividend
        assert dividend * divisor // divisor == dividend
        assert (dividend * divisor) % divisor == 0


@given(expressions)
@settings(deadline=None, max_examples=200)
def test_pickling_keeps_a_dim(tree: Tree) -> None:
    dim = built(tree)
    hash(dim)
    copy = pickle.loads(pickle.dumps(dim))  # noqa: S301
    assert copy == dim
    assert hash(copy) == hash(dim)
    assert str(copy) == str(dim)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("3*d", "3*d"),
        ("t - 1", "t-1"),
        ("1 - t", "1-t"),
        ("-t", "-t"),
        ("0", "0"),
        ("(a + b) // 2", "(a+b)//2"),
        ("min(b, a)", "min(a,b)"),
        ("a*a*b", "a**2*b"),
        ("-(a//b)", "-(a//b)"),
        ("-a//b", "(-a)//b"),
        ("2*(d//3)", "2*(d//3)"),
        ("2*d//3", "2*d//3"),
        ("h*(d//h)", "(d//h)*h"),
        ("a//(b*t)", "a//(b*t)"),
        ("self.heads * d", "d*self.heads"),
    ],
)
def test_text_reads_like_an_annotation(written: str, shown: str) -> None:
    assert str(parse_dim(written)) == shown


@pytest.mark.parametrize(
    ("written", "simpler"),
    [
        ("a*b//b", "a"),
        ("(a*b + a*t)//(b + t)", "a"),
        ("(4*a + 6)//2", "2*a+3"),
        ("(a*b + t)//b", "a+t//b"),
        ("(4*a + 3)//6", "(2*a+1)//3"),
        ("(2*a)//4", "a//2"),
        ("a*t//(b*t)", "a//b"),
        ("a//2//3", "a//6"),
        ("((t + 1)//2 + 1)//2", "(t+3)//4"),
        ("(t - 1)//2 + 1", "(t+1)//2"),
        ("a//(0 - b)", "(-a)//b"),
        ("a//1", "a"),
        ("a%1", "0"),
        ("a*b%b", "0"),
        ("(4*a + 5)%4", "1"),
        ("3*a%2", "a%2"),
        ("2*a%4", "2*(a%2)"),
        ("a%4%4", "a%4"),
        ("a%4//4", "0"),
        ("min(a, a)", "a"),
        ("min(a, a + 3)", "a"),
        ("max(a, min(a, b))", "max(a,min(a,b))"),
        ("min(a, min(b, 3), 5)", "min(3,a,b)"),
        ("max(a, 0)", "a"),
        ("-7//2", "-4"),
        ("-7%4", "1"),
        ("7//-2", "-4"),
        ("7%-4", "-1"),
        ("2**3", "8"),
        ("(a+1)**2", "a**2+2*a+1"),
    ],
)
def test_operations_are_worked_out_where_that_is_sound(written: str, simpler: str) -> None:
    assert parse_dim(written) == parse_dim(simpler)
    assert str(parse_dim(written)) == simpler


@pytest.mark.parametrize(
    ("left", "right", "at_least", "verdict"),
    [
        (t, t, 0, True),
        (t, t - 1, 0, False),
        (t, 0, 0, None),
        (t, 0, 1, False),
        (t, 3, 0, None),
        (t, 3, {"t": 4}, False),
        (a, b, 0, None),
        (2 * a, 2 * b + 1, 0, False),
        (a + b + 1, 0, 0, False),
        (a * b, a, 0, None),
        (a * b, a, {"a": 1, "b": 2}, False),
        (a * (2 * b - 1), 0, 1, False),
        (t % 2 + 2 * (t // 2), t, 0, True),
        (3 * t // 2, t + t // 2, 0, True),
        (t % 4, 4, 0, False),
        (t // 2, t, 0, None),
        (minimum(a, 3), 4, 0, False),
        (maximum(a, 3), 2, 0, False),
        (t // (3 // a), 1, {"a": 4}, None),
        (3, 3, 0, True),
        (3, 4, 0, False),
    ],
)
def test_compare_gives_the_verdict_that_is_known(
    left: Dim | int, right: Dim | int, at_least: int | dict[str, int], *, verdict: bool | None
) -> None:
    assert compare(left, right, at_least) is verdict
    assert compare(right, left, at_least) is verdict


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "a+",
            "a b",
            "2*in",
            "1.5",
            "a/b",
            "min(a)",
            "max()",
            "min(a,b,key=a)",
            "f(a)",
            "a**b",
            "a**-1",
            "True+1",
        ),
        *("a//0", "a%0", "x.f().y", "a<b", "[a]", "'a'", "~a", "(" * 300, "9**99**99", "2**100", "(a+b+t)**60"),
        *("(a+b)**63*(a+t)**63", "9" * 5000),
    ],
)
def test_what_is_no_size_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^\".*\" is not (a size: |an arithmetic expression)"):
        parse_dim(text)


def test_a_name_may_be_a_keyword() -> None:
    assert parse_dim("in") == Dim("in")


@pytest.mark.parametrize("text", ["", "a b", "3", "a-1", "a.", "a..b"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        Dim(text)


def test_constants_are_equal_to_integers_and_hash_like_them() -> None:
    assert Dim(3) == 3
    assert Dim(0) == 0
    assert Dim(3) != 4
    assert a != 3
    assert a != "a"
    assert {3} == {Dim(3)}
    assert hash(Dim(0)) == hash(0)
    assert as_int(a - a + 3) == 3
    assert as_int(a) is None
    assert not Dim(0)
    assert a


def test_plain_integers_stand_on_either_side() -> None:
    assert 1 + a == a + 1
    assert 1 - a == -(a - 1)
    assert 2 * a == a + a
    assert str(7 // a) == "7//a"
    assert str(7 % a) == "7%a"
    assert minimum(3, 4) == 3
    assert evaluate(3, {}) == 3
    assert substitute(3, {}) == 3
    assert names(3) == frozenset()
    assert names(a // b + 1) == {"a", "b"}


def test_other_types_and_negative_exponents_are_refused() -> None:
    for operation in (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.pow):
        with pytest.raises(TypeError):
            operation(a, "b")
    with pytest.raises(ValueError, match="no exponent"):
        a ** (-1)


def test_evaluation_asks_for_every_name() -> None:
    with pytest.raises(KeyError):
        evaluate(a + b, {"a": 1})
