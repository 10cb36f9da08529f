"""Shapes are torch's, and the order of factors is that of the elements."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shapeguard.shapes.dim import Dim, DimLike, as_int, evaluate
from shapeguard.shapes.expression import parse_dim
from shapeguard.shapes.mismatch import (
    AxisMismatch,
    AxisOutOfRange,
    BroadcastMismatch,
    CountMismatch,
    InvalidSize,
    Mismatch,
    NotInferable,
    OrderLengthMismatch,
    OrderMismatch,
    RankMismatch,
    RepeatedAxis,
    ReversedRange,
    Scrambled,
)
from shapeguard.shapes.shape import (
    Axis,
    Shape,
    broadcast,
    flatten,
    permute,
    reshape,
    same_order,
    squeeze,
    transpose,
    unsqueeze,
)

SIZES = st.lists(st.sampled_from([1, 1, 2, 3, 4, 6, 0]), max_size=4)
PRIMES = (2, 3, 5, 7)
b, t, d, h, e, w = map(Dim, "btdhew")


def shape_of(text: str) -> Shape:
    return Shape.of(*(None if word == "?" else parse_dim(word) for word in text.split()))


def as_shape(result: Shape | Mismatch) -> Shape:
    assert isinstance(result, Shape), result.sentence()
    return result


def factors_of(result: Shape | Mismatch) -> list[str]:
    return [
        "?" if axis.factors is None else " ".join(map(str, axis.factors)) or "1" for axis in as_shape(result).axes or ()
    ]


def assert_agrees(result: Shape | Mismatch, compute: Callable[[], torch.Tensor]) -> None:
    try:
        expected = compute().shape
    except (RuntimeError, IndexError):
        assert isinstance(result, Mismatch)
        assert result.sentence()
        return
    shape = as_shape(result)
    assert shape.sizes == Shape.of(*expected).sizes
    assert not isinstance(shape.doubt, (BroadcastMismatch, CountMismatch))


def on_meta(sizes: Sequence[int]) -> torch.Tensor:
    return torch.empty(tuple(sizes), device="meta")


@given(st.lists(SIZES, min_size=1, max_size=3))
@settings(deadline=None, max_examples=400)
def test_broadcast_is_that_of_torch(every: list[list[int]]) -> None:
    assert_agrees(
        broadcast(*(Shape.of(*sizes) for sizes in every)),
        lambda: stretch(*map(on_meta, every)),
    )


@given(st.data(), SIZES)
@settings(deadline=None, max_examples=800)
def test_reshape_is_that_of_torch(data: st.DataObject, sizes: list[int]) -> None:
    count = math.prod(sizes)
    divisors = [size for size in range(1, count + 1) if count % size == 0] or [0, 1, 3]
    target = data.draw(st.lists(st.sampled_from([*divisors, *divisors, -1, 5, 0, -2]), max_size=4))
    if data.draw(st.booleans()) and 0 not in target and -1 not in target and count % math.prod(target) == 0:
        target.insert(data.draw(st.integers(0, len(target))), count // math.prod(target))
    assert_agrees(reshape(Shape.of(*sizes), target), lambda: on_meta(sizes).reshape(target))


@given(SIZES, st.lists(st.integers(-5, 4), max_size=5))
@settings(deadline=None, max_examples=300)
def test_permute_is_that_of_torch(sizes: list[int], order: list[int]) -> None:
    shuffled = sorted(range(len(sizes)), key=lambda axis: (order * 4)[axis] if order else 0)
    assert_agrees(permute(Shape.of(*sizes), order), lambda: on_meta(sizes).permute(order))
    assert_agrees(permute(Shape.of(*sizes), shuffled), lambda: on_meta(sizes).permute(shuffled))


@given(SIZES, st.integers(-5, 5), st.integers(-5, 5))
@settings(deadline=None, max_examples=400)
def test_flatten_transpose_squeeze_and_unsqueeze_are_those_of_torch(sizes: list[int], one: int, other: int) -> None:
    shape, tensor = Shape.of(*sizes), on_meta(sizes)
    assert_agrees(flatten(shape, one, other), lambda: tensor.flatten(one, other))
    assert_agrees(transpose(shape, one, other), lambda: tensor.transpose(one, other))
    assert_agrees(squeeze(shape), tensor.squeeze)
    assert_agrees(squeeze(shape, one), lambda: tensor.squeeze(one))
    assert_agrees(squeeze(shape, (one, other)), lambda: tensor.squeeze((one, other)))
    assert_agrees(unsqueeze(shape, one), lambda: tensor.unsqueeze(one))


def stretch(*tensors: torch.Tensor) -> torch.Tensor:
    return functools.reduce(torch.add, tensors)


SYMBOLIC = ["n", "m", "2*n", "n+1", "n//2", "n*m", "1", "2", "3"]


def assert_holds(result: Shape | Mismatch, compute: Callable[[], torch.Tensor], sizes: dict[str, int]) -> None:
    """What is said for every value of the names is true for these."""
    try:
        expected = tuple(compute().shape)
    except (RuntimeError, IndexError):
        return
    shape = as_shape(result)
    if shape.sizes is not None:
        assert len(shape.sizes) == len(expected)
        for size, number in zip(shape.sizes, expected, strict=True):
            assert size is None or evaluate(size, sizes) == number


@given(
    st.lists(st.lists(st.sampled_from([*SYMBOLIC, "?"]), max_size=3), min_size=2, max_size=3),
    st.lists(st.sampled_from([*SYMBOLIC, "?", "-1", "n*n*m"]), max_size=4),
    st.fixed_dictionaries({"n": st.integers(0, 4), "m": st.integers(0, 4), "?": st.integers(1, 3)}),
)
@settings(deadline=None, max_examples=1000)
def test_symbolic_results_hold_for_every_number(
    every: list[list[str]], target: list[str], sizes: dict[str, int]
) -> None:
    def numbers(words: list[str]) -> list[int]:
        return [sizes["?"] if word == "?" else evaluate(parse_dim(word), sizes) for word in words]

    shapes = [shape_of(" ".join(words)) for words in every]
    tensors = [on_meta(numbers(words)) for words in every]
    assert_holds(broadcast(*shapes), lambda: stretch(*tensors), sizes)
    if sizes["n"] % 2 == 0 or "n//2" not in every[0] + target:  # a division is taken to leave no remainder
        wanted = [None if word == "?" else parse_dim(word) for word in target]
        assert_holds(reshape(shapes[0], wanted), lambda: tensors[0].reshape(numbers(target)), sizes)
    assert_holds(squeeze(shapes[0]), tensors[0].squeeze, sizes)
    assert_holds(flatten(shapes[0]), tensors[0].flatten, sizes)


def digits_of(sizes: Sequence[int], axis: int) -> torch.Tensor:
    """The coordinate along `axis` of each element of a tensor."""
    view = [1] * len(sizes)
    view[axis] = -1
    return torch.arange(sizes[axis]).reshape(view).expand(*sizes)


def varies_along(tensor: torch.Tensor) -> list[int]:
    """The axes that a value depends on."""
    return [
        axis for axis in range(tensor.dim()) if not torch.equal(tensor, tensor.narrow(axis, 0, 1).expand_as(tensor))
    ]


def split_into_runs(data: st.DataObject, sizes: Sequence[int]) -> list[list[int]]:
    ends = sorted({0, len(sizes), *data.draw(st.lists(st.integers(0, len(sizes)), max_size=4))})
    return [list(sizes[start:stop]) for start, stop in itertools.pairwise(ends)]


def assert_factors_tell_the_order(shape: Shape, digits: dict[int, torch.Tensor]) -> None:
    """Each axis, taken apart into its prime factors, gives the coordinates that these primes had at first."""
    for place, axis in enumerate(shape.axes or ()):
        rest = digits_of(next(iter(digits.values())).shape, place)
        for factor in reversed(axis.factors or ()):
            prime = as_int(factor) or 0
            assert torch.equal(rest % prime, digits[prime])
            rest = rest // prime


@given(st.data())
@settings(deadline=None, max_examples=400)
def test_factors_tell_where_elements_came_from(data: st.DataObject) -> None:
    runs = split_into_runs(data, PRIMES)
    shape = Shape.of(*(Axis.of(*run) for run in runs))
    sizes = [math.prod(run) for run in runs]
    digits = {prime: digits_of(PRIMES, axis).reshape(sizes) for axis, prime in enumerate(PRIMES)}
    for _ in range(data.draw(st.integers(1, 6))):
        axes = shape.axes or ()
        if data.draw(st.booleans()):
            order = data.draw(st.permutations(range(len(axes))))
            shape = as_shape(permute(shape, order))
            digits = {prime: digit.permute(order) for prime, digit in digits.items()}
        elif data.draw(st.booleans()):
            start = data.draw(st.integers(0, len(axes) - 1))
            shape = as_shape(flatten(shape, start))
            digits = {prime: digit.flatten(start) for prime, digit in digits.items()}
        else:
            parts = [as_int(factor) or 0 for axis in axes for factor in axis.factors or ()]
            tracked = math.prod(parts) == math.prod(PRIMES)
            keeps = tracked and data.draw(st.booleans())
            target = list(map(math.prod, split_into_runs(data, parts if keeps else data.draw(st.permutations(PRIMES)))))
            shape = as_shape(reshape(shape, target))
            digits = {prime: digit.reshape(target) for prime, digit in digits.items()}
            if tracked:
                follows = all(len(varies_along(digit)) == 1 for digit in digits.values())
                assert isinstance(shape.doubt, Scrambled) is not follows
        assert_factors_tell_the_order(shape, digits)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_symbols_are_scrambled_where_their_numbers_are(data: st.DataObject) -> None:
    symbols = [b, t, h, d // h]
    numbers = {"b": 2, "t": 3, "h": 5, "d": 35}
    runs = split_into_runs(data, range(4))
    orders = split_into_runs(data, data.draw(st.permutations(range(4))))
    target = [math.prod((symbols[axis] for axis in run), start=Dim(1)) for run in orders]
    multiplied_back = data.draw(st.booleans())
    if multiplied_back:
        target = [d if size == h * (d // h) else b * d if size == b * h * (d // h) else size for size in target]
    result = as_shape(reshape(Shape.of(*(Axis.of(*(symbols[axis] for axis in run)) for run in runs)), target))
    after = [evaluate(size, numbers) for size in target]
    follows = all(len(varies_along(digits_of(PRIMES, axis).reshape(after))) == 1 for axis in range(4))
    if multiplied_back:
        assert not (isinstance(result.doubt, Scrambled) and follows)
    else:
        assert isinstance(result.doubt, Scrambled) is not follows


def ordered_factorings(count: int) -> list[tuple[int, ...]]:
    if count == 1:
        return [()]
    divisors = [size for size in range(2, count + 1) if count % size == 0]
    return [(size, *rest) for size in divisors for rest in ordered_factorings(count // size)]


def joins(parts: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether `sizes` come of joining neighbours among `parts`."""
    return set(itertools.accumulate(sizes, operator.mul)) <= set(itertools.accumulate(parts, operator.mul))


