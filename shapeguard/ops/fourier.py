"""Fourier transforms: along one axis or several, of whole signals and of windows that run over them."""

# ruff: noqa: A002, B008, FBT002, PLR0913, PLR0917 - torch's names, defaults and parameters

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shapeguard.ops.arguments import axis_positions, read_dtype, tensor_of
from shapeguard.ops.products import check_rank
from shapeguard.ops.promotion import COMPLEX, DEFAULT_FLOAT, as_complex, as_float, as_real, category
from shapeguard.ops.reading import as_size, as_tensor, keep_shape
from shapeguard.ops.registry import op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import DtypeMismatch, InvalidArgument, Mismatch, OrderLengthMismatch
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape


@dataclass(frozen=True)
class _Kind:
    """How a transform changes the last of its axes, and what it takes and gives."""

    halves: bool = False
    """Only half of the frequencies are kept, as the others follow from them."""
    doubles: bool = False
    """What is kept of the frequencies, made a whole signal."""
    takes_complex: bool = True
    gives_complex: bool = True


_KINDS = {
    "fft": _Kind(),
    "ifft": _Kind(),
    "rfft": _Kind(halves=True, takes_complex=False),
    "ihfft": _Kind(halves=True, takes_complex=False),
    "irfft": _Kind(doubles=True, gives_complex=False),
    "hfft": _Kind(doubles=True, gives_complex=False),
}


def _dtype(kind: _Kind, dtype: str | None) -> str | Mismatch | None:
    if not kind.takes_complex and category(dtype) == COMPLEX:
        return DtypeMismatch("input", str(dtype), "a real dtype")
    return (
        as_complex(as_float(dtype))
        if kind.gives_complex and category(dtype) != COMPLEX
        else (as_float(dtype) if kind.gives_complex else as_real(as_float(dtype)))
    )


