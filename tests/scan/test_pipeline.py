"""Many tracks through all stages: order, batches, bounded memory, errors."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from scans import (
    NOTHING,
    ON_CPU,
    ROCK,
    SLOW,
    Listening,
    Song,
    Unforeseen,
    fail,
    no_thread_is_left,
    scan,
    scanning,
    statuses,
)
from waits import WAIT_S, join

from musictag.config import Settings
from musictag.errors import FileError, UsageError
from musictag.outcome import Problem
from musictag.scan import known, readers
from musictag.stores.cache import Cache

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
