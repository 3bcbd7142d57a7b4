"""Coefficients to logits: the paper's stacked recurrent network in plain torch.

It trains, and it hears on any device. `network.core` computes the same on a CPU without torch.
The front end stays outside, so that its filters stay out of the weights. The network's sizes are
an `Architecture`, which is saved beside the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musictag.hearing.network.architecture import Architecture


class Tagger(nn.Module):
    """(B, C, T) coefficients -> (B, K) logits; a sigmoid makes them probabilities.

    All segments have the same number of frames, so nothing needs packing. Time comes first inside,
    which is the order that the recurrent kernels work in.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = a = architecture or Architecture()
        self.register_buffer("mean", torch.zeros(a.n_coefficients))
        self.register_buffer("std", torch.ones(a.n_coefficients))
        cell = nn.GRU if a.cell == "gru" else nn.LSTM
        self.recurrent = cell(
            a.n_coefficients,
            a.n_units,
            a.n_layers,
            dropout=a.dropout if a.n_layers > 1 else 0.0,
            bidirectional=a.bidirectional,
        )
        self.attention = nn.Linear(a.n_summary, 1) if a.summary == "attention" else None
        self.dropout = nn.Dropout(a.dropout)
        self.output = nn.Linear(a.n_summary, a.n_tags)

    def forward(self, features: Tensor) -> Tensor:
        return self.logits(self.summary(features))

    def summary(self, features: Tensor) -> Tensor:
        """(B, C, T) coefficients -> (B, S), which is all that the output layer sees."""
        x = (features - self.mean[:, None]) / self.std[:, None]
        x = x.permute(2, 0, 1)  # (T, B, C)
        states, _ = self.recurrent(x)
        return self._summarise(states)

    def logits(self, summary: Tensor) -> Tensor:
        """(B, S) -> (B, K)"""
        logits: Tensor = self.output(self.dropout(summary))
        return logits

    def _summarise(self, states: Tensor) -> Tensor:
        """(T, B, units) -> (B, units)"""
        if self.attention is not None:
            weights = self.attention(states).softmax(dim=0)  # (T, B, 1)
            return torch.sum(weights * states, dim=0)
        if self.architecture.summary == "mean":
            return states.mean(dim=0)
        if self.architecture.bidirectional:  # the backward direction's last frame is 0
            forward, backward = states.chunk(2, dim=2)
            return torch.cat([forward[-1], backward[0]], dim=1)
        return states[-1]


def initialise(model: Tagger) -> None:
    """Give a model the weights that training begins with. Loading one does without.

    Recurrent matrices are orthogonal, gate by gate, so that states neither fade nor blow up.
    """
    n_units = model.architecture.n_units
    for name, parameter in model.recurrent.named_parameters():
        if name.startswith("weight"):
            for gate in torch.split(parameter.data, n_units):
                if name.startswith("weight_hh"):
                    nn.init.orthogonal_(gate)
                else:
                    nn.init.xavier_uniform_(gate)
        else:
            nn.init.zeros_(parameter)
            if model.architecture.cell == "lstm" and name.startswith("bias_ih"):
                parameter.data[n_units : 2 * n_units] = 1.0  # forget gates begin open
    for linear in (model.output, model.attention):
        if linear is not None:
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)


def n_parameters(model: Tagger, *, paper: bool = False) -> int:
    """Number of learned parameters.

    torch gives every gate two biases where the papers have one, since an LSTM and the paper's GRU
    use only their sum. With `paper`, one is counted.
    """
    count = sum(p.numel() for p in model.parameters())
    if paper:
        count -= sum(p.numel() for n, p in model.recurrent.named_parameters() if "bias_hh" in n)
    return count


@torch.no_grad()
def flush_subnormals(model: nn.Module) -> None:
    """Replace weights that are too small for a normal float32 by zero, in place.

    Training leaves some, and they make a CPU's matrix product about a hundred times slower
    (measured) for a contribution that nobody can hear.
    """
    tiny = torch.finfo(torch.float32).tiny
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor[tensor.abs() < tiny] = 0.0
