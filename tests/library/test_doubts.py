"""Genres in files against what is heard."""

from __future__ import annotations

import pytest

from musictag.library.doubts import Doubting
from musictag.vocabulary import listener

WORDS = listener().with_thresholds(
    dict.fromkeys([value.name for value in listener().in_field("GENRE")], 0.5)
)
METAL = {"Metal": 0.9, "Rock": 0.6, "Jazz": 0.1, "Pop": 0.2}


@pytest.mark.parametrize(
    "tagged",
    [
        ["Metal"],  # what is heard
        ["Rock"],  # its family
        ["Hard Rock"],  # compatible by the vocabulary
        ["Jazz", "Rock"],  # one that fits is enough
        ["Jazz; Rock"],
        ["rock"],
        ["Zydeco"],  # no word of the model
        [],
    ],
)
def test_what_fits_or_is_unknown_is_not_doubted(tagged: list[str]) -> None:
    assert Doubting(WORDS).doubt(tagged, METAL) is None


def test_a_genre_that_fits_nothing_heard_is_doubted_as_surely_as_it_is_heard() -> None:
    doubt = Doubting(WORDS).doubt(["Jazz"], METAL)
    assert doubt is not None
    assert (doubt.tagged, doubt.tagged_agreement) == (("Jazz",), 0.1)
    assert (doubt.heard, doubt.heard_agreement) == ("Metal", 0.9)
    assert doubt.confidence == pytest.approx(0.9 * 0.9)


@pytest.mark.parametrize("tagged", ["hip-hop", "Hip Hop", "HIPHOP", "hip hop/Zydeco"])
def test_spellings_of_a_word_are_one_word(tagged: str) -> None:
    assert Doubting(WORDS).doubt([tagged], METAL) is not None
    assert Doubting(WORDS).doubt([tagged], {"Hip Hop": 0.8}) is None


def test_where_the_ear_is_not_sure_nothing_is_doubted() -> None:
    assert Doubting(WORDS).doubt(["Jazz"], {"Metal": 0.49, "Jazz": 0.01}) is None


def test_values_that_are_never_chosen_doubt_nothing() -> None:
    assert Doubting(WORDS.with_thresholds({})).doubt(["Jazz"], METAL) is None


def test_the_member_is_named_and_not_its_family() -> None:
    doubt = Doubting(WORDS).doubt(["Jazz"], {"Rock": 0.95, "Metal": 0.7})
    assert doubt is not None
    assert doubt.heard == "Metal"
