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

INTERRUPTED = "Interrupted. What is listed is done; run the same command again to continue."

USUAL_S = 240.0
"""Seconds of music in a track, as long as none has been heard."""


class Pace:
    """How fast some counts grow: per second, over the last half minute."""

    def __init__(self, clock: Callable[[], float], *counts: float) -> None:
        self._clock = clock
        self._counts = counts
        self._lately = deque([(clock(), counts)])

    def note(self, *counts: float) -> None:
        """Take down the counts as they are now."""
        self._counts = counts
        now_s = self._clock()
        if now_s - self._lately[-1][0] >= 0.1:
            self._lately.append((now_s, counts))
        while len(self._lately) > 2 and now_s - self._lately[0][0] > 30:
            self._lately.popleft()

    def per_s(self) -> list[float]:
        """Growth of each count per second."""
        then_s, before = self._lately[0]
        span_s = max(self._clock() - then_s, 1e-3)
        return [(now - then) / span_s for now, then in zip(self._counts, before, strict=True)]


class Tally:
    """Counts of a scan, and how fast it goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self.n_tracks = 0
        """Number of tracks that have an outcome."""
        self.n_left_out = 0
        """Number of files that the scan is not about."""
        self.n_unsure = 0
        """Number of tracks with an empty field for which the model is sure of no value."""
        self.music_s = 0.0
        self.decoded_s = 0.0
        """Seconds of music that was not remembered from an earlier scan."""
        self.statuses: Counter[str] = Counter()
        self._under_way_s: dict[Path, float] = {}
        self._decoded: set[Path] = set()
        self._pace = Pace(clock, 0, 0.0)

    def add(self, outcome: Outcome) -> None:
        """Count a track's outcome."""
        self.n_tracks += 1
        self.statuses[outcome.status] += 1
        self.n_unsure += _is_unsure(outcome)
        self.music_s += outcome.duration_s or 0.0
        self.decoded_s -= self._under_way_s.pop(outcome.path, 0.0)
        self._decoded.discard(outcome.path)
        if not outcome.from_cache:
            self.decoded_s += outcome.duration_s or 0.0
        self._note()

    def left_out(self, path: Path) -> None:
        """Count a file that will have no outcome."""
        self.n_left_out += 1
        self._under_way_s.pop(path, None)
        self._decoded.discard(path)
        self._note()

    def decoded(self, path: Path, seconds: float, *, whole: bool) -> None:
        """Count music of a track that has no outcome yet; `whole` says that this was its end.

        The outcome's duration replaces the sum of these seconds, because segments overlap and a few
        of them may stand for the whole track.
        """
        self._under_way_s[path] = self._under_way_s.get(path, 0.0) + seconds
        self.decoded_s += seconds
        if whole:
            self._decoded.add(path)
        self._note()

    def _note(self) -> None:
        self._pace.note(self.n_decoded, self.decoded_s)

    @property
    def n_decoded(self) -> int:
        """Number of tracks that need no more decoding. Outcomes come by batches, these do not."""
        return self.n_tracks + self.n_left_out + len(self._decoded)

    @property
    def done(self) -> float:
        """Number of tracks that need no more decoding, and parts of those that do.

        The part is measured against the usual length, since a track's own is not known yet.
        """
        usual_s = self.music_s / self.n_tracks if self.n_tracks else USUAL_S
        parts = list(self._under_way_s.items())  # another thread may be counting
        return self.n_decoded + sum(
            min(0.9, seconds / max(usual_s, 1.0))
            for path, seconds in parts
            if path not in self._decoded
        )

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._start_s

    def rates(self) -> tuple[float, float]:
        """Tracks and seconds of music decoded per second, over the last half minute."""
        tracks, decoded_s = self._pace.per_s()
        return tracks, decoded_s

    def summary(
        self, *, write: bool = False, verbose: bool = False, whole: bool = True
    ) -> list[str]:
        """The closing lines of a scan, which was interrupted unless it was `whole`."""
        if not self.n_tracks and self.n_left_out and whole:
            return [f"Nothing to do: {counted(self.n_left_out, 'track')} not selected."]
        if not self.n_tracks:
            return ["No tracks found." if whole else "Interrupted before the first track."]
        tracks = counted(self.n_tracks, "track")
        line = f"{tracks}, {music_text(self.music_s)} of music, in {time_text(self.elapsed_s)}"
        if self.decoded_s:
            line += f" ({self.decoded_s / max(self.elapsed_s, 1e-3):,.0f}× real time)"
        elif self.music_s:
            line += ", all remembered from earlier scans"
        left_out = f", {self.n_left_out:,} not selected" if self.n_left_out else ""
        lines = [line + ".", f"{self._counts()}{left_out}."]
        if self.n_unsure:
            more = "" if verbose else "; see --verbose"
            lines.append(f"{counted(self.n_unsure, 'track')}: nothing it is sure of{more}.")
        if not whole:
            lines.append(INTERRUPTED)
        if self.statuses["planned"] and not write:
            lines.append("Nothing was written; add --write to write these tags.")
        return lines

    def summary_of_undo(self, *, whole: bool = True) -> list[str]:
        """The closing lines of an undo, which was interrupted unless it was `whole`."""
        lines = [self._counts() + "."] if self.n_tracks else []
        if not whole:
            lines.append(INTERRUPTED)
        if self.statuses["planned"]:
            lines.append("Nothing was written; leave out --dry-run to restore these files.")
        return lines

    def _counts(self) -> str:
        order = ("written", "restored", "planned", "unchanged", "skipped", "failed")
        return ", ".join(f"{self.statuses[s]:,} {s}" for s in order if self.statuses[s])


def _is_unsure(outcome: Outcome) -> bool:
    """Whether a heard track stays without a value because the model is sure of none."""
    if outcome.status != "unchanged" or not outcome.probabilities:
        return False
    empty = any(not change.old for change in outcome.fields.values())
    return empty and not any(outcome.chosen.get(field) for field in outcome.fields)
