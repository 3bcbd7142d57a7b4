"""LSTM layers with batch normalisation at every step.

Cooijmans, Ballas, Laurent, Gülçehre and Courville, "Recurrent batch normalization" (2016), eq. 6
to 8. With N(·; γ, β) normalisation over the batch, statistics being those of the step t:

    i, f, g, o = N(W_h h; γ_h, 0) + N(W_x x; γ_x, 0) + b
    c ← σ(f) · c + σ(i) · tanh(g)
    h ← σ(o) · tanh(N(c; γ_c, β_c))

In hearing, the statistics that training has gathered make each N one product and one sum, so those
of inputs, state and bias are joined.

Shapes: T steps, B segments, I inputs, U units, S steps with statistics of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

EPSILON = 1e-5
MOMENTUM = 0.1
"""Share of the newest batch in the statistics that are kept for hearing."""
SCALE = 0.1
"""What γ begins with: larger ones saturate the tanh, and gradients vanish (ibid., section 4)."""
TERMS = ("ih", "hh", "c")
"""What is normalised: the products with inputs and with the state, and the cell."""


class BatchNormLstm(nn.Module):
    """(T, B, I) -> (T, B, U), None; like `nn.LSTM`, whose names and order of gates it has."""

    def __init__(
        self, n_inputs: int, n_units: int, n_layers: int, *, dropout: float, n_steps: int
    ) -> None:
        super().__init__()
        self.n_units, self.n_layers, self.n_steps = n_units, n_layers, n_steps
        self.dropout = nn.Dropout(dropout)
        for layer in range(n_layers):
            rows, columns = 4 * n_units, n_units if layer else n_inputs
            parameters = {
                "weight_ih": torch.empty(rows, columns).uniform_(-0.01, 0.01),
                "weight_hh": torch.empty(rows, n_units).uniform_(-0.01, 0.01),
                "bias_ih": torch.zeros(rows),
                "scale_ih": torch.full((rows,), SCALE),
                "scale_hh": torch.full((rows,), SCALE),
                "scale_c": torch.full((n_units,), SCALE),
                "shift_c": torch.zeros(n_units),
            }
            for name, tensor in parameters.items():
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(tensor))
            for term in TERMS:
                shape = n_steps, n_units if term == "c" else rows
                self.register_buffer(f"mean_{term}_l{layer}", torch.zeros(shape))
                self.register_buffer(f"variance_{term}_l{layer}", torch.ones(shape))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        for layer in range(self.n_layers):
            if layer:
                x = self.dropout(x)
            x = self._learning(x, layer) if self.training else self._hearing(x, layer)
        return x, None

    def _learning(self, x: Tensor, layer: int) -> Tensor:
        """With the statistics of this batch, which are also gathered: (T, B, I) -> (T, B, U)."""
        seen: dict[str, list[_Moments]] = {term: [] for term in TERMS}

        def normalised(values: Tensor, term: str) -> Tensor:
            """(B, …) of one step"""
            moments = _Moments.of(values.float())
            seen[term].append(moments)
            return (values - moments.mean) * (moments.variance + EPSILON).rsqrt()

        of_inputs = nn.functional.linear(x, self._of("weight_ih", layer)).float()  # (T, B, 4 U)
        scales = {term: self._of(f"scale_{term}", layer) for term in TERMS}
        bias, shift = self._of("bias_ih", layer), self._of("shift_c", layer)
        w_state = self._of("weight_hh", layer)
        state = cell = x.new_zeros(x.shape[1], self.n_units, dtype=torch.float32)
        states = []
        for of_input in of_inputs:
            of_state = nn.functional.linear(state, w_state).float()
            gates = (
                scales["hh"] * normalised(of_state, "hh")
                + scales["ih"] * normalised(of_input, "ih")
                + bias
            )
            cell = _next(gates, cell)
            output = gates[:, 3 * self.n_units :].sigmoid()
            state = output * torch.tanh(scales["c"] * normalised(cell, "c") + shift)
            states.append(state)
        self._gather(seen, layer)
        return torch.stack(states)

    def _hearing(self, x: Tensor, layer: int) -> Tensor:
        """With the statistics gathered in training: (T, B, I) -> (T, B, U)."""
        of_inputs = nn.functional.linear(x, self._of("weight_ih", layer)).float()  # (T, B, 4 U)
        w_state = self._of("weight_hh", layer)
        factors, offsets = zip(*(self._line(term, layer) for term in TERMS), strict=True)
        by_input, by_state, by_cell = factors  # (S, …)
        joined = offsets[0] + offsets[1] + self._of("bias_ih", layer)  # (S, 4 U)
        of_cell = offsets[2] + self._of("shift_c", layer)
        state = cell = x.new_zeros(x.shape[1], self.n_units, dtype=torch.float32)
        states = []
        for t, of_input in enumerate(of_inputs):
            s = min(t, self.n_steps - 1)
            of_state = nn.functional.linear(state, w_state).float()
            gates = by_state[s] * of_state + (by_input[s] * of_input + joined[s])
            cell = _next(gates, cell)
            output = gates[:, 3 * self.n_units :].sigmoid()
            state = output * torch.tanh(by_cell[s] * cell + of_cell[s])
            states.append(state)
        return torch.stack(states)

    def _line(self, term: str, layer: int) -> tuple[Tensor, Tensor]:
        """A term's normalisation as a product and a sum, for each step: (S, …), (S, …)."""
        mean, variance = (self._of(f"{name}_{term}", layer) for name in ("mean", "variance"))
        factor = self._of(f"scale_{term}", layer) * (variance + EPSILON).rsqrt()
        return factor, -factor * mean

    @torch.no_grad()
    def _gather(self, seen: dict[str, list[_Moments]], layer: int) -> None:
        for term, moments in seen.items():
            some = moments[: self.n_steps]
            for name in ("mean", "variance"):
                kept = self._of(f"{name}_{term}", layer)
                heard = kept[: len(some)]
                heard.lerp_(torch.stack([getattr(one, name) for one in some]), MOMENTUM)
                kept[len(some) :] = heard[-1]  # as in hearing, the last step's serve later ones

    def _of(self, name: str, layer: int) -> Tensor:
        tensor: Tensor = getattr(self, f"{name}_l{layer}")
        return tensor


class _Moments(NamedTuple):
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, values: Tensor) -> _Moments:
        """Over the batch: (B, …) -> (…)."""
        variance, mean = torch.var_mean(values, dim=0, correction=0)
        return cls(mean, variance)


def _next(gates: Tensor, cell: Tensor) -> Tensor:
    """(B, 4 U) gates, in torch's order input, forget, new, output, and (B, U) -> the next cell."""
    enter, forget, new, _ = gates.chunk(4, dim=1)
    return forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
