"""How sure a model has to be before a value is written, learned where it did not learn.

People decide where they were asked: each value's probability is calibrated so
that 0.7 means that seven of ten listeners would let the value stand, and each
field gets the lowest threshold whose written values are right as often as
wanted. Where nobody was asked, or said no more than a family, the data set's
labels stand in for people.

A validation split has a few tracks per genre, so nothing is learned from one
value alone: a value's calibration starts from that of its whole field and moves
as far as its own tracks carry it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musictag.decision import LIMITS, choose
from musictag.training.dataset import DataSet
from musictag.training.judgements import judgements
from musictag.training.scores import Mask, Table, binarise, by_track, merge_values, value_shares
from musictag.vocabulary import FIELDS, Calibration, Vocabulary

PRECISION: Mapping[str, float] = {"GENRE": 0.8, "MOOD": 0.7, "INSTRUMENT": 0.7, "VOCALS": 0.9}
"""Field → share of the written values that listeners should let stand."""
ENOUGH_TRACKS = 20
"""Tracks with people's words that a field needs, before people decide about it."""
CANDIDATES = np.arange(0.3, 0.951, 0.01)
"""Thresholds that are tried."""
LOWEST_BY_PEOPLE = 0.45
"""Lowest threshold where people decide: far below a half a value is likelier wrong than right.
Labels tell less: many of their noes are yeses that nobody wrote down."""
N_FOLDS = 5
"""Parts of the validation tracks, each judged by calibrations learned from the others."""
SPEECH = 0.8
"""Lowest threshold for what is not music: a skipped song is worse than a tagged sermon."""

SLOPE_SPREAD, OFFSET_SPREAD = 0.5, 1.0
"""Standard deviations of the values' calibrations around that of their field. Half or twice as much
predicts validation tracks that were kept back no better."""
FLATTEST = 0.05
"""Smallest slope of a calibration."""
TINY = 1e-7
"""Step of a calibration that is not worth another one."""
SHRINKAGE = 10
"""Tracks written with just the wanted precision that are added to those of each value."""
SLACK = 0.05
"""How far below the wanted precision one value may stay before its threshold is raised."""

SURE = 0.3
"""Label from which a track counts as yes, however common the value is in the data set."""
SURE_OF: Mapping[str, float] = {
    "Instrumental": 0.5,
    "Vocals": 0.1,
    "Female": 0.2,
    "Male": 0.15,
    "Danceable": 0.5,
    "Acoustic": 0.5,
}
"""Value → label from which a track counts as yes, where it is not SURE. Of 152 tracks that state
whether there is a voice, those without one have labels from 0.42 for Instrumental (nine of ten of
the others up to 0.24) and up to 0.03 for Vocals (nine of ten of the others from 0.06). Singers have
several tags that mean the same, of which people used one: each is rarer than the singers."""
CONFIRMED: Mapping[str, float] = {"VOCALS": 0.95}
"""Field → share of the labels' yeses that people confirm: measured for voices; CONFIRMED_ELSEWHERE
otherwise, so that nothing looks surer by labels than it does by people."""
CONFIRMED_ELSEWHERE = 0.8
MISSED = 0.05
"""Share of the labels' noes that people would not confirm."""
LOWEST = 0.2
"""Lowest threshold where the labels decide."""


