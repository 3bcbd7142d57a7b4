"""Pages of Ogg: checksums, and packets cut into pages."""

from __future__ import annotations

import random
from io import BytesIO
from typing import Any

import mutagen.ogg
import pytest

from musictag.formats import ogg_pages

RANDOM = random.Random(5)
PACKETS = [
    [0],
    [1],
    [254, 255, 256],
    [255 * 255 - 1],
    [255 * 255, 3],
    [255 * 255 + 1, 0, 1],
    [4080, 4080],
    [4080 + 2047, 10],
    [4080 + 2048, 10],
    [60, 3900],
    [100_000, 4000],
    *([RANDOM.randrange(9000) for _ in range(3)] for _ in range(20)),
    [10] * 300,
]


def mutagens(lengths: list[int]) -> list[bytes]:
    """The lacing of the pages that mutagen makes of packets of these lengths."""
    pages: list[Any] = mutagen.ogg.OggPage.from_packets([bytes(length) for length in lengths])
    written = [page.write() for page in pages]
    return [page[27 : 27 + page[26]] for page in written]


@pytest.mark.parametrize("lengths", PACKETS, ids=lambda lengths: "+".join(map(str, lengths))[:40])
def test_packets_are_cut_as_mutagen_cuts_them(lengths: list[int]) -> None:
    assert ogg_pages.small_pages(lengths, goes_on=False) == mutagens(lengths)


@pytest.mark.parametrize("cut", [ogg_pages.small_pages, ogg_pages.full_pages])
@pytest.mark.parametrize("lengths", PACKETS, ids=lambda lengths: "+".join(map(str, lengths))[:40])
def test_pages_hold_the_packets_that_were_cut(cut: Any, lengths: list[int]) -> None:
    pages = cut(lengths, goes_on=False)
    assert ogg_pages.packet_lengths(b"".join(pages)) == (lengths, False)
    assert all(1 <= len(page) <= 255 for page in pages)
    open_ended = [*lengths, 255 * 300]
    pages = cut(open_ended, goes_on=True)
    assert ogg_pages.packet_lengths(b"".join(pages)) == (open_ended, True)


def test_full_pages_are_as_few_as_can_be() -> None:
    assert ogg_pages.full_pages([100, 255 * 254 - 1, 7], goes_on=False) == [
        b"\x64" + b"\xff" * 253 + b"\xfe",
        b"\x07",
    ]


def test_a_page_is_written_with_the_checksum_that_others_give_it() -> None:
    other: Any = mutagen.ogg.OggPage()
    other.packets = [RANDOM.randbytes(700), RANDOM.randbytes(255)]
    other.serial, other.sequence, other.position, other.last = 77, 5, 12345, True
    written = other.write()
    page = ogg_pages.page_at(BytesIO(b"junk" + written), 4)
    assert page is not None
    assert (page.serial, page.sequence, page.granule) == (77, 5, 12345)
    assert (page.place, page.end) == (4, 4 + len(written))
    assert page.flags == ogg_pages.LAST
    content = written[page.start - 4 :]
    assert page.header([content[:300], content[300:]]) + content == written
