"""Which filters a scattering transform has, and which scattering paths.

A `Plan` lists them and says nothing of how they are computed: that is the
business of `scattering` and, on a CPU, `scattering_cpu`. Filters are those of
the paper's features (`paper_plan`) or of kymatio (`kymatio_plan`).

Sources: Andén and Mallat, "Deep scattering spectrum" (IEEE TSP 2014), and the
ScatNet toolbox for the filter banks; Song et al. 2018 for their settings.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_VANISHED = 6.0
"""So many widths from its centre a Gaussian is less than a float32 resolves, beyond every reach."""

S0 = 2 / math.sqrt(3)
"""The constant that ties the widths of filters to their bandwidths in the paper's filter bank."""


@dataclass(frozen=True)
class Exactness:
    """How closely the fast transform follows the definitions.

    `reach`: a filter ends where its gain has fallen to exp(-reach²/2) of its
    largest, for a Gaussian that many widths from its centre. `slack`: length of
    an inverse transform over the number of bins in the band, at least.
    """

    reach: float
    slack: float


EXACTNESS = {"fast": Exactness(reach=4.5, slack=1.0), "high": Exactness(reach=5.5, slack=2.0)}

NORMALISATIONS = ("none", "log", "log-renormalised", "paper", "log-paper")
"""- log: the logarithm of the coefficients as defined;
- log-renormalised: that of order 2 over its order-1 parent, and of orders 0 and 1;
- paper: order 2 over its parent, order 1 over the average of |x| (Song et al., section 3; Andén
  and Mallat, eq. 16 and 17), so that gain and equaliser matter less;
- log-paper: the logarithm of that."""


@dataclass(frozen=True)
class FrontEnd:
    """The settings that a model was trained with; the defaults are the paper's."""

    n_samples: int = 464_000  # 29 s at 16 kHz
    T: int = 8192  # averaging scale, samples
    hop: int = 4096  # samples
    Q: int = 8  # wavelets per octave at order 1; order 2 has one
    exactness: str = "fast"
    normalisation: str = "log-renormalised"

    def __post_init__(self) -> None:
        # bounds also keep a stranger's checkpoint from claiming all memory
        for name, least, most in (("n_samples", 1, 2**22), ("T", 64, 2**20), ("Q", 1, 64)):
            _check_whole(name, getattr(self, name), least, most)
        _check_whole("hop", self.hop, max(1, self.n_samples >> 14), self.T)
        if self.exactness not in EXACTNESS:
            raise ValueError(f"exactness {self.exactness!r} is none of {', '.join(EXACTNESS)}")
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(
                f"normalisation {self.normalisation!r} is none of {', '.join(NORMALISATIONS)}"
            )


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}, must be a whole number from {least} to {most}")


@dataclass(frozen=True)
class Band:
    """A filter where it lives: `gains[i]` is its real gain at bin `start + i` of the
    padded segment's spectrum. A negative bin, or one beyond Nyquist, is its mirror's
    conjugate, as in the spectrum of any real signal."""

    centre: float  # radians per sample
    start: int
    gains: Float64

    @property
    def stop(self) -> int:
        return self.start + len(self.gains)


