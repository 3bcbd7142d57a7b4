"""Fields that are only read: which music it is, and whatever else somebody asks for."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.id3
import mutagen.mp4
import pytest
from containers import id3, id3v1, splice, text, track
from tagging import FULL, NOTHING, every_container, with_chunk

from musictag import metadata
from musictag.metadata import ABOUT

SAID = {
    "TITLE": ("Títle",),
    "ARTIST": ("One", "Ünother"),
    "ALBUM": ("An Album",),
    "ALBUMARTIST": ("Various",),
    "STYLE": ("Dub", "Trip Hop"),
}
KEYS = {
    "ID3": ("TIT2", "TPE1", "TALB", "TPE2", "TXXX:Style"),
    "MP4": ("\xa9nam", "\xa9ART", "\xa9alb", "aART", "----:com.apple.iTunes:STYLE"),
    "ASF": ("Title", "Author", "WM/AlbumTitle", "WM/AlbumArtist", "Style"),
    "APEv2": ("Title", "Artist", "Album", "Album Artist", "Style"),
    "Vorbis": ("TITLE", "artist", "Album", "ALBUMARTIST", "STYLE"),
}


def say(path: Path) -> None:
    """Write all of SAID, as other programs do."""
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    tags = file.tags
    kinds = {
        mutagen.id3.ID3: "ID3",
        mutagen.mp4.MP4Tags: "MP4",
        mutagen.asf.ASFTags: "ASF",
        mutagen.apev2.APEv2: "APEv2",
    }
    kind = next((name for one, name in kinds.items() if isinstance(tags, one)), "Vorbis")
    for key, values in zip(KEYS[kind], SAID.values(), strict=True):
        if kind == "ID3":
            name, _, description = key.partition(":")
            frame = getattr(mutagen.id3, name)(encoding=3, text=list(values))
            if description:
                frame.desc = description
            tags.add(frame)
        elif key.startswith("----"):
            tags[key] = [value.encode() for value in values]
        else:
            tags[key] = list(values)
    file.save()


@every_container
def test_who_made_it_is_read_in_every_container(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    assert metadata.read(path, also=SAID) == {**NOTHING, **dict.fromkeys(SAID, ())}
    say(path)
    metadata.write(path, FULL)
    assert metadata.read(path, also=SAID) == {**FULL, **SAID}
    assert metadata.read(path, also=["MOOD", "YEAR"]) == {**FULL, "YEAR": ()}
    assert metadata.read(path) == FULL


@pytest.mark.parametrize(
    ("version", "flags"), [(2, 0), (3, 0), (4, 0), (3, 0x80)], ids=["2.2", "2.3", "2.4", "unsync"]
)
def test_every_version_of_id3_says_who_made_it(tmp_path: Path, version: int, flags: int) -> None:
    names = ("TP1", "TAL", "TXX") if version == 2 else ("TPE1", "TALB", "TXXX")
    values = ("\xff\xe1 A", "B", "Album Artist\0C")
    frames = [text(version, *pair) for pair in zip(names, values, strict=True)]
    tag = id3(version, *frames, flags=flags)
    if flags:
        body = tag[10:].replace(b"\xff", b"\xff\0")
        size = len(body)
        sizes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
        tag = tag[:6] + sizes + body
    found = metadata.read(track(tmp_path, "mp3", before=tag), also=ABOUT)
    assert found["ARTIST"] == ("ÿá A",)
    assert (found["ALBUM"], found["ALBUMARTIST"]) == (("B",), ("C",))


def test_the_first_tag_that_has_a_field_says_it(tmp_path: Path) -> None:
    path = track(tmp_path, "mp3", before=id3(4, text(4, "TALB", "New")), after=id3v1())
    found = metadata.read(path, also=ABOUT)
    assert (found["ALBUM"], found["ARTIST"]) == (("New",), ("Artist",))


def test_the_info_of_a_wav_says_who_made_it(tmp_path: Path) -> None:
    info = b"INFOIART\x04\0\0\0Nina" + b"IPRD\x02\0\0\0AB"
    found = metadata.read(with_chunk(track(tmp_path, "wav"), b"LIST", info), also=ABOUT)
    assert (found["ARTIST"], found["ALBUM"]) == (("Nina",), ("AB",))


BROKEN: dict[str, Any] = {
    "an artist in letters that are none": (
        "mp3",
        b"",
        id3v1().replace(b"Artist", b"\xe4\xf6\xfc\xdf\xe9!"),
    ),
    "a frame of an encoding that is none": ("mp3", id3(4, b"TPE1\0\0\0\x03\0\0\x09ab"), b""),
    "half an UTF-16": ("mp3", id3(3, b"TALB\0\0\0\x04\0\0\x01\xff\xfeA"), b""),
}


@pytest.mark.parametrize("what", BROKEN)
def test_damage_in_them_is_no_reason_to_refuse_a_file(tmp_path: Path, what: str) -> None:
    container, before, after = BROKEN[what]
    path = splice(track(tmp_path, container), before=before, after=after)
    found = metadata.read(path, also=ABOUT)
    assert found["GENRE"] in ((), ("Rock",))
    assert set(found) == {*metadata.FIELDS, *ABOUT}


def test_what_is_longer_than_a_title_is_not_read(tmp_path: Path) -> None:
    long = text(4, "TALB", "x" * 70_000)
    path = track(tmp_path, "mp3", before=id3(4, long, text(4, "TPE1", "A")))
    found = metadata.read(path, also=ABOUT)
    assert (found["ALBUM"], found["ARTIST"]) == ((), ("A",))


def test_an_attribute_that_is_no_text_says_nothing(tmp_path: Path) -> None:
    path = track(tmp_path, "wma")
    file = mutagen.asf.ASF(path)
    file["WM/AlbumTitle"] = [mutagen.asf.ASFValue(struct.pack("<I", 7), mutagen.asf.BYTEARRAY)]
    file["WM/AlbumArtist"] = ["Various"]
    file.save()
    found = metadata.read(path, also=ABOUT)
    assert (found["ALBUM"], found["ALBUMARTIST"]) == ((), ("Various",))
