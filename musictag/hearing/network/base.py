"""What all networks in torch have in common: standardisation, the summary of frames, the output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musictag.hearing.network.architecture import AnyArchitecture


class Network(nn.Module):
    """(B, C, T) coefficients -> (B, K) logits; a sigmoid makes them probabilities.

    The front end stays outside, so that its filters stay out of the weights.
    """

    architecture: AnyArchitecture
    mean: Tensor
    std: Tensor
    attention: nn.Linear | None
    output: nn.Linear

    def __init__(self, architecture: AnyArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.register_buffer("mean", torch.zeros(architecture.n_coefficients))
        self.register_buffer("std", torch.ones(architecture.n_coefficients))

    def _end(self, architecture: AnyArchitecture) -> None:
        """Add the last layers, after those of the kind: the order of weights is part of a run."""
        a = architecture
        self.attention = nn.Linear(a.n_summary, 1) if a.summary == "attention" else None
        self.dropout = nn.Dropout(a.dropout)
        self.output = nn.Linear(a.n_summary, a.n_tags)

    def forward(self, features: Tensor) -> Tensor:
        return self.logits(self.summary(features))

    def summary(self, features: Tensor) -> Tensor:
        """(B, C, T) coefficients -> (B, S), which is all that the output layer sees."""
        x = (features - self.mean[:, None]) / self.std[:, None]
        return self._summarise(self.states(x))

    def logits(self, summary: Tensor) -> Tensor:
        """(B, S) -> (B, K)"""
        logits: Tensor = self.output(self.dropout(summary))
        return logits

    def states(self, x: Tensor) -> Tensor:
        """(B, C, T) standardised -> (steps, B, S)"""
        raise NotImplementedError

    def layers(self) -> list[list[nn.Parameter]]:
        """The weights of each layer below the summary, from the first one on."""
        raise NotImplementedError

    def fold(self) -> None:
        """Make it faster to hear with, in place, where that is possible. It trains no more."""

    def initialise(self) -> None:
        """Give it the weights that training begins with."""
        for linear in (self.output, self.attention):
            if linear is not None:
                nn.init.xavier_uniform_(linear.weight)
                nn.init.zeros_(linear.bias)

    def n_parameters(self, *, paper: bool = False) -> int:
        """Number of learned parameters; with `paper`, counted as in the paper's Table 2."""
        uncounted = self.uncounted() if paper else []
        return sum(p.numel() for p in self.parameters()) - sum(p.numel() for p in uncounted)

    def uncounted(self) -> list[nn.Parameter]:
        """Parameters that the paper does not count."""
        return []

    def _summarise(self, states: Tensor) -> Tensor:
        """(steps, B, S) -> (B, S)"""
        if self.attention is not None:
            weights = self.attention(states).softmax(dim=0)  # (steps, B, 1)
            return torch.sum(weights * states, dim=0)
        how = self.architecture.summary
        if how == "mean":
            return states.mean(dim=0)
        if how == "max":
            return states.amax(dim=0)
        return self._last(states)

    def _last(self, states: Tensor) -> Tensor:
        return states[-1]


def layer_of(name: str) -> int:
    """The number of the layer that a weight of a `nn.GRU` or `nn.LSTM` belongs to."""
    return int(name.removesuffix("_reverse").rpartition("_l")[2])


def begin_recurrent(layers: nn.Module, n_units: int, *, forget: bool) -> None:
    """Weights that training of recurrent layers begins with.

    Recurrent matrices are orthogonal, gate by gate, so that states neither fade nor blow up. With
    `forget`, the gates of an LSTM begin open.
    """
    for name, parameter in layers.named_parameters():
        if name.startswith("weight"):
            for gate in torch.split(parameter.data, n_units):
                if name.startswith("weight_hh"):
                    nn.init.orthogonal_(gate)
                else:
                    nn.init.xavier_uniform_(gate)
        elif name.startswith("bias"):
            nn.init.zeros_(parameter)
            if forget and name.startswith("bias_ih"):
                parameter.data[n_units : 2 * n_units] = 1.0
