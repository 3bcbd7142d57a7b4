"""What headers promise: files cut short are noticed, whole ones are not called damaged."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import sounds
from heard import cut, error, heard

from musictag.audio.track import Track


def test_a_file_cut_short_is_noticed_when_a_segment_is_missing(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "flac", seconds=100, rate_hz=16_000, channels=1)
    assert error(cut(path), 3).code == "truncated"


@pytest.mark.parametrize(
    ("container", "code"),
    [
        ("mp3", "truncated"),
        ("mp3-libsndfile", "truncated"),
        ("flac", "truncated"),
        ("ogg", "truncated"),
        ("opus", "truncated"),
        ("ogg-flac", "truncated"),
        ("wav", "truncated"),
        ("wav-24", "truncated"),
        ("aiff", "truncated"),
        ("m4a", "truncated"),
        ("m4a-alac", "truncated"),
        ("wma", "truncated"),
        ("wavpack", "truncated"),
        ("tta", "truncated"),
        ("ape", "truncated"),
        ("au", "truncated"),
        ("mka", "truncated"),
        # these state no duration, or none that survives: nothing to compare with
        ("mp3-no-xing", None),
        ("aac", None),
        ("caf", None),
    ],
)
def test_a_file_cut_short_is_noticed_where_it_can_be(
    container: str, code: str | None, tmp_path: Path
) -> None:
    path = cut(sounds.make(tmp_path, container, seconds=10))
    if code is None:
        assert len(heard(path)) == 1
    else:
        broken = error(path)
        assert broken.code == code
        assert "cut short" in broken.reason
        assert broken.cure == "copy or download it again"


def test_a_cut_file_is_described_in_numbers(tmp_path: Path) -> None:
    path = cut(sounds.make(tmp_path, "wav", seconds=10), 0.5)
    assert error(path).reason == "only 5.0 s of 10.0 s are in it: cut short or damaged"


def test_a_stream_recorded_to_wav_without_a_length_is_no_false_alarm(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "wav")
    data = path.read_bytes()
    at = data.index(b"data") + 4
    for size in (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000):
        path.write_bytes(data[:at] + struct.pack("<I", size) + data[at + 4 :])
        assert len(heard(path)) == 1


def compressed_wav(path: Path, codec: str, *, seconds: float = 10) -> Path:
    """A WAV file whose byte rate, as some versions of ffmpeg write it, is nonsense."""
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as output:
        stream = output.add_stream(codec, rate=44_100, layout="stereo")
        samples = sounds.chord(seconds)
        for start in range(0, len(samples), 1017):  # a block of Microsoft's ADPCM is 1012 or so
            numbers = (samples[start : start + 1017] * 32_767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(numbers.reshape(1, -1), format="s16")
            frame.sample_rate, frame.pts = 44_100, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    data = bytearray(file.getvalue())
    at = data.index(b"fmt ") + 16
    data[at : at + 4] = struct.pack("<I", 16_000)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("n_segments", [None, 1])
@pytest.mark.parametrize("codec", ["adpcm_ms", "pcm_s16le"])
def test_a_wav_file_is_not_measured_by_a_wrong_byte_rate(
    codec: str, n_segments: int | None, tmp_path: Path
) -> None:
    track = Track(compressed_wav(tmp_path / "x.wav", codec), n_segments=n_segments)
    assert len(list(track.segments())) == 1
    assert track.duration_s == pytest.approx(10, abs=0.1)


def test_compressed_wav_cut_short_is_noticed_by_its_number_of_samples(tmp_path: Path) -> None:
    path = cut(compressed_wav(tmp_path / "x.wav", "adpcm_ms"), 0.5)
    assert error(path).reason == "only 5.0 s of 10.0 s are in it: cut short or damaged"
