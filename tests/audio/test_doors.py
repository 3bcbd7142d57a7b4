"""The decoders agree, follow each other, and say why they refuse."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
import sounds
from heard import default_rate_hz, error, heard, pitch_hz, through

from musictag.audio import ffmpeg, libsndfile, platforms
from musictag.audio.blocks import GaveUp
from musictag.audio.samples import RATE_HZ
from musictag.audio.track import Track


@pytest.mark.parametrize(
    ("container", "tolerance"),
    [
        ("wav", 0.0),
        ("wav-24", 0.0),
        ("wav-float", 0.0),
        ("aiff", 0.0),
        ("caf", 0.0),
        ("au", 0.0),
        ("flac", 0.0),
        ("flac-libsndfile", 0.0),
        # two implementations of one decoder, in float32; encoder delay and padding cut by both
        ("mp3", 1e-5),
        ("mp3-libsndfile", 1e-5),
        ("mp3-no-xing", 1e-5),
        ("ogg", 1e-5),
        # one of them rounds to 16 bits and conceals the start differently
        ("opus", 5e-3),
    ],
)
def test_libsndfile_and_ffmpeg_give_the_same_samples(
    container: str, tolerance: float, tmp_path: Path
) -> None:
    path = sounds.make(tmp_path, container, seconds=4)
    by_libsndfile = through(libsndfile.blocks, path)
    by_ffmpeg = through(ffmpeg.blocks, path)
    assert by_libsndfile.shape == by_ffmpeg.shape
    assert np.abs(by_libsndfile - by_ffmpeg).max() <= tolerance


@pytest.mark.parametrize("container", ["wav", "aiff"])
def test_audioread_gives_the_same_samples_too(container: str, tmp_path: Path) -> None:
    path = sounds.make(tmp_path, container, seconds=2)
    np.testing.assert_array_equal(through(platforms.blocks, path), through(ffmpeg.blocks, path))
    blocks = list(platforms.blocks(path, 1.5))
    assert sum(len(block.samples) for block in blocks) == 22_050
    assert blocks[0].decoder.startswith("audioread:")


def test_librosa_hears_the_same(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports is its business
        import librosa  # noqa: PLC0415

        for container in ("flac", "mp3", "ogg"):
            path = sounds.make(tmp_path, container, seconds=4)
            theirs, _ = librosa.load(path, sr=RATE_HZ, mono=True, res_type="soxr_hq")
            (ours,) = heard(path)
            assert np.abs(ours[: len(theirs)] - theirs).max() < 1e-5
            assert not ours[len(theirs) + 1 :].any()


@pytest.mark.parametrize(
    ("container", "decoder"), [("wav", "libsndfile"), ("flac", "libsndfile"), ("mp3", "ffmpeg")]
)
def test_the_track_says_which_door_it_was(container: str, decoder: str, tmp_path: Path) -> None:
    track = Track(sounds.make(tmp_path, container))
    assert (track.decoder, track.duration_s) == ("", None)
    list(track.segments())
    assert (track.decoder, track.duration_s) == (decoder, 3.0)


@pytest.mark.parametrize("container", ["ogg", "opus", "m4a", "wavpack", "flac"])
def test_eight_channels_in_planes_do_not_read_past_the_last(container: str, tmp_path: Path) -> None:
    # PyAV 18.1 crashes here if asked for the planes
    rate_hz = default_rate_hz(container)
    tone = sounds.tone(440, 2.0, rate_hz=rate_hz, channels=8, amplitude=0.25)
    path = sounds.write(tmp_path / "x", container, tone, rate_hz)
    samples = through(ffmpeg.blocks, path)
    # one of the eight is the bass channel, which some encoders filter
    assert 0.2 < np.abs(samples).max() < 0.3
    assert pitch_hz(samples, rate_hz) == pytest.approx(440, abs=1)


def test_where_libsndfile_stops_ffmpeg_goes_on(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "flac", seconds=30, rate_hz=16_000, channels=1)
    undamaged = through(ffmpeg.blocks, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(data)
    with pytest.raises(GaveUp):
        through(libsndfile.blocks, path)

    track = Track(path)
    segments = list(track.segments())
    assert track.decoder == "libsndfile"
    np.testing.assert_array_equal(segments[0][: 10 * RATE_HZ], undamaged[: 10 * RATE_HZ])
    np.testing.assert_array_equal(segments[-1][-5 * RATE_HZ :], undamaged[-5 * RATE_HZ :])


def test_the_message_names_every_door_and_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "x.m4a"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    refused = error(path)
    assert refused.code == "no_decoder"
    assert str(refused) == (
        f"{path}: no decoder could read it (ffmpeg: invalid data found; "
        "libsndfile: format not recognised; audioread: no decoder of this platform knows it)"
    )


def test_an_audioread_that_does_not_run_here_is_one_door_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before 3.1 it imports what Python 3.13 has no more."""

    monkeypatch.delitem(sys.modules, "audioread.rawread", raising=False)
    monkeypatch.delattr("audioread.rawread", raising=False)
    monkeypatch.setitem(sys.modules, "aifc", None)
    path = tmp_path / "x.m4a"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert error(path).code == "no_decoder"
    assert "audioread: does not run here: " in error(path).reason


def film(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(stream.encode(None))
    return path


def test_a_film_without_sound_says_so(tmp_path: Path) -> None:
    assert "ffmpeg: no audio in it" in error(film(tmp_path / "x.mp4")).reason


def test_what_pythons_own_wav_reader_raises_is_no_bug_of_ours(tmp_path: Path) -> None:
    """A chunk that claims to go on beyond the file's: RuntimeError, without a word."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\x20\0\0\0WAVEjunk\xff\xff\xff\x7f" + bytes(64))
    assert error(path).code == "no_decoder"
    with pytest.raises(GaveUp):
        through(platforms.blocks, path)
