"""A write is taken back to the byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import mutagen.mp4
import pytest
from containers import decorate, decorations, id3, id3v1, spelled_oddly, text, track
from tagging import (
    FULL,
    NOTHING,
    TITLE,
    every_container,
    fields,
    mp3,
    one_of_each_family,
    raw,
    sound_of,
)

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.errors import MetadataError

BEFORE: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "other things": decorate,
    "fields of ours": lambda path: metadata.write(path, {**FULL, "VOCALS": ()}),
    "other things and fields": lambda path: (decorate(path), metadata.write(path, FULL)),
    "fields of others": spelled_oddly,
    "fields of others among other things": lambda path: (spelled_oddly(path), decorate(path)),
}


@every_container
@pytest.mark.parametrize("what", BEFORE)
def test_a_write_is_taken_back_to_the_byte(tmp_path: Path, container: str, what: str) -> None:
    path = track(tmp_path, container)
    BEFORE[what](path)
    before, original = metadata.snapshot(path), path.read_bytes()
    written = metadata.write(path, {"GENRE": ("Pop", "Ölfässer"), "MOOD": ("Soft",), "VOCALS": ()})
    assert written is not None
    assert raw(written.before) == raw(before)
    assert raw(written.after) == raw(metadata.snapshot(path))
    undone = metadata.restore(path, before, expected=written.after)
    assert undone is not None
    assert raw(undone.after) == raw(metadata.snapshot(path)) == raw(before)
    if (container, what) != ("wma", "nothing"):  # mutagen adds objects for tags, and keeps them
        assert path.read_bytes() == original
    redone = metadata.restore(path, undone.before, expected=undone.after)
    assert redone is not None
    assert raw(metadata.snapshot(path)) == raw(written.after)
    assert metadata.restore(path, written.after, expected=None) is None


@every_container
def test_a_snapshot_survives_as_text(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    spelled_oddly(path)
    before = metadata.snapshot(path)
    again = metadata.Snapshot.from_json(before.to_json())
    assert raw(again) == raw(before)
    assert again.values() == before.values() == metadata.read(path)
    for damaged in ("", "[]", "{}", '{"family": "none"}', before.to_json().replace("GEN", "G")):
        with pytest.raises(ValueError, match="not a snapshot"):
            metadata.Snapshot.from_json(damaged)


@one_of_each_family
def test_fields_that_somebody_changed_since_are_not_put_back(
    tmp_path: Path, container: str
) -> None:
    path = track(tmp_path, container)
    decorate(path)
    written = metadata.write(path, FULL)
    assert written is not None
    metadata.write(path, {"MOOD": ("Loud",)})
    before = path.read_bytes()
    with pytest.raises(MetadataError, match="its fields changed since") as caught:
        metadata.restore(path, written.before, expected=written.after)
    assert caught.value.code == "changed"
    assert path.read_bytes() == before
    assert metadata.restore(path, written.before, expected=None) is not None
    assert metadata.read(path) == NOTHING


@one_of_each_family
def test_what_else_somebody_wrote_since_stays_when_fields_are_put_back(
    tmp_path: Path, container: str
) -> None:
    """Even in a tag that only came into being with our fields."""
    path = track(tmp_path, container)
    written = metadata.write(path, FULL)
    assert written is not None
    decorate(path)
    theirs = decorations(path)
    metadata.restore(path, written.before, expected=written.after)
    assert metadata.read(path) == NOTHING
    assert decorations(path) == theirs


def test_fields_go_back_into_a_tag_of_another_version_by_their_values(tmp_path: Path) -> None:
    path = mp3(tmp_path, before=id3(4, TITLE[4], text(4, "TMOO", "Fast"), text(4, "TCON", "17")))
    before = metadata.snapshot(path)
    other = mp3(tmp_path, before=id3(3, TITLE[3]))
    metadata.restore(other, before, expected=None)
    assert metadata.read(other) == fields(MOOD=("Fast",), GENRE=("Rock",))
    assert b"TXXX" in other.read_bytes()
    assert b"TMOO" not in other.read_bytes()


def test_fields_of_one_kind_of_file_are_not_put_into_another(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    with pytest.raises(MetadataError, match="another kind of file"):
        metadata.restore(path, metadata.snapshot(mp3(tmp_path)), expected=None)


def test_id3v1_takes_its_number_back_and_the_new_tag_goes(tmp_path: Path) -> None:
    path = mp3(tmp_path, after=id3v1())
    original = path.read_bytes()
    written = metadata.write(path, FULL)
    assert written is not None
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original


def test_the_list_that_mp4_got_goes_and_the_music_is_where_the_tables_say(tmp_path: Path) -> None:
    path = track(tmp_path, "m4a")
    mutagen.mp4.MP4(path).delete()
    with_tag = path.read_bytes()
    tagless = with_tag.replace(b"udta", b"free")
    path.write_bytes(tagless)
    sound = sound_of(path)
    assert mutagen.mp4.MP4(path).tags is None
    written = metadata.write(path, FULL)
    assert written is not None
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == tagless
    assert sound_of(path) == sound


@pytest.mark.parametrize("udta", [b"", b"\0\0\0\x08udta"], ids=["nothing", "an empty udta"])
def test_what_was_around_the_list_before_is_there_afterwards(tmp_path: Path, udta: bytes) -> None:
    path = track(tmp_path, "m4a")
    content = path.read_bytes()
    place = content.index(b"moov") - 4
    moov = content[place + 8 :]
    at = moov.index(b"udta") - 4
    moov = moov[:at] + udta
    path.write_bytes(content[:place] + struct.pack(">I4s", 8 + len(moov), b"moov") + moov)
    original = path.read_bytes()
    written = metadata.write(path, FULL)
    assert written is not None
    assert mutagen.mp4.MP4(path)["\xa9gen"] == list(FULL["GENRE"])
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original


def test_the_journal_is_told_before_the_file_changes(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    before = path.read_bytes()
    told = []

    def about_to(written: metadata.Written) -> None:
        assert path.read_bytes() == before
        assert len(list(tmp_path.iterdir())) == 2
        told.append(written)

    written = metadata.write(path, FULL, payload_digest=payload_digest, about_to=about_to)
    assert told == [written]
    assert written is not None
    assert written.payload == payload_digest(path)
    metadata.write(path, FULL, about_to=about_to)  # nothing to do
    assert told == [written]

    def refuse(_: metadata.Written) -> None:
        raise MetadataError(path, "journal", "it cannot be written")

    after = path.read_bytes()
    with pytest.raises(MetadataError, match="cannot be written"):
        metadata.restore(path, written.before, expected=None, about_to=refuse)
    assert path.read_bytes() == after
    assert len(list(tmp_path.iterdir())) == 1
