"""Audio made for tests: seeded sounds, in every container that we can write.

    path = sounds.make(tmp_path, "mp3", seconds=3)                     a chord in a file
    path = sounds.write(tmp_path / "a.flac", "flac", sounds.tone(440), 44_100)

`CONTAINERS` is the one table: a new format is a new row, and every test that loops
over the table covers it. Samples are float32 (N, channels) from -1 to 1.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ape
import av
import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]

MP3_RATES_HZ = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
AAC_RATES_HZ = (*MP3_RATES_HZ, 64_000, 88_200, 96_000)
OPUS_RATES_HZ = (8000, 12_000, 16_000, 24_000, 48_000)
ASF_RATES_HZ = (8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000)
ANY_RATE_HZ = (*MP3_RATES_HZ, 88_200, 96_000, 176_400, 192_000)

LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")


@dataclass(frozen=True)
class Container:
    """A kind of audio file, and what writes it here."""

    suffix: str
    muxer: str
    """PyAV's output format, or "libsndfile" or "ape.py" if one of those writes the file."""
    codec: str
    """PyAV's encoder, or soundfile's "FORMAT/SUBTYPE"."""
    sample_format: str = ""
    rates_hz: tuple[int, ...] = ANY_RATE_HZ
    max_channels: int = 8
    lossless: bool = False
    """Whether it decodes to the 16-bit samples that went in."""
    taggable: bool = True
    """Whether mutagen can write metadata into it."""


CONTAINERS: dict[str, Container] = {
    "mp3": Container(".mp3", "mp3", "libmp3lame", "fltp", MP3_RATES_HZ, 2),
    "mp3-no-xing": Container(".mp3", "mp3", "libmp3lame", "fltp", MP3_RATES_HZ, 2),
    "mp3-libsndfile": Container(
        ".mp3", "libsndfile", "MP3/MPEG_LAYER_III", rates_hz=MP3_RATES_HZ, max_channels=2
    ),
    "flac": Container(".flac", "flac", "flac", "s16", lossless=True),
    "flac-libsndfile": Container(".flac", "libsndfile", "FLAC/PCM_16", lossless=True),
    "ogg": Container(".ogg", "libsndfile", "OGG/VORBIS"),
    "opus": Container(".opus", "ogg", "libopus", "flt", OPUS_RATES_HZ),
    "ogg-flac": Container(".oga", "ogg", "flac", "s16", lossless=True),
    "wav": Container(".wav", "libsndfile", "WAV/PCM_16", lossless=True),
    "wav-float": Container(".wav", "libsndfile", "WAV/FLOAT", lossless=True),
    "wav-24": Container(".wav", "libsndfile", "WAV/PCM_24", lossless=True),
    "aiff": Container(".aiff", "libsndfile", "AIFF/PCM_16", lossless=True),
    "m4a": Container(".m4a", "ipod", "aac", "fltp", AAC_RATES_HZ),
    "m4a-alac": Container(".m4a", "ipod", "alac", "s16p", max_channels=2, lossless=True),
    "aac": Container(".aac", "adts", "aac", "fltp", AAC_RATES_HZ, taggable=False),
    "wma": Container(".wma", "asf", "wmav2", "fltp", ASF_RATES_HZ, 2),
    "wavpack": Container(".wv", "wv", "wavpack", "s16p", lossless=True),
    "ape": Container(
        ".ape",
        "ape.py",
        "ape",
        rates_hz=(8000, 11_025, 12_000, 16_000),
        max_channels=2,
        lossless=True,
    ),
    "tta": Container(".tta", "tta", "tta", "s16", lossless=True),
    "caf": Container(".caf", "libsndfile", "CAF/PCM_16", lossless=True, taggable=False),
    "au": Container(".au", "libsndfile", "AU/PCM_16", lossless=True, taggable=False),
    "mka": Container(".mka", "matroska", "libopus", "flt", OPUS_RATES_HZ, taggable=False),
}


# ---------------------------------------------------------------- sounds


def tone(
    hz: float,
    seconds: float = 3.0,
    *,
    rate_hz: int = 44_100,
    channels: int = 2,
    amplitude: float = 0.5,
) -> Samples:
    """A sine that starts at zero, the same in all channels: (N, channels)."""
    return _in_all_channels(amplitude * np.sin(2 * np.pi * hz * _times(seconds, rate_hz)), channels)


def chord(
    seconds: float = 3.0,
    *,
    rate_hz: int = 44_100,
    channels: int = 2,
    seed: int = 0,
    amplitude: float = 0.5,
) -> Samples:
    """Four decaying notes struck twice a second, and a little noise: something like music.

    Levels and noise differ between channels, so that a wrong downmix shows.
    """
    random = np.random.default_rng(seed)
    times = _times(seconds, rate_hz)
    notes_hz = 220.0 * 2 ** (np.array([0, 4, 7, 12]) / 12) * 2 ** (random.integers(0, 12) / 12)
    envelope = np.exp(-4 * (times % 0.5))
    samples = np.empty((len(times), channels), dtype=np.float32)
    for channel in range(channels):
        levels = random.uniform(0.3, 1.0, len(notes_hz))
        levels /= levels.sum()
        music = sum(
            level * np.sin(2 * np.pi * note_hz * times)
            for level, note_hz in zip(levels, notes_hz, strict=True)
        )
        noise = random.uniform(-1, 1, len(times))
        samples[:, channel] = amplitude * (0.9 * envelope * music + 0.02 * noise)
    return samples


