"""What a subscript gives, against torch, and with symbols and unknown entries."""

import itertools

import pytest
import torch

from shapeguard.ops.indexing import ELLIPSIS, Slice, store, subscript
from shapeguard.ops.values import UNKNOWN, Tensor, tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Axis, Shape

INTS = torch.int64


def longs(*sizes):
    return torch.zeros(sizes, dtype=INTS)


def mask(*sizes):
    """One element is chosen, which goes with any index tensor."""
    return torch.arange(torch.Size(sizes).numel()).reshape(sizes) == 0


def abstract(entry):
    if entry is Ellipsis:
        return ELLIPSIS
    if isinstance(entry, slice):
        return Slice(*(None if part is None else Dim(part) for part in (entry.start, entry.stop, entry.step)))
    if isinstance(entry, torch.Tensor):
        return Tensor(Shape.of(*entry.shape), str(entry.dtype).removeprefix("torch."))
    if isinstance(entry, list):
        return tuple(map(abstract, entry))
    return entry if isinstance(entry, bool) or entry is None else Dim(entry)


def check(index, sizes=(3, 4, 5)):
    inferred = subscript(Tensor(Shape.of(*sizes), "float32"), tuple(map(abstract, index)))
    try:
        real = torch.zeros(sizes)[index]
    except (IndexError, ValueError, TypeError, RuntimeError):
        real = None
    if real is None:
        assert isinstance(inferred, Mismatch)
        assert inferred.sentence()
        return
    assert isinstance(inferred, Tensor), inferred
    assert inferred.shape.rank == real.dim()
    for size, there in zip(inferred.shape.sizes, real.shape, strict=True):
        assert size is None or as_int(size) == there


ENTRIES = [
    0,
    -1,
    slice(None),
    slice(1, None),
    slice(None, -1),
    slice(-2, 9, 2),
    None,
    Ellipsis,
    True,
    longs(2),
    longs(2, 1),
    longs(),
    mask(4),
    mask(3, 4),
    [0, 2],
    [[0, 1], [1, 0]],
]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_agrees_with_torch(length):
    for index in itertools.product(ENTRIES, repeat=length):
        if sum(entry is Ellipsis for entry in index) <= 1:
            check(index)


def test_four_entries_agree_with_torch():
    for index in itertools.product([0, slice(1, 2), None, Ellipsis, longs(2), [1, 2]], repeat=4):
        if sum(entry is Ellipsis for entry in index) <= 1:
            check(index)


@pytest.mark.parametrize(
    "index",
    [
        (),
        (3,),
        (-4,),
        (slice(5, 1),),
        (slice(-9, -1),),
        (slice(None, None, 0),),
        (slice(None, None, -1),),
        (slice(0, 0), 1),
        (0, 0, 0, 0),
        (mask(2),),
        (mask(3, 5),),
        (longs(2), longs(3)),
        ([0, 3],),
        ([True, False, True],),
        ([True, False],),
        (torch.zeros(2),),
        (False,),
        (torch.tensor(True),),
        ([],),
        (torch.zeros(3, dtype=torch.int16),),
    ],
    ids=str,
)
def test_edges_agree_with_torch(index):
    check(index)


