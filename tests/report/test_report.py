"""What people and programs read: table, JSON lines, CSV, TSV, errors, bar, summary."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from musictag.outcome import Change, Outcome, Problem
from musictag.report import scan as report
from musictag.report.scan import Report, Tally, visible

NASTY = Path(os.fsdecode(b"evil\x1b[31m\n\xe2\x80\xaegnp caf\xe9.mp3"))

PLANNED = Outcome(
    Path("Purcell/Dido/01 Overture.flac"),
    "planned",
    duration_s=103.25,
    probabilities={"opera": 0.9, "slow": 1 / 3},
    chosen={"GENRE": ("Opera", "Classical"), "MOOD": ("Slow",), "INSTRUMENT": (), "VOCALS": ()},
    fields={
        "GENRE": Change((), ("Opera", "Classical")),
        "MOOD": Change(("Sad",), ("Sad",)),
    },
    model="first",
)
REPLACED = Outcome(
    Path("Purcell/Dido/02 Shake the cloud from off your brow.flac"),
    "planned",
    duration_s=60.0,
    fields={"GENRE": Change(("Pop",), ("Opera",)), "MOOD": Change((), ("Slow", "Quiet"))},
    model="first",
)
UNCHANGED = Outcome(Path("Purcell/Dido/03.flac"), "unchanged", duration_s=60.0, model="first")
FAILED = Outcome(
    Path("Purcell/broken.mp3"),
    "failed",
    error=Problem("truncated", "the file is cut short (copy it again)"),
    model="first",
)
SKIPPED = Outcome(
    Path("Purcell/silent.mp3"), "skipped", error=Problem("silent", "only silence"), model="first"
)


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    encoding = "utf-8"


def told(
    outcomes: Sequence[Outcome], form: str = "table", *, terminal: bool = False, **options: bool
) -> tuple[str, str]:
    stdout, stderr = (Screen(), Screen()) if terminal else (Pipe(), Pipe())
    with Report(form, ("GENRE", "MOOD"), stdout=stdout, stderr=stderr, **options) as teller:
        for outcome in outcomes:
            teller.add(outcome)
    return stdout.getvalue(), stderr.getvalue()


# ---------------------------------------------------------------- nothing steers the terminal


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


@pytest.mark.parametrize("form", report.FORMATS)
def test_a_nasty_name_and_value_never_reach_the_terminal_raw(form: str) -> None:
    nasty = "\x1b[2J\u202e"
    outcome = Outcome(
        NASTY,
        "planned",
        fields={"GENRE": Change((nasty,), (nasty, "Rock"))},
        error=Problem("io", nasty),
    )
    stdout, stderr = told([outcome], form, terminal=True)
    for text in (stdout, stderr):
        assert "\x1b[2J" not in text
        assert "\x1b[31m\n" not in text
        assert "\u202e" not in text
        assert "\udce9" not in text


# ---------------------------------------------------------------- for programs


def test_a_json_line_says_everything() -> None:
    (line,) = told([PLANNED], "jsonl")[0].splitlines()
    assert json.loads(line) == {
        "path": "Purcell/Dido/01 Overture.flac",
        "status": "planned",
        "duration": 103.25,
        "probabilities": {"opera": 0.9, "slow": 0.333333},
        "chosen": {
            "GENRE": ["Opera", "Classical"],
            "MOOD": ["Slow"],
            "INSTRUMENT": [],
            "VOCALS": [],
        },
        "fields": {
            "GENRE": {"old": [], "new": ["Opera", "Classical"]},
            "MOOD": {"old": ["Sad"], "new": ["Sad"]},
        },
        "error": None,
        "model": "first",
    }


def test_a_failed_file_has_the_same_keys() -> None:
    (line,) = told([FAILED], "jsonl")[0].splitlines()
    assert json.loads(line) == {
        "path": "Purcell/broken.mp3",
        "status": "failed",
        "duration": None,
        "probabilities": {},
        "chosen": {},
        "fields": {},
        "error": {"code": "truncated", "message": "the file is cut short (copy it again)"},
        "model": "first",
    }


def test_a_json_line_has_probabilities_to_six_decimals_whatever_the_tags_are_called() -> None:
    tags = {"100 %": 1 / 3, '%s "quoted"\n': 1e-9, "é": 1.0}
    line = report.json_line(Outcome(Path("a"), "planned", probabilities=tags))
    assert json.loads(line)["probabilities"] == {tag: round(p, 6) for tag, p in tags.items()}
    assert line.isascii()


def test_a_json_line_is_one_line_of_ascii_whatever_the_name() -> None:
    text = told([Outcome(NASTY, "unchanged")], "jsonl")[0]
    assert text.isascii()
    assert text.count("\n") == 1
    assert Path(json.loads(text)["path"]) == NASTY


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_programs_get_one_record_per_file(form: str) -> None:
    outcomes = [PLANNED, UNCHANGED, SKIPPED, FAILED]
    lines = told(outcomes, form)[0].splitlines()
    assert len(lines) == len(outcomes) + (form != "jsonl")


def test_a_csv_row_reads_back_by_its_column() -> None:
    (row,) = csv.DictReader(io.StringIO(told([PLANNED], "csv")[0]))
    assert row == dict.fromkeys(report.COLUMNS, "") | {
        "path": "Purcell/Dido/01 Overture.flac",
        "status": "planned",
        "duration": "103.25",
        "genre_chosen": "Opera; Classical",
        "genre_new": "Opera; Classical",
        "mood_chosen": "Slow",
        "mood_old": "Sad",
        "mood_new": "Sad",
        "model": "first",
    }


def test_an_error_has_its_columns() -> None:
    (row,) = csv.DictReader(io.StringIO(told([FAILED], "csv")[0]))
    assert (row["error"], row["message"]) == ("truncated", "the file is cut short (copy it again)")


@pytest.mark.parametrize(
    ("cell", "csv_cell", "tsv_cell"),
    [
        ("plain", "plain", "plain"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)", "=HYPERLINK(1)"),
        ("@sum", "'@sum", "@sum"),
        ("-1+1", "'-1+1", "-1+1"),
        ('say "a, b"', '"say ""a, b"""', 'say "a, b"'),
        ("two\nlines", '"two\nlines"', "two\\nlines"),
        ("one\rline", '"one\rline"', "one\\rline"),
        ("a\tb\\", "a\tb\\", "a\\tb\\\\"),
    ],
)
def test_csv_is_safe_in_spreadsheets_and_tsv_in_line_tools(
    cell: str, csv_cell: str, tsv_cell: str
) -> None:
    assert report.csv_line([cell]) == csv_cell
    assert report.tsv_line([cell]) == tsv_cell


