"""ID3v2 at a file's beginning, in a chunk of it, or where its header says."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import mutagen.id3

from musictag.metadata.apev2 import ape_items
from musictag.metadata.family import (
    FFMPEG_COPY,
    FIELDS,
    KEYS,
    Snapshot,
    digest_of,
    read_at,
    size_of,
    synchsafe,
)
from musictag.metadata.id3v1 import WithTail, genre_of_v1
from musictag.metadata.replacement import Refusal

_id3: Any = mutagen.id3  # mutagen's types are half written; mypy takes the other half for untyped


class _Verbatim(dict[str, Any]):
    """For mutagen's `known_frames`: it hands frames that it does not know through as bytes.

    It looks a frame up by [] and is told that none is known. With `in` it only
    counts names, to tell iTunes' wrong frame sizes from right ones, and there
    the truth is needed.
    """

    def __contains__(self, name: object) -> bool:
        return name in _id3.Frames


class ID3(WithTail):
    """ID3v2 at the beginning of the file, ID3v1 at the end.

    2.3 stays 2.3 and 2.4 stays 2.4. mutagen cannot write 2.2, which becomes 2.3, its nearest
    relative, if every frame has a successor there. A file without ID3v2 gets 2.4: several values
    and MOOD are standard only there, and a player too old for it sees what it saw before.
    Where there was only ID3v1, its title, artist and so on come along into the new
    ID3v2, since many players look no further once they have found one. But ID3v1 names no
    alphabet: a text that is neither ASCII nor UTF-8 may be Latin-1 as well as cp1251, and
    ID3v2 would have to say which. Such a file is left alone: a new ID3v2 would hide what a
    player makes of the old text, or show it wrong.
    An APEv2 tag at the end is read for fields that ID3 lacks, as players do, and never written.
    """

    name = "ID3"

    def __init__(self, path: Path, kind: Any) -> None:
        lazy = partial(kind, load_v1=False, translate=False, known_frames=_Verbatim())
        super().__init__(path, lazy)

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:
        if getattr(self.file.info, "sketchy", False):
            raise Refusal("bad_header", "no run of MPEG audio frames in its beginning")
        self._read_tail()
        self.version, frames = self._frames(file)
        return [(self._field(frame), frame) for frame in frames]

    def _field(self, frame: bytes) -> str | None:
        """The field that this frame holds, under the key of either version."""
        parsed = _parsed_frame(self.version, frame)
        if parsed is None:
            return None
        key = parsed.FrameID + (f":{parsed.desc.upper()}" if parsed.FrameID == "TXXX" else "")
        columns = KEYS["ID3v2.3"], KEYS["ID3v2.4"]
        return next((f for f in FIELDS if key in (column[f] for column in columns)), None)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        frames = [_parsed_frame(snapshot.version, frame) for frame in snapshot.raw(field)]
        if field != "GENRE":
            return [str(text) for frame in frames for text in frame.text]
        names = [name for frame in frames for name in _genres(frame)]
        return names or genre_of_v1(snapshot.v1_genre)

    def elsewhere(self, field: str) -> list[str]:
        """In an APEv2 tag before ID3v1; damage in it is no reason to leave ID3 alone."""
        key = KEYS["APEv2"][field].upper().encode()
        with self.path.open("rb") as file:
            end = size_of(file) - len(self.tail)
            footer = read_at(file, max(0, end - 32), 32)
            size = int.from_bytes(footer[12:16], "little")
            if not footer.startswith(b"APETAGEX") or not 32 <= size <= end:
                return []
            data = read_at(file, end - size, size - 32)
        with suppress(ValueError, struct.error):
            texts = [(name, text) for name, kind, text in ape_items(data) if not kind]
            return [text.decode("utf-8", "replace") for name, text in texts if name.upper() == key]
        return []

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        name, _, description = KEYS[f"ID3v2.{self.version}"][field].partition(":")
        frame = getattr(_id3, name)(encoding=self._encoding(values), text=list(values))
        if description:
            frame.desc = description
        return _rendered([frame], self.version)

    def _others(self) -> bool:
        """Frames that came along from ID3v1 stand there still."""
        frames = [frame for name, frame in self.entries if name is None]
        from_v1 = self._frames_of_v1() if self.tail else []
        return sorted(frames) != sorted(f for f in from_v1 if self._field(f) is None)

    def _encoding(self, values: tuple[str, ...]) -> int:
        """Latin-1 where it suffices, as every player reads it; else the version's own Unicode.

        In 2.4 only ASCII suffices: there is UTF-8, and some take Latin-1 for
        their own code page. In 2.3 that habit is a reason to leave it so.
        """
        texts = "".join(values)
        if self.version == 4:
            return int(_id3.Encoding.LATIN1 if texts.isascii() else _id3.Encoding.UTF8)
        with suppress(UnicodeEncodeError):
            texts.encode("latin-1")
            return int(_id3.Encoding.LATIN1)
        return int(_id3.Encoding.UTF16)

    def _save(self) -> None:
        tags = self.file.tags
        tags.clear()
        tags.unknown_frames = [frame for _, frame in self.entries]
        tags._unknown_v2_version = self.version  # else it drops frames of another version
        self.file.save(self.path, v2_version=self.version, padding=self.padding)

    def _frames(self, file: BinaryIO) -> tuple[int, list[bytes]]:
        """The version that will be written, and every frame's bytes in that version."""
        if self.file.tags is None:
            self._refuse_strays(file)
            return 4, self._frames_of_v1() if self.tail else []
        file.seek(0)
        tags = type(self.file.tags)()
        tags.load(file, load_v1=False, translate=False, known_frames=_Verbatim())
        self.end = file.tell()
        tag = read_at(file, self.end - tags.size, tags.size)
        _refuse_losses(tags, tag)
        if tag[5] & 0x10:
            raise Refusal("bad_header", "its ID3 tag has a footer, which mutagen cannot keep")
        if tags.version[1] == 2:
            file.seek(self.end - tags.size)
            return 3, self._frames_of_v22(file, len(tags.unknown_frames))
        if tags.version[1] == 4 and tags.f_unsynch:
            # the header's flag goes; each frame says it for itself
            frames = [f[:9] + bytes([f[9] | 0x02]) + f[10:] for f in tags.unknown_frames]
            return 4, frames
        return tags.version[1], tags.unknown_frames

    def _frames_of_v1(self) -> list[bytes]:
        tags: Any = _id3.ID3(BytesIO(self.tail[-128:]), translate=False)
        if "TCON" in tags:
            tags["TCON"].genres = tags["TCON"].genres
        for frame in tags.values():
            text = _known_text(str(frame).encode("latin-1"))  # mutagen took every byte for a letter
            if text is None:
                raise Refusal(
                    "no_tags",
                    "its only tag is ID3v1, in letters of an unknown alphabet",
                    "give it an ID3v2 tag first, in a program where the letters look right",
                )
            if not text.isascii():
                frame.encoding, frame.text = _id3.Encoding.UTF8, [text]
        return _rendered(tags.values(), 4)

    def _frames_of_v22(self, file: BinaryIO, n_frames: int) -> list[bytes]:
        tags = type(self.file.tags)()
        tags.load(file, load_v1=False, translate=False)
        if tags.unknown_frames or len(tags) != n_frames:
            raise Refusal("bad_header", "its ID3v2.2 tag holds frames with no ID3v2.3 successor")
        for picture in tags.getall("APIC"):
            picture.mime = {"PNG": "image/png", "JPG": "image/jpeg"}.get(picture.mime, picture.mime)
        return _rendered(tags.values(), 3)

    end = 0
    """Where ID3v2 ends in the file."""

    def _refuse_strays(self, file: BinaryIO) -> None:
        """A tag where mutagen saw none would be written over."""

    def _rest(self, file: BinaryIO) -> Any:
        others = sorted(frame for field, frame in self.entries if field is None)
        return others, self.tail[:-1], self._outside(file)

    def _outside(self, file: BinaryIO) -> Any:
        return digest_of(file, self.end, size_of(file) - len(self.tail))


