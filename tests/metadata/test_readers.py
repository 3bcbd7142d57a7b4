"""Nothing that a reader showed may vanish: every container × the tags that it can carry.

`FILES` is the table. For each row the fields are written, and what TagLib, ffprobe and mutagen
show is compared with what they showed before; then the write is taken back, to the byte.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import readers
from containers import encoded, id3, id3v1, text

from musictag import metadata

pytestmark = pytest.mark.skipif(bool(readers.MISSING), reason=readers.MISSING)

TITLE, ARTIST, GENRE = "MyTitle", "MyArtist", "Polka"


# ---------------------------------------------------------------- tags, as others write them


def id3v2(version: int, genre: str | None) -> bytes:
    names = ("TT2", "TP1", "TCO") if version == 2 else ("TIT2", "TPE1", "TCON")
    values = (TITLE, ARTIST, *([genre] if genre else []))
    frames = [text(version, name, value) for name, value in zip(names, values, strict=False)]
    return id3(version, *frames, padding=0)


def apev2(genre: str | None, *, header: bool = True) -> bytes:
    values = {"Title": TITLE, "Artist": ARTIST, **({"Genre": genre} if genre else {})}
    items = b"".join(
        struct.pack("<II", len(value), 0) + key.encode() + b"\0" + value.encode()
        for key, value in values.items()
    )

    def end(flags: int) -> bytes:
        return b"APETAGEX" + struct.pack("<IIII", 2000, len(items) + 32, len(values), flags)

    head = end(0xA0000000) + bytes(8) if header else b""
    return head + items + end(0x80000000 if header else 0) + bytes(8)


def chunk(name: bytes, data: bytes, order: str = "<") -> bytes:
    return name + struct.pack(order + "I", len(data)) + data + bytes(len(data) % 2)


def info(genre: str | None, **more: str) -> bytes:
    values = {"INAM": TITLE, "IART": ARTIST, **({"IGNR": genre} if genre else {}), **more}
    texts = [chunk(key.encode(), value.encode() + b"\0") for key, value in values.items()]
    return chunk(b"LIST", b"INFO" + b"".join(texts))


def comments(genre: str | None) -> bytes:
    texts = [f"TITLE={TITLE}", f"ARTIST={ARTIST}", *([f"GENRE={genre}"] if genre else [])]
    vendor = struct.pack("<I", 4) + b"them"
    sized = b"".join(struct.pack("<I", len(t)) + t.encode() for t in texts)
    return vendor + struct.pack("<I", len(texts)) + sized


def atom(name: bytes, *data: bytes) -> bytes:
    inside = b"".join(data)
    return struct.pack(">I4s", 8 + len(inside), name) + inside


def value(of: str) -> bytes:
    return atom(b"data", struct.pack(">II", 1, 0) + of.encode())


def ilst(genre: str | None) -> bytes:
    items = [atom(b"\xa9nam", value(TITLE)), atom(b"\xa9ART", value(ARTIST))]
    return atom(b"ilst", *items, *([atom(b"\xa9gen", value(genre))] if genre else []))


def hdlr(kind: bytes) -> bytes:
    return atom(b"hdlr", bytes(8) + kind + bytes(13))


def keyed(genre: str | None) -> bytes:
    names = [b"title", b"artist", *([b"genre"] if genre else [])]
    values = [TITLE, ARTIST, *([genre] if genre else [])]
    keys = [struct.pack(">I4s", 8 + len(name), b"mdta") + name for name in names]
    numbered = [
        atom(number.to_bytes(4, "big"), value(text)) for number, text in enumerate(values, 1)
    ]
    counted = bytes(4) + struct.pack(">I", len(keys)) + b"".join(keys)
    return hdlr(b"mdta") + atom(b"keys", counted) + atom(b"ilst", *numbered)


def user_text(name: bytes, of: str) -> bytes:
    return atom(name, struct.pack(">HH", len(of), 0x55C4) + of.encode())


def attributes(genre: str | None, *, library: bool) -> tuple[bytes, bytes]:
    """Records of the extended content description and of the metadata library."""

    def utf16(of: str) -> bytes:
        return (of + "\0").encode("utf-16-le")

    pairs = [("WM/AlbumTitle", "MyAlbum"), *([("WM/Genre", genre)] if genre else [])]
    extended, long = b"", b""
    for name, of in pairs:
        key, data = utf16(name), utf16(of)
        sizes = struct.pack("<H", len(key)), struct.pack("<HH", 0, len(data))
        if library:
            long += struct.pack("<HHHHI", 0, 0, len(key), 0, len(data)) + key + data
        else:
            extended += sizes[0] + key + sizes[1] + data
    count = len(pairs).to_bytes(2, "little")
    return (b"\0\0", count + long) if library else (count + extended, b"\0\0")


# ---------------------------------------------------------------- into files


def riff(container: str, *chunks: bytes, behind: bytes = b"") -> bytes:
    """Chunks at the end of a RIFF or FORM file; those `behind` are not in its length."""
    content = encoded(container)[1]
    body = content[8:] + b"".join(chunks)
    order = "<" if content.startswith(b"RIFF") else ">"
    return content[:4] + struct.pack(order + "I", len(body)) + body + behind


def flac(*blocks: bytes) -> bytes:
    """Blocks of comments in place of all but the stream's properties."""
    content = encoded("flac")[1]
    place = 4
    while not content[place] & 0x80:
        place += 4 + int.from_bytes(content[place + 1 : place + 4], "big")
    sound = place + 4 + int.from_bytes(content[place + 1 : place + 4], "big")
    kinds = [(0, content[8:42]), *((4, block) for block in blocks)]
    headed = [
        bytes([kind | (number == len(kinds)) << 7]) + len(block).to_bytes(3, "big") + block
        for number, (kind, block) in enumerate(kinds, 1)
    ]
    return b"fLaC" + b"".join(headed) + content[sound:]


