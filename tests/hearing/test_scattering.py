"""Segments → coefficients, against hand arithmetic, the definitions and kymatio."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from kernel_choices import needs_mkl
from kymatio.scattering1d.filter_bank import morlet_1d
from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D
from reference_scattering import by_definition, relative_error

from musictag.audio.samples import SEGMENT_LENGTH
from musictag.hearing.kernels import mkl, portable
from musictag.hearing.kernels.choice import choose
from musictag.hearing.kernels.rates import SHORTEST_RATE, mkl_rates, powers_and_halves
from musictag.hearing.scattering import core
from musictag.hearing.scattering.core import CoreScattering
from musictag.hearing.scattering.kymatio import kymatio_plan
from musictag.hearing.scattering.plan import NORMALISATIONS, FrontEnd, Plan, paper_plan
from musictag.hearing.scattering.torch import Scattering

PAPER = FrontEnd(normalisation="none")
# the same transform sixteen times shorter, for what does not depend on the size
SMALL = FrontEnd(n_samples=29_000, T=512, hop=256, normalisation="none")
SMALL_HIGH = FrontEnd(n_samples=29_000, T=512, hop=256, exactness="high", normalisation="none")


class Laid:
    """The executor for one core, to be called like the one in torch."""

    transforms, products = "portable", "portable"

    def __init__(self, front_end: FrontEnd | None = None, *, plan: Plan | None = None) -> None:
        kernels = choose(transforms=self.transforms, products=self.products)
        self.executor = CoreScattering(front_end, plan=plan, kernels=kernels)
        self.plan = self.executor.plan

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.stack([self.executor(row) for row in samples.numpy()]))


class LaidOnMkl(Laid):
    transforms, products = "mkl", "mkl"


Executor = Callable[..., Any]
CORES = [pytest.param(LaidOnMkl, id="oneMKL", marks=needs_mkl), pytest.param(Laid, id="portable")]
EXECUTORS = [pytest.param(Scattering, id="torch"), *CORES]


@pytest.fixture(scope="module", params=EXECUTORS)
def make(request: pytest.FixtureRequest) -> Executor:
    """One of the ways to execute a plan."""
    executor: Executor = request.param
    return executor


@pytest.fixture(scope="module")
def paper() -> Scattering:
    return Scattering(PAPER)


@pytest.fixture(scope="module")
def small(make: Executor) -> Any:
    return make(SMALL)


def noise(n: int = SMALL.n_samples, *, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(seed))


def sine(frequency: float, n: int = SMALL.n_samples) -> torch.Tensor:
    """Amplitude 1; `frequency` in radians per sample."""
    return torch.cos(frequency * torch.arange(n, dtype=torch.float64)).float()


def clicks(n: int = SMALL.n_samples) -> torch.Tensor:
    x = torch.zeros(n)
    x[::3001] = 1.0
    return x


def music(n: int = SMALL.n_samples) -> torch.Tensor:
    """Decaying chords with a little noise."""
    g = np.random.default_rng(0)
    x = 0.001 * g.standard_normal(n)
    for start in range(0, n, n // 13):
        t = np.arange(n - start)
        for f in g.uniform(0.02, 1.5, 6):
            x[start:] += 0.05 * np.exp(-t / 4000) * np.sin(f * t)
    return torch.from_numpy(x).float()


SIGNALS = {"noise": noise(), "sine": sine(0.3), "clicks": clicks(), "music": music()}


def reference(front_end: FrontEnd, samples: torch.Tensor) -> torch.Tensor:
    """(N,) -> (C, T)"""
    return by_definition(front_end, samples[None])[0]


# -- what there is


def test_the_papers_transform_has_433_coefficients_and_114_frames(paper: Scattering) -> None:
    assert (len(paper.plan.first), len(paper.plan.paths)) == (76, 356)
    assert (paper.n_coefficients, paper.n_frames) == (1 + 76 + 356, 114)
    assert paper.plan.n_hops == 120
    assert paper(torch.zeros(1, 464_000)).shape == (1, 433, 114)


def test_65_wavelets_are_spaced_geometrically_and_11_linearly(paper: Scattering) -> None:
    centres = np.array([band.centre for band in paper.plan.first])
    np.testing.assert_allclose(centres[1:65] / centres[:64], 2 ** (-1 / 8))
    np.testing.assert_allclose(np.diff(centres[65:]), centres[65] - centres[64])
    assert 0 < centres[-1] < centres[64]


def test_low_passes_are_1781_and_2365_samples_wide(paper: Scattering) -> None:
    assert round(paper.plan.lowpass0) == 1781
    assert round(paper.plan.lowpass) == 2365


def test_no_wavelet_lets_a_constant_through() -> None:
    for bank in (paper_plan(PAPER).first, paper_plan(PAPER).second):
        for band in bank:
            if band.start <= 0 < band.stop:
                assert abs(band.gains[-band.start]) < 1e-12


def test_constant_q_wavelets_share_the_energy_of_a_bank(paper: Scattering) -> None:
    energy = np.zeros(paper.plan.n_padded)
    for band in paper.plan.first[:65]:
        energy[np.arange(band.start, band.stop) % paper.plan.n_padded] += band.gains**2
    assert energy.max() == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("Q", [1, 2, 4, 16])
def test_other_qualities_agree_with_the_definitions_too(make: Executor, Q: int) -> None:
    front_end = FrontEnd(n_samples=8000, T=256, hop=128, Q=Q, normalisation="none")
    samples = noise(8000)
    found = make(front_end)(samples[None])[0]
    assert relative_error(found, reference(front_end, samples)) < 5e-3


def test_a_segment_is_as_long_as_audio_cuts_it() -> None:
    assert FrontEnd().n_samples == SEGMENT_LENGTH


def test_filters_are_not_part_of_the_weights(paper: Scattering) -> None:
    assert not paper.state_dict()
    assert not list(paper.parameters())


def test_no_gain_is_a_subnormal_number(paper: Scattering) -> None:
    tiny = torch.finfo(torch.float32).tiny
    for name, buffer in paper.named_buffers():
        if buffer.is_floating_point():
            assert bool(((buffer == 0) | (buffer.abs() > tiny)).all()), name


# -- known answers


def test_silence_gives_zero(small: Any) -> None:
    assert not small(torch.zeros(2, SMALL.n_samples)).any()


def test_a_constant_is_all_in_order_0(small: Any) -> None:
    out = small(torch.full((1, SMALL.n_samples), 0.5))[0]
    torch.testing.assert_close(out[0], torch.full_like(out[0], 0.5), atol=1e-6, rtol=0)
    assert float(out[1:].abs().max()) < 1e-5


@pytest.mark.parametrize("index", [1, 8, 20, 32])
def test_a_sine_ends_in_the_wavelet_of_its_frequency(small: Any, index: int) -> None:
    band = small.plan.first[index]
    out = small(sine(band.centre)[None])[0]
    order1 = out[1 : 1 + len(small.plan.first), 10:-10]
    assert set(order1.argmax(0).tolist()) == {index}
    # |x ⋆ ψ| of a sine of amplitude 1 is half the gain at its frequency, and constant
    gain = band.gains[round(band.centre / (2 * math.pi) * small.plan.n_padded) - band.start]
    torch.testing.assert_close(
        order1[index], torch.full_like(order1[index], gain / 2), rtol=2e-3, atol=0
    )


def test_a_beating_sine_ends_in_the_second_wavelet_of_its_beat(small: Any) -> None:
    first, second = 4, 4  # the second wavelet's centre is well inside the first one's band
    beat = small.plan.second[second].centre
    carrier = sine(small.plan.first[first].centre)
    out = small((carrier * (1 + 0.5 * sine(beat)))[None])[0]
    rows = [i for i, (parent, _) in enumerate(small.plan.paths) if parent == first]
    children = [small.plan.paths[i][1] for i in rows]
    order2 = out[1 + len(small.plan.first) :][rows].mean(1)
    assert children[int(order2.argmax())] == second


def test_twice_as_loud_is_twice_as_much(small: Any) -> None:
    x = noise()[None]
    torch.testing.assert_close(small(2 * x), 2 * small(x))


def test_a_shift_by_one_hop_shifts_the_frames(small: Any) -> None:
    x = noise(SMALL.n_samples + SMALL.hop)
    one, other = small(torch.stack([x[: -SMALL.hop], x[SMALL.hop :]]))
    inside = slice(8, -8)  # near the ends reflection shows
    assert relative_error(one[:, 1:][:, inside], other[:, :-1][:, inside]) < 2e-3


# -- agreement


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize(("front_end", "bound"), [(SMALL, 2e-3), (SMALL_HIGH, 2e-4)])
def test_it_agrees_with_the_definitions(
    make: Executor, name: str, front_end: FrontEnd, bound: float
) -> None:
    found = make(front_end)(SIGNALS[name][None])[0]
    assert relative_error(found, reference(front_end, SIGNALS[name])) < bound


@pytest.mark.slow
@pytest.mark.parametrize(("exactness", "bound"), [("fast", 2e-3), ("high", 2e-4)])
def test_it_agrees_with_the_definitions_at_full_size(
    make: Executor, exactness: str, bound: float
) -> None:
    front_end = FrontEnd(exactness=exactness, normalisation="none")
    samples = music(464_000)
    found = make(front_end)(samples[None])[0]
    assert relative_error(found, reference(front_end, samples)) < bound


@pytest.mark.parametrize("name", SIGNALS)
def test_on_kymatios_plan_it_agrees_with_kymatio(make: Executor, name: str) -> None:
    settings = {"J": 8, "Q": (8, 1), "T": 256}
    theirs = ScatteringTorch1D(shape=(20_000,), **settings)
    ours = make(plan=kymatio_plan(20_000, exactness="high", **settings))
    samples = SIGNALS[name][:20_000]
    wanted = theirs(samples)
    found = ours(samples[None])[0]
    assert found.shape == wanted.shape
    assert relative_error(found, wanted) < 1e-3


def test_our_wavelets_are_kymatios_morlets(small: Any) -> None:
    n = small.plan.n_padded
    for index in (5, 12, 30):
        band = small.plan.first[index]
        width = 2 / math.sqrt(3) / 2 / (1 - 2 ** (-1 / 8)) * 2 ** (index / 8)
        theirs = morlet_1d(n, band.centre / (2 * math.pi), 1 / (2 * math.pi * width))
        theirs = theirs[np.arange(band.start, band.stop) % n]
        np.testing.assert_allclose(band.gains / band.gains.max(), theirs / theirs.max(), atol=1e-3)


def test_a_segment_is_the_same_alone_and_in_a_batch(small: Any) -> None:
    batch = torch.stack([noise(seed=seed) for seed in range(5)])
    alone = torch.cat([small(x[None]) for x in batch])
    torch.testing.assert_close(small(batch), alone, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("laid", CORES)
def test_executors_agree_where_their_envelopes_are_equally_long(
    monkeypatch: pytest.MonkeyPatch, laid: Executor
) -> None:
    monkeypatch.setattr(mkl.Transforms, "quick_rates", staticmethod(powers_and_halves))
    x = music()[None]
    for front_end in (SMALL, SMALL_HIGH, replace(SMALL, Q=3, T=1024)):
        assert relative_error(laid(front_end)(x), Scattering(front_end)(x)) < 3e-6


@pytest.mark.parametrize("laid", CORES)
@pytest.mark.parametrize("points", [1, 2**12, 2**30])
def test_how_much_is_done_at_once_on_a_cpu_makes_no_difference(
    monkeypatch: pytest.MonkeyPatch, laid: Executor, points: int
) -> None:
    x = music()[None]
    wanted = laid(SMALL)(x)
    for library in (mkl, portable):
        monkeypatch.setattr(library.Transforms, "points", points)
    monkeypatch.setattr(core, "LATE_RATE", {1: 0, 2**12: 2**20}.get(points, 16))
    torch.testing.assert_close(laid(SMALL)(x), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("laid", CORES)
def test_threads_share_an_executor_and_none_gets_anothers_coefficients(laid: Executor) -> None:
    executor = laid(SMALL).executor
    signals = [noise(seed=seed).numpy() for seed in range(24)]
    wanted = [executor(signal) for signal in signals]
    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(executor, signals), wanted, strict=True):
            np.testing.assert_array_equal(found, one)


def test_lengths_that_are_quick_hold_what_they_have_to() -> None:
    for n_hops in (15, 64, 120, 128):
        for quick in (mkl_rates, powers_and_halves):
            rates = list(islice(quick(n_hops), 20))
            assert rates == sorted(set(rates))
            assert rates[0] == SHORTEST_RATE


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_what_a_cpu_gives(paper: Scattering) -> None:
    x = noise(PAPER.n_samples)[None]
    wanted = paper(x)
    found = Scattering(PAPER).cuda()(x.cuda()).cpu()
    assert relative_error(found, wanted) < 1e-5


# -- normalisation


def test_order_2_is_divided_by_its_parent_before_the_logarithm(make: Executor, small: Any) -> None:
    x = noise()[None]
    plain = small(x)[0].double()
    found = make(FrontEnd(n_samples=29_000, T=512, hop=256))(x)[0].double()
    n_first = 1 + len(small.plan.first)
    torch.testing.assert_close(
        found[:n_first], (plain[:n_first].abs() + 1e-5).log(), rtol=1e-4, atol=1e-4
    )
    for row, (parent, _) in enumerate(small.plan.paths):
        wanted = (plain[n_first + row] / (plain[1 + parent] + 1e-5) + 1e-3).log()
        torch.testing.assert_close(found[n_first + row], wanted, rtol=1e-4, atol=1e-4)


def test_the_papers_normalisation_takes_gain_out_of_order_1_as_well(
    make: Executor, small: Any
) -> None:
    x = noise()[None]
    front_end = FrontEnd(n_samples=29_000, T=512, hop=256, normalisation="paper")
    found = make(front_end)(x)[0]
    louder = make(front_end)(4 * x)[0]
    torch.testing.assert_close(louder[1:], found[1:], rtol=1e-2, atol=1e-2)
    plain, level = small(x)[0], small(x.abs())[0, 0]  # order 0 of |x|
    torch.testing.assert_close(found[0], plain[0])
    torch.testing.assert_close(found[1], plain[1] / (level + 1e-5) + 1e-3)
    logarithm = make(replace(front_end, normalisation="log-paper"))(x)[0]
    torch.testing.assert_close(logarithm[1:], found[1:].log())


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_silence_stays_finite(make: Executor, normalisation: str) -> None:
    front_end = FrontEnd(n_samples=29_000, T=512, hop=256, normalisation=normalisation)
    assert bool(make(front_end)(torch.zeros(1, 29_000)).isfinite().all())


# -- wrong use


def test_another_length_is_refused(small: Any) -> None:
    with pytest.raises(ValueError, match=r"the plan wants \((B, )?29000,?\)"):
        small(torch.zeros(1, 28_999))


def test_a_segment_too_short_to_be_reflected_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        paper_plan(FrontEnd(n_samples=9000))


@pytest.mark.parametrize("wrong", [{"exactness": "exact"}, {"normalisation": "mel"}])
def test_unknown_settings_are_named(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        FrontEnd(**wrong)  # type: ignore[arg-type]
