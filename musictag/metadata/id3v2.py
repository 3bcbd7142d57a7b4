"""One ID3v2 tag: where its frames stand, and how it is written with other ones in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any, BinaryIO

import mutagen.id3

from musictag.formats.id3v2 import synchsafe
from musictag.formats.reading import read_at, size_of
from musictag.metadata.edits import Edit, Piece, Span, as_synchsafe, content, digest_of_piece
from musictag.metadata.family import MOST_PADDING, Tag
from musictag.metadata.fields import (
    ID3_NAMES,
    KEYS,
    LONGEST_OTHER,
    TEXTS,
    cleaned,
    other_name,
)
from musictag.metadata.replacement import Refusal
from musictag.metadata.snapshot import READERS, Snapshot

_id3: Any = mutagen.id3  # mutagen's types are half written; mypy takes the other half for untyped

_OURS = (b"TCON", b"TMOO", b"TXXX", b"TCO", b"TXX")
_COMMENTS = (b"COMM", b"COM")
_GROUPINGS = (b"GRP1", b"GP1")
_TITLES = (b"TIT1", b"TT1")
"""Frames of groupings, in a tag that has none of iTunes' own."""
_TEXTS = (*_COMMENTS, *_GROUPINGS, *_TITLES)
_OTHERS = (
    *(b"TXXX", b"TXX", b"TT1", b"TT2", b"TP1", b"TP2", b"TAL", b"TCM", b"TLA"),
    *(name.encode() for name in ID3_NAMES),
)
"""Frames in which other fields are looked for."""
_LONGEST_TEXT = 1 << 20
"""Bytes of the longest TXXX frame that is looked into."""
_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
_KNOWN_FLAGS = {2: 0x80, 3: 0xE0, 4: 0xF0}
_NAME = {2: rb"[A-Z][A-Z0-9]{2}", 3: rb"[A-Z][A-Z0-9]{2}[A-Z0-9 \0]", 4: rb"[A-Z][A-Z0-9]{3}"}