def mp4(*, udta: bytes = b"", moov: bytes = b"") -> bytes:
    """Atoms in the index of an MP4 file, which stands last, so that nothing else moves."""
    content = encoded("m4a")[1]
    place = content.index(b"moov") - 4
    assert place + int.from_bytes(content[place : place + 4], "big") == len(content)
    inside = content[place + 8 :]
    at = inside.find(b"udta") - 4
    if at >= 0:
        inside = inside[:at] + inside[at + int.from_bytes(inside[at : at + 4], "big") :]
    return content[:place] + atom(b"moov", inside, moov, atom(b"udta", udta) if udta else b"")


@cache
def _bare_asf() -> tuple[bytes, bytes, int]:
    """Objects of the header without its lists of attributes, the rest, and how many objects."""
    content = encoded("wma")[1]
    end = int.from_bytes(content[16:24], "little")
    place, kept, count = 30, b"", 0
    while place < end:
        size = int.from_bytes(content[place + 16 : place + 24], "little")
        if content[place : place + 4] not in (LISTS[0][:4], LISTS[1][:4], EXTENSION[:4]):
            kept += content[place : place + size]
            count += 1
        place += size
    return kept, content[end:], count


LISTS = tuple(
    bytes.fromhex(guid)
    for guid in ("40a4d0d207e3d21197f000a0c95ea850", "941c23449894d149a1411d134e457054")
)
EXTENSION = bytes.fromhex("b503bf5f2ea9cf118ee300c00c205365")


def asf(genre: str | None, *, library: bool) -> bytes:
    objects, sound, count = _bare_asf()
    extended, long = attributes(genre, library=library)

    def whole(guid: bytes, data: bytes) -> bytes:
        return guid + struct.pack("<Q", 24 + len(data)) + data

    inside = whole(LISTS[1], long)
    reserved = bytes.fromhex("11d2d3abbaa9cf118ee600c00c2053650600")
    extension = whole(EXTENSION, reserved + struct.pack("<I", len(inside)) + inside)
    objects += extension + whole(LISTS[0], extended)
    head = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
    head += struct.pack("<QI", 30 + len(objects), count + 2) + b"\1\2"
    return head + objects + sound


class Row(NamedTuple):
    suffix: str
    make: Callable[[], bytes]
    unseen: tuple[tuple[str, str], ...] = ()
    """Reader and field: this reader does not look into the tag that this file has, or its way of
    showing that field has no place there."""


FILES: dict[str, Row] = {}


def row(name: str, suffix: str, make: Callable[[], bytes], *unseen: tuple[str, str]) -> None:
    FILES[name] = Row(suffix, make, unseen)


GENRES = (None, GENRE)


