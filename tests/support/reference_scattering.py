"""The scattering transform by the book: every filter whole, every signal at full rate, float64.

Written from the definitions (Andén and Mallat 2014; the filter-bank rules of
ScatNet) and not from `musictag.scattering`, to judge that by. Slow: about ten
seconds for a segment of 29 s.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from musictag.hearing.scattering.plan import FrontEnd, paper_plan

Float64 = NDArray[np.float64]

S0 = 2 / math.sqrt(3)


def by_definition(front_end: FrontEnd, samples: torch.Tensor) -> torch.Tensor:
    """(B, N) -> (B, C, T) float64. Of our plan only the padding is used, so that the ends agree."""
    plan = paper_plan(front_end)
    reference = scattering(
        samples.double().numpy(),
        T=front_end.T,
        hop=front_end.hop,
        Q=front_end.Q,
        n_hops=plan.n_hops,
        pad_left=plan.pad_left,
        n_frames=plan.n_frames,
    )
    return torch.from_numpy(reference)


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """‖found − wanted‖ / ‖wanted‖, over everything at once."""
    found, wanted = found.double().cpu(), wanted.double().cpu()
    return float((found - wanted).norm() / wanted.norm())


def scattering(
    samples: Float64, *, T: int, hop: int, Q: int, n_hops: int, pad_left: int, n_frames: int
) -> Float64:
    """(B, N) samples -> (B, C, T) coefficients; the frames begin where the samples do."""
    n = n_hops * hop
    ends = (pad_left, n - samples.shape[1] - pad_left)
    padded = torch.from_numpy(np.pad(samples, ((0, 0), ends), mode="reflect"))
    bank1, lowpass1 = _bank(Q, 1 + round(Q * math.log2(T / 32)), linear=True)
    bank2, lowpass2 = _bank(1, 1 + round(math.log2(T / 2)), linear=False)
    filters1 = _filters(bank1, 1 + round(Q * math.log2(T / 32)), n)
    filters2 = _filters(bank2, 1 + round(math.log2(T / 2)), n)
    omega = 2 * np.pi * np.fft.rfftfreq(n)
    phi0 = torch.from_numpy(np.exp(-((lowpass1 * omega) ** 2) / 2))
    phi = torch.from_numpy(np.exp(-((lowpass2 * omega) ** 2) / 2))

    def frames(signal: torch.Tensor, lowpass: torch.Tensor) -> torch.Tensor:
        # where float64 calls the low-pass zero, nothing is left to transform back
        rate = hop
        while rate % 2 == 0 and lowpass[n_hops * rate // 4] == 0:
            rate //= 2
        n_left = n_hops * rate
        low = (torch.fft.rfft(signal) * lowpass)[:, : n_left // 2 + 1] * (n_left / n)
        kept: torch.Tensor = torch.fft.irfft(low, n=n_left)[:, ::rate]
        return kept[:, pad_left // hop :][:, :n_frames]

    def envelope(spectrum: torch.Tensor, psi: torch.Tensor) -> torch.Tensor:
        band = torch.fft.ifft(spectrum * psi)
        return torch.hypot(torch.real(band), torch.imag(band))

    order0 = [frames(padded, phi0)]
    order1, order2 = [], []
    spectrum = torch.fft.fft(padded)
    for (_, sigma1), psi1 in zip(bank1, filters1, strict=True):
        envelope1 = envelope(spectrum, psi1)
        order1.append(frames(envelope1, phi))
        spectrum1 = torch.fft.fft(envelope1)
        for (xi2, _), psi2 in zip(bank2, filters2, strict=True):
            if math.pi / 2 * S0 / sigma1 > xi2:
                order2.append(frames(envelope(spectrum1, psi2), phi))
    coefficients: Float64 = torch.stack(order0 + order1 + order2, dim=1).numpy()
    return coefficients


def _bank(Q: int, J: int, *, linear: bool) -> tuple[list[tuple[float, float]], float]:
    """[(ξ, σ)], and the low-pass's σ."""
    sigma = S0 / 2 / (1 - 2 ** (-1 / Q))
    lowpass = sigma if linear else sigma / 2
    bank = [
        ((2 ** (-1 / Q) + 1) / 2 * math.pi * 2 ** (-j / Q), sigma * 2 ** (j / Q)) for j in range(J)
    ]
    if linear:
        root = 2 ** (1 / Q)
        P = round((1 / root - S0 / (4 * lowpass)) / (1 - 1 / root))
        span = math.pi * 2 ** (-J / Q) * (1 - S0 / (4 * lowpass) * root)
        lowest, widest = bank[-1]
        bank += [(lowest - p * span / P, widest) for p in range(1, P + 1)]
    return bank, lowpass * 2 ** ((J - 1) / Q)


def _filters(bank: list[tuple[float, float]], J: int, n: int) -> list[torch.Tensor]:
    omega = 2 * np.pi * np.arange(n) / n

    def g(omega: Float64, sigma: float) -> Float64:
        periods = [np.exp(-((sigma * (omega + 2 * np.pi * k)) ** 2) / 2) for k in range(-3, 4)]
        return np.asarray(np.sum(periods, axis=0), dtype=np.float64)

    morlets = []
    for xi, sigma in bank:
        gabor, low = g(omega - xi, sigma), g(omega, sigma)
        morlets.append(gabor - gabor[0] / low[0] * low)
    energy = np.sum([psi**2 for psi in morlets[:J]], axis=0)
    return [torch.from_numpy(psi * math.sqrt(2 / energy.max())) for psi in morlets]
