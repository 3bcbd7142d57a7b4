"""`musictag learn`."""

from __future__ import annotations

import dataclasses
import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import journalled
import numpy as np
import pytest
import sounds
from learned import remember, tracks
from program import Run

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.scan import pipeline
from musictag.stores.journal import Journal
from musictag.training.own import learning
from musictag.training.own.groups import Origin
from musictag.training.own.learning import Track

MIXED = ("mp3", "flac", "ogg", "m4a", "wma", "wavpack")


@pytest.fixture(scope="session")
def some() -> list[Track]:
    """Tracks with words that can be heard in the four numbers of a tiny model's summaries. Ten also
    have a rare word, and twenty a word that nobody can hear."""
    found = tracks()
    for n in range(0, 200, 20):
        found[n] = dataclasses.replace(found[n], words=(*found[n].words, "Zydeco"))
    rng = np.random.default_rng(1)
    for n in rng.permutation(200)[:20]:
        found[n] = dataclasses.replace(found[n], words=(*found[n].words, "Monday"))
    return found


@pytest.fixture
def music(tmp_path: Path, tiny: Path, use_tiny: None, some: Sequence[Track]) -> Path:
    """A tagged library that is remembered."""
    remember(tmp_path / "Music", tiny, some)
    return tmp_path / "Music"


