"""Segments → coefficients, against hand arithmetic, the definitions and kymatio."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from kymatio.scattering1d.filter_bank import morlet_1d
from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D
from reference_scattering import relative_error
from scattered import (
    CORES,
    PAPER,
    SIGNALS,
    SMALL,
    SMALL_HIGH,
    Executor,
    music,
    noise,
    reference,
    sine,
)

from musictag.hearing.kernels import mkl, portable
from musictag.hearing.kernels.rates import SHORTEST_RATE, mkl_rates, powers_and_halves
from musictag.hearing.scattering import core
from musictag.hearing.scattering.kymatio import kymatio_plan
from musictag.hearing.scattering.plan import FrontEnd
from musictag.hearing.scattering.torch import Scattering

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
