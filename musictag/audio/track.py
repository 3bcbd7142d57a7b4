"""One audio file to 29-second segments of mono 16 kHz samples.

    for segment in Track(path).segments():     # each (464000,) float32

Three decoders are tried in turn: libsndfile where it is the fastest (wav, aiff, flac, au,
caf), ffmpeg's libraries through PyAV for everything else, and audioread with whatever the
platform has. All three give the same samples: floating point throughout, the mean of the
channels, encoder delay and padding removed where the file states them, one resampler. Everything
streams, so memory does not grow with the length of the track.

Files are not trusted. ffmpeg gets an open file and only the demuxers of sound, so that a playlist
in disguise cannot open anything else. Sizes in headers are compared with what was heard and never
allocated.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from musictag.audio import claims, doors, resampling
from musictag.audio.blocks import Block, GaveUp
from musictag.audio.samples import RATE_HZ, SEGMENT_S, Samples
from musictag.audio.segments import cut, evenly_spaced, is_loud, pick, unending
from musictag.audio.source import check
from musictag.errors import AudioError

SHORTEST_S = 1.0
"""Least music that is worth tagging, in seconds."""
LONGEST_S = 100 * 3600
"""Longest track, in seconds. A file that goes on is a trap: days of silence take no space."""


class Track:
    """One audio file's music, decoded front to back, as a stream of segments.

    With `n_segments`, only that many are heard, evenly spaced: their centres lie at (i + ½)/N of
    the track, their starts on whole seconds. Where the format allows it they are sought, so that
    most of the file is not decoded. A track no longer than N segments is heard whole.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_segments: int | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        if n_segments is not None and n_segments < 1:
            raise ValueError("n_segments must be at least 1")
        self._progress = progress
        """Called after every decoded block, so that the caller can tell work from a hang."""
        self.path = path
        self.n_segments = n_segments
        self.duration_s: float | None = None
        """Length of the music heard (with `n_segments`: stated by the file). None until known."""
        self.decoder = ""
        """Name of the decoder that was used: "libsndfile", "ffmpeg" or "audioread:…"."""

    def segments(self) -> Iterator[Samples]:
        """Segments in order, each (464000,) float32 and owned by the caller.

        The last segment is moved back to end where the music ends, so every second is heard and
        none is padding; only a track shorter than one segment is padded with zeros on the right.
        Silent segments are left out. If all of the N are silent, the first N that are not silent
        are given instead.

        Raises AudioError if the file turns out to be bad, perhaps after some segments: only a run
        to the end shows that all is well.
        """
        check(self.path)
        silent = True
        if starts_s := self._starts_s():
            for segment in filter(is_loud, self._sought(starts_s)):
                silent = False
                yield segment
        if silent:  # perhaps all N lie in rests: read the whole track
            for segment in islice(filter(is_loud, cut(self.samples())), self.n_segments):
                silent = False
                yield segment
        if silent:
            raise _silent(self.path)

    def timed_segments(self) -> Iterator[tuple[float, Samples]]:
        """The segments of the whole track, each with its start in seconds; see `segments`.

        `n_segments` is ignored.
        """
        check(self.path)
        silent = True
        for n, segment in enumerate(cut(self.samples())):
            if is_loud(segment):
                silent = False
                # The last segment is the one moved back; when it comes, the duration is known.
                latest_s = math.inf if self.duration_s is None else self.duration_s - SEGMENT_S
                yield max(0.0, min(float(n * SEGMENT_S), latest_s)), segment
        if silent:
            raise _silent(self.path)

    def _starts_s(self) -> list[int] | None:
        """Start times of the N segments, in seconds; None to hear everything."""
        if self.n_segments is None:
            return None
        duration_s = claims.promise_s(self.path) or claims.demuxed_s(self.path)
        if duration_s is None:
            duration_s = sum(len(block.samples) / block.rate_hz for block in self._blocks())
        if duration_s <= self.n_segments * SEGMENT_S:
            return None
        self.duration_s = duration_s
        return evenly_spaced(duration_s, self.n_segments)

    def _sought(self, starts_s: Sequence[int]) -> Iterator[Samples]:
        """The segments that start at these seconds, sought if that works, else read."""
        n_done = 0
        with contextlib.suppress(GaveUp):
            for start_s in starts_s:
                yield self._segment_at(start_s)
                n_done += 1
        if n_done < len(starts_s):
            yield from pick(self.samples(), starts_s[n_done:])

    def _segment_at(self, start_s: int) -> Samples:
        """The segment that starts at this second, sought.

        Decoding begins a second earlier, so that the resampler settles. A whole second is whole
        at both rates, so these are the samples of an uninterrupted run.
        """
        lead_s = min(start_s, 1)
        door = doors.to_try(self.path)[0]
        if not doors.seekable(self.path, door):
            raise GaveUp("cannot seek")
        blocks = self._noting_decoder(door.blocks(self.path, float(start_s - lead_s)))
        return next(pick(unending(resampling.at_16_khz(blocks)), [lead_s]))

    def samples(self) -> Iterator[Samples]:
        """The whole track at 16 kHz, in blocks. At the end the duration is known and checked."""
        n_samples = 0
        for samples in resampling.at_16_khz(self._blocks()):
            n_samples += len(samples)
            yield samples
        self.duration_s = n_samples / RATE_HZ
        if self.duration_s < SHORTEST_S:
            reason = f"only {self.duration_s:.2f} s of music"
            raise AudioError(self.path, "too_short", reason)

    def _blocks(self) -> Iterator[Block]:
        """Mono blocks from the first decoder that can; where it gives up, the next one goes on."""
        heard_s = 0.0
        refusals: list[str] = []
        damaged = False
        for door in doors.to_try(self.path):
            try:
                for block in self._noting_decoder(door.blocks(self.path, heard_s)):
                    heard_s += len(block.samples) / block.rate_hz
                    if heard_s > LONGEST_S:
                        reason = f"it goes on for more than {LONGEST_S // 3600} hours"
                        raise AudioError(self.path, "too_big", reason)
                    yield block
            except GaveUp as gave_up:  # noqa: PERF203  (three doors at most)
                refusals.append(f"{door.name}: {gave_up}")
                damaged = damaged or gave_up.damaged
            else:
                refusals.clear()
                break
        claims.judge(self.path, heard_s, refusals, damaged)

    def _noting_decoder(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            self.decoder = self.decoder or block.decoder
            self._progress()
            if len(block.samples):
                yield block


def _silent(path: Path) -> AudioError:
    return AudioError(path, "silent", "nothing in it is louder than -80 dBFS")
