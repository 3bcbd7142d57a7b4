"""Segments of many tracks → probabilities, in batches that reach across tracks.

    for job in in_order(Listening(load, stopped).jobs(readers)):
        ...                             # the whole track was heard, or has a problem

One batch is heard while the next one is gathered. In memory are at most, for a GPU, two batches of
segments (1.9 MB each); for each core that hears, 4 segments, because of a batch a CPU only keeps
coefficients (0.2 MB each). Together with what waits for them (see `readers`), that is 210 MB with 2
jobs on a CPU and 570 MB with 16 jobs and batches of 64 on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.audio.samples import RATE_HZ, SEGMENT_S
from musictag.scan.job import Job
from musictag.scan.readers import Arrival, Decoded, Remembered, Segment

if TYPE_CHECKING:
    from musictag.hearing.ear import Ear, Later
    from musictag.scan.ports import Samples

_FIRST = 32
"""Largest size of the first batch, so that somebody who watches soon sees the first tags."""

Progress = Callable[[Path, float, bool], None]
"""Told of a file that so many more seconds of it have been decoded, and whether that is all."""


class Listening:
    """Hears the segments that arrive.

    The model is loaded for the first segment, so a scan that has none needs no model.
    """

    def __init__(
        self,
        load: Callable[[], Ear],
        stopped: Callable[[], bool],
        progress: Progress = lambda *_: None,
    ) -> None:
        self._load = load
        self._stopped = stopped
        self._progress = progress
        self._ear: Ear | None = None
        self._gathering: _Batch | None = None
        self._begun: _Batch | None = None
        self._idle: list[_Batch] = []
        self._has_begun = False

    def jobs(self, arrivals: Iterable[Arrival]) -> Iterator[Job]:
        """Each job when its whole track has been heard, in any order; none once stopped."""
        for arrival in arrivals:
            if self._stopped():
                return
            if isinstance(arrival, Segment):
                self._progress(arrival.job.path, len(arrival.samples) / RATE_HZ, False)
                yield from self._gather(arrival.job, arrival.samples)
            elif isinstance(arrival, Decoded):
                job = arrival.job
                job.is_decoded = True
                self._progress(job.path, float(job.n_heard_elsewhere * SEGMENT_S), True)
                if job.is_through:
                    yield job
            elif isinstance(arrival, Remembered):
                yield from arrival.jobs
            else:
                yield from self._hear()
                yield from self._take()
        yield from self._hear()
        yield from self._take()

    def _gather(self, job: Job, samples: Samples) -> list[Job]:
        """Add a segment to the batch, which is heard when full; returns jobs that are through."""
        job.n_unheard += 1
        if self._ear is None:
            self._ear = self._load()
        if self._gathering is None:
            new = not self._idle
            self._gathering = _Batch(self._ear, len(samples)) if new else self._idle.pop()
        self._gathering.add(job, samples)
        full = self._gathering.batch.size
        if len(self._gathering.jobs) == (full if self._has_begun else min(full, _FIRST)):
            return self._hear()
        return self._take() if self._begun is not None and self._begun.is_heard else []

    def _hear(self) -> list[Job]:
        """Begin to hear the gathered batch; returns jobs that are through.

        The batch before is waited for only when this one has been begun, so that the device always
        has something to do.
        """
        if self._gathering is None:
            return []
        batch, self._gathering = self._gathering, None
        self._has_begun = True
        batch.later = batch.batch.begin()
        through = self._take()
        self._begun = batch
        return through + (self._take() if batch.is_heard else [])

    def _take(self) -> list[Job]:
        """Wait for the batch that was begun; returns jobs that are through."""
        batch, self._begun = self._begun, None
        if batch is None or batch.later is None:
            return []
        hearing = batch.later.result()
        jobs, batch.jobs, batch.later = batch.jobs, [], None
        self._idle.append(batch)
        for number, (job, row) in enumerate(zip(jobs, hearing.probabilities.tolist(), strict=True)):
            job.taggram.append(row)
            job.summing.add(hearing.summaries[number : number + 1])
            job.n_unheard -= 1
        return [job for job in {job.number: job for job in jobs}.values() if job.is_through]


class _Batch:
    """A batch, and the jobs to which its segments belong."""

    def __init__(self, ear: Ear, n_samples: int) -> None:
        self.batch = ear.batch(n_samples)
        self.jobs: list[Job] = []
        self.later: Later | None = None

    def add(self, job: Job, samples: Samples) -> None:
        self.batch.add(samples)
        self.jobs.append(job)

    @property
    def is_heard(self) -> bool:
        return self.later is not None and self.later.done()


def in_order(jobs: Iterable[Job]) -> Iterator[Job]:
    """Each job when all jobs before it in the list have come."""
    waiting: dict[int, Job] = {}
    number = 0
    for job in jobs:
        waiting[job.number] = job
        while number in waiting:
            yield waiting.pop(number)
            number += 1
