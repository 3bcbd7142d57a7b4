"""Ogg: pages, and how long the sound is by their granule positions.

A granule position counts samples up to the end of a page. It need not begin at 0: in a radio
recording or a cut file the stream's start is its first position less the samples of the packets
up to there. Files may hold several streams side by side (a film) and behind each other (chained).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

from musictag.formats import flac
from musictag.formats.reading import read_at, size_of

_LONGEST_PAGE = 27 + 255 + 255 * 255
_FIRST, _CONTINUED = 2, 1


class Page(NamedTuple):
    """The header of one page, and where its content stands."""

    flags: int
    granule: int
    """Position at the end of the last packet that ends on it; -1 if none does."""
    serial: int
    lacing: bytes
    """Lengths of the pieces of packets on it; one under 255 ends a packet."""
    start: int
    """Where its content begins."""

    @property
    def end(self) -> int:
        return self.start + sum(self.lacing)

    @property
    def is_first(self) -> bool:
        """Whether a stream begins with it."""
        return bool(self.flags & _FIRST)


def page(file: IO[bytes], place: int) -> Page | None:
    """The page that begins at this place, or None; it may be cut short."""
    head = read_at(file, place, 27 + 255)
    if len(head) < 27 or not head.startswith(b"OggS\0"):
        return None
    flags, granule, serial = struct.unpack_from("<BqI", head, 5)
    n = head[26]
    return Page(flags, granule, serial, head[27 : 27 + n], place + 27 + n)


def pages(file: IO[bytes], place: int = 0) -> Iterator[Page]:
    """The pages from this place on, up to the first bytes that are none."""
    while found := page(file, place):
        yield found
        place = found.end


def ends_inside_a_page(file: IO[bytes]) -> bool:
    """Whether the file's last page is incomplete."""
    size = size_of(file)
    tail_start = max(0, size - 2 * _LONGEST_PAGE)
    tail = read_at(file, tail_start, 2 * _LONGEST_PAGE)
    start = tail.rfind(b"OggS\0")
    if start < 0:
        return False
    rest = tail[start:]
    if len(rest) < 27 or len(rest) < 27 + rest[26]:
        return True
    return len(rest) < 27 + rest[26] + sum(rest[27 : 27 + rest[26]])


def duration_s(file: IO[bytes]) -> float | None:
    """How long the sound lasts, by its pages' positions; None where they do not tell.

    Of one stream its first pages and its last one are read, of a chained file all headers.
    """
    if not (links := _links(file)):
        return None
    durations = [link.duration_s for link in links]
    return sum(duration for duration in durations if duration is not None) or None


def _links(file: IO[bytes]) -> list[_Stream]:
    """The streams of sound, behind each other."""
    first = _beginning(file)
    if first.stream is None:
        return []
    last = _last_positions(file, first.serials)
    if last is not None and (position := last.get(first.stream.serial)):
        first.stream.position = position
        return [first.stream]
    return _all_links(file)


class _Link:
    """Streams that begin together, and the one of sound among them."""

    def __init__(self) -> None:
        self.serials: set[int] = set()
        self.stream: _Stream | None = None

    def begin(self, file: IO[bytes], page: Page) -> None:
        self.serials.add(page.serial)
        if self.stream is None:
            self.stream = _stream(page.serial, read_at(file, page.start, sum(page.lacing)))


def _beginning(file: IO[bytes]) -> _Link:
    """The first link, read until its stream's start is known."""
    link = _Link()
    for page in pages(file):
        if page.is_first:
            link.begin(file, page)
        elif link.stream is None or (
            page.serial == link.stream.serial and link.stream.add(file, page)
        ):
            break
    return link


def _last_positions(file: IO[bytes], serials: set[int]) -> dict[int, int] | None:
    """Of each stream the last position near the file's end; None where other streams end it."""
    size = size_of(file)
    start = max(0, size - 2 * _LONGEST_PAGE)
    tail = read_at(file, start, size - start)
    found: dict[int, int] = {}
    place = tail.find(b"OggS\0")
    while place >= 0:
        if (here := page(file, start + place)) is None:
            break
        if here.serial not in serials:
            return None
        if here.granule > 0:
            found[here.serial] = here.granule
        place = tail.find(b"OggS\0", here.end - start)
    return found


def _all_links(file: IO[bytes]) -> list[_Stream]:
    """Every link of a chained file: all page headers are read."""
    links: list[_Link] = []
    beginning = False
    for page in pages(file):
        if page.is_first and not beginning:
            links.append(_Link())
        beginning = page.is_first
        if not links:
            break
        if page.is_first:
            links[-1].begin(file, page)
        elif (stream := links[-1].stream) is not None and page.serial == stream.serial:
            stream.add(file, page)
    return [link.stream for link in links if link.stream is not None]


# ---------------------------------------------------------------- codecs


