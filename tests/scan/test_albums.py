"""One genre per album: which tracks belong together, and what each of them gets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from scans import NOTHING, ON_CPU, Listening, Song, scan

from musictag.scan import albums
from musictag.stores.cache import Cache

BY_ALBUM = dataclasses.replace(ON_CPU, by_album=True, fields=("GENRE",))
SURE, UNSURE = (0.95, 0.0, 0.0), (0.3, 0.0, 0.0)
"""Rock needs 0.5: the mean of these two reaches it."""

Fields = Mapping[str, Sequence[str]]
GOLD: Fields = {"ALBUM": ["Gold"], "ARTIST": ["Abba"]}
ROCK, NO = ["Rock"], None


def made(song: Song, folder: Path, name: str, heard: Sequence[float], **fields: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    song(name, heard=[heard], metadata=dict(fields))
    return path


def genres(paths: Sequence[Path]) -> list[object]:
    return [json.loads(path.read_text())["metadata"].get("GENRE") for path in paths]


PLACES: dict[str, tuple[list[tuple[str, Fields]], bool]] = {
    "an album": ([("1.mp3", GOLD), ("2.mp3", GOLD)], True),
    "a folder without tags": ([("1.mp3", {}), ("2.mp3", {})], True),
    "two albums in a folder": (
        [("1.mp3", GOLD), ("2.mp3", {**GOLD, "ALBUM": ["Waterloo"]})],
        False,
    ),
    "one album's name, two album artists": (
        [("1.mp3", {**GOLD, "ALBUMARTIST": ["Abba"]}),
         ("2.mp3", {**GOLD, "ALBUMARTIST": ["Björn"]})],
        False,
    ),
    "discs of an album": ([("CD1/1.mp3", GOLD), ("CD2/1.mp3", GOLD)], True),
    "discs that say so": (
        [("Disc 1/1.mp3", {**GOLD, "ALBUM": ["Gold (Disc 1)"]}),
         ("Disc 2 - Live/1.mp3", {**GOLD, "ALBUM": ["Gold [CD 2]"]})],
        True,
    ),
    "discs without tags": ([("CD1/1.mp3", {}), ("CD2/1.mp3", {})], False),
    "two folders": ([("Gold/1.mp3", GOLD), ("More gold/1.mp3", GOLD)], False),
    "a track that does not say its album": ([("1.mp3", GOLD), ("2.mp3", {})], True),
    "different artists": ([("1.mp3", GOLD), ("2.mp3", {**GOLD, "ARTIST": ["Boney M."]})], False),
    "different artists of one album artist": (
        [("1.mp3", {**GOLD, "ALBUMARTIST": ["Abba"]}),
         ("2.mp3", {"ALBUM": ["Gold"], "ARTIST": ["Frida"], "ALBUMARTIST": ["abba"]})],
        True,
    ),
    "a guest": ([("1.mp3", GOLD), ("2.mp3", {**GOLD, "ARTIST": ["Abba feat. Cher"]})], True),
    "various artists": (
        [("1.mp3", {**GOLD, "ALBUMARTIST": ["Various Artists"]}),
         ("2.mp3", {**GOLD, "ALBUMARTIST": ["Various Artists"]})],
        False,
    ),
}  # fmt: skip
"""Name → files with their fields, and whether they are one album."""


@pytest.mark.parametrize("name", PLACES)
def test_tracks_of_one_album_share_its_genre(
    name: str, listening: Listening, song: Song, tmp_path: Path
) -> None:
    files, is_one = PLACES[name]
    paths = [
        made(song, tmp_path, file, heard, **fields)
        for (file, fields), heard in zip(files, (SURE, UNSURE), strict=True)
    ]
    outcomes = scan(paths, listening, BY_ALBUM, write=True)
    assert [outcome.path for outcome in outcomes] == paths
    assert genres(paths) == ([ROCK, ROCK] if is_one else [ROCK, NO])
    assert [outcome.album is not None for outcome in outcomes] == [is_one, is_one]


def test_only_the_genre_is_the_albums(listening: Listening, song: Song, tmp_path: Path) -> None:
    paths = [
        made(song, tmp_path, "1.mp3", (0.95, 0.75, 0.0), **GOLD),
        made(song, tmp_path, "2.mp3", (0.3, 0.0, 0.75), **GOLD),
    ]
    settings = dataclasses.replace(BY_ALBUM, fields=("GENRE", "MOOD", "INSTRUMENT"))
    first, second = scan(paths, listening, settings)
    assert first.chosen == {"GENRE": ("Rock",), "MOOD": ("Slow",), "INSTRUMENT": (), "VOCALS": ()}
    assert second.chosen["MOOD"] == ()
    assert second.chosen["INSTRUMENT"] == ("Guitar",)
    assert first.album is not None
    assert (first.album.title, first.album.artist, first.album.n_tracks) == ("Gold", "Abba", 2)
    assert first.album.genres == ("Rock",)


def test_a_track_that_cannot_be_heard_has_no_part_in_its_album(
    listening: Listening, song: Song, tmp_path: Path
) -> None:
    paths = [made(song, tmp_path, f"{n}.mp3", h, **GOLD) for n, h in enumerate((SURE, SURE, SURE))]
    broken = song("3.mp3", error="corrupt", metadata=dict(GOLD))
    outcomes = scan([*paths, broken], listening, BY_ALBUM, write=True)
    assert [outcome.status for outcome in outcomes] == ["written"] * 3 + ["failed"]
    assert outcomes[0].album is not None
    assert outcomes[0].album.n_tracks == 3


def test_a_part_of_an_album_gets_the_genre_of_all_that_is_remembered(
    listening: Listening, song: Song, tmp_path: Path, cache: Cache
) -> None:
    paths = [made(song, tmp_path, f"{n}.mp3", h, **GOLD) for n, h in enumerate((SURE, UNSURE))]
    scan(paths[1:], listening, BY_ALBUM, cache=cache, write=True)
    assert genres(paths) == [NO, NO]
    scan(paths, listening, BY_ALBUM, cache=cache, write=True)
    assert genres(paths) == [ROCK, ROCK]
    before = [path.read_bytes() for path in paths]
    for part in (paths, paths[1:], paths[:1]):
        outcomes = scan(part, listening, BY_ALBUM, cache=cache, write=True)
        assert {outcome.status for outcome in outcomes} == {"unchanged"}
    assert [path.read_bytes() for path in paths] == before
    assert sorted(listening.decoded) == ["0.mp3", "1.mp3"]


def test_a_new_track_gets_the_genre_of_its_album(
    listening: Listening, song: Song, tmp_path: Path, cache: Cache
) -> None:
    paths = [made(song, tmp_path, f"{n}.mp3", h, **GOLD) for n, h in enumerate((SURE, UNSURE))]
    scan(paths[:1], listening, BY_ALBUM, cache=cache, write=True)
    scan(paths[1:], listening, BY_ALBUM, cache=cache, write=True)
    assert genres(paths) == [ROCK, ROCK]


def test_our_own_genre_follows_when_more_of_the_album_is_heard(
    listening: Listening, song: Song, tmp_path: Path, cache: Cache
) -> None:
    heard = [(0.6, 0.0, 0.0), NOTHING]
    paths = [made(song, tmp_path, f"{n}.mp3", h, **GOLD) for n, h in enumerate(heard)]
    scan(paths[:1], listening, BY_ALBUM, cache=cache, write=True)
    assert genres(paths) == [ROCK, NO]
    outcomes = scan(paths, listening, BY_ALBUM, cache=cache, write=True)
    assert genres(paths) == [ROCK, NO]  # the album is sure of nothing: nothing is emptied
    assert outcomes[0].album is not None
    assert outcomes[0].album.genres == ()


@pytest.mark.parametrize(
    ("tagged", "expected"),
    [
        ([["Disco"], ["disco"], None], [["Disco"], ["disco"], ["Disco"]]),
        ([["Disco"], None, None], [["Disco"], ROCK, ROCK]),
        ([["Disco"], ["Pop"], None], [["Disco"], ["Pop"], ROCK]),
        ([None, None, None], [ROCK, ROCK, ROCK]),
    ],
)
def test_a_half_tagged_album_becomes_whole_with_keep(
    tagged: list[list[str] | None],
    expected: list[list[str]],
    listening: Listening,
    song: Song,
    tmp_path: Path,
    cache: Cache,
) -> None:
    paths = [
        made(song, tmp_path, f"{n}.mp3", SURE, **GOLD, **({"GENRE": has} if has else {}))
        for n, has in enumerate(tagged)
    ]
    scan(paths, listening, BY_ALBUM, cache=cache, write=True)
    assert genres(paths) == expected
    again = scan(paths, listening, BY_ALBUM, cache=cache, write=True)
    assert {outcome.status for outcome in again} == {"unchanged"}


def test_replace_gives_all_tracks_what_was_heard(
    listening: Listening, song: Song, tmp_path: Path
) -> None:
    paths = [made(song, tmp_path, f"{n}.mp3", SURE, **GOLD, GENRE=["Disco"]) for n in range(2)]
    settings = dataclasses.replace(BY_ALBUM, existing={"GENRE": "replace"})
    scan(paths, listening, settings, write=True)
    assert genres(paths) == [ROCK, ROCK]


def test_a_folder_of_too_many_tracks_is_settled_track_by_track(
    listening: Listening, song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(albums, "MOST_TRACKS", 2)
    paths = [made(song, tmp_path, f"{n}.mp3", SURE, **GOLD) for n in range(3)]
    outcomes = scan(paths, listening, BY_ALBUM)
    assert [outcome.album for outcome in outcomes] == [None] * 3


def test_no_more_tracks_are_held_than_a_place_may_have(
    listening: Listening, song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list may name a file again and again."""
    monkeypatch.setattr(albums, "MOST_TRACKS", 2)
    paths = [made(song, tmp_path, f"{n}.mp3", SURE, **GOLD) for n in range(2)] * 3
    outcomes = scan(paths, listening, BY_ALBUM)
    assert [outcome.path for outcome in outcomes] == paths
    assert all(outcome.album is not None for outcome in outcomes)


def test_a_stopped_scan_begins_no_further_track_of_an_album(
    listening: Listening, song: Song, tmp_path: Path, cache: Cache
) -> None:
    paths = [made(song, tmp_path, f"{n}.mp3", SURE, **GOLD) for n in range(3)]
    written: list[Path] = []
    listening.on_write = written.append
    outcomes = scan(
        paths, listening, BY_ALBUM, cache=cache, write=True, stopped=lambda: bool(written)
    )
    assert [outcome.path for outcome in outcomes] == paths[:1]
    assert genres(paths) == [ROCK, NO, NO]
    scan(paths, listening, BY_ALBUM, cache=cache, write=True)
    assert genres(paths) == [ROCK] * 3
    assert len(listening.decoded) == 3
