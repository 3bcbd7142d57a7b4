"""Text that steers no terminal, and times as people say them."""

from __future__ import annotations

import pytest

from musictag.report.text import music_text, time_text, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, déjà vu, 坂本龍一, 🎻, ½", "plain, déjà vu, 坂本龍一, 🎻, ½"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("two\nlines\tand\rmore", "two\\nlines\\tand\\rmore"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("\u2028", "\\u2028"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_as_an_escape(text: str, expected: str) -> None:
    assert visible(text) == expected


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (0.04, "0.0 s", "0 s"),
        (8, "8.0 s", "8 s"),
        (59.4, "59 s", "59 s"),
        (134, "2 min 14 s", "2 min"),
        (11_100, "3 h 05 min", "3.1 hours"),
        (10_000_000, "2777 h 46 min", "2,777.8 hours"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: float, short: str, long: str) -> None:
    assert (time_text(seconds), music_text(seconds)) == (short, long)
