"""APEv2, at the end of a file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import mutagen.apev2

from musictag.metadata.family import FIELDS, KEYS, Snapshot, digest_of, read_at, size_of
from musictag.metadata.id3v1 import WithTail, genre_of_v1


class APEv2(WithTail):
    """APEv2 items at the end of the file, before ID3v1 and Lyrics3 if those are there.

    mutagen would drop what follows the tag, or put a new tag behind it where nobody looks.
    """

    name = "APEv2"

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:
        self._read_tail()
        self.end = size_of(file) - len(self.tail)
        self.footer = read_at(file, max(0, self.end - 32), 32)
        items = list(ape_items(self._items(file)))
        self.n_items = len(items)
        return [(self._field(key), _ape_item(key, kind, value)) for key, kind, value in items]

    @staticmethod
    def _field(key: bytes) -> str | None:
        ours = ((field, KEYS["APEv2"][field].encode().upper()) for field in FIELDS)
        return next((field for field, name in ours if name == key.upper()), None)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        items = [item for raw in snapshot.raw(field) for item in ape_items(raw)]
        if field == "GENRE" and not items:
            return genre_of_v1(snapshot.v1_genre)
        return [
            text
            for _, kind, value in items
            if kind == mutagen.apev2.TEXT
            for text in value.decode("utf-8", "replace").split("\0")
        ]

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        key = KEYS["APEv2"][field].encode()
        return [_ape_item(key, mutagen.apev2.TEXT, "\0".join(values).encode())]

    def _save(self) -> None:
        """By ourselves: mutagen would sort the items, and keep one of two that differ in case."""
        (claimed,) = struct.unpack_from("<I", self.footer, 16)
        if self._size_of_tag() and claimed < self.n_items:
            raise ValueError("its APEv2 tag holds more than it says")
        items = [item for _, item in self.entries]
        size = 32 + sum(map(len, items))
        header, footer = (
            b"APETAGEX" + struct.pack("<IIII", 2000, size, len(items), flags) + bytes(8)
            for flags in (0xA0000000, 0x80000000)  # has a header; is it
        )
        self._remove()
        with self.path.open("ab") as file:
            file.write(b"".join([header, *items, footer]))

    def _remove(self) -> None:
        with self.path.open("rb+") as file:
            file.truncate(self._start(file))

    def _size_of_tag(self) -> int:
        """Items and footer; 0 without a tag."""
        has_tag = self.footer.startswith(b"APETAGEX")
        return int.from_bytes(self.footer[12:16], "little") if has_tag else 0

    def _items(self, file: BinaryIO) -> bytes:
        start = self.end - self._size_of_tag()
        return read_at(file, start, max(0, self._size_of_tag() - 32))

    def _start(self, file: BinaryIO) -> int:
        """Where the tag begins, its header if it has one; the music's end."""
        start = self.end - self._size_of_tag()
        has_header = self._size_of_tag() and read_at(file, start - 32, 8) == b"APETAGEX"
        return start - 32 if has_header else start

    def _rest(self, file: BinaryIO) -> Any:
        items = [item for item in ape_items(self._items(file)) if self._field(item[0]) is None]
        return sorted(items), self.tail[:-1], digest_of(file, 0, self._start(file))


def _ape_item(key: bytes, kind: int, value: bytes) -> bytes:
    return struct.pack("<II", len(value), kind << 1) + key + b"\0" + value


def ape_items(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Key, type and value of the items, however many the footer counts."""
    place = 0
    while place < len(data):
        size, flags = struct.unpack_from("<II", data, place)
        start = data.index(b"\0", place + 8) + 1
        key = data[place + 8 : start - 1]
        place = start + size
        if place > len(data):
            raise ValueError("an item ends after its tag")
        yield key, (flags & 0b110) >> 1, data[start:place]
