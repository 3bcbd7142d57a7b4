"""Coefficients to logits: the paper's stacked recurrent network, whole, in plain torch.

The scattering transform stays outside (`scattering`), so that its filters
stay out of the weights. What the network is made of stands in one
`Architecture`, which is saved beside the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

_SIZES = ("n_coefficients", "n_units", "n_tags")


@dataclass(frozen=True)
class Architecture:
    """The network's sizes. The defaults are the paper's Scat-5L-512H-GRU."""

    n_coefficients: int = 433
    n_units: int = 512  # of each layer, and of each direction
    n_layers: int = 5
    n_tags: int = 50
    cell: str = "gru"  # or "lstm"
    summary: str = (
        "mean"  # of the frames: "mean", "last", or "attention" (one more weight per unit)
    )
    bidirectional: bool = False
    dropout: float = 0.25  # between layers and before the output, in training only

    def __post_init__(self) -> None:
        for name, most in (("n_layers", 100), *((n, 2**20) for n in _SIZES)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{name} is {value!r}, must be a whole number from 1 to {most}")
        if not isinstance(self.bidirectional, bool):
            raise ValueError(f"bidirectional is {self.bidirectional!r}, must be true or false")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout!r}, must be at least 0 and less than 1")
        if self.cell not in ("gru", "lstm"):
            raise ValueError(f"cell is {self.cell!r}, must be 'gru' or 'lstm'")
        if self.summary not in ("mean", "last", "attention"):
            raise ValueError(f"summary is {self.summary!r}, must be 'mean', 'last' or 'attention'")

    @property
    def n_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def n_summary(self) -> int:
        """What the output layer sees of a segment."""
        return self.n_units * self.n_directions


class Tagger(nn.Module):
    """(B, C, T) coefficients -> (B, K) logits; a sigmoid makes them probabilities.

    Frames are equally long whatever the segment, so there is nothing to pack;
    time goes first inside, which is the order the recurrent kernels work in.
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
        x = (features - self.mean[:, None]) / self.std[:, None]
        x = x.permute(2, 0, 1)  # (T, B, C)
        states, _ = self.recurrent(x)  # (T, B, units of all directions)
        logits: Tensor = self.output(self.dropout(self._summarise(states)))
        return logits

    def _summarise(self, states: Tensor) -> Tensor:
        """(T, B, units) -> (B, units)"""
        if self.attention is not None:
            weights = self.attention(states).softmax(dim=0)  # (T, B, 1)
            return torch.sum(weights * states, dim=0)
        if self.architecture.summary == "mean":
            return states.mean(dim=0)
        if self.architecture.bidirectional:  # each direction's last frame: the backward one's is 0
            forward, backward = states.chunk(2, dim=2)
            return torch.cat([forward[-1], backward[0]], dim=1)
        return states[-1]


def initialise(model: Tagger) -> None:
    """Weights to begin training from. Apart from the network: loading one need not pay for it.

    Orthogonal recurrent matrices, gate by gate, so that states neither fade nor blow up.
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
    """How many numbers were learned.

    torch gives every gate two biases, of which the papers write one (their sum
    is all that LSTM and the paper's GRU see): `paper=True` counts like that.
    """
    count = sum(p.numel() for p in model.parameters())
    if paper:
        count -= sum(p.numel() for n, p in model.recurrent.named_parameters() if "bias_hh" in n)
    return count


@torch.no_grad()
def flush_subnormals(model: nn.Module) -> None:
    """Make weights too small for a normal float32 a true zero, in place.

    Trained weights hold some, and each makes a CPU matrix product about a
    hundred times slower (measured), for a contribution nobody can hear.
    """
    tiny = torch.finfo(torch.float32).tiny
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor[tensor.abs() < tiny] = 0.0
