"""Segments → coefficients: the scattering transform, fast.

The transform is that of Andén and Mallat, "Deep scattering spectrum" (IEEE
TSP 2014), with the filter-bank rules behind the paper's features (Song et al.
2018): 433 coefficients × 114 frames for 29 s at 16 kHz. With x a segment, ψ
wavelets, φ a low-pass and ⋆ convolution,

    order 0    x ⋆ φ                        1 coefficient
    order 1    |x ⋆ ψ1| ⋆ φ                 76
    order 2    ||x ⋆ ψ1| ⋆ ψ2| ⋆ φ          356, one per scattering path

read off once per hop of 4096 samples.

A `Plan` lists the filters and the scattering paths; `Scattering` executes a
plan. Three things make it fast:

- A wavelet lives in a narrow band. Only those bins of the spectrum are kept,
  and their inverse transform is just long enough for the band. Where the band
  stands is lost in this, but that is a phase, and the modulus does not see
  it: every |x ⋆ ψ| comes out at the rate of its bandwidth, however high its
  centre.
- Filters of the same length share one batched FFT, at both orders. A band is
  a slice of a spectrum: nothing is gathered.
- φ is an average with few taps per hop, or a few bins of a spectrum that is there anyway: one
  small matrix product.

What is lost is what lies beyond the bands and what the modulus, which has no
band limit, folds back at that rate; `Exactness` says how much of either is
allowed.

Shapes: B segments, N samples, C coefficients, T frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Float64 = NDArray[np.float64]

_VANISHED = 7.0
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


class Scattering(nn.Module):
    """Executes a plan on any device, in float32: (B, N) -> (B, C, T).

    Coefficients come by order, then by first wavelet, then by second. The
    filters are buffers, and none is stored in a checkpoint.
    """

    def __init__(self, front_end: FrontEnd | None = None, *, plan: Plan | None = None) -> None:
        """The transform of a front end; with `plan`, that plan's bare coefficients."""
        super().__init__()
        front_end = front_end or FrontEnd(normalisation="none" if plan else "log-renormalised")
        self.plan = plan = plan or paper_plan(front_end)
        self.normalisation = front_end.normalisation
        self.n_coefficients = plan.n_coefficients
        self.n_frames = plan.n_frames
        self._first = _Bank(plan.first)
        self._second = _Bank(plan.second)
        self._steps = _steps(plan)
        self._register("_order", np.argsort(_computed_order(self._steps, plan)))
        self._register("_parents", np.array([1 + parent for parent, _ in plan.paths]))
        self._register("_taps0", _taps(plan.lowpass0, plan.hop, plan.hop))
        for rate in sorted({length // plan.n_hops for length in _lengths(self._steps)}):
            self._register(f"_taps_{rate}", _taps(plan.lowpass, plan.hop, rate))
        self._register("_waves", _waves(plan))

    def forward(self, samples: Tensor) -> Tensor:
        """(B, N) samples -> (B, C, T) coefficients, normalised as the front end says.

        Raises ValueError when N is not the plan's.
        """
        coefficients = self.transform(samples)
        if self.normalisation == "none":
            return coefficients
        level = self._level(samples) if self.normalisation.endswith("paper") else None
        return normalise(coefficients, self.get_buffer("_parents"), self.normalisation, level)

    @torch.no_grad()
    def _level(self, samples: Tensor) -> Tensor:
        """|x| ⋆ φ: (B, N) -> (B, 1, T)"""
        return self._average(self._padded(samples).abs(), self.get_buffer("_taps0"))[:, None]

    @torch.no_grad()
    def transform(self, samples: Tensor) -> Tensor:
        """The coefficients as defined, without normalisation: (B, N) -> (B, C, T)."""
        plan = self.plan
        if samples.ndim != 2 or samples.shape[1] != plan.n_samples:
            shape = tuple(samples.shape)
            raise ValueError(f"samples have shape {shape}, the plan wants (B, {plan.n_samples})")
        padded = self._padded(samples)
        out = padded.new_empty(len(padded), plan.n_coefficients, plan.n_frames)
        out[:, 0] = self._average(padded, self.get_buffer("_taps0"))
        spectrum = _Spectrum.of(padded, self._first.n_below(range(len(plan.first))))
        del padded
        at_once = POINTS_PER_STEP if samples.device.type == "cpu" else POINTS_ON_GPU
        for step in self._steps:
            n = max(1, at_once // step.n_points)
            for lo in range(0, len(out), n):
                self._execute(step, spectrum[lo : lo + n], out[lo : lo + n])
        return out.index_select(1, self.get_buffer("_order"))

    def _padded(self, samples: Tensor) -> Tensor:
        """(B, N) -> (B, n_padded), by reflection at both ends."""
        left, n = self.plan.pad_left, samples.shape[1]
        padded = samples.new_empty(len(samples), self.plan.n_padded, dtype=torch.float32)
        padded[:, left : left + n] = samples
        padded[:, :left] = samples[:, 1 : 1 + left].flip(-1)
        padded[:, left + n :] = samples[:, n - 1 - self.plan.pad_right : n - 1].flip(-1)
        return padded

    def _execute(self, step: _Step, spectrum: _Spectrum, out: Tensor) -> None:
        """Some first-order filters, and everything that descends from them."""
        bands = spectrum.bins.new_empty(len(out), len(step.first), step.length)
        for row, index in enumerate(step.first):
            self._first.cut(index, spectrum, out=bands[:, row])
        envelopes = _modulus(torch.fft.ifft(bands, norm="forward"))  # |x ⋆ ψ1|: (B, n, length)
        if not step.second:
            out[:, step.rows] = self._average(envelopes)
            return
        members = (index for group in step.second for index, _, _ in group.members)
        spectrum = _Spectrum.of(envelopes, self._second.n_below(members))
        del envelopes
        out[:, step.rows] = self._average_of(spectrum)
        for group in step.second:
            bands = bands.new_empty(len(out), group.n_rows, group.length)
            for index, parents, rows in group.members:
                self._second.cut(index, spectrum[:, parents], out=bands[:, rows])
            out[:, group.rows] = self._average(_modulus(torch.fft.ifft(bands, norm="forward")))

    def _average_of(self, spectrum: _Spectrum) -> Tensor:
        """As `_average`, of a signal's spectrum: (..., L // 2 + 1) -> (..., T).

        φ passes so few of its bins that the frames are their inverse transform as it is defined.
        """
        waves = self.get_buffer("_waves")  # (bins, 2, T)
        bins = torch.view_as_real(spectrum.bins[..., : len(waves)])
        return bins.flatten(-2) @ waves.flatten(0, 1)

    def _average(self, signal: Tensor, taps: Tensor | None = None) -> Tensor:
        """Low-pass, and read off once per hop: (..., L) -> (..., T).

        Every hop of the signal meets every piece of φ that can fall on it; a
        frame is then the sum along one diagonal of these products.
        """
        plan = self.plan
        rate = signal.shape[-1] // plan.n_hops
        if taps is None:
            taps = self.get_buffer(f"_taps_{rate}")
        n = taps.shape[1]
        products = signal.reshape(-1, rate) @ taps  # (... * n_hops, n)
        diagonals = products.as_strided(
            (products.shape[0] // plan.n_hops, plan.n_frames, n),
            (plan.n_hops * n, n, n + 1),
            (plan.first_frame - n // 2) * n,
        )
        return diagonals.sum(-1).reshape(*signal.shape[:-1], plan.n_frames)

    def _register(self, name: str, array: NDArray[np.generic]) -> None:
        tensor = torch.from_numpy(array)
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        self.register_buffer(name, tensor, persistent=False)


def _modulus(signal: Tensor) -> Tensor:
    """|z|. On a CPU by NumPy, which has vector instructions for it: torch's own takes 12 times as
    long, and squares, sum and root by torch take 7 times as long."""
    if signal.device.type != "cpu":
        return signal.abs()
    return torch.from_numpy(np.abs(signal.numpy()))


def normalise(
    coefficients: Tensor, parents: Tensor, how: str, level: Tensor | None = None
) -> Tensor:
    """(B, C, T) -> same, normalised in one of the ways of NORMALISATIONS.

    `parents` holds, for each scattering path, the row of its first wavelet;
    `level` the average of |x|, (B, 1, T), for the ways that want it. The floors
    keep silence finite: -100 dB of full scale for orders 0 and 1, a thousandth
    of what a coefficient is divided by.
    """
    zeroth, first, second = coefficients.tensor_split(
        [1, coefficients.shape[1] - len(parents)], dim=1
    )
    if how == "log":
        second = second + 1e-5
    else:
        second = second / (first.index_select(1, parents - 1) + 1e-5) + 1e-3
    first = first + 1e-5 if level is None else first / (level + 1e-5) + 1e-3
    if how == "paper":
        return torch.cat([zeroth, first, second], dim=1)
    return torch.cat([(zeroth.abs() + 1e-5).log(), first.abs().log(), second.abs().log()], dim=1)


# -- The plan: which filters, which scattering paths ---------------------------------------------


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
    margin = _n_taps(max(bank1.lowpass, bank2.lowpass), hop) // 2
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


# -- The steps: how a plan is computed -----------------------------------------------------------

POINTS_PER_STEP = 2**21
"""Complex points of one batched FFT on a CPU, at most. Measured on two cores: an eighth of it is
nearly twice as slow, twice as many gain nothing."""

POINTS_ON_GPU = 2**27
"""The same over a batch of segments where memory is plenty and launches cost: 1 GiB."""

FINE_RATES = (64, 16)
"""Points per hop, at order 1 and 2, below which an inverse transform is at least twice as long as
its band: where that is cheap. The modulus of a narrow band would fold back on φ's own band."""

SHORTEST_RATE = 8
"""Points per hop below which an FFT only gets smaller, not faster."""


@dataclass(frozen=True)
class _Group:
    """Second-order bands of one length, descended from one step's first-order filters."""

    length: int
    members: tuple[tuple[int, slice, slice], ...]  # (second filter, its parents, its rows)
    rows: slice  # of the output, in computed order

    @property
    def n_rows(self) -> int:
        return int(self.rows.stop - self.rows.start)


@dataclass(frozen=True)
class _Step:
    """First-order bands of one length, with their descendants."""

    length: int
    first: range
    rows: slice
    second: tuple[_Group, ...]

    @property
    def n_points(self) -> int:
        return self.length * len(self.first)


def _steps(plan: Plan) -> tuple[_Step, ...]:
    """First-order filters of equal length together, in pieces that fit a cache."""
    children: list[list[int]] = [[] for _ in plan.first]
    for parent, child in plan.paths:
        children[parent].append(child)

    def length(index: int) -> int:
        # the envelope must hold its own band and the second-order bands cut from it
        highest = max((plan.second[child].stop for child in children[index]), default=0)
        n_bins = max(plan.slack * len(plan.first[index].gains), 2.0 * highest)
        return _length(plan, n_bins, FINE_RATES[0])

    steps = []
    row = 1
    for n_points, same in groupby(range(len(plan.first)), key=length):
        indices = list(same)
        n = max(1, POINTS_PER_STEP // n_points)
        for lo in range(indices[0], indices[-1] + 1, n):
            first = range(lo, min(lo + n, indices[-1] + 1))
            rows = slice(row, row + len(first))
            second = _groups(plan, first, children, rows.stop)
            steps.append(_Step(n_points, first, rows, second))
            row = second[-1].rows.stop if second else rows.stop
    return tuple(steps)


def _groups(plan: Plan, first: range, children: list[list[int]], row: int) -> tuple[_Group, ...]:
    def length(index: int) -> int:
        return _length(plan, plan.slack * len(plan.second[index].gains), FINE_RATES[1])

    groups = []
    wanted = sorted({child for parent in first for child in children[parent]})
    for n_points, same in groupby(wanted, key=length):
        members = []
        n = 0
        for index in same:
            parents = [i for i, parent in enumerate(first) if index in children[parent]]
            if parents != list(range(parents[0], parents[-1] + 1)):
                raise ValueError("the parents of a second-order filter must be neighbours")
            members.append((index, slice(parents[0], parents[-1] + 1), slice(n, n + len(parents))))
            n += len(parents)
        groups.append(_Group(n_points, tuple(members), slice(row, row + n)))
        row += n
    return tuple(groups)


def _computed_order(steps: Sequence[_Step], plan: Plan) -> NDArray[np.int64]:
    """For each computed row, the row of the output that it is."""
    row_of_path = {path: 1 + len(plan.first) + i for i, path in enumerate(plan.paths)}
    order = [0]
    for step in steps:
        order += [1 + index for index in step.first]
        for group in step.second:
            for index, parents, _ in group.members:
                order += [row_of_path[parent, index] for parent in step.first[parents]]
    return np.array(order)


def _lengths(steps: Sequence[_Step]) -> set[int]:
    return {step.length for step in steps} | {g.length for step in steps for g in step.second}


@dataclass(frozen=True)
class _Spectrum:
    """Of real signals: the bins from 0 to the Nyquist frequency, and some of those below 0."""

    bins: Tensor  # (..., L // 2 + 1)
    below: Tensor  # (..., n), up to bin -1

    @classmethod
    def of(cls, signals: Tensor, n_below: int) -> _Spectrum:
        bins = torch.fft.rfft(signals, norm="forward")
        return cls(bins, bins[..., 1 : 1 + n_below].flip(-1).conj_physical())

    def __getitem__(self, rows: Any) -> _Spectrum:
        return _Spectrum(self.bins[rows], self.below[rows])


class _Bank(nn.Module):
    """The gains of some bands, end to end in one buffer."""

    def __init__(self, bands: Sequence[Band]) -> None:
        super().__init__()
        self.starts = [band.start for band in bands]
        self.offsets = np.cumsum([0, *(len(band.gains) for band in bands)]).tolist()
        # Complex, although their imaginary parts are 0: torch has no product of real and complex
        # numbers, and would make them so at every call.
        gains = np.concatenate([band.gains for band in bands]).astype(np.complex64)
        self.register_buffer("gains", torch.from_numpy(gains), persistent=False)

    def n_below(self, members: Iterable[int]) -> int:
        """So many bins below 0 these bands reach down to."""
        return max(0, *(-self.starts[index] for index in members))

    def cut(self, index: int, spectrum: _Spectrum, *, out: Tensor) -> None:
        """One band of real signals' spectra into `out`, followed by zeros."""
        gains = self.get_buffer("gains")[self.offsets[index] : self.offsets[index + 1]]
        n, start, stop = len(gains), self.starts[index], self.starts[index] + len(gains)
        bins, below = spectrum.bins, spectrum.below
        top, bottom = bins.shape[-1], -below.shape[-1]
        if start >= 0 and stop <= top:  # most of them
            torch.mul(bins[..., start:stop], gains, out=out[..., :n])
        else:
            parts = []
            if start < 0:
                parts.append((start, below[..., start - bottom : min(stop, 0) - bottom]))
            if max(start, 0) < min(stop, top):
                parts.append((max(start, 0), bins[..., max(start, 0) : min(stop, top)]))
            if stop > top:  # the length is even: beyond the Nyquist frequency it goes down again
                mirrored = bins[..., 2 * top - 1 - stop : top - 1].flip(-1).conj_physical()
                parts.append((top, mirrored))
            for lo, part in parts:
                here = slice(lo - start, lo - start + part.shape[-1])
                torch.mul(part, gains[here], out=out[..., here])
        out[..., n:].zero_()


def _length(plan: Plan, n_bins: float, fine_rate: int) -> int:
    """The shortest quick FFT, a whole number of points per hop, that holds n_bins; below
    `fine_rate`, twice as many."""
    rate = SHORTEST_RATE
    while plan.n_hops * rate < (n_bins if rate >= fine_rate else 2 * n_bins):
        # 8, 12, 16, 24, ...: powers of two and one and a half times them
        rate = rate * 3 // 2 if rate & (rate - 1) == 0 else rate // 3 * 4
    return plan.n_hops * rate


def _n_taps(width: float, hop: int) -> int:
    """Hops on which five widths of φ, either side, can fall."""
    return 2 * math.ceil(5 * width / hop) + 1


def _taps(width: float, hop: int, rate: int) -> Float64:
    """φ in pieces of one hop: (rate, n), column d for the hop that lies d - n // 2 from a frame."""
    n = _n_taps(width, hop)
    times = (np.arange(n * rate) / rate - n // 2) * hop
    taps = np.exp(-0.5 * (times / width) ** 2)
    return np.ascontiguousarray((taps / taps.sum()).reshape(n, rate).T)


def _waves(plan: Plan) -> Float64:
    """From the spectrum of an envelope to its average: (bins, 2, T), for real and imaginary parts.

    Each bin's wave at the frames, as loud as φ lets it pass; every bin but the first stands for
    its mirror too.
    """
    step = 2 * math.pi / plan.n_padded
    bins = np.arange(min(math.ceil(6 / plan.lowpass / step), plan.n_hops * SHORTEST_RATE // 2))
    gains = np.exp(-0.5 * (bins * step * plan.lowpass) ** 2) * np.where(bins, 2.0, 1.0)
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
