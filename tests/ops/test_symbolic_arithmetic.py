"""Arithmetic, reductions, creation and products over sizes that are names, and over what isn't known at all."""

import itertools
import math

import pytest
import torch

from shapeguard.ops.arithmetic import arithmetic
from shapeguard.ops.pointwise import binary, in_place, unary
from shapeguard.ops.promotion import promote_types, result_type
from shapeguard.ops.registry import every_op, find
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Dtype, Tensor, tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import (
    BroadcastMismatch,
    ContractionMismatch,
    InPlaceMismatch,
    LetterMismatch,
    Mismatch,
    NotSquare,
)
from shapeguard.shapes.shape import Shape

B, D, H, N, S, T = (Dim(name) for name in "bdhnst")
HALF_KNOWN = tensor("b", None)


def call(name, *arguments, **named):
    return find(name)(*arguments, **named)


def shown(value):
    if isinstance(value, tuple):
        return " ".join(map(shown, value))
    return str(value.shape) if isinstance(value, Tensor) else str(value)


CALLS = [
    ("torch.add", (tensor("b", 1, "d"), tensor("t", 1)), "(b, t, d)"),
    ("torch.add", (tensor("b", "d"), 0.5), "(b, d)"),
    ("torch.add", (tensor("b", "d"), UNKNOWN), "(...)"),
    ("torch.add", (tensor("b", "d"), tensor(None)), "(b, d)"),
    ("torch.add", (tensor("b", 3), tensor(None)), "(b, 3)"),
    ("torch.exp", (tensor("b", 3 * T),), "(b, 3*t)"),
    ("torch.exp", (UNKNOWN_TENSOR,), "(...)"),
    ("torch.where", (tensor("b", 1, dtype="bool"), tensor("t"), 0.0), "(b, t)"),
    ("torch.where", (tensor("b", "t", dtype="bool"),), "(?,) (?,)"),
    ("torch.where", (UNKNOWN_TENSOR,), "UNKNOWN"),
    ("Tensor.sum", (tensor("b", "t", "d"), Dim(-1)), "(b, t)"),
    ("Tensor.sum", (tensor("b", "t", "d"), (Dim(0), Dim(1))), "(d,)"),
    ("Tensor.sum", (tensor("b", "t", "d"), Dim(1), True), "(b, 1, d)"),
    ("Tensor.sum", (tensor("b", "t", "d"), N), "(?, ?)"),
    ("Tensor.sum", (tensor("b", "t", "d"), UNKNOWN), "(...)"),
    ("Tensor.sum", (tensor("b", "t", "d"), UNKNOWN, True), "(?, ?, ?)"),
    ("Tensor.sum", (tensor("b", "t", "d"), Dim(0), UNKNOWN), "(...)"),
    ("Tensor.sum", (UNKNOWN_TENSOR,), "()"),
    ("Tensor.sum", (UNKNOWN_TENSOR, Dim(1)), "(...)"),
    ("Tensor.max", (tensor("b", "t"), Dim(-1)), "(b,) (b,)"),
    ("Tensor.max", (tensor("b", "t"), UNKNOWN), "UNKNOWN"),
    ("torch.cumsum", (tensor("b", "t"), Dim(1)), "(b, t)"),
    ("torch.softmax", (tensor("b", "t"), UNKNOWN), "(b, t)"),
    ("torch.quantile", (tensor("b", "t"), tensor("n"), Dim(1)), "(n, b)"),
    ("torch.zeros", (B, T, 3 * D), "(b, t, 3*d)"),
    ("torch.zeros", ((B, UNKNOWN),), "(b, ?)"),
    ("torch.zeros", (UNKNOWN,), "(...)"),
    ("torch.arange", (T,), "(t,)"),
    ("torch.arange", (S, S + T), "(t,)"),
    ("torch.arange", (S, T), "(t-s,)"),
    ("torch.arange", (Dim(0), D, Dim(2)), "((d+1)//2,)"),
    ("torch.arange", (Dim(0), 2 * D, Dim(2)), "(d,)"),
    ("torch.arange", (T - 1, Dim(-1), Dim(-1)), "(t,)"),
    ("torch.arange", (UNKNOWN,), "(?,)"),
    ("torch.arange", (T, 0.5), "(?,)"),
    ("torch.full", ((B, T), UNKNOWN), "(b, t)"),
    ("torch.tensor", ((N, Dim(3)),), "(2,)"),
    ("torch.tensor", (((N, UNKNOWN), (N, N)),), "(...)"),
    ("torch.tensor", (UNKNOWN,), "(...)"),
    ("torch.tensor", ((tensor(), tensor()),), "(2,)"),
    ("torch.zeros_like", (tensor("b", "t"),), "(b, t)"),
    ("torch.tril_indices", (N, N), "(2, (n**2+n)//2)"),
    ("torch.nn.functional.one_hot", (tensor("b", "t"), N), "(b, t, n)"),
    ("torch.nn.functional.one_hot", (tensor("b", "t"),), "(b, t, ?)"),
    ("torch.matmul", (tensor("b", "h", "t", "d"), tensor("b", "h", "d", "s")), "(b, h, t, s)"),
    ("torch.matmul", (tensor("t", "d"), tensor("b", "d", "s")), "(b, t, s)"),
    ("torch.matmul", (tensor("b", "t", "d"), UNKNOWN), "(...)"),
    ("torch.mm", (UNKNOWN_TENSOR, tensor("d", "s")), "(?, s)"),
    ("torch.bmm", (tensor("b", "t", "d"), tensor("b", "d", "s")), "(b, t, s)"),
    ("torch.addmm", (tensor("s"), tensor("t", "d"), tensor("d", "s")), "(t, s)"),
    ("torch.chain_matmul", (tensor("b", "t"), tensor("t", "d"), tensor("d", "n")), "(b, n)"),
    ("torch.tensordot", (tensor("b", "t", "d"), tensor("d", "s"), Dim(1)), "(b, t, s)"),
    ("torch.kron", (tensor("b"), tensor("d", "t")), "(d, b*t)"),
    ("torch.einsum", ("bhid,bhjd->bhij", tensor("b", "h", "t", "d"), tensor("b", "h", "s", "d")), "(b, h, t, s)"),
    ("torch.einsum", ("...id,jd->...ij", UNKNOWN_TENSOR, tensor("s", "d")), "(...)"),
    ("torch.einsum", ("id,jd->ij", UNKNOWN_TENSOR, tensor("s", "d")), "(?, s)"),
    ("torch.einsum", (UNKNOWN, tensor("s", "d")), "(...)"),
    ("torch.linalg.svd", (tensor("b", "n", "n"),), "(b, n, n) (b, n) (b, n, n)"),
    ("torch.linalg.solve", (tensor("b", "n", "n"), tensor("b", "n", "d")), "(b, n, d)"),
    # Were b and n, and n and d, the same size, torch would take the right side for vectors.
    ("torch.linalg.solve", (tensor("b", "n", "n"), tensor("n", "d")), "(...)"),
    ("torch.cdist", (tensor("b", "t", "d"), tensor("b", "s", "d")), "(b, t, s)"),
    ("torch.cosine_similarity", (tensor("b", "d"), tensor("b", "d"), Dim(-1)), "(b,)"),
    ("Tensor.new_zeros", (UNKNOWN, B, T), "(b, t)"),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), CALLS)