def _stream(serial: int, packet: bytes) -> _Stream | None:
    """The stream that begins with this packet, if it is one of sound that we can count."""
    kinds: tuple[type[_Opus | _Vorbis | _Speex | _FLAC], ...] = (_Opus, _Vorbis, _Speex, _FLAC)
    for kind in kinds:
        if packet.startswith(kind.magic):
            try:
                return kind(serial, packet)
            except struct.error:
                return None
    return None


class _Stream:
    """One stream of sound: where it starts and how far it has got, in samples."""

    magic: bytes
    rate_hz: int
    n_headers: int
    """Packets in front of the sound."""
    n_skipped = 0
    """Samples at the start that are decoded and not played."""

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.start: int | None = None
        self.position = 0
        self._n_packets = 1
        self._packets: list[bytes] = []
        self._rest = b""

    @property
    def duration_s(self) -> float | None:
        if self.start is None or not self.rate_hz:
            return None
        n_samples = self.position - self.start - self.n_skipped
        return n_samples / self.rate_hz if n_samples > 0 else None

    def add(self, file: IO[bytes], page: Page) -> bool:
        """Count a page; whether the start is known now."""
        if self.start is None:
            self._collect(file, page)
            if page.granule >= 0 and self._packets:
                self.start = max(0, self._start(page.granule, self._packets))
                self._packets = []
        if page.granule > 0:
            self.position = page.granule
        return self.start is not None

    def _collect(self, file: IO[bytes], page: Page) -> None:
        """Keep the packets of sound that end on this page."""
        if not page.flags & _CONTINUED:
            self._rest = b""
        content, place = read_at(file, page.start, sum(page.lacing)), 0
        for length in page.lacing:
            self._rest += content[place : place + length]
            place += length
            if length == 255:
                continue
            self._n_packets += 1
            if self._n_packets > self.n_headers and self._is_sound(self._rest):
                self._packets.append(self._rest)
            self._rest = b""

    def _is_sound(self, packet: bytes) -> bool:
        return bool(packet)

    def _start(self, position: int, packets: list[bytes]) -> int:
        """The position before these packets, from that behind them."""
        raise NotImplementedError


class _Opus(_Stream):
    magic = b"OpusHead"
    rate_hz = 48_000
    n_headers = 2

    def __init__(self, serial: int, packet: bytes) -> None:
        super().__init__(serial)
        (self.n_skipped,) = struct.unpack_from("<H", packet, 10)

    def _start(self, position: int, packets: list[bytes]) -> int:
        return position - sum(map(_opus_samples, packets))


def _opus_samples(packet: bytes) -> int:
    """Samples at 48 kHz in an Opus packet, by its first bytes (RFC 6716, 3.1)."""
    configuration, count = packet[0] >> 3, packet[0] & 3
    if configuration < 12:
        per_frame = (480, 960, 1920, 2880)[configuration & 3]
    elif configuration < 16:
        per_frame = (480, 960)[configuration & 1]
    else:
        per_frame = 120 << (configuration & 3)
    n_frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[count]
    return per_frame * n_frames


class _Vorbis(_Stream):
    magic = b"\x01vorbis"
    n_headers = 3

    def __init__(self, serial: int, packet: bytes) -> None:
        super().__init__(serial)
        self.rate_hz, sizes = struct.unpack_from("<I12xB", packet, 12)
        self._longest = 1 << (sizes >> 4)

    def _start(self, position: int, packets: list[bytes]) -> int:
        """Only the setup header tells long packets from short ones, and that in its last bits.

        So: 0 unless the position proves otherwise, and then no earlier than it is.
        """
        most = (len(packets) - 1) * self._longest // 2  # the first one only prepares the next
        return position if position > most else 0


class _Speex(_Stream):
    magic = b"Speex   "

    def __init__(self, serial: int, packet: bytes) -> None:
        super().__init__(serial)
        (self.rate_hz,) = struct.unpack_from("<I", packet, 36)
        frame_size, _, n_frames, n_more = struct.unpack_from("<IIII", packet, 56)
        self.n_headers = 2 + min(n_more, 100)
        self._per_packet = int(frame_size * max(1, n_frames))

    def _start(self, position: int, packets: list[bytes]) -> int:
        return position - len(packets) * self._per_packet


class _FLAC(_Stream):
    magic = b"\x7fFLAC"
    n_headers = 1

    def __init__(self, serial: int, packet: bytes) -> None:
        super().__init__(serial)
        (rates,) = struct.unpack_from(">I", packet, 27)
        self.rate_hz = rates >> 12

    def _is_sound(self, packet: bytes) -> bool:
        return packet.startswith(b"\xff")  # else it is a block of metadata

    def _start(self, position: int, packets: list[bytes]) -> int:
        """Frames are counted by themselves; where they count from 0, as the position should."""
        sizes = [frame.n_samples for packet in packets if (frame := flac.frame(packet))]
        return position - sum(sizes)
