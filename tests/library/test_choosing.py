"""Choosing tracks by words: arithmetic by hand, families, spellings."""

from __future__ import annotations

import pytest

from musictag import words
from musictag.config import Settings
from musictag.errors import UsageError
from musictag.library.choosing import choice
from musictag.vocabulary import Calibration, Value, Vocabulary

VOCABULARY = Vocabulary(
    (
        Value("Electronic", "GENRE", ("electronic",), threshold=0.4),
        Value("Drum and Bass", "GENRE", ("dnb", "jungle"), ("Electronic",), threshold=0.3),
        Value("Quiet", "MOOD", ("quiet",)),
        Value("Vocals", "VOCALS", ("voice",), threshold=0.2, calibration=Calibration(1.0, 0.0)),
    )
)


def fit(
    wanted: dict[str, list[str]], unwanted: list[str], least: float | None, **heard: float
) -> float | None:
    return choice(VOCABULARY, wanted, unwanted, least).fit(heard)


@pytest.mark.parametrize(
    ("least", "heard", "expected"),
    [
        (0.6, 0.59, None),
        (0.6, 0.6, 0.6),
        (None, 0.39, None),  # Electronic's own threshold is 0.4
        (None, 0.4, 0.4),
    ],
)
def test_a_word_is_heard_from_what_is_asked_or_from_its_threshold(
    least: float | None, heard: float, expected: float | None
) -> None:
    assert fit({"GENRE": ["electronic"]}, [], least, electronic=heard) == expected


def test_a_value_without_threshold_has_to_be_likelier_right_than_wrong() -> None:
    assert fit({"MOOD": ["quiet"]}, [], None, quiet=0.49) is None
    assert fit({"MOOD": ["quiet"]}, [], None, quiet=0.5) == 0.5


@pytest.mark.parametrize(
    ("least", "heard", "expected"),
    [
        (0.7, 0.31, None),  # only 0.69 would agree that there is no voice
        (0.7, 0.3, 0.7),
        (None, 0.2, None),  # a scan would say Vocals
        (None, 0.19, 0.81),
    ],
)
def test_a_word_is_absent_if_listeners_would_agree_that_it_is(
    least: float | None, heard: float, expected: float | None
) -> None:
    found = fit({}, ["vocals"], least, voice=heard)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_of_one_field_one_word_is_enough_and_every_field_has_to_fit() -> None:
    wanted = {"GENRE": ["Electronic"], "MOOD": ["Quiet"]}
    assert fit(wanted, [], 0.5, dnb=0.8, electronic=0.5, quiet=0.5) == pytest.approx(0.4)
    assert fit(wanted, [], 0.5, dnb=0.8, electronic=0.5, quiet=0.4) is None
    assert fit(wanted, [], 0.5, dnb=0.4, electronic=0.4, quiet=0.9) is None


def test_a_family_stands_for_its_members_and_a_value_for_all_its_tags() -> None:
    assert fit({"GENRE": ["electronic"]}, [], None, jungle=0.3) == 0.3
    assert fit({"GENRE": ["drum & bass"]}, [], None, electronic=0.9) is None
    assert fit({}, ["electronic"], None, jungle=0.3) is None


def test_nothing_asked_fits_everything() -> None:
    assert fit({"GENRE": []}, [], None) == 1.0


@pytest.mark.parametrize("word", ["DRUM AND BASS", "drum 'n' bass", "Jungle music", "dnb-ish"])
def test_spelling_does_not_matter_and_renamed_words_are_known(word: str) -> None:
    wishes = Settings(rename={"Electronic": "Jungle Music", "Quiet": "DnB-ish"})
    field = "MOOD" if word == "dnb-ish" else "GENRE"
    found = choice(words.worded(VOCABULARY, wishes), {field: [word]})
    assert found.wanted


@pytest.mark.parametrize(
    ("wanted", "unwanted", "message"),
    [
        ({"GENRE": ["electronix"]}, [], "--genre: the model has no 'electronix' (did you mean Ele"),
        (
            {"GENRE": ["zzz"]},
            [],
            "--genre: the model has no 'zzz' (musictag models info lists them",
        ),
        ({"GENRE": ["quiet"]}, [], "--genre: Quiet is no genre: --mood Quiet"),
        ({"MOOD": ["drum and bass"]}, [], '--genre "Drum and Bass"'),
        ({"MOOD": [" "]}, [], "--mood: the word is empty"),
        ({}, ["vocal"], "--not: the model has no 'vocal' (did you mean Vocals?)"),
    ],
)
def test_a_word_that_is_not_understood_is_named_with_the_nearest(
    wanted: dict[str, list[str]], unwanted: list[str], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        choice(VOCABULARY, wanted, unwanted)
    assert message in str(error.value)
