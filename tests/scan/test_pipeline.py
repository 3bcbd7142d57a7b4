"""Many tracks through all stages: order, batches, bounded memory, errors, cache, writing.

Scheduling is tested with a small fake: a file is JSON that says how many segments are in it, what
is heard in each and which metadata it has; `Listening` stands for the decoders, the metadata and
the model, and counts what they are asked to do.
"""

from __future__ import annotations

import array
import contextlib
import hashlib
import itertools
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ears import FakeEar
from waits import WAIT_S, join

from musictag import metadata
from musictag.config import Settings
from musictag.errors import AudioError, FileError, JournalError, MetadataError, UsageError
from musictag.metadata import FIELDS, Snapshot, Written
from musictag.metadata.replacement import _HERE
from musictag.outcome import Outcome, Problem
from musictag.scan import known, pipeline, readers, reading
from musictag.stores import journal
from musictag.stores.cache import Cache
from musictag.stores.journal import Journal

TAGS = ("rock", "slow", "guitar")
THRESHOLDS = {"Rock": 0.5, "Slow": 0.5, "Guitar": 0.5}
ROCK, SLOW, NOTHING = (0.75, 0.25, 0.0), (0.0, 0.75, 0.0), (0.0, 0.0, 0.0)
ON_CPU = Settings(device="cpu", jobs=2, batch_size=4)


@dataclass
class Listening(FakeEar):
    """Stands for the decoders, the metadata and the model of a scan."""

    name: str = "fake"
    digest: str = "d1"
    front_end: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = TAGS
    thresholds: dict[str, float] = field(default_factory=lambda: dict(THRESHOLDS))
    decoded: list[str] = field(default_factory=list)
    n_digested: int = 0
    n_loaded: int = 0
    batches: list[int] = field(default_factory=list)
    n_alive: int = 0
    most_alive: int = 0
    on_segment: Callable[[Path, int], None] = lambda path, number: None
    on_batch: Callable[[], None] = lambda: None
    on_digest: Callable[[Path], None] = lambda path: None
    on_write: Callable[[Path], None] = lambda path: None

    def __post_init__(self) -> None:
        self.metadata = FakeMetadata(self)

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def kill(self) -> None:
        pass

    def load(self, _: str = "cpu", *, batch_size: int | None = None) -> FakeEar:
        self.n_loaded += 1
        return super().load(batch_size=batch_size)

    def hear(self, segments: torch.Tensor) -> torch.Tensor:
        self.on_batch()
        self.batches.append(len(segments))
        return segments.clone()

    def track(self, path: Path, *, n_segments: int | None = None) -> FakeTrack:
        self.decoded.append(path.name)
        return FakeTrack(self, path, n_segments)

    def payload_digest(self, path: Path) -> bytes:
        self.n_digested += 1
        self.on_digest(path)
        content = json.loads(path.read_text())
        del content["metadata"]
        return hashlib.sha256(json.dumps(content).encode()).digest()

    def segment(self, probabilities: Sequence[float]) -> Any:
        segment = np.array(probabilities, dtype=np.float32)
        self.n_alive += 1
        self.most_alive = max(self.most_alive, self.n_alive)
        weakref.finalize(segment, self._died)
        return segment

    def _died(self) -> None:
        self.n_alive -= 1


def snapshot(metadata: dict[str, list[str]]) -> Snapshot:
    entries = [(n, f"{n}={value}".encode()) for n, values in metadata.items() for value in values]
    return Snapshot("Vorbis", tuple(entry for entry in entries if entry[0] in FIELDS))


class FakeTrack:
    def __init__(self, listening: Listening, path: Path, n_segments: int | None) -> None:
        self.listening = listening
        self.path = path
        self.content = json.loads(path.read_text())
        self.n_segments = n_segments
        self.duration_s: float | None = None
        self.decoder = "ffmpeg"
        self.taggram = ()

    def segments(self, *, most: int | None = None) -> Iterator[Any]:
        heard = self.content["heard"][: self.n_segments]
        for number, probabilities in enumerate(heard):
            self.listening.on_segment(self.path, number)
            yield self.listening.segment(probabilities)
            if number + 1 == most:
                return
        self.duration_s = 29.0 * len(heard)
        if code := self.content["error"]:
            raise AudioError(self.path, code, f"it is {code}", cure="mend it")


class FakeMetadata:
    """Reads and writes the metadata of such files; knows which it has read."""

    def __init__(self, fake: Listening) -> None:
        self.fake = fake
        self.names_read: list[str] = []

    def clear_leftovers(self, path: Path) -> None:
        metadata.clear_leftovers(path)

    def read(self, path: Path) -> dict[str, tuple[str, ...]]:
        self.names_read.append(path.name)
        found = json.loads(path.read_text())["metadata"]
        if isinstance(found, str):
            raise MetadataError(path, found, f"metadata: {found}")
        return {name: tuple(values) for name, values in found.items()}

    def write(
        self,
        path: Path,
        values: Any,
        *,
        expected: Any,
        join: str | None,
        about_to: Any,
        **options: Any,
    ) -> Written | None:
        self.fake.on_write(path)
        content = json.loads(path.read_text())
        now = content["metadata"]
        if now.get("READ-ONLY"):
            raise MetadataError(path, "read_only", "may not be written")
        for name, entries in expected.items():
            if tuple(now.get(name, ())) != entries:
                raise MetadataError(path, "changed", f"somebody set {name}")
        new = {n: list(e) if join is None else [join.join(e)] for n, e in values.items()}
        if now == now | new:
            return None
        written = Written(snapshot(now), snapshot(now | new), self.fake.payload_digest(path))
        about_to(written)
        now |= new
        path.write_text(json.dumps(content))
        return written


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Listening:
    # No test waits for a clock: a batch that is not full waits until nothing can come any more.
    monkeypatch.setattr(readers, "_PATIENCE_S", 3600)
    return Listening()


