"""The plan of kymatio's own transform: an independent check of ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from musictag.hearing.scattering.filters import Band, cropped
from musictag.hearing.scattering.plan import EXACTNESS, Plan


def kymatio_plan(
    n_samples: int, *, J: int, Q: tuple[int, int], T: int, exactness: str = "fast"
) -> Plan:
    """The plan of kymatio's own `Scattering1D`: its filters, scattering paths and padding.

    With it our executors compute what kymatio computes, which checks every part of them. Takes
    seconds, since kymatio builds every filter at full length.
    """
    from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D  # noqa: PLC0415

    theirs = ScatteringTorch1D(J=J, shape=(n_samples,), Q=Q, T=T)
    hop = 2**theirs.log2_T
    n_padded = len(theirs.phi_f["levels"][0])
    first_frame = theirs.ind_start[theirs.log2_T]

    def bands(bank: Sequence[dict[str, Any]]) -> tuple[Band, ...]:
        cut = []
        for wavelet in bank:
            gains = np.asarray(wavelet["levels"][0], dtype=np.float64).ravel()
            start = int(np.abs(gains).argmax()) - n_padded // 2
            # kymatio 0.3 takes the mean instead of the sum of the periods of a filter that it
            # subsamples, which scales its output by 2^-j for each wavelet on the way
            # (github.com/kymatio/kymatio/pull/736)
            gains = np.roll(gains, -start) * 2.0 ** -min(wavelet["j"], theirs.log2_T)
            band = Band(2 * math.pi * wavelet["xi"], start, gains)
            cut.append(cropped(band, EXACTNESS[exactness].reach))
        return tuple(cut)

    width = 1 / (2 * math.pi * theirs.phi_f["sigma"])  # kymatio's sigma is in cycles per sample
    return Plan(
        n_samples=n_samples,
        pad_left=theirs.pad_left,
        hop=hop,
        n_hops=n_padded // hop,
        first_frame=first_frame,
        n_frames=theirs.ind_end[theirs.log2_T] - first_frame,
        first=bands(theirs.psi1_f),
        second=bands(theirs.psi2_f),
        paths=tuple(
            (i, j)
            for i, first in enumerate(theirs.psi1_f)
            for j, second in enumerate(theirs.psi2_f)
            if second["j"] > first["j"]
        ),
        lowpass0=width,
        lowpass=width,
        slack=EXACTNESS[exactness].slack,
    )