class ID3InChunk(ID3):
    """ID3v2 in a chunk of WAV, AIFF or DSDIFF; the genre in a WAV's LIST INFO is only read."""

    def __init__(self, path: Path, kind: Any) -> None:
        with path.open("rb") as file:
            if _was_streamed(file):
                reason = (
                    "its header does not say how long it is: a tag behind it would not be found"
                )
                raise Refusal("no_tags", reason, f"{FFMPEG_COPY}, and tag the copy")
        super().__init__(path, kind)

    def _read_tail(self) -> None: ...

    def elsewhere(self, field: str) -> list[str]:
        if field != "GENRE":
            return []
        with self.path.open("rb") as file:
            places = [(start, end) for name, start, end in _chunks(file) if name == b"LIST"]
            chunks = [read_at(file, start, min(end - start, 1 << 20)) for start, end in places]
        texts = [text for data in chunks if data[:4] == b"INFO" for text in _info(data, b"IGNR")]
        return [_known_text(text) or text.decode("latin-1") for text in texts]

    def _refuse_strays(self, file: BinaryIO) -> None:
        if any(name == b"ID3" and end > start for name, start, end in _chunks(file)):
            raise Refusal("bad_header", "its ID3 chunk holds something else")

    def _outside(self, file: BinaryIO) -> Any:
        chunks = [(n, digest_of(file, s, end)) for n, s, end in _chunks(file) if n != b"ID3"]
        return chunks, _excess(file)


