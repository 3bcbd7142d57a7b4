"""Chunks of RIFF, FORM and FRM8 files, and the tags that stand in them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

from musictag.formats import chunks as formats
from musictag.formats.reading import read_at, size_of
from musictag.metadata.edits import Edit, Piece, Span, View, digest_of, u32
from musictag.metadata.family import Tag
from musictag.metadata.id3 import FFMPEG_COPY, ID3v2AndOthers
from musictag.metadata.id3v1 import known_text
from musictag.metadata.id3v2 import ID3v2
from musictag.metadata.replacement import Refusal
from musictag.metadata.snapshot import READERS, Snapshot


class Chunk(NamedTuple):
    """One chunk: its header is at `header`, its content from `start` to before `end`."""

    name: bytes
    header: int
    start: int
    end: int
    after: int
    """Where the next chunk is."""
    inside: bool
    """Whether it lies within the length that the file states."""


class Form:
    """A RIFF, FORM or FRM8 file's chunks, also those behind the length that it states."""

    def __init__(self, file: BinaryIO) -> None:
        self.layout, _, self.stated_end = formats.outermost(file)
        self.n_header = struct.calcsize(self.layout)
        self.size = size_of(file)
        self.chunks = list(self._walk(file))
        self.end = self.chunks[-1].after if self.chunks else self.n_header + 4
        """Where the last chunk ends; what follows is none."""

    def _walk(self, file: BinaryIO) -> Iterator[Chunk]:
        for name, header, start, end in formats.chunks(file, stated_end=False):
            if not _is_name(name):
                return
            after = min(end + (end - start) % 2, self.size)
            yield Chunk(name, header, start, end, after, header < self.stated_end)

    def headed(self, name: bytes, size: int) -> bytes:
        return struct.pack(self.layout, name, size)


def _is_name(name: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in name)


class InChunk(Tag):
    """A tag that fills a chunk; `start` and `end` are those of the chunk with header and pad."""

    def __init__(self, form: Form, name: bytes, chunk: Chunk | None = None) -> None:
        self.form, self.name, self.chunk = form, name, chunk
        if chunk is None:  # a new one goes where the file says that it ends
            inside = [c for c in form.chunks if c.inside]
            place = inside[-1].after if inside else form.end
            super().__init__(start=place, end=place)
        else:
            super().__init__(start=chunk.header, end=chunk.after)

    @property
    def inside(self) -> bool:
        return self.chunk is None or self.chunk.inside

    def in_chunk(self, pieces: list[Piece]) -> list[Piece]:
        size = sum(map(len, pieces))
        before = b"\0" if self.chunk is None and self.start % 2 else b""
        return [before, self.form.headed(self.name, size), *pieces, bytes(size % 2)]


class ID3v2InChunk(InChunk, ID3v2):
    """ID3v2 in a chunk of its own."""

    @property
    def lead(self) -> int:  # type: ignore[override]
        return self.form.n_header

    def limit(self, file: BinaryIO) -> int:  # noqa: ARG002
        assert self.chunk is not None
        return min(self.chunk.end, self.form.size)

    more: Piece = b""
    """What follows the tag in its chunk, mostly nothing or a zero."""

    @property
    def size(self) -> int:
        """Of a missing tag -1 if the chunk before its place lacks the byte that makes it even."""
        return self.length if self.chunk else -(self.start % 2)

    def _end(self, end: int) -> None:
        assert self.chunk is not None
        self.length = end - self.chunk.start
        self.more = Span(end, max(end, min(self.chunk.end, self.form.size)))

    def wrapped(self, pieces: list[Piece]) -> list[Piece]:
        return self.in_chunk([*pieces, self.more])

    def changes(self, file: BinaryIO) -> list[Edit]:
        edits = super().changes(file)
        if not self.exists and self.room == -1 and self.start % 2 == 0:
            pad = Edit(self.start - 1, self.start, [])
            return [pad, *edits] if read_at(file, pad.start, 1) == b"\0" else edits
        return edits