def noise(
    seconds: float = 3.0,
    *,
    rate_hz: int = 44_100,
    channels: int = 2,
    seed: int = 0,
    amplitude: float = 0.3,
) -> Samples:
    """White noise, different in every channel."""
    random = np.random.default_rng(seed)
    shape = (len(_times(seconds, rate_hz)), channels)
    return (amplitude * random.uniform(-1, 1, shape)).astype(np.float32)


def silence(seconds: float = 3.0, *, rate_hz: int = 44_100, channels: int = 2) -> Samples:
    """Digital silence."""
    return np.zeros((len(_times(seconds, rate_hz)), channels), dtype=np.float32)


def staircase(
    seconds: float, *, rate_hz: int = 16_000, channels: int = 1, step_s: float = 1.0
) -> Samples:
    """A tone that rises from 200 Hz by 20 Hz every `step_s`, so that its pitch tells the time.

    With steps of 1 s, second t sounds at 200 + 20·⌊t⌋ Hz. The phase is continuous.
    """
    hz = 200.0 + 20.0 * np.floor(_times(seconds, rate_hz) / step_s)
    phase = 2 * np.pi * np.cumsum(hz) / rate_hz
    return _in_all_channels(0.5 * np.sin(phase), channels)


def _times(seconds: float, rate_hz: int) -> NDArray[np.float64]:
    return np.arange(round(seconds * rate_hz)) / rate_hz


def _in_all_channels(samples: NDArray[np.float64], channels: int) -> Samples:
    return np.repeat(samples.astype(np.float32)[:, None], channels, axis=1)


# ---------------------------------------------------------------- files


def make(
    directory: Path,
    container: str,
    *,
    name: str | None = None,
    seconds: float = 3.0,
    rate_hz: int | None = None,
    channels: int = 2,
    seed: int = 0,
) -> Path:
    """Write a chord of `seconds` into a file of this row of CONTAINERS; returns its path.

    The file is named after the row (`mp3.mp3`) unless `name` is given, suffix included.
    Its rate is 44.1 kHz where the codec has it, else the highest up to 48 kHz.
    """
    row = CONTAINERS[container]
    if rate_hz is None:
        rate_hz = max(rate for rate in row.rates_hz if rate <= 48_000)
        rate_hz = 44_100 if 44_100 in row.rates_hz else rate_hz
    path = directory / (name or container + row.suffix)
    path.write_bytes(_encoded_chord(container, seconds, rate_hz, channels, seed))
    return path


@functools.lru_cache(maxsize=256)
def _encoded_chord(container: str, seconds: float, rate_hz: int, channels: int, seed: int) -> bytes:
    """An encoded chord, cached because many tests want the same one and encoding is slow."""
    samples = chord(seconds, rate_hz=rate_hz, channels=channels, seed=seed)
    return encode(container, samples, rate_hz)


def write(
    path: Path, container: str, samples: Samples, rate_hz: int, *, bit_rate: int | None = None
) -> Path:
    """Encode samples (N, channels) as this row of CONTAINERS says; returns the path."""
    path.write_bytes(encode(container, samples, rate_hz, bit_rate=bit_rate))
    return path


def encode(container: str, samples: Samples, rate_hz: int, *, bit_rate: int | None = None) -> bytes:
    """Encode samples (N, channels); returns the bytes of a file."""
    row = CONTAINERS[container]
    assert rate_hz in row.rates_hz, f"{container} cannot hold {rate_hz} Hz"
    assert samples.shape[1] <= row.max_channels, f"{container} has {row.max_channels} channels"
    if row.muxer == "ape.py":
        return ape.encode(_as("s16", samples), rate_hz)
    file = io.BytesIO()
    if row.muxer == "libsndfile":
        kind, subtype = row.codec.split("/")
        numbers = _as("s16", samples) if subtype == "PCM_16" else samples
        with soundfile.SoundFile(
            file, "w", rate_hz, samples.shape[1], format=kind, subtype=subtype
        ) as output:
            for start in range(
                0, len(samples), 4096
            ):  # libsndfile's Vorbis encoder crashes on one long write
                output.write(numbers[start : start + 4096])
        return file.getvalue()
    options = {"write_xing": "0"} if container == "mp3-no-xing" else {}
    with av.open(file, "w", format=row.muxer, options=options) as output:
        layout = LAYOUTS[samples.shape[1] - 1]
        stream = output.add_stream(row.codec, rate=rate_hz, layout=layout)
        stream.codec_context.format = row.sample_format
        if bit_rate:
            stream.bit_rate = bit_rate
        elif not row.lossless:
            stream.bit_rate = 64_000 * samples.shape[1]
        stream.codec_context.open()
        # Interleaved first, because PyAV cannot fill frames of eight planes from arrays.
        numbers, packed = _as(row.sample_format, samples), row.sample_format.rstrip("p")
        convert = av.AudioResampler(row.sample_format, layout, rate_hz)
        block = stream.codec_context.frame_size or 4096
        for start in range(0, len(samples), block):
            flat = np.ascontiguousarray(numbers[start : start + block]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(flat, format=packed, layout=layout)
            frame.sample_rate = rate_hz
            frame.pts = start
            for converted in convert.resample(frame):
                output.mux(stream.encode(converted))
        output.mux(stream.encode(None))
    return file.getvalue()


def _as(sample_format: str, samples: Samples) -> NDArray[Any]:
    """Samples as the encoder wants them: float32, or rounded to 16 bits; (N, channels)."""
    if sample_format.startswith("s16"):
        return np.clip(np.round(samples * 32_768), -32_768, 32_767).astype(np.int16)
    return samples