def _ends(container: str, suffix: str) -> None:
    """ID3v2 before the sound, APEv2 and ID3v1 behind it, in every combination."""
    fronts = {"": None, "ID3v2.2": 2, "ID3v2.3": 3, "ID3v2.4": 4}
    if container in ("flac", "wavpack"):
        del fronts["ID3v2.2"]
    apes = ("", "APEv2") if container != "flac" else ("",)
    for front, ape, v1, genre in itertools.product(fronts, apes, ("", "ID3v1"), GENRES):
        tags = "+".join(filter(None, (front, ape, v1))) or "nothing"
        if tags == "nothing" and genre:
            continue
        version = fronts[front]

        def make(
            version: int | None = version, ape: str = ape, v1: str = v1, genre: str | None = genre
        ) -> bytes:
            before = id3v2(version, genre) if version else b""
            number = 255 if genre is None else 8
            v1_tag = id3v1(genre=number, title=TITLE.encode()) if v1 else b""
            return before + encoded(container)[1] + (apev2(genre) if ape else b"") + v1_tag

        unseen: list[tuple[str, str]] = []
        if v1:  # it holds no such field, and who looks at it first sees no other tag
            unseen += [("ffprobe", "MOOD"), ("ffprobe", "GENRE"), ("mutagen", "MOOD")]
        if container == "mp3" and ape and not front:
            unseen += [("ffprobe", "MOOD"), ("ffprobe", "GENRE")]
        if container == "wavpack" and front:
            unseen += itertools.product(readers.READERS, ("GENRE", "MOOD"))
        row(f"{container}: {tags}, {genre}", suffix, make, *unseen)


for _container, _suffix in (
    ("mp3", ".mp3"),
    ("tta", ".tta"),
    ("flac", ".flac"),
    ("wavpack", ".wv"),
):
    _ends(_container, _suffix)

for _genre in GENRES:
    _g = f", {_genre}"
    _v24, _v23 = id3v2(4, _genre), id3v2(3, _genre)
    _chunks: dict[str, tuple[bytes, ...]] = {
        "INFO": (info(_genre),),
        "INFO and more": (info(_genre, ISFT="Lavf", ICRD="1999", IPRD="Album", ITCH="me"),),
        "INFO twice": (info(_genre), info(_genre)),
        "id3": (chunk(b"id3 ", _v23),),
        "ID3": (chunk(b"ID3 ", _v24),),
        "INFO+id3": (info(_genre), chunk(b"id3 ", _v23)),
        "id3+INFO": (chunk(b"id3 ", _v24), info(_genre)),
    }
    for _name, _parts in _chunks.items():
        for _where in ("inside", "behind"):
            _kept = _parts if _where == "inside" else ()
            _after = b"".join(_parts) if _where == "behind" else b""
            row(
                f"wav: {_name} {_where}{_g}",
                ".wav",
                lambda kept=_kept, after=_after: riff("wav", *kept, behind=after),  # type: ignore[misc]
                ("ffprobe", "MOOD"),  # of several tags it shows INFO, which has no such field
                ("mutagen", "GENRE"),
                ("ffprobe", "GENRE") if _where == "behind" else ("", ""),
            )
    row(
        f"wav: INFO inside, id3 behind{_g}",
        ".wav",
        lambda g=_genre, t=_v23: riff("wav", info(g), behind=chunk(b"id3 ", t)),  # type: ignore[misc]
        ("ffprobe", "MOOD"),
    )
    for _name, _parts in {
        "ID3": (chunk(b"ID3 ", _v23, ">"),),
        "ID3 twice": (chunk(b"ID3 ", _v23, ">"), chunk(b"ID3 ", _v24, ">")),
        "names": (chunk(b"NAME", TITLE.encode(), ">"), chunk(b"AUTH", ARTIST.encode(), ">")),
        "names and ID3": (chunk(b"NAME", b"Other", ">"), chunk(b"ID3 ", _v24, ">")),
    }.items():
        for _where in ("inside", "behind"):
            _kept = _parts if _where == "inside" else ()
            _after = b"".join(_parts) if _where == "behind" else b""
            row(
                f"aiff: {_name} {_where}{_g}",
                ".aiff",
                lambda kept=_kept, after=_after: riff("aiff", *kept, behind=after),  # type: ignore[misc]
            )
    _block = comments(_genre)
    for _name, _blocks in {"once": (_block,), "twice": (_block, _block)}.items():
        for _before, _tag in {"": b"", " behind ID3": _v23}.items():
            for _behind, _v1 in {"": b"", " before ID3v1": id3v1(genre=8)}.items():
                row(
                    f"flac: comments {_name}{_before}{_behind}{_g}",
                    ".flac",
                    lambda t=_tag, b=_blocks, v=_v1: t + flac(*b) + v,  # type: ignore[misc]
                )
    row(
        f"flac: empty comments behind ID3{_g}",
        ".flac",
        lambda t=_v23: t + flac(struct.pack("<I4sI", 4, b"them", 0)),  # type: ignore[misc]
    )
    _itunes = hdlr(b"mdir") + ilst(_genre)
    for _name, (_udta, _moov) in {
        "iTunes": (atom(b"meta", bytes(4), _itunes), b""),
        "iTunes without version": (atom(b"meta", _itunes), b""),
        "iTunes twice": (atom(b"meta", bytes(4), _itunes) * 2, b""),
        "keys": (b"", atom(b"meta", keyed(_genre))),
        "keys with version": (b"", atom(b"meta", bytes(4), keyed(_genre))),
        "keys and iTunes": (atom(b"meta", bytes(4), _itunes), atom(b"meta", keyed(_genre))),
        "keys in user data": (atom(b"meta", bytes(4), keyed(_genre)), b""),
        "texts of user data": (
            user_text(b"\xa9nam", TITLE) + (user_text(b"\xa9gen", _genre) if _genre else b""),
            b"",
        ),
        "texts and iTunes": (
            user_text(b"\xa9nam", TITLE)
            + (user_text(b"\xa9gen", _genre) if _genre else b"")
            + atom(b"meta", bytes(4), _itunes),
            b"",
        ),
        "a list without genre": (atom(b"meta", bytes(4), hdlr(b"mdir"), atom(b"ilst")), b""),
    }.items():
        row(
            f"m4a: {_name}{_g}",
            ".m4a",
            lambda u=_udta, m=_moov: mp4(udta=u, moov=m),  # type: ignore[misc]
            *(
                [("mutagen", "GENRE"), ("mutagen", "MOOD")]
                if _name == "iTunes without version"
                else []
            ),
        )
    for _library in (False, True):
        row(
            f"wma: {'metadata library' if _library else 'extended description'}{_g}",
            ".wma",
            lambda g=_genre, long=_library: asf(g, library=long),  # type: ignore[misc]
        )
