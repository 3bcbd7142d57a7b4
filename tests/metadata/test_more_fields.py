"""Fields that are written on request: STYLE, comment and grouping, provenance."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.id3
import mutagen.mp4
import pytest
from containers import decorate, decorations, frame, id3, id3v1, splice, text, track
from tagging import (
    FULL,
    NOTHING,
    apev2,
    every_container,
    mp3,
    one_of_each_family,
    raw,
    sound_of,
    with_chunk,
)

from musictag import metadata
from musictag.errors import MetadataError
from musictag.metadata import WRITABLE
from musictag.metadata.fields import MORE

ALL = {
    "STYLE": ("Dub", "Trip Hop"),
    "COMMENT": ("[Happy; Téchno]",),
    "GROUPING": ("[Happy]",),
    "MUSICTAG_MODEL": ("listener 0123abcd",),
    "MUSICTAG_DATE": ("2026-11-30",),
    "MUSICTAG_PROBABILITIES": ("Techno 0.83, Happy 0.71",),
}
KEYS = {
    "ID3": ("COMM", "TIT1"),
    "MP4": ("\xa9cmt", "\xa9grp"),
    "ASF": ("Description", "WM/ContentGroupDescription"),
    "APEv2": ("Comment", "Grouping"),
    "Vorbis": ("comment", "Grouping"),
}


def kind_of(tags: object) -> str:
    kinds = {
        mutagen.id3.ID3: "ID3",
        mutagen.mp4.MP4Tags: "MP4",
        mutagen.asf.ASFTags: "ASF",
        mutagen.apev2.APEv2: "APEv2",
    }
    return next((name for one, name in kinds.items() if isinstance(tags, one)), "Vorbis")


def say(path: Path, comment: str, grouping: str = "Sét A") -> None:
    """Comment and grouping, as other programs write them."""
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    kind = kind_of(file.tags)
    if kind == "ID3":
        file.tags.delall("COMM::eng")
        file.tags.add(mutagen.id3.COMM(encoding=1, lang="deu", desc="", text=[comment]))
        file.tags.add(mutagen.id3.TIT1(encoding=1, text=[grouping]))
    else:
        for key, value in zip(KEYS[kind], (comment, grouping), strict=True):
            file.tags[key] = value if kind == "APEv2" else [value]
    file.save()


def more(path: Path) -> dict[str, tuple[str, ...]]:
    found = metadata.read(path, also=MORE)
    return {field: values for field, values in found.items() if field in MORE and values}


@every_container
def test_an_untagged_file_takes_them_all(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    assert metadata.read(path, also=MORE) == dict.fromkeys(WRITABLE, ())
    metadata.write(path, {**FULL, **ALL})
    assert metadata.read(path, also=MORE) == {**FULL, **ALL}
    assert metadata.read(path) == FULL
    once, status = path.read_bytes(), path.stat()
    assert metadata.write(path, {**FULL, **ALL}) is None
    assert metadata.write(path, {"COMMENT": ALL["COMMENT"]}) is None
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (once, status.st_mtime_ns)
    metadata.write(path, dict.fromkeys(ALL, ()))
    assert metadata.read(path, also=MORE) == {**dict.fromkeys(MORE, ()), **FULL}


@every_container
def test_other_programs_find_them(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    metadata.write(path, ALL)
    tags: Any = mutagen.File(path).tags
    kind = kind_of(tags)
    comment, grouping = KEYS[kind]
    if kind == "ID3":
        comment = "COMM::eng"
    for key, value in ((comment, "[Happy; Téchno]"), (grouping, "[Happy]")):
        entry = tags[key]
        assert str(entry[0] if isinstance(entry, list) else entry) == value
    names = {key.upper() for key in tags.keys()}  # noqa: SIM118  # some kinds are no mappings
    for field in ("STYLE", "MUSICTAG_MODEL", "MUSICTAG_DATE", "MUSICTAG_PROBABILITIES"):
        assert any(name.endswith(field) for name in names), field


@every_container
def test_a_comment_is_reworded_and_everything_else_survives(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    decorate(path)
    say(path, "Ripped by me")
    assert more(path) == {"COMMENT": ("Ripped by me",), "GROUPING": ("Sét A",)}
    theirs, sound = decorations(path), sound_of(path)
    metadata.write(path, {"COMMENT": ("Ripped by me [Happy]",), "GROUPING": ("Sét A [Happy]",)})
    assert more(path) == {
        "COMMENT": ("Ripped by me [Happy]",),
        "GROUPING": ("Sét A [Happy]",),
    }
    after = decorations(path)
    language = {key for key in (*theirs[0], *after[0]) if key.startswith("COMM")}
    assert language <= {"COMM::deu"}
    for found in (theirs, after):
        found[0].pop("COMM::deu", None)
    assert (after, sound_of(path)) == (theirs, sound)


BEFORE = {
    "nothing": lambda path: None,
    "other things": decorate,
    "comments": lambda path: say(path, "Ripped\nby me "),
    "comments among other things": lambda path: (decorate(path), say(path, "Ripped by me")),
    "all fields": lambda path: metadata.write(path, {**FULL, **ALL}),
}


@every_container
@pytest.mark.parametrize("what", BEFORE)
def test_a_write_is_taken_back_to_the_byte(tmp_path: Path, container: str, what: str) -> None:
    path = track(tmp_path, container)
    BEFORE[what](path)
    original = path.read_bytes()
    written = metadata.write(
        path, {**ALL, "GENRE": ("Pop",), "COMMENT": ("Ripped by me [Sad]",), "STYLE": ("Ölfass",)}
    )
    assert written is not None
    assert written.after.fields == WRITABLE
    undone = metadata.restore(path, written.before, expected=written.after)
    assert undone is not None
    assert raw(undone.after) == raw(written.before)
    assert path.read_bytes() == original
    metadata.restore(path, undone.before, expected=undone.after)
    assert raw(metadata.snapshot(path, WRITABLE)) == raw(written.after)


@every_container
def test_a_snapshot_holds_what_was_written_and_nothing_of_others(
    tmp_path: Path, container: str
) -> None:
    """So what somebody does to a comment that we have not written is no reason to refuse."""
    path = track(tmp_path, container)
    decorate(path)
    say(path, "theirs")
    written = metadata.write(path, FULL)
    assert written is not None
    assert written.before.fields == metadata.FIELDS
    say(path, "their new one")
    metadata.restore(path, written.before, expected=written.after)
    assert metadata.read(path) == NOTHING
    assert more(path)["COMMENT"] == ("their new one",)


@one_of_each_family
def test_a_comment_that_somebody_changed_since_is_not_put_back(
    tmp_path: Path, container: str
) -> None:
    path = track(tmp_path, container)
    written = metadata.write(path, {"COMMENT": ("[Happy]",)})
    assert written is not None
    say(path, "theirs [Happy]")
    with pytest.raises(MetadataError, match="changed since"):
        metadata.restore(path, written.before, expected=written.after)


@one_of_each_family
def test_snapshots_survive_as_text(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    metadata.write(path, {**FULL, **ALL})
    before = metadata.snapshot(path, WRITABLE)
    assert raw(metadata.Snapshot.from_json(before.to_json())) == raw(before)
    four = metadata.snapshot(path)
    stored = json.loads(four.to_json())
    del stored["fields"]  # as they were once written
    assert metadata.Snapshot.from_json(json.dumps(stored)).values() == FULL
    assert four == before
    assert before.values() == {**FULL, **ALL}
    with pytest.raises(ValueError, match="not a snapshot"):
        metadata.Snapshot.from_json(before.to_json().replace('"STYLE"', '"TEMPO"'))


# ---------------------------------------------------------------- comments in ID3


def comm(version: int, language: bytes, description: bytes, said: str) -> bytes:
    name = "COM" if version == 2 else "COMM"
    return frame(version, name, b"\0" + language + description + b"\0" + said.encode("latin-1"))


@pytest.mark.parametrize("version", [2, 3, 4])
def test_only_comments_without_a_description_are_comments(tmp_path: Path, version: int) -> None:
    described = comm(version, b"eng", b"iTunNORM", " 00001")
    frames = (described, comm(version, b"fra", b"", "salut"), comm(version, b"deu", b"", "hallo"))
    path = mp3(tmp_path, before=id3(version, *frames))
    assert more(path) == {"COMMENT": ("salut", "hallo")}
    original = path.read_bytes()
    written = metadata.write(path, {"COMMENT": ("salut [Sad]", "hallo")})
    assert written is not None
    content = path.read_bytes()
    assert described in content
    assert frames[2] in content
    assert b"fra\0salut [Sad]" in content
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original


def test_the_same_comment_in_two_languages_stays_the_same_in_both(tmp_path: Path) -> None:
    frames = (comm(4, b"eng", b"", "same"), comm(4, b"XXX", b"", "same"))
    path = mp3(tmp_path, before=id3(4, *frames))
    metadata.write(path, {"COMMENT": ("same [Sad]",)})
    texts = {key: str(f) for key, f in mutagen.id3.ID3(path).items()}
    assert texts == {"COMM::eng": "same [Sad]", "COMM::XXX": "same [Sad]"}


def test_an_unsynchronised_comment_is_reworded(tmp_path: Path) -> None:
    path = mp3(tmp_path)
    tags = mutagen.id3.ID3()
    tags.add(mutagen.id3.COMM(encoding=0, lang="eng", desc="", text=["ÿà comment"]))
    tags.save(path, v2_version=3)
    content = path.read_bytes()
    size = content[9] | content[8] << 7
    body = content[10 : 10 + size].replace(b"\xff\xe0", b"\xff\0\xe0")
    path.write_bytes(id3(3, body, padding=0, flags=0x80) + content[10 + size :])
    assert more(path) == {"COMMENT": ("ÿà comment",)}
    metadata.write(path, {"COMMENT": ("ÿà comment [Sad]",)})
    assert more(path) == {"COMMENT": ("ÿà comment [Sad]",)}
    assert str(mutagen.id3.ID3(path)["COMM::eng"]) == "ÿà comment [Sad]"


@pytest.mark.parametrize(("itunes", "title"), [("GRP1", "TIT1"), ("GP1", "TT1")])
def test_a_grouping_of_itunes_is_the_grouping_and_the_other_frame_a_title(
    tmp_path: Path, itunes: str, title: str
) -> None:
    version = 2 if len(itunes) == 3 else 4
    work = text(version, title, "Symphony")
    path = mp3(tmp_path, before=id3(version, work, text(version, itunes, "Set A")))
    assert more(path) == {"GROUPING": ("Set A",)}
    metadata.write(path, {"GROUPING": ("Set A [Sad]",)})
    assert work in path.read_bytes()
    assert b"Set A [Sad]" in path.read_bytes()
    assert more(path) == {"GROUPING": ("Set A [Sad]",)}


def test_a_new_tag_keeps_the_comment_of_the_id3v1_that_it_hides(tmp_path: Path) -> None:
    path = mp3(tmp_path, after=id3v1())
    original = path.read_bytes()
    assert more(path) == {"COMMENT": ("a comment",)}
    written = metadata.write(path, {"COMMENT": ("a comment [Sad]",)})
    assert written is not None
    assert more(path) == {"COMMENT": ("a comment [Sad]",)}
    assert str(mutagen.id3.ID3(path)["TIT2"]) == "Title"
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original


# ---------------------------------------------------------------- several tags


def test_another_text_in_a_second_tag_is_left_alone(tmp_path: Path) -> None:
    front = id3(4, comm(4, b"eng", b"", "front"))
    path = mp3(tmp_path, before=front, after=apev2(tmp_path, Comment="behind", Grouping="A"))
    assert more(path) == {"COMMENT": ("front",), "GROUPING": ("A",)}
    metadata.write(path, {"COMMENT": ("front [Sad]",), "GROUPING": ("A [Sad]",)})
    assert more(path) == {"COMMENT": ("front [Sad]",), "GROUPING": ("A [Sad]",)}
    behind = mutagen.apev2.APEv2(path)
    assert (str(behind["Comment"]), str(behind["Grouping"])) == ("behind", "A [Sad]")


def test_the_same_text_in_a_second_tag_is_kept_in_agreement(tmp_path: Path) -> None:
    front = id3(4, comm(4, b"eng", b"", "same"))
    path = mp3(tmp_path, before=front, after=apev2(tmp_path, Comment="same"))
    metadata.write(path, {"COMMENT": ("same [Sad]",)})
    assert str(mutagen.apev2.APEv2(path)["Comment"]) == "same [Sad]"


@pytest.mark.parametrize("genre", [True, False])
def test_the_info_of_a_wav_holds_a_comment(tmp_path: Path, genre: bool) -> None:
    info = b"INFOICMT\x05\0\0\0hello\0IART\x04\0\0\0Nina"
    path = with_chunk(track(tmp_path, "wav"), b"LIST", info)
    original = path.read_bytes()
    assert more(path) == {"COMMENT": ("hello",)}
    values = {"COMMENT": ("hello [Sad]",), **({"GENRE": ("Pop",)} if genre else {})}
    written = metadata.write(path, values)
    assert written is not None
    assert b"ICMT\x0c\0\0\0hello [Sad]\0" in path.read_bytes()
    assert more(path) == {"COMMENT": ("hello [Sad]",)}
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original


def test_flac_with_id3_in_front_keeps_comments_in_agreement(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    metadata.write(path, {"COMMENT": ("same",)})
    splice(path, before=id3(3, comm(3, b"eng", b"", "same")))
    metadata.write(path, {"COMMENT": ("same [Sad]",)})
    assert b"eng\0same [Sad]" in path.read_bytes()
    assert b"COMMENT=same [Sad]" in path.read_bytes()


# ---------------------------------------------------------------- limits


def test_joining_leaves_texts_alone(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    metadata.write(path, {"STYLE": ("A", "B"), "COMMENT": ("one", "two")}, join="; ")
    assert more(path) == {"STYLE": ("A; B",), "COMMENT": ("one", "two")}


@pytest.mark.parametrize("others", [[], ["another comment"]])
def test_a_comment_that_ffmpeg_wrote_into_asf_is_reworded(
    tmp_path: Path, others: list[str]
) -> None:
    """As an attribute, where TagLib's players have theirs in the content description."""
    path = track(tmp_path, "wma")
    tags: Any = mutagen.asf.ASF(path)
    tags["Description"] = others  # mutagen writes that into the content description
    tags["description"] = ["old comment"]
    tags.save()
    before = path.read_bytes()
    found = more(path)["COMMENT"]
    assert set(found) == {"old comment", *others}
    reworded = tuple(f"{text} [Sad]" for text in found)
    written = metadata.write(path, {"COMMENT": reworded})
    assert written is not None
    assert set(more(path)["COMMENT"]) == set(reworded)
    shown = mutagen.asf.ASF(path).tags.as_dict()
    assert {str(value) for value in shown["Description"]} == set(reworded)
    assert "description" not in shown
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


