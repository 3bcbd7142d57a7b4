"""Music made different without making its labels wrong.

Two kinds, each where it is cheap and right. `vary` changes samples, before the
front end: speed, equaliser, noise, bandwidth, where the segment begins; its
results are computed once and kept as variants. The functions below it change
coefficients, a batch at a time, anew in every epoch.

Everything draws from torch's global random state, except `vary`, which belongs
to an example and a variant and is told its seed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NOISE_SHARE = 0.03
"""Share of the examples that become noise."""
TWO_SEMITONES = 2 ** (2 / 12) - 1
"""Change of speed that raises the pitch by two semitones."""
N_BANDS = 8
"""Number of bands of the equaliser in feature space, an octave each, from the top down."""


def vary(samples: Tensor, seed: int, *, speed: float = 0.06, rate_hz: int = 16_000) -> Tensor:
    """(N,) samples -> (N,) another recording of the same music.

    Speed (and with it pitch) by up to `speed`, an equaliser of up to about ±6 dB
    with a random tilt, sometimes a narrow band as from a poor codec, sometimes
    noise 15 to 40 dB below, and gain. It begins at a random point and wraps
    around. The same seed gives the same result on every device, except for
    rounding.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    n = samples.numel()
    if uniform(0, 1) < 1 / 3:
        level = samples.square().mean().sqrt() * 10 ** (-uniform(15, 40) / 20)
        samples = samples + level * torch.randn(n, generator=generator).to(samples.device)
    spectrum = torch.fft.rfft(samples)
    frequency = torch.linspace(0, rate_hz / 2, spectrum.numel(), device=samples.device)
    spectrum = spectrum * _equaliser(frequency, uniform(-6, 6), generator)
    if uniform(0, 1) < 1 / 3:
        edge = uniform(3000, rate_hz / 2)
        spectrum = spectrum * torch.sigmoid((edge - frequency) / (0.02 * edge))
    length = 40 * round(n * uniform(1 - speed, 1 + speed) / 40)  # a length the FFT likes
    samples = torch.fft.irfft(spectrum, n=length) * (length / n)
    where = (torch.arange(n, device=samples.device) + int(uniform(0, length))) % length
    return samples[where] * 10 ** (uniform(-10, 4) / 20)


def overlay(samples: Tensor, other: Tensor, seed: int) -> Tensor:
    """(N,) and (N,) samples -> (N,) both at once, about equally loud, as loud as the first was."""
    generator = torch.Generator().manual_seed(seed)
    level_db = 6 * float(torch.rand((), generator=generator)) - 3
    loudness, others = (x.square().mean().sqrt().clamp(min=1e-5) for x in (samples, other))
    mixed = samples + other * (loudness / others * 10 ** (level_db / 20))
    return mixed * (loudness / mixed.square().mean().sqrt().clamp(min=1e-5))


def _equaliser(frequency: Tensor, tilt_db: float, generator: torch.Generator) -> Tensor:
    """Gain per frequency: a straight tilt over nine octaves plus a smooth random curve."""
    octave = torch.log2(frequency.clamp(min=16) / 16).clamp(max=9)  # 0 at 16 Hz … 9 at 8 kHz
    knots = torch.randn(11, generator=generator).to(frequency.device) * 2
    low = octave.long()
    part = (1 - torch.cos(math.pi * (octave - low))) / 2
    smooth = knots[low] * (1 - part) + knots[low + 1] * part
    return torch.pow(10, (smooth + tilt_db * (octave / 9 - 0.5)) / 20)


