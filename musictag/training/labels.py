"""What a model is told about each training example: the data set's labels, made better.

Soft labels come from other taggers and carry their errors. What is known
better moves them, by a weight for each kind of it: what people said, the
probabilities of models trained before, and doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musictag.training import people
from musictag.training.dataset import DataSet
from musictag.training.people import Evidence
from musictag.training.settings import TrainSettings
from musictag.vocabulary import Vocabulary

Labels = NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """How far each kind of evidence by people moves labels, from 0 to 1."""

    people: float = 0.0  # tags that people gave, up
    absence: float = 0.0  # genres that these rule out, down
    moods: float = 0.0  # quadrants and words of mood, up and down
    voice: float = 0.0  # voice or no voice, up and down

    @classmethod
    def of(cls, settings: TrainSettings) -> Weights:
        absence = settings.people if settings.absence is None else settings.absence
        return cls(settings.people, absence, settings.moods, settings.voice)


def hear_people(
    labels: Labels,
    dataset: DataSet,
    rows: Sequence[int],
    weights: Weights,
    vocabulary: Vocabulary,
) -> Labels:
    """(n, K) -> same, moved towards what people said about these rows of the data set.

    Tags about which nobody said anything stay as they are.
    """
    labels = labels.copy()
    columns = {tag: k for k, tag in enumerate(dataset.tags)}
    for row_labels, row in zip(labels, rows, strict=True):
        example = dataset.examples[row]
        genres = people.genres(example, vocabulary)
        _move(row_labels, columns, genres, up=weights.people, down=weights.absence)
        _move(row_labels, columns, people.moods(example), up=weights.moods, down=weights.moods)
        voice = people.voice(example, vocabulary)
        _move(row_labels, columns, voice, up=weights.voice, down=weights.voice)
    return labels


def _move(
    labels: Labels, columns: Mapping[str, int], evidence: Evidence, *, up: float, down: float
) -> None:
    """Move one example's labels (K,) in place. Of alternatives the likeliest one moves up."""
    absent = [columns[tag] for tag in evidence.absent if tag in columns]
    labels[absent] *= 1 - down
    for tags in evidence.present:
        if known := sorted(columns[tag] for tag in tags if tag in columns):
            likeliest = max(known, key=labels.__getitem__)
            labels[likeliest] += up * (1 - labels[likeliest])


def hear_teachers(labels: Labels, opinions: Sequence[Labels], weight: float) -> Labels:
    """(n, K) -> same, `weight` of the way towards the mean of other models' probabilities."""
    moved: Labels = (1 - weight) * labels + weight * np.mean(opinions, axis=0, dtype=np.float32)
    return moved


def doubt(labels: Labels, weight: float) -> Labels:
    """(n, K) -> same, `weight` of the way towards each tag's mean: label smoothing."""
    moved: Labels = (1 - weight) * labels + weight * labels.mean(axis=0, dtype=np.float32)
    return moved


def loss_weights(shares: Sequence[float], balance: float) -> Labels:
    """(K,) weights of the tags' losses, share ** -balance, with a mean of 1."""
    weights = np.clip(np.asarray(shares, dtype=np.float64), 1e-3, 1) ** -balance
    normalised: Labels = (weights / weights.mean()).astype(np.float32)
    return normalised
