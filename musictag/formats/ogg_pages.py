"""Pages of Ogg files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

from musictag.formats.reading import read_at

LONGEST_PAGE = 27 + 255 + 255 * 255
FIRST, CONTINUED = 2, 1


class Page(NamedTuple):
    """The header of one page, and where its content stands."""

    flags: int
    granule: int
    """Position at the end of the last packet that ends on it; -1 if none does."""
    serial: int
    lacing: bytes
    """Lengths of the pieces of packets on it; one under 255 ends a packet."""
    start: int
    """Where its content begins."""

    @property
    def end(self) -> int:
        return self.start + sum(self.lacing)

    @property
    def is_first(self) -> bool:
        """Whether a stream begins with it."""
        return bool(self.flags & FIRST)


def page_at(file: IO[bytes], place: int) -> Page | None:
    """The page that begins at this place, or None; it may be cut short."""
    head = read_at(file, place, 27 + 255)
    if len(head) < 27 or not head.startswith(b"OggS\0"):
        return None
    flags, granule, serial = struct.unpack_from("<BqI", head, 5)
    n = head[26]
    return Page(flags, granule, serial, head[27 : 27 + n], place + 27 + n)


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
