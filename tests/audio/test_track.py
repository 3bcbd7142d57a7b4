"""From file to segments: every container, and files as bad as they come."""

from __future__ import annotations

import struct
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import sounds
from heard import default_rate_hz, error, heard, pitch_hz, through, wav_of, whole
from sounds import CONTAINERS, Samples
from waits import join

from musictag.audio import ffmpeg, libsndfile
from musictag.audio.samples import RATE_HZ, SEGMENT_LENGTH
from musictag.audio.track import Track


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_tone_keeps_its_pitch_level_and_length(container: str, tmp_path: Path) -> None:
    rate_hz = default_rate_hz(container)
    tone = sounds.tone(1000, 3.0, rate_hz=rate_hz, amplitude=0.5)
    path = sounds.write(tmp_path / f"x{CONTAINERS[container].suffix}", container, tone, rate_hz)
    track = Track(path)
    (segment,) = track.segments()

    assert segment.shape == (SEGMENT_LENGTH,)
    assert segment.dtype == np.float32
    assert segment.flags.c_contiguous
    assert pitch_hz(segment[: 3 * RATE_HZ]) == pytest.approx(1000, abs=1)
    # a sine of amplitude ½ has a root mean square of ½/√2
    # (LAME turns the music down by 5 % at this bit rate)
    assert np.std(segment[8000:40_000]) == pytest.approx(0.5 / np.sqrt(2), rel=0.06)
    # encoders that do not write down their delay add it: aac 2048 samples, mp3 1105 and the rest
    # of a frame; wma swallows half a frame
    assert track.duration_s == pytest.approx(3.0, abs=0.05)
    if CONTAINERS[container].lossless:
        assert track.duration_s == 3.0


@pytest.mark.parametrize("container", [name for name, row in CONTAINERS.items() if row.lossless])
def test_what_is_lossless_stays_so(container: str, tmp_path: Path) -> None:
    noise = sounds.noise(2.0, rate_hz=16_000, channels=2)
    path = sounds.write(tmp_path / "noise", container, noise, 16_000)
    (segment,) = heard(path)
    # 16 kHz is not resampled: the error is that of rounding to 16 bits, half a step per channel
    assert np.abs(segment[:32_000] - noise.mean(axis=1)).max() <= 0.5 / 32_768 + 1e-7
    assert not segment[32_000:].any()


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_and_any_number_of_channels(rate_hz: int, channels: int, tmp_path: Path) -> None:
    tone = sounds.tone(500, 1.25, rate_hz=rate_hz, channels=channels, amplitude=1.0)
    tone *= np.arange(1, channels + 1) / 10  # amplitudes 0.1, 0.2 …
    path = wav_of(tone.astype(np.float32), tmp_path / "x.wav", rate_hz)
    mean = (channels + 1) / 20  # of 0.1 … channels/10

    track = Track(path)
    (segment,) = track.segments()
    assert track.duration_s == 1.25
    times = np.arange(20_000) / RATE_HZ
    middle = slice(1000, 19_000)  # away from the ends, where a resampler rings
    expected = mean * np.sin(2 * np.pi * 500 * times)
    # 1e-4: at 8 kHz the resampler's passband ripple
    assert np.abs(segment[:20_000] - expected)[middle].max() < 1e-4
    np.testing.assert_allclose(
        through(ffmpeg.blocks, path), through(libsndfile.blocks, path), atol=1e-6
    )


def test_what_16_khz_cannot_hold_is_filtered_out_and_not_folded_back(tmp_path: Path) -> None:
    both = sounds.tone(1000, 3, amplitude=0.1) + sounds.tone(10_000, 3, amplitude=0.5)
    (segment,) = heard(wav_of(both, tmp_path / "x.wav", 44_100))
    spectrum = np.abs(np.fft.rfft(segment[8000:40_000] * np.hanning(32_000)))
    at = lambda hz: spectrum[2 * hz]  # noqa: E731  (bins of half a hertz)
    assert at(6000) < 1e-4 * at(1000)  # 16 − 10 kHz


def test_a_rate_and_channels_that_change_on_the_way_are_followed(tmp_path: Path) -> None:
    first = sounds.write(tmp_path / "1.mp3", "mp3-no-xing", sounds.tone(440, 3.0), 44_100)
    tone = sounds.tone(440, 3.0, rate_hz=22_050, channels=1)
    second = sounds.write(tmp_path / "2.mp3", "mp3-no-xing", tone, 22_050)
    path = tmp_path / "both.mp3"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    track = Track(path)
    (segment,) = track.segments()
    assert track.duration_s == pytest.approx(6.0, abs=0.15)
    assert pitch_hz(segment[16_000:32_000]) == pytest.approx(440, abs=1)
    assert pitch_hz(segment[64_000:80_000]) == pytest.approx(440, abs=1)


def test_a_track_can_be_heard_twice(tmp_path: Path) -> None:
    track = Track(sounds.make(tmp_path, "mp3"))
    (first,), (second,) = track.segments(), track.segments()
    np.testing.assert_array_equal(first, second)


