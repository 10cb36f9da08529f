"""What is computed from matrices that lie in the last two axes: inverses, decompositions, solutions."""

# ruff: noqa: A002, B008, FBT002, N803 - torch's names and defaults

from __future__ import annotations

from typing import Any

from shapeguard.ops.products import check_contraction, check_rank, common_dtype
from shapeguard.ops.promotion import as_complex, as_real, as_total
from shapeguard.ops.reductions import norm
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, minimum
from shapeguard.shapes.mismatch import Mismatch, NotSquare
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape


def _check_matrix(input: Any) -> Mismatch | None:
    return check_rank("input", input.shape, "... n m") if isinstance(input, Tensor) else None


def _check_square(input: Any) -> tuple[Mismatch | None, Mismatch | None]:
    """What is surely wrong with a tensor of square matrices, and what may be."""
    mismatch = _check_matrix(input)
    if mismatch is not None or not isinstance(input, Tensor) or input.shape.axes is None:
        return mismatch, None
    rows, columns = (axis.size for axis in input.shape.axes[-2:])
    equal = rows is None or columns is None or compare(rows, columns)
    if equal is True:
        return None, None
    wrong = NotSquare(input.shape.sizes or ())
    return (wrong, None) if equal is False else (None, wrong)


def _of_square(input: Any, *, drop: int, dtype: str | None = None) -> Result:
    """A tensor as square matrices are, without the last `drop` axes."""
    wrong, doubt = _check_square(input)
    if wrong is not None:
        return wrong
    if not isinstance(input, Tensor):
        return UNKNOWN_TENSOR
    axes = input.shape.axes
    return Tensor(Shape(None if axes is None else axes[: len(axes) - drop], doubt), dtype or input.dtype)


_SQUARE = ("f(t(3, 3))", "f(t(5, 2, 3, 3))", "f(t(2, 3))", "f(t(3))")


@op(
    "torch.linalg.inv",
    "torch.inverse",
    "Tensor.inverse",
    "torch.linalg.cholesky",
    "torch.cholesky",
    "Tensor.cholesky",
    examples=_SQUARE,
)
@op("torch.matrix_exp", "torch.linalg.matrix_exp", "Tensor.matrix_exp", "torch.cholesky_inverse", examples=_SQUARE)
def inverse(input: Any, *_: Any, **__: Any) -> Result:
    """A square matrix for each."""
    return _of_square(input, drop=0)


@op(
    "torch.linalg.matrix_power",
    "torch.matrix_power",
    "Tensor.matrix_power",
    examples=("f(t(3, 3), 2)", "f(t(5, 3, 3), 3)", "f(t(2, 3), 2)"),
)
def matrix_power(input: Any, n: Any, **_: Any) -> Result:  # noqa: ARG001 - any power has the same shape
    """A square matrix for each."""
    return inverse(input)


@op("torch.linalg.det", "torch.det", "Tensor.det", "torch.logdet", "Tensor.logdet", examples=_SQUARE)
def det(input: Any, **_: Any) -> Result:
    """A number for each square matrix."""
    return _of_square(input, drop=2)


@op("torch.linalg.slogdet", "torch.slogdet", "Tensor.slogdet", examples=_SQUARE)
def slogdet(input: Any, **_: Any) -> Result:
    """The sign and the logarithm of each determinant."""
    sign = _of_square(input, drop=2)
    return (sign, Tensor(sign.shape, as_real(sign.dtype))) if isinstance(sign, Tensor) else sign


@op("torch.linalg.eigh", examples=_SQUARE)
def eigh(input: Any, *_: Any, **__: Any) -> Result:
    """The eigenvalues, which are real, and the vectors, in columns."""
    vectors = _of_square(input, drop=0)
    values = eigvalsh(input)
    return (values, vectors) if isinstance(values, Tensor) and isinstance(vectors, Tensor) else values


@op("torch.linalg.eigvalsh", examples=_SQUARE)
def eigvalsh(input: Any, *_: Any, **__: Any) -> Result:
    """The eigenvalues of symmetric matrices."""
    return _of_square(input, drop=1, dtype=as_real(input.dtype) if isinstance(input, Tensor) else None)


