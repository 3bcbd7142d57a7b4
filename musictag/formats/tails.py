"""Tags behind the sound: APEv2, ID3v1 and Lyrics3, in whatever order taggers left them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Literal, NamedTuple

from musictag.formats.reading import read_at, size_of

MOST_TAILS = 8
"""Tags at a file's end that are told apart."""

Kind = Literal["APEv2", "ID3v1", "Lyrics3"]


class Tail(NamedTuple):
    """One tag at the end of a file."""

    kind: Kind
    start: int
    """Its first byte; of APEv2 that of its header, if it has one."""
    end: int


def tails(file: IO[bytes]) -> Iterator[Tail]:
    """The tags at the end of a file, the last one first."""
    end = size_of(file)
    for _ in range(MOST_TAILS):
        found = _tail(file, end)
        if found is None or not 0 < found.start < end:
            return
        yield found
        end = found.start


def start(file: IO[bytes]) -> int:
    """Where the tags at the end of a file begin; the file's size where there are none."""
    return min((tail.start for tail in tails(file)), default=size_of(file))


def _tail(file: IO[bytes], end: int) -> Tail | None:
    """The tag that ends at this place."""
    data = read_at(file, max(0, end - 160), min(end, 160))
    if data[-32:-24] == b"APETAGEX":
        size, _, flags = struct.unpack("<III", data[-20:-8])
        return Tail("APEv2", end - size - (32 if flags >> 31 else 0), end)
    if data[-128:-125] == b"TAG":  # APEv2 comes first: 128 bytes from its end "TAG" may stand, too
        return Tail("ID3v1", end - 128, end)
    if data[-9:] == b"LYRICS200" and data[-15:-9].isdigit():
        return Tail("Lyrics3", end - int(data[-15:-9]) - 15, end)
    return None
