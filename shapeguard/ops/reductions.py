"""Operations that reduce axes to one number, or run along one: sum, max, std, cumsum, softmax and the like."""

# ruff: noqa: A002, B008, FBT002, FBT003, N803 - torch's names and defaults

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapeguard.ops.arguments import axis_positions, check_axis, read_dtype, tensor_of
from shapeguard.ops.broadcasting import stretch_together
from shapeguard.ops.promotion import as_float, as_real, as_total, only_floats, result_type
from shapeguard.ops.reading import not_below_zero
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, Result, Tensor, Unknown
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import DtypeMismatch, Mismatch, RankMismatch
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape

DtypeRule = Callable[[str | None], str | DtypeMismatch | None]


def reduce(shape: Shape, dim: Any = None, keepdim: Any = False) -> Shape | Mismatch:
    """The shape without the axes that `dim` names, of which None and () mean all; with `keepdim` they stay as 1."""
    keep = keepdim if isinstance(keepdim, bool) else None
    if dim is None or dim == ():
        if keep is False:
            return Shape(())
        return Shape.unknown() if keep is None or shape.axes is None else Shape((Axis.of(1),) * len(shape.axes))
    if shape.axes is None:
        return Shape.unknown()
    rank = len(shape.axes)
    wanted = (dim,) if isinstance(dim, Dim) else dim if isinstance(dim, tuple) else None
    positions = None if wanted is None else axis_positions(wanted, rank)
    if isinstance(positions, Mismatch):
        return positions
    if keep is None or (positions is None and wanted is None and not keep):
        return Shape.unknown()
    if positions is None:
        return Shape((UNKNOWN_AXIS,) * (rank if keep else max(0, rank - len(wanted or ()))))
    if keep:
        return Shape(tuple(Axis.of(1) if position in positions else axis for position, axis in enumerate(shape.axes)))
    return Shape(tuple(axis for position, axis in enumerate(shape.axes) if position not in positions))


def _reduced(input: Any, dim: Any, keepdim: Any, dtype: str | Mismatch | None) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    return dtype if isinstance(dtype, Mismatch) else tensor_of(reduce(input.shape, dim, keepdim), dtype)


def _mean(dtype: str | None) -> str | DtypeMismatch | None:
    return only_floats(dtype) or dtype


def _size_of_floats(dtype: str | None) -> str | DtypeMismatch | None:
    return only_floats(dtype) or as_real(dtype)


def _whether(dtype: str | None) -> str | None:
    return None if dtype is None else "uint8" if dtype == "uint8" else "bool"


def _same(dtype: str | None) -> str | None:
    return dtype


def _int64(_: str | None) -> str:
    return "int64"


_REDUCTIONS: tuple[tuple[str, DtypeRule, tuple[str, ...]], ...] = (
    (
        "sum",
        as_total,
        ("f(t(2, 3, dtype=i64))", "f(t(2, dtype=boolean), dtype=torch.float16)", "f(t(2, 3, 4), (0, -1))"),
    ),
    ("nansum", as_total, ("f(t(2, 3, 4), dim=(0, 1), keepdim=True)",)),
    ("mean", _mean, ("f(t(2, 3, dtype=i64))", "f(t(2, dtype=i64), dtype=torch.float32)", "f(t(2, 3), dim=(0, 0))")),
    ("nanmean", _mean, ("f(t(2, 3, 4), (1, 2))",)),
    ("prod", as_total, ("f(t(2, 3, dtype=torch.int32))",)),
    ("amax", _same, ("f(t(2, 3, 4), dim=(1, 2), keepdim=True)", "f(t(2, 3), dim=(0, -2))")),
    ("amin", _same, ("f(t(2, 3, 4), dim=(1, 2))",)),
    ("all", _whether, ("f(t(2, 3, dtype=torch.uint8))", "f(t(2, 3, 4), (0, 2))")),
    ("any", _whether, ("f(t(2, 3, dtype=i64), -1)",)),
    ("argmax", _int64, ("f(t(), 0)", "f(t(2, 3), keepdim=True)")),
    ("argmin", _int64, ()),
    ("logsumexp", as_float, ("f(t(2, 3, 4), (0, 1))",)),
)
_BY_AXIS = ("f(t(2, 3), 1)", "f(t(2, 3), dim=-2, keepdim=True)", "f(t(2, 3), -1, True)", "f(t(2, 3), 2)")
_WHOLE = ("f(t(2, 3))", "f(t())")


