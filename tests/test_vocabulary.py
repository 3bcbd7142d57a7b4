"""What tags mean: the table that comes along, and what a stranger's model may not bring."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from musictag import vocabulary
from musictag.vocabulary import Calibration, Vocabulary, magnatagatune, parse

GIVEN: dict[str, Any] = {
    "values": {
        "GENRE": {
            "Electronic": {"tags": ["electronic", "electronica"]},
            "Techno": {"tags": ["techno"], "parents": ["Electronic"], "compatible": ["Dance"]},
            "Minimal": {"tags": ["minimal"], "parents": ["Techno"]},
            "Dance": {"tags": ["dance"]},
        },
        "MOOD": {"Slow": {"tags": ["slow"]}, "Fast": {"tags": ["fast"]}},
    },
    "opposites": [["Slow", "Fast"]],
    "not music": {"speech": {"tags": ["speech"]}},
    "not shown": {"harp": "heard too often where there is none"},
    "words": {"film": ["Electronic"], "jazz": []},
}


@pytest.fixture(params=["magnatagatune", "listener"])
def bundled(request: pytest.FixtureRequest) -> Vocabulary:
    return vocabulary.bundled(request.param)


# -- what comes along ------------------------------------------------------------------------------


def test_every_tag_of_the_vocabulary_means_one_value() -> None:
    tags = [tag for value in magnatagatune().values for tag in value.tags]
    assert len(tags) == len(set(tags)) == 50


def test_no_value_holds_a_character_that_players_split_at(bundled: Vocabulary) -> None:
    assert bundled.values
    for value in bundled.values:
        assert not set(value.name) & set("/;,")


def test_a_bundled_vocabulary_survives_its_own_form(bundled: Vocabulary) -> None:
    assert parse(json.loads(json.dumps(bundled.to_json()))) == bundled


def test_the_table_of_old_models_stands_as_it_stood() -> None:
    """Values and relations, told once more: models of format 1 are decided by them."""
    found = magnatagatune()
    counts = {field: len(found.in_field(field)) for field in vocabulary.FIELDS}
    assert counts == {"GENRE": 13, "MOOD": 6, "INSTRUMENT": 13, "VOCALS": 4}
    assert found.shown["no voice"] == "Instrumental"
    assert found.shown["choir"] == "Choral"
    assert found.shown["beat"] == "Beats"
    assert sorted(map(sorted, found.opposites)) == [
        ["Fast", "Slow"],
        ["Female", "Instrumental"],
        ["Instrumental", "Male"],
        ["Instrumental", "Vocals"],
        ["Loud", "Quiet"],
        ["Loud", "Soft"],
    ]
    compatible = {
        "ambient": {"Ambient", "New Age", "Electronic"},
        "classical": {"Classical", "Opera", "Choral"},
        "country": {"Country"},
        "dance": {"Dance", "Electronic", "Techno", "Pop"},
        "electronic": {"Electronic", "Techno", "Dance", "Ambient"},
        "metal": {"Metal", "Rock"},
        "pop": {"Pop", "Rock", "Dance"},
        "rock": {"Rock", "Metal"},
        "jazz": set(),
        "hiphop": {"Dance", "Electronic", "Pop"},
        "rnb": {"Dance", "Pop"},
        "funk": {"Dance", "Pop", "Rock"},
        "folk": {"Country", "New Age"},
        "film": {"Ambient", "Choral", "Classical", "Electronic", "New Age", "Opera"},
        "polka": None,
    }
    assert {word: found.compatible(word) for word in compatible} == compatible
    assert not any(value.parents or value.calibration for value in found.values)


def test_listeners_get_about_thirty_genres_with_their_families() -> None:
    found = vocabulary.listener()
    assert 28 <= len(found.in_field("GENRE")) <= 36
    for name in ("Techno", "House", "Trance", "Drum and Bass", "Dubstep"):
        assert found.families[name] == {"Electronic"}
    for name in ("Metal", "Punk", "Alternative Rock", "Hard Rock", "Indie Rock"):
        assert found.families[name] == {"Rock"}
    for name in ("Opera", "Choral"):
        assert found.families[name] == {"Classical"}
    assert {"Hip Hop", "R&B", "Soundtrack"} <= found.by_name.keys()
    voices = {value.name for value in found.in_field("VOCALS")}
    assert voices == {"Female", "Male", "Choir", "Rap", "Vocals", "Instrumental"}
    for name in voices - {"Instrumental"}:
        assert frozenset({name, "Instrumental"}) in found.opposites
    assert "harp" in found.not_shown
    assert [value.name for value in found.not_music] == ["speech"]
    assert len(found.tags) == 140
    assert magnatagatune().tags < found.tags


def test_a_data_sets_tags_decide_which_vocabulary_they_get() -> None:
    assert vocabulary.for_tags(sorted(magnatagatune().tags)) == magnatagatune()
    assert vocabulary.for_tags(sorted(vocabulary.listener().tags)) == vocabulary.listener()
    assert "Hip Hop" in vocabulary.for_tags(("rock", "hip hop")).by_name


def test_a_data_sets_own_tags_are_not_shown() -> None:
    found = vocabulary.for_tags(("rock", "polka"))
    assert [value.name for value in found.values] == ["Rock"]
    assert list(found.not_shown) == ["polka"]
    found.check_covers(("rock", "polka"))


# -- relations -------------------------------------------------------------------------------------


def test_families_reach_over_generations() -> None:
    found = parse(GIVEN)
    assert found.families["Minimal"] == {"Techno", "Electronic"}
    assert found.families["Electronic"] == frozenset()


def test_families_their_members_and_what_is_listed_may_stand_for_a_word() -> None:
    found = parse(GIVEN)
    assert found.compatible("techno") == {"Techno", "Electronic", "Minimal", "Dance"}
    assert found.compatible("electronic") == {"Techno", "Electronic", "Minimal"}
    assert found.compatible("film") == {"Electronic"}
    assert found.compatible("jazz") == frozenset()
    assert found.compatible("polka") is None


def test_a_model_with_fewer_tags_has_fewer_values() -> None:
    left = parse(GIVEN).of(("electronic", "minimal", "slow", "speech", "polka"))
    assert [value.name for value in left.values] == ["Electronic", "Minimal", "Slow"]
    assert left.by_name["Electronic"].tags == ("electronic",)
    assert left.by_name["Minimal"].parents == ()
    assert left.opposites == frozenset()
    assert left.not_shown == {}
    assert [value.name for value in left.not_music] == ["speech"]


def test_thresholds_and_calibration_are_by_name() -> None:
    curve = Calibration(2.0, -1.0)
    found = parse(GIVEN).with_thresholds({"Techno": 0.4, "speech": 0.9})
    found = found.with_calibration({"Techno": curve})
    assert found.thresholds == {"Techno": 0.4, "speech": 0.9}
    assert found.calibration == {"Techno": curve}
    assert found.with_thresholds({}).thresholds == {}
    assert found.by_name["Dance"].calibrated(0.3) == 0.3


def test_calibration_is_a_logistic_curve_of_the_logit() -> None:
    assert Calibration()(0.3) == pytest.approx(0.3)
    assert Calibration(1.0, math.log(3))(0.5) == pytest.approx(0.75)
    assert Calibration(2.0, 0.0)(0.8) == pytest.approx(16 / 17)
    assert 0 < Calibration(2.0, 0.0)(0.0) < Calibration(2.0, 0.0)(1.0) < 1


# -- what a stranger may not bring -----------------------------------------------------------------


def genre(name: str, **about: object) -> Callable[[dict[str, Any]], object]:
    return lambda given: given["values"]["GENRE"].update({name: {"tags": ["new"], **about}})


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a control character": (genre("Ro\x1b[31mck"), "control character"),
    "a line feed": (genre("Rock\nPop"), "control character"),
    "a NUL": (genre("Rock\0Pop"), "control character"),
    "a bidi override": (genre("\u202ekcoR"), "control character"),
    "a bidi isolate": (genre("Rock\u2066"), "control character"),
    "a joiner of no width": (genre("Ro\u200dck"), "control character"),
    "a line separator": (genre("Rock\u2028"), "control character"),
    "half a character": (genre("Rock\udce9"), "control character"),
    "a slash": (genre("Rock/Pop"), "separates values"),
    "a semicolon": (genre("Rock; Pop"), "separates values"),
    "a comma": (genre("Rock, Pop"), "separates values"),
    "a bar": (genre("Rock|Pop"), "separates values"),
    "an absurd length": (genre("Rock" * 100), "longer than 64"),
    "nothing": (genre(""), "empty"),
    "a space before": (genre(" Rock"), "spaces"),
    "two spaces": (genre("New  Age"), "spaces"),
    "a space that is none": (genre("New\u00a0Age"), "spaces"),
    "a name in other letters": (genre("TECHNO"), "there twice"),
    "a name in two fields": (
        lambda g: g["values"]["MOOD"].update({"Techno": {"tags": ["new"]}}),
        "there twice",
    ),
    "a field of its own": (lambda g: g["values"].update({"TITLE": {}}), "unknown 'TITLE'"),
    "a section of its own": (lambda g: g.update({"colours": {}}), "unknown 'colours'"),
    "a property of its own": (genre("Rock", colour="red"), "unknown 'colour'"),
    "a value without tags": (genre("Rock", tags=[]), "no tags"),
    "a tag in two values": (genre("Rock", tags=["techno"]), "'techno' has two meanings"),
    "a tag shown and not": (lambda g: g["not shown"].update(slow="x"), "'slow' has two meanings"),
    "an absurd tag": (genre("Rock", tags=["x" * 1000]), "longer than 200"),
    "a tag that is a number": (genre("Rock", tags=[1]), "should be a str"),
    "tags that are a word": (genre("Rock", tags="rock"), "should be a list"),
    "an unknown parent": (genre("Rock", parents=["Polka"]), "no value 'Polka'"),
    "a parent from another field": (genre("Rock", parents=["Slow"]), "another field"),
    "an unknown compatible value": (genre("Rock", compatible=["Polka"]), "no value 'Polka'"),
    "a circle": (
        lambda g: g["values"]["GENRE"]["Electronic"].update(parents=["Minimal"]),
        "its own ancestor",
    ),
    "an opposite of nothing": (lambda g: g["opposites"].append(["Slow", "Polka"]), "no value"),
    "an opposite of itself": (lambda g: g["opposites"].append(["Slow", "Slow"]), "two values"),
    "another kind of noise": (
        lambda g: g["not music"].update({"applause": {"tags": ["new"]}}),
        "unknown 'applause'",
    ),
    "a word for nothing": (lambda g: g["words"].update({"film": ["Polka"]}), "no value 'Polka'"),
    "values without number": (
        lambda g: g["values"]["GENRE"].update(
            {f"Genre {n}": {"tags": [f"tag {n}"]} for n in range(1001)}
        ),
        "more than 1000",
    ),
    "tags without number": (
        lambda g: g["not shown"].update({f"tag {n}": "x" for n in range(10_001)}),
        "more than 10000",
    ),
    "a list": (lambda g: g.update(values=[]), "should be a dict"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_vocabulary_that_would_spoil_files_or_terminals_is_refused(what: str) -> None:
    change, message = WRONG[what]
    given = copy.deepcopy(GIVEN)
    change(given)
    with pytest.raises((TypeError, ValueError), match=message):
        parse(given)


@pytest.mark.parametrize(
    "name", ["R&B", "Drum and Bass", "Música Popular", "邦楽", "Rock'n'Roll", "80s"]
)
def test_ordinary_names_are_fine_in_any_script(name: str) -> None:
    given = copy.deepcopy(GIVEN)
    genre(name)(given)
    assert name in parse(given).by_name


def test_a_tag_without_a_meaning_is_an_error_unless_it_is_marked_as_not_shown() -> None:
    found = parse(GIVEN)
    tags = sorted(found.tags)
    found.check_covers(tags)
    with pytest.raises(ValueError, match="no value for 'polka'"):
        found.check_covers([*tags, "polka"])
    with pytest.raises(ValueError, match="names 'harp', which the model has not"):
        found.check_covers([tag for tag in tags if tag != "harp"])