def test_call_over_symbols(name, arguments, expected):
    result = call(name, *arguments)
    assert shown(result) == expected
    assert not isinstance(result, Tensor) or result.shape.doubt is None


REFUSED = [
    ("torch.add", (tensor("b", 3), tensor("b", 4)), BroadcastMismatch),
    ("torch.add", (tensor(T + 2), tensor(T + 3)), BroadcastMismatch),
    ("Tensor.add_", (tensor("b"), tensor("t", "b")), InPlaceMismatch),
    ("Tensor.add_", (tensor("b", 1), tensor("b", D + 2)), InPlaceMismatch),
    ("torch.matmul", (tensor("b", 3), tensor(4, "d")), ContractionMismatch),
    ("torch.matmul", (tensor("b", D), tensor(D + 1, "t")), ContractionMismatch),
    ("torch.einsum", ("bd,td->bt", tensor("b", D + 2), tensor("t", D + 3)), LetterMismatch),
    ("torch.linalg.inv", (tensor("b", D, D + 1),), NotSquare),
]


@pytest.mark.parametrize(("name", "arguments", "kind"), REFUSED)
def test_sizes_that_surely_differ_are_a_mismatch(name, arguments, kind):
    assert isinstance(call(name, *arguments), kind)


DOUBTED = [
    ("torch.add", (tensor("b", "t"), tensor("b", "s")), BroadcastMismatch, "(b, t)"),
    ("Tensor.add_", (tensor("b"), tensor("t")), BroadcastMismatch, "(b,)"),
    ("Tensor.add_", (tensor(1), tensor("t")), InPlaceMismatch, "(1,)"),
    ("torch.matmul", (tensor("b", "t", "d"), tensor("b", "t", "d")), ContractionMismatch, "(b, t, d)"),
    ("torch.mm", (tensor("b", "t"), tensor("s", "d")), ContractionMismatch, "(b, d)"),
    ("torch.bmm", (tensor("b", "n", "t"), tensor("s", "t", "d")), Mismatch, "(b, n, d)"),
    ("torch.einsum", ("bd,td->bt", tensor("b", "d"), tensor("t", "s")), LetterMismatch, "(b, t)"),
    ("torch.einsum", ("ii->i", tensor("n", "s")), LetterMismatch, "(n,)"),
    ("torch.linalg.det", (tensor("b", "n", "s"),), NotSquare, "(b,)"),
    ("torch.cdist", (tensor("t", "d"), tensor("s", "n")), ContractionMismatch, "(t, s)"),
]


