"""What is known of a rule before it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shapeguard.diagnostics import Code

if TYPE_CHECKING:
    from shapeguard.lint.rule import Rule


@dataclass(frozen=True, slots=True)
class Outline:
    """A rule from outside."""

    kind: Code
    """Without its page."""
    words: tuple[str, ...]
    """As the rule has them: a file whose text has none of them isn't looked at; `a & b` asks for both."""
    load: Callable[[], Rule]

    def is_mentioned(self, holds: Callable[[str], bool]) -> bool:
        """Whether a text that holds these words is looked at."""
        return any(all(map(holds, word.split(" & "))) for word in self.words)