def test_a_comment_that_asf_has_no_room_for_is_refused(tmp_path: Path) -> None:
    path = track(tmp_path, "wma")
    before = path.read_bytes()
    with pytest.raises(MetadataError, match="32,766 letters"):
        metadata.write(path, {"COMMENT": ("x" * 40_000,)})
    assert path.read_bytes() == before


@every_container
def test_tempo_and_key_are_never_touched(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    names = {
        "ID3": (mutagen.id3.TBPM(text=["174"]), mutagen.id3.TKEY(text=["8A"])),
        "MP4": (("tmpo", [174]), ("----:com.apple.iTunes:initialkey", [b"8A"])),
        "ASF": (("WM/BeatsPerMinute", "174"), ("WM/InitialKey", "8A")),
    }.get(kind_of(file.tags), (("BPM", "174"), ("INITIALKEY", "8A")))
    for one in names:
        if isinstance(one, tuple):
            file.tags[one[0]] = one[1]
        else:
            file.tags.add(one)
    file.save()
    before = decorations(path)
    assert len(before[0]) >= 2
    metadata.write(path, {**FULL, **ALL})
    after = decorations(path)
    assert {key: value for key, value in after[0].items() if key in before[0]} == before[0]


@pytest.mark.parametrize("field", ["COMMENT", "GROUPING", "both"])
def test_objects_that_an_asf_file_got_for_our_fields_go_again(tmp_path: Path, field: str) -> None:
    path = track(tmp_path, "wma")
    content = path.read_bytes()
    count, end = int.from_bytes(content[24:28], "little"), int.from_bytes(content[16:24], "little")
    objects, place = [], 30
    for _ in range(count):
        size = int.from_bytes(content[place + 16 : place + 24], "little")
        if content[place : place + 2] not in (b"\x33\x26", b"\x40\xa4"):  # both descriptions
            objects.append(content[place : place + size])
        place += size
    body = b"".join(objects)
    head = content[:16] + struct.pack("<QI", 30 + len(body), len(objects)) + content[28:30]
    path.write_bytes(head + body + content[end:])
    original = path.read_bytes()
    assert len(original) < len(content)
    values = {"COMMENT": ("a",), "GROUPING": ("b",)}
    written = metadata.write(path, values if field == "both" else {field: values[field]})
    assert written is not None
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original


BROKEN = {
    "an encoding that is none": frame(4, "COMM", b"\x09engx\0y"),
    "half an UTF-16": frame(3, "COMM", b"\x01eng\xff\xfe\0\0\xff\xfeA"),
    "half a surrogate": frame(3, "COMM", b"\x01eng\xff\xfe\0\0\xff\xfe\0\xd8"),
    "no language": frame(4, "COMM", b"\0e"),
    "nothing": frame(4, "COMM", b""),
    "a grouping of nothing": frame(4, "GRP1", b"\x09"),
    "a packed comment": frame(4, "COMM", b"\0\0\0\x09\x78\x9cjunk", flags=0x09),
}


@pytest.mark.parametrize("what", BROKEN)
def test_damage_in_a_comment_is_no_reason_to_refuse_a_file(tmp_path: Path, what: str) -> None:
    version = 3 if "half" in what else 4
    path = mp3(tmp_path, before=id3(version, BROKEN[what], text(version, "TIT2", "Title")))
    before = path.read_bytes()
    assert metadata.read(path, also=MORE)["GENRE"] == ()
    written = metadata.write(path, {"GENRE": ("Pop",), "COMMENT": ("[Sad]",), "GROUPING": ("a",)})
    assert written is not None
    assert more(path) == {"COMMENT": ("[Sad]",), "GROUPING": ("a",)}
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before
