"""Coefficients to logits by convolutions: the paper's CNN, and what the tutorial sets beside it.

Choi, Fazekas and Sandler, "Automatic tagging using deep convolutional neural networks" (2016), is
where the paper's CNN comes from; Choi, Fazekas, Sandler and Cho, "Convolutional recurrent neural
networks for music classification" (2016), sets convolutions in one dimension, in two, and below
recurrent layers side by side.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from musictag.hearing.network.architecture import Convolutional
from musictag.hearing.network.base import Network, begin_recurrent, layer_of

EPSILON = 1e-5
MOMENTUM = 0.1
"""Share of the newest batch in the statistics that are kept for hearing."""


class ConvolutionalTagger(Network):
    """In one dimension the coefficients are channels of a map that is one row high."""

    architecture: Convolutional

    def __init__(self, architecture: Convolutional) -> None:
        super().__init__(architecture)
        a = architecture
        flat = a.n_dimensions == 1
        channels = (a.n_coefficients if flat else 1, *a.channels)
        kernel = (1 if flat else a.kernel, a.kernel)
        self.blocks = nn.Sequential(
            *(
                Block(below, above, kernel, pool)
                for (below, above), pool in zip(pairwise(channels), a.pools, strict=True)
            )
        )
        self.recurrent: nn.GRU | None = None
        if a.n_layers:
            dropout = a.dropout if a.n_layers > 1 else 0.0
            self.recurrent = nn.GRU(a.channels[-1], a.n_units, a.n_layers, dropout=dropout)
        self._end(a)

    def states(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (frames that are left, B, S)"""
        x = x.unsqueeze(2 if self.architecture.n_dimensions == 1 else 1)  # (B, channels, C or 1, T)
        x = self.blocks(x)
        x = x.amax(dim=2).permute(2, 0, 1)  # (frames, B, channels)
        if self.recurrent is not None:
            x, _ = self.recurrent(x)
        return x

    def initialise(self) -> None:
        for block in self.blocks:
            assert isinstance(block, Block)
            block.initialise()
        if self.recurrent is not None:
            begin_recurrent(self.recurrent, self.architecture.n_units, forget=False)
        super().initialise()

    def layers(self) -> list[list[nn.Parameter]]:
        found = [list(block.parameters()) for block in self.blocks]
        found += [[] for _ in range(self.architecture.n_layers)]
        for name, parameter in self._recurrent_parameters():
            found[len(self.blocks) + layer_of(name)].append(parameter)
        return found

    def fold(self) -> None:
        for block in self.blocks:
            assert isinstance(block, Block)
            block.fold()

    def uncounted(self) -> list[nn.Parameter]:
        """torch's second bias of each gate."""
        return [p for name, p in self._recurrent_parameters() if name.startswith("bias_hh")]

    def _recurrent_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [] if self.recurrent is None else list(self.recurrent.named_parameters())


class Block(nn.Module):
    """A convolution that keeps the map's size, batch normalisation, the positive part, the largest
    of each pool. A map smaller than a pool is one pool."""

    def __init__(
        self, n_below: int, n_above: int, kernel: tuple[int, int], pool: tuple[int, int]
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_below, n_above, kernel, padding="same")
        self.normalisation: BatchNorm | nn.Identity = BatchNorm(n_above)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.normalisation(self.convolution(x)).relu()
        height, width = (min(pair) for pair in zip(self.pool, x.shape[2:], strict=True))
        return nn.functional.max_pool2d(x, (height, width))

    def initialise(self) -> None:
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        nn.init.zeros_(self._bias)

    @property
    def _bias(self) -> Tensor:
        assert self.convolution.bias is not None  # torch's types allow for convolutions without
        return self.convolution.bias

    @torch.no_grad()
    def fold(self) -> None:
        """Make the normalisation part of the convolution's weights."""
        if isinstance(self.normalisation, BatchNorm):
            factor, offset = self.normalisation.line()
            self.convolution.weight *= factor[:, None, None, None]
            self._bias.mul_(factor).add_(offset)
            self.normalisation = nn.Identity()


class BatchNorm(nn.Module):
    """As `nn.BatchNorm2d`, without its count of batches, which is no weight."""

    mean: Tensor
    variance: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_channels))
        self.shift = nn.Parameter(torch.zeros(n_channels))
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("variance", torch.ones(n_channels))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            x,
            self.mean,
            self.variance,
            self.scale,
            self.shift,
            self.training,
            MOMENTUM,
            EPSILON,
        )

    def line(self) -> tuple[Tensor, Tensor]:
        """Its product and its sum in hearing."""
        factor = self.scale * (self.variance + EPSILON).rsqrt()
        return factor, self.shift - factor * self.mean
