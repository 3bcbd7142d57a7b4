"""Attributes of ASF, as Windows Media has them."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Collection, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID

import mutagen.asf

from musictag.formats.reading import read_at, size_of
from musictag.metadata.edits import Edit, Piece, Span, content, digest_of
from musictag.metadata.family import Family, Tag
from musictag.metadata.fields import KEYS, LONGEST_OTHER, other_name
from musictag.metadata.replacement import Refusal
from musictag.metadata.snapshot import READERS, SAID, Snapshot

_LONGEST = 1 << 20
"""Bytes of the longest attribute that is looked into."""


class Object(NamedTuple):
    """One object of the header: its identity, and where it stands with that and its length."""

    guid: bytes
    start: int
    end: int


def _guid(text: str) -> bytes:
    return UUID(text).bytes_le


_DESCRIPTION = _guid("75B22633-668E-11CF-A6D9-00AA0062CE6C")
"""Title, author and three more, without names."""
_EXTENSION = _guid("5FBF03B5-A92E-11CF-8EE3-00C00C205365")
_EXTENDED = _guid("D2D0A440-E307-11D2-97F0-00A0C95EA850")
_METADATA = _guid("C5F8CBEA-5BAF-4877-8467-AA8C44FA4CCA")
_LIBRARY = _guid("44231C94-9498-49D1-A141-1D134E457054")
_PADDING = _guid("1806D474-CADF-4509-A4BA-9AABCB96AAE8")
_OBJECTS = (_EXTENDED, _METADATA, _LIBRARY)
"""Those that hold attributes by name; the first is where all of ours are written."""
_IN_DESCRIPTION = len(_OBJECTS)
_COMMENT = 3
"""Place of the comment among the texts of the content description."""
_LONGEST_COMMENT = 0xFFFE


def objects(file: BinaryIO, start: int, end: int) -> Iterator[Object]:
    """Those between these places, and those inside the extension of the header."""
    while start < end:
        size = int.from_bytes(read_at(file, start + 16, 8), "little")
        if size < 24 or start + size > end:
            raise ValueError("an object is shorter than its header, or ends after it")
        found = Object(read_at(file, start, 16), start, start + size)
        yield found
        if found.guid == _EXTENSION:
            yield from objects(file, start + 46, found.end)
        start += size


class Attributes(Tag):
    """Attributes by name, several of one name for several values.

    All that say one of our fields are written, in their order, into the extended content
    description, where every reader looks; they are found in the two other lists as well. An entry
    of ours is a byte that says in which list it stands, and the record as it stands there.

    The comment is one of the five texts of the content description, which has no names: its record
    is the text. ffmpeg writes it as an attribute instead.
    """

    kind = "ASF"

    def __init__(
        self, lists: dict[bytes, Object], header_end: int, description: Object | None = None
    ) -> None:
        super().__init__(start=header_end, end=header_end)
        self.lists = lists
        self.description = description

    def read(self, file: BinaryIO) -> None:
        for number, guid in enumerate(_OBJECTS):
            if guid in self.lists:
                self._read_list(file, number, self.lists[guid])
        if "COMMENT" in self.fields and self.description is not None:
            comment = described(file, self.description)[_COMMENT]
            if comment:
                self.entries.append(("COMMENT", bytes([_IN_DESCRIPTION]) + comment))

    def _read_list(self, file: BinaryIO, number: int, found: Object) -> None:
        place = found.start + 26
        for _ in range(int.from_bytes(read_at(file, found.start + 24, 2), "little")):
            size, name = _measured(file, place, number)
            if place + size > found.end:
                raise ValueError("an attribute ends after its list")
            field = self._field(name)
            ours = field is not None and size <= _LONGEST
            piece: Piece = Span(place, place + size)
            if ours:
                piece = bytes([number]) + read_at(file, place, size)
            self.entries.append((field if ours else None, piece))
            place += size

    def _field(self, name: bytes) -> str | None:
        key = _as_text(name).upper()
        former = key.removeprefix("MUSICTAG/")  # what they were called once
        known = ((f, KEYS["ASF"][f].upper()) for f in self.fields)
        return next((field for field, name in known if name in (key, former)), None)

    @property
    def size(self) -> int:
        objects = [*self.lists.values()]
        if "COMMENT" in self.fields and self.description is not None:
            objects.append(self.description)
        return sum(found.end - found.start for found in objects)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        return [text for raw in snapshot.raw(field) if (text := _text(raw)) is not None]

    def said(self, file: BinaryIO, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
        if self.description is not None:
            texts = described(file, self.description)
            for name, text_of_it in zip(("TITLE", "ARTIST"), texts, strict=False):
                if name in wanted:
                    yield name, _as_text(text_of_it)
        for number, guid in enumerate(_OBJECTS):
            for field, piece in self.entries if guid in self.lists else ():
                if field is None and self._is_in(piece, number) and len(piece) <= LONGEST_OTHER:
                    raw = bytes([number]) + content(file, piece)
                    name = other_name(_as_text(_parts(raw)[0]))
                    if name in wanted and (text := _text(raw)) is not None:
                        yield name, text

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        last = [bytes([_IN_DESCRIPTION]) + _comment(values[-1])] if field == "COMMENT" else []
        others = values[:-1] if last else values  # there is room for one, which is read last
        return [*(b"\0" + _record(KEYS["ASF"][field], value) for value in others), *last]

    def changes(self, file: BinaryIO) -> list[Edit]:
        edits: list[Edit] = []
        empty: list[Edit] = []
        for number, guid in enumerate(_OBJECTS):
            found = self.lists.get(guid)
            records = [piece for _, piece in self.entries if self._is_in(piece, number)]
            pieces = [p[1:] if isinstance(p, bytes) else p for p in records]
            data = [len(pieces).to_bytes(2, "little"), *pieces]
            if found is not None or pieces:
                edits.append(self._edit(guid, found, data))
            if found is not None and not pieces and number == 0:
                empty.append(edits[-1])
        if "COMMENT" in self.fields:
            texts = described(file, self.description) if self.description else [b""] * 5
            comments = (p for of, p in self.entries if of == "COMMENT" and isinstance(p, bytes))
            new = [piece[1:] for piece in comments if piece[0] == _IN_DESCRIPTION]
            texts[_COMMENT] = new[0] if new else b""
            if any(texts) or self.description:
                lengths = struct.pack("<5H", *map(len, texts))
                edits.append(self._edit(_DESCRIPTION, self.description, [lengths, *texts]))
            if self.description and not any(texts):
                empty.append(edits[-1])
        came = self._came_with_our_fields(edits, empty)
        return [Edit(e.start, e.end, []) if e in came else e for e in edits]

    def _edit(self, guid: bytes, found: Object | None, data: Sequence[Piece]) -> Edit:
        """An object with this in it, in the place of the old one or at the header's end."""
        size = (24 + sum(map(len, data))).to_bytes(8, "little")
        start, end = (found.start, found.end) if found else (self.start, self.end)
        return Edit(start, end, [guid, size, *data])

    def _came_with_our_fields(self, edits: Sequence[Edit], empty: Sequence[Edit]) -> Sequence[Edit]:
        """The empty objects without which all have the length again that they once had."""
        for n in range(1, len(empty) + 1):
            for some in itertools.combinations(empty, n):
                rest = [edit for edit in edits if edit not in some]
                if sum(len(piece) for edit in rest for piece in edit.pieces) == self.room:
                    return some
        return ()

    def _is_in(self, piece: Piece, number: int) -> bool:
        if isinstance(piece, bytes):
            return piece[0] == number
        found = self.lists.get(_OBJECTS[number])
        return found is not None and found.start < piece.start < found.end


