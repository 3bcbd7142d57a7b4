"""Every container that can be tagged, with empty tags or with full ones.

`FAMILIES` is the table. For Monkey's Audio, Musepack, TAK, OptimFROG, DSF, DSDIFF and
Speex there is no encoder here: their files are a header that names 44.1 kHz, two
channels and some length, followed by bytes in place of music. They cannot be
played, but their tags are real.
"""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.flac
import mutagen.id3
import mutagen.mp4
import mutagen.ogg
import sounds

from musictag import metadata

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


FAMILIES = {
    # row of sounds.CONTAINERS or containers.HEADERS: its column of metadata.KEYS when it is new
    "mp3": "ID3v2.4",
    "mp3-no-xing": "ID3v2.4",
    "flac": "Vorbis",
    "ogg": "Vorbis",
    "opus": "Vorbis",
    "ogg-flac": "Vorbis",
    "speex": "Vorbis",
    "wav": "ID3v2.4",
    "wav-float": "ID3v2.4",
    "aiff": "ID3v2.4",
    "dsf": "ID3v2.4",
    "dff": "ID3v2.4",
    "tta": "ID3v2.4",
    "m4a": "MP4",
    "m4a-alac": "MP4",
    "wma": "ASF",
    "wavpack": "APEv2",
    "ape": "APEv2",
    "mpc": "APEv2",
    "tak": "APEv2",
    "ofr": "APEv2",
}


@cache
def encoded(container: str) -> tuple[str, bytes]:
    if container in HEADERS:
        suffix, make = HEADERS[container]
        return suffix, make()
    with tempfile.TemporaryDirectory() as folder:
        path = sounds.make(Path(folder), container, seconds=0.3)
        tags = mutagen.File(path)
        if tags.tags:  # the encoder's own
            tags.delete()
        return path.suffix, path.read_bytes()


def track(folder: Path, container: str, *, before: bytes = b"", after: bytes = b"") -> Path:
    suffix, content = encoded(container)
    path = folder / f"track{suffix}"
    path.write_bytes(before + content + after)
    return path


# ---------------------------------------------------------------- what others write

PICTURE = bytes(range(256)) * 9


def decorate(path: Path) -> None:
    """Give the file a title, a field of another program and a picture or the like."""
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    tags = file.tags
    if isinstance(tags, mutagen.id3.ID3):
        for one in (
            mutagen.id3.TIT2(encoding=3, text=["Títle", "second"]),
            mutagen.id3.TDRC(encoding=3, text=["2004-05"]),
            mutagen.id3.TXXX(encoding=3, desc="Rating", text=["5"]),
            mutagen.id3.COMM(encoding=0, lang="eng", desc="", text=["a comment"]),
            mutagen.id3.APIC(encoding=0, mime="image/png", type=3, desc="front", data=PICTURE),
            mutagen.id3.APIC(encoding=0, mime="image/png", type=4, desc="back", data=PICTURE),
            mutagen.id3.CHAP(
                element_id="one",
                start_time=0,
                end_time=100,
                sub_frames=[mutagen.id3.TIT2(encoding=3, text=["Chapter"])],
            ),
            mutagen.id3.PRIV(owner="somebody", data=b"\0\1\2"),
        ):
            tags.add(one)
    elif isinstance(tags, mutagen.mp4.MP4Tags):
        tags["\xa9nam"] = ["Títle", "second"]
        tags["trkn"] = [(3, 12)]
        tags["cpil"] = True
        tags["covr"] = [mutagen.mp4.MP4Cover(PICTURE, 14)]
        tags["----:com.apple.iTunes:RATING"] = [b"5", mutagen.mp4.MP4FreeForm(b"\0\1", 0)]
        tags["----:org.somebody:MOOD"] = [b"not our name space"]
    elif isinstance(tags, mutagen.asf.ASFTags):
        tags["Title"] = "Títle"
        tags["WM/TrackNumber"] = 3
        tags["WM/IsCompilation"] = True
        tags["WM/Picture"] = [PICTURE, PICTURE * 40]
        tags["Somebody/Field"] = ["a", "b"]
    elif isinstance(tags, mutagen.apev2.APEv2):
        tags["Title"] = ["Títle", "second"]
        tags["Rating"] = "5"
        tags["Cover Art (Front)"] = mutagen.apev2.APEValue(PICTURE, mutagen.apev2.BINARY)
        tags["Link"] = mutagen.apev2.APEValue("http://example.org", mutagen.apev2.EXTERNAL)
    else:
        tags["TITLE"] = ["Títle", "second"]
        tags["Rating"] = ["5"]
        tags["METADATA_BLOCK_PICTURE"] = [PICTURE.hex() * 40]  # more than a page of Ogg
    if isinstance(file, mutagen.flac.FLAC):
        picture = mutagen.flac.Picture()
        picture.data, picture.mime, picture.desc = PICTURE, "image/png", "frönt"
        file.add_picture(picture)
        sheet = mutagen.flac.CueSheet(None)
        first = mutagen.flac.CueSheetTrack(1, 0)
        first.indexes.append(mutagen.flac.CueSheetTrackIndex(1, 0))
        sheet.tracks += [first, mutagen.flac.CueSheetTrack(170, 13_230)]
        file.cuesheet = sheet
        table = mutagen.flac.SeekTable(None)
        table.seekpoints.append(mutagen.flac.SeekPoint(0, 0, 4096))
        file.seektable = table
    file.save()


