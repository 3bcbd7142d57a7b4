"""What decoders get to see of a file, and what is refused before they see it."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import sounds
from heard import error, heard, through

from musictag.audio import ffmpeg, libsndfile
from musictag.audio.blocks import GaveUp
from musictag.audio.digest import payload_digest
from musictag.audio.source import View
from musictag.errors import AudioError

posix = pytest.mark.skipif(os.name != "posix", reason="names and pipes as in POSIX")


def test_files_that_are_not_there_or_not_files(tmp_path: Path) -> None:
    assert error(tmp_path / "none.mp3").code == "not_found"
    (tmp_path / "file").touch()
    assert error(tmp_path / "file" / "below.mp3").code == "not_found"
    assert error(tmp_path / "file").code == "empty"
    assert error(tmp_path).code == "not_a_file"


@posix
def test_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    assert error(tmp_path / "pipe.mp3").code == "not_a_file"  # would hang if it were opened
    assert error(Path(os.devnull)).code == "not_a_file"
    with pytest.raises(AudioError):
        payload_digest(tmp_path / "pipe.mp3")


def test_a_file_we_may_not_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    path = sounds.make(tmp_path, "mp3")
    monkeypatch.setattr(os, "open", refusing)
    assert error(path).code == "permission"


@pytest.mark.parametrize("text", ["some words", "#EXTM3U\nhttp://example.invalid/a.mp3\n", "é\r\n"])
def test_text_is_no_music(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_text(text, encoding="utf-8")
    assert error(path).code == "no_decoder"
    assert error(path).reason == "it is text, not sound"


@posix
@pytest.mark.parametrize("container", ["mp3", "flac", "wav", "ogg", "m4a"])
def test_names_that_are_not_utf_8_or_look_like_options(
    container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = sounds.make(tmp_path, container).read_bytes()
    for name in (b"caf\xe9 \xff.mp3", b"-", b"-i.mp3", b"concat:a|b", b"http:x"):
        path = Path(os.fsdecode(name))
        path.write_bytes(data)
        assert len(heard(path)) == 1
        assert len(payload_digest(path)) == 32
        for door in (libsndfile.blocks, ffmpeg.blocks):
            if container in ("flac", "wav") or door is ffmpeg.blocks:
                assert len(through(door, path))


@pytest.mark.parametrize(
    ("kind", "playlist"),
    [
        ("HLS", b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nsecret.aac\n#EXT-X-ENDLIST\n"),
        ("concat", b"ffconcat version 1.0\nfile secret.aac\n"),
    ],
)
@pytest.mark.parametrize("disguise", ["none", "a tag before", "a zero byte behind"])
def test_a_playlist_in_disguise_opens_no_other_file(
    kind: str, playlist: bytes, disguise: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sounds.make(tmp_path, "aac", seconds=5, name="secret.aac")
    if disguise == "a tag before":
        playlist = b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10) + playlist
    if disguise == "a zero byte behind":
        playlist += b"#\x00\n"
    path = Path("song.mp3")
    path.write_bytes(playlist)
    assert error(path).code == "no_decoder"
    with pytest.raises(GaveUp):
        through(ffmpeg.blocks, path)


def test_a_size_that_points_to_far_outside_the_file_is_damage_and_no_fault_of_the_disk(
    tmp_path: Path,
) -> None:
    data = bytearray(sounds.encode("caf", sounds.chord(2), 44_100))
    at = data.find(b"desc") + 4
    data[at : at + 8] = b"\x7f" + b"\xff" * 6 + b"\0"
    path = tmp_path / "a.caf"
    path.write_bytes(data)
    with pytest.raises(GaveUp):
        through(ffmpeg.blocks, path)
    assert len(payload_digest(path)) == 32


@pytest.mark.parametrize("offset", [-1, (1 << 63) - 1, 1 << 63])
def test_a_view_of_a_file_has_no_place_outside_of_it(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with path.open("rb") as file, pytest.raises(GaveUp):
        View(file).seek(offset)


def test_a_view_of_a_file_ends_where_the_tags_begin(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(b"\xff\xfb" + b"m" * 98 + b"TAG" + bytes(125))
    with path.open("rb") as file:
        view = View(file)
        assert view.read() == b"\xff\xfb" + b"m" * 98
        assert view.seek(0, io.SEEK_END) == 100
        assert view.read(10) == b""
        view.seek(95)
        assert view.read(10) == b"m" * 5