@pytest.mark.parametrize(("name", "arguments", "kind", "expected"), DOUBTED)
def test_sizes_that_may_be_equal_are_a_doubt(name, arguments, kind, expected):
    result = call(name, *arguments)
    assert shown(result) == expected
    assert isinstance(result.shape.doubt, kind)
    assert result.shape.doubt.sentence()


def test_contraction_shows_both_axes():
    result = call("torch.matmul", tensor("b", "h", "t", 64), tensor("b", "h", "t", 64))
    assert isinstance(result, Tensor)
    assert result.shape.doubt.sentence() == (
        "the product contracts 64 (axis -1 of (b, h, t, 64)) with t (axis -2 of (b, h, t, 64))"
    )


FLOATS, WHOLE, MASK = (tensor("b", "t", dtype=dtype) for dtype in ("float16", "int64", "bool"))
OPERATORS = [
    ("+", FLOATS, WHOLE, ("(b, t)", "float16")),
    ("*", WHOLE, 0.5, ("(b, t)", "float32")),
    ("*", WHOLE, Dim(2), ("(b, t)", "int64")),
    ("/", WHOLE, WHOLE, ("(b, t)", "float32")),
    ("//", WHOLE, Dim(2), ("(b, t)", "int64")),
    ("**", Dim(2), FLOATS, ("(b, t)", "float16")),
    ("+", UNKNOWN, FLOATS, ("(...)", None)),
    ("==", FLOATS, Dim(0), ("(b, t)", "bool")),
    ("<", Dim(0), WHOLE, ("(b, t)", "bool")),
    ("&", MASK, MASK, ("(b, t)", "bool")),
    ("@", tensor("b", "t", dtype="float32"), tensor("t", "d", dtype="float32"), ("(b, d)", "float32")),
]


