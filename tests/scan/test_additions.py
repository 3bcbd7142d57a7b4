"""STYLE, comment, grouping and provenance in a scan."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from scans import NOTHING, ON_CPU, Listening, Song, retag, scan, statuses

from musictag.errors import UsageError
from musictag.scan import additions
from musictag.stores.cache import Cache
from musictag.vocabulary import Vocabulary, bundled

HEARD = (0.75, 0.75, 0.0)
DJ = dataclasses.replace(ON_CPU, comment="[{mood}; {genre}]", grouping="({genre})")
TRACED = dataclasses.replace(ON_CPU, provenance=True)


def tags(path: Path) -> Any:
    return json.loads(path.read_text())["metadata"]


def test_a_comment_gets_its_part_and_keeps_the_rest(
    listening: Listening, song: Song, cache: Cache
) -> None:
    path = song(heard=[HEARD], metadata={"COMMENT": ["Ripped by me", "other"]})
    assert statuses(scan([path], listening, DJ, cache=cache, write=True)) == ["written"]
    assert tags(path)["COMMENT"] == ["Ripped by me [Slow; Rock]", "other"]
    assert tags(path)["GROUPING"] == ["(Rock)"]
    assert statuses(scan([path], listening, DJ, cache=cache, write=True)) == ["unchanged"]
    assert len(listening.decoded) == 1


def test_the_part_follows_what_is_heard_and_what_others_write(
    listening: Listening, song: Song, cache: Cache
) -> None:
    path = song(heard=[HEARD])
    scan([path], listening, DJ, cache=cache, write=True)
    retag(path, COMMENT=["now first [Slow; Rock] now last"])
    less = dataclasses.replace(DJ, drop=("Slow",))
    scan([path], listening, less, cache=cache, write=True)
    assert tags(path)["COMMENT"] == ["now first [Rock] now last"]


def test_a_comment_that_could_not_be_kept_is_left_alone(listening: Listening, song: Song) -> None:
    """It was written in another alphabet than it says."""
    path = song(heard=[HEARD], metadata={"COMMENT": ["caf\ufffd"]})
    scan([path], listening, DJ, write=True)
    assert tags(path)["COMMENT"] == ["caf\ufffd"]
    assert tags(path)["GENRE"] == ["Rock"]


def test_where_nothing_is_heard_the_comment_stays(listening: Listening, song: Song) -> None:
    path = song(heard=[NOTHING], metadata={"COMMENT": ["[Rock]"]})
    assert statuses(scan([path], listening, DJ, write=True)) == ["unchanged"]
    assert tags(path) == {"COMMENT": ["[Rock]"]}


def test_the_comment_says_what_was_heard_whatever_the_fields_keep(
    listening: Listening, song: Song
) -> None:
    path = song(heard=[HEARD], metadata={"GENRE": ["Disco"]})
    (outcome,) = scan([path], listening, DJ, write=True)
    assert tags(path)["COMMENT"] == ["[Slow; Rock]"]
    assert tags(path)["GENRE"] == ["Disco"]
    assert outcome.fields["COMMENT"].new == ("[Slow; Rock]",)


def test_a_template_that_would_not_be_found_again_is_refused(
    listening: Listening, song: Song
) -> None:
    settings = dataclasses.replace(ON_CPU, comment="[{mood}oc{genre}]")
    with pytest.raises(UsageError, match="--comment: 'oc' cannot be told from what is in 'Rock'"):
        scan([song()], listening, settings)


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Any:
    days = [date(2026, 11, 30)]
    monkeypatch.setattr(additions, "today", lambda: days[-1])
    return days


def test_provenance_says_who_heard_what_and_when(
    listening: Listening, song: Song, cache: Cache, calendar: list[date]
) -> None:
    path = song(heard=[HEARD])
    scan([path], listening, TRACED, cache=cache, write=True)
    assert tags(path) == {
        "GENRE": ["Rock"],
        "MOOD": ["Slow"],
        "MUSICTAG_MODEL": ["fake d1"],
        "MUSICTAG_DATE": ["2026-11-30"],
        "MUSICTAG_PROBABILITIES": ["Rock 0.75, Slow 0.75"],
    }
    before = path.read_bytes()
    calendar.append(date(2027, 1, 1))
    assert statuses(scan([path], listening, TRACED, cache=cache, write=True)) == ["unchanged"]
    assert path.read_bytes() == before


def test_the_date_changes_with_what_changes(
    listening: Listening, song: Song, cache: Cache, calendar: list[date]
) -> None:
    path = song(heard=[HEARD])
    scan([path], listening, TRACED, cache=cache, write=True)
    calendar.append(date(2027, 1, 1))
    renamed = dataclasses.replace(TRACED, rename={"Rock": "Rock'n'Roll"})
    scan([path], listening, renamed, cache=cache, write=True)
    assert tags(path)["MUSICTAG_DATE"] == ["2027-01-01"]
    assert tags(path)["MUSICTAG_PROBABILITIES"] == ["Rock'n'Roll 0.75, Slow 0.75"]


def test_nothing_heard_has_no_provenance(listening: Listening, song: Song) -> None:
    path = song(heard=[NOTHING])
    assert statuses(scan([path], listening, TRACED, write=True)) == ["unchanged"]


def test_of_an_album_the_genre_has_the_albums_probability(
    listening: Listening, song: Song, calendar: list[date]
) -> None:
    paths = [song(heard=[heard]) for heard in ((0.875, 0.75, 0.0), (0.625, 0.0, 0.0))]
    settings = dataclasses.replace(TRACED, by_album=True)
    scan(paths, listening, settings, write=True)
    assert [tags(path)["MUSICTAG_PROBABILITIES"] for path in paths] == [
        ["Rock 0.75, Slow 0.75"],
        ["Rock 0.75"],
    ]


def test_what_somebody_does_to_a_comment_is_no_reason_to_refuse_a_later_genre(
    listening: Listening, song: Song, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write without a template neither expects a comment nor records one."""
    path = song(heard=[HEARD])
    scan([path], listening, DJ, cache=cache, write=True)
    expected: list[Any] = []
    write = listening.metadata.write

    def spy(*arguments: Any, **options: Any) -> Any:
        expected.append(options["expected"])
        return write(*arguments, **options)

    monkeypatch.setattr(listening.metadata, "write", spy)
    plain = dataclasses.replace(ON_CPU, rename={"Rock": "Beat"})
    scan([path], listening, plain, cache=cache, write=True)
    assert tags(path)["GENRE"] == ["Beat"]
    assert set(expected[0]) == {"GENRE", "MOOD"}


