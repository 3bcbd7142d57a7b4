"""The table of what changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from outcomes import FAILED, PLANNED, REPLACED, SKIPPED, UNCHANGED, Pipe, told

from musictag.files import walk
from musictag.outcome import Album, Change, Discarded, Outcome
from musictag.report.scan import Report
from musictag.report.table import Table
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


def test_what_is_heard_and_not_written_stands_below_the_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    whys = [
        Discarded("GENRE", "Dance", "below", 0.414, 0.505),
        Discarded("GENRE", "Techno", "unlisted", 0.9, 0.5, "Electronic"),
        Discarded("GENRE", "House", "unlisted", 0.9, 0.5),
        Discarded("GENRE", "Choral", "dropped", 0.9, 0.5),
        Discarded("MOOD", "Fast", "opposite", 0.9, 0.5, "Slow"),
        Discarded("GENRE", "Rock", "family", 0.9, 0.5, "Metal"),
        Discarded("MOOD", "Quiet", "over", 0.9, 0.5),
        Discarded("GENRE", "Dub", "unsure", 0.6, 0.0),
        Discarded("VOCALS", "Male", "over", 0.9, 0.5),  # a field that is not shown
    ]
    stdout, _ = told([replace(PLANNED, discarded=tuple(whys)), REPLACED])
    assert stdout.splitlines()[3:7] == [
        "    not: Dance (41% sure, 50% needed), Techno (is Electronic), House",
        "         (not on the list), Choral (dropped), Fast (opposite of Slow),",
        "         Rock (family of Metal), Quiet (too many), Dub (60% sure, a",
        "         suggestion)",
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
        "Track             Genre      Mood       Instrume…  Vocals",
        "Purcell/Dido/",
        "  01 Overture.f…  – →        Sad →      – →        Instrume…",
        "                  Electron…  Sad,       Harpsich…  → Female,",
        "                  New Age    Quiet      Strings,   Male",
        "                                        Cello",
    ]


@pytest.mark.parametrize("columns", [*range(40, 130), 160, 200])
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


def shown(outcomes: Sequence[Outcome], fields: Sequence[str] = FIELDS) -> list[str]:
    table = Table(fields, Pipe())
    return [line for outcome in outcomes for line in table.lines(outcome)]


@pytest.mark.parametrize("columns", [80, 81, 100, 120, 200])
@pytest.mark.parametrize("n_fields", [1, 2, 3, 4])
def test_names_keep_24_characters_before_fields_get_theirs(
    monkeypatch: pytest.MonkeyPatch, columns: int, n_fields: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    name = "abcdefghijklmnopqrstuvwx.flac"
    *_, row = shown([replace(PLANNED, path=Path("a") / name, fields={})], FIELDS[:n_fields])
    assert row.startswith(f"  {name[:23]}")
    assert len(row) >= 26


LONG = Path(
    "/home/you/Music/Various Artists of the Twentieth Century/"
    "A Collection of Rather Long Things (Remastered Deluxe Edition)/Disc 1/01.flac"
)


@pytest.mark.parametrize("columns", range(40, 201, 10))
def test_a_folder_is_wrapped_between_words(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    _, *folder, _ = shown([replace(PLANNED, path=LONG, fields={})], ["GENRE"])
    assert max(map(len, folder)) <= columns
    words = [word for line in folder for word in re.findall(r"[^ /]+", line)]
    assert words == re.findall(r"[^ /]+", f"{LONG.parent}")


def test_a_folder_is_one_line_where_no_terminal_breaks_it() -> None:
    assert f"{LONG.parent}/" in shown([replace(PLANNED, path=LONG)])


def test_a_name_wider_than_the_terminal_is_broken_where_it_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _, *folder, _ = shown([replace(PLANNED, path=Path("x" * 100, "1.flac"), fields={})], ["GENRE"])
    assert [len(line) for line in folder] == [40, 40, 29]
    assert "".join(line.strip() for line in folder) == "x" * 100 + "/"


def test_the_heading_of_a_folder_stands_once(tmp_path: Path) -> None:
    """Files of a folder come before the folders in it, whatever they are called."""
    for name in ("b.mp3", "C/1.mp3", "d.mp3", "a/2.mp3", "Z.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    walked = [path for path in walk([tmp_path]) if isinstance(path, Path)]
    lines = shown([replace(PLANNED, path=path) for path in walked])
    headings = [line for line in lines if line.endswith("/")]
    assert headings == [f"{tmp_path}/", f"{tmp_path}/C/", f"{tmp_path}/a/"]


def test_an_album_has_a_line_before_its_first_track() -> None:
    gold = Album("Gold", "Abba", 12, ("Pop", "Disco"))
    kept = Album("Waterloo", "", 2, ("Pop",), is_kept=True)
    none = Album("Evil\x1b", "Abba", 1, ())
    of = [gold, gold, kept, none]
    outcomes = [replace(PLANNED, path=Path(f"{n}.flac"), album=a) for n, a in enumerate(of)]
    stdout, _ = told(outcomes)
    assert [line.strip() for line in stdout.splitlines() if "[" in line] == [
        "[Gold by Abba, 12 tracks together: Pop, Disco]",
        "[Waterloo, 2 tracks as its other tracks have it: Pop]",
        "[Evil\\x1b by Abba, 1 track together: no genre that it is sure of]",
    ]
