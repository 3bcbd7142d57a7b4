"""This process: its cores, its allocator, its environment.

A process belongs to its program. What changes it (`for_a_program`) is called by the command line
and by the processes that it starts, never by the library.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from collections.abc import Iterator

from musictag.errors import OutOfMemoryError

# mallopt(3)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

_ENVIRONMENT = {
    # NumPy's library for matrices is hardly used, and would keep the cores busy waiting for work.
    "OPENBLAS_NUM_THREADS": "1",
    # torch's threads wait for each other by spinning, and take the cores away from the decoders: 52
    # instead of 205 times real time on two busy cores.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Environment variables that libraries read when they are loaded."""


_most_cores: int | None = None
"""What `limited` says, on systems where a process cannot be kept to some cores."""


def n_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return min(_most_cores or sys.maxsize, os.cpu_count() or 1)


@contextlib.contextmanager
def limited(n: int) -> Iterator[None]:
    """Keep this process, and those that it starts, to so many cores. Other systems than Linux
    cannot do that: there only the number of threads and processes follows."""
    global _most_cores  # noqa: PLW0603  # the process has one number of cores
    if hasattr(os, "sched_setaffinity"):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(before)[-n:])  # the first ones are what others begin with
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
    else:
        former, _most_cores = _most_cores, n
        try:
            yield
        finally:
            _most_cores = former


def check_room(megabytes: int) -> None:
    """OutOfMemoryError if so much address space is not to be had (a limit, or no overcommitment).

    Ask before a library is loaded that would abort the whole process when it finds no room.
    """
    try:
        mmap.mmap(-1, megabytes << 20).close()
    except OSError as error:
        raise OutOfMemoryError(
            f"there is not enough memory for another {megabytes} MB ({OutOfMemoryError.CURE})"
        ) from error


def for_a_program() -> None:
    """Set up a process that does nothing but hear music. Call it before NumPy is imported.

    What the user has set in the environment stays.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    keep_freed()


def limit_torch(n_threads: int) -> None:
    """Let torch use so many threads for one operation, if it has been imported.

    Without this it takes all cores, or as many as OMP_NUM_THREADS says, which Ray sets to 1.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(n_threads)


def give_back_freed() -> None:
    """Give memory that is not in use back to the system, before a long wait; elsewhere than on
    glibc without effect. The next work pays for it once."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def keep_freed() -> None:
    """Make glibc keep large blocks that are freed; without effect elsewhere.

    By default it returns them, and the system clears them again for each segment: a sixth of the
    front end's time.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415

        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, 2**25)  # the largest value it accepts
            libc.mallopt(_M_TRIM_THRESHOLD, 2**29)
            libc.mallopt(_M_ARENA_MAX, 1)  # a thread's own arena would return blocks all the same
