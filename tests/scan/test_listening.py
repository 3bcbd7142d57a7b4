"""Segments to probabilities: batches that reach across tracks, and a device not waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ears import FakeEar

from musictag.audio.samples import RATE_HZ, SEGMENT_S
from musictag.hearing.arrays import Real
from musictag.hearing.ear import Hearing
from musictag.scan import listening
from musictag.scan.job import Job
from musictag.scan.listening import Listening
from musictag.scan.readers import QUIET, Arrival, Decoded, Segment

LENGTH = 4
"""Samples of a made-up segment."""

# ---------------------------------------------------------------- a device that is not waited for


class Slow(FakeEar):
    """A device that is at work until somebody waits for it, or `finish` is called."""

    def __init__(self, batch_size: int = 2) -> None:
        self.batch_size = batch_size
        self.diary: list[str] = []
        self.sizes: list[int] = []
        self.n_begun = 0
        self.is_done = False

    def begin(self, segments: Real) -> Any:
        self.n_begun += 1
        self.sizes.append(len(segments))
        self.diary.append(f"begin {self.n_begun}")
        return SlowLater(self, self.n_begun, segments)


class SlowLater:
    def __init__(self, device: Slow, number: int, segments: Real) -> None:
        self.device, self.number, self.segments = device, number, segments

    def done(self) -> bool:
        return self.device.is_done

    def result(self) -> Hearing:
        self.device.diary.append(f"take {self.number}")
        # read only now: nobody may have written over them
        return Hearing(self.segments[:, :1].copy(), self.segments.copy())


def arrivals(*tracks: Sequence[float]) -> Iterator[Arrival]:
    """All segments of one track after another, each a number."""
    for number, heard in enumerate(tracks):
        job = Job(number, Path(f"{number}.mp3"))
        for x in heard:
            yield Segment(job, np.full(LENGTH, x, dtype=np.float32))
        yield Decoded(job)


def heard_by(
    device: Any, coming: Any, progress: Callable[[Path, float, bool], None] = lambda *_: None
) -> list[tuple[int, list[float]]]:
    listener = Listening(lambda: device, lambda: False, progress)
    return [(job.number, [p for (p,) in job.taggram]) for job in listener.jobs(coming)]


def test_the_next_batch_is_begun_before_the_one_before_is_waited_for() -> None:
    device = Slow()
    tracks = [[0.0], [0.125, 0.25, 0.375], [0.5, 0.625, 0.75], [0.875]]
    assert heard_by(device, arrivals(*tracks)) == list(enumerate(tracks))
    assert device.diary == [
        *("begin 1", "begin 2", "take 1", "begin 3", "take 2", "begin 4", "take 3", "take 4"),
    ]


def test_the_first_batch_is_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_FIRST", 2)
    device = Slow(batch_size=4)
    numbers = [n / 16 for n in range(11)]
    assert heard_by(device, arrivals(numbers)) == [(0, numbers)]
    assert device.sizes == [2, 4, 4, 1]


def test_what_is_there_is_taken_when_the_next_segment_comes() -> None:
    device = Slow()

    def coming() -> Iterator[Arrival]:
        for n, arrival in enumerate(arrivals([0.0, 0.125], [0.25], [0.375])):
            device.is_done = n == 3
            if n == 4:
                assert device.diary == ["begin 1", "take 1"]
            yield arrival

    assert [number for number, _ in heard_by(device, coming())] == [0, 1, 2]


def test_when_nothing_comes_for_a_while_all_that_came_is_heard() -> None:
    device = Slow(batch_size=3)
    coming = [*arrivals([0.0, 0.125, 0.25, 0.375]), QUIET, *arrivals([0.5])]
    heard = heard_by(device, coming)
    assert heard == [(0, [0.0, 0.125, 0.25, 0.375]), (0, [0.5])]
    assert device.diary == ["begin 1", "begin 2", "take 1", "take 2", "begin 3", "take 3"]


def test_memory_for_segments_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches: one is heard while the other is gathered."""
    device = Slow()
    rooms: list[int] = []
    make = device.room
    monkeypatch.setattr(device, "room", lambda n: (rooms.append(n), make(n))[1])
    heard_by(device, arrivals([0.5] * 20, [0.25] * 20))
    assert rooms == [LENGTH] * 2


def test_it_is_told_of_music_when_it_arrives_long_before_a_batch_is_full() -> None:
    told: list[tuple[str, float, bool]] = []
    device = Slow(4)

    def progress(path: Path, seconds: float, is_all: bool) -> None:
        told.append((path.name, seconds * RATE_HZ, is_all))
        if len(told) == 3:
            assert device.n_begun == 0

    coming = arrivals([0.5] * 5, [0.25])
    heard_by(device, coming, progress)
    first, second = ("0.mp3", LENGTH, False), ("1.mp3", LENGTH, False)
    assert told == [*[first] * 5, ("0.mp3", 0, True), second, ("1.mp3", 0, True)]


def test_of_a_track_that_is_heard_elsewhere_it_is_told_all_at_once() -> None:
    told: list[tuple[str, float, bool]] = []
    job = Job(0, Path("0.mp3"), taggram=[[0.5], [0.25]], n_heard_elsewhere=2)
    heard = heard_by(
        Slow(), [Decoded(job)], lambda path, s, done: told.append((path.name, s, done))
    )
    assert heard == [(0, [0.5, 0.25])]
    assert told == [("0.mp3", 2 * SEGMENT_S, True)]