@pytest.mark.parametrize(("operator", "left", "right", "expected"), OPERATORS)
def test_operator_with_a_tensor(operator, left, right, expected):
    result = binary(operator, left, right)
    assert (str(result.shape), result.dtype) == expected


@pytest.mark.parametrize(
    ("operator", "left", "right"), [("-", 1, MASK), ("-", MASK, MASK), ("&", MASK, FLOATS), ("|", WHOLE, 0.5)]
)
def test_operator_that_torch_has_not_for_the_dtype(operator, left, right):
    assert isinstance(binary(operator, Dim(left) if left == 1 else left, right), Mismatch)


def test_augmented_assignment_keeps_the_target():
    assert shown(in_place("+", tensor("b", "t"), tensor("t"))) == "(b, t)"
    assert isinstance(in_place("+", tensor("t"), tensor(2, "t")), InPlaceMismatch)
    assert isinstance(in_place("/", WHOLE, Dim(2)), Mismatch)
    assert in_place("+", T, Dim(1)) == T + 1


def test_operator_before_a_tensor():
    assert unary("-", FLOATS) == FLOATS
    assert isinstance(unary("-", MASK), Mismatch)
    assert unary("~", MASK) == MASK
    assert unary("-", T) == -T


PYTHON = [
    ("+", T, Dim(1), T + 1),
    ("*", B, T, B * T),
    ("//", 2 * D, Dim(2), D),
    ("/", Dim(6), Dim(4), 1.5),
    ("/", D, H, UNKNOWN),
    ("**", Dim(64), -0.5, 0.125),
    ("**", D, Dim(2), D * D),
    ("**", Dim(10), Dim(10**9), UNKNOWN),
    ("//", D, Dim(0), UNKNOWN),
    ("%", Dim(7), Dim(0), UNKNOWN),
    ("+", True, Dim(1), Dim(2)),
    ("==", T, T, True),
    ("==", T, T + 1, False),
    ("==", T, S, UNKNOWN),
    ("!=", T, T + 1, True),
    ("<", T, T + 1, True),
    (">", T, Dim(-1), True),
    (">=", T, T + 1, False),
    (">", T, Dim(0), UNKNOWN),
    ("<", 0.5, Dim(1), True),
    ("+", (B,), (T,), (B, T)),
    ("*", (B,), Dim(2), (B, B)),
    ("==", (B, T), (B,), False),
    ("==", (B, T), (B, T), UNKNOWN),
    ("+", "a", "b", "ab"),
    ("==", "a", "b", False),
    ("==", None, None, True),
    ("+", None, Dim(1), UNKNOWN),
    ("@", T, T, UNKNOWN),
]


@pytest.mark.parametrize(("operator", "left", "right", "expected"), PYTHON)
def test_operator_without_a_tensor(operator, left, right, expected):
    result = arithmetic(operator, left, right)
    assert (type(result), result) == (type(expected), expected)


DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


def test_promotion_agrees_with_torch():
    for left, right in itertools.product(DTYPES, repeat=2):
        real = torch.promote_types(getattr(torch, left), getattr(torch, right))
        assert f"torch.{promote_types(left, right)}" == str(real)


def test_tensors_with_axes_decide_over_scalars_and_numbers():
    ours = [tensor(*sizes, dtype=dtype) for dtype in DTYPES for sizes in ((), (2,))]
    reals = [torch.empty(len(one.shape.axes) * (2,), dtype=getattr(torch, one.dtype), device="meta") for one in ours]
    numbers = [(True, True), (Dim(2), 2), (0.5, 0.5)]
    operands = list(zip(ours, reals, strict=True))
    for (left, real_left), (right, real_right) in itertools.product(operands, operands + numbers):
        assert f"torch.{result_type(left, right)}" == str(torch.result_type(real_left, real_right))


