"""Which runs are still at work: each locks one byte, that of its number, of a file.

The system releases a lock when its process ends, however it ends, so a run that was killed cannot
be taken for one that is still writing. Where a file system has no locks, every run that has not
said how it ended counts as killed.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class Lock:
    """The lock of one run, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self, run: int) -> None:
        """Lock the byte of this run instead of the one locked so far."""
        self.release()
        with contextlib.suppress(OSError):
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            _lock(self._descriptor, run)

    def release(self) -> None:
        """Unlock, if anything is locked."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_at_work(path: Path, run: int) -> bool:
    """Whether another process holds the lock of this run."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:  # no run has ever made it, or this user may not write
        return False
    try:
        _lock(descriptor, run)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _lock(descriptor: int, byte: int) -> None:
    """Lock a byte, which need not exist; OSError if somebody else has locked it."""
    if sys.platform == "win32":
        os.lseek(descriptor, byte, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
