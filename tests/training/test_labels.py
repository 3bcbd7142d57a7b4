"""What training examples are taught as: people over taggers, other models, doubt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from musictag.training import labels
from musictag.training.dataset import DataSet, Example
from musictag.vocabulary import magnatagatune

TAGS = ("rock", "classical", "classic", "metal", "slow")


def data_set(*genres: str) -> DataSet:
    examples = tuple(
        Example(f"{i}", Path(f"{i}.wav"), 0, 29, f"{i}", "train", genre)
        for i, genre in enumerate(genres)
    )
    given = np.full((len(genres), len(TAGS)), 0.4, dtype=np.float32)
    return DataSet(Path(), TAGS, examples, given, dict.fromkeys(TAGS, 0.2))


def test_a_genre_given_by_people_rises_and_those_it_rules_out_fall() -> None:
    dataset = data_set("rock")
    found = labels.hear_people(dataset.labels, dataset, [0], 0.5, magnatagatune())
    # metal may stand for rock and slow is no genre: both stay
    np.testing.assert_allclose(found, [[0.7, 0.2, 0.2, 0.4, 0.4]])


def test_a_genre_that_is_no_tag_still_rules_others_out() -> None:
    dataset = data_set("funk")
    found = labels.hear_people(dataset.labels, dataset, [0], 0.5, magnatagatune())
    np.testing.assert_allclose(found, [[0.4, 0.2, 0.2, 0.2, 0.4]])


def test_unknown_genres_change_nothing() -> None:
    dataset = data_set("polka", "", "80s")
    np.testing.assert_array_equal(
        labels.hear_people(dataset.labels, dataset, [0, 1, 2], 1.0, magnatagatune()), dataset.labels
    )


def test_the_given_labels_themselves_stay_as_they_are() -> None:
    dataset = data_set("rock")
    labels.hear_people(dataset.labels, dataset, [0], 1.0, magnatagatune())
    assert (dataset.labels == np.float32(0.4)).all()


def test_teachers_move_labels_towards_their_mean() -> None:
    given = np.array([[0.0, 1.0]], dtype=np.float32)
    opinions = [np.array([[0.2, 1.0]], np.float32), np.array([[0.6, 0.0]], np.float32)]
    np.testing.assert_allclose(labels.hear_teachers(given, opinions, 0.5), [[0.2, 0.75]])


def test_doubt_moves_labels_towards_the_mean_of_their_tag() -> None:
    given = np.array([[0.0, 1.0], [1.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(labels.doubt(given, 0.2), [[0.1, 1.0], [0.9, 1.0]])
