"""What the mel spectrogram of a segment is: its settings and its bands.

The sizes are those of Choi, Fazekas, Sandler and Cho, "Convolutional recurrent neural networks for
music classification" (2016), which most taggers since have kept: 96 bands of a 512-point Fourier
transform, every 256 samples. The scale and the bands are Slaney's ("Auditory Toolbox", 1998), as in
librosa: linear below 1 kHz, which at this window leaves no band without a bin, and each triangle
as heavy as the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from musictag.hearing.arrays import Real
from musictag.hearing.bounds import check_whole

_LINEAR_HZ = 200 / 3
"""Width of a mel up to 1 kHz."""
_LINEAR_UP_TO_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27
"""Natural logarithm of the ratio that a mel stands for above 1 kHz."""


@dataclass(frozen=True)
class Mel:
    """Settings of a mel spectrogram that a model was trained on."""

    kind: str = field(default="mel", init=False)
    n_samples: int = 464_000  # 29 s at 16 kHz
    rate_hz: int = 16_000
    hop: int = 256  # samples
    window: int = 512  # samples of a frame, in the shape of a Hann window
    n_bands: int = 96  # from 0 Hz to half the rate
    pool: int = 1  # frames of which the mean is taken

    is_logarithmic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("n_samples", self.n_samples, 1, 2**22)
        check_whole("rate_hz", self.rate_hz, 1000, 2**18)
        check_whole("window", self.window, 16, min(2**15, 2 * self.n_samples))
        check_whole("hop", self.hop, max(1, self.n_samples >> 14, self.window >> 4), self.window)
        check_whole("n_bands", self.n_bands, 1, 1024)
        check_whole("pool", self.pool, 1, 1 + self.n_samples // self.hop)

    @property
    def label(self) -> str:
        """A word for people, to tell folders of features apart."""
        return self.kind

    @property
    def n_coefficients(self) -> int:
        return self.n_bands

    def bands(self) -> Real:
        """How much each bin of a frame's power spectrum counts in each band: (bands, bins).

        ValueError if a band lies between two bins.
        """
        bins_hz = np.linspace(0, self.rate_hz / 2, self.window // 2 + 1)
        corners = _hz(np.linspace(0, _mel(self.rate_hz / 2), self.n_bands + 2))
        low, centre, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
        rising, falling = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
        triangles = np.minimum(rising, falling).clip(min=0) * 2 / (high - low)
        if len(empty := np.flatnonzero(~triangles.any(axis=1))):
            raise ValueError(
                f"a window of {self.window} samples has no bin in band {empty[0]} of {self.n_bands}"
            )
        return triangles.astype(np.float32)


def _mel(hz: float) -> float:
    if hz < _LINEAR_UP_TO_HZ:
        return hz / _LINEAR_HZ
    return float(_LINEAR_UP_TO_HZ / _LINEAR_HZ + np.log(hz / _LINEAR_UP_TO_HZ) / _LOG_STEP)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = mel - _LINEAR_UP_TO_HZ / _LINEAR_HZ
    logarithmic = _LINEAR_UP_TO_HZ * np.exp(_LOG_STEP * above.clip(min=0))
    return np.where(above < 0, mel * _LINEAR_HZ, logarithmic)
