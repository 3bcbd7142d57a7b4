"""The arithmetic of judging: rankings, correlations, and who counts as a positive.

Pure numpy on (n, K) tables of probabilities and labels, n being examples or tracks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musictag.vocabulary import Vocabulary

Table = NDArray[np.float64]
Mask = NDArray[np.bool_]

N_BINS = 10
"""Of probabilities, for calibration."""


def roc_auc(probabilities: Table, positive: Mask) -> float:
    """How often a positive is ranked above a negative, a tie counting half; nan without both."""
    return float(roc_aucs(probabilities, positive, np.ones((1, positive.size)))[0])


def roc_aucs(probabilities: Table, positive: Mask, weights: Table) -> Table:
    """The same for R weightings of the rows: weights (R, n) -> (R,).

    A row that weighs 2 counts like two rows, so resampling is weighting.
    """
    of_positives, of_all = _by_rank(probabilities, positive, weights)
    of_negatives = of_all - of_positives
    below = np.cumsum(of_negatives, axis=1) - of_negatives
    right = (of_positives * (below + of_negatives / 2)).sum(axis=1)
    return ratio(right, of_positives.sum(axis=1) * of_negatives.sum(axis=1))


def pr_auc(probabilities: Table, positive: Mask) -> float:
    """Average precision: precision at each threshold, weighted by the recall gained there.

    Ties share one threshold; nothing is interpolated. nan without positives.
    """
    return float(pr_aucs(probabilities, positive, np.ones((1, positive.size)))[0])


def pr_aucs(probabilities: Table, positive: Mask, weights: Table) -> Table:
    """The same for R weightings of the rows: weights (R, n) -> (R,)."""
    found, of_all = _by_rank(-probabilities, positive, weights)  # per threshold, falling
    chosen = np.cumsum(of_all, axis=1)
    precision = np.cumsum(found, axis=1) / np.where(chosen > 0, chosen, 1)
    return ratio((precision * found).sum(axis=1), found.sum(axis=1))


def _by_rank(values: Table, positive: Mask, weights: Table) -> tuple[Table, Table]:
    """Weight of the positives, and of all rows, at each distinct value, rising: (R, n values)."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    sorted_weights = weights[:, order]
    return (
        np.add.reduceat(sorted_weights * positive[order], starts, axis=1),
        np.add.reduceat(sorted_weights, starts, axis=1),
    )


def correlation(a: Table, b: Table) -> float:
    """Pearson's; nan where one side is constant."""
    return float(correlations(a, b, np.ones((1, a.size)))[0])


def correlations(a: Table, b: Table, weights: Table) -> Table:
    """The same for R weightings of the rows: weights (R, n) -> (R,)."""
    a, b = a - a.mean(), b - b.mean()  # so that little cancels below
    n = weights.sum(axis=1)
    mean_a, mean_b = weights @ a / n, weights @ b / n
    var_a, var_b = weights @ a**2 / n - mean_a**2, weights @ b**2 / n - mean_b**2
    covariance = weights @ (a * b) / n - mean_a * mean_b
    constant = np.minimum(var_a, var_b) < 1e-14  # rounding leaves about 1e-17 of nothing
    return ratio(covariance, np.where(constant, 0.0, np.sqrt(np.abs(var_a * var_b))))


def ratio(a: Table, b: Table) -> Table:
    """nan instead of a division by zero."""
    return np.where(b != 0, a / np.where(b != 0, b, 1), math.nan)


def brier(probabilities: Table, target: Table) -> float:
    """Mean squared distance of the probabilities from what they should have been."""
    return float(np.mean((probabilities - target) ** 2))


def bins(probabilities: Table) -> NDArray[np.intp]:
    """Which of N_BINS equal stretches of 0…1 each probability lies in."""
    return np.minimum((probabilities * N_BINS).astype(np.intp), N_BINS - 1)


