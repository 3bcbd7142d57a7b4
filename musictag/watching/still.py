"""Files that change: waiting until they are whole."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from musictag.watching.seen import state_of

GATHER_S = 300.0
"""Longest time for which files that are whole wait for others that still change, in seconds. An
album that is copied is then one run of the history."""
HELD_S = 900.0
"""Longest time for which a file that does not change waits for a program that has it open to write,
in seconds. Some network file systems say so of every file."""


@dataclass
class _Changing:
    state: int
    since_s: float
    """When it was first seen like this."""
    next_s: float
    """When to look at it again."""


class Changing:
    """Files that have been touched. They are ready when size and times have stayed for `still_s`
    seconds and nobody has them open to write."""

    def __init__(
        self,
        still_s: float,
        clock: Callable[[], float],
        *,
        is_held: Callable[[Path], bool] | None = None,
    ) -> None:
        self._still_s = still_s
        self._clock = clock
        self._is_held = is_held or is_open_to_write
        self._files: dict[Path, _Changing] = {}
        self._ready: dict[Path, int] = {}
        """File → the state in which it is ready."""
        self._ready_s = 0.0
        """When the first of them was."""

    def __len__(self) -> int:
        return len(self._files) + len(self._ready)

    def touch(self, path: Path, state: int) -> None:
        """A file is in this state now, which it may have left when it is looked at again."""
        known = self._files.get(path)
        if known is None or known.state != state:
            self._ready.pop(path, None)
            now_s = self._clock()
            self._files[path] = _Changing(state, now_s, now_s + self._still_s)

    def clear(self) -> None:
        """Forget all files."""
        self._files.clear()
        self._ready.clear()

    def look(self) -> None:
        """Look at the files whose time has come."""
        now_s = self._clock()
        for path, file in list(self._files.items()):
            if file.next_s > now_s:
                continue
            state = state_of(path)
            if state == 0:  # deleted or renamed
                del self._files[path]
            elif state != file.state:
                self._files[path] = _Changing(state, now_s, now_s + self._still_s)
            elif now_s - file.since_s < HELD_S and self._is_held(path):
                file.next_s = now_s + self._still_s
            else:
                del self._files[path]
                if not self._ready:
                    self._ready_s = now_s
                self._ready[path] = state

    def take(self) -> list[Path]:
        """The files that are ready, sorted, if no other file changes or they have waited enough."""
        if not self._ready or (self._files and self._clock() - self._ready_s < GATHER_S):
            return []
        ready, self._ready = self._ready, {}
        whole = []
        for path, state in ready.items():
            now = state_of(path)
            if now == state:
                whole.append(path)
            elif now:
                self.touch(path, now)
        return sorted(whole, key=os.fsencode)

    def next_s(self) -> float:
        """When to look again, on the clock; infinite if there is nothing to look at."""
        times = [file.next_s for file in list(self._files.values())]
        if self._ready and times:
            times.append(self._ready_s + GATHER_S)
        return min(times, default=float("inf"))


def is_open_to_write(path: Path) -> bool:
    """Whether some program has this file open to write; False where the system does not tell.

    A copy may stand still for a while, and a file that is replaced under it would get the rest of
    neither. Linux tells owners and root: it refuses a lease for reading.
    """
    if sys.platform != "linux":
        return False
    import fcntl  # noqa: PLC0415  # not on Windows

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Who opens it just then makes the system send us a signal: one that does nothing.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
