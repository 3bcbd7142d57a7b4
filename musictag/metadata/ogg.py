"""Vorbis comments in the second packet of an Ogg stream."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import mutagen
import mutagen.ogg
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggspeex
import mutagen.oggvorbis

from musictag.formats.reading import size_of
from musictag.metadata.edits import content, digest_of
from musictag.metadata.family import MOST_PADDING, Family, Tag
from musictag.metadata.vorbis import Comments

_ogg: Any = mutagen.ogg  # half typed, see id3v2.py


class _RawText(str):
    """For mutagen's Vorbis comments: a text that is written as these bytes, UTF-8 or not."""

    raw: bytes

    def __new__(cls, raw: bytes) -> _RawText:
        text = super().__new__(cls, raw.decode("utf-8", "replace"))
        text.raw = raw
        return text

    def encode(self, *_: str) -> bytes:
        return self.raw


class PacketComments(Comments):
    """Comments that are held in memory: pages cut them into pieces. Spans are places in them."""

    def __init__(self, packet: bytes) -> None:
        super().__init__(end=len(packet))
        self.packet = packet

    def read(self, file: BinaryIO) -> None:  # noqa: ARG002
        self.parse(BytesIO(self.packet), 0, len(self.packet))

    def said(self, file: Any, wanted: Collection[str]) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        return super().said(BytesIO(self.packet), wanted)

    def digests(self, file: BinaryIO) -> list[bytes]:  # noqa: ARG002
        return super().digests(BytesIO(self.packet))

    def texts_to_write(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and text of each comment."""
        packet = BytesIO(self.packet)
        for _, entry in self.entries:
            key, equals, text = content(packet, entry).partition(b"=")
            if not equals:
                raise ValueError("a comment without a key")
            yield key, text


class Ogg(Family):
    """Vorbis comments of the first logical stream, after that codec's magic.

    Pages are cut anew and numbered by mutagen.
    """

    name = "Vorbis"
    orders = (("Vorbis",),)
    magic: ClassVar[dict[Any, int]] = {
        mutagen.oggvorbis.OggVorbis: len(b"\x03vorbis"),
        mutagen.oggopus.OggOpus: len(b"OpusTags"),
        mutagen.oggflac.OggFLAC: 4,  # a FLAC block's header
        mutagen.oggspeex.OggSpeex: 0,
    }

    def __init__(self, path: Path, kind: Any) -> None:
        self.info = kind(path).info
        super().__init__(path, kind)

    def find(self, file: BinaryIO) -> dict[str, Tag]:
        pages, _ = self._first_pages(file)
        self.main: PacketComments = PacketComments(self._packets(pages)[0])
        return {"Vorbis": self.main.loaded(file)}

    def length_s(self, file: BinaryIO) -> float | None:  # noqa: ARG002
        return float(self.info.length)

    def _first_pages(self, file: BinaryIO) -> tuple[list[Any], list[Any]]:
        """The pages that hold the comments, and the others that stand before their end."""
        pages: list[Any] = []
        others: list[Any] = []
        file.seek(0)
        while not pages or not (pages[-1].complete or len(pages[-1].packets) > 1):
            page: Any = _ogg.OggPage(file)
            ours = page.serial == self.info.serial and not page.first
            (pages if ours else others).append(page)
        return pages, others

    def _packets(self, pages: list[Any]) -> list[bytes]:
        """The comments without that codec's magic, and what stands behind them on their pages."""
        packet, *more = _ogg.OggPage.to_packets(pages)
        return [packet[self.magic[self.kind] :], *more]

    def write(self) -> None:
        file = self.kind(self.path)
        texts = self.main.texts_to_write()
        file.tags[:] = [(_RawText(key), _RawText(text)) for key, text in texts]
        file.save(self.path, padding=self._padding)

    def _padding(self, info: mutagen.PaddingInfo) -> int:
        """The comments keep their length, or get the one that they had before."""
        room = self.main.room
        if room is not None and 0 <= info.padding - self.main.size + room <= MOST_PADDING:
            return info.padding - self.main.size + room
        return info.padding if info.padding >= 0 else int(info.get_default_padding())

    def compared(self, file: BinaryIO) -> Any:
        """Comments, then all other packets in a row: pages may have been cut and numbered anew.

        Of the pages' positions those count that tell a time; headers have none.
        """
        pages, others = self._first_pages(file)
        _, *more = self._packets(pages)
        sound = hashlib.blake2b()
        for data in (*(packet for page in others for packet in page.packets), *more):
            sound.update(data)
        ends = [(page.serial, page.position) for page in others if page.position > 0]
        place = file.tell()
        with suppress(EOFError, _ogg.error):
            while True:
                page: Any = _ogg.OggPage(file)
                place = file.tell()
                sound.update(b"".join(page.packets))
                if page.position > 0:
                    ends.append((page.serial, page.position))
        rest = digest_of(file, place, size_of(file))
        return self.tag_digests(file), sound.digest(), ends, rest
