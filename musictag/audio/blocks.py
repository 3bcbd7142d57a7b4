"""What a decoder gives: mono samples at the file's own rate, block by block."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from musictag.audio.samples import Samples

BLOCK = 65_536
"""Frames per step. From 16,384 up libsndfile and soxr run at full speed (at 4096, half)."""


class Block(NamedTuple):
    samples: Samples
    """Mono; valid until the next block is asked for."""
    rate_hz: int
    decoder: str


class GaveUp(Exception):  # noqa: N818  (it is no error: the next door is asked)
    """A door cannot read the file, or not further; `damaged` if the file is to blame for that."""

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


def check_sanity(rate_hz: int, n_channels: int) -> None:
    """Stop at headers that no music has: resampling from 1 Hz would fill any memory."""
    if not 2000 <= rate_hz <= 12_000_000:
        raise GaveUp(f"a sample rate of {rate_hz} Hz", damaged=True)
    if not 1 <= n_channels <= 64:
        raise GaveUp(f"{n_channels} channels", damaged=True)


def mean(channels: NDArray[np.float32]) -> Samples:
    """Plain mean over channels: (C, N) -> (N,). numpy's own is 20 times slower on this shape."""
    mono: Samples = channels[0].copy()
    with np.errstate(invalid="ignore", over="ignore"):  # float files; see without_damage
        for channel in channels[1:]:
            mono += channel
        mono *= np.float32(1 / len(channels))
    return mono
