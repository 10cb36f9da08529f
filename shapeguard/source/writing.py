"""A file written whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from shapeguard.config import UsageError


def write_file(path: str, data: bytes) -> None:
    """Put these bytes in the place of what is in a file, or make it; where that fails, a UsageError, and all is as before.

    A link keeps pointing where it does, and what it points to is written. Mode, owner and attributes stay, the latter as
    far as the user may set them.
    """
    try:
        target = Path(os.path.realpath(path))
        old = target.stat() if target.exists() else None
        if old is not None and not stat.S_ISREG(old.st_mode):
            raise UsageError(f"can't write {path}: it is no regular file")
        if old is not None and not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise UsageError(f"can't write {path}: it is read-only")
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            _dress(name, target, old)
            Path(name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except (OSError, ValueError) as error:  # a ValueError for a path with a NUL in it
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(f"can't write {path}: {reason}") from None


def _dress(name: str, target: Path, old: os.stat_result | None) -> None:
    """Give a new file the mode and owner of the one that it replaces, or those of any new file."""
    if old is None:
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        return
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(name, old.st_uid, old.st_gid)
    shutil.copystat(target, name)
    os.utime(name)  # its time is now
