"""How well words can be told, found on tracks that were kept back.

Tracks are dealt into parts that share no album and no artist. Every part is judged by weights that
were learned from the others. How strongly weights are held back is one number for all words, the
one that makes the tracks kept back likeliest. Calibration and thresholds are cross-fitted too:
those that decide a part are learned from what was said about the other parts. This is not a fully
nested cross-validation: the strength, one of six numbers, is chosen on all parts, and the weights
that judged the other parts had seen this one.

Shapes: n tracks, D directions, K words, R resamples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from musictag.decision import LIMITS
from musictag.hearing.arrays import Real
from musictag.training.evaluate import Score
from musictag.training.own import groups as grouping
from musictag.training.own import head
from musictag.training.own.groups import Numbers
from musictag.training.own.words import Labels
from musictag.training.scores import Mask, Table, interval, ratio, resampled, roc_aucs
from musictag.training.thresholds import CANDIDATES, PRECISION, logistic
from musictag.vocabulary import Calibration

PENALTIES = (3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0)
"""Strengths that are tried, falling, until the tracks kept back get less likely."""
N_FOLDS = 5
"""Parts of the tracks."""
SHRINKAGE = 10
"""Written tracks, as precise as those of all words are, that are added to those of each word."""
SLOPE_SPREAD, OFFSET_SPREAD = 0.3, 0.5
"""Standard deviations of the words' calibrations around that of all words."""
SLACK = 0.05
"""How far below the wanted precision a word may be on tracks kept back, and still be written."""
FEWEST_WRITTEN = 5
"""Tracks kept back that have to be given a word, before it is known how often that is right."""
LIKELY = 0.5
"""What the lower end of its precision's interval needs, for a word to be written."""
AUDIBLE, CHANCE = 0.7, 0.55
"""ROC-AUC that a word needs to be called audible, and what the lower end of its interval needs."""
N_RESAMPLES, N_RESAMPLES_OF_RANKS = 400, 100

WRITTEN, SUGGESTED, INAUDIBLE = "written", "suggested", "inaudible"
"""Verdicts: precise enough to be written; told from others, but not precise enough; neither."""


@dataclass(frozen=True)
class Judged:
    """How well one word can be told. Intervals hold 95 % of results when groups are drawn again."""

    name: str
    n_tracks: int
    n_albums: int
    n_groups: int
    verdict: str
    threshold: float | None
    """Calibrated probability from which the word is written; None: never."""
    calibration: Calibration
    roc_auc: Score
    precision: Score
    """Share of the tracks given the word that have it."""
    coverage: Score
    """Share of the tracks that have the word which are given it."""
    wrong_for: Mapping[str, int]
    """The words of tracks that were given this one wrongly."""
    missed_for: Mapping[str, int]
    """What tracks that have the word were given instead."""


@dataclass(frozen=True)
class Judgement:
    """All words, and what was said about every track without its help."""

    words: tuple[Judged, ...]
    penalty: float
    probabilities: Table
    """(n, K), calibrated."""
    macro_roc_auc: Score


def judge(  # what is known of tracks
    rows: Real,
    curvature: Real,
    labels: Labels,
    group: Numbers,
    album: Numbers,
    field: str,
    *,
    tell: Callable[[int, int], None] = lambda *_: None,
) -> Judgement:
    """Judge each word on tracks that it was not learned from. `tell` hears how many of the fits are
    done, and how many there may be."""
    table = labels.table
    part = grouping.folds(group, table, N_FOLDS)
    penalty, said = _kept_back(rows, curvature, table, part, tell)
    probabilities = np.zeros(table.shape)
    written = np.zeros(table.shape, dtype=bool)
    for fold in range(N_FOLDS):
        here = part == fold
        curves = _calibrations(said[~here], table[~here])
        probabilities[here] = _calibrated(said[here], curves)
    for fold in range(N_FOLDS):
        here = part == fold
        thresholds = _thresholds(probabilities[~here], table[~here], PRECISION[field])
        written[here] = chosen(probabilities[here], thresholds, LIMITS[field])
    curves = _calibrations(said, table)
    thresholds = _thresholds(_calibrated(said, curves), table, PRECISION[field])
    scores, macro = _scores(said, table, written, group)
    n_groups = grouping.n_apart(group, table)
    n_albums = grouping.n_apart(album, table)
    words = []
    for k, name in enumerate(labels.names):
        verdict = _verdict(scores[k], thresholds[k], int(written[:, k].sum()), PRECISION[field])
        words.append(
            Judged(
                name,
                int(table[:, k].sum()),
                int(n_albums[k]),
                int(n_groups[k]),
                verdict,
                round(float(thresholds[k]), 5) if verdict == WRITTEN else None,
                curves[k],
                *scores[k],
                wrong_for=_others(labels, table[written[:, k] & ~table[:, k]]),
                missed_for=_others(labels, written[table[:, k] & ~written[:, k]], nothing=True),
            )
        )
    return Judgement(tuple(words), penalty, probabilities, macro)


