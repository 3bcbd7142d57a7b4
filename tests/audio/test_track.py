"""From file to segments: every container, every door, and files as bad as they come."""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import mutagen
import mutagen.apev2
import mutagen.id3
import numpy as np
import pytest
import sounds
from sounds import CONTAINERS, Samples
from waits import join

from musictag.audio import claims, doors, ffmpeg, libsndfile, platforms, resampling
from musictag.audio.blocks import BLOCK, Block, GaveUp
from musictag.audio.digest import payload_digest
from musictag.audio.resampling import at_16_khz
from musictag.audio.samples import RATE_HZ, SEGMENT_LENGTH
from musictag.audio.segments import cut as cut_into_segments
from musictag.audio.segments import evenly_spaced, pick
from musictag.audio.source import View
from musictag.audio.track import Track
from musictag.errors import AudioError

posix = pytest.mark.skipif(os.name != "posix", reason="names and pipes as in POSIX")


def heard(path: Path, n_segments: int | None = None) -> list[Samples]:
    return list(Track(path, n_segments=n_segments).segments())


def error(path: Path, n_segments: int | None = None) -> AudioError:
    with pytest.raises(AudioError) as raised:
        heard(path, n_segments)
    assert raised.value.path == path
    return raised.value


def through(door: Callable[[Path, float], Iterator[Block]], path: Path) -> Samples:
    """All the music by one door: (N,) at the file's own rate."""
    return np.concatenate([block.samples.copy() for block in door(path, 0.0)])


def whole(path: Path) -> Samples:
    """All the music by ffmpeg at 16 kHz: (N,)."""
    blocks = at_16_khz(ffmpeg.blocks(path, 0.0))
    return np.concatenate([samples.copy() for samples in blocks])


def pitch_hz(samples: Samples, rate_hz: int = RATE_HZ) -> float:
    """The strongest frequency, to a hertz or better."""
    n = 1 << 18
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n))
    return float(np.argmax(spectrum)) * rate_hz / n


def default_rate_hz(container: str) -> int:
    rates_hz = CONTAINERS[container].rates_hz
    return 44_100 if 44_100 in rates_hz else max(rates_hz)


def cut(path: Path, share: float = 0.6) -> Path:
    """The first part of a file, as a broken download leaves it."""
    data = path.read_bytes()
    shorter = path.with_name("cut-" + path.name)
    shorter.write_bytes(data[: int(len(data) * share)])
    return shorter


def wav_of(samples: Samples, path: Path, rate_hz: int = RATE_HZ) -> Path:
    return sounds.write(path, "wav-float", samples, rate_hz)


# ---------------------------------------------------------------- every container


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


# ---------------------------------------------------------------- rates and channels


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


# ---------------------------------------------------------------- segments


@pytest.mark.parametrize(
    ("seconds", "n_segments"),
    [
        (1, 1),
        (28.9, 1),
        (29, 1),
        (29.1, 1),  # the padding of an encoder makes no second segment
        (29.2, 2),
        (57.9, 2),
        (58, 2),  # an exact multiple: no third one that repeats the second
        (58.1, 2),
        (60, 3),
        (87, 3),
    ],
)
def test_segments_counted_by_hand(seconds: float, n_segments: int, tmp_path: Path) -> None:
    samples = sounds.noise(seconds, rate_hz=RATE_HZ, channels=1)
    segments = heard(wav_of(samples, tmp_path / "x.wav"))

    assert len(segments) == n_segments
    for i, segment in enumerate(segments[:-1]):
        start = i * SEGMENT_LENGTH
        np.testing.assert_array_equal(segment, samples[start : start + SEGMENT_LENGTH, 0])
    last = segments[-1]
    if seconds < 29:
        np.testing.assert_array_equal(last[: len(samples)], samples[:, 0])
        assert not last[len(samples) :].any(), "padded on the right"
    elif seconds not in (29.1, 58.1):
        np.testing.assert_array_equal(last, samples[-SEGMENT_LENGTH:, 0])