@dataclass(frozen=True)
class Plan:
    """Everything a scattering transform is made of, and nothing of how it is computed.

    The segment is padded by reflection to `n_hops` hops and then taken as
    periodic; the frames kept are `n_frames` from `first_frame` on. Low-passes
    are Gaussians in time, given by their standard deviation in samples, with
    unit gain at frequency 0.
    """

    n_samples: int
    pad_left: int
    hop: int
    n_hops: int
    first_frame: int
    n_frames: int
    first: tuple[Band, ...]
    second: tuple[Band, ...]
    paths: tuple[tuple[int, int], ...]  # (first, second), in the order of the output
    lowpass0: float  # of order 0
    lowpass: float  # of orders 1 and 2
    slack: float

    @property
    def n_padded(self) -> int:
        return self.n_hops * self.hop

    @property
    def pad_right(self) -> int:
        return self.n_padded - self.n_samples - self.pad_left

    @property
    def n_coefficients(self) -> int:
        return 1 + len(self.first) + len(self.paths)

    @functools.cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For each first-order filter, the second-order ones that its envelope meets."""
        children: list[list[int]] = [[] for _ in self.first]
        for parent, child in self.paths:
            children[parent].append(child)
        return tuple(map(tuple, children))

    def parents(self, child: int, among: Sequence[int]) -> range:
        """Those of some neighbouring first-order filters whose envelopes a second-order one meets:
        neighbours too, or this is no plan that can be computed (ValueError)."""
        parents = [parent for parent in among if child in self.children[parent]]
        if parents != list(range(parents[0], parents[-1] + 1)):
            raise ValueError("the parents of a second-order filter must be neighbours")
        return range(parents[0], parents[-1] + 1)


def paper_plan(front_end: FrontEnd) -> Plan:
    """The plan of Song et al.'s features: 1 + 76 + 356 coefficients × 114 frames.

    The rules are those of the ScatNet toolbox, which the deep-scattering
    papers use. A scattering path exists where the second wavelet's centre lies
    within the first one's bandwidth: beyond it an envelope holds next to nothing.

    Raises ValueError when the segment is too short to be reflected.
    """
    T, hop, Q = front_end.T, front_end.hop, front_end.Q
    n_frames = 1 + (front_end.n_samples - 1) // hop
    bank1 = morlet_bank(Q, n_constant_q=1 + round(Q * math.log2(T / 32)), linear=True)
    bank2 = morlet_bank(1, n_constant_q=1 + round(math.log2(T / 2)), linear=False)
    margin = n_taps(max(bank1.lowpass, bank2.lowpass), hop) // 2
    n_hops = _smooth_at_least(n_frames + 2 * margin)
    if max(margin * hop, n_hops * hop - margin * hop - front_end.n_samples) >= front_end.n_samples:
        raise ValueError(
            f"{front_end.n_samples} samples are too few for T = {T} and a hop of {hop}"
        )
    exactness = EXACTNESS[front_end.exactness]
    return Plan(
        n_samples=front_end.n_samples,
        pad_left=margin * hop,
        hop=hop,
        n_hops=n_hops,
        first_frame=margin,
        n_frames=n_frames,
        first=bank1.bands(n_hops * hop, exactness.reach),
        second=bank2.bands(n_hops * hop, exactness.reach),
        paths=tuple(
            (i, j)
            for i, width in enumerate(bank1.widths)
            for j, centre in enumerate(bank2.centres)
            if math.pi / 2 * S0 / width > centre
        ),
        lowpass0=bank1.lowpass,
        lowpass=bank2.lowpass,
        slack=exactness.slack,
    )


@dataclass(frozen=True)
class MorletBank:
    """Morlet wavelets by centre ξ (radians per sample) and width σ (samples), highest first.

    The first `n_constant_q` are spaced geometrically, the rest linearly
    below them. In frequency each is g(ω − ξ) − κ g(ω), g(ω) = exp(−σ²ω²/2)
    summed over its periods and κ such that nothing passes at 0.
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
        """The bank on the bins of an n_bins spectrum, each filter cut off by its reach.

        The common factor makes the constant-Q wavelets' energies sum to at
        most 2, which is 1 for each half of a real signal's spectrum.
        """
        step = 2 * math.pi / n_bins
        half = n_bins // 2
        whole: list[Band] = []
        energy = np.zeros(n_bins)
        for index, (centre, width) in enumerate(zip(self.centres, self.widths, strict=True)):
            # κ g(ω), around 0, counts where the Gaussian at ξ still has a tail there
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
            _cropped(Band(band.centre, band.start, factor * band.gains), reach) for band in whole
        )


def morlet_bank(Q: int, *, n_constant_q: int, linear: bool) -> MorletBank:
    """Q wavelets per octave from the Nyquist frequency down; with `linear`, more below
    them at equal distances and of equal width, so that the low end is covered too."""
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


def kymatio_plan(
    n_samples: int, *, J: int, Q: tuple[int, int], T: int, exactness: str = "fast"
) -> Plan:
    """The plan of kymatio's own `Scattering1D`: its filters, scattering paths and padding.

    With it `Scattering` computes what kymatio computes, which is the check
    that no part of ours can fake. Takes seconds: kymatio builds every filter
    at full length.
    """
    from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D  # noqa: PLC0415

    theirs = ScatteringTorch1D(J=J, shape=(n_samples,), Q=Q, T=T)
    hop = 2**theirs.log2_T
    n_padded = len(theirs.phi_f["levels"][0])
    first_frame = theirs.ind_start[theirs.log2_T]

    def bands(bank: Sequence[dict[str, Any]]) -> tuple[Band, ...]:
        cut = []
        for wavelet in bank:
            gains = np.asarray(wavelet["levels"][0], dtype=np.float64).ravel()
            start = int(np.abs(gains).argmax()) - n_padded // 2
            # kymatio 0.3 takes the mean, not the sum, of the periods of a filter that it
            # subsamples: 2^-j for each wavelet on the way, which is seen in its output
            # (github.com/kymatio/kymatio/pull/736)
            gains = np.roll(gains, -start) * 2.0 ** -min(wavelet["j"], theirs.log2_T)
            band = Band(2 * math.pi * wavelet["xi"], start, gains)
            cut.append(_cropped(band, EXACTNESS[exactness].reach))
        return tuple(cut)

    width = 1 / (2 * math.pi * theirs.phi_f["sigma"])  # kymatio's sigma is in cycles per sample
    return Plan(
        n_samples=n_samples,
        pad_left=theirs.pad_left,
        hop=hop,
        n_hops=n_padded // hop,
        first_frame=first_frame,
        n_frames=theirs.ind_end[theirs.log2_T] - first_frame,
        first=bands(theirs.psi1_f),
        second=bands(theirs.psi2_f),
        paths=tuple(
            (i, j)
            for i, first in enumerate(theirs.psi1_f)
            for j, second in enumerate(theirs.psi2_f)
            if second["j"] > first["j"]
        ),
        lowpass0=width,
        lowpass=width,
        slack=EXACTNESS[exactness].slack,
    )


