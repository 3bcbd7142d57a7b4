"""Undo and history: what a run wrote is listed, and taken back exactly, or the file is named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import containers
import mutagen
import pytest
import sounds
from program import Result, Run
from waits import WAIT_S

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.config import Settings
from musictag.errors import UsageError
from musictag.metadata import replacement, snapshot
from musictag.outcome import Outcome
from musictag.scan import undo, writing
from musictag.stores import journal
from musictag.stores.cache import Cache
from musictag.stores.journal import Journal

CONTAINERS = ("mp3", "flac", "ogg", "opus", "wav", "aiff", "m4a", "wma", "wavpack", "ape")
ROCK, POP = {"GENRE": ("Rock",)}, {"GENRE": ("Pop",), "MOOD": ("Slow", "Soft")}


@pytest.fixture
def book() -> Iterator[Journal]:
    with Journal(journal.default_path()) as opened:
        yield opened


class InProcess:
    """Stands for the decoder's process, which takes a moment to start."""

    payload_digest = staticmethod(payload_digest)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "Decoder", InProcess)


def write(book: Journal, *changes: tuple[Path, Any], command: Sequence[str] = ("scan",)) -> None:
    """A run that writes these values, as a scan does."""
    with writing.begun(book, command, ("tiny", "digest")) as run:
        assert run is not None
        for path, values in changes:
            others = dict.fromkeys(values, ())
            with writing.written_down(run, path, others=others) as about_to:
                digest = payload_digest
                assert metadata.write(path, values, payload_digest=digest, about_to=about_to)


def take_back(book: Journal, number: int, *paths: Path, **options: Any) -> list[Outcome]:
    (run,) = undo.choose(book, undo.Numbers(number, number), [])
    options = {"cache": Cache(None), "write": ["undo"], **options}
    entries = undo.standing(book, run, paths)
    return list(undo.undo(book, run, entries, Settings(), **options))


