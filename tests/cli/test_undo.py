"""`musictag undo` and `musictag history`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import containers
import mutagen
import pytest
import sounds
from journalled import POP, ROCK, InProcess, flac, genres, write
from program import Result, Run

from musictag import metadata
from musictag.audio.decoder import Decoder
from musictag.metadata import snapshot
from musictag.scan import pipeline
from musictag.stores.journal import Journal

CONTAINERS = ("mp3", "flac", "ogg", "opus", "wav", "aiff", "m4a", "wma", "wavpack", "ape")


@pytest.fixture(autouse=True)
def decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pipeline.Decoder is Decoder, "scans keep theirs"
    monkeypatch.setattr("musictag.audio.decoder.Decoder", InProcess)


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
    undone = musictag("undo", "latest", "--format", "jsonl")
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
    ("arguments", "code"),
    [(("undo",), 1), (("undo", "7"), 1), (("history",), 0), (("history", "--json"), 0)],
)
def test_before_anything_was_written_there_is_nothing_to_tell(
    musictag: Run,
    nobodys_home: Path,
    arguments: tuple[str, ...],
    code: int,
) -> None:
    said = "musictag: no run that wrote files is on record\n"
    assert musictag(*arguments) == Result(code, "", said)
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
    assert [record["status"] for record in dry.records] == ["planned"] * 2, dry.stderr
    assert metadata.read(song) != before
    result = musictag("undo", *arguments, "--format", "jsonl")
    assert result.code == 0
    assert [record["path"] for record in result.records] == [str(song), str(other)]
    undone = [record["fields"] for record in result.records]
    assert undone == [record["fields"] for record in dry.records]
    assert metadata.read(song) == before
    assert result.stderr == "musictag: undoing runs 3, 2 and 1 as one\n2 restored.\n"
