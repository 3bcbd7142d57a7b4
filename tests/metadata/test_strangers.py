"""What other projects' test files taught: kinds of file that a write changed, or undo did not."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import mutagen.id3
import pytest
from containers import id3, text, track
from tagging import FULL

from musictag import metadata
from musictag.errors import MetadataError


def mp4_with_room_of_ones(path: Path) -> None:
    """As mutagen once left it, and so what its programs tagged."""
    file: Any = mutagen.File(path)
    file["\xa9nam"] = ["Title"]
    file.save(padding=lambda _: 2000)
    content = path.read_bytes()
    place = content.rindex(b"free", 0, content.index(bytes(1000)) + 4) - 4
    (size,) = struct.unpack_from(">I", content, place)
    path.write_bytes(content[: place + 8] + b"\1" * (size - 8) + content[place + size :])


def in_wav(tag: bytes) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        chunk = b"id3 " + struct.pack("<I", len(tag)) + tag + bytes(len(tag) % 2)
        content = path.read_bytes() + chunk
        path.write_bytes(b"RIFF" + struct.pack("<I", len(content) - 8) + content[8:])

    return put


def aiff_without_its_last_byte(path: Path) -> None:
    """A last chunk of odd length, and nothing behind it to make it even."""
    content = path.read_bytes() + b"ODDS" + struct.pack(">I", 3) + b"odd"
    path.write_bytes(b"FORM" + struct.pack(">I", len(content) - 8) + content[8:])


def behind(tag: bytes) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        path.write_bytes(tag + path.read_bytes())

    return put


TAG = id3(3, text(3, "TIT2", "Title"))

EXACT: dict[str, tuple[str, Callable[[Path], None]]] = {
    "room of ones in mp4": ("m4a", mp4_with_room_of_ones),
    "a zero behind the tag in its chunk": ("wav", in_wav(TAG + b"\0")),
    "several bytes behind the tag in its chunk": ("wav", in_wav(TAG + b"\0\0\0\0\0")),
    "a tag of odd length in a chunk": ("wav", in_wav(id3(3, text(3, "TIT2", "Titles")))),
    "a tag of even length in a chunk": ("wav", in_wav(TAG)),
    "frames without the flag that their tag has": (
        "mp3",
        behind(id3(4, text(4, "TCON", "House"), text(4, "TIT2", "Title"), flags=0x80)),
    ),
    "an odd chunk at the end of aiff": ("aiff", aiff_without_its_last_byte),
}


@pytest.mark.parametrize("what", EXACT)
def test_undo_gives_every_byte_back(tmp_path: Path, what: str) -> None:
    container, change = EXACT[what]
    path = track(tmp_path, container)
    change(path)
    before = path.read_bytes()
    written = metadata.write(path, FULL)
    assert written is not None
    assert metadata.read(path) == FULL
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


def test_a_tag_behind_other_bytes_is_not_hidden_by_a_new_one(tmp_path: Path) -> None:
    """TagLib looks for it up to the first frame."""
    path = track(tmp_path, "mp3", before=random.Random(3).randbytes(2000) + TAG)
    before = path.read_bytes()
    with pytest.raises(MetadataError, match="an ID3 tag stands behind other bytes"):
        metadata.write(path, FULL)
    assert path.read_bytes() == before


def test_junk_without_a_tag_in_it_is_no_reason(tmp_path: Path) -> None:
    path = track(tmp_path, "mp3", before=b"junk, and no ID3 in it" * 50)
    assert metadata.write(path, FULL)
    assert metadata.read(path) == FULL


@pytest.mark.parametrize(
    ("date", "frame"),
    [
        ("2003-01-30 03:28:45 UTC", "TXXX:DATE"),  # TagLib would show U C for UTC
        ("January", "TXXX:DATE"),
        ("2003", "TDRC"),
        ("2003-01-30", "TDRC"),
    ],
)
def test_a_date_of_info_keeps_its_words(tmp_path: Path, date: str, frame: str) -> None:
    path = track(tmp_path, "wav")
    stored = date.encode() + b"\0"
    item = b"ICRD" + struct.pack("<I", len(stored)) + stored + bytes(len(stored) % 2)
    listed = b"LIST" + struct.pack("<I", 4 + len(item)) + b"INFO" + item
    content = path.read_bytes() + listed
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content) - 8) + content[8:])
    metadata.write(path, FULL)
    file: Any = mutagen.File(path)
    assert [str(text) for text in file[frame].text] == [date]


def test_an_ogg_header_with_a_wrong_checksum_is_not_made_to_look_whole(tmp_path: Path) -> None:
    path = track(tmp_path, "ogg")
    file: Any = mutagen.File(path)
    file["title"] = "Title"
    file.save()
    broken = path.read_bytes().replace(b"Title", b"Tattle"[:5])
    path.write_bytes(broken)
    with pytest.raises(MetadataError, match="checksum"):
        metadata.write(path, FULL)
    assert path.read_bytes() == broken