class ID3v2(Tag):
    """The frames of an ID3v2 tag, each as the bytes that it has in the file.

    A tag keeps its version, its flags and its extended header, and every frame that is not ours
    its bytes. A new tag is ID3v2.4: several values and MOOD are standard only there.
    """

    kind = "ID3"
    version = 4
    flags = 0
    _extension: Piece = b""
    _plain_sizes = False
    """Whether this ID3v2.4 tag counts frames in whole bytes, as iTunes once did."""
    _is_of_itunes = False
    """Whether this tag has a frame for groupings that iTunes has invented."""

    # -- reading

    def read(self, file: BinaryIO) -> None:
        """Parse the tag at `start`; Refusal if it holds anything that is neither frame nor zero."""
        start = self.start + self.lead
        head = read_at(file, start, 10)
        if not head.startswith(b"ID3"):
            raise ValueError("there is something else where its ID3 tag should be")
        self.version, self.flags = head[3], head[5]
        if self.version not in _KNOWN_FLAGS:
            raise ValueError(f"ID3v2.{self.version} is no version of ID3")
        if any(byte & 0x80 for byte in head[6:10]):
            raise ValueError("the size of its ID3 tag is no number")
        end = start + 10 + synchsafe(head[6:10])
        if end > self.limit(file):
            raise EOFError
        if self.version == 4 and self.flags & _FOOTER:
            raise Refusal("bad_header", "its ID3 tag has a footer, which musictag cannot keep")
        if self.flags & ~_KNOWN_FLAGS[self.version] or (self.version == 2 and self.flags & 0x40):
            raise ValueError("its ID3 tag has flags that nobody knows")
        body = _Body(file, start + 10, end, unsynchronised=self._encoded)
        place = self._read_extension(body)
        frames = self._frames(body, place)
        if frames is None and self.version == 4:
            self._plain_sizes = True
            frames = self._frames(body, place)
        if frames is None:
            raise Refusal("bad_header", "its ID3 tag holds bytes that are no frames")
        ours: tuple[bytes, ...] = _OURS
        if not set(TEXTS).isdisjoint(self.fields):
            names = {body.read(start, 4 if self.version > 2 else 3) for start, _ in frames}
            self._is_of_itunes = not names.isdisjoint(_GROUPINGS)
            ours += _COMMENTS + (_GROUPINGS if self._is_of_itunes else _TITLES)
        self.entries = [self._entry(body, *frame, ours) for frame in frames]
        self._end(end)

    lead = 0
    """Bytes that belong to the tag's place in the file and stand before the tag."""
    length = 0

    @property
    def size(self) -> int:
        return self.length

    def limit(self, file: BinaryIO) -> int:
        """Where the tag must have ended."""
        return size_of(file)

    def _end(self, end: int) -> None:
        """Note where the tag ends."""
        self.end = end
        self.length = end - self.start

    @property
    def _encoded(self) -> bool:
        """Whether the whole tag, and not each frame for itself, is unsynchronised."""
        return self.version < 4 and bool(self.flags & _UNSYNCHRONISED)

    def _read_extension(self, body: _Body) -> int:
        """Keep the extended header, which says nothing about the frames; where those begin."""
        if self.version == 2 or not self.flags & _EXTENDED:
            return 0
        length = body.read(0, 4)
        if length.decode("latin-1") in _id3.Frames:  # some set the flag without such a header
            return 0
        size = synchsafe(length) if self.version == 4 else 4 + int.from_bytes(length, "big")
        self._extension = body.piece(0, size)
        return size

    def _frames(self, body: _Body, place: int) -> list[tuple[int, int]] | None:
        """Start and end of the frames; None if they do not fill the tag up to its padding."""
        header = 6 if self.version == 2 else 10
        name = re.compile(_NAME[self.version])
        frames = []
        while place + header <= len(body):
            head = body.read(place, header)
            if not name.match(head):
                break
            size = self._size(head)
            if size is None or place + header + size > len(body):
                return None
            frames.append((place, place + header + size))
            place += header + size
        return None if body.holds_more_than_zeros(place) else frames

    def _size(self, head: bytes) -> int | None:
        if self.version == 2:
            return int.from_bytes(head[3:6], "big")
        if self.version == 3 or self._plain_sizes:
            return int.from_bytes(head[4:8], "big")
        return None if any(byte & 0x80 for byte in head[4:8]) else synchsafe(head[4:8])

    def _entry(
        self, body: _Body, start: int, end: int, ours: tuple[bytes, ...]
    ) -> tuple[str | None, Piece]:
        name = body.read(start, 4 if self.version > 2 else 3)
        if name in ours and end - start <= _LONGEST_TEXT:
            frame = self._with_synchsafe_size(body.read(start, end - start))
            if field := self.field(frame):
                return field, frame
        return None, body.piece(start, end)

    def _with_synchsafe_size(self, frame: bytes) -> bytes:
        if self._plain_sizes:
            return frame[:4] + as_synchsafe(len(frame) - 10) + frame[8:]
        return self._unsynchronised(frame) if b"\xff\0" in frame[10:] else frame

    def _unsynchronised(self, frame: bytes) -> bytes:
        """Say of the frame what an ID3v2.4 tag's flag says of all, so that it can be told alone."""
        if self.version == 4 and self.flags & _UNSYNCHRONISED:
            return frame[:9] + bytes([frame[9] | 0x02]) + frame[10:]
        return frame

    def field(self, frame: bytes) -> str | None:
        """The field that this frame holds, under the key of either version."""
        parsed = parsed_frame(self.version, frame)
        if parsed is None:
            return None
        description = parsed.desc.upper() if parsed.FrameID in ("TXXX", "COMM") else ""
        key = parsed.FrameID + (f":{description}" if description else "")
        if key == "GRP1":
            key = KEYS["ID3v2.4"]["GROUPING"]
        columns = KEYS["ID3v2.3"], KEYS["ID3v2.4"]
        return next((f for f in self.fields if key in (column[f] for column in columns)), None)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        frames = [parsed_frame(snapshot.version, frame) for frame in snapshot.raw(field)]
        if field != "GENRE":
            return [str(text) for frame in frames for text in frame.text]
        return [name for frame in frames for name in _genres(frame)]

    def said(self, file: BinaryIO, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
        for field, piece in self.entries:
            if field is None and len(piece) <= LONGEST_OTHER:
                frame = content(file, piece)
                if not frame.startswith(_OTHERS):
                    continue
                if self._encoded and isinstance(piece, Span):
                    frame = frame.replace(b"\xff\0", b"\xff")
                parsed = _parsed(self.version, self._with_synchsafe_size(frame))
                if parsed is None:
                    continue
                is_own = parsed.FrameID == "TXXX"
                name = other_name(parsed.desc) if is_own else ID3_NAMES.get(parsed.FrameID, "")
                if name in wanted:
                    yield from ((name, str(text)) for text in parsed.text)

    # -- writing

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        key = KEYS[f"ID3v2.{max(3, self.version)}"][field]
        if field == "GROUPING" and self._is_of_itunes:
            key = "GRP1"
        if field == "COMMENT":  # a frame for each, in the language that most players look for
            return [self._sized(self.frame(key, [value], language="eng")) for value in values]
        return [self._sized(self.frame(key, list(values)))]

    def _sized(self, frame: bytes) -> bytes:
        return frame if self._plain_sizes else self._unsynchronised(frame)

    def set(self, field: str, values: tuple[str, ...]) -> None:
        """Of comments those that stay keep their frames, and those that change their languages."""
        if field != "COMMENT":
            super().set(field, values)
            return
        new = dict(zip(self.says(field), values, strict=False))
        entries: list[tuple[str | None, Piece]] = []
        for of, entry in self.entries:
            if of == field and isinstance(entry, bytes):
                entries += [(of, frame) for frame in self._reworded(entry, new)]
            else:
                entries.append((of, entry))
        more = self.rendered(field, values[len(new) :])
        self.entries = [*entries, *((field, frame) for frame in more)]

    def _reworded(self, comment: bytes, new: dict[str, str]) -> list[bytes]:
        """The frame of a comment, its texts replaced by others, and without those that have none;
        itself if it says the same, or nothing."""
        parsed = parsed_frame(self.version, comment)
        old = list(cleaned(map(str, parsed.text)))
        texts = [new[text] for text in old if text in new]
        if texts == old:
            return [comment]
        frame = self.frame("COMM", texts, language=parsed.lang) if texts else b""
        return [self._sized(frame)] if frame else []

    def frame(self, key: str, values: list[str], *, language: str = "") -> bytes:
        """A text frame in this tag's version; `key` is a name of 4 letters, or TXXX:description."""
        name, _, description = key.partition(":")
        frame = getattr(_id3, name)(encoding=self._encoding(description, *values), text=values)
        if description:
            frame.desc = description
        if language:
            frame.lang = language
        buffer = BytesIO()
        tags: Any = _id3.ID3()
        tags.add(frame)
        # v23_sep=None: several values stay several in 2.3 too, as everybody writes them, separated
        # by NUL. The default joins them with "/".
        tags.save(buffer, v1=0, v2_version=max(3, self.version), v23_sep=None)
        size = (synchsafe if self.version == 4 else _big)(buffer.getvalue()[14:18])
        data = buffer.getvalue()[20 : 20 + size]
        if self.version == 2:
            return _NAMES_OF_2[name] + len(data).to_bytes(3, "big") + data
        return buffer.getvalue()[10 : 20 + size]

    def _encoding(self, *texts: str) -> int:
        """Latin-1 where it suffices, as every player reads it; else the version's own Unicode.

        In 2.4 only ASCII suffices: there is UTF-8, and some take Latin-1 for
        their own code page. In 2.3 that habit is a reason to leave it so.
        """
        if self.version == 4:
            return 0 if "".join(texts).isascii() else 3
        with suppress(UnicodeEncodeError):
            "".join(texts).encode("latin-1")
            return 0
        return 1

    def pieces(self, trailing: int) -> list[Piece]:
        """The whole tag, as long as it is if it fits in; else with padding by mutagen's rule."""
        frames = [self._stored(entry) for _, entry in self.entries]
        needed = 10 + len(self._extension) + sum(map(len, frames))
        room = self.size if self.room is None else self.room
        if not needed <= room <= needed + max(MOST_PADDING, self.size):
            room = needed + 1024 + trailing // 1000
        head = b"ID3" + bytes([self.version, 0, self.flags]) + as_synchsafe(room - 10)
        return [head, self._extension, *frames, bytes(room - needed)]

    def _stored(self, entry: Piece) -> Piece:
        if isinstance(entry, Span):
            return entry
        if self._encoded:
            return _unsynchronised(entry)
        if self._plain_sizes:
            return entry[:4] + (len(entry) - 10).to_bytes(4, "big") + entry[8:]
        return entry

    def changes(self, file: BinaryIO) -> list[Edit]:
        if not self.exists:
            return [Edit(self.start, self.end, [])]
        trailing = size_of(file) - self.end
        return [Edit(self.start, self.end, self.wrapped(self.pieces(trailing)))]

    def wrapped(self, pieces: list[Piece]) -> list[Piece]:
        """The tag in what it stands in, if anything."""
        return pieces

    def digests(self, file: BinaryIO) -> list[bytes]:
        extension = [digest_of_piece(file, self._extension)] if self._extension else []
        return extension + super().digests(file)


def _big(size: bytes) -> int:
    return int.from_bytes(size, "big")


_NAMES_OF_2 = {
    "COMM": b"COM",
    "GRP1": b"GP1",
    "TCON": b"TCO",
    "TIT1": b"TT1",
    "TXXX": b"TXX",
}


class _Body:
    """The bytes behind a tag's header; numbers are places in it once it is decoded."""

    def __init__(self, file: BinaryIO, start: int, end: int, *, unsynchronised: bool) -> None:
        self._file = file
        self._start = start
        self._stored = read_at(file, start, end - start) if unsynchronised else None
        self._decoded = (self._stored or b"").replace(b"\xff\0", b"\xff")
        self._n = len(self._decoded) if unsynchronised else end - start

    def __len__(self) -> int:
        return self._n

    def read(self, place: int, size: int) -> bytes:
        if self._stored is None:
            return read_at(self._file, self._start + place, min(size, self._n - place))
        return self._decoded[place : place + size]

    def piece(self, start: int, end: int) -> Span:
        """The span of the file that holds these bytes."""
        if self._stored is None:
            return Span(self._start + start, self._start + end)
        return Span(self._start + self._encoded(start), self._start + self._encoded(end))

    def _encoded(self, place: int) -> int:
        """Each FF before it that is followed by 00 has one byte more in the file."""
        assert self._stored is not None
        stored = place
        while True:
            longer = place + self._stored.count(b"\xff\0", 0, stored)
            if self._stored[longer - 1 : longer + 1] == b"\xff\0":
                longer += 1
            if longer == stored:
                return stored
            stored = longer

    def holds_more_than_zeros(self, place: int) -> bool:
        while place < self._n and (block := self.read(place, 1 << 16)):
            if block.strip(b"\0"):
                return True
            place += len(block)
        return False


def _unsynchronised(frame: bytes) -> bytes:
    return re.sub(rb"\xff(?=[\0\xe0-\xff]|\Z)", b"\xff\0", frame)


def _genres(frame: Any) -> list[str]:
    """Numbers as names; 255 is ID3's "none"."""
    # mutagen ends a name at a line break: it gets to see what stands in no text instead
    texts = [text.replace("\n", "\udfff") for text in frame.text if text.strip("()") != "255"]
    names = _id3.TCON(text=texts).genres if texts else []
    return [name.replace("\udfff", "\n") for name in names]


def parsed_frame(version: int, frame: bytes) -> Any:
    """The frame if it is of a kind that our fields use, else None."""
    return _parsed(version, frame) if frame.startswith((*_OURS, *_TEXTS)) else None


def _parsed(version: int, frame: bytes) -> Any:
    tag = b"ID3" + bytes([version, 0, 0]) + as_synchsafe(len(frame)) + frame
    parsed = _id3.ID3(BytesIO(tag), load_v1=False, translate=False)
    return next(iter(parsed.values()), None)


READERS["ID3"] = ID3v2.texts