READERS["ASF"] = Attributes.texts


def _measured(file: BinaryIO, place: int, number: int) -> tuple[int, bytes]:
    """Length and name of the attribute that stands there."""
    if number == 0:
        (n,) = struct.unpack("<H", read_at(file, place, 2))
        name = read_at(file, place + 2, n)
        _, size = struct.unpack("<HH", read_at(file, place + 2 + n, 4))
        return 2 + n + 4 + size, name
    _, _, n, _, size = struct.unpack("<HHHHI", read_at(file, place, 12))
    return 12 + n + size, read_at(file, place + 12, n)


def described(file: BinaryIO, description: Object) -> list[bytes]:
    """The five texts of a content description: title, author, copyright, comment, rating."""
    place = description.start + 34
    found = []
    for n in struct.unpack("<5H", read_at(file, place - 10, 10)):
        found.append(read_at(file, place, n))
        place += n
    if place > description.end:
        raise ValueError("a text ends after the object that it is in")
    return found


def _parts(raw: bytes) -> tuple[bytes, int, bytes]:
    """Name, type and value of one of our entries."""
    number, record = raw[0], raw[1:]
    if number == _IN_DESCRIPTION:
        return KEYS["ASF"]["COMMENT"].encode("utf-16-le"), int(mutagen.asf.UNICODE), record
    if number == 0:
        (n,) = struct.unpack_from("<H", record)
        kind, _ = struct.unpack_from("<HH", record, 2 + n)
        return record[2 : 2 + n], kind, record[2 + n + 4 :]
    _, _, n, kind, _ = struct.unpack_from("<HHHHI", record)
    return record[12 : 12 + n], kind, record[12 + n :]


