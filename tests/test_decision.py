"""Taggram → values: arithmetic that can be done by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from musictag import decision
from musictag.config import Settings
from musictag.decision import plan, track_probabilities
from musictag.errors import UsageError
from musictag.hearing import checkpoint
from musictag.outcome import Change
from musictag.vocabulary import NOT_MUSIC, Calibration, magnatagatune, parse

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


STORED = Path(__file__).with_name("stored_decisions.jsonl")
"""The config.json (format 1) of the model that was shipped before vocabularies were data, then
random probabilities with what musictag chose of them at that time."""


def test_an_old_model_decides_as_it_did_before_vocabularies_were_data(tmp_path: Path) -> None:
    described, *cases = STORED.read_text(encoding="utf-8").splitlines()
    (tmp_path / "config.json").write_text(described, encoding="utf-8")
    found = checkpoint.read(tmp_path)
    limits = {"GENRE": 2, "MOOD": 2, "INSTRUMENT": 4, "VOCALS": 2}
    assert len(cases) == 60
    for case in map(json.loads, cases):
        probabilities = dict(zip(found.tags, case["probabilities"], strict=True))
        chosen = decision.choose(probabilities, found.vocabulary, limits=limits)
        assert {field: list(values) for field, values in chosen.items()} == case["chosen"]


# -- families, calibration, what is not music ------------------------------------------------------

FAMILIES = parse(
    {
        "values": {
            "GENRE": {
                "Electronic": {"tags": ["electronic"]},
                "Techno": {"tags": ["techno"], "parents": ["Electronic"]},
                "Minimal": {"tags": ["minimal"], "parents": ["Techno"]},
                "Jazz": {"tags": ["jazz"]},
            },
            "VOCALS": {
                "Vocals": {"tags": ["singing"]},
                "Female": {"tags": ["female"], "parents": ["Vocals"]},
                "Instrumental": {"tags": ["instrumental"]},
            },
        },
        "opposites": [["Vocals", "Instrumental"], ["Female", "Instrumental"]],
        "not music": {"speech": {"tags": ["speech", "talk"]}},
        "not shown": {"harp": "not sure enough"},
    }
)
EVEN = dict.fromkeys((*FAMILIES.by_name, "speech"), 0.5)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ({"electronic": 0.9, "techno": 0.6}, ("Techno",)),
        ({"electronic": 0.9, "techno": 0.4}, ("Electronic",)),
        ({"electronic": 0.9, "minimal": 0.6}, ("Minimal",)),
        ({"electronic": 0.9, "techno": 0.8, "minimal": 0.6}, ("Minimal",)),
        ({"electronic": 0.9, "techno": 0.6, "jazz": 0.7}, ("Jazz", "Techno")),
    ],
)
def test_a_family_is_shown_only_where_no_member_is_sure(
    probabilities: dict[str, float], expected: tuple[str, ...]
) -> None:
    vocabulary = FAMILIES.with_thresholds(EVEN)
    assert decision.choose(probabilities, vocabulary, limits=ALL)["GENRE"] == expected


def test_a_family_does_not_take_a_members_place() -> None:
    vocabulary = FAMILIES.with_thresholds(EVEN)
    probabilities = {"electronic": 0.99, "techno": 0.6}
    assert decision.choose(probabilities, vocabulary, limits={"GENRE": 1})["GENRE"] == ("Techno",)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ({"singing": 0.8, "female": 0.7, "instrumental": 0.1}, ("Female",)),
        ({"singing": 0.8, "female": 0.3, "instrumental": 0.1}, ("Vocals",)),
        ({"singing": 0.6, "female": 0.3, "instrumental": 0.9}, ("Instrumental",)),
        ({"singing": 0.4, "female": 0.3, "instrumental": 0.4}, ()),
    ],
)
def test_voices_and_their_absence_are_one_decision(
    probabilities: dict[str, float], expected: tuple[str, ...]
) -> None:
    vocabulary = FAMILIES.with_thresholds(EVEN)
    assert decision.choose(probabilities, vocabulary, limits=ALL)["VOCALS"] == expected


def test_calibration_comes_before_the_threshold_and_the_order() -> None:
    doubt = Calibration(1.0, -2.0)  # of 0.8 it makes 0.35
    vocabulary = FAMILIES.with_thresholds(EVEN).with_calibration({"Techno": doubt})
    probabilities = {"techno": 0.8, "jazz": 0.6, "harp": 0.9}
    assert decision.choose(probabilities, vocabulary, limits=ALL)["GENRE"] == ("Jazz",)
    agreed = decision.agreement(probabilities, vocabulary)
    assert agreed == {
        "Techno": pytest.approx(4 * math.exp(-2) / (1 + 4 * math.exp(-2))),
        "Jazz": 0.6,
    }
    sure = FAMILIES.with_thresholds(EVEN).with_calibration({"Techno": Calibration(1.0, 2.0)})
    assert decision.choose(probabilities, sure, limits=ALL)["GENRE"] == ("Techno", "Jazz")


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ({"speech": 0.6, "jazz": 0.1}, "speech"),
        ({"talk": 0.6, "jazz": 0.1}, "speech"),
        ({"speech": 0.4, "jazz": 0.1}, None),
        ({"speech": 0.9, "jazz": 0.6}, None),  # people also talk over music
        ({"jazz": 0.1}, None),
    ],
)
def test_speech_without_a_genre_is_not_music(
    probabilities: dict[str, float], expected: str | None
) -> None:
    vocabulary = FAMILIES.with_thresholds(EVEN)
    assert decision.not_music(probabilities, vocabulary) == expected
    if expected:
        assert expected in NOT_MUSIC


def test_a_model_without_a_threshold_for_speech_takes_everything_for_music() -> None:
    assert decision.not_music({"speech": 1.0}, FAMILIES) is None


def test_a_scan_limits_values_as_thresholds_were_learned() -> None:
    assert Settings().limits == decision.LIMITS


# -- plans -----------------------------------------------------------------------------------------


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


# policy, what is in the file, chosen values, what is planned
JOINED = [
    ("keep", ("Jazz; Blues",), ("Rock",), Change(("Jazz", "Blues"), ("Jazz", "Blues"))),
    ("merge", ("Jazz; Blues",), ("Blues",), Change(("Jazz", "Blues"), ("Jazz", "Blues"))),
    ("merge", ("Jazz",), ("Rock",), Change(("Jazz",), ("Jazz", "Rock"))),
    ("replace", ("Rock; Pop",), ("Rock", "Pop"), Change(("Rock", "Pop"), ("Rock", "Pop"))),
    # several values that shall be one are a change, even if they are the same
    ("replace", ("Rock", "Pop"), ("Rock", "Pop"), Change(("Rock", "Pop"), ("Rock; Pop",))),
    ("replace", ("Rock", "Jazz"), ("Pop",), Change(("Rock", "Jazz"), ("Pop",))),
    ("replace", ("Rock", "Pop"), (), Change(("Rock", "Pop"), ("Rock", "Pop"))),
    ("keep", ("Rock", "Pop"), ("Rock", "Pop"), Change(("Rock", "Pop"), ("Rock", "Pop"))),
]


@pytest.mark.parametrize(("policy", "old", "chosen", "expected"), JOINED)
def test_what_was_joined_is_taken_apart_before_it_is_compared(
    policy: str, old: tuple[str, ...], chosen: tuple[str, ...], expected: Change
) -> None:
    found = plan({"GENRE": old}, {"GENRE": chosen}, {"GENRE": policy}, join="; ")
    assert found == {"GENRE": expected}


def test_a_models_values_have_to_come_apart_again_after_joining() -> None:
    decision.check_join("; ", FAMILIES)
    decision.check_join(" / ", magnatagatune())
    with pytest.raises(UsageError, match="--join: 'z' cannot be told from what is in 'Jazz'"):
        decision.check_join("z", FAMILIES)
