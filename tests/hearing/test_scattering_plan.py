"""The plan of the paper's transform: its filters, its paths, its settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from reference_scattering import relative_error
from scattered import (
    PAPER,
    Executor,
    noise,
    reference,
)

from musictag.audio.samples import SEGMENT_LENGTH
from musictag.hearing.scattering.plan import FrontEnd, paper_plan
from musictag.hearing.scattering.torch import Scattering


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
