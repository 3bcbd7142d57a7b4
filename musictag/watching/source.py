"""What wakes a watch: the system's events (see `system`), or a clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass
class Told:
    """What may have changed."""

    files: set[Path] = field(default_factory=set)
    folders: set[Path] = field(default_factory=set)
    """Folders of which nothing is known but that they are new or gone."""
    everything: bool = False


class Source(Protocol):
    """Says where to look."""

    def begin(self, root: Path) -> None:
        """Tell of this folder from now on, as it is now: another disk may be mounted there."""

    def end(self, root: Path) -> None:
        """Tell of it no more."""

    def wait(self, seconds: float) -> Told:
        """Wait until there is something to tell, at most so long."""


class Poll:
    """A clock: from time to time everything may have changed."""

    def __init__(
        self,
        every_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._every_s = every_s
        self._clock = clock
        self._sleep = sleep
        self._next_s = clock() + every_s

    def begin(self, root: Path) -> None:
        """A folder that begins to be watched is looked at anyway."""

    def end(self, root: Path) -> None:
        """There is nothing to end."""

    def wait(self, seconds: float) -> Told:
        self._sleep(max(0.0, min(seconds, self._next_s - self._clock())))
        if self._clock() < self._next_s:
            return Told()
        self._next_s = self._clock() + self._every_s
        return Told(everything=True)