def _text(raw: bytes) -> str | None:
    """The value of one of our entries, if it is a text."""
    _, kind, data = _parts(raw)
    return _as_text(data) if kind == mutagen.asf.UNICODE else None


def _as_text(data: bytes) -> str:
    return data.decode("utf-16-le", "replace").rstrip("\0")


def _said(raw: bytes) -> bytes:
    """Name and value: taggers move attributes from one list to another."""
    name, kind, data = _parts(raw)
    return b"%b %d %b" % (name, kind, data)


SAID["ASF"] = _said


def _comment(value: str) -> bytes:
    """The text as it stands in the content description; Refusal for one that is too long."""
    text = (value + "\0").encode("utf-16-le")
    if len(text) > _LONGEST_COMMENT:
        reason = "its comment would be longer than 32,766 letters"
        raise Refusal("no_tags", reason, "shorten it")
    return text


def _record(name: str, value: str) -> bytes:
    key, text = ((one + "\0").encode("utf-16-le") for one in (name, value))
    kind = struct.pack("<HH", mutagen.asf.UNICODE, len(text))
    return len(key).to_bytes(2, "little") + key + kind + text


class ASF(Family):
    """An ASF file: its attributes stand in three lists of its header."""

    name = "ASF"

    def find(self, file: BinaryIO) -> dict[str, Tag]:
        self.header_end = int.from_bytes(read_at(file, 16, 8), "little")
        if self.header_end > size_of(file):
            raise EOFError
        self.objects = list(objects(file, 30, self.header_end))
        lists: dict[bytes, Object] = {}
        for found in self.objects:
            if found.guid in _OBJECTS:
                lists.setdefault(found.guid, found)
        described = (found for found in self.objects if found.guid == _DESCRIPTION)
        main = Attributes(lists, self.header_end, next(described, None)).loaded(file, self.fields)
        main.exists = True
        return {"ASF": main}

    def length_s(self, file: BinaryIO) -> float | None:  # noqa: ARG002
        return None  # it stands in an object that is compared

    def lengths(self, file: BinaryIO, changes: list[Edit]) -> list[Edit]:
        """Of the header and its extension, and how many objects the header has."""
        edits, growth = [], sum(edit.growth for edit in changes)
        extension = next((found for found in self.objects if found.guid == _EXTENSION), None)
        if extension is not None:
            inner = [e for e in changes if extension.start < e.start and e.end <= extension.end]
            more = sum(edit.growth for edit in inner if edit.start < extension.end)
            size = extension.end - extension.start + more
            edits.append(_number(extension.start + 16, size, 8))
            edits.append(_number(extension.start + 42, size - 46, 4))
        count = int.from_bytes(read_at(file, 24, 4), "little")
        count += sum((e.start == e.end) - (not sum(map(len, e.pieces))) for e in changes)
        return [*edits, _number(16, self.header_end + growth, 8), _number(24, count, 4)]

    def compared(self, file: BinaryIO) -> Any:
        ours = [*_OBJECTS, _EXTENSION, _PADDING]
        texts: list[bytes] = []
        if "COMMENT" in self.fields:
            ours.append(_DESCRIPTION)
            for found in self.objects:
                if found.guid == _DESCRIPTION:
                    texts += described(file, found)
                    texts[-5 + _COMMENT] = b""
        others = sorted(
            (found.guid, digest_of(file, found.start + 24, found.end))
            for found in self.objects
            if found.guid not in ours
        )
        return (
            self.tag_digests(file),
            others,
            texts if any(texts) else [],
            digest_of(file, self.header_end, size_of(file)),
        )


def _number(place: int, value: int, size: int) -> Edit:
    return Edit(place, place + size, [value.to_bytes(size, "little")])
