"""How far something is: a line at the foot of the terminal, or a line now and then."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TextIO

from rich.text import Text

from musictag.report.tally import Pace, Tally
from musictag.report.terminal import bar_marks, console, fitted
from musictag.report.text import music_text, time_text, visible

TELL_S = 10
"""Seconds between two lines of progress where no line can be redrawn."""

SHORTEST_BAR, LONGEST_BAR = 10, 30
"""Columns of the bar itself; with less room there is none."""
WORDS = 62
"""Columns left for the words, so that the bar keeps its length while they change."""


class Far(NamedTuple):
    """How far something is, in numbers and in words."""

    done: float
    total: int | None
    words: list[str]


class Bar:
    """A line at the foot of the terminal: how far, how fast, how much time is left.

    While the total is unknown it shows no bar and no time left. It shows nothing while there is
    nothing to tell, or if `stderr` is not a terminal. All other output goes `above` it. Any thread
    may use it.
    """

    def __init__(
        self, stderr: TextIO, how_far: Callable[[], Far | None], *, shown: bool = True
    ) -> None:
        self.shown = shown and stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._stderr = stderr
        self._how_far = how_far
        self._lock = threading.RLock()
        self._console = console(stderr)
        self._full, self._empty = bar_marks(stderr)
        self._on_screen = False
        self._ended = threading.Event()
        self._drawn_s = -math.inf

    def start(self) -> None:
        """Show the line, and keep it up to date until `stop`."""
        if self.shown:
            self.step(at_once=True)
            threading.Thread(target=self._tick, name="musictag bar", daemon=True).start()

    def stop(self) -> None:
        """Remove the line for good."""
        with self._lock:
            self._ended.set()
            self._erase()

    def say(self, message: str) -> None:
        """Write a message above the line."""
        with self.above():
            self._stderr.write(fitted(visible(message), self._stderr) + "\n")
            self._stderr.flush()

    @contextlib.contextmanager
    def above(self) -> Iterator[None]:
        """Make room for other output, and redraw the line after it."""
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
        """Redraw the line, unless that was done a moment ago."""
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
        """The line, cut to this width; None if there is nothing to tell."""
        far = self._how_far()
        if far is None:
            return None
        text = Text("   ".join(far.words))
        room = min(LONGEST_BAR, max(SHORTEST_BAR, width - WORDS), width - text.cell_len - 3)
        if far.total and room >= SHORTEST_BAR:
            n_full = min(room, int(room * far.done / far.total))
            bar = Text.assemble(
                (self._full * n_full, "green"), (self._empty * (room - n_full), "dim")
            )
            text = Text.assemble(bar, "   ", text)
        text.truncate(width)
        return text

    def _tick(self) -> None:
        """Redraw twice a second, so that the times stay true when nothing else happens."""
        while not self._ended.wait(0.5):
            with self._lock:
                self._draw()


class NowAndThen:
    """Says how far a scan is, every so often, where no line can be redrawn."""

    EVERY_S = 30
    """Seconds between two lines, and before the first."""

    def __init__(
        self,
        how_far: Callable[[], Far | None],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._how_far = how_far
        self._say = say
        self._clock = clock
        self._said_s = clock()

    def step(self) -> None:
        """Say it, if it is time."""
        if self._clock() - self._said_s >= self.EVERY_S:
            self._said_s = self._clock()
            far = self._how_far()
            if far is not None:
                self._say("   ".join(far.words))


class TrackCount:
    """How far a scan is. The first call of this starts a thread that calls `count`."""

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
        tally, total = self._tally, self._total
        n = tally.n_decoded
        tracks_per_s, realtime = tally.rates()
        words = [f"{n:,} of {total:,} tracks" if total else f"{n:,} tracks"]
        if total and n == total > tally.n_tracks + tally.n_left_out:
            words.append("hearing the last of them")
        elif tracks_per_s >= 0.1:
            words.append(f"{tracks_per_s:.1f} tracks/s")
        elif tally.decoded_s:
            words.append(f"{music_text(tally.decoded_s)} decoded")
        if realtime >= 1:
            words.append(f"{realtime:,.0f}× real time")
        return Far(tally.done, total, words + left(n, total, tracks_per_s))

    def _find_total(self, count: Callable[[], int]) -> None:
        self._total = count()


class Progress:
    """Tells how far one piece of work after another is, inside a `with` block.

    On a terminal this is a line at its foot, elsewhere a line every now and then.
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
        """Say how much of some work is done.

        Its speed is measured from the first call for it, because an earlier run may have done what
        was done by then.
        """
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
        """Write one line to standard error."""
        self._bar.say(message)


def left(done: int, total: int | None, per_s: float) -> list[str]:
    """The time left, if it can be told."""
    return [f"{time_text((total - done) / per_s)} left"] if total and per_s and total > done else []
