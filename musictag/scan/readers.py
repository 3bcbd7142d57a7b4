"""Threads that read many files at once, each with a decoder of its own.

    with Readers(paths, is_remembered, segments, jobs=4, decoder=Decoder) as readers:
        for arrival in readers:
            ...

What arrives is one of four things: `Segment` (of a job), `Decoded` (all its segments have arrived),
`Remembered` (jobs that need no decoding) and `Quiet` (nothing came for a while).

Nothing here grows with the library or with a track. Of segments, 1.9 MB each, there are at most
max(96, 2 · jobs) on the queue and 5 with each thread and its process. The queue need not hold a
batch: it only bridges the moments when the caller's thread does something else, of which loading
the model is the longest. A window bounds the tracks that may overtake a slow one.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from musictag.audio.decoder import Closed
from musictag.errors import FileError
from musictag.outcome import Problem
from musictag.scan.job import Job

if TYPE_CHECKING:
    from musictag.scan.ports import AnyDecoder, Samples

_WINDOW = 1024
"""Tracks under way at once, so that those that wait for a slow one need bounded memory. Many more
than a batch holds."""
_QUEUE = 96
"""Smallest capacity of the queue, in segments."""
_TOGETHER = 64
"""Number of remembered tracks worth passing on together."""
_LINGER_S = 0.002
"""How long to wait for that many when nothing else is to be done, in seconds."""
_PATIENCE_S = 0.5
"""How long nothing may come before `Quiet` is said, in seconds."""
_POLL_S = 0.1
"""How soon a waiting thread sees that the scan has ended, in seconds."""
_PARTING_S = 3.0
"""How long to wait for busy threads when the scan has ended, in seconds."""


@dataclass(frozen=True)
class Segment:
    """Samples of a job."""

    job: Job
    samples: Samples


@dataclass(frozen=True)
class Decoded:
    """All segments of a job have arrived, or it failed."""

    job: Job


@dataclass
class Remembered:
    """Jobs that need no decoding. The list grows until it is taken."""

    jobs: list[Job]


class Quiet:
    """Nothing came for a while."""


QUIET = Quiet()
Arrival: TypeAlias = Segment | Decoded | Remembered | Quiet


class _ThreadEnded:
    """A thread has nothing more to do."""


class Readers:
    """Read files in the order of the paths and hand over their segments.

    Each thread has a decoder, whose process does the work. One more thread takes the paths, because
    a list on standard input may make it wait for ever, and looks up what is remembered. Leaving the
    `with` block ends all of them.
    """

    def __init__(
        self,
        paths: Iterable[Path | FileError],
        is_remembered: Callable[[Job], bool],
        segments: Callable[[Job, AnyDecoder], Iterator[Samples]],
        *,
        jobs: int,
        decoder: Callable[[], AnyDecoder],
    ) -> None:
        self._paths = paths
        self._is_remembered = is_remembered
        self._segments = segments
        self._ended = threading.Event()
        self._window = threading.Semaphore(_WINDOW)
        self._todo: queue.Queue[Job | None] = queue.Queue()
        self._arrivals: queue.Queue[Arrival | _ThreadEnded | BaseException] = queue.Queue(
            maxsize=max(_QUEUE, 2 * jobs)
        )
        self._passing = Remembered([])
        """On the queue if there is anything in it."""
        self._lock = threading.Lock()
        self._n_done = 0
        self._decoders = [decoder() for _ in range(jobs)]
        self._threads = [
            self._thread(f"musictag {n}", functools.partial(self._decode, decoder))
            for n, decoder in enumerate(self._decoders)
        ]
        self._porter = self._thread("musictag paths", self._take_paths)

    def __enter__(self) -> Readers:
        for thread in (self._porter, *self._threads):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for decoder in self._decoders:
            decoder.kill()
            self._todo.put(None)
        # A thread that reads huge metadata or waits for standard input sees the end late or never.
        # As a daemon it ends with the program, and nothing that it hands over is taken.
        deadline_s = time.monotonic() + _PARTING_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        self._porter.join(min(1.0, max(0.0, deadline_s - time.monotonic())))

    def __iter__(self) -> Iterator[Arrival]:
        n_at_work = len(self._threads) + 1
        while n_at_work:
            try:
                arrival = self._arrivals.get(timeout=_PATIENCE_S)
            except queue.Empty:
                yield QUIET
                continue
            if isinstance(arrival, BaseException):
                raise arrival
            if isinstance(arrival, _ThreadEnded):
                n_at_work -= 1
                continue
            if isinstance(arrival, Remembered):
                if len(arrival.jobs) < _TOGETHER and self._arrivals.empty():
                    time.sleep(_LINGER_S)  # else each would cost a change of threads
                with self._lock:
                    self._passing = Remembered([])
            yield arrival

    def one_done(self) -> None:
        """A track has left the scan. Room for others is made in batches."""
        self._n_done += 1
        if self._n_done >= min(_TOGETHER, _WINDOW // 2 or 1):
            self._window.release(self._n_done)
            self._n_done = 0

    # -- in the threads

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do the work, and say when it is done.

        An exception that we did not foresee is raised again where the arrivals are taken.
        """
        with contextlib.suppress(_Ended, Closed):
            try:
                work()
            except (_Ended, Closed):
                raise
            except BaseException as error:
                self._hand_over(error)
            else:
                self._hand_over(_ThreadEnded())

    def _take_paths(self) -> None:
        for number, path in enumerate(self._paths):
            while not self._window.acquire(timeout=_POLL_S):
                self._check_ended()
            self._check_ended()
            job = Job(number, path.path if isinstance(path, FileError) else path)
            try:
                if isinstance(path, FileError):
                    raise path
                if not self._is_remembered(job):
                    self._todo.put(job)
                    continue
            except FileError as error:
                job.problem = Problem.of(error)
            self._pass_by(job)
        for _thread in self._threads:
            self._todo.put(None)

    def _pass_by(self, job: Job) -> None:
        """Hand over a job together with those before and behind it, as soon as one is wanted."""
        with self._lock:
            self._passing.jobs.append(job)
            if len(self._passing.jobs) > 1:
                return
            passing = self._passing
        self._hand_over(passing)

    def _decode(self, decoder: AnyDecoder) -> None:
        with decoder:
            while (job := self._todo.get()) is not None:
                self._check_ended()
                try:
                    for samples in self._segments(job, decoder):
                        self._hand_over(Segment(job, samples))
                except FileError as error:
                    job.problem = Problem.of(error)
                self._hand_over(Decoded(job))

    def _hand_over(self, arrival: Arrival | _ThreadEnded | BaseException) -> None:
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