def test_reading_a_file_needs_memory_for_a_few_segments(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "flac", seconds=120, rate_hz=16_000)
    heard(sounds.make(tmp_path, "wav", seconds=1))  # imports
    tracemalloc.start()
    try:
        for _ in Track(path).segments():
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12e6, "the whole track would be 15 MB in stereo"


def test_less_than_a_second_is_too_short(tmp_path: Path) -> None:
    short = error(sounds.make(tmp_path, "wav", seconds=0.5))
    assert (short.code, short.reason) == ("too_short", "only 0.50 s of music")
    assert error(sounds.make(tmp_path, "mp3", seconds=0.9)).code == "too_short"
    assert len(heard(sounds.make(tmp_path, "flac", seconds=1.0))) == 1
    header_alone = tmp_path / "none.wav"
    header_alone.write_bytes(sounds.make(tmp_path, "wav", seconds=0).read_bytes())
    assert error(header_alone).code == "too_short"


@pytest.mark.parametrize("kind", ["noise", "zeros", "an ID3 tag", "half a frame missing"])
def test_junk_inside_an_mp3_is_stepped_over(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = sounds.make(tmp_path, "mp3", seconds=10).read_bytes()
    middle = len(data) // 2
    junk = {
        "noise": np.random.default_rng(0).bytes(20_000),
        "zeros": bytes(20_000),
        "an ID3 tag": b"ID3\x03\x00\x00\x00\x00\x10\x00" + bytes(2048),
        "half a frame missing": b"",
    }[kind]
    path = tmp_path / "junk.mp3"
    skipped = 0 if junk else 200
    path.write_bytes(data[:middle] + junk + data[middle + skipped :])
    track = Track(path)
    (segment,) = track.segments()
    assert track.duration_s == pytest.approx(10.0, abs=0.2)
    assert segment[8 * RATE_HZ : 10 * RATE_HZ].any()
    assert capfd.readouterr() == ("", ""), "what the decoders think stays among ourselves"


@pytest.mark.parametrize("container", ["flac", "mp3", "ogg", "m4a", "aac", "wma", "wavpack"])
def test_a_few_damaged_bytes_do_not_cost_the_track(
    container: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = sounds.make(tmp_path, container, seconds=12)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = np.random.default_rng(0).bytes(64)
    path.write_bytes(data)
    track = Track(path)
    assert list(track.segments())
    assert track.duration_s == pytest.approx(12, abs=1)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_mostly_damage_is_corrupt(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "m4a", seconds=20)
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    random = np.random.default_rng(0)
    for at in range(start + 200, end - 200, 400):
        data[at : at + 100] = random.bytes(100)
    path.write_bytes(data)
    damaged = error(path)
    assert damaged.code == "corrupt"
    assert "packets are damaged" in damaged.reason


def test_numbers_that_are_none_become_silence(tmp_path: Path) -> None:
    samples = sounds.noise(3, rate_hz=RATE_HZ, channels=2)
    expected = samples.mean(axis=1)
    for at, number in ((100, np.nan), (200, np.inf), (300, -np.inf), (400, 1e30)):
        samples[at, 0] = number
        expected[at] = 0
    samples[500] = (np.inf, -np.inf)
    expected[500] = 0
    path = wav_of(samples, tmp_path / "x.wav")
    (segment,) = heard(path)
    np.testing.assert_allclose(segment[: 3 * RATE_HZ], expected, atol=1e-7)
    np.testing.assert_allclose(whole(path), expected, atol=1e-7)


def test_a_sample_rate_that_no_music_has_is_refused(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "wav", seconds=1)
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", 1)  # as if the second were half a day: 700 million samples
    path.write_bytes(data)
    assert "a sample rate of 1 Hz" in error(path).reason


def test_a_picture_under_the_name_of_music_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(500))
    assert error(path).code == "no_decoder"


@pytest.mark.parametrize("container", ["mp3", "flac", "ogg", "m4a", "wavpack", "wma"])
def test_the_content_decides_and_not_the_name(container: str, tmp_path: Path) -> None:
    for name in ("x.mp3", "x.flac", "x.raw", "x.m3u8", "x"):
        assert len(heard(sounds.make(tmp_path, container, name=name))) == 1


def test_many_threads_hear_what_one_hears(tmp_path: Path) -> None:
    paths = [
        sounds.make(tmp_path, container, seconds=8, seed=seed, name=f"{seed}-{container}")
        for seed, container in enumerate(["mp3", "flac", "ogg", "m4a", "wav", "wavpack"])
    ]
    alone = [heard(path) for path in paths]
    together: dict[int, list[Samples]] = {}
    threads = [
        threading.Thread(target=lambda i=i, path=path: together.update({i: heard(path)}))
        for i, path in enumerate(paths * 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        join(thread)
    for i in range(len(threads)):
        np.testing.assert_array_equal(together[i], alone[i % len(paths)])


def test_an_early_end_closes_the_file(tmp_path: Path) -> None:
    for container in ("flac", "mp3"):
        path = sounds.make(tmp_path, container, seconds=60, rate_hz=16_000, channels=1)
        segments = Track(path).segments()
        next(segments)
        segments.close()  # type: ignore[attr-defined]
        path.unlink()  # on Windows only if nobody has it open
