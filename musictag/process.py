"""How this process deals with memory that it has freed."""

from __future__ import annotations

import contextlib
import ctypes
import sys

# mallopt(3)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_freed() -> None:
    """Big blocks stay ours when they are freed.

    glibc gives them back, and the system clears them anew for each segment: a
    sixth of the front end's time. Elsewhere nothing happens.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, 2**25)  # the most it takes
            libc.mallopt(_M_TRIM_THRESHOLD, 2**29)
            libc.mallopt(_M_ARENA_MAX, 1)  # of its own, a thread would give back all the same
