"""Lengths that Fourier transforms are quick at, in points per hop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

SHORTEST_RATE = 8
"""Points per hop below which an FFT only gets smaller, not faster."""

Rates = Callable[[int], Iterator[int]]
"""Number of hops -> points per hop at which a transform of all hops is quick, ascending."""


def powers_and_halves(_: int = 0) -> Iterator[int]:
    """8, 12, 16, 24, ...: powers of two and one and a half times them."""
    for power in count(SHORTEST_RATE.bit_length() - 1):
        yield 2**power
        yield 3 * 2 ** (power - 1)


def mkl_rates(n_hops: int) -> Iterator[int]:
    """Rates at which oneMKL's transforms are quick, for some 15 · 2^n hops.

    Measured: up to 2^13 points every length with few factors is quick; up to 2^16 only powers of
    two per hop, which take less time than others even when they are a third longer; beyond, all
    are equally slow.
    """
    for rate in count(SHORTEST_RATE, 4):
        is_power = rate & (rate - 1) == 0
        if n_hops * rate <= 2**13:
            is_quick = is_power or rate in (12, 24, 48, 96)
        elif n_hops * rate <= 2**16:
            is_quick = is_power
        else:
            is_quick = rate % 16 == 0 and is_smooth(rate)
        if is_quick:
            yield rate


def is_smooth(n: int) -> bool:
    """Whether n has no prime factor above 5."""
    for prime in (2, 3, 5):
        while n % prime == 0:
            n //= prime
    return n == 1
