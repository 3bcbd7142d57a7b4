"""Pages of Ogg files (RFC 3533)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, NamedTuple

from musictag.formats.reading import read_at

LONGEST_PAGE = 27 + 255 + 255 * 255
CONTINUED, FIRST, LAST = 1, 2, 4
"""Flags: a page begins inside a packet; a stream begins or ends with it."""

_HEADER = struct.Struct("<4sBBqIIIB")
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """The header of one page, and where its content stands."""

    flags: int
    granule: int
    """Position at the end of the last packet that ends on it; -1 if none does."""
    serial: int
    sequence: int
    """Its number within the stream."""
    lacing: bytes
    """Lengths of the pieces of packets on it; one under 255 ends a packet."""
    start: int
    """Where its content begins."""

    @property
    def place(self) -> int:
        """Where its header begins."""
        return self.start - _HEADER.size - len(self.lacing)

    @property
    def end(self) -> int:
        return self.start + sum(self.lacing)

    @property
    def is_first(self) -> bool:
        """Whether a stream begins with it."""
        return bool(self.flags & FIRST)

    @property
    def ends_a_packet(self) -> bool:
        return any(length < 255 for length in self.lacing)

    @property
    def is_complete(self) -> bool:
        """Whether its last packet ends on it."""
        return self.lacing[-1:] != b"\xff"

    def header(self, content: Iterable[bytes]) -> bytes:
        """The bytes in front of its content, with the checksum over both."""
        stated = (self.flags, self.granule, self.serial, self.sequence)
        plain = _HEADER.pack(b"OggS", 0, *stated, 0, len(self.lacing)) + self.lacing
        checksum = struct.pack("<I", crc([plain, *content]))
        return plain[:22] + checksum + plain[26:]

    def is_sound(self, file: IO[bytes]) -> bool:
        """Whether the checksum in the file is that of the page."""
        content = read_at(file, self.start, sum(self.lacing))
        return read_at(file, self.place, self.start - self.place) == self.header([content])


def crc(blocks: Iterable[bytes]) -> int:
    """A page's checksum: CRC-32 with the highest bit first, beginning with 0, not inverted.

    zlib's takes the lowest bit first, and inverts.
    """
    found = 0xFFFFFFFF
    for block in blocks:
        found = zlib.crc32(block.translate(_REVERSED), found)
    return int.from_bytes((found ^ 0xFFFFFFFF).to_bytes(4, "little").translate(_REVERSED), "big")


def page_at(file: IO[bytes], place: int) -> Page | None:
    """The page that begins at this place, or None; it may be cut short."""
    head = read_at(file, place, 27 + 255)
    if len(head) < 27 or not head.startswith(b"OggS\0"):
        return None
    _, _, flags, granule, serial, sequence, _, n = _HEADER.unpack_from(head)
    return Page(flags, granule, serial, sequence, head[27 : 27 + n], place + 27 + n)


def pages(file: IO[bytes], place: int = 0) -> Iterator[Page]:
    """The pages from this place on; bytes between them that are no pages are passed over."""
    while True:
        if found := page_at(file, place):
            yield found
            place = found.end
        elif (next_place := _next_page(file, place + 1)) is None:
            return
        else:
            place = next_place


def _next_page(file: IO[bytes], place: int) -> int | None:
    """Where the next page seems to begin."""
    while block := read_at(file, place, LONGEST_PAGE):
        if (found := block.find(b"OggS\0")) >= 0:
            return place + found
        place += max(1, len(block) - 4)
    return None


# ---------------------------------------------------------------- cutting packets into pages


def packet_lengths(lacing: bytes) -> tuple[list[int], bool]:
    """Lengths of the packets on pages with this lacing, and whether the last one goes on."""
    lengths, length = [], 0
    for piece in lacing:
        length += piece
        if piece < 255:
            lengths.append(length)
            length = 0
    goes_on = lacing[-1:] == b"\xff"
    return ([*lengths, length] if goes_on else lengths), goes_on


def full_pages(lengths: Sequence[int], *, goes_on: bool) -> list[bytes]:
    """The lacing of as few pages as hold packets of these lengths: libogg cuts headers so."""
    lacing = b"".join(map(_laced, lengths))
    if goes_on:
        lacing = lacing[:-1]
    return [lacing[place : place + 255] for place in range(0, len(lacing), 255)]


def small_pages(lengths: Sequence[int], *, goes_on: bool) -> list[bytes]:
    """The lacing of pages of about 4 kB: mutagen cuts them so.

    A page takes pieces of 4,080 bytes while it is shorter than 4,096, and the end of a packet
    besides, if that is shorter than 2,048.
    """
    cut: list[bytes] = []
    page: list[int] = []
    for length in lengths:
        page.append(0)
        left = length
        while left > 0:
            piece = min(left, 4080)
            left -= piece
            if 27 + sum(n + n // 255 + 1 for n in page) < 4096 and len(page) < 255:
                page[-1] += piece
            elif page[-1]:  # the packet goes on, behind a multiple of 255 bytes
                cut.append(b"".join(map(_laced, page))[:-1])
                page = [piece]
            else:
                cut.append(b"".join(map(_laced, page[:-1])))
                page = [piece]
            if left < 2048:
                page[-1] += left
                left = 0
    lacing = b"".join(map(_laced, page))
    return [*cut, lacing[:-1] if goes_on else lacing]


def _laced(length: int) -> bytes:
    return b"\xff" * (length // 255) + bytes([length % 255])
