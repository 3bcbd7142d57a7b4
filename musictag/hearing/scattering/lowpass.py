"""The low-pass φ: an average over few hops, or a few bins of a spectrum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from musictag.hearing.scattering.plan import Plan

Float64 = NDArray[np.float64]


def n_taps(width: float, hop: int) -> int:
    """Number of hops that five widths of φ on either side of a frame can touch."""
    return 2 * math.ceil(5 * width / hop) + 1


def lowpass_taps(width: float, hop: int, rate: int) -> Float64:
    """φ cut into hops: (rate, n). Column d belongs to the hop that lies d - n // 2 from a frame."""
    n = n_taps(width, hop)
    times = (np.arange(n * rate) / rate - n // 2) * hop
    taps = np.exp(-0.5 * (times / width) ** 2)
    return np.ascontiguousarray((taps / taps.sum()).reshape(n, rate).T)


def lowpass_waves(plan: Plan, width: float, most: int) -> Float64:
    """Matrix from the lowest bins of a signal's spectrum to its average: (bins, 2, T).

    It has a row for the real and one for the imaginary part of each bin that φ lets pass, at most
    `most` bins. A row is that bin's wave at the frames, as loud as φ leaves it. Every bin but the
    first also stands for its mirror image.
    """
    step = 2 * math.pi / plan.n_padded
    bins = np.arange(min(math.ceil(6 / width / step), most))
    gains = np.exp(-0.5 * (bins * step * width) ** 2) * np.where(bins, 2.0, 1.0)
    frames = plan.first_frame + np.arange(plan.n_frames)
    phases = 2 * np.pi / plan.n_hops * (bins[:, None] * frames % plan.n_hops)
    waves: Float64 = gains[:, None, None] * np.stack([np.cos(phases), -np.sin(phases)], axis=1)
    return waves
