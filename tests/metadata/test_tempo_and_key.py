"""Tempo and key are other programs' fields (Mixxx, KeyFinder, beets, DJ programs): whatever is
written or taken back, they stay to the byte, in every container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.id3
import mutagen.mp4
import pytest
from containers import frame, id3, text, track
from tagging import FULL, every_container

from musictag import metadata


def put(path: Path) -> None:
    """Write tempo and key as the programs do that find them."""
    file: Any = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    tags = file.tags
    if isinstance(tags, mutagen.id3.ID3):
        tags.add(mutagen.id3.TBPM(encoding=3, text=["127.97"]))
        tags.add(mutagen.id3.TKEY(encoding=1, text=["F#m"]))
        tags.add(mutagen.id3.TXXX(encoding=3, desc="initialkey", text=["11A"]))
        tags.add(mutagen.id3.GEOB(encoding=0, mime="", desc="Serato BeatGrid", data=b"\1\0\0"))
    elif isinstance(tags, mutagen.mp4.MP4Tags):
        tags["tmpo"] = [128]
        tags["----:com.apple.iTunes:initialkey"] = [b"F#m"]
        tags["----:com.apple.iTunes:BPM"] = [b"127.97"]
    elif isinstance(tags, mutagen.asf.ASFTags):
        tags["WM/BeatsPerMinute"] = "128"
        tags["WM/InitialKey"] = "F#m"
    else:  # Vorbis comments and APEv2
        tags["BPM"] = "127.97"
        tags["INITIALKEY"] = "F#m"
        tags["KEY"] = "11A"
        tags["TEMPO"] = "128"
    file.save()


NAMES = {"tbpm", "tkey", "txxx:initialkey", "geob:serato beatgrid", "tmpo", "wm/beatsperminute"}
NAMES |= {"wm/initialkey", "bpm", "initialkey", "key", "tempo"}
NAMES |= {"----:com.apple.itunes:initialkey", "----:com.apple.itunes:bpm"}


def found(path: Path) -> dict[str, str]:
    tags = mutagen.File(path).tags
    return {name: repr(tags[name]) for name in tags.keys() if name.lower() in NAMES}  # noqa: SIM118


def fill(path: Path) -> None:
    metadata.write(path, FULL)


def replace(path: Path) -> None:
    metadata.write(path, FULL)
    metadata.write(path, {"GENRE": ("Pop",), "MOOD": ("Fast", "Loud")}, join="; ")


def empty(path: Path) -> None:
    metadata.write(path, FULL)
    metadata.write(path, dict.fromkeys(FULL, ()))


def take_back(path: Path) -> None:
    before = metadata.snapshot(path)
    metadata.write(path, FULL)
    metadata.restore(path, before, expected=None)


@every_container
@pytest.mark.parametrize("behaviour", [fill, replace, empty, take_back])
def test_tempo_and_key_stay(
    tmp_path: Path, container: str, behaviour: Callable[[Path], None]
) -> None:
    path = track(tmp_path, container)
    put(path)
    before = found(path)
    assert len(before) >= 2
    behaviour(path)
    assert found(path) == before


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("behaviour", [fill, replace, empty, take_back])
def test_tempo_and_key_stay_in_every_version_of_id3(
    tmp_path: Path, version: int, behaviour: Callable[[Path], None]
) -> None:
    names = ("TBP", "TKE") if version == 2 else ("TBPM", "TKEY")
    frames = [text(version, names[0], "128"), text(version, names[1], "F#m")]
    if version > 2:
        frames.append(frame(version, "GEOB", b"\0\0\0Serato BeatGrid\0\1\0\0"))
    path = track(tmp_path, "mp3", before=id3(version, b"".join(frames)))
    behaviour(path)
    content = path.read_bytes()
    assert [content.count(one) for one in frames] == [1] * len(frames)
