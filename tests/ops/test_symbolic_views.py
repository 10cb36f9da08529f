"""Views, joins and indexing with names for sizes and with unknown arguments."""

import pytest
import torch

from shapeguard.ops.registry import every_op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Dtype, Tensor, tensor
from shapeguard.shapes.dim import Dim, evaluate
from shapeguard.shapes.expression import parse_dim
from shapeguard.shapes.mismatch import Mismatch, OrderMismatch, Scrambled
from shapeguard.shapes.shape import Shape

FILES = ("views", "stretching", "conversions", "selecting", "joining", "splitting", "gathering", "ordering")
OPS = {name: op for name, op in every_op().items() if op.function.__module__.removeprefix("shapeguard.ops.") in FILES}


def size(text):
    """A size as the table writes it: a number, an expression, `?` for one that is not known."""
    return None if text == "?" else parse_dim(str(text))


def t(*sizes, dtype="float32"):
    return Tensor(Shape.of(*map(size, sizes)), dtype)


def value(argument):
    """An argument as the table writes it."""
    if isinstance(argument, tuple | list):
        return tuple(map(value, argument))
    if isinstance(argument, str):
        return UNKNOWN if argument == "?" else parse_dim(argument)
    return Dim(argument) if type(argument) is int else argument


def call(name, *arguments, **named):
    return every_op()[name](*map(value, arguments), **{key: value(entry) for key, entry in named.items()})


def shown(result):
    if isinstance(result, tuple):
        return " ".join(map(shown, result))
    return str(result.shape) if isinstance(result, Tensor) else str(result)


