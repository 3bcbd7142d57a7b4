"""Streams of sound in Ogg: where each starts and ends, in samples, by its codec's packets."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import IO

from musictag.formats import flac
from musictag.formats.ogg_pages import CONTINUED, Page, packet_lengths
from musictag.formats.reading import read_at

_COMMENTS = 1
"""Number of the packet of comments, from 0: covers may make it long, and nobody needs it here."""


def stream_of(serial: int, packet: bytes) -> Stream | None:
    """The stream that begins with this packet, if it is one of sound that we can count."""
    kinds: tuple[type[_Opus | _Vorbis | _Speex | _FLAC], ...] = (_Opus, _Vorbis, _Speex, _FLAC)
    for kind in kinds:
        if packet.startswith(kind.magic):
            try:
                return kind(serial, packet)
            except struct.error:
                return None
    return None


class Stream:
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
        self._rest: list[bytes] = []
        """Pieces of a packet that goes on."""

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
        if not page.flags & CONTINUED:
            self._rest = []
        content = read_at(file, page.start, sum(page.lacing))
        lengths, goes_on = packet_lengths(page.lacing)
        place = 0
        for number, length in enumerate(lengths):
            if self._n_packets != _COMMENTS:
                self._rest.append(content[place : place + length])
            place += length
            if goes_on and number == len(lengths) - 1:
                break
            self._n_packets += 1
            packet = b"".join(self._rest)
            self._rest = []
            if self._is_sound(packet) and self._n_packets > self.n_headers:
                self._packets.append(packet)

    def _is_sound(self, packet: bytes) -> bool:
        return bool(packet)

    def _start(self, position: int, packets: list[bytes]) -> int:
        """The position before these packets, from that behind them."""
        raise NotImplementedError


class _Opus(Stream):
    magic = b"OpusHead"
    rate_hz = 48_000
    n_headers = 2

    def __init__(self, serial: int, packet: bytes) -> None:
        super().__init__(serial)
        self.n_skipped = int.from_bytes(packet[10:12], "little")

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


class _Vorbis(Stream):
    magic = b"\x01vorbis"
    n_headers = 3

    def __init__(self, serial: int, packet: bytes) -> None:
        super().__init__(serial)
        self.rate_hz, sizes = struct.unpack_from("<I12xB", packet, 12)
        self._sizes: tuple[int, int] = 1 << (sizes & 15), 1 << (sizes >> 4)
        self._modes: list[int] = []

    def _is_sound(self, packet: bytes) -> bool:
        if packet.startswith(b"\x05vorbis"):
            self._modes = _vorbis_modes(packet)
        return not packet[:1] or not packet[0] & 1  # else a header

    def _start(self, position: int, packets: list[bytes]) -> int:
        mask = (1 << (len(self._modes) - 1).bit_length()) - 1
        sizes = [
            self._sizes[self._modes[mode]]
            for packet in packets
            if packet and (mode := packet[0] >> 1 & mask) < len(self._modes)
        ]
        return position - sum((one + next_one) // 4 for one, next_one in pairwise(sizes))


def _vorbis_modes(setup: bytes) -> list[int]:
    """Whether each mode's packets are long (1) or short (0), from the setup header.

    The modes stand last in it, behind tables of any length: they are found from the end, where
    a bit that is set marks it. Of each mode: 8 bits for its mapping, below 64, 32 bits that are
    zero, and the bit we want in front of them; in front of all modes, 6 bits count them.
    """
    bits = int.from_bytes(setup, "little")
    place = bits.bit_length() - 1
    flags: list[int] = []
    found: list[int] = []
    while place > 97 and len(flags) < 64:
        if bits >> (place - 8) & 0xFF > 63 or bits >> (place - 40) & 0xFFFFFFFF:
            break
        place -= 41
        flags.insert(0, bits >> place & 1)
        if bits >> (place - 6) & 63 == len(flags) - 1:
            found = flags.copy()
    return found


class _Speex(Stream):
    magic = b"Speex   "

    def __init__(self, serial: int, packet: bytes) -> None:
        super().__init__(serial)
        (self.rate_hz,) = struct.unpack_from("<I", packet, 36)
        frame_size, _, n_frames, n_more = struct.unpack_from("<IIII", packet, 56)
        self.n_headers = 2 + min(n_more, 100)
        self._per_packet = int(frame_size * max(1, n_frames))

    def _start(self, position: int, packets: list[bytes]) -> int:
        return position - len(packets) * self._per_packet


class _FLAC(Stream):
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
