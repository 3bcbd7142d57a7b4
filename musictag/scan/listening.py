"""Many tracks at once: their segments decoded in processes, heard in batches, taken in order.

    with Decoders(paths, remembered, segments, jobs, Decoder) as decoders:
        for track in in_order(Listener(load, stopped).tracks(decoders)):
            ...                                  # all of it heard, or with a problem

Threads, each with a process that decodes for it, read tracks, a few at a time,
and put their segments on a short queue; the caller's thread takes them off and
hears them in batches that reach across tracks. One batch is heard while the
next one is gathered. A track of which all is remembered passes them by,
together with its neighbours.

Nothing here grows with the library or with a track. In memory are at most, of
1.9 MB each: the queue's max(96, 2 · jobs) segments, 5 in the hands of each
thread and its process, and for a GPU two batches, or for each core that hears
4 that wait for it (of batches a CPU keeps coefficients, 0.2 MB each). With 2
jobs on a CPU that is 210 MB, with 16 jobs and batches of 64 on a GPU 570 MB.
The queue need not hold a batch: it only bridges the moments in which the
caller's thread does something else, of which loading the model is the longest.
A window bounds the tracks that may overtake a slow one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from musictag.audio.decoder import Closed
from musictag.audio.samples import RATE_HZ, SEGMENT_S
from musictag.errors import FileError
from musictag.outcome import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from musictag.hearing.ear_core import CpuEar, CpuLater
    from musictag.hearing.ear_torch import Ear, Later
    from musictag.stores.cache import Heard, Tags

    Segment = NDArray[np.float32]

_WINDOW = 1024
"""Tracks that may be under way at once, so that finished ones wait for a slow one in bounded
memory. Far more than fit into a batch."""
_QUEUE = 96
"""Segments that may wait to be heard, at least."""
_TOGETHER = 64
"""Remembered tracks leave by so many at least, where there are as many."""
_LINGER_S = 0.002
"""And where nothing else is to be done they are waited for so long."""
_FIRST = 32
"""The first batch is no larger, so that somebody who watches soon sees the first tags."""
_PATIENCE_S = 0.5
"""A batch that is not full waits this long for the next segment."""
_POLL_S = 0.1
"""How soon a waiting thread sees that the scan has ended."""
_PARTING_S = 3.0
"""Threads in the middle of something are waited for so long when the scan has ended."""


@dataclass
class Track:
    """A file on its way through the stages; one thread at a time has it in hand."""

    number: int
    path: Path
    stat: os.stat_result | None = None
    tags: Tags | None = None
    """The metadata as the file has it."""
    noted: bool = False
    """The cache has the tags and the content of the file as it is now."""
    content: bytes | None = None
    duration_s: float | None = None
    taggram: list[list[float]] = field(default_factory=list)
    heard: Heard | None = None
    from_cache: bool = False
    problem: Problem | None = None
    decoded: bool = False
    n_unheard: int = 0
    n_heard_elsewhere: int = 0


class Listener:
    """Segments → probabilities, in batches that reach across tracks.

    The model is loaded for the first segment: who has none needs no model.
    `heard` is told whose music was heard, and how many seconds of it.
    """

    def __init__(
        self,
        load: Callable[[], Ear | CpuEar],
        stopped: Callable[[], bool],
        heard: Callable[[Path, float], None],
    ) -> None:
        self._load = load
        self._stopped = stopped
        self._heard = heard
        self._ear: Ear | CpuEar | None = None
        self._gathering: _Batch | None = None
        self._begun: _Batch | None = None
        self._idle: list[_Batch] = []
        self._has_begun = False

    def tracks(self, decoders: Decoders) -> Iterator[Track]:
        """Each track when all of it has been heard, in any order; no more once stopped."""
        for arrival in decoders:
            if self._stopped():
                return
            if arrival is None:
                yield from self._hear()
                yield from self._take()
            elif isinstance(arrival, list):
                yield from arrival
            elif arrival.segment is None:
                arrival.track.decoded = True
                if n := arrival.track.n_heard_elsewhere:
                    self._heard(arrival.track.path, float(n * SEGMENT_S))
                if arrival.track.n_unheard == 0:
                    yield arrival.track
            else:
                yield from self._gather(arrival.track, arrival.segment)
        yield from self._hear()
        yield from self._take()

    def _gather(self, track: Track, segment: Segment) -> list[Track]:
        """Into the batch, which is heard when it is full; the tracks that are through by now."""
        track.n_unheard += 1
        if self._ear is None:
            self._ear = self._load()
        if self._gathering is None:
            new = not self._idle
            self._gathering = _Batch(self._ear, len(segment)) if new else self._idle.pop()
        self._gathering.add(track, segment)
        full = self._gathering.batch.size
        if len(self._gathering.tracks) == (full if self._has_begun else min(full, _FIRST)):
            return self._hear()
        return self._take() if self._begun is not None and self._begun.is_heard else []

    def _hear(self) -> list[Track]:
        """Begin to hear the batch as it is; the tracks that are through by now.

        The batch before is waited for only when this one has been begun, so
        that the device always has something to do.
        """
        if self._gathering is None:
            return []
        batch, self._gathering = self._gathering, None
        self._has_begun = True
        batch.later = batch.batch.begin()
        through = self._take()
        self._begun = batch
        return through + (self._take() if batch.is_heard else [])

    def _take(self) -> list[Track]:
        """What comes of the batch that was begun; the tracks that waited for nothing else."""
        batch, self._begun = self._begun, None
        if batch is None or batch.later is None:
            return []
        probabilities = batch.later.result().tolist()
        tracks, batch.tracks, batch.later = batch.tracks, [], None
        self._idle.append(batch)
        for track, row in zip(tracks, probabilities, strict=True):
            track.taggram.append(row)
            track.n_unheard -= 1
        n_segments = Counter(track.number for track in tracks)
        together = {track.number: track for track in tracks}
        for number, track in together.items():
            self._heard(track.path, n_segments[number] * batch.segment_s)
        return [t for t in together.values() if t.decoded and t.n_unheard == 0]


class _Batch:
    """A batch, and whose its segments are."""

    def __init__(self, ear: Ear | CpuEar, n_samples: int) -> None:
        self.batch = ear.batch(n_samples)
        self.segment_s = n_samples / RATE_HZ
        self.tracks: list[Track] = []
        self.later: Later | CpuLater | None = None

    def add(self, track: Track, segment: Segment) -> None:
        self.batch.add(segment)
        self.tracks.append(track)

    @property
    def is_heard(self) -> bool:
        return self.later is not None and self.later.is_there


def in_order(tracks: Iterable[Track]) -> Iterator[Track]:
    """Each track when all that come before it in the list have come."""
    waiting: dict[int, Track] = {}
    number = 0
    for track in tracks:
        waiting[track.number] = track
        while number in waiting:
            yield waiting.pop(number)
            number += 1


@dataclass(frozen=True)
class Arrival:
    """A segment of a track; None says that all its segments have come."""

    track: Track
    segment: Segment | None


class Music(Protocol):
    """A decoder.Track, or one that is heard where it is decoded."""

    duration_s: float | None
    decoder: str
    taggram: Sequence[list[float]]
    """What was heard already; of such a track no segments come."""

    def segments(self, *, most: int | None = None) -> Iterator[Segment]: ...


class Hand(Protocol):
    """What has one file at a time in hand for a thread: a Decoder, or somebody far away."""

    def payload_digest(self, path: Path) -> bytes: ...
    def track(self, path: Path, *, n_segments: int | None = None) -> Music: ...
    def kill(self) -> None: ...
    def __enter__(self) -> Hand: ...
    def __exit__(self, *_: object) -> None: ...


class Hands(Protocol):
    """Hands of a cluster."""

    @property
    def n(self) -> int:
        """How many files can be in hand at once."""

    def decoder(self) -> Hand: ...


class Decoders:
    """Threads that read tracks in the order of the paths and hand over their segments.

    Each has a hand (a Decoder, whose process does the work) and waits for it.
    Iterating gives what arrives: an Arrival, a list of tracks of which all was
    `remembered`, and None when nothing came for a while. One more thread takes
    the paths, because a list on standard input may make it wait for ever, and
    asks what is remembered. Leaving the `with` block ends all of them.
    """

    def __init__(
        self,
        paths: Iterable[Path | FileError],
        remembered: Callable[[Track], bool],
        segments: Callable[[Track, Hand], Iterator[Segment]],
        jobs: int,
        hand: Callable[[], Hand],
    ) -> None:
        self._paths = paths
        self._remembered = remembered
        self._segments = segments
        self._ended = threading.Event()
        self._window = threading.Semaphore(_WINDOW)
        self._todo: queue.Queue[Track | None] = queue.Queue()
        self._arrivals: queue.Queue[Arrival | list[Track] | BaseException | None] = queue.Queue(
            maxsize=max(_QUEUE, 2 * jobs)
        )
        self._passing: list[Track] = []
        """Remembered tracks: this list is among the arrivals if there is anything in it."""
        self._lock = threading.Lock()
        self._n_done = 0
        self._porter = threading.Thread(
            target=self._guarded, args=(self._take_paths,), name="musictag paths", daemon=True
        )
        self._hands = [hand() for _ in range(jobs)]
        self._threads = [
            threading.Thread(
                target=self._guarded,
                args=(functools.partial(self._decode, hand),),
                name=f"musictag {n}",
                daemon=True,
            )
            for n, hand in enumerate(self._hands)
        ]

    def __enter__(self) -> Decoders:
        for thread in (self._porter, *self._threads):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for hand in self._hands:
            hand.kill()
            self._todo.put(None)
        # Who reads huge metadata or waits for standard input sees the end late or never: daemons,
        # they end with the program, and nothing they hand over any more is taken.
        deadline_s = time.monotonic() + _PARTING_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        self._porter.join(min(1.0, max(0.0, deadline_s - time.monotonic())))

    def __iter__(self) -> Iterator[Arrival | list[Track] | None]:
        n_at_work = len(self._threads) + 1
        while n_at_work:
            try:
                arrival = self._arrivals.get(timeout=_PATIENCE_S)
            except queue.Empty:
                yield None
                continue
            if isinstance(arrival, BaseException):
                raise arrival
            if arrival is None:
                n_at_work -= 1
            elif isinstance(arrival, list):
                if len(arrival) < _TOGETHER and self._arrivals.empty():
                    time.sleep(_LINGER_S)  # else each would cost a change of threads
                with self._lock:
                    self._passing = []
                yield arrival
            else:
                yield arrival

    def one_done(self) -> None:
        """A track has left the scan: another may come in, though not each for itself."""
        self._n_done += 1
        if self._n_done >= min(_TOGETHER, _WINDOW // 2 or 1):
            self._window.release(self._n_done)
            self._n_done = 0

    def _guarded(self, work: Callable[[], None]) -> None:
        """An exception that we did not foresee is raised again where the arrivals are taken."""
        try:
            work()
        except (_Ended, Closed):
            pass
        except BaseException as error:
            with contextlib.suppress(_Ended):
                self._hand_over(error)

    def _take_paths(self) -> None:
        for number, path in enumerate(self._paths):
            while not self._window.acquire(timeout=_POLL_S):
                self._check_ended()
            self._check_ended()
            track = Track(number, path.path if isinstance(path, FileError) else path)
            try:
                if isinstance(path, FileError):
                    raise path
                if not self._remembered(track):
                    self._todo.put(track)
                    continue
            except FileError as error:
                track.problem = Problem.of(error)
            self._pass_by(track)
        for _thread in self._threads:
            self._todo.put(None)
        self._hand_over(None)

    def _pass_by(self, track: Track) -> None:
        """Hand over a track together with those before and behind it, as soon as one is waited for.

        The list grows until it is taken.
        """
        with self._lock:
            self._passing.append(track)
            if len(self._passing) > 1:
                return
            passing = self._passing
        self._hand_over(passing)

    def _decode(self, hand: Hand) -> None:
        with hand:
            while (track := self._todo.get()) is not None:
                self._check_ended()
                try:
                    for segment in self._segments(track, hand):
                        self._hand_over(Arrival(track, segment))
                except FileError as error:
                    track.problem = Problem.of(error)
                self._hand_over(Arrival(track, None))
        self._hand_over(None)

    def _hand_over(self, arrival: Arrival | list[Track] | BaseException | None) -> None:
        while True:
            self._check_ended()
            with contextlib.suppress(queue.Full):
                self._arrivals.put(arrival, timeout=_POLL_S)
                return

    def _check_ended(self) -> None:
        if self._ended.is_set():
            raise _Ended


class _Ended(Exception):  # noqa: N818  # not an error: the way out of a thread
    """The scan is over."""