LONG = t("b", "s", dtype="int64")


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("Tensor.view", (t("b", "t", "d"), "b", "t", "h", "d//h"), "(b, t, h, d//h)"),
        ("Tensor.view", (t("b", "t", "h", "d"), "b", "t", -1), "(b, t, d*h)"),
        ("Tensor.view", (t("b", "t", "d"), -1, "d"), "(b*t, d)"),
        ("Tensor.view", (t("b", "?", "d"), -1, "d"), "(?, d)"),
        ("Tensor.view", (t("b", "t"), "?", "t"), "(b, t)"),
        ("Tensor.view", (t("b", "t"), "?"), "(...)"),
        ("Tensor.view", (UNKNOWN_TENSOR, "b", -1), "(b, ?)"),
        ("Tensor.view", (t("b", 4), Dtype("float16")), "(b, 8)"),
        ("Tensor.view", (t("b", "d"), Dtype("float64")), "(b, d//2)"),
        ("Tensor.view_as", (t("b", "t*d"), t("b", "t", "d")), "(b, t, d)"),
        ("torch.flatten", (t("b", "t", "d"), 0, 1), "(b*t, d)"),
        ("torch.flatten", (t("b", "?", "d"), 1), "(b, ?)"),
        ("torch.flatten", (UNKNOWN_TENSOR,), "(?,)"),
        ("torch.unflatten", (t("b", "3*d"), -1, (3, "d")), "(b, 3, d)"),
        ("torch.unflatten", (t("b", "h*d"), 1, ("h", -1)), "(b, h, d)"),
        ("torch.squeeze", (t("b", 1, "d"), 1), "(b, d)"),
        ("torch.squeeze", (t("b", "t"), 0), "(...)"),
        ("torch.unsqueeze", (t("b", "t"), "?"), "(?, ?, ?)"),
        ("Tensor.transpose", (t("b", "h", "t", "d"), -2, -1), "(b, h, d, t)"),
        ("torch.movedim", (t("b", "t", "d"), 0, -1), "(t, d, b)"),
        ("Tensor.expand", (t("b", 1, "d"), -1, "h", -1), "(b, h, d)"),
        ("Tensor.expand", (t("d"), "b", "d"), "(b, d)"),
        ("Tensor.expand", (t("b", 1), "b", "?"), "(b, ?)"),
        ("Tensor.expand_as", (t("t", 1), t("b", "t", "d")), "(b, t, d)"),
        ("Tensor.repeat", (t(1, "t"), "b", 1), "(b, t)"),
        ("Tensor.repeat", (t("b", "t"), 2, 1, 3), "(2, b, 3*t)"),
        ("Tensor.repeat", (UNKNOWN_TENSOR, 2, 1), "(?, ?)"),
        ("torch.repeat_interleave", (t("b", "t"), "k", 0), "(b*k, t)"),
        ("torch.repeat_interleave", (t("b", "t"), t("b", dtype="int64"), 0), "(?, t)"),
        ("torch.diagonal", (t("b", "n", "n"), 0, -2, -1), "(b, n)"),
        ("torch.diagonal", (t("n", "m"),), "(min(m,n),)"),
        ("torch.diag", (t("n"),), "(n, n)"),
        ("torch.diag_embed", (t("b", "n"), 1), "(b, n+1, n+1)"),
        ("Tensor.narrow", (t("b", "t"), 1, 0, "k"), "(b, k)"),
        ("Tensor.select", (t("b", "t", "d"), 1, "?"), "(b, d)"),
        ("Tensor.unfold", (t("b", "t"), 1, 4, 1), "(b, t-3, 4)"),
        ("torch.cat", ((t("b", "t"), t("b", "s")), 1), "(b, s+t)"),
        ("torch.cat", ((t("b", "t"), t("b", 1), t("b", "t")), -1), "(b, 2*t+1)"),
        ("torch.cat", ((t("b", "t"), "?"), 1), "(b, ?)"),
        ("torch.cat", ((t("b", "?"), t("?", "d")), 0), "(?, d)"),
        ("torch.cat", ("?", 1), "(...)"),
        ("torch.cat", ((t("b", "d//2"), t("b", "d//2")), -1), "(b, d)"),
        ("torch.cat", ((t("b", "d//2"), t("b", "d-d//2")), -1), "(b, d)"),
        ("torch.stack", ((t("b", "t"), t("b", "t"), "?"), 1), "(b, 3, t)"),
        ("torch.stack", ((t("b", "(d+1)//2"), t("b", "d//2")), -1), "(b, (d+1)//2, 2)"),
        ("torch.split", (t("b", "t", "3*d"), "d", -1), "(b, t, d) (b, t, d) (b, t, d)"),
        ("torch.split", (t("b", "t"), "d", -1), "UNKNOWN"),
        ("torch.split", (t("b", "n+m"), ("n", "m"), 1), "(b, n) (b, m)"),
        ("torch.split", (t("b", "d"), (1, "?"), 1), "(b, 1) (b, d-1)"),
        ("torch.split", (UNKNOWN_TENSOR, (1, 2)), "(...) (...)"),
        ("torch.chunk", (t("b", "t", "3*d"), 3, -1), "(b, t, d) (b, t, d) (b, t, d)"),
        ("torch.chunk", (t("b", "d"), 2, -1), "(b, d//2) (b, d//2)"),
        ("torch.chunk", (t("b", "?"), 2, -1), "(b, ?) (b, ?)"),
        ("torch.chunk", (t("b", "t"), "?", -1), "UNKNOWN"),
        ("torch.tensor_split", (t("b", "t"), (1, -1), 1), "(b, 1) (b, max(0,t-2)) (b, 1)"),
        ("torch.unbind", (t(3, "b", "t"),), "(b, t) (b, t) (b, t)"),
        ("torch.unbind", (t("b", "t"),), "UNKNOWN"),
        ("torch.meshgrid", (t("h"), t("w")), "(h, w) (h, w)"),
        ("torch.broadcast_tensors", (t("b", 1), t("t")), "(b, t) (b, t)"),
        ("torch.block_diag", (t("a", "b"), t("c", "d")), "(a+c, b+d)"),
        ("torch.cartesian_prod", (t("a"), t("b")), "(a*b, 2)"),
        ("torch.index_select", (t("b", "t", "d"), 1, t("k", dtype="int64")), "(b, k, d)"),
        ("torch.gather", (t("b", "t"), 1, LONG), "(b, s)"),
        ("torch.gather", (UNKNOWN_TENSOR, 1, LONG), "(b, s)"),
        ("Tensor.scatter_", (t("b", "t"), 1, LONG, 1.0), "(b, t)"),
        ("torch.masked_fill", (t("b", "h", "t", "t"), t("t", "t", dtype="bool"), 0.0), "(b, h, t, t)"),
        ("torch.masked_select", (t("b", "t"), t("b", "t", dtype="bool")), "(?,)"),
        ("torch.nonzero", (t("b", "t"),), "(?, 2)"),
        ("torch.topk", (t("b", "v"), "k"), "(b, k) (b, k)"),
        ("torch.topk", (t("b", "v"), "?"), "(b, ?) (b, ?)"),
        ("torch.sort", (t("b", "v"),), "(b, v) (b, v)"),
        ("torch.unique", (t("b", "v"),), "(?,)"),
        ("Tensor.size", (t("b", "?"),), "b UNKNOWN"),
        ("Tensor.size", (t("b", "t"), -1), "t"),
        ("Tensor.numel", (t("b", "t"),), "b*t"),
        ("Tensor.to", (t("b", "t"), "?"), "(b, t)"),
    ],
)
def test_symbols(name, arguments, expected):
    result = call(name, *arguments)
    assert shown(result) == expected
    for part in result if isinstance(result, tuple) else [result]:
        assert not isinstance(part, Tensor) or part.shape.doubt is None


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("torch.cat", ((t("b", "t"), t("b", "t+1")), 0), "(b, t) and (b, t+1) can't be joined along axis 0: axis 1 is t in one and t+1 in the other"),
        ("torch.stack", ((t("b"), t("b", "t")),), "(b,) and (b, t) can't be stacked: one has 1 axis, the other 2"),
        ("torch.split", (t("b", "3*d"), ("d", "d"), 1), "parts of (d, d) add up to 2*d, the axis that is split has 3*d"),
        ("Tensor.expand", (t("b", 3), "b", 4), "(b, 3) can't be expanded to (b, 4): axis -1 is 3, not 4 or 1"),
        ("Tensor.expand", (t("b", "t"), "b"), "(b, t) can't be expanded to (b,), which has fewer axes"),
        ("torch.narrow", (t("b", "t"), 1, 1, "t"), "t elements from 1 on are not all on axis 1, which has size t"),
        ("torch.gather", (t("b", "t"), 1, t("b+1", "s", dtype="int64")), "an index of (b+1, s) does not fit on (b, t): axis 0 is b+1, more than b"),
        ("torch.gather", (t("b", "t"), 1, t("b", dtype="int64")), "`index` is (b,), expected 2 axes, to go with (b, t)"),
        ("torch.masked_fill", (t("b", "t"), t("b", "t"), 0.0), "`mask` has dtype float32, expected bool"),
        ("torch.topk", (t("b", "v"), "v+1"), "`k` is v+1, expected at most v, the size of axis 1"),
        ("torch.t", (t("a", "b", "c"),), "(a, b, c) has 3 axes, expected at most 2"),
        ("Tensor.copy_", (t("b", "t"), t("b", "t", "d")), "(b, t, d) can't be expanded to (b, t), which has fewer axes"),
    ],
)  # fmt: skip
def test_sure_disagreements(name, arguments, sentence):
    assert call(name, *arguments).sentence() == sentence


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("torch.cat", ((t("b", "t"), t("c", "s")), 1)),
        ("torch.stack", ((t("b", "t"), t("b", "s")),)),
        ("Tensor.expand", (t("b", "t"), "b", "s")),
        ("torch.split", (t("b", "d"), ("n", "m"), 1)),
        ("torch.gather", (t("b", "t"), 1, t("c", "s", dtype="int64"))),
        ("torch.masked_fill", (t("b", "t"), t("b", "s", dtype="bool"), 0.0)),
        ("Tensor.copy_", (t("b", "t"), t("b", "s"))),
    ],
)
def test_what_only_some_sizes_allow_is_a_doubt(name, arguments):
    result = call(name, *arguments)
    first = result[0] if isinstance(result, tuple) else result
    assert isinstance(first.shape.doubt, Mismatch)
    assert first.shape.doubt.sentence()


