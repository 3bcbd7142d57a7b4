"""Normalised coefficients, by every executor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from scattered import (
    Executor,
    noise,
)

from musictag.hearing.scattering.plan import NORMALISATIONS, FrontEnd


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
