"""The learning rate over a run, as a share of its highest value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping


def one_cycle(progress: float) -> float:
    """Up over the first tenth of the run, then down to nothing along a cosine."""
    rise = 0.1
    if progress < rise:
        return 0.04 + 0.96 * progress / rise
    return (1 + math.cos(math.pi * (progress - rise) / (1 - rise))) / 2


def exponential(progress: float) -> float:
    """Down by the same factor each epoch, as in the paper; here to 1 %."""
    return math.exp(math.log(0.01) * progress)


SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "one-cycle": one_cycle,
    "exponential": exponential,
    "constant": lambda _: 1.0,
}
"""Name → share of the highest rate, given the share of the run that is done."""
