"""The words that a user wants, over a model's vocabulary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from musictag import decision, words
from musictag.config import Settings
from musictag.errors import UsageError
from musictag.outcome import Discarded
from musictag.vocabulary import Calibration, Vocabulary, parse

GENRES = parse(
    {
        "values": {
            "GENRE": {
                "Electronic": {"tags": ["electronic"]},
                "Techno": {"tags": ["techno"], "parents": ["Electronic"]},
                "Minimal": {"tags": ["minimal"], "parents": ["Techno"]},
                "House": {"tags": ["house"], "parents": ["Electronic"]},
                "Hip Hop": {"tags": ["hip hop"]},
                "R&B": {"tags": ["rnb"]},
                "Indian": {"tags": ["indian"]},
                "Latin": {"tags": ["latin"]},
            },
            "MOOD": {"Slow": {"tags": ["slow"]}, "Fast": {"tags": ["fast"]}},
        },
        "opposites": [["Slow", "Fast"]],
    }
)
GENRES = GENRES.with_thresholds(dict.fromkeys(GENRES.by_name, 0.5))


def genres(
    heard: Mapping[str, float], *, most: int = 9, vocabulary: Vocabulary = GENRES, **wishes: Any
) -> tuple[str, ...]:
    worded = Settings(**wishes).worded(vocabulary)
    return decision.choose(heard, worded, limits={"GENRE": most})["GENRE"]


def not_chosen(heard: Mapping[str, float], *, most: int = 9, **wishes: Any) -> list[Discarded]:
    found: list[Discarded] = []
    worded = Settings(**wishes).worded(GENRES)
    decision.choose(heard, worded, limits={"GENRE": most, "MOOD": most}, discarded=found)
    return found


def whys(heard: Mapping[str, float], **wishes: Any) -> list[tuple[str, str, str]]:
    return [(one.value, one.why, one.other) for one in not_chosen(heard, **wishes)]


INDIAN_AND_LATIN = {"indian": 0.9, "latin": 0.8, "house": 0.7}


def test_without_wishes_a_vocabulary_chooses_as_it_did() -> None:
    assert not Settings().worded(GENRES).is_worded
    assert genres(INDIAN_AND_LATIN) == ("Indian", "Latin", "House")


def test_several_words_become_one_in_the_strongest_place() -> None:
    rename = {"indian": "World", "Latin": "World", "House": "house music"}
    assert genres(INDIAN_AND_LATIN, rename=rename) == ("World", "house music")
    assert genres(INDIAN_AND_LATIN, rename=rename, most=2) == ("World", "house music")


@pytest.mark.parametrize("drop", [("Indian",), ("indian",), ("World",)])
def test_a_word_is_dropped_by_either_name(drop: tuple[str, ...]) -> None:
    assert genres(INDIAN_AND_LATIN, rename={"Indian": "World"}, drop=drop) == ("Latin", "House")


def test_the_list_applies_before_the_cut() -> None:
    assert genres(INDIAN_AND_LATIN, whitelist=("Latin", "House"), most=1) == ("Latin",)


def test_the_list_names_words_as_they_are_written() -> None:
    wishes = {"rename": {"Indian": "World"}, "whitelist": ("World", "Indian Pop")}
    assert genres(INDIAN_AND_LATIN, **wishes) == ("World",)
    assert genres(INDIAN_AND_LATIN, rename={"Indian": "World"}, whitelist=("Indian",)) == ()


def test_the_list_is_about_genres_only() -> None:
    worded = Settings(whitelist=("Latin",)).worded(GENRES)
    assert decision.choose({"slow": 0.9}, worded, limits={"MOOD": 1})["MOOD"] == ("Slow",)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (("Electronic",), ("Electronic",)),
        (("Electronic", "Techno"), ("Techno",)),
        (("Techno", "Minimal"), ("Minimal",)),
        (("Latin",), ()),
    ],
)
def test_for_a_word_that_is_not_on_the_list_stands_the_nearest_family_that_is(
    listed: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert genres({"minimal": 0.9}, whitelist=listed) == expected


def test_a_dropped_word_has_no_substitute() -> None:
    assert genres({"minimal": 0.9}, drop=("Minimal",)) == ()
    assert genres({"minimal": 0.9, "electronic": 0.6}, drop=("Minimal",)) == ("Electronic",)


@pytest.mark.parametrize(
    ("parents", "heard", "expected"),
    [
        ("none", {"techno": 0.9, "electronic": 0.95}, ("Techno",)),
        ("add", {"techno": 0.9, "latin": 0.6}, ("Techno", "Electronic", "Latin")),
        ("add", {"techno": 0.9, "electronic": 0.95}, ("Techno", "Electronic")),
        ("add", {"minimal": 0.9, "house": 0.7}, ("Minimal", "Electronic", "Techno", "House")),
        ("add", {"latin": 0.9}, ("Latin",)),
        ("only", {"minimal": 0.9, "house": 0.8, "latin": 0.7}, ("Electronic", "Latin")),
        ("only", {"electronic": 0.9}, ("Electronic",)),
    ],
)
def test_families_stand_beside_their_members_or_in_their_place(
    parents: str, heard: dict[str, float], expected: tuple[str, ...]
) -> None:
    assert genres(heard, parents=parents) == expected


def test_unwanted_families_are_not_added() -> None:
    heard = {"minimal": 0.9}
    assert genres(heard, parents="add", drop=("Electronic",)) == ("Minimal", "Techno")
    assert genres(heard, parents="only", drop=("Electronic",)) == ("Techno",)


CALIBRATED = GENRES.with_calibration({"Latin": Calibration(1.0, 1.0)})  # of 0.5 it makes 0.73


@pytest.mark.parametrize(
    ("sure", "probability", "chosen"),
    [
        ("balanced", 0.4, True),
        ("careful", 0.5, False),
        ("careful", 0.6, True),
        ("bold", 0.2, True),
        (0.9, 0.7, False),
        (0.9, 0.8, True),
        (0.2, 0.1, True),
    ],
)
def test_how_sure_to_be_is_a_share_of_listeners(
    sure: float | str, probability: float, chosen: bool
) -> None:
    found = genres({"latin": probability}, vocabulary=CALIBRATED, sure=sure)
    assert found == (("Latin",) if chosen else ())


def test_a_value_without_calibration_keeps_its_threshold_and_that_is_said() -> None:
    assert genres({"house": 0.5}, vocabulary=CALIBRATED, sure=0.9) == ("House",)
    assert Settings(sure=0.9).doubts(CALIBRATED) == [
        "sure: not every value of the model is calibrated: "
        "9 keep their own thresholds, for instance Electronic"
    ]
    assert Settings().doubts(CALIBRATED) == []


def test_a_single_value_has_a_threshold_of_its_own() -> None:
    thresholds = {"latin": 0.3, "House": 0.8}
    heard = {"latin": 0.4, "house": 0.7}
    assert genres(heard, thresholds=thresholds, sure=0.9) == ("Latin",)


def test_a_value_that_a_model_never_says_gets_a_threshold_from_the_user() -> None:
    silent = GENRES.with_thresholds({})
    assert genres({"latin": 0.9}, vocabulary=silent, sure=0.1) == ()
    assert genres({"latin": 0.9}, vocabulary=silent, thresholds={"Latin": 0.8}) == ("Latin",)


# -- a list in a file ------------------------------------------------------------------------------


def test_a_list_is_a_text_file_of_one_genre_per_line(tmp_path: Path) -> None:
    path = tmp_path / "genres.txt"
    path.write_bytes(b"\xef\xbb\xbf# mine\r\n\r\nhip-hop\r\nrnb\r\n  latin \r\n")
    heard = {"hip hop": 0.9, "rnb": 0.8, "latin": 0.7, "house": 0.6}
    assert genres(heard, whitelist=str(path)) == ("Hip Hop", "R&B", "Latin")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
        (b"# nothing\n", "there is no genre in it"),
        (b"a" * (2**20 + 1), "too long"),
    ],
)
def test_a_list_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "genres.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=f"^whitelist: {path}: .*{reason}"):
        genres({}, whitelist=str(path))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hip Hop", "hip-hop"),
        ("R&B", "r and b"),
        ("R&B", "RnB"),
        ("R&B", "R 'n' B"),
        ("Drum and Bass", "drum & bass"),
        ("Drum and Bass", "Drum n Bass"),
        ("Música", "musica"),
    ],
)
def test_words_are_compared_as_people_spell_them(one: str, other: str) -> None:
    assert words.spelling(one) == words.spelling(other)


@pytest.mark.parametrize(("one", "other"), [("Rock", "Pop"), ("電子", "音楽"), ("!!!", "???")])
def test_different_words_stay_different(one: str, other: str) -> None:
    assert words.spelling(one) != words.spelling(other)


# -- what has no effect ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wishes", "doubts"),
    [
        ({"drop": ("Tecno",)}, ["drop: the model has no 'Tecno' (did you mean Techno?)"]),
        ({"rename": {"Xyz": "World"}}, ["rename: the model has no 'Xyz'"]),
        (
            {"thresholds": {"Huose": 1}},
            ["thresholds: the model has no 'Huose' (did you mean House"],
        ),
        ({"drop": ("Harp",)}, []),  # another model's
        ({"drop": ("World",), "rename": {"Latin": "World"}}, []),
        ({"whitelist": ("Polka",)}, ["whitelist, drop: none of the model's genres is left"]),
        ({"whitelist": ("Polka", "Latin")}, []),
    ],
)
def test_wishes_without_an_effect_are_said(wishes: dict[str, Any], doubts: list[str]) -> None:
    found = Settings(**wishes).doubts(GENRES)
    assert len(found) == len(doubts)
    for one, expected in zip(found, doubts, strict=True):
        assert one.startswith(expected)


# -- why a value is not written --------------------------------------------------------------------


def test_every_value_that_is_heard_and_not_written_has_its_reason() -> None:
    heard = {"slow": 0.9, "fast": 0.6, "techno": 0.9, "electronic": 0.8, "latin": 0.3}
    assert whys(heard) == [
        ("Latin", "below", ""),
        ("Fast", "opposite", "Slow"),
        ("Electronic", "family", "Techno"),
    ]
    assert whys({"latin": 0.2}) == [], "it is not half of its threshold"
    assert whys(INDIAN_AND_LATIN, most=1) == [("Latin", "over", ""), ("House", "over", "")]


def test_so_has_every_value_that_the_user_does_not_want() -> None:
    assert whys(INDIAN_AND_LATIN, drop=("Indian",), whitelist=("Latin",)) == [
        ("Indian", "dropped", ""),
        ("House", "unlisted", ""),
    ]
    heard = {"minimal": 0.9, "latin": 0.8, "indian": 0.7}
    assert whys(heard, whitelist=("Techno", "Latin", "Indian"), most=2) == [
        ("Minimal", "unlisted", "Techno"),
        ("Indian", "over", ""),
    ]
    assert whys({"minimal": 0.9}, parents="only") == [("Minimal", "member", "Electronic")]
    merged = {"Indian": "World", "Latin": "World"}
    assert whys(INDIAN_AND_LATIN, rename=merged, most=1) == [("House", "over", "")]


def test_a_reason_comes_with_what_was_heard_and_what_was_needed() -> None:
    assert not_chosen({"latin": 0.3}) == [Discarded("GENRE", "Latin", "below", 0.3, 0.5)]


def test_a_value_that_is_never_written_is_suggested_where_it_is_likelier_right_than_wrong() -> None:
    values = tuple(
        dataclasses.replace(value, threshold=None) if value.name == "Latin" else value
        for value in GENRES.values
    )
    unsure = dataclasses.replace(GENRES, values=values)
    found: list[Discarded] = []
    for heard in (0.49, 0.6):
        decision.choose({"latin": heard}, unsure, limits={"GENRE": 2}, discarded=found)
    assert found == [Discarded("GENRE", "Latin", "unsure", 0.6, 0.0)]


def test_explaining_changes_nothing() -> None:
    for most in range(4):
        for wishes in ({}, {"parents": "add"}, {"parents": "only"}, {"whitelist": ("House",)}):
            worded = Settings(**wishes).worded(GENRES)
            heard, limits = {**INDIAN_AND_LATIN, "electronic": 0.9}, {"GENRE": most}
            assert decision.choose(heard, worded, limits=limits) == decision.choose(
                heard, worded, limits=limits, discarded=[]
            )
