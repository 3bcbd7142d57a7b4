"""The tags of MP4."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import mutagen.mp4
import pytest
from containers import PICTURE, track
from tagging import FULL, NOTHING, fragmented, rendered, sound_of, with_atoms

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.errors import MetadataError


def test_what_listeners_would_miss_survives_in_mp4(tmp_path: Path) -> None:
    path = track(tmp_path, "m4a")
    tags = mutagen.mp4.MP4(path)
    kept: dict[str, Any] = {
        "covr": [mutagen.mp4.MP4Cover(PICTURE, 14), mutagen.mp4.MP4Cover(PICTURE[:50], 13)],
        "\xa9lyr": ["la la"],
        "sonm": ["Title, Sort"],
        "soar": ["Name, Sort"],
        "cpil": True,
        "rtng": [1],
        "----:com.apple.iTunes:iTunNORM": [b" 00000B3C"],
        "----:com.apple.iTunes:iTunSMPB": [b" 00000000 00000840"],
        "----:com.apple.iTunes:MusicBrainz Track Id": [b"f2c2"],
        "----:com.apple.iTunes:replaygain_track_gain": [b"-7.30 dB"],
        "----:org.somebody:MOOD": [b"theirs"],
    }
    for key, value in kept.items():
        tags[key] = value
    tags.save()
    metadata.write(path, FULL, payload_digest=payload_digest)
    after = mutagen.mp4.MP4(path)
    assert {key: after[key] for key in kept} == kept


def put_chapters(path: Path, chapters: bytes) -> None:
    """Put a list of chapters into an MP4 file that has user data already."""
    content = path.read_bytes()
    assert content.index(b"mdat") < content.index(b"moov")  # so nothing else moves
    for name in (b"moov", b"udta"):
        place = content.index(name) - 4
        size = int.from_bytes(content[place : place + 4], "big") + len(chapters)
        content = content[:place] + size.to_bytes(4, "big") + content[place + 4 :]
    place = content.index(b"udta") + 4
    path.write_bytes(content[:place] + chapters + content[place:])


def test_chapters_of_mp4_survive(tmp_path: Path) -> None:
    """Of both kinds: a list, and a text track of its own."""
    path = track(tmp_path, "m4a")
    file = mutagen.mp4.MP4(path)
    file["\xa9nam"] = ["Title"]
    file.save()
    titles = b"".join(
        struct.pack(">QB", start, len(title)) + title for start, title in ((0, b"One"), (9, b"Two"))
    )
    chapters = rendered(b"chpl", b"\1" + bytes(7) + b"\2" + titles)
    put_chapters(path, chapters)
    before = [(c.start, c.title) for c in mutagen.mp4.MP4(path).chapters]
    assert [title for _, title in before] == ["One", "Two"]
    metadata.write(path, FULL, payload_digest=payload_digest)
    assert [(c.start, c.title) for c in mutagen.mp4.MP4(path).chapters] == before


def test_a_numeric_genre_of_mp4_is_read_and_replaced(tmp_path: Path) -> None:
    number = rendered(b"gnre", rendered(b"data", bytes(8) + b"\0\x12"))
    path = with_atoms(track(tmp_path, "m4a"), number)
    assert metadata.read(path)["GENRE"] == ("Rock",)
    metadata.write(path, {"MOOD": ("Slow",)})
    assert number in path.read_bytes()
    assert metadata.read(path)["GENRE"] == ("Rock",)
    metadata.write(path, {"GENRE": ("Pop",)})
    assert b"gnre" not in path.read_bytes()
    assert mutagen.mp4.MP4(path)["\xa9gen"] == ["Pop"]
    path = with_atoms(track(tmp_path, "m4a"), number)
    metadata.write(path, {"GENRE": ()})
    assert metadata.read(path) == NOTHING


ODD_ATOMS = {
    "a GIF": rendered(b"covr", rendered(b"data", b"\0\0\0\x0c\0\0\0\0GIF89a")),
    "a named picture": rendered(
        b"covr", rendered(b"data", b"\0\0\0\x0d\0\0\0\0jpeg") + rendered(b"name", b"x.jpg")
    ),
    "a wide small number": rendered(b"tmpo", rendered(b"data", b"\0\0\0\x15\0\0\0\0\0\0\0\x05")),
    "a language": rendered(b"\xa9nam", rendered(b"data", b"\0\0\0\1\x15\xc7\0\0Titel")),
    "text that is not UTF-8": rendered(b"\xa9nam", rendered(b"data", b"\0\0\0\1\0\0\0\0\xff\xfe")),
    "nothing known": rendered(b"zzzz", b"some bytes of somebody's"),
}


@pytest.mark.parametrize("what", ODD_ATOMS)
def test_odd_atoms_stay_byte_for_byte(tmp_path: Path, what: str) -> None:
    path = with_atoms(track(tmp_path, "m4a"), ODD_ATOMS[what])
    metadata.write(path, FULL, payload_digest=sound_of)
    assert ODD_ATOMS[what] in path.read_bytes()


def test_odd_chapters_of_mp4_stay_and_do_not_matter(tmp_path: Path) -> None:
    path = track(tmp_path, "m4a")
    mutagen_file = mutagen.mp4.MP4(path)
    mutagen_file["\xa9nam"] = ["Title"]
    mutagen_file.save()
    chapters = rendered(b"chpl", bytes(8) + b"\1" + bytes(8) + b"\2\xff\xfe")  # not UTF-8
    put_chapters(path, chapters)
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL
    assert chapters in path.read_bytes()


def test_music_behind_the_tags_of_mp4_is_still_found(tmp_path: Path) -> None:
    """The tables of places in the file move with the music when the header stands first."""
    last = track(tmp_path, "m4a")
    first = tmp_path / "first.m4a"
    with (
        av.open(last) as source,
        av.open(str(first), "w", format="ipod", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    content = first.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    metadata.write(first, FULL, payload_digest=payload_digest)
    assert metadata.read(first) == FULL
    assert sound_of(first) == sound_of(last)


def test_an_mp4_file_whose_fragments_say_where_they_are_is_said_to_take_no_tags(
    tmp_path: Path,
) -> None:
    path = fragmented(tmp_path, "frag_keyframe+empty_moov")
    content = path.read_bytes()
    for action in (metadata.read, lambda path: metadata.write(path, FULL)):
        with pytest.raises(MetadataError, match="in fragments") as caught:
            action(path)
        assert caught.value.code == "no_tags"
        assert caught.value.cure
    assert path.read_bytes() == content


def test_fragments_of_mp4_that_may_move_are_no_matter(tmp_path: Path) -> None:
    """As streaming sites have them."""
    path = fragmented(tmp_path, "frag_keyframe+empty_moov+default_base_moof+skip_trailer")
    sound = sound_of(path)
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL
    assert sound_of(path) == sound


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_half_an_mp4_file_is_said_to_be_cut_short(tmp_path: Path, share: float) -> None:
    path = track(tmp_path, "m4a")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(MetadataError, match="the file is cut short") as caught:
        metadata.read(path)
    assert caught.value.code == "truncated"
    assert caught.value.cure == "copy or download it again"
