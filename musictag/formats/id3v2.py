"""ID3v2 headers, as they stand in front of a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

from musictag.formats.reading import read_at

MOST_TAGS = 16
"""Tags in a row that are skipped; sloppy taggers leave several."""


class Header(NamedTuple):
    """The header of one ID3v2 tag, and where the tag stands in the file."""

    start: int
    end: int
    version: int
    """Major version: 2, 3 or 4."""
    flags: int


def synchsafe(size: bytes) -> int:
    """A number of ID3v2: seven bits in each byte, the highest first."""
    number = 0
    for byte in size:
        number = number << 7 | byte & 0x7F
    return number


def header(file: IO[bytes], start: int = 0) -> Header | None:
    """The ID3v2 header at this place, or None."""
    head = read_at(file, start, 10)
    if len(head) < 10 or not head.startswith(b"ID3"):
        return None
    footer = 10 if head[5] & 0x10 else 0
    return Header(start, start + 10 + synchsafe(head[6:10]) + footer, head[3], head[5])


def headers(file: IO[bytes]) -> Iterator[Header]:
    """The ID3v2 tags in front of a file, one behind the other."""
    start = 0
    for _ in range(MOST_TAGS):
        found = header(file, start)
        if found is None:
            return
        yield found
        start = found.end


def end(file: IO[bytes]) -> int:
    """Where the ID3v2 tags in front of a file end; 0 where there are none."""
    return max((found.end for found in headers(file)), default=0)
