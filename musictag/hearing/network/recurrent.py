"""Coefficients to logits: the paper's stacked recurrent network, whole, in plain torch.

The scattering transform stays outside (`scattering`), so that its filters
stay out of the weights. What the network is made of stands in one
`Architecture`, which is saved beside the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from musictag.hearing.network.architecture import Architecture


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
        states, _ = self.recurrent(x)
        return self.judged(states)

    def judged(self, states: Tensor) -> Tensor:
        """(T, B, units of all directions) -> (B, K) logits"""
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


class OneCore(nn.Module):
    """A stack of GRUs as one CPU core is quickest with it: the same logits, in inference only.

    Weights are laid out once as the products want them, the standardisation of the features is
    part of them, and all but the products is done in place. With the first layer's projection
    and everything else in float32, `dtype` is what the recurrent products and the deeper layers'
    projections are multiplied in: with bfloat16 their operands and results have 8 bits, while
    states and sums of gates keep 24.
    """

    def __init__(self, tagger: Tagger, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.tagger = tagger
        self.n_units = n = tagger.architecture.n_units
        self.dtype = dtype
        self.layers = []  # of weights: inputs -> gates, state -> gates, and biases of either
        for i in range(tagger.architecture.n_layers):
            w_input, w_state, b_input, b_state = (
                getattr(tagger.recurrent, f"{name}_l{i}").detach().t().contiguous()
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            if i == 0:
                w_input = w_input / tagger.std[:, None]
                b_input = b_input - tagger.mean @ w_input
            # of the state's biases only the new value's stands inside a product with a gate
            b_input = b_input + functional.pad(b_state[: 2 * n], (0, n))
            first_dtype = torch.float32 if i == 0 else dtype
            self.layers.append(
                (w_input.to(first_dtype), w_state.to(dtype), b_input, b_state[2 * n :])
            )

    @torch.inference_mode()
    def forward(self, features: Tensor) -> Tensor:
        """(B, C, T) -> (B, K)"""
        states = features.permute(2, 0, 1)  # (T, B, C)
        for w_input, w_state, b_input, b_new in self.layers:
            states = self._layer(states, w_input, w_state, b_input, b_new)
        return self.tagger.judged(states)

    def _layer(
        self, inputs: Tensor, w_input: Tensor, w_state: Tensor, b_input: Tensor, b_new: Tensor
    ) -> Tensor:
        """One GRU (paper, eq. 9, its reset gate where cuDNN has it): (T, B, …) -> (T, B, units).

        Gates lie side by side: reset, update, new value.
        """
        n, (n_frames, n_rows, _) = self.n_units, inputs.shape
        of_inputs = inputs.new_empty(FRAMES_AT_ONCE, n_rows, 3 * n)
        gates_in, new_in = (x.unbind() for x in of_inputs.tensor_split([2 * n], dim=2))
        of_state = inputs.new_empty(n_rows, 3 * n)
        gates, new = of_state.tensor_split([2 * n], dim=1)
        reset, update = gates.chunk(2, dim=1)
        states = inputs.new_empty(n_frames, n_rows, n)
        state = inputs.new_zeros(n_rows, n)
        for first in range(0, n_frames, FRAMES_AT_ONCE):
            some = inputs[first : first + FRAMES_AT_ONCE]
            into = of_inputs[: len(some)].view(-1, 3 * n)
            rows = some.reshape(len(into), -1)
            if w_input.dtype == torch.float32:
                torch.addmm(b_input, rows, w_input, out=into)
            else:
                torch.add(rows.to(w_input.dtype) @ w_input, b_input, out=into)
            for frame, state_out in enumerate(states[first : first + len(some)]):
                if w_state.dtype == torch.float32:
                    torch.mm(state, w_state, out=of_state)
                else:
                    of_state.copy_(state.to(w_state.dtype) @ w_state)
                gates.add_(gates_in[frame]).sigmoid_()
                new.add_(b_new).mul_(reset).add_(new_in[frame]).tanh_()
                state = torch.lerp(new, state, update, out=state_out)
        return states


FRAMES_AT_ONCE = 16
"""Frames whose inputs meet the weights in one product: what comes of it stays in a cache."""


def on_one_core(model: Tagger) -> nn.Module:
    """The same function for one CPU core, in inference: quicker where we know how.

    Where the core multiplies matrices of bfloat16 by itself (AMX), it is let. Probabilities move
    by 1e-3 at most then, and of the corpus's validation and test splits no track gets other
    values (`benchmarks/precision.py`).
    """
    if model.architecture.cell != "gru" or model.architecture.bidirectional:
        return model
    return OneCore(model, torch.bfloat16 if _multiplies_bfloat16() else torch.float32)


def _multiplies_bfloat16() -> bool:
    is_there = getattr(torch.cpu, "_is_amx_tile_supported", None)  # torch says it in no other way
    return bool(is_there and is_there())


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
