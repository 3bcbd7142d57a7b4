"""Fields and files: what is written is read back in every container, and nothing else moves."""

from __future__ import annotations

import os
from pathlib import Path

import containers
import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.flac
import mutagen.id3
import mutagen.mp4
import pytest
import sounds
from containers import FAMILIES, decorate, decorations, id3, text, track
from tagging import FULL, NOTHING, broken_versions, every_container, fields, mp3, sound_of

from musictag import files, metadata
from musictag.audio.digest import payload_digest
from musictag.errors import MetadataError
from musictag.formats.table import FORMATS


def test_the_table_has_every_container_that_can_be_tagged() -> None:
    ours = {row for row, sound in sounds.CONTAINERS.items() if sound.taggable}
    same = {"mp3-libsndfile", "flac-libsndfile", "wav-24"}  # as another row, other encoder
    assert ours - same <= set(FAMILIES)


NOT_WALKED = {
    *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".ogv", ".wmv"),  # mostly films
    ".m4p",  # protected: nobody but iTunes can hear it
    *(".amr", ".awb"),  # telephone speech
    *(".mid", ".midi"),  # notes, no sound
    # what ffmpeg reads and no music library holds
    *(".8svx", ".aa3", ".bonk", ".dtshd", ".iff", ".ircam", ".loas", ".oma", ".qoa", ".ra"),
    *(".rm", ".sf", ".sph", ".thd", ".truehd", ".voc", ".wsd"),
}


def test_a_walk_finds_every_container_of_music_by_all_its_names() -> None:
    known = {suffix for row in FORMATS for suffix in row.all_suffixes}
    assert known - files.EXTENSIONS == NOT_WALKED


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
    keys = {field: metadata.KEYS[FAMILIES[container]][field] for field in FULL}
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
    digest = sound_of if container in containers.HEADERS else payload_digest
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