@pytest.fixture
def song(tmp_path: Path) -> Callable[..., Path]:
    numbers = itertools.count()

    def make(
        name: str = "",
        *,
        heard: Sequence[Sequence[float]] = (ROCK,),
        error: str = "",
        metadata: dict[str, list[str]] | str | None = None,
    ) -> Path:
        number = next(numbers)
        path = tmp_path / (name or f"{number:03}.mp3")
        content = {
            "number": number,
            "heard": heard,
            "error": error,
            "metadata": {} if metadata is None else metadata,
        }
        path.write_text(json.dumps(content))
        return path

    return make


Song = Callable[..., Path]


def scan(
    paths: Any, listening: Any, settings: Settings = ON_CPU, *, write: bool = False, **options: Any
) -> list[Outcome]:
    options.setdefault("cache", Cache(None))
    with Journal(journal.default_path()) as book:
        command = ["scan"] if write else None
        return list(scanning(paths, listening, settings, journal=book, write=command, **options))


def scanning(paths: Any, listening: Any, settings: Settings = ON_CPU, **options: Any) -> Any:
    """A scan in which `listening` stands for what decodes, reads, writes and hears."""
    options = {"decoder": lambda: listening, "metadata": listening.metadata} | options
    return pipeline.scan(paths, listening, settings, **options)