def decorations(path: Path) -> Any:
    """Everything that mutagen finds in a file except our own fields."""
    file = mutagen.File(path)
    ours = {key.upper() for family in metadata.KEYS.values() for key in family.values()}
    found = [] if file.tags is None else list(file.tags.keys())
    blocks = [
        (type(block).__name__, block.write())
        for block in getattr(file, "metadata_blocks", ())
        if block.code not in (1, 4)
    ]
    return {key: repr(file.tags[key]) for key in found if key.upper() not in ours}, blocks


def spelled_oddly(path: Path) -> None:
    """Write our fields as other programs do: other cases, numbers, doubles, odd encodings."""
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    tags = file.tags
    if isinstance(tags, mutagen.id3.ID3):
        tags.add(mutagen.id3.TCON(encoding=1, text=["(17)", "Pöp"]))
        tags.add(mutagen.id3.TXXX(encoding=1, desc="mood", text=["Fast", "Fast"]))
        tags.add(mutagen.id3.TXXX(encoding=0, desc="Mood", text=["Loud"]))
        tags.add(mutagen.id3.TXXX(encoding=3, desc="VOCALS", text=[" "]))
    elif isinstance(tags, mutagen.mp4.MP4Tags):
        tags["\xa9gen"] = ["Rock", "Rock", ""]
        tags["----:com.apple.iTunes:mood"] = [mutagen.mp4.MP4FreeForm(b"\0F\0a", 2)]
        tags["----:com.apple.iTunes:Mood"] = [b"Loud", mutagen.mp4.MP4FreeForm(b"\xff", 0)]
    elif isinstance(tags, mutagen.asf.ASFTags):
        tags["wm/genre"], tags["WM/Genre"] = ["Rock", "Pop"], ["Rock"]
        tags["WM/Mood"] = [mutagen.asf.ASFValue(b"Fast", mutagen.asf.BYTEARRAY), "Loud"]
        tags["musictag/vocals"] = [mutagen.asf.ASFValue("x", mutagen.asf.UNICODE, language=0)]
        tags["MUSICTAG/instrument"] = [mutagen.asf.ASFValue(True, mutagen.asf.BOOL)]
    elif isinstance(tags, mutagen.apev2.APEv2):
        tags["GENRE"] = ["Rock", "Rock", ""]
        tags["mood"] = mutagen.apev2.APEValue("http://mood", mutagen.apev2.EXTERNAL)
        tags["Vocals"] = mutagen.apev2.APEValue(b"\xff", mutagen.apev2.BINARY)
    else:
        tags.extend([("Genre", "Rock"), ("gEnRe", " "), ("Genre", "Rock"), ("Mood", "")])
    file.save()


# ---------------------------------------------------------------- ID3


def id3(version: int, *frames: bytes, padding: int = 64, flags: int = 0) -> bytes:
    """An ID3v2 tag with these frames; the version is 2, 3 or 4."""
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
    """An ID3v1.1 tag with track number 5."""
    texts = title.ljust(30, b"\0") + b"Artist".ljust(30, b"\0") + b"Album".ljust(30, b"\0")
    return b"TAG" + texts + b"1999" + comment.ljust(28, b"\0") + b"\0\5" + bytes([genre])


def splice(path: Path, *, before: bytes = b"", after: bytes = b"") -> Path:
    path.write_bytes(before + path.read_bytes() + after)
    return path