@pytest.mark.parametrize("count", [8, 12, 24, 36])
def test_reshape_cuts_only_what_can_be_put_together_again(count: int) -> None:
    factorings = ordered_factorings(count)
    for source, target in itertools.product([sizes for sizes in factorings if len(sizes) <= 3], repeat=2):
        shape = as_shape(reshape(Shape.of(*source), target))
        if isinstance(shape.doubt, Scrambled):
            mixed = [[as_int(size or 0) or 0 for size in sizes] for sizes in (shape.doubt.mixed, shape.doubt.into)]
            fits = any(joins(parts, source) and joins(parts, target) for parts in factorings)
            assert not fits or (sorted(mixed[0]) == sorted(mixed[1]) and mixed[0] != mixed[1])
            continue
        parts = [as_int(factor) or 0 for axis in shape.axes or () for factor in axis.factors or ()]
        for sizes in (source, target):
            coordinates = [digits_of(sizes, axis).reshape(parts) for axis in range(len(sizes))]
            # Every part belongs to one axis, and the parts of one axis are neighbours.
            assert sorted(itertools.chain(*map(varies_along, coordinates))) == list(range(len(parts)))
            assert list(itertools.chain(*map(varies_along, coordinates))) == list(range(len(parts)))


@given(st.permutations(PRIMES), st.permutations(PRIMES))
@settings(deadline=None, max_examples=60)
def test_same_order_is_that_of_the_elements(left: list[int], right: list[int]) -> None:
    data = [digits_of(PRIMES, axis) for axis in range(len(PRIMES))]
    flat = [
        torch.stack([digit.permute([PRIMES.index(prime) for prime in order]).flatten() for digit in data])
        for order in (left, right)
    ]
    assert same_order(Axis.of(*left), Axis.of(*right)) is torch.equal(*flat)


