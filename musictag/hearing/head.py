"""A last layer of its own on what a model hears: summaries of whole tracks → probabilities.

Shapes: B tracks or segments, S numbers of a summary, K tags.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from musictag.hearing.arrays import Real


class Head(NamedTuple):
    """One logistic regression per tag on the mean of a track's summaries and their spread."""

    of_mean: Real
    """(K, S)"""
    of_spread: Real
    """(K, S)"""
    typical_spread: Real
    """(S,): what counts as the spread where there is none."""
    bias: Real
    """(K,)"""

    def __call__(self, means: Real, spreads: Real | None = None) -> Real:
        """(B, S) means and (B, S) standard deviations over the segments -> (B, K) probabilities.

        One segment tells nothing about the spread: without spreads, and where all of a spread is 0,
        it counts as the typical one.
        """
        logits = means @ self.of_mean.T + self.bias
        if spreads is not None:
            known = spreads.any(axis=1)
            logits[known] += (spreads[known] - self.typical_spread) @ self.of_spread.T
        probabilities: Real = (1 + np.tanh(logits / 2)) / 2
        return probabilities