def calibration_error(probabilities: Table, target: Table) -> float:
    """Expected calibration error: in each bin, how far the mean probability is from the mean of
    what it should have been; the mean of that over examples."""
    distance = np.bincount(bins(probabilities), weights=probabilities - target)
    return float(np.abs(distance).sum() / probabilities.size)


def are_hard(labels: NDArray[np.floating[Any]]) -> bool:
    """Whether labels are people's yes and no, and not probabilities."""
    return bool(((labels == 0) | (labels == 1)).all())


def binarise(labels: Table, shares: Sequence[float]) -> Mask:
    """(n, K) labels -> which examples carry each tag.

    Hard labels say so. Of soft labels it is the round(share·n) highest: at
    least one, and among equal ones the earlier example goes first.
    """
    if are_hard(labels):
        return np.asarray(labels == 1)
    n = len(labels)
    positive = np.zeros(labels.shape, dtype=bool)
    for k, share in enumerate(shares):
        highest = np.argsort(-labels[:, k], kind="stable")[: max(1, round(share * n))]
        positive[highest, k] = True
    return positive


def by_track(table: Table, tracks: Sequence[str]) -> tuple[Table, list[str]]:
    """(n examples, K) -> (n tracks, K), the mean of each, and the tracks in order."""
    names = list(dict.fromkeys(tracks))
    row_of = {name: i for i, name in enumerate(names)}
    rows = np.array([row_of[track] for track in tracks], dtype=np.intp)
    means = np.zeros((len(names), table.shape[1]))
    np.add.at(means, rows, table)
    return means / np.bincount(rows, minlength=len(names))[:, None], names


def merge_values(
    table: Table, tags: Sequence[str], vocabulary: Vocabulary
) -> tuple[Table, list[str]]:
    """(n, K tags) -> (n, shown values), each the maximum over its synonyms, and their names."""
    columns = {tag: k for k, tag in enumerate(tags)}
    merged = {
        value.name: table[:, [columns[tag] for tag in value.tags if tag in columns]].max(axis=1)
        for value in vocabulary.values
        if any(tag in columns for tag in value.tags)
    }
    return np.stack(list(merged.values()), axis=1), list(merged)


def value_shares(shares: Mapping[str, float], vocabulary: Vocabulary) -> dict[str, float]:
    """Prevalence of each shown value: that of its commonest synonym.

    People who tagged used one word or another, seldom all of them, so this is
    a lower bound; the sum would count clips twice.
    """
    return {
        value.name: max(shares[tag] for tag in value.tags if tag in shares)
        for value in vocabulary.values
        if any(tag in shares for tag in value.tags)
    }


def precision_recall_f1(chosen: Mask, positive: Mask) -> dict[str, float]:
    """Precision is nan when nothing was chosen, recall when nothing was there to choose."""
    right = int((chosen & positive).sum())
    n_chosen, n_positive = int(chosen.sum()), int(positive.sum())
    return {
        "precision": right / n_chosen if n_chosen else math.nan,
        "recall": right / n_positive if n_positive else math.nan,
        "f1": 2 * right / (n_chosen + n_positive) if n_chosen + n_positive else math.nan,
    }


def resampled(tracks: Sequence[str], n_resamples: int) -> Table:
    """(1 + n_resamples, n): how often each row counts; once at first, then as drawn by track."""
    names = {name: i for i, name in enumerate(dict.fromkeys(tracks))}
    track_of = np.array([names[track] for track in tracks], dtype=np.intp)
    generator = np.random.default_rng(0)
    draws = generator.integers(len(names), size=(n_resamples, len(names)))
    counts = [np.bincount(draw, minlength=len(names)) for draw in draws]
    return np.array([np.ones(len(tracks)), *(count[track_of] for count in counts)])


def interval(values: Table) -> tuple[float, float]:
    """What holds 95 % of the values that can be had."""
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def mean(values: Iterable[float]) -> float:
    """Over those that can be had."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
