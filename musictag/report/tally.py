"""Counts of a scan, how fast it goes, and its closing lines."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.report.text import counted, music_text, time_text

if TYPE_CHECKING:
    from musictag.outcome import Outcome

INTERRUPTED = "Interrupted; what is listed above is done, and the same command goes on."


class Pace:
    """How fast counts grow: per second, over the last half minute."""

    def __init__(self, clock: Callable[[], float], *counts: float) -> None:
        self._clock = clock
        self._counts = counts
        self._lately = deque([(clock(), counts)])

    def note(self, *counts: float) -> None:
        self._counts = counts
        now_s = self._clock()
        if now_s - self._lately[-1][0] >= 0.1:
            self._lately.append((now_s, counts))
        while len(self._lately) > 2 and now_s - self._lately[0][0] > 30:
            self._lately.popleft()

    def per_s(self) -> list[float]:
        then_s, before = self._lately[0]
        span_s = max(self._clock() - then_s, 1e-3)
        return [(now - then) / span_s for now, then in zip(self._counts, before, strict=True)]


class Tally:
    """Counts of a scan, and how fast it goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self.n_tracks = 0
        self.music_s = 0.0
        self.heard_s = 0.0
        """Music heard now, not remembered."""
        self.statuses: Counter[str] = Counter()
        self._under_way_s: dict[Path, float] = {}
        self._pace = Pace(clock, 0, 0.0)

    def add(self, outcome: Outcome) -> None:
        self.n_tracks += 1
        self.statuses[outcome.status] += 1
        self.music_s += outcome.duration_s or 0.0
        self.heard_s -= self._under_way_s.pop(outcome.path, 0.0)
        if not outcome.from_cache:
            self.heard_s += outcome.duration_s or 0.0
        self._pace.note(self.n_tracks, self.heard_s)

    def heard(self, path: Path, seconds: float) -> None:
        """Of a track that is under way. In the end its duration counts, and not the sum of these:
        segments overlap, and a few may stand for the whole."""
        self._under_way_s[path] = self._under_way_s.get(path, 0.0) + seconds
        self.heard_s += seconds
        self._pace.note(self.n_tracks, self.heard_s)

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._start_s

    def rates(self) -> tuple[float, float]:
        """Tracks per second and seconds of music heard per second, over the last half minute."""
        tracks, heard_s = self._pace.per_s()
        return tracks, heard_s

    def summary(self, *, write: bool = False, whole: bool = True) -> list[str]:
        """The closing lines of a scan."""
        if not self.n_tracks:
            return ["No tracks found." if whole else "Interrupted before the first track."]
        tracks = counted(self.n_tracks, "track")
        line = f"{tracks}, {music_text(self.music_s)} of music, in {time_text(self.elapsed_s)}"
        if self.heard_s:
            line += f" ({self.heard_s / max(self.elapsed_s, 1e-3):,.0f}× real time)"
        elif self.music_s:
            line += ", all remembered from earlier scans"
        lines = [line + ".", self._counts() + "."]
        if not whole:
            lines.append(INTERRUPTED)
        if self.statuses["planned"] and not write:
            lines.append("Nothing was written; add --write to write these tags.")
        return lines

    def summary_of_undo(self, *, whole: bool = True) -> list[str]:
        """The closing lines of an undo."""
        lines = [self._counts() + "."] if self.n_tracks else []
        if not whole:
            lines.append(INTERRUPTED)
        if self.statuses["planned"]:
            lines.append("Nothing was written; leave out --dry-run to restore these files.")
        return lines

    def _counts(self) -> str:
        order = ("written", "restored", "planned", "unchanged", "skipped", "failed")
        return ", ".join(f"{self.statuses[s]:,} {s}" for s in order if self.statuses[s])