def _reduction(rule: DtypeRule) -> Callable[..., Result]:
    def apply(input: Any, dim: Any = None, keepdim: Any = False, *, dtype: Any = None, **_: Any) -> Result:
        held = input.dtype if isinstance(input, Tensor) else None
        wanted = read_dtype(dtype, None)
        return _reduced(input, dim, keepdim, rule(held) if dtype is None else wanted)

    return apply


for _name, _rule, _more in _REDUCTIONS:
    _examples = (*(() if _name == "logsumexp" else _WHOLE), *_BY_AXIS, *_more)
    op(f"torch.{_name}", f"Tensor.{_name}", examples=_examples)(_reduction(_rule))
op("torch.special.logsumexp", examples=_BY_AXIS)(_reduction(as_float))


@op(
    "torch.count_nonzero",
    "Tensor.count_nonzero",
    examples=("f(t(2, 3))", "f(t(2, 3), 1)", "f(t(2, 3), dim=(0, 1))", "f(t(2), 1)"),
)
def count_nonzero(input: Any, dim: Any = None) -> Result:
    """How many elements are not 0."""
    return _reduced(input, dim, False, "int64")


def _pair(input: Any, dim: Any, keepdim: Any) -> Result:
    """The values that are found along one axis, and where."""
    values = _reduced(input, dim, keepdim, _dtype(input))
    return (values, Tensor(values.shape, "int64")) if isinstance(values, Tensor) else values


@op(
    "torch.max",
    "torch.min",
    "Tensor.max",
    "Tensor.min",
    examples=(
        "f(t(2, 3))",
        "f(t(2, 3, dtype=i64), 1)",
        "f(t(2, 3), dim=-2, keepdim=True)",
        "f(t(2, 3), 1, True)",
        "f(t(2, 1), t(3))",
        "f(t(2, 3, dtype=i64), other=t(3))",
        "f(t(2, 3), 2)",
        "f(t(2), t(3))",
    ),
)
def greatest(input: Any, dim: Any = None, keepdim: Any = False, *, other: Any = None, **_: Any) -> Result:
    """The greatest of all, the greatest along an axis with its index, or the greater of two tensors."""
    operand = dim if isinstance(dim, Tensor) else other
    if operand is not None:
        return stretch_together((input, operand), result_type(input, operand))
    if isinstance(dim, Unknown):
        return UNKNOWN
    return _reduced(input, None, False, _dtype(input)) if dim is None else _pair(input, dim, keepdim)


def _dtype(value: Any) -> str | None:
    return value.dtype if isinstance(value, Tensor) else None


@op(
    "torch.median",
    "torch.nanmedian",
    "Tensor.median",
    "Tensor.nanmedian",
    examples=("f(t(2, 3))", "f(t(2, 3), 1)", "f(t(2, 3), dim=0, keepdim=True)", "f(t(2, 3), 2)"),
)
def median(input: Any, dim: Any = None, keepdim: Any = False) -> Result:
    """The median of all, or along an axis with its index."""
    if isinstance(dim, Unknown):
        return UNKNOWN
    return _reduced(input, None, False, _dtype(input)) if dim is None else _pair(input, dim, keepdim)


@op(
    "torch.mode",
    "Tensor.mode",
    examples=("f(t(2, 3))", "f(t(2, 3), 0)", "f(t(2, 3), dim=0, keepdim=True)", "f(t(2, 3), 2)"),
)
def mode(input: Any, dim: Any = Dim(-1), keepdim: Any = False, **_: Any) -> Result:
    """The most frequent along an axis, with its index."""
    return _pair(input, dim, keepdim)


@op(
    "torch.aminmax",
    "Tensor.aminmax",
    examples=("f(t(2, 3))", "f(t(2, 3), dim=1)", "f(t(2, 3), dim=0, keepdim=True)", "f(t(2), dim=1)"),
)
def aminmax(input: Any, *, dim: Any = None, keepdim: Any = False, **_: Any) -> Result:
    """The least and the greatest."""
    values = _reduced(input, dim, keepdim, _dtype(input))
    return (values, values) if isinstance(values, Tensor) else values