def test_a_segment_that_its_owner_overwrites_does_not_spoil_the_last(tmp_path: Path) -> None:
    samples = sounds.noise(65, rate_hz=RATE_HZ, channels=1)
    kept = []
    for segment in Track(wav_of(samples, tmp_path / "x.wav")).segments():
        kept.append(segment.copy())
        segment[:] = np.nan
    np.testing.assert_array_equal(kept[-1], samples[-SEGMENT_LENGTH:, 0])


def test_a_track_can_be_heard_twice(tmp_path: Path) -> None:
    track = Track(sounds.make(tmp_path, "mp3"))
    (first,), (second,) = track.segments(), track.segments()
    np.testing.assert_array_equal(first, second)


def test_three_hours_need_no_more_memory_than_three_minutes() -> None:
    block = np.full(BLOCK, 0.1, dtype=np.float32)
    blocks = (Block(block, RATE_HZ, "") for _ in range(3 * 3600 * RATE_HZ // BLOCK))
    tracemalloc.start()
    try:
        n_segments = sum(1 for _ in cut_into_segments(at_16_khz(blocks)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_segments == 373  # 3 h / 29 s = 372.4
    assert peak < 5 * SEGMENT_LENGTH * 4


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


# ---------------------------------------------------------------- N segments


def test_evenly_spaced_by_hand() -> None:
    # 300 s in 3 parts of 100 s, centres at 50, 150, 250, starts 14.5 before, on whole seconds
    assert evenly_spaced(300.0, 3) == [35, 135, 235]
    assert evenly_spaced(29.0, 1) == [0]
    assert evenly_spaced(58.9, 2) == [0, 29]  # ¼ of 58.9 - 14.5 = 0.2; 29.7


@pytest.mark.parametrize(
    "container",
    [
        "wav",
        "flac",
        "mp3",
        "mp3-no-xing",
        "ogg",
        "ogg-flac",
        "opus",
        "m4a-alac",
        "aac",
        "wma",
        "wavpack",
        "mka",
    ],
)
def test_sought_segments_are_those_of_the_whole_track(container: str, tmp_path: Path) -> None:
    stairs = sounds.staircase(100, rate_hz=16_000, channels=1)
    path = sounds.write(tmp_path / "x", container, stairs, 16_000)
    everything = whole(path)
    # by hand for 100 s: one starts at 50 - 14.5, three a third of 100 s apart
    for starts_s in ([35], [2, 35, 68]):
        track = Track(path, n_segments=len(starts_s))
        segments = list(track.segments())
        assert track.duration_s == pytest.approx(100, abs=0.15)
        assert len(segments) == len(starts_s)
        for start_s, segment in zip(starts_s, segments, strict=True):
            expected = everything[start_s * RATE_HZ :][:SEGMENT_LENGTH]
            # a decoder that starts anew rounds differently: float32 and the codec's own memory
            assert np.abs(segment - expected).max() < 1e-3
            # second t of the staircase sounds at 200 + 20·t Hz
            assert pitch_hz(segment[1600:14_400]) == pytest.approx(200 + 20 * start_s, abs=3)


def test_seeking_decodes_little_more_than_what_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded_s = 0.0

    def counting(blocks: Iterator[Block]) -> Iterator[Samples]:
        def counted() -> Iterator[Block]:
            nonlocal decoded_s
            for block in blocks:
                decoded_s += len(block.samples) / block.rate_hz
                yield block

        return at_16_khz(counted())

    monkeypatch.setattr(resampling, "at_16_khz", counting)
    for container in ("flac", "mp3", "ogg", "m4a"):
        decoded_s = 0.0
        path = sounds.make(tmp_path, container, seconds=120, rate_hz=16_000, channels=1)
        assert len(heard(path, 2)) == 2
        # two of 29 s with a second before and at most a block (4 s, 8 s if mono) after
        assert decoded_s < 2 * (29 + 1 + 9), container


def test_a_track_no_longer_than_n_segments_is_heard_whole(tmp_path: Path) -> None:
    path = wav_of(sounds.noise(60, rate_hz=RATE_HZ, channels=1), tmp_path / "x.wav")
    for n_segments in (3, 4, 1000):
        assert len(heard(path, n_segments)) == 3
    assert len(heard(path, 2)) == 2
    with pytest.raises(ValueError, match="at least 1"):
        Track(path, n_segments=0)


def test_without_a_stated_duration_the_same_segments_are_picked_while_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sounds.make(tmp_path, "flac", seconds=100, rate_hz=16_000, channels=1)
    sought = heard(path, 3)
    monkeypatch.setattr(claims, "promise_s", lambda path: None)
    counted = heard(path, 3)
    monkeypatch.setattr(claims, "demuxed_s", lambda path: None)
    decoded = heard(path, 3)
    monkeypatch.setattr(doors, "seekable", lambda path, door: False)
    read_through = heard(path, 3)
    for other in (counted, decoded, read_through):
        np.testing.assert_array_equal(np.array(other), np.array(sought))


@pytest.mark.parametrize("way", ["sought", "read through"])
@pytest.mark.parametrize(
    ("promised_s", "held_s", "n_segments", "starts_s"),
    [
        (29.4, 28.8, 1, [0]),  # shorter than a segment: padded
        (29.9, 29.2, 1, [0]),
        (30.0, 29.5, 1, [0]),
        (58.4, 57.8, 2, [0, 28.8]),  # the second one is moved back: 57.8 - 29
        (58.4, 57.5, 2, [0, 28.5]),
    ],
)
def test_segments_end_where_the_music_does_and_not_where_the_header_says(
    way: str,
    promised_s: float,
    held_s: float,
    n_segments: int,
    starts_s: list[float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = sounds.noise(held_s, rate_hz=RATE_HZ, channels=1)
    path = wav_of(samples, tmp_path / "x.wav")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", round(promised_s * RATE_HZ) * 4)
    path.write_bytes(data)
    if way == "read through":
        monkeypatch.setattr(doors, "seekable", lambda path, door: False)
    expected = [samples[round(s * RATE_HZ) :, 0][:SEGMENT_LENGTH] for s in starts_s]
    for segment, music in zip(heard(path, n_segments), expected, strict=True):
        assert segment.shape == (SEGMENT_LENGTH,)
        np.testing.assert_array_equal(segment[: len(music)], music)
        assert not segment[len(music) :].any()


@pytest.mark.parametrize("length", [1000, 65_536, 2_000_000])
def test_of_segments_beyond_the_end_one_is_given(length: int) -> None:
    samples = sounds.noise(70, rate_hz=RATE_HZ, channels=1)[:, 0]
    shared = np.empty(length, dtype=np.float32)  # a decoder's buffer, written over again and again

    def blocks() -> Iterator[Samples]:
        for at in range(0, len(samples), length):
            block = samples[at : at + length]
            shared[: len(block)] = block
            yield shared[: len(block)]

    first, second, last = pick(blocks(), [0, 30, 71, 100, 129])
    np.testing.assert_array_equal(first, samples[:SEGMENT_LENGTH])
    np.testing.assert_array_equal(second, samples[30 * RATE_HZ :][:SEGMENT_LENGTH])
    np.testing.assert_array_equal(last, samples[-SEGMENT_LENGTH:])


def test_a_file_cut_short_is_noticed_when_a_segment_is_missing(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "flac", seconds=100, rate_hz=16_000, channels=1)
    assert error(cut(path), 3).code == "truncated"


# ---------------------------------------------------------------- silence, shortness, damage


def test_silence_is_reported_and_not_heard(tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "x.flac", "flac", sounds.silence(40), 44_100)
    assert error(path).code == "silent"
    assert error(path, 1).code == "silent"


def test_a_silent_part_is_left_out(tmp_path: Path) -> None:
    samples = sounds.noise(87, rate_hz=RATE_HZ, channels=1)
    samples[SEGMENT_LENGTH : 2 * SEGMENT_LENGTH] = 0
    segments = heard(wav_of(samples, tmp_path / "x.wav"))
    assert len(segments) == 2
    np.testing.assert_array_equal(segments[1], samples[2 * SEGMENT_LENGTH :, 0])


def test_n_quiet_spots_do_not_make_a_track_silent(tmp_path: Path) -> None:
    samples = sounds.noise(203, rate_hz=RATE_HZ, channels=1)  # 7 segments
    samples[SEGMENT_LENGTH : 6 * SEGMENT_LENGTH] = 0
    path = wav_of(samples, tmp_path / "x.wav")
    for n_segments in (1, 2, 3):  # three: starts at 19, 87 and 154 s, the first and last half loud
        segments = heard(path, n_segments)
        assert len(segments) == min(n_segments, 2)
    (segment,) = heard(path, 1)
    np.testing.assert_array_equal(segment, samples[:SEGMENT_LENGTH, 0])
    samples[: 6 * SEGMENT_LENGTH] = 0
    (segment,) = heard(wav_of(samples, path), 2)
    np.testing.assert_array_equal(segment, samples[6 * SEGMENT_LENGTH :, 0])


@pytest.mark.parametrize(("level_db", "silent"), [(-79.5, False), (-80.5, True)])
def test_silence_is_below_minus_80_dbfs(level_db: float, silent: bool, tmp_path: Path) -> None:
    tone = sounds.tone(440, 2, rate_hz=RATE_HZ, channels=1, amplitude=10 ** (level_db / 20))
    path = wav_of(tone, tmp_path / "x.wav")
    if silent:
        assert error(path).code == "silent"
    else:
        assert len(heard(path)) == 1


def test_less_than_a_second_is_too_short(tmp_path: Path) -> None:
    short = error(sounds.make(tmp_path, "wav", seconds=0.5))
    assert (short.code, short.reason) == ("too_short", "only 0.50 s of music")
    assert error(sounds.make(tmp_path, "mp3", seconds=0.9)).code == "too_short"
    assert len(heard(sounds.make(tmp_path, "flac", seconds=1.0))) == 1
    header_alone = tmp_path / "none.wav"
    header_alone.write_bytes(sounds.make(tmp_path, "wav", seconds=0).read_bytes())
    assert error(header_alone).code == "too_short"


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


# ---------------------------------------------------------------- what is no music


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


def test_a_picture_under_the_name_of_music_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(500))
    assert error(path).code == "no_decoder"


def film(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(stream.encode(None))
    return path


def test_a_film_without_sound_says_so(tmp_path: Path) -> None:
    assert "ffmpeg: no audio in it" in error(film(tmp_path / "x.mp4")).reason


@pytest.mark.parametrize("container", ["mp3", "flac", "m4a"])
def test_cover_pictures_are_not_looked_at(container: str, tmp_path: Path) -> None:
    path = sounds.make(tmp_path, container)
    plain = heard(path)
    add_tags(path, 200_000)
    np.testing.assert_array_equal(heard(path), plain)


@pytest.mark.parametrize("container", ["mp3", "flac", "ogg", "m4a", "wavpack", "wma"])
def test_the_content_decides_and_not_the_name(container: str, tmp_path: Path) -> None:
    for name in ("x.mp3", "x.flac", "x.raw", "x.m3u8", "x"):
        assert len(heard(sounds.make(tmp_path, container, name=name))) == 1


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


def test_what_pythons_own_wav_reader_raises_is_no_bug_of_ours(tmp_path: Path) -> None:
    """A chunk that claims to go on beyond the file's: RuntimeError, without a word."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\x20\0\0\0WAVEjunk\xff\xff\xff\x7f" + bytes(64))
    assert error(path).code == "no_decoder"
    with pytest.raises(GaveUp):
        through(platforms.blocks, path)


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


# ---------------------------------------------------------------- the payload's digest


def add_tags(path: Path, size: int) -> None:
    """A mood and a picture or text of this size, in the container's own kind of tag."""
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    noise = np.random.default_rng(size).bytes(size)
    if isinstance(file.tags, mutagen.id3.ID3):
        file.tags.add(mutagen.id3.TXXX(encoding=3, desc="MOOD", text=["slow"]))
        file.tags.add(mutagen.id3.APIC(encoding=3, mime="image/png", type=3, data=noise))
    elif "m4a" in path.name:
        file["covr"] = [mutagen.mp4.MP4Cover(noise)]
    else:
        file["MOOD"] = "slow" + "w" * size
    file.save()


@pytest.mark.parametrize("container", [name for name, row in CONTAINERS.items() if row.taggable])
def test_the_digest_does_not_see_metadata(container: str, tmp_path: Path) -> None:
    path = sounds.make(tmp_path, container)
    digest = payload_digest(path)
    for size in (10, 100_000, 3000):  # larger than any padding, and smaller again
        add_tags(path, size)
        assert payload_digest(path) == digest
    mutagen.File(path).delete()
    assert payload_digest(path) == digest


def test_the_digest_does_not_see_tags_behind_an_mp3(tmp_path: Path) -> None:
    path = sounds.make(tmp_path, "mp3")
    digest, plain = payload_digest(path), heard(path)
    lyrics = b"LYRICSBEGIN" + b"LYR00100" + b"a" * 100
    with path.open("ab") as file:
        file.write(lyrics + b"%06d" % len(lyrics) + b"LYRICS200")
    ape = mutagen.apev2.APEv2()
    # random bytes hold what looks like the start of an mp3 frame, again and again
    noise = np.random.default_rng(0).bytes(300_000)
    ape["Cover Art (Front)"] = mutagen.apev2.APEValue(noise, mutagen.apev2.BINARY)
    ape.save(path)
    mutagen.id3.ID3().save(path, v1=2)
    assert path.read_bytes()[-128:-125] == b"TAG"
    assert payload_digest(path) == digest
    np.testing.assert_array_equal(heard(path), plain)


@pytest.mark.parametrize("container", ["mp3", "flac", "m4a", "wav"])
def test_the_digest_sees_the_music(container: str, tmp_path: Path) -> None:
    rate_hz = default_rate_hz(container)
    digests = {
        payload_digest(sounds.make(tmp_path, container, seed=seed, rate_hz=rate))
        for seed in (0, 1)
        for rate in (rate_hz, 48_000)
    }
    assert len(digests) == 4
    path = sounds.make(tmp_path, container)
    digest = payload_digest(path)
    data = bytearray(path.read_bytes())
    if container == "wav":  # the same samples, to be played at another speed
        path.write_bytes(data[:24] + struct.pack("<I", 22_050) + data[28:])
        assert payload_digest(path) != digest
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert payload_digest(path) != digest


def test_what_ffmpeg_cannot_take_apart_is_digested_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(range(256)))
    digest = payload_digest(path)
    assert digest == payload_digest(path)
    path.write_bytes(bytes(range(255)))
    assert payload_digest(path) != digest


# ---------------------------------------------------------------- together


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


@pytest.mark.parametrize("container", ["mp3", "ape", "wavpack"])
def test_an_apev2_tag_of_131_bytes_is_not_taken_for_id3v1(container: str, tmp_path: Path) -> None:
    """Its "APETAGEX" begins 131 bytes from the end: 128 from the end stands "TAG"."""
    path = sounds.make(tmp_path, container)
    tags = mutagen.apev2.APEv2()
    tags["Title"] = "x"
    tags.save(path)
    digest = payload_digest(path)
    tags["Title"] = "x" * 53
    tags.save(path)
    assert path.read_bytes()[-128:].startswith(b"TAGEX")
    assert payload_digest(path) == digest
