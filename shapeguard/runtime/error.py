"""The exception that a guard raises."""

from __future__ import annotations

from jaxtyping import TypeCheckError


class ShapeError(TypeCheckError):
    """A value does not have the shape, dtype or type that its annotation states.

    It is a TypeError and a jaxtyping.TypeCheckError, so that code which catches those goes on working.
    """

    @property
    def headline(self) -> str:
        """The first line, which stands alone."""
        return str(self).partition("\n")[0]
