"""What training examples are taught as: people over taggers, other models, doubt."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from musictag import vocabulary
from musictag.training import labels, people
from musictag.training.dataset import DataSet, Example
from musictag.training.labels import Weights

TAGS = ("rock", "classical", "classic", "metal", "slow")
GENRES = Weights(people=0.5, absence=0.5)


def example(number: int = 0, **said: object) -> Example:
    plain = Example(f"{number}", Path(f"{number}.wav"), 0, 29, f"{number}", "train")
    return dataclasses.replace(plain, **said)  # type: ignore[arg-type]


def words(text: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(some.split("|")) for some in text.split(";") if some)


def data_set(*examples: Example, tags: tuple[str, ...] = TAGS, label: float = 0.4) -> DataSet:
    given = np.full((len(examples), len(tags)), label, dtype=np.float32)
    return DataSet(Path(), tags, examples, given, dict.fromkeys(tags, 0.2))


def heard(dataset: DataSet, weights: Weights = GENRES) -> labels.Labels:
    rows = range(len(dataset.examples))
    known = vocabulary.for_tags(dataset.tags)
    return labels.hear_people(dataset.labels, dataset, rows, weights, known)


def test_a_genre_given_by_people_rises_and_those_it_rules_out_fall() -> None:
    found = heard(data_set(example(people=words("rock"))))
    # metal may stand for rock and slow is no genre: both stay
    np.testing.assert_allclose(found, [[0.7, 0.2, 0.2, 0.4, 0.4]])


def test_what_rises_and_what_falls_have_a_weight_each() -> None:
    dataset = data_set(example(people=words("rock")))
    up, down = heard(dataset, Weights(people=0.5)), heard(dataset, Weights(absence=0.5))
    np.testing.assert_allclose(up, [[0.7, 0.4, 0.4, 0.4, 0.4]])
    np.testing.assert_allclose(down, [[0.4, 0.2, 0.2, 0.4, 0.4]])


def test_a_genre_that_is_no_tag_still_rules_others_out() -> None:
    found = heard(data_set(example(people=words("funk"))))
    np.testing.assert_allclose(found, [[0.4, 0.2, 0.2, 0.2, 0.4]])


def test_unknown_genres_change_nothing() -> None:
    dataset = data_set(example(people=words("polka")), example(), example(people=words("80s")))
    np.testing.assert_array_equal(heard(dataset, Weights(1, 1, 1, 1)), dataset.labels)


def test_of_several_genres_each_rises_and_none_falls() -> None:
    found = heard(data_set(example(people=words("rock;classical"))))
    # classic is a word for Classical: not given, and not ruled out
    np.testing.assert_allclose(found, [[0.7, 0.7, 0.4, 0.4, 0.4]])


def test_of_alternatives_the_likelier_rises_and_the_other_stays() -> None:
    tags = ("pop", "rock", "country")
    dataset = data_set(
        example(people=words("pop|rock")), example(people=words("pop|rock")), tags=tags
    )
    dataset.labels[0, 1] = 0.6
    found = heard(dataset)
    np.testing.assert_allclose(found, [[0.4, 0.8, 0.2], [0.7, 0.4, 0.2]])


def test_an_instrument_among_the_genres_rises_and_rules_nothing_out() -> None:
    found = heard(data_set(example(people=words("harpsichord")), tags=("harpsichord", "rock")))
    np.testing.assert_allclose(found, [[0.7, 0.4]])


def test_the_given_labels_themselves_stay_as_they_are() -> None:
    dataset = data_set(example(people=words("rock"), quadrant="Q1", voice=True))
    heard(dataset, Weights(1, 1, 1, 1))
    assert (dataset.labels == np.float32(0.4)).all()


def test_a_quadrant_moves_its_moods_and_those_of_others() -> None:
    tags = ("happy", "sad", "energetic", "relaxing", "rock")
    found = heard(
        data_set(*(example(quadrant=f"Q{n}") for n in range(1, 5)), tags=tags), Weights(moods=0.5)
    )
    up, down, same = 0.7, 0.2, 0.4
    np.testing.assert_allclose(
        found,
        [
            [up, down, up, same, same],
            [down, same, up, down, same],
            [down, up, down, same, same],
            [same, same, down, up, same],
        ],
    )


def test_words_of_mood_raise_tags_and_their_absence_means_nothing() -> None:
    tags = ("happy", "sad", "tender", "rock")
    said = example(moods=("Gentle", "Cheerful", "Sprawling"))
    found = heard(data_set(said, tags=tags), Weights(moods=0.5))
    np.testing.assert_allclose(found, [[0.7, 0.4, 0.7, 0.4]])


def test_a_word_of_mood_stands_against_its_quadrant() -> None:
    said = example(moods=("Joyous",), quadrant="Q3")
    found = heard(data_set(said, tags=("happy", "sad")), Weights(moods=0.5))
    np.testing.assert_allclose(found, [[0.7, 0.7]])


def test_a_voice_raises_its_likeliest_tag_and_rules_out_that_there_is_none() -> None:
    tags = ("vocal", "female", "no vocals", "rock")
    dataset = data_set(example(voice=True), example(voice=False), example(), tags=tags)
    dataset.labels[:, 1] = 0.6
    found = heard(dataset, Weights(voice=0.5))
    np.testing.assert_allclose(
        found, [[0.4, 0.8, 0.2, 0.4], [0.2, 0.3, 0.7, 0.4], [0.4, 0.6, 0.4, 0.4]]
    )


def test_every_word_of_mood_in_the_tables_is_spelled_once_for_a_tag() -> None:
    for tag, names in people.MOOD_WORDS.items():
        assert len(set(names)) == len(names), tag
    for present, absent in people.QUADRANT_TAGS.values():
        assert not set(present) & set(absent)


def test_teachers_move_labels_towards_their_mean() -> None:
    given = np.array([[0.0, 1.0]], dtype=np.float32)
    opinions = [np.array([[0.2, 1.0]], np.float32), np.array([[0.6, 0.0]], np.float32)]
    np.testing.assert_allclose(labels.hear_teachers(given, opinions, 0.5), [[0.2, 0.75]])


def test_doubt_moves_labels_towards_the_mean_of_their_tag() -> None:
    given = np.array([[0.0, 1.0], [1.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(labels.doubt(given, 0.2), [[0.1, 1.0], [0.9, 1.0]])


@pytest.mark.parametrize(
    ("balance", "expected"), [(0.0, [1, 1]), (0.5, [2 / 3, 4 / 3]), (1.0, [0.4, 1.6])]
)
def test_a_rare_tag_weighs_more_in_the_loss_and_the_mean_weight_is_one(
    balance: float, expected: list[float]
) -> None:
    np.testing.assert_allclose(labels.loss_weights([0.4, 0.1], balance), expected, rtol=1e-6)
