"""APEv2, at the end of a file."""

from __future__ import annotations

from pathlib import Path

import mutagen.apev2
import pytest
from containers import PICTURE, decorate, decorations, id3v1, splice, track
from tagging import FULL, fields

from musictag import metadata


@pytest.mark.parametrize("container", ["wavpack", "ape", "mpc", "tak", "ofr"])
def test_what_listeners_would_miss_survives_in_apev2(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    tags = mutagen.apev2.APEv2()
    tags["Cover Art (Front)"] = mutagen.apev2.APEValue(b"front.png\0" + PICTURE, 1)
    tags["Cover Art (Back)"] = mutagen.apev2.APEValue(b"back.png\0" + PICTURE[:50], 1)
    tags["Lyrics"], tags["Cuesheet"] = "la\nla", 'FILE "x" WAVE'
    tags["REPLAYGAIN_TRACK_GAIN"], tags["MUSICBRAINZ_TRACKID"] = "-7.30 dB", "f2c2"
    tags["ArtistSort"] = ["Name, Sort", "Other, An"]
    tags.save(path)
    kept = decorations(path)
    before = path.read_bytes()
    written = metadata.write(path, FULL)
    assert written is not None
    assert decorations(path) == kept
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


@pytest.mark.parametrize("container", ["ape", "wavpack", "mpc", "tak", "ofr"])
@pytest.mark.parametrize("tagged", [False, True])
def test_id3v1_and_lyrics_after_apev2_stay(tmp_path: Path, container: str, tagged: bool) -> None:
    path = track(tmp_path, container)
    if tagged:
        decorate(path)
    end = b"LYRICSBEGINLYR00005hello000024LYRICS200" + id3v1()
    splice(path, after=end)
    assert metadata.read(path)["GENRE"] == ("Rock",)
    metadata.write(path, {"GENRE": ("Pop",), "MOOD": ("Slow",)})
    assert metadata.read(path) == fields(GENRE=("Pop",), MOOD=("Slow",))
    content = path.read_bytes()
    assert content.endswith(end[:-1] + b"\x0d")
    assert content.count(b"LYRICSBEGIN") == content.count(id3v1()[:-1]) == 1


@pytest.mark.parametrize("container", ["wavpack", "ape"])
def test_an_apev2_tag_of_131_bytes_is_not_taken_for_id3v1(tmp_path: Path, container: str) -> None:
    """Its "APETAGEX" begins 131 bytes from the end: 128 from the end stands "TAG"."""
    path = track(tmp_path, container)
    tags = mutagen.apev2.APEv2()
    tags["Title"] = "x" * 53
    tags.save(path)
    assert path.read_bytes()[-128:].startswith(b"TAGEX")
    assert metadata.write(path, {"MOOD": ("Slow",)})
    assert metadata.read(path)["MOOD"] == ("Slow",)
    tags = mutagen.apev2.APEv2(path)
    assert str(tags["Title"]) == "x" * 53
