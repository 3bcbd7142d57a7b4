"""How a model's words compare with people's: genres, moods and voices of whole tracks.

Values are chosen as a scan would choose them. A written value is right when a
listener who gave these words would let it stand (see `judgements`). Intervals
hold 95 % of the results when whole tracks are drawn again with replacement.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from musictag.decision import LIMITS, choose
from musictag.training.dataset import DataSet, Example
from musictag.training.judgements import (
    genres_that_stand,
    is_genre,
    judgements,
    named,
    one_per_track,
)
from musictag.training.scores import Mask, Table, interval, mean, ratio, resampled, roc_aucs
from musictag.vocabulary import Vocabulary

ENOUGH_TRACKS = 5
"""Tracks that a genre needs to count in the macro average."""
MOST_NAMED = 3
"""Other words named for each value, at most."""
HALVES: Mapping[str, frozenset[str]] = {
    "energetic": frozenset({"Q1", "Q2"}),
    "happy": frozenset({"Q1"}),
}
"""Tag → the quadrants of mood in which people would give it. Peaceful music (Q4) is pleasant, but
not what people call happy."""

People = Sequence[frozenset[str]]
"""What people said of one track, see `Example.people`."""


def judge_people(
    heard: Table,
    dataset: DataSet,
    rows: Sequence[int],
    vocabulary: Vocabulary,
    *,
    n_resamples: int,
) -> dict[str, Any]:
    """Everything people said of these examples' tracks against what was heard of each track:
    (n_tracks, K), in the order of the tracks. Empty where they said nothing."""
    examples = list(one_per_track(dataset, rows).values())
    found = judge_genres(
        heard,
        dataset.tags,
        [example.people for example in examples],
        vocabulary,
        n_resamples=n_resamples,
    )
    moods = _judge_moods(heard, dataset.tags, examples, n_resamples)
    voice = _judge_voice(heard, dataset.tags, examples, vocabulary, n_resamples)
    values = _judge_values(heard, dataset, rows, vocabulary)
    sections = {"moods": moods, "voice": voice, "values": values}
    return found | {name: section for name, section in sections.items() if section}


# ---------------------------------------------------------------- genres


def judge_genres(
    heard: Table,
    tags: Sequence[str],
    people: Sequence[People],
    vocabulary: Vocabulary,
    *,
    n_resamples: int,
) -> dict[str, Any]:
    """Genres as they would be written, against what people said.

    Only tracks that people gave one of the vocabulary's genres count. coverage:
    share of them for which a genre is written; precision: share of written
    genres that are right or compatible, precision_first the same for the first
    one; roc_auc: each genre's tag against the other tracks, without those of
    which people said that it may be that genre or another. `confusion` counts
    the first genre written, "" for none.
    """
    known = [i for i, words in enumerate(people) if _labels(words, vocabulary)]
    if not known:
        return {}
    confusion: dict[str, Counter[str]] = {}
    written, right, first_right = np.zeros((3, len(known)), dtype=np.intp)  # values per track
    for n, i in enumerate(known):
        chosen = _chosen(heard[i], tags, vocabulary)["GENRE"]
        stands = genres_that_stand(people[i], vocabulary) or frozenset()
        first = chosen[0] if chosen else ""
        for label in _labels(people[i], vocabulary):
            confusion.setdefault(label, Counter())[first] += 1
        written[n] = len(chosen)
        right[n] = sum(genre in stands for genre in chosen)
        first_right[n] = first in stands
    weights = resampled([str(i) for i in known], n_resamples)
    n_tracks, n_with = weights.sum(axis=1), weights @ (written > 0)
    shares = {
        "coverage": ratio(n_with, n_tracks),
        "precision": ratio(weights @ right, weights @ written),
        "precision_first": ratio(weights @ first_right, n_with),
    }
    aucs, n_of = _genre_aucs(heard[known], tags, [people[i] for i in known], vocabulary, weights)
    macro = np.array([aucs[genre] for genre in aucs if n_of[genre] >= ENOUGH_TRACKS])
    averages = (
        np.array([mean(column) for column in macro.T]) if len(macro) else np.array([math.nan])
    )
    return {
        "n_tracks": len(known),
        **{name: float(values[0]) for name, values in shares.items()},
        **{f"{name}_95": [*interval(values[1:])] for name, values in shares.items()},
        "roc_auc": {genre: float(values[0]) for genre, values in aucs.items()},
        "n_of_genre": n_of,
        "macro_roc_auc": float(averages[0]),
        "macro_roc_auc_95": [*interval(averages[1:])],
        "n_genres": len(macro),
        "confusion": {label: dict(counts) for label, counts in confusion.items()},
        "genres": [value.name for value in vocabulary.in_field("GENRE")],
    }


def _labels(words: People, vocabulary: Vocabulary) -> list[str]:
    """The genres that people gave, alternatives joined: pop|rock."""
    genres = [sorted(word for word in some if is_genre(word, vocabulary)) for some in words]
    return ["|".join(some) for some in genres if some]


def _genre_aucs(
    heard: Table,
    tags: Sequence[str],
    people: Sequence[People],
    vocabulary: Vocabulary,
    weights: Table,
) -> tuple[dict[str, Table], dict[str, int]]:
    """Genre → ROC-AUC in each resample, and on how many tracks people gave it."""
    aucs, n_of = {}, {}
    columns = {tag: k for k, tag in enumerate(tags)}
    said = [[some for some in words if len(some) == 1] for words in people]
    for genre in sorted({word for words in said for some in words for word in some}):
        if genre not in columns or not is_genre(genre, vocabulary):
            continue
        positive = np.array([frozenset({genre}) in words for words in said])
        maybe = np.array([any(genre in some for some in words) for words in people]) & ~positive
        aucs[genre] = roc_aucs(heard[:, columns[genre]], positive, weights * ~maybe)
        n_of[genre] = int(positive.sum())
    return aucs, n_of


def _chosen(
    row: Table, tags: Sequence[str], vocabulary: Vocabulary
) -> Mapping[str, tuple[str, ...]]:
    return choose(dict(zip(tags, row.tolist(), strict=True)), vocabulary, limits=LIMITS)


# ---------------------------------------------------------------- moods and voices


def _judge_moods(
    heard: Table, tags: Sequence[str], examples: Sequence[Example], n_resamples: int
) -> dict[str, Any]:
    """ROC-AUC of the tags that tell halves of the plane of moods apart."""
    asked = [i for i, example in enumerate(examples) if example.quadrant]
    halves = {tag: quadrants for tag, quadrants in HALVES.items() if tag in tags}
    if not asked or not halves:
        return {}
    found: dict[str, Any] = {"n_tracks": len(asked)}
    for tag, quadrants in halves.items():
        positive = np.array([examples[i].quadrant in quadrants for i in asked])
        found |= _auc(f"{tag}_roc_auc", heard[asked, tags.index(tag)], positive, n_resamples)
    return found


def _judge_voice(
    heard: Table,
    tags: Sequence[str],
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    n_resamples: int,
) -> dict[str, Any]:
    """ROC-AUC of "Instrumental" on tracks that state whether there is a voice."""
    asked = [i for i, example in enumerate(examples) if example.voice is not None]
    value = vocabulary.by_name.get("Instrumental")
    columns = [tags.index(tag) for tag in value.tags if tag in tags] if value else []
    if not asked or not columns:
        return {}
    silent = np.array([not examples[i].voice for i in asked])
    found = {"n_tracks": len(asked), "n_instrumental": int(silent.sum())}
    values = heard[np.ix_(asked, columns)].max(axis=1)
    return found | _auc("roc_auc", values, silent, n_resamples)


def _auc(name: str, values: Table, positive: Mask, n_resamples: int) -> dict[str, Any]:
    weights = resampled([str(i) for i in range(len(values))], n_resamples)
    aucs = roc_aucs(values, positive, weights)
    return {name: float(aucs[0]), f"{name}_95": [*interval(aucs[1:])]}


# ---------------------------------------------------------------- value by value


def _judge_values(
    heard: Table, dataset: DataSet, rows: Sequence[int], vocabulary: Vocabulary
) -> dict[str, Any]:
    """Value → how often it is written and rightly so, how often what people said is found, and
    what it is confused with."""
    said = judgements(dataset, rows, vocabulary)
    if not said.asked.any():
        return {}
    examples = list(one_per_track(dataset, rows).values())
    chosen = [_chosen(row, dataset.tags, vocabulary) for row in heard]
    found: dict[str, Any] = {}
    for v, value in enumerate(vocabulary.values):
        asked, stands = said.asked[:, v], said.stands[:, v]
        if value.field == "VOCALS":  # who hears a voice has said nothing of whose it is
            asked = asked & ~said.open[:, v]
        written = np.array([value.name in fields[value.field] for fields in chosen])
        given = np.array([value.name in named(example, vocabulary) for example in examples])
        given &= asked
        n_written = int((written & asked).sum())
        if not n_written and not given.any():
            continue
        wrong = [examples[t] for t in np.flatnonzero(written & asked & ~stands)]
        missed = [chosen[t][value.field] for t in np.flatnonzero(given & ~written)]
        found[value.name] = {
            "n_said": int(given.sum()),
            "n_written": n_written,
            "precision": _share(written & asked & stands, written & asked),
            "coverage": _share(written & given, given),
            "wrong_for": _commonest(
                word for example in wrong for word in _words(example, value.field)
            ),
            "missed_for": _commonest(name for names in missed for name in names or ("",)),
        }
    return found


def _share(some: Mask, of: Mask) -> float:
    return float(some.sum() / of.sum()) if of.any() else math.nan


def _words(example: Example, field: str) -> list[str]:
    if field == "GENRE":
        return ["|".join(sorted(some)) for some in example.people]
    if field == "MOOD":
        return [example.quadrant] if example.quadrant else []
    return ["voice" if example.voice else "no voice"]


def _commonest(words: Any) -> dict[str, int]:
    return dict(Counter(words).most_common(MOST_NAMED))