@pytest.mark.parametrize(
    ("method", "sizes", "arguments", "named"),
    [
        ("nonzero", (2, 3), (), {}),
        ("nonzero", (2, 3), (), {"as_tuple": True}),
        ("nonzero", (), (), {"as_tuple": True}),
        ("argwhere", (2, 3), (), {}),
        ("unique", (2, 3), (), {}),
        ("unique", (2, 3), (), {"return_inverse": True, "return_counts": True}),
        ("unique", (2, 3), (True, True, False, 1), {}),
        ("unique", (2, 3), (), {"dim": -1, "return_counts": True}),
        ("unique", (2, 3), (), {"dim": 2}),
        ("unique_consecutive", (2, 3), (), {"return_counts": True}),
        ("masked_select", (2, 3), (torch.ones(3) > 0,), {}),
        ("masked_select", (2, 3), (torch.ones(2) > 0,), {}),
        ("repeat_interleave", (2, 3), (torch.tensor([1, 0, 2]),), {"dim": 1}),
        ("repeat_interleave", (2, 3), (torch.tensor([1, 0]),), {"dim": 1}),
        ("cpu", (2, 3), (), {}),
        ("to", (2, 3), ("cpu", torch.int64, False, True), {}),
        ("item", (1, 1), (), {}),
    ],
)
def test_what_the_meta_device_cannot_run_agrees_with_torch(method, sizes, arguments, named):
    def abstract(entry):
        if isinstance(entry, torch.Tensor):
            return Tensor(Shape.of(*entry.shape), str(entry.dtype).removeprefix("torch."))
        if isinstance(entry, torch.dtype):
            return Dtype(str(entry).removeprefix("torch."))
        return Dim(entry) if type(entry) is int else tuple(map(abstract, entry)) if isinstance(entry, tuple) else entry

    inferred = OPS[f"Tensor.{method}"](
        *map(abstract, (torch.ones(sizes), *arguments)), **{name: abstract(entry) for name, entry in named.items()}
    )
    try:
        real = abstract(getattr(torch.ones(sizes), method)(*arguments, **named))
    except (IndexError, RuntimeError):
        real = None
    assert isinstance(inferred, Mismatch) == (real is None)
    if real is not None:
        assert agrees(inferred, real, {})


