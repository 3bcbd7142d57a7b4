"""Thresholds: where each value is cut, and what a cut would change."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from labelled import data_set

from musictag.training import scores
from musictag.training.thresholds import choose_thresholds, n_decided_otherwise
from musictag.vocabulary import magnatagatune


def test_a_threshold_lies_between_those_that_carry_the_tag_and_those_that_do_not() -> None:
    labels = [[0.9, 0.1, 0.5]] * 10 + [[0.1, 0.9, 0.5]] * 10
    heard = np.array([[0.8, 0.3, 0.2]] * 10 + [[0.4, 0.7, 0.2]] * 10)
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(0.2, 0.2, 0.1))
    thresholds = choose_thresholds(heard, dataset, range(20), magnatagatune())
    assert thresholds == {
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
    assert choose_thresholds(heard, dataset, range(20), magnatagatune())["Rock"] == pytest.approx(
        0.405
    )


def test_a_threshold_stands_where_no_rounding_moves_a_track_across() -> None:
    labels = [[0.9, 0.1, 0.5]] * 10 + [[0.1, 0.9, 0.5]] * 10
    heard = np.array([[0.8, 0.3, 0.2]] * 10 + [[0.4, 0.7, 0.2]] * 10)
    heard[3:5, 0] = 0.6001, 0.6021  # right above the middle of 0.4 and 0.8
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(0.2, 0.2, 0.1))
    threshold = choose_thresholds(heard, dataset, range(20), magnatagatune())["Rock"]
    assert np.abs(heard[:, 0] - threshold).min() > 0.003


@pytest.mark.parametrize(("share", "lowest"), [(0.05, 0.2), (0.2, 0.4), (0.4, 0.5)])
def test_no_threshold_is_below_twice_the_prevalence_or_a_fifth(share: float, lowest: float) -> None:
    """Everything sounds 0.05 or 0.1 like it: ranked well, but nobody should read it."""
    labels = [[0.9, 0.1, 0.5]] * 5 + [[0.1, 0.9, 0.5]] * 15
    heard = np.array([[0.1, 0.5, 0.2]] * 5 + [[0.05, 0.5, 0.2]] * 15)
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(share, 0.4, 0.1))
    assert choose_thresholds(heard, dataset, range(20), magnatagatune())["Rock"] == pytest.approx(
        lowest + 0.005
    )


def test_with_enough_genres_by_people_all_genres_share_the_lowest_precise_threshold() -> None:
    """Above 0.4 what sounds like rock is rock, below it is classical."""
    n = 40
    rock = np.linspace(0.9, 0.23, n)
    said = ["rock" if p > 0.4 else "classical" for p in rock]
    dataset = data_set([[0.5, 0.5, 0.5]] * n, tracks="".join(chr(200 + i) for i in range(n)))
    examples = [
        dataclasses.replace(e, genre=g) for e, g in zip(dataset.examples, said, strict=True)
    ]
    people = dataclasses.replace(dataset, examples=tuple(examples))
    heard = np.stack([rock, np.full(n, 0.1), np.full(n, 0.5)], axis=1)
    with_people = choose_thresholds(heard, people, range(n), magnatagatune())
    assert with_people["Rock"] == with_people["Classical"]
    n_right, n_written = sum(g == "rock" for g in said), int((rock >= with_people["Rock"]).sum())
    assert n_right / n_written == pytest.approx(0.9, abs=0.05)
    alone = choose_thresholds(heard, dataset, range(n), magnatagatune())
    assert alone["Instrumental"] == with_people["Instrumental"]
    assert alone["Rock"] != alone["Classical"]


def test_tracks_that_would_get_other_values_are_counted() -> None:
    dataset = data_set([[0.5, 0.5, 0.5]] * 3, tracks="aab")
    heard = np.array([[0.6, 0.1, 0.1], [0.6, 0.1, 0.1], [0.6, 0.1, 0.1]])
    value, thresholds = "Rock", {"Rock": 0.5}

    def changed(other: list[float]) -> int:
        table = heard.copy()
        table[:, dataset.tags.index("rock")] = other
        return n_decided_otherwise(
            heard, table, dataset, range(3), magnatagatune().with_thresholds(thresholds)
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