def fit(
    probabilities: NDArray[np.floating[Any]],
    dataset: DataSet,
    rows: Sequence[int],
    vocabulary: Vocabulary,
    *,
    n_resamples: int = 100,
) -> Vocabulary:
    """The vocabulary with thresholds and calibration, from what was heard: (n rows, K).

    Without people's words on enough tracks there is no calibration, and
    thresholds are those of `by_labels`.
    """
    table, tracks = by_track(
        np.asarray(probabilities, np.float64), [dataset.examples[row].track for row in rows]
    )
    evidence = _evidence(table, tracks, dataset, rows, vocabulary)
    speech = {value.name: SPEECH for value in vocabulary.not_music}
    if evidence is None:
        found = by_labels(probabilities, dataset, rows, vocabulary, n_resamples=n_resamples)
        return vocabulary.with_thresholds({**found, **speech})
    calibration = _calibrations(evidence, vocabulary, np.ones(len(tracks), dtype=bool))
    calibrated = vocabulary.with_calibration(calibration)
    thresholds = _thresholds(table, dataset.tags, evidence, vocabulary, n_resamples)
    heard = _agreement(evidence, calibrated)
    found = {
        name: round(_in_a_gap(thresholds[name], heard[:, v]), 5)
        for v, name in enumerate(evidence.names)
    }
    return calibrated.with_thresholds({**found, **speech})


# ---------------------------------------------------------------- what is known


@dataclass(frozen=True)
class _Evidence:
    """What was heard and what is right: (n_tracks, n_values) each."""

    names: tuple[str, ...]
    heard: Table
    known: Mask
    right: Mask  # whether it would be let stand
    target: Table  # how likely it is that a listener would agree
    by_people: frozenset[str]  # values about which people were asked


def _evidence(
    table: Table,
    tracks: Sequence[str],
    dataset: DataSet,
    rows: Sequence[int],
    vocabulary: Vocabulary,
) -> _Evidence | None:
    """None where people were asked too little to learn anything from them."""
    said = judgements(dataset, rows, vocabulary)
    assert list(said.tracks) == list(tracks)
    heard, names = merge_values(table, dataset.tags, vocabulary)
    columns = [said.names.index(name) for name in names]
    asked, stands, left_open = (mask[:, columns] for mask in (said.asked, said.stands, said.open))
    fields = np.array([vocabulary.by_name[name].field for name in names])
    n_asked = {field: asked[:, fields == field].any(axis=1).sum() for field in FIELDS}
    by_people = [field for field in FIELDS if n_asked[field] >= ENOUGH_TRACKS]
    if not by_people:
        return None
    labels = by_track(
        dataset.labels[list(rows)].astype(np.float64), [dataset.examples[row].track for row in rows]
    )[0]
    positive = _positives(labels, dataset, vocabulary)
    people = np.isin(fields, by_people) & asked.any(axis=0)
    from_people = people & ~left_open
    confirmed = np.array([CONFIRMED.get(field, CONFIRMED_ELSEWHERE) for field in fields])
    return _Evidence(
        tuple(names),
        heard,
        np.where(people, asked, True),
        np.where(people, stands, positive),
        np.where(from_people, stands, np.where(positive, confirmed, MISSED)),
        frozenset(name for name, told in zip(names, people, strict=True) if told),
    )


def _groups(evidence: _Evidence, vocabulary: Vocabulary) -> dict[tuple[str, bool], list[int]]:
    """Field and whether people decide → columns of the values that learn from each other."""
    groups: dict[tuple[str, bool], list[int]] = {}
    for v, name in enumerate(evidence.names):
        key = vocabulary.by_name[name].field, name in evidence.by_people
        groups.setdefault(key, []).append(v)
    return groups


def _positives(labels: Table, dataset: DataSet, vocabulary: Vocabulary) -> Mask:
    """(n_tracks, K) labels -> (n_tracks, n_values): yes at each value's prevalence and wherever
    the label is SURE, since a data set may hold more rock than the world."""
    merged, names = merge_values(labels, dataset.tags, vocabulary)
    shares = value_shares(dataset.shares, vocabulary)
    sure = np.array([SURE_OF.get(name, SURE) for name in names])
    return binarise(merged, [shares[name] for name in names]) | (merged >= sure)


# ---------------------------------------------------------------- calibration