def test_a_flattened_axis_is_not_the_one_flattened_in_another_order() -> None:
    one = as_shape(flatten(Shape.of(b, t, d), 0, 1))
    other = as_shape(flatten(as_shape(transpose(Shape.of(b, t, d), 0, 1)), 0, 1))
    assert one.sizes == other.sizes
    assert one != other
    assert one.axes is not None
    assert other.axes is not None
    assert same_order(one.axes[0], other.axes[0]) is False
    meeting = as_shape(broadcast(one, other))
    assert isinstance(meeting.doubt, OrderMismatch)
    assert meeting.doubt.sentence() == (
        "axis -2 has the same size on both sides but not the same order: "
        "(b, t) flattened in one, (t, b) flattened in the other"
    )


@pytest.mark.parametrize(
    ("left", "right", "answer"),
    [
        (Axis.of(t), Axis.of(t), True),
        (Axis.of(b, t), Axis.of(t, b), False),
        (Axis.of(2, 3), Axis.of(3, 2), False),
        (Axis.of(4, 8), Axis.of(8, 4), False),
        (Axis.of(b, t), Axis.of(b * t), None),
        (Axis.of(t), Axis.of(t + 1), False),
        (Axis.of(t), Axis.of(b), None),
        (Axis.of(t), Axis(t, None), None),
        (Axis.of(t), Axis(None, None), None),
    ],
)
def test_same_order_answers_only_what_it_knows(left: Axis, right: Axis, *, answer: bool | None) -> None:
    assert same_order(left, right) is answer
    assert same_order(right, left) is answer


