"""From samples to segments: cut, padded, spaced and picked, counted by hand."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sounds
from heard import error, heard, pitch_hz, wav_of, whole
from sounds import Samples

from musictag.audio import claims, doors, resampling
from musictag.audio.blocks import BLOCK, Block
from musictag.audio.resampling import at_16_khz
from musictag.audio.samples import RATE_HZ, SEGMENT_LENGTH
from musictag.audio.segments import cut as cut_into_segments
from musictag.audio.segments import evenly_spaced, pick
from musictag.audio.track import Track


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