def band_gains(n: int, *, rate_hz: int = 16_000) -> Tensor:
    """(1 + N_BANDS, n/2 + 1): gains of 1 dB everywhere, then in each octave band alone."""
    frequency = torch.linspace(0, rate_hz / 2, n // 2 + 1)
    below_top = torch.log2(rate_hz / 2 / frequency.clamp(min=1))  # octaves
    centre = torch.arange(N_BANDS)[:, None] + 0.5
    bumps = torch.cos(math.pi / 2 * (below_top - centre).clamp(-1, 1)).square()
    return torch.pow(10, torch.cat([torch.ones_like(frequency)[None], bumps]) / 20)


def turn_knobs(features: Tensor, responses: Tensor) -> Tensor:
    """(B, C, T) -> same, each example with a random gain (±6 dB) and equaliser (±3 dB).

    `responses` (1 + N_BANDS, C) is how the coefficients change for 1 dB, which
    is an addition because they are logarithms.
    """
    B = len(features)
    gain = torch.empty(B, 1, device=features.device).uniform_(-6, 6)
    bands = torch.randn(B, N_BANDS, device=features.device) * 1.5
    return features + (torch.cat([gain, bands], dim=1) @ responses)[:, :, None]


def shift(features: Tensor) -> Tensor:
    """(B, C, T) -> same, each example rotated in time by a random number of frames."""
    B, C, T = features.shape
    start = torch.randint(T, (B, 1), device=features.device)
    frames = (start + torch.arange(T, device=features.device)) % T  # (B, T)
    return features.gather(2, frames[:, None].expand(B, C, T))


def crop(features: Tensor, share: float) -> Tensor:
    """(B, C, T) -> (B, C, share of T): a random stretch of each example, which wraps around."""
    length = max(1, round(features.shape[2] * share))
    return shift(features)[:, :, :length]


def mix(features: Tensor, labels: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Mix each example with another, features and labels alike; usually one of both dominates."""
    B = len(features)
    share = torch.distributions.Beta(alpha, alpha).sample((B,)).to(features.device)
    other = torch.randperm(B, device=features.device)
    f, k = share[:, None, None], share[:, None]
    return f * features + (1 - f) * features[other], k * labels + (1 - k) * labels[other]


def noises(n: int, length: int, *, rate_hz: int = 16_000) -> Tensor:
    """(n, length) samples that are not music: silence, then noise from white to brown and from
    barely audible to loud, some of it with mains hum. Always the same."""
    generator = torch.Generator().manual_seed(0)
    colour, level_db, hum = torch.rand(3, n, 1, generator=generator)
    spectrum = torch.fft.rfft(torch.randn(n, length, generator=generator))
    frequency = torch.linspace(0, rate_hz / 2, spectrum.shape[1]).clamp(min=20)
    noise: Tensor = torch.fft.irfft(
        spectrum * frequency ** -(2 * colour - 0.5).clamp(min=0), n=length
    )
    noise = noise / noise.square().mean(dim=1, keepdim=True).sqrt()
    t = torch.arange(length) / rate_hz
    mains = torch.stack([torch.sin(2 * math.pi * 50 * k * t) / k for k in (1, 2, 3)]).sum(dim=0)
    noise = torch.where(hum < 0.25, noise + 2 * mains, noise)
    noise = noise * 10 ** ((-75 + 65 * level_db) / 20)
    noise[: n // 8] = 0
    return noise.clamp(-1, 1)


def hush(features: Tensor, labels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Replace some examples with noise, to which no tag applies.

    `noise` (n, C, T) holds the features of `noises`.
    """
    chosen = torch.rand(len(features), device=features.device) < NOISE_SHARE
    which = torch.randint(len(noise), (len(features),), device=features.device)
    return (
        torch.where(chosen[:, None, None], noise[which].to(features.dtype), features),
        labels.masked_fill(chosen[:, None], 0.0),
    )


def mask(features: Tensor, mean: Tensor, *, n_masks: int = 2) -> Tensor:
    """(B, C, T) -> same, with stretches of coefficients and of frames set to their mean.

    A stretch is at most a tenth of the coefficients or a sixth of the frames.
    """
    _, C, T = features.shape
    hidden = _stretches(features, C, C // 10, n_masks)[:, :, None]
    hidden = hidden | _stretches(features, T, T // 6, n_masks)[:, None, :]
    return torch.where(hidden, mean[:, None], features)


def _stretches(like: Tensor, size: int, longest: int, n: int) -> Tensor:
    """(B, size) booleans, true on n random stretches of length 0 to `longest`."""
    B, device = len(like), like.device
    length = torch.randint(longest + 1, (B, n, 1), device=device)
    start = torch.randint(size, (B, n, 1), device=device) - length // 2
    position = torch.arange(size, device=device)
    return ((position >= start) & (position < start + length)).any(dim=1)
