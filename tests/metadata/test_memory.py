"""A large cover costs no memory, and too little memory is a reason in words."""

from __future__ import annotations

import base64
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.flac
import mutagen.id3
import mutagen.mp4
import pytest
from containers import track
from tagging import FULL

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.errors import MetadataError
from musictag.formats import ogg
from musictag.metadata.family import Family

COVER = random.Random(7).randbytes(8 << 20)


def in_id3(tags: Any, data: bytes) -> None:
    tags.add(mutagen.id3.APIC(data=data, mime="image/png", type=3))


def in_mp4(tags: Any, data: bytes) -> None:
    tags["covr"] = [mutagen.mp4.MP4Cover(data, mutagen.mp4.MP4Cover.FORMAT_PNG)]


def in_asf(tags: Any, data: bytes) -> None:
    tags["WM/Picture"] = [mutagen.asf.ASFByteArrayAttribute(data)]


def in_apev2(tags: Any, data: bytes) -> None:
    tags["Cover Art (Front)"] = mutagen.apev2.APEValue(b"c.png\0" + data, mutagen.apev2.BINARY)


COVERS: dict[str, Callable[[Any, bytes], None]] = {
    "mp3": in_id3,
    "tta": in_id3,
    "wav": in_id3,
    "aiff": in_id3,
    "m4a": in_mp4,
    "wma": in_asf,
    "wavpack": in_apev2,
}


def with_cover(folder: Path, container: str) -> Path:
    path = track(folder, container)
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    COVERS[container](file.tags, COVER)
    file.save()
    return path


def flac_with_cover(folder: Path) -> Path:
    path = track(folder, "flac")
    file = mutagen.flac.FLAC(path)
    picture = mutagen.flac.Picture()
    picture.data = COVER
    file.add_picture(picture)
    file.save()
    return path


def ogg_with_cover(folder: Path, container: str) -> Path:
    path = track(folder, container)
    file: Any = mutagen.File(path)
    file["metadata_block_picture"] = [base64.b64encode(COVER).decode()]
    file.save()
    return path


def most_memory(path: Path) -> int:
    """Bytes allocated at once, at most, by a write and by its undo."""
    metadata.read(path)  # what is imported on the way does not count
    tracemalloc.start()
    try:
        written = metadata.write(path, FULL)
        assert written is not None
        metadata.restore(path, written.before, expected=written.after)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("container", COVERS)
def test_a_cover_is_copied_and_compared_in_blocks(tmp_path: Path, container: str) -> None:
    assert most_memory(with_cover(tmp_path, container)) < len(COVER) / 2


def test_a_cover_of_flac_is_copied_and_compared_in_blocks(tmp_path: Path) -> None:
    assert most_memory(flac_with_cover(tmp_path)) < len(COVER) / 2


@pytest.mark.parametrize("container", ["ogg", "opus", "speex"])
def test_a_cover_of_ogg_is_copied_and_compared_in_blocks(tmp_path: Path, container: str) -> None:
    """Its text is longer by a third than the cover, and stands on thousands of pages."""
    assert most_memory(ogg_with_cover(tmp_path, container)) < 0.75 * len(COVER)


@pytest.mark.parametrize("container", ["ogg", "opus"])
def test_the_length_of_ogg_is_found_without_its_cover(tmp_path: Path, container: str) -> None:
    """Once it took minutes, growing with the square of the cover."""
    path = ogg_with_cover(tmp_path, container)
    tracemalloc.start()
    try:
        with path.open("rb") as file:
            assert ogg.duration_s(file)
        assert tracemalloc.get_traced_memory()[1] < len(COVER) / 16
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("container", COVERS)
def test_a_digest_of_the_sound_holds_a_cover_once_at_most(tmp_path: Path, container: str) -> None:
    path = with_cover(tmp_path, container)
    payload_digest(path)
    tracemalloc.start()
    try:
        payload_digest(path)
        assert tracemalloc.get_traced_memory()[1] < 1.25 * len(COVER)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("step", ["_look", "write", "compared"])
def test_too_little_memory_for_tags_is_a_reason_and_the_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def too_little(*_: object) -> None:
        raise MemoryError

    path = track(tmp_path, "wavpack")
    before = path.read_bytes()
    monkeypatch.setattr(Family, step, too_little)
    with pytest.raises(MetadataError, match="not enough memory to read its tags") as caught:
        metadata.write(path, FULL)
    assert (caught.value.code, caught.value.path) == ("memory", path)
    assert caught.value.cure
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
