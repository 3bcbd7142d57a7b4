"""Fields and files: what is written is read back, and nothing else in the file moves."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import inspect
import os
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import containers
import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.flac
import mutagen.id3
import mutagen.mp4
import mutagen.ogg
import pytest
import sounds
from containers import (
    FAMILIES,
    PICTURE,
    decorate,
    decorations,
    encoded,
    frame,
    id3,
    id3v1,
    spelled_oddly,
    splice,
    text,
    track,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musictag import files, metadata
from musictag.audio import track as audio
from musictag.errors import AudioError, MetadataError
from musictag.metadata import replacement

NOTHING: dict[str, tuple[str, ...]] = dict.fromkeys(metadata.FIELDS, ())
FULL = {
    "GENRE": ("Rock", "Choral"),
    "MOOD": ("Slow",),
    "INSTRUMENT": ("Piano", "Harp", "Sitar"),
    "VOCALS": ("Female",),
}
every_container = pytest.mark.parametrize("container", FAMILIES)
one_of_each_family = pytest.mark.parametrize("container", ["mp3", "flac", "m4a", "wma", "ape"])


def test_the_table_has_every_container_that_can_be_tagged() -> None:
    ours = {row for row, sound in sounds.CONTAINERS.items() if sound.taggable}
    same = {"mp3-libsndfile", "flac-libsndfile", "wav-24"}  # as another row, other encoder
    assert ours - same <= set(FAMILIES)


NOT_WALKED = {
    *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".ogv", ".wmv"),  # mostly films
    ".m4p",  # protected: nobody but iTunes can hear it
    *(".amr", ".awb"),  # telephone speech
    *(".mid", ".midi"),  # notes, no sound
}


def test_a_walk_finds_every_container_of_music_by_all_its_names() -> None:
    known = {suffix for container in metadata.CONTAINERS for suffix in container.suffixes}
    assert known - files.EXTENSIONS == NOT_WALKED


def sound_of(path: Path) -> bytes:
    """Digest of the packets; of a file nobody can play, the bytes that stand for its music."""
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


# ---------------------------------------------------------------- every container


@every_container
def test_an_untagged_file_reads_empty_and_takes_all_fields(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    assert metadata.read(path) == NOTHING
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL


@every_container
def test_values_are_replaced_and_removed_field_by_field(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    metadata.write(path, FULL)
    metadata.write(path, {"GENRE": ("Pop",), "MOOD": ()})
    assert metadata.read(path) == {**FULL, "GENRE": ("Pop",), "MOOD": ()}
    metadata.write(path, NOTHING)
    assert metadata.read(path) == NOTHING
    metadata.write(path, {"VOCALS": ("Male", "Female")})
    assert metadata.read(path) == fields(VOCALS=("Male", "Female"))


@every_container
def test_any_alphabet_is_kept(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    values = fields(GENRE=("Música", "民謡", "Ρεμπέτικο"), MOOD=("träge 🎵",))
    metadata.write(path, values)
    assert metadata.read(path) == values


@every_container
def test_each_field_has_its_key_and_each_value_its_entry(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    metadata.write(path, FULL)
    tags = mutagen.File(path).tags
    keys = metadata.KEYS[FAMILIES[container]]
    assert {key.upper() for key in tags.keys()} == {key.upper() for key in keys.values()}  # noqa: SIM118
    for field, values in FULL.items():
        entries = tags[keys[field]]
        entries = entries.text if hasattr(entries, "text") else list(entries)
        found = [e.decode() if isinstance(e, bytes) else str(e) for e in entries]
        assert found == list(values)


@every_container
def test_twice_equals_once(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    metadata.write(path, FULL)
    once, status = path.read_bytes(), path.stat()
    metadata.write(path, FULL)
    metadata.write(path, {"MOOD": FULL["MOOD"]})
    metadata.write(path, {})
    assert path.read_bytes() == once
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (status.st_mtime_ns, status.st_ino)


@every_container
def test_everything_else_survives(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    decorate(path)
    before, sound = decorations(path), sound_of(path)
    assert before
    digest = sound_of if container in containers.HEADERS else audio.payload_digest
    metadata.write(path, FULL, payload_digest=digest)
    assert decorations(path) == before
    metadata.write(path, NOTHING, payload_digest=digest)
    assert decorations(path) == before
    assert sound_of(path) == sound


@every_container
def test_mode_owner_and_folder_are_as_they_were(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    before = path.stat()
    metadata.write(path, FULL)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@every_container
def test_a_broken_header_is_left_alone(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    decorate(path)
    content = path.read_bytes()
    for broken in broken_versions(content):
        path.write_bytes(broken)
        with pytest.raises(MetadataError) as caught:
            metadata.write(path, FULL)
        assert caught.value.code in ("bad_header", "truncated")
        assert path.read_bytes() == broken
        assert len(list(tmp_path.iterdir())) == 1


@every_container
def test_a_wrong_suffix_is_named_with_the_right_one(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    wrong = path.rename(path.with_suffix(".wv" if path.suffix == ".mp3" else ".mp3"))
    before = wrong.read_bytes()
    for action in (metadata.read, lambda p: metadata.write(p, FULL)):
        with pytest.raises(MetadataError) as caught:
            action(wrong)
        assert caught.value.code == "mislabelled"
        assert path.suffix in str(caught.value)
    assert wrong.read_bytes() == before


@every_container
def test_an_unknown_suffix_says_nothing(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    path = path.rename(tmp_path / "track.of mine")
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL


def broken_versions(content: bytes) -> list[bytes]:
    """Damage in each family's header that must be seen, not mended."""
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


@pytest.mark.parametrize("container", ["flac", "ogg", "opus", "ogg-flac", "speex"])
def test_comments_that_are_not_utf_8_stay_byte_for_byte(tmp_path: Path, container: str) -> None:
    """mutagen by itself would mend them."""
    path = track(tmp_path, container)
    tags = mutagen.File(path)
    tags["title"], tags["genre"] = "T..tle", "G..re"
    tags.save()
    odd = path.read_bytes().replace(b"T..tle", b"T\xff\xfetle").replace(b"G..re", b"G\xff\xfere")
    path.write_bytes(odd)
    before = metadata.snapshot(path)
    assert before.values()["GENRE"] == ("G\ufffd\ufffdre",)
    metadata.write(path, FULL)
    assert b"itle=T\xff\xfetle" in path.read_bytes()
    metadata.restore(path, before, expected=None)
    assert b"genre=G\xff\xfere" in path.read_bytes()
    assert metadata.snapshot(path) == before


# ---------------------------------------------------------------- back again


BEFORE: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "other things": decorate,
    "fields of ours": lambda path: metadata.write(path, {**FULL, "VOCALS": ()}),
    "other things and fields": lambda path: (decorate(path), metadata.write(path, FULL)),
    "fields of others": spelled_oddly,
    "fields of others among other things": lambda path: (spelled_oddly(path), decorate(path)),
}


def raw(snapshot: metadata.Snapshot) -> tuple[Any, ...]:
    """All of it, also what does not count when two are compared; padding may differ."""
    return dataclasses.astuple(dataclasses.replace(snapshot, size=0))


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