@pytest.mark.parametrize(
    ("source", "target", "sizes", "factors"),
    [
        ("b t d", "b t h -1", "(b, t, h, d//h)", ["b", "t", "h", "d//h"]),
        ("b t d", "b t h d//h", "(b, t, h, d//h)", ["b", "t", "h", "d//h"]),
        ("b t h d//h", "b t d", "(b, t, d)", ["b", "t", "h d//h"]),
        ("b t h e", "b t -1", "(b, t, e*h)", ["b", "t", "h e"]),
        ("b t 3*d", "b t 3 d", "(b, t, 3, d)", ["b", "t", "3", "d"]),
        ("b t d", "-1 d", "(b*t, d)", ["b t", "d"]),
        ("2*n t", "n 2*t", "(n, 2*t)", ["n", "2 t"]),
        ("6 4", "3 8", "(3, 8)", ["3", "2 4"]),
        ("b 1 t", "b t 1", "(b, t, 1)", ["b", "t", "1"]),
        ("b ? d", "b -1 d", "(b, ?, d)", ["b", "?", "d"]),
        ("b ? d", "-1 d", "(?, d)", ["?", "d"]),
        ("b t d", "b ? d", "(b, t, d)", ["b", "t", "d"]),
        ("? t h d//h", "? t d", "(?, t, d)", ["?", "t", "h d//h"]),
        ("b t", "-1 w", "(b*t//w, w)", ["?", "?"]),
        ("", "1 1", "(1, 1)", ["1", "1"]),
        ("0 4", "0", "(0,)", ["0"]),
        ("d t", "h (d//h)*t", "(h, (d//h)*t)", ["?", "?"]),
    ],
)
def test_reshape_splits_and_joins_neighbours(source: str, target: str, sizes: str, factors: list[str]) -> None:
    result = as_shape(reshape(shape_of(source), shape_of(target).sizes or (), at_least=1))
    assert str(result) == sizes
    assert factors_of(result) == factors
    assert result.doubt is None


