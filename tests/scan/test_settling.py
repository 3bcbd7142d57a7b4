"""From what was heard to what is written: plans, files that change meanwhile, the journal."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scans import (
    NOTHING,
    ON_CPU,
    ROCK,
    SLOW,
    TAGS,
    Listening,
    Song,
    no_thread_is_left,
    retag,
    scan,
    scanning,
    snapshot,
    statuses,
)

from musictag.config import Settings
from musictag.errors import JournalError, MetadataError
from musictag.metadata import Written
from musictag.metadata.replacement import _HERE
from musictag.outcome import Problem
from musictag.stores import journal
from musictag.stores.cache import Cache
from musictag.stores.journal import Journal

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