# ---------------------------------------------------------------- for people


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
    with Report("table", report.FIELDS, stdout=stdout, stderr=Pipe()) as teller:
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
    with Report("table", report.FIELDS, stdout=stdout, stderr=Pipe()) as teller:
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


def test_errors_are_one_line_each_on_stderr_and_never_on_stdout() -> None:
    stdout, stderr = told([FAILED, SKIPPED])
    assert stdout == ""
    assert stderr.splitlines()[:2] == [
        "musictag: Purcell/broken.mp3: the file is cut short (copy it again)",
        "musictag: Purcell/silent.mp3: only silence",
    ]


def test_quiet_leaves_failures_only() -> None:
    _, stderr = told([PLANNED, FAILED, SKIPPED], quiet=True)
    assert stderr == "musictag: Purcell/broken.mp3: the file is cut short (copy it again)\n"


def test_failures_are_counted() -> None:
    with Report("table", ("GENRE",), stdout=Pipe(), stderr=Pipe()) as teller:
        for outcome in (PLANNED, FAILED, SKIPPED, FAILED):
            teller.add(outcome)
    assert teller.n_failed == 2


# ---------------------------------------------------------------- summary and bar


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def tally(*steps: tuple[float, Outcome]) -> Tally:
    """Outcomes, each so many seconds after the one before."""
    clock = Clock()
    result = Tally(clock)
    for wait_s, outcome in steps:
        clock.now_s += wait_s
        result.add(outcome)
    return result


