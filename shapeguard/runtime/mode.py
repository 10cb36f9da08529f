"""Whether guards check: always (on), never (off), or each call site's first call (once)."""

from __future__ import annotations

import os
import sys
from types import CodeType, TracebackType
from typing import Literal, get_args

Mode = Literal["on", "off", "once"]
MODES: tuple[Mode, ...] = get_args(Mode)
VARIABLE = "SHAPEGUARD"

# Every guarded call reads these two; plain attributes of a module are what costs least.
on = True
once = False


def current() -> Mode:
    """The mode in force."""
    return "on" if on else "once" if once else "off"


class switch:  # noqa: N801 - used as a function and as a context manager
    """Set the mode for the whole process: at once, or for the length of a `with` block."""

    def __init__(self, mode: Mode) -> None:
        self.before = current()
        _set(mode)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _set(self.before)


def validated(mode: str, source: str) -> Mode:
    """`mode` if it is one; else a ValueError that lists the modes and names where the word came from."""
    for known in MODES:
        if mode == known:
            return known
    message = f"{source} is {mode!r}; the modes are {', '.join(MODES)}"
    raise ValueError(message)


def is_new_site(seen: set[tuple[CodeType, int]]) -> bool:
    """Whether the caller of the guarded function calls it from this place for the first time."""
    frame = sys._getframe(2)  # noqa: SLF001 - documented; the frame that called the guarded function
    site = (frame.f_code, frame.f_lasti)
    if site in seen:
        return False
    seen.add(site)
    return True


def _set(mode: str) -> None:
    global on, once
    checked = validated(mode, "the mode")
    on, once = checked == "on", checked == "once"


_set(validated(os.environ.get(VARIABLE, "on"), f"the environment variable {VARIABLE}"))
