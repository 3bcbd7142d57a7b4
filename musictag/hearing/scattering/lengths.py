"""How many points an envelope needs."""

from __future__ import annotations

from musictag.hearing.kernels.rates import Rates, powers_and_halves
from musictag.hearing.scattering.plan import Plan

FINE_RATES = (64, 16)
"""Points per hop, at orders 1 and 2, below which an inverse transform is at least twice as long as
its band. The modulus of a narrow band would fold back on φ's own band, and short transforms are
cheap."""


def first_length(plan: Plan, index: int, rates: Rates = powers_and_halves) -> int:
    """Points of a first-order envelope, which holds its own band and those that are cut from it."""
    highest = max((plan.second[child].stop for child in plan.children[index]), default=0)
    n_bins = max(plan.slack * len(plan.first[index].gains), 2.0 * highest)
    return _length(plan, n_bins, FINE_RATES[0], rates)


def second_length(plan: Plan, index: int, rates: Rates = powers_and_halves) -> int:
    """Points of a second-order envelope."""
    return _length(plan, plan.slack * len(plan.second[index].gains), FINE_RATES[1], rates)


def _length(plan: Plan, n_bins: float, fine_rate: int, rates: Rates) -> int:
    """The shortest quick length that holds n_bins, or twice as many below `fine_rate`."""
    for rate in rates(plan.n_hops):
        if plan.n_hops * rate >= (n_bins if rate >= fine_rate else 2 * n_bins):
            return plan.n_hops * rate
    raise AssertionError("rates have no end")