def of(status: str, duration_s: float, **more: bool) -> Outcome:
    return Outcome(Path("a"), status, duration_s=duration_s, **more)  # type: ignore[arg-type]


def test_the_summary_of_a_dry_run_says_how_to_write() -> None:
    counts = tally((10, of("planned", 1800)), (10, of("unchanged", 7200)), (0, FAILED))
    assert counts.summary(write=False) == [
        "3 tracks, 2.5 hours of music, in 20 s (450× real time).",
        "1 planned, 1 unchanged, 1 failed.",
        "Nothing was written; add --write to write these tags.",
    ]


def test_the_summary_of_a_remembered_library_claims_no_speed() -> None:
    counts = tally((2, of("unchanged", 600, from_cache=True)))
    assert counts.summary(write=True) == [
        "1 track, 10 min of music, in 2.0 s, all remembered from earlier scans.",
        "1 unchanged.",
    ]


def test_remembered_music_does_not_count_as_speed() -> None:
    counts = tally((10, of("unchanged", 6000, from_cache=True)), (0, of("written", 1000)))
    assert "(100× real time)" in counts.summary(write=True)[0]


def test_an_interrupted_scan_is_summed_up_as_far_as_it_came() -> None:
    stderr = Pipe()
    with (
        contextlib.suppress(KeyboardInterrupt),
        Report("jsonl", ("GENRE",), stdout=Pipe(), stderr=stderr) as teller,
    ):
        teller.add(UNCHANGED)
        raise KeyboardInterrupt
    assert "1 track, 60 s" not in stderr.getvalue()
    assert "1 track, 1 min of music" in stderr.getvalue()
    assert "Interrupted" in stderr.getvalue()


def test_an_empty_folder_is_called_one() -> None:
    assert told([])[1] == "No tracks found.\n"


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
    assert (report._short(seconds), report._long(seconds)) == (short, long)


def bar(counts: Tally, total: int | None, width: int = 79) -> str:
    counter = report.TrackCount(counts, None)
    counter._total = total
    line = report.Bar(Screen(), counter).line(width)
    assert line is not None
    return line.plain


def test_the_bar_says_how_far_how_fast_and_how_long_still() -> None:
    counts = tally(*[(1, of("planned", 240))] * 10)
    assert bar(counts, 40) == (
        "━━━━━━━━━━━━━━━━━   10 of 40 tracks   1.0 tracks/s   240× real time   30 s left"
    )


def test_while_the_total_is_unknown_there_is_no_bar_and_no_time_left() -> None:
    counts = tally(*[(1, of("planned", 240))] * 10)
    assert bar(counts, None) == "10 tracks   1.0 tracks/s   240× real time"


def test_a_long_track_moves_the_bar_while_it_is_heard() -> None:
    clock = Clock()
    counts = Tally(clock)
    for _ in range(30):
        clock.now_s += 1
        counts.heard(Path("a"), 29 * 12)
    assert bar(counts, 3) == (
        "━━━━━━━━━━━━━━━━━━━━━━━━━━━━   0 of 3 tracks   2.9 hours heard   348× real time"
    )
    clock.now_s += 1
    counts.add(of("planned", 10_000))
    assert counts.heard_s == counts.music_s == 10_000, "segments overlap"
    assert "1 of 3 tracks   2.8 hours heard   322× real time" in bar(counts, 3)


def test_what_was_heard_of_a_track_that_is_broken_further_on_is_not_counted() -> None:
    counts = Tally(Clock())
    counts.heard(FAILED.path, 29)
    counts.heard(UNCHANGED.path, 29)
    counts.add(FAILED)
    assert counts.heard_s == 29