def _calibrations(
    evidence: _Evidence, vocabulary: Vocabulary, learned_from: Mask
) -> dict[str, Calibration]:
    """Value → calibration, learned from some of the tracks."""
    logits = _logit(evidence.heard)
    found: dict[str, Calibration] = {}
    for columns in _groups(evidence, vocabulary).values():
        known = evidence.known[:, columns] & learned_from[:, None]
        pooled = logistic(
            logits[:, columns][known],
            evidence.target[:, columns][known],
            Calibration(),
            (1.0, 10.0),
        )
        for v in columns:
            some = evidence.known[:, v] & learned_from
            found[evidence.names[v]] = logistic(
                logits[some, v], evidence.target[some, v], pooled, (SLOPE_SPREAD, OFFSET_SPREAD)
            )
    return found


def logistic(x: Table, y: Table, start: Calibration, spread: tuple[float, float]) -> Calibration:
    """The likeliest curve for logits x and answers y, if curves are normally distributed around
    `start`: Newton's method, with steps halved until they lead downhill. The slope stays positive,
    so that surer is never less."""
    prior, precision = np.array([start.slope, start.offset]), 1 / np.square(spread)
    design = np.stack([x, np.ones_like(x)], axis=1)

    def loss(curve: Table) -> float:
        z = design @ curve
        likelihood = np.logaddexp(0.0, z).sum() - z @ y
        return float(likelihood + precision @ (curve - prior) ** 2 / 2)

    curve = prior.copy()
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ curve))
        gradient = design.T @ (p - y) + precision * (curve - prior)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        while loss(curve - step) > loss(curve) and np.abs(step).max() > TINY:
            step /= 2
        curve = curve - step
        if np.abs(step).max() <= TINY:
            break
    return Calibration(round(max(float(curve[0]), FLATTEST), 5), round(float(curve[1]), 5))


def _agreement(evidence: _Evidence, vocabulary: Vocabulary) -> Table:
    """What was heard, calibrated."""
    calibrate = [np.vectorize(vocabulary.by_name[name].calibrated) for name in evidence.names]
    columns = [one(evidence.heard[:, v]) for v, one in enumerate(calibrate)]
    return np.stack(columns, axis=1)


def _logit(probabilities: Table) -> Table:
    p = np.clip(probabilities, 1e-6, 1 - 1e-6)
    logits: Table = np.log(p / (1 - p))
    return logits


# ---------------------------------------------------------------- thresholds


def _thresholds(
    table: Table,
    tags: Sequence[str],
    evidence: _Evidence,
    vocabulary: Vocabulary,
    n_resamples: int,
) -> dict[str, float]:
    """Value → threshold of its calibrated probability.

    Every track is decided by calibrations that were learned without it. All
    values that learn from each other share the lowest threshold that is precise, the median over
    resampled tracks; it is raised for a value that stays behind.
    """
    written = _written(table, tags, evidence, vocabulary)  # (n candidates, n_tracks, n_values)
    right = written & evidence.right
    generator = np.random.default_rng(0)
    n_tracks = len(table)
    draws = [
        np.bincount(generator.integers(n_tracks, size=n_tracks), minlength=n_tracks)
        for _ in range(n_resamples)
    ]
    found = {}
    for (field, by_people), columns in _groups(evidence, vocabulary).items():
        wanted = PRECISION[field]
        lowest_of_all = LOWEST_BY_PEOPLE if by_people else CANDIDATES[0]
        all_written = written[:, :, columns].sum(axis=2)  # (n candidates, n_tracks)
        all_right = right[:, :, columns].sum(axis=2)
        lowest = [_lowest(all_right @ draw, all_written @ draw, wanted) for draw in draws]
        shared = max(float(np.median(lowest)), lowest_of_all)
        for v in columns:
            n_written = written[:, :, v].sum(axis=1) + SHRINKAGE
            n_right = right[:, :, v].sum(axis=1) + SHRINKAGE * wanted
            own = _lowest(n_right, n_written, wanted - SLACK)
            found[evidence.names[v]] = max(shared, own)
    return found


