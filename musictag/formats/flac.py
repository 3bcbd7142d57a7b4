"""FLAC frames, by which a stream without its header is told from others."""

from __future__ import annotations

from typing import NamedTuple


class Frame(NamedTuple):
    """A frame's header."""

    n_samples: int
    number: int
    """Number of the frame in the stream, or (`by_samples`) of its first sample."""
    by_samples: bool


_MOST_CHANNELS = 11
_SAMPLE_SIZES = {0, 1, 2, 4, 5, 6, 7}


def is_frame(data: bytes) -> bool:
    """Whether a FLAC frame begins here: its header has a checksum."""
    return frame(data) is not None


def frame(data: bytes) -> Frame | None:
    """The header of the FLAC frame that begins here, or None."""
    if len(data) < 16 or data[0] != 0xFF or data[1] & 0xFE != 0xF8 or data[3] & 1:
        return None
    size_code, rate_code = data[2] >> 4, data[2] & 15
    channels, sample_size = data[3] >> 4, data[3] >> 1 & 7
    if not size_code or rate_code == 15 or channels >= _MOST_CHANNELS:
        return None
    if sample_size not in _SAMPLE_SIZES:
        return None
    coded = _coded_number(data[4:])
    if coded is None:
        return None
    number, length = coded
    place = 4 + length
    if size_code in (6, 7):
        width = size_code - 5
        n_samples = int.from_bytes(data[place : place + width], "big") + 1
        place += width
    elif size_code == 1:
        n_samples = 192
    else:
        n_samples = 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    place += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if place >= len(data) or _crc8(data[:place]) != data[place]:
        return None
    return Frame(n_samples, number, bool(data[1] & 1))


def _coded_number(data: bytes) -> tuple[int, int] | None:
    """A number written as UTF-8 writes letters, up to 36 bits: the number and its length."""
    first = data[0]
    if first < 0x80:
        return first, 1
    length = 8 - (first ^ 0xFF).bit_length()
    if not 2 <= length <= 7:
        return None
    number = first & (0x7F >> length)
    for byte in data[1:length]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 0x3F
    return number, length


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x07 if value & 0x80 else 0)) & 0xFF
    return value
