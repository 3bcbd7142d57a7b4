"""What every decoder yields: blocks of mono samples at the file's own rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from musictag.audio.samples import Samples

BLOCK = 65_536
"""Length of a block, in samples. libsndfile and soxr run at full speed from 16,384 up, at half with
4096."""


class Block(NamedTuple):
    """A stretch of decoded sound."""

    samples: Samples
    """Mono; valid only until the next block is requested."""
    rate_hz: int
    decoder: str
    """Name of the decoder."""


class GaveUp(Exception):  # noqa: N818  (not an error: the next decoder is asked)
    """A decoder cannot read the file, or cannot read on; the next one is asked.

    `damaged` says that the file is to blame, and not the decoder's abilities.
    """

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


def check_sanity(rate_hz: int, n_channels: int) -> None:
    """Refuse rates and channels that no music has: resampling from 1 Hz would fill any memory."""
    if not 2000 <= rate_hz <= 12_000_000:
        raise GaveUp(f"a sample rate of {rate_hz} Hz", damaged=True)
    if not 1 <= n_channels <= 64:
        raise GaveUp(f"{n_channels} channels", damaged=True)


def mean(channels: NDArray[np.float32]) -> Samples:
    """Mean over channels: (C, N) -> (N,). numpy's own is 20 times slower on this shape."""
    mono: Samples = channels[0].copy()
    with np.errstate(invalid="ignore", over="ignore"):  # float files; see without_damage
        for channel in channels[1:]:
            mono += channel
        mono *= np.float32(1 / len(channels))
    return mono
