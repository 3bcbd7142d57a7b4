"""Which tracks a scan is about: the language, and since when."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from musictag.config import Settings
from musictag.errors import UsageError
from musictag.selection import ExpressionError, Selection, Unknown, parsed, since

SONG = {
    "genre": ("Rock", "Hard Rock"),
    "artist": ("Johann Sebastian Bach",),
    "album": ("Señor",),
    "path": ("/music/Bach/Live/01.FLAC",),
    "suffix": ("FLAC",),
}


def holds(text: str) -> bool:
    return parsed(text)(lambda name: SONG.get(name, ()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("genre = Rock", True),
        ("genre = 'hard rock'", True),
        ('genre = "Hard"', False),
        ("genre != Rock", False),
        ("genre != Pop", True),
        ("mood != Happy", True),
        ("artist ~ bach", True),
        ("artist ~ mozart", False),
        ("album = 'Sen\u0303or'", True),
        ("mood missing", True),
        ("genre missing", False),
        ("NOT mood MISSING", False),
        ("not genre missing", True),
        ("suffix = flac", True),
        ("suffix = .flac", True),
        ('path ~ "/live/"', True),
        ("genre=Rock and artist~bach", True),
        ("genre = Pop and artist ~ bach or suffix = flac", True),
        ("genre = Pop and (artist ~ bach or suffix = flac)", False),
        ("not (genre = Pop or mood = Sad)", True),
        ("not genre = Pop and mood = Sad", False),
        ("not not genre = Rock", True),
        ("genre = 'and'", False),
        ("genre = and", False),
    ],
)
def test_an_expression_holds_or_does_not(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gender = Rock", "column 1: no such field: gender (did you mean genre?)"),
        ("mood = Sad and bpm = 120", "column 16: no such field: bpm (there are genre, style, "),
        ("genre Rock", "column 7: expected =, !=, ~ or missing, not Rock"),
        ("genre =", "column 8: expected a value, not the end"),
        ("genre == Rock", "column 8: expected a value, not = (one = is enough)"),
        ("genre is missing", "column 7: expected =, !=, ~ or missing, not is (write: genre miss"),
        ("genre = Hard Rock", "column 14: expected and, or or the end, not Rock (quotes go around"),
        ("(genre = Rock", "column 14: expected and, or or ), not the end"),
        ("genre = Rock)", "column 13: expected and, or or the end, not )"),
        ("genre = 'Rock", "column 9: this quote has no end"),
        ("genre = !", "column 9: '!' has no meaning"),
        ('genre = ""', "column 9: the value is empty (write: genre missing)"),
        ("", "column 1: expected a field, not the end"),
        ("and", "column 1: expected a field, not and"),
        ("not " * 60 + "genre missing", "more than 50 levels"),
        ("(" * 5000, "more than 50 levels"),
    ],
)
def test_a_mistake_names_its_column(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as mistake:
        parsed(text)
    assert message in str(mistake.value)


def test_what_is_not_read_yet_is_unknown_only_where_it_matters() -> None:
    def lookup(name: str) -> tuple[str, ...]:
        if name == "genre":
            raise Unknown
        return SONG[name]

    assert parsed("suffix = mp3 and genre = Rock")(lookup) is False
    with pytest.raises(Unknown):
        parsed("suffix = flac and genre = Rock")(lookup)


@pytest.mark.parametrize(
    ("missing", "fields", "expected"),
    [
        (("GENRE",), {}, True),
        (("GENRE",), {"GENRE": ("Rock",)}, False),
        (("GENRE", "MOOD"), {"GENRE": ("Rock",)}, True),
        (("GENRE", "MOOD"), {"GENRE": ("Rock",), "MOOD": ("Sad",)}, False),
        (("GENRE",), None, None),
    ],
)
def test_only_files_that_lack_a_field(
    missing: tuple[str, ...], fields: dict[str, tuple[str, ...]] | None, expected: bool | None
) -> None:
    selection = Selection(Settings(only_missing=missing))
    assert selection.wants(Path("a.mp3"), fields) is expected


def test_all_that_is_asked_must_hold() -> None:
    selection = Selection(Settings(only_missing=("MOOD",), where="genre = Rock"))
    assert selection.wants(Path("a.mp3"), {"GENRE": ("Rock",)}) is True
    assert selection.wants(Path("a.mp3"), {"GENRE": ("Pop",)}) is False
    assert selection.wants(Path("a.mp3"), {"GENRE": ("Rock",), "MOOD": ("Sad",)}) is False


def test_nothing_asked_is_no_selection() -> None:
    assert not Selection(Settings())


@pytest.mark.parametrize(("age", "seconds"), [("12h", 43_200), ("7d", 604_800), ("2W", 1_209_600)])
def test_an_age_is_so_long_ago(age: str, seconds: int) -> None:
    assert since(age) == pytest.approx(time.time() - seconds, abs=60)


def test_a_date_is_the_beginning_of_its_day() -> None:
    assert since("2026-11-01") == datetime(2026, 11, 1).timestamp()  # people's own
    assert since("2026-11-01 14:30") - since("2026-11-01") == 14.5 * 3600


def test_only_files_changed_later_than_a_file(tmp_path: Path) -> None:
    stamp, old, new = (tmp_path / name for name in ("stamp", "old.mp3", "new.mp3"))
    for path, time_s in ((stamp, 2_000), (old, 1_000), (new, 3_000)):
        path.touch()
        os.utime(path, (time_s, time_s))
    selection = Selection(Settings(newer_than=os.fspath(stamp)))
    assert [selection.wants(path, None) for path in (old, stamp, new)] == [False, False, True]
    assert selection.wants(tmp_path / "gone.mp3", None) is True  # so that somebody says so


@pytest.mark.parametrize("text", ["2026-13-01", "7 parsecs", "no/such/file"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="neither a date"):
        since(text)
