"""Files that no encoder here can make, and ID3 tags byte by byte.

Monkey's Audio, Musepack, TAK, OptimFROG, DSF, DSDIFF and Speex: a header that
names 44.1 kHz, two channels and some length, then bytes that stand for the
music. Nobody could play them; their tags are real.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen.ogg

MUSIC = random.Random(1).randbytes(3000).replace(b"TAG", b"tag")


def _ape() -> bytes:
    header = b"MAC " + struct.pack("<H", 3990) + bytes(50)
    return header + struct.pack("<IIIHHI", 73_728, 1000, 3, 16, 2, 44_100) + MUSIC


def _mpc() -> bytes:
    return b"MP+\x07" + struct.pack("<II", 100, 0) + bytes(20) + MUSIC


def _ofr() -> bytes:
    return b"OFR " + struct.pack("<IIHBBI", 15, 88_200, 0, 2, 1, 44_100) + bytes(56) + MUSIC


def _tak() -> bytes:
    bits = 0
    place = 0
    for value, width in (
        (0, 6),
        (0, 4),
        (0, 4),
        (44_100, 35),
        (0, 3),
        (38_100, 18),
        (8, 5),
        (1, 4),
    ):
        bits |= value << place  # codec, profile, frame size, samples, type, rate, depth, channels
        place += width
    information = bits.to_bytes(10, "little") + bytes(3)
    return b"tBaK\x01" + struct.pack("<I", 13)[:3] + information + b"\0\0\0\0" + MUSIC


def _dsf() -> bytes:
    music = MUSIC[:2048]
    data = b"data" + struct.pack("<Q", 12 + len(music)) + music
    form = b"fmt " + struct.pack("<QIIIIIIQII", 52, 1, 0, 2, 2, 2_822_400, 1, 8192, 4096, 0)
    return b"DSD " + struct.pack("<QQQ", 28, 28 + len(form) + len(data), 0) + form + data


def _dff() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack(">Q", len(data)) + data

    properties = b"SND " + chunk(b"FS  ", struct.pack(">I", 2_822_400))
    properties += chunk(b"CHNL", struct.pack(">H", 2) + b"SLFTSRGT") + chunk(b"CMPR", b"DSD \0\0")
    body = b"DSD " + chunk(b"FVER", b"\1\5\0\0") + chunk(b"PROP", properties)
    return chunk(b"FRM8", body + chunk(b"DSD ", MUSIC))


def _spx() -> bytes:
    head = b"Speex   ".ljust(28, b"1") + bytes(8) + struct.pack("<IIIIi", 16_000, 1, 4, 1, -1)
    pages = []
    packets = (head.ljust(80, b"\0"), struct.pack("<I4sI", 4, b"test", 0), MUSIC)
    for number, packet in enumerate(packets):
        page: Any = mutagen.ogg.OggPage()
        page.packets, page.serial, page.sequence = [packet], 7, number
        page.first, page.last, page.position = number == 0, number == 2, 320 * (number == 2)
        pages.append(page.write())
    return b"".join(pages)


HEADERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "ape": (".ape", _ape),
    "mpc": (".mpc", _mpc),
    "tak": (".tak", _tak),
    "ofr": (".ofr", _ofr),
    "dsf": (".dsf", _dsf),
    "dff": (".dff", _dff),
    "speex": (".spx", _spx),
}


# ---------------------------------------------------------------- ID3


def id3(version: int, *frames: bytes, padding: int = 64, flags: int = 0) -> bytes:
    """An ID3v2 tag of these frames; version 2, 3 or 4."""
    body = b"".join(frames) + bytes(padding)
    return b"ID3" + bytes([version, 0, flags]) + synchsafe(len(body)) + body


def frame(version: int, name: str, data: bytes, *, flags: int = 0) -> bytes:
    if version == 2:
        return name.encode() + len(data).to_bytes(3, "big") + data
    size = synchsafe(len(data)) if version == 4 else struct.pack(">I", len(data))
    return name.encode() + size + struct.pack(">H", flags) + data


def text(version: int, name: str, value: str) -> bytes:
    """A text frame in Latin-1; TXXX as "description\\0value"."""
    return frame(version, name, b"\0" + value.encode("latin-1"))


def synchsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3v1(*, genre: int = 17, title: bytes = b"Title", comment: bytes = b"a comment") -> bytes:
    """ID3v1.1 with track number 5."""
    texts = title.ljust(30, b"\0") + b"Artist".ljust(30, b"\0") + b"Album".ljust(30, b"\0")
    return b"TAG" + texts + b"1999" + comment.ljust(28, b"\0") + b"\0\5" + bytes([genre])


def splice(path: Path, *, before: bytes = b"", after: bytes = b"") -> Path:
    path.write_bytes(before + path.read_bytes() + after)
    return path