def statuses(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def no_thread_is_left() -> bool:
    return not [t for t in threading.enumerate() if t.name.startswith("musictag")]


def retag(path: Path, **metadata: list[str]) -> None:
    content = json.loads(path.read_text())
    content["metadata"] |= metadata
    path.write_text(json.dumps(content))


# ---------------------------------------------------------------- one track


def test_a_track_is_the_mean_of_its_segments(listening: Listening, song: Song) -> None:
    (outcome,) = scan([song(heard=[ROCK, ROCK, SLOW, NOTHING])], listening)
    assert outcome.probabilities == {"rock": 0.375, "slow": 0.3125, "guitar": 0.0}
    assert outcome.chosen == {"GENRE": (), "MOOD": (), "INSTRUMENT": (), "VOCALS": ()}
    assert outcome.duration_s == 4 * 29
    assert outcome.model == "fake"
    assert outcome.status == "unchanged"


def test_what_is_chosen_and_may_be_written_is_planned(listening: Listening, song: Song) -> None:
    path = song(metadata={"GENRE": [], "MOOD": ["Sad"]})
    before = path.read_bytes()
    (outcome,) = scan([path], listening)
    assert outcome.status == "planned"
    assert outcome.chosen["GENRE"] == ("Rock",)
    assert (outcome.fields["GENRE"].old, outcome.fields["GENRE"].new) == ((), ("Rock",))
    assert not outcome.fields["MOOD"].changed
    assert set(outcome.fields) == {"GENRE", "MOOD"}
    assert path.read_bytes() == before


def test_segments_of_the_settings_are_heard(listening: Listening, song: Song) -> None:
    settings = Settings(device="cpu", segments=2)
    (outcome,) = scan([song(heard=[ROCK, ROCK, SLOW])], listening, settings)
    assert outcome.probabilities["rock"] == 0.75


# ---------------------------------------------------------------- many tracks


def test_outcomes_come_in_the_order_of_the_paths(listening: Listening, song: Song) -> None:
    """The first track is held up until the last one has been decoded."""
    paths = [song() for _ in range(6)]
    last_is_decoded = threading.Event()

    def hold_up(path: Path, number: int) -> None:
        if path == paths[0]:
            last_is_decoded.wait(WAIT_S)
        if path == paths[-1]:
            last_is_decoded.set()

    listening.on_segment = hold_up
    assert [outcome.path for outcome in scan(paths, listening)] == paths


def test_batches_are_filled_across_tracks(listening: Listening, song: Song) -> None:
    paths = [song(heard=[ROCK] * n) for n in (1, 2, 1, 5, 1)]
    scan(paths, listening)
    assert listening.batches == [4, 4, 2]


def test_every_segment_is_heard_for_its_own_track(listening: Listening, song: Song) -> None:
    heard = [(n / 64, 0.0, 0.0) for n in range(40)]
    paths = [song(heard=[row] * (1 + n % 3)) for n, row in enumerate(heard)]
    outcomes = scan(paths, listening)
    assert [outcome.probabilities["rock"] for outcome in outcomes] == [row[0] for row in heard]


@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_a_long_track_is_never_held_whole(listening: Listening, song: Song, jobs: int) -> None:
    paths = [song(heard=[ROCK] * 300) for _ in range(3)]
    scan(paths, listening, Settings(device="cpu", jobs=jobs, batch_size=4))
    queue, batch, in_hand = max(readers._QUEUE, 2 * jobs), 4 + 1, 2 * jobs
    assert listening.most_alive <= queue + batch + in_hand
    assert listening.n_alive == 0


def test_tracks_overtake_a_slow_one_only_so_far(
    listening: Listening, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_WINDOW", 4)
    paths = [song() for _ in range(40)]
    n_out = 0
    most_under_way = 0

    def look(path: Path, number: int) -> None:
        nonlocal most_under_way
        most_under_way = max(most_under_way, paths.index(path) + 1 - n_out)

    listening.on_segment = look
    for _ in scanning(
        paths, listening, Settings(device="cpu", jobs=3, batch_size=1), cache=Cache(None)
    ):
        n_out += 1
    assert most_under_way <= 4 + 1  # one is released just before it is counted here
    assert n_out == 40


def test_a_batch_that_cannot_be_filled_is_heard_all_the_same(
    listening: Listening, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tracks at a time never fill a batch of eight; no third comes until they are out."""
    monkeypatch.setattr(readers, "_WINDOW", 2)
    monkeypatch.setattr(readers, "_PATIENCE_S", 0.01)
    outcomes = scan([song() for _ in range(6)], listening, Settings(device="cpu", batch_size=8))
    assert statuses(outcomes) == ["planned"] * 6


def test_paths_are_taken_as_they_come(listening: Listening, song: Song) -> None:
    """A list without end, as one on standard input may be."""
    path = song()
    outcomes = scanning(itertools.repeat(path), listening, ON_CPU, cache=Cache(None))
    assert statuses(list(itertools.islice(outcomes, 20))) == ["planned"] * 20
    outcomes.close()
    assert no_thread_is_left()


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("write", [False, True])
def test_a_broken_file_does_not_stop_the_folder(
    listening: Listening, song: Song, tmp_path: Path, write: bool
) -> None:
    empty = tmp_path / "empty.mp3"
    empty.touch()
    paths = [
        song(),
        song(heard=[ROCK] * 5, error="corrupt"),
        empty,
        tmp_path / "gone.mp3",
        tmp_path,
        Path("a\0b.mp3"),
        song(metadata="bad_header"),
        FileError(tmp_path / "locked", "permission", "may not be listed"),
        song(),
    ]
    outcomes = scan(paths, listening, write=write)
    assert [outcome.error and outcome.error.code for outcome in outcomes] == [
        None,
        "corrupt",
        "empty",
        "not_found",
        "not_a_file",
        "not_found",
        "bad_header",
        "permission",
        None,
    ]
    well = "written" if write else "planned"
    assert statuses(outcomes) == [well, *["failed"] * 7, well]
    assert outcomes[1].error == Problem("corrupt", "it is corrupt (mend it)")
    assert outcomes[1].probabilities == {}


def test_a_file_whose_metadata_cannot_be_parsed_is_not_heard(
    listening: Listening, song: Song
) -> None:
    path = song(heard=[ROCK] * 5, metadata="bad_header")
    begun: list[int] = []
    listening.on_segment = lambda path, number: begun.append(number)
    scan([path], listening)
    assert begun == [0]  # to see whether there is music in it
    assert (listening.batches, listening.n_digested) == ([], 0)


@pytest.mark.parametrize(
    ("heard", "error", "code"),
    [
        ([], "no_decoder", "no_decoder"),
        ([], "truncated", "truncated"),
        ([], "silent", "bad_header"),
        ([ROCK], "corrupt", "bad_header"),
    ],
)
def test_of_a_file_without_music_that_is_said_and_not_what_its_tags_look_like(
    listening: Listening, song: Song, heard: Any, error: str, code: str
) -> None:
    (outcome,) = scan([song(heard=heard, error=error, metadata="bad_header")], listening)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("failed", code)


@pytest.mark.parametrize("write", [False, True])
def test_a_container_without_metadata_is_heard_and_skipped(
    listening: Listening, song: Song, write: bool
) -> None:
    (outcome,) = scan([song(metadata="no_tags")], listening, write=write)
    assert outcome.status == "skipped"
    assert outcome.error == Problem("no_tags", "metadata: no_tags")
    assert outcome.chosen["GENRE"] == ("Rock",)


@pytest.mark.parametrize("code", ["silent", "too_short"])
def test_nothing_to_hear_is_skipped_and_remembered(
    listening: Listening, song: Song, tmp_path: Path, code: str
) -> None:
    path = song(heard=[], error=code)
    with Cache(tmp_path / "heard.sqlite") as cache:
        (first,) = scan([path], listening, cache=cache, write=True)
        (second,) = scan([path], listening, cache=cache, write=True)
    assert first.status == second.status == "skipped"
    assert first.error == second.error == Problem(code, known.SILENCES[code])
    assert (first.from_cache, second.from_cache) == (False, True)
    assert listening.decoded == [path.name]


class Unforeseen(Exception):  # noqa: N818
    pass


def fail(*_: object) -> None:
    raise Unforeseen


def failing_paths(paths: Sequence[Path]) -> Iterator[Path]:
    yield from paths
    raise Unforeseen


def test_an_exception_we_did_not_foresee_stops_the_scan(listening: Listening, song: Song) -> None:
    listening.on_segment = fail
    with pytest.raises(Unforeseen):
        scan([song() for _ in range(50)], listening)
    assert no_thread_is_left()


def test_an_exception_in_the_model_stops_the_scan(listening: Listening, song: Song) -> None:
    listening.on_batch = fail
    with pytest.raises(Unforeseen):
        scan([song() for _ in range(50)], listening)
    assert no_thread_is_left()


def test_an_exception_in_the_walk_stops_the_scan(listening: Listening, song: Song) -> None:
    with pytest.raises(Unforeseen):
        scan(failing_paths([song() for _ in range(50)]), listening)
    assert no_thread_is_left()


def test_an_interrupt_leaves_no_thread(listening: Listening, song: Song) -> None:
    """Decoders are waiting for room on the queue when it comes."""
    paths = [song(heard=[ROCK] * 100) for _ in range(5)]

    def interrupt() -> None:
        raise KeyboardInterrupt

    listening.on_batch = interrupt
    with pytest.raises(KeyboardInterrupt):
        scan(paths, listening)
    assert no_thread_is_left()


def test_a_scan_that_is_left_leaves_no_thread(listening: Listening, song: Song) -> None:
    outcomes = scanning([song() for _ in range(500)], listening, ON_CPU, cache=Cache(None))
    next(outcomes)
    outcomes.close()
    assert no_thread_is_left()
    assert listening.n_alive == 0


def test_a_scan_that_is_left_does_not_wait_for_a_huge_file(
    listening: Listening, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_PARTING_S", 0.01)
    quick, huge = song(), song()
    begun, go_on, whole = threading.Event(), threading.Event(), threading.Event()

    def read_slowly(path: Path) -> None:
        if path == huge:
            begun.set()
            go_on.wait(10)  # or the test would hang where it ought to fail
            whole.set()

    listening.on_digest = read_slowly
    settings = Settings(device="cpu", jobs=2, batch_size=1)
    outcomes = scanning([quick, huge], listening, settings, cache=Cache(None))
    next(outcomes)
    assert begun.wait(WAIT_S)
    outcomes.close()
    assert not whole.is_set()
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("musictag"):
            join(thread)
    assert listening.decoded.count(huge.name) <= 1
    assert listening.n_alive == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_device_asked_for_by_name_is_never_replaced(
    listening: Listening, song: Song, device: str
) -> None:
    with pytest.raises(UsageError, match=f"--device {device}: .* no CUDA device"):
        scan([song()], listening, Settings(device=device))
    assert listening.decoded == []


# ---------------------------------------------------------------- remembered


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with contextlib.closing(Cache(tmp_path / "heard.sqlite")) as cache:
        yield cache


def test_a_second_scan_decodes_nothing_and_needs_no_model(
    listening: Listening, song: Song, cache: Cache
) -> None:
    paths = [song(heard=[(n / 10, 1 / 3, 0.1)]) for n in range(10)]
    first = scan(paths, listening, cache=cache)
    second = scan(paths, listening, cache=cache)
    assert (len(listening.decoded), listening.n_digested, listening.n_loaded) == (10, 10, 1)
    assert [o.probabilities for o in first] == [o.probabilities for o in second]
    assert [o.duration_s for o in first] == [o.duration_s for o in second]
    assert [o.from_cache for o in second] == [True] * 10


def test_what_was_written_is_not_decoded_again(
    listening: Listening, song: Song, cache: Cache
) -> None:
    paths = [song() for _ in range(5)]
    assert statuses(scan(paths, listening, cache=cache, write=True)) == ["written"] * 5
    n_digested = listening.n_digested
    assert statuses(scan(paths, listening, cache=cache, write=True)) == ["unchanged"] * 5
    assert len(listening.decoded) == 5
    assert listening.n_digested == n_digested


@pytest.mark.parametrize("change", ["retagged", "moved", "touched"])
def test_a_file_with_the_same_music_is_not_decoded_again(
    listening: Listening, song: Song, cache: Cache, change: str
) -> None:
    path = song()
    scan([path], listening, cache=cache)
    if change == "retagged":
        retag(path, ARTIST=["Somebody"])
    elif change == "moved":
        path = path.rename(path.with_name("elsewhere.mp3"))
    else:
        os.utime(path, ns=(0, 0))
    (outcome,) = scan([path], listening, cache=cache)
    assert outcome.from_cache
    assert len(listening.decoded) == 1
    assert listening.n_digested == 2
    scan([path], listening, cache=cache)
    assert listening.n_digested == 2


def test_other_music_under_the_same_name_is_heard(
    listening: Listening, song: Song, cache: Cache
) -> None:
    path = song("a.mp3", heard=[ROCK])
    scan([path], listening, cache=cache)
    song("a.mp3", heard=[SLOW, SLOW])
    (outcome,) = scan([path], listening, cache=cache)
    assert outcome.chosen["MOOD"] == ("Slow",)


def test_another_model_or_more_segments_hear_anew(
    listening: Listening, song: Song, cache: Cache
) -> None:
    path = song(heard=[ROCK, SLOW])
    scan([path], listening, cache=cache)
    scan([path], listening, Settings(device="cpu", segments=1), cache=cache)
    listening.digest = "d2"
    scan([path], listening, cache=cache)
    assert len(listening.decoded) == 3


@pytest.mark.parametrize("code", sorted(known.DAMAGES))
def test_a_damaged_file_is_remembered_with_what_is_wrong(
    listening: Listening, song: Song, cache: Cache, code: str
) -> None:
    path = song(heard=[ROCK] * 5, error=code)
    (first,) = scan([path], listening, cache=cache)
    (second,) = scan([path], listening, cache=cache)
    assert first.status == second.status == "failed"
    assert first.error == second.error == Problem(code, f"it is {code} (mend it)")
    assert first.duration_s is second.duration_s is None
    assert first.probabilities == second.probabilities == {}
    assert (first.from_cache, second.from_cache) == (False, True)
    assert (len(listening.decoded), listening.n_digested) == (1, 1)


def test_a_damaged_file_that_was_mended_is_heard(
    listening: Listening, song: Song, cache: Cache
) -> None:
    path = song("a.mp3", error="truncated")
    scan([path], listening, cache=cache)
    song("a.mp3", heard=[SLOW, SLOW])
    (outcome,) = scan([path], listening, cache=cache)
    assert outcome.chosen["MOOD"] == ("Slow",)


def test_new_decoders_try_a_damaged_file_again_and_hear_nothing_else_anew(
    listening: Listening, song: Song, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged, sound = song(error="no_decoder"), song()
    scan([damaged, sound], listening, cache=cache)
    monkeypatch.setattr(known.importlib.metadata, "version", lambda name: "999")
    scan([damaged, sound], listening, cache=cache)
    assert sorted(listening.decoded) == [damaged.name, damaged.name, sound.name]


@pytest.mark.parametrize(
    ("probabilities", "code"),
    [((0.5, 0.5), ""), ((), ""), ((0.5,) * 3, "silent"), ((), "nonsense"), ((), "truncated")],
)
def test_what_the_model_cannot_have_heard_is_heard_again(
    listening: Listening,
    song: Song,
    tmp_path: Path,
    probabilities: tuple[float, ...],
    code: str,
) -> None:
    path = song()
    with Cache(tmp_path / "cache") as cache:
        (expected,) = scan([path], listening, cache=cache)
        database = sqlite3.connect(tmp_path / "cache")
        blob = array.array("f", probabilities).tobytes()
        with database:
            database.execute("UPDATE heard SET probabilities = ?, code = ?", (blob, code))
        database.close()
        assert scan([path], listening, cache=cache) == [expected]
        (third,) = scan([path], listening, cache=cache)
    assert third.from_cache
    assert third.probabilities == expected.probabilities


@pytest.mark.parametrize("code", ["io", "permission", "not_found", "changed"])
def test_a_failure_that_may_pass_is_not_remembered(
    listening: Listening, song: Song, cache: Cache, code: str
) -> None:
    path = song(error=code)
    scan([path], listening, cache=cache)
    scan([path], listening, cache=cache)
    assert len(listening.decoded) == 2


def test_which_decoder_gave_the_music_is_in_the_log(
    listening: Listening, song: Song, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [song(), song(error="corrupt")]
    with caplog.at_level("DEBUG", logger="musictag"):
        scan(paths, listening)
    for path in paths:
        assert f"{path}: decoded by ffmpeg" in caplog.messages


# ---------------------------------------------------------------- remembered, and not opened


@pytest.fixture
def reads(listening: Listening) -> list[str]:
    """The files whose metadata was read."""
    return listening.metadata.names_read


def retag_secretly(path: Path, **metadata: list[str]) -> None:
    """As programs do that put the modification time back, here without a change of size."""
    before = path.stat()
    retag(path, **metadata)
    after = path.stat()
    while after.st_mtime_ns != before.st_mtime_ns or after.st_ctime_ns == before.st_ctime_ns:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = path.stat()
    assert after.st_size == before.st_size


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"metadata": {"GENRE": ["Jazz"]}},
        {"metadata": "no_tags"},
        {"heard": [], "error": "silent"},
        {"heard": [], "error": "truncated", "metadata": "no_tags"},
    ],
)
def test_a_remembered_file_is_not_opened(
    listening: Listening,
    song: Song,
    cache: Cache,
    reads: list[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
    write: bool,
) -> None:
    path = song(**kind)
    _, second = (scan([path], listening, cache=cache, write=write)[0] for _ in range(2))
    assert cache._database is not None
    n_changes = cache._database.total_changes
    reads.clear()
    monkeypatch.setattr(reading.Reading, "segments", fail)
    assert scan([path], listening, cache=cache, write=write) == [second]
    assert reads == []
    assert (len(listening.decoded), listening.n_loaded) == (1, len(listening.batches))
    assert cache._database.total_changes == n_changes


@pytest.mark.parametrize("write", [False, True])
def test_what_was_written_is_remembered_as_it_was_written(
    listening: Listening, song: Song, cache: Cache, reads: list[str], write: bool
) -> None:
    path = song()
    scan([path], listening, cache=cache, write=True)
    reads.clear()
    (outcome,) = scan([path], listening, cache=cache, write=write)
    assert (outcome.status, outcome.fields["GENRE"].old) == ("unchanged", ("Rock",))
    assert reads == []


def test_tags_that_changed_behind_the_same_size_and_time_are_read_again(
    listening: Listening, song: Song, cache: Cache
) -> None:
    path = song(metadata={"GENRE": ["Jazz"]})
    scan([path], listening, cache=cache)
    retag_secretly(path, GENRE=["Folk"])
    for _ in range(2):
        (outcome,) = scan([path], listening, cache=cache)
        assert outcome.fields["GENRE"].old == ("Folk",)
    assert len(listening.decoded) == listening.n_digested == 1


def test_tags_that_change_while_a_remembered_file_waits_for_its_turn_are_read_again(
    listening: Listening, song: Song, cache: Cache
) -> None:
    first, second = song("a.mp3"), song("b.mp3", metadata={"GENRE": ["Jazz"]})
    scan([second], listening, cache=cache)
    listening.on_segment = lambda path, number: retag_secretly(second, GENRE=["Folk"])
    for paths in ([first, second], [second]):
        outcome = scan(paths, listening, cache=cache)[-1]
        assert outcome.fields["GENRE"].old == ("Folk",)


@pytest.mark.parametrize("write", [False, True])
def test_nothing_remembered_of_what_a_file_was_before_its_turn_is_said_of_what_it_is(
    listening: Listening, song: Song, cache: Cache, write: bool
) -> None:
    """A thousand files may be between the look at the cache and the turn of one to be heard."""
    first, second = song(), song(heard=[SLOW], metadata={"GENRE": ["Jazz"]})
    scan([second], listening, cache=cache)
    listening.digest = "d2"  # another model: it is known, and is to be heard
    looked_at = threading.Event()

    def replace(path: Path, number: int) -> None:
        assert looked_at.wait(10)
        listening.on_segment = lambda path, number: None
        content = json.loads(second.read_text())
        second.write_text(json.dumps(content | {"heard": [ROCK], "metadata": {"MOOD": ["Sad"]}}))

    def listed() -> Iterator[Path]:
        yield from (first, second)
        looked_at.set()

    listening.on_segment = replace
    settings = Settings(device="cpu", jobs=1, batch_size=1)
    outcome = scan(listed(), listening, settings, cache=cache, write=write)[-1]
    assert (outcome.status, outcome.fields["GENRE"].old) == ("written" if write else "planned", ())
    assert outcome.fields["MOOD"].old == ("Sad",)
    assert cache.content(second, second.stat()) == listening.payload_digest(second)


def test_what_its_owner_set_unseen_does_not_become_ours(
    listening: Listening, song: Song, cache: Cache
) -> None:
    """On a file system whose times tell nothing; that a field beside it is written changes
    nothing about whose it is."""
    path = song(heard=[(0.75, 0.75, 0.0)])
    scan([path], listening, cache=cache, write=True)
    retag(path, GENRE=["Jazz"], MOOD=[])
    scan([path], listening, cache=cache)
    cache.flush()
    assert cache._database is not None
    cache._database.execute("""UPDATE content SET tags = '[{"GENRE": ["Rock"]}, "", ""]'""")
    assert statuses(scan([path], listening, cache=cache, write=True)) == ["written"]
    assert json.loads(path.read_text())["metadata"] == {"GENRE": ["Jazz"], "MOOD": ["Slow"]}
    listening.tags = ("rock", "pop", "guitar")
    listening.thresholds = {"Pop": 0.5}
    listening.digest = "d2"
    (outcome,) = scan([path], listening, cache=cache, write=True)
    assert outcome.chosen["GENRE"] == ("Pop",)
    assert json.loads(path.read_text())["metadata"] == {"GENRE": ["Jazz"], "MOOD": ["Slow"]}


def test_other_music_of_the_same_name_size_and_time_is_not_given_what_was_heard_before(
    listening: Listening, song: Song, cache: Cache
) -> None:
    """It is found out when its sound is compared anyway, before it is replaced."""
    path = song(heard=[(0.75, 0.25, 0.0)])
    scan([path], listening, cache=cache)
    before = path.stat()
    path.write_text(path.read_text().replace("0.75, 0.25", "0.25, 0.75"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    content = path.read_bytes()
    (outcome,) = scan([path], listening, cache=cache, write=True)
    assert outcome.error == Problem("changed", "it is not the music that was heard (scan it again)")
    assert path.read_bytes() == content
    with Journal(journal.default_path()) as book:
        assert list(book.runs()) == []
    (outcome,) = scan([path], listening, cache=cache, write=True)
    assert (outcome.status, outcome.chosen["MOOD"]) == ("written", ("Slow",))


def test_what_was_written_was_written_even_if_it_is_gone_at_once(
    listening: Listening, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = song()
    write = listening.metadata.write

    def written_and_gone(*arguments: Any, **options: Any) -> Any:
        done = write(*arguments, **options)
        path.unlink()
        return done

    monkeypatch.setattr(listening.metadata, "write", written_and_gone)
    assert statuses(scan([path], listening, write=True)) == ["written"]


def test_nothing_is_written_on_the_strength_of_what_is_remembered_alone(
    listening: Listening, song: Song, cache: Cache
) -> None:
    path = song(metadata={"GENRE": ["Jazz"], "MOOD": ["Sad"]})
    scan([path], listening, cache=cache)
    assert cache._database is not None
    cache._database.execute('UPDATE content SET tags = \'[{}, "", ""]\'')
    before = path.read_bytes()
    for _ in range(2):
        (outcome,) = scan([path], listening, cache=cache, write=True)
        assert (outcome.status, outcome.fields["GENRE"].old) == ("unchanged", ("Jazz",))
    assert path.read_bytes() == before


def test_remembered_files_keep_their_places_among_others(
    listening: Listening, song: Song, cache: Cache
) -> None:
    paths = [song() for _ in range(300)]
    # each path once: whether its second would be remembered depends on how far the first has come
    scan(dict.fromkeys(paths[::3] + paths[100:200]), listening, cache=cache)
    paths.insert(150, paths[0].with_name("gone.mp3"))
    outcomes = scan(paths, listening, cache=cache)
    assert [outcome.path for outcome in outcomes] == paths
    assert sum(outcome.from_cache for outcome in outcomes) == 100 + 67
    assert len(listening.decoded) == 300


@pytest.mark.parametrize("remembered", [False, True])
def test_one_path_on_a_pipe_comes_out_at_once(
    listening: Listening, song: Song, cache: Cache, remembered: bool
) -> None:
    """Nobody waits for the next one, which may come tomorrow."""
    path = song()
    if remembered:
        scan([path], listening, cache=cache)
    tomorrow = threading.Event()

    def listed() -> Iterator[Path]:
        yield path
        tomorrow.wait(10)  # or the test would hang where it ought to fail
        yield path

    settings = Settings(device="cpu", jobs=1, batch_size=1)
    outcomes = scanning(listed(), listening, settings, cache=cache)  # type: ignore[arg-type]
    assert next(outcomes).path == path
    assert not tomorrow.is_set()
    tomorrow.set()
    assert len(list(outcomes)) == 1


@pytest.mark.parametrize(
    ("metadata", "settings", "n_asked"),
    [
        ({"GENRE": ["Rock"]}, {}, 0),
        ({"MOOD": ["Sad"], "GENRE": ["Rock"]}, {"existing": {"MOOD": "replace"}}, 0),
        ({"GENRE": ["Jazz"]}, {}, 1),
        ({}, {}, 0),
        ({"GENRE": ["Rock"]}, {"join": "; "}, 1),
    ],
)
def test_the_journal_is_asked_only_where_something_hangs_on_it(
    listening: Listening,
    song: Song,
    monkeypatch: pytest.MonkeyPatch,
    metadata: Any,
    settings: Any,
    n_asked: int,
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(Journal, "last_written", lambda self, path: asked.append(path))
    scan([song(metadata=metadata)], listening, Settings(device="cpu", **settings))
    assert len(asked) == n_asked


# ---------------------------------------------------------------- written


def test_the_first_scan_writes_and_the_second_finds_nothing_to_do(
    listening: Listening, song: Song
) -> None:
    path = song(heard=[(0.75, 0.75, 0.75)], metadata={"ARTIST": ["Somebody"]})
    settings = Settings(device="cpu", fields=("GENRE", "INSTRUMENT"))
    assert statuses(scan([path], listening, settings, write=True)) == ["written"]
    written = path.read_bytes()
    assert json.loads(written)["metadata"] == {
        "ARTIST": ["Somebody"],
        "GENRE": ["Rock"],
        "INSTRUMENT": ["Guitar"],
    }
    assert statuses(scan([path], listening, settings, write=True)) == ["unchanged"]
    assert path.read_bytes() == written


@pytest.mark.parametrize("write", [False, True])
def test_what_a_killed_run_left_is_cleared_before_a_file_is_heard_that_is_to_be_written(
    listening: Listening, song: Song, write: bool
) -> None:
    """The file may be half overwritten, with its old content beside it."""
    path = song("a.mp3")
    killed = path.with_name(f".a.musictag-old-{_HERE}12345678.mp3")
    path.rename(killed)
    song("a.mp3", error="corrupt")
    (outcome,) = scan([path], listening, write=write)
    assert outcome.status == ("written" if write else "failed")
    assert killed.exists() is not write


def test_only_fields_that_change_are_handed_to_the_writer(
    listening: Listening, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[Any, Any]] = []
    monkeypatch.setattr(listening.metadata, "write", lambda *a, **k: written.append((a, k)))
    path = song(heard=[(0.75, 0.75, 0.0)], metadata={"MOOD": ["Sad"]})
    settings = Settings(device="cpu", preserve_mtime=True, hardlinks="in-place")
    scan([path], listening, settings, write=True)
    assert callable(written[0][1].pop("about_to"))
    assert written == [
        (
            (path, {"GENRE": ("Rock",)}),
            {
                "expected": {"GENRE": ()},
                "preserve_mtime": True,
                "join": None,
                "payload_digest": listening.payload_digest,
                "hardlinks": "in-place",
            },
        )
    ]


@pytest.mark.parametrize(
    ("policy", "new"),
    [("keep", ["Pop; Jazz"]), ("merge", ["Pop; Jazz; Rock"]), ("replace", ["Rock"])],
)
def test_joined_values_are_taken_apart_before_they_are_compared(
    listening: Listening, song: Song, policy: str, new: list[str]
) -> None:
    path = song(metadata={"GENRE": ["Pop; Jazz"]})
    settings = Settings(device="cpu", join="; ", existing={"GENRE": policy})
    scan([path], listening, settings, write=True)
    assert json.loads(path.read_text())["metadata"]["GENRE"] == new
    assert statuses(scan([path], listening, settings, write=True)) == ["unchanged"]


@pytest.mark.parametrize("policy", ["keep", "merge", "replace"])
@pytest.mark.parametrize("join", [None, "; "])
def test_values_set_just_before_ours_are_written_stay(
    listening: Listening, song: Song, policy: str, join: str | None
) -> None:
    """Every time: once, and the plan is made anew."""
    path = song(metadata={} if policy == "keep" else {"GENRE": ["Pop; Jazz"]})
    numbers = itertools.count()
    listening.on_write = lambda path: retag(path, GENRE=[f"Opera {next(numbers)}"])
    settings = Settings(device="cpu", join=join, existing={"GENRE": policy})
    (outcome,) = scan([path], listening, settings, write=True)
    if policy == "keep":
        assert (outcome.status, outcome.fields["GENRE"].new) == ("unchanged", ("Opera 0",))
        return
    assert outcome.status == "failed"
    assert outcome.error == Problem("changed", "somebody set GENRE")
    assert outcome.fields["GENRE"].old == ("Opera 0",)
    assert json.loads(path.read_text())["metadata"] == {"GENRE": ["Opera 1"]}


def test_a_file_that_another_musictag_wrote_just_before_is_planned_anew(
    listening: Listening, song: Song
) -> None:
    paths = [song(), song(heard=[SLOW])]
    listening.on_write = lambda path: retag(path, GENRE=["Rock"])
    outcomes = scan(paths, listening, write=True)
    assert statuses(outcomes) == ["unchanged", "written"]
    assert outcomes[0].fields["GENRE"].old == ("Rock",)
    with Journal(journal.default_path()) as book:
        assert [run.n_files for run in book.runs()] == [1]


def test_what_the_writer_finds_there_already_is_unchanged(
    listening: Listening, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening.metadata, "write", lambda *a, **k: None)
    assert statuses(scan([song()], listening, write=True)) == ["unchanged"]


def test_a_file_that_cannot_be_written_is_reported_with_what_was_heard(
    listening: Listening, song: Song
) -> None:
    outcomes = scan([song(metadata={"READ-ONLY": ["1"]}), song()], listening, write=True)
    assert statuses(outcomes) == ["failed", "written"]
    assert outcomes[0].error == Problem("read_only", "may not be written")
    assert outcomes[0].chosen["GENRE"] == ("Rock",)
    assert outcomes[0].fields["GENRE"].new == ("Rock",)


@pytest.mark.parametrize("write", [False, True])
def test_a_file_replaced_while_it_was_heard_is_left_alone(
    listening: Listening, song: Song, cache: Cache, write: bool
) -> None:
    path = song("a.mp3", heard=[ROCK])
    other = song("b.mp3", heard=[SLOW, SLOW])
    content = other.read_bytes()
    listening.on_segment = lambda path, number: path.write_bytes(content) and None
    (outcome,) = scan([path], listening, cache=cache, write=write)
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error.code == "changed"
    assert path.read_bytes() == content
    listening.on_segment = lambda path, number: None
    (outcome,) = scan([path], listening, cache=cache)
    assert outcome.chosen["MOOD"] == ("Slow",)


def test_a_file_that_disappears_while_it_is_heard_is_reported(
    listening: Listening, song: Song
) -> None:
    listening.on_segment = lambda path, number: path.unlink()
    (outcome,) = scan([song()], listening, write=True)
    assert outcome.error == Problem("not_found", "there is no such file")


def test_a_file_retagged_while_it_was_heard_keeps_its_new_metadata(
    listening: Listening, song: Song
) -> None:
    path = song()
    listening.on_segment = lambda path, number: retag(path, GENRE=["Opera, I say"])
    (outcome,) = scan([path], listening, write=True)
    assert outcome.status == "unchanged"
    assert json.loads(path.read_text())["metadata"] == {"GENRE": ["Opera, I say"]}


def test_a_file_named_twice_is_written_once(listening: Listening, song: Song) -> None:
    path = song()
    assert statuses(scan([path, path], listening, write=True)) == ["written", "unchanged"]


# ---------------------------------------------------------------- written down


def heard(path: Path, *probabilities: Sequence[float]) -> None:
    """The same music, and another opinion of it."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"heard": probabilities}))


POP, ROCK_AND_POP = (0.0, 0.0, 0.0, 0.75), (0.75, 0.0, 0.0, 0.75)


@pytest.fixture
def opinionated(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> Listening:
    """Knows pop too, and is asked anew each time: its opinion is not part of the music."""

    def payload_digest(path: Path) -> bytes:
        return json.dumps(json.loads(path.read_text())["number"]).encode()

    monkeypatch.setattr(listening, "payload_digest", payload_digest)
    listening.tags = (*TAGS, "pop")
    listening.thresholds["Pop"] = 0.5
    return listening


def genre_after(path: Path, listening: Any, opinion: Sequence[float], **settings: Any) -> list[str]:
    heard(path, opinion)
    scan([path], listening, Settings(device="cpu", **settings), write=True)
    genre: list[str] = json.loads(path.read_text())["metadata"].get("GENRE", [])
    return genre


def test_what_musictag_wrote_is_its_own_to_replace(opinionated: Listening, song: Song) -> None:
    path = song()
    assert genre_after(path, opinionated, ROCK_AND_POP) == ["Rock", "Pop"]
    assert genre_after(path, opinionated, POP) == ["Pop"]
    assert genre_after(path, opinionated, (*NOTHING, 0.0)) == ["Pop"], "never emptied"
    assert genre_after(path, opinionated, ROCK_AND_POP, join="; ") == ["Rock; Pop"]
    assert genre_after(path, opinionated, POP, join="; ") == ["Pop"]


def test_a_plan_knows_what_is_ours_as_well(opinionated: Listening, song: Song) -> None:
    path = song(heard=[ROCK_AND_POP])
    scan([path], opinionated, write=True)
    heard(path, POP)
    (outcome,) = scan([path], opinionated)
    assert outcome.fields["GENRE"].new == ("Pop",)
    (outcome,) = scanning([path], opinionated, ON_CPU, cache=Cache(None))
    assert not outcome.fields["GENRE"].changed, "without a journal nothing is known"


def test_what_somebody_set_since_is_not_ours(opinionated: Listening, song: Song) -> None:
    path = song()
    genre_after(path, opinionated, ROCK_AND_POP)
    retag(path, GENRE=["Pop", "Rock"])
    assert genre_after(path, opinionated, POP) == ["Pop", "Rock"]


def test_another_field_set_since_leaves_ours_ours(opinionated: Listening, song: Song) -> None:
    path = song()
    genre_after(path, opinionated, ROCK_AND_POP)
    retag(path, MOOD=["Sad"])
    assert genre_after(path, opinionated, POP) == ["Pop"]


def test_other_music_under_the_same_name_has_nothing_of_ours(
    opinionated: Listening, song: Song
) -> None:
    path = song()
    genre_after(path, opinionated, ROCK_AND_POP)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"number": 99}))
    assert genre_after(path, opinionated, POP) == ["Rock", "Pop"]


def test_what_somebody_had_before_a_merge_stays_theirs(opinionated: Listening, song: Song) -> None:
    path = song(metadata={"GENRE": ["Jazz"]})
    merge = {"existing": {"GENRE": "merge"}}
    assert genre_after(path, opinionated, ROCK_AND_POP, **merge) == ["Jazz", "Rock", "Pop"]
    assert genre_after(path, opinionated, POP) == ["Jazz", "Rock", "Pop"]
    assert genre_after(path, opinionated, POP, **merge) == ["Jazz", "Pop"]
    assert genre_after(path, opinionated, ROCK_AND_POP, **merge) == ["Jazz", "Rock", "Pop"]


def test_ours_in_one_field_stays_ours_when_another_is_written(
    opinionated: Listening, song: Song
) -> None:
    path = song()
    genre_after(path, opinionated, ROCK_AND_POP, fields=("GENRE",))
    heard(path, (0.0, 0.75, 0.0, 0.0))
    scan([path], opinionated, Settings(device="cpu", fields=("MOOD",)), write=True)
    assert json.loads(path.read_text())["metadata"]["MOOD"] == ["Slow"]
    assert genre_after(path, opinionated, POP) == ["Pop"]


def test_values_that_shall_be_one_are_joined_even_if_they_are_the_same(
    opinionated: Listening, song: Song
) -> None:
    path = song(metadata={"GENRE": ["Rock", "Pop"]})
    settings = {"join": "; ", "existing": {"GENRE": "replace"}}
    assert genre_after(path, opinionated, ROCK_AND_POP, **settings) == ["Rock; Pop"]
    assert statuses(scan([path], opinionated, Settings(device="cpu", **settings))) == ["unchanged"]


def test_nothing_is_written_without_a_journal(listening: Listening, song: Song) -> None:
    with pytest.raises(ValueError, match="journal"):
        list(scanning([song()], listening, ON_CPU, cache=Cache(None), write=["scan"]))


def test_a_file_is_written_down_before_it_is_written_and_not_written_else(
    listening: Listening, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise JournalError("the journal cannot be used: disk full")

    paths = [song(), song()]
    before = [path.read_bytes() for path in paths]
    with monkeypatch.context() as patch:
        patch.setattr(journal.Writing, "intend", full)
        outcomes = scan(paths, listening, write=True)
    assert [path.read_bytes() for path in paths] == before
    assert [o.error and o.error.code for o in outcomes] == ["journal", "journal"]
    assert outcomes[0].error is not None
    assert "disk full" in outcomes[0].error.message
    assert statuses(scan(paths, listening, write=True)) == ["written", "written"]


def test_a_write_that_is_refused_at_last_is_not_in_the_history(
    listening: Listening, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, values: Any, *, about_to: Any, **_: Any) -> None:
        content = listening.payload_digest(path)
        about_to(Written(snapshot({}), snapshot({"GENRE": ["Rock"]}), content))
        raise MetadataError(path, "changed", "it was changed by another program meanwhile")

    monkeypatch.setattr(listening.metadata, "write", refuse)
    assert statuses(scan([song()], listening, write=True)) == ["failed"]
    with Journal(journal.default_path()) as book:
        assert [run.n_files for run in book.runs()] == [0]
        assert book.intended() == []


@pytest.mark.parametrize("stop_at", [0, 3, 5])
def test_a_scan_that_is_stopped_begins_no_further_file(
    listening: Listening, song: Song, stop_at: int
) -> None:
    paths = [song() for _ in range(5)]
    done: list[Path] = []
    listening.on_write = done.append
    all_at_once = Settings(device="cpu", batch_size=8)
    outcomes = scan(paths, listening, all_at_once, write=True, stopped=lambda: len(done) >= stop_at)
    assert [outcome.path for outcome in outcomes] == done == paths[:stop_at]
    assert no_thread_is_left()
    with Journal(journal.default_path()) as book:
        endings = [run.ending for run in book.runs()]
    assert endings == (["interrupted"] if stop_at else [])