class ID3AtPointer(ID3):
    """ID3v2 at the end of a DSF file, its place noted in the header."""

    def _read_tail(self) -> None: ...

    def _place(self, file: BinaryIO) -> int:
        return int.from_bytes(read_at(file, 20, 8), "little")

    def _refuse_strays(self, file: BinaryIO) -> None:
        if self._place(file):
            raise Refusal("bad_header", "its ID3 tag is not where its header says")

    def _remove(self) -> None:
        """mutagen would leave the file's old length in its header."""
        with self.path.open("rb+") as file:
            end = self._place(file)
            file.truncate(end)
            file.seek(12)
            file.write(struct.pack("<QQ", end, 0))

    def _outside(self, file: BinaryIO) -> Any:
        return digest_of(file, 28, self._place(file) or size_of(file))


def _was_streamed(file: BinaryIO) -> bool:
    """Whether a WAV file's lengths are what programs put there that could not go back to them."""
    head = read_at(file, 0, 8)
    if not head.startswith(b"RIFF"):
        return False
    if head[4:] in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        return True
    for name, start, _ in _chunks(file):
        if name == b"DATA":
            size = int.from_bytes(read_at(file, start - 4, 4), "little")
            return size >= 0x7FFFF000 and start + size > size_of(file)
    return False


