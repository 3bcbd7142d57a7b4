"""Vorbis comments in the second packet of an Ogg stream."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import mutagen.flac
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggspeex
import mutagen.oggvorbis

from musictag.formats import ogg_pages
from musictag.formats.ogg_pages import CONTINUED, LAST, Page, page_at
from musictag.formats.reading import read_at, size_of
from musictag.metadata import edits
from musictag.metadata.edits import Edit, Piece, Row, Span, blocks_of, content, digest_of
from musictag.metadata.family import MOST_PADDING, Family, Tag
from musictag.metadata.vorbis import Comments

_MAGIC: dict[Any, bytes] = {
    mutagen.oggvorbis.OggVorbis: b"\x03vorbis",
    mutagen.oggopus.OggOpus: b"OpusTags",
    mutagen.oggflac.OggFLAC: b"",
    mutagen.oggspeex.OggSpeex: b"",
}
"""What the packet of comments begins with; in FLAC it is the header of a block."""


class PacketComments(Comments):
    """Comments in a packet that pages cut into pieces. Spans are places in the packet.

    Vorbis has a byte behind them that is 1, FLAC a block's header in front of them. Zeros behind
    them are padding; anything else there stays (in Opus it may mean something: RFC 7845, 5.2).
    """

    def __init__(self, header: Header, kind: Any) -> None:
        self.header = header
        self.is_flac = kind is mutagen.oggflac.OggFLAC
        self.is_vorbis = kind is mutagen.oggvorbis.OggVorbis
        self.prefix = _MAGIC[kind]
        self.magic = Span(0, 4 if self.is_flac else len(self.prefix))
        super().__init__(start=self.magic.end, end=header.lengths[0])

    def read(self, file: BinaryIO) -> None:
        packet = self.header.row.view(file)
        start = content(packet, self.magic)
        if (start[0] & 0x7F != _COMMENT_BLOCK) if self.is_flac else start != self.prefix:
            raise ValueError("its second packet holds no comments")
        place = self.parse(packet, self.start, self.end)
        self.framing = Span(place, place + self.is_vorbis)
        if self.is_vorbis and content(packet, self.framing)[:1] not in _FRAMED:
            raise ValueError("the comments do not end with a framing bit")
        self.more = Span(self.framing.end, self.end)
        self.is_padded = not self.is_flac and not any(
            block.strip(b"\0") for block in blocks_of(packet, *self.more)
        )

    def said(self, file: Any, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
        return super().said(self.header.row.view(file), wanted)

    def digests(self, file: BinaryIO) -> list[bytes]:
        packet = self.header.row.view(file)
        more = [] if self.is_padded else [digest_of(packet, *self.more)]
        return super().digests(packet) + more

    def packet(self, file: BinaryIO) -> list[Piece]:
        """The packet as it is to be; spans are places in the old one."""
        pieces = [*self.pieces(), self.framing]
        size = sum(map(len, pieces))
        if self.is_flac:
            kind = content(self.header.row.view(file), Span(0, 1))
            size += len(self.more)
            if size >= 1 << 24:
                raise ValueError("a metadata block of 16 MB or more")
            return [kind + size.to_bytes(3, "big"), *pieces, self.more]
        if not self.is_padded:
            return [self.magic, *pieces, self.more]
        return [self.magic, *pieces, bytes(self._n_padding(size, size_of(file)))]

    def _n_padding(self, size: int, file_size: int) -> int:
        """The comments keep their length, or get the one that they had before."""
        left = self.size - size
        if self.room is not None and 0 <= left - self.size + self.room <= MOST_PADDING:
            return left - self.size + self.room
        return left if left >= 0 else 1024 + (file_size - self.size) // 1000


_COMMENT_BLOCK = mutagen.flac.VCFLACDict.code
_FRAMED = [bytes([byte]) for byte in range(1, 256, 2)]


class Header:
    """The pages from the comments' beginning to their end, and the packets on them.

    Behind the comments other packets may begin on the last of these pages. `others` are the pages
    of the file up to there that hold something else.
    """

    def __init__(self, file: BinaryIO, serial: int) -> None:
        self.pages: list[Page] = []
        self.others: list[Page] = []
        place = 0
        while not self.pages or not self.pages[-1].ends_a_packet:
            page = page_at(file, place)
            if page is None:
                raise EOFError("its header is cut short")
            ours = page.serial == serial and not page.is_first
            (self.pages if ours else self.others).append(page)
            place = page.end
        self.end = place
        if self.pages[0].flags & CONTINUED:
            raise ValueError("its comments do not begin a page")
        self.row = Row([Span(page.start, page.end) for page in self.pages])
        self.lacing = [page.lacing for page in self.pages]
        self.lengths, self.goes_on = ogg_pages.packet_lengths(b"".join(self.lacing))

    @property
    def more(self) -> Span:
        """What stands behind the comments on their last page; a place in the row."""
        return Span(self.lengths[0], len(self.row))

    def with_packet(self, file: BinaryIO, packet: list[Piece]) -> tuple[Edit, int]:
        """The change of the file that makes this the first packet, and how many pages it adds."""
        if not all(page.is_sound(file) for page in self.pages):
            raise ValueError("its header is damaged: the checksum is wrong")
        lengths = [sum(map(len, packet)), *self.lengths[1:]]
        lacing = self.lacing if lengths == self.lengths else self._cut(lengths)
        stream = deque(found for piece in [*packet, self.more] for found in self.row.in_file(piece))
        pieces: list[Piece] = []
        place = self.pages[0].place
        for page in self._pages(lacing):
            held = _taken(stream, sum(page.lacing))
            pieces += [page.header(content(file, piece) for piece in held), *held]
        for page in self.others:
            if page.place > place:  # moved behind spans, so it can be none itself
                pieces.append(read_at(file, page.place, page.end - page.place))
        return Edit(place, self.end, pieces), len(lacing) - len(self.pages)

    def _cut(self, lengths: list[int]) -> list[bytes]:
        """Pages that are cut as those were that are there, if they were cut in a way we know."""
        for cut in (ogg_pages.full_pages, ogg_pages.small_pages):
            if cut(self.lengths, goes_on=self.goes_on) == self.lacing:
                return cut(lengths, goes_on=self.goes_on)
        return ogg_pages.full_pages(lengths, goes_on=self.goes_on)

    def _pages(self, lacing: list[bytes]) -> Iterator[Page]:
        """The new pages. They are headers: all positions are 0, but for that of the last end."""
        first, last = self.pages[0], self.pages[-1]
        last_end = max(n for n, laced in enumerate(lacing) if laced.strip(b"\xff"))
        flags = 0
        for number, laced in enumerate(lacing):
            page = Page(flags, 0, first.serial, first.sequence + number, laced, first.start)
            if not page.ends_a_packet:
                page = page._replace(granule=-1)
            if number == last_end:
                page = page._replace(granule=last.granule)
            if number == len(lacing) - 1:
                page = page._replace(flags=page.flags | last.flags & LAST)
            yield page._replace(sequence=page.sequence % _N_SEQUENCES)
            flags = 0 if page.is_complete else CONTINUED


def _taken(stream: deque[Piece], size: int) -> list[Piece]:
    """So many bytes from the front of a stream of pieces, which loses them."""
    taken: list[Piece] = []
    while size:
        piece = stream.popleft()
        if len(piece) > size:
            piece, rest = edits.parted(piece, size)
            stream.appendleft(rest)
        taken.append(piece)
        size -= len(piece)
    return taken


class Ogg(Family):
    """Vorbis comments of the first logical stream."""

    name = "Vorbis"
    orders = (("Vorbis",),)
    main: PacketComments

    def find(self, file: BinaryIO) -> dict[str, Tag]:
        file.seek(0)
        self.info = self.kind._Info(file)  # all of mutagen's file would hold a cover several times
        self.info._post_tags(file)
        self.header = Header(file, self.info.serial)
        return {"Vorbis": PacketComments(self.header, self.kind).loaded(file, self.fields)}

    def length_s(self, file: BinaryIO) -> float | None:  # noqa: ARG002
        return float(self.info.length)

    def write(self) -> None:
        with self.path.open("rb") as file:
            edit, n_more = self.header.with_packet(file, self.main.packet(file))
        edits.apply(self.path, [edit])
        if n_more:
            _count_on(self.path, self.header.end + edit.growth, self.info.serial, n_more)

    def compared(self, file: BinaryIO) -> Any:
        """The comments' other entries, the packets behind them, and all other pages.

        The pages of the comments may be cut anew, and those behind them numbered anew.
        """
        header = self.header
        digest = hashlib.blake2b(repr((header.lengths[1:], header.goes_on)).encode())
        last = header.pages[-1]
        digest.update(repr((last.granule, last.flags & LAST)).encode())
        digest.update(digest_of(header.row.view(file), *header.more))
        for page in header.others:
            digest.update(repr(page[:-1]).encode())
            digest.update(digest_of(file, page.start, page.end))
        place, n_before, size = header.end, last.sequence, size_of(file)
        while (page_here := page_at(file, place)) and page_here.end <= size:
            page = page_here
            if page.serial == self.info.serial:
                n_before = (
                    0 if page.is_first else n_before
                )  # another stream, with numbers of its own
                page = page._replace(sequence=(page.sequence - n_before) % _N_SEQUENCES)
            digest.update(repr(page[:-1]).encode())
            digest.update(digest_of(file, page.start, page.end))
            place = page.end
        return self.tag_digests(file), digest.digest(), digest_of(file, place, size)


def _count_on(path: Path, place: int, serial: int, n_more: int) -> None:
    """Add this to the numbers of the stream's pages from here on.

    A page that was damaged before keeps a checksum that says so.
    """
    with path.open("rb+") as file:
        for page in ogg_pages.pages(file, place):
            if page.serial != serial:
                continue
            if page.is_first:
                return
            sound = read_at(file, page.start, sum(page.lacing))
            moved = page._replace(sequence=(page.sequence + n_more) % _N_SEQUENCES).header([sound])
            if not page.is_sound(file):
                moved = moved[:22] + read_at(file, page.place + 22, 4) + moved[26:]
            file.seek(page.place)
            file.write(moved)


_N_SEQUENCES = 1 << 32
