"""How a scan behaves on a machine that has other things to do: `--cpu` and `--pause-on-battery`.

    with gently(0.25):                       # a quarter of the cores, politely
        manners = Manners(0.25, pause_on_battery=False, stopped=…, say=…)
        manners.pause()                      # between segments: as long as is due

The share is kept over any few seconds, by this process and the decoders that it has started.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from musictag import process
from musictag.errors import UsageError

NICE = 10
"""How much a process steps back for others, on systems that know that."""
_OFTEN_S = 0.25
"""Least time between two looks at the clock, in seconds."""
_NAP_S = 0.1
"""Longest sleep before it is asked again whether the program is to stop, in seconds."""
_BATTERY_S = 10.0
"""Seconds between two looks at the battery."""


@contextlib.contextmanager
def gently(share: float | None) -> Iterator[None]:
    """Let this process and those that it starts use only as many cores as this share of them
    needs, and step back for others."""
    if share is None:
        yield
        return
    n_cores = max(1, math.ceil(share * process.n_cores() - 1e-9))
    if hasattr(os, "nice"):
        os.nice(NICE)
    with process.limited(n_cores):
        yield


class Manners:
    """Makes the caller wait where the user wants that."""

    def __init__(
        self,
        share: float | None,
        *,
        pause_on_battery: bool,
        stopped: Callable[[], bool],
        say: Callable[[str], None],
        n_cores: int,
    ) -> None:
        self._cores = None if share is None else share * n_cores
        self._battery = battery() if pause_on_battery else None
        self._stopped = stopped
        self._say = say
        self._seen_s = time.monotonic()
        self._used_s = used_s()
        self._looked_s = -math.inf

    def pause(self) -> None:
        """Wait until it is this program's turn again."""
        if self._battery is not None:
            self._wait_for_power(self._battery)
        if self._cores is not None:
            self._wait_for_others(self._cores)

    def _wait_for_others(self, cores: float) -> None:
        now_s = time.monotonic()
        if now_s - self._seen_s < _OFTEN_S:
            return
        used = used_s()
        self._sleep_until(self._seen_s + (used - self._used_s) / cores)
        self._seen_s, self._used_s = time.monotonic(), used

    def _wait_for_power(self, on_battery: Callable[[], bool]) -> None:
        if time.monotonic() - self._looked_s < _BATTERY_S:
            return
        if on_battery():
            self._say("musictag: paused, because this machine runs on its battery")
            while on_battery() and not self._stopped():
                self._sleep_until(time.monotonic() + _BATTERY_S)
            self._say("musictag: going on")
            self._seen_s, self._used_s = time.monotonic(), used_s()
        self._looked_s = time.monotonic()

    def _sleep_until(self, end_s: float) -> None:
        while (left_s := end_s - time.monotonic()) > 0 and not self._stopped():
            time.sleep(min(left_s, _NAP_S))


def battery() -> Callable[[], bool]:
    """Whether the machine runs on its battery; UsageError without the library that knows."""
    try:
        import psutil  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise UsageError(
            "--pause-on-battery needs psutil: python -m pip install psutil, or musictag[battery]"
        ) from error

    def on_battery() -> bool:
        # some systems have no such function, and most computers no battery
        found: Any = getattr(psutil, "sensors_battery", lambda: None)()
        return found is not None and found.power_plugged is False

    return on_battery


def used_s() -> float:
    """Processor time of this process and of those that it has started, in seconds.

    Of processes that are still at work it is known on Linux; elsewhere psutil knows, if it is
    installed. Without both their share is not seen, and this process alone keeps to it.
    """
    ended = os.times()
    own_s = ended.user + ended.system + ended.children_user + ended.children_system
    if Path("/proc/self/task").exists():
        return own_s + _of_children(os.getpid())
    with contextlib.suppress(ImportError):
        import psutil  # noqa: PLC0415

        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                times = child.cpu_times()
                own_s += times.user + times.system
    return own_s


def _of_children(pid: int) -> float:
    """The same of the children of a process, from /proc."""
    total_s = 0.0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                with contextlib.suppress(OSError):
                    # behind the name, which may hold anything, the 12th and 13th numbers
                    words = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
                    total_s += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
                    total_s += _of_children(int(child))
    return total_s
