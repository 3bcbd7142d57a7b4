"""The network laid out for one CPU core, in NumPy and `kernels`: coefficients to probabilities.

It computes what `network.recurrent.Tagger` computes. The weights are laid out once as the products
need them (`folded`), and everything else is done in place.

On CPUs that multiply matrices of bfloat16 by themselves (AMX), all products but the first layer's
are in bfloat16: operands have 8 bits then, while sums, gates and states keep 24. Probabilities move
so little that no track of the corpus's validation and test splits gets other values
(`benchmarks/precision.py`).

Shapes: B segments, C coefficients, T frames, U units, K tags. Segments come last inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from musictag.hearing.arrays import Real
from musictag.hearing.ear import Hearing
from musictag.hearing.kernels.choice import Kernels, choose
from musictag.hearing.network.architecture import AnyArchitecture, Architecture

Operands = NDArray[Any]
"""Float32 numbers, or the upper halves of such."""

FRAMES_AT_ONCE = 16
"""Frames whose inputs meet the weights in one product, so that its results stay in a cache."""


def can(architecture: AnyArchitecture) -> TypeGuard[Architecture]:
    """Whether there is a layout for it."""
    return (
        isinstance(architecture, Architecture)
        and architecture.cell == "gru"
        and architecture.sequence == "time"
        and architecture.summary != "max"
        and not architecture.bidirectional
    )


class Layer(NamedTuple):
    """The folded weights of one GRU."""

    w_input: Real  # (3 U, inputs)
    w_state: Real  # (3 U, U)
    b_input: Real  # (3 U, 1)
    b_new: Real  # (U, 1), the new value's, inside its product with the reset gate


def folded(architecture: Architecture, weights: Mapping[str, Real], i: int) -> Layer:
    """The weights of layer `i`, with everything constant folded into them.

    - The standardisation of the features is part of the first layer.
    - Both biases of the reset and update gates are one.
    - With σ(x) = (1 + tanh(x / 2)) / 2 the halves are part of the weights, so that a gate is a
      tanh. The reset gate's other half is part of the new value's state weights and bias.
    """
    n = architecture.n_units
    w_input, w_state, b_input, b_state = (
        weights[f"recurrent.{name}_l{i}"]
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    if i == 0:
        w_input = w_input / weights["std"]
        b_input = b_input - w_input @ weights["mean"]
    b_input = b_input + np.concatenate([b_state[: 2 * n], np.zeros(n, np.float32)])
    halves = np.repeat(np.array([0.5, 1], np.float32), [2 * n, n])[:, None]
    half = np.float32(0.5)
    return Layer(
        w_input * halves, w_state * half, b_input[:, None] * halves, b_state[2 * n :, None] * half
    )


class CoreNetwork:
    """(B, C, T) coefficients -> Hearing. Threads may share it."""

    def __init__(
        self,
        architecture: Architecture,
        weights: Mapping[str, Real],
        *,
        kernels: Kernels | None = None,
        bfloat16: bool | None = None,
    ) -> None:
        """`weights` are named as in a `Tagger`; `bfloat16` None means: where that is quicker.

        Raises ValueError for an architecture that has no layout.
        """
        if not can(architecture):
            raise ValueError(f"no layout for {architecture}")
        self._architecture = architecture
        self._weights = weights
        self._products = (kernels or choose()).products
        self.bfloat16 = self._products.bfloat16 if bfloat16 is None else bfloat16
        with np.errstate(all="ignore"):
            self._layers = [self._layer(i) for i in range(architecture.n_layers)]

    def __call__(self, features: Real) -> Hearing:
        """Weights that are no finite numbers give such probabilities, without an error."""
        with np.errstate(all="ignore"), self._products.on_one_core():
            return self._heard(features)

    def _heard(self, features: Real) -> Hearing:
        inputs: Operands = np.ascontiguousarray(features.transpose(1, 2, 0))  # (C, T, B)
        _, n_frames, n_rows = inputs.shape
        n_units = self._architecture.n_units
        states = np.empty((n_frames, n_units, n_rows), np.float32)
        outputs = self._operands((n_units, n_frames, n_rows))
        for layer in self._layers:
            self._through(layer, inputs, states, outputs)
            inputs = outputs
        summary = np.ascontiguousarray(self._summarised(states))  # (U, B)
        logits = np.empty((self._architecture.n_tags, n_rows), np.float32)
        self._products.multiply(self._weights["output.weight"], summary, logits)
        logits += self._weights["output.bias"][:, None]
        return Hearing(np.reciprocal(1 + np.exp(-logits.T)), np.ascontiguousarray(summary.T))

    def _through(self, layer: _Laid, inputs: Operands, states: Real, outputs: Operands) -> None:
        """One GRU (paper, eq. 9, with the reset gate where cuDNN has it): (..., T, B) -> (T, U, B).

        `outputs` receives the states as operands of the next layer's products, (U, T, B). It may be
        `inputs`, since a frame is written after it has been read.
        """
        n_frames, n, n_rows = states.shape
        of_inputs = np.empty((3 * n, FRAMES_AT_ONCE, n_rows), np.float32)
        of_state = np.empty((3 * n, n_rows), np.float32)
        gates, new = of_state[: 2 * n], of_state[2 * n :]
        reset, update = gates[:n], gates[n:]
        operand, state = self._operands((n, n_rows)), np.zeros((n, n_rows), np.float32)
        change = np.empty((n, n_rows), np.float32)
        for first in range(0, n_frames, FRAMES_AT_ONCE):
            n_some = min(FRAMES_AT_ONCE, n_frames - first)
            columns = slice(first * n_rows, (first + n_some) * n_rows)
            here = of_inputs.reshape(3 * n, -1)[:, : n_some * n_rows]
            self._multiply(layer.w_input, inputs.reshape(len(inputs), -1)[:, columns], here)
            here += layer.b_input
            for frame in range(n_some):
                of_input = of_inputs[:, frame]
                self._multiply(layer.w_state, operand, of_state)
                gates += of_input[: 2 * n]
                np.tanh(gates, out=gates)
                gates += 1  # 2 σ
                new += layer.b_new
                new *= reset
                new += of_input[2 * n :]
                np.tanh(new, out=new)
                np.subtract(state, new, out=change)
                change *= update
                change *= 0.5
                state = states[first + frame]
                np.add(new, change, out=state)
                _give(state, operand)
                outputs[:, first + frame] = operand

    def _summarised(self, states: Real) -> Real:
        """(T, U, B) -> (U, B)"""
        how = self._architecture.summary
        if how == "last":
            last: Real = states[-1]
            return last
        if how == "mean":
            mean: Real = states.mean(axis=0)
            return mean
        heed = np.einsum("u,tub->tb", self._weights["attention.weight"][0], states)
        heed = np.exp(heed - heed.max(axis=0))  # the layer's bias cancels out
        summary: Real = np.einsum("tb,tub->ub", heed / heed.sum(axis=0), states)
        return summary

    def _layer(self, i: int) -> _Laid:
        """The folded weights as operands; features always meet theirs in float32."""
        layer = folded(self._architecture, self._weights, i)
        w_input = self._as_operands(layer.w_input) if i else layer.w_input
        return _Laid(w_input, self._as_operands(layer.w_state), layer.b_input, layer.b_new)

    def _as_operands(self, numbers: Real) -> Operands:
        operands = self._operands(numbers.shape)
        _give(numbers, operands)
        return operands

    def _operands(self, shape: tuple[int, ...]) -> Operands:
        return np.zeros(shape, np.uint16 if self.bfloat16 else np.float32)

    def _multiply(self, weights: Operands, columns: Operands, out: Real) -> None:
        """The weights come first, because products of bfloat16 reorder the second factor."""
        if weights.dtype == np.uint16:
            self._products.multiply_bfloat16(weights, columns, out)
        else:
            self._products.multiply(weights, columns, out)


def _give(numbers: Real, operands: Operands) -> None:
    """Copy numbers to operands, rounded if need be."""
    if operands.dtype == np.uint16:
        rounded = numbers.view(np.uint32) + np.uint32(0x8000)
        operands[...] = rounded.view(np.uint16)[..., 1::2]
    else:
        operands[...] = numbers


class _Laid(NamedTuple):
    """A layer whose weights may be bfloat16."""

    w_input: Operands
    w_state: Operands
    b_input: Real
    b_new: Real
