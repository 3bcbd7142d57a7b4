"""The arithmetic of judging: rankings, correlations, and who counts as a positive.

Pure numpy on (n, K) tables of probabilities and labels, n being examples or tracks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from musictag.decision import FIELD_TAGS

Table = NDArray[np.float64]
Mask = NDArray[np.bool_]


def roc_auc(probabilities: Table, positive: Mask) -> float:
    """How often a positive is ranked above a negative, a tie counting half; nan without both."""
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if n_positive == 0 or n_negative == 0:
        return math.nan
    _, group, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle_rank = last - (counts - 1) / 2  # of each group of ties, from 1
    ranks = middle_rank[group][positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def pr_auc(probabilities: Table, positive: Mask) -> float:
    """Average precision: precision at each threshold, weighted by the recall gained there.

    Ties share one threshold; nothing is interpolated. nan without positives.
    """
    n_positive = int(positive.sum())
    if n_positive == 0:
        return math.nan
    _, group, counts = np.unique(-probabilities, return_inverse=True, return_counts=True)
    found = np.bincount(group, weights=positive, minlength=counts.size)  # per threshold, falling
    precision = np.cumsum(found) / np.cumsum(counts)
    return float((precision * found).sum() / n_positive)


def correlation(a: Table, b: Table) -> float:
    """Pearson's; nan where one side is constant."""
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0 else math.nan


def binarise(labels: Table, shares: Sequence[float]) -> Mask:
    """(n, K) soft labels -> which examples carry each tag: the round(share·n) highest.

    At least one does; among equal labels the earlier example goes first.
    """
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


def merge_values(table: Table, tags: Sequence[str]) -> tuple[Table, list[str]]:
    """(n, K tags) -> (n, shown values), each the maximum over its synonyms, and their names."""
    columns = {tag: k for k, tag in enumerate(tags)}
    merged = {
        value: table[:, [columns[tag] for tag in members if tag in columns]].max(axis=1)
        for values in FIELD_TAGS.values()
        for value, members in values.items()
        if any(tag in columns for tag in members)
    }
    return np.stack(list(merged.values()), axis=1), list(merged)


def value_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Prevalence of each shown value: that of its commonest synonym.

    People who tagged used one word or another, seldom all of them, so this is
    a lower bound; the sum would count clips twice.
    """
    return {
        value: max(shares[tag] for tag in members if tag in shares)
        for values in FIELD_TAGS.values()
        for value, members in values.items()
        if any(tag in shares for tag in members)
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


def mean(values: Iterable[float]) -> float:
    """Over those that can be had."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
