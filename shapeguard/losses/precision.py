"""The precision in which losses are computed."""

from torch import Tensor


def upcast(values: Tensor) -> Tensor:
    """The values in float32 where they come in less; float64 stays."""
    return values.float() if values.dtype.itemsize < 4 else values  # noqa: PLR2004 - bytes of a float32
