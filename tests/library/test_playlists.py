"""Playlists as files: odd names, odd titles, and what players make of them."""

from __future__ import annotations

import json
import os
import urllib.parse
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from musictag.errors import UsageError
from musictag.library import playlists
from musictag.library.choosing import choice
from musictag.library.collection import Track
from musictag.vocabulary import UNLISTED, Value, Vocabulary

XSPF = "{http://xspf.org/ns/0/}"

ODD = [
    "plain.mp3",
    "#1 hit.mp3",
    " space.mp3",
    "http:x.mp3",
    "Ünïcode ♫.mp3",
    "100% & <more>.mp3",
    os.fsdecode(b"caf\xe9.mp3"),
]


def track(path: Path, **about: str) -> Track:
    return Track(path, 61.6, (), about={name: (value,) for name, value in about.items()})


def test_an_m3u_has_length_artist_and_title() -> None:
    tracks = [
        track(Path("/m/a.mp3"), TITLE="One\nTwo", ARTIST="X"),
        track(Path("/m/b.mp3"), TITLE="T"),
        track(Path("/m/c.mp3"), ALBUMARTIST="Y"),
    ]
    assert list(playlists.m3u8(tracks)) == [
        "#EXTM3U",
        "#EXTINF:62,X - One Two",
        "/m/a.mp3",
        "#EXTINF:62,T",
        "/m/b.mp3",
        "#EXTINF:62,Y - c",
        "/m/c.mp3",
    ]


@pytest.mark.parametrize("name", ODD)
def test_every_name_in_an_m3u_leads_to_its_file_and_is_no_remark(tmp_path: Path, name: str) -> None:
    song, folder = tmp_path / "music" / name, tmp_path / "lists"
    for path in (song.parent, folder):
        path.mkdir()
    song.touch()
    for seen_from in (None, folder, song.parent):
        *_, line = playlists.m3u8([track(song)], seen_from)
        assert line.strip()[0] != "#"
        assert line == line.lstrip()
        assert urllib.parse.urlsplit(line).scheme == ""
        assert Path(seen_from or "/", line).samefile(song)


def test_names_seen_from_a_linked_folder_lead_to_their_files(tmp_path: Path) -> None:
    """The system follows the link before it goes up."""
    song = tmp_path / "a.mp3"
    song.touch()
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "lists").symlink_to(tmp_path / "deep" / "down")
    *_, line = playlists.m3u8([track(song)], tmp_path / "lists")
    assert Path(tmp_path, "lists", line).samefile(song)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("is_relative", [False, True])
def test_an_xspf_is_xml_whose_locations_lead_to_the_files(
    tmp_path: Path, name: str, is_relative: bool
) -> None:
    title = "<&\x00\x1b]>\ud800 ♫"
    lines = list(
        playlists.xspf(
            [track(tmp_path / name, TITLE=title)], tmp_path / "lists" if is_relative else None
        )
    )
    document = "\n".join(lines)
    assert document.isascii()
    (found,) = ET.fromstring(document).iter(f"{XSPF}track")
    assert found.findtext(f"{XSPF}title") == "<&\ufffd\ufffd]>\ufffd ♫"
    assert found.findtext(f"{XSPF}duration") == "61600"
    base = (tmp_path / "lists" / "x.xspf").as_uri()
    uri = urllib.parse.urlsplit(urllib.parse.urljoin(base, found.findtext(f"{XSPF}location") or ""))
    assert uri.scheme == "file"
    assert urllib.parse.unquote_to_bytes(uri.path) == os.fsencode(tmp_path / name)


def test_a_name_with_a_line_break_cannot_be_listed() -> None:
    assert not playlists.can_be_listed(track(Path("/a\nb.mp3")))
    assert not playlists.can_be_listed(track(Path("/a\rb.mp3")))
    assert playlists.can_be_listed(track(Path("/ab.mp3")))


VOCABULARY = Vocabulary(
    (
        Value("Electronic", "GENRE", ("e",), threshold=0.4),
        Value("Techno", "GENRE", ("t",), ("Electronic",), threshold=0.4, written="Tekno"),
        Value("House", "GENRE", ("h",), ("Electronic",)),
        Value("Trance", "GENRE", ("tr",), ("Electronic",), threshold=0.4, unwanted=UNLISTED),
        Value("Quiet", "MOOD", ("q",), threshold=0.4),
    )
)


def test_a_smart_playlist_has_rules_for_the_words_that_a_scan_writes() -> None:
    wish = choice(VOCABULARY, {"GENRE": ["electronic"], "MOOD": ["quiet"]}, ["techno"])
    assert json.loads("".join(playlists.smart(wish, limit=50, shuffle=True))) == {
        "all": [
            {"any": [{"is": {"genre": "Electronic"}}, {"is": {"genre": "Tekno"}}]},
            {"is": {"mood": "Quiet"}},
            {"isNot": {"genre": "Tekno"}},
        ],
        "sort": "random",
        "limit": 50,
    }


@pytest.mark.parametrize(
    ("wanted", "message"),
    [({"GENRE": ["house"]}, "no scan writes House"), ({}, "needs a rule")],
)
def test_a_smart_playlist_that_would_find_nothing_is_refused(
    wanted: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        list(playlists.smart(choice(VOCABULARY, wanted)))
