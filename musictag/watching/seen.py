"""Files as they were when they were last dealt with."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def state_of(path: Path) -> int:
    """A number for a file's size and times, which changes when the file does; 0 if there is none.

    Of the time at which anything about it changed (ctime) nobody can say that it stayed: programs
    that set a tag may put the modification time back.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return 0
    if not stat.S_ISREG(found.st_mode):
        return 0
    return hash((found.st_size, found.st_mtime_ns, found.st_ctime_ns)) or 1


class Seen:
    """Remembers states of files, about 130 bytes each, until the program ends.

    Names are kept as numbers of 64 bits. What is gone is forgotten by `begin`, a look at everything
    and `end`.
    """

    def __init__(self) -> None:
        self._before: dict[int, int] = {}
        """States from before the look at everything that is under way."""
        self._states: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._before) + len(self._states)

    def has(self, path: Path, state: int) -> bool:
        """Whether this file was dealt with when it was in this state."""
        key = _key(path)
        if self._states.get(key) == state:
            return True
        if self._before.get(key) == state:
            self.note(path, state)
            return True
        return False

    def note(self, path: Path, state: int) -> None:
        key = _key(path)
        self._before.pop(key, None)
        self._states[key] = state

    def forget(self, path: Path) -> None:
        key = _key(path)
        self._before.pop(key, None)
        self._states.pop(key, None)

    def begin(self) -> None:
        """Begin a look at everything."""
        if self._before:  # the last one did not end
            self._before.update(self._states)
        else:
            self._before = self._states
        self._states = {}

    def end(self) -> None:
        """Forget the files that the look has not met."""
        self._before = {}


def _key(path: Path) -> int:
    return hash(os.fsencode(path))
