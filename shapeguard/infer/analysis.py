"""What the static checker says of one file. Plain data."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shapeguard.diagnostics import Diagnostic, Span

if TYPE_CHECKING:
    from shapeguard.ops.values import Tensor


@dataclass(frozen=True, slots=True)
class Expression:
    """One tensor-valued expression and what is known of it."""

    span: Span
    function: str
    """The qualified name of the function around it, "" at module level."""
    text: str
    shape: tuple[str | int, ...] | None
    """Integers, expressions over names, "?" for an unknown axis, "..." for an unknown number; None for no knowledge."""
    dtype: str | None


@dataclass(frozen=True)
class Analysis:
    """Findings, what is known of each expression, and what lost track."""

    diagnostics: tuple[Diagnostic, ...] = ()
    expressions: tuple[Expression, ...] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    """Call, as written -> how many expressions are unknown because of it."""
    exhausted: tuple[str, ...] = ()
    """Functions whose budget ran out."""
    tensors: Mapping[ast.expr, Tensor] = field(default_factory=dict)
    """What is known of each expression, by its node."""
