"""Fields, files and failures that the tests of metadata share."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import containers
import mutagen.apev2
import mutagen.mp4
import pytest
import sounds
from containers import FAMILIES, PICTURE, frame, text, track

from musictag import metadata

NOTHING: dict[str, tuple[str, ...]] = dict.fromkeys(metadata.FIELDS, ())
FULL = {
    "GENRE": ("Rock", "Choral"),
    "MOOD": ("Slow",),
    "INSTRUMENT": ("Piano", "Harp", "Sitar"),
    "VOCALS": ("Female",),
}
every_container = pytest.mark.parametrize("container", FAMILIES)
one_of_each_family = pytest.mark.parametrize("container", ["mp3", "flac", "m4a", "wma", "ape"])


def sound_of(path: Path) -> bytes:
    """The digest of a file's packets; of an unplayable file, the bytes in place of its music."""
    digest = hashlib.sha256()
    content = path.read_bytes()
    if containers.MUSIC[:2048] in content:
        return containers.MUSIC if containers.MUSIC in content else containers.MUSIC[:2048]
    # some tests write what is not UTF-8, which PyAV takes without being told from 19 on
    lenient = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
    with av.open(path, **lenient) as opened:
        for packet in opened.demux(audio=0):
            digest.update(bytes(packet))
    return digest.digest()


