"""Atoms (boxes) of MP4 and QuickTime files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

from musictag.formats.reading import read_at


class Atom(NamedTuple):
    """One atom: its header is at `start`, its content from `inside` to before `end`."""

    name: bytes
    start: int
    inside: int
    end: int
    """Where it says that it ends, which may lie behind the file's end."""


def atoms(file: IO[bytes], start: int, end: int) -> Iterator[Atom]:
    """The atoms between these places, not those inside them; the last may claim to end later.

    ValueError for one that is shorter than its header.
    """
    while start + 8 <= end:
        size, name = struct.unpack(">I4s", read_at(file, start, 8))
        header = 8
        if size == 1:
            size, header = int.from_bytes(read_at(file, start + 8, 8), "big"), 16
        if not size and name == bytes(4):
            return  # QuickTime ends a list of user data with a zero
        size = size or end - start  # 0: up to the end
        if size < header:
            raise ValueError("an atom is shorter than its header")
        yield Atom(name, start, start + header, start + size)
        start += size
