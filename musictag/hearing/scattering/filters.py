"""Filters: bands of a spectrum, and the Morlet wavelets of the paper's filter bank."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_VANISHED = 6.0
"""Distance from a Gaussian's centre, in widths, at which a float32 no longer resolves it."""

S0 = 2 / math.sqrt(3)
"""The constant that ties the widths of filters to their bandwidths in the paper's filter bank."""


@dataclass(frozen=True)
class Band:
    """A filter, stored only where it is not zero.

    `gains[i]` is its real gain at bin `start + i` of the padded segment's spectrum. A bin below 0
    or above the Nyquist frequency is the conjugate of its mirror image, as in the spectrum of any
    real signal.
    """

    centre: float  # radians per sample
    start: int
    gains: Float64

    @property
    def stop(self) -> int:
        return self.start + len(self.gains)


@dataclass(frozen=True)
class MorletBank:
    """Morlet wavelets by centre ξ (radians per sample) and width σ (samples), highest first.

    The first `n_constant_q` are spaced geometrically, the rest linearly below them. In frequency
    each is g(ω − ξ) − κ g(ω), with g(ω) = exp(−σ²ω²/2) summed over its periods and κ such that
    nothing passes at 0.
    """

    centres: tuple[float, ...]
    widths: tuple[float, ...]
    n_constant_q: int
    lowpass: float

    def gains(self, index: int, frequencies: Float64) -> Float64:
        """One wavelet at frequencies in [-2π, 2π], before the bank's common factor."""
        centre, width = self.centres[index], self.widths[index]

        def gaussian(frequencies: Float64) -> Float64:
            total = np.zeros_like(frequencies)
            for k in (-1, 0, 1):
                period = width * (frequencies + 2 * np.pi * k)
                if min(period[-1], -period[0]) > -_VANISHED:  # they ascend
                    total += np.exp(-0.5 * period * period)
            return total

        kappa = gaussian(np.array([-centre])) / gaussian(np.zeros(1))
        gains = gaussian(frequencies - centre)
        return gains - kappa * gaussian(frequencies) if kappa else gains

    def bands(self, n_bins: int, reach: float) -> tuple[Band, ...]:
        """The bank on the bins of a spectrum of n_bins, each filter cut off at its reach.

        A common factor makes the energies of the constant-Q wavelets sum to at most 2, which is 1
        for each half of a real signal's spectrum.
        """
        step = 2 * math.pi / n_bins
        half = n_bins // 2
        whole: list[Band] = []
        energy = np.zeros(n_bins)
        for index, (centre, width) in enumerate(zip(self.centres, self.widths, strict=True)):
            # κ g(ω), around 0, matters where the Gaussian at ξ still has a tail there
            lowest = centre if centre * width > _VANISHED else min(centre, 0)
            reached = _VANISHED / width
            start = max(math.floor((lowest - reached) / step), round(centre / step) - half)
            stop = min(math.ceil((centre + reached) / step), round(centre / step) + half)
            bins = np.arange(start, stop, dtype=np.int64)
            gains = self.gains(index, np.asarray(bins * step, dtype=np.float64))
            if index < self.n_constant_q:
                for lap in range(start // n_bins, (stop - 1) // n_bins + 1):  # of the periodic bins
                    lo, hi = max(start, lap * n_bins), min(stop, (lap + 1) * n_bins)
                    here = slice(lo - lap * n_bins, hi - lap * n_bins)
                    energy[here] += gains[lo - start : hi - start] ** 2
            whole.append(Band(centre, start, gains))
        factor = math.sqrt(2 / energy.max())
        return tuple(
            cropped(Band(band.centre, band.start, factor * band.gains), reach) for band in whole
        )


def morlet_bank(Q: int, *, n_constant_q: int, linear: bool) -> MorletBank:
    """Q wavelets per octave from the Nyquist frequency down.

    With `linear`, more follow below them, equally spaced and equally wide, to cover the low end.
    """
    ratio = 2 ** (-1 / Q)
    width = S0 / 2 / (1 - ratio)
    centres = [0.5 * (ratio + 1) * math.pi * ratio**j for j in range(n_constant_q)]
    widths = [width / ratio**j for j in range(n_constant_q)]
    lowpass = width if linear else width / 2
    if linear:
        gap = S0 / (4 * lowpass)
        n = round((ratio - gap) / (1 - ratio))
        span = math.pi * ratio**n_constant_q * (1 - gap / ratio)
        centres += [centres[-1] - span / n * (1 + i) for i in range(n)]
        widths += [widths[-1]] * n
    return MorletBank(
        tuple(centres), tuple(widths), n_constant_q, lowpass / ratio ** (n_constant_q - 1)
    )


def cropped(band: Band, reach: float) -> Band:
    """The band without its tails, which become true zeros instead of subnormal numbers."""
    loudness = np.abs(band.gains)
    heard = np.flatnonzero(loudness >= math.exp(-(reach**2) / 2) * loudness.max())
    lo, hi = int(heard[0]), int(heard[-1]) + 1
    return Band(band.centre, band.start + lo, band.gains[lo:hi])
