"""This process: its cores, its allocator.

A program calls what changes the process (`keep_freed`); the library never does, because the process
belongs to its host.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

# mallopt(3)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def n_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_freed() -> None:
    """Make glibc keep large blocks that are freed; without effect elsewhere.

    By default it returns them, and the system clears them again for each segment: a sixth of the
    front end's time.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, 2**25)  # the largest value it accepts
            libc.mallopt(_M_TRIM_THRESHOLD, 2**29)
            libc.mallopt(_M_ARENA_MAX, 1)  # a thread's own arena would return blocks all the same