for _container in ("ogg", "opus", "ogg-flac", "speex", "wav", "aiff", "m4a", "wma", "dff", "dsf"):
    row(
        f"{_container}: nothing",
        encoded(_container)[0],
        lambda container=_container: encoded(container)[1],  # type: ignore[misc]
        *([("ffprobe", "GENRE"), ("ffprobe", "MOOD")] if _container == "dff" else []),
    )

WRITES = {
    "one genre": {"GENRE": ("Rock",)},
    "genres and a mood": {"GENRE": ("Rock", "Metal"), "MOOD": ("Slow",)},
}


def test_the_table_is_not_small() -> None:
    assert len(FILES) >= 150


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("name", FILES)
def test_no_reader_loses_a_value(tmp_path: Path, name: str, write: str) -> None:
    invariant(tmp_path, name, write, program=False)


FEW = [next(name for name in FILES if name.startswith(c)) for c in ("mp3", "flac", "wav", "m4a")]


@pytest.mark.parametrize("name", FEW)
def test_no_reader_loses_a_value_to_ffprobe(tmp_path: Path, name: str) -> None:
    invariant(tmp_path, name, "genres and a mood", program=True)


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("name", FILES)
def test_no_reader_loses_a_value_to_ffprobe_of_all(tmp_path: Path, name: str, write: str) -> None:
    invariant(tmp_path, name, write, program=True)


def invariant(tmp_path: Path, name: str, write: str, *, program: bool) -> None:
    suffix, make, unseen = FILES[name]
    path = tmp_path / f"track{suffix}"
    path.write_bytes(make())
    original, before = path.read_bytes(), readers.views(path, program=program)
    snapshot = metadata.snapshot(path)
    if name.endswith(GENRE) and b"Polka" in original.replace(b"\0", b""):
        assert metadata.read(path)["GENRE"] in (("Polka",), ("Jazz",))
    written = metadata.write(path, WRITES[write])
    assert written is not None
    after = readers.views(path, program=program)
    assert readers.lost(before, after) == []
    assert readers.wrong(before, after, WRITES[write], unseen=unseen) == []
    for stale in (b"Polka", "Polka".encode("utf-16-le")):
        assert stale not in path.read_bytes()
    metadata.restore(path, snapshot, expected=written.after)
    assert path.read_bytes() == original
