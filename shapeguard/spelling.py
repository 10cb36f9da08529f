"""What may have been meant by a name that isn't known."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that is most like this one, if any is like it; `cutoff` is how much, up to 1."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", *, cutoff: float = 0.6) -> str:
    """The end of a sentence that says a name isn't known; `otherwise` where no known one is like it."""
    near = nearest(name, known, cutoff=cutoff)
    return f"; did you mean `{near}`?" if near else otherwise