def _lowest(right: Table, written: Table, wanted: float) -> float:
    """The lowest candidate from which on at least so many of the written values are right; the
    highest candidate where there is none."""
    precise = right >= wanted * written
    return float(CANDIDATES[int(np.argmax(precise))] if precise.any() else CANDIDATES[-1])


def _written(
    table: Table, tags: Sequence[str], evidence: _Evidence, vocabulary: Vocabulary
) -> Mask:
    """(n candidates, n_tracks, n_values): what would be written, where it is known to be right or
    wrong."""
    place = {name: v for v, name in enumerate(evidence.names)}
    written = np.zeros((len(CANDIDATES), *evidence.heard.shape), dtype=bool)
    fold_of = np.random.default_rng(1).permutation(len(table)) % N_FOLDS
    for fold in range(N_FOLDS):
        curves = _calibrations(evidence, vocabulary, fold_of != fold)
        calibrated = vocabulary.with_calibration(curves)
        for c, threshold in enumerate(CANDIDATES.tolist()):
            one = calibrated.with_thresholds(dict.fromkeys(evidence.names, threshold))
            for t in np.flatnonzero(fold_of == fold):
                chosen = choose(dict(zip(tags, table[t].tolist(), strict=True)), one, limits=LIMITS)
                for names in chosen.values():
                    written[c, t, [place[name] for name in names]] = True
    return written & evidence.known


def _in_a_gap(threshold: float, heard: NDArray[np.float64], *, width: float = 0.01) -> float:
    """The middle of the widest gap within `width` above the threshold, so that no rounding of the
    weights moves a track across it."""
    ends = (threshold, threshold + width)
    inside = heard[(heard > ends[0]) & (heard < ends[1])]
    points = np.sort(np.concatenate([inside, ends]))
    widest = int(np.argmax(np.diff(points)))
    return float(points[widest] + points[widest + 1]) / 2


# ---------------------------------------------------------------- without people


def by_labels(
    probabilities: NDArray[np.floating[Any]],
    dataset: DataSet,
    rows: Sequence[int],
    vocabulary: Vocabulary,
    *,
    n_resamples: int = 100,
) -> dict[str, float]:
    """Value → threshold of the probability as it is, for a data set without people's words.

    Chosen on tracks, since it is tracks that are decided, where F1 is highest
    against the merged labels. With a handful of yeses one track moves that
    maximum a lot, so it is looked for in resampled sets of tracks and the median
    taken. Never below LOWEST, nor below twice the prevalence (as far as 0.5): a
    word that fits any track nearly as well says nothing about this one.
    """
    tracks = [dataset.examples[row].track for row in rows]
    table = by_track(np.asarray(probabilities, np.float64), tracks)[0]
    heard, names = merge_values(table, dataset.tags, vocabulary)
    labels = by_track(dataset.labels[list(rows)].astype(np.float64), tracks)[0]
    positive = _positives(labels, dataset, vocabulary)
    shares = value_shares(dataset.shares, vocabulary)
    generator = np.random.default_rng(0)
    draws = [generator.integers(len(heard), size=len(heard)) for _ in range(n_resamples)]
    thresholds = {}
    for v, name in enumerate(names):
        found = [_best_threshold(heard[draw, v], positive[draw, v]) for draw in draws]
        known = [threshold for threshold in found if threshold is not None]
        best = float(np.median(known)) if known else 0.5
        lowest = max(best, LOWEST, min(2 * shares[name], 0.5))
        thresholds[name] = round(_in_a_gap(lowest, heard[:, v]), 5)
    return thresholds


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


# ---------------------------------------------------------------- comparing


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
        return [
            choose(dict(zip(dataset.tags, row.tolist(), strict=True)), vocabulary, limits=LIMITS)
            for row in table
        ]

    return sum(one != two for one, two in zip(decided(heard), decided(other), strict=True))
