"""What is remembered is not decoded, read or opened again, and never believed too far."""

from __future__ import annotations

import array
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scans import (
    ROCK,
    SLOW,
    Listening,
    Song,
    fail,
    retag,
    scan,
    scanning,
    statuses,
)

from musictag.config import Settings
from musictag.hearing.ear import Hearing
from musictag.outcome import Problem
from musictag.scan import known, reading
from musictag.stores import journal, keys, summary
from musictag.stores.cache import Cache
from musictag.stores.journal import Journal

# ---------------------------------------------------------------- remembered


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
    monkeypatch.setattr(keys.importlib.metadata, "version", lambda name: "999")
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
    cache._database.execute("""UPDATE content SET tags = '[{"GENRE": ["Rock"]}, "", "", {}]'""")
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
    cache._database.execute('UPDATE content SET tags = \'[{}, "", "", {}]\'')
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


# ---------------------------------------------------------------- which music it is


def test_album_and_artist_are_remembered_and_read_anew_when_reading_changes(
    listening: Listening, song: Song, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = song(metadata={"ALBUM": ["A"], "ARTIST": ["B", "C"], "GENRE": ["Jazz"], "YEAR": ["1"]})
    for version in (3, 4):
        monkeypatch.setattr(keys, "READING", version)
        for _ in range(2):
            scan([path], listening, cache=cache)
        stored = cache.known(path, path.stat(), keys.reader(), ())
        assert stored is not None
        assert stored.fields is not None
        assert stored.fields.about == {"ALBUM": ("A",), "ARTIST": ("B", "C")}
        assert stored.fields.values["GENRE"] == ("Jazz",)
    assert len(listening.decoded) == listening.n_digested == 1
    assert len(listening.metadata.names_read) == 2


# ---------------------------------------------------------------- summaries


def summaries(cache: Cache) -> list[list[float]]:
    cache.flush()
    assert cache._database is not None
    rows = cache._database.execute("SELECT numbers FROM summary").fetchall()
    return [[*mean, *spread] for mean, spread in (summary.unpacked(blob) for (blob,) in rows)]


@pytest.fixture
def summing(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is summed up of a segment is its first two probabilities."""
    monkeypatch.setattr(listening, "hear", lambda segments: Hearing(segments, segments[:, :2]))


@pytest.mark.usefixtures("summing")
def test_mean_and_spread_of_a_tracks_summaries_are_remembered(
    listening: Listening, song: Song, cache: Cache
) -> None:
    scan([song(heard=[(0.5, 0.25, 0.1), (1.0, 0.25, 0.2)])], listening, cache=cache)
    assert summaries(cache) == [[0.75, 0.25, 0.25, 0.0]]


@pytest.mark.usefixtures("summing")
def test_a_track_without_a_summary_is_heard_again_only_when_one_is_needed(
    listening: Listening, song: Song, cache: Cache
) -> None:
    path, silent = song(heard=[ROCK]), song(heard=[], error="silent")
    expected = scan([path, silent], listening, cache=cache)
    assert cache._database is not None
    cache._database.execute("DELETE FROM summary")
    listening.decoded.clear()
    scan([path, silent], listening, cache=cache)
    assert listening.decoded == []
    again = scan([path, silent], listening, cache=cache, need_summary=True)
    assert [o.probabilities for o in again] == [o.probabilities for o in expected]
    scan([path, silent], listening, cache=cache, need_summary=True)
    assert listening.decoded == [path.name]
    assert summaries(cache) == [[0.75, 0.25, 0.0, 0.0]]


@pytest.mark.usefixtures("summing")
def test_a_moved_track_needs_no_new_summary(listening: Listening, song: Song, cache: Cache) -> None:
    path = song(heard=[ROCK])
    scan([path], listening, cache=cache)
    moved = path.rename(path.with_name("elsewhere.mp3"))
    scan([moved], listening, cache=cache, need_summary=True)
    assert listening.decoded == [path.name]


def test_a_plain_scan_reads_no_summary(
    listening: Listening, song: Song, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = song(heard=[ROCK])
    scan([path], listening, cache=cache)
    monkeypatch.setattr(summary, "is_one", fail)
    scan([path], listening, cache=cache)
