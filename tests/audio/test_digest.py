"""The digest of the sound sees the music and not its tags."""

from __future__ import annotations

import struct
from pathlib import Path

import mutagen
import mutagen.apev2
import mutagen.id3
import numpy as np
import pytest
import sounds
from heard import default_rate_hz, heard
from sounds import CONTAINERS

from musictag.audio.digest import payload_digest


def add_tags(path: Path, size: int) -> None:
    """A mood and a picture or text of this size, in the container's own kind of tag."""
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    noise = np.random.default_rng(size).bytes(size)
    if isinstance(file.tags, mutagen.id3.ID3):
        file.tags.add(mutagen.id3.TXXX(encoding=3, desc="MOOD", text=["slow"]))
        file.tags.add(mutagen.id3.APIC(encoding=3, mime="image/png", type=3, data=noise))
    elif "m4a" in path.name:
        file["covr"] = [mutagen.mp4.MP4Cover(noise)]
    else:
        file["MOOD"] = "slow" + "w" * size
    file.save()


@pytest.mark.parametrize("container", [name for name, row in CONTAINERS.items() if row.taggable])
def test_the_digest_does_not_see_metadata(container: str, tmp_path: Path) -> None:
    path = sounds.make(tmp_path, container)
    digest = payload_digest(path)
    for size in (10, 100_000, 3000):  # larger than any padding, and smaller again
        add_tags(path, size)
        assert payload_digest(path) == digest
    mutagen.File(path).delete()
    assert payload_digest(path) == digest


def test_the_digest_does_not_see_tags_behind_an_mp3(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "mp3")
    digest, plain = payload_digest(path), heard(path)
    lyrics = b"LYRICSBEGIN" + b"LYR00100" + b"a" * 100
    with path.open("ab") as file:
        file.write(lyrics + b"%06d" % len(lyrics) + b"LYRICS200")
    ape = mutagen.apev2.APEv2()
    # random bytes hold what looks like the start of an mp3 frame, again and again
    noise = np.random.default_rng(0).bytes(300_000)
    ape["Cover Art (Front)"] = mutagen.apev2.APEValue(noise, mutagen.apev2.BINARY)
    ape.save(path)
    mutagen.id3.ID3().save(path, v1=2)
    assert path.read_bytes()[-128:-125] == b"TAG"
    assert payload_digest(path) == digest
    np.testing.assert_array_equal(heard(path), plain)


@pytest.mark.parametrize("container", ["mp3", "flac", "m4a", "wav"])
def test_the_digest_sees_the_music(container: str, tmp_path: Path) -> None:
    rate_hz = default_rate_hz(container)
    digests = {
        payload_digest(sounds.make(tmp_path, container, seed=seed, rate_hz=rate))
        for seed in (0, 1)
        for rate in (rate_hz, 48_000)
    }
    assert len(digests) == 4
    path = sounds.make(tmp_path, container)
    digest = payload_digest(path)
    data = bytearray(path.read_bytes())
    if container == "wav":  # the same samples, to be played at another speed
        path.write_bytes(data[:24] + struct.pack("<I", 22_050) + data[28:])
        assert payload_digest(path) != digest
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert payload_digest(path) != digest


def test_what_ffmpeg_cannot_take_apart_is_digested_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(range(256)))
    digest = payload_digest(path)
    assert digest == payload_digest(path)
    path.write_bytes(bytes(range(255)))
    assert payload_digest(path) != digest


@pytest.mark.parametrize("container", ["mp3", "ape", "wavpack"])
def test_an_apev2_tag_of_131_bytes_is_not_taken_for_id3v1(container: str, tmp_path: Path) -> None:
    """Its "APETAGEX" begins 131 bytes from the end: 128 from the end stands "TAG"."""
    path = sounds.make(tmp_path, container)
    tags = mutagen.apev2.APEv2()
    tags["Title"] = "x"
    tags.save(path)
    digest = payload_digest(path)
    tags["Title"] = "x" * 53
    tags.save(path)
    assert path.read_bytes()[-128:].startswith(b"TAGEX")
    assert payload_digest(path) == digest


@pytest.mark.parametrize("container", ["mp3", "flac", "m4a"])
def test_cover_pictures_are_not_looked_at(container: str, tmp_path: Path) -> None:
    path = sounds.make(tmp_path, container)
    plain = heard(path)
    add_tags(path, 200_000)
    np.testing.assert_array_equal(heard(path), plain)