def test_repeats_remember_which_way_round():
    tiled = call("Tensor.repeat", t("b", "t"), "k", 1)
    in_a_row = call("Tensor.repeat_interleave", t("b", "t"), "k", dim=0)
    assert call("Tensor.view", tiled, "k", "b", "t").shape.doubt is None
    assert call("Tensor.view", in_a_row, "b", "k", "t").shape.doubt is None
    assert isinstance(call("Tensor.view", in_a_row, "k", "b", "t").shape.doubt, Scrambled)
    assert isinstance(call("torch.stack", (tiled, in_a_row)).shape.doubt, OrderMismatch)


def test_a_doubt_does_not_go_on():
    doubtful = Tensor(Shape.of(2, 3), "float32")
    doubtful = Tensor(Shape(doubtful.shape.axes, Scrambled((), (), (), ())), "float32")
    for name in (
        "Tensor.contiguous",
        "Tensor.to",
        "Tensor.float",
        "torch.flip",
        "torch.sort",
        "Tensor.cpu",
        "torch.tril",
    ):
        result = call(name, doubtful, *([0] if name == "torch.flip" else []))
        for part in result if isinstance(result, tuple) else [result]:
            assert part.shape.doubt is None


# What a chunk of a size with names is, is an assumption.
EXAMPLES = [
    pytest.param(name, example, id=f"{name}: {example}")
    for name, op in OPS.items()
    for example in op.examples
    if not name.endswith("chunk")
]


def evaluated(example, make, function):
    scope = {"f": function, "t": make, "torch": torch, "i64": torch.int64, "boolean": torch.bool}
    return eval(example, scope)  # noqa: S307 - the examples of this repository


def recorded(example):
    """The arguments of an example, with its tensors as abstract ones."""

    def abstract(entry):
        if isinstance(entry, torch.dtype):
            return Dtype(str(entry).removeprefix("torch."))
        if isinstance(entry, list | tuple):
            return tuple(map(abstract, entry))
        return Dim(entry) if type(entry) is int else entry

    def make(*sizes, dtype=torch.float32):
        return tensor(*sizes, dtype=abstract(dtype).name)

    return evaluated(
        example,
        make,
        lambda *arguments, **named: (
            abstract(arguments),
            dict(zip(named, abstract(list(named.values())), strict=True)),
        ),
    )


def mapped(entry, change):
    if isinstance(entry, tuple):
        return tuple(mapped(part, change) for part in entry)
    return Tensor(Shape.of(*map(change, entry.shape.sizes)), entry.dtype) if isinstance(entry, Tensor) else entry


def agrees(general, special, sizes):
    """Whether what is said for symbols holds for the numbers that they stand for."""
    if general is UNKNOWN:
        return True
    if isinstance(special, tuple):
        return len(general) == len(special) and all(agrees(*pair, sizes) for pair in zip(general, special, strict=True))
    if isinstance(special, Dim):
        return evaluate(general, sizes) == special
    if isinstance(special, Tensor) and special.shape.axes is not None and general.shape.axes is not None:
        pairs = zip(general.shape.sizes, special.shape.sizes, strict=True)
        return all(one is None or evaluate(one, sizes) == other for one, other in pairs)
    return True


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_what_holds_for_symbols_holds_for_numbers(name, example):
    arguments, named = recorded(example)
    special = OPS[name](*arguments, **named)
    if isinstance(special, Mismatch):
        return
    sizes = {}

    def own_symbol(number):
        symbol = f"s{len(sizes)}"
        sizes[symbol] = int(str(number))
        return Dim(symbol) if number != 0 else number

    def same_symbol(number):
        sizes[f"n{number}"] = int(str(number))
        return Dim(f"n{number}") if number != 0 else number

    for change in (own_symbol, same_symbol, lambda number: None if number != 0 else number):
        general = OPS[name](*mapped(arguments, change), **{key: mapped(entry, change) for key, entry in named.items()})
        assert not isinstance(general, Mismatch), general.sentence()
        assert agrees(general, special, sizes), (general, special)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_unknown_arguments_never_raise(name, example):
    arguments, named = recorded(example)
    for unknown in (UNKNOWN, UNKNOWN_TENSOR, Dim("k"), (), (UNKNOWN,), None, True, 1.5, "text", Dim(-7), Dim(0)):
        for place in range(len(arguments)):
            OPS[name](*arguments[:place], unknown, *arguments[place + 1 :], **named)
        for key in named:
            OPS[name](*arguments, **{**named, key: unknown})
    OPS[name](*[UNKNOWN] * len(arguments), **dict.fromkeys(named, UNKNOWN))