def fields(**values: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {**NOTHING, **values}


def broken_versions(content: bytes) -> list[bytes]:
    """The content with damaged headers, which must be noticed and not repaired."""
    if b"ID3\x04" in content:
        tag = content.index(b"ID3\x04")
        frame_end = tag + 10 + content[tag:].index(b"TDRC") - 10
        return [
            content[: tag + 6] + b"\xff" + content[tag + 7 :],  # a size that is none
            content[: tag + 3] + b"\x07" + content[tag + 4 :],  # ID3v2.7
            content[:frame_end] + b"\xfe" * 9 + content[frame_end + 9 :],  # frames cut by junk
        ]
    if content.startswith(b"OggS"):
        comment = content.index("Títle".encode()) - len("TITLE=") - 4
        return [
            content[:comment] + b"\xff\xff\xff\x0f" + content[comment + 4 :],
        ]
    if content.startswith(b"fLaC"):
        vendor = content.index(b"Lavf") if b"Lavf" in content else content.index(b"Mutagen")
        block = vendor - 7  # the comment block's size
        return [
            content[:5] + b"\xff" + content[6:],
            content[:30],
            content[:block] + b"\xff\xff\xff" + content[block + 3 :],  # mutagen looks past it
        ]
    if content[4:8] == b"ftyp":
        ilst = content.index(b"ilst")
        return [
            content[: ilst + 4] + b"\xff" + content[ilst + 5 :],
            content[: ilst + 4] + b"\0\0\0\2" + content[ilst + 8 :],
            content[:200],
        ]
    if content.startswith(b"\x30\x26\xb2\x75"):
        return [content[:40] + b"\0" * 16 + content[56:], content[:500]]
    footer = len(content) - 32
    return [
        content[: footer + 12] + b"\xff\xff\xff\x7f" + content[footer + 16 :],  # size
        content[: footer + 12] + b"\x28\0\0\0" + content[footer + 16 :],  # half an item
        content[: footer + 16] + b"\1\0\0\0" + content[footer + 20 :],  # fewer items than are there
    ]


def raw(snapshot: metadata.Snapshot) -> tuple[Any, ...]:
    """Everything in a snapshot, also what a comparison ignores; only padding may differ."""
    return dataclasses.astuple(dataclasses.replace(snapshot, size=0))


def mp3(folder: Path, *, before: bytes = b"", after: bytes = b"") -> Path:
    return track(folder, "mp3", before=before, after=after)


def raw_frames(path: Path) -> dict[str, bytes]:
    """Frames of an ID3v2.3 or 2.4 tag with sizes below 128, read by a parser of three lines."""
    content, place, found = path.read_bytes(), 10, {}
    while content[place : place + 4].strip(b"\0").isalnum():
        size = int.from_bytes(content[place + 4 : place + 8], "big")
        found[content[place : place + 4].decode()] = content[place + 10 : place + 10 + size]
        place += 10 + size
    return found


TITLE = {v: text(v, "TT2" if v == 2 else "TIT2", "Title") for v in (2, 3, 4)}


def apev2(folder: Path, **items: str) -> bytes:
    beside = folder / "beside"
    tags = mutagen.apev2.APEv2()
    tags.update(items)
    tags.save(beside)
    content = beside.read_bytes()
    beside.unlink()
    return content


def with_chunk(path: Path, name: bytes, data: bytes) -> Path:
    body = path.read_bytes()[8:] + struct.pack("<4sI", name, len(data)) + data
    body += bytes(len(data) % 2)
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    return path


def frame_set(version: int) -> dict[str, bytes]:
    """Frames that listeners would miss, in this version of ID3."""
    replay = "REPLAYGAIN_TRACK_GAIN\0-7.30 dB"
    return {
        "front cover": frame(version, "APIC", b"\0image/png\0\3front\0" + PICTURE[:99]),
        "back cover": frame(version, "APIC", b"\0image/jpeg\0\4back\0" + PICTURE[:90]),
        "chapter": frame(
            version, "CHAP", b"c1\0" + bytes(8) + b"\xff" * 8 + text(version, "TIT2", "One")
        ),
        "table of contents": frame(version, "CTOC", b"toc\0\3\1c1\0"),
        "lyrics": frame(version, "USLT", b"\0engwords\0la la"),
        "lyrics in another language": frame(version, "USLT", b"\0fram\0tra la"),
        "lyrics with times": frame(version, "SYLT", b"\0eng\2\1\0la\0\0\0\0\5"),
        "rating": frame(version, "POPM", b"me@example.org\0\xc4\0\0\0\7"),
        "play counter": frame(version, "PCNT", b"\0\0\0\x2a"),
        "object": frame(version, "GEOB", b"\0text/plain\0file\0what\0content"),
        "private": frame(version, "PRIV", b"somebody\0\0\1\2"),
        "TXXX of others": text(version, "TXXX", "Songs-DB_Occasion\0Party"),
        "ReplayGain": text(version, "TXXX", replay),
        "gain as a frame": frame(version, "RVA2" if version == 4 else "RVAD", b"t\0\1\xff\0\0"),
        "MusicBrainz": text(version, "TXXX", "MusicBrainz Album Id\0f2c2-4e"),
        "MusicBrainz recording": frame(version, "UFID", b"http://musicbrainz.org\0f2c2"),
        "sort names": text(version, "TSOP", "Name, Sort") + text(version, "TSOA", "Album"),
        "compilation": text(version, "TCMP", "1"),
        "podcast": frame(version, "PCST", bytes(4)),
    }


def rendered(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), name) + data


def with_atoms(path: Path, atoms: bytes) -> Path:
    """Put these into the iTunes list of an MP4 file, in place of a text of the same length."""
    mp4 = mutagen.mp4.MP4(path)
    if mp4.tags is None:
        mp4.add_tags()
    mp4["\xa9cmt"] = "x" * (len(atoms) - 24)
    mp4.save()
    content = path.read_bytes()
    old = rendered(b"\xa9cmt", rendered(b"data", b"\0\0\0\1\0\0\0\0" + b"x" * (len(atoms) - 24)))
    assert len(old) == len(atoms)
    assert old in content
    path.write_bytes(content.replace(old, atoms))
    return path


def fragmented(folder: Path, flags: str) -> Path:
    path = folder / "track.m4a"
    with av.open(path, "w", format="mp4", options={"movflags": flags}) as output:
        stream = output.add_stream("aac", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(
            sounds.chord(2).reshape(1, -1), format="flt", layout="stereo"
        )
        frame.sample_rate = 44_100
        for converted in av.AudioResampler("fltp", "stereo", 44_100, 1024).resample(frame):
            output.mux(stream.encode(converted))
        output.mux(stream.encode(None))
    return path


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failing(code: int) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt
