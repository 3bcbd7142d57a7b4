"""Vorbis comments, in FLAC's metadata block and in Ogg's second packet."""

from __future__ import annotations

import hashlib
import struct
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, ClassVar

import mutagen.flac
import mutagen.ogg
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggspeex
import mutagen.oggvorbis

from musictag.metadata.family import (
    FIELDS,
    KEYS,
    Family,
    Snapshot,
    digest_of,
    read_at,
    size_of,
    synchsafe,
)

_ogg: Any = mutagen.ogg  # half typed, see id3.py


class _RawText(str):
    """For mutagen's Vorbis comments: a text that is written as these bytes, UTF-8 or not."""

    raw: bytes

    def __new__(cls, raw: bytes) -> _RawText:
        text = super().__new__(cls, raw.decode("utf-8", "replace"))
        text.raw = raw
        return text

    def encode(self, *_: str) -> bytes:
        return self.raw


class Vorbis(Family):
    """Vorbis comments: pairs of key and text, the key in any case, a pair for every value."""

    name = "Vorbis"

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:
        comments = [] if self.file.tags is None else _texts(self._block(file))[1:]
        return [(self._field(comment), comment) for comment in comments]

    @abstractmethod
    def _block(self, file: BinaryIO) -> bytes:
        """The comments as the file has them: mutagen would mend what is not UTF-8 in them."""

    @staticmethod
    def _field(comment: bytes) -> str | None:
        key = comment.partition(b"=")[0].upper()
        return next((field for field in FIELDS if KEYS["Vorbis"][field].encode() == key), None)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        return [raw.partition(b"=")[2].decode("utf-8", "replace") for raw in snapshot.raw(field)]

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        return [f"{KEYS['Vorbis'][field]}={value}".encode() for value in values]

    def _save(self) -> None:
        pairs = [comment.partition(b"=") for _, comment in self.entries]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError("a comment without a key")
        self.file.tags[:] = [(_RawText(key), _RawText(text)) for key, _, text in pairs]
        self.file.save(self.path, padding=self.padding)

    def _comments(self, block: bytes) -> Any:
        """Vendor and the pairs that are not ours, to be compared; one of our making is none."""
        vendor, *comments = _texts(block)
        others = [comment for comment in comments if self._field(comment) is None]
        return b"" if vendor.startswith(b"Mutagen ") else vendor, others


class FLAC(Vorbis):
    """Vorbis comments in a FLAC file's metadata block; an ID3 tag before or after it stays."""

    def _block(self, file: BinaryIO) -> bytes:
        blocks = self._blocks(file)
        return next(block for kind, block in blocks if kind == mutagen.flac.VCFLACDict.code)

    def _blocks(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """Kind and content of the metadata blocks; the file then stands at the first frame."""
        start = 0
        if (head := read_at(file, 0, 10)).startswith(b"ID3"):
            start = 10 + synchsafe(head[6:10])
        file.seek(start + 4)
        last = False
        while not last:
            (header,) = struct.unpack(">I", file.read(4))
            kind, size = divmod(header, 1 << 24)
            last = kind >= 0x80
            yield kind & 0x7F, file.read(size)

    def _remove(self) -> None:
        blocks = self.file.metadata_blocks
        blocks[:] = [block for block in blocks if block is not self.file.tags]
        self.file.save(
            self.path, padding=self.padding
        )  # mutagen's own way takes the padding out as well

    def _rest(self, file: BinaryIO) -> Any:
        blocks = list(self._blocks(file))
        end = file.tell()
        comments, others = None, []
        for kind, block in blocks:
            if kind == mutagen.flac.VCFLACDict.code and comments is None:
                comments = self._comments(block)
            elif kind != mutagen.flac.Padding.code:
                others.append((kind, block))
        start = read_at(file, 0, end).index(b"fLaC")
        return (
            digest_of(file, 0, start),
            others,
            comments or (b"", []),
            digest_of(file, end, size_of(file)),
        )


class Ogg(Vorbis):
    """Vorbis comments in the second packet of an Ogg stream, after that codec's magic."""

    magic: ClassVar[dict[Any, int]] = {
        mutagen.oggvorbis.OggVorbis: len(b"\x03vorbis"),
        mutagen.oggopus.OggOpus: len(b"OpusTags"),
        mutagen.oggflac.OggFLAC: 4,  # a FLAC block's header
        mutagen.oggspeex.OggSpeex: 0,
    }

    def _block(self, file: BinaryIO) -> bytes:
        pages, _ = self._first_pages(file)
        block = self._packets(pages)[0]
        self.size = len(block)
        return block

    def _first_pages(self, file: BinaryIO) -> tuple[list[Any], list[Any]]:
        """The pages that hold the comments, and the others that stand before their end."""
        pages: list[Any] = []
        others: list[Any] = []
        while not pages or not (pages[-1].complete or len(pages[-1].packets) > 1):
            page: Any = _ogg.OggPage(file)
            ours = page.serial == self.file.info.serial and not page.first
            (pages if ours else others).append(page)
        return pages, others

    def _packets(self, pages: list[Any]) -> list[bytes]:
        """The comments without that codec's magic, and what stands behind them on their pages."""
        packet, *more = _ogg.OggPage.to_packets(pages)
        return [packet[self.magic[type(self.file)] :], *more]

    def _rest(self, file: BinaryIO) -> Any:
        """Comments, then all other packets in a row: pages may have been cut and numbered anew.

        Of the pages' positions those count that tell a time; headers have none.
        """
        pages, others = self._first_pages(file)
        block, *more = self._packets(pages)
        sound = hashlib.blake2b(b"".join([*(b"".join(page.packets) for page in others), *more]))
        ends = [(page.serial, page.position) for page in others if page.position > 0]
        place = file.tell()
        with suppress(EOFError, _ogg.error):
            while True:
                page: Any = _ogg.OggPage(file)
                place = file.tell()
                sound.update(b"".join(page.packets))
                if page.position > 0:
                    ends.append((page.serial, page.position))
        return self._comments(block), sound.digest(), ends, digest_of(file, place, size_of(file))


def _texts(block: bytes) -> list[bytes]:
    """A Vorbis comment block's texts as bytes, the vendor's first."""
    place, texts = 0, []
    (length,) = struct.unpack_from("<I", block)
    (count,) = struct.unpack_from("<I", block, 4 + length)
    for index in range(1 + count):
        (length,) = struct.unpack_from("<I", block, place)
        texts.append(block[place + 4 : place + 4 + length])
        place += 4 + length + (4 if index == 0 else 0)  # the count stands after the vendor
    return texts