class Info(InChunk):
    """The texts of a WAV file's LIST INFO, of which two can hold a field: genre and comment, one
    value each."""

    kind = "INFO"
    broken = False
    """Whether its last text ends after the list, or is none: behind that nothing is found."""

    def __init__(self, form: Form, chunk: Chunk) -> None:
        super().__init__(form, b"LIST", chunk)

    def read(self, file: BinaryIO) -> None:
        assert self.chunk is not None
        place, stop = self.chunk.start + 4, min(self.chunk.end, self.form.size)
        while place < stop:
            head = read_at(file, place, 8)
            end = stop
            if len(head) == 8 and place + 8 <= stop:
                (size,) = struct.unpack_from("<I", head, 4)
                self.broken = place + 8 + size > stop
                end = min(place + 8 + size + size % 2, stop)
            else:
                self.broken = True
            field = _INFO_FIELDS.get(head[:4])
            ours = field in self.fields and 8 <= end - place <= 1 << 20
            piece = read_at(file, place, end - place) if ours else Span(place, end)
            self.entries.append((field if ours else None, piece))
            place = end

    def named(self, file: BinaryIO) -> Iterable[tuple[str, str]]:
        """The last of several of one name, as most readers have it."""
        found = {}
        for _, entry in self.entries:
            data = read_at(file, *_head(entry)) if isinstance(entry, Span) else entry
            if len(data) > 8 and data[:4] in _FRAMES and (text := _text(data)):
                key = _FRAMES[data[:4]]
                found["TXXX:DATE" if key == "TDRC" and not _DATE.fullmatch(text) else key] = text
        return found.items()

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        return [_text(item) for item in snapshot.raw(field) if len(item) > 8]

    def can_hold(self, field: str, values: tuple[str, ...]) -> bool:
        writable = not self.broken or self.holds(field)
        return not values or (field in _INFO_FIELDS.values() and len(values) == 1 and writable)

    def set(self, field: str, values: tuple[str, ...]) -> None:
        if field in _INFO_FIELDS.values() and (self.holds(field) or not self.broken):
            super().set(field, values[:1])

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        text = values[0].encode() + b"\0"
        name = next(name for name, of in _INFO_FIELDS.items() if of == field)
        return [name + u32(len(text), "<") + text + bytes(len(text) % 2)]

    def changes(self, file: BinaryIO) -> list[Edit]:  # noqa: ARG002
        pieces = [b"INFO", *(entry for _, entry in self.entries)]
        return [Edit(self.start, self.end, self.in_chunk(pieces))]


_INFO_FIELDS = {b"IGNR": "GENRE", b"ICMT": "COMMENT"}
_FRAMES = {
    b"IART": "TPE1",
    b"IBPM": "TBPM",
    b"IBSU": "TXXX:ARTISTWEBPAGE",
    b"ICMT": "COMM",
    b"ICNT": "TXXX:RELEASECOUNTRY",
    b"ICOP": "TCOP",
    b"ICRD": "TDRC",
    b"IDIT": "TXXX:ENCODINGTIME",
    b"IEDT": "TPE4",
    b"IENG": "TXXX:ARRANGER",
    b"IGNR": "TCON",
    b"ILNG": "TLAN",
    b"IMED": "TMED",
    b"IMUS": "TCOM",
    b"INAM": "TIT2",
    b"IPRD": "TALB",
    b"IPRT": "TRCK",
    b"IPUB": "TPUB",
    b"ISFT": "TSSE",
    b"ISRC": "TSRC",
    b"ISTR": "TXXX:PERFORMER",
    b"ITCH": "TENC",
    b"IWRI": "TEXT",
    b"PRT1": "TSST",
}
"""Name in INFO → frame that says the same, as taggers pair them."""

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d){0,2})?)?)?")
"""What TDRC can hold (ID3v2.4, 4)."""

READERS["INFO"] = Info.texts


def _head(span: Span) -> tuple[int, int]:
    return span.start, min(len(span), 1 << 16)


def _text(item: bytes) -> str:
    (size,) = struct.unpack_from("<I", item, 4)
    stored = item[8 : 8 + size].rstrip(b"\0")
    return known_text(stored) or stored.decode("latin-1")


