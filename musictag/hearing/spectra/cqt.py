"""What the constant-Q transform of a segment is: its settings and its filters.

Coefficient k is how much of a tone at f_k sounds around a moment (Brown, "Calculation of a constant
Q spectral transform", 1991): with h a Hann window of L_k = Q / f_k seconds,

    C_k(t) = √L_k · |Σ_n x(n) · h(n - t) · exp(-2πi f_k n)| / Σ_n h(n)        L_k in samples here

Steps of pitch are equal, so a melody moves through the coefficients without changing its shape. Q
and the factor √L_k are librosa's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from musictag.hearing.arrays import Real
from musictag.hearing.bounds import check_whole
from musictag.hearing.kernels.rates import is_smooth

REACH = 12
"""Where a filter ends, in reciprocals of its window's length from its centre. Its gain has fallen
to 2e-4 there."""


@dataclass(frozen=True)
class Cqt:
    """Settings of a constant-Q transform that a model was trained on."""

    kind: str = field(default="cqt", init=False)
    n_samples: int = 464_000  # 29 s at 16 kHz
    rate_hz: int = 16_000
    hop: int = 256  # samples, an even number
    n_bins: int = 84  # seven octaves
    bins_per_octave: int = 12
    lowest_hz: float = 440 * 2 ** (-45 / 12)  # C1, 32.7 Hz
    pool: int = 1  # frames of which the mean is taken

    is_logarithmic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("n_samples", self.n_samples, 1, 2**22)
        check_whole("rate_hz", self.rate_hz, 1000, 2**18)
        check_whole("hop", self.hop, max(2, self.n_samples >> 14), 2**15)
        check_whole("n_bins", self.n_bins, 1, 1024)
        check_whole("bins_per_octave", self.bins_per_octave, 12, 96)
        check_whole("pool", self.pool, 1, 1 + self.n_samples // self.hop)
        if self.hop % 2:
            raise ValueError(f"hop is {self.hop}, must be even")
        if not isinstance(self.lowest_hz, (int, float)) or not self.lowest_hz >= 1:  # NaN too
            raise ValueError(f"lowest_hz is {self.lowest_hz!r}, must be at least 1")
        top = self.lowest_hz * 2 ** ((self.n_bins - 1) / self.bins_per_octave)
        if not top * (1 + 2 / self.Q) <= self.rate_hz / 2:
            raise ValueError(
                f"{self.n_bins} bins from {self.lowest_hz} Hz reach beyond half the rate"
            )
        if self.lengths[0] > 2 * self.n_samples:
            raise ValueError(f"{self.n_samples} samples are too few for {self.lowest_hz} Hz")

    @property
    def label(self) -> str:
        """A word for people, to tell folders of features apart."""
        return self.kind

    @property
    def n_coefficients(self) -> int:
        return self.n_bins

    @property
    def Q(self) -> float:  # noqa: N802  # its name since Brown
        """Centre over bandwidth."""
        ratio = 2 ** (2 / self.bins_per_octave)
        return (ratio + 1) / (ratio - 1)

    @property
    def centres_hz(self) -> NDArray[np.float64]:
        return self.lowest_hz * 2 ** (np.arange(self.n_bins) / self.bins_per_octave)

    @property
    def lengths(self) -> NDArray[np.float64]:
        """Lengths of the windows, in samples."""
        return self.Q * self.rate_hz / self.centres_hz

    @property
    def n_hops(self) -> int:
        """Hops of the padded segment, which is treated as periodic: its end is what comes before
        its beginning. Transforms of so many points are quick."""
        n: int = math.ceil((self.n_samples + self.lengths[0] / 2) / self.hop)
        while not is_smooth(n):
            n += 1
        return n

    def octaves(self) -> list[tuple[int, Real]]:
        """The filters, an octave at a time: the first block, and gains (n_hops, C, blocks) from it.

        A block is `n_hops` bins of the padded segment's spectrum. The gain is the Fourier
        transform of the window, which has a formula.
        """
        block_hz = self.rate_hz / self.hop
        octaves = []
        for row in range(0, self.n_bins, self.bins_per_octave):
            rows = slice(row, row + self.bins_per_octave)
            centres, lengths = self.centres_hz[rows, None], self.lengths[rows, None]
            reach = REACH * self.rate_hz / lengths
            first = max(0, math.floor((centres - reach).min() / block_hz))
            last = min(self.hop // 2, math.ceil((centres + reach).max() / block_hz))
            hz = np.arange(first * self.n_hops, last * self.n_hops) / self.n_hops * block_hz
            gains = np.sqrt(lengths) * _hann((hz - centres) * lengths / self.rate_hz)
            gains = gains.reshape(len(centres), -1, self.n_hops).transpose(2, 0, 1)
            octaves.append((first, np.ascontiguousarray(gains, np.float32)))
        return octaves


def _hann(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Fourier transform of a Hann window of length and area 1 at the frequencies u, up to
    REACH."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.sinc(u) / (1 - u**2)
    values[np.abs(np.abs(u) - 1) < 1e-6] = 0.5
    values[np.abs(u) >= REACH] = 0
    return values
