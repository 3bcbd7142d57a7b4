"""From which probability on a value is written, chosen where the model did not learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musictag.training.dataset import DataSet
from musictag.training.scores import Mask, Table, binarise, by_track, merge_values, value_shares


def choose_thresholds(
    probabilities: NDArray[np.floating[Any]],
    dataset: DataSet,
    rows: Sequence[int],
    *,
    n_resamples: int = 100,
) -> dict[str, float]:
    """The probability from which on each shown value is written: value → threshold.

    Chosen on tracks, since it is tracks that are decided, against the merged
    soft labels binarised at prevalence, where F0.5 is highest: a wrong word in
    somebody's library costs more than a missing one. With a handful of positives
    one track moves that maximum a lot, so it is looked for in resampled sets of
    tracks and the median taken. The floor is twice the prevalence: a word that
    fits any track nearly as well says nothing about this one.
    """
    tracks = [dataset.examples[row].track for row in rows]
    heard, names = merge_values(
        by_track(np.asarray(probabilities, np.float64), tracks)[0], dataset.tags
    )
    labels, _ = merge_values(
        by_track(dataset.labels[list(rows)].astype(np.float64), tracks)[0], dataset.tags
    )
    shares = value_shares(dataset.shares)
    positive = binarise(labels, [shares[name] for name in names])
    generator = np.random.default_rng(0)
    draws = [generator.integers(len(heard), size=len(heard)) for _ in range(n_resamples)]
    thresholds = {}
    for v, name in enumerate(names):
        best = [_best_threshold(heard[rows_, v], positive[rows_, v]) for rows_ in draws]
        usable = [b for b in best if b is not None]
        threshold = float(np.median(usable)) if usable else 0.5
        thresholds[name] = round(max(threshold, min(2 * shares[name], 0.5)), 4)
    return thresholds


def _best_threshold(heard: Table, positive: Mask, *, beta: float = 0.5) -> float | None:
    """Where F-beta is highest, midway to the next lower probability; None without positives."""
    if not positive.any():
        return None
    candidates, group, counts = np.unique(-heard, return_inverse=True, return_counts=True)
    right = np.cumsum(np.bincount(group, weights=positive, minlength=counts.size))
    chosen = np.cumsum(counts)
    f = (1 + beta**2) * right / (chosen + beta**2 * positive.sum())
    i = int(np.argmax(f))
    lower = -candidates[i + 1] if i + 1 < candidates.size else 0.0
    return float((-candidates[i] + lower) / 2)
