"""Vorbis comments, and the metadata blocks of FLAC that hold them."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, NamedTuple

import mutagen.flac

from musictag.formats.reading import read_at, size_of
from musictag.metadata.edits import (
    Edit,
    Piece,
    Span,
    View,
    content,
    digest_of,
    digest_of_piece,
    u32,
)
from musictag.metadata.family import MOST_PADDING, Family, Tag
from musictag.metadata.fields import KEYS, LONGEST_OTHER, WRITABLE, other_name
from musictag.metadata.id3v1 import find_id3v1
from musictag.metadata.id3v2 import ID3v2
from musictag.metadata.snapshot import READERS, Snapshot

_VENDOR = b"musictag"
_LONGEST_KEY = max(map(len, WRITABLE)) + 1
_LONGEST_TEXT = 1 << 20
"""Bytes of the longest comment that is looked into."""


class Comments(Tag):
    """Pairs of key and text, the key in any case, a pair for every value."""

    kind = "Vorbis"
    vendor: Piece = _VENDOR

    def parse(self, file: Any, place: int, stop: int) -> int:
        """Read the comments that stand there; where they end."""

        def text(start: int) -> Span:
            (length,) = struct.unpack("<I", read_at(file, start, 4))
            if start + 4 + length > stop:
                raise ValueError("a comment ends after its block")
            return Span(start + 4, start + 4 + length)

        self.vendor = text(place)
        place = self.vendor.end
        (count,) = struct.unpack("<I", read_at(file, place, 4))
        place += 4
        for _ in range(count):
            span = text(place)
            place = span.end
            field = self.field(read_at(file, span.start, min(_LONGEST_KEY, len(span))))
            ours = field is not None and len(span) <= _LONGEST_TEXT
            self.entries.append((field, read_at(file, *_sized(span))) if ours else (None, span))
        return place

    def field(self, comment: bytes) -> str | None:
        key, equals, _ = comment.partition(b"=")
        known = (field for field in self.fields if KEYS["Vorbis"][field].encode() == key.upper())
        return next(known, None) if equals else None

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        return [raw.partition(b"=")[2].decode("utf-8", "replace") for raw in snapshot.raw(field)]

    def said(self, file: Any, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
        for field, piece in self.entries:
            if field is None and len(piece) <= LONGEST_OTHER:
                key, equals, text = content(file, piece).partition(b"=")
                name = other_name(key.decode("utf-8", "replace"))
                if equals and name in wanted:
                    yield name, text.decode("utf-8", "replace")

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        return [f"{KEYS['Vorbis'][field]}={value}".encode() for value in values]

    def pieces(self) -> list[Piece]:
        comments = [entry for _, entry in self.entries]
        sized = (piece for entry in comments for piece in (u32(len(entry), "<"), entry))
        return [u32(len(self.vendor), "<"), self.vendor, u32(len(comments), "<"), *sized]

    def digests(self, file: BinaryIO) -> list[bytes]:
        vendor = digest_of_piece(file, self.vendor)
        ours = vendor == digest_of_piece(file, _VENDOR)
        return ([] if ours else [vendor]) + super().digests(file)

    def changes(self, file: BinaryIO) -> list[Edit]:
        raise NotImplementedError


READERS["Vorbis"] = Comments.texts


def _sized(span: Span) -> tuple[int, int]:
    return span.start, len(span)


# ---------------------------------------------------------------- FLAC


class Block(NamedTuple):
    """One metadata block: its kind, whether it is the last, and where it stands with its header."""

    kind: int
    last: bool
    start: int
    end: int


def _headed(kind: int, last: bool, pieces: list[Piece]) -> list[Piece]:
    size = sum(map(len, pieces))
    if size >= 1 << 24:
        raise ValueError("a metadata block of 16 MB or more")
    return [bytes([kind | last << 7]) + size.to_bytes(3, "big"), *pieces]


class CommentBlock(Comments):
    """Vorbis comments in a metadata block; the padding block behind gives way to them."""

    def __init__(self, blocks: list[Block], block: Block | None) -> None:
        self.blocks, self.block = blocks, block
        paddings = [b for b in blocks if b.kind == mutagen.flac.Padding.code]
        self.padding = paddings[-1] if paddings else None
        if block is None:  # a new one goes behind all but padding
            self.before = [b for b in blocks if b.kind != mutagen.flac.Padding.code][-1]
            super().__init__(start=self.before.end, end=self.before.end)
        else:
            super().__init__(start=block.start, end=block.end)

    def read(self, file: BinaryIO) -> None:
        end = self.parse(file, self.start + 4, self.end)
        self.more = Span(end, self.end)

    more: Piece = b""
    """What follows the comments in their block."""

    @property
    def size(self) -> int:
        return self.end - self.start + (self._n_padding or 0)

    @property
    def _n_padding(self) -> int | None:
        return self.padding and self.padding.end - self.padding.start

    def changes(self, file: BinaryIO) -> list[Edit]:
        index = self.blocks.index(self.block) if self.block else -1
        pieces: list[Piece] = []
        edits = []
        if self.exists:
            last = self.block.last if self.block else self.before.last
            code = mutagen.flac.VCFLACDict.code
            pieces = _headed(code, last, [*self.pieces(), self.more])
        if self.exists == (self.block is None):  # it comes or goes: another one is the last
            before = self.blocks[index - 1] if self.block else self.before
            if (self.block or before).last:
                edits.append(_marked(before, last=not self.exists))
        edits.append(Edit(self.start, self.end, pieces))
        if self.padding is not None:
            edits += self._padded(file, edits[-1].growth)
        return edits

    def _padded(self, file: BinaryIO, growth: int) -> list[Edit]:
        """The padding takes what the comments leave it of the room that both had."""
        assert self.padding is not None
        n = self.padding.end - self.padding.start - 4 - growth
        if self.room is not None:
            n += self.room - self.size
        if not 0 <= n < max(MOST_PADDING, self.size):
            n = 1024 + (size_of(file) - self.blocks[-1].end) // 1000
        pieces = _headed(mutagen.flac.Padding.code, self.padding.last, [bytes(n)])
        return [Edit(self.padding.start, self.padding.end, pieces)]


def _marked(block: Block, *, last: bool) -> Edit:
    return Edit(block.start, block.start + 1, [bytes([block.kind | last << 7])])


class FLAC(Family):
    """Vorbis comments in a FLAC file; ID3 before and after it, and a second block of comments."""

    name = "Vorbis"
    orders = (("Vorbis", "ID3v2", "ID3v1"), ("Vorbis", "ID3v2"))

    def find(self, file: BinaryIO) -> dict[str, Tag]:
        tags: dict[str, Tag] = {}
        self.start = 0
        while read_at(file, self.start, 3) == b"ID3":
            tag = ID3v2(start=self.start).loaded(file, self.fields)
            tags.setdefault("ID3v2", tag)
            self.start = tag.end
        self.blocks = list(self._walk(file))
        code = mutagen.flac.VCFLACDict.code
        found = [
            CommentBlock(self.blocks, block).loaded(file, self.fields)
            for block in self.blocks
            if block.kind == code
        ]
        for number, more in enumerate(found[1:], 2):
            more.padding = None
            tags[f"Vorbis {number}"] = more
        v1, _ = find_id3v1(file)
        if v1 is not None:
            tags["ID3v1"] = v1
        self.comments = found[0] if found else CommentBlock(self.blocks, None)
        return {"Vorbis": self.comments, **tags}

    def _walk(self, file: BinaryIO) -> Iterator[Block]:
        place, last, end = self.start + 4, False, size_of(file)
        while not last:
            (header,) = struct.unpack(">I", read_at(file, place, 4))
            kind, size = divmod(header, 1 << 24)
            last = kind >= 0x80
            if place + 4 + size > end:
                raise EOFError
            yield Block(kind & 0x7F, last, place, place + 4 + size)
            place += 4 + size

    def length_s(self, file: BinaryIO) -> float | None:
        first = self.blocks[0]
        if first.kind != mutagen.flac.StreamInfo.code:
            raise ValueError("it does not begin with its stream's properties")
        info: Any = self.kind(View(file, first.start + 4, first.end))
        return float(info.length)

    def brought_along(self) -> list[tuple[str | None, Piece]]:
        v1 = self.tags.get("ID3v1")
        if v1 not in self.behind or v1 is None:
            return []
        with self.path.open("rb") as file:
            comments = [f"{_KEYS[key]}={text}".encode() for key, text in v1.named(file)]
        return [(self.comments.field(comment), comment) for comment in comments]

    def compared(self, file: BinaryIO) -> Any:
        left_out = {mutagen.flac.VCFLACDict.code, mutagen.flac.Padding.code}
        others = [
            (block.kind, digest_of(file, block.start + 4, block.end))
            for block in self.blocks
            if block.kind not in left_out
        ]
        front = self.tags.get("ID3v2")
        before = digest_of(file, front.end if front else 0, self.start + 4)
        v1 = self.tags.get("ID3v1")
        end = v1.hole()[0] if v1 else size_of(file)
        return self.tag_digests(file), before, others, digest_of(file, self.blocks[-1].end, end)


_KEYS = {
    "TIT2": "TITLE",
    "TPE1": "ARTIST",
    "TALB": "ALBUM",
    "TDRC": "DATE",
    "COMM": "COMMENT",
    "TRCK": "TRACKNUMBER",
    "TCON": "GENRE",
}
"""ID3's names of what ID3v1 can hold → Vorbis comments' names."""
