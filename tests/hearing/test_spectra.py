"""Spectrograms: librosa's numbers, the definition's, and what silence and gain give."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from musictag.hearing.spectra.cqt import Cqt
from musictag.hearing.spectra.mel import Mel
from musictag.hearing.spectra.torch import FLOOR, ConstantQ, MelSpectrogram

N = 65_536
EXECUTORS = [MelSpectrogram(Mel(n_samples=N)), ConstantQ(Cqt(n_samples=N))]


def sound() -> NDArray[np.float32]:
    """Noise under a chord."""
    t = np.arange(N) / 16_000
    chord = sum(np.sin(2 * np.pi * hz * t) for hz in (65.4, 220, 1234.5, 3000))
    noise = np.random.default_rng(0).standard_normal(N)
    return np.asarray(0.1 * (chord + noise), np.float32)


def relative(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize(
    ("executor", "shape"), [(MelSpectrogram, (1, 96, 1813)), (ConstantQ, (1, 84, 1813))]
)
def test_29_seconds_have_1813_frames(
    executor: type[MelSpectrogram | ConstantQ], shape: tuple[int, ...]
) -> None:
    assert executor()(torch.zeros(1, 464_000)).shape == shape


def test_the_mel_spectrogram_is_librosas() -> None:
    theirs = librosa.power_to_db(
        librosa.feature.melspectrogram(
            y=sound(), sr=16_000, n_fft=512, hop_length=256, n_mels=96, pad_mode="constant"
        ),
        amin=FLOOR**2,
        top_db=None,
    )
    ours = EXECUTORS[0](torch.from_numpy(sound())[None])[0].numpy() * 20 / np.log(10)
    np.testing.assert_allclose(ours, theirs, atol=0.01)  # dB


def test_the_constant_q_transform_is_librosas_but_for_its_resampling() -> None:
    """librosa halves the rate for each octave and drops small numbers of its filters."""
    theirs = np.abs(librosa.cqt(y=sound(), sr=16_000, hop_length=256, n_bins=84, tuning=0))
    ours = EXECUTORS[1](torch.from_numpy(sound())[None])[0].exp().double().numpy()
    assert relative(ours, theirs) < 0.02


def test_the_constant_q_transform_follows_its_definition() -> None:
    settings, x = Cqt(n_samples=N), sound().astype(np.float64)
    ours = EXECUTORS[1](torch.from_numpy(sound())[None])[0].exp().double().numpy()
    frames = (0, 3, 128, 256)
    wanted = np.empty((84, len(frames)))
    for k, (hz, length) in enumerate(zip(settings.centres_hz, settings.lengths, strict=True)):
        for i, frame in enumerate(frames):
            t = np.arange(N) - 256 * frame
            window = np.where(np.abs(t) < length / 2, (1 + np.cos(2 * np.pi * t / length)) / 2, 0)
            inner = np.sum(x * window * np.exp(-2j * np.pi * hz / 16_000 * t))
            wanted[k, i] = np.sqrt(length) * abs(inner) / (length / 2)
    assert relative(ours[:, frames], wanted) < 5e-4


@pytest.mark.parametrize("executor", EXECUTORS)
def test_silence_is_the_floor_and_a_gain_is_an_addition(
    executor: MelSpectrogram | ConstantQ,
) -> None:
    x = torch.from_numpy(sound())[None]
    torch.testing.assert_close(
        executor(0 * x), torch.full((1, executor.n_coefficients, 257), FLOOR).log()
    )
    torch.testing.assert_close(executor(2 * x), executor(x) + np.log(2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_segment_alone_is_what_it_is_in_a_batch(executor: MelSpectrogram | ConstantQ) -> None:
    x = torch.from_numpy(sound())
    batch = executor(torch.stack([x, x.flip(0), 0 * x]))
    torch.testing.assert_close(executor(x[None])[0], batch[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_samples_of_another_length_are_refused(executor: MelSpectrogram | ConstantQ) -> None:
    with pytest.raises(ValueError, match=r"the front end wants \(B, 65536\)"):
        executor(torch.zeros(1, N - 1))


@pytest.mark.parametrize(
    "make", [lambda **a: MelSpectrogram(Mel(**a)), lambda **a: ConstantQ(Cqt(**a))]
)
def test_pooled_frames_are_means(make) -> None:
    x = torch.from_numpy(sound())[None]
    pooled, plain = make(n_samples=N, pool=16), make(n_samples=N)(x)
    assert pooled.n_frames == 16
    means = plain[..., :256].unflatten(2, (16, 16)).mean(3)
    torch.testing.assert_close(pooled(x), means, rtol=0, atol=1e-5)


def test_a_window_too_short_for_its_bands_is_refused() -> None:
    with pytest.raises(ValueError, match="a window of 64 samples has no bin in band 0 of 96"):
        MelSpectrogram(Mel(window=64, hop=64))
