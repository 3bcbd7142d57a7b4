"""What a model is told about each training example: the data set's labels, made better.

Soft labels come from other taggers and carry their errors. Three things are
known to help against that, each with a weight of its own in the settings:
genres that people gave, the opinion of models trained before, and doubt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from musictag.training.dataset import DataSet
from musictag.vocabulary import Vocabulary

Labels = NDArray[np.float32]


def hear_people(
    labels: Labels, dataset: DataSet, rows: Sequence[int], weight: float, vocabulary: Vocabulary
) -> Labels:
    """(n, K) -> same, moved by `weight` of the way towards the genres that people gave.

    A genre that is a tag becomes likelier; the genres that a listener would not
    let stand for it become less so. Other genres and other tags stay as they are.
    """
    labels = labels.copy()
    columns = {tag: k for k, tag in enumerate(dataset.tags)}
    for i, row in enumerate(rows):
        genre = dataset.examples[row].genre
        compatible = vocabulary.compatible(genre)
        if compatible is None:
            continue
        wrong = [
            columns[tag]
            for value in vocabulary.in_field("GENRE")
            if value.name not in compatible
            for tag in value.tags
            if tag in columns
        ]
        labels[i, wrong] *= 1 - weight
        if genre in columns:
            labels[i, columns[genre]] += weight * (1 - labels[i, columns[genre]])
    return labels


def hear_teachers(labels: Labels, opinions: Sequence[Labels], weight: float) -> Labels:
    """(n, K) -> same, `weight` of the way towards the mean of other models' probabilities."""
    moved: Labels = (1 - weight) * labels + weight * np.mean(opinions, axis=0, dtype=np.float32)
    return moved


def doubt(labels: Labels, weight: float) -> Labels:
    """(n, K) -> same, `weight` of the way towards each tag's mean: label smoothing."""
    moved: Labels = (1 - weight) * labels + weight * labels.mean(axis=0, dtype=np.float32)
    return moved
