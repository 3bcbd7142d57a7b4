"""The network of `model`, laid out for one CPU core: coefficients to probabilities.

In NumPy and oneMKL (`mkl`), so that nothing waits for torch. The weights are laid
out once as the products want them, the standardisation of the features is part
of them, and all else is done in place. With σ(x) = (1 + tanh(x / 2)) / 2 the
halves, too, are part of the weights: all that is left of a gate is a tanh.

Where a core multiplies matrices of bfloat16 by itself (AMX), it is let, but for
the features: operands have 8 bits then, while sums, gates and states keep 24.
Probabilities move by so little that no track of the corpus's validation and
test splits gets other values (`benchmarks/precision.py`).

Shapes: B segments, C coefficients, T frames, U units, K tags. Segments come last inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musictag.hearing.kernels import mkl
from musictag.hearing.network.architecture import Architecture

Real = NDArray[np.float32]
Operands = NDArray[Any]

FRAMES_AT_ONCE = 16
"""Frames whose inputs meet the weights in one product: what comes of it stays in a cache."""


def can(architecture: Architecture) -> bool:
    """Whether there is a layout for it."""
    return architecture.cell == "gru" and not architecture.bidirectional


class Network:
    """(B, C, T) coefficients -> (B, K) probabilities. Threads may share it."""

    def __init__(
        self,
        architecture: Architecture,
        weights: Mapping[str, Real],
        *,
        bfloat16: bool | None = None,
    ) -> None:
        """With the weights of a `model.Tagger`, by its names; `bfloat16` None: where a core
        multiplies that by itself. ValueError for an architecture that has no layout.
        """
        if not can(architecture):
            raise ValueError(f"no layout for {architecture}")
        self._architecture = architecture
        self._weights = weights
        self.bfloat16 = mkl.multiplies_bfloat16() if bfloat16 is None else bfloat16
        with np.errstate(all="ignore"):
            self._layers = [self._layer(i) for i in range(architecture.n_layers)]

    def __call__(self, features: Real) -> Real:
        """Where weights make no numbers, none come out: that is no error here."""
        with np.errstate(all="ignore"):
            return self._probabilities(features)

    def _probabilities(self, features: Real) -> Real:
        inputs: Operands = np.ascontiguousarray(features.transpose(1, 2, 0))  # (C, T, B)
        _, n_frames, n_rows = inputs.shape
        n_units = self._architecture.n_units
        states = np.empty((n_frames, n_units, n_rows), np.float32)
        outputs = self._operands((n_units, n_frames, n_rows))
        for layer in self._layers:
            self._through(layer, inputs, states, outputs)
            inputs = outputs
        summary = np.ascontiguousarray(self._summarised(states))
        logits = np.empty((self._architecture.n_tags, n_rows), np.float32)
        mkl.multiply(self._weights["output.weight"], summary, logits)
        logits += self._weights["output.bias"][:, None]
        probabilities: Real = np.reciprocal(1 + np.exp(-logits.T))
        return probabilities

    def _through(self, layer: _Layer, inputs: Operands, states: Real, outputs: Operands) -> None:
        """One GRU (paper, eq. 9, its reset gate where cuDNN has it): (..., T, B) -> (T, U, B).

        `outputs` are the states as operands of the next layer's products, (U, T, B). It may be
        `inputs`: a frame's are written when they have been read.
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
            _multiply(layer.w_input, inputs.reshape(len(inputs), -1)[:, columns], here)
            here += layer.b_input
            for frame in range(n_some):
                of_input = of_inputs[:, frame]
                _multiply(layer.w_state, operand, of_state)
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
        heed = np.exp(heed - heed.max(axis=0))  # its bias cancels out
        summary: Real = np.einsum("tb,tub->ub", heed / heed.sum(axis=0), states)
        return summary

    def _layer(self, i: int) -> _Layer:
        n = self._architecture.n_units
        w_input, w_state, b_input, b_state = (
            self._weights[f"recurrent.{name}_l{i}"]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        if i == 0:
            w_input = w_input / self._weights["std"]
            b_input = b_input - w_input @ self._weights["mean"]
        # of the state's biases only the new value's stands inside a product with a gate
        b_input = b_input + np.concatenate([b_state[: 2 * n], np.zeros(n, np.float32)])
        halves = np.repeat(np.array([0.5, 1], np.float32), [2 * n, n])[:, None]
        return _Layer(
            self._as_operands(w_input * halves) if i else w_input * halves,
            self._as_operands(w_state * np.float32(0.5)),
            b_input[:, None] * halves,
            b_state[2 * n :, None] * np.float32(0.5),
        )

    def _as_operands(self, numbers: Real) -> Operands:
        operands = self._operands(numbers.shape)
        _give(numbers, operands)
        return operands

    def _operands(self, shape: tuple[int, ...]) -> Operands:
        """Float32 numbers, or the upper halves of such."""
        return np.zeros(shape, np.uint16 if self.bfloat16 else np.float32)


def _give(numbers: Real, operands: Operands) -> None:
    """Numbers as operands, rounded if need be."""
    if operands.dtype == np.uint16:
        rounded = numbers.view(np.uint32) + np.uint32(0x8000)
        operands[...] = rounded.view(np.uint16)[..., 1::2]
    else:
        operands[...] = numbers


def _multiply(weights: Operands, columns: Operands, out: Real) -> None:
    """The weights come first: products of bfloat16 take them as they are then, while a second
    factor is brought into another order."""
    if weights.dtype == np.uint16:
        mkl.multiply_bfloat16(weights, columns, out)
    else:
        mkl.multiply(weights, columns, out)


class _Layer(NamedTuple):
    w_input: Operands
    w_state: Operands
    b_input: Real
    b_new: Real  # the new value's, of the state