STYLED = dataclasses.replace(ON_CPU, style=True, fields=("GENRE",))


class Families(Listening):
    """Hears genres that have families."""

    @property
    def vocabulary(self) -> Vocabulary:
        return bundled("listener").with_thresholds(self.thresholds)


@pytest.fixture
def families(listening: Listening) -> Listening:  # it sets how readers wait
    tagged = ("electronic", "techno", "rock")
    return Families(tags=tagged, thresholds=dict.fromkeys(map(str.title, tagged), 0.5))


@pytest.mark.parametrize(
    ("heard", "genre", "style"),
    [
        ((0.0, 0.75, 0.0), ["Electronic"], ["Techno"]),
        ((0.75, 0.7, 0.0), ["Electronic"], ["Techno"]),
        ((0.75, 0.0, 0.0), ["Electronic"], None),
        ((0.0, 0.7, 0.9), ["Rock", "Electronic"], ["Techno"]),
    ],
)
def test_specific_genres_go_into_style_and_their_families_into_genre(
    heard: Any,
    genre: list[str],
    style: list[str] | None,
    families: Listening,
    song: Song,
    cache: Cache,
) -> None:
    path = song(heard=[heard])
    scan([path], families, STYLED, cache=cache, write=True)
    assert (tags(path)["GENRE"], tags(path).get("STYLE")) == (genre, style)
    assert statuses(scan([path], families, STYLED, cache=cache, write=True)) == ["unchanged"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("keep", ["Dub"]), ("merge", ["Dub", "Techno"]), ("replace", ["Techno"])],
)
def test_style_has_the_policy_of_genre(
    policy: str, expected: list[str], families: Listening, song: Song
) -> None:
    path = song(heard=[(0.0, 0.75, 0.0)], metadata={"GENRE": ["Electronic"], "STYLE": ["Dub"]})
    scan([path], families, dataclasses.replace(STYLED, existing={"GENRE": policy}), write=True)
    assert tags(path)["STYLE"] == expected


def test_our_own_style_gives_way_to_a_newer_opinion(
    families: Listening, song: Song, cache: Cache
) -> None:
    path = song(heard=[(0.0, 0.75, 0.0)])
    scan([path], families, STYLED, cache=cache, write=True)
    renamed = dataclasses.replace(STYLED, rename={"Techno": "Minimal Techno"})
    scan([path], families, renamed, cache=cache, write=True)
    assert tags(path)["STYLE"] == ["Minimal Techno"]


def test_an_album_has_its_style(families: Listening, song: Song) -> None:
    paths = [song(heard=[heard]) for heard in ((0.0, 0.95, 0.0), (0.0, 0.3, 0.0))]
    scan(paths, families, dataclasses.replace(STYLED, by_album=True), write=True)
    assert [tags(path)["STYLE"] for path in paths] == [["Techno"], ["Techno"]]