@pytest.mark.parametrize(
    ("source", "target", "mixed"),
    [
        ("b t d", "t b d", "(b, t)"),
        ("b h t e", "b t h*e", "(h, t, e)"),
        ("b h t d//h", "b t d", "(h, t, d//h)"),
        ("b c h w", "b h*w c", "(c, h, w)"),
        ("b c h w", "b -1 c", "(c, h, w)"),
        ("b c (h+1)//2 (w+1)//2", "b -1 c", "(c, (h+1)//2, (w+1)//2)"),
        ("8 16", "16 8", "(8, 16)"),
        ("2 3", "3 2", "(2, 3)"),
        ("? b t", "? t b", "(b, t)"),
    ],
)
def test_reshape_in_place_of_a_transpose_is_doubted(source: str, target: str, mixed: str) -> None:
    result = as_shape(reshape(shape_of(source), shape_of(target).sizes or ()))
    assert isinstance(result.doubt, Scrambled)
    assert f"mixes up {mixed}:" in result.doubt.sentence()
    # The doubt belongs to this step, and what follows from it is not doubted again.
    assert result.axes is not None
    again = as_shape(reshape(result, shape_of(source).sizes or ()))
    assert again.doubt is None


def test_heads_viewed_in_the_wrong_order_are_scrambled() -> None:
    values = Shape.of(b, Axis.of(h, e))
    assert factors_of(reshape(values, [b, h, e])) == ["b", "h", "e"]
    wrong = as_shape(reshape(values, [b, e, h]))
    assert wrong.sizes == (b, e, h)
    assert isinstance(wrong.doubt, Scrambled)


@pytest.mark.parametrize(
    ("source", "target"),
    [("b t d", "b t h e"), ("n", "0"), ("b t", "t 3"), ("8 t", "4 b")],
)
def test_counts_that_may_be_equal_are_doubted(source: str, target: str) -> None:
    result = as_shape(reshape(shape_of(source), shape_of(target).sizes or ()))
    assert isinstance(result.doubt, CountMismatch)
    assert result.sizes == shape_of(target).sizes


@pytest.mark.parametrize(
    ("left", "right", "result", "doubted"),
    [
        ("b t", "t", "(b, t)", False),
        ("b 1 d", "t 1", "(b, t, d)", False),
        ("b t", "3", "(b, 3)", True),
        ("b t", "b", "(b, ?)", True),
        ("t", "t-1", "(?,)", True),
        ("?", "3", "(3,)", False),
        ("?", "t", "(?,)", False),
        ("?", "1", "(?,)", False),
    ],
)
def test_broadcast_says_what_it_knows(left: str, right: str, result: str, *, doubted: bool) -> None:
    for shapes in ((left, right), (right, left)):
        shape = as_shape(broadcast(*map(shape_of, shapes)))
        assert str(shape) == result
        assert isinstance(shape.doubt, BroadcastMismatch) is doubted


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [("t", "t-1", "(t,)"), ("?", "t", "(t,)"), ("?", "1", "(?,)"), ("?", "?", "(?,)")],
)
def test_broadcast_takes_what_has_a_name_for_more_than_1(left: str, right: str, result: str) -> None:
    for shapes in ((left, right), (right, left)):
        assert str(as_shape(broadcast(*map(shape_of, shapes), likely=True))) == result


def test_broadcast_of_two_names_takes_the_left() -> None:
    assert str(as_shape(broadcast(Shape.of(b, t), Shape.of(b), likely=True))) == "(b, t)"
    assert str(as_shape(broadcast(Shape.of(b), Shape.of(b, t), likely=True))) == "(b, b)"


def test_a_lower_bound_makes_a_broadcast_impossible() -> None:
    assert isinstance(broadcast(Shape.of(t), Shape.of(t + 1), at_least={"t": 2}), BroadcastMismatch)


