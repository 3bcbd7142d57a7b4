"""What people said of tracks, and how a model's words compare with it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from labelled import TAGS

from musictag.training import scorecard
from musictag.training.by_people import judge_genres, judge_people
from musictag.training.dataset import DataSet, Example
from musictag.training.evaluate import judge
from musictag.training.judgements import judgements
from musictag.vocabulary import Vocabulary, listener, magnatagatune

Words = tuple[frozenset[str], ...]


def said(text: str) -> Words:
    """As clips.csv has it: `;` between words, `|` between alternatives."""
    return tuple(frozenset(some.split("|")) for some in text.split(";") if some)


def at(thresholds: Mapping[str, float]) -> Vocabulary:
    return magnatagatune().with_thresholds(thresholds)


def data_set(tags: tuple[str, ...], *examples: Example) -> DataSet:
    labels = np.full((len(examples), len(tags)), 0.5, dtype=np.float32)
    numbered = (
        dataclasses.replace(example, id=f"{n}", track=example.track or f"{n}")
        for n, example in enumerate(examples)
    )
    return DataSet(Path(), tags, tuple(numbered), labels, dict.fromkeys(tags, 0.5))


def track(people: str = "", *, name: str = "", **about: object) -> Example:
    example = Example("", Path("a.wav"), 0, 29, name, "validation", people=said(people))
    return dataclasses.replace(example, **about)  # type: ignore[arg-type]


# -- judgements ------------------------------------------------------------------------------------


def asked_and_standing(example: Example, vocabulary: Vocabulary) -> dict[str, str]:
    """Value → yes, no or open, for the values about which something is known."""
    found = judgements(data_set(("rock",), example), [0], vocabulary)
    words = {}
    for v, name in enumerate(found.names):
        if found.asked[0, v]:
            words[name] = "open" if found.open[0, v] else "yes" if found.stands[0, v] else "no"
    return words


def test_a_genre_by_people_says_something_of_every_genre() -> None:
    found = asked_and_standing(track("jazz;blues"), listener())
    assert {name for name, word in found.items() if word == "yes"} == {"Jazz", "Blues"}
    assert {name for name, word in found.items() if word == "open"} == {"Swing"}
    assert set(found) == {value.name for value in listener().in_field("GENRE")}


def test_who_says_rock_has_not_said_whether_it_is_punk() -> None:
    found = asked_and_standing(track("rock"), listener())
    assert (found["Rock"], found["Punk"], found["Jazz"]) == ("yes", "open", "no")
    found = asked_and_standing(track("punk"), listener())
    assert (found["Punk"], found["Rock"], found["Metal"]) == ("yes", "yes", "no")


def test_of_alternatives_nobody_said_which() -> None:
    found = asked_and_standing(track("pop|rock"), listener())
    assert (found["Pop"], found["Rock"], found["Jazz"]) == ("open", "open", "no")
    found = asked_and_standing(track("pop|rock;rock"), listener())
    assert (found["Pop"], found["Rock"]) == ("open", "yes")


def test_a_compatible_value_stands_without_having_been_named() -> None:
    found = asked_and_standing(track("pop"), listener())
    assert (found["Pop"], found["Dance"], found["Jazz"]) == ("yes", "open", "no")


def test_words_that_are_no_genres_count_only_where_there_is_no_other() -> None:
    alone = asked_and_standing(track("organ"), listener())
    assert (alone["Jazz"], alone["Classical"], alone["Rock"]) == ("open", "open", "no")
    beside = asked_and_standing(track("classical;organ"), listener())
    assert (beside["Jazz"], beside["Classical"]) == ("no", "yes")


def test_where_nobody_was_asked_nothing_is_known() -> None:
    assert asked_and_standing(track(), listener()) == {}
    assert asked_and_standing(track("polka"), listener()) == {}


@pytest.mark.parametrize(
    ("quadrant", "right", "wrong"),
    [
        ("Q1", {"Happy", "Energetic"}, {"Sad", "Aggressive", "Relaxing"}),
        ("Q2", {"Energetic", "Aggressive"}, {"Happy", "Relaxing"}),
        ("Q3", {"Sad", "Melancholic"}, {"Happy", "Energetic"}),
        ("Q4", {"Relaxing"}, {"Energetic", "Sad"}),
    ],
)
def test_quadrants_say_which_moods_stand(quadrant: str, right: set[str], wrong: set[str]) -> None:
    found = asked_and_standing(track(quadrant=quadrant), listener())
    assert {name for name, word in found.items() if word == "yes"} == right
    assert wrong <= {name for name, word in found.items() if word == "no"}
    assert "Slow" not in found  # people have no word for it


def test_words_of_mood_count_beside_the_quadrant() -> None:
    found = asked_and_standing(track(quadrant="Q4", moods=("Dreamy", "Gentle")), listener())
    assert {name for name, word in found.items() if word == "yes"} == {
        "Relaxing",
        "Tender",
        "Spacey",
    }


def test_who_hears_a_voice_has_not_said_whose_it_is() -> None:
    found = asked_and_standing(track(voice=True), listener())
    assert (found["Vocals"], found["Female"], found["Instrumental"]) == ("yes", "open", "no")
    found = asked_and_standing(track(voice=False), listener())
    assert (found["Vocals"], found["Female"], found["Instrumental"]) == ("no", "no", "yes")


def test_tracks_are_judged_once_whatever_their_excerpts() -> None:
    dataset = data_set(("rock",), track("rock", name="a"), track("rock", name="a"), track(name="b"))
    assert judgements(dataset, [0, 1, 2], listener()).tracks == ("a", "b")


# -- against what was heard ------------------------------------------------------------------------


def test_genres_are_judged_against_people_by_hand() -> None:
    heard = np.array(
        [
            [0.9, 0.1, 0.9],  # rock, and heard so
            [0.1, 0.9, 0.9],  # rock, heard classical
            [0.1, 0.9, 0.9],  # classical, and heard so
            [0.1, 0.1, 0.9],  # classical, heard nothing
            [0.9, 0.9, 0.9],  # jazz: not a tag, does not count
        ]
    )
    people = [said(word) for word in ("rock", "rock", "classical", "classical", "jazz")]
    thresholds = {"Rock": 0.5, "Classical": 0.5, "Instrumental": 0.5}
    found = judge_genres(heard, TAGS, people, at(thresholds), n_resamples=0)
    assert found["n_tracks"] == 4
    assert found["coverage"] == 3 / 4
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["confusion"] == {
        "rock": {"Rock": 1, "Classical": 1},
        "classical": {"Classical": 1, "": 1},
    }
    assert found["roc_auc"]["rock"] == pytest.approx(3 / 4)


def test_coverage_and_precision_have_intervals() -> None:
    heard = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.1], [0.9, 0.1, 0.1]] * 5)
    found = judge_genres(
        heard,
        TAGS,
        [said("rock")] * 20,
        at({"Rock": 0.5, "Classical": 0.5}),
        n_resamples=400,
    )
    assert (found["coverage"], found["precision"]) == (0.75, pytest.approx(2 / 3))
    for name in ("coverage", "precision", "precision_first"):
        low, high = found[f"{name}_95"]
        assert low < found[name] < high
    silent = judge_genres(heard, TAGS, [said("rock")] * 20, at({}), n_resamples=0)
    assert silent["coverage"] == 0
    assert math.isnan(silent["precision"])


def test_genres_with_few_tracks_are_in_no_average() -> None:
    heard = np.array([[0.9, 0.1, 0.5]] * 5 + [[0.1, 0.9, 0.5]] * 4)
    people = [said("rock")] * 5 + [said("classical")] * 4
    found = judge_genres(heard, TAGS, people, at({}), n_resamples=9)
    assert found["n_of_genre"] == {"classical": 4, "rock": 5}
    assert (found["n_genres"], found["macro_roc_auc"]) == (1, 1.0)
    few = judge_genres(heard[5:], TAGS, people[5:], at({}), n_resamples=9)
    assert few["n_genres"] == 0
    assert math.isnan(few["macro_roc_auc"])


def test_a_track_that_may_be_the_genre_is_no_witness_for_or_against_it() -> None:
    tags = ("rock", "pop")
    heard = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    people = [said("rock"), said("pop"), said("pop|rock")]
    found = judge_genres(heard, tags, people, at({"Rock": 0.45}), n_resamples=0)
    assert found["roc_auc"] == {"rock": 1.0, "pop": 1.0}
    assert found["precision"] == 1.0  # Rock stands for pop|rock
    assert found["confusion"]["pop|rock"] == {"Rock": 1}


def test_moods_are_judged_by_halves_of_their_plane_and_voices_by_what_is_stated() -> None:
    tags = ("happy", "energetic", "instrumental")
    quadrants = ("Q1", "Q2", "Q3", "Q4")
    dataset = data_set(
        tags,
        *(track(quadrant=quadrant, voice=quadrant != "Q4") for quadrant in quadrants),
        track(),
    )
    heard = np.array(
        [[0.9, 0.9, 0.1], [0.2, 0.8, 0.2], [0.1, 0.3, 0.3], [0.8, 0.2, 0.9], [0.5, 0.5, 0.5]]
    )
    found = judge_people(heard, dataset, range(5), listener().of(tags), n_resamples=9)
    assert found["moods"]["n_tracks"] == 4
    assert (found["moods"]["happy_roc_auc"], found["moods"]["energetic_roc_auc"]) == (1.0, 1.0)
    assert (found["voice"]["n_tracks"], found["voice"]["n_instrumental"]) == (4, 1)
    assert found["voice"]["roc_auc"] == 1.0
    assert "coverage" not in found


def test_each_value_says_how_often_it_is_right_and_what_it_is_confused_with() -> None:
    tags = ("rock", "jazz", "punk")
    dataset = data_set(tags, track("rock"), track("rock"), track("jazz"), track("jazz"))
    heard = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.1]])
    vocabulary = listener().of(tags).with_thresholds({"Rock": 0.5, "Jazz": 0.5, "Punk": 0.5})
    values = judge_people(heard, dataset, range(4), vocabulary, n_resamples=0)["values"]
    assert values == {
        "Rock": {
            "n_said": 2,
            "n_written": 1,
            "precision": 1.0,
            "coverage": 0.5,
            "wrong_for": {},
            "missed_for": {"Jazz": 1},
        },
        "Jazz": {
            "n_said": 2,
            "n_written": 2,
            "precision": 0.5,
            "coverage": 0.5,
            "wrong_for": {"rock": 1},
            "missed_for": {"": 1},
        },
    }


def test_where_people_said_nothing_nothing_is_reported() -> None:
    dataset = data_set(TAGS, track(), track())
    heard = np.full((2, 3), 0.5)
    assert judge_people(heard, dataset, range(2), at({"Rock": 0.5}), n_resamples=0) == {}


def test_the_scorecard_of_many_genres_fits_a_terminal_too() -> None:
    vocabulary = listener()
    tags = tuple(sorted(vocabulary.tags))
    chance = np.random.default_rng(2)
    genres = [value.tags[0] for value in vocabulary.in_field("GENRE")]
    examples = [
        track(
            f"{genres[n % len(genres)]};pop|rock",
            quadrant=f"Q{1 + n % 4}",
            voice=n % 2 == 0,
        )
        for n in range(90)
    ]
    dataset = data_set(tags, *examples)
    found = judge(
        chance.random((90, len(tags))),
        dataset,
        range(90),
        vocabulary=vocabulary.with_thresholds(dict.fromkeys(vocabulary.by_name, 0.7)),
        n_resamples=9,
    )
    lines = scorecard.text(found).splitlines()
    assert max(map(len, lines)) <= 80
    (header,) = [line for line in lines if line.startswith("said")]
    assert header.split()[-2:] == ["other", "none"]
    (jazz,) = [line.split()[2:] for line in lines if line.startswith("jazz ") and "·" in line]
    counts = found.people["confusion"]["jazz"]
    assert sum(int(cell) for cell in jazz if cell != "·") == sum(counts.values())
    assert any(line.startswith("  energetic") for line in lines)
    assert any(line.startswith("voice against instrumental, on 90 tracks") for line in lines)
    assert any(line.startswith("Drum and Bass") for line in lines)
    json.dumps(found.to_json(), allow_nan=False)
