"""Spectrograms in torch, for any device: (B, N) -> (B, C, T) natural logarithms of amplitudes.

Shapes: B segments, N samples, C coefficients, T frames. A frame's middle is a multiple of the hop,
from the first sample on; beyond the segment there is silence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musictag.hearing.spectra.cqt import Cqt
from musictag.hearing.spectra.mel import Mel

FLOOR = 1e-5
"""The least amplitude whose logarithm is taken, -100 dB."""


class _Spectrogram(nn.Module):
    """What both have in common. Filters are buffers that no checkpoint stores."""

    def __init__(self, settings: Mel | Cqt) -> None:
        super().__init__()
        self.settings = settings
        self.n_coefficients = settings.n_coefficients
        self.n_frames = (1 + settings.n_samples // settings.hop) // settings.pool

    def forward(self, samples: Tensor) -> Tensor:
        """(B, N) samples -> (B, C, T). Raises ValueError when N is not the settings'."""
        if samples.shape[1] != self.settings.n_samples:
            raise ValueError(
                f"samples have shape {tuple(samples.shape)}, "
                f"the front end wants (B, {self.settings.n_samples})"
            )
        logarithms = self.amplitudes(samples).clamp(min=FLOOR).log()
        if self.settings.pool == 1:
            return logarithms
        return nn.functional.avg_pool1d(logarithms, self.settings.pool)

    def amplitudes(self, samples: Tensor) -> Tensor:
        """(B, N) -> (B, C, frames before they are pooled)"""
        raise NotImplementedError


class MelSpectrogram(_Spectrogram):
    """The root of the power in each band of each frame."""

    def __init__(self, settings: Mel | None = None) -> None:
        settings = settings or Mel()
        super().__init__(settings)
        self.register_buffer("_window", torch.hann_window(settings.window), persistent=False)
        self.register_buffer("_bands", torch.from_numpy(settings.bands()), persistent=False)
        self.window, self.hop = settings.window, settings.hop

    def amplitudes(self, samples: Tensor) -> Tensor:
        spectra = torch.stft(
            samples,
            self.window,
            self.hop,
            window=self.get_buffer("_window"),
            pad_mode="constant",
            return_complex=True,
        )  # (B, bins, T)
        power = torch.view_as_real(spectra).square().sum(dim=-1)
        return torch.matmul(self.get_buffer("_bands"), power).sqrt()


class ConstantQ(_Spectrogram):
    """The transform of the whole segment at once.

    A filter is a product with the spectrum. To read its output once per hop is to add up the
    blocks of that spectrum, so filter and sum are one matrix product for each bin of a block; what
    is left is one short inverse transform per coefficient.
    """

    def __init__(self, settings: Cqt | None = None) -> None:
        settings = settings or Cqt()
        super().__init__(settings)
        self.n_hops, self.hop = settings.n_hops, settings.hop
        self.n_unpooled = 1 + settings.n_samples // settings.hop
        self.blocks: list[slice] = []  # of each octave
        for octave, (first, gains) in enumerate(settings.octaves()):
            self.blocks.append(slice(first, first + gains.shape[2]))
            self.register_buffer(f"_gains_{octave}", torch.from_numpy(gains), persistent=False)

    def amplitudes(self, samples: Tensor) -> Tensor:
        n, n_blocks = len(samples), self.hop // 2
        spectrum = torch.fft.rfft(samples, n=self.n_hops * self.hop, norm="forward")
        blocks = spectrum[:, : n_blocks * self.n_hops].reshape(n, n_blocks, self.n_hops)
        bins = torch.view_as_real(blocks.permute(2, 1, 0).contiguous())  # (n_hops, blocks, B, 2)
        bins = bins.flatten(2)
        folded = torch.cat(
            [
                torch.bmm(self.get_buffer(f"_gains_{octave}"), bins[:, here])
                for octave, here in enumerate(self.blocks)
            ],
            dim=1,
        )  # (n_hops, C, 2B)
        folded = torch.view_as_complex(folded.reshape(self.n_hops, self.n_coefficients, n, 2))
        waves: Tensor = torch.fft.ifft(folded.permute(2, 1, 0), norm="forward")
        return waves[..., : self.n_unpooled].abs()
