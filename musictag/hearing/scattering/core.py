"""The scattering transform laid out for one CPU core, in NumPy and `kernels`.

A segment at a time goes through the core's own cache. Every buffer, every view of it and every
table is made once. What is left is a list of calls, each of one NumPy function, transform or
product, and executing the plan means making these calls in turn:

    first-order filters, as many at a time as fit the cache:
        band ← gains · spectrum; its inverse transform; the modulus; the spectrum of that;
        with each second-order filter of high rate the same again, down to frames
    second-order filters of low rate, for all their parents at once

The bins of a spectrum below 0 and beyond the Nyquist frequency are written beside it, so that
every band is one slice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np

from musictag.hearing.arrays import Complex, Real
from musictag.hearing.kernels.choice import Kernels, choose
from musictag.hearing.kernels.rates import SHORTEST_RATE
from musictag.hearing.scattering.lengths import first_length, second_length
from musictag.hearing.scattering.lowpass import lowpass_taps, lowpass_waves
from musictag.hearing.scattering.normalisation import normalise
from musictag.hearing.scattering.plan import FrontEnd, Plan, paper_plan

LATE_RATE = 64
"""Points per hop up to which second-order bands wait until all their parents are done. Those of a
single parent would hardly be worth a call."""

_LINE = 8
"""Complex numbers in a cache line."""


class CoreScattering:
    """(N,) samples -> (C, T) coefficients, as `scattering.torch.Scattering` makes them.

    With oneMKL they are slightly closer to the definitions, because some envelopes have more points
    where a longer transform is the quicker one. Threads may share it; each gets a layout of its own
    (20 MB) at its first call.
    """

    def __init__(
        self,
        front_end: FrontEnd | None = None,
        *,
        plan: Plan | None = None,
        kernels: Kernels | None = None,
    ) -> None:
        """The transform of a front end; with `plan`, that plan's bare coefficients."""
        front_end = front_end or FrontEnd(normalisation="none" if plan else "log-renormalised")
        self.plan = plan or paper_plan(front_end)
        self._normalisation = front_end.normalisation
        self._first = [band.gains.astype(np.complex64) for band in self.plan.first]
        self._second = [band.gains.astype(np.complex64) for band in self.plan.second]
        self._parents = np.array([parent for parent, _ in self.plan.paths], dtype=np.intp)
        self._kernels = kernels or choose()
        self._layouts = threading.local()

    @property
    def n_coefficients(self) -> int:
        return self.plan.n_coefficients

    def __call__(self, samples: Real) -> Real:
        """Raises ValueError when N is not the plan's."""
        plan = self.plan
        if samples.shape != (plan.n_samples,):
            raise ValueError(
                f"samples have shape {samples.shape}, the plan wants ({plan.n_samples},)"
            )
        if not hasattr(self._layouts, "mine"):
            self._layouts.mine = _Layout(plan, self._first, self._second, self._kernels)
        layout: _Layout = self._layouts.mine
        out = np.empty((plan.n_coefficients, plan.n_frames), np.float32)
        # samples that are NaN or infinite give such coefficients
        with np.errstate(all="ignore"), self._kernels.products.on_one_core():
            layout.transform(samples, out)
            level = layout.level() if self._normalisation.endswith("paper") else None
            normalise(out, self._parents, self._normalisation, level, xp=np)
        return out


@dataclass(frozen=True)
class _Bins:
    """Spectra side by side, from some negative bin on: (n, bins)."""

    array: Complex
    zero: int  # the column of bin 0

    def __call__(self, start: int, stop: int, rows: slice = slice(None)) -> Complex:
        return self.array[rows, self.zero + start : self.zero + stop]


_Family = tuple[int, range]
"""A second-order filter and neighbouring parents of it."""


@dataclass(frozen=True)
class _Step:
    """First-order filters with equally long envelopes, and what is computed from these at once."""

    length: int
    first: range
    families: Sequence[_Family]
    below: int  # negative bins of their spectra that second-order bands reach down to

    @property
    def n_bins(self) -> int:
        return self.length // 2 + 1