def _kept_back(
    rows: Real, curvature: Real, table: Mask, part: Numbers, tell: Callable[[int, int], None]
) -> tuple[float, Table]:
    """The best strength, and the logits of every track by weights that have not seen it."""
    best, likeliest = (math.nan, np.zeros(table.shape)), math.inf
    starts = [head.beginning(table[part != fold], rows.shape[1]) for fold in range(N_FOLDS)]
    total = len(PENALTIES) * N_FOLDS
    for n, penalty in enumerate(PENALTIES):
        said = np.zeros(table.shape)
        for fold in range(N_FOLDS):
            others, here = part != fold, part == fold
            starts[fold] = head.fit(rows[others], table[others], curvature, penalty, starts[fold])
            said[here] = head.logits(rows[here], starts[fold])
            tell(n * N_FOLDS + fold + 1, total)
        loss = float((np.logaddexp(0, said) - table * said).mean())
        if loss > likeliest:
            break
        best, likeliest = (penalty, said), loss
    tell(total, total)
    return best


# ---------------------------------------------------------------- calibration and thresholds


def _calibrations(said: Table, table: Mask) -> list[Calibration]:
    """Each word's curve, held near the one of all words."""
    target = table.astype(np.float64)
    pooled = logistic(said.ravel(), target.ravel(), Calibration(), (1.0, 10.0))
    spread = SLOPE_SPREAD, OFFSET_SPREAD
    return [logistic(said[:, k], target[:, k], pooled, spread) for k in range(said.shape[1])]


def _calibrated(said: Table, curves: Sequence[Calibration]) -> Table:
    slopes = np.array([curve.slope for curve in curves])
    offsets = np.array([curve.offset for curve in curves])
    found: Table = (1 + np.tanh((said * slopes + offsets) / 2)) / 2
    return found


def _thresholds(probabilities: Table, table: Mask, wanted: float) -> Table:
    """(K,): the lowest candidate from which on a word is as precise as wanted, infinity where there
    is none. A word with few tracks is taken to be as precise as all words together."""
    n = len(CANDIDATES)
    # of each word, how many tracks reach each candidate, and how many of those are right
    reached = np.zeros((2, n, table.shape[1]))
    for c, candidate in enumerate(CANDIDATES):
        over = probabilities >= candidate
        reached[:, c] = over.sum(axis=0), (over & table).sum(axis=0)
    n_written, n_right = reached
    pooled = ratio(n_right.sum(axis=1), n_written.sum(axis=1))[:, None]
    pooled = np.where(np.isnan(pooled), CANDIDATES[:, None], pooled)
    precise = n_right + SHRINKAGE * pooled >= wanted * (n_written + SHRINKAGE)
    # from which on: a candidate counts if all that are higher do too, as far as they are reached
    precise = np.flip(np.logical_and.accumulate(np.flip(precise | (n_written == 0), 0), 0), 0)
    first = np.argmax(precise, axis=0)
    some = precise.any(axis=0) & (np.take_along_axis(n_written, first[None], 0)[0] > 0)
    return np.where(some, CANDIDATES[first], np.inf)


def chosen(probabilities: Table, thresholds: Table, most: int) -> Mask:
    """(n, K): which words a scan would write, as `decision.choose` does: the strongest."""
    p = np.clip(probabilities, 1e-6, 1 - 1e-6)
    bar = np.clip(thresholds, 1e-6, 1 - 1e-6)
    over = probabilities >= thresholds
    strength = np.where(over, p / (1 - p) * (1 - bar) / bar, -1.0)
    rank = np.argsort(np.argsort(-strength, axis=1, kind="stable"), axis=1)
    return np.asarray(over & (rank < most))


# ---------------------------------------------------------------- scores


def _scores(
    said: Table, table: Mask, written: Mask, group: Numbers
) -> tuple[list[tuple[Score, Score, Score]], Score]:
    """ROC-AUC, precision and coverage of each word, and the mean ROC-AUC."""
    weights = resampled([str(one) for one in group], N_RESAMPLES if len(said) < 20_000 else 100)
    right = weights @ (written & table)
    precisions = ratio(right, weights @ written)
    coverages = ratio(right, weights @ table)
    few = weights[: 1 + N_RESAMPLES_OF_RANKS]
    aucs = np.stack([roc_aucs(said[:, k], table[:, k], few) for k in range(table.shape[1])], axis=1)
    found = [
        (_score(aucs[:, k]), _score(precisions[:, k]), _score(coverages[:, k]))
        for k in range(table.shape[1])
    ]
    return found, _score(np.nanmean(aucs, axis=1))


def _score(values: Table) -> Score:
    return Score(float(values[0]), *interval(values[1:]))


def _verdict(
    scores: tuple[Score, Score, Score], threshold: float, n_written: int, wanted: float
) -> str:
    auc, precision, _ = scores
    if not (auc.value >= AUDIBLE and auc.low >= CHANCE):
        return INAUDIBLE
    precise = n_written >= FEWEST_WRITTEN and precision.value >= wanted - SLACK
    precise = precise and precision.low >= LIKELY
    return WRITTEN if precise and math.isfinite(threshold) else SUGGESTED


def _others(labels: Labels, rows: Mask, *, nothing: bool = False) -> dict[str, int]:
    """Words of some tracks, the commonest first; with `nothing`, how many have none, as ""."""
    counts = Counter(dict(zip(labels.names, rows.sum(axis=0).tolist(), strict=True)))
    if nothing:
        counts[""] = int((~rows.any(axis=1)).sum())
    return {name: n for name, n in counts.most_common() if n}
