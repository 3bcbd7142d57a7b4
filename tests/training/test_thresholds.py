"""Thresholds: where each value is cut, and what a cut would change."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from labelled import data_set

from musictag.training import scores, thresholds
from musictag.training.dataset import DataSet, Example
from musictag.training.thresholds import by_labels, fit, n_decided_otherwise
from musictag.vocabulary import Calibration, listener, magnatagatune


def test_a_threshold_lies_between_those_that_carry_the_tag_and_those_that_do_not() -> None:
    labels = [[0.9, 0.1, 0.5]] * 10 + [[0.1, 0.9, 0.5]] * 10
    heard = np.array([[0.8, 0.3, 0.2]] * 10 + [[0.4, 0.7, 0.2]] * 10)
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(0.2, 0.2, 0.1))
    found = by_labels(heard, dataset, range(20), magnatagatune())
    assert found == {
        # each then moves to the middle of the empty hundredth above it
        "Rock": pytest.approx(0.605),  # midway between 0.8 and 0.4
        "Classical": pytest.approx(0.505),
        "Instrumental": pytest.approx(0.205),  # all sound 0.2: midway to 0 would be too low
    }


def test_a_sure_label_counts_also_beyond_the_prevalence() -> None:
    """Half of these tracks are surely rock, of which only a tenth were to be expected."""
    labels = [[0.9, 0.1, 0]] * 2 + [[0.3, 0.1, 0]] * 8 + [[0.1, 0.1, 0]] * 10
    heard = np.array([[0.8, 0.1, 0]] * 2 + [[0.5, 0.1, 0]] * 8 + [[0.3, 0.1, 0]] * 10)
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(0.1, 0.1, 0.1))
    assert by_labels(heard, dataset, range(20), magnatagatune())["Rock"] == pytest.approx(0.405)


def test_a_threshold_stands_where_no_rounding_moves_a_track_across() -> None:
    labels = [[0.9, 0.1, 0.5]] * 10 + [[0.1, 0.9, 0.5]] * 10
    heard = np.array([[0.8, 0.3, 0.2]] * 10 + [[0.4, 0.7, 0.2]] * 10)
    heard[3:5, 0] = 0.6001, 0.6021  # right above the middle of 0.4 and 0.8
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(0.2, 0.2, 0.1))
    threshold = by_labels(heard, dataset, range(20), magnatagatune())["Rock"]
    assert np.abs(heard[:, 0] - threshold).min() > 0.003


@pytest.mark.parametrize(("share", "lowest"), [(0.05, 0.2), (0.2, 0.4), (0.4, 0.5)])
def test_no_threshold_is_below_twice_the_prevalence_or_a_fifth(share: float, lowest: float) -> None:
    """Everything sounds 0.05 or 0.1 like it: ranked well, but nobody should read it."""
    labels = [[0.9, 0.1, 0.5]] * 5 + [[0.1, 0.9, 0.5]] * 15
    heard = np.array([[0.1, 0.5, 0.2]] * 5 + [[0.05, 0.5, 0.2]] * 15)
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(share, 0.4, 0.1))
    assert by_labels(heard, dataset, range(20), magnatagatune())["Rock"] == pytest.approx(
        lowest + 0.005
    )


# -- by people -------------------------------------------------------------------------------------


def people_say(genres: list[str], tags: tuple[str, ...] = ("rock", "classical")) -> DataSet:
    """A track for each of these genres by people; what the labels say is always the same."""
    n = len(genres)
    examples = tuple(
        Example(
            f"{i}", Path(), 0, 29, f"{i}", "validation", people=(frozenset({genre}),) * bool(genre)
        )
        for i, genre in enumerate(genres)
    )
    labels = np.full((n, len(tags)), 0.1, dtype=np.float32)
    return DataSet(Path(), tags, examples, labels, dict.fromkeys(tags, 0.1))


def drawn(n: int, curve: Calibration, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that a model says, and whether people agree, by a curve."""
    chance = np.random.default_rng(seed)
    heard = chance.uniform(0.02, 0.98, n)
    return heard, chance.random(n) < np.array([curve(p) for p in heard])


def test_a_curve_is_found_again() -> None:
    """Of 4,000 tracks; the prior weighs next to nothing against them."""
    true = Calibration(1.5, -1.0)
    heard, agree = drawn(4000, true)
    found = thresholds.logistic(np.log(heard / (1 - heard)), agree, Calibration(), (0.5, 1.0))
    assert (found.slope, found.offset) == pytest.approx((1.5, -1.0), abs=0.12)


def test_without_tracks_a_curve_is_the_one_it_starts_from() -> None:
    start = Calibration(0.8, 0.3)
    nothing = np.zeros(0)
    assert thresholds.logistic(nothing, nothing, start, (0.5, 1.0)) == start


@pytest.mark.parametrize("agree", [True, False])
def test_a_curve_of_one_opinion_stays_near_its_start_and_rises(agree: bool) -> None:
    found = thresholds.logistic(
        np.linspace(-5, 5, 40), np.full(40, agree), Calibration(), (0.5, 1.0)
    )
    assert 0 < found.slope < 2
    assert abs(found.offset) < 4
    assert (found.offset > 0) == agree