def _last_axis(kind: _Kind, axis: Axis, size: Any) -> Axis | Mismatch:
    """What becomes of the last axis that is transformed; `size` is None where none is asked for."""
    if size is not None and not isinstance(size, Dim):
        return UNKNOWN_AXIS
    signal = axis.size if size is None else size
    if size is not None and (as_int(size) or 1) < 1:
        return InvalidArgument("n", size, "at least 1")
    if kind.doubles and size is None and signal is not None:
        signal = 2 * (signal - 1)
    if signal is None:
        return UNKNOWN_AXIS
    if (as_int(signal) or 1) < 1 or signal == 0:
        return InvalidArgument("n", signal, "at least 1")
    if kind.halves:
        return Axis.of(signal // 2 + 1)
    return axis if size is None and not kind.doubles else Axis.of(signal)


def _transform(kind: _Kind, input: Any, sizes: Sequence[Any] | None, dims: Sequence[Any] | None) -> Result:
    """Transform the axes `dims`, all or the last as many as sizes where that is None, to `sizes`."""
    x = as_tensor(input)
    dtype = _dtype(kind, x.dtype)
    if isinstance(dtype, Mismatch):
        return dtype
    axes = x.shape.axes
    if axes is None:
        return Tensor(Shape.unknown(), dtype)
    if dims is None:
        count = len(axes) if sizes is None else len(sizes)
        dims = tuple(Dim(axis) for axis in range(-count, 0))
    if not axes and dims:
        return check_rank("input", x.shape, "... n") or UNKNOWN
    if len(dims) > len(axes):
        return OrderLengthMismatch(tuple(as_int(dim) or 0 for dim in dims if isinstance(dim, Dim)), len(axes))
    positions = axis_positions(dims, len(axes))
    if isinstance(positions, Mismatch):
        return positions
    if positions is None or (sizes is not None and len(sizes) != len(positions)):
        return Tensor(Shape((UNKNOWN_AXIS,) * len(axes)), dtype)
    result = list(axes)
    for place, position in enumerate(positions):
        size = None if sizes is None else sizes[place]
        # A size of -1 leaves the axis as it is.
        size = None if size == -1 and len(positions) > 1 else size
        own = kind if place == len(positions) - 1 else _Kind()
        changed = _last_axis(own, axes[position], size)
        if isinstance(changed, Mismatch):
            return changed
        result[position] = changed
    return Tensor(Shape(tuple(result)), dtype)


def _along_one(kind: _Kind) -> Callable[..., Result]:
    def transform(input: Any, n: Any = None, dim: Any = Dim(-1), norm: Any = None, *, out: Any = None) -> Result:
        del norm, out
        return _transform(kind, input, None if n is None else (n,), (dim,))

    return transform


def _along_several(kind: _Kind, dims: Any) -> Callable[..., Result]:
    def transform(input: Any, s: Any = None, dim: Any = dims, norm: Any = None, *, out: Any = None) -> Result:
        del norm, out
        wanted = (s,) if isinstance(s, Dim) else s
        along = (dim,) if isinstance(dim, Dim) else dim
        if not isinstance(wanted, tuple | None) or not isinstance(along, tuple | None):
            x = as_tensor(input)
            dtype = _dtype(kind, x.dtype)
            count = None if x.shape.axes is None else len(x.shape.axes)
            shape = Shape.unknown() if count is None else Shape((UNKNOWN_AXIS,) * count)
            return dtype if isinstance(dtype, Mismatch) else Tensor(shape, dtype)
        return _transform(kind, input, wanted, along)

    return transform


_ONE = (
    "f(t(2, 8))",
    "f(t(2, 8), 5)",
    "f(t(2, 8), n=16, dim=0)",
    "f(t(2, 8, dtype=i64))",
    "f(t(2, 8), dim=2)",
    "f(t())",
)
_TWO = ("f(t(3, 4, 8))", "f(t(3, 4, 8), (5, 6))", "f(t(3, 4, 8), s=(6,), dim=(0,))", "f(t(3, 4, 8), dim=(0, 3))")
for _name, _kind in _KINDS.items():
    _complex = "f(t(2, 8, dtype=torch.complex64))"
    op(f"torch.fft.{_name}", examples=(*_ONE, _complex, "f(t(2, 8), n=0)"))(_along_one(_kind))
    op(f"torch.fft.{_name}2", examples=(*_TWO, "f(t(8))"))(_along_several(_kind, (Dim(-2), Dim(-1))))
    op(f"torch.fft.{_name}n", examples=(*_TWO, "f(t(8))"))(_along_several(_kind, None))


@op(
    "torch.fft.fftshift",
    "torch.fft.ifftshift",
    examples=("f(t(2, 3))", "f(t(2, 3), dim=1)", "f(t(2, 3), (0, 1))", "f(t(2, 3), 2)"),
)
def fftshift(input: Any, dim: Any = None) -> Result:
    """Frequencies in another order."""
    x = as_tensor(input)
    dims = (dim,) if isinstance(dim, Dim) else dim
    if isinstance(dims, tuple) and x.shape.axes is not None:
        positions = axis_positions(dims, len(x.shape.axes))
        if isinstance(positions, Mismatch):
            return positions
    return keep_shape(x)


@op("torch.fft.fftfreq", examples=("f(5)", "f(5, 0.1)", "f(5, d=0.1, dtype=torch.float64)"))
def fftfreq(n: Any, d: Any = 1.0, *, dtype: Any = None, **_: Any) -> Result:
    """The frequencies of a signal's transform."""
    del d
    return Tensor(Shape.of(as_size(n)), read_dtype(dtype, DEFAULT_FLOAT))


@op("torch.fft.rfftfreq", examples=("f(5)", "f(6, 0.1)"))
def rfftfreq(n: Any, d: Any = 1.0, *, dtype: Any = None, **_: Any) -> Result:
    """The frequencies of a real signal's transform."""
    del d
    size = as_size(n)
    return Tensor(Shape.of(None if size is None else size // 2 + 1), read_dtype(dtype, DEFAULT_FLOAT))


@op(
    "torch.stft",
    "Tensor.stft",
    examples=(
        "f(t(400), 40, window=t(40), return_complex=True)",
        "f(t(2, 400), 40, 10, 30, t(30), return_complex=True)",
        "f(t(2, 400), n_fft=41, hop_length=10, window=t(41), center=False, return_complex=True)",
        "f(t(2, 400), 40, window=t(40), onesided=False, return_complex=True)",
        "f(t(2, 400, dtype=torch.complex64), 40, window=t(40, dtype=torch.complex64), return_complex=True)",
        "f(t(2, 3, 400), 40, window=t(40), return_complex=True)",
        "f(t(2, 400), 40, window=t(30), return_complex=True)",
        "f(t(2, 400), 40, win_length=50, window=t(50), return_complex=True)",
        "f(t(2, 30), 40, window=t(40), center=False, return_complex=True)",
    ),
)
def stft(
    input: Any,
    n_fft: Any,
    hop_length: Any = None,
    win_length: Any = None,
    window: Any = None,
    center: Any = True,
    pad_mode: Any = "reflect",
    normalized: Any = False,
    onesided: Any = None,
    return_complex: Any = None,
    align_to_window: Any = None,
) -> Result:
    """The transforms of windows that run over a signal: (batch, frequencies, windows), or their parts in a last axis."""
    del pad_mode, normalized
    x, size = as_tensor(input), as_size(n_fft)
    axes = x.shape.axes
    if axes is not None and len(axes) not in (1, 2):
        return check_rank("input", x.shape, "batch n") or UNKNOWN_TENSOR
    wrong = _refuse_window(size, win_length, window)
    if wrong is not None:
        return wrong
    if not isinstance(return_complex, bool) and return_complex is not None:
        return UNKNOWN_TENSOR
    is_complex = category(x.dtype) == COMPLEX or (isinstance(window, Tensor) and category(window.dtype) == COMPLEX)
    half: bool | None = not is_complex if onesided is None else onesided if isinstance(onesided, bool) else None
    if onesided is None and (
        x.dtype is None or (isinstance(window, Tensor) and window.dtype is None) or window is UNKNOWN
    ):
        half = None
    frequencies = None if size is None or half is None else size // 2 + 1 if half else size
    windows = None if axes is None or align_to_window is not None else _windows(axes[-1].size, size, hop_length, center)
    if isinstance(windows, Mismatch):
        return windows
    if axes is None:
        return Tensor(Shape.unknown(), None)
    parts = (Axis.of(2),) if return_complex is False or (return_complex is None and not is_complex) else ()
    if return_complex is None and (x.dtype is None or not isinstance(window, Tensor | None)):
        return UNKNOWN_TENSOR
    alone = window is None or (isinstance(window, Tensor) and window.dtype == x.dtype)
    known = as_float(x.dtype) if alone else None
    dtype = as_real(known) if parts else known if category(known) == COMPLEX else as_complex(known)
    return Tensor(Shape((*axes[:-1], *(Shape.of(frequencies, windows).axes or ()), *parts)), dtype)


def _refuse_window(size: Dim | None, length: Any, window: Any) -> Mismatch | None:
    wanted = as_size(length) if length is not None else size
    if length is not None and size is not None and wanted is not None and (as_int(size - wanted) or 0) < 0:
        return InvalidArgument("win_length", wanted, f"at most {size}, the size of the transform")
    sizes = window.shape.sizes if isinstance(window, Tensor) else None
    if sizes is None or wanted is None:
        return None
    if len(sizes) != 1:
        return check_rank("window", window.shape, "n")
    apart = None if sizes[0] is None else as_int(sizes[0] - wanted)
    return InvalidArgument("window", f"of {sizes[0]}", f"one of {wanted}") if apart else None


def _windows(length: Dim | None, size: Dim | None, hop: Any, center: Any) -> Dim | Mismatch | None:
    """How many windows fit into a signal."""
    step = as_size(hop) if hop is not None else None if size is None else size // 4
    if length is None or size is None or step is None or not isinstance(center, bool) or step == 0:
        return None
    if center:
        length = length + 2 * (size // 2)
    spare = as_int(length - size)
    if spare is not None and spare < 0:
        return InvalidArgument("n_fft", size, f"at most {length}, the length of the signal")
    return (length - size) // step + 1


@op(
    "torch.istft",
    "Tensor.istft",
    # The meta device has no numbers in which to look for a window that is zero.
    examples=(),
)
def istft(
    input: Any,
    n_fft: Any,
    hop_length: Any = None,
    win_length: Any = None,
    window: Any = None,
    center: Any = True,
    normalized: Any = False,
    onesided: Any = None,
    length: Any = None,
    return_complex: Any = False,
) -> Result:
    """The signal of which windows were transformed."""
    del win_length, window, normalized, onesided
    x, size = as_tensor(input), as_size(n_fft)
    axes = x.shape.axes
    if axes is not None and len(axes) not in (2, 3):
        return check_rank("input", x.shape, "batch n windows") or UNKNOWN_TENSOR
    if axes is None:
        return UNKNOWN_TENSOR
    step = as_size(hop_length) if hop_length is not None else None if size is None else size // 4
    total: Dim | None = None
    if length is not None:
        total = as_size(length)
    elif isinstance(center, bool) and axes[-1].size is not None and size is not None and step is not None:
        total = size + step * (axes[-1].size - 1) - (2 * (size // 2) if center else 0)
    dtype = as_real(x.dtype) if return_complex is False and category(x.dtype) == COMPLEX else None
    return tensor_of(Shape((*axes[:-2], *(Shape.of(total).axes or ()))), dtype)