@op("torch.linalg.eig", examples=_SQUARE)
def eig(input: Any, **_: Any) -> Result:
    """The eigenvalues and the vectors, all complex."""
    dtype = (as_complex(input.dtype) or input.dtype) if isinstance(input, Tensor) else None
    vectors, values = _of_square(input, drop=0, dtype=dtype), _of_square(input, drop=1, dtype=dtype)
    return (values, vectors) if isinstance(values, Tensor) and isinstance(vectors, Tensor) else values


@op("torch.linalg.eigvals", examples=_SQUARE)
def eigvals(input: Any, **_: Any) -> Result:
    """The eigenvalues, all complex."""
    both = eig(input)
    return both[0] if isinstance(both, tuple) else both


@op("torch.linalg.cholesky_ex", "torch.linalg.inv_ex", examples=_SQUARE)
def cholesky_ex(input: Any, **_: Any) -> Result:
    """A square matrix for each, and a number that tells whether there is one."""
    factor, info = _of_square(input, drop=0), _of_square(input, drop=2, dtype="int32")
    return (factor, info) if isinstance(factor, Tensor) and isinstance(info, Tensor) else factor


def _lesser(rows: Axis, columns: Axis) -> Axis:
    if rows.size is None or columns.size is None:
        return UNKNOWN_AXIS
    return rows if rows.size == columns.size else Axis.of(minimum(rows.size, columns.size))


def _split_matrix(input: Any) -> tuple[tuple[Axis, ...], Axis, Axis] | Mismatch | None:
    mismatch = _check_matrix(input)
    if mismatch is not None or not isinstance(input, Tensor) or input.shape.axes is None:
        return mismatch
    return input.shape.axes[:-2], input.shape.axes[-2], input.shape.axes[-1]


_RECTANGULAR = ("f(t(2, 3))", "f(t(5, 4, 3))", "f(t(3))")


@op("torch.linalg.svd", examples=(*_RECTANGULAR, "f(t(5, 4, 3), full_matrices=False)", "f(t(2, 3), False)"))
def svd(A: Any, full_matrices: Any = True, **_: Any) -> Result:
    """U, the singular values, and V transposed."""
    parts = _split_matrix(A)
    if isinstance(parts, Mismatch):
        return parts
    if parts is None:
        return (UNKNOWN_TENSOR,) * 3
    batch, rows, columns = parts
    least = _lesser(rows, columns)
    left = rows if full_matrices is True else least if full_matrices is False else UNKNOWN_AXIS
    right = columns if full_matrices is True else least if full_matrices is False else UNKNOWN_AXIS
    u, s, vh = (Shape((*batch, *axes)) for axes in ((rows, left), (least,), (right, columns)))
    return Tensor(u, A.dtype), Tensor(s, as_real(A.dtype)), Tensor(vh, A.dtype)


@op("torch.svd", "Tensor.svd", examples=(*_RECTANGULAR, "f(t(5, 4, 3), some=False)"))
def old_svd(input: Any, some: Any = True, *_: Any, **__: Any) -> Result:
    """U, the singular values, and V."""
    full = (not some) if isinstance(some, bool) else UNKNOWN
    result = svd(input, full)
    if isinstance(result, tuple) and isinstance(result[2], Tensor) and result[2].shape.axes is not None:
        return (
            result[0],
            result[1],
            Tensor(Shape((*result[2].shape.axes[:-2], *result[2].shape.axes[:-3:-1])), input.dtype),
        )
    return result


@op("torch.linalg.svdvals", examples=_RECTANGULAR)
def svdvals(A: Any, **_: Any) -> Result:
    """The singular values."""
    result = svd(A)
    return result[1] if isinstance(result, tuple) else result


@op("torch.linalg.qr", examples=_RECTANGULAR)
def qr(A: Any, mode: Any = "reduced", **_: Any) -> Result:
    """Q and R, reduced or complete."""
    parts = _split_matrix(A)
    if isinstance(parts, Mismatch):
        return parts
    if parts is None or mode not in ("reduced", "complete"):
        return (UNKNOWN_TENSOR,) * 2
    batch, rows, columns = parts
    inner = rows if mode == "complete" else _lesser(rows, columns)
    return Tensor(Shape((*batch, rows, inner)), A.dtype), Tensor(Shape((*batch, inner, columns)), A.dtype)


