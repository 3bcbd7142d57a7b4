"""Segments → coefficients: the scattering transform in torch, for any device.

The transform is that of Andén and Mallat, "Deep scattering spectrum" (IEEE TSP 2014), with the
filter-bank rules behind the paper's features (Song et al. 2018): 433 coefficients × 114 frames for
29 s at 16 kHz. With x a segment, ψ wavelets, φ a low-pass and ⋆ convolution,

    order 0    x ⋆ φ                        1 coefficient
    order 1    |x ⋆ ψ1| ⋆ φ                 76
    order 2    ||x ⋆ ψ1| ⋆ ψ2| ⋆ φ          356, one per scattering path

are read off once per hop of 4096 samples.

A `Plan` lists the filters and the scattering paths; `Scattering` executes a plan. Three things make
it fast:

- A wavelet lives in a narrow band. Only those bins of the spectrum are kept, and their inverse
  transform is just long enough for the band. This loses where the band stands, but that is a phase,
  which the modulus does not see. So every |x ⋆ ψ| comes out at the rate of its bandwidth, however
  high its centre.
- Filters of the same length share one batched FFT, at both orders. A band is a slice of a spectrum,
  so nothing is gathered.
- φ is an average with few taps per hop, or a few bins of a spectrum that is there anyway: one small
  matrix product.

What lies beyond the bands is lost, and the modulus, which has no band limit, folds back a little at
that rate. `Exactness` says how much of either is allowed.

Shapes: B segments, N samples, C coefficients, T frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from musictag.hearing.kernels.rates import SHORTEST_RATE
from musictag.hearing.scattering.filters import Band
from musictag.hearing.scattering.lengths import first_length, second_length
from musictag.hearing.scattering.lowpass import lowpass_taps, lowpass_waves
from musictag.hearing.scattering.normalisation import normalise
from musictag.hearing.scattering.plan import FrontEnd, Plan, paper_plan


class Scattering(nn.Module):
    """Executes a plan on any device, in float32: (B, N) -> (B, C, T).

    Coefficients are sorted by order, then by first wavelet, then by second. The filters are buffers
    that no checkpoint stores.
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
        self._register("_parents", np.array([parent for parent, _ in plan.paths]))
        self._register("_taps0", lowpass_taps(plan.lowpass0, plan.hop, plan.hop))
        for rate in sorted({length // plan.n_hops for length in _lengths(self._steps)}):
            self._register(f"_taps_{rate}", lowpass_taps(plan.lowpass, plan.hop, rate))
        n_bins = plan.n_hops * SHORTEST_RATE // 2  # which every envelope has
        self._register("_waves", lowpass_waves(plan, plan.lowpass, n_bins))

    def forward(self, samples: Tensor) -> Tensor:
        """(B, N) samples -> (B, C, T) coefficients, normalised as the front end says.

        Raises ValueError when N is not the plan's.
        """
        coefficients = self.transform(samples)
        level = self._level(samples) if self.normalisation.endswith("paper") else None
        parents = self.get_buffer("_parents")
        normalise(coefficients, parents, self.normalisation, level, xp=torch)
        return coefficients

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
        """Some first-order filters and everything that descends from them."""
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
        """Like `_average`, of a signal's spectrum: (..., L // 2 + 1) -> (..., T).

        φ passes so few bins that the frames are computed by the definition of their inverse
        transform.
        """
        waves = self.get_buffer("_waves")  # (bins, 2, T)
        bins = torch.view_as_real(spectrum.bins[..., : len(waves)])
        return bins.flatten(-2) @ waves.flatten(0, 1)

    def _average(self, signal: Tensor, taps: Tensor | None = None) -> Tensor:
        """Low-pass a signal and read it off once per hop: (..., L) -> (..., T).

        Every hop of the signal is multiplied by every piece of φ that can fall on it; a frame is
        the sum along one diagonal of these products.
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
    """|z|. On a CPU NumPy computes it with vector instructions: torch's own takes 12 times as long,
    and squares, sum and root by torch take 7 times as long."""
    if signal.device.type != "cpu":
        return signal.abs()
    return torch.from_numpy(np.abs(signal.numpy()))


# -- The steps: how a plan is computed -----------------------------------------------------------

POINTS_PER_STEP = 2**21
"""Complex points of one batched FFT on a CPU, at most. Measured on two cores: an eighth of it takes
nearly twice as long, twice as many gain nothing."""

POINTS_ON_GPU = 2**27
"""Complex points of one batched FFT on other devices, over a batch of segments, at most: 1 GiB.
Memory is plentiful there, and launches cost."""


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
    """First-order filters grouped by length, in pieces that fit a cache."""
    steps = []
    row = 1
    for n_points, same in groupby(range(len(plan.first)), partial(first_length, plan)):
        indices = list(same)
        n = max(1, POINTS_PER_STEP // n_points)
        for lo in range(indices[0], indices[-1] + 1, n):
            first = range(lo, min(lo + n, indices[-1] + 1))
            rows = slice(row, row + len(first))
            second = _groups(plan, first, rows.stop)
            steps.append(_Step(n_points, first, rows, second))
            row = second[-1].rows.stop if second else rows.stop
    return tuple(steps)


def _groups(plan: Plan, first: range, row: int) -> tuple[_Group, ...]:
    groups = []
    wanted = sorted({child for parent in first for child in plan.children[parent]})
    for n_points, same in groupby(wanted, partial(second_length, plan)):
        members = []
        n = 0
        for index in same:
            parents = plan.parents(index, first)
            here = slice(parents.start - first.start, parents.stop - first.start)
            members.append((index, here, slice(n, n + len(parents))))
            n += len(parents)
        groups.append(_Group(n_points, tuple(members), slice(row, row + n)))
        row += n
    return tuple(groups)


def _computed_order(steps: Sequence[_Step], plan: Plan) -> NDArray[np.int64]:
    """For each computed row, its row in the output."""
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
    """Spectra of real signals: the bins from 0 to the Nyquist frequency and some below 0."""

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
        # Complex although their imaginary parts are 0: torch has no product of real and complex
        # numbers and would convert them at every call.
        gains = np.concatenate([band.gains for band in bands]).astype(np.complex64)
        self.register_buffer("gains", torch.from_numpy(gains), persistent=False)

    def n_below(self, members: Iterable[int]) -> int:
        """Number of bins below 0 that these bands reach down to."""
        return max(0, *(-self.starts[index] for index in members))

    def cut(self, index: int, spectrum: _Spectrum, *, out: Tensor) -> None:
        """Write one band of real signals' spectra to `out`, followed by zeros."""
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
            if stop > top:  # the length is even, so the mirror image begins at top - 2
                mirrored = bins[..., 2 * top - 1 - stop : top - 1].flip(-1).conj_physical()
                parts.append((top, mirrored))
            for lo, part in parts:
                here = slice(lo - start, lo - start + part.shape[-1])
                torch.mul(part, gains[here], out=out[..., here])
        out[..., n:].zero_()
