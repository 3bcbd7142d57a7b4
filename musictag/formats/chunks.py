"""Chunks of RIFF (WAV), IFF (AIFF) and FRM8 (DSDIFF) files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

from musictag.formats.reading import read_at, size_of

_LAYOUTS = {
    b"RIFF": "<4sI",
    b"RF64": "<4sI",
    b"BW64": "<4sI",
    b"FORM": ">4sI",
    b"FRM8": ">4sQ",
}
"""First four bytes → a chunk's header: its name and size."""


class Chunk(NamedTuple):
    """One chunk: its header is at `header`, its content from `start` to before `end`."""

    name: bytes
    header: int
    start: int
    end: int
    """Where it says that it ends, which may lie behind the file's end."""


class Outermost(NamedTuple):
    """The chunk that is the whole file."""

    layout: str
    """The header of each chunk in it, for struct."""
    start: int
    """Where the first chunk in it begins."""
    end: int
    """Where it ends by its own account."""


def outermost(file: IO[bytes], place: int = 0) -> Outermost:
    """The header of the whole file, which stands at this place (behind ID3v2, say).

    ValueError where the file does not consist of chunks.
    """
    layout = _LAYOUTS.get(read_at(file, place, 4))
    if layout is None:
        raise ValueError("no file of chunks")
    size = struct.calcsize(layout)
    try:
        (_, length) = struct.unpack(layout, read_at(file, place, size))
    except struct.error:
        raise ValueError("it ends inside its header") from None
    return Outermost(layout, place + size + 4, place + size + length)


def chunks(file: IO[bytes], place: int = 0, *, stated_end: bool = True) -> Iterator[Chunk]:
    """The chunks of a file that begins at this place.

    With `stated_end` those inside the size that the file states for itself, otherwise all up to
    its true end, which is what most programs read.
    """
    layout, place, end = outermost(file, place)
    end = min(end, size_of(file)) if stated_end else size_of(file)
    header = struct.calcsize(layout)
    while place + header <= end:
        name, size = struct.unpack(layout, read_at(file, place, header))
        yield Chunk(name, place, place + header, place + header + size)
        place += header + size + size % 2


def subchunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the entries of a LIST chunk, behind its four letters (INFO)."""
    place = 4
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        yield name, data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
