"""The table of what changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from outcomes import FAILED, PLANNED, REPLACED, SKIPPED, UNCHANGED, Pipe, told

from musictag.outcome import Change, Outcome
from musictag.report.scan import Report
from musictag.vocabulary import FIELDS


def test_the_table_shows_what_changes_under_the_name_of_its_folder() -> None:
    stdout, _ = told([PLANNED, UNCHANGED, SKIPPED, FAILED, REPLACED])
    assert stdout.splitlines() == [
        "Track                                   Genre                          Mood",
        "Purcell/Dido/",
        "  01 Overture.flac                      – → Opera, Classical           Sad",
        "  02 Shake the cloud from off your br…  Pop → Opera                    – → Slow, Quiet",
    ]


def test_a_narrow_table_wraps_values_and_cuts_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    stdout, _ = told([PLANNED, REPLACED])
    assert stdout.splitlines() == [
        "Track               Genre           Mood",
        "Purcell/Dido/",
        "  01 Overture.flac  – → Opera,      Sad",
        "                    Classical",
        "  02 Shake the cl…  Pop → Opera     – → Slow,",
        "                                    Quiet",
    ]


FOUR = Outcome(
    Path("Purcell/Dido/01 Overture.flac"),
    "planned",
    fields={
        "GENRE": Change((), ("Electronic", "New Age")),
        "MOOD": Change(("Sad",), ("Sad", "Quiet")),
        "INSTRUMENT": Change((), ("Harpsichord", "Strings", "Cello")),
        "VOCALS": Change(("Instrumental",), ("Female", "Male")),
    },
)


def test_four_fields_fit_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stdout = Pipe()
    with Report("table", FIELDS, stdout=stdout, stderr=Pipe()) as teller:
        teller.add(FOUR)
    assert stdout.getvalue().splitlines() == [
        "Track     Genre        Mood         Instrument   Vocals",
        "Purcell/Dido/",
        "  01 Ov…  – →          Sad → Sad,   – →          Instrument…",
        "          Electronic,  Quiet        Harpsichor…  → Female,",
        "          New Age                   Strings,     Male",
        "                                    Cello",
    ]


@pytest.mark.parametrize("columns", range(40, 130))
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_is_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, encoding: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stdout = Pipe()
    monkeypatch.setattr(stdout, "encoding", encoding, raising=False)
    with Report("table", FIELDS, stdout=stdout, stderr=Pipe()) as teller:
        teller.add(FOUR)
    lines = stdout.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert stdout.getvalue().isascii() == (encoding == "ascii")
    words = " ".join(lines)
    assert "Male" in words
    assert "Female" in words or columns < 48


@pytest.mark.parametrize("columns", ["wide", "0", "-1", "3", "", "80.5", "99999"])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_width_that_is_none_is_ignored(
    monkeypatch: pytest.MonkeyPatch, columns: str, terminal: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    usual = told([PLANNED, REPLACED])[0].splitlines()
    monkeypatch.setenv("COLUMNS", columns)
    stdout, _ = told([PLANNED, REPLACED], terminal=terminal)
    if terminal:
        assert "Opera" in stdout
        assert max(map(len, stdout.splitlines())) > 50
    else:
        assert stdout.splitlines() == usual


def test_wide_characters_take_two_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    outcome = Outcome(Path("完全な音楽の名前が.mp3"), "planned", fields=PLANNED.fields)
    row = told([outcome])[0].splitlines()[2]
    assert row == "  完全な音楽の名…   – → Opera,      Sad"


def test_unchanged_tracks_are_shown_on_request() -> None:
    assert "03.flac" not in told([UNCHANGED])[0]
    assert "03.flac" in told([UNCHANGED], verbose=True)[0]


def test_without_utf8_the_table_keeps_to_ascii() -> None:
    class Old(Pipe):
        encoding = "latin-1"

    stdout = Old()
    with Report("table", ("GENRE",), stdout=stdout, stderr=Pipe()) as teller:
        teller.add(REPLACED)
        teller.add(PLANNED)
    assert stdout.getvalue().isascii()
    assert "Pop -> Opera" in stdout.getvalue()


def test_a_pipe_gets_no_colours_and_a_terminal_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b" not in told([PLANNED])[0]
    assert "\x1b[32m" in told([PLANNED], terminal=True)[0]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in told([PLANNED], terminal=True)[0]
