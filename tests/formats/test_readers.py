"""Readers of what many formats share: ID3v2, tags at the end, chunks, atoms, FLAC frames, pages."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import sounds

from musictag.formats import chunks, flac, id3v2, mp4, ogg_pages, tails


def id3(size: int, *, version: int = 3, footer: bool = False) -> bytes:
    flags = 0x10 if footer else 0
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    head = bytes([version, 0, flags]) + length
    return b"ID3" + head + bytes(size) + (b"3DI" + head if footer else b"")


def test_synchsafe_numbers_by_hand() -> None:
    assert id3v2.synchsafe(b"\0\0\x01\x7f") == 255
    assert id3v2.synchsafe(b"\x7f\x7f\x7f\x7f") == (1 << 28) - 1


def test_id3v2_tags_in_a_row_are_passed_over() -> None:
    data = id3(100) + id3(300, version=4, footer=True) + b"music"
    first, second = id3v2.headers(io.BytesIO(data))
    assert (first.start, first.end, first.version) == (0, 110, 3)
    assert (second.start, second.end, second.version) == (110, 430, 4)
    assert id3v2.end(io.BytesIO(data)) == 430
    assert data[430:] == b"music"
    assert id3v2.end(io.BytesIO(b"music" + data)) == 0
    assert id3v2.end(io.BytesIO(b"ID3\x03")) == 0


APE_ITEMS = struct.pack("<II", 4, 0) + b"Title\0name"


def ape(*, header: bool) -> bytes:
    flags = 0x80000000 if header else 0
    end = struct.pack("<IIII", 2000, len(APE_ITEMS) + 32, 1, flags) + bytes(8)
    return (b"APETAGEX" + end if header else b"") + APE_ITEMS + b"APETAGEX" + end


V1 = b"TAG" + bytes(125)
LYRICS = b"LYRICSBEGIN" + b"words" + b"000016" + b"LYRICS200"


@pytest.mark.parametrize("header", [True, False])
def test_tags_at_the_end_are_told_apart_in_any_order(header: bool) -> None:
    tag = ape(header=header)
    for order in ((tag, LYRICS, V1), (V1, tag), (tag,), (LYRICS, V1, tag)):
        data = b"music" * 100 + b"".join(order)
        kinds = {tag: "APEv2", V1: "ID3v1", LYRICS: "Lyrics3"}
        found = list(tails.tails(io.BytesIO(data)))
        assert [one.kind for one in found] == [kinds[part] for part in reversed(order)]
        assert [data[one.start : one.end] for one in found] == list(reversed(order))
        assert tails.start(io.BytesIO(data)) == 500


@pytest.mark.parametrize("data", [b"", b"TAG", V1, b"LYRICS200", b"x" * 200])
def test_a_file_that_is_nothing_but_a_tag_has_none(data: bytes) -> None:
    assert tails.start(io.BytesIO(data)) == len(data)


def test_chunks_inside_and_behind_the_stated_size() -> None:
    body = b"fmt " + struct.pack("<I", 3) + b"abc\0" + b"data" + struct.pack("<I", 2) + b"xy"
    behind = b"id3 " + struct.pack("<I", 1) + b"z"
    data = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body + behind
    names = lambda **options: [c.name for c in chunks.chunks(io.BytesIO(data), **options)]  # noqa: E731
    assert names() == [b"fmt ", b"data"]
    assert names(stated_end=False) == [b"fmt ", b"data", b"id3 "]
    first = next(chunks.chunks(io.BytesIO(data)))
    assert data[first.start : first.end] == b"abc"
    assert list(chunks.subchunks(b"INFOIGNR\x04\0\0\0RockIART\x02\0\0\0Me")) == [
        (b"IGNR", b"Rock"),
        (b"IART", b"Me"),
    ]
    for bad in (b"", b"RIFF", b"OggS"):
        with pytest.raises(ValueError, match=r"chunks|header"):
            chunks.outermost(io.BytesIO(bad))


def test_atoms_side_by_side() -> None:
    long = struct.pack(">I4sQ", 1, b"wide", 20) + b"abcd"
    data = (
        struct.pack(">I4s", 12, b"ftyp") + b"M4A " + long + struct.pack(">I4s", 0, b"mdat") + b"x"
    )
    found = [(a.name, data[a.inside : a.end]) for a in mp4.atoms(io.BytesIO(data), 0, len(data))]
    assert found == [(b"ftyp", b"M4A "), (b"wide", b"abcd"), (b"mdat", b"x")]
    with pytest.raises(ValueError, match="shorter than its header"):
        list(mp4.atoms(io.BytesIO(struct.pack(">I4s", 7, b"ftyp")), 0, 8))


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100, 96_000])
@pytest.mark.parametrize("container", ["flac", "flac-libsndfile"])
def test_flac_frames_count_their_samples(rate_hz: int, container: str) -> None:
    data = sounds.encode(container, sounds.chord(1, rate_hz=rate_hz), rate_hz)
    found = [
        (frame, at)
        for at in range(len(data) - 16)
        if data[at] == 0xFF and (frame := flac.frame(data[at:][:20])) is not None
    ]
    numbers = [frame.number for frame, _ in found]
    assert numbers[:2] == [0, 1]
    assert sum(frame.n_samples for frame, _ in found) >= rate_hz  # and what looks like one
    broken = bytearray(data[found[0][1] :][:20])
    broken[4] ^= 1
    assert flac.frame(bytes(broken)) is None


def test_noise_is_hardly_ever_a_flac_frame() -> None:
    random = np.random.default_rng(0)
    n = sum(flac.is_frame(b"\xff\xf8" + random.bytes(18)) for _ in range(10_000))
    assert n < 60  # 1 of 256 by its checksum, half of them by other bits


def test_the_pages_of_an_ogg_file_are_its_bytes() -> None:
    data = sounds.encode("ogg", sounds.chord(2), 44_100)
    pages = list(ogg_pages.pages(io.BytesIO(data)))
    assert pages[0].is_first
    assert not any(page.is_first for page in pages[1:])
    assert pages[-1].end == len(data)
    assert pages[-1].granule == 2 * 44_100
    assert not ogg_pages.page_at(io.BytesIO(data), 1)
