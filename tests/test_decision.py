"""Taggram → values: arithmetic that can be done by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from musictag import decision
from musictag.decision import plan, track_probabilities
from musictag.outcome import Change
from musictag.vocabulary import magnatagatune

ALL = {"GENRE": 9, "MOOD": 9, "INSTRUMENT": 9, "VOCALS": 9}


def choose(
    probabilities: Mapping[str, float],
    thresholds: Mapping[str, float],
    *,
    limits: Mapping[str, int],
) -> dict[str, tuple[str, ...]]:
    vocabulary = magnatagatune().with_thresholds(thresholds)
    return decision.choose(probabilities, vocabulary, limits=limits)


def test_a_track_is_the_mean_of_its_segments() -> None:
    assert track_probabilities([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]) == (0.5, 0.5)


def test_a_track_without_segments_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one segment"):
        track_probabilities([])


def test_synonyms_become_one_value_with_the_highest_probability() -> None:
    probabilities = {"classical": 0.2, "classic": 0.7, "beat": 0.4, "beats": 0.1}
    merged = decision.merge_synonyms(probabilities, magnatagatune())
    assert merged == {"Classical": 0.7, "Beats": 0.4}


def test_negatives_are_vocals_and_never_a_genre() -> None:
    chosen = choose({"no vocals": 1.0}, {"Instrumental": 0.5}, limits=ALL)
    assert chosen == {"GENRE": (), "MOOD": (), "INSTRUMENT": (), "VOCALS": ("Instrumental",)}


@pytest.mark.parametrize(("probability", "expected"), [(0.5, ("Rock",)), (0.4999, ())])
def test_a_threshold_is_reached_or_not(probability: float, expected: tuple[str, ...]) -> None:
    assert choose({"rock": probability}, {"Rock": 0.5}, limits=ALL)["GENRE"] == expected


def test_a_value_without_a_threshold_is_never_chosen() -> None:
    assert choose({"rock": 1.0}, {}, limits=ALL)["GENRE"] == ()


def test_a_rare_tag_far_over_its_bar_goes_before_a_common_one_just_over() -> None:
    probabilities = {"classical": 0.6, "harp": 0.3, "opera": 0.3}
    thresholds = {"Classical": 0.55, "Opera": 0.05}
    assert choose(probabilities, thresholds, limits=ALL)["GENRE"] == ("Opera", "Classical")
    assert choose(probabilities, thresholds, limits={"GENRE": 1})["GENRE"] == ("Opera",)


def test_a_field_without_a_limit_gets_nothing() -> None:
    assert choose({"rock": 1.0}, {"Rock": 0.5}, limits={})["GENRE"] == ()


def test_of_two_opposites_the_stronger_stays() -> None:
    thresholds = {"Slow": 0.2, "Fast": 0.2, "Soft": 0.2}
    chosen = choose({"slow": 0.5, "fast": 0.4, "soft": 0.3}, thresholds, limits=ALL)
    assert chosen["MOOD"] == ("Slow", "Soft")


@pytest.mark.parametrize("probability", [0.0, 1.0, math.nan])
def test_extreme_probabilities_are_no_problem(probability: float) -> None:
    chosen = choose({"rock": probability, "pop": 0.9}, {"Rock": 0.5, "Pop": 0.5}, limits=ALL)
    assert "Pop" in chosen["GENRE"]
    assert ("Rock" in chosen["GENRE"]) == (probability == 1.0)


# policy, old values, chosen values, new values
PLANS = [
    ("keep", (), ("Rock",), ("Rock",)),
    ("keep", ("Jazz",), ("Rock",), ("Jazz",)),
    ("keep", ("", " "), ("Rock",), ("Rock",)),
    ("keep", (), (), ()),
    ("merge", (), ("Rock",), ("Rock",)),
    ("merge", ("Jazz",), ("Rock", "Pop"), ("Jazz", "Rock", "Pop")),
    ("merge", ("rock", "Jazz"), ("Rock",), ("rock", "Jazz")),
    ("merge", ("Jazz",), (), ("Jazz",)),
    ("merge", ("Rock; Classical",), ("Classical", "Pop"), ("Rock; Classical", "Pop")),
    ("merge", ("Folk/rock",), ("Rock",), ("Folk/rock",)),
    ("replace", ("Jazz",), ("Rock",), ("Rock",)),
    ("replace", ("Jazz",), (), ("Jazz",)),
]


@pytest.mark.parametrize(("policy", "old", "chosen", "new"), PLANS)
def test_what_is_there_and_what_was_heard_come_together(
    policy: str, old: tuple[str, ...], chosen: tuple[str, ...], new: tuple[str, ...]
) -> None:
    changes = plan({"GENRE": old}, {"GENRE": chosen}, {"GENRE": policy})
    assert changes == {"GENRE": Change(old, new)}
    assert changes["GENRE"].changed == (old != new)
    again = plan({"GENRE": new}, {"GENRE": chosen}, {"GENRE": policy})
    assert not again["GENRE"].changed, "twice must equal once"


# policy, what is there, what of it is somebody else's, chosen values, new values
OURS = [
    ("keep", ("Rock",), (), ("Pop",), ("Pop",)),
    ("keep", ("Rock",), (), (), ("Rock",)),
    ("keep", ("Jazz", "Rock"), ("Jazz",), ("Pop",), ("Jazz", "Rock")),
    ("merge", ("Jazz", "Rock"), ("Jazz",), ("Pop",), ("Jazz", "Pop")),
    ("merge", ("Jazz", "Rock"), ("Jazz",), ("Rock", "Pop"), ("Jazz", "Rock", "Pop")),
    ("merge", ("Jazz", "Rock"), ("Jazz",), (), ("Jazz", "Rock")),
    ("replace", ("Jazz", "Rock"), ("Jazz",), ("Pop",), ("Pop",)),
]


@pytest.mark.parametrize(("policy", "old", "theirs", "chosen", "new"), OURS)
def test_what_is_ours_gives_way_to_a_newer_opinion(
    policy: str,
    old: tuple[str, ...],
    theirs: tuple[str, ...],
    chosen: tuple[str, ...],
    new: tuple[str, ...],
) -> None:
    changes = plan({"GENRE": old}, {"GENRE": chosen}, {"GENRE": policy}, others={"GENRE": theirs})
    assert changes == {"GENRE": Change(old, new)}


def test_fields_without_a_policy_are_left_alone() -> None:
    assert plan({"MOOD": ("Slow",)}, {"MOOD": ("Fast",)}, {}) == {}


def test_an_unknown_policy_is_an_error() -> None:
    with pytest.raises(ValueError, match="overwrite"):
        plan({}, {"GENRE": ("Rock",)}, {"GENRE": "overwrite"})