@op("torch.pinverse", "Tensor.pinverse", examples=_RECTANGULAR)
def pinverse(input: Any, *_: Any) -> Result:
    """The pseudo-inverse, which has as many rows as there were columns."""
    parts = _split_matrix(input)
    if isinstance(parts, Mismatch):
        return parts
    return UNKNOWN_TENSOR if parts is None else Tensor(Shape((*parts[0], parts[2], parts[1])), input.dtype)


@op("torch.linalg.pinv", examples=(*_RECTANGULAR, "f(t(5, 2, 3), rtol=t(5))", "f(t(2, 3), atol=t(5), rtol=t(4, 1))"))
def pinv(A: Any, rcond: Any = None, hermitian: Any = False, *, atol: Any = None, rtol: Any = None, **_: Any) -> Result:
    """The pseudo-inverse; tolerances may be tensors, one number for each matrix."""
    del hermitian
    inverse = pinverse(A)
    tolerances = [value for value in (rcond, atol, rtol) if isinstance(value, Tensor)]
    if (
        not isinstance(inverse, Tensor)
        or inverse.shape.axes is None
        or any(axis.size == 0 for axis in inverse.shape.axes)
    ):
        return inverse
    if UNKNOWN in (rcond, atol, rtol):
        return UNKNOWN_TENSOR
    if not tolerances:
        return inverse
    batch = shapes.broadcast(Shape(inverse.shape.axes[:-2]), *(value.shape for value in tolerances))
    if isinstance(batch, Mismatch) or batch.axes is None:
        return batch if isinstance(batch, Mismatch) else UNKNOWN_TENSOR
    return Tensor(Shape((*batch.axes, *inverse.shape.axes[-2:]), batch.doubt), inverse.dtype)


@op("torch.linalg.matrix_rank", examples=("f(t(2, 3))", "f(t(5, 4, 3))"))
def matrix_rank(A: Any, *more: Any, **named: Any) -> Result:
    """A whole number for each matrix; tolerances may be tensors, one number for each matrix."""
    parts = _split_matrix(A)
    if isinstance(parts, Mismatch):
        return parts
    if any(value is UNKNOWN or isinstance(value, Tensor) for value in (*more, *named.values())):
        return Tensor(Shape.unknown(), "int64")
    return Tensor(Shape.unknown() if parts is None else Shape(parts[0]), "int64")


def _holds_vectors(matrices: tuple[Axis, ...], right: tuple[Axis, ...]) -> bool | None:
    """Whether torch takes a right side for vectors: with a lone axis, or with all axes of the matrices but the last."""
    if len(right) == 1:
        return True
    if len(right) != len(matrices) - 1:
        return False
    equal = [
        None if one.size is None or other.size is None else compare(one.size, other.size)
        for one, other in zip(matrices[:-1], right, strict=True)
    ]
    return False if False in equal else None if None in equal else True


def _solved(A: Any, B: Any, *, wide: bool) -> Result:
    """What has the rows of `B`, as the square `A` has; `wide` where B can't be vectors."""
    wrong, doubt = _check_square(A)
    if wrong is not None:
        return wrong
    if not isinstance(A, Tensor) or not isinstance(B, Tensor) or A.shape.axes is None or B.shape.axes is None:
        return UNKNOWN_TENSOR
    left, right = A.shape.axes, B.shape.axes
    vectors = False if wide else _holds_vectors(left, right)
    if vectors is None:
        return UNKNOWN_TENSOR
    if vectors:
        mismatch, sure = check_contraction(A.shape, B.shape, -2, -1)
        axes = (*(left[:-2] if len(right) == 1 else right[:-1]), left[-1])
        return mismatch if mismatch is not None and sure else Tensor(Shape(axes, mismatch or doubt), common_dtype(A, B))
    return check_rank("B", B.shape, "... n k") or _solved_matrices(A, B, doubt)


