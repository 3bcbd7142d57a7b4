"""Files that are whole are heard, and where that cannot be, a true sentence says why."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import sounds
from heard import error, heard, whole
from sounds import CONTAINERS

from musictag import metadata
from musictag.audio import ffmpeg
from musictag.audio.digest import payload_digest
from musictag.audio.track import Track
from musictag.errors import AudioError, MetadataError
from musictag.formats import id3v2

ID3 = b"ID3\x03\0\0\0\0\0\x12" + b"TIT2\0\0\0\x08\0\0\0MyTitle"
BIG_ID3 = b"ID3\x04\0\x10\0\0\x40\0" + bytes(8192) + b"3DI\x04\0\x10\0\0\x40\0"  # with a footer


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_tags", [1, 3])
def test_id3_in_front_hides_no_container(container: str, n_tags: int, tmp_path: Path) -> None:
    """Sloppy taggers put it in front of anything, and players skip it."""
    path = sounds.make(tmp_path, container)
    plain, digest = heard(path), payload_digest(path)
    data = path.read_bytes()
    path.write_bytes(ID3 * (n_tags - 1) + BIG_ID3 + data)
    (segment,) = heard(path)
    # libsndfile and ffmpeg round differently; opus conceals its start in two ways
    assert np.abs(segment - plain[0]).max() < 1e-4
    if not data.startswith(b"ID3"):
        assert payload_digest(path) == digest


@pytest.mark.parametrize("container", ["wavpack", "ape", "tta", "flac", "mp3-libsndfile"])
def test_zeros_behind_id3_hide_no_container(container: str, tmp_path: Path) -> None:
    path = sounds.make(tmp_path, container)
    plain = heard(path)
    path.write_bytes(ID3 + bytes(5000) + path.read_bytes())
    (segment,) = heard(path)
    assert np.abs(segment - plain[0]).max() < 1e-4


def test_id3_in_front_of_a_file_cut_short_does_not_hide_that(tmp_path: Path) -> None:
    for container in ("wavpack", "ape", "tta", "wav", "m4a"):
        path = sounds.make(tmp_path, container, seconds=10)
        data = path.read_bytes()
        path.write_bytes(ID3 + data[: len(data) // 2])
        assert error(path).code == "truncated"


# ---------------------------------------------------------------- FLAC without its header


def without_header(data: bytes) -> bytes:
    place, last = 4, False
    while not last:
        last = bool(data[place] & 0x80)
        place += 4 + int.from_bytes(data[place + 1 : place + 4], "big")
    return data[place:]


@pytest.mark.parametrize("in_front", [b"", ID3])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 96_000])
def test_flac_that_begins_with_a_frame_is_heard_and_called_so(
    rate_hz: int, in_front: bytes, tmp_path: Path
) -> None:
    path = sounds.make(tmp_path, "flac", rate_hz=rate_hz)
    plain = whole(path)
    path.write_bytes(in_front + without_header(path.read_bytes()))
    np.testing.assert_array_equal(whole(path), plain)
    with pytest.raises(MetadataError) as refused:
        metadata.read(path)
    assert refused.value.code == "no_tags"
    assert refused.value.reason == "musictag cannot write tags into FLAC without its header"


def test_aac_is_not_taken_for_flac(tmp_path: Path) -> None:
    """MPEG-2 AAC begins with the same bytes."""
    path = sounds.make(tmp_path, "aac")
    data = bytearray(path.read_bytes())
    place = 0
    while place < len(data):
        data[place + 1] |= 0x08
        place += (data[place + 3] & 3) << 11 | data[place + 4] << 3 | data[place + 5] >> 5
    path.write_bytes(data)
    assert path.read_bytes().startswith((b"\xff\xf8", b"\xff\xf9"))
    with pytest.raises(MetadataError, match="into AAC without a container"):
        metadata.read(path)


# ---------------------------------------------------------------- mp3


@pytest.mark.parametrize("n_bytes", [50, 1500, 40_000])
def test_text_in_front_of_the_first_frame_does_not_make_a_file_text(
    n_bytes: int, tmp_path: Path
) -> None:
    """A server's answer, saved with what it sent."""
    path = sounds.make(tmp_path, "mp3")
    plain = Track(path)
    list(plain.segments())
    text = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n" * 1000
    path.write_bytes(text[:n_bytes] + path.read_bytes())
    track = Track(path)
    assert list(track.segments())
    assert track.duration_s == pytest.approx(plain.duration_s, abs=0.1)


def test_a_megabyte_of_text_is_named(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "mp3")
    path.write_bytes(b"la " * 500_000 + path.read_bytes())
    assert error(path).reason == "a megabyte of text stands in front"


