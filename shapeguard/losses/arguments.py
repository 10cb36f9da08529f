"""Arguments that several losses have in common."""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

Items = int | float | Int[Tensor, ""] | Float[Tensor, ""] | None
"""By how many items a sum is divided; None stands for those in it."""

WhenEmpty = Literal["error", "zero"]
"""What a mean of nothing does."""
