"""A last layer for other words: L2-regularised logistic regression on summaries, in NumPy.

Every word is a yes-or-no question of its own. Summaries are standardised and turned into their
principal directions once, for all fits. There the curvature of the loss is nearly diagonal and
known, so that L-BFGS needs some twenty steps, each of two matrix products for all words together.

Shapes: n tracks, S numbers of a summary, D directions, K words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musictag.hearing.arrays import Real
from musictag.hearing.head import Head
from musictag.training.scores import Mask, Table

MOST_DIRECTIONS = 256
"""Principal directions that are kept at most. The bundled model's summaries have 99 % of their
variance in fewer."""
LEAST_DEVIATION = 1e-3
"""Numbers that vary less than this among tracks, relative to the largest deviation, say nothing."""
STEPS = 200
"""Steps of a fit, at most."""
TINY = 1e-4
"""Share of the loss whose gain is not worth another step. More steps fit the tracks
kept back no better."""


@dataclass(frozen=True)
class Space:
    """Standardised principal directions of some tracks' summaries."""

    rows: Real
    """The tracks in it, (n, D)."""
    centre: Real
    """(2 S,)"""
    basis: Real
    """(2 S, D), of the numbers as they come."""
    curvature: Real
    """Mean square of each direction, (D,)."""
    typical_spread: Real
    """(S,): mean over the tracks that have one."""

    @classmethod
    def of(cls, means: Real, spreads: Real) -> Space:
        """The space of some tracks: (n, S) means over their segments, (n, S) standard deviations.

        A track of one segment has no spread (all 0) and is taken to have the typical one.
        """
        known = np.asarray(spreads.any(axis=1))
        n_known = max(int(known.sum()), 1)
        typical = (spreads.sum(axis=0) / n_known).astype(np.float32)
        x = np.concatenate([means, np.where(known[:, None], spreads, typical)], axis=1)
        centre = x.mean(axis=0)
        x = x - centre
        deviation = x.std(axis=0)
        varies = deviation > LEAST_DEVIATION * deviation.max(initial=0)
        scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0).astype(np.float32)
        x *= scale
        variance, directions = np.linalg.eigh((x.T @ x / len(x)).astype(np.float64))
        variance, directions = variance[::-1], directions[:, ::-1]
        n = min(MOST_DIRECTIONS, int((variance > 1e-6 * max(variance[0], 1e-12)).sum()))
        turned = directions[:, : max(n, 1)].astype(np.float32)
        return cls(
            x @ turned,
            centre,
            scale[:, None] * turned,
            np.maximum(variance[: max(n, 1)], 1e-9).astype(np.float32),
            typical,
        )

    def head(self, weights: Real) -> Head:
        """Weights of a fit, (K, 1 + D), for summaries as they come."""
        unturned = weights[:, 1:] @ self.basis.T  # (K, 2 S)
        half = len(self.centre) // 2
        # The centre of the spreads is the typical one, which the head takes off by itself.
        bias = weights[:, 0] - unturned[:, :half] @ self.centre[:half]
        return Head(unturned[:, :half], unturned[:, half:], self.typical_spread, bias)


def fit(rows: Real, labels: Mask, curvature: Real, penalty: float, start: Real) -> Real:
    """Weights (K, 1 + D), the constant first, that make (n, K) labels likeliest.

    `penalty` times half the square of the weights is added to the sum of the losses; the constant
    is free. `start` is where to begin, for instance the weights for a higher penalty.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  # half a second

    n, y = len(rows), labels.astype(np.float32)
    uncertain = n * _variance(_share(labels))[:, None]  # (K, 1)
    unit = 1 / np.sqrt(np.concatenate([uncertain, uncertain * curvature + penalty], axis=1))

    def loss(point: Table) -> tuple[float, Table]:
        weights = point.reshape(unit.shape) * unit
        z = rows @ weights[:, 1:].T.astype(np.float32) + weights[:, 0].astype(np.float32)
        small = np.exp(-np.abs(z))
        # log(1 + exp(z)) - y z, which does not overflow
        losses = np.log1p(small) + np.maximum(z, 0) - y * z
        error = np.where(z > 0, 1, small) / (1 + small) - y  # (n, K)
        gradient = np.concatenate([error.sum(axis=0)[:, None], error.T @ rows], axis=1)
        gradient[:, 1:] += penalty * weights[:, 1:]
        total = losses.sum(dtype=np.float64) + penalty / 2 * np.square(weights[:, 1:]).sum()
        return float(total), (gradient * unit).ravel()

    options = {"maxiter": STEPS, "ftol": TINY, "gtol": 0.0}
    found = minimize(loss, (start / unit).ravel(), jac=True, method="L-BFGS-B", options=options)
    weights: Real = (found.x.reshape(unit.shape) * unit).astype(np.float32)
    return weights


def beginning(labels: Mask, n_directions: int) -> Real:
    """Weights (K, 1 + D) of a head that knows how common each word is, and nothing else."""
    share = _share(labels)
    weights = np.zeros((len(share), 1 + n_directions), np.float32)
    weights[:, 0] = np.log(share / (1 - share))
    return weights


def _share(labels: Mask) -> Table:
    """How common each word is, never 0 or 1."""
    share: Table = (labels.sum(axis=0) + 0.5) / (len(labels) + 1)
    return share


def _variance(share: Table) -> Table:
    return share * (1 - share)


def logits(rows: Real, weights: Real) -> Table:
    """(n, D) and (K, 1 + D) -> (n, K)"""
    found: NDArray[np.float64] = (rows @ weights[:, 1:].T + weights[:, 0]).astype(np.float64)
    return found