_SPREAD_EXAMPLES = (
    "f(t(2, 3))",
    "f(t(2, 3), 1)",
    "f(t(2, 3), (0, 1), keepdim=True)",
    "f(t(2, 3), 1, False)",
    "f(t(2, 3), -1, True, True)",
    "f(t(2, 3), dim=0, correction=0)",
    "f(t(2, 3), False)",
    "f(t(2, 3), unbiased=False)",
    "f(t(2, 3, 4), dim=[1, 2], unbiased=False, keepdim=True)",
    "f(t(2, 3), 2)",
    "f(t(2, 3, dtype=i64))",
)


@op("torch.std", "torch.var", "Tensor.std", "Tensor.var", examples=_SPREAD_EXAMPLES)
def std(input: Any, dim: Any = None, unbiased: Any = True, keepdim: Any = False, **_: Any) -> Result:  # noqa: ARG001 - torch's call
    """How far elements lie from each other; a lone bool says whether the estimate is unbiased."""
    return _reduced(input, None if isinstance(dim, bool) else dim, keepdim, _size_of_floats(_dtype(input)))


@op("torch.std_mean", "torch.var_mean", examples=_SPREAD_EXAMPLES)
def std_mean(input: Any, dim: Any = None, unbiased: Any = True, keepdim: Any = False, **_: Any) -> Result:
    """How far elements lie from each other, and their mean."""
    spread = std(input, dim, unbiased, keepdim)
    return (spread, Tensor(spread.shape, _dtype(input))) if isinstance(spread, Tensor) else spread


_NORM_EXAMPLES = (
    "f(t(2, 3))",
    "f(t(2, 3), 2, -1)",
    "f(t(2, 3), dim=-1, keepdim=True)",
    "f(t(2, 3), 1.0, (0, 1))",
    "f(t(2, 3), dim=2)",
)


@op(
    "torch.norm",
    "Tensor.norm",
    examples=(
        *_NORM_EXAMPLES,
        "f(t(2, 3), p='fro', dim=1)",
        "f(t(2, 3), 2, 1, True)",
        "f(t(2, dtype=torch.complex64))",
        "f(t(2, dtype=i64))",
    ),
)
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: Any = False, dtype: Any = None, **_: Any) -> Result:  # noqa: ARG001 - torch's call
    """The length of vectors, or of all that there is."""
    held = _dtype(input)
    return _reduced(input, dim, keepdim, _size_of_floats(held) if dtype is None else read_dtype(dtype, None))


@op("torch.linalg.vector_norm", examples=(*_NORM_EXAMPLES, "f(t(2, 3), ord=1, dim=(0, 1))"))
def vector_norm(
    x: Any, ord: Any = None, dim: Any = None, keepdim: Any = False, *, dtype: Any = None, **_: Any
) -> Result:
    """The length of vectors."""
    return norm(x, ord, dim, keepdim, dtype)


@op("torch.linalg.norm", examples=(*_NORM_EXAMPLES, "f(t(2, 3), 'fro')", "f(t(2, 3, 4), 'nuc', dim=(1, 2))"))
def linalg_norm(
    A: Any, ord: Any = None, dim: Any = None, keepdim: Any = False, *, dtype: Any = None, **_: Any
) -> Result:
    """The size of vectors or matrices."""
    return norm(A, ord, dim, keepdim, dtype)


@op(
    "torch.quantile",
    "torch.nanquantile",
    "Tensor.quantile",
    "Tensor.nanquantile",
    examples=(
        "f(t(2, 3), 0.5)",
        "f(t(2, 3), 0.5, 1)",
        "f(t(2, 3), 0.5, dim=0, keepdim=True)",
        "f(t(2, 3), t(4), dim=1)",
        "f(t(2, 3), t(4))",
        "f(t(2, 3), 0.5, 2)",
    ),
)
def quantile(input: Any, q: Any, dim: Any = None, keepdim: Any = False, **_: Any) -> Result:
    """Quantiles, the wanted ones in a new first axis where `q` has an axis."""
    values = _reduced(input, dim, keepdim, _dtype(input))
    if not isinstance(values, Tensor) or isinstance(q, float):
        return values
    if not isinstance(q, Tensor) or q.shape.axes is None or values.shape.axes is None:
        return Tensor(Shape.unknown(), values.dtype)
    return Tensor(Shape((*q.shape.axes, *values.shape.axes)), values.dtype)


def _along(input: Any, dim: Any, dtype: str | None) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    return tensor_of(check_axis(input.shape, dim), dtype)