def free_format(data: bytes) -> bytes:
    """An mp3 of 128 kbit/s at 48 kHz whose frames say "free" in place of their bit rate."""
    frames = bytearray(data[id3v2.end(io.BytesIO(data)) :])
    for place in range(0, len(frames), 384):  # 144 × 128,000 / 48,000 bytes, none padded
        assert frames[place] == 0xFF
        assert frames[place + 2] & 0xF2 == 0x90
        frames[place + 2] &= 0x0F
    return bytes(frames)


@pytest.mark.parametrize("in_front", [b"", ID3])
def test_free_format_mp3_is_heard_and_called_so(in_front: bytes, tmp_path: Path) -> None:
    chord = sounds.chord(5, rate_hz=48_000)
    path = tmp_path / "free.mp3"
    path.write_bytes(sounds.encode("mp3-no-xing", chord, 48_000, bit_rate=128_000))
    plain = whole(path)
    path.write_bytes(in_front + free_format(path.read_bytes()))
    (segment,) = heard(path)
    assert np.abs(segment[16_000:64_000]).max() == pytest.approx(
        np.abs(plain[16_000:64_000]).max(), rel=0.02
    )
    with pytest.raises(MetadataError) as refused:
        metadata.read(path)
    assert refused.value.reason == "musictag cannot write tags into free-format MPEG audio"


# ---------------------------------------------------------------- what ffmpeg implements in part


class Packet:
    """One packet, which ffmpeg decodes unless it raises."""

    def __init__(self, packet: Any, raises: Exception | None) -> None:
        self._packet, self._raises = packet, raises
        self.size = packet.size

    def decode(self) -> Any:
        frames = self._packet.decode()
        if self._raises is not None:
            raise self._raises
        return frames


@pytest.mark.parametrize(
    ("raises", "codec", "code", "reason"),
    [
        (av.error.PatchWelcomeError(0, ""), "wmav2", "no_decoder",
         "use parts of their codec, wmav2, that ffmpeg does not implement"),
        (av.error.InvalidDataError(0, ""), "wmapro", "no_decoder",
         "are damaged, or use parts of wmapro that ffmpeg does not implement"),
        (av.error.InvalidDataError(0, ""), "wmav2", "corrupt", "packets are damaged"),
    ],
)  # fmt: skip
def test_packets_that_ffmpeg_has_no_code_for_are_not_called_damaged(
    raises: Exception,
    codec: str,
    code: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packets = ffmpeg.packets

    def every_second(container: Any, stream: Any) -> Any:
        for n, packet in enumerate(packets(container, stream)):
            yield Packet(packet, raises if n % 2 else None)

    monkeypatch.setattr(ffmpeg, "packets", every_second)
    monkeypatch.setattr(ffmpeg, "codec_name", lambda stream: codec)
    refused = error(sounds.make(tmp_path, "wma"))
    assert refused.code == code
    assert reason in refused.reason


@pytest.mark.parametrize(
    ("codec", "sentence"),
    [
        (b"\x64\x01", "ffmpeg: cannot decode its codec, unknown to it"),  # WMA over S/PDIF
        (b"\x62\x01", "ffmpeg: it is damaged, or uses parts of wmapro that are not implemented"),
    ],
)
def test_a_codec_that_is_not_decoded_is_named(codec: bytes, sentence: str, tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "wma")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x61\x01\x02\x00\x44\xac", codec + b"\x02\x00\x44\xac"))
    refused = error(path)
    assert refused.code == "no_decoder"
    assert sentence in refused.reason


def test_damage_at_the_end_is_no_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind it comes what the decoder still held, but no packet."""
    packets = ffmpeg.packets

    def without_end(container: Any, stream: Any) -> Any:
        for n, packet in enumerate(packets(container, stream)):
            bad = packet.size and n >= 52  # of 65
            yield Packet(packet, av.error.InvalidDataError(0, "") if bad else None)

    monkeypatch.setattr(ffmpeg, "packets", without_end)
    track = Track(sounds.make(tmp_path, "wma"))
    assert list(track.segments())
    assert track.duration_s == pytest.approx(2.4, abs=0.1)


def test_no_decoder_claims_that_the_file_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "tag alone.mp3"
    path.write_bytes(BIG_ID3 + b"\xff\xfb\x90\x64" + bytes(50))
    refused = error(path)
    assert "libsndfile: format not recognised" in refused.reason
    assert "does not exist" not in refused.reason


def test_a_film_without_sound_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")
        output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(stream.encode(None))
    with pytest.raises(AudioError) as refused:
        heard(path)
    assert refused.value.code == "no_decoder"
