"""Undo and history: what a run wrote is listed, and taken back exactly, or the file is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import containers
import pytest
import sounds
from journalled import POP, ROCK, flac, genres, statuses, take_all_back, take_back, write

from musictag import metadata
from musictag.errors import UsageError
from musictag.metadata import replacement, snapshot
from musictag.scan import moved, undo, writing
from musictag.stores import journal
from musictag.stores.cache import Cache
from musictag.stores.journal import Journal

CONTAINERS = ("mp3", "flac", "ogg", "opus", "wav", "aiff", "m4a", "wma", "wavpack", "ape")


def below(book: Journal, run: journal.Run, *paths: Path) -> list[int]:
    return sorted(found.entry for found in undo.standing(book, run, paths))


# ---------------------------------------------------------------- taken back


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_first_write_is_taken_back_and_again(
    book: Journal, tmp_path: Path, container: str
) -> None:
    song = sounds.make(tmp_path, container)
    before = snapshot(song)
    write(book, (song, POP))
    after = snapshot(song)
    assert (before.values()["GENRE"], after.values()["GENRE"]) == ((), ("Pop",))
    (outcome,) = take_back(book, 1)
    assert (outcome.status, outcome.fields["MOOD"].new) == ("restored", ())
    assert snapshot(song) == before
    assert statuses(take_back(book, 2)) == ["restored"]
    assert snapshot(song) == after
    assert statuses(take_back(book, 3)) == ["restored"]
    assert snapshot(song) == before


@pytest.mark.parametrize("version", [3, 4])
def test_frames_come_back_as_they_were(book: Journal, tmp_path: Path, version: int) -> None:
    frames = [
        containers.text(version, "TIT2", "Title"),
        containers.text(version, "TCON", "(17)"),
        containers.text(version, "TXXX", "mood\0odd"),
        containers.text(version, "TPE1", "Artist"),
    ]
    tag = containers.id3(version, *frames)
    song = containers.splice(sounds.make(tmp_path, "mp3-no-xing"), before=tag)
    shutil.copy(song, tmp_path / "before.mp3")
    write(book, (song, POP))
    assert statuses(take_back(book, 1)) == ["restored"]
    assert snapshot(song) == snapshot(tmp_path / "before.mp3")
    assert all(frame in song.read_bytes() for frame in frames)


def test_files_of_one_run_are_taken_back_in_its_order_and_what_it_wrote_twice_at_once(
    book: Journal, tmp_path: Path
) -> None:
    song, other = flac(tmp_path), flac(tmp_path, "b.flac")
    write(book, (song, ROCK), (other, ROCK), (song, POP))
    outcomes = take_back(book, 1)
    assert [outcome.path for outcome in outcomes] == [song, other], "each once"
    assert statuses(outcomes) == ["restored"] * 2
    assert metadata.read(song)["GENRE"] == metadata.read(other)["GENRE"] == ()
    assert statuses(take_back(book, 2)) == ["restored"] * 2
    assert metadata.read(song)["GENRE"] == ("Pop",)
    assert [(run.n_files, run.n_standing) for run in book.runs()] == [(2, 2), (2, 0), (3, 3)]


def test_a_file_that_somebody_changed_since_is_named_and_others_go_on(
    book: Journal, tmp_path: Path
) -> None:
    mine, theirs = flac(tmp_path), flac(tmp_path, "b.flac")
    write(book, (mine, ROCK), (theirs, ROCK))
    metadata.write(theirs, {"MOOD": ("Sad",)})
    restored, refused = take_back(book, 1)
    assert (refused.path, refused.status, restored.status) == (theirs, "failed", "restored")
    assert refused.error is not None
    assert refused.error.code == "changed"
    assert "--force" in refused.error.message
    assert metadata.read(theirs)["MOOD"] == ("Sad",)
    assert statuses(take_back(book, 1, force=True)) == ["restored"]
    assert not any(metadata.read(theirs).values())
    assert statuses(take_back(book, 3)) == ["restored"], "and that too can be taken back"
    assert metadata.read(theirs)["MOOD"] == ("Sad",)


def test_a_later_run_that_wrote_the_file_is_named(book: Journal, tmp_path: Path) -> None:
    song = flac(tmp_path)
    write(book, (song, ROCK))
    write(book, (song, POP))
    (refused,) = take_back(book, 1)
    assert refused.error is not None
    assert refused.error.message == "run 2 wrote it since (undo that first)"
    assert statuses(take_back(book, 2) + take_back(book, 1)) == ["restored", "restored"]


def test_a_file_that_is_gone_is_named(book: Journal, tmp_path: Path) -> None:
    song, other = flac(tmp_path), flac(tmp_path, "b.flac")
    write(book, (song, ROCK), (other, ROCK))
    other.unlink()
    restored, gone = take_back(book, 1)
    assert (gone.status, restored.status) == ("failed", "restored")
    assert gone.error is not None
    assert gone.error.code == "not_found"


def test_files_that_have_exchanged_their_names_are_told_by_their_sound(
    book: Journal, tmp_path: Path
) -> None:
    song = flac(tmp_path)
    other = sounds.make(tmp_path, "flac", name="b.flac", seed=1)
    metadata.write(other, {"GENRE": ("Pop",)})
    write(book, (song, ROCK), (other, ROCK))
    song.rename(tmp_path / "c.flac")
    other.rename(song)
    (tmp_path / "c.flac").rename(other)
    for number in (None, ["undo"]):
        outcomes = take_back(book, 1, write=number)
        assert sorted(outcome.path for outcome in outcomes) == [song, other]
        assert not any(outcome.error for outcome in outcomes)
    assert (metadata.read(song)["GENRE"], metadata.read(other)["GENRE"]) == (("Pop",), ())


def test_what_is_as_before_already_is_unchanged_and_undone(book: Journal, tmp_path: Path) -> None:
    song = flac(tmp_path)
    copy = shutil.copy(song, tmp_path / "backup.flac")
    write(book, (song, ROCK))
    shutil.copy(copy, song)
    assert statuses(take_back(book, 1, write=None)) == ["unchanged"]
    assert statuses(take_back(book, 1)) == ["unchanged"]
    assert [run.n_standing for run in book.runs()] == [0]


def test_a_dry_run_touches_nothing(book: Journal, tmp_path: Path) -> None:
    song = flac(tmp_path)
    write(book, (song, ROCK))
    before = song.read_bytes(), song.stat()
    assert statuses(take_back(book, 1, write=None)) == ["planned"]
    assert (song.read_bytes(), song.stat()) == before
    assert [run.n_standing for run in book.runs()] == [1]


def test_an_undo_that_is_stopped_begins_no_further_file(book: Journal, tmp_path: Path) -> None:
    songs = [flac(tmp_path, f"{number}.flac") for number in range(3)]
    write(book, *((song, ROCK) for song in songs))
    asked = iter([False, True, True])
    assert statuses(take_back(book, 1, stopped=lambda: next(asked))) == ["restored"]
    assert [(run.ending, run.n_standing) for run in book.runs()] == [
        ("interrupted", 1),
        ("complete", 2),
    ]


def test_the_cache_knows_a_restored_file(book: Journal, tmp_path: Path) -> None:
    song = flac(tmp_path)
    write(book, (song, ROCK))
    with Cache(tmp_path / "heard.sqlite") as cache:
        take_back(book, 1, cache=cache)
        assert cache.content(song, song.stat()) is not None


def test_a_damaged_entry_is_one_files_failure(book: Journal, tmp_path: Path) -> None:
    song, other = flac(tmp_path), flac(tmp_path, "b.flac")
    write(book, (song, ROCK), (other, ROCK))
    book._database.execute("UPDATE entry SET before = '{' WHERE id = 2")
    outcomes = take_back(book, 1)
    assert [(o.status, o.error and o.error.code) for o in outcomes] == [
        ("restored", None),
        ("failed", "journal"),
    ]


# ---------------------------------------------------------------- which run, which files


def test_without_a_number_each_undo_goes_one_scan_further_back(
    book: Journal, tmp_path: Path
) -> None:
    song = flac(tmp_path)
    write(book, (song, ROCK))
    write(book, (song, POP))
    for expected in (2, 1):
        (run,) = undo.choose(book, None, [])
        assert run.id == expected
        take_back(book, run.id)
    assert undo.choose(book, None, []) == []
    with pytest.raises(UsageError, match="no run 9"):
        undo.choose(book, undo.Numbers(9, 9), [])


def test_paths_choose_files_by_folder_name_and_link(book: Journal, tmp_path: Path) -> None:
    songs = [flac(tmp_path / folder) for folder in ("A", "AB", "B")]
    write(book, *((song, ROCK) for song in songs))
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "B")
    (run,) = undo.choose(book, None, [])
    assert below(book, run, tmp_path / "A") == [1]
    assert below(book, run, songs[1], link) == [2, 3]
    assert below(book, run, tmp_path / "nowhere") == []
    write(book, (songs[0], POP))
    (first,) = undo.choose(book, None, [tmp_path / "B"])
    assert first.id == 1


def test_what_was_scanned_by_way_of_a_link_is_found_under_both_names(
    book: Journal, tmp_path: Path
) -> None:
    song = flac(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(book, (tmp_path / "link" / song.name, ROCK))
    (run,) = undo.choose(book, undo.Numbers(1, 1), [])
    assert below(book, run, song) == [1]
    assert below(book, run, tmp_path / "link") == [1]
    assert statuses(take_back(book, 1)) == ["restored"]


def test_files_are_restored_in_the_order_of_the_library(book: Journal, tmp_path: Path) -> None:
    songs = [flac(tmp_path / folder, name) for folder in "AB" for name in ("1.flac", "2.flac")]
    write(book, *((song, ROCK) for song in songs))
    assert [outcome.path for outcome in take_back(book, 1)] == songs


def test_several_runs_are_chosen_by_number_or_time_the_newest_first(
    book: Journal, tmp_path: Path
) -> None:
    song = flac(tmp_path)
    times = []
    for values in (ROCK, POP, ROCK, POP):
        write(book, (song, values))
        times.append(next(book.runs()).started_s)
    assert [run.id for run in undo.choose(book, undo.Numbers(2, 3), [])] == [3, 2]
    assert [run.id for run in undo.choose(book, undo.Numbers(3, 9), [])] == [4, 3]
    assert [run.id for run in undo.choose(book, undo.Since(times[2]), [])] == [4, 3]
    assert undo.choose(book, undo.Since(times[3] + 1), []) == []
    with pytest.raises(UsageError, match="no run 7 to 9"):
        undo.choose(book, undo.Numbers(7, 9), [])
    take_back(book, 4)  # run 5
    take_back(book, 3)  # run 6
    assert [run.id for run in undo.choose(book, undo.Numbers(2, 6), [])] == [2], "3 to 6 cancel"
    assert [run.id for run in undo.choose(book, undo.Numbers(4, 6), [])] == [6]


# ---------------------------------------------------------------- moved, renamed, linked


def renamed_folder(music: Path, song: Path) -> Path:
    music.rename(music.with_name("Renamed"))
    return music.with_name("Renamed") / song.relative_to(music)


def renamed_album(music: Path, song: Path) -> Path:
    song.parent.rename(music / "Other")
    return music / "Other" / song.name


def renamed_file(_: Path, song: Path) -> Path:
    return song.rename(song.with_name("new name.flac"))


@pytest.mark.parametrize("move", [renamed_folder, renamed_album, renamed_file])
def test_a_file_that_was_moved_is_found_by_its_sound_and_restored_there(
    book: Journal, tmp_path: Path, move: Callable[[Path, Path], Path]
) -> None:
    music = tmp_path / "Music"
    music.mkdir()
    song, other = flac(music / "A"), sounds.make(music, "flac", name="b.flac", seed=1)
    before = song.read_bytes(), snapshot(song)
    write(book, (song, ROCK), (other, ROCK))
    place = move(music, song)
    planned = take_back(book, 1, write=None)
    assert statuses(planned) == ["planned"] * 2
    assert place.read_bytes() != before[0]
    outcomes = take_back(book, 1)
    assert statuses(outcomes) == ["restored"] * 2
    assert outcomes[0].path == place
    assert snapshot(place) == before[1]
    assert statuses(take_back(book, 2)) == ["restored"] * 2, "the undo knows the new place"
    assert metadata.read(place)["GENRE"] == ("Rock",)


def test_a_moved_file_is_found_in_the_folder_that_is_named(book: Journal, tmp_path: Path) -> None:
    song, here = flac(tmp_path / "A"), flac(tmp_path / "A", "b.flac")
    write(book, (song, ROCK), (here, ROCK))
    (tmp_path / "Far").mkdir()
    song.rename(tmp_path / "Far" / "c.flac")
    (gone,) = [outcome for outcome in take_back(book, 1, write=None) if outcome.error]
    assert gone.error is not None
    assert gone.error.message == (
        "it is gone, and no file with its sound was found "
        "(if it was moved, name the folder where it is now: musictag undo 1 FOLDER)"
    )
    (found,) = take_back(book, 1, tmp_path / "Far")
    assert (found.status, found.path) == ("restored", tmp_path / "Far" / "c.flac")
    assert genres([here]) == [True], "it is in another folder"


def test_a_file_that_was_moved_and_written_again_is_taken_back_to_the_beginning(
    book: Journal, tmp_path: Path
) -> None:
    song = flac(tmp_path / "A")
    before = snapshot(song)
    write(book, (song, ROCK))
    place = song.rename(tmp_path / "A" / "z.flac")
    write(book, (place, POP))
    (refused,) = take_back(book, 1)
    assert refused.error is not None
    assert refused.error.message == "run 2 wrote it since (undo that first)"
    assert statuses(take_all_back(book, undo.Numbers(1, 2))) == ["restored"] * 2
    assert snapshot(place) == before


@pytest.mark.parametrize("is_undone", [False, True])
def test_a_folder_that_got_its_first_name_again_is_found(
    book: Journal, tmp_path: Path, is_undone: bool
) -> None:
    song = flac(tmp_path / "A")
    write(book, (song, ROCK))
    (tmp_path / "A").rename(tmp_path / "B")
    if is_undone:
        assert statuses(take_back(book, 1)) == ["restored"]
    before = snapshot(tmp_path / "B" / song.name)
    write(book, (tmp_path / "B" / song.name, POP))
    (tmp_path / "B").rename(tmp_path / "A")
    assert statuses(take_back(book, 3 if is_undone else 2)) == ["restored"]
    assert snapshot(song) == before


def test_a_copy_with_the_older_fields_is_not_the_file(book: Journal, tmp_path: Path) -> None:
    song = flac(tmp_path)
    shutil.copy(song, tmp_path / "backup.flac")
    write(book, (song, ROCK))
    song.unlink()
    (gone,) = take_back(book, 1)
    assert (gone.status, gone.error and gone.error.code) == ("failed", "not_found")
    assert [run.n_standing for run in book.runs()] == [1], "the file may come back"


def test_a_file_with_the_same_sound_that_was_there_before_is_another_one(
    book: Journal, tmp_path: Path
) -> None:
    song, twin = flac(tmp_path), flac(tmp_path, "twin.flac")
    write(book, (song, ROCK), (twin, ROCK))
    song.unlink()
    assert statuses(take_back(book, 1, write=None)) == ["failed", "planned"]
    write(book, (flac(tmp_path, "late.flac"), ROCK))
    assert statuses(take_back(book, 1)) == ["failed", "restored"]
    assert genres([tmp_path / "late.flac"]) == [True]


def test_another_name_of_a_file_of_the_run_is_not_a_file_that_is_gone(
    book: Journal, tmp_path: Path
) -> None:
    song, other = flac(tmp_path), flac(tmp_path, "b.flac")
    write(book, (song, ROCK), (other, ROCK))
    song.unlink()
    (tmp_path / "c.flac").hardlink_to(other)
    gone, _ = take_back(book, 1, write=None)
    assert (gone.path, gone.error and gone.error.code) == (song, "not_found")


def test_of_several_copies_one_has_to_be_named(book: Journal, tmp_path: Path) -> None:
    song = flac(tmp_path)
    write(book, (song, ROCK))
    copies = [Path(shutil.copy(song, tmp_path / name)) for name in ("b.flac", "c.flac")]
    song.unlink()
    (gone,) = take_back(book, 1)
    assert gone.error is not None
    assert gone.error.message == (
        f"it is gone, and {copies[0]} and {copies[1]} have its sound "
        "(name one: musictag undo 1 FILE)"
    )
    assert statuses(take_back(book, 1, copies[1])) == ["restored"]
    assert genres(copies) == [True, False]


def test_files_with_the_same_sound_in_a_renamed_folder_are_told_by_their_names(
    book: Journal, tmp_path: Path
) -> None:
    songs = [flac(tmp_path / "A", name) for name in ("a.flac", "b.flac")]
    metadata.write(songs[0], {"GENRE": ("Jazz",)})
    write(book, *((song, ROCK) for song in songs))
    (tmp_path / "A").rename(tmp_path / "Z")
    assert statuses(take_back(book, 1)) == ["restored"] * 2
    found = [metadata.read(tmp_path / "Z" / song.name)["GENRE"] for song in songs]
    assert found == [("Jazz",), ()]


def test_a_file_is_found_by_its_real_path_when_the_link_is_gone(
    book: Journal, tmp_path: Path
) -> None:
    song = flac(tmp_path / "real")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    write(book, (link / song.name, ROCK))
    write(book, (song, POP))
    link.unlink()
    (refused,) = take_back(book, 1)
    assert refused.error is not None
    assert refused.error.message == "run 2 wrote it since (undo that first)"
    (restored,) = take_all_back(book, undo.Numbers(1, 2), song)
    assert (restored.status, restored.path) == ("restored", song)
    assert genres([song]) == [False]


@pytest.mark.parametrize(
    ("written", "missing", "expected"),
    [
        (["Music/A/1", "Music/B/2"], "Music/A/1", "Music"),
        (["Music/gone/1", "Music/gone/2"], "Music/gone/1", "Music"),
    ],
)
def test_the_folder_of_the_run_is_searched_or_what_is_left_of_it(
    tmp_path: Path, written: list[str], missing: str, expected: str
) -> None:
    (tmp_path / "Music").mkdir()
    paths = [tmp_path / name for name in written]
    assert moved.folders_to_search(paths, tmp_path / missing) == [tmp_path / expected]


def test_neither_a_home_nor_a_disk_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for gone in (tmp_path / "Music" / "a", Path(tmp_path.anchor) / "no such folder" / "a"):
        assert moved.folders_to_search([gone], gone) == []
    monkeypatch.setattr(Path, "is_dir", lambda path: len(path.parts) < 4)
    unplugged = Path("/media/me/disk/a.mp3")
    assert moved.folders_to_search([unplugged], unplugged) == []


# ---------------------------------------------------------------- several runs as one


def test_a_file_that_several_runs_wrote_is_written_once_and_as_the_first_found_it(
    book: Journal, tmp_path: Path
) -> None:
    song, other = flac(tmp_path), flac(tmp_path, "b.flac")
    metadata.write(song, {"GENRE": ("Jazz",)})
    before = snapshot(song)
    write(book, (song, ROCK))
    write(book, (other, ROCK))
    write(book, (song, POP))
    (restored, _) = take_all_back(book, undo.Numbers(1, 3))
    assert (restored.fields["GENRE"].old, restored.fields["GENRE"].new) == (("Pop",), ("Jazz",))
    assert snapshot(song) == before
    assert [(run.id, run.n_files, run.n_standing) for run in book.runs()] == [
        (4, 2, 2),
        (3, 1, 0),
        (2, 1, 0),
        (1, 1, 0),
    ]
    assert statuses(take_back(book, 4)) == ["restored"] * 2
    assert metadata.read(song)["GENRE"] == ("Pop",)
    assert [run.n_standing for run in book.runs()] == [2, 0, 1, 1, 1]
    assert statuses(take_back(book, 3)) == ["restored"], "and each can be taken back alone"
    assert metadata.read(song)["GENRE"] == ("Rock",)


def test_what_somebody_did_between_two_runs_is_not_undone(book: Journal, tmp_path: Path) -> None:
    song = flac(tmp_path)
    write(book, (song, ROCK))
    metadata.write(song, {"MOOD": ("Sad",)})
    write(book, (song, {"GENRE": ("Pop",)}))
    outcomes = take_all_back(book, undo.Numbers(1, 2))
    assert [(o.status, o.error and o.error.code) for o in outcomes] == [
        ("restored", None),
        ("failed", "changed"),
    ]
    assert metadata.read(song) == {**metadata.read(song), "GENRE": ("Rock",), "MOOD": ("Sad",)}


def test_what_is_taken_back_by_half_already_is_taken_back_wholly(
    book: Journal, tmp_path: Path
) -> None:
    song = flac(tmp_path)
    before = snapshot(song)
    write(book, (song, ROCK))
    write(book, (song, POP))
    metadata.write(song, {"GENRE": ("Rock",), "MOOD": ()})
    assert statuses(take_all_back(book, undo.Numbers(1, 2))) == ["restored"]
    assert snapshot(song) == before


@pytest.mark.parametrize("is_replaced", [False, True])
def test_after_a_kill_all_that_one_write_took_back_has_happened_or_none(
    book: Journal, tmp_path: Path, is_replaced: bool
) -> None:
    song = flac(tmp_path)
    write(book, (song, ROCK))
    write(book, (song, POP))
    written = song.read_bytes()
    take_all_back(book, undo.Numbers(1, 2))
    book._database.execute("UPDATE entry SET state = 'intended' WHERE run = 3")
    book._database.execute("UPDATE entry SET stands = 1 WHERE run < 3")
    if not is_replaced:
        song.write_bytes(written)
    book._database.execute("UPDATE entry SET time_s = time_s - 9999")
    writing.settle(book)
    assert [run.n_standing for run in book.runs()] == ([1, 0, 0] if is_replaced else [0, 1, 1])
    assert book.intended() == []


# ---------------------------------------------------------------- after a kill


@pytest.fixture
def killed(book: Journal, tmp_path: Path) -> Path:
    """A file that is intended to be written; nobody knows whether it was."""
    song = flac(tmp_path)
    write(book, (song, ROCK))
    book._database.execute("UPDATE entry SET state = 'intended'")
    book._database.execute("UPDATE run SET ended_s = NULL, ending = NULL")
    return song


def as_before(song: Path) -> None:
    metadata.write(song, {"GENRE": ()})


def by_others(song: Path) -> None:
    metadata.write(song, {"MOOD": ("Sad",)})


def by_nobody(song: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("changed", "age_s", "n_files", "n_open"),
    [
        (by_nobody, 0, 1, 0),
        (as_before, 0, 0, 1),  # another process may be just about to
        (as_before, journal.UNSURE_S + 10, 0, 0),
        (by_others, 0, 1, 0),
        (Path.unlink, journal.UNSURE_S + 10, 0, 1),  # the disk may be back tomorrow
    ],
)
def test_the_next_run_finds_out_what_became_of_a_file(
    book: Journal,
    killed: Path,
    changed: Callable[[Path], None],
    age_s: float,
    n_files: int,
    n_open: int,
) -> None:
    changed(killed)
    book._database.execute("UPDATE entry SET time_s = time_s - ?", (age_s,))
    writing.settle(book)
    assert [run.n_files for run in book.runs()] == [n_files]
    assert len(book.intended()) == n_open


def test_what_a_later_run_found_tells_that_an_earlier_one_had_not_written(
    book: Journal, killed: Path
) -> None:
    as_before(killed)
    write(book, (killed, POP))
    writing.settle(book)
    assert [(run.id, run.n_files) for run in book.runs()] == [(2, 1), (1, 0)]


def test_a_file_half_written_in_place_is_mended_before_it_is_asked(
    book: Journal, tmp_path: Path
) -> None:
    song = flac(tmp_path)
    old = song.read_bytes()
    write(book, (song, ROCK))
    book._database.execute("UPDATE entry SET state = 'intended'")
    beside = tmp_path / f".a.musictag-old-{replacement._HERE}ab3_xyz9.flac"
    beside.write_bytes(old)
    song.write_bytes(song.read_bytes()[:-9] + bytes(9))
    replacement.clear_leftovers.cache_clear()
    writing.settle(book)
    assert song.read_bytes() == old
    assert [entry.path for entry in book.intended()] == [song]
