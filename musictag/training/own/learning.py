"""Summaries of tagged tracks → a head for the words in their tags, and how well it can be trusted.

    learned = learn(tracks, "GENRE")
    learned.judgement.words             # a verdict for each word
    save(learned, directory, base=base, name="my-words")

The head is learned from all tracks with the strength that was best on those kept back, and only for
words that can be told by ear.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musictag.errors import DataSetError
from musictag.hearing import own
from musictag.hearing.arrays import Real
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.head import Head
from musictag.training.own import groups as grouping
from musictag.training.own import head, judging
from musictag.training.own.groups import Origin
from musictag.training.own.judging import INAUDIBLE, Judgement
from musictag.training.own.words import Labels, key_of, labels
from musictag.vocabulary import Value, Vocabulary

MIN_COUNT = 15
"""Tracks that a word needs."""
MIN_GROUPS = judging.N_FOLDS
"""Groups that a word needs, so that every part of the cross-validation may have one."""

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Track:
    """A track as learning sees it."""

    words: Sequence[str]
    """What its field says, mapped and split; empty for one that is not tagged."""
    mean: Real
    """(S,)"""
    spread: Real
    """(S,)"""
    origin: Origin


@dataclass(frozen=True)
class Learned:
    """What was learned, and from which of the tracks."""

    field: str
    labels: Labels
    rows: tuple[int, ...]
    """The tracks that were learned from, by their places in the list."""
    contradictory: tuple[int, ...]
    """Tracks of the same sound that have no word in common. Nothing was learned from them."""
    judgement: Judgement
    head: Head
    """For the audible words, in order."""
    digest: str
    """Of what was learned from: summaries and words."""

    @property
    def audible(self) -> list[int]:
        """Columns of the words that the head knows."""
        return [k for k, word in enumerate(self.judgement.words) if word.verdict != INAUDIBLE]

    def vocabulary(self) -> Vocabulary:
        """The audible words, with thresholds where they are to be written."""
        words = [self.judgement.words[k] for k in self.audible]
        return Vocabulary(
            tuple(
                Value(
                    word.name,
                    self.field,
                    (word.name,),
                    threshold=word.threshold,
                    calibration=word.calibration,
                )
                for word in words
            )
        )


@dataclass(frozen=True)
class Learnable:
    """Which words can be learned, and from which of the tracks."""

    labels: Labels
    rows: tuple[int, ...]
    contradictory: tuple[int, ...]
    """As in Learned."""
    group: grouping.Numbers
    album: grouping.Numbers
    """Of each of the rows."""


def learnable(
    words: Sequence[Sequence[str]],
    origins: Sequence[Origin],
    field: str,
    min_count: int = MIN_COUNT,
) -> Learnable:
    """What can be learned from tracks with these words; errors as in `learn`. It needs no
    summaries, so that it can be asked before anything is heard."""
    rows, contradictory = _distinct(words, origins)
    found = labels([words[row] for row in rows], field, min_count=min_count)
    group, album = (number[rows] for number in grouping.groups(origins))
    if len(np.unique(group)) == 1:
        raise DataSetError(
            f"all {len(rows):,} tagged files belong to one album or one artist: "
            "nothing tells how a word sounds elsewhere"
        )
    found = _in_groups(found, grouping.n_apart(group, found.table))
    if len(found.names) < 2:
        raise DataSetError(
            f"no two {field.lower()}s are in {MIN_GROUPS} groups of files that share no album and "
            "no artist: tag more albums"
        )
    return Learnable(found, tuple(rows), tuple(contradictory), group, album)


def learn(
    tracks: Sequence[Track],
    field: str,
    *,
    min_count: int = MIN_COUNT,
    tell: Tell = lambda *_: None,
) -> Learned:
    """Learn the words of tagged tracks. DataSetError, in one sentence, where there is nothing to
    learn; its `args` do not depend on file names."""
    which = learnable([t.words for t in tracks], [t.origin for t in tracks], field, min_count)
    found, group, album = which.labels, which.group, which.album
    tagged = [tracks[row] for row in which.rows]
    means = np.stack([track.mean for track in tagged])
    spreads = np.stack([track.spread for track in tagged])
    space = head.Space.of(means, spreads)
    judgement = judging.judge(space.rows, space.curvature, found, group, album, field, tell=tell)
    weights = head.beginning(found.table, space.rows.shape[1])
    weights = head.fit(space.rows, found.table, space.curvature, judgement.penalty, weights)
    audible = [k for k, word in enumerate(judgement.words) if word.verdict != INAUDIBLE]
    return Learned(
        field,
        found,
        which.rows,
        which.contradictory,
        judgement,
        space.head(weights[audible]),
        _digest(means, spreads, found),
    )


def _distinct(
    words: Sequence[Sequence[str]], origins: Sequence[Origin]
) -> tuple[list[int], list[int]]:
    """The tagged tracks, each sound once; and those whose sound has words that contradict."""
    first: dict[bytes, int] = {}
    rows: list[int] = []
    contradictory: set[int] = set()
    for row, (some, origin) in enumerate(zip(words, origins, strict=True)):
        if not some:
            continue
        other = first.setdefault(origin.sound, row) if origin.sound else row
        if other == row:
            rows.append(row)
        elif not set(map(key_of, some)) & set(map(key_of, words[other])):
            contradictory |= {row, other}
    return [row for row in rows if row not in contradictory], sorted(contradictory)


def _in_groups(found: Labels, n_apart: grouping.Numbers) -> Labels:
    """The words that are in enough groups."""
    enough = [k for k, n in enumerate(n_apart.tolist()) if n >= MIN_GROUPS]
    few = {
        found.names[k]: f"{int(found.table[:, k].sum())} tracks of only {n} album"
        f"{'s' * (n != 1)} or artist{'s' * (n != 1)}, {MIN_GROUPS} are needed"
        for k, n in enumerate(n_apart.tolist())
        if n < MIN_GROUPS
    }
    return found.only(enough, few)


def _digest(means: Real, spreads: Real, found: Labels) -> str:
    digest = hashlib.sha256(json.dumps(found.names).encode())
    for array in (means, spreads, found.table):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------- doubt


@dataclass(frozen=True)
class Doubt:
    """A track whose own word is hard to hear in it."""

    row: int
    """Its place in the list of tracks."""
    word: str
    probability: float
    """That it has this word, by a head that was learned without its album and artist."""
    rather: str
    """The likeliest of the words that it has not."""
    probability_of_that: float


def doubts(learned: Learned) -> list[Doubt]:
    """One for each track with an audible word: the least likely of its words, and the least likely
    track first."""
    audible = learned.audible
    said = learned.judgement.probabilities[:, audible]
    has = learned.labels.table[:, audible]
    names = [learned.labels.names[k] for k in audible]
    found = []
    for n, row in enumerate(learned.rows):
        if has[n].any():
            least = int(np.argmin(np.where(has[n], said[n], np.inf)))
            other = int(np.argmax(np.where(has[n], -1.0, said[n])))
            rather = ("", 0.0) if has[n, other] else (names[other], float(said[n, other]))
            found.append(Doubt(row, names[least], float(said[n, least]), *rather))
    return sorted(found, key=lambda doubt: doubt.probability)


# ---------------------------------------------------------------- saving


def check_audible(learned: Learned) -> None:
    """DataSetError if there is nothing to save."""
    if not learned.audible:
        raise DataSetError(
            f"none of the {len(learned.labels.names)} {learned.field.lower()}s can be told by ear: "
            "nothing was saved"
        )


def save(
    learned: Learned, directory: Path, *, base: Checkpoint, name: str, with_base: bool = True
) -> Checkpoint:
    """Write a model of one's own words. It holds no music, no names of files or people, and no
    values but its own."""
    check_audible(learned)
    return own.save(
        directory,
        learned.head,
        base=base,
        vocabulary=learned.vocabulary(),
        name=name,
        training=_described(learned),
        with_base=with_base,
    )


def _described(learned: Learned) -> Mapping[str, Any]:
    """For people: from how much was learned, and how well the words can be told."""
    judgement = learned.judgement
    return {
        "field": learned.field,
        "learned_from_sha256": learned.digest,
        "n_tracks": len(learned.rows),
        "penalty": judgement.penalty,
        "macro_roc_auc": round(judgement.macro_roc_auc.value, 5),
        "words": {
            word.name: {
                "tracks": word.n_tracks,
                "groups": word.n_groups,
                "verdict": word.verdict,
                "roc_auc": _rounded(word.roc_auc.value),
                "precision": _rounded(word.precision.value),
                "coverage": _rounded(word.coverage.value),
            }
            for word in (judgement.words[k] for k in learned.audible)
        },
    }


def _rounded(number: float) -> float | None:
    return None if np.isnan(number) else round(number, 5)
