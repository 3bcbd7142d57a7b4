"""Resampling blocks of any rate to 16 kHz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from musictag.audio.blocks import Block
from musictag.audio.samples import RATE_HZ, Samples

LOUDEST = 1e6
"""Amplitude (120 dB over full scale) above which a float file's sample is damage and becomes 0."""


def at_16_khz(blocks: Iterable[Block]) -> Iterator[Samples]:
    """Resample to 16 kHz, starting afresh wherever the rate changes. 16 kHz passes untouched.

    soxr's quality HQ passes everything up to 7.3 kHz and keeps aliases below -100 dB, which is
    more than 16-bit music holds. MQ costs the same, VHQ half as much again.
    """
    import soxr  # noqa: PLC0415

    rate_hz = RATE_HZ
    resampler: Any = None
    for block in blocks:
        if block.rate_hz != rate_hz:
            if resampler is not None:
                yield resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)
            rate_hz, resampler = block.rate_hz, None
            if rate_hz != RATE_HZ:
                resampler = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ")
        samples = without_damage(block.samples)
        yield samples if resampler is None else resampler.resample_chunk(samples)
    if resampler is not None:
        yield resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)


def without_damage(samples: Samples) -> Samples:
    """Replace NaN, infinities and absurdly large numbers, which float files can hold, by zeros."""
    loudness = np.abs(samples)
    if loudness.max(initial=0.0) <= LOUDEST:  # False for NaN too
        return samples
    return np.where(loudness <= LOUDEST, samples, np.float32(0))
