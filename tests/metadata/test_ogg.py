"""Ogg's comments, written by new pages."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import mutagen
import mutagen.ogg
import pytest
import sounds
from containers import track
from tagging import FULL, sound_of

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.errors import MetadataError
from musictag.formats import ogg_pages
from musictag.formats.ogg_pages import Page

CONTAINERS = pytest.mark.parametrize("container", ["ogg", "opus", "ogg-flac", "speex"])
LONG = ("Rock", *(f"genre {n:03} of many letters" + "!" * 5000 for n in range(40)))
"""Values that take several pages."""


def pages_of(path: Path) -> list[Page]:
    with path.open("rb") as file:
        return list(ogg_pages.pages(file))


def assert_sound(path: Path) -> None:
    """Pages follow each other, are numbered in a row, and have the checksums that they must."""
    content = path.read_bytes()
    pages = pages_of(path)
    assert [page.end for page in pages] == [*(page.place for page in pages[1:]), len(content)]
    for serial in {page.serial for page in pages}:
        numbers = [page.sequence for page in pages if page.serial == serial]
        assert numbers == [*range(len(numbers))]
    for page in pages:
        header = content[page.place : page.start]
        assert page.header([content[page.start : page.end]]) == header
    for serial in {page.serial for page in pages}:
        mine = [page for page in pages if page.serial == serial]
        for page, after in pairwise(mine):
            assert page.is_complete == (not after.flags & ogg_pages.CONTINUED)
        for page in mine:
            assert (page.granule == -1) == (not page.ends_a_packet)


@CONTAINERS
def test_fields_of_several_pages_are_written_and_taken_back(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    before, sound = path.read_bytes(), sound_of(path)
    written = metadata.write(path, {"GENRE": LONG}, payload_digest=payload_digest)
    assert written is not None
    assert metadata.read(path)["GENRE"] == LONG
    assert len(pages_of(path)) > len(before) // 65_307 + 2
    assert tuple(mutagen.File(path)["genre"]) == LONG
    assert_sound(path)
    assert sound_of(path) == sound
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


@CONTAINERS
@pytest.mark.parametrize("cut", [mutagen.ogg.OggPage.from_packets, None], ids=["small", "full"])
def test_pages_are_cut_as_they_were(tmp_path: Path, container: str, cut: Any) -> None:
    """By mutagen, or by libogg: undo gives these pages back."""
    path = track(tmp_path, container)
    if cut is not None:
        file: Any = mutagen.File(path)
        file["comment"] = ["x" * 20_000]
        file.save()
    else:
        metadata.write(path, {"GENRE": LONG})
    before = path.read_bytes()
    written = metadata.write(path, {"MOOD": LONG}, payload_digest=payload_digest)
    assert written is not None
    assert_sound(path)
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


def renamed(content: bytes, serial: int, start: int = 0) -> bytes:
    """The pages of a stream with another serial number and, from `start` on, other numbers."""
    found = b""
    place = 0
    while place < len(content):
        page: Any = mutagen.ogg.OggPage(_At(content, place))
        place += page.size
        page.serial, page.sequence = serial, page.sequence + start
        found += page.write()
    return found


class _At:
    def __init__(self, content: bytes, place: int) -> None:
        self.content, self.place = content, place

    def read(self, size: int) -> bytes:
        self.place += size
        return self.content[self.place - size : self.place]

    def tell(self) -> int:
        return self.place


def test_the_next_of_a_chain_keeps_its_numbers_even_with_the_same_serial(tmp_path: Path) -> None:
    path = track(tmp_path, "opus")
    link = path.read_bytes()
    path.write_bytes(link + link)
    written = metadata.write(path, {"GENRE": LONG})
    assert written is not None
    assert path.read_bytes().endswith(link)
    assert metadata.read(path)["GENRE"] == LONG
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == link + link


def test_pages_of_another_stream_between_the_headers_stay(tmp_path: Path) -> None:
    path = track(tmp_path, "ogg")
    metadata.write(path, {"MOOD": LONG})
    content = path.read_bytes()
    first, *mine = pages_of(path)
    other = renamed(content, 4711)
    bos = other[: first.end]
    middle = other[first.end : pages_of(path)[1].end]
    cut = mine[0].end
    mixed = content[: first.end] + bos + content[first.end : cut] + middle + content[cut:]
    path.write_bytes(mixed)
    written = metadata.write(path, {"GENRE": ("Rock",)})
    assert written is not None
    now = path.read_bytes()
    assert metadata.read(path)["GENRE"] == ("Rock",)
    assert bos in now
    assert middle in now
    theirs = [page.sequence for page in pages_of(path) if page.serial == 4711]
    assert theirs == [0, 1]


def test_a_page_that_was_damaged_does_not_become_whole(tmp_path: Path) -> None:
    """Its checksum keeps players from playing it."""
    path = sounds.make(tmp_path, "ogg", seconds=20)
    content = bytearray(path.read_bytes())
    bad = pages_of(path)[-1]
    content[bad.start] ^= 1
    path.write_bytes(content)
    metadata.write(path, {"GENRE": LONG})
    bad = pages_of(path)[-1]
    now = path.read_bytes()
    assert bad.header([now[bad.start : bad.end]]) != now[bad.place : bad.start]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a packet that is no comments": lambda b: b.replace(b"OpusTags", b"OpusTugs"),
    "a comment longer than its packet": lambda b: b.replace(
        b"OpusTags", b"OpusTags" + struct.pack("<I", 1 << 30)
    )[:-4],
    "the end in the header": lambda b: b[: b.index(b"OpusTags") + 4],
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_headers_are_a_reason_and_the_file_stays(tmp_path: Path, what: str) -> None:
    path = track(tmp_path, "opus")
    broken = DAMAGE[what](path.read_bytes())
    path.write_bytes(broken)
    with pytest.raises(MetadataError, match=r"track\.opus"):
        metadata.write(path, FULL)
    assert path.read_bytes() == broken


def test_data_behind_opus_comments_that_may_mean_something_stays(tmp_path: Path) -> None:
    """RFC 7845, 5.2: a first byte that is odd asks for that."""
    path = track(tmp_path, "opus")
    file: Any = mutagen.File(path)
    file.tags._pad_data = b"\x01binary"
    file.save()
    metadata.write(path, {"GENRE": LONG})
    assert mutagen.File(path).tags._pad_data == b"\x01binary"
    assert metadata.read(path)["GENRE"] == LONG
