"""APEv2, at the end of a file before ID3v1."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import BinaryIO

import mutagen.apev2

from musictag.formats.reading import read_at
from musictag.metadata.edits import Edit, Piece, Span, content
from musictag.metadata.family import Tag
from musictag.metadata.fields import KEYS, LONGEST_OTHER, other_name
from musictag.metadata.snapshot import READERS, Snapshot

_LONGEST_KEY = 255
_LONGEST_TEXT = 1 << 20
"""Bytes of the longest item that is looked into."""
_MARK = b"APETAGEX"
_HAS_HEADER, _IS_HEADER = 1 << 31, 1 << 29


class APEv2(Tag):
    """APEv2 items, in the order that they have in the file.

    A tag keeps its version and its header, or stays without one.
    """

    kind = "APEv2"
    footer = _MARK + struct.pack("<IIII", 2000, 32, 0, _HAS_HEADER) + bytes(8)
    header = _MARK + struct.pack("<IIII", 2000, 32, 0, _HAS_HEADER | _IS_HEADER) + bytes(8)

    def read(self, file: BinaryIO) -> None:
        """Parse the tag that ends at `end`."""
        self.footer = read_at(file, max(0, self.end - 32), 32)
        size, claimed = struct.unpack_from("<II", self.footer, 12)
        body = self.end - size
        if size < 32 or body < 0:
            raise ValueError("the size of its APEv2 tag is wrong")
        before = read_at(file, max(0, body - 32), 32)
        self.header = before if before.startswith(_MARK) else b""
        self.start = body - len(self.header)
        place, stop = body, self.end - 32
        while place < stop:
            field, piece = self._item(file, place, stop)
            self.entries.append((field, piece))
            place += len(piece)
        if claimed < len(self.entries):
            raise ValueError("its APEv2 tag holds more than it says")

    def _item(self, file: BinaryIO, place: int, stop: int) -> tuple[str | None, Piece]:
        """The item here: as bytes if it holds one of our fields."""
        head = read_at(file, place, 8 + _LONGEST_KEY + 1)
        (size,) = struct.unpack_from("<I", head)
        key_end = head.index(b"\0", 8)
        end = place + key_end + 1 + size
        if end > stop:
            raise ValueError("an item ends after its tag")
        field = self.field(head[8:key_end])
        if field is None or size > _LONGEST_TEXT:
            return None, Span(place, end)
        return field, read_at(file, place, end - place)

    def field(self, key: bytes) -> str | None:
        """The field of ours that has this key."""
        ours = ((field, KEYS["APEv2"][field].encode().upper()) for field in self.fields)
        return next((field for field, name in ours if name == key.upper()), None)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        return [text for item in snapshot.raw(field) for text in _texts(item)]

    def said(self, file: BinaryIO, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
        for field, piece in self.entries:
            if field is None and len(piece) <= LONGEST_OTHER:
                item = content(file, piece)
                name = other_name(item[8 : item.index(b"\0", 8)].decode("ascii", "replace"))
                if name in wanted:
                    yield from ((name, text) for text in _texts(item))

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        return [self.item(KEYS["APEv2"][field], values)]

    @staticmethod
    def item(key: str, values: tuple[str, ...]) -> bytes:
        text = "\0".join(values).encode()
        kind = mutagen.apev2.TEXT << 1
        return struct.pack("<II", len(text), kind) + key.encode() + b"\0" + text

    def changes(self, file: BinaryIO) -> list[Edit]:  # noqa: ARG002
        if not self.exists:
            return [Edit(self.start, self.end, [])]
        items = [entry for _, entry in self.entries]
        lengths = struct.pack("<II", 32 + sum(map(len, items)), len(items))
        ends = [end and end[:12] + lengths + end[20:] for end in (self.header, self.footer)]
        return [Edit(self.start, self.end, [ends[0], *items, ends[1]])]


READERS["APEv2"] = APEv2.texts


def _texts(item: bytes) -> list[str]:
    """The values of an item, if it is text."""
    (flags,) = struct.unpack_from("<I", item, 4)
    if (flags & 0b110) >> 1 != mutagen.apev2.TEXT:
        return []
    return item[item.index(b"\0", 8) + 1 :].decode("utf-8", "replace").split("\0")


def has_apev2(file: BinaryIO, end: int) -> bool:
    return end >= 32 and read_at(file, end - 32, 8) == _MARK