def test_calibrated_by_people_seven_of_ten_agree_where_it_says_so() -> None:
    """The model is far too shy about rock: what it calls 0.2 is rock for half of the people."""
    heard, agree = drawn(400, Calibration(1.0, 1.4))
    dataset = people_say(["rock" if yes else "classical" for yes in agree])
    table = np.stack([heard, 1 - heard], axis=1)
    found = fit(table, dataset, range(400), magnatagatune().of(dataset.tags), n_resamples=20)
    rock = found.by_name["Rock"]
    assert rock.calibrated(0.2) == pytest.approx(0.5, abs=0.08)
    assert rock.calibrated(0.37) == pytest.approx(0.7, abs=0.08)


def test_written_genres_are_as_precise_as_wanted_and_no_more_silent_than_needed() -> None:
    heard, agree = drawn(400, Calibration(1.0, 0.0))
    dataset = people_say(["rock" if yes else "classical" for yes in agree])
    table = np.stack([heard, np.full(400, 0.01)], axis=1)
    found = fit(table, dataset, range(400), magnatagatune().of(dataset.tags), n_resamples=20)
    rock = found.by_name["Rock"]
    written = np.array([rock.calibrated(p) >= (rock.threshold or 2) for p in heard])
    assert agree[written].mean() == pytest.approx(0.8, abs=0.05)
    assert written.mean() > 0.35


def test_no_value_is_written_that_is_likelier_wrong_than_right() -> None:
    heard, agree = drawn(400, Calibration(1.0, 3.0))  # nearly all are rock
    dataset = people_say(["rock" if yes else "classical" for yes in agree])
    table = np.stack([heard, np.full(400, 0.01)], axis=1)
    found = fit(table, dataset, range(400), magnatagatune().of(dataset.tags), n_resamples=20)
    assert min(found.thresholds.values()) >= thresholds.LOWEST_BY_PEOPLE


def test_a_value_with_few_tracks_follows_its_field() -> None:
    """Three metal tracks do not make a curve of their own; two hundred of rock do."""
    heard, agree = drawn(200, Calibration(1.0, 2.0))
    genres = ["rock" if yes else "classical" for yes in agree]
    dataset = people_say([*genres, "metal", "metal", "metal"], ("rock", "classical", "metal"))
    table = np.full((203, 3), 0.05)
    table[:200, 0] = heard
    table[200:, 2] = 0.5
    found = fit(table, dataset, range(203), magnatagatune().of(dataset.tags), n_resamples=5)
    rock, metal = found.by_name["Rock"].calibration, found.by_name["Metal"].calibration
    assert rock is not None
    assert metal is not None
    assert abs(metal.slope - rock.slope) < 0.5


def test_where_only_labels_tell_nothing_gets_surer_than_people_would_confirm() -> None:
    tags = ("rock", "classical", "piano")
    dataset = people_say(["rock", "classical"] * 40, tags)
    labels = dataset.labels.copy()
    labels[::4, 2] = 0.9
    dataset = dataclasses.replace(dataset, labels=labels)
    table = np.full((80, 3), 0.05)
    table[::2, 0], table[1::2, 1], table[::4, 2] = 0.9, 0.9, 0.99
    found = fit(table, dataset, range(80), magnatagatune().of(tags), n_resamples=5)
    assert found.by_name["Piano"].calibrated(0.99) == pytest.approx(
        thresholds.CONFIRMED_ELSEWHERE, abs=0.1
    )


def test_speech_gets_a_threshold_of_its_own_and_too_few_people_none_of_theirs() -> None:
    tags = ("rock", "hip hop", "speech")
    few = people_say(["rock", "hip hop"] * 5, tags)
    table = np.full((10, 3), 0.3)
    found = fit(table, few, range(10), listener().of(tags), n_resamples=5)
    assert found.calibration == {}
    assert set(found.thresholds) == {"Rock", "Hip Hop", "speech"}
    many = people_say(["rock", "hip hop"] * 20, tags)
    found = fit(np.full((40, 3), 0.3), many, range(40), listener().of(tags), n_resamples=5)
    assert set(found.calibration) == {"Rock", "Hip Hop"}
    assert found.thresholds["speech"] == thresholds.SPEECH


# -- comparing -------------------------------------------------------------------------------------


def test_tracks_that_would_get_other_values_are_counted() -> None:
    dataset = data_set([[0.5, 0.5, 0.5]] * 3, tracks="aab")
    heard = np.array([[0.6, 0.1, 0.1], [0.6, 0.1, 0.1], [0.6, 0.1, 0.1]])
    value = "Rock"

    def changed(other: list[float]) -> int:
        table = heard.copy()
        table[:, dataset.tags.index("rock")] = other
        return n_decided_otherwise(
            heard, table, dataset, range(3), magnatagatune().with_thresholds({value: 0.5})
        )

    assert dataset.tags[0] == value.lower()
    assert changed([0.6, 0.6, 0.6]) == 0
    assert changed([0.45, 0.6, 0.6]) == 0  # the track's mean is 0.525
    assert changed([0.3, 0.6, 0.6]) == 1
    assert changed([0.3, 0.6, 0.4]) == 2


def test_synonyms_are_merged_before_a_threshold_is_chosen() -> None:
    tags = ("classical", "classic")
    table, names = scores.merge_values(np.array([[0.2, 0.6], [0.5, 0.1]]), tags, magnatagatune())
    assert names == ["Classical"]
    assert table[:, 0].tolist() == [0.6, 0.5]
    assert scores.value_shares({"classical": 0.1, "classic": 0.02}, magnatagatune()) == {
        "Classical": 0.1
    }