def _solved_matrices(A: Tensor, B: Tensor, doubt: Mismatch | None) -> Result:
    mismatch, sure = check_contraction(A.shape, B.shape, -2, -2)
    if mismatch is not None and sure:
        return mismatch
    left, right = A.shape.axes or (), B.shape.axes or ()
    batch = shapes.broadcast(Shape(left[:-2]), Shape(right[:-2]))
    if isinstance(batch, Mismatch):
        return batch
    axes = (*(batch.axes or ()), left[-1], right[-1])
    return Tensor(Shape(axes, mismatch or doubt or batch.doubt), common_dtype(A, B))


@op(
    "torch.linalg.solve",
    examples=(
        "f(t(3, 3), t(3, 4))",
        "f(t(3, 3), t(3))",
        "f(t(5, 3, 3), t(5, 3))",
        "f(t(5, 3, 3), t(3, 2))",
        "f(t(5, 3, 3), t(4, 3), left=False)",
        "f(t(3, 4), t(3, 2))",
        "f(t(3, 3), t(4, 2))",
    ),
)
def solve(A: Any, B: Any, *, left: Any = True, **_: Any) -> Result:
    """X where A X is B."""
    if left is False:
        return _from_the_right(A, B, wide=False)
    return _solved(A, B, wide=False) if left is True else UNKNOWN_TENSOR


@op(
    "torch.linalg.solve_triangular",
    examples=(
        "f(t(3, 3), t(3, 4), upper=True)",
        "f(t(5, 1, 3, 3), t(2, 3, 4), upper=False)",
        "f(t(3, 3), t(4, 2), upper=True)",
        "f(t(3, 3), t(4, 3), upper=True, left=False)",
        "f(t(3, 3), t(3, 4), upper=True, left=False)",
    ),
)
def solve_triangular(A: Any, B: Any, *, left: Any = True, **_: Any) -> Result:
    """X where A X is B and A is triangular."""
    if left is False:
        return _from_the_right(A, B, wide=True)
    return _solved(A, B, wide=True) if left is True else UNKNOWN_TENSOR


def _from_the_right(A: Any, B: Any, *, wide: bool) -> Result:
    """X where X A is B."""
    if not isinstance(A, Tensor) or not isinstance(B, Tensor) or A.shape.axes is None or B.shape.axes is None:
        return UNKNOWN_TENSOR
    wrong = _check_square(A)[0]
    if wrong is not None:
        return wrong
    if not wide and _holds_vectors(A.shape.axes, B.shape.axes) is not False:
        return UNKNOWN_TENSOR
    wrong = check_rank("B", B.shape, "... k n")
    if wrong is not None:
        return wrong
    turned = _solved(A, Tensor(Shape((*B.shape.axes[:-2], B.shape.axes[-1], B.shape.axes[-2])), B.dtype), wide=True)
    if not isinstance(turned, Tensor) or turned.shape.axes is None:
        return turned
    axes = turned.shape.axes
    return Tensor(Shape((*axes[:-2], axes[-1], axes[-2]), turned.shape.doubt), turned.dtype)


@op("torch.cholesky_solve", "Tensor.cholesky_solve", examples=("f(t(3, 4), t(3, 3))", "f(t(4, 2), t(3, 3))"))
def cholesky_solve(B: Any, L: Any, *_: Any, **__: Any) -> Result:
    """X where the product of L, L transposed and X is B."""
    return _solved(L, B, wide=True)


@op(
    "torch.linalg.matrix_norm",
    examples=("f(t(5, 2, 3))", "f(t(2, 3), 'nuc')", "f(t(5, 2, 3), dim=(0, 1), keepdim=True)", "f(t(3))"),
)
def matrix_norm(
    A: Any,
    ord: Any = "fro",
    dim: Any = (Dim(-2), Dim(-1)),
    keepdim: Any = False,
    *,
    dtype: Any = None,
    **_: Any,
) -> Result:
    """A number for each matrix."""
    return _check_matrix(A) or norm(A, ord, dim, keepdim, dtype)


@op("torch.trace", "Tensor.trace", examples=("f(t(3, 4))", "f(t(3, 3, dtype=i64))", "f(t(2, 3, 3))", "f(t(3))"))
def trace(input: Any) -> Result:
    """The sum of the diagonal of one matrix."""
    if not isinstance(input, Tensor):
        return UNKNOWN
    return check_rank("input", input.shape, "n m") or Tensor(Shape(()), as_total(input.dtype))