class Chunked(ID3v2AndOthers):
    """ID3v2 in a chunk of WAV, AIFF or DSDIFF; LIST INFO in a WAV."""

    orders = (("ID3v2", "INFO"), ("INFO", "ID3v2"), ("ID3v2", "DIIN"))

    def find(self, file: BinaryIO) -> dict[str, Tag]:
        self._refuse_streams(file)
        form = self.form = Form(file)
        if form.stated_end > form.end and form.end < form.size:
            reason = "its chunks are damaged: its tags would not be found behind them"
            raise Refusal("bad_header", reason)
        default = b"id3 " if form.layout[0] == "<" else b"ID3 "
        tags: dict[str, Tag] = {}
        for chunk in form.chunks:
            if chunk.name.strip().upper() == b"ID3" and chunk.end > chunk.start:
                tag = ID3v2InChunk(form, chunk.name, chunk)
                if read_at(file, chunk.start, 3) != b"ID3":
                    raise Refusal("bad_header", "its ID3 chunk holds something else")
                self.add(tags, "ID3v2", tag.loaded(file, self.fields))
            elif chunk.name == b"LIST" and read_at(file, chunk.start, 4) == b"INFO":
                self.add(tags, "INFO", Info(form, chunk).loaded(file, self.fields))
            elif chunk.name == b"DIIN":
                tags["DIIN"] = Names(form, chunk).loaded(file, self.fields)
        main = tags.pop("ID3v2", None) or ID3v2InChunk(form, default)
        return {"ID3v2": main, **tags}

    @staticmethod
    def add(tags: dict[str, Tag], place: str, tag: Tag) -> None:
        """Readers look at the first of several."""
        tags[place if place not in tags else f"{place} {len(tags)}"] = tag

    def _refuse_streams(self, file: BinaryIO) -> None:
        if _was_streamed(file):
            reason = "its header does not say how long it is: a tag behind it would not be found"
            raise Refusal("no_tags", reason, f"{FFMPEG_COPY}, and tag the copy")

    def length_s(self, file: BinaryIO) -> float | None:
        return float(self.kind(View(file, 0, size_of(file))).length)

    def lengths(self, file: BinaryIO, changes: list[Edit]) -> list[Edit]:  # noqa: ARG002
        growth = sum(
            edit.growth
            for tag in self.dirty()
            if isinstance(tag, InChunk) and tag.inside
            for edit in tag.changes(file)
        )
        stated = self.form.stated_end - self.form.n_header + growth
        header = self.form.headed(read_at(file, 0, 4), stated)
        return [Edit(4, self.form.n_header, [header[4:]])]

    def compared(self, file: BinaryIO) -> Any:
        """All other chunks by name, what follows the last one, and lengths that are wrong."""
        form = self.form
        tags = {tag.start for tag in self.tags.values() if tag.exists and tag.hole() != (0, 0)}
        chunks = [
            (chunk.name, digest_of(file, chunk.start, min(chunk.end, form.size)))
            for chunk in form.chunks
            if chunk.header not in tags
        ]
        return (
            self.tag_digests(file),
            read_at(file, form.n_header, 4),
            chunks,
            digest_of(file, form.end, form.size),
            self._excess(),
        )

    def _excess(self) -> int:
        """By how much the file, or a chunk with a tag, says to be longer than it is."""
        tags = [tag.chunk for tag in self.tags.values() if isinstance(tag, InChunk)]
        ends = [self.form.stated_end, *(chunk.end for chunk in tags if chunk is not None)]
        return max(0, max(ends) - self.form.size)


class Names(InChunk):
    """Title and artist in a DSDIFF file's own chunk for them, which holds none of our fields."""

    kind = "DIIN"

    def __init__(self, form: Form, chunk: Chunk) -> None:
        super().__init__(form, b"DIIN", chunk)
        self.names: list[tuple[str, str]] = []

    def named(self, file: BinaryIO) -> Iterable[tuple[str, str]]:  # noqa: ARG002
        return self.names

    def read(self, file: BinaryIO) -> None:
        assert self.chunk is not None
        place, stop = self.chunk.start, min(self.chunk.end, self.form.size)
        while place + 16 <= stop:
            name, size, length = struct.unpack(">4sQI", read_at(file, place, 16))
            key = {b"DITI": "TIT2", b"DIAR": "TPE1"}.get(name)
            text = read_at(file, place + 16, min(length, size, 1 << 16)).rstrip(b"\0")
            if key and text:
                self.names.append((key, known_text(text) or text.decode("latin-1")))
                self.entries.append((None, Span(place, place + 12)))
            place += 12 + size + size % 2

    def can_hold(self, field: str, values: tuple[str, ...]) -> bool:  # noqa: ARG002
        return not values

    def set(self, field: str, values: tuple[str, ...]) -> None: ...

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        raise NotImplementedError

    def changes(self, file: BinaryIO) -> list[Edit]:  # noqa: ARG002
        return []

    def hole(self) -> tuple[int, int]:
        return 0, 0

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:  # noqa: ARG004
        return []


READERS["DIIN"] = Names.texts


def _was_streamed(file: BinaryIO) -> bool:
    """Whether a WAV file's lengths are what programs put there that could not go back to them."""
    head = read_at(file, 0, 8)
    if not head.startswith(b"RIFF"):
        return False
    if head[4:] in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        return True
    for chunk in Form(file).chunks:
        if chunk.name == b"data":
            size = chunk.end - chunk.start
            return size >= 0x7FFFF000 and chunk.end > size_of(file)
    return False