def statuses(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def flac(folder: Path, name: str = "a.flac") -> Path:
    folder.mkdir(exist_ok=True)
    return sounds.make(folder, "flac", name=name)


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


def test_files_of_one_run_are_taken_back_in_its_order_and_what_it_wrote_twice_backwards(
    book: Journal, tmp_path: Path
) -> None:
    song, other = flac(tmp_path), flac(tmp_path, "b.flac")
    write(book, (song, ROCK), (other, ROCK), (song, POP))
    outcomes = take_back(book, 1)
    assert [outcome.path for outcome in outcomes] == [song, song, other]
    assert statuses(outcomes) == ["restored"] * 3
    assert metadata.read(song)["GENRE"] == metadata.read(other)["GENRE"] == ()


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
    other.rename(tmp_path / "c.flac")
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
        assert [outcome.error and outcome.error.code for outcome in outcomes] == ["changed"] * 2
    assert metadata.read(song) == metadata.read(other)
    assert statuses(take_back(book, 1, force=True)) == ["restored"] * 2


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
    assert undo.standing(book, run, [tmp_path / "A"]) == [1]
    assert undo.standing(book, run, [songs[1], link]) == [2, 3]
    assert undo.standing(book, run, [tmp_path / "nowhere"]) == []
    write(book, (songs[0], POP))
    (below,) = undo.choose(book, None, [tmp_path / "B"])
    assert below.id == 1


def test_what_was_scanned_by_way_of_a_link_is_found_under_both_names(
    book: Journal, tmp_path: Path
) -> None:
    song = flac(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(book, (tmp_path / "link" / song.name, ROCK))
    (run,) = undo.choose(book, undo.Numbers(1, 1), [])
    assert undo.standing(book, run, [song]) == [1]
    assert undo.standing(book, run, [tmp_path / "link"]) == [1]
    assert statuses(take_back(book, 1)) == ["restored"]


def test_files_are_restored_in_the_order_of_the_library(book: Journal, tmp_path: Path) -> None:
    songs = [flac(tmp_path / folder, name) for folder in "AB" for name in ("1.flac", "2.flac")]
    write(book, *((song, ROCK) for song in songs))
    assert [outcome.path for outcome in take_back(book, 1)] == songs


def test_what_a_run_wrote_twice_into_one_file_is_undone_backwards(
    book: Journal, tmp_path: Path
) -> None:
    songs = [flac(tmp_path, "1.flac"), flac(tmp_path, "2.flac")]
    before = metadata.read(songs[0])
    write(book, (songs[0], ROCK), (songs[1], ROCK), (songs[0], POP))
    outcomes = take_back(book, 1)
    assert [outcome.path for outcome in outcomes] == [songs[0], songs[0], songs[1]]
    assert statuses(outcomes) == ["restored"] * 3
    assert metadata.read(songs[0]) == before


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


@pytest.mark.parametrize("arguments", [["1-3"], ["--since", "2020-01-01"]])
def test_several_runs_are_undone_and_shown_before_as_they_will_be(
    musictag: Run, book: Journal, tmp_path: Path, arguments: list[str]
) -> None:
    song, other = flac(tmp_path / "Music"), flac(tmp_path / "Music", "b.flac")
    before = metadata.read(song)
    write(book, (song, ROCK))
    write(book, (song, POP), (other, POP))
    write(book, (song, ROCK))
    dry = musictag("undo", *arguments, "--dry-run", "--format", "jsonl")
    assert [record["status"] for record in dry.records] == ["planned"] * 4, dry.stderr
    assert metadata.read(song) != before
    result = musictag("undo", *arguments, "--format", "jsonl")
    assert result.code == 0
    assert [record["path"] for record in result.records] == list(
        map(str, (song, song, other, song))
    )
    undone = [record["fields"] for record in result.records]
    assert undone == [record["fields"] for record in dry.records]
    assert metadata.read(song) == before
    assert [line.split(" of ")[0] for line in result.stderr.splitlines()[:3]] == [
        f"musictag: undoing run {n}" for n in (3, 2, 1)
    ]


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


HOOK = """
import os, signal, sys
from musictag.cli import program as cli
from musictag import metadata
from musictag.metadata import replacement
replace, me = os.replace, os.getpid()
def hooked(*arguments, **more):
    {}
os.replace = hooked
cli.main()
"""
KILL_BEFORE = "os.kill(me, signal.SIGKILL)"
KILL_AFTER = "replace(*arguments, **more); os.kill(me, signal.SIGKILL)"
ONCE = "os.kill(me, signal.{}); replace(*arguments, **more)"
TWICE = "os.kill(me, signal.SIGINT); os.kill(me, signal.SIGTERM); replace(*arguments, **more)"

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such signals")


def run_hooked(what: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The program, and what happens where it puts a new file in the old one's place."""
    return subprocess.run(
        [sys.executable, "-c", HOOK.format(what), *map(os.fspath, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )


@pytest.fixture
def remembered(musictag: Run, tmp_path: Path) -> list[Path]:
    """Three tracks that have been heard, so that no model needs to be loaded."""
    songs = [flac(tmp_path / "Music", f"{number}.flac") for number in range(3)]
    assert musictag("scan", tmp_path / "Music").code == 0
    return songs


def genres(songs: Sequence[Path]) -> list[bool]:
    return [bool(metadata.read(song)["GENRE"]) for song in songs]


@posix
@pytest.mark.parametrize(("where", "n_files"), [(KILL_BEFORE, 0), (KILL_AFTER, 1)])
def test_after_a_kill_the_history_knows_what_was_written(
    musictag: Run,
    remembered: list[Path],
    where: str,
    n_files: int,
) -> None:
    folder = remembered[0].parent
    before = [song.read_bytes() for song in remembered]
    assert run_hooked(where, "scan", folder, "--write").returncode == -signal.SIGKILL
    (told,) = musictag("history", "--json").records
    assert (told["files"], told["ending"]) == (n_files, None)
    _, line = musictag("history").stdout.splitlines()
    assert "  interrupted  scan " in line
    assert ", interrupted\n" in musictag("history", "1").stdout
    assert genres(remembered) == [bool(n_files), False, False]
    assert musictag("undo").code == 0
    assert genres(remembered) == [False, False, False]
    assert [song.read_bytes() for song in remembered] == before
    assert musictag("scan", folder, "--write").code == 0, "the same command continues"
    assert genres(remembered) == [True, True, True]


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_interrupt_lets_the_file_in_hand_be_finished(
    musictag: Run,
    remembered: list[Path],
    name: str,
) -> None:
    command = ("scan", remembered[0].parent, "--write")
    ended = run_hooked(ONCE.format(name), *command)
    assert ended.returncode == 130
    assert "1 written." in ended.stderr
    assert "the same command continues" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert genres(remembered) == [True, False, False]
    (told,) = musictag("history", "--json").records
    assert (told["files"], told["ending"]) == (1, "interrupted")
    assert musictag(*command).code == 0
    assert genres(remembered) == [True, True, True]


@posix
def test_the_second_interrupt_ends_at_once_and_leaves_no_half_file(
    musictag: Run,
    remembered: list[Path],
) -> None:
    folder = remembered[0].parent
    before = {song: song.read_bytes() for song in remembered}
    ended = run_hooked(TWICE, "scan", folder, "--write")
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
    assert {song: song.read_bytes() for song in folder.iterdir()} == before
    (told,) = musictag("history", "--json").records
    assert (told["files"], told["ending"]) == (0, "interrupted")


@posix
def test_an_undo_finishes_the_file_in_hand_too(
    musictag: Run,
    remembered: list[Path],
) -> None:
    musictag("scan", remembered[0].parent, "--write")
    ended = run_hooked(ONCE.format("SIGINT"), "undo")
    assert ended.returncode == 130
    assert "1 restored." in ended.stderr
    assert genres(remembered) == [False, True, True]
    assert musictag("undo").code == 0, "the same command continues"
    assert genres(remembered) == [False, False, False]


@posix
def test_an_interrupt_while_the_model_is_loaded_ends_the_scan(
    musictag: Run,
    tmp_path: Path,
) -> None:
    flac(tmp_path / "Music")
    script = (
        "import os, signal; from musictag.cli import program as cli\n"
        "from musictag.hearing import checkpoint\n"
        "load = checkpoint.Checkpoint.load\n"
        "def hooked(*arguments, **options):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return load(*arguments, **options)\n"
        "checkpoint.Checkpoint.load = hooked; cli.main()"
    )
    command = [sys.executable, "-c", script, "scan", os.fspath(tmp_path / "Music"), "--write"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert "Interrupted before the first track." in ended.stderr
    assert "Traceback" not in ended.stderr


# ---------------------------------------------------------------- the commands


def test_a_whole_session(musictag: Run, tmp_path: Path) -> None:
    songs = [sounds.make(tmp_path, name) for name in ("mp3", "flac", "m4a")]
    before = [snapshot(song) for song in songs]
    metadata.write(songs[0], {"GENRE": ("Jazz", "Blues")})
    before[0] = snapshot(songs[0])
    written = musictag("scan", tmp_path, "--write", "--existing", "replace")
    assert written.stderr.endswith("3 written.\n")

    (told,) = musictag("history", "--json").records
    assert (told["run"], told["files"], told["undone"]) == (1, 3, 0)
    assert told["command"] == ["scan", str(tmp_path), "--write", "--existing", "replace"]
    assert told["model"]["name"] == "tiny"
    files = musictag("history", "1", "--json").records
    assert [file["path"] for file in files] == sorted(map(str, songs))
    jazz = next(file for file in files if file["path"] == str(songs[0]))
    assert jazz["fields"]["GENRE"] == {"old": ["Jazz", "Blues"], "new": ["Rock"]}

    dry = musictag("undo", "--dry-run", "--format", "jsonl")
    assert [record["status"] for record in dry.records] == ["planned"] * 3
    assert "Nothing was written" in dry.stderr
    undone = musictag("undo", "--format", "jsonl")
    assert undone.code == 0
    assert "musictag: undoing run 1 of " in undone.stderr
    assert undone.stderr.endswith("3 restored.\n")
    assert undone.records[-1]["status"] == "restored"
    assert [snapshot(song) for song in songs] == before

    again = musictag("undo")
    assert (again.code, again.stdout) == (0, "")
    assert again.stderr == "musictag: there is nothing to undo\n"
    assert musictag("undo", "2", "-q").code == 0
    assert metadata.read(songs[0])["GENRE"] == ("Rock",)
    assert [run["undone"] for run in musictag("history", "--json").records] == [0, 3, 0]


def dumped(path: Path) -> Any:
    """All that mutagen finds in the tags, as it finds it."""
    tags = mutagen.File(path).tags
    return [] if tags is None else [(key, repr(tags[key])) for key in sorted(set(tags.keys()))]


@pytest.mark.parametrize("odd", [False, True])
def test_a_folder_with_every_container_is_taken_back_to_the_byte(
    musictag: Run, book: Journal, tmp_path: Path, odd: bool
) -> None:
    """Rich tags, ours missing or spelled as others do it. Undo, its undo, and the undo of that."""
    songs = []
    for container in containers.FAMILIES:
        if container in ("mpc", "ofr", "speex"):  # ours have no packets
            continue
        folder = tmp_path / container
        folder.mkdir()
        make = sounds.make if container in sounds.CONTAINERS else containers.track
        songs.append(make(folder, container))
        containers.decorate(songs[-1])
        if odd:
            containers.spelled_oddly(songs[-1])
    before = [(song.read_bytes(), snapshot(song), dumped(song)) for song in songs]
    others = [containers.decorations(song) for song in songs]
    write(book, *((song, POP) for song in songs))
    after = [(song.read_bytes(), snapshot(song), dumped(song)) for song in songs]
    for then, now in zip(before, after, strict=True):
        assert all(one != other for one, other in zip(then, now, strict=True))
    assert [containers.decorations(song) for song in songs] == others

    for run, expected in ((1, before), (2, after), (3, before)):
        result = musictag("undo", str(run), "--format", "jsonl")
        assert (result.code, {r["status"] for r in result.records}) == (0, {"restored"})
        for song, (content, fields, tags) in zip(songs, expected, strict=True):
            assert (snapshot(song), dumped(song)) == (fields, tags), song
            assert song.read_bytes() == content, song
    assert [containers.decorations(song) for song in songs] == others


def test_a_refused_file_is_exit_code_1(musictag: Run, remembered: list[Path]) -> None:
    musictag("scan", remembered[0].parent, "--write")
    metadata.write(remembered[1], {"MOOD": ("Sad",)})
    result = musictag("undo")
    assert result.code == 1
    assert f"musictag: {remembered[1]}: its fields have changed since run 1" in result.stderr
    assert "2 restored, 1 failed." in result.stderr
    result = musictag("undo", remembered[1], "--force")
    assert result.code == 0
    assert not any(metadata.read(remembered[1]).values())


def test_what_was_restored_is_not_decoded_again(
    musictag: Run,
    remembered: list[Path],
) -> None:
    folder = remembered[0].parent
    musictag("scan", folder, "--write")
    musictag("undo")
    assert "all remembered from earlier scans" in musictag("scan", folder).stderr


@pytest.mark.parametrize(
    "arguments", [("undo",), ("undo", "7"), ("history",), ("history", "--json")]
)
def test_before_anything_was_written_there_is_nothing_to_tell(
    musictag: Run,
    nobodys_home: Path,
    arguments: tuple[str, ...],
) -> None:
    assert musictag(*arguments) == Result(0, "", "musictag: no run that wrote files is on record\n")
    assert not (nobodys_home / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("undo", "9"), "there is no run 9 (musictag history lists them)"),
        (("undo", "1", "2"), "2: one run, before the paths (a file of this name is ./2)"),
        (("undo", "3-1"), "3-1: the first run has the lower number: 1-3"),
        (("undo", "7-9"), "there is no run 7 to 9"),
        (("undo", "--since", "soon"), "--since soon: expected a day or a time"),
        (("undo", "1", "--since", "2026-11-20"), "name runs by number or with --since, not both"),
        (("undo", "9" * 30), "9: no such file or folder"),
        (("undo", "nowhere"), "nowhere: no such file or folder"),
        (("undo", "--format", "xml"), "--format xml: expected one of table, jsonl, csv, tsv"),
        (("undo", "--hardlinks", "cut"), "--hardlinks: expected refuse, replace or in-place"),
        (("history", "9"), "there is no run 9"),
        (("history", "nine"), "nine: not the number of a run"),
        (("history", "9" * 5000), "9: not the number of a run"),
        (("history", "prune"), "musictag history prune --older-than AGE"),
        (("history", "--older-than", "1d"), "musictag history prune --older-than AGE"),
        (
            ("history", "prune", "--older-than", "soon"),
            "expected an age such as 90d, 12w, 6m or 1y",
        ),
    ],
)
def test_wrong_asking_is_exit_code_2(
    musictag: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    book: Journal,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(book, (flac(tmp_path), ROCK))
    result = musictag(*arguments)
    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_called_like_a_number_is_named_with_its_folder(
    musictag: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    book: Journal,
) -> None:
    monkeypatch.chdir(tmp_path)
    number, other = flac(tmp_path, "12"), flac(tmp_path)
    write(book, (number, ROCK), (other, ROCK))
    assert musictag("undo", "./12").code == 0
    assert genres([number, other]) == [False, True]
    assert musictag("undo", "1", ".").code == 0
    assert genres([number, other]) == [False, False]


def test_old_runs_are_pruned(musictag: Run, tmp_path: Path, book: Journal) -> None:
    songs = [flac(tmp_path), flac(tmp_path, "b.flac")]
    for song in songs:
        write(book, (song, ROCK))
    book._database.execute("UPDATE run SET started_s = started_s - 91 * 86400 WHERE id = 1")
    result = musictag("history", "prune", "--older-than", "90d")
    assert result.stdout == "forgot 1 run with the changes to 1 file\n"
    assert [run["run"] for run in musictag("history", "--json").records] == [2]
    musictag("history", "prune", "--older-than", "0d")
    assert musictag("history") == Result(0, "", "musictag: no run that wrote files is on record\n")


def test_the_history_fits_the_terminal_and_cannot_steer_it(
    musictag: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    book: Journal,
) -> None:
    song = flac(tmp_path, "a\x1b[2J\n.flac")
    metadata.write(song, {"GENRE": ("\x1b[31mJazz",)})
    write(book, (song, ROCK), command=["scan", "\x1b[2J" + "long " * 50])
    monkeypatch.setenv("COLUMNS", "70")
    heading, line = musictag("history").stdout.splitlines()
    assert heading.split() == ["Run", "When", "Files", "Undone", "Ended", "Command"]
    assert (len(heading), len(line)) == (62, 70)
    assert line.endswith("…")
    for arguments in ((), ("1",), ("1", "--json")):
        assert "\x1b" not in musictag("history", *arguments).stdout
    files = musictag("history", "1").stdout.splitlines()
    assert musictag("history", "--limit", "9" * 30).stdout.endswith(f"{line}\n")
    assert files[0].startswith("Run 1 of ")
    assert "long long" in files[0]
    assert files[0].endswith("...): 1 file, complete")
    assert len(files[0]) < 300
    assert any("a\\x1b" in file and "Rock" in file for file in files)
    musictag("undo", "-q")
    assert "Undone since:" in musictag("history", "1").stdout


# ---------------------------------------------------------------- a journal that cannot be used


def blocked(path: Path) -> None:
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.write_text("a file where the folder should be")


def spoilt(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database at all, " * 100)


def newer(path: Path) -> None:
    with Journal(path) as opened:
        opened._database.execute("PRAGMA user_version = 99")


def unreachable(path: Path) -> None:
    """As where others' permissions forbid to look, which root never sees."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.symlink_to("x" * 300)


@posix
@pytest.mark.parametrize("command", ["history", "undo"])
def test_a_journal_that_nobody_may_look_at_is_not_taken_for_none(
    musictag: Run, command: str
) -> None:
    unreachable(journal.default_path())
    result = musictag(command)
    assert (result.code, result.stdout) == (1, "")
    assert "journal.sqlite cannot be used: " in result.stderr


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(blocked, 1), (spoilt, 1), (newer, 2), pytest.param(unreachable, 1, marks=posix)],
)
def test_without_a_journal_nothing_is_written(
    musictag: Run,
    remembered: list[Path],
    spoil: Callable[[Path], None],
    code: int,
) -> None:
    spoil(journal.default_path())
    before = [song.read_bytes() for song in remembered]
    result = musictag("scan", remembered[0].parent, "--write")
    assert (result.code, result.stdout) == (code, "")
    assert "journal.sqlite" in result.stderr
    assert result.stderr.count("\n") == 1
    assert [song.read_bytes() for song in remembered] == before
    dry = musictag("scan", remembered[0].parent)
    assert (dry.code, dry.stderr.endswith("add --write to write these tags.\n")) == (0, True)


def test_a_scan_that_only_looks_makes_no_journal(
    remembered: list[Path], nobodys_home: Path
) -> None:
    assert not (nobodys_home / "data").exists()


def test_a_newer_opinion_replaces_an_older_one_of_ours(
    musictag: Run,
    remembered: list[Path],
    tiny: Path,
    tmp_path: Path,
) -> None:
    folder = remembered[0].parent
    metadata.write(remembered[2], {"GENRE": ("Jazz",)})
    musictag("scan", folder, "--write")
    other = shutil.copytree(tiny, tmp_path / "other")
    described = json.loads((other / "config.json").read_text())
    described["thresholds"] = {"Pop": 0.0}
    (other / "config.json").write_text(json.dumps(described))
    assert musictag("scan", folder, "--write", "--model", other).code == 0
    assert [metadata.read(song)["GENRE"][0] for song in remembered] == ["Pop", "Pop", "Jazz"]