def test_dtype_is_unknown_where_the_rank_would_decide():
    either = Tensor(Shape.unknown(), "float64")
    assert result_type(either, tensor(2, dtype="float32")) is None
    assert result_type(either, tensor(dtype="float32")) == "float64"
    assert result_type(either, 0.5) == "float64"


def weaker(value):
    """Values of which less is known, and which must therefore give the same or less."""
    yield UNKNOWN
    if isinstance(value, Tensor):
        yield Tensor(Shape.unknown(), value.dtype)
        yield Tensor(Shape.of(*(None for _ in value.shape.axes)), None)
        for position in range(len(value.shape.axes)):
            sizes = list(value.shape.sizes)
            sizes[position] = Dim("n")
            yield Tensor(Shape.of(*sizes), value.dtype)
    elif isinstance(value, tuple):
        for position, entry in enumerate(value):
            yield from ((*value[:position], less, *value[position + 1 :]) for less in weaker(entry))
    elif isinstance(value, Dim):
        yield Dim("n")


def allows(known, weak):
    """Whether what is known of the weaker call is not more or other than of the full one."""
    if weak is UNKNOWN:
        return True
    if isinstance(known, tuple) and isinstance(weak, tuple):
        return len(known) == len(weak) and all(map(allows, known, weak))
    if not isinstance(known, Tensor) or not isinstance(weak, Tensor):
        return known == weak
    if weak.dtype not in (None, known.dtype):
        return False
    if weak.shape.axes is None:
        return True
    return len(weak.shape.axes) == len(known.shape.axes) and all(
        size is None or size == other or "n" in str(size)
        for size, other in zip(weak.shape.sizes, known.shape.sizes, strict=True)
    )


MINE = [
    "arguments",
    "blending",
    "creation",
    "einsum",
    "filling",
    "linalg",
    "pointwise",
    "products",
    "reductions",
    "vectors",
]
OWN = [
    (name, example)
    for name, op in every_op().items()
    if op.function.__module__.removeprefix("shapeguard.ops.") in MINE
    for example in op.examples
]


def abstract(value):
    if isinstance(value, torch.dtype):
        return Dtype(str(value).removeprefix("torch."))
    if isinstance(value, list | tuple):
        return tuple(map(abstract, value))
    return Dim(value) if isinstance(value, int) and not isinstance(value, bool) else value


def recorded(example):
    """The arguments of an example's call."""
    scope = {
        "f": lambda *arguments, **named: (
            [abstract(argument) for argument in arguments],
            {name: abstract(argument) for name, argument in named.items()},
        ),
        "t": lambda *sizes, dtype=torch.float32: tensor(*sizes, dtype=str(dtype).removeprefix("torch.")),
        "torch": torch,
        "i64": torch.int64,
        "boolean": torch.bool,
    }
    return eval(example, scope)  # noqa: S307 - the examples of this repository


def test_knowing_less_of_an_argument_gives_no_more_and_no_refusal():
    for name, example in OWN:
        arguments, named = recorded(example)
        full = find(name)(*arguments, **named)
        for key in [*range(len(arguments)), *named]:
            for less in weaker(arguments[key] if isinstance(key, int) else named[key]):
                positional = [less if key == place else argument for place, argument in enumerate(arguments)]
                keywords = {word: less if key == word else argument for word, argument in named.items()}
                weak = find(name)(*positional, **keywords)
                assert isinstance(full, Mismatch) or allows(full, weak), (name, example, key, less, full, weak)


def test_nothing_raises_whatever_the_arguments():
    values = [UNKNOWN, None, True, 0.5, math.inf, T, Dim(-1), "x", (), (T, UNKNOWN), UNKNOWN_TENSOR, HALF_KNOWN]
    for name in dict.fromkeys(name for name, _ in OWN):
        for count in (0, 1, 2):
            for arguments in itertools.product(values, repeat=count):
                find(name)(*arguments)
        for value in values:
            find(name)(HALF_KNOWN, tensor("b", "t"), value)