@pytest.fixture
def deaf() -> Iterator[None]:
    """Nothing can be heard."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "scan", None)
        yield


def test_words_are_learned_judged_and_saved(
    musictag: Run, music: Path, deaf: None, tmp_path: Path
) -> None:
    model = tmp_path / "my-words"
    result = musictag("learn", music, "-o", model)
    assert result.code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        *("Genre", "Tracks", "Albums", "Precision", "%", "Coverage", "%", "Confused", "with")
    ]
    assert lines[1] == "will be written"
    assert sorted(line.split()[0] for line in lines[2:5]) == ["Dub", "Jazz", "Rock"]
    assert lines[5] == "cannot be told by ear"
    assert lines[6].split()[:2] == ["Monday", "20"]
    assert lines[7:] == ["not learned", "  Zydeco: 10 tracks, 15 are needed (--min-count)"]
    assert "200 of 200 files have a genre" in result.stderr
    assert "learned from 200 tracks in " in result.stderr
    assert result.stderr.endswith(f"saved; to use it: musictag scan --model {model}\n")
    described = musictag("model", model).stdout
    assert "name        my-words\n" in described
    assert "base        tiny\n" in described
    assert "Rock 0." in described


def test_programs_get_all_numbers(musictag: Run, music: Path) -> None:
    result = musictag("learn", music, "--format", "jsonl")
    by_value = {record["value"]: record for record in result.records}
    rock = by_value["Rock"]
    assert (rock["verdict"], rock["tracks"], rock["albums"]) == ("written", 70, 14)
    assert 0.5 < rock["precision"][1] <= rock["precision"][0] <= rock["precision"][2] <= 1
    assert 0 < rock["threshold"] < 1
    assert by_value["Monday"]["verdict"] == "inaudible"
    assert by_value["Monday"]["threshold"] is None
    assert by_value["Zydeco"]["verdict"] == "not learned"
    assert "nothing was saved: -o my-words keeps what was learned" in result.stderr


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_table_fits(
    musictag: Run, music: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    long = (
        "--map",
        "Rock=Extraordinarily longwinded genre",
        "--map",
        "Zydeco=seven words are far too many",
    )
    for arguments in (long, ("--doubt", *long)):
        lines = musictag("learn", music, *arguments).stdout.splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) > 5


def test_the_model_says_its_words_of_what_is_remembered(
    musictag: Run, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, some: list[Track]
) -> None:
    model = tmp_path / "my-words"
    musictag("learn", music, "-o", model)
    monkeypatch.setattr("musictag.audio.decoder.Decoder.track", None)
    result = musictag("scan", music, "--model", model, "--format", "jsonl")
    assert result.code == 0, result.stderr
    right = [
        record["chosen"]["GENRE"] == record["fields"]["GENRE"]["old"][:1]
        for record in result.records
    ]
    assert sum(right) > 150
    assert {record["chosen"]["MOOD"][0] for record in result.records} == {"Slow"}


def test_the_base_s_values_stay_away_on_request(musictag: Run, music: Path, tmp_path: Path) -> None:
    musictag("learn", music, "-o", tmp_path / "mine", "--without-base")
    described = musictag("model", tmp_path / "mine").stdout
    assert "Rock 0." in described
    assert "Slow" not in described


# ---------------------------------------------------------------- where it is saved


def test_what_exists_is_not_overwritten_unless_it_is_a_model_and_asked_for(
    musictag: Run, music: Path, tmp_path: Path
) -> None:
    model = tmp_path / "mine"
    assert musictag("learn", music, "-o", model, "--min-count", "100").code == 2
    assert not model.exists()
    model.mkdir()
    assert musictag("learn", music, "-o", model).code == 0
    before = (model / "config.json").read_bytes()
    again = musictag("learn", music, "-o", model)
    assert (again.code, again.stdout) == (2, "")
    assert again.stderr == f"musictag: {model}: exists (--overwrite replaces a model)\n"
    assert (model / "config.json").read_bytes() == before
    assert musictag("learn", music, "-o", model, "--overwrite", "--map", "Dub=").code == 0
    assert b"Dub" not in (model / "config.json").read_bytes()
    assert sorted(path.name for path in model.iterdir()) == [
        *("base", "config.json", "weights.safetensors")
    ]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_nothing_but_a_learned_model_is_overwritten(
    musictag: Run, music: Path, tiny: Path, tmp_path: Path
) -> None:
    musictag("learn", music, "-o", tmp_path / "mine")
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for place in (music, tiny, tmp_path / "mine", tmp_path / "mine" / "notes.txt"):
        result = musictag("learn", music, "-o", place, "--overwrite")
        assert result.code == 2
        assert "not touching it" in result.stderr
    assert (tmp_path / "mine" / "notes.txt").exists()
    taken = musictag("learn", music, "-o", "scat-5l-512h-gru")
    assert "a model of this name comes with musictag" in taken.stderr


def test_a_place_that_cannot_be_written_is_said_before_anything_is_read(
    musictag: Run, music: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    result = musictag("learn", music, "-o", tmp_path / "file" / "mine")
    assert result.code == 2
    assert result.stderr.startswith(f"musictag: {tmp_path}/file/mine: ")
    assert len(result.stderr.splitlines()) == 1


def test_so_is_a_disk_that_is_read_only(
    musictag: Run, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    result = musictag("learn", music, "-o", tmp_path / "mine")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == f"musictag: {tmp_path}/mine: its disk is read-only\n"


# ---------------------------------------------------------------- wrong tags


def test_files_with_the_wrong_word_are_listed_first(
    musictag: Run, tmp_path: Path, tiny: Path, some: list[Track]
) -> None:
    wrong = dataclasses.replace(some[3], words=("Jazz",))
    paths = remember(tmp_path / "Music", tiny, [*some[:3], wrong, *some[4:]])
    table = musictag("learn", tmp_path / "Music", "--doubt", "-n", "3").stdout.splitlines()
    assert table[0].split() == ["Tagged", "Rather", "File"]
    assert len(table) == 4
    word, sure, rather, _, path = table[1].split(maxsplit=4)
    assert (word, rather, path) == ("Jazz", "Rock", str(paths[3]))
    assert int(sure[:-1]) < 10
    listed = musictag("learn", tmp_path / "Music", "--doubt", "--format", "paths").stdout
    assert listed.splitlines()[0] == str(paths[3])
    assert len(listed.splitlines()) == 20
    record = musictag("learn", tmp_path / "Music", "--doubt", "--format", "jsonl").records[0]
    assert (record["path"], record["value"], record["rather"]) == (str(paths[3]), "Jazz", "Rock")
    assert record["probability"] < 0.1 < record["probability_of_that"]


def test_words_that_contradict_are_said_and_not_learned(
    musictag: Run, tmp_path: Path, tiny: Path, some: list[Track]
) -> None:
    sound = [
        dataclasses.replace(t, origin=dataclasses.replace(t.origin, sound=b"one")) for t in some
    ]
    sound[7] = dataclasses.replace(sound[7], words=("Polka",))
    paths = remember(tmp_path / "Music", tiny, [*some[:6], sound[6], sound[7], *some[8:]])
    result = musictag("learn", tmp_path / "Music")
    assert result.code == 0
    assert (
        "2 files hold the same sound with different words, and nothing was learned from them: "
        f"{paths[6]}, {paths[7]}\n" in result.stderr
    )


# ---------------------------------------------------------------- files


def test_files_of_all_kinds_are_read_and_heard_once(
    musictag: Run, tmp_path: Path, use_tiny: None
) -> None:
    """Every word has an album in every kind of container, and the last file has none."""
    for n, kind in enumerate(MIXED):
        for k, word in enumerate(("Polka", "Hip-Hop/Rap")):
            path = sounds.make(tmp_path, kind, seconds=1.1, seed=2 * n + k)
            path = path.rename(tmp_path / f"{kind} {k}{path.suffix}")
            metadata.write(path, {"GENRE": (word, "Live")}, payload_digest=payload_digest)
            folder = tmp_path / "Music" / f"{kind} {k}"
            folder.mkdir(parents=True)
            path.rename(folder / path.name)
    sounds.make(tmp_path / "Music", "flac", seconds=1.1, seed=99)
    command = ("learn", tmp_path / "Music", "--min-count", "5", "--split-at", "/", "--map")
    command = (*command, "live=", "--format", "jsonl")
    result = musictag(*command)
    assert "12 of 13 files have a genre" in result.stderr
    assert "hearing 12 files" in result.stderr
    assert {record["value"]: record["tracks"] for record in result.records} == {
        **{"Polka": 6, "Hip-Hop": 6, "Rap": 6}
    }
    again = musictag(*command)
    assert "hearing" not in again.stderr
    assert again.stdout == result.stdout


def test_what_musictag_wrote_itself_is_not_learned(
    musictag: Run, music: Path, book: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, edited, both = (
        journalled.flac(music, f"{name}.flac") for name in ("ours", "edited", "both")
    )
    metadata.write(both, {"GENRE": ("Schlager",)}, payload_digest=payload_digest)
    journalled.write(book, (ours, {"GENRE": ("Dub",)}), (edited, {"GENRE": ("Dub",)}))
    metadata.write(edited, {"GENRE": ("Schlager",)}, payload_digest=payload_digest)
    result = musictag("learn", music, "--format", "jsonl")
    assert "202 of 203 files have a genre" in result.stderr
    assert "1 other file with nothing but what musictag wrote: not learned from" in result.stderr
    assert "hearing 2 files" in result.stderr
    by_value = {record["value"]: record for record in result.records}
    assert by_value["Dub"]["tracks"] == 65
    assert by_value["Schlager"]["reason"].startswith("1 track,")  # twice the same sound


def test_a_broken_file_is_said_with_exit_code_1_and_the_rest_is_learned(
    musictag: Run, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = music / "text.flac"
    text.write_text("no music at all")
    result = musictag("learn", music, "-o", tmp_path / "mine")
    assert result.code == 1
    assert f"musictag: {text}: " in result.stderr
    assert (tmp_path / "mine" / "config.json").exists()


# ---------------------------------------------------------------- what cannot be learned


def library_of(words: Sequence[Sequence[str]], origin: Origin | None = None) -> list[Track]:
    nothing = np.zeros(4, np.float32)
    return [
        Track(tuple(some), nothing, nothing, origin or Origin(f"Album {n}", (f"Artist {n}",)))
        for n, some in enumerate(words)
    ]


ILL = {
    "no tags": ([()] * 30, "no file has a genre: there is nothing to learn from"),
    "one value": ([("Rock",)] * 30, "all 30 tagged files have the genre 'Rock'"),
    "all different": (
        [(f"Genre {n}",) for n in range(300)],
        "300 tagged files have 300 different values in genre: these are remarks, not words",
    ),
    "sentences": (
        [(f"all that I like to hear on day {n % 3}",) for n in range(30)],
        "most values in genre are sentences, not words to learn",
    ),
    "too few of each": (
        [("Rock",), ("Jazz",)] * 5,
        "no genre has 15 tracks (the commonest, 'Rock', has 5): tag more files, or say --min-count",
    ),
    "slashes": ([("a/b",), ("c/d",)] * 20, "no genre can be learned: 'a/b' holds '/': say --split"),
}


@pytest.mark.parametrize("ill", ILL)
def test_what_cannot_be_learned_is_a_sentence(
    musictag: Run, tmp_path: Path, tiny: Path, use_tiny: None, ill: str
) -> None:
    words, reason = ILL[ill]
    remember(tmp_path / "Music", tiny, library_of(words))
    result = musictag("learn", tmp_path / "Music", "-o", tmp_path / "mine")
    assert (result.code, result.stdout) == (2, "")
    assert f"musictag: {reason}" in result.stderr
    assert not (tmp_path / "mine").exists()


def test_what_cannot_be_learned_is_said_before_anything_is_heard(
    musictag: Run, tmp_path: Path, use_tiny: None, deaf: None
) -> None:
    for n in range(3):
        path = journalled.flac(tmp_path / "Music", f"{n}.flac")
        metadata.write(path, {"GENRE": ("Rock",)}, payload_digest=payload_digest)
    result = musictag("learn", tmp_path / "Music")
    assert result.code == 2
    assert "all 3 tagged files have the genre 'Rock'" in result.stderr


def test_one_album_is_no_library(musictag: Run, tmp_path: Path, tiny: Path, use_tiny: None) -> None:
    words = [("Rock",), ("Jazz",)] * 20
    remember(tmp_path / "Music", tiny, library_of(words, Origin("One", ("Abba",))))
    result = musictag("learn", tmp_path / "Music")
    assert result.code == 2
    assert "all 40 tagged files belong to one album or one artist" in result.stderr


def test_chance_is_shown_and_not_saved(
    musictag: Run, tmp_path: Path, tiny: Path, use_tiny: None
) -> None:
    remember(tmp_path / "Music", tiny, library_of([("Rock",), ("Jazz",)] * 20))
    result = musictag("learn", tmp_path / "Music", "-o", tmp_path / "mine")
    assert result.code == 2
    assert result.stdout.splitlines()[1] == "cannot be told by ear"
    assert "none of the 2 genres can be told by ear: nothing was saved" in result.stderr
    assert not (tmp_path / "mine").exists()
    doubted = musictag("learn", tmp_path / "Music", "--doubt")
    assert (doubted.code, doubted.stdout) == (0, "")
    assert "no word can be told by ear" in doubted.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--field", "colour"), "--field colour: expected one of genre, mood, instrument, vocals"),
        (("--format", "xml"), "--format xml: expected one of table, jsonl"),
        (("--format", "paths"), "--format paths: expected one of table, jsonl"),
        (("--doubt", "-o", "mine"), "--doubt saves no model: leave out --output"),
        (("-n", "3"), "-n says how many files to doubt: it needs --doubt"),
        (("--overwrite",), "--overwrite needs --output"),
        (("--map", "Rock"), "--map 'Rock': expected VALUE=WORD"),
        (("--map", "Rock=a/b"), "--map 'Rock=a/b': the value 'a/b' holds a character that"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    musictag: Run, tmp_path: Path, arguments: Sequence[str], reason: str
) -> None:
    result = musictag("learn", tmp_path, *arguments)
    assert result.code == 2
    assert result.stderr.startswith(f"musictag: {reason}")


def test_folders_without_music_are_named(musictag: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = musictag("learn", tmp_path / "empty")
    assert (empty.code, empty.stderr) == (
        2,
        f"musictag: {tmp_path}/empty: no music files are here\n",
    )
    gone = musictag("learn", tmp_path / "gone")
    assert gone.code == 2
    assert "no such file or folder" in gone.stderr


def test_what_can_be_learned_is_known_without_summaries(some: list[Track]) -> None:
    words, origins = [track.words for track in some], [track.origin for track in some]
    assert learning.learnable(words, origins, "GENRE").labels.names == (
        learning.learn(some, "GENRE").labels.names
    )


def test_a_share_that_cannot_be_told_is_null(
    musictag: Run, tmp_path: Path, tiny: Path, use_tiny: None
) -> None:
    remember(tmp_path / "Music", tiny, library_of([("Rock",), ("Jazz",)] * 20))
    result = musictag("learn", tmp_path / "Music", "--format", "jsonl")
    assert "NaN" not in result.stdout
    assert [record["precision"] for record in result.records] == [None, None]
