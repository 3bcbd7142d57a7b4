"""What the check after a write finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen.aiff
import mutagen.dsdiff
import mutagen.dsf
import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.oggopus
import mutagen.oggvorbis
import mutagen.wave
import pytest
from containers import decorate, track
from tagging import FULL, every_container

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.errors import AudioError, MetadataError


def test_other_sound_in_the_copy_stops_it(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    before = path.read_bytes()
    with pytest.raises(MetadataError, match="sound"):
        metadata.write(path, FULL, payload_digest=lambda p: str(p).encode())
    assert path.read_bytes() == before

    def broken(copy: Path) -> bytes:
        raise AudioError(copy, "corrupt", "nobody can read it")

    with pytest.raises(MetadataError, match=r"track\.flac.*nobody can read it"):
        metadata.write(path, FULL, payload_digest=broken)
    assert path.read_bytes() == before


def test_sound_that_cannot_be_told_from_the_tags_is_not_said_to_be_lost(tmp_path: Path) -> None:
    """ffmpeg knows no OptimFROG: the digest is one of the whole file."""
    path = track(tmp_path, "ofr")
    before = path.read_bytes()
    with pytest.raises(MetadataError, match="its sound cannot be told from its tags"):
        metadata.write(path, FULL, payload_digest=payload_digest)
    assert path.read_bytes() == before


PRIVATE = {
    # a part of mutagen that it does not promise: what we do that needs it
    "the length of WAV": (mutagen.wave, "WaveStreamInfo"),
    "the length of AIFF": (mutagen.aiff, "AIFFInfo"),
    "the length of DSDIFF": (mutagen.dsdiff, "DSDIFFInfo"),
    "the header of DSF": (mutagen.dsf, "DSFFile"),
    "junk is told from an mp3": (mutagen.mp3.MPEGInfo, "sketchy"),
    "names of ID3's genres": (mutagen.id3.TCON, "GENRES"),
    "names of ID3's frames": (mutagen.id3, "Frames"),
    "the length of Ogg Vorbis": (mutagen.oggvorbis.OggVorbis, "_Info"),
    "the length of Ogg Opus": (mutagen.oggopus.OggOpusInfo, "_post_tags"),
}


@pytest.mark.parametrize("what", PRIVATE)
def test_mutagens_private_parts_are_where_we_reach_for_them(what: str) -> None:
    """An update that moves them would leave files alone that can be written."""
    where, name = PRIVATE[what]
    assert hasattr(where, name)


CARELESS: dict[str, Callable[[Any], Any]] = {
    "loses a picture": lambda file: file.clear_pictures(),
    "loses a value": lambda file: file.tags.update(GENRE=["Rock"]),
    "loses a title": lambda file: file.tags.__delitem__("TITLE"),
    "loses a field of somebody's": lambda file: file.tags.update(RATING=[]),
}


@pytest.mark.parametrize("what", CARELESS)
def test_a_tagger_that_loses_something_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = track(tmp_path, "flac")
    decorate(path)
    before = path.read_bytes()
    save = metadata.vorbis.FLAC.save

    def careless(self: Any) -> None:
        save(self)
        file = mutagen.flac.FLAC(self.path)
        CARELESS[what](file)
        file.save()

    monkeypatch.setattr(metadata.vorbis.FLAC, "save", careless)
    with pytest.raises(MetadataError, match="would not"):
        metadata.write(path, FULL)
    assert path.read_bytes() == before


@every_container
def test_one_other_byte_in_the_music_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str
) -> None:
    path = track(tmp_path, container)
    content = path.read_bytes()
    middle = content[len(content) // 2 :][:16]
    check = metadata._check

    def clumsy(copy: Path, *args: Any) -> Any:
        tagged = bytearray(copy.read_bytes())
        tagged[tagged.index(middle) + 8] ^= 1
        copy.write_bytes(tagged)
        return check(copy, *args)

    monkeypatch.setattr(metadata, "_check", clumsy)
    with pytest.raises(MetadataError, match="would not survive"):
        metadata.write(path, FULL)
    assert path.read_bytes() == content


def test_a_file_that_would_play_longer_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")
    before = path.read_bytes()
    save = metadata.vorbis.FLAC.save

    def careless(self: Any) -> None:
        save(self)
        file = mutagen.flac.FLAC(self.path)
        file.info.total_samples += 1
        file.save()

    monkeypatch.setattr(metadata.vorbis.FLAC, "save", careless)
    monkeypatch.setattr(metadata.vorbis.FLAC, "compared", lambda *_: "not looked at")
    with pytest.raises(MetadataError, match="would not survive"):
        metadata.write(path, FULL)
    assert path.read_bytes() == before


@pytest.mark.parametrize("of", ["file", "ID3"])
@pytest.mark.parametrize("container", ["wav", "aiff", "dff"])
def test_a_length_that_nobody_wrote_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str, of: str
) -> None:
    path = track(tmp_path, container)
    content = path.read_bytes()
    check = metadata._check

    def forgetful(copy: Path, *args: Any) -> Any:
        tagged = bytearray(copy.read_bytes())
        size = (0 if of == "file" else tagged.lower().index(b"id3 ")) + 4
        tagged[size + 3 if container == "wav" else size] |= 0x10
        copy.write_bytes(tagged)
        return check(copy, *args)

    monkeypatch.setattr(metadata, "_check", forgetful)
    with pytest.raises(MetadataError, match="would not survive"):
        metadata.write(path, FULL)
    assert path.read_bytes() == content