def _cropped(band: Band, reach: float) -> Band:
    """The band without its tails, which are then true zeros and never subnormal numbers."""
    loudness = np.abs(band.gains)
    heard = np.flatnonzero(loudness >= math.exp(-(reach**2) / 2) * loudness.max())
    lo, hi = int(heard[0]), int(heard[-1]) + 1
    return Band(band.centre, band.start + lo, band.gains[lo:hi])


# -- Lengths: how many points an envelope needs -----------------------------------------------

FINE_RATES = (64, 16)
"""Points per hop, at order 1 and 2, below which an inverse transform is at least twice as long as
its band: where that is cheap. The modulus of a narrow band would fold back on φ's own band."""

SHORTEST_RATE = 8
"""Points per hop below which an FFT only gets smaller, not faster."""

Rates = Callable[[int], Iterator[int]]
"""Points per hop of which transforms are quick, from the lowest on, for so many hops."""


def powers_and_halves(_: int) -> Iterator[int]:
    """8, 12, 16, 24, ...: powers of two and one and a half times them."""
    for power in count(SHORTEST_RATE.bit_length() - 1):
        yield 2**power
        yield 3 * 2 ** (power - 1)


def first_length(plan: Plan, index: int, rates: Rates = powers_and_halves) -> int:
    """Points of a first-order envelope: it holds its own band, and those that are cut from it."""
    highest = max((plan.second[child].stop for child in plan.children[index]), default=0)
    n_bins = max(plan.slack * len(plan.first[index].gains), 2.0 * highest)
    return _length(plan, n_bins, FINE_RATES[0], rates)


def second_length(plan: Plan, index: int, rates: Rates = powers_and_halves) -> int:
    """Points of a second-order envelope."""
    return _length(plan, plan.slack * len(plan.second[index].gains), FINE_RATES[1], rates)


def _length(plan: Plan, n_bins: float, fine_rate: int, rates: Rates) -> int:
    """The shortest quick FFT, a whole number of points per hop, that holds n_bins; below
    `fine_rate`, twice as many."""
    for rate in rates(plan.n_hops):
        if plan.n_hops * rate >= (n_bins if rate >= fine_rate else 2 * n_bins):
            return plan.n_hops * rate
    raise AssertionError("rates have no end")


# -- The low-pass -------------------------------------------------------------------------------


def n_taps(width: float, hop: int) -> int:
    """Hops on which five widths of φ, either side, can fall."""
    return 2 * math.ceil(5 * width / hop) + 1


def lowpass_taps(width: float, hop: int, rate: int) -> Float64:
    """φ in pieces of one hop: (rate, n), column d for the hop that lies d - n // 2 from a frame."""
    n = n_taps(width, hop)
    times = (np.arange(n * rate) / rate - n // 2) * hop
    taps = np.exp(-0.5 * (times / width) ** 2)
    return np.ascontiguousarray((taps / taps.sum()).reshape(n, rate).T)


def lowpass_waves(plan: Plan, width: float, most: int) -> Float64:
    """From `most` bins of a signal's spectrum to its average, or from as many as φ lets pass:
    (bins, 2, T), for real and imaginary parts.

    Each bin's wave at the frames, as loud as φ lets it pass; every bin but the first stands for
    its mirror too.
    """
    step = 2 * math.pi / plan.n_padded
    bins = np.arange(min(math.ceil(6 / width / step), most))
    gains = np.exp(-0.5 * (bins * step * width) ** 2) * np.where(bins, 2.0, 1.0)
    frames = plan.first_frame + np.arange(plan.n_frames)
    phases = 2 * np.pi / plan.n_hops * (bins[:, None] * frames % plan.n_hops)
    waves: Float64 = gains[:, None, None] * np.stack([np.cos(phases), -np.sin(phases)], axis=1)
    return waves


def _smooth_at_least(n: int) -> int:
    """The smallest number from n on that has no prime factor above 5."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
