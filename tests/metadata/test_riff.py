"""Tags in the chunks of WAV, AIFF and DSDIFF."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from containers import track
from tagging import FULL, NOTHING, fields, with_chunk

from musictag import metadata
from musictag.errors import MetadataError

INFOS = {
    # texts of INFO: the genre that is read, and whether another one can be put there
    "IGNR": (b"ISFT\x03\0\0\0abc\0IGNR\x06\0\0\0Jazz\0\0", ("Jazz",), True),
    "UTF-8": (b"IGNR\x05\0\0\0Fl\xc3\xbbt\0", ("Flût",), True),
    "Latin-1": (b"IGNR\x04\0\0\0Fl\xfbt", ("Flût",), True),
    "empty": (b"IGNR\x01\0\0\0\0\0", (), True),
    "beyond its end": (b"IGNR\xff\0\0\0Jazz", ("Jazz",), True),
    "none": (b"ISFT\x03\0\0\0abc\0", (), True),
    "half a header": (b"IGNR\xff", (), False),
}


@pytest.mark.parametrize("what", INFOS)
def test_the_genre_in_a_wav_files_info_counts_and_is_kept_in_agreement(
    tmp_path: Path, what: str
) -> None:
    info, genre, writable = INFOS[what]
    path = with_chunk(track(tmp_path, "wav"), b"LIST", b"INFO" + info)
    original = path.read_bytes()
    assert metadata.read(path) == fields(GENRE=genre)
    first = metadata.write(path, {"MOOD": ("Slow",)})
    assert first is not None
    assert metadata.read(path) == fields(GENRE=genre, MOOD=("Slow",))
    assert b"INFO" + info in path.read_bytes()
    second = metadata.write(path, {"GENRE": ("Rock", "Pop")})
    assert second is not None
    assert metadata.read(path) == fields(GENRE=("Rock", "Pop"), MOOD=("Slow",))
    content = path.read_bytes()
    assert (b"IGNR\x05\0\0\0Rock\0" in content) is writable
    assert (b"INFO" + info + bytes(len(info) % 2) + b"id3 " in content) is not writable
    metadata.restore(path, second.before, expected=second.after)
    metadata.restore(path, first.before, expected=first.after)
    assert path.read_bytes() == original


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


def test_something_else_in_a_wav_files_tag_chunk_is_not_written_over(tmp_path: Path) -> None:
    path = track(tmp_path, "wav")
    body = path.read_bytes()[8:] + struct.pack("<4sI", b"id3 ", 20) + b"not what you'd think"
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    with pytest.raises(MetadataError, match="something else"):
        metadata.read(path)
