"""From which probability on a value is written, chosen where the model did not learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musictag.decision import choose
from musictag.training.dataset import DataSet
from musictag.training.evaluate import is_judged
from musictag.training.labels import Weights, hear_people
from musictag.training.scores import Mask, Table, binarise, by_track, merge_values, value_shares
from musictag.vocabulary import FIELDS, Vocabulary

PRECISE, COVERED = 0.9, 0.75
"""Of the genres written, so many are to be right or compatible where people gave the genre, and so
many tracks are to get one. On other music both will be less; wanted there are 0.8 and 0.7."""
ENOUGH_TRACKS = 20
"""With fewer of those, they say nothing about a threshold."""

# Measured on the corpus's validation and training tracks, for genres: with these two, four of five
# written were right or compatible. Where people gave no genres, and for other fields, they decide.
SURE = 0.3  # a soft label this high is a yes, however common the word is in the data set
LOWEST = 0.2  # no threshold is lower: what is likelier wrong than right is not written


def choose_thresholds(
    probabilities: NDArray[np.floating[Any]],
    dataset: DataSet,
    rows: Sequence[int],
    vocabulary: Vocabulary,
    *,
    people: float = 0.0,
    n_resamples: int = 100,
) -> dict[str, float]:
    """Shown value → the probability from which it is written.

    Chosen on tracks, since it is tracks that are decided, where F1 is highest
    against the merged soft labels. Those count as yes at the value's prevalence
    and wherever they are SURE: a data set may hold more rock than the world.
    Genres given by people count by the weight `people`, as in training.
    With a handful of yeses one track moves that maximum a lot, so it is looked
    for in resampled sets of tracks and the median taken.

    Never below LOWEST, nor below twice the prevalence (as far as 0.5): a word
    that fits any track nearly as well says nothing about this one. At last each
    threshold moves into a gap between two tracks, so that no rounding moves a
    track across it.

    Genres are what people look at first, and a wrong one is worse than none. Where
    people gave enough of them, all genres share one threshold: the lowest that is
    PRECISE, as long as enough tracks are COVERED. One number learned from some fifty
    tracks holds for others, a number for each genre does not.
    """
    tracks = [dataset.examples[row].track for row in rows]
    heard, names = _merged(np.asarray(probabilities, np.float64), dataset, tracks, vocabulary)
    weights = Weights(people=people, absence=people)
    given = hear_people(dataset.labels[list(rows)], dataset, rows, weights, vocabulary)
    labels, _ = _merged(given.astype(np.float64), dataset, tracks, vocabulary)
    shares = value_shares(dataset.shares, vocabulary)
    positive = binarise(labels, [shares[name] for name in names]) | (labels >= SURE)
    generator = np.random.default_rng(0)
    draws = [generator.integers(len(heard), size=len(heard)) for _ in range(n_resamples)]
    thresholds = {}
    for v, name in enumerate(names):
        found = [_best_threshold(heard[draw, v], positive[draw, v]) for draw in draws]
        known = [threshold for threshold in found if threshold is not None]
        best = float(np.median(known)) if known else 0.5
        lowest = max(best, LOWEST, min(2 * shares[name], 0.5))
        thresholds[name] = round(_in_a_gap(lowest, heard[:, v]), 5)
    genres = [value.name for value in vocabulary.in_field("GENRE") if value.name in thresholds]
    shared = _genre_threshold(probabilities, dataset, rows, vocabulary, n_resamples)
    if shared is not None:
        columns = [names.index(name) for name in genres]
        shared = round(_in_a_gap(shared, heard[:, columns].ravel()), 5)
        thresholds.update(dict.fromkeys(genres, shared))
    return thresholds


def _genre_threshold(
    probabilities: NDArray[np.floating[Any]],
    dataset: DataSet,
    rows: Sequence[int],
    vocabulary: Vocabulary,
    n_resamples: int,
) -> float | None:
    """The lowest that is PRECISE (the median over resampled tracks), or else the highest with
    which enough tracks are COVERED; None with too few tracks."""
    said = {
        dataset.examples[row].track: dataset.examples[row].genre
        for row in rows
        if is_judged(dataset.examples[row].genre, vocabulary)
    }
    if len(said) < ENOUGH_TRACKS:
        return None
    table, tracks = by_track(
        np.asarray(probabilities, np.float64), [dataset.examples[row].track for row in rows]
    )
    heard = [dict(zip(dataset.tags, table[tracks.index(t)].tolist(), strict=True)) for t in said]
    candidates = np.arange(LOWEST, 0.61, 0.01)
    right = np.zeros((len(candidates), len(said)))
    written = np.zeros_like(right)
    genres = [value.name for value in vocabulary.in_field("GENRE")]
    may_stand = [vocabulary.compatible(genre) or frozenset() for genre in said.values()]
    for c, threshold in enumerate(candidates.tolist()):
        one = vocabulary.with_thresholds(dict.fromkeys(genres, threshold))
        for t, (probability, compatible) in enumerate(zip(heard, may_stand, strict=True)):
            chosen = choose(probability, one, limits={"GENRE": 2})["GENRE"]
            written[c, t] = len(chosen)
            right[c, t] = sum(genre in compatible for genre in chosen)
    generator = np.random.default_rng(0)
    found = []
    for _ in range(n_resamples):
        draw = generator.integers(len(said), size=len(said))
        precise = right[:, draw].sum(axis=1) >= PRECISE * written[:, draw].sum(axis=1)
        found.append(candidates[int(np.argmax(precise))] if precise.any() else candidates[-1])
    covered = candidates[(written > 0).mean(axis=1) >= COVERED]
    return float(min(np.median(found), covered.max(initial=LOWEST)))


def _in_a_gap(threshold: float, heard: NDArray[np.float64], *, width: float = 0.01) -> float:
    """The middle of the widest gap within `width` above the threshold."""
    ends = (threshold, threshold + width)
    inside = heard[(heard > ends[0]) & (heard < ends[1])]
    points = np.sort(np.concatenate([inside, ends]))
    widest = int(np.argmax(np.diff(points)))
    return float(points[widest] + points[widest + 1]) / 2


def _merged(
    table: Table, dataset: DataSet, tracks: Sequence[str], vocabulary: Vocabulary
) -> tuple[Table, list[str]]:
    """(n examples, K) -> (n tracks, shown values)"""
    return merge_values(by_track(table, tracks)[0], dataset.tags, vocabulary)


def n_decided_otherwise(
    heard: NDArray[np.floating[Any]],
    other: NDArray[np.floating[Any]],
    dataset: DataSet,
    rows: Sequence[int],
    vocabulary: Vocabulary,
) -> int:
    """How many tracks would get other values, or the same in another order, if heard otherwise."""
    tracks = [dataset.examples[row].track for row in rows]

    def decided(probabilities: NDArray[np.floating[Any]]) -> list[dict[str, tuple[str, ...]]]:
        table, _ = by_track(np.asarray(probabilities, np.float64), tracks)
        limits = dict.fromkeys(FIELDS, len(vocabulary.values))
        return [
            choose(dict(zip(dataset.tags, row.tolist(), strict=True)), vocabulary, limits=limits)
            for row in table
        ]

    return sum(one != two for one, two in zip(decided(heard), decided(other), strict=True))


def _best_threshold(heard: Table, positive: Mask) -> float | None:
    """Where F1 is highest, midway to the next lower probability; None without positives."""
    if not positive.any():
        return None
    candidates, group, counts = np.unique(-heard, return_inverse=True, return_counts=True)
    right = np.cumsum(np.bincount(group, weights=positive, minlength=counts.size))
    f1 = 2 * right / (np.cumsum(counts) + positive.sum())
    i = int(np.argmax(f1))
    lower = -candidates[i + 1] if i + 1 < candidates.size else 0.0
    return float((-candidates[i] + lower) / 2)