def test_slices_agree_with_torch():
    parts = [None, 0, 1, 3, 4, 9, -1, -3, -4, -9]
    for start, stop, step in itertools.product(parts, parts, [None, 1, 2, 7]):
        check((slice(start, stop, step),), (4,))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ((Slice(), Slice(Dim(1))), "(b, t-1)"),
        ((Slice(), Slice(None, Dim(-1))), "(b, t-1)"),
        ((Slice(), Slice(Dim(1), Dim(-1))), "(b, max(0,t-2))"),
        ((Slice(), Slice(None, Dim("t"))), "(b, t)"),
        ((Slice(), Slice(None, Dim("k"))), "(b, min(k,t))"),
        ((Slice(), Slice(-Dim("k"))), "(b, min(k,t))"),
        ((Slice(), Slice(None, Dim("t") - 1)), "(b, t-1)"),
        ((Slice(), Slice(None, None, Dim(2))), "(b, (t+1)//2)"),
        ((Slice(), Slice(None, Dim("t") // 2)), "(b, t//2)"),
        ((Slice(), Slice(Dim("t") // 2)), "(b, t-(t//2))"),
        ((Slice(), Slice(Dim(1), None, Dim(2))), "(b, t//2)"),
        ((Slice(), Slice(None, UNKNOWN)), "(b, ?)"),
        ((Slice(), Dim(-1)), "(b,)"),
        ((Slice(), Slice(Dim(-1))), "(b, 1)"),
        ((Slice(), Dim("i")), "(b,)"),
        ((ELLIPSIS, None), "(b, t, 1)"),
        ((None, Slice(), None, Slice()), "(1, b, 1, t)"),
        ((Slice(), tensor("n", "m", dtype="int64")), "(b, n, m)"),
        ((tensor("n", 1, dtype="int64"), tensor("m", dtype="int64")), "(n, m)"),
        ((tensor("b", "t", dtype="bool"),), "(?,)"),
        ((tensor("b", dtype="bool"),), "(?, t)"),
        ((tensor("n"),), "(?, t)"),
        ((Slice(), tensor(None, None)), "(...)"),
        ((UNKNOWN,), "(...)"),
        ((tensor("n", dtype="int64"), Dim(0)), "(n,)"),
    ],
)
def test_symbols(index, expected):
    assert str(subscript(tensor("b", "t"), index).shape) == expected


def test_an_entry_between_tensors_puts_their_axes_in_front():
    rows = tensor("n", dtype="int64")
    assert str(subscript(tensor("a", "b", "c"), (rows, Slice(), rows)).shape) == "(n, b)"
    assert str(subscript(tensor("a", "b", "c"), (Slice(), rows, rows)).shape) == "(a, n)"


def test_a_whole_slice_keeps_the_order_of_factors():
    flat = Tensor(Shape.of(Axis.of(Dim("b"), Dim("t")), 3))
    assert subscript(flat, (Slice(), Dim(0))).shape.axes == (Axis.of(Dim("b"), Dim("t")),)


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ((Dim(0),) * 3, "the subscript is for 3 axes, (b, t) has 2"),
        ((Slice(), Dim("t")), "index t does not exist on axis 1, which has size t"),
        ((Slice(), -Dim("t") - 1), "index -t-1 does not exist on axis 1, which has size t"),
        ((tensor("n", dtype="float32"),), "`index` has dtype float32, expected int64 or bool"),
        ((Slice(None, None, Dim(-1)),), "`step` is -1, expected at least 1"),
    ],
)
def test_sure_disagreements(index, sentence):
    assert subscript(tensor("b", "t"), index).sentence() == sentence


def test_a_mask_that_may_not_fit_is_a_doubt():
    result = subscript(tensor("b", "t"), (tensor("n", dtype="bool"),))
    assert result.shape.doubt.sentence() == "a mask of (n,) does not fit on (b,): its axis 0 is n, not b"


def test_of_an_unknown_shape_nothing_is_known():
    assert subscript(Tensor(Shape.unknown(), "int64"), (Dim(0),)) == Tensor(Shape.unknown(), "int64")


@pytest.mark.parametrize(
    ("index", "value", "fits"),
    [
        ((Dim(0),), tensor("t"), True),
        ((Dim(0),), Dim(3), True),
        ((Dim(0),), tensor(1, 1, "t"), True),
        ((Dim(0),), tensor(2, "t"), False),
        ((Slice(), Slice(None, Dim(2))), tensor("b", 3), False),
        ((Slice(), Slice(Dim(1))), tensor("b", "t"), None),
        ((Dim(0),), tensor(None, None, "t"), True),
        ((UNKNOWN,), tensor(9, 9), True),
    ],
)
def test_what_is_stored_has_to_fit(index, value, fits):
    result = store(tensor("b", "t"), index, value)
    if fits is False:
        assert isinstance(result, Mismatch)
    else:
        assert str(result.shape) == "(b, t)"
        assert (result.shape.doubt is None) is bool(fits)