def test_music_heard_is_told_of_on_a_terminal_only() -> None:
    for stderr, is_told in ((Screen(), True), (Pipe(), False)):
        with Report("jsonl", ("GENRE",), stdout=Pipe(), stderr=stderr) as teller:
            for _ in range(3):
                teller.heard(PLANNED.path, 29 * 60)
                teller._bar._drawn_s = 0  # a moment ago
            teller.add(PLANNED)
        assert ("87 min heard" in stderr.getvalue()) == is_told
        assert "planned" in stderr.getvalue()


def test_the_bar_never_breaks_its_line() -> None:
    counts = tally(*[(1, of("planned", 240))] * 10)
    for width in range(1, 120):
        assert len(bar(counts, 40, width)) <= width


def test_speed_is_that_of_the_last_half_minute() -> None:
    """Remembered tracks fly by; the time left follows those that are heard."""
    counts = tally(*[(0.01, of("unchanged", 240))] * 1000, *[(10, of("planned", 240))] * 10)
    assert counts.rates()[0] == pytest.approx(0.1, abs=0.05)


def test_a_bar_only_on_a_terminal() -> None:
    assert "\r" in told([PLANNED], terminal=True)[1]
    assert "\r" not in told([PLANNED])[1]


def test_a_bar_is_wiped_before_a_line_and_at_the_end() -> None:
    stderr = Screen()
    with Report("jsonl", ("GENRE",), stdout=Pipe(), stderr=stderr) as teller:
        teller.say("first")
        teller.say("second")
    assert "tracks\r\x1b[2Ksecond\n" in stderr.getvalue()
    assert stderr.getvalue().endswith("tracks\r\x1b[2KNo tracks found.\n")


# ---------------------------------------------------------------- progress of other work


def test_work_is_told_of_now_and_then_where_no_line_can_be_drawn_again() -> None:
    stderr, clock = Pipe(), Clock()
    with report.Progress(stderr, clock) as progress:
        for done in range(8, 201, 8):
            clock.now_s += 1
            progress.step("heard", done, 200, "examples")
    assert stderr.getvalue().splitlines() == [
        "heard: 8 of 200 examples",
        "heard: 88 of 200 examples   8.0 examples/s   14 s left",
        "heard: 168 of 200 examples   8.0 examples/s   4.0 s left",
        "heard: 200 of 200 examples   8.0 examples/s",
    ]


def test_on_a_terminal_work_is_one_line_at_its_foot_that_goes_when_all_is_done() -> None:
    stderr, clock = Screen(), Clock()
    with report.Progress(stderr, clock) as progress:
        progress.step("heard", 8, 2000, "examples")
        clock.now_s += 2
        progress.step("heard", 24, 2000, "examples")
        progress.say("a\nb")
        progress.step("heard", 2000, 2000, "examples")
        progress.say("end")
    *_, drawn, last = stderr.getvalue().split("\r\x1b[2K")
    assert "a\\nb\n" in stderr.getvalue()
    assert drawn.endswith("heard: 24 of 2,000 examples   8.0 examples/s   4 min 07 s left")
    assert last == "end\n"


def test_what_an_earlier_run_did_is_no_speed() -> None:
    stderr, clock = Pipe(), Clock()
    with report.Progress(stderr, clock) as progress:
        clock.now_s += 10
        progress.step("features", 1000, 2000, "examples")
        clock.now_s += 10
        progress.step("features", 1010, 2000, "examples")
        progress.step("more", 5, None, "MB")
    assert stderr.getvalue().splitlines()[1:] == [
        "features: 1,010 of 2,000 examples   1.0 examples/s   16 min 30 s left",
        "more: 5 MB",
    ]


def test_a_closing_line_fits_eighty_columns() -> None:
    assert len(report.INTERRUPTED) <= 80