def test_unknown_shapes_agree_with_everything() -> None:
    unknown = Shape.unknown()
    assert broadcast(unknown, Shape.of(3)) == unknown
    assert isinstance(broadcast(unknown, Shape.of(3), Shape.of(4)), BroadcastMismatch)
    assert as_shape(reshape(unknown, [b, -1])).sizes == (b, None)
    assert as_shape(permute(unknown, (1, 0))).sizes == (None, None)
    for result in (flatten(unknown), transpose(unknown, 0, 1), squeeze(unknown), unsqueeze(unknown, 0)):
        assert result == unknown
    assert unknown.rank is None
    assert str(unknown) == "(...)"


def test_squeeze_of_an_axis_that_may_be_1_loses_the_rank() -> None:
    assert squeeze(shape_of("b 1 d")) == Shape.unknown()
    assert squeeze(shape_of("b 1 d"), at_least=2) == shape_of("b d")
    assert squeeze(shape_of("b 1 d"), 1) == shape_of("b d")
    assert squeeze(shape_of("b ? d"), 1) == Shape.unknown()


@pytest.mark.parametrize(
    ("mismatch", "sentence"),
    [
        (
            AxisMismatch("labels", 1, 5, "seq", 6, "`logits` axis 1"),
            "`labels` axis 1 is 5, expected seq = 6 (bound by `logits` axis 1)",
        ),
        (AxisMismatch("x", 1, 5, "3", 3, None), "`x` axis 1 is 5, expected 3"),
        (RankMismatch("reward", (), "batch"), '`reward` has 0 axes (), expected 1: "batch"'),
        (RankMismatch("scores", (4, 1), "batch"), '`scores` has 2 axes (4, 1), expected 1: "batch"'),
        (RankMismatch("x", (4,), "*b c d", at_least=True), '`x` has 1 axis (4,), expected at least 2: "*b c d"'),
        (
            broadcast(Shape.of(2, 4, 3), Shape.of(5, 3)),
            "(2, 4, 3) and (5, 3) do not broadcast: axis -2 is 4 in one and 5 in the other",
        ),
        (reshape(Shape.of(2, 3), [7]), "(2, 3) has 6 elements, (7,) has 7"),
        (reshape(Shape.of(3, 4), [5, -1]), "(3, 4) has 12 elements, (5, -1) needs a multiple of 5"),
        (reshape(Shape.of(), [-1, 4]), "() has 1 element, (-1, 4) needs a multiple of 4"),
        (reshape(Shape.of(3), [-1, -1]), "(-1, -1) has more than one -1, so none of them can be worked out"),
        (
            reshape(Shape.of(0), [-1, 0]),
            "the -1 in (-1, 0) could be any size, as the other sizes leave no elements",
        ),
        (reshape(Shape.of(3), [-2]), "-2 is not a size (axis 0 of (-2,))"),
        (permute(shape_of("b t"), (0,)), "the order (0,) names 1 axis of 2"),
        (permute(shape_of("b t"), (0, -2)), "axis -2 appears more than once in (0, -2)"),
        (transpose(shape_of("b t"), 0, 2), "axis 2 does not exist: there are 2 axes (0 to 1)"),
        (unsqueeze(shape_of(""), 3), "axis 3 does not exist: there is only axis 0"),
        (flatten(shape_of("b t d"), 2, 0), "the range of axes starts at 2 but ends before it, at 0"),
    ],
)
def test_a_mismatch_says_what_disagrees(mismatch: Shape | Mismatch, sentence: str) -> None:
    assert isinstance(mismatch, Mismatch)
    assert mismatch.sentence() == sentence


def test_each_refusal_has_its_own_kind() -> None:
    shape = shape_of("b t")
    assert isinstance(reshape(shape, [-1, -1]), NotInferable)
    assert isinstance(reshape(shape, [-3]), InvalidSize)
    assert isinstance(permute(shape, (0,)), OrderLengthMismatch)
    assert isinstance(permute(shape, (0, 0)), RepeatedAxis)
    assert isinstance(transpose(shape, 0, 5), AxisOutOfRange)
    assert isinstance(flatten(shape, 1, 0), ReversedRange)
    odd: list[DimLike] = [2, -1]
    assert isinstance(reshape(Shape.of(2 * t + 1), odd), CountMismatch)
    assert isinstance(reshape(Shape.of(w), [w, 2]), Shape)
    assert isinstance(reshape(Shape.of(w), [w, 2], at_least=1), CountMismatch)
