"""Coefficients to logits: the paper's stacked recurrent network in plain torch.

It trains, and it hears on any device. `network.core` computes the same on a CPU without torch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musictag.hearing.network.architecture import Architecture
from musictag.hearing.network.base import Network, begin_recurrent, layer_of
from musictag.hearing.network.bn_lstm import BatchNormLstm


class Tagger(Network):
    """All segments have the same number of frames, so nothing needs packing. Time comes first
    inside, which is the order that the recurrent kernels work in."""

    architecture: Architecture

    def __init__(self, architecture: Architecture | None = None) -> None:
        a = architecture or Architecture()
        super().__init__(a)
        self.recurrent = _layers(a)
        self._end(a)

    def states(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (T, B, S), or (C, B, S) along frequency."""
        if self.architecture.sequence == "time":
            x = x.permute(2, 0, 1)  # (T, B, C)
        else:
            x = x[:, :, : self.architecture.n_frames].permute(1, 0, 2)  # (C, B, T)
        states: Tensor = self.recurrent(x)[0]
        return states

    def initialise(self) -> None:
        a = self.architecture
        begin_recurrent(self.recurrent, a.n_units, forget=a.cell != "gru")
        super().initialise()

    def layers(self) -> list[list[nn.Parameter]]:
        found: list[list[nn.Parameter]] = [[] for _ in range(self.architecture.n_layers)]
        for name, parameter in self.recurrent.named_parameters():
            found[layer_of(name)].append(parameter)
        return found

    def uncounted(self) -> list[nn.Parameter]:
        """torch's second bias of each gate, since an LSTM and the paper's GRU use only their sum,
        and the scales of batch normalisation: the paper's BN-LSTMs count like its LSTMs."""
        names = ("bias_hh", "scale", "shift")
        return [p for name, p in self.recurrent.named_parameters() if name.startswith(names)]

    def _last(self, states: Tensor) -> Tensor:
        if not self.architecture.bidirectional:
            return states[-1]
        forward, backward = states.chunk(2, dim=2)  # the backward direction's last frame is 0
        return torch.cat([forward[-1], backward[0]], dim=1)


def _layers(a: Architecture) -> nn.Module:
    dropout = a.dropout if a.n_layers > 1 else 0.0
    if a.cell == "bn-lstm":
        return BatchNormLstm(a.n_inputs, a.n_units, a.n_layers, dropout=dropout, n_steps=a.n_steps)
    cell = nn.GRU if a.cell == "gru" else nn.LSTM
    return cell(a.n_inputs, a.n_units, a.n_layers, dropout=dropout, bidirectional=a.bidirectional)