def test_the_journal_is_told_before_the_file_changes(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    before = path.read_bytes()
    told = []

    def about_to(written: metadata.Written) -> None:
        assert path.read_bytes() == before
        assert len(list(tmp_path.iterdir())) == 2
        told.append(written)

    written = metadata.write(path, FULL, payload_digest=audio.payload_digest, about_to=about_to)
    assert told == [written]
    assert written is not None
    assert written.payload == audio.payload_digest(path)
    metadata.write(path, FULL, about_to=about_to)  # nothing to do
    assert told == [written]

    def refuse(_: metadata.Written) -> None:
        raise MetadataError(path, "journal", "it cannot be written")

    after = path.read_bytes()
    with pytest.raises(MetadataError, match="cannot be written"):
        metadata.restore(path, written.before, expected=None, about_to=refuse)
    assert path.read_bytes() == after
    assert len(list(tmp_path.iterdir())) == 1


# ---------------------------------------------------------------- ID3 in its versions


def mp3(folder: Path, *, before: bytes = b"", after: bytes = b"") -> Path:
    return track(folder, "mp3", before=before, after=after)


def raw_frames(path: Path) -> dict[str, bytes]:
    """Frames of an ID3v2.3 or 2.4 tag with sizes below 128, by a parser of three lines."""
    content, place, found = path.read_bytes(), 10, {}
    while content[place : place + 4].strip(b"\0").isalnum():
        size = int.from_bytes(content[place + 4 : place + 8], "big")
        found[content[place : place + 4].decode()] = content[place + 10 : place + 10 + size]
        place += 10 + size
    return found


TITLE = {v: text(v, "TT2" if v == 2 else "TIT2", "Title") for v in (2, 3, 4)}

VERSIONS = {
    # what the file has: (ID3v2, ID3v1), the version that it has then, the genre read before
    "none": (b"", b"", 4, ()),
    "2.4": (id3(4, TITLE[4]), b"", 4, ()),
    "2.3": (id3(3, TITLE[3]), b"", 3, ()),
    "2.2": (id3(2, TITLE[2], text(2, "TCO", "(8)")), b"", 3, ("Jazz",)),
    "2.3, numeric genre": (id3(3, TITLE[3], text(3, "TCON", "(17)")), b"", 3, ("Rock",)),
    "2.4, numeric genre": (id3(4, TITLE[4], text(4, "TCON", "17")), b"", 4, ("Rock",)),
    "v1 only": (b"", id3v1(), 4, ("Rock",)),
    "v1 only, no genre": (b"", id3v1(genre=255), 4, ()),
    "2.3 and v1": (id3(3, TITLE[3]), id3v1(), 3, ("Rock",)),
    "2.4 and v1 that differ": (id3(4, text(4, "TCON", "Pop")), id3v1(), 4, ("Pop",)),
    "two 2.3 tags": (id3(3, TITLE[3]) + id3(3, TITLE[3]), b"", 3, ()),
    "2.4, frame of the other version": (id3(4, text(4, "TXXX", "mood\0Fast")), b"", 4, ()),
    "2.3, frame of the other version": (id3(3, text(3, "TMOO", "Fast")), b"", 3, ()),
}


@pytest.mark.parametrize("kind", VERSIONS)
def test_id3_keeps_its_version_and_its_other_frames(tmp_path: Path, kind: str) -> None:
    before, after, version, genre = VERSIONS[kind]
    path = mp3(tmp_path, before=before, after=after)
    sound = sound_of(path)
    assert metadata.read(path)["GENRE"] == genre
    metadata.write(path, {"MOOD": ("Slow", "Soft"), "GENRE": ("Metal",), "VOCALS": ("Male",)})
    assert metadata.read(path) == fields(MOOD=("Slow", "Soft"), GENRE=("Metal",), VOCALS=("Male",))
    content = path.read_bytes()
    assert content[:4] == b"ID3" + bytes([version])
    mood = {3: b"MOOD", 4: b"TMOO"}
    assert mood[version] in content
    assert mood[7 - version] not in content
    assert content.count(b"TCON") == 1
    if TITLE[3] in before or TITLE[4] in before:
        assert TITLE[version] in content
    assert content.endswith(encoded("mp3")[1] + (after and after[:-1] + b"\x09"))
    assert sound_of(path) == sound


def test_id3v1_alone_comes_along_into_the_new_tag(tmp_path: Path) -> None:
    path = mp3(tmp_path, after=id3v1())
    metadata.write(path, {"MOOD": ("Slow",)})
    tags = mutagen.id3.ID3(path, load_v1=False, translate=False)
    assert tags["TCON"].text == ["Rock"]
    assert [str(tags[key]) for key in ("TIT2", "TPE1", "TALB", "TDRC", "TRCK", "TCON")] == [
        *("Title", "Artist", "Album", "1999", "5", "Rock"),
    ]
    assert path.read_bytes().endswith(id3v1())


V1_TEXTS = {
    # 30 bytes of ID3v1: what the new ID3v2 says, None where the file is left alone
    "ASCII": (b"Title", "Title"),
    "UTF-8": ("Música".encode(), "Música"),
    "UTF-8, cut off inside a letter": (("x" + "ы" * 15).encode()[:30], "x" + "ы" * 14),
    "Latin-1 or cp1250": (b"Dvo\xf8\xe1k", None),
    "cp1251": ("Музыка".encode("cp1251"), None),
    "cp1251, full": (("x" + "ы" * 29).encode("cp1251"), None),
    "Shift-JIS": ("音楽".encode("shift-jis"), None),
}


@pytest.mark.parametrize("what", V1_TEXTS)
def test_id3v1_text_comes_along_only_in_letters_that_are_known(tmp_path: Path, what: str) -> None:
    stored, title = V1_TEXTS[what]
    path = mp3(tmp_path, after=id3v1(title=stored))
    before = path.read_bytes()
    if title is None:
        with pytest.raises(MetadataError, match="unknown alphabet"):
            metadata.write(path, {"MOOD": ("Slow",)})
        assert path.read_bytes() == before
        return
    metadata.write(path, {"MOOD": ("Slow",)})
    tags = mutagen.id3.ID3(path, load_v1=False, translate=False)
    assert str(tags["TIT2"]) == title
    assert str(tags["TPE1"]) == "Artist"
    assert path.read_bytes().endswith(id3v1(title=stored))
    once = path.read_bytes()
    metadata.write(path, {"MOOD": ("Slow",)})
    assert path.read_bytes() == once


@pytest.mark.parametrize(
    ("values", "number"), [(("Choral", "Pop"), 13), (("Choral",), 255), ((), 255)]
)
def test_id3v1_takes_the_first_genre_that_has_a_number(
    tmp_path: Path, values: tuple[str, ...], number: int
) -> None:
    path = mp3(tmp_path, after=id3v1())
    metadata.write(path, {"GENRE": values})
    assert path.read_bytes()[-128:] == id3v1(genre=number)
    assert metadata.read(path)["GENRE"] == values


GENRES = {
    "(17)": ("Rock",),
    "17": ("Rock",),
    "(4)Eurodisco": ("Disco", "Eurodisco"),
    "(51)(39)": ("Techno-Industrial", "Noise"),
    "RX": ("Remix",),
    "(255)": (),
    "255": (),
    "Rock/Pop": ("Rock/Pop",),
    "Rock\0Pop": ("Rock", "Pop"),
    "Rock\0Rock\0\0": ("Rock",),
    "  Rock \n": ("Rock",),
    "Rock\nand Roll": ("Rock\nand Roll",),
    "\nRock": ("Rock",),
    "(4)Euro\ndisco": ("Disco", "Euro\ndisco"),
    "1990s": ("1990s",),
    "\0": (),
}


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("stored", GENRES)
def test_genres_of_every_spelling_are_read_as_names(
    tmp_path: Path, version: int, stored: str
) -> None:
    path = mp3(tmp_path, before=id3(version, text(version, "TCON", stored), TITLE[version]))
    before = path.read_bytes()
    assert metadata.read(path)["GENRE"] == GENRES[stored]
    metadata.write(path, {"GENRE": GENRES[stored]})
    assert path.read_bytes() == before


ENCODINGS = [
    (3, "Rock", b"\0Rock"),
    (3, "Música", b"\0M\xfasica"),
    (3, "民謡", b"\1\xff\xfe" + "民謡".encode("utf-16-le")),
    (4, "Rock", b"\0Rock"),
    (4, "Música", b"\3" + "Música".encode()),
    (4, "民謡", b"\3" + "民謡".encode()),
]


@pytest.mark.parametrize(("version", "value", "stored"), ENCODINGS)
def test_id3_text_is_encoded_as_its_version_can(
    tmp_path: Path, version: int, value: str, stored: bytes
) -> None:
    path = mp3(tmp_path, before=id3(version, TITLE[version]))
    metadata.write(path, {"GENRE": (value,)})
    assert raw_frames(path)["TCON"].rstrip(b"\0") == stored.rstrip(b"\0")
    metadata.write(path, {"GENRE": (value, "Pop")})
    assert mutagen.id3.ID3(path)["TCON"].text == [value, "Pop"]


ODD_FRAMES = {
    "nobody knows it": frame(3, "ZZZZ", b"whatever"),
    "encrypted": frame(3, "TIT2", b"\1secret", flags=0x0040),
    "with a group": frame(3, "TIT2", b"\7\0Title", flags=0x0020),
    "read-only": frame(3, "TIT2", b"\0Title", flags=0x6000),
    "several values": text(3, "TPE1", "One\0Two/Three"),
    "UTF-8 where 2.3 has none": frame(3, "TPE1", b"\3" + "Él".encode()),
    "a time that is none": text(3, "TDRC", "who knows"),
    "junk inside": frame(3, "COMM", b"\x09x"),
    "twice the same": text(3, "TPE1", "One") + text(3, "TPE1", "Two"),
    "pictures of one name": frame(3, "APIC", b"\0PNG\0\3same\0x")
    + frame(3, "APIC", b"\0PNG\0\4same\0y"),
    "somebody's TXXX": text(3, "TXXX", "Songs-DB_Occasion\0Party") + frame(3, "TXXX", b"\1"),
    "chapters": frame(3, "CHAP", b"c\0" + bytes(16) + text(3, "TIT2", "Chapter")),
}


@pytest.mark.parametrize("what", ODD_FRAMES)
def test_odd_frames_stay_byte_for_byte(tmp_path: Path, what: str) -> None:
    path = mp3(tmp_path, before=id3(3, text(3, "TCON", "Pop"), ODD_FRAMES[what], TITLE[3]))
    metadata.write(path, {"GENRE": ("Rock",), "MOOD": ("Slow",)})
    assert ODD_FRAMES[what] + TITLE[3] in path.read_bytes()


BIG = b"\0image/png\0\3\0" + b"\xff\x00\xe0" * 9 + bytes(300) + b"\xe0"

ODD_TAGS = {
    # a whole tag, what must be in the file afterwards
    "2.3, unsynchronised": (
        id3(3, frame(3, "APIC", BIG).replace(b"\xff\x00", b"\xff\x00\x00"), flags=0x80),
        frame(3, "APIC", BIG),
    ),
    "2.4, unsynchronised": (
        id3(4, frame(4, "APIC", BIG.replace(b"\xff\x00", b"\xff\x00\x00")), flags=0x80),
        frame(4, "APIC", BIG.replace(b"\xff\x00", b"\xff\x00\x00"), flags=0x02),
    ),
    "2.4 with iTunes' sizes": (
        id3(4, frame(3, "APIC", BIG), TITLE[4]),
        frame(3, "APIC", BIG) + TITLE[4],
    ),
    "2.3 with an extended header": (
        id3(3, b"\0\0\0\x06" + bytes(6), TITLE[3], flags=0x40),
        TITLE[3],
    ),
    "a frame of no length": (id3(3, frame(3, "TALB", b""), TITLE[3]), TITLE[3]),
    "no padding": (id3(3, TITLE[3], padding=0), TITLE[3]),
    "no frame at all": (id3(3), b""),
}


@pytest.mark.parametrize("what", ODD_TAGS)
def test_odd_tags_are_understood(tmp_path: Path, what: str) -> None:
    tag, kept = ODD_TAGS[what]
    path = mp3(tmp_path, before=tag)
    pictures = [p.data for p in mutagen.id3.ID3(path).getall("APIC")]
    metadata.write(path, {"GENRE": ("Rock",), "MOOD": ("Slow",)})
    assert metadata.read(path) == fields(GENRE=("Rock",), MOOD=("Slow",))
    assert kept in path.read_bytes()
    assert path.read_bytes().endswith(encoded("mp3")[1])
    assert [p.data for p in mutagen.id3.ID3(path).getall("APIC")] == pictures


HOPELESS_TAGS = {
    "garbage after the frames": id3(3, TITLE[3], b"\0\0garbage", padding=0),
    "garbage between them": id3(3, TITLE[3], b"\xfe" * 20, TITLE[3]),
    "a footer": id3(4, TITLE[4], flags=0x10) + b"3DI\4\0\x10\0\0\0\x40",
    "2.2 with a frame that has no successor": id3(2, TITLE[2], frame(2, "CRM", b"x\0y\0z")),
    "2.2 with a frame nobody knows": id3(2, TITLE[2], frame(2, "ZZZ", b"xyz")),
    "a last frame that is cut": id3(3, TITLE[3], frame(3, "COMM", b"x" * 99)[:50], padding=0),
    "longer than the file": b"ID3\3\0\0\x0f\x7f\x7f\x7f" + TITLE[3],
    "2.5": b"ID3\5\0\0\0\0\0\x40" + bytes(64),
}


@pytest.mark.parametrize("what", HOPELESS_TAGS)
def test_a_tag_that_would_not_survive_is_left_alone(tmp_path: Path, what: str) -> None:
    path = mp3(tmp_path, before=HOPELESS_TAGS[what])
    before = path.read_bytes()
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "bad_header"
    assert path.read_bytes() == before


def test_pictures_of_id3v22_get_a_real_type(tmp_path: Path) -> None:
    picture = frame(2, "PIC", b"\0JPG\3front\0jpeg")
    path = mp3(tmp_path, before=id3(2, TITLE[2], picture))
    metadata.write(path, {"GENRE": ("Rock",)})
    (picture,) = mutagen.id3.ID3(path, translate=False).getall("APIC")
    assert (picture.mime, picture.type, picture.data) == ("image/jpeg", 3, b"jpeg")


def test_apev2_and_lyrics_beside_id3_stay(tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    tags = mutagen.apev2.APEv2()
    tags["MP3GAIN_MINMAX"], tags["Genre"] = "1,2", "Swing"
    tags.save(beside)
    lyrics = b"LYRICSBEGINLYR00005hello000024LYRICS200"
    end = beside.read_bytes() + lyrics
    beside.unlink()
    path = mp3(tmp_path, before=id3(3, TITLE[3]), after=end + id3v1())
    metadata.write(path, {"GENRE": ("Pop",)})
    assert path.read_bytes().endswith(encoded("mp3")[1] + end + id3v1(genre=13))


def apev2(folder: Path, **items: str) -> bytes:
    beside = folder / "beside"
    tags = mutagen.apev2.APEv2()
    tags.update(items)
    tags.save(beside)
    content = beside.read_bytes()
    beside.unlink()
    return content


@pytest.mark.parametrize("v1", [b"", id3v1(genre=255)], ids=["", "and ID3v1"])
def test_fields_in_apev2_beside_id3_count_until_id3_has_its_own(tmp_path: Path, v1: bytes) -> None:
    """As players join the two; what is written is ID3's, APEv2 stays as it is."""
    end = apev2(tmp_path, GENRE="Jazz", Mood="Fast\0Loud", instrument="Harp", VOCALS="Male") + v1
    path = mp3(tmp_path, after=end)
    there = fields(GENRE=("Jazz",), MOOD=("Fast", "Loud"), INSTRUMENT=("Harp",), VOCALS=("Male",))
    assert metadata.read(path) == there
    assert not metadata.write(path, {"GENRE": ("Jazz",)})
    assert metadata.write(path, {"GENRE": ("Jazz", "Rock"), "MOOD": ("Slow",)})
    after = {**there, "GENRE": ("Jazz", "Rock"), "MOOD": ("Slow",)}
    assert metadata.read(path) == after
    assert apev2(tmp_path, GENRE="Jazz", Mood="Fast\0Loud", instrument="Harp", VOCALS="Male") in (
        path.read_bytes()
    )
    assert not metadata.write(path, after)
    with pytest.raises(MetadataError, match=r"its MOOD .* as well") as caught:
        metadata.write(path, {"MOOD": ()})
    assert caught.value.cure
    assert metadata.read(path) == after


def test_the_genre_of_id3v1_comes_before_that_of_apev2(tmp_path: Path) -> None:
    path = mp3(tmp_path, after=apev2(tmp_path, Genre="Jazz") + id3v1())
    assert metadata.read(path)["GENRE"] == ("Rock",)
    metadata.write(path, {"MOOD": ("Slow",)})
    assert metadata.read(path) == fields(GENRE=("Rock",), MOOD=("Slow",))


def test_damage_in_apev2_beside_id3_does_not_matter(tmp_path: Path) -> None:
    end = bytearray(apev2(tmp_path, Genre="Jazz"))
    end[32] = 200  # the first item's length
    path = mp3(tmp_path, after=bytes(end))
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL
    assert path.read_bytes().endswith(bytes(end))


def with_chunk(path: Path, name: bytes, data: bytes) -> Path:
    body = path.read_bytes()[8:] + struct.pack("<4sI", name, len(data)) + data
    body += bytes(len(data) % 2)
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    return path


INFOS = {
    "IGNR": (b"ISFT\x03\0\0\0abc\0IGNR\x06\0\0\0Jazz\0\0", ("Jazz",)),
    "UTF-8": (b"IGNR\x05\0\0\0Fl\xc3\xbbt\0", ("Flût",)),
    "Latin-1": (b"IGNR\x04\0\0\0Fl\xfbt", ("Flût",)),
    "empty": (b"IGNR\x01\0\0\0\0\0", ()),
    "beyond its end": (b"IGNR\xff\0\0\0Jazz", ("Jazz",)),
    "half a header": (b"IGNR\xff", ()),
}


@pytest.mark.parametrize("what", INFOS)
def test_the_genre_in_a_wav_files_info_counts_until_id3_has_one(tmp_path: Path, what: str) -> None:
    info, genre = INFOS[what]
    path = with_chunk(track(tmp_path, "wav"), b"LIST", b"INFO" + info)
    assert metadata.read(path) == fields(GENRE=genre)
    metadata.write(path, {"MOOD": ("Slow",)})
    assert metadata.read(path) == fields(GENRE=genre, MOOD=("Slow",))
    metadata.write(path, {"GENRE": ("Rock",)})
    assert metadata.read(path) == fields(GENRE=("Rock",), MOOD=("Slow",))
    assert b"INFO" + info in path.read_bytes()


def test_two_frames_are_no_mp3(tmp_path: Path) -> None:
    content = encoded("mp3-no-xing")[1]
    path = tmp_path / "track.mp3"
    path.write_bytes(content[:900] + bytes(5000))
    with pytest.raises(MetadataError, match="no run of MPEG audio frames"):
        metadata.write(path, FULL)


def test_junk_before_the_first_frame_is_no_matter(tmp_path: Path) -> None:
    path = mp3(tmp_path, before=bytes(300) + b"junk")
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL
    assert path.read_bytes().endswith(bytes(300) + b"junk" + encoded("mp3")[1])


# ---------------------------------------------------------------- what must survive, by name


def frame_set(version: int) -> dict[str, bytes]:
    """What listeners would miss, as frames of this version."""
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


@pytest.mark.parametrize("container", ["mp3", "tta", "wav", "aiff", "dff", "dsf"])
@pytest.mark.parametrize("version", [3, 4])
def test_what_listeners_would_miss_survives_in_id3(
    tmp_path: Path, container: str, version: int
) -> None:
    frames = frame_set(version)
    tag = id3(version, *frames.values(), padding=0)
    path = track(tmp_path, container, before=tag) if container in ("mp3", "tta") else None
    if path is None:  # there the tag stands where mutagen puts one of ours
        path = track(tmp_path, container)
        file = mutagen.File(path)
        file.add_tags()
        file.tags.unknown_frames = list(frames.values())
        file.tags._unknown_v2_version = version
        file.tags.save(path, v2_version=version)
    before = path.read_bytes()
    digest = sound_of if container in containers.HEADERS else audio.payload_digest
    written = metadata.write(path, FULL, payload_digest=digest)
    assert written is not None
    for name, data in frames.items():
        assert path.read_bytes().count(data) == 1, name
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


def test_what_listeners_would_miss_survives_in_mp4(tmp_path: Path) -> None:
    path = track(tmp_path, "m4a")
    tags = mutagen.mp4.MP4(path)
    kept: dict[str, Any] = {
        "covr": [mutagen.mp4.MP4Cover(PICTURE, 14), mutagen.mp4.MP4Cover(PICTURE[:50], 13)],
        "\xa9lyr": ["la la"],
        "sonm": ["Title, Sort"],
        "soar": ["Name, Sort"],
        "cpil": True,
        "rtng": [1],
        "----:com.apple.iTunes:iTunNORM": [b" 00000B3C"],
        "----:com.apple.iTunes:iTunSMPB": [b" 00000000 00000840"],
        "----:com.apple.iTunes:MusicBrainz Track Id": [b"f2c2"],
        "----:com.apple.iTunes:replaygain_track_gain": [b"-7.30 dB"],
        "----:org.somebody:MOOD": [b"theirs"],
    }
    for key, value in kept.items():
        tags[key] = value
    tags.save()
    metadata.write(path, FULL, payload_digest=audio.payload_digest)
    after = mutagen.mp4.MP4(path)
    assert {key: after[key] for key in kept} == kept


def test_chapters_of_mp4_survive(tmp_path: Path) -> None:
    """Of both kinds: a list, and a text track of its own."""
    path = track(tmp_path, "m4a")
    file = mutagen.mp4.MP4(path)
    file["\xa9nam"] = ["Title"]
    file.save()
    titles = b"".join(
        struct.pack(">QB", start, len(title)) + title for start, title in ((0, b"One"), (9, b"Two"))
    )
    chapters = rendered(b"chpl", b"\1" + bytes(7) + b"\2" + titles)
    content = path.read_bytes()
    for name in (b"moov", b"udta"):
        place = content.index(name) - 4
        size = int.from_bytes(content[place : place + 4], "big") + len(chapters)
        content = content[:place] + size.to_bytes(4, "big") + content[place + 4 :]
    place = content.index(b"udta") + 4
    path.write_bytes(content[:place] + chapters + content[place:])
    before = [(c.start, c.title) for c in mutagen.mp4.MP4(path).chapters]
    assert [title for _, title in before] == ["One", "Two"]
    metadata.write(path, FULL, payload_digest=audio.payload_digest)
    assert [(c.start, c.title) for c in mutagen.mp4.MP4(path).chapters] == before


@pytest.mark.parametrize("padding", [0, 100, 50_000])
def test_blocks_of_flac_survive_with_as_much_padding(tmp_path: Path, padding: int) -> None:
    """Cue sheet, seek table, pictures, somebody's application block, the vendor."""
    path = track(tmp_path, "flac")
    decorate(path)
    file = mutagen.flac.FLAC(path)
    file.tags.vendor = "reference libFLAC 1.3.2"
    application: Any = mutagen.flac.MetadataBlock(b"some" + bytes(9))
    application.code = 2
    file.metadata_blocks.append(application)
    file.save(padding=lambda _: padding)
    blocks = {(b.code, b.write()) for b in file.metadata_blocks if b.code not in (1, 4)}
    assert {code for code, _ in blocks} >= {0, 2, 3, 5, 6}
    before = path.read_bytes()
    written = metadata.write(path, FULL)
    assert written is not None
    after = mutagen.flac.FLAC(path)
    assert {(b.code, b.write()) for b in after.metadata_blocks if b.code not in (1, 4)} == blocks
    assert after.tags.vendor == "reference libFLAC 1.3.2"
    if padding == 50_000:
        assert path.stat().st_size == len(before)
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


@pytest.mark.parametrize("container", ["ogg", "opus", "ogg-flac", "speex"])
def test_the_vendor_and_embedded_pictures_survive_in_ogg(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    decorate(path)
    file = mutagen.File(path)
    file.tags.vendor = "libopus 1.4, somebody's build"
    file["REPLAYGAIN_TRACK_GAIN"], file["R128_TRACK_GAIN"] = "-7.30 dB", "-1234"
    file["MUSICBRAINZ_TRACKID"], file["LYRICS"] = "f2c2", "la\nla"
    file.save()
    kept = decorations(path)
    assert "metadata_block_picture" in kept[0]
    metadata.write(path, FULL)
    assert decorations(path) == kept
    assert mutagen.File(path).tags.vendor == "libopus 1.4, somebody's build"


def test_a_vendor_that_is_lost_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = track(tmp_path, "ogg")
    before = path.read_bytes()
    save = metadata.vorbis.Vorbis._save

    def careless(self: Any) -> None:
        self.file.tags.vendor = "me"
        save(self)

    monkeypatch.setattr(metadata.vorbis.Vorbis, "_save", careless)
    with pytest.raises(MetadataError, match="would not survive"):
        metadata.write(path, FULL)
    assert path.read_bytes() == before


@pytest.mark.parametrize("container", ["wav", "aiff"])
def test_chunks_of_wav_and_aiff_survive_beside_id3(tmp_path: Path, container: str) -> None:
    """Markers, a sampler's loops, broadcast and production data, in any order."""
    path = track(tmp_path, container)
    layout = "<4sI" if container == "wav" else ">4sI"
    names = {"wav": (b"bext", b"cue ", b"smpl", b"iXML", b"LIST"), "aiff": (b"MARK", b"COMT")}
    chunks = [
        struct.pack(layout, name, 20 + place) + b"INFO" * 5 + bytes(place) + bytes(place % 2)
        for place, name in enumerate(names[container])
    ]
    content = path.read_bytes()
    body = content[8:] + b"".join(chunks)
    path.write_bytes(struct.pack(layout, content[:4], len(body)) + body)
    written = metadata.write(path, FULL)
    assert written is not None
    assert b"".join(chunks) in path.read_bytes()
    assert metadata.read(path) == FULL


@pytest.mark.parametrize("container", ["wavpack", "ape", "mpc", "tak", "ofr"])
def test_what_listeners_would_miss_survives_in_apev2(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    tags = mutagen.apev2.APEv2()
    tags["Cover Art (Front)"] = mutagen.apev2.APEValue(b"front.png\0" + PICTURE, 1)
    tags["Cover Art (Back)"] = mutagen.apev2.APEValue(b"back.png\0" + PICTURE[:50], 1)
    tags["Lyrics"], tags["Cuesheet"] = "la\nla", 'FILE "x" WAVE'
    tags["REPLAYGAIN_TRACK_GAIN"], tags["MUSICBRAINZ_TRACKID"] = "-7.30 dB", "f2c2"
    tags["ArtistSort"] = ["Name, Sort", "Other, An"]
    tags.save(path)
    kept = decorations(path)
    before = path.read_bytes()
    written = metadata.write(path, FULL)
    assert written is not None
    assert decorations(path) == kept
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


def test_what_listeners_would_miss_survives_in_asf(tmp_path: Path) -> None:
    path = track(tmp_path, "wma")
    file = mutagen.asf.ASF(path)
    kept: dict[str, Any] = {
        "Title": ["Title"],
        "WM/Picture": [PICTURE, PICTURE[:50]],
        "WM/Lyrics": ["la la"],
        "WM/SharedUserRating": [75],
        "WM/ArtistSortOrder": ["Name, Sort"],
        "MusicBrainz/Track Id": ["f2c2"],
        "replaygain_track_gain": ["-7.30 dB"],
    }
    for key, values in kept.items():
        file[key] = values
    file.save()
    metadata.write(path, FULL, payload_digest=audio.payload_digest)
    after = mutagen.asf.ASF(path)
    assert {key: [value.value for value in after[key]] for key in kept} == kept


# ---------------------------------------------------------------- the other families' corners


@pytest.mark.parametrize("container", ["ape", "wavpack", "mpc", "tak", "ofr"])
@pytest.mark.parametrize("tagged", [False, True])
def test_id3v1_and_lyrics_after_apev2_stay(tmp_path: Path, container: str, tagged: bool) -> None:
    path = track(tmp_path, container)
    if tagged:
        decorate(path)
    end = b"LYRICSBEGINLYR00005hello000024LYRICS200" + id3v1()
    splice(path, after=end)
    assert metadata.read(path)["GENRE"] == ("Rock",)
    metadata.write(path, {"GENRE": ("Pop",), "MOOD": ("Slow",)})
    assert metadata.read(path) == fields(GENRE=("Pop",), MOOD=("Slow",))
    content = path.read_bytes()
    assert content.endswith(end[:-1] + b"\x0d")
    assert content.count(b"LYRICSBEGIN") == content.count(id3v1()[:-1]) == 1


def test_keys_of_any_case_are_read_and_none_is_left_double(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    tags = mutagen.flac.FLAC(path)
    tags.add_tags()
    tags.tags.extend([("Genre", "Jazz"), ("title", "T"), ("gEnRe", "Blues"), ("GENRE", "Jazz")])
    tags.save()
    assert metadata.read(path)["GENRE"] == ("Jazz", "Blues")
    metadata.write(path, {"GENRE": ("Pop",)})
    assert list(mutagen.flac.FLAC(path).tags) == [("GENRE", "Pop"), ("title", "T")]

    path = mp3(tmp_path, before=id3(3, text(3, "TXXX", "Vocals\0a"), text(3, "TXXX", "VOCALS\0b")))
    assert metadata.read(path)["VOCALS"] == ("a", "b")
    metadata.write(path, {"VOCALS": ("c",)})
    assert [str(f) for f in mutagen.id3.ID3(path).getall("TXXX")] == ["c"]

    path = track(tmp_path, "ape")
    ape = mutagen.apev2.APEv2()
    ape["MOOD"] = ["x"]
    ape.save(path)
    metadata.write(path, {"MOOD": ("y",)})
    assert mutagen.apev2.APEv2(path).keys() == ["Mood"]

    path = track(tmp_path, "m4a")
    mp4 = mutagen.mp4.MP4(path)
    mp4["----:com.apple.iTunes:Mood"] = [b"x"]
    mp4["----:com.apple.iTunes:MOOD"] = ["ü".encode("utf-16-be")]
    mp4["----:com.apple.iTunes:MOOD"][0] = mutagen.mp4.MP4FreeForm("ü".encode("utf-16-be"), 2)
    mp4.save()
    assert set(metadata.read(path)["MOOD"]) == {"x", "ü"}
    metadata.write(path, {"MOOD": ("y",)})
    assert list(mutagen.mp4.MP4(path).tags.keys()) == ["----:com.apple.iTunes:MOOD"]

    path = track(tmp_path, "wma")
    asf = mutagen.asf.ASF(path)
    asf["wm/mood"], asf["WM/Mood"] = ["x"], ["z"]
    asf.save()
    metadata.write(path, {"MOOD": ("y",)})
    assert [n for n, _ in mutagen.asf.ASF(path).tags if n.upper() == "WM/MOOD"] == ["WM/Mood"]


def test_a_flac_file_between_id3_tags_keeps_both(tmp_path: Path) -> None:
    before, after = id3(3, TITLE[3], text(3, "TCON", "Pop")), id3v1()
    path = track(tmp_path, "flac", before=before, after=after)
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL
    content = path.read_bytes()
    assert content.startswith(before + b"fLaC")
    assert content.endswith(after)


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


def test_a_numeric_genre_of_mp4_is_read_and_replaced(tmp_path: Path) -> None:
    number = rendered(b"gnre", rendered(b"data", bytes(8) + b"\0\x12"))
    path = with_atoms(track(tmp_path, "m4a"), number)
    assert metadata.read(path)["GENRE"] == ("Rock",)
    metadata.write(path, {"MOOD": ("Slow",)})
    assert number in path.read_bytes()
    assert metadata.read(path)["GENRE"] == ("Rock",)
    metadata.write(path, {"GENRE": ("Pop",)})
    assert b"gnre" not in path.read_bytes()
    assert mutagen.mp4.MP4(path)["\xa9gen"] == ["Pop"]
    path = with_atoms(track(tmp_path, "m4a"), number)
    metadata.write(path, {"GENRE": ()})
    assert metadata.read(path) == NOTHING


ODD_ATOMS = {
    "a GIF": rendered(b"covr", rendered(b"data", b"\0\0\0\x0c\0\0\0\0GIF89a")),
    "a named picture": rendered(
        b"covr", rendered(b"data", b"\0\0\0\x0d\0\0\0\0jpeg") + rendered(b"name", b"x.jpg")
    ),
    "a wide small number": rendered(b"tmpo", rendered(b"data", b"\0\0\0\x15\0\0\0\0\0\0\0\x05")),
    "a language": rendered(b"\xa9nam", rendered(b"data", b"\0\0\0\1\x15\xc7\0\0Titel")),
    "text that is not UTF-8": rendered(b"\xa9nam", rendered(b"data", b"\0\0\0\1\0\0\0\0\xff\xfe")),
    "nothing known": rendered(b"zzzz", b"some bytes of somebody's"),
}


@pytest.mark.parametrize("what", ODD_ATOMS)
def test_odd_atoms_stay_byte_for_byte(tmp_path: Path, what: str) -> None:
    path = with_atoms(track(tmp_path, "m4a"), ODD_ATOMS[what])
    metadata.write(path, FULL, payload_digest=sound_of)
    assert ODD_ATOMS[what] in path.read_bytes()


def test_odd_chapters_of_mp4_stay_and_do_not_matter(tmp_path: Path) -> None:
    path = track(tmp_path, "m4a")
    mutagen_file = mutagen.mp4.MP4(path)
    mutagen_file["\xa9nam"] = ["Title"]
    mutagen_file.save()
    chapters = rendered(b"chpl", bytes(8) + b"\1" + bytes(8) + b"\2\xff\xfe")  # not UTF-8
    content = path.read_bytes()
    assert content.index(b"mdat") < content.index(b"moov")  # so nothing else moves
    for name in (b"moov", b"udta"):
        place = content.index(name) - 4
        size = int.from_bytes(content[place : place + 4], "big") + len(chapters)
        content = content[:place] + size.to_bytes(4, "big") + content[place + 4 :]
    place = content.index(b"udta") + 4
    path.write_bytes(content[:place] + chapters + content[place:])
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL
    assert chapters in path.read_bytes()


def test_music_behind_the_tags_of_mp4_is_still_found(tmp_path: Path) -> None:
    """The tables of places in the file move with the music when the header stands first."""
    last = track(tmp_path, "m4a")
    first = tmp_path / "first.m4a"
    with (
        av.open(last) as source,
        av.open(str(first), "w", format="ipod", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    content = first.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    metadata.write(first, FULL, payload_digest=audio.payload_digest)
    assert metadata.read(first) == FULL
    assert sound_of(first) == sound_of(last)


@pytest.mark.parametrize("container", ["wav", "aiff", "dff"])
@pytest.mark.parametrize("size", [10, 11])
def test_chunks_before_and_after_the_tag_stay(tmp_path: Path, container: str, size: int) -> None:
    path = track(tmp_path, container)
    content = path.read_bytes()
    layout = {"wav": "<4sI", "aiff": ">4sI", "dff": ">4sQ"}[container]
    header = struct.calcsize(layout)
    data = b"INFOIGNR" + bytes(range(size)) if size == 11 else bytes(range(size))
    chunk = struct.pack(layout, b"TEST", len(data)) + data + bytes(len(data) % 2)
    body = content[header:] + chunk
    path.write_bytes(struct.pack(layout, content[:4], len(body)) + body)
    metadata.write(path, {"GENRE": ("Rock",)})
    splice_chunk = path.read_bytes()
    body = splice_chunk[header:] + chunk  # now the tag is in the middle
    path.write_bytes(struct.pack(layout, content[:4], len(body)) + body)
    metadata.write(path, FULL)
    assert metadata.read(path) == {**NOTHING, **FULL}
    assert path.read_bytes().count(chunk) == 2
    assert struct.unpack(layout, path.read_bytes()[:header])[1] == path.stat().st_size - header


def test_a_wav_file_of_broken_chunks_is_left_alone(tmp_path: Path) -> None:
    """An odd chunk without its pad byte: mutagen would add a tag that nobody finds."""
    path = track(tmp_path, "wav")
    body = path.read_bytes()[8:] + struct.pack("<4sI", b"LIST", 5) + b"INFOx" + b"\1\2\3more"
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    before = path.read_bytes()
    with pytest.raises(MetadataError, match="would not"):
        metadata.write(path, FULL)
    assert path.read_bytes() == before


STREAMED = {
    # sizes of RIFF and data, as programs leave them that could not go back; None: the true one
    "ffmpeg": (0xFFFFFFFF, 0xFFFFFFFF),
    "sox": (0x7FFFF024, 0x7FFFF000),
    "zeros": (0, 0),
    "only RIFF": (0xFFFFFFFF, None),
    "only data": (None, 0xFFFFFFFF),
}


@pytest.mark.parametrize("what", STREAMED)
def test_a_wav_file_without_lengths_is_said_to_take_no_tags(tmp_path: Path, what: str) -> None:
    path = track(tmp_path, "wav")
    content = bytearray(path.read_bytes())
    for place, size in zip((4, content.index(b"data") + 4), STREAMED[what], strict=True):
        if size is not None:
            content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    for action in (metadata.read, lambda path: metadata.write(path, FULL)):
        with pytest.raises(MetadataError, match="its header does not say how long") as caught:
            action(path)
        assert caught.value.code == "no_tags"
        assert caught.value.cure
    assert path.read_bytes() == content


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


def test_an_mp4_file_whose_fragments_say_where_they_are_is_said_to_take_no_tags(
    tmp_path: Path,
) -> None:
    path = fragmented(tmp_path, "frag_keyframe+empty_moov")
    content = path.read_bytes()
    for action in (metadata.read, lambda path: metadata.write(path, FULL)):
        with pytest.raises(MetadataError, match="in fragments") as caught:
            action(path)
        assert caught.value.code == "no_tags"
        assert caught.value.cure
    assert path.read_bytes() == content


def test_fragments_of_mp4_that_may_move_are_no_matter(tmp_path: Path) -> None:
    """As streaming sites have them."""
    path = fragmented(tmp_path, "frag_keyframe+empty_moov+default_base_moof+skip_trailer")
    sound = sound_of(path)
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL
    assert sound_of(path) == sound


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_half_an_mp4_file_is_said_to_be_cut_short(tmp_path: Path, share: float) -> None:
    path = track(tmp_path, "m4a")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(MetadataError, match="the file is cut short") as caught:
        metadata.read(path)
    assert caught.value.code == "truncated"
    assert caught.value.cure == "copy or download it again"


def test_half_an_id3_tag_is_described_in_words(tmp_path: Path) -> None:
    path = mp3(tmp_path, before=id3(3, TITLE[3], padding=10_000))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(MetadataError, match="they are damaged or cut short"):
        metadata.read(path)


def test_a_folder_that_may_not_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")
    monkeypatch.setattr(tempfile, "mkstemp", failing(errno.EACCES))  # root may always
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "permission"
    assert str(tmp_path) in caught.value.reason
    assert caught.value.cure == "allow writing to the folder"


def test_something_else_in_a_wav_files_tag_chunk_is_not_written_over(tmp_path: Path) -> None:
    path = track(tmp_path, "wav")
    body = path.read_bytes()[8:] + struct.pack("<4sI", b"id3 ", 20) + b"not what you'd think"
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    with pytest.raises(MetadataError, match="something else"):
        metadata.read(path)


UNTAGGABLE = {
    ".aac": b"\xff\xf1" + bytes(100),
    ".mka": b"\x1a\x45\xdf\xa3" + bytes(100),
    ".caf": b"caff" + bytes(100),
    ".wav": b"RF64\xff\xff\xff\xffWAVE" + bytes(100),
    ".ogv": b"OggS" + bytes(24) + b"\x80theora and \x01vorbis",
    ".txt": b"words, no music",
}


@pytest.mark.parametrize("suffix", UNTAGGABLE)
def test_a_container_without_tags_is_said_to_be_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"track{suffix}"
    path.write_bytes(UNTAGGABLE[suffix])
    with pytest.raises(MetadataError) as caught:
        metadata.read(path)
    assert caught.value.code == "no_tags"


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".wav", ".m4a", ".ogg"])
def test_words_are_no_music_whatever_they_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"track{suffix}"
    path.write_bytes(b"words, no music, and more of them " * 99)
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "bad_header"


# ---------------------------------------------------------------- values


def test_joined_values_are_one_entry(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    metadata.write(path, {"GENRE": ("Rock", "Pop"), "MOOD": ()}, join="; ")
    assert metadata.read(path) == fields(GENRE=("Rock; Pop",))
    before = path.read_bytes()
    metadata.write(path, {"GENRE": ("Rock", "Pop")}, join="; ")
    assert path.read_bytes() == before


@pytest.mark.parametrize("value", ["", " ", " Rock", "Rock\n", "Ro\0ck", "\ud800"])
def test_a_value_that_cannot_be_read_back_is_a_bug_of_the_caller(
    tmp_path: Path, value: str
) -> None:
    path = track(tmp_path, "flac")
    with pytest.raises(ValueError, match=r"can't encode|cannot be a value"):
        metadata.write(path, {"GENRE": (value,)})


def test_an_unknown_field_is_a_bug_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="TITLE"):
        metadata.write(track(tmp_path, "flac"), {"TITLE": ("x",)})


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
any_values = st.dictionaries(
    st.sampled_from(metadata.FIELDS),
    st.lists(words.map(str.strip).filter(bool), max_size=3, unique=True).map(tuple),
)


EVERY_TAG: dict[str, tuple[str, bytes, bytes]] = {
    # container, what stands before and after it
    **{container: (container, b"", b"") for container in FAMILIES},
    "mp3, 2.2": ("mp3", id3(2, TITLE[2], text(2, "TCO", "(8)")), b""),
    "mp3, 2.3": ("mp3", id3(3, TITLE[3], text(3, "TCON", "(17)")), b""),
    "mp3, 2.3 and v1": ("mp3", id3(3, TITLE[3]), id3v1()),
    "mp3, 2.4": ("mp3", id3(4, TITLE[4], text(4, "TMOO", "Fast")), b""),
    "mp3, v1": ("mp3", b"", id3v1()),
}


def round_trip(folder: Path, what: str, first: Any, then: Any) -> None:
    """Any fields of ours, then any others: as written they read, and go back raw."""
    container, *around = EVERY_TAG[what]
    path = track(folder, container, before=around[0], after=around[1])
    for values in (first, then):
        before, read = metadata.snapshot(path), metadata.read(path)
        written = metadata.write(path, values)
        now = metadata.read(path)
        assert now == {**read, **values}
        assert (written is None) is (now == read)
        if written is None:
            continue
        undone = metadata.restore(path, before, expected=written.after)
        assert undone is not None
        assert metadata.read(path) == read
        if what not in ("mp3, 2.2", "wma"):  # 2.2 becomes 2.3; ASF may get a new order
            assert raw(undone.after) == raw(before)
        assert undone.after == before
        metadata.restore(path, undone.before, expected=undone.after)
        assert metadata.snapshot(path) == written.after


def no_numbers(values: Any) -> Any:
    """In ID3 "(17)" and "17" are Rock."""
    return {f: tuple(f"x{value}" for value in entries) for f, entries in values.items()}


@pytest.mark.parametrize("what", EVERY_TAG)
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(first=any_values.map(no_numbers), then=any_values.map(no_numbers))
def test_whatever_is_written_is_read_and_taken_back(
    tmp_path: Path, what: str, first: Any, then: Any
) -> None:
    round_trip(tmp_path, what, first, then)


@pytest.mark.slow
@pytest.mark.parametrize("what", EVERY_TAG)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(first=any_values.map(no_numbers), then=any_values.map(no_numbers))
def test_whatever_is_written_is_read_and_taken_back_deep(
    tmp_path: Path, what: str, first: Any, then: Any
) -> None:
    round_trip(tmp_path, what, first, then)


# ---------------------------------------------------------------- the file system


def test_the_time_moves_only_with_the_content_and_not_even_then_on_request(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    os.utime(path, ns=(1_000_000_000, 1_234_567_890_123_456_700))
    metadata.write(path, {"GENRE": ("Rock",)}, preserve_mtime=True)
    assert path.stat().st_mtime_ns == 1_234_567_890_123_456_700
    metadata.write(path, {"GENRE": ("Rock",)})
    assert path.stat().st_mtime_ns == 1_234_567_890_123_456_700
    metadata.write(path, {"GENRE": ("Pop",)})
    assert path.stat().st_mtime_ns > 1_234_567_890_123_456_700


NAMES = [
    os.fsdecode(b"\xff\xfe not UTF-8.flac"),
    "é" * 125 + ".flac",
    "x" * 250 + ".flac",
    "no suffix",
    ".hidden.flac",
    "dots..many...flac",
    "a name with 'quotes' and\nlines.flac",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_a_name(tmp_path: Path, name: str) -> None:
    path = track(tmp_path, "flac").rename(tmp_path / name)
    seen = []

    def digest(copy: Path) -> bytes:
        seen.append(copy)
        return b""

    metadata.write(path, FULL, payload_digest=digest)
    assert metadata.read(path) == FULL
    (copy,) = {one for one in seen if one != path}
    assert copy.parent == path.parent
    assert copy.name.startswith(".")
    assert ".musictag-" in copy.name
    assert copy.name.endswith(path.suffix)
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208 — names, not paths


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "music").mkdir()
    real = track(tmp_path / "store", "flac")
    link = tmp_path / "music" / "link.flac"
    link.symlink_to(real)
    metadata.write(link, FULL)
    assert link.is_symlink()
    assert metadata.read(real) == FULL
    assert [len(list(folder.iterdir())) for folder in tmp_path.iterdir()] == [1, 1]


def test_a_file_of_several_names_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    other = tmp_path / "other.flac"
    other.hardlink_to(path)
    before = path.read_bytes()
    with pytest.raises(MetadataError, match="under 2 names") as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "hard_linked"
    assert "--hardlinks replace" in str(caught.value)
    assert path.read_bytes() == before
    assert metadata.write(path, NOTHING) is None  # which needs no writing
    inode = path.stat().st_ino
    metadata.write(path, FULL, hardlinks="in-place")
    assert metadata.read(path) == metadata.read(other) == FULL
    assert path.stat().st_ino == other.stat().st_ino == inode
    written = metadata.write(path, NOTHING, hardlinks="in-place")
    assert written is not None
    assert metadata.read(other) == NOTHING
    with pytest.raises(MetadataError, match="under 2 names"):
        metadata.restore(path, written.before, expected=written.after)
    before = path.read_bytes()
    metadata.write(path, FULL, hardlinks="replace")
    assert metadata.read(path) == FULL
    assert other.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes by Linux's calls")
def test_extended_attributes_are_kept(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    try:
        os.setxattr(path, "user.rating", b"5")
    except OSError:
        pytest.skip("this file system has none")
    metadata.write(path, FULL)
    assert os.getxattr(path, "user.rating") == b"5"


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failing(code: int) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


STEPS: dict[str, tuple[Any, str]] = {
    "temporary name": (tempfile, "mkstemp"),
    "copy": (replacement, "_copy"),
    "tagging": (mutagen.flac.FLAC, "save"),
    "attributes": (shutil, "copystat"),
    "times": (os, "utime"),
    "to disk": (os, "fsync"),
    "rename": (os, "replace"),
}
FAILURES = {
    "no_space": failing(errno.ENOSPC),
    "read_only": failing(errno.EROFS),
    "permission": failing(errno.EACCES),
    "io": failing(errno.EIO),
}


@pytest.mark.parametrize("code", FAILURES)
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: str
) -> None:
    path = track(tmp_path, "flac")
    before, status = path.read_bytes(), path.stat()
    monkeypatch.setattr(*STEPS[step], FAILURES[code])
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    monkeypatch.undo()
    assert (caught.value.code, caught.value.path) == (code, path)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("step", STEPS)
def test_an_interruption_at_any_step_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = track(tmp_path, "flac")
    before = path.read_bytes()
    monkeypatch.setattr(*STEPS[step], interrupted)
    with pytest.raises(KeyboardInterrupt):
        metadata.write(path, FULL)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("container", ["mp3", "wav", "m4a", "wma", "ogg"])
def test_a_full_disk_is_told_apart_from_a_bad_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str
) -> None:
    """mutagen wraps the operating system's errors in its own."""
    path = track(tmp_path, container)
    before = path.read_bytes()

    def wrapped(*_: Any, **__: Any) -> None:
        try:
            no_space()
        except OSError as error:
            raise mutagen.MutagenError(str(error)) from error

    monkeypatch.setattr(type(metadata.open_file(path).file), "save", wrapped)
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "no_space"
    assert path.read_bytes() == before


def test_a_file_that_changes_meanwhile_is_left_to_whoever_changed_it(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")

    def somebody_else(copy: Path) -> bytes:
        if copy != path:
            os.utime(path, ns=(1, 1))
        return b""

    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL, payload_digest=somebody_else)
    assert caught.value.code == "changed"
    assert metadata.read(path) == NOTHING
    assert len(list(tmp_path.iterdir())) == 1


@one_of_each_family
def test_fields_that_are_not_as_expected_are_left_to_whoever_set_them(
    tmp_path: Path, container: str
) -> None:
    path = track(tmp_path, container)
    metadata.write(path, {"GENRE": ("Rock",), "MOOD": ("Slow",)})
    before = path.read_bytes()
    for goal in ({"GENRE": ("Pop",)}, {"GENRE": ("Rock",)}, {}):
        for expected in ({"GENRE": ()}, {"GENRE": ("Rock",), "MOOD": ("Fast",)}):
            with pytest.raises(MetadataError, match="changed since it was heard") as caught:
                metadata.write(path, goal, expected=expected)
            assert (caught.value.code, caught.value.cure) == ("changed", "scan it again")
    assert path.read_bytes() == before
    assert metadata.write(path, {"GENRE": ("Pop",)}, expected={"GENRE": ("Rock",)})
    assert metadata.read(path) == fields(GENRE=("Pop",), MOOD=("Slow",))


def test_fields_that_change_between_reading_and_copying_are_seen_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one tick of the clock, and of the same length: the file's status does not tell."""
    path = track(tmp_path, "flac")
    metadata.write(path, {"MOOD": ("Slow",)})
    copy, status = replacement._copy, path.stat()
    theirs = path.read_bytes().replace(b"MOOD=Slow", b"MOOD=Fast")

    def meanwhile(original: int, new: int) -> None:
        path.write_bytes(theirs)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        copy(original, new)

    monkeypatch.setattr(replacement, "_copy", meanwhile)
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, {"MOOD": ("Soft",)}, expected={"MOOD": ("Slow",)})
    assert caught.value.code == "changed"
    assert path.read_bytes() == theirs
    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_there_before_is_what_was_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")
    metadata.write(path, {"MOOD": ("Slow",)})
    beside, theirs = replacement.beside, path.read_bytes().replace(b"MOOD=Slow", b"mood=Slow")

    def meanwhile(original: Path) -> Any:
        path.write_bytes(theirs)
        return beside(original)

    monkeypatch.setattr(replacement, "beside", meanwhile)
    written = metadata.write(path, {"MOOD": ("Soft",)})
    assert written is not None
    assert written.before.raw("MOOD") == [b"mood=Slow"]


def test_a_file_that_was_replaced_while_it_was_compared_has_changed(tmp_path: Path) -> None:
    path, other = track(tmp_path, "flac"), tmp_path / "other.flac"

    def somebody_else(copy: Path) -> bytes:
        if copy != path:
            shutil.copy(path, other)
            other.replace(path)
        return bytes(copy)

    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL, payload_digest=somebody_else)
    assert caught.value.code == "changed"


def test_write_says_what_it_wrote(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    written = metadata.write(path, {"GENRE": ("Rock",)})
    assert written is not None
    assert written.before.values() == NOTHING
    assert written.after == metadata.snapshot(path)
    assert written.payload is None
    assert metadata.write(path, {"GENRE": ("Rock",)}) is None
    assert metadata.write(path, {}) is None


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
        metadata.write(path, FULL, payload_digest=audio.payload_digest)
    assert path.read_bytes() == before


PRIVATE = {
    # a part of mutagen that it does not promise: what we do that needs it
    "frames of the other version are written": (mutagen.id3.ID3, "_unknown_v2_version"),
    "atoms are handed through": (mutagen.mp4.MP4Tags, "_failed_atoms"),
    "a list of atoms is taken out": (mutagen.mp4.MP4Tags, "_MP4Tags__update_parents"),
    "places in the file follow": (mutagen.mp4.MP4Tags, "_MP4Tags__update_offsets"),
}


@pytest.mark.parametrize("what", PRIVATE)
def test_mutagens_private_parts_are_where_we_reach_for_them(what: str) -> None:
    """An update that moves them would lose tags in silence: here it is noticed first."""
    kind, name = PRIVATE[what]
    assert hasattr(kind(), name)


def test_mutagen_still_loads_a_list_of_atoms_as_we_override_it() -> None:
    assert list(inspect.signature(mutagen.mp4.MP4Tags.load).parameters) == [
        *("self", "atoms", "fileobj"),
    ]
    assert (mutagen.mp4.MP4.MP4Tags, mutagen.mp4.MP4.MP4Chapters) == (
        mutagen.mp4.MP4Tags,
        mutagen.mp4.MP4Chapters,
    )


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
    save = mutagen.flac.FLAC.save

    def careless(self: Any, *args: Any, **kwargs: Any) -> None:
        CARELESS[what](self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(mutagen.flac.FLAC, "save", careless)
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


PROBLEMS = {
    errno.EDQUOT: "no_space",
    errno.EXDEV: "cross_device",
    errno.EBUSY: "locked",
    errno.ETXTBSY: "locked",
}


@pytest.mark.parametrize("code", PROBLEMS)
def test_what_stands_in_the_way_of_a_rename_is_said_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path = track(tmp_path, "flac")
    monkeypatch.setattr(os, "replace", failing(code))
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == PROBLEMS[code]
    assert caught.value.cure
    assert metadata.read(path) == NOTHING


def test_a_file_that_windows_keeps_locked_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")

    def locked(*_: Any) -> None:
        error = PermissionError(errno.EACCES, "Access is denied")
        error.winerror = 32  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(os, "replace", locked)
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert (caught.value.code, caught.value.cure) == (
        "locked",
        "close the program that has it open",
    )


def test_a_file_that_would_play_longer_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")
    before = path.read_bytes()
    save = metadata.vorbis.FLAC._save

    def careless(self: Any) -> None:
        self.file.info.total_samples += 1
        save(self)

    monkeypatch.setattr(metadata.vorbis.FLAC, "_save", careless)
    monkeypatch.setattr(metadata.vorbis.FLAC, "_rest", lambda *_: "not looked at")
    with pytest.raises(MetadataError, match="would not survive"):
        metadata.write(path, FULL)
    assert path.read_bytes() == before


def test_a_write_protected_file_is_somebodys_wish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may always
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "permission"
    assert metadata.read(path) == NOTHING


def test_a_folder_that_cannot_be_synced_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file is already there under its name, whole."""
    path = track(tmp_path, "flac")
    opened = os.open

    def not_folders(name: Any, *args: Any, **kwargs: Any) -> int:
        if Path(name) == tmp_path:
            raise OSError(errno.EINVAL, "not for folders")
        return opened(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", not_folders)
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL


def test_what_is_no_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "folder.mp3").mkdir()
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "into nothing.mp3").symlink_to(tmp_path / "nothing.mp3")
    os.mkfifo(tmp_path / "pipe.mp3")
    codes = {
        "folder.mp3": "not_a_file",
        "empty.mp3": "empty",
        "into nothing.mp3": "not_found",
        "missing.mp3": "not_found",
        "pipe.mp3": "not_a_file",
    }
    for name, code in codes.items():
        for action in (metadata.read, lambda path: metadata.write(path, FULL)):
            with pytest.raises(MetadataError) as caught:
                action(tmp_path / name)
            assert caught.value.code == code


# -- files that were refused without need ----------------------------------------------------------


@pytest.mark.parametrize("container", ["wavpack", "ape"])
def test_an_apev2_tag_of_131_bytes_is_not_taken_for_id3v1(tmp_path: Path, container: str) -> None:
    """Its "APETAGEX" begins 131 bytes from the end: 128 from the end stands "TAG"."""
    path = track(tmp_path, container)
    tags = mutagen.apev2.APEv2()
    tags["Title"] = "x" * 53
    tags.save(path)
    assert path.read_bytes()[-128:].startswith(b"TAGEX")
    assert metadata.write(path, {"MOOD": ("Slow",)})
    assert metadata.read(path)["MOOD"] == ("Slow",)
    tags = mutagen.apev2.APEv2(path)
    assert str(tags["Title"]) == "x" * 53


def test_an_ogg_file_is_written_whose_headers_take_more_pages_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mutagen leaves more padding in larger files: in one of 5 MB, more than a page holds."""
    monkeypatch.setattr(mutagen.PaddingInfo, "get_default_padding", lambda self: 6000)
    path = track(tmp_path, "ogg")
    before = sound_of(path)
    assert metadata.write(path, {"GENRE": ("Rock",)}, payload_digest=audio.payload_digest)
    assert metadata.read(path)["GENRE"] == ("Rock",)
    assert sound_of(path) == before


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