def _info(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """The texts of this name in a RIFF file's LIST INFO."""
    place = 4
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        if name == wanted:
            yield data[place + 8 : place + 8 + size].rstrip(b"\0")
        place += 8 + size + size % 2


def _genres(frame: Any) -> list[str]:
    """Numbers as names; 255 is ID3's "none"."""
    # mutagen ends a name at a line break: it gets to see what stands in no text instead
    texts = [text.replace("\n", "\udfff") for text in frame.text if text.strip("()") != "255"]
    names = _id3.TCON(text=texts).genres if texts else []
    return [name.replace("\udfff", "\n") for name in names]


def _known_text(stored: bytes) -> str | None:
    """ASCII or UTF-8, perhaps cut off where ID3v1 has no more room; None if it is neither."""
    with suppress(UnicodeDecodeError):
        return stored.decode()
    if len(stored) >= 28:  # of a comment; the others have 30
        for end in (-1, -2, -3):
            with suppress(UnicodeDecodeError):
                text = stored[:end].decode()
                return None if text.isascii() else text  # one odd byte in it proves nothing
    return None


def _parsed_frame(version: int, frame: bytes) -> Any:
    """The frame if it is of a kind that our fields use, else None."""
    if frame[:4] not in (b"TCON", b"TMOO", b"TXXX"):
        return None
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    tag = b"ID3" + bytes([version, 0, 0]) + size + frame
    parsed = _id3.ID3(BytesIO(tag), load_v1=False, translate=False)
    return next(iter(parsed.values()), None)


def _rendered(frames: Iterable[Any], version: int) -> list[bytes]:
    """Parsed frames as bytes of this version."""
    plain: Any = _id3.ID3()
    for frame in frames:
        plain.add(frame)
    buffer = BytesIO()
    # v23_sep=None: several values stay several in 2.3 too, as everybody writes them, separated
    # by NUL. The default joins them with "/".
    plain.save(buffer, v1=0, v2_version=version, v23_sep=None)
    buffer.seek(0)
    tags = _id3.ID3(buffer, load_v1=False, translate=False, known_frames=_Verbatim())
    return list(tags.unknown_frames)


def _refuse_losses(tags: Any, tag: bytes) -> None:
    """mutagen skips what it does not understand, and takes what follows for padding.

    So the frames that it found must fill the tag: only zeros may follow, only
    frames of no length may lie between, which are forbidden and say nothing.
    """
    version, body = tags.version[1], tag[10:]
    if tags.f_unsynch and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    size_at, header = (slice(3, 6), 6) if version == 2 else (slice(4, 8), 10)
    place = 0
    if tags.f_extended:
        length = body[:4]
        place = synchsafe(length) if version == 4 else 4 + int.from_bytes(length, "big")
    for frame in [*tags.unknown_frames, b""]:
        while body[place : place + 1].strip(b"\0") and not (
            frame and body.startswith(frame, place)
        ):
            if body[place : place + header][size_at].strip(b"\0"):
                raise Refusal("bad_header", "its ID3 tag holds bytes that are no frames")
            place += header
        place += len(frame)
    if body[place:].strip(b"\0"):
        raise Refusal("bad_header", "its ID3 tag holds bytes that are no frames")


def _outermost(file: BinaryIO) -> tuple[str, int]:
    """Of a RIFF, FORM or FRM8 file: how the headers of chunks look, and where it says it ends."""
    layout = {b"RIFF": "<4sI", b"FORM": ">4sI", b"FRM8": ">4sQ"}[read_at(file, 0, 4)]
    header = struct.calcsize(layout)
    return layout, header + struct.unpack(layout, read_at(file, 0, header))[1]


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of a RIFF, FORM or FRM8 file's chunks; b"" is what follows the last."""
    layout, claimed_end = _outermost(file)
    end, place = min(size_of(file), claimed_end), struct.calcsize(layout) + 4
    for name, start, claimed in _claimed_chunks(file):
        yield name, start, min(claimed, end)
        place = claimed + claimed % 2
    yield b"", min(place, size_of(file)), size_of(file)


def _claimed_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the chunks, as their headers say."""
    layout, claimed_end = _outermost(file)
    header = struct.calcsize(layout)
    end = min(size_of(file), claimed_end)
    place = header + 4
    while place + header <= end:
        name, size = struct.unpack(layout, read_at(file, place, header))
        start = place + header
        yield name.strip().upper(), start, start + size
        place = start + size + size % 2


def _excess(file: BinaryIO) -> int:
    """By how much the file, or the chunk with our tag, says to be longer than it is."""
    end = _outermost(file)[1]
    of_ours = [e - min(end, size_of(file)) for n, _, e in _claimed_chunks(file) if n == b"ID3"]
    return max(0, end - size_of(file), *of_ours)