class _Layout:
    """Memory and the calls that work in it, for one thread."""

    def __init__(
        self,
        plan: Plan,
        first: Sequence[Complex],
        second: Sequence[Complex],
        kernels: Kernels,
    ) -> None:
        """`first` and `second` are the gains of the plan's bands."""
        self._plan = plan
        self._first, self._second = first, second
        self._transforms, self._products = kernels.transforms, kernels.products
        rates = self._transforms.quick_rates
        self._lengths = [second_length(plan, j, rates) for j in range(len(plan.second))]
        self._calls: list[Callable[[], object]] = []
        self._kept_alive: list[Real] = []
        """Arrays that calls know only by their address."""
        self._lay_out()

    def transform(self, samples: Real, out: Real) -> None:
        """(N,) -> (C, T), without normalisation."""
        left = self._plan.pad_left
        self._padded[left : left + len(samples)] = samples
        for call in self._calls:
            call()
        np.take(self._computed, self._order, axis=0, out=out, mode="clip")

    def level(self) -> Real:
        """|x| ⋆ φ of the segment that was transformed last: (1, T)"""
        plan = self._plan
        taps = lowpass_taps(plan.lowpass0, plan.hop, plan.hop).astype(np.float32)
        products = np.abs(self._padded).reshape(plan.n_hops, plan.hop) @ taps
        level = np.zeros((1, plan.n_frames), np.float32)
        for diagonal in self._diagonals(products[None]):
            level += diagonal
        return level

    def _lay_out(self) -> None:
        plan, first = self._plan, range(len(self._plan.first))
        late = {j for _, j in plan.paths if self._lengths[j] <= LATE_RATE * plan.n_hops}
        steps = list(self._steps(late))
        later = self._families(first, late)
        families = [family for step in steps for family in step.families] + later
        self._reserve(steps, families)
        waves0 = self._waves(plan.lowpass0, plan.n_padded // 2)
        waves = self._waves(plan.lowpass, plan.n_hops * SHORTEST_RATE // 2)  # all envelopes have

        spectrum = self._spectrum_of_segment()
        self._frames_from_bins(spectrum, waves0, self._computed[:1])
        # the bins of all first-order envelopes' spectra that are needed later
        low = max((-plan.second[j].start for j in late), default=0)
        high = max([len(waves) // 2, *(plan.second[j].stop for j in late)])
        kept = _bins(len(first), low, high)
        n_done = 0
        for step in steps:
            bands = self._bands[: len(step.first) * step.length].reshape(-1, step.length)
            for row, i in enumerate(step.first):
                start, stop = plan.first[i].start, plan.first[i].stop
                self._cut(spectrum(start, stop), self._first[i], bands[row : row + 1])
            spectra = self._spectra(self._modulus(bands), step)
            some = -min(low, step.below), min(high, step.n_bins)
            self._do(
                np.copyto, kept(*some, slice(step.first.start, step.first.stop)), spectra(*some)
            )
            for family in step.families:
                n_done = self._second_order(family, spectra, step.first.start, n_done)
        self._frames_from_bins(kept, waves, self._computed[1 : 1 + len(first)])
        for family in later:
            n_done = self._second_order(family, kept, 0, n_done)
        self._frames_from_products(self._computed[1 + len(first) :])

        done = ((parent, j) for j, parents in families for parent in parents)
        row_of = {path: 1 + len(first) + row for row, path in enumerate(done)}
        self._order = np.array([0, *(1 + i for i in first), *(row_of[path] for path in plan.paths)])

    # -- what is to be done

    def _steps(self, late: set[int]) -> Iterator[_Step]:
        plan = self._plan
        length = partial(first_length, plan, rates=self._transforms.quick_rates)
        for n_points, same in groupby(range(len(plan.first)), length):
            members = list(same)
            indices = range(members[0], members[-1] + 1)
            for first in _in_pieces(indices, n_points, self._transforms.points):
                children = {j for i in first for j in plan.children[i]}
                below = max((-plan.second[j].start for j in children), default=0)
                yield _Step(n_points, first, self._families(first, children - late), below)

    def _families(self, first: range, second: set[int]) -> list[_Family]:
        return [
            (j, parents)
            for j in sorted(second)
            for parents in _in_pieces(
                self._plan.parents(j, first), self._lengths[j], self._transforms.points
            )
        ]

    def _reserve(self, steps: Sequence[_Step], families: Sequence[_Family]) -> None:
        """Allocate the memory that one step after another works in."""
        plan = self._plan
        n_points = [step.length * len(step.first) for step in steps]
        n_points += [self._lengths[j] * len(parents) for j, parents in families]
        self._bands = np.empty(max(n_points), np.complex64)
        self._envelopes = np.empty(max(n_points), np.float32)
        n_bins = [len(s.first) * (_aligned(s.below) + _aligned(s.n_bins)) for s in steps]
        self._room_for_spectra = np.empty(max(n_bins), np.complex64)
        self._computed = np.empty((plan.n_coefficients, plan.n_frames), np.float32)
        n_taps = lowpass_taps(plan.lowpass, plan.hop, 1).shape[1]
        self._of_hops = np.empty((len(plan.paths), plan.n_hops, n_taps), np.float32)

    # -- the calls that do it

    def _do(self, function: Callable[..., object], *arguments: object, **options: object) -> None:
        self._calls.append(partial(function, *arguments, **options))

    def _spectrum_of_segment(self) -> _Bins:
        plan, half = self._plan, self._plan.n_padded // 2
        left, right, end = plan.pad_left, plan.pad_right, plan.pad_left + plan.n_samples
        self._padded = padded = np.empty(plan.n_padded, np.float32)
        self._do(np.copyto, padded[:left], padded[left + 1 : 2 * left + 1][::-1])
        self._do(np.copyto, padded[end:], padded[end - 1 - right : end - 1][::-1])
        below = max(0, *(-band.start for band in plan.first))
        above = max(0, *(band.stop - half - 1 for band in plan.first))
        spectrum = _bins(1, below, half + 1 + above)
        self._calls.append(self._transforms.spectrum(padded[None], spectrum(0, half + 1)))
        mirrored = spectrum(half - above, half)[:, ::-1]
        self._do(np.conjugate, mirrored, spectrum(half + 1, half + 1 + above))
        self._mirror(spectrum, below)
        return spectrum

    def _spectra(self, envelopes: Real, step: _Step) -> _Bins:
        """(n, L) -> (n, bins)"""
        spectra = _bins(len(step.first), step.below, step.n_bins, room=self._room_for_spectra)
        self._calls.append(self._transforms.spectrum(envelopes, spectra(0, step.n_bins)))
        self._mirror(spectra, step.below)
        return spectra

    def _mirror(self, spectra: _Bins, below: int) -> None:
        """Write so many bins below 0, from those above it."""
        if below:
            self._do(np.conjugate, spectra(1, 1 + below)[:, ::-1], spectra(-below, 0))

    def _cut(self, spectra: Complex, gains: Complex, out: Complex) -> None:
        """A band of each of some spectra, followed by zeros: (n, bins) -> (n, L)"""
        n = len(gains)
        self._do(np.multiply, spectra, gains, out[:, :n])
        if n < out.shape[1]:
            self._do(out[:, n:].fill, 0)

    def _modulus(self, bands: Complex) -> Real:
        """|x ⋆ ψ| of bands of its spectrum: (n, L) -> (n, L)"""
        envelopes = self._envelopes[: bands.size].reshape(bands.shape)
        self._calls.append(self._transforms.inverse(bands))
        self._do(np.absolute, bands, envelopes)
        return envelopes

    def _second_order(self, family: _Family, spectra: _Bins, first_row: int, n_done: int) -> int:
        """From parents' spectra to the products that make up frames; returns how many paths are
        done."""
        j, parents = family
        n, plan = len(parents), self._plan
        band, gains = plan.second[j], self._second[j]
        bands = self._bands[: n * self._lengths[j]].reshape(n, -1)
        rows = slice(parents.start - first_row, parents.stop - first_row)
        self._cut(spectra(band.start, band.stop, rows), gains, bands)
        rate = self._lengths[j] // plan.n_hops
        hops = self._modulus(bands).reshape(-1, rate)
        taps = lowpass_taps(plan.lowpass, plan.hop, rate).astype(np.float32)
        products = self._of_hops[n_done : n_done + n].reshape(len(hops), -1)
        self._calls.append(self._products.product(hops, taps, products))
        self._kept_alive += hops, taps
        return n_done + n

    def _frames_from_products(self, out: Real) -> None:
        """Sum the products of hops to frames: (paths, hops, n) -> (paths, T)"""
        first, *others = self._diagonals(self._of_hops)
        self._do(np.copyto, out, first)
        for diagonal in others:
            self._do(np.add, out, diagonal, out)

    def _diagonals(self, products: Real) -> list[Real]:
        """(..., hops, n) -> n times (..., T), which sum to the frames."""
        plan, n = self._plan, products.shape[-1]
        starts = range(plan.first_frame - n // 2, plan.first_frame + n // 2 + 1)
        return [products[..., lo : lo + plan.n_frames, d] for d, lo in enumerate(starts)]

    def _waves(self, width: float, most: int) -> Real:
        waves = lowpass_waves(self._plan, width, most).astype(np.float32)
        return waves.reshape(-1, self._plan.n_frames)

    def _frames_from_bins(self, spectra: _Bins, waves: Real, out: Real) -> None:
        """Average signals, from the lowest bins of their spectra: (n, bins) -> (n, T)"""
        bins = spectra(0, len(waves) // 2).view(np.float32)
        self._calls.append(self._products.product(bins, waves, out))
        self._kept_alive += bins, waves


def _in_pieces(indices: range, n_points: int, at_once: int) -> Iterator[range]:
    """Pieces of `indices` whose rows of `n_points` together have at most `at_once` points."""
    n = max(1, at_once // n_points)
    return (indices[lo : lo + n] for lo in range(0, len(indices), n))


def _bins(n: int, below: int, above: int, room: Complex | None = None) -> _Bins:
    """Memory for `n` spectra with `below` bins below 0 and `above` bins from 0 on."""
    zero, n_columns = _aligned(below), _aligned(below) + _aligned(above)
    if room is None:
        room = np.empty(n * n_columns, np.complex64)
    return _Bins(room[: n * n_columns].reshape(n, n_columns), zero)


def _aligned(n: int) -> int:
    return -(-n // _LINE) * _LINE
