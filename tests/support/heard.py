"""What tests of audio hear: segments of a file, its pitch, a file cut short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import sounds
from sounds import CONTAINERS, Samples

from musictag.audio import ffmpeg
from musictag.audio.blocks import Block
from musictag.audio.resampling import at_16_khz
from musictag.audio.samples import RATE_HZ
from musictag.audio.track import Track
from musictag.errors import AudioError


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