def _cumulative(total: DtypeRule) -> Callable[..., Result]:
    def apply(input: Any, dim: Any, dtype: Any = None, **_: Any) -> Result:
        held = total(_dtype(input))
        return _along(input, dim, read_dtype(dtype, None if isinstance(held, Mismatch) else held))

    return apply


_ALONG = ("f(t(2, 3), 1)", "f(t(2, 3), dim=-2)", "f(t(2, 3), 2)", "f(t(), 0)")
for _name in ("cumsum", "cumprod"):
    _examples = (*_ALONG, "f(t(2, 3, dtype=boolean), dim=0)", "f(t(2, dtype=i64), 0, dtype=torch.float32)")
    op(f"torch.{_name}", f"Tensor.{_name}", examples=_examples)(_cumulative(as_total))
op("torch.logcumsumexp", "Tensor.logcumsumexp", examples=_ALONG)(_cumulative(_same))
op("Tensor.cumsum_", "Tensor.cumprod_", examples=_ALONG)(_cumulative(_same))
_softmax_examples = (*_ALONG, "f(t(2, 3), dim=-1, dtype=torch.float64)")
for _name in ("softmax", "log_softmax"):
    op(f"torch.{_name}", f"Tensor.{_name}", f"torch.special.{_name}", examples=_softmax_examples)(_cumulative(_same))


@op("torch.cummax", "torch.cummin", "Tensor.cummax", "Tensor.cummin", examples=_ALONG)
def cummax(input: Any, dim: Any, **_: Any) -> Result:
    """The greatest so far along an axis, and where it was."""
    values = _along(input, dim, _dtype(input))
    return (values, Tensor(values.shape, "int64")) if isinstance(values, Tensor) else values


@op("torch.renorm", "Tensor.renorm", examples=("f(t(2, 3), 2, 0, 1.0)", "f(t(2, 3), 2, dim=2, maxnorm=1.0)"))
def renorm(input: Any, p: Any, dim: Any, maxnorm: Any, **_: Any) -> Result:  # noqa: ARG001 - torch's call
    """The tensor with the parts along an axis made no longer than wanted."""
    return _along(input, dim, _dtype(input))


@op("torch.dist", "Tensor.dist", examples=("f(t(2, 3), t(3))", "f(t(2), t(3))"))
def dist(input: Any, other: Any, *_: Any) -> Result:
    """The length of the difference of two tensors."""
    together = stretch_together((input, other), result_type(input, other))
    return (
        Tensor(Shape((), together.shape.doubt), as_real(together.dtype)) if isinstance(together, Tensor) else together
    )


@op(
    "torch.diff",
    "Tensor.diff",
    examples=(
        "f(t(2, 3))",
        "f(t(2, 5), n=2)",
        "f(t(4, 3), dim=0)",
        "f(t(2, 3), n=5)",
        "f(t(2, 3), dim=2)",
        "f(t())",
        "f(t(3, dtype=boolean))",
        "f(t(2, 3), prepend=t(2, 1), append=t(2, 2))",
        "f(t(2, 3), n=0, prepend=t(2, 1))",
    ),
)
def diff(input: Any, n: Any = Dim(1), dim: Any = Dim(-1), prepend: Any = None, append: Any = None, **_: Any) -> Result:
    """The differences of neighbours along an axis, of which there is one less each time."""
    if not isinstance(input, Tensor) or input.shape.axes is None:
        return UNKNOWN
    if not input.shape.axes:
        return RankMismatch("input", (), "... n", at_least=True)
    positions = axis_positions((dim,), len(input.shape.axes))
    if isinstance(positions, Mismatch):
        return positions
    axes = [UNKNOWN_AXIS] * len(input.shape.axes) if positions is None else list(input.shape.axes)
    for position in positions or ():
        size = axes[position].size
        more = [_length_along(part, position) for part in (prepend, append) if part is not None]
        if size is None or not isinstance(n, Dim) or None in more:
            axes[position] = UNKNOWN_AXIS
        elif n != 0:
            axes[position] = Axis.of(not_below_zero(sum((part for part in more if part is not None), size) - n))
    return Tensor(Shape(tuple(axes)), input.dtype)


def _length_along(part: Any, position: int) -> Dim | None:
    axes = part.shape.axes if isinstance(part, Tensor) else None
    return axes[position].size if axes is not None and position < len(axes) else None
