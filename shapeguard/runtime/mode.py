"""Whether guards check: always (on), never (off), or each call site's first call (once)."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
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


@dataclass(eq=False)
class _Setting:
    """The mode of the process, or of one `with` block that is open."""

    mode: Mode


class switch:  # noqa: N801 - used as a function and as a context manager
    """Set the mode for the whole process: at once, or for the length of a `with` block."""

    def __init__(self, mode: Mode) -> None:
        self.setting = _Setting(validated(mode, "the mode"))
        with _lock:
            self.changed = _settings[-1]
            self.before, self.changed.mode = self.changed.mode, mode
            _put_in_force()

    def __enter__(self) -> None:
        with _lock:
            self.changed.mode = self.before
            _settings.append(self.setting)
            _put_in_force()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _lock:
            _settings.remove(self.setting)
            _put_in_force()


_lock = threading.Lock()


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
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("torch.nn.modules."):
        frame = frame.f_back
    site = (frame.f_code, frame.f_lasti)
    if site in seen:
        return False
    seen.add(site)
    return True


def _put_in_force() -> None:
    global on, once
    mode = _settings[-1].mode
    on, once = mode == "on", mode == "once"


# The last is in force. Blocks of several threads may overlap, and end in any order.
_settings = [_Setting(validated(os.environ.get(VARIABLE, "").lower() or "on", f"the environment variable {VARIABLE}"))]
_put_in_force()
