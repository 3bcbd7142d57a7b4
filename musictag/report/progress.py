"""How far something is: a line at the foot of the terminal, or a line now and then."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TextIO

from rich.console import Console
from rich.text import Text

from musictag.report.tally import Pace, Tally
from musictag.report.terminal import width_of
from musictag.report.text import music_text, time_text, visible

TELL_S = 10
"""Between two lines of progress, where none can be drawn again."""


class Far(NamedTuple):
    """How far something is, in numbers and in words."""

    done: int
    total: int | None
    words: list[str]


class Bar:
    """A line at the foot of the terminal: how far, how fast, how long still.

    While the total is not known, there is no bar and no time left, only what
    has been done; and no line at all while there is nothing to tell, or `stderr` is
    no terminal. What else is written goes `above` it. Any thread may use it.
    """

    def __init__(
        self, stderr: TextIO, how_far: Callable[[], Far | None], *, shown: bool = True
    ) -> None:
        self.shown = shown and stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._stderr = stderr
        self._how_far = how_far
        self._lock = threading.RLock()
        self._console = Console(file=stderr, width=width_of(stderr), highlight=False)
        self._on_screen = False
        self._ended = threading.Event()
        self._drawn_s = -math.inf

    def start(self) -> None:
        if self.shown:
            threading.Thread(target=self._tick, name="musictag bar", daemon=True).start()

    def stop(self) -> None:
        with self._lock:
            self._ended.set()
            self._erase()

    def say(self, message: str) -> None:
        """One line above it."""
        with self.above():
            self._stderr.write(visible(message) + "\n")
            self._stderr.flush()

    @contextlib.contextmanager
    def above(self) -> Iterator[None]:
        with self._lock:
            self._erase()
            yield
            self._draw()

    def _erase(self) -> None:
        if self._on_screen:
            self._stderr.write("\r\x1b[2K")
            self._stderr.flush()
            self._on_screen = False

    def step(self, *, at_once: bool = False) -> None:
        """Draw again, unless that was done a moment ago."""
        if at_once or time.monotonic() - self._drawn_s > 0.1:
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if self._ended.is_set() or not self.shown:
            return
        self._drawn_s = time.monotonic()
        line = self.line(self._console.width - 1)
        if line is None:
            self._erase()
            return
        with self._console.capture() as captured:
            self._console.print(line, soft_wrap=True, end="")
        self._stderr.write("\r\x1b[2K" + captured.get())
        self._stderr.flush()
        self._on_screen = True

    def line(self, width: int) -> Text | None:
        """As much of it as fits into the width."""
        far = self._how_far()
        if far is None:
            return None
        text = Text("   ".join(far.words))
        room = min(30, width - text.cell_len - 3)
        if far.total and room >= 10:
            n_full = min(room, room * far.done // far.total)
            bar = Text.assemble(("━" * n_full, "green"), ("━" * (room - n_full), "dim"))
            text = Text.assemble(bar, "   ", text)
        text.truncate(width)
        return text

    def _tick(self) -> None:
        """Keep the clock going while a long track is heard."""
        while not self._ended.wait(0.5):
            with self._lock:
                self._draw()


class TrackCount:
    """How far a scan is. `count` is called in a thread of its own, at the first call of this."""

    def __init__(self, tally: Tally, count: Callable[[], int] | None) -> None:
        self._tally = tally
        self._count = count
        self._total: int | None = None

    def __call__(self) -> Far:
        if self._count is not None:
            count, self._count = self._count, None
            threading.Thread(
                target=self._find_total, args=(count,), name="musictag count", daemon=True
            ).start()
        n, total = self._tally.n_tracks, self._total
        tracks_per_s, realtime = self._tally.rates()
        words = [f"{n:,} of {total:,} tracks" if total else f"{n:,} tracks"]
        if tracks_per_s >= 0.1:
            words.append(f"{tracks_per_s:.1f} tracks/s")
        elif self._tally.heard_s:
            words.append(f"{music_text(self._tally.heard_s)} heard")
        if realtime >= 1:
            words.append(f"{realtime:,.0f}× real time")
        return Far(n, total, words + left(n, total, tracks_per_s))

    def _find_total(self, count: Callable[[], int]) -> None:
        self._total = count()


class Progress:
    """Tells how far one piece of work after another is, inside a `with` block.

    On a terminal that is a line at its foot; elsewhere a line now and then.
    """

    def __init__(self, stderr: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bar = Bar(stderr, lambda: self._far)
        self._far: Far | None = None
        self._work = ""
        self._pace = Pace(clock)
        self._told_s = -math.inf

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, work: str, done: int, total: int | None, unit: str) -> None:
        """So much of this work is done. Its speed is counted from the first time it is named: what
        was done before may have been done by an earlier run."""
        if work != self._work:
            self._work, self._told_s = work, -math.inf
            self._pace = Pace(self._clock, done)
        self._pace.note(done)
        (per_s,) = self._pace.per_s()
        words = [f"{work}: {done:,}{f' of {total:,}' if total else ''} {unit}"]
        if per_s:
            words.append(f"{per_s:,.1f} {unit}/s")
        words += left(done, total, per_s)
        self._far = None if done == total else Far(done, total, words)
        if self._bar.shown:
            self._bar.step(at_once=done == total)
        elif done == total or self._clock() - self._told_s >= TELL_S:
            self._told_s = self._clock()
            self.say("   ".join(words))

    def say(self, message: str) -> None:
        """One line on stderr."""
        self._bar.say(message)


def left(done: int, total: int | None, per_s: float) -> list[str]:
    return [f"{time_text((total - done) / per_s)} left"] if total and per_s and total > done else []
