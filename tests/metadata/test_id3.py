"""ID3 in its versions, at the beginning of a file and elsewhere."""

from __future__ import annotations

from pathlib import Path

import containers
import mutagen
import mutagen.apev2
import mutagen.id3
import pytest
from containers import encoded, frame, id3, id3v1, text, track
from tagging import FULL, TITLE, apev2, fields, frame_set, mp3, raw_frames, sound_of

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.errors import MetadataError

VERSIONS = {
    # what the file has: (ID3v2, ID3v1), the version that it has then, the genre read before
    "none": (b"", b"", 4, ()),
    "2.4": (id3(4, TITLE[4]), b"", 4, ()),
    "2.3": (id3(3, TITLE[3]), b"", 3, ()),
    "2.2": (id3(2, TITLE[2], text(2, "TCO", "(8)")), b"", 2, ("Jazz",)),
    "2.2, a frame of our own": (id3(2, TITLE[2], text(2, "TXX", "Mood\0Fast")), b"", 2, ()),
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
    assert (b"MOOD" in content) is (version < 4)
    assert (b"TMOO" in content) is (version == 4)
    assert content.count(b"TCO" if version == 2 else b"TCON") == 1
    if TITLE[version] in before:
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
        frame(3, "APIC", BIG).replace(b"\xff\x00", b"\xff\x00\x00"),
    ),
    "2.4, unsynchronised": (
        id3(4, frame(4, "APIC", BIG.replace(b"\xff\x00", b"\xff\x00\x00")), flags=0x80),
        frame(4, "APIC", BIG.replace(b"\xff\x00", b"\xff\x00\x00")),
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


ODD_FRAMES_OF_22 = {
    "one that has no successor": frame(2, "CRM", b"x\0y\0z"),
    "one nobody knows": frame(2, "ZZZ", b"xyz"),
    "a picture": frame(2, "PIC", b"\0JPG\3front\0jpeg"),
}


@pytest.mark.parametrize("what", ODD_FRAMES_OF_22)
def test_id3v22_stays_with_all_its_frames(tmp_path: Path, what: str) -> None:
    path = mp3(tmp_path, before=id3(2, TITLE[2], ODD_FRAMES_OF_22[what]))
    original = path.read_bytes()
    written = metadata.write(path, {**FULL, "GENRE": ("Música", "民謡")})
    assert written is not None
    assert metadata.read(path) == {**FULL, "GENRE": ("Música", "民謡")}
    assert ODD_FRAMES_OF_22[what] in path.read_bytes()
    assert mutagen.id3.ID3(path)["TCON"].text == ["Música", "民謡"]
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original


def test_apev2_and_lyrics_beside_id3_stay_in_agreement(tmp_path: Path) -> None:
    gain = {"MP3GAIN_MINMAX": "1,2"}
    lyrics = b"LYRICSBEGINLYR00005hello000024LYRICS200"
    end = apev2(tmp_path, **gain, Genre="Swing") + lyrics + id3v1()
    path = mp3(tmp_path, before=id3(3, TITLE[3]), after=end)
    original = path.read_bytes()
    written = metadata.write(path, {"GENRE": ("Pop", "Choral"), "MOOD": ("Slow",)})
    assert written is not None
    agreeing = apev2(tmp_path, **gain, Genre="Pop\0Choral") + lyrics + id3v1(genre=13)
    assert path.read_bytes().endswith(encoded("mp3")[1] + agreeing)
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original


def test_without_id3_the_fields_go_into_the_apev2_tag_that_is_there(tmp_path: Path) -> None:
    there = fields(GENRE=("Jazz",), MOOD=("Fast", "Loud"), INSTRUMENT=("Harp",), VOCALS=("Male",))
    items = {"Title": "T", "GENRE": "Jazz", "Mood": "Fast\0Loud", "instrument": "Harp"}
    path = mp3(tmp_path, after=apev2(tmp_path, **items, VOCALS="Male"))
    original = path.read_bytes()
    assert metadata.read(path) == there
    assert not metadata.write(path, {"GENRE": ("Jazz",)})
    written = metadata.write(path, {"GENRE": ("Jazz", "Rock"), "MOOD": ("Slow",)})
    assert written is not None
    after = {**there, "GENRE": ("Jazz", "Rock"), "MOOD": ("Slow",)}
    assert metadata.read(path) == after
    assert not path.read_bytes().startswith(b"ID3")
    assert mutagen.apev2.APEv2(path)["Genre"] == "Jazz\0Rock"
    assert not metadata.write(path, after)
    assert metadata.write(path, {"MOOD": ()})
    assert metadata.read(path) == {**after, "MOOD": ()}
    metadata.restore(path, written.before, expected=None)
    assert metadata.read(path) == there
    assert len(path.read_bytes()) == len(original)


@pytest.mark.parametrize("genre", [17, 255])
def test_the_genre_of_apev2_comes_before_that_of_id3v1(tmp_path: Path, genre: int) -> None:
    """As in TagLib; without APEv2's it is ID3v1's."""
    path = mp3(tmp_path, after=apev2(tmp_path, Genre="Jazz") + id3v1(genre=genre))
    assert metadata.read(path)["GENRE"] == ("Jazz",)
    metadata.write(path, {"MOOD": ("Slow",)})
    assert metadata.read(path) == fields(GENRE=("Jazz",), MOOD=("Slow",))
    metadata.write(path, {"GENRE": ("Pop", "Rock")})
    assert metadata.read(path)["GENRE"] == ("Pop", "Rock")
    assert path.read_bytes().endswith(id3v1(genre=13))
    path = mp3(tmp_path, after=apev2(tmp_path, Title="T") + id3v1())
    assert metadata.read(path)["GENRE"] == ("Rock",)


def test_damage_in_apev2_beside_id3_does_not_matter(tmp_path: Path) -> None:
    end = bytearray(apev2(tmp_path, Genre="Jazz"))
    end[32] = 200  # the first item's length
    path = mp3(tmp_path, after=bytes(end))
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL
    assert path.read_bytes().endswith(bytes(end))


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
    digest = sound_of if container in containers.HEADERS else payload_digest
    written = metadata.write(path, FULL, payload_digest=digest)
    assert written is not None
    for name, data in frames.items():
        assert path.read_bytes().count(data) == 1, name
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


def test_half_an_id3_tag_is_described_in_words(tmp_path: Path) -> None:
    path = mp3(tmp_path, before=id3(3, TITLE[3], padding=10_000))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(MetadataError, match="they are damaged or cut short"):
        metadata.read(path)
